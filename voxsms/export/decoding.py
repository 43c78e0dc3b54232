"""From an answer's bytes to rows: as structs with tidy fields, and as the bytes that they came in.

msgspec reads JSON straight into structs, checks the type of each field on the way, and makes
nothing of what no format needs. That takes 0.25 to 0.4 us a row, where orjson takes 0.65 for dicts
that then have to be looked through and, for JSON Lines, written again.

It takes an answer only if every value is of the type it usually has, or else of one that the
contract names as well: numbers of phones and statuses come as numbers and as strings. Any other
answer, an error among them, is read patiently: with the codec, and value by value.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar, cast

import attrs
import orjson

try:
    import msgspec
except ModuleNotFoundError as missing:
    need = "the export needs msgspec: pip install 'voxsms[export]'"
    raise ModuleNotFoundError(need, name=missing.name) from missing

from voxsms.api.codec import Answer, read_payload
from voxsms.api.decode import Unreadable, read
from voxsms.api.fast_decode import Int, PageDecoder, Struct
from voxsms.api.spec import AnyMethod
from voxsms.errors import ResponseInvalid
from voxsms.export.columns import Kind, Layout, are_whole_times

T = TypeVar("T")
Json = dict[str, Any]
"""A row as a dict."""

_USUAL: dict[Kind, Any] = {
    Kind.INT: Int | None,
    Kind.TEXT: str | None,
    Kind.CHOICE: str | None,
    Kind.MONEY: Int | float | None,
    Kind.TIME: str | None,
}
_LOOSE: dict[Kind, Any] = {
    kind: types if kind is Kind.TIME else types | Int | str for kind, types in _USUAL.items()
}


@attrs.frozen
class Decoded:
    """The rows of an answer."""

    rows: list[Struct]
    """Empty where all columns are known."""
    known: Mapping[str, list[Any]]
    """The columns that were looked at already, by their names, tidy: times and ids at the least."""
    whole_times: bool
    """Whether every row has a time, to the second."""
    total: int
    body: bytes = attrs.field(repr=False)
    came: Mapping[str, list[Any]] = {}
    """The columns as they came, at the least those of which a value was not tidy."""
    dicts: list[Json] | None = None
    """The rows as they came, where they had to be read patiently."""
    order: range | list[int] = range(0)
    """The positions in the answer that the rows had."""

    def arranged(self, order: range | list[int]) -> "Decoded":
        """Give the rows in another order."""
        known, came = (
            {name: arranged(values, order) for name, values in columns.items()}
            for columns in (self.known, self.came)
        )
        dicts = None if self.dicts is None else arranged(self.dicts, order)
        rows = arranged(self.rows, order) if self.rows else []
        return Decoded(rows, known, self.whole_times, self.total, self.body, came, dicts, order)

    def column(self, name: str) -> list[Any]:
        """Give a field of every row."""
        return self.known[name] if name in self.known else column(self.rows, name)

    def raw(self) -> list[bytes]:
        """Give each row as it came."""
        try:
            found: list[bytes] = _raw.decode(self.body).result
        except (msgspec.MsgspecError, RecursionError):
            return [orjson.dumps(row) for row in self.dicts or ()]
        return arranged(found, self.order)

    def as_dicts(self) -> list[Json]:
        """Give each row as a dict."""
        return (
            [orjson.loads(bytes(row)) for row in self.raw()] if self.dicts is None else self.dicts
        )


def arranged(values: list[T], order: range | list[int]) -> list[T]:
    """Give values in an order; a range is all of them, forward or back."""
    if isinstance(order, range):
        return values if order.step > 0 else values[::-1]
    return list(map(values.__getitem__, order))


class _Raw(msgspec.Struct):
    result: list[msgspec.Raw]


_raw: Any = msgspec.json.Decoder(_Raw)


class Decoder:
    """Reads answers of one method into structs with some of the fields."""

    def __init__(self, row: AnyMethod, layout: Layout, names: Collection[str]) -> None:
        self._row = row
        self._layout = layout
        self._fields = [field for field in layout.fields if field.name in names]
        self._usual, self._loose = (
            PageDecoder((field.name, types[field.kind], None) for field in self._fields)
            for types in (_USUAL, _LOOSE)
        )

    def decode(self, answer: Answer) -> Decoded:
        """Read an answer. Raises `ApiError` and `ResponseInvalid`."""
        if answer.status == HTTPStatus.OK:
            if (page := self._usual.decode(answer.body)) is not None:
                return self._decoded(*page, answer)
            if (page := self._loose.decode(answer.body)) is not None:
                return self._decoded(*page, answer, loose=True)
        return self._decode_patiently(answer)

    def _decoded(
        self, rows: list[Struct], total: int, answer: Answer, *, loose: bool = False
    ) -> Decoded:
        time, message_id = self._layout.time.name, self._layout.message_id.name
        if loose:
            known, came = self._tidied(rows)
        else:
            known, came = {message_id: column(rows, message_id)}, {}
        times = column(rows, time)
        whole = bool(are_whole_times(times))
        known[time] = times if whole else self._layout.tidy_times(times)
        return Decoded(rows, known, whole, total, answer.body, came)

    def _tidied(self, rows: list[Struct]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Give the columns but for the times tidy, and those that were not as they came."""
        known: dict[str, list[Any]] = {}
        came: dict[str, list[Any]] = {}
        for field in self._fields:
            if field.kind is Kind.TIME:
                continue
            known[field.name] = values = column(rows, field.name)
            if not field.are_tidy(values):
                came[field.name] = values
                known[field.name] = [self._layout.tidy(field, value) for value in values]
        return known, came

    def _decode_patiently(self, answer: Answer) -> Decoded:
        cmd, payload = self._row.cmd, read_payload(self._row, answer)
        found = payload.get("result")
        if found == {}:  # PHP writes an empty list so
            found = []
        kinds = {*map(type, cast("list[object]", found))} if isinstance(found, list) else {None}
        if not kinds <= {dict}:
            raise ResponseInvalid(cmd, "result", "no list of rows")
        try:
            total = read(int, payload.get("total_count"))
        except Unreadable as trouble:
            raise ResponseInvalid(cmd, "total_count", trouble.problem) from None
        dicts = cast("list[Json]", found)
        tidy, known = self._layout.tidy, dict[str, list[Any]]()
        came = {field.name: [row.get(field.name) for row in dicts] for field in self._fields}
        for field in self._fields:
            known[field.name] = [tidy(field, value) for value in came[field.name]]
        whole = are_whole_times(known[self._layout.time.name])
        return Decoded([], known, whole, total, answer.body, came, dicts)


def column(rows: list[Struct], name: str) -> list[Any]:
    """Take a field of every row."""
    return _taker(name)(rows)


@cache
def _taker(name: str) -> Callable[[list[Struct]], list[Any]]:
    # Compiled for each name: so the interpreter learns where the attribute is, and takes half the
    # time of `map` and `attrgetter`.
    taker: Callable[[list[Struct]], list[Any]] = eval(f"lambda rows: [row.{name} for row in rows]")  # noqa: S307 - a name of our own records
    return taker
