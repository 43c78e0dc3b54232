"""Pages of rows into records, column by column: the way of the usual answer.

A page of a history has a thousand rows of the same fields, so each field is read for all rows at
once: in one loop if its values are of the types that they usually have, and otherwise value by
value with the readers of `decode`. Where those fail, too, the page is left to `decode`, which says
what is wrong. What each step costs: `benchmarks/README.md`, "Typed rows".

With msgspec (the extras `export` and `parquet`) the rows come as structs, without it as dicts from
orjson. Both give the same records, but for a number beyond any double in a field that voxsms does
not know: orjson refuses that.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, cast, get_args, get_type_hints

import attrs
import orjson

from voxsms.api.decode import (
    AMOUNTS,
    MISFITS,
    admits_none,
    is_open_enum,
    known_values,
    value_reader,
)
from voxsms.api.models import HistoryPage

msgspec: Any
Int: Any
"""Within 64 bits: beyond, orjson reads some numbers as doubles, and all ways are to agree."""
try:
    import msgspec
except ModuleNotFoundError:
    msgspec, Int = None, int
else:
    Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

Struct = Any
"""A row: an attribute for each field that is needed."""
Field = tuple[str, Any] | tuple[str, Any, object]
"""Name, type, and what it is where it is absent; without that it must be there."""
Rows = Sequence[Any]
Page = tuple[Rows, int]
"""Rows as they came, and how many there are in all."""


class PageDecoder:
    """Reads answers into structs with some of the fields of each row; needs msgspec."""

    def __init__(self, fields: Iterable[Field]) -> None:
        row: Any = msgspec.defstruct("Row", fields, kw_only=True, gc=False)
        page = msgspec.defstruct(
            "Page",
            [
                ("result", list.__class_getitem__(row)),
                ("total_count", Int),
                ("error", Any, None),
                ("errors", Any, None),
            ],
        )
        self._decoder: Any = msgspec.json.Decoder(page)

    def decode(self, body: bytes) -> tuple[list[Struct], int] | None:
        """Return the rows of a page, and how many there are in all.

        None if a value is not of its type, or if it is no page but an error, or no JSON.
        """
        try:
            page = self._decoder.decode(body)
            if not body.isascii():
                body.decode()  # msgspec does not look at texts that it passes over
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None if page.error or page.errors else (page.result, page.total_count)


def _decode_dicts(body: bytes) -> Page | None:
    """Return what `PageDecoder` returns, as dicts with values of any type."""
    try:
        page: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(page, dict):
        return None
    fields = cast("dict[str, Any]", page)
    rows, total = fields.get("result"), fields.get("total_count")
    if fields.get("error") or fields.get("errors") or type(rows) is not list:
        return None
    return (cast("Rows", rows), total) if type(total) is int else None


# The type of a value in JSON, by the type of its field, in a page that msgspec reads. Numbers of
# phones and statuses come as strings and as numbers (contract, section 2).
_IN_JSON: dict[object, Any] = {
    bool: bool,
    int: Int,
    int | None: Int | None,
    str: str | Int,
    str | None: str | None,
    Decimal: Int | float,
    datetime | None: str | None,
}
Taker = Callable[[Rows], list[Any]]
"""Takes one field out of all rows."""
Column = Callable[[list[Any]], list[Any]]
"""Reads the values of one field of all rows."""
Store = Callable[[Any, Any], None]
"""Sets one field of a record."""


def _column_reader(hint: Any, *, typed: bool) -> Column | None:  # noqa: ANN401 - a type hint has no type
    """Return what reads a column, value by value only where one is not of the usual type.

    None if there is nothing to read: the values are `typed` already and what they should be.
    """
    kind, read = next(iter(get_args(hint)), hint), value_reader(hint)
    if is_open_enum(hint):
        known = known_values(hint).get
        return lambda values: [known(value) or read(value) for value in values]
    if kind is datetime:
        return lambda values: _read_times(values, read)
    if kind is Decimal:
        return lambda values: [AMOUNTS[v] if type(v) is float else read(v) for v in values]
    if typed and hint is not str:
        return None
    if admits_none(hint):
        return lambda values: [v if v is None or type(v) is kind else read(v) for v in values]
    return lambda values: [v if type(v) is kind else read(v) for v in values]


_TO_THE_SECOND = len("yyyy-MM-dd HH:mm:ss")


def _read_times(values: list[Any], read: Callable[[object], Any]) -> list[Any]:
    parse = datetime.fromisoformat
    try:
        return [parse(v + "+00:00") if v and len(v) == _TO_THE_SECOND else read(v) for v in values]
    except (TypeError, ValueError):
        return list(map(read, values))


def _default(field: "attrs.Attribute[Any]", hint: object) -> object:
    """Return what an absent field is; `NOTHING` if it must be there."""
    return None if admits_none(hint) else field.default


def _fields(record: type[attrs.AttrsInstance]) -> Iterable[Field]:
    hints = get_type_hints(record)
    for field in attrs.fields(record):
        name, hint = field.name, hints[field.name]
        in_json = str | Int | None if is_open_enum(hint) else _IN_JSON[hint]
        default = _default(field, hint)
        yield (name, in_json) if default is attrs.NOTHING else (name, in_json, default)


def _taker(field: "attrs.Attribute[Any]", hint: object, *, of_structs: bool) -> Taker:
    name, default = field.name, _default(field, hint)
    if of_structs:
        get = attrgetter(name)
        return lambda rows: list(map(get, rows))
    if default is attrs.NOTHING:
        return lambda rows: [row[name] for row in rows]
    return lambda rows: [row.get(name, default) for row in rows]


def page_reader(reply: type[HistoryPage[Any]]) -> Callable[[bytes], HistoryPage[Any] | None]:
    """Return a function that reads an answer into a page of records; None is for `decode`."""
    (record,) = get_args(reply)
    hints, structs = get_type_hints(record), msgspec is not None
    decode = PageDecoder(_fields(record)).decode if structs else _decode_dicts
    columns: list[tuple[Taker, Column | None, Store]] = [
        (
            _taker(field, hints[field.name], of_structs=structs),
            _column_reader(hints[field.name], typed=structs),
            getattr(record, field.name).__set__,  # the slot's own setter: frozen or not
        )
        for field in attrs.fields(record)
    ]

    def read(body: bytes) -> HistoryPage[Any] | None:
        if (page := decode(body)) is None:
            return None
        rows, total = page
        records: list[Any] = list(map(object.__new__, repeat(record, len(rows))))
        try:
            for take, convert, store in columns:
                values = take(rows)
                deque(map(store, records, convert(values) if convert else values), maxlen=0)
        except MISFITS:
            return None
        return HistoryPage(tuple(records), total)

    return read
