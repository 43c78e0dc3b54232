"""Read pages of rows into records: the fast path for the usual answer.

A page of a history has a thousand rows with the same fields. One loop, compiled for the record
class, reads a value in place if it has its usual type, and otherwise with the reader of `decode`.
If that fails too, the page is left to `decode`, which says what is wrong. What each step costs:
`benchmarks/README.md`, "Typed rows".

With msgspec (the extras `export` and `parquet`) the rows are structs, without it dicts from orjson.
Both produce the same records, except for a number beyond any double in a field that voxsms does not
know: orjson refuses that.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
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
"""Within 64 bits: orjson reads some larger numbers as doubles, and all readers must agree."""
try:
    import msgspec
except ModuleNotFoundError:
    msgspec, Int = None, int
else:
    Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

Struct = Any
"""A row: an attribute for each field that is needed."""
Field = tuple[str, Any] | tuple[str, Any, object]
"""Name, type, and the value if it is absent; without such a value it is required."""
Rows = Sequence[Any]
Page = tuple[Rows, int]
"""Rows as received, and how many there are in all."""


class PageDecoder:
    """Reads answers into structs that have some of the fields of each row; needs msgspec."""

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

        None if a value has the wrong type, or if the body is an error or not JSON.
        """
        try:
            page = self._decoder.decode(body)
            if not body.isascii():
                body.decode()  # msgspec does not check texts that it skips
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None if page.error or page.errors else (page.result, page.total_count)


def _decode_dicts(body: bytes) -> Page | None:
    """Return the same as `PageDecoder`, but dicts with values of any type."""
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


# The type of a value in JSON, by the type of its field, in a page that msgspec reads. Phone numbers
# and statuses come as strings and as numbers (contract, section 2).
_IN_JSON: dict[object, Any] = {
    bool: bool,
    int: Int,
    int | None: Int | None,
    str: str | Int,
    str | None: str | None,
    Decimal: Int | float,
    datetime | None: str | None,
}
# How to read a value of the usual type in place, by the type of its field: `v` is the value. The
# reader of `decode` reads any other.
_IN_PLACE: dict[object, str] = {
    datetime: 'parse(v + "+00:00") if (v := {value}) and len(v) == 19 else read_{name}(v)',
    Decimal: "amounts[v] if type(v := {value}) is float else read_{name}(v)",
}
_CHOICE = "known_{name}(v := {value}) or read_{name}(v)"
_OR_NONE = "v if (v := {value}) is None or type(v) is {kind} else read_{name}(v)"
_PLAIN = "v if type(v := {value}) is {kind} else read_{name}(v)"
_READ_ROWS = """
def read_rows(rows):
    records = []
    for row in rows:
        record = new(unlocked)
        {fields}
        record.__class__ = kind
        records.append(record)
    return records
"""


def _read_in_place(hint: Any) -> str:  # noqa: ANN401 - a type hint has no type
    """Return the expression that reads a field of a type."""
    if is_open_enum(hint):
        return _CHOICE
    kind = next(iter(get_args(hint)), hint)
    usual = (_OR_NONE if admits_none(hint) else _PLAIN).replace("{kind}", kind.__name__)
    return _IN_PLACE.get(kind, usual)


def _default(field: "attrs.Attribute[Any]", hint: object) -> object:
    """Return the value of an absent field; `NOTHING` if the field is required."""
    return None if admits_none(hint) else field.default


def _fields(record: type[attrs.AttrsInstance]) -> Iterable[Field]:
    hints = get_type_hints(record)
    for field in attrs.fields(record):
        name, hint = field.name, hints[field.name]
        in_json = str | Int | None if is_open_enum(hint) else _IN_JSON[hint]
        default = _default(field, hint)
        yield (name, in_json) if default is attrs.NOTHING else (name, in_json, default)


def _compile(record: type[attrs.AttrsInstance], *, of_structs: bool) -> Callable[[Rows], list[Any]]:
    """Compile the loop that turns rows into records; it raises one of `MISFITS` for an odd row.

    The `__init__` of a frozen class would take as long as everything else. So the fields are set on
    an instance of an unlocked subclass, which then becomes the record.
    """
    unlocked = type(
        record.__name__,
        (record,),
        # Both, or each assignment would look them up in Python.
        {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__},
    )
    names: dict[str, Any] = {
        "new": object.__new__,
        "unlocked": unlocked,
        "kind": record,
        "amounts": AMOUNTS,
        "parse": datetime.fromisoformat,
    }
    hints, fields = get_type_hints(record), list[str]()
    for field in attrs.fields(record):
        name, hint = field.name, hints[field.name]
        names |= {f"read_{name}": value_reader(hint), f"known_{name}": known_values(hint).get}
        value = f"row.{name}"
        if not of_structs:
            default = _default(field, hint)
            value = (
                f"row[{name!r}]" if default is attrs.NOTHING else f"row.get({name!r}, {default})"
            )
        fields.append(f"record.{name} = {_read_in_place(hint).format(name=name, value=value)}")
    exec(_READ_ROWS.format(fields="\n        ".join(fields)), names)  # noqa: S102 - of our own classes' names alone
    return cast("Callable[[Rows], list[Any]]", names["read_rows"])


def page_reader(reply: type[HistoryPage[Any]]) -> Callable[[bytes], HistoryPage[Any] | None]:
    """Return a function that reads an answer into a page of records, or None to use `decode`."""
    (record,) = get_args(reply)
    structs = msgspec is not None
    decode = PageDecoder(_fields(record)).decode if structs else _decode_dicts
    read_rows = _compile(record, of_structs=structs)

    def read(body: bytes) -> HistoryPage[Any] | None:
        if (page := decode(body)) is None:
            return None
        rows, total = page
        try:
            return HistoryPage(tuple(read_rows(rows)), total)
        except MISFITS:
            return None

    return read
