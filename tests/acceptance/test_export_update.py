"""A directory by day that is brought up to date every night, and what can come between."""
# ruff: noqa: ASYNC240 - a test has nobody to hold up

import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from disk import disk_of, found
from histories import START, FakeHistory, Message, lines, small_pages

from voxsms import CheckpointMismatch, InvalidRequest
from voxsms.export import ExportSummary, export_history

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
NIGHT = START + 10 * DAY
"""When the first export ends: nights later there is more."""


class Account(FakeHistory):
    """Six messages a day, of which the last days' are still on their way."""

    def __init__(self, days: Iterable[int], *, at: datetime = NIGHT) -> None:
        times = [START + day * DAY + hour * DAY / 6 for day in days for hour in range(6)]
        super().__init__(Message.a2p(n, at_) for n, at_ in enumerate(times, 1))
        self.clock.now = at.timestamp()
        for message in self.messages:
            if message.at > at - 2 * DAY:
                message.row["delivery_status"] = "DISPATCHED"


async def export(service: FakeHistory, path: Path, **options: Any) -> ExportSummary:  # noqa: ANN401 - whatever is given
    """Export by day with small pages and windows."""
    with small_pages(20, 40):
        async with service.client() as client:
            kind = options.pop("kind", "a2p")
            given: dict[str, Any] = {"format": "jsonl", "update": True} | options
            return await export_history(client, kind, f"{path}/", **given)


def rows(place: Path) -> dict[str, list[tuple[int, str]]]:
    """Tell of each day the ids and statuses of its messages."""
    return {
        day.name: [
            (row["message_id"], row["delivery_status"])
            for file in day.iterdir()
            for row in lines(file)
        ]
        for day in sorted(place.iterdir())
    }


async def test_an_analyst_exports_every_night(tmp_path: Path) -> None:
    """The last days are read again, for statuses change; the others' files stay as they are."""
    days = tmp_path / "days"
    first = await export(Account(range(10)), days)
    assert (first.rows, first.from_date) == (60, None)
    before = found(days)
    service = Account(range(12), at=NIGHT + 2 * DAY)
    second = await export(service, days)
    assert (second.rows, second.from_date) == (36, START + 6 * DAY)
    assert all(form.get("from_date", "2026-03-06") >= "2026-03-06 23" for form in service.forms)
    await export(Account(range(12), at=NIGHT + 2 * DAY), tmp_path / "whole", update=False)
    assert found(days) == found(tmp_path / "whole")
    now = found(days)
    kept = {name for name in before if name < "day=2026-03-07"}
    assert len(kept) == 6
    assert {name for name in before if now[name] == before[name]} >= kept
    assert "DISPATCHED" in str(before["day=2026-03-09/" + Path(min(kept)).name])
    assert "DISPATCHED" not in str(now["day=2026-03-09/" + Path(min(kept)).name])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["days", "whole"]


@pytest.mark.parametrize(
    ("look_back", "first"),
    [(timedelta(0), 9), (DAY, 8), (timedelta(hours=30), 7), (timedelta(days=400), None)],
)
async def test_how_far_back(tmp_path: Path, look_back: timedelta, first: int | None) -> None:
    """Whole days, counted from the last one that is there; beyond the first day all is read."""
    days = tmp_path / "days"
    await export(Account(range(10)), days)
    summary = await export(Account(range(10)), days, look_back=look_back)
    if first is None:
        assert (summary.rows, len(found(days))) == (60, 10)
    else:
        assert (summary.rows, summary.from_date) == (6 * (10 - first), START + first * DAY)


async def test_further_back_than_there_is_a_calendar(tmp_path: Path) -> None:
    """All is read, as if there were no directory."""
    days = tmp_path / "days"
    await export(Account(range(3)), days)
    summary = await export(Account(range(3)), days, look_back=timedelta.max)
    assert (summary.rows, summary.from_date) == (18, None)


async def test_the_machine_was_off_for_a_week(tmp_path: Path) -> None:
    """What came meanwhile is read, too: an update begins before the last day that is there."""
    days = tmp_path / "days"
    await export(Account(range(10)), days)
    summary = await export(Account(range(17), at=NIGHT + 7 * DAY), days, look_back=DAY)
    assert summary.from_date == START + 8 * DAY
    assert rows(days).keys() == {f"day={START + day * DAY:%Y-%m-%d}" for day in range(17)}


async def test_a_part_of_the_history_is_brought_up_to_date(tmp_path: Path) -> None:
    """With a first and a last day of its own; days behind the last one stay."""
    days = tmp_path / "days"
    start = {"from_date": START + 2 * DAY}
    await export(Account(range(10)), days, **start)
    last = START + 9 * DAY - timedelta(seconds=1)
    summary = await export(Account(range(10)), days, **start, to_date=last)
    assert (summary.rows, summary.from_date, summary.to_date) == (18, START + 6 * DAY, last)
    assert len(rows(days)) == 8
    summary = await export(Account(range(10)), days, from_date=START + 8 * DAY)
    assert (summary.rows, summary.from_date) == (12, START + 8 * DAY)


async def test_a_day_without_messages_any_more(tmp_path: Path) -> None:
    """Its file goes: a message was given another time."""
    days = tmp_path / "days"
    await export(Account(range(10)), days)
    service = Account(range(10))
    for message in service.messages:
        if message.at >= START + 8 * DAY:
            message.at += 2 * DAY
            message.row["processing_date"] = f"{message.at:%Y-%m-%d %H:%M:%S}"
    service.clock.now += 3 * 86400
    await export(service, days)
    there = {f"day={START + day * DAY:%Y-%m-%d}" for day in (*range(8), 10, 11)}
    assert rows(days).keys() == there


async def test_messages_without_a_day_come_along(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not put in, nor is what belongs to a day that is kept; it is told how many."""
    days = tmp_path / "days"
    service = Account(range(10))
    service.messages[50].row["processing_date"] = ""
    await export(service, days)
    before = found(days)
    assert "day=__HIVE_DEFAULT_PARTITION__" in rows(days)
    service.messages[51].row["processing_date"] = "2026-03-01 10:00:00"
    service.messages[52].row["processing_date"] = "2026-03-09"
    summary = await export(service, days)
    assert summary.rows == 22
    assert "2 messages have no day, or one before 2026-03-07," in caplog.text
    now = found(days)
    assert {name for name in now if now[name] != before[name]} == {
        name for name in now if name.startswith("day=2026-03-09")
    }


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "sms"},
        {"delivery_status": 5},
        {"mask": True},
        {"format": "csv"},
        {"format": "jsonl.gz"},
        {"with_rates": True},
        {"destination_number": "447700900123"},
    ],
)
async def test_a_directory_of_another_history_is_not_mixed_up(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """An update of something else is refused before anything is read; as a whole it is written."""
    days = tmp_path / "days"
    await export(Account(range(3)), days)
    before = found(tmp_path)
    service = Account(range(3))
    if options.get("kind") == "sms":
        service.messages = [Message.sms(1, START)]
    with pytest.raises(InvalidRequest, match="path: holds days of another export"):
        await export(service, days, **options)
    assert service.forms == []
    assert found(tmp_path) == before
    await export(service, days, **options, update=False)
    assert found(tmp_path) != before


async def test_a_directory_that_a_run_was_updating_is_gone(tmp_path: Path) -> None:
    """What it had read is no whole directory: it is told, and begins again when asked to."""
    days = tmp_path / "days"
    await export(Account(range(10)), days)

    def stop(service: FakeHistory) -> None:
        if len(service.forms) == 4:
            raise ZeroDivisionError

    service = Account(range(10))
    service._happens = stop
    with pytest.raises(ZeroDivisionError):
        await export(service, days)
    shutil.rmtree(days)
    with pytest.raises(
        CheckpointMismatch, match=r"days, which is being updated, is missing.*--restart"
    ):
        await export(Account(range(10)), days)
    assert (await export(Account(range(10)), days, restart=True)).rows == 60


async def test_something_was_put_into_the_directory_meanwhile(tmp_path: Path) -> None:
    """It is not written into; without it the update goes on."""
    days = tmp_path / "days"
    await export(Account(range(10)), days)

    def put(service: FakeHistory) -> None:
        if len(service.forms) == 4:
            (days / "notes.txt").write_text("mine")

    service = Account(range(10))
    service._happens = put
    with pytest.raises(OSError, match="not empty"):
        await export(service, days)
    (days / "notes.txt").unlink()
    assert (await export(Account(range(10)), days)).resumed


async def test_an_amount_needs_more_decimals_than_the_days_before(tmp_path: Path) -> None:
    """All days have one type of amount, the old ones, too: some programs take no other."""
    days = tmp_path / "days"
    await export(Account(range(10)), days, format="parquet")
    kept = days / "day=2026-03-01"
    before = pq.read_table(next(kept.iterdir()))
    service = Account(range(11), at=NIGHT + DAY)
    service.messages[-1].row["cost"] = 0.0017 * 3
    await export(service, days, format="parquet")
    table = ds.dataset(days, partitioning="hive").to_table()
    assert table.num_rows == 66
    files = list(days.glob("*/*"))
    types = {pq.read_schema(file).field("cost").type for file in files}
    assert types == {pa.decimal128(38, 19)}
    assert len(files) == 11
    after = pq.read_table(next(kept.iterdir()))
    assert after.to_pylist() == before.to_pylist()
    assert after.drop_columns("cost").equals(before.drop_columns("cost"))
    again = found(days)
    await export(Account(range(11), at=NIGHT + DAY), days, format="parquet", look_back=0 * DAY)
    now = found(days)
    assert {name for name in now if now[name] != again[name]} == {max(now)}


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.slow
async def test_stopped_at_each_step_on_the_disk_each_day_is_old_or_new(tmp_path: Path) -> None:
    """Between any two steps, the last ones too; the run after it ends with the same bytes."""
    whole, old = tmp_path / "whole", tmp_path / "old"
    # Of the third day nothing is left, and there is a fifth.
    make = partial(Account, [0, 1, 3, 4], at=START + 5 * DAY)
    await export(Account(range(4), at=START + 4 * DAY), old)
    shutil.copytree(old, whole)
    with disk_of(1000) as machine:
        await export(make(), whole, look_back=2 * DAY)
    before, after = found(old), found(whole)
    shown: list[str] = []
    for steps in range(1000 - machine.left - 30, 1000 - machine.left):
        place = tmp_path / "stopped"
        shutil.copytree(old, place / "days")
        with disk_of(steps) as stopped:
            await export(make(), place / "days", look_back=2 * DAY)
        assert stopped.is_off
        now = found(place / "days")
        names = sorted(before | after)
        assert all(now.get(name) in (before.get(name), after.get(name)) for name in names)
        shown.append("".join("on"[now.get(name) == after.get(name)] for name in names))
        with disk_of(steps % 7):  # the run that resumes it is stopped, too
            await export(make(), place / "days", look_back=2 * DAY)
        await export(make(), place / "days", look_back=2 * DAY)
        assert found(place) == {f"days/{name}": content for name, content in after.items()}
        assert [each.name for each in place.iterdir()] == ["days"]
        shutil.rmtree(place)
    # The first day is kept, and the second has not changed.
    assert list(dict.fromkeys(shown)) == ["nnooo", "nnnoo", "nnnno", "nnnnn"]
