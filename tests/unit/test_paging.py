"""The pager: every row once, page after page, from a service that moves underneath."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
import trio
from doubles import KEY, NOW, FakeClock, Scripted, answer, refusal
from hypothesis import given
from hypothesis import strategies as st

from voxsms import Client, HistoryPage, Pager, SmsHistory
from voxsms.api import spec
from voxsms.api.codec import Answer
from voxsms.calls.paging import REMEMBERED_IDS
from voxsms.errors import ConnectionFailed, InvalidRequest
from voxsms.transport import Evidence, Request

START = datetime(2026, 10, 1, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)


def row(message_id: int | None) -> SmsHistory:
    """Make a row."""
    return SmsHistory(
        message_id=message_id,
        source_number="447443332211",
        destination_number="447443332212",
        direction="OUT",
        fragments=1,
        cost=Decimal("0.041"),
        status_id="1",
        processed_date=START,
    )


class Service:
    """Answers for a list of ids, by `offset` and `count`; keeps what it was asked."""

    def __init__(self, ids: Iterable[int | None], *, most: int = 1000) -> None:
        self.ids = list(ids)
        self.most = most
        self.asked: list[tuple[int, int]] = []
        self.requests: list[spec.GetSmsHistory] = []
        self.before: Callable[[], None] = lambda: None
        self.time: Callable[[], float | None] = NOW.timestamp

    async def fetch(self, request: Any) -> HistoryPage[SmsHistory]:  # noqa: ANN401 - as the pager has it
        """Give a page."""
        self.before()
        await anyio.lowlevel.checkpoint()
        offset, count = request.offset or 0, request.count or self.most
        self.asked.append((offset, count))
        self.requests.append(request)
        found = self.ids[offset : offset + min(count, self.most)]
        return HistoryPage(tuple(map(row, found)), len(self.ids))

    def pager(self, **query: Any) -> Pager[SmsHistory]:  # noqa: ANN401 - those of the request
        """Make a pager of this service."""
        request = spec.GetSmsHistory(**query)
        return Pager(spec.GET_SMS_HISTORY, request, self.fetch, self.time)


async def ids_of(rows: Pager[SmsHistory]) -> list[int | None]:
    """Read everything."""
    return [found.message_id async for found in rows]


async def test_awaited_it_gives_one_page() -> None:
    """With the rows and the count of all that match."""
    service = Service(range(10))
    page = await service.pager(count=4, offset=2)
    assert [found.message_id for found in page.result] == [2, 3, 4, 5]
    assert page.total_count == 10
    assert service.asked == [(2, 4)]


async def test_iterated_it_gives_every_row() -> None:
    """`count` is the size of a page and no limit; `offset` is where it starts."""
    service = Service(range(10))
    assert await ids_of(service.pager(count=4)) == list(range(10))
    assert service.asked == [(0, 4), (4, 4), (8, 4)]
    service.asked.clear()
    assert await ids_of(service.pager(count=4, offset=7)) == [7, 8, 9]
    assert service.asked == [(7, 4)]


async def test_pages_are_given_as_they_come() -> None:
    """`.pages()` gives each page with what the service counted at that time."""
    pages = [page async for page in Service(range(5)).pager(count=2).pages()]
    assert [len(page.result) for page in pages] == [2, 2, 1]
    assert {page.total_count for page in pages} == {5}


async def test_a_pager_can_be_used_again() -> None:
    """Each loop starts anew, also one that was begun while another is under way."""
    pager = Service(range(4)).pager(count=2)
    first = aiter(pager)
    assert (await anext(first)).message_id == 0
    assert await ids_of(pager) == [0, 1, 2, 3]
    assert (await anext(first)).message_id == 1
    assert aiter(first) is first


async def test_nothing_matches() -> None:
    """No row, one request."""
    service = Service([])
    assert await ids_of(service.pager()) == []
    assert len(service.asked) == 1


async def test_the_end_of_the_span_is_frozen_when_the_first_page_has_come() -> None:
    """Rows that arrive later do not prolong it; what was sent this second belongs to it."""
    service = Service(range(6))
    await ids_of(service.pager(count=2, from_date=START))
    ends = [request.to_date for request in service.requests]
    assert ends == [None, NOW + timedelta(seconds=2), NOW + timedelta(seconds=2)]
    assert {request.from_date for request in service.requests} == {START}


async def test_an_end_that_was_given_is_kept() -> None:
    """And one page asked for by `await` has no end of its own."""
    service = Service(range(4))
    await ids_of(service.pager(count=2, to_date=END))
    assert {request.to_date for request in service.requests} == {END}
    await service.pager()
    assert service.requests[-1].to_date is None


async def test_a_start_in_the_future_makes_no_reversed_span() -> None:
    """A start after what the service's clock says is no reason for an error about dates."""
    later = NOW + timedelta(hours=2)
    service = Service(range(3))
    assert await ids_of(service.pager(from_date=later, count=2)) == [0, 1, 2]
    assert [request.to_date for request in service.requests] == [None, later]


def history_row(message_id: int, at: datetime) -> dict[str, object]:
    """Write a row as the service does."""
    return {"message_id": message_id, "source_number": "1", "destination_number": "2",
            "direction": "OUT", "fragments": 1, "cost": 0.1, "status_id": "1",
            "processed_date": f"{at:%Y-%m-%d %H:%M:%S}"}  # fmt: skip


class Dated:
    """A service that keeps one row a second until `now`, and says what time it is, or does not."""

    def __init__(self, rows: int, *dates: str | None, now: datetime = NOW) -> None:
        self.rows = [history_row(n, now - timedelta(seconds=n)) for n in range(rows)]
        self.dates = list(dates)
        self.script = Scripted(self.answer)

    async def answer(self, _request: Request, _evidence: Evidence) -> Answer:
        """Give the page that the last form asks for."""
        form = self.script.forms[-1]
        last = form.get("to_date", "9999")
        found = [row for row in self.rows if str(row["processed_date"]) <= last]
        start = int(form.get("offset", 0))
        page = found[start : start + int(form.get("count", 1000))]
        date = self.dates.pop(0) if len(self.dates) > 1 else self.dates[0]
        headers = {} if date is None else {"date": date}
        return answer({"result": page, "total_count": len(found)}, headers=headers)

    def client(self, clock: FakeClock) -> Client:
        """Make a client of it."""
        return Client(KEY, transport=self.script, clock=clock)


def http_time(seconds: float = 0) -> str:
    """Write the time so many seconds after now as a `Date` header has it."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("off", [-86400 * 365 * 30, -7200, -45, 0, 45, 7200, 86400 * 365 * 30])
@pytest.mark.parametrize("count", [1, 2, 100])
async def test_rows_are_never_hidden_by_this_machines_clock(off: int, count: int) -> None:
    """However wrong it is: the message that was sent just now is in the history."""
    service = Dated(5, http_time())
    history = service.client(FakeClock(NOW + timedelta(seconds=off))).get_sms_history(count=count)
    assert [found.message_id async for found in history] == [0, 1, 2, 3, 4]
    ends = {form.get("to_date") for form in service.script.forms} - {None}
    assert ends <= {"2026-11-22 12:00:02"}


ODD_DATES = [
    None,
    "garbage",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    http_time(-7200),
    http_time(7200),
    http_time(-45),
    http_time(-2),
]


@pytest.mark.parametrize("date", ODD_DATES)
@pytest.mark.parametrize("off", [-45, 0])
async def test_rows_are_never_hidden_by_an_odd_date(date: str | None, off: int) -> None:
    """No row that a count without an end has seen is left out, whatever time is told, or none."""
    service = Dated(500, date)
    client = service.client(FakeClock(NOW + timedelta(seconds=off)))
    for _ in range(3):
        ids = [found.message_id async for found in client.get_sms_history(count=100)]
        assert ids == [*range(500)]


@pytest.mark.parametrize("odd", ODD_DATES)
async def test_one_odd_date_among_others_changes_nothing(odd: str | None) -> None:
    """The end is that of the others."""
    service = Dated(500, http_time(), odd, http_time())
    client = service.client(FakeClock())
    await client.get_sms_history()
    ids = [found.message_id async for found in client.get_sms_history(count=100)]
    assert ids == [*range(500)]


async def test_the_frozen_end_follows_the_services_clock() -> None:
    """It is what the `Date` of the page before says, wherever this machine's clock is."""
    service = Dated(3, http_time(600), now=NOW + timedelta(minutes=10))
    history = service.client(FakeClock()).get_sms_history(count=2)
    assert [found.message_id async for found in history] == [0, 1, 2]
    ends = [form.get("to_date") for form in service.script.forms]
    assert ends == [None, "2026-11-22 12:10:02"]


async def test_numbers_have_no_span_to_freeze() -> None:
    """Phone numbers are paged too, by their `phone_id`, and have no dates."""
    numbers = [{"phone_id": n, "phone_number": f"4474433322{n:02d}"} for n in (1, 2, 1)]
    script = Scripted(answer({"result": numbers, "total_count": 3}))
    client = Client(KEY, transport=script)
    assert [n.phone_id async for n in client.get_phone_numbers()] == [1, 2]
    assert set(script.forms[0]) == {"account_id", "api_key"}


async def test_a_row_seen_twice_is_given_once() -> None:
    """Within a page and across pages, in the order of the first."""
    service = Service([1, 2, 2, 3, 1, 4, 4, 5])
    assert await ids_of(service.pager(count=3)) == [1, 2, 3, 4, 5]


async def test_rows_without_an_id_are_never_dropped() -> None:
    """What can not be told apart is given as often as it comes."""
    service = Service([None, None, 1, None, 1, 2, None])
    assert await ids_of(service.pager(count=3)) == [None, None, 1, None, 2, None]


async def test_a_short_page_is_not_the_end() -> None:
    """A service that gives fewer rows than asked for is asked on, from where it stopped."""
    service = Service(range(10), most=3)
    assert await ids_of(service.pager(count=1000)) == list(range(10))
    assert [offset for offset, _ in service.asked] == [0, 3, 6, 9]


async def test_an_empty_page_is_the_end() -> None:
    """Whatever the service counts: it would be asked for ever."""
    service = Service(range(4))

    async def lies(request: Any) -> HistoryPage[SmsHistory]:  # noqa: ANN401
        page = await service.fetch(request)
        return HistoryPage(page.result, 1_000_000)

    pager = Pager(spec.GET_SMS_HISTORY, spec.GetSmsHistory(count=3), lies, lambda: 0.0)
    assert await ids_of(pager) == [0, 1, 2, 3]
    assert len(service.asked) == 3
    rows = pager.pages()
    assert [len(page.result) async for page in rows] == [3, 1]
    with pytest.raises(StopAsyncIteration):
        await anext(rows)
    assert len(service.asked) == 6


@pytest.mark.parametrize("change", [+4, -4])
async def test_the_latest_count_is_the_one_that_ends_it(change: int) -> None:
    """Rows that come or go while it reads move the end."""
    service = Service(range(10))

    def move() -> None:
        if len(service.asked) == 1:
            service.ids = list(range(10 + change))

    service.before = move
    assert await ids_of(service.pager(count=3)) == list(range(10 + change))


async def test_ten_thousand_ids_are_remembered() -> None:
    """A row that comes again within the last 10,000 is not given again."""
    ids = list(range(REMEMBERED_IDS))
    service = Service([*ids, *ids])
    assert await ids_of(service.pager()) == ids


@pytest.mark.slow
def test_a_long_history_takes_no_more_memory_than_a_short_one() -> None:
    """Ids are forgotten as new ones come; rows without an id leave no trace."""

    async def endless(request: Any) -> HistoryPage[SmsHistory]:  # noqa: ANN401
        start = request.offset or 0
        ids = range(start, start + request.count)
        rows = tuple(row(n if request.source_number is None else None) for n in ids)
        return HistoryPage(rows, 10**9)

    async def grown(skip: int, read: int, **query: object) -> int:
        request = spec.GetSmsHistory(**query)  # type: ignore[arg-type]  # a page's size, a filter
        rows = aiter(Pager(spec.GET_SMS_HISTORY, request, endless, lambda: 0.0))
        for _ in range(skip):
            await anext(rows)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(read):
            await anext(rows)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        assert asyncio.run(grown(22_000, 20_000, count=1000)) < 300_000
        assert asyncio.run(grown(1_000, 5_000, count=1, source_number="1")) < 100_000
    finally:
        tracemalloc.stop()


async def test_leaving_the_loop_leaves_nothing_running() -> None:
    """No task, no generator to be closed, nothing to warn of; the rest is not fetched."""
    service = Service(range(100))
    tasks = asyncio.all_tasks()
    async for found in service.pager(count=10):
        if found.message_id == 3:
            break
    gc.collect()
    assert asyncio.all_tasks() == tasks
    assert len(service.asked) == 1


def test_leaving_the_loop_leaves_nothing_under_trio() -> None:
    """Trio warns of async generators that were not closed: there are none."""
    service = Service(range(100))

    async def main() -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async for _ in service.pager(count=10):
            break
        gc.collect()
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    trio.run(main)
    assert len(service.asked) == 1


async def test_a_cancelled_fetch_can_be_gone_on_from() -> None:
    """Whoever set a limit for one row may go on: nothing is lost, the span stays the same."""
    service = Service(range(6))
    hang = True

    async def fetch(request: Any) -> HistoryPage[SmsHistory]:  # noqa: ANN401
        if hang and request.offset == 2:
            await anyio.sleep_forever()
        return await service.fetch(request)

    times = iter([NOW.timestamp(), 200.0])
    pager = Pager(spec.GET_SMS_HISTORY, spec.GetSmsHistory(count=2), fetch, lambda: next(times))
    rows = aiter(pager)
    got = [(await anext(rows)).message_id for _ in range(2)]
    with anyio.move_on_after(0.01):
        await anext(rows)
    hang = False
    got += [found.message_id async for found in rows]
    assert got == [0, 1, 2, 3, 4, 5]
    assert {request.to_date for request in service.requests[1:]} == {NOW + timedelta(seconds=2)}


async def test_an_error_in_the_middle_can_be_gone_on_from() -> None:
    """After a failure the same page is asked for again."""
    rows = [{"message_id": n, "source_number": "1", "destination_number": "2", "direction": "OUT",
             "fragments": 1, "cost": 0.1, "status_id": "1", "processed_date": ""}
            for n in range(4)]  # fmt: skip
    pages = [answer({"result": rows[n : n + 2], "total_count": 4}) for n in (0, 2)]
    script = Scripted(pages[0], refusal(2), pages[1])
    history = aiter(Client(KEY, transport=script, max_attempts=1).get_sms_history(count=2))
    got = [(await anext(history)).message_id for _ in range(2)]
    with pytest.raises(Exception, match="INTERNAL_ERROR"):
        await anext(history)
    got += [found.message_id async for found in history]
    assert got == [0, 1, 2, 3]
    assert [form.get("offset") for form in script.forms] == [None, "2", "2"]


async def test_a_failing_service_raises_in_the_loop() -> None:
    """The error of the call comes out of `async for`."""

    async def fails(_request: Request, _evidence: Evidence) -> Answer:
        raise ConnectionFailed("GetSmsHistory", "broke")

    client = Client(KEY, transport=Scripted(fails), max_attempts=1)
    with pytest.raises(ConnectionFailed):
        async for _ in client.get_sms_history():
            pass


async def test_an_iterator_given_as_a_filter_serves_every_page() -> None:
    """A generator of ids is read once and asked for on each page, and by each use."""
    service = Service(range(4))
    pager = service.pager(count=2, message_id=(n for n in (1, 2)))
    await ids_of(pager)
    await pager
    assert [list(request.message_id or ()) for request in service.requests] == [[1, 2]] * 3


PAGE = {"result": [], "total_count": 0}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"from_date": "2026-01-01"}, "from_date: is a value of type str"),
    ({"from_date": datetime(2026, 1, 1)}, "from_date: is a naive datetime"),  # noqa: DTZ001 - the point
    ({"offset": "7"}, "offset: is a value of type str"),
    ({"offset": -1}, "offset: is -1; it must be at least 0"),
    ({"count": 1001}, "count: is 1001; it must be at most 1000"),
    ({"message_id": "12"}, "message_id: is a value of type str; it must be a list"),
    ({"message_id": iter(())}, "message_id: is an empty list"),
]


@pytest.mark.parametrize(("query", "problem"), BAD)
async def test_bad_filters_are_told_when_it_is_read(query: dict[str, Any], problem: str) -> None:
    """Awaited and iterated alike, with nothing sent."""
    script = Scripted(answer(PAGE))
    client = Client(KEY, transport=script)
    pager = client.get_sms_history(**query)
    with pytest.raises(InvalidRequest) as awaited:
        await pager
    with pytest.raises(InvalidRequest) as iterated:
        await anext(aiter(pager))
    assert problem in str(awaited.value)
    assert problem in str(iterated.value)
    assert script.requests == []


@given(
    st.lists(st.integers(0, 12) | st.none(), max_size=40),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(0, 45),
    st.lists(st.tuples(st.integers(0, 5), st.integers(-6, 6)), max_size=4),
)
def test_it_does_what_a_slow_and_obvious_reader_does(
    ids: list[int | None],
    count: int,
    most: int,
    offset: int,
    moves: list[tuple[int, int]],
) -> None:
    """Over any rows, page sizes and changes on the way: the same rows in the same order."""

    def service() -> Service:
        made = Service(ids, most=most)
        made.time = lambda: None  # an end is proven by a page more, where rows went meanwhile

        def move() -> None:
            for by in (by for at, by in moves if len(made.asked) == at):
                grown = [*made.ids, *range(50, 50 + by)]
                made.ids = grown if by > 0 else made.ids[: by or None]

        made.before = move
        return made

    async def obvious(of: Service) -> list[int | None]:
        given: list[int | None] = []
        position = offset
        while True:
            page = await of.fetch(spec.GetSmsHistory(count=count, offset=position))
            for found in (row.message_id for row in page.result):
                given += [found] if found is None or found not in given else []
            position += len(page.result)
            if not page.result or position >= page.total_count:
                return given

    async def both() -> None:
        one, other = service(), service()
        assert await ids_of(one.pager(count=count, offset=offset)) == await obvious(other)
        assert one.asked == other.asked

    anyio.run(both)
