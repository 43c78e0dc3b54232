"""Rows become chunks of intents: checked, grouped by text, written in one transaction.

A million rows may arrive slowly while other processes write: so the rows wait in a temporary file,
and are written when all have been read. An `add` that fails or is killed adds nothing.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import Any, Final, cast

import anyio
import attrs
import orjson

from voxsms.api import spec
from voxsms.api.spec import AnyMethod
from voxsms.api.wire import ListType, PhoneType, WireFault, WireFaults, WireType, describe_type
from voxsms.errors import Fault, InvalidRequest, TemplateError
from voxsms.outbox import _sql as sql
from voxsms.outbox._states import Added, State
from voxsms.outbox._store import Database
from voxsms.text import Message, Template, count_fragments

SEND_METHODS: Final[Mapping[str, AnyMethod]] = {
    spec.python_name(method.cmd): method for method in spec.TABLE if method.sending
}
"""The two sends by the names of their functions."""
Values = Mapping[str, str | int]
Row = tuple[str | Message | Values, str] | tuple[str | Message | Values, str, str | None]
Key = str | Callable[[Any], str | None] | None

_BATCH: Final = 5000
_IN_MEMORY: Final = 8 * 2**20
_MAX_OPEN: Final = 1000
"""Texts whose chunk still has room and is still filled."""
_MAX_INT: Final = 2**31 - 1


@attrs.frozen(kw_only=True)
class Terms:
    """How the rows of one `add` are sent."""

    method: str
    source: str = attrs.field(repr=False)
    chunk_size: int
    priority: int
    due: float
    """Seconds since the epoch; 0 is at once."""
    store_body: bool | None

    @classmethod
    def of(
        cls,
        source: object,
        method: object,
        chunk_size: object,
        priority: object,
        send_at: object,
        store_body: object,
    ) -> "Terms":
        """Check them. Raise `InvalidRequest` with every fault."""
        known = SEND_METHODS.get(method) if isinstance(method, str) else None
        faults: list[Fault] = []
        if known is None:
            faults.append(Fault("method", f"is not {' or '.join(SEND_METHODS)}"))
        try:
            source = _wire_types(known or spec.A2P_SEND_SMS).sender.write(source)
        except WireFaults as found:
            faults += [Fault("source", fault.problem) for fault in found.faults]
        if type(chunk_size) is not int or not 1 <= chunk_size <= spec.MAX_NUMBERS:
            problem = f"must be a whole number from 1 to {spec.MAX_NUMBERS}"
            faults.append(Fault("chunk_size", problem))
        if type(priority) is not int or abs(priority) > _MAX_INT:
            faults.append(Fault("priority", "must be a whole number; greater ones go first"))
        if send_at is not None and (not isinstance(send_at, datetime) or send_at.tzinfo is None):
            faults.append(Fault("send_at", "must be an aware datetime"))
        if not isinstance(store_body, bool | None):
            faults.append(Fault("store_body", f"is {describe_type(store_body)}; it must be a bool"))
        if faults:
            raise InvalidRequest("Outbox.add", tuple(faults))
        return cls(
            method=cast("str", method),
            source=cast("str", source),
            chunk_size=cast("int", chunk_size) if known is spec.A2P_SEND_SMS else 1,
            priority=cast("int", priority),
            due=send_at.timestamp() if isinstance(send_at, datetime) else 0.0,
            store_body=cast("bool | None", store_body),
        )


@attrs.frozen
class _WireTypes:
    """How the sender, the numbers and the text of a send are read."""

    sender: WireType
    number: PhoneType
    text: WireType


@cache
def _wire_types(method: AnyMethod) -> _WireTypes:
    sending = cast("spec.Sending", method.sending)
    params = spec.parameters(spec.request_class(method))
    sender, number, text = (
        params[name].wire_type for name in (sending.sender, sending.to, sending.text)
    )
    number = number.item if isinstance(number, ListType) else number
    return _WireTypes(sender, cast("PhoneType", number), text)


# --- rows -----------------------------------------------------------------------------------------


@attrs.define
class Batch:
    """Rows that are ready to be written; chunks are numbered from 0 in each `add`."""

    chunks: list[list[object]] = attrs.field(factory=list[list[object]])
    """Chunk number, text and fragments of each."""
    pending: list[list[object]] = attrs.field(factory=list[list[object]])
    """Index, key, chunk number, phone number, state and error of each."""
    refused: list[list[object]] = attrs.field(factory=list[list[object]])

    @property
    def is_full(self) -> bool:
        """Whether it is large enough for a statement."""
        return len(self.pending) + len(self.refused) >= _BATCH


class Reader:
    """Reads rows one by one: checks each, and finds its chunk."""

    def __init__(
        self,
        terms: Terms,
        template: Template | None,
        key: Key,
        phone: PhoneType | None,
        *,
        refuses_nul: bool,
    ) -> None:
        wire_types = _wire_types(SEND_METHODS[terms.method])
        self.rows = 0
        self.chunks = 0
        self.refused: list[tuple[int, Fault]] = []
        self._size = terms.chunk_size
        self._template = template
        self._key = key
        self._read_number = (phone or wire_types.number).write
        self._read_text = wire_types.text.write
        self._refuses_nul = refuses_nul
        self._text: object = None
        self._checked = ""
        self._open: dict[str, tuple[int, set[str]]] = {}
        self._keys: dict[str, bool] = {}
        self._batch = Batch()

    def add(self, row: Any) -> Batch | None:  # noqa: ANN401 - whatever stands among the rows
        """Add a row; return a batch when it is full.

        Raises:
            InvalidRequest: the row has the wrong shape.
        """
        index = self.rows
        self.rows += 1
        given, destination, key = self._take_apart(row, index)
        full = None
        if key is not None:
            before = self._keys.get(key)
            if before is not None:
                # A statement accepts a key once: a refused row may be correct the second time.
                if before:
                    return None
                full = self.take()
        fault: Fault | None = None
        number = text = ""
        try:
            number = self._read_number(destination)
            text = self._check(given)
        except WireFaults as found:
            name = "text" if number else "destination"
            fault = Fault(f"rows[{index}].{name}", found.faults[0].problem)
        except TemplateError as error:
            fault = Fault(f"rows[{index}].text", str(error))
        if key is not None:
            self._keys[key] = fault is None
        if fault is None:
            chunk = self._find_chunk(text, number)
            self._batch.pending.append([index, key, chunk, number, State.PENDING, None])
        else:
            self.refused.append((index, fault))
            shown = _printable(destination)
            self._batch.refused.append([index, key, None, shown, State.REFUSED, fault.problem])
        return full or (self.take() if self._batch.is_full else None)

    def added(self, accepted: int) -> Added:
        """Return what became of the rows, of which `accepted` were new."""
        repeated = self.rows - len(self.refused) - accepted
        return Added(accepted, repeated, tuple(self.refused))

    def take(self) -> Batch:
        """Return the rows read since the last call."""
        batch, self._batch = self._batch, Batch()
        self._keys.clear()
        return batch

    def _take_apart(self, row: Any, index: int) -> tuple[Any, Any, str | None]:  # noqa: ANN401
        parts = tuple(cast("Iterable[Any]", row)) if isinstance(row, tuple | list) else ()
        if len(parts) not in {2, 3}:
            wanted = "must be (text, destination) or (text, destination, key)"
            raise InvalidRequest("Outbox.add", (Fault(f"rows[{index}]", wanted),))
        given, destination, key = (*parts, None)[:3]
        if key is None and self._key is not None:
            if isinstance(self._key, str):
                key = f"{self._key}:{index}" if index else self._key
            else:
                key = self._key(row)
        if key is not None and (not isinstance(key, str) or not key or not key.isprintable()):
            wanted = "must be a str that can be printed, or None"
            raise InvalidRequest("Outbox.add", (Fault(f"rows[{index}].key", wanted),))
        return given, destination, key

    def _check(self, given: object) -> str:
        if self._template is not None:
            if not isinstance(given, Mapping):
                wanted = "with a template it must be a mapping"
                raise WireFault(f"is {describe_type(given)}; {wanted}")
            given = self._template.fill(cast("Values", given))
        if given is self._text:
            return self._checked
        checked = self._read_text(given)
        if self._refuses_nul and "\0" in checked:
            raise WireFault("has a NUL character, which PostgreSQL does not store")
        self._text, self._checked = given, checked
        return checked

    def _find_chunk(self, text: str, number: str) -> int:
        """Return a chunk of this text that has room and does not have this number."""
        found = self._open.get(text)
        if found is None or number in found[1]:
            found = (self.chunks, set[str]())
            self.chunks += 1
            self._batch.chunks.append([found[0], text, count_fragments(text)])
            if self._size > 1:
                if len(self._open) == _MAX_OPEN:
                    del self._open[next(iter(self._open))]
                self._open[text] = found
        found[1].add(number)
        if len(found[1]) == self._size:
            self._open.pop(text, None)
        return found[0]


def _printable(given: object) -> str:
    text = given if isinstance(given, str) else describe_type(given)
    return text[:64].encode(errors="replace").decode().replace("\0", "")


# --- writing them ---------------------------------------------------------------------------------


class Writer:
    """Writes batches in a transaction that the caller begins and commits."""

    def __init__(self, database: Database, terms: Terms, base: int, first: int) -> None:
        self._database = database
        self._terms = terms
        self._base, self._first = base, first
        self._chunks = 0
        self._accepted = 0
        self._proposed = 0

    def write(self, proposed: int, chunks: bytes, pending: bytes, refused: bytes) -> None:
        """Write a batch of `proposed` intents, each part of it as JSON."""
        self._proposed += proposed
        database, terms = self._database, self._terms
        count = database.change(
            sql.ADD_CHUNKS,
            rows=chunks.decode(),
            base=self._base,
            method=terms.method,
            source=terms.source,
            store_body=None if terms.store_body is None else int(terms.store_body),
            priority=terms.priority,
            due=terms.due,
        )
        self._chunks += count
        ids = self._base, self._first, terms.source
        if pending != b"[]":
            self._accepted += database.add_pending(pending.decode(), *ids)
        if refused != b"[]":
            database.add_intents(refused.decode(), *ids)

    def finish(self) -> int:
        """Drop chunks without intents, hand out the others; return how many intents are new."""
        base, end = self._base, self._base + self._chunks
        if self._accepted < self._proposed:
            self._database.change(sql.DROP_EMPTY_CHUNKS, base=base, end=end)
        if self._accepted:
            self._database.hand_out(base, end)
        return self._accepted


class Spool:
    """Batches in a temporary file."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._batches = 0
        self._ids: tuple[int, int] | None = None
        self._accepted = 0

    async def put(self, batch: Batch) -> None:
        """Store a batch."""
        parts = (batch.chunks, batch.pending, batch.refused)
        for part in (len(batch.pending), *parts):
            self._file.write(orjson.dumps(part, option=orjson.OPT_APPEND_NEWLINE))
        self._batches += 1
        await anyio.lowlevel.checkpoint()

    def write(self, database: Database, terms: Terms, rows: int) -> int:
        """Write all batches, made from `rows` rows; return how many intents are new.

        If it runs again on a new connection, it writes nothing if the first commit succeeded.
        """
        if self._ids is None or not database.reserves_ids:
            self._ids = database.allocate(rows)
        elif database.all(sql.FIND_ADDED, base=self._ids[0], first=self._ids[1], rows=rows):
            return self._accepted
        self._file.seek(0)
        writer = Writer(database, terms, *self._ids)
        for _ in range(self._batches):
            proposed, *parts = (self._file.readline().rstrip() for _ in range(4))
            writer.write(int(proposed), *parts)
        self._accepted = writer.finish()
        return self._accepted

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


async def read_rows(
    rows: Iterable[Any] | AsyncIterable[Any],
    reader: Reader,
    put: Callable[[Batch], Awaitable[object]],
) -> None:
    """Read all rows, and pass each batch to `put`."""
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            if batch := reader.add(row):
                await put(batch)
    else:
        for row in rows:
            if batch := reader.add(row):
                await put(batch)
    await put(reader.take())
