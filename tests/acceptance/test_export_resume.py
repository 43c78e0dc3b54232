"""An export that was stopped goes on: killed, cancelled, out of disk; and never from another's."""
# ruff: noqa: ASYNC240 - a test has nobody to hold up

import asyncio
import errno
import os
import random
import shutil
import stat
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from inspect import isfunction
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NoReturn

import anyio
import export_child
import orjson
import pytest
from disk import STEPS, disk_of, found
from doubles import KEY, NOW
from histories import START, FakeHistory, Message, small_pages, spread
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms import ApiKey, CheckpointMismatch, Client, InvalidRequest
from voxsms.api.codec import Answer
from voxsms.export import ExportProgress, ExportSummary, _checkpoint, _files, export_history
from voxsms.export._checkpoint import Checkpoint
from voxsms.sandbox import Sandbox, serve

pytestmark = pytest.mark.slow

KILLS = 12
ROWS = 700
NAMES = ["all.jsonl", "all.csv", "all.parquet", "days/"]
LAST = START + timedelta(days=5)


Damage = tuple[str, float]
DAMAGES = st.tuples(
    st.sampled_from(["none", "cut", "zeros", "changed", "longer", "gone"]),
    st.floats(0, 1, exclude_max=True),
)


def content_of(path: Path) -> bytes:
    """Give what a file holds; for tests that are coroutines."""
    return path.read_bytes()


def lines_of(journal: Path) -> list[dict[str, Any]]:
    """Return what the lines of a journal say that are as they were written."""
    lines = [line.partition(b" ") for line in journal.read_bytes().splitlines(keepends=True)]
    return [
        orjson.loads(text)
        for crc, _, text in lines
        if text.endswith(b"\n") and crc == b"%08x" % zlib.crc32(text[:-1])
    ]


def saved_in(work: Path) -> list[dict[str, Any]]:
    """Return the windows in the journal of a work directory."""
    return [each for each in lines_of(work / "journal") if "index" in each]


@pytest.fixture(scope="module")
def full() -> Iterator[Sandbox]:
    """Run a sandbox with a history that does not change."""
    with serve() as sandbox:
        sandbox.fill_history("sms", ROWS, start=START, end=START.replace(month=4))
        yield sandbox


class Runs:
    """Runs exports in processes of their own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._context: ForkServerContext = get_context("forkserver")
        # Without pyarrow, whose threads would not survive a fork.
        self._context.set_forkserver_preload(["export_child"])
        key = sandbox.api_key
        self._account = sandbox.url, key.account_id, key.api_key
        self.resumed = 0
        """How many went on from where one had been killed."""

    def run(
        self, path: str, seconds: float | None = None, *, last: bool = True
    ) -> tuple[bool, float]:
        """Run one, and kill it after some seconds; tell if it ended, and after how long."""
        place = Path(path)
        begun = (place.parent / f".{place.name}.export" / "journal").exists()
        ours, theirs = self._context.Pipe()
        child = self._context.Process(
            target=export_child.run, args=(*self._account, path, theirs), kwargs={"last": last}
        )
        child.start()
        theirs.close()  # or nothing would be heard of a child that died
        assert ours.recv() == "began"
        began = time.monotonic()
        if seconds is not None:
            child.join(seconds)
            child.kill()
        child.join()
        if child.exitcode == 0:
            rows, resumed = ours.recv()
            assert (rows, resumed) == (ROWS, begun)
            self.resumed += resumed
        else:
            assert child.exitcode == -9
        return child.exitcode == 0, time.monotonic() - began


@pytest.mark.once
@pytest.mark.unmeasured
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    full: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dozen times `kill -9`, in each format; nothing is left beside the result.

    A run that finds a plan goes on with it.
    """
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for what is loaded beforehand
    runs, roll = Runs(full), random.Random(20)  # noqa: S311 - for a test
    kills = 0
    for name in NAMES:
        (whole := tmp_path / f"whole {name.strip('/')}").mkdir()
        _, seconds = runs.run(f"{whole}/{name}")
        killed_here = 0
        while killed_here < KILLS // len(NAMES):
            (place := tmp_path / "killed").mkdir()
            while killed_here < KILLS // len(NAMES):
                ended, _ = runs.run(f"{place}/{name}", roll.uniform(0, seconds))
                killed_here += not ended
                if [each.name for each in place.iterdir()] == [name.strip("/")]:
                    break  # it was done, and perhaps just had not said so
            else:
                runs.run(f"{place}/{name}")
            assert found(place) == found(whole)
            shutil.rmtree(place)
        kills += killed_here
    assert kills == KILLS


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize("name", ["all.jsonl", "days/"])
def test_killed_when_the_result_has_just_got_its_name(
    full: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing was lost by it, and the same call ends well."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    runs = Runs(full)
    (whole := tmp_path / "whole").mkdir()
    runs.run(f"{whole}/{name}")
    (place := tmp_path / "killed").mkdir()
    ended, _ = runs.run(f"{place}/{name}", last=False)
    assert not ended
    assert (place / name).exists()
    ended, _ = runs.run(f"{place}/{name}")
    assert ended
    assert runs.resumed == 1
    assert found(place) == found(whole)


async def end_but_for_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Export by day and fail when the directory has just got its name; give the directory."""

    def fail(directory: Path) -> None:
        if directory == tmp_path:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(_files, "sync_directory", fail)
        with pytest.raises(OSError, match="Input/output"):
            await export(history(), f"{tmp_path}/days/", format="csv")
    return tmp_path / "days"


async def test_an_error_when_the_directory_has_just_got_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call says that it is done, without a request; a new one is made again."""
    days = await end_but_for_the_last_step(tmp_path, monkeypatch)
    before = found(days)
    with pytest.raises(CheckpointMismatch, match="direction: none there, OUT here"):
        await export(history(), f"{days}/", format="csv", direction="OUT")
    summary = await export(history(), f"{days}/", format="csv")
    assert (summary.rows, summary.requests, summary.resumed) == (100, 0, True)
    assert found(tmp_path) == {f"days/{name}": content for name, content in before.items()}
    await end_but_for_the_last_step(tmp_path, monkeypatch)
    summary = await export(history(), f"{days}/", format="csv", restart=True)
    assert (summary.rows, summary.resumed) == (100, False)
    assert found(tmp_path) == {f"days/{name}": content for name, content in before.items()}


async def test_a_directory_that_is_not_the_one_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for the result; with none in the way the result is made again."""
    days = await end_but_for_the_last_step(tmp_path, monkeypatch)
    (days / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="holds more than an export's days"):
        await export(history(), f"{days}/", format="csv")
    shutil.rmtree(days)
    summary = await export(history(), f"{days}/", format="csv")
    assert (summary.rows, summary.resumed) == (100, True)
    assert len(list(days.iterdir())) == 5


async def test_a_directory_that_can_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The windows stay, and the next call makes the result without reading them again."""
    replace = _files.replace

    def fail(source: Path, target: Path) -> None:
        if target == tmp_path / "days":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(_files, "replace", fail)
        with pytest.raises(OSError, match="Input/output"):
            await export(history(), f"{tmp_path}/days/", format="csv")
    assert [each.name for each in tmp_path.iterdir()] == [".days.export"]
    summary = await export(history(), f"{tmp_path}/days/", format="csv")
    assert (summary.rows, summary.requests, summary.resumed) == (100, 0, True)


async def stop_with_the_old_one_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fail when the old directory is aside and the new one not in its place; return the old one."""
    await export(FakeHistory(spread(5, seconds=86400)), f"{tmp_path}/days/", format="csv")
    replace = _files.replace

    def fail(source: Path, target: Path) -> None:
        if source.name == "result":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(_files, "replace", fail)
        with pytest.raises(OSError, match="Input/output"):
            await export(history(), f"{tmp_path}/days/", format="csv")
    assert not (tmp_path / "days").exists()
    return tmp_path / ".days.export" / "old"


async def test_a_directory_that_was_not_replaced_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that begins again puts back what an earlier one had set aside."""
    before = found(await stop_with_the_old_one_aside(tmp_path, monkeypatch))
    with pytest.raises(ZeroDivisionError):
        await export(Stop(0, ZeroDivisionError()), f"{tmp_path}/days/", format="csv", restart=True)
    assert found(tmp_path / "days") == before
    assert [each.name for each in tmp_path.iterdir()] == ["days"]


async def test_what_was_put_into_the_old_directory_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what an export has written goes with it."""
    old = await stop_with_the_old_one_aside(tmp_path, monkeypatch)
    day = next(old.iterdir())
    (day / "notes.txt").write_text("mine")
    (old / "more.txt").write_text("mine")
    assert (await export(history(), f"{tmp_path}/days/", format="csv")).rows == 100
    assert found(old) == {"more.txt": b"mine", f"{day.name}/notes.txt": b"mine"}
    assert found(old.parent) == {f"old/{name}": content for name, content in found(old).items()}


async def export(service: FakeHistory, path: Path | str, **options: Any) -> ExportSummary:  # noqa: ANN401
    """Export with small pages and windows."""
    with small_pages(10, 30):
        async with service.client() as client:
            return await export_history(client, "sms", path, **{"to_date": LAST} | options)


class Stop(FakeHistory):
    """Cancels the scope it is given, or raises, at a request."""

    def __init__(self, at: int, error: Exception | None = None) -> None:
        super().__init__(spread(100, seconds=3600))
        self.scope: anyio.CancelScope | None = None
        self._at = at
        self._error = error

    async def send(self, *args: Any) -> Any:  # noqa: ANN401 - as it is
        """Answer, unless it is time to stop."""
        if len(self.forms) >= self._at:
            if self._error is not None:
                raise self._error
            assert self.scope is not None
            self.scope.cancel()
        return await super().send(*args)


async def cancelled(service: Stop, path: Path | str) -> None:
    """Export until it is cancelled."""
    with anyio.CancelScope() as scope:
        service.scope = scope
        await export(service, path)
        pytest.fail("it was not cancelled")


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_at_any_request_it_leaves_only_its_checkpoint(
    tmp_path: Path, backend: str
) -> None:
    """And goes on from there; before there is a plan, nothing is left at all."""
    path, work = tmp_path / "all.jsonl", tmp_path / ".all.jsonl.export"
    whole = anyio.run(export, FakeHistory(spread(100, seconds=3600)), path, backend=backend)
    bytes_ = path.read_bytes()
    path.unlink()
    resumed: set[int] = set()
    for request in range(whole.requests):
        anyio.run(cancelled, Stop(request), path, backend=backend)
        assert not path.exists()
        if work.exists():
            names = {each.name for each in work.iterdir()}
            assert "journal" in names
            assert names <= {"journal", "rows"}
            resumed.add(len(saved_in(work)))
        else:
            assert list(tmp_path.iterdir()) == []
        summary = anyio.run(export, FakeHistory(spread(100, seconds=3600)), path, backend=backend)
        assert path.read_bytes() == bytes_
        assert list(tmp_path.iterdir()) == [path]
        assert summary.rows == 100
        path.unlink()
    assert len(resumed) >= 2


async def export_within(steps: int, path: str) -> bool:
    """Export with so many steps on the disk; return whether that was enough."""
    with disk_of(steps) as machine:
        await export(FakeHistory(spread(30, seconds=3600)), path)
    return not machine.is_off


def test_every_step_on_the_disk_goes_through_one_module() -> None:
    """So that the next test can stop at each of them."""
    known = {name for name, each in vars(_files).items() if isfunction(each)}
    assert known == {*STEPS, "open_again"}


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("name", "has_old"),
    [("all.jsonl", False), ("all.parquet", True), ("days/", False), ("days/", True)],
)
async def test_stopped_at_each_step_on_the_disk_it_ends_with_the_same_bytes(
    tmp_path: Path, name: str, *, has_old: bool
) -> None:
    """Between any two steps, the last ones too; and once more in the run that resumes it.

    What was in its place is there or aside until the new one is.
    """
    whole, old = tmp_path / "whole", tmp_path / "old"
    for place in (whole, old):
        place.mkdir()
    await export(FakeHistory(spread(30, seconds=3600)), f"{whole}/{name}")
    await export(FakeHistory(spread(5, seconds=86400)), f"{old}/{name}")
    before = found(old) if has_old else {}
    stops = 0
    for steps in count():
        place = tmp_path / "stopped"
        if has_old:
            shutil.copytree(old, place)
        else:
            place.mkdir()
        if await export_within(steps, f"{place}/{name}"):
            break
        stops += 1
        target, now = name.strip("/"), found(place)
        shown = {at: content for at, content in now.items() if at.startswith(target)}
        assert shown in (before, found(whole), {})
        if not shown:
            aside = {at.partition("/old/")[2]: now[at] for at in now if "/old/" in at}
            assert aside == {at.partition("/")[2]: content for at, content in before.items()}
        await export_within(steps // 2 + 1, f"{place}/{name}")
        await export(FakeHistory(spread(30, seconds=3600)), f"{place}/{name}")
        assert found(place) == found(whole)
        assert [each.name for each in place.iterdir()] == [target]
        shutil.rmtree(place)
    assert stops > 15


async def test_what_is_being_written_is_written_before_a_cancelled_export_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread cannot be stopped: nothing is cleared away, or handed on, under its hands."""
    writing, go_on = threading.Event(), threading.Event()
    save = Checkpoint.save

    def slowly(checkpoint: Checkpoint, *window: Any) -> None:  # noqa: ANN401
        writing.set()
        assert go_on.wait(30)
        save(checkpoint, *window)

    monkeypatch.setattr(Checkpoint, "save", slowly)
    task = asyncio.ensure_future(export(history(), tmp_path / "all.jsonl"))
    await asyncio.to_thread(writing.wait, 30)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    work = tmp_path / ".all.jsonl.export"
    assert len(saved_in(work)) == 1
    assert {each.name for each in work.iterdir()} == {"journal", "rows"}
    assert (await export(history(), tmp_path / "all.jsonl")).resumed


async def stopped(tmp_path: Path, name: str = "all.jsonl") -> Path:
    """Stop an export half-way; give its work directory."""
    with pytest.raises(ZeroDivisionError):
        await export(Stop(18, ZeroDivisionError()), tmp_path / name, windows_in_flight=1)
    work = tmp_path / f".{name.strip('/')}.export"
    assert len(saved_in(work)) in range(2, 5)
    return work


def history() -> FakeHistory:
    """Give the same history as `Stop` has."""
    return FakeHistory(spread(100, seconds=3600))


async def test_what_it_leaves_is_for_its_owner_alone(tmp_path: Path) -> None:
    """And has no credentials in it."""
    work = await stopped(tmp_path)
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    for path in work.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert KEY.api_key.encode() not in path.read_bytes()


async def test_another_account_or_service_does_not_go_on(tmp_path: Path) -> None:
    """Two histories are never mixed in a file."""
    await stopped(tmp_path)
    service = history()
    other = ApiKey(2, KEY.api_key)
    for key, url, named in (
        (other, "http://history.example", "account: 1 there, 2 here"),
        (KEY, "http://other.example", "service: http://history.example there, http://other.ex"),
    ):
        async with Client(key, url, transport=service, clock=service.clock) as client:
            with pytest.raises(CheckpointMismatch, match=rf"another export \({named}"):
                await export_history(client, "sms", tmp_path / "all.jsonl", to_date=LAST)
    assert service.forms == []
    assert (await export(history(), tmp_path / "all.jsonl")).resumed


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"identity": 1, "plan": 2}'])
async def test_a_checkpoint_that_can_not_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    """It is left as it is; `restart` begins anew."""
    work = await stopped(tmp_path)
    (work / "journal").write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        await export(history(), tmp_path / "all.jsonl")
    assert (work / "journal").read_bytes() == content
    summary = await export(history(), tmp_path / "all.jsonl", restart=True)
    assert (summary.rows, summary.resumed) == (100, False)


def save_again(work: Path, index: int) -> None:
    """Note the first saved window of a journal once more, as another one."""
    text = orjson.dumps(saved_in(work)[0] | {"index": index})
    with (work / "journal").open("ab") as journal:
        journal.write(b"%08x %b\n" % (zlib.crc32(text), text))


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
async def test_of_two_readings_of_a_window_the_later_counts(tmp_path: Path, name: str) -> None:
    """A window that was read again stands twice in the log; its rows come once."""
    await export(history(), tmp_path / f"whole {name}")
    save_again(await stopped(tmp_path, name), 0)
    summary = await export(history(), tmp_path / name)
    assert (summary.rows, summary.resumed) == (100, True)
    assert content_of(tmp_path / name) == content_of(tmp_path / f"whole {name}")
    assert {path.name for path in tmp_path.iterdir()} == {name, f"whole {name}"}


_PLACES = {"cut": -8, "changed": -1, "changed early": 200}


def damaged(path: Path, damage: str, share: float | None = None) -> None:
    """Leave a file, if it is there, as a failure of power may: at a share of it or a place.

    The journal's first line was synced before anything was read.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    synced, content = content.split(b"\n", 1) if path.name == "journal" else (None, content)
    place = int((share or 0) * len(content))
    if share is None:
        place = _PLACES.get(damage, 0) % max(1, len(content))
    spoiled = {
        "none": content,
        "cut": content[:place],
        "empty": b"",
        "zeros": content[:place] + bytes(len(content) - place),
        "longer": content + b"half a window",
    }
    if damage == "gone":
        path.unlink()
    else:
        left = spoiled.get(damage, content[:place] + b"\xff" + content[place + 1 :])
        path.write_bytes(left if synced is None else synced + b"\n" + left)


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "gone", "longer", "begun wrongly"])
async def test_a_window_that_is_damaged_is_read_again(
    tmp_path: Path, name: str, damage: str
) -> None:
    """The journal is not synced: after a failure of power anything may be missing in it."""
    await export(history(), tmp_path / f"whole {name}")
    work = await stopped(tmp_path, name)
    before = len(saved_in(work))
    damaged(work / "journal", damage)
    if damage != "gone":
        left = {"longer": before, "empty": 0}
        assert len(saved_in(work)) == left.get(damage, before - 1)
    summary = await export(history(), tmp_path / name)
    assert (summary.rows, summary.resumed) == (100, damage != "gone")
    assert content_of(tmp_path / name) == content_of(tmp_path / f"whole {name}")


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "changed", "changed early", "gone", "longer", "begun wrongly"]
)
async def test_a_result_that_is_damaged_is_mended(tmp_path: Path, damage: str) -> None:
    """What an earlier run had written of it is checked before the next goes on."""
    await export(history(), tmp_path / "whole.csv")
    rows = await stopped(tmp_path, "all.csv") / "rows"
    damaged(rows, damage)
    summary = await export(history(), tmp_path / "all.csv")
    assert (summary.rows, summary.resumed) == (100, True)
    assert content_of(tmp_path / "all.csv") == content_of(tmp_path / "whole.csv")
    assert not rows.parent.exists()


async def test_a_window_that_became_empty_and_whose_line_has_no_end(tmp_path: Path) -> None:
    """Killed one byte before the end of a line behind which nothing comes."""

    class Leaving(Stop):
        """Its first rows leave the status that is asked for when the plan is made."""

        def answer(self, form: dict[str, str]) -> Answer:
            if form["count"] != "1":
                for message in self.messages[:30]:
                    message.row["delivery_status"] = "FAILED"
            return super().answer(form)

    def leaving(stop: int) -> Leaving:
        service = Leaving(stop, ZeroDivisionError())
        service.messages = spread(100, seconds=3600, make=Message.a2p)
        return service

    async def export_delivered(service: FakeHistory) -> ExportSummary:
        path = tmp_path / "all.parquet"
        with small_pages(10, 30):
            async with service.client() as client:
                return await export_history(
                    client, "a2p", path, to_date=LAST, delivery_status=5, windows_in_flight=1
                )

    journal = tmp_path / ".all.parquet.export" / "journal"
    for stop in range(5, 40):
        shutil.rmtree(journal.parent, ignore_errors=True)
        with pytest.raises(ZeroDivisionError):
            await export_delivered(leaving(stop))
        if journal.exists() and saved_in(journal.parent):
            break
    assert saved_in(journal.parent)[-1]["keys"] == ""
    journal.write_bytes(content_of(journal).removesuffix(b"\n"))
    summary = await export_delivered(leaving(10**6))
    assert (summary.rows, summary.resumed) == (70, True)


@pytest.mark.parametrize("name", ["all.jsonl", "all.parquet"])
async def test_a_window_that_was_read_again_does_not_cost_the_others(
    tmp_path: Path, name: str
) -> None:
    """A row came in late, its window was read again, then the run was stopped: it goes on."""
    last_counts = (await export(history(), tmp_path / name)).requests - 2

    def late(service: FakeHistory) -> None:
        if len(service.forms) == last_counts:
            service.messages.append(Message.sms(5000, START + timedelta(seconds=90)))

    whole = history()
    whole._happens = late
    requests = (await export(whole, tmp_path / name)).requests
    rows = content_of(tmp_path / name)
    (tmp_path / name).unlink()
    service = Stop(requests - 2, ZeroDivisionError())
    service._happens = late
    with pytest.raises(ZeroDivisionError):
        await export(service, tmp_path / name)
    again = history()
    again.messages = whole.messages
    summary = await export(again, tmp_path / name)
    assert (summary.rows, summary.requests, summary.resumed) == (101, 2, True)
    assert content_of(tmp_path / name) == rows


@pytest.mark.unmeasured
@settings(max_examples=examples(40))
@given(
    name=st.sampled_from(NAMES),
    stops=st.lists(st.integers(5, 25), min_size=1, max_size=3),
    damages=st.lists(st.tuples(DAMAGES, DAMAGES), min_size=3, max_size=3),
)
def test_damage_to_all_files_of_several_runs(
    name: str, stops: list[int], damages: list[tuple[Damage, Damage]]
) -> None:
    """However much of either file a failure of power took, each time: the same bytes."""
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        anyio.run(export, history(), f"{first}/{name}")
        work = Path(second, f".{name.strip('/')}.export")
        for stop, (to_journal, to_rows) in zip(stops, damages, strict=False):
            with suppress(ZeroDivisionError):
                anyio.run(export, Stop(stop, ZeroDivisionError()), f"{second}/{name}")
                break
            damaged(work / "journal", *to_journal)
            damaged(work / "rows", *to_rows)
        else:
            anyio.run(export, history(), f"{second}/{name}")
        assert found(Path(second)) == found(Path(first))


async def test_a_journal_that_changes_under_its_export_is_told(tmp_path: Path) -> None:
    """Nobody else is to write there; what cannot be read any more is no row."""
    requests = (await export(history(), tmp_path / "all.parquet")).requests

    def spoil(service: FakeHistory) -> None:
        if len(service.forms) == requests - 1:
            damaged(tmp_path / ".all.parquet.export" / "journal", "begun wrongly", 0)

    service = history()
    service._happens = spoil
    with pytest.raises(OSError, match="a saved window can no longer be read"):
        await export(service, tmp_path / "all.parquet")
    assert (await export(history(), tmp_path / "all.parquet")).rows == 100


async def test_what_fails_in_closing_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk may be noticed only then; the next call resumes."""
    close = Checkpoint._close_files

    def full(checkpoint: Checkpoint) -> NoReturn:
        close(checkpoint)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "_close_files", full)
        with pytest.raises(OSError, match="No space left"):
            await export(Stop(18, ZeroDivisionError()), tmp_path / "all.csv")
    assert (await export(history(), tmp_path / "all.csv")).rows == 100


async def test_every_row_is_written_once(tmp_path: Path) -> None:
    """Lines stand in their final place as soon as they are read: a disk needs room for one copy."""
    work = await stopped(tmp_path)
    begun = content_of(work / "rows")
    assert begun
    assert b"text" not in content_of(work / "journal")
    await export(history(), tmp_path / "all.jsonl")
    assert content_of(tmp_path / "all.jsonl").startswith(begun)


@pytest.mark.parametrize(
    ("name", "format_", "synced"),
    [("all.jsonl", "jsonl", True), ("all.parquet", "parquet", False), ("days/", "csv", False)],
)
async def test_a_file_is_on_the_disk_soon_after_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, format_: str, *, synced: bool
) -> None:
    """A long export does not end with a wait for the disk; what is not the result is not synced."""
    monkeypatch.setattr(_checkpoint, "_SYNC_AFTER", 1)
    rows = tmp_path / f".{name.strip('/')}.export" / "rows"
    on_disk, sync = list[int](), _files.sync

    def watched(file: BinaryIO) -> None:
        sync(file)
        if rows.exists() and os.path.samestat(os.fstat(file.fileno()), rows.stat()):
            on_disk.append(file.tell())

    monkeypatch.setattr(_files, "sync", watched)
    await export(history(), f"{tmp_path}/{name}", format=format_)
    if not synced:
        assert on_disk == []
        return
    assert on_disk[-1] == (tmp_path / name).stat().st_size
    assert len({*on_disk}) > 1


async def test_a_file_of_somebody_else_s_is_left_alone(tmp_path: Path) -> None:
    """Only what an export made is removed."""
    work = await stopped(tmp_path)
    (work / "notes.txt").write_text("mine")
    (work / "notes.tmp").mkdir()
    await export(history(), tmp_path / "all.jsonl")
    assert {path.name for path in work.iterdir()} == {"notes.txt", "notes.tmp"}


async def test_a_window_that_the_plan_does_not_know_is_not_written(tmp_path: Path) -> None:
    """Its rows may stand in another one."""
    work = await stopped(tmp_path)
    save_again(work, 99)
    assert (await export(history(), tmp_path / "all.jsonl")).rows == 100
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


async def test_a_work_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Nothing behind it is touched."""
    (home := tmp_path / "home").mkdir(mode=0o700)
    (home / "result").mkdir()
    (tmp_path / ".all.jsonl.export").symlink_to(home)
    with pytest.raises(InvalidRequest, match=r"\.all\.jsonl\.export exists and is not a directory"):
        await export(history(), tmp_path / "all.jsonl")
    assert (home / "result").is_dir()


async def test_a_work_directory_that_others_can_read_or_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it could be theirs, and what is written theirs to read."""
    (work := tmp_path / ".all.jsonl.export").mkdir()
    work.chmod(0o750)
    alone = r"\.all\.jsonl\.export is not a directory that only you can read and write"
    with pytest.raises(InvalidRequest, match=alone):
        await export(history(), tmp_path / "all.jsonl")
    work.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InvalidRequest, match=alone):
        await export(history(), tmp_path / "all.jsonl")
    assert list(work.iterdir()) == []


async def test_what_was_kept_is_told_with_the_error(tmp_path: Path) -> None:
    """If the same command can go on from it, and only then."""
    with pytest.raises(ZeroDivisionError) as caught:
        await export(Stop(18, ZeroDivisionError()), tmp_path / "all.jsonl")
    work = tmp_path / ".all.jsonl.export"
    assert caught.value.__notes__ == [
        f"The rows read so far are saved in {work}: run the same command again."
    ]
    with pytest.raises(CheckpointMismatch) as mismatch:
        await export(history(), tmp_path / "all.jsonl", direction="IN")
    assert not hasattr(mismatch.value, "__notes__")
    with pytest.raises(ZeroDivisionError) as early:
        await export(Stop(0, ZeroDivisionError()), tmp_path / "other.jsonl")
    assert not hasattr(early.value, "__notes__")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_was_kept_is_told_with_a_cancellation(tmp_path: Path, backend: str) -> None:
    """Whoever catches it can say so."""
    notes: list[str] = []

    async def run() -> None:
        service = Stop(18)
        with anyio.CancelScope() as service.scope:
            try:
                await export(service, tmp_path / "all.jsonl")
            except BaseException as error:
                notes.extend(error.__notes__)
                raise

    anyio.run(run, backend=backend)
    assert [note[:34] for note in notes] == ["The rows read so far are saved in "]


async def test_an_old_range_is_not_taken_for_one_up_to_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that goes on from one of long ago warns, unless the end of the range was given."""

    async def stop_and_go_on(after: float, **options: Any) -> ExportSummary:  # noqa: ANN401
        with pytest.raises(ZeroDivisionError):
            await export(Stop(18, ZeroDivisionError()), tmp_path / "all.jsonl", **options)
        service = history()
        service.clock.passed = after
        summary = await export(service, tmp_path / "all.jsonl", **options)
        assert summary.resumed
        assert service.clock.slept == ([] if after > 3600 or options["to_date"] else [1.0])
        return summary

    assert (await stop_and_go_on(1800.0, to_date=None)).to_date == NOW
    assert (await stop_and_go_on(30 * 86400.0, to_date=LAST)).to_date == LAST
    assert "range" not in caplog.text
    assert (await stop_and_go_on(30 * 86400.0, to_date=None)).to_date == NOW
    (record,) = [each for each in caplog.records if "range" in each.message]
    assert record.name == "voxsms"
    assert "its range ends at 2026-11-22 12:00:00 UTC" in record.message


async def test_rows_of_an_earlier_run_are_told_apart(tmp_path: Path) -> None:
    """So that a rate is that of this run."""
    await stopped(tmp_path)
    told: list[ExportProgress] = []
    await export(history(), tmp_path / "all.jsonl", on_progress=told.append)
    assert 0 < told[0].rows_before <= told[0].rows < 100
    assert {each.rows_before for each in told} == {told[0].rows_before}
    assert told[-1].rows == 100


async def test_another_version_s_windows_are_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of another layout are refused, and removed when the export begins anew."""
    work = await stopped(tmp_path)
    monkeypatch.setattr("voxsms.export._run.LAYOUT", "5")
    with pytest.raises(CheckpointMismatch, match="layout: 4 there, 5 here"):
        await export(history(), tmp_path / "all.jsonl")
    (work / "rows").write_bytes(b"of another layout")
    await export(history(), tmp_path / "all.jsonl", restart=True)
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


async def test_a_mismatch_shows_no_whole_number(tmp_path: Path) -> None:
    """And is not endless."""
    with pytest.raises(ZeroDivisionError):
        await export(
            Stop(2, ZeroDivisionError()), tmp_path / "a.csv", destination_number="447700900123"
        )
    many = list(range(10_000, 10_200))
    with pytest.raises(CheckpointMismatch) as caught:
        await export(
            history(), tmp_path / "a.csv", destination_number="447700900124", message_id=many
        )
    text = str(caught.value)
    assert "destination_number: 447***123 there, 447***124 here" in text
    assert "message_id: none there, 10000;10001;" in text
    assert len(text) < 500


@pytest.mark.parametrize("name", ["all.csv", "all.parquet"])
async def test_a_full_disk_leaves_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The error is the system's own; later it goes on, behind what is there in part, too."""
    append, appended = _files.append, list[int]()

    def full_at_last(file: Any, parts: Iterable[bytes]) -> None:  # noqa: ANN401 - a file
        content = b"".join(parts)
        appended.append(len(content))
        if len(appended) != 7:
            return append(file, [content])
        append(file, [content[:-5]])
        raise OSError(errno.ENOSPC, "No space left on device")

    await export(history(), tmp_path / f"whole {name}")
    with monkeypatch.context() as patched:
        patched.setattr(_files, "append", full_at_last)
        with pytest.raises(OSError, match="No space left"):
            await export(history(), tmp_path / name)
    assert {each.name for each in (tmp_path / f".{name}.export").iterdir()} == {"journal", "rows"}
    assert (await export(history(), tmp_path / name)).resumed
    assert content_of(tmp_path / name) == content_of(tmp_path / f"whole {name}")


@pytest.mark.parametrize("name", NAMES)
async def test_a_full_disk_in_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The result does not appear half, and is made the next time without another page."""
    sync, synced = _files.sync, list[object]()

    def full(file: Any) -> None:  # noqa: ANN401 - a file
        synced.append(file)
        if len(synced) > 1:  # the first is the journal, when the plan is made
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    with monkeypatch.context() as patched:
        patched.setattr(_files, "sync", full)
        with pytest.raises(OSError, match="No space left"):
            await export(history(), f"{tmp_path}/{name}")
    (work,) = tmp_path.iterdir()
    assert {each.name for each in work.iterdir()} == {"journal", "rows"}
    summary = await export(history(), f"{tmp_path}/{name}")
    assert (summary.rows, summary.requests, summary.resumed) == (100, 2, True)


async def test_a_directory_that_was_filled_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Something was put there while the export ran: it stays; without it the export goes on."""
    days = tmp_path / "days"

    def put(service: FakeHistory) -> None:
        if len(service.forms) == 18:
            days.mkdir()
            (days / "notes.txt").write_text("mine")

    service = history()
    service._happens = put
    with pytest.raises(OSError, match="not empty"):
        await export(service, f"{days}/", format="csv")
    assert (days / "notes.txt").read_text() == "mine"
    shutil.rmtree(days)
    days.mkdir()
    assert (await export(history(), f"{days}/", format="csv")).resumed
    assert len(list(days.iterdir())) == 5
