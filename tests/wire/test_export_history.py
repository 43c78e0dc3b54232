"""A whole history into a file: every row once, whatever the service does meanwhile."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from doubles import NOW, FakeClock, refusal
from histories import (
    START,
    FakeHistory,
    Message,
    Order,
    RestlessTies,
    any_order,
    content,
    ids,
    lines,
    newest_first,
    oldest_first,
    small_pages,
    spread,
)

from voxsms import ApiError, Client
from voxsms.api.codec import Answer
from voxsms.export import ExportProgress, ExportSummary, export_history
from voxsms.sandbox import Sandbox

pytestmark = pytest.mark.slow

SECOND = timedelta(seconds=1)


async def exported(
    history: FakeHistory,
    path: Path,
    kind: Any = "sms",  # noqa: ANN401 - those of the function
    **options: Any,  # noqa: ANN401
) -> ExportSummary:
    """Export with small pages and windows."""
    with small_pages(20, 100):
        async with history.client() as client:
            return await export_history(client, kind, path, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a file."""
    return tmp_path / "all.jsonl"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_everything_arrives_sorted(path: Path, backend: str) -> None:
    """Every row is in the file once, the oldest first, and nothing else is left in the place."""
    history = FakeHistory(spread(1234))
    summary = anyio.run(exported, history, path, backend=backend)
    assert lines(path) == [message.row for message in history.messages]
    assert summary.rows == 1234
    assert summary.windows > 12
    assert summary.requests == len(history.forms)
    assert (summary.path, summary.from_date, summary.resumed) == (path, None, False)
    assert summary.to_date == NOW
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_rows_stay_the_bytes_they_were(path: Path) -> None:
    """A line is what the service sent, with its figures, escapes and unknown fields."""
    raw = (
        b'{"cost":0.0385000, "message_id":7,"processed_date":"2026-03-01 00:00:00",'
        b'"text":"\\u0414 } , {\\u2028","new":[{"a":null}]}'
    )

    class Exact(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:  # noqa: ARG002 - always the same
            body = b'{"total_count":1,"result":[%s]}\n' % raw
            return Answer(200, {}, body, NOW)

    await exported(Exact(), path)
    assert content(path) == raw + b"\n"


async def test_a_sparse_history_takes_few_requests(path: Path) -> None:
    """What fits into one window is counted, read, and counted once more at the end, to a second."""
    history = FakeHistory(spread(15))
    summary = await exported(history, path)
    assert (summary.rows, summary.windows, summary.requests) == (15, 1, 4)
    assert history.forms[0] == history.forms[0] | {"count": "1", "offset": "0"}
    assert "from_date" not in history.forms[0]


async def test_an_empty_history_is_an_empty_file(path: Path) -> None:
    """No rows are no error."""
    assert (await exported(FakeHistory(), path)).rows == 0
    assert content(path) == b""


async def test_a_range_in_the_future_is_empty(path: Path) -> None:
    """Nothing can have been sent after now; the file says so."""
    summary = await exported(FakeHistory(spread(5)), path, from_date=NOW + timedelta(days=1))
    assert (summary.rows, summary.windows, summary.requests) == (0, 0, 1)
    assert content(path) == b""


@pytest.mark.unmeasured
@pytest.mark.parametrize("order", [oldest_first, newest_first, any_order, RestlessTies(1)])
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("page_rows", [1000, 7])
async def test_no_order_and_no_bounds_are_assumed(
    path: Path, order: Order, exclusive: bool, page_rows: int
) -> None:
    """Rows are found in any order, with either meaning of `to_date`, and by short pages."""
    messages = spread(150, seconds=0.25) + spread(100, seconds=3600, start=START + SECOND)
    for number, message in enumerate(messages):
        message.row["message_id"] = number + 1
    history = FakeHistory(messages, order=order, exclusive=exclusive, page_rows=page_rows)
    await exported(history, path)
    found = [(row["processed_date"], row["message_id"]) for row in lines(path)]
    assert found == sorted(
        (message.row["processed_date"], message.row["message_id"]) for message in messages
    )


async def test_range_and_filters_are_kept(path: Path) -> None:
    """Only what was asked for is in the file, to the second at both ends."""
    messages = spread(50, seconds=1)
    messages[20].row["direction"] = "IN"
    history = FakeHistory(messages)
    start, end = START + 10 * SECOND, START + 30 * SECOND
    summary = await exported(history, path, from_date=start, to_date=end, direction="out")
    assert ids(lines(path)) == [n for n in range(11, 32) if n != 21]
    assert (summary.from_date, summary.to_date) == (start, end)
    assert all(form["direction"] == "OUT" for form in history.forms)
    await exported(history, path, message_id=iter([3, 5]), destination_number="+44 770 090 0005")
    assert ids(lines(path)) == [5]
    await exported(history, path, to_date=START.replace(tzinfo=UTC) + 0.9 * SECOND)
    assert ids(lines(path)) == [1]
    await exported(history, path, from_date=START + 46.1 * SECOND)
    assert ids(lines(path)) == [48, 49, 50]
    latest = datetime.max.replace(tzinfo=UTC)
    assert (await exported(history, path, from_date=latest)).rows == 0


async def test_the_range_is_frozen_at_the_service_s_time(path: Path) -> None:
    """It ends with the second of the first request, and that second is waited for."""
    history = FakeHistory(spread(3))

    class Busy(FakeClock):
        async def sleep(self, seconds: float) -> None:
            for number, at in ((4, NOW), (5, NOW + SECOND)):
                history.messages.append(Message.sms(number, at))
            await super().sleep(seconds)

    history.clock = Busy()
    summary = await exported(history, path)
    assert summary.to_date == NOW
    assert history.clock.slept == [1.0]
    assert ids(lines(path)) == [1, 2, 3, 4]


class Undated(FakeHistory):
    """Tells no time that can be believed, and is ahead of this machine's clock."""

    date = ""

    def _date(self) -> str:
        return self.date


IMPOSSIBLE = [
    "",
    "yesterday",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
]
WRONG = ["Sat, 21 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 11:30:00 GMT"]
"""Times that can be, and are behind that of the rows."""


@pytest.mark.parametrize("date", IMPOSSIBLE + WRONG)
@pytest.mark.parametrize("ahead", [45, 86_400])
@pytest.mark.parametrize("times", ["to the second", "none"])
async def test_no_row_is_hidden_by_the_clock_of_this_machine(
    path: Path, date: str, ahead: int, times: str
) -> None:
    """Where the service tells no time, the range ends behind the last row that a count sees."""
    seconds = (ahead + 1000) / 500
    history = Undated(spread(500, seconds=seconds, start=NOW - timedelta(seconds=1000)))
    history.date = date
    if times == "none":
        for message in history.messages[-100:]:
            message.row["processed_date"] = ""
    assert (await exported(history, path)).rows == 500
    assert sorted(ids(lines(path))) == list(range(1, 501))
    since = NOW + timedelta(seconds=ahead // 2)
    summary = await exported(history, path, from_date=since)
    assert summary.rows == sum(message.at >= since for message in history.messages)
    summary = await exported(history, path, to_date=since)
    assert summary.rows == sum(message.at <= since for message in history.messages)
    assert summary.to_date == since


@pytest.mark.parametrize("date", IMPOSSIBLE)
async def test_a_quiet_history_without_a_time_ends_now(path: Path, date: str) -> None:
    """With nothing behind it the range ends by the clock of this machine."""
    history = Undated(spread(30))
    history.date = date
    summary = await exported(history, path)
    assert (summary.rows, summary.to_date) == (30, NOW)
    latest = datetime.max.replace(tzinfo=UTC)
    assert (await exported(history, path, to_date=latest)).rows == 30
    assert (await exported(history, path, from_date=latest)).rows == 0


async def test_a_range_that_is_over_is_not_waited_for(path: Path) -> None:
    """Nothing more can be sent in the past."""
    history = FakeHistory(spread(3))
    await exported(history, path, to_date=NOW - SECOND)
    assert history.clock.slept == []


async def test_times_may_be_finer_than_they_are_shown(path: Path) -> None:
    """A fraction of a second that is not shown does not hide a row between two windows."""
    messages = [Message.sms(n, START + timedelta(seconds=n * 0.37)) for n in range(1, 400)]
    await exported(FakeHistory(messages), path)
    assert ids(lines(path)) == list(range(1, 400))


async def test_a_second_with_many_rows_is_read_by_pages(path: Path) -> None:
    """A window of one second is not cut further; its rows come by offset."""
    history = FakeHistory(spread(333, seconds=0) + spread(1, start=START + 900 * SECOND))
    history.messages[-1].row["message_id"] = 334
    await exported(history, path)
    assert ids(lines(path)) == list(range(1, 335))


async def test_a_history_before_the_rows_at_its_ends_is_found(path: Path) -> None:
    """The rows at both ends of an unordered history need not be the earliest."""

    def late_at_both_ends(messages: list[Message]) -> list[Message]:
        sorted_ = oldest_first(messages)
        return (
            sorted_[1:] + sorted_[:1]
            if len(messages) < 300
            else [*sorted_[299:], *sorted_[:299]][::-1]
        )

    old = spread(150, seconds=86400, start=START - timedelta(days=1000))
    new = spread(150, seconds=10)
    for message in new:
        message.row["message_id"] += 150
    await exported(FakeHistory(old + new, order=late_at_both_ends), path)
    assert ids(lines(path)) == list(range(1, 301))


@pytest.mark.unmeasured
async def test_a_limit_of_days_is_kept(path: Path) -> None:
    """On code 569 the range is cut to the days it names, back to before the service existed."""
    history = FakeHistory(spread(260, seconds=86400), most_days=30)
    summary = await exported(history, path)
    assert ids(lines(path)) == list(range(1, 261))
    assert summary.from_date is None
    assert summary.to_date == NOW
    summary = await exported(history, path, from_date=START, to_date=START + timedelta(days=99))
    assert summary.rows == 100


async def test_a_short_history_under_a_limit_of_days(path: Path) -> None:
    """The years before it are counted and read, but not counted again: 206 spans of 30 days."""
    history = FakeHistory(spread(5, seconds=86400 * 40), most_days=30)
    summary = await exported(history, path)
    assert (summary.rows, summary.windows) == (5, 206)
    assert summary.requests < 430


@pytest.mark.unmeasured
async def test_a_limit_of_one_day_is_kept(path: Path) -> None:
    """Also while time goes on between the requests."""

    def later(history: FakeHistory) -> None:
        history.clock.passed += 1.2

    history = FakeHistory(spread(5, seconds=86400), most_days=1, happens=later)
    assert (await exported(history, path, from_date=START)).rows == 5


class OpenEnded(FakeHistory):
    """Limits only a range that has both ends."""

    def _too_long(self, start: datetime | None, end: datetime | None) -> bool:
        return None not in (start, end) and super()._too_long(start, end)


@pytest.mark.unmeasured
@pytest.mark.parametrize("order", [newest_first, oldest_first, any_order])
@pytest.mark.parametrize("count", [40, 130, 400])
async def test_a_limit_on_ranges_with_both_ends(path: Path, order: Order, count: int) -> None:
    """Where a range without a start is taken at any length, the rest of it is still cut."""
    history = OpenEnded(spread(count, seconds=86400 / 2), order=order, most_days=30)
    assert (await exported(history, path)).requests < 120
    assert ids(lines(path)) == list(range(1, count + 1))


async def test_a_window_that_is_just_too_long_with_its_overlap(path: Path) -> None:
    """It was not refused when it was counted, but would be when it is read."""
    messages = spread(150, seconds=60, start=NOW - timedelta(days=1))
    for message in messages:
        message.row["message_id"] += 1
    messages.append(Message.sms(1, NOW - timedelta(days=30) + SECOND))
    history = OpenEnded(messages, order=oldest_first, most_days=30)
    history.messages += [Message.sms(1000 + n, NOW - timedelta(days=900 + n)) for n in range(70)]

    def ends(found: list[Message]) -> list[Message]:
        recent = [message for message in found if message.row["message_id"] <= 151]
        return oldest_first(recent) + [each for each in found if each not in recent]

    history.order = ends
    await exported(history, path)
    assert len({*ids(lines(path))}) == 221


@pytest.mark.parametrize("msg", ["too long", "must be within 999 days"])
async def test_a_limit_that_can_not_be_kept_is_told(path: Path, msg: str) -> None:
    """A refusal that names no days, or more than were asked for, is the user's to see."""

    class Refusing(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:  # noqa: ARG002 - always the same
            return refusal(569, msg)

    with pytest.raises(ApiError) as caught:
        await exported(Refusing(), path, from_date=START)
    assert caught.value.code == 569
    assert list(path.parent.iterdir()) == []


async def test_progress_is_told(path: Path) -> None:
    """After each page and each window; a function that fails does no harm."""
    told: list[ExportProgress] = []

    def tell(progress: ExportProgress) -> None:
        told.append(progress)
        raise ZeroDivisionError

    summary = await exported(FakeHistory(spread(500)), path, on_progress=tell)
    assert (told[0].total_rows, told[0].requests) == (0, 1)
    assert [each.requests for each in told] == sorted(each.requests for each in told)
    assert [each.rows for each in told] == sorted(each.rows for each in told)
    arrived = {each.rows for each in told if each.total_rows}
    assert len(arrived) > 20  # by pages, not by windows
    last = told[-1]
    assert (last.rows, last.total_rows, last.rows_before) == (500, 500, 0)
    assert last.windows == last.total_windows == summary.windows
    assert last.requests == summary.requests


@pytest.mark.parametrize("kind", ["sms", "a2p"])
async def test_over_http_from_the_sandbox(path: Path, voxsms_sandbox: Sandbox, kind: str) -> None:
    """Both histories, by the service account, row for row as `async for` gives them."""
    voxsms_sandbox.fill_history(kind, 1500, start=START, end=START + timedelta(days=30))
    with small_pages(200, 500):
        async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
            read = client.get_sms_history if kind == "sms" else client.a2p_get_sms_history
            records: list[Any] = [row async for row in read()]
            options: Any = {"kind": kind, "to_date": START + timedelta(days=31)}
            await export_history(client, path=path, **options)
    records.sort(key=lambda row: row.message_id)
    found = lines(path)
    assert ids(found) == [record.message_id for record in records]
    assert [row["text"] for row in found if "text" in row] == [
        record.text for record in records if record.text is not None
    ]


@pytest.mark.parametrize("place", [0, 77, 199])
@pytest.mark.parametrize("impossible", ["0000-00-00 00:00:00", "2026-13-45 00:00:00"])
async def test_a_row_with_an_impossible_time_is_read_by_both_readers(
    path: Path, impossible: str, place: int
) -> None:
    """MySQL's zero date ends neither reading: the row comes without a time, wherever it is."""
    history = FakeHistory(spread(200))
    history.messages[place].row["processed_date"] = impossible
    await exported(history, path)
    assert sorted(ids(lines(path))) == list(range(1, 201))
    async with history.client() as client:
        records = [row async for row in client.get_sms_history(count=50, to_date=NOW)]
    assert [r.message_id for r in records if r.processed_date is None] == [place + 1]
    assert len(records) == 200


async def test_a_date_alone_at_an_end_is_in_utc(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the zone of the machine."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        history = FakeHistory(spread(200))
        history.messages[0].row["processed_date"] = "2026-03-01"
        await exported(history, path)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ids(lines(path)) == [*range(2, 201), 1]
    assert history.forms[2]["to_date"] == "2026-02-28 23:59:59"
