"""An export in trouble: broken answers, two at once, odd machines, rows read in two windows."""

import csv
import errno
import gc
import io
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import orjson
import pyarrow.parquet as pq
import pytest
from doubles import refusal
from histories import FakeHistory, Json, Message, lines, small_pages, spread

from voxsms import ApiError, InvalidRequest, ResponseInvalid
from voxsms.api.models import SmsHistory
from voxsms.export import ExportSummary, export_history
from voxsms.export.formats import _parquet
from voxsms.export.formats._parquet import Parquet


async def export(service: FakeHistory, path: Any, **options: Any) -> ExportSummary:  # noqa: ANN401 - whatever is given
    """Export with small pages and windows."""
    with small_pages(10, 30):
        async with service.client() as client:
            return await export_history(client, "sms", path, **options)


class Rewritten(FakeHistory):
    """A history whose answers are changed on their way."""

    change: Any = None

    def answer(self, form: dict[str, str]) -> Any:  # noqa: ANN401 - an answer
        """Give a page, changed."""
        given = super().answer(form)
        return attrs.evolve(given, body=type(self).change(given.body))


def rewritten(change: Any, count: int = 40) -> FakeHistory:  # noqa: ANN401 - a function of bytes
    """Give a history whose answers are changed on their way."""
    kind = type("Changed", (Rewritten,), {"change": staticmethod(change)})
    history: FakeHistory = kind(spread(count, seconds=3600))
    return history


def altered(**changes: object) -> Any:  # noqa: ANN401 - a function of bytes
    """Give a function that sets fields of a page."""
    return lambda body: orjson.dumps(orjson.loads(body) | changes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda body: body.replace(b"Your code", b"Your \xff code"), "not JSON"),
        (altered(result={"a": 1}), "result"),
        (altered(result=None), "result"),
        (altered(total_count="many"), "total_count"),
        (altered(total_count=None), "total_count"),
        (altered(error={"code": 1}), "an error beside result"),
    ],
)
@pytest.mark.parametrize("name", ["all.csv", "all.jsonl"])
async def test_an_answer_that_can_not_be_read(
    tmp_path: Path,
    change: Any,  # noqa: ANN401 - a function of bytes
    problem: str,
    name: str,
) -> None:
    """It is named, and no file appears."""
    with pytest.raises(ResponseInvalid, match=problem):
        await export(rewritten(change), tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
async def test_half_a_surrogate_pair_costs_no_row(tmp_path: Path, suffix: str) -> None:
    """A text cut in the middle of an emoji is exported with a replacement character."""
    path = tmp_path / f"all.{suffix}"
    service = rewritten(lambda body: body.replace(b"Your code", rb"\ud83d code"))
    assert (await export(service, path)).rows == 40
    content = str(pq.read_table(path).to_pylist()) if suffix == "parquet" else path.read_text()
    assert content.count("\ufffd code") == 40


async def test_two_exports_to_one_file(tmp_path: Path) -> None:
    """The second is refused while the first is at work, and does it no harm."""
    path, refused = tmp_path / "all.csv", list[str]()
    ready, done = anyio.Event(), anyio.Event()

    class Waiting(FakeHistory):
        async def send(self, *given: Any) -> Any:  # noqa: ANN401 - those of the seam
            ready.set()
            await done.wait()
            return await super().send(*given)

    async def second() -> None:
        await ready.wait()
        with pytest.raises(InvalidRequest) as caught:
            await export(FakeHistory(spread(10)), path)
        refused.append(str(caught.value))
        done.set()

    async with anyio.create_task_group() as both:
        both.start_soon(export, Waiting(spread(40)), path)
        both.start_soon(second)
    assert "is being written by another export" in refused[0]
    assert len(path.read_bytes().splitlines()) == 41


async def test_a_work_directory_that_another_export_just_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a directory that is not there any more is no lock."""
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)
    with pytest.raises(InvalidRequest, match="another export"):
        await export(FakeHistory(spread(10)), tmp_path / "all.csv")


async def test_a_machine_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no fcntl, opens no directories and has no owners: it goes without."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for name in ("O_DIRECTORY", "O_NOFOLLOW", "geteuid"):
        monkeypatch.delattr(os, name)
    directories: list[bool] = []
    open_ = os.open

    def opening(path: Any, *options: Any, **more: Any) -> int:  # noqa: ANN401 - those of os.open
        directories.append(Path(path).is_dir())
        return open_(path, *options, **more)

    monkeypatch.setattr(os, "open", opening)
    assert (await export(FakeHistory(spread(10)), tmp_path / "all.csv")).rows == 10
    assert True not in directories
    assert len(directories) == 2


async def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    """One that the user made for it."""
    (tmp_path / "days").mkdir()
    summary = await export(FakeHistory(spread(50, seconds=7200)), f"{tmp_path}/days/")
    assert (summary.rows, len(list((tmp_path / "days").iterdir()))) == (50, 5)


async def test_an_empty_history_as_parquet(tmp_path: Path) -> None:
    """A file with the columns and no rows."""
    await export(FakeHistory(), tmp_path / "all.parquet")
    table = pq.read_table(tmp_path / "all.parquet")
    names = [field.name for field in attrs.fields(SmsHistory)]
    assert table.num_rows == 0
    assert sorted(table.column_names) == sorted([*names, "currency"])


async def test_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large Parquet file is cut into groups of one size, whatever the windows were."""
    monkeypatch.setattr(_parquet, "GROUP_ROWS", 16)
    await export(FakeHistory(spread(100, seconds=3600)), tmp_path / "all.parquet")
    groups = pq.ParquetFile(tmp_path / "all.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [16] * 6 + [4]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("seconds", [1, 600])
async def test_rows_without_a_time_stay_once(tmp_path: Path, suffix: str, seconds: int) -> None:
    """They come with two windows, and stand at the end of the file once."""
    messages = spread(240, seconds=seconds)
    for n, message in enumerate(messages):
        shown = message.row["processed_date"]
        message.row["processed_date"] = "" if n % 3 == 0 else shown[:10] if n % 4 == 0 else shown
    path = tmp_path / f"all.{suffix}"
    with small_pages(20, 60):
        async with FakeHistory(messages).client() as client:
            assert (await export_history(client, "sms", path)).rows == 240
    found: list[Json]
    if suffix == "parquet":
        found = pq.read_table(path).to_pylist()
    elif suffix == "jsonl":
        found = lines(path)
    else:
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    numbers = [int(row["message_id"]) for row in found]
    placed = [n + 1 for n in range(240) if n % 3 and n % 4]
    assert numbers[: len(placed)] == placed
    assert sorted(numbers) == list(range(1, 241))


class Slow(io.BytesIO):
    """A stream that takes its time for the first bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, content: Any, /) -> int:  # noqa: ANN401 - bytes of any kind
        """Wait, and take them."""
        self.begun.set()
        assert self.go_on.wait(30)
        return super().write(content)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_export_writes_no_further(backend: str) -> None:
    """What is being written is written to its end, and then nothing more."""
    stream = Slow()

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(export, FakeHistory(spread(100)), stream)
            await anyio.to_thread.run_sync(stream.begun.wait, 30)
            group.cancel_scope.cancel()
            for _ in range(20):
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
            stream.go_on.set()

    anyio.run(run, backend=backend)
    assert 0 < len(stream.getvalue().splitlines()) <= 30


async def test_a_closed_client_is_told(tmp_path: Path) -> None:
    """Before anything is written."""
    client = FakeHistory().client()
    await client.aclose()
    with pytest.raises(InvalidRequest, match="client: is closed"):
        await export_history(client, "sms", tmp_path / "all.csv")
    assert content_of(tmp_path) == []


def content_of(directory: Path) -> list[Path]:
    """Return what is in a directory; for tests that are coroutines."""
    return list(directory.iterdir())


async def test_another_refusal_while_the_plan_is_made(tmp_path: Path) -> None:
    """It reaches the user as it is."""
    service = rewritten(lambda _: b'{"error": {"code": 104, "msg": "no"}}')
    with pytest.raises(ApiError, match="104"):
        await export(service, tmp_path / "all.csv")


async def test_a_refusal_in_the_middle_of_the_plan(tmp_path: Path) -> None:
    """When some windows were counted already, too."""

    class Refusing(FakeHistory):
        def answer(self, form: dict[str, str]) -> Any:  # noqa: ANN401 - an answer
            return refusal(104, "no") if len(self.forms) > 5 else super().answer(form)

    with pytest.raises(ApiError, match="104"):
        await export(Refusing(spread(300, seconds=7200)), tmp_path / "all.csv")


async def test_a_parquet_file_that_is_given_up_makes_no_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is raised once; nothing is printed when pyarrow's writer is collected."""
    noise: list[object] = []
    groups = Parquet._groups

    def full(format_: Parquet, parts: Iterable[bytes]) -> Iterator[Any]:
        yield next(groups(format_, parts))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "unraisablehook", noise.append)
    monkeypatch.setattr(_parquet, "GROUP_ROWS", 16)
    monkeypatch.setattr(Parquet, "_groups", full)
    stream = io.BytesIO()
    for target in (tmp_path / "all.parquet", stream):
        with pytest.raises(OSError, match="No space left"):
            await export(FakeHistory(spread(100)), target, format="parquet")
    gc.collect()
    assert noise == []
    assert stream.getvalue().count(b"PAR1") == 1  # no footer: it does not look like a whole file


class Deaf(FakeHistory):
    """A history that gives the same rows whatever range is asked for, and tells no time."""

    def _date(self) -> str:
        return "nonsense"

    def find(self, form: dict[str, str], *_: object) -> list[Message]:
        """Return all messages."""
        return super().find(form, None, None)


async def test_a_service_that_ignores_dates_and_tells_no_time(tmp_path: Path) -> None:
    """The end is looked for up to the last day there is; then it is an error, and no crash."""
    with pytest.raises(ResponseInvalid, match="does not depend on from_date"):
        await export(Deaf(spread(40, seconds=3600)), tmp_path / "x.jsonl")
