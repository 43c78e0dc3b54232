"""Rows come in, change and move while they are read: none is lost and none is there twice."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import orjson
import pytest
from doubles import NOW, answer, refusal
from histories import (
    START,
    WIRE,
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
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms import Incomplete, RateLimited, ResponseInvalid
from voxsms.api.codec import Answer
from voxsms.export import ExportSummary, export_history
from voxsms.export._query import check_query
from voxsms.export._rows import Layout, RowReader
from voxsms.export._source import Source

pytestmark = pytest.mark.slow

SECOND = timedelta(seconds=1)


async def exported(
    history: FakeHistory,
    path: Path,
    kind: Any = "sms",  # noqa: ANN401 - those of the function
    **options: Any,  # noqa: ANN401
) -> ExportSummary:
    """Export with small pages and windows."""
    with small_pages(20, 60):
        async with history.client() as client:
            return await export_history(client, kind, path, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a file."""
    return tmp_path / "all.jsonl"


class Life:
    """What happens to an account while its history is read, by a seeded clock."""

    def __init__(self, seed: int, make: Callable[..., Message], *, busy: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for a test
        self._make = make
        self._busy = busy
        self._settled_after = self._random.choice((0, 12, 30))

    def __call__(self, history: FakeHistory) -> None:
        """Send messages, let statuses move on, let time pass."""
        roll = self._random
        while roll.random() < self._busy:
            history.messages.append(self._make(len(history.messages) + 1, history.now))
        if 0 < len(history.forms) < self._settled_after:
            self._change_the_past(history)
        for message in roll.sample(history.messages, min(3, len(history.messages))):
            message.row |= {"status_id": roll.choice("123"), "fragments": roll.randrange(4)}
        history.clock.passed += roll.choice((0.0, 0.0, 0.1, 0.4, 2.0))

    def _change_the_past(self, history: FakeHistory) -> None:
        """Give messages another time, and enter some late."""
        roll = self._random
        for message in roll.sample(history.messages, min(2, len(history.messages))):
            if message.at < NOW:
                message.at = self._past()
                message.row["processed_date"] = message.at.strftime(WIRE)
        if roll.random() < 0.4:
            history.messages.append(self._make(len(history.messages) + 1, self._past()))

    def _past(self) -> datetime:
        return NOW - timedelta(seconds=1 + int(self._random.choice(AGES)(self._random)))


AGES: list[Callable[[random.Random], float]] = [
    lambda _: 0,
    lambda roll: roll.randrange(3),
    lambda roll: 3600 * roll.randrange(50),
    lambda roll: 10**6 + roll.random() * 10**7,
]
"""How long ago messages were sent: now, a moment ago, on the hour, at any time."""


@settings(max_examples=examples(40))
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 300),
    order=st.sampled_from([oldest_first, newest_first, any_order, None]),
    page_rows=st.sampled_from([3, 13, 1000]),
    exclusive=st.booleans(),
)
def test_no_row_is_lost_or_repeated(
    seed: int, count: int, order: Order | None, page_rows: int, exclusive: bool
) -> None:
    """Whatever is sent and changes during the export, the frozen range is whole, each row once.

    Also where rows are given another time and are entered late, so that one that is lost from a
    window and one that stands in two would make the sum right.
    """
    roll = random.Random(seed)  # noqa: S311 - for a test
    ages = sorted((roll.choice(AGES)(roll) for _ in range(count)), reverse=True)
    history = FakeHistory(
        [Message.sms(n, NOW - timedelta(seconds=int(age))) for n, age in enumerate(ages, 1)],
        order=order or RestlessTies(seed),
        page_rows=page_rows,
        exclusive=exclusive,
        happens=Life(seed, Message.sms, busy=0.3),
    )
    with TemporaryDirectory() as place:
        path = Path(place, "all.jsonl")
        summary = anyio.run(exported, history, path)
        found = lines(path)
    frozen = [m.row for m in history.messages if m.at < summary.to_date + SECOND]
    assert len(frozen) >= count
    assert sorted(ids(found)) == sorted(ids(frozen))
    assert summary.rows == len(found)
    keys = [(row["processed_date"], row["message_id"]) for row in found]
    assert keys == sorted(keys)


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 2**32), count=st.integers(1, 150), page_rows=st.sampled_from([3, 1000]))
def test_a_query_by_status_loses_none_that_stays(seed: int, count: int, page_rows: int) -> None:
    """A row that has the status all the time is there once, and no other one twice."""
    roll = random.Random(seed)  # noqa: S311 - for a test
    messages = spread(count, seconds=roll.choice((0, 1, 60)), make=Message.a2p)
    fickle = set(roll.sample(range(count), count // 3))
    quiet_after = roll.randrange(12)

    def happens(history: FakeHistory) -> None:
        if len(history.forms) < quiet_after:
            for n in roll.sample(sorted(fickle), len(fickle) // 4):
                messages[n].row["delivery_status"] = roll.choice(("DELIVERED", "QUEUED"))

    history = FakeHistory(messages, page_rows=page_rows, happens=happens)
    with TemporaryDirectory() as place:
        path = Path(place, "all.jsonl")
        anyio.run(lambda: exported(history, path, "a2p", delivery_status=5))
        found = ids(lines(path))
    assert len(set(found)) == len(found)
    assert {n + 1 for n in range(count)} - {n + 1 for n in fickle} <= set(found)


class Swap:
    """After the second page of the first reading one row leaves the query as another enters it."""

    def __init__(self) -> None:
        self.pages = 0

    def __call__(self, history: FakeHistory) -> None:
        """Let it happen when the time has come."""
        self.pages += bool(history.forms) and history.forms[-1]["count"] != "1"
        if self.pages == 1:
            history.messages[2].row["delivery_status"] = "QUEUED"
            history.messages[-1].row["delivery_status"] = "DELIVERED"


async def test_a_count_that_stays_the_same_proves_nothing_by_status(path: Path) -> None:
    """Where rows leave and enter between two pages, a second reading must agree with the first."""
    messages = spread(31, seconds=0, make=Message.a2p)
    messages[-1].row["delivery_status"] = "QUEUED"
    history = FakeHistory(messages, order=oldest_first, happens=Swap())
    await exported(history, path, "a2p", delivery_status="DELIVERED")
    assert ids(lines(path)) == [n for n in range(1, 32) if n != 3]


def nameless(count: int, **changes: Any) -> list[Message]:  # noqa: ANN401 - JSON
    """Make messages of one second without ids."""
    messages = [Message.sms(n, START, **changes) for n in range(count)]
    for message in messages:
        del message.row["message_id"]
    return messages


@pytest.mark.parametrize("order", [any_order, RestlessTies(3)])
async def test_rows_without_an_id_are_neither_dropped_nor_doubled(path: Path, order: Order) -> None:
    """They are known by what they say; however they come, each is there once."""
    history = FakeHistory(nameless(25) + spread(1, seconds=60), order=order, page_rows=18)
    if isinstance(order, RestlessTies):
        with pytest.raises(Incomplete):
            await exported(history, path)
        return
    await exported(history, path)
    assert sorted(row["text"] for row in lines(path)) == sorted(
        message.row["text"] for message in history.messages
    )


async def test_equal_rows_without_an_id_are_as_many_as_they_are(path: Path) -> None:
    """Two messages that say the same are two; over several pages a second reading confirms it."""
    alike = {"destination_number": "447700900001", "text": "Hi", "transaction_id": None}
    same = nameless(45, **alike, fragments=1, cost=0.0385)
    history = FakeHistory(same, order=any_order)
    assert (await exported(history, path)).rows == 45
    assert lines(path) == [lines(path)[0]] * 45
    assert (await exported(FakeHistory(same[:5]), path)).requests == 4


async def test_restless_rows_are_put_together_from_several_readings(path: Path) -> None:
    """Rows of one second that change places are found in the end: as many as were counted."""
    history = FakeHistory(spread(100, seconds=0), order=RestlessTies(8))
    await exported(history, path)
    assert ids(lines(path)) == list(range(1, 101))
    assert len({form["count"] for form in history.forms}) > 2


async def test_the_newest_of_a_row_is_kept(path: Path) -> None:
    """Of a row that was read more than once the file has what it was the last time."""
    given: dict[int, str] = {}

    class Changing(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:
            for message in self.messages:
                message.row["status_id"] = str(len(self.forms))
            answered = super().answer(form)
            if form["count"] != "1":
                rows = orjson.loads(answered.body)["result"]
                given.update({row["message_id"]: row["status_id"] for row in rows})
            return answered

    await exported(Changing(spread(30, seconds=0), order=RestlessTies(8)), path)
    assert {row["message_id"]: row["status_id"] for row in lines(path)} == given
    assert len(set(given.values())) > 2


async def test_a_row_entered_late_is_found_by_the_last_count(path: Path) -> None:
    """A row that appears in a window that had been read is seen in the end, and the window read."""
    late = Message.sms(1000, START + timedelta(hours=5))

    def enter_late(history: FakeHistory) -> None:
        pages = [form for form in history.forms if form["count"] != "1"]
        if len(pages) == 10 and late not in history.messages:
            history.messages.append(late)

    history = FakeHistory(spread(200, seconds=3600), happens=enter_late)
    summary = await exported(history, path)
    assert summary.rows == 201
    assert ids(lines(path))[5:7] == [6, 1000]


class Boasting(FakeHistory):
    """Counts one row more than it gives, where `when` says so."""

    def __init__(self, messages: list[Message], when: Callable[[dict[str, str]], bool]) -> None:
        super().__init__(messages)
        self._when = when

    def answer(self, form: dict[str, str]) -> Answer:
        """Give a page and a wrong count."""
        given = super().answer(form)
        body = orjson.loads(given.body)
        body["total_count"] += self._when(form)
        return answer(body)


async def test_a_window_that_is_never_whole_is_named(path: Path) -> None:
    """Where the service gives fewer rows than it counts, the error says where; no file appears."""
    history = Boasting(spread(9), lambda form: form["count"] != "1")
    await anyio.Path(path).write_text("what was there before")
    where = "GetSmsHistory, the beginning to 2026-11-22 12:00:00 UTC"
    what = "the service counts 10 rows and returned 9 different ones in 16 readings"
    with pytest.raises(Incomplete, match=f"^{where}: {what}\nThe rows read so far are saved in "):
        await exported(history, path)
    assert content(path) == b"what was there before"
    assert history.clock.slept[1:] == [0.25, 0.5, 1.0, 2.0] + [4.0] * 11


async def test_a_row_lost_and_a_row_doubled_do_not_make_a_whole(path: Path) -> None:
    """A message moves from a window that was read into another as one is entered late.

    Then the count is right, and so is that of each window: only the names tell.
    """

    class Moving(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:
            pages = [each for each in self.forms if each["count"] != "1"]
            if len(pages) == 10 and len(self.messages) == 200:
                moved = self.messages[3]
                moved.at = self.messages[-5].at
                moved.row["processed_date"] = moved.at.strftime(WIRE)
                self.messages.append(Message.sms(1000, START + timedelta(hours=5)))
            return super().answer(form)

    history = Moving(spread(200, seconds=3600), order=oldest_first)
    summary = await exported(history, path, windows_in_flight=1)
    assert summary.rows == 201
    assert sorted(ids(lines(path))) == [*range(1, 201), 1000]
    assert ids(lines(path))[-5:] == [195, 4, 196, 197, 198, 199, 200][-5:]


async def test_a_row_that_moves_from_one_window_s_edge_to_another_s(path: Path) -> None:
    """Each window is asked for with a second more: no count changes, and all is read again."""

    class Stepping(FakeHistory):
        stepped = False

        def answer(self, form: dict[str, str]) -> Answer:
            if form["count"] != "1" and "from_date" in form and not self.stepped:
                self.stepped = True
                edge = datetime.strptime(form["from_date"], WIRE).replace(tzinfo=UTC)
                message = next(each for each in self.messages if each.at == edge + SECOND)
                message.at = edge
                message.row["processed_date"] = message.at.strftime(WIRE)
            return super().answer(form)

    history = Stepping(spread(200, seconds=1))
    assert (await exported(history, path, windows_in_flight=1)).rows == 200
    assert sorted(ids(lines(path))) == list(range(1, 201))


async def test_rows_that_appear_later_than_their_count_are_waited_for(path: Path) -> None:
    """A count may come from a newer copy of the data than pages do, for some seconds."""
    late = Message.sms(1000, START + timedelta(hours=5))

    class Lagging(FakeHistory):
        counted_at: float | None = None

        def answer(self, form: dict[str, str]) -> Answer:
            counts = form["count"] == "1" and "from_date" not in form
            if counts and len(self.forms) > 5 and self.counted_at is None:
                self.counted_at = self.clock.monotonic()
            known = self.counted_at is not None
            shown = known and self.clock.monotonic() > (self.counted_at or 0) + 5
            added = [late] if shown or (known and counts) else []
            self.messages += added
            try:
                return super().answer(form)
            finally:
                del self.messages[len(self.messages) - len(added) :]

    history = Lagging(spread(200, seconds=3600))
    summary = await exported(history, path)
    assert summary.rows == 201
    assert history.clock.slept[1:] == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_history_that_grows_at_every_count(path: Path, *, ends: bool) -> None:
    """It is followed as long as it brings something new, but not for ever."""

    def grow(history: FakeHistory) -> None:
        last = history.forms[-1] if history.forms else {"count": "1"}
        reading = [form for form in history.forms if form["count"] != "1"]
        more = len(history.messages) < 209 or not ends
        if len(reading) > 9 and last["count"] == "1" and more:
            number = len(history.messages) + 1
            history.messages.append(Message.sms(number, START + timedelta(hours=5)))

    history = FakeHistory(spread(200, seconds=3600), happens=grow)
    if ends:
        assert (await exported(history, path)).rows == 209
        return
    with pytest.raises(Incomplete, match="the whole range: the service counts"):
        await exported(history, path)
    assert history.clock.slept[1:] == [1.0] * 20


async def test_rows_that_can_not_be_told_apart_are_named(path: Path) -> None:
    """Two equal rows without an id and a time, in two windows: the error says what it may be."""
    messages = spread(200, seconds=3600)
    for message in (messages[10], messages[150]):
        del message.row["message_id"]
        message.row |= {"processed_date": "", "transaction_id": 1, "text": "Hi", "fragments": 1}
        message.row |= {"destination_number": "447700900001", "cost": 0.0385}
    with pytest.raises(Incomplete, match=r"returned 199 different ones\. Rows without a time"):
        await exported(FakeHistory(messages), path)


async def test_a_row_that_stays_in_two_windows_is_told(path: Path) -> None:
    """One id at two times, however often both are read: which one is right cannot be known."""
    messages = spread(200, seconds=3600, make=Message.a2p)
    messages[150].row["message_id"] = 11
    with pytest.raises(Incomplete, match="repeatedly returned the same row in two windows"):
        await exported(FakeHistory(messages), path, "a2p", delivery_status=5)
    with pytest.raises(Incomplete, match=r"counts 200 rows and returned 199 different ones\n"):
        await exported(FakeHistory(messages), path, "a2p", restart=True)


async def test_a_whole_that_is_more_than_its_parts_is_incomplete(path: Path) -> None:
    """Where every window seems whole but the last count says otherwise, the export says so, too."""
    history = Boasting(spread(200), lambda form: form["count"] == "1" and "from_date" not in form)
    with pytest.raises(
        Incomplete, match="the whole range: the service counts 201 rows and returned 200"
    ):
        await exported(history, path)
    assert content(path) is None


async def test_a_count_that_ignores_dates_is_told(path: Path) -> None:
    """A service that counts the same for any range would be asked for ever."""

    class Ignoring(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:
            plain = {name: form[name] for name in form if not name.endswith("_date")}
            return super().answer(plain)

    with pytest.raises(ResponseInvalid, match="total_count: a count that does not depend on"):
        await exported(Ignoring(spread(200)), path, from_date=START)
    with pytest.raises(ResponseInvalid, match="total_count: a count that does not depend on"):
        await exported(Ignoring(spread(200)), path)
    assert (await exported(Ignoring(spread(50)), path)).rows == 50


async def test_rows_without_any_time_are_all_there(path: Path) -> None:
    """A history that shows no times at all is whole, too."""
    messages = [Message.sms(n, START, processed_date="") for n in range(1, 70)]
    history = FakeHistory(messages)
    assert (await exported(history, path)).rows == 69
    assert ids(lines(path)) == list(range(1, 70))


class Textual(FakeHistory):
    """Writes its counts as text, as PHP may."""

    def answer(self, form: dict[str, str]) -> Answer:
        """Give a page."""
        body = orjson.loads(super().answer(form).body)
        return answer(body | {"total_count": str(body["total_count"])})


async def test_a_row_without_a_time_in_an_answer_of_odd_types(path: Path) -> None:
    """Such an answer is read value by value, and loses no row either."""
    messages = [Message.sms(1, START), Message.sms(2, START, processed_date=None)]
    assert (await exported(Textual(messages), path)).rows == 2
    assert ids(lines(path)) == [1, 2]


class Far(FakeHistory):
    """Takes a tenth of a second for an answer."""

    delay = 0.1

    def answer(self, form: dict[str, str]) -> Answer:
        """Give a page, later."""
        self.clock.passed += self.delay
        return super().answer(form)


@pytest.mark.unmeasured
@pytest.mark.parametrize(("windows", "most"), [(1, 4), (4, 16), (8, 32)])
async def test_several_pages_are_asked_for_at_a_time(path: Path, windows: int, most: int) -> None:
    """Up to four for each window in flight, and never more."""
    history = Far(spread(3000))
    assert (await exported(history, path, windows_in_flight=windows)).rows == 3000
    assert history.most_in_flight == most


@pytest.mark.unmeasured
@pytest.mark.parametrize(("windows", "most"), [(1, 1), (4, 4)])
async def test_a_service_that_answers_at_once_is_asked_for_few_pages(
    path: Path, windows: int, most: int
) -> None:
    """Many answers that come at the same time take longer to read, and nobody waits for any."""
    history = FakeHistory(spread(3000))
    assert (await exported(history, path, windows_in_flight=windows)).rows == 3000
    assert history.most_in_flight == most


class Refusing(Far):
    """Refuses pages for now: the next `refusals` ones after the first two."""

    def __init__(self, messages: list[Message], refusals: int) -> None:
        super().__init__(messages)
        self.refusals = refusals

    def answer(self, form: dict[str, str]) -> Answer:
        """Refuse, or give a page."""
        pages = [each for each in self.forms if each["count"] != "1"]
        if len(pages) > 2 and form["count"] != "1" and self.refusals:
            self.refusals -= 1
            return refusal(340, "Rate limit exceed")
        return super().answer(form)


@pytest.mark.unmeasured
async def test_a_rate_limit_slows_the_export_down(path: Path) -> None:
    """Requests refused for now are made again later, and fewer at a time."""
    history = Refusing(spread(3000), 60)
    summary = await exported(history, path, windows_in_flight=8)
    assert summary.rows == 3000
    assert history.most_in_flight > 10
    assert history.refusals == 0


async def test_half_as_many_are_asked_for_when_one_is_refused_and_then_slowly_more() -> None:
    """One more after fifty that were answered; never more than at first, nor less than one."""
    history = Refusing(spread(10), 0)
    history.forms = [{"count": "2"}] * 3
    query, _ = check_query("sms", None, None, {})
    assert query is not None
    layout = Layout.of(query.method.cmd, query.record)
    reader = RowReader(query.method, layout, as_json=True)
    async with history.client() as client:
        once = client.with_options(max_attempts=1).session
        source = Source(once, query, reader, 5, lambda: None)
        for refusals, after in ((1, 2), (1, 1), (3, 1)):
            history.refusals = refusals
            await source.page(None, None, 0, 1000)
            assert source.at_once == after
        widths = [source.at_once]
        for _ in range(5):
            for _ in range(50):
                await source.page(None, None, 0, 1000)
            widths.append(source.at_once)
    assert widths == [1, 2, 3, 4, 5, 5]


async def test_a_rate_limit_that_does_not_end_ends_the_export(path: Path) -> None:
    """After eight refusals of one page it is an error, and what was read is not lost."""
    history = Refusing(spread(200), 10**9)
    with pytest.raises(RateLimited):
        await exported(history, path)
    assert content(path) is None
    assert history.clock.passed > 60
    history.refusals = 0
    assert (await exported(history, path)).resumed


async def test_a_row_that_left_between_two_readings_is_not_united_with_the_others(
    path: Path,
) -> None:
    """More rows than are counted are in the window: what was found before is forgotten."""
    script = [([1, 2], 3), ([], 3), ([3], 2), ([3], 2), ([2, 3], 2)]

    class Leaving(FakeHistory):
        def answer(self, form: dict[str, str]) -> Answer:
            if form["count"] == "1":
                return super().answer(form)
            numbers, total = script.pop(0)
            self.messages = [each for each in self.messages if each.row["message_id"] > 3 - total]
            rows = [each.row for each in self.messages if each.row["message_id"] in numbers]
            return answer({"result": rows, "total_count": total})

    await exported(Leaving(spread(3)), path)
    assert ids(lines(path)) == [2, 3]
    assert script == []


@pytest.mark.unmeasured
@pytest.mark.parametrize("request_", [8, 12, 16, 20])
async def test_a_row_that_leaves_a_restless_window(path: Path, request_: int) -> None:
    """It is not counted for one that was not found."""
    messages = spread(100, seconds=0)

    def leave(history: FakeHistory) -> None:
        if len(history.forms) == request_:
            messages[50].at = START - timedelta(days=5)
            messages[50].row["processed_date"] = messages[50].at.strftime(WIRE)

    await exported(FakeHistory(messages, order=RestlessTies(8), happens=leave), path)
    assert sorted(ids(lines(path))) == list(range(1, 101))
