"""Stand-ins for what a client meets: time, the seam to the network, and a server of raw bytes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qsl

import anyio
import attrs
import orjson

from voxsms.api.codec import Answer
from voxsms.calls.auth import ApiKey, Proof
from voxsms.clock import Clock
from voxsms.transport import Evidence, Phase, Request

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY = ApiKey(account_id=1, api_key="k-of-the-tests")
SENT = {"result": 1, "message_id": 1861, "fragments_count": 1}
A2P_SENT = {
    "result": [{"message_id": 1, "destination_number": "447443332212"}],
    "failed": [],
    "fragments_count": 1,
}
SMS: dict[str, Any] = {
    "source": "447443332211",
    "destination": "447443332212",
    "sms_body": "See you",
}
A2P: dict[str, Any] = {"src_number": "ACME", "dst_numbers": ["447443332212"], "text": "See you"}


def least_time(call: Callable[[], object]) -> float:
    """Return the seconds of this thread's processor that a call takes, the least of three.

    The garbage collector may run in one of them, and other threads are not counted.
    """
    taken: list[float] = []
    for _ in range(3):
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
    return min(taken)


class FakeClock(Clock):
    """Time that passes only when someone sleeps; the dice always show `rolled`."""

    def __init__(self, now: datetime = NOW, rolled: float = 1.0) -> None:
        self.now = now.timestamp()
        self.passed = 0.0
        self.rolled = rolled
        self.slept: list[float] = []

    def time(self) -> float:
        """Give the driven time."""
        return self.now + self.passed

    def monotonic(self) -> float:
        """Give what has passed since some moment."""
        return 1000.0 + self.passed

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others run."""
        self.slept.append(seconds)
        self.passed += seconds
        await anyio.lowlevel.checkpoint()

    def roll(self) -> float:
        """Give what was set."""
        return self.rolled


def answer(
    body: object = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Give an answer: JSON unless `body` is bytes already."""
    content = body if isinstance(body, bytes) else orjson.dumps(SENT if body is None else body)
    kind = {"content-type": "application/json"}
    return Answer(status, kind | dict(headers or {}), content, NOW)


def refusal(code: int, msg: str = "no", **more: object) -> Answer:
    """Give an answer that is one of the service's errors."""
    return answer({"error": {"code": code, "msg": msg}} | more)


class CountingSigner:
    """Gives a new token each time the last one was refused; counts."""

    def __init__(self) -> None:
        self.signed: list[float] = []
        self.renewed: list[Proof] = []
        self.proof = self._mint(1)

    @staticmethod
    def _mint(number: int) -> Proof:
        return Proof(headers={"Authorization": f"Bearer t{number}"}, fields={})

    def signer(self) -> "CountingSigner":
        """Be credentials too."""
        return self

    async def sign(self, now: float) -> Proof:
        """Give the token."""
        self.signed.append(now)
        return self.proof

    def renew(self, stale: Proof) -> bool:
        """Make another."""
        self.renewed.append(stale)
        self.proof = self._mint(len(self.renewed) + 1)
        return True


Turn = Answer | Exception | Callable[[Request, Evidence], Awaitable[Answer]]


class Scripted:
    """A transport that does what its script says, one turn a request; the last turn goes on."""

    name = "scripted"

    def __init__(
        self, *turns: Turn, phase: Phase = Phase.READING, reports_progress: bool = True
    ) -> None:
        self.turns = list(turns)
        self.phase = phase
        self.reports_progress = reports_progress
        self.requests: list[Request] = []
        self.closed = 0

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Take the next turn."""
        await anyio.lowlevel.checkpoint()
        self.requests.append(request)
        evidence.phase = self.phase
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, Exception):
            raise turn
        return turn if isinstance(turn, Answer) else await turn(request, evidence)

    async def aclose(self) -> None:
        """Count the closings."""
        self.closed += 1

    @property
    def forms(self) -> list[dict[str, str]]:
        """The fields of each request."""
        return [dict(parse_qsl(request.body.decode())) for request in self.requests]


@attrs.define
class Loopback:
    """A server of raw bytes: `act` is given each connection's request and its writer."""

    port: int
    requests: list[bytes] = attrs.field(factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


Act = Callable[[asyncio.StreamWriter, bytes], Awaitable[object]]


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Write an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def json_answer(body: object = None, *headers: str) -> bytes:
    """Write an HTTP answer with JSON."""
    content = orjson.dumps(SENT if body is None else body)
    return http(content, "200 OK", "Content-Type: application/json", *headers)


def always(payload: bytes) -> Act:
    """Give an act that writes the same each time."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(payload)

    return act


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body; empty at the end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
    return head + await reader.readexactly(int(length or 0))


@asynccontextmanager
async def loopback(act: Act, tls: SSLContext | None = None) -> AsyncIterator[Loopback]:
    """Serve raw bytes on loopback with asyncio; nothing of it is left afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        seen.open += 1
        seen.most_open = max(seen.most_open, seen.open)
        try:
            while not writer.is_closing():
                seen.requests.append(await read_request(reader))
                await act(writer, seen.requests[-1])
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            seen.open -= 1
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    seen = Loopback(server.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 2)
        await asyncio.sleep(0)


async def until(come_true: Callable[[], bool]) -> None:
    """Wait, half a minute at the most, until something is so."""
    for _ in range(15_000):
        if come_true():
            return
        await anyio.sleep(0.002)
    raise AssertionError("did not come true in time")
