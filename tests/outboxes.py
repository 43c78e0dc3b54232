"""What tests of the outbox share: an outbox with a client whose service is a script."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from doubles import KEY, FakeClock, Scripted, Turn, answer, refusal

from voxsms import Client, Outbox
from voxsms.api.codec import Answer
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
        self.sent: list[str] = []
        """The numbers of each send that was answered by the script or accepted."""

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Answer as the script says."""
        method = request.url.rstrip("/").rpartition("/")[2]
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
