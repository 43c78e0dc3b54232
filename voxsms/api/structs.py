"""Pages of rows straight from JSON into structs, and from these into records.

msgspec checks the type of each value while it reads and makes no dicts: to read a page of a history
takes half as long as with orjson. It is not among what voxsms always needs: without it, and where a
value is not of the type that it usually has, `voxsms/api/codec.py` reads the same by way of dicts
(but for a number beyond any double in a field that voxsms does not know: orjson refuses that).
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast, get_args, get_type_hints

import attrs
import msgspec

from voxsms.api.models import HistoryPage
from voxsms.api.records import IN_PLACE, UNUSUAL, Source, admits_none, compiled, is_open_enum

Int: Any = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Beyond that orjson reads some numbers as doubles: its way is taken, so that both ways agree."""
Struct = Any
"""A row: an attribute for each field that is needed."""
Field = tuple[str, Any] | tuple[str, Any, object]
"""Name, type, and what it is where it is absent; without that it must be there."""


class PageDecoder:
    """Reads answers into structs with some of the fields of each row."""

    def __init__(self, fields: Iterable[Field]) -> None:
        row: Any = msgspec.defstruct("Row", fields, kw_only=True, gc=False)
        anything = Any, None
        page = msgspec.defstruct(
            "Page",
            [
                ("result", list.__class_getitem__(row)),
                ("total_count", Int),
                ("error", *anything),
                ("errors", *anything),
            ],
        )
        self._decoder: Any = msgspec.json.Decoder(page)

    def decode(self, body: bytes) -> tuple[list[Struct], int] | None:
        """Give the rows of a page, and how many there are in all.

        None if a value is not of its type, or if it is no page but an error, or no JSON.
        """
        try:
            page = self._decoder.decode(body)
            if not body.isascii():
                body.decode()  # msgspec does not look at texts that it passes over
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None if page.error or page.errors else (page.result, page.total_count)


# The types that the value of a field usually has on the wire, by the field's own: numbers of phones
# and statuses stand there as strings and as numbers (contract, section 2).
_TYPES: dict[object, Any] = {
    bool: bool,
    int: Int,
    str: str | Int,
    Decimal: Int | float,
    datetime: str,
}
_AS_IT_IS: dict[object, str] = dict.fromkeys((bool, int, int | None), "{value}")
_STRUCTS = Source(
    "data.{key}", "data.{key}", in_place={**IN_PLACE, **_AS_IT_IS}, knows_defaults=True
)


def page_reader(reply: type[HistoryPage[Any]]) -> Callable[[bytes], HistoryPage[Any] | None]:
    """Give a function that reads an answer into a page of records, or gives None as above."""
    (record,) = get_args(reply)
    decoder, read_all = PageDecoder(_fields(record)), compiled(record, _STRUCTS)

    def read(body: bytes) -> HistoryPage[Any] | None:
        if (found := decoder.decode(body)) is None:
            return None
        rows, total = found
        try:
            return HistoryPage(tuple(read_all(rows)), total)
        except UNUSUAL:
            return None

    return read


def _fields(record: type[attrs.AttrsInstance]) -> Iterable[Field]:
    hints = get_type_hints(record)
    for field in attrs.fields(record):
        hint, default = hints[field.name], cast("object", field.default)
        of = str if is_open_enum(hint) else next(iter(get_args(hint)), hint)
        if admits_none(hint):
            yield field.name, _TYPES[of] | None, None
        elif default is attrs.NOTHING:
            yield field.name, _TYPES[of]
        else:
            yield field.name, _TYPES[of], default
