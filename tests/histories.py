"""A history behind the seam: the service's side of an export, as loose as the contract allows."""

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

import anyio
import attrs
import orjson
from doubles import KEY, FakeClock, answer, refusal

from voxsms import Client
from voxsms.api.codec import Answer
from voxsms.api.models import DeliveryStatus
from voxsms.export import _query
from voxsms.transport import Evidence, Phase, Request

START = datetime(2026, 3, 1, tzinfo=UTC)
WIRE = "%Y-%m-%d %H:%M:%S"
Json = dict[str, Any]
ACCOUNT: Json = {"account_id": 1, "account_name": "acme", "balance": 25, "currency": "USD"}


@attrs.define
class Message:
    """A message: when it really was, and its row as the service shows it."""

    at: datetime
    row: Json

    @classmethod
    def sms(cls, number: int, at: datetime, **changes: Any) -> "Message":  # noqa: ANN401 - JSON
        """Make a two-way message."""
        row: Json = {
            "message_id": number,
            "source_number": "447443332211",
            "destination_number": f"4477009{number % 10**5:05d}",
            "direction": "OUT",
            "fragments": 1 + number % 3,
            "cost": round(0.0385 * (1 + number % 3), 4),
            "status_id": "1",
            "processed_date": at.strftime(WIRE),
            "transaction_id": 10**6 + number,
            "text": f"Your code is {number:06d}, do not tell",
        }
        return cls(at, row | changes)

    @classmethod
    def a2p(cls, number: int, at: datetime, **changes: Any) -> "Message":  # noqa: ANN401 - JSON
        """Make a message of an application."""
        row = cls.sms(number, at).row
        del row["direction"]
        row["processing_date"] = row.pop("processed_date")
        row["delivery_status"] = "DELIVERED"
        return cls(at, row | changes)


Order = Callable[[list[Message]], list[Message]]


def oldest_first(messages: list[Message]) -> list[Message]:
    """Order by time, the oldest first."""
    return sorted(messages, key=lambda each: each.at)


def newest_first(messages: list[Message]) -> list[Message]:
    """Order by time, the newest first."""
    return oldest_first(messages)[::-1]


def any_order(messages: list[Message]) -> list[Message]:
    """Order in a way that has nothing to do with time, and is always the same."""
    return sorted(messages, key=lambda each: orjson.dumps(each.row)[::-1])


class RestlessTies:
    """Orders by time; rows of one second come in another order each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for a test

    def __call__(self, messages: list[Message]) -> list[Message]:
        """Order them."""
        return sorted(messages, key=lambda each: (each.at, self._random.random()))


def _nothing(_: "FakeHistory") -> None:
    pass


class FakeHistory:
    """A transport that answers from a list of messages.

    Args:
        messages: what the history holds.
        order: the order of rows, newest first if not given.
        page_rows: rows in a page at the most, whatever `count` asks for.
        exclusive: whether `to_date` is the first second that is not wanted.
        most_days: the longest range; a longer one is refused with code 569.
        happens: called before each request is answered; the history may change.
    """

    name = "fake"
    reports_progress = True

    def __init__(
        self,
        messages: Iterable[Message] = (),
        *,
        order: Order = newest_first,
        page_rows: int = 1000,
        exclusive: bool = False,
        most_days: int | None = None,
        happens: "Callable[[FakeHistory], object]" = _nothing,
    ) -> None:
        self.messages = list(messages)
        self.clock = FakeClock()
        self.forms: list[dict[str, str]] = []
        self.order = order
        self.page_rows = page_rows
        self.in_flight = self.most_in_flight = 0
        self.account = answer({"result": ACCOUNT})
        self.prices: list[Json] = []
        self._exclusive = exclusive
        self._most_days = most_days
        self._happens = happens

    def client(self, **options: Any) -> Client:  # noqa: ANN401 - those of the class
        """Give a client that reads from it."""
        return Client(KEY, "http://history.example", transport=self, clock=self.clock, **options)

    @property
    def now(self) -> datetime:
        """The time at the service."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Answer a request."""
        evidence.phase = Phase.READING
        if request.url.endswith("/GetAccountInfo/"):
            return self.account
        if request.url.endswith("/GetResourcePrice/"):
            return answer({"result": self.prices})
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await anyio.lowlevel.checkpoint()
        self.in_flight -= 1
        self._happens(self)
        form = dict(parse_qsl(request.body.decode()))
        self.forms.append(form)
        given = self.answer(form)
        return attrs.evolve(given, headers={**given.headers, "date": self._date()})

    async def aclose(self) -> None:
        """Close nothing."""

    def _date(self) -> str:
        return format_datetime(self.now.replace(microsecond=0), usegmt=True)

    def answer(self, form: dict[str, str]) -> Answer:
        """Give a page, or a refusal."""
        span = [_time(form[name]) if name in form else None for name in ("from_date", "to_date")]
        if self._too_long(*span):
            return refusal(569, f"The date range must be within {self._most_days} days")
        found = self.order(self.find(form, *span))
        offset, count = int(form.get("offset", 0)), min(int(form["count"]), self.page_rows)
        rows = [each.row for each in found[offset : offset + count]]
        return answer({"result": rows, "total_count": len(found)})

    def _too_long(self, start: datetime | None, end: datetime | None) -> bool:
        if self._most_days is None:
            return False
        return start is None or (end or self.now) - start > timedelta(days=self._most_days)

    def find(
        self, form: dict[str, str], start: datetime | None, end: datetime | None
    ) -> list[Message]:
        """Return the messages that a query asks for, in the order in which they are held."""
        first, last = start or START_OF_TIME, end or END_OF_TIME
        if self._exclusive and end is not None:
            last -= timedelta.resolution
        wanted = {name: value.split(";") for name, value in form.items() if name not in UNFILTERED}
        return [
            each
            for each in self.messages
            if first <= each.at <= last
            and all(_said(each.row[name]) in wanted[name] for name in wanted if name in each.row)
        ]


START_OF_TIME, END_OF_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
UNFILTERED = {"account_id", "api_key", "from_date", "to_date", "offset", "count"}
STATUSES = {status.value: str(status.number) for status in DeliveryStatus}


def _said(value: object) -> str:
    """Write a value of a row as a request does."""
    return STATUSES.get(str(value), str(value))


def _time(text: str) -> datetime:
    return datetime.strptime(text, WIRE).replace(tzinfo=UTC)


def spread(
    count: int,
    *,
    seconds: float = 60.0,
    make: Callable[..., Message] = Message.sms,
    start: datetime = START,
) -> list[Message]:
    """Make messages at even distances."""
    return [make(n, start + timedelta(seconds=int((n - 1) * seconds))) for n in range(1, count + 1)]


def small_pages(rows: int, window: int) -> AbstractContextManager[object]:
    """Make pages and windows small, so that few rows need many."""
    stack = ExitStack()
    stack.enter_context(patch.object(_query, "PAGE_ROWS", rows))
    stack.enter_context(patch.object(_query, "MAX_WINDOW_ROWS", window))
    stack.enter_context(patch.object(_query, "_IN_ONE_ANSWER", max(1, rows - rows // 10)))
    return stack


def lines(path: Path) -> list[Json]:
    """Read JSON Lines."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def content(path: Path) -> bytes | None:
    """Give what a file holds, None if there is none; for tests that are coroutines."""
    return path.read_bytes() if path.exists() else None


def ids(rows: Iterable[Json]) -> list[int]:
    """Give the ids of rows."""
    return [row["message_id"] for row in rows]
