"""What tests of the outbox share: an outbox with a client whose service is a script."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from doubles import KEY, FakeClock, Scripted, Turn, answer, refusal

from voxsms import Client, Outbox
from voxsms.api.codec import Answer
from voxsms.api.wire import TIME_FORMAT
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

NUMBERS = [f"4477009{number:05d}" for number in range(500)]
SOURCE = "ACME"
PRICES = {
    "result": [
        {
            "resource_type": kind,
            "price_groups": [
                {
                    "price_group_id": 1,
                    "price_group_name": "UK",
                    "price": 0.05,
                    "num_resources_per_price": 1,
                    "quantum": 1,
                    "params": {"allowed": ["44"]},
                }
            ],
        }
        for kind in ("A2P_SMS_E212", "SMSOUT")
    ]
}
ACCOUNT = {"result": {"account_id": 1, "account_name": "a", "balance": 9, "currency": "USD"}}


def accepted(form: Mapping[str, str]) -> Answer:
    """Accept a send to all its numbers; the id of a message is its number's last digits."""
    if "dst_numbers" not in form:
        number = int(form["destination"][-5:])
        return answer({"result": 1, "message_id": number, "fragments_count": 1})
    numbers = form["dst_numbers"].split(";")
    sent = [{"message_id": int(each[-5:]), "destination_number": each} for each in numbers]
    return answer({"result": sent, "failed": [], "fragments_count": 1})


class Service(Scripted):
    """Accepts every send for which the script has no turn; tells prices."""

    def __init__(self, *turns: Turn, phase: Phase = Phase.READING) -> None:
        super().__init__(*turns, phase=phase)
        self.tells_prices = True
        self.history: Any = None
        self.forbidden = ""
        """A method for which a role is missing."""
        self.sent: list[str] = []
        """The numbers of each send that was answered by the script or accepted."""

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Answer as the script says."""
        method = request.url.rstrip("/").rpartition("/")[2]
        if method == self.forbidden:
            return refusal(104)
        if method == "GetAccountInfo":
            return answer(ACCOUNT)
        if method == "GetResourcePrice":
            return answer(PRICES) if self.tells_prices else refusal(104)
        if method.endswith("History"):
            page: Answer = self.history.page(dict(parse_qsl(request.body.decode())))
            return page
        self.requests.append(request)
        form = self.forms[-1]
        evidence.reach(Phase.SENDING)
        evidence.phase = self.phase
        turn = self.turns.pop(0) if self.turns else accepted(form)
        if isinstance(turn, Exception):
            raise turn
        if not isinstance(turn, Answer):
            turn = await turn(request, evidence)
        if b'"error"' not in turn.body:
            self.sent += self.calls[-1]
        return turn

    @property
    def calls(self) -> list[list[str]]:
        """The numbers of each call."""
        return [
            form.get("dst_numbers", form.get("destination", "")).split(";") for form in self.forms
        ]


def lost() -> TransportFault:
    """Lose the answer."""
    return TransportFault(FaultKind.CONNECTION, "the connection broke")


async def no_connection(_: Request, evidence: Evidence) -> Answer:
    """Fail before the first byte."""
    evidence.phase = Phase.CONNECTING
    raise TransportFault(FaultKind.CONNECTION, "no connection could be made")


@asynccontextmanager
async def scripted(
    path: Path,
    *turns: Turn,
    clock: FakeClock | None = None,
    **options: Any,  # noqa: ANN401 - of a client
) -> AsyncIterator[tuple[Outbox, Client, Service, FakeClock]]:
    """Open an outbox beside a client whose service is a script."""
    clock = clock or FakeClock()
    service = Service(*turns)
    client = Client(KEY, transport=service, clock=clock, **options)
    async with client, Outbox.open(path / "outbox.db", clock=clock) as outbox:
        yield outbox, client, service, clock


def rows(count: int, text: str = "See you") -> list[tuple[str, str, str]]:
    """Make rows of one text, each with a key."""
    return [(text, number, f"k{n}") for n, number in enumerate(NUMBERS[:count])]


async def states(outbox: Outbox) -> Sequence[str]:
    """Give the state of each intent, in order."""
    return [intent.state.value async for intent in outbox.intents()]


class Asked:
    """An opt-out list on which nobody is; calls a function when it is asked."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask

    async def add(self, number: str) -> None:
        """Be a list."""

    async def remove(self, number: str) -> None:
        """Be a list."""

    async def contains(self, number: str) -> bool:
        """Have the function called."""
        assert number
        await self._ask()
        return False


def break_writing(
    outbox: Outbox, error: BaseException, steps: set[str], times: int = 10**6
) -> None:
    """Have some steps in the database fail before they begin."""
    write = outbox.store.write
    left = [error] * min(times, 1000)

    async def broken(step: Any, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - any step
        if step.__name__ in steps and left:
            raise left.pop()
        return await write(step, *args, **kwargs)

    outbox.store.write = broken  # type: ignore[method-assign, assignment]


class History:
    """The rows of a history, as the service would give them, two on a page."""

    def __init__(self, clock: FakeClock) -> None:
        self.rows: list[dict[str, Any]] = []
        self.clock = clock
        self.missing = 0
        self.date_off: float | None = 0.0
        """By how many seconds the `Date` of answers is wrong; None: they have none."""

    def add(self, number: str, **more: object) -> None:
        """Enter a message of this moment."""
        row = {
            "message_id": 100 + len(self.rows),
            "source_number": SOURCE,
            "destination_number": number,
            "fragments": 1,
            "cost": 0.05,
            "status_id": "1",
            "direction": "OUT",
            "processing_date": self.now(),
            "processed_date": self.now(),
            "delivery_status": "DISPATCHED",
        }
        self.rows.append(row | more)

    def now(self) -> str:
        """Write the time."""
        return datetime.fromtimestamp(self.clock.time(), UTC).strftime(TIME_FORMAT)

    def page(self, form: Mapping[str, str]) -> Answer:
        """Answer a request."""
        rows = [
            row
            for row in self.rows
            if form.get("from_date", "") <= row["processing_date"] <= form.get("to_date", "9")
            and form.get("destination_number") in {None, row["destination_number"]}
        ]
        start = int(form.get("offset", 0))
        body = {"result": rows[start : start + 2], "total_count": len(rows) + self.missing}
        return answer(body, headers={"date": self.clock_date()})

    def clock_date(self) -> str:
        """Write the time as a header does, or as a gateway with a clock of its own."""
        if self.date_off is None:
            return ""
        now = datetime.fromtimestamp(self.clock.time() + self.date_off, UTC)
        return format_datetime(now, usegmt=True)


class Ahead(FakeClock):
    """A clock that is ahead of another, by half a minute."""

    def __init__(self, of: FakeClock, by: float = 30.0) -> None:
        super().__init__()
        self.of = of
        self.by = by

    def time(self) -> float:
        """Give the time."""
        return self.of.time() + self.by
