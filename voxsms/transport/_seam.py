"""The seam between the client and whatever carries its requests.

A transport is `send` and `aclose`. It raises only `TransportFault`, keeps the cause, and moves
`Evidence.phase` forward as the request progresses, so that after a fault, a timeout or a
cancellation the client knows what can have left the machine. It receives the request in the phase
`HANDED_OVER`: a transport that reports no progress does not prove that it sent nothing. One that
tries routes of its own reports a send (`evidence.reach(Phase.SENDING)`) before it tries the next.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import IntEnum, StrEnum
from http import HTTPStatus
from ssl import SSLError, SSLObject, SSLZeroReturnError
from typing import Any, Protocol

import attrs

from voxsms.api.codec import Answer

MAX_BYTES = 32 * 2**20
"""The largest answer that is read; a full page of the longest texts is a third of it."""
_PIECE = 2**18
_GZIP_OR_ZLIB = 47  # zlib's number for detecting either header


class Phase(IntEnum):
    """How far an attempt has come."""

    QUEUED = 0
    """Not yet passed to the transport, or waiting in it for a free connection."""
    HANDED_OVER = 1
    """Passed to the transport, or to its library, which has reported nothing yet."""
    CONNECTING = 2
    SENDING = 3
    """From here on bytes of the request may have left."""
    WAITING = 4
    READING = 5

    @property
    def words(self) -> str:
        """The phase in words, for messages."""
        return _WORDS[self]


_WORDS = {
    Phase.QUEUED: "before it was sent",
    Phase.HANDED_OVER: "while it was handed to the network",
    Phase.CONNECTING: "while connecting",
    Phase.SENDING: "while the request was under way",
    Phase.WAITING: "while waiting for the answer",
    Phase.READING: "while reading the answer",
}


@attrs.define
class Evidence:
    """What is known about one attempt while it is under way and after it failed."""

    phase: Phase = Phase.QUEUED
    connect_failed: bool = False
    """The library reported that the connection could not be made."""
    may_begin: Callable[[], bool] | None = None
    """Called right before the first byte."""

    def reach(self, phase: Phase) -> None:
        """Move forward to a phase; never back, as an earlier route may have got further.

        Raises:
            TransportFault: it is too late for the first byte.
        """
        if self.may_begin is not None and self.phase < Phase.SENDING <= phase:
            self.refuse_if_late()
        self.phase = max(self.phase, phase)

    def refuse_if_late(self) -> None:
        """Raise a `TransportFault` if the request may no longer begin."""
        if self.may_begin is not None and not self.may_begin():
            raise TransportFault(FaultKind.TIMEOUT, "it was too late to begin")

    def wait(self) -> None:
        """Record that a request that was handed over is waiting again, not yet sent."""
        if self.phase is Phase.HANDED_OVER:
            self.phase = Phase.QUEUED

    def proves_not_sent(self, *, reports_progress: bool) -> bool:
        """Return whether no byte of the request can have left.

        A missing report proves something only if voxsms set up the library itself
        (`reports_progress`); a user's client or a mock may send without a report.
        """
        if self.phase >= Phase.SENDING:
            return False
        return self.phase is Phase.QUEUED or reports_progress or self.connect_failed


@attrs.frozen
class Timeouts:
    """The limit of each phase of an attempt, in seconds."""

    connect: float = 5.0
    read: float = 30.0
    """Waiting for the next byte of the answer."""
    write: float = 10.0
    pool: float = 10.0
    """Waiting for a free connection."""

    @classmethod
    def of(cls, value: "float | Timeouts") -> "Timeouts":
        """Return one number as the limit of all phases, or `Timeouts` unchanged."""
        return value if isinstance(value, Timeouts) else cls(value, value, value, value)


Sink = Callable[[bytes], Awaitable[object]]


@attrs.frozen
class Request:
    """The request of one attempt. Keys, numbers and texts stay out of its `repr`."""

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    charges: bool
    """Whether a repetition would be charged: the request needs a fresh connection, and evidence."""
    timeouts: Timeouts
    sink: Sink | None = None
    """Receives the body, piece by piece, if the answer is a file and not JSON."""


class FaultKind(StrEnum):
    """The kind of failure of an attempt."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    UNREADABLE = "unreadable"


class TransportFault(Exception):
    """An attempt that got no answer; the cause is the library's own error."""

    def __init__(self, kind: FaultKind, problem: str) -> None:
        super().__init__(kind, problem)
        self.kind = kind
        self.problem = problem


class Transport(Protocol):
    """What carries requests."""

    @property
    def name(self) -> str:
        """The library and its version, for the User-Agent header."""
        ...

    @property
    def reports_progress(self) -> bool:
        """Whether a failure that the library did not report happened before the first byte."""
        ...

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send once; never repeat. Raises `TransportFault`."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def is_file(status: int, content_type: str) -> bool:
    """Return whether an answer is the requested file, not an error or a gateway's page."""
    kind = content_type.lower()
    return status == HTTPStatus.OK and not any(word in kind for word in ("json", "html"))


class BodyReader:
    """Decompresses an answer's body, and collects it up to a limit or passes it to the sink."""

    def __init__(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        *,
        is_unpacked: bool = False,
    ) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if "," in encoding:
            # Compressed twice, a few bytes expand to gigabytes at once; it was not requested.
            raise TransportFault(FaultKind.UNREADABLE, "an answer that was compressed repeatedly")
        self._sink = request.sink
        if self._sink is not None and not is_file(status, headers.get("content-type", "")):
            self._sink = None
        is_marked = "content-length" in headers or "transfer-encoding" in headers
        self._ends_with_connection = not is_marked
        self._is_packed = not is_unpacked and encoding in ("gzip", "x-gzip", "deflate")
        self._unpacker: Any = None
        self._parts: list[bytes] = []
        self._size = 0

    async def feed(self, part: bytes) -> None:
        """Take the next piece as received. Raise `TransportFault` if it cannot be read."""
        for piece in self._unpack(part) if self._is_packed else (part,):
            if self._sink is not None:
                await self._sink(piece)
                continue
            self._size += len(piece)
            if self._size > MAX_BYTES:
                raise TransportFault(
                    FaultKind.UNREADABLE, f"an answer of more than {MAX_BYTES // 2**20} MiB"
                )
            self._parts.append(piece)

    def _unpack(self, part: bytes) -> Iterator[bytes]:
        # In pieces, as a few bytes can expand to gigabytes.
        is_full = False
        while part or is_full:
            if self._unpacker is None or self._unpacker.eof:  # RFC 1952, 2.2: members in sequence
                self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                piece = self._unpacker.decompress(part, _PIECE)
            except zlib.error as error:
                del part  # error trackers record the variables of frames
                damaged = "the answer's compression is damaged"
                raise TransportFault(FaultKind.UNREADABLE, damaged) from error
            part = self._unpacker.unconsumed_tail or self._unpacker.unused_data
            is_full = len(piece) == _PIECE and not self._unpacker.eof
            yield piece

    def body(self, tls: SSLObject | None = None) -> bytes:
        """Return the collected body. Raise `TransportFault` if its end did not arrive.

        A file whose end only the end of the connection marks is complete if TLS, where there is
        any, was closed properly.

        Args:
            tls: the TLS connection that the answer came through.
        """
        is_cut = self._unpacker is not None and not self._unpacker.eof
        if tls is not None and self._sink is not None and self._ends_with_connection:
            is_cut = is_cut or not _is_closed(tls)
        if is_cut:
            raise TransportFault(FaultKind.CONNECTION, "the answer was cut off")
        return b"".join(self._parts)


def _is_closed(tls: SSLObject) -> bool:
    """Return whether the other side closed TLS properly (RFC 8446, 6.1), and was not cut off."""
    try:
        return not tls.read(1)
    except SSLZeroReturnError:
        return True
    except SSLError:
        return False
