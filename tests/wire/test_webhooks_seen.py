"""What was seen: each callback has one owner at a time and is handled once, whatever fails."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing, suppress
from pathlib import Path

import anyio
import pytest
from doubles import FakeClock
from seen_stores import STORES, Store

from voxsms.webhooks import Callback, MemorySeen, Seen, SqliteSeen, Taken, _stores, handle

YOURS, IN_PROGRESS, HANDLED = Taken.YOURS, Taken.IN_PROGRESS, Taken.HANDLED
A, B = "a" * 32, "b" * 32
LARGEST = 2**63 - 1


def body(*ids: int) -> bytes:
    """Return a post with callbacks that nobody signed."""
    items = ",".join(f'{{"callback_id": {each}, "account_id": 1, "type": "x"}}' for each in ids)
    return f'{{"callbacks": [{items}]}}'.encode()


@pytest.fixture(params=STORES)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Store]:
    """Give each store of voxsms and of the documentation."""
    async with STORES[request.param](tmp_path, FakeClock(), monkeypatch) as store:
        yield store


async def test_a_callback_has_one_owner_until_it_is_handled(store: Store) -> None:
    """Another is told that it is in progress, and afterwards that nothing is to be done."""
    seen = store.seen
    assert await seen.take(7, A) == YOURS
    assert await seen.take(7, B) == IN_PROGRESS
    assert await seen.take(LARGEST, B) == YOURS
    await seen.give_back(7, B)  # which is not its own
    assert await seen.take(7, B) == IN_PROGRESS
    await seen.keep(7)
    await seen.give_back(7, A)
    assert await seen.take(7, B) == HANDLED
    assert await seen.take(LARGEST, A) == IN_PROGRESS
    await seen.keep(0)
    assert await seen.take(0, A) == HANDLED


async def test_what_was_given_back_can_be_taken(store: Store) -> None:
    """By whoever comes first."""
    assert await store.seen.take(7, A) == YOURS
    await store.seen.give_back(7, A)
    assert await store.seen.take(7, B) == YOURS


async def test_one_of_many_takes_it(store: Store) -> None:
    """Also where they come at the same time."""
    taken: list[Taken] = []

    async def take(owner: str) -> None:
        taken.append(await store.seen.take(7, owner))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(take, f"{number:032}")
    assert sorted(taken) == [IN_PROGRESS] * 19 + [YOURS]


@pytest.mark.parametrize("store", [each for each in STORES if each != "memory"], indirect=True)
async def test_a_slow_owner_deletes_nothing_of_the_next(store: Store) -> None:
    """After ten minutes another may have it; what the first one did stays known all the same."""
    seen, clock = store.seen, store.clock
    assert await seen.take(7, A) == YOURS
    clock.passed += 599
    assert await seen.take(7, B) == IN_PROGRESS
    clock.passed += 2
    assert await seen.take(7, B) == YOURS
    await seen.give_back(7, A)
    assert await seen.take(7, A) == IN_PROGRESS
    await seen.keep(7)  # by A, which was only slow
    await seen.give_back(7, B)
    assert await seen.take(7, B) == HANDLED
    clock.passed += 86_400
    assert await seen.take(7, B) == HANDLED


class Handled:
    """A handler that waits until it is let go on, and fails when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = anyio.Event(), anyio.Event()
        self.error: BaseException | None = None
        self.ids: list[int] = []

    async def __call__(self, callback: Callback) -> None:
        """Take a callback."""
        self.begun.set()
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        self.ids.append(callback.callback_id)


async def test_a_duplicate_comes_again_while_the_first_is_being_handled(store: Store) -> None:
    """It is told to: the first may yet fail. So nothing is lost, and nothing done twice."""
    handled, statuses = Handled(), list[int]()
    handled.error = LookupError()

    async def post() -> None:
        statuses.append(await handle(body(7), None, handled, store.seen))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(post)
        await handled.begun.wait()
        await post()
        assert statuses == [503]
        handled.may_end.set()
    handled.error = None
    for _ in range(2):
        await post()
    assert statuses == [503, 500, 200, 200]
    assert handled.ids == [7]


async def test_of_several_statuses_the_worst_is_answered() -> None:
    """One in progress beside one that fails: 500; what succeeded is not done again."""
    seen, handled = MemorySeen(), Handled()
    handled.may_end.set()
    await seen.take(7, A)
    assert await handle(body(8, 7), None, handled, seen) == 503
    handled.error = LookupError()
    assert await handle(body(7, 9), None, handled, seen) == 500
    handled.error = None
    await seen.give_back(7, A)
    assert await handle(body(7, 8, 9), None, handled, seen) == 200
    assert handled.ids == [8, 7, 9]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_what_ends_more_than_the_handler_gives_back(
    store: Store, error: type[BaseException]
) -> None:
    """It goes on to who asked for it, and the callback is handled when it comes again."""
    handled = Handled()
    handled.may_end.set()
    handled.error = error()
    with pytest.raises(error):
        await handle(body(7), None, handled, store.seen)
    handled.error = None
    assert await handle(body(7), None, handled, store.seen) == 200
    assert handled.ids == [7]


class Failing:
    """A store whose disk is full for some of its methods."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods
        self.seen = MemorySeen()

    def _check(self, method: str) -> None:
        if method in self.methods:
            raise sqlite3.OperationalError("database or disk is full")

    async def take(self, callback_id: int, owner: str) -> Taken:
        """Take, and fail only then: the answer was lost."""
        taken = await self.seen.take(callback_id, owner)
        self._check("take")
        return taken

    async def keep(self, callback_id: int) -> None:
        """Keep."""
        self._check("keep")
        await self.seen.keep(callback_id)

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Give back."""
        self._check("give_back")
        await self.seen.give_back(callback_id, owner)


@pytest.mark.parametrize(
    ("methods", "statuses", "told"),
    [
        (["take"], [500, 200], "taking failed: OperationalError: database or disk is full"),
        (["take", "give_back"], [500, 503], "giving back failed: OperationalError: database or"),
        (["keep"], [200, 503], "keeping failed: OperationalError: database or disk is full"),
    ],
)
async def test_a_store_that_fails_is_told_and_answered(
    methods: list[str], statuses: list[int], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With 500 if nothing was done, so that it comes again; with 200 if it was done."""
    handled, seen = Handled(), Failing(*methods)
    handled.may_end.set()
    assert await handle(body(7), None, handled, seen) == statuses[0]
    assert f"callback 7: {told}" in caplog.text
    seen.methods = ()
    assert await handle(body(7), None, handled, seen) == statuses[1]


class OfYesterday:
    """A store that answers as no store does."""

    async def take(self, callback_id: int, owner: str) -> bool:
        """Take."""
        del callback_id, owner
        return True

    async def keep(self, callback_id: int) -> None:
        """Keep."""

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Give back."""


async def test_a_store_that_answers_something_else_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is handled by a guess."""
    handled = Handled()
    assert await handle(body(7), None, handled, OfYesterday()) == 500  # type: ignore[arg-type]
    assert "True is not a valid Taken" in caplog.text
    assert not handled.begun.is_set()


def _make_directory(path: Path) -> None:
    path.mkdir()


def _write_something_else(path: Path) -> None:
    path.write_bytes(b"no database " * 100)


def _make_nothing(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize("spoil", [_make_directory, _write_something_else, _make_nothing])
async def test_a_file_that_cannot_be_used_is_told_and_answered(
    tmp_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is handled that could not be remembered; when the file can be used, it is."""
    path = tmp_path / "place" / "seen.db"
    path.parent.mkdir()
    spoil(path)
    handled = Handled()
    handled.may_end.set()
    async with aclosing(SqliteSeen(path)) as seen:
        assert await handle(body(7), None, handled, seen) == 500
        assert "callback 7: taking failed: " in caplog.text
        assert handled.ids == []
        with suppress(OSError):
            path.rmdir()
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        assert await handle(body(7), None, handled, seen) == 200


@pytest.mark.parametrize(
    ("broken", "mended", "told"),
    [
        # root may write to any file, so SQLite itself is told that it may not
        ("query_only = 1", "query_only = 0", "attempt to write a readonly database"),
        ("max_page_count = 1", "max_page_count = 1000", "database or disk is full"),
    ],
)
async def test_a_file_that_takes_nothing_more(
    tmp_path: Path, broken: str, mended: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is handled that could not be remembered; when there is room again, it is."""
    handled = Handled()
    handled.may_end.set()
    async with aclosing(SqliteSeen(tmp_path / "seen.db")) as seen:
        await seen.keep(1)
        await seen._file.run("PRAGMA synchronous = OFF")  # only for the time it takes
        await seen._file.run(f"PRAGMA {broken}")
        filling = body(*range(1000, 1500))  # more than the pages that are there have room for
        assert await handle(filling, None, handled, seen) == 500
        assert told in caplog.text
        done = len(handled.ids)
        assert done < 500
        await seen._file.run(f"PRAGMA {mended}")
        assert await handle(filling, None, handled, seen) == 200
    assert sorted(handled.ids) == list(range(1000, 1500))


async def test_a_file_that_another_has_locked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some seconds, here at once, the post is answered: it comes again."""
    path, handled = tmp_path / "seen.db", Handled()
    handled.may_end.set()
    async with aclosing(SqliteSeen(path)) as seen:
        await seen.keep(1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(_stores, "_PATIENCE", 0)
            assert await handle(body(7, 8, 9), None, handled, seen) == 500
        assert "callback 7: taking failed: OperationalError: database is locked" in caplog.text
        assert caplog.text.count("taking failed") == 1  # seconds for each would be an hour
        assert handled.ids == []
        assert await handle(body(7), None, handled, seen) == 200


async def test_a_locked_file_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many posts wait for it, the threads are free for the rest of the app."""
    monkeypatch.setattr(_stores, "_PATIENCE", 300)  # however busy the machine is
    path, handled, statuses = tmp_path / "seen.db", Handled(), list[int]()
    handled.may_end.set()
    posts = range(int(anyio.to_thread.current_default_thread_limiter().total_tokens) + 5)

    async def post(callback_id: int) -> None:
        statuses.append(await handle(body(callback_id), None, handled, seen))

    async with aclosing(SqliteSeen(path)) as seen:
        await seen.keep(1000)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                for each in posts:
                    tasks.start_soon(post, each)
                await anyio.wait_all_tasks_blocked()
                await anyio.to_thread.run_sync(int)  # what a sync view does
                assert statuses == []
                other.execute("ROLLBACK")
    assert statuses == [200 for _ in posts]
    assert sorted(handled.ids) == list(posts)


KILLED = """
import asyncio, os, signal, sys
from voxsms.webhooks import SqliteSeen, handle

async def handler(callback):
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(handle(sys.argv[2].encode(), None, handler, SqliteSeen(sys.argv[1])))
"""


async def test_a_callback_whose_process_was_killed_is_handled_by_another(tmp_path: Path) -> None:
    """After ten minutes, in which the process could still be at it."""
    path, clock, handled = tmp_path / "seen.db", FakeClock(), Handled()
    handled.may_end.set()
    command = [sys.executable, "-c", KILLED, str(path), body(7).decode()]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL  # noqa: S603, ASYNC221 - ours
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE voxsms_seen SET taken_at = ?", [clock.time()])
        database.commit()
    async with aclosing(SqliteSeen(path, clock=clock)) as seen:
        assert await handle(body(7), None, handled, seen) == 503
        clock.passed += 601
        assert await handle(body(7), None, handled, seen) == 200
    assert handled.ids == [7]


async def test_a_post_that_is_cut_short_while_it_is_taken(tmp_path: Path) -> None:
    """What was taken by then is given back, whatever the thread is at."""
    handled, has_begun, may_go_on = Handled(), threading.Event(), threading.Event()
    handled.may_end.set()

    def hold(_statement: str) -> None:
        has_begun.set()
        may_go_on.wait()

    async with aclosing(SqliteSeen(tmp_path / "seen.db")) as seen:
        await seen.keep(1)
        assert seen._file._connection is not None
        seen._file._connection.set_trace_callback(hold)
        task = asyncio.create_task(handle(body(7), None, handled, seen))
        await anyio.to_thread.run_sync(has_begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        may_go_on.set()
        with suppress(asyncio.CancelledError):
            await task
        assert await handle(body(7), None, handled, seen) == 200
    assert handled.ids == [7]


class Slow(MemorySeen):
    """A store that takes until it is cut short to remember, and may fail when asked again."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.begun = anyio.Event()
        self.fails = fails

    async def _wait_once(self) -> None:
        if not self.begun.is_set():
            self.begun.set()
            await anyio.sleep_forever()
        if self.fails:
            raise sqlite3.OperationalError("database or disk is full")

    async def keep(self, callback_id: int) -> None:
        """Keep."""
        await self._wait_once()
        await super().keep(callback_id)

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Give back."""
        await self._wait_once()
        await super().give_back(callback_id, owner)


@pytest.mark.parametrize(("error", "left"), [(None, HANDLED), (LookupError(), YOURS)])
async def test_a_post_that_is_cut_short_while_it_is_remembered(
    error: Exception | None, left: Taken
) -> None:
    """As by a server that ends: what was done is not done again, and what was not done is."""
    handled, seen = Handled(), Slow()
    handled.may_end.set()
    handled.error = error
    task = asyncio.create_task(handle(body(7), None, handled, seen))
    await seen.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await seen.take(7, B) == left


async def test_a_post_that_is_cut_short_ends_though_its_store_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who cancelled it is not kept waiting for what cannot be done."""
    handled, seen = Handled(), Slow(fails=True)
    handled.may_end.set()
    task = asyncio.create_task(handle(body(7), None, handled, seen))
    await seen.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "callback 7: keeping failed: OperationalError: database or disk is full" in caplog.text


async def test_memory_forgets_the_oldest_that_is_handled() -> None:
    """It grows no further than it was told to, and what is in progress stays so."""
    seen: Seen = MemorySeen(limit=2)
    assert await seen.take(9, A) == YOURS
    for each in (1, 2, 3):
        assert await seen.take(each, A) == YOURS
        await seen.keep(each)
    assert [await seen.take(each, B) for each in (9, 2, 3, 1)] == [
        IN_PROGRESS, HANDLED, HANDLED, YOURS,
    ]  # fmt: skip
