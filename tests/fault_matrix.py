"""The fault matrix: every fault of the sandbox, met by calls of every kind on three transports.

`python tests/fault_matrix.py` prints the table, `--write` puts it into the documentation.
"""

import argparse
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import anyio
import attrs
import httpx

from voxsms import (
    AttemptEvent,
    CallEvent,
    Client,
    Httpx2Transport,
    HttpxTransport,
    Timeouts,
    VoxSmsError,
)
from voxsms.calls.auth import Auth, Proof
from voxsms.clock import Clock
from voxsms.sandbox import KINDS, InjectedFault, Number, Sandbox, serve
from voxsms.transport import Transport
from voxsms.transport._aiohttp import AiohttpTransport
from voxsms.transport._environment import tls

PAGE = Path(__file__).parents[1] / "docs/why/never-twice.md"
START, END = "<!-- fault matrix -->", "<!-- end -->"
SOURCE = Number(number="447443332211", sms_enabled=True)
TRANSPORTS: Mapping[str, Callable[[], Transport]] = MappingProxyType(
    {"httpx": HttpxTransport, "httpx2": Httpx2Transport, "aiohttp": AiohttpTransport}
)
USERS = "a user's own httpx"
OFTEN = 1000
"""Times that no call lives through."""
BENCHES = 16
"""Sandboxes at a time: more than there are rows in which one waits for seconds."""
QUICK = 1.0
"""Seconds: the read timeout where an answer does not come."""


class Instant(Clock):
    """Real time, but for the waits between attempts, which are skipped."""

    def __init__(self) -> None:
        self.on_sleep: Callable[[], object] = bool

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - however long
        """Go on at once."""
        self.on_sleep()
        await anyio.lowlevel.checkpoint()


@attrs.frozen
class Row:
    """A fault, in words, as the sandbox knows it, and how patient the client is with it."""

    words: str
    kind: str
    options: Mapping[str, object] = attrs.field(factory=dict[str, object])
    read: float = 10.0
    deadline: float = 30.0

    @property
    def is_of_tokens(self) -> bool:
        """Whether only a token can be told so: a key has no age, and no other comes for it."""
        return self.options.get("code") == 456


def _answers(body: str, status: int = 200) -> tuple[str, Mapping[str, object]]:
    return "commit_then_answer", {"body": body, "status": status}


ROWS = (
    Row("no fault", "ok"),
    Row("does not listen", "refuse", {"seconds": 600}),
    Row("accepts and closes", "accept_then_close"),
    Row("reads and closes, nothing done", "read_then_close"),
    Row("reads and resets, nothing done", "read_then_reset"),
    Row("reads and never answers, nothing done", "never", read=QUICK),
    Row("HTTP 503 of a gateway, nothing done", "http_error"),
    Row("HTTP 429", "http_429"),
    Row("HTTP 429 with `Retry-After`", "http_429", {"retry_after": 7}),
    Row("code 340, come back later", "rate_limited"),
    Row("code 456, the token is too old", "error", {"code": 456}),
    Row("code 2, nothing done", "error", {"code": 2}),
    Row("code 101, a refusal", "error", {"code": 101}),
    Row("done, answered slowly", "slow", {"seconds": 0.05}),
    Row("done, answered too late", "slow", {"seconds": 600}, read=QUICK),
    Row("done, answered byte by byte", "drip", {"seconds": 0}),
    Row("done, dripping beyond the deadline", "drip", {"seconds": 0.05}, deadline=4.0),
    Row("done, closes", "commit_then_close"),
    Row("done, resets", "commit_then_reset"),
    Row("done, half an answer", "commit_then_half"),
    Row("done, answers garbage", "commit_then_garbage"),
    Row("done, HTML and HTTP 502", "commit_then_html"),
    Row("done, HTTP 500", "commit_then_500"),
    Row("done, code 2", "commit_then_error"),
    Row("done, code 515, done before", "commit_then_error", {"code": 515}),
    Row("done, codes 340 and 515 at once", *_answers('{"errors": [{"code": 340}, {"code": 515}]}')),
    Row("done, code 340 beside an id", *_answers('{"error": {"code": 340}, "message_id": 1861}')),
    Row("done, HTTP 429 with an id", *_answers('{"message_id": 1861}', 429)),
    Row("done, `result` is 0", *_answers('{"result": 0, "fragments_count": 1}')),
    Row("done, HTML and HTTP 404", *_answers("<html></html>", 404)),
    Row("done, never answers", "commit_then_never", read=QUICK),
)

_WHOLE_ANSWERS = {"http_429", "rate_limited", "error", "html", "500", "answer"}
OF_THE_WIRE = tuple(
    row for row in ROWS if row.kind.removeprefix("commit_then_") not in _WHOLE_ANSWERS
)
"""Rows that differ for a transport: to it a whole answer is like another, whatever it says."""

TEXT = "Kanarienvogel"
"""What every message says; nobody may hear it sing."""
Ask = Callable[[Client, str], Awaitable[object]]


@attrs.frozen
class Method:
    """A kind of call: its name here and on the wire, and how to make it."""

    name: str
    cmd: str
    charges: bool
    ask: Ask


def _send(client: Client, to: str) -> Awaitable[object]:
    return client.send_sms_message(source=SOURCE.number, destination=to, sms_body=TEXT)


def _send_a2p(client: Client, to: str) -> Awaitable[object]:
    return client.a2p_send_sms(src_number="VOXSMS", dst_numbers=[to], text=TEXT)


def _control(client: Client, _: str) -> Awaitable[object]:
    return client.control_sms(phone_number="14155550100", command="enable")


async def _history(client: Client, _: str) -> object:
    return await client.get_sms_history(count=3)


def _account(client: Client, _: str) -> Awaitable[object]:
    return client.get_account_info()


METHODS = (
    Method("send_sms_message", "SendSmsMessage", charges=True, ask=_send),
    Method("a2p_send_sms", "A2PSendSms", charges=True, ask=_send_a2p),
    Method("control_sms", "ControlSms", charges=False, ask=_control),
    Method("get_sms_history", "GetSmsHistory", charges=False, ask=_history),
    Method("get_account_info", "GetAccountInfo", charges=False, ask=_account),
)
SHOWN = METHODS[:4]
"""Those that the table shows."""
OF_EACH_KIND = (METHODS[1], METHODS[4])
"""One that charges, and one that does not and whose answer holds secrets."""


class Shared:
    """One signer for many clients, so that a token is minted once; remembers its tokens."""

    def __init__(self, auth: Auth) -> None:
        self._signer = auth.signer()
        self.tokens: set[str] = set()

    def signer(self) -> "Shared":
        """Be the signer."""
        return self

    async def sign(self, now: float) -> Proof:
        """Sign."""
        proof = await self._signer.sign(now)
        self.tokens.update(header.removeprefix("Bearer ") for header in proof.headers.values())
        return proof

    def renew(self, stale: Proof) -> bool:
        """Take another token."""
        return self._signer.renew(stale)


@attrs.frozen(kw_only=True)
class Cell:
    """One call that met a fault: what it ended with, and what the ledger says."""

    row: Row
    method: Method
    transport: str
    always: bool
    """The fault was met by every attempt, not by the first alone."""
    warm: bool
    """The client had made a call a moment before; such a client has a token, others a key."""
    ended: object
    """The result or the error."""
    attempts: tuple[AttemptEvent, ...]
    told: CallEvent
    """What the hooks were told."""
    client: str
    """The client's `repr`."""
    deliveries: int
    met: int
    """How many of the faults were met."""

    @property
    def words(self) -> str:
        """What the table shows."""
        if isinstance(self.ended, BaseException):
            ended = f"`{type(self.ended).__name__}`"
        else:
            ended = "sent" if self.method.charges else "answered"
        return f"{ended}, {self.deliveries}" if self.method.charges else ended


Ways = Sequence[tuple[bool, bool]]
WAYS: Ways = tuple(itertools.product((False, True), (False, True)))
"""On a new connection or a warm one; with a fault that passes or one that stays."""


class Bench:
    """A sandbox before which calls meet faults."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._by_token = Shared(sandbox.auth)
        self._numbers = (f"4474{n:08d}" for n in itertools.count(1))

    @property
    def secrets(self) -> set[str]:
        """What must be seen nowhere; of numbers all begin alike."""
        given = {TEXT, SOURCE.number, self._sandbox.api_key.api_key, self._sandbox.callback_salt}
        key = self._sandbox.auth.private_key.splitlines()[1]
        return given | self._by_token.tokens | {key}

    async def cells(
        self, row: Row, transport: str, ways: Ways, methods: Sequence[Method]
    ) -> list[Cell]:
        """Let each method meet a fault, in every way."""
        return [
            cell
            for warm, always in ways
            for cell in await self._way(row, transport, methods, warm, always)
        ]

    async def _way(
        self, row: Row, transport: str, methods: Sequence[Method], warm: bool, always: bool
    ) -> list[Cell]:
        cells: list[Cell] = []

        async def call(method: Method) -> None:
            cells.append(await self._call(row, transport, method, warm, always))

        # It can not be told whose connection meets a fault on connecting: one call at a time.
        at_a_time = anyio.CapacityLimiter(1 if KINDS[row.kind].connecting else len(methods))
        async with anyio.create_task_group() as group:
            for method in methods:
                group.start_soon(_limited, at_a_time, call, method)
        self._sandbox.faults.clear()
        return cells

    async def _call(
        self, row: Row, transport: str, method: Method, warm: bool, always: bool
    ) -> Cell:
        faults, clock = self._sandbox.faults, Instant()
        attempts, told = list[AttemptEvent](), list[CallEvent]()
        async with Client(
            self._by_token if warm or row.is_of_tokens else self._sandbox.api_key,
            self._sandbox.url,
            transport=_carrier(transport),
            timeout=Timeouts(connect=10, read=row.read, write=10, pool=10),
            deadline=row.deadline,
            on_attempt=attempts.append,
            on_outcome=told.append,
            clock=clock,
        ) as client:
            if warm:
                await method.ask(client.with_options(timeout=10, deadline=30), next(self._numbers))
            before = len(faults.happened)
            fault = self._arm(row, method, always)
            if row.kind == "refuse" and not always:
                clock.on_sleep = faults.clear
            to = next(self._numbers)
            ended = await _end(method.ask(client, to))
        if KINDS[row.kind].connecting:
            faults.clear()
        met = sum(each.method == fault.method for each in faults.happened[before:])
        return Cell(
            row=row,
            method=method,
            transport=transport,
            always=always,
            warm=warm,
            ended=ended,
            attempts=tuple(attempts),
            told=told[-1],
            client=f"{client!r} {client.session.options!r}",
            deliveries=len(self._sandbox.ledger.to(to)),
            met=met,
        )

    def _arm(self, row: Row, method: Method, always: bool) -> InjectedFault:
        return self._sandbox.faults.add(
            row.kind,
            times=OFTEN if always and row.kind != "refuse" else 1,
            method=None if KINDS[row.kind].connecting else method.cmd,
            **row.options,
        )


def _carrier(name: str) -> Transport | httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(verify=tls()) if name == USERS else TRANSPORTS[name]()


async def _limited(
    limiter: anyio.CapacityLimiter, call: Callable[[Method], Awaitable[None]], method: Method
) -> None:
    async with limiter:
        await call(method)


async def _end(call: Awaitable[object]) -> object:
    try:
        return await call
    except VoxSmsError as error:
        return error


@attrs.frozen
class Matrix:
    """All cells, and what must be seen nowhere."""

    cells: list[Cell] = attrs.field(factory=list[Cell])
    secrets: set[str] = attrs.field(factory=set[str])


async def run(
    ways: Ways = WAYS,
    transports: Iterable[str] = TRANSPORTS,
    rows: Sequence[Row] = ROWS,
    methods: Sequence[Method] = SHOWN,
) -> Matrix:
    """Make every call of the matrix, several rows at a time, each before its own sandbox."""
    longest_first = sorted(rows, key=lambda row: (row.deadline, row.read))
    jobs = list(itertools.product(longest_first, transports))
    matrix = Matrix()

    async def work() -> None:
        async with serve(numbers=[SOURCE, "14155550100"], balance=10**6) as sandbox:
            bench = Bench(sandbox)
            while jobs:
                matrix.cells.extend(await bench.cells(*jobs.pop(0), ways, methods))
            matrix.secrets.update(bench.secrets)

    async with anyio.create_task_group() as group:
        for _ in range(BENCHES):
            group.start_soon(work)
    return matrix


def table(cells: list[Cell]) -> str:
    """Write the table; where calls of one place differ, all that was found stands there."""
    head = ["what the server does", *(f"`{method.name}`" for method in SHOWN)]
    lines = [head, ["---"] * len(head)]
    for row in ROWS:
        of_row = [cell for cell in cells if cell.row is row]
        lines.append([row.words, *(_place(of_row, method) for method in SHOWN)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _place(of_row: list[Cell], method: Method) -> str:
    """Say what a method ended with: once, and, if that differs, always."""
    found = (
        " or ".join(sorted({c.words for c in of_row if c.method is method and c.always is when}))
        for when in (False, True)
    )
    return "; ".join(dict.fromkeys(each for each in found if each))


def shown() -> str:
    """Return the table in the documentation."""
    return PAGE.read_text().partition(f"{START}\n")[2].partition(END)[0]


def main() -> None:
    """Make the matrix and show or write it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="put it into the documentation")
    found = table(anyio.run(run).cells)
    if not arguments.parse_args().write:
        sys.stdout.write(found)
        return
    before = f"{START}\n{shown()}{END}"
    PAGE.write_text(PAGE.read_text().replace(before, f"{START}\n{found}{END}"))


if __name__ == "__main__":
    main()
