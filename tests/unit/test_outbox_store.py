"""What an outbox says of a file that it cannot use, and that nothing is lost when a disk fails."""

import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from outboxes import NUMBERS, SOURCE, rows, scripted, states

from voxsms import InvalidRequest, Outbox, OutboxUnavailable
from voxsms.outbox import _chunks
from voxsms.outbox import _store as store
from voxsms.outbox._chunks import claim, write_outcomes
from voxsms.outbox._store import Database


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It has numbers and texts in it."""

    def files() -> list[Path]:
        return list(tmp_path.iterdir())

    path = tmp_path / "mailing.db"
    async with Outbox.open(path) as outbox:
        await outbox.add(rows(1), source=SOURCE)
        modes = {stat.S_IMODE(each.stat().st_mode) for each in files()}
        assert modes == {0o600}
    async with Outbox.open(str(path)) as outbox:
        assert await states(outbox) == ["pending"]


def other_program(path: Path) -> None:
    """Make another program's SQLite file."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE urls (url TEXT)")


def newer(path: Path) -> None:
    """Make an outbox of a version to come."""

    async def make() -> None:
        async with Outbox.open(path):
            pass

    anyio.run(make)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE voxsms_outbox SET version = 99")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            lambda path: path.write_text("Dear diary, " * 99), "not a SQLite file", id="text"
        ),
        pytest.param(other_program, "another program's SQLite file", id="other program"),
        pytest.param(newer, "newer voxsms", id="newer"),
        pytest.param(lambda path: path.mkdir(), "Is a directory", id="directory"),
    ],
)
def test_a_file_that_is_no_outbox_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    """The error names the file and says what to do."""
    path = tmp_path / "mailing.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None

    async def use() -> None:
        async with Outbox.open(path):
            raise AssertionError

    with pytest.raises(OutboxUnavailable, match=words) as found:
        anyio.run(use)
    assert str(path) in str(found.value)
    if before is not None:
        assert path.read_bytes() == before


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And nothing is made."""
    with pytest.raises(OutboxUnavailable, match=r"nowhere/mailing\.db: No such file"):
        async with Outbox.open(tmp_path / "nowhere" / "mailing.db"):
            raise AssertionError


@pytest.mark.parametrize("where", ["", ":memory:", "mysql://host/db", "sqlite:///x.db", 5, None])
def test_what_is_no_place_is_refused(where: str) -> None:
    """A path, or the URL of a PostgreSQL database."""
    with pytest.raises(InvalidRequest, match="where"):
        Outbox.open(where)


async def test_a_locked_file_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a wait; what was there is there when the lock is gone."""
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.01)
    async with scripted(tmp_path) as (outbox, *_):
        with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OutboxUnavailable, match="locked by another program"):
                await outbox.add(rows(1), source=SOURCE)
            other.execute("COMMIT")
        assert (await outbox.add(rows(1), source=SOURCE)).accepted == 1


async def test_another_process_that_looks_at_it_breaks_nothing(tmp_path: Path) -> None:
    """It comes and goes while this one writes and reads: the file stays one for all."""
    path = tmp_path / "outbox.db"
    look = (
        "import sqlite3, sys; from contextlib import closing\n"
        "with closing(sqlite3.connect(sys.argv[1])) as db:\n"
        "    print(db.execute('SELECT count(*) FROM voxsms_intents').fetchone()[0])"
    )

    async def count() -> int:
        looked = await anyio.run_process([sys.executable, "-c", look, str(path)])
        return int(looked.stdout)

    async with scripted(tmp_path) as (outbox, *_):
        for times in range(1, 3):
            await outbox.add(rows(times), source=SOURCE)
            assert (await outbox.summary()).pending == await count() == times
        # The last one to close a file removes its log; this one has it open.
        assert (tmp_path / "outbox.db-wal").exists()


async def test_a_full_disk_adds_nothing_of_a_list(tmp_path: Path) -> None:
    """The error says it, and what was there before is there."""

    def fill(database: Database) -> None:
        ((pages,),) = database.execute("PRAGMA page_count", {}).fetchall()
        database.execute(f"PRAGMA max_page_count = {pages}", {})

    async with scripted(tmp_path) as (outbox, client, *_):
        await outbox.add(rows(9), source=SOURCE)
        await outbox.store.write(fill)
        with pytest.raises(OutboxUnavailable, match="the disk is full"):
            await outbox.add([("x" * 1000, each) for each in NUMBERS], source=SOURCE, chunk_size=1)
        assert (await outbox.run(client)).sent == (await outbox.summary()).total == 9


@pytest.mark.parametrize("step", [claim, write_outcomes])
async def test_a_disk_that_fills_up_during_a_run_sends_nothing_twice(
    tmp_path: Path, step: Callable[..., object]
) -> None:
    """Where a chunk is begun nothing leaves; where its outcome is lost it is in doubt."""
    left = [1]

    def fill_up(*arguments: Any) -> object:  # noqa: ANN401 - of any step
        if len(service.calls) >= 2 and left:
            raise sqlite3.OperationalError("database or disk is full")
        return step(*arguments)

    async with scripted(tmp_path) as (outbox, client, service, clock):
        await outbox.add(rows(5), source=SOURCE, chunk_size=1)
        with (
            patch.object(_chunks, step.__name__, fill_up),
            pytest.raises(OutboxUnavailable, match="the disk is full"),
        ):
            await outbox.run(client, concurrency=1)
        assert len(service.calls) == 2
        left.clear()  # somebody makes room
        clock.passed += 100
        summary = await outbox.run(client, concurrency=1)
        doubts = 0 if step is claim else 1
        assert (summary.sent, summary.unknown) == (5 - doubts, doubts)
        assert sorted(service.sent) == NUMBERS[:5]


async def test_a_read_only_place_is_named(tmp_path: Path) -> None:
    """Whatever made it so; what is there is there."""
    async with scripted(tmp_path) as (outbox, client, *_):
        await outbox.add(rows(2), source=SOURCE)
        await outbox.store.write(lambda database: database.all("PRAGMA query_only = 1"))
        with pytest.raises(OutboxUnavailable, match="read-only"):
            await outbox.add(rows(9), source=SOURCE)
        with pytest.raises(OutboxUnavailable, match="read-only"):
            await outbox.run(client)
        assert await states(outbox) == ["pending"] * 2


async def test_what_one_step_breaks_is_its_own(tmp_path: Path) -> None:
    """Steps of several tasks share a transaction; one that fails takes no other with it."""

    def fail(database: Database) -> None:
        database.change("UPDATE voxsms_outbox SET rate = 1")
        raise ValueError("of this step")

    def count(database: Database, amount: int) -> int:
        database.change("UPDATE voxsms_outbox SET busy_until = busy_until + :amount", amount=amount)
        return amount

    async with scripted(tmp_path) as (outbox, *_):
        results: list[object] = []

        async def take(step: Callable[..., object], *args: object) -> None:
            try:
                results.append(await outbox.store.write(step, *args))
            except ValueError as error:
                results.append(str(error))

        async with anyio.create_task_group() as group:
            for step in (count, fail, count, count):
                group.start_soon(take, step, *([5] if step is count else []))
        assert sorted(map(str, results)) == ["5", "5", "5", "of this step"]
        found = await outbox.store.read(
            lambda database: database.all("SELECT rate, busy_until FROM voxsms_outbox")
        )
        assert found == [(None, 15.0)]


def test_it_works_under_trio(tmp_path: Path) -> None:
    """The database is asked in a thread, whatever loop there is."""

    async def mail() -> None:
        async with scripted(tmp_path) as (outbox, client, *_):
            await outbox.add(rows(5), source=SOURCE)
            assert (await outbox.run(client)).sent == 5

    anyio.run(mail, backend="trio")
