"""The columns of a history, and what their values look like when they are tidy.

A tidy value is an int or a str by the column's kind, or None; an amount may still be the JSON
number that it came as, and a choice be in another case. What is not tidy is read with the readers
of the typed records, so that an export and `async for` can not disagree on what a value means; only
a missing one is let be.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Any, TypeGuard, get_args, get_type_hints

import attrs

from voxsms.api.decode import Unreadable, read
from voxsms.errors import ResponseInvalid


class Kind(Enum):
    """What a column holds."""

    INT = "whole numbers"
    TEXT = "texts"
    CHOICE = "texts of which there are few"
    MONEY = "amounts"
    TIME = "times in UTC as yyyy-MM-dd HH:mm:ss, or yyyy-MM-dd where no more is known"


_KINDS = {int: Kind.INT, str: Kind.TEXT, Decimal: Kind.MONEY, datetime: Kind.TIME}
_TIDY: Mapping[Kind, frozenset[type]] = {
    Kind.INT: frozenset([int]),
    Kind.TEXT: frozenset([str]),
    Kind.CHOICE: frozenset([str]),
    Kind.MONEY: frozenset([int, float]),
    Kind.TIME: frozenset(),
}
TIME_LENGTH = len("yyyy-MM-dd HH:mm:ss")
_DATE_ALONE = len("yyyy-MM-dd")
_MOST_ZEROS = 60


@attrs.frozen
class Field:
    """A field of a history's rows."""

    name: str
    kind: Kind
    hint: Any
    """Its type in the typed record."""
    known: Mapping[str, str]
    """The values that a choice is known to have, in either case."""

    @classmethod
    def of(cls, name: str, hint: Any) -> "Field":  # noqa: ANN401 - a type hint has no type
        """Make a field of a record's."""
        types = [each for each in get_args(hint) or (hint,) if each is not type(None)]
        choice = next((each for each in types if issubclass(each, StrEnum)), None)
        members: list[str] = [] if choice is None else [member.value for member in choice]
        kind = _KINDS[types[0]] if choice is None else Kind.CHOICE
        return cls(name, kind, hint, {m.lower(): m for m in members} | {m: m for m in members})

    def known_as(self, value: str | None) -> str | None:
        """Give a choice in the case in which it is known, if it is."""
        return value if value is None else self.known.get(value, value)

    def are_tidy(self, values: Collection[object]) -> bool:
        """Tell if values are as they are to be; a time never is by its type alone."""
        return {*map(type, values)} <= {type(None), *_TIDY[self.kind]}

    def tidy(self, value: object) -> Any:  # noqa: ANN401 - see above
        """Read a value however it came. Raises `Unreadable`."""
        if value is None or type(value) in _TIDY[self.kind]:
            return value
        if type(value) is int and str in _TIDY[self.kind]:
            return str(value)
        found: object = read(self.hint, value)
        if isinstance(found, datetime):
            text = found.replace(tzinfo=None).isoformat(" ")
            return text[:_DATE_ALONE] if len(str(value)) <= _DATE_ALONE else text
        if isinstance(found, Decimal):
            return decimal_text(found)
        return found.value if isinstance(found, StrEnum) else found


@attrs.frozen
class Layout:
    """The columns of one history."""

    cmd: str
    """Its method's name on the wire."""
    fields: tuple[Field, ...]
    time: Field
    """Says when a message was processed."""
    message_id: Field

    @classmethod
    def of(cls, cmd: str, record: type[attrs.AttrsInstance]) -> "Layout":
        """Give the columns of a history by the class of its typed rows."""
        hints = get_type_hints(record)
        fields = tuple(Field.of(each.name, hints[each.name]) for each in attrs.fields(record))
        (time,) = (field for field in fields if field.kind is Kind.TIME)
        return cls(cmd, fields, time, next(f for f in fields if f.name == "message_id"))

    def tidy(self, field: Field, value: object) -> Any:  # noqa: ANN401 - see above
        """Read a value of a field. Raises `ResponseInvalid`."""
        try:
            return field.tidy(value)
        except Unreadable as trouble:
            raise ResponseInvalid(self.cmd, f"result[].{field.name}", trouble.problem) from trouble

    def tidy_times(self, values: Iterable[object]) -> list[str | None]:
        """Read the values of the time column; those that are to the second are as they are."""
        return [value if _is_whole_time(value) else self.tidy(self.time, value) for value in values]


def decimal_text(value: Decimal) -> str:
    """Write a decimal without an exponent, unless that would be absurdly long."""
    exponent = value.as_tuple().exponent
    short = isinstance(exponent, int) and abs(exponent) <= _MOST_ZEROS
    return f"{value:f}" if short else str(value)


class _Amounts(dict[float | str | None, str | None]):
    """The texts of amounts: prices repeat."""

    _MOST = 4096

    def __missing__(self, amount: float | str | None) -> str | None:
        if len(self) >= self._MOST:
            self.clear()
        self[amount] = text = _amount_text(amount)
        return text


def _amount_text(amount: float | str | None) -> str | None:
    if amount is None or isinstance(amount, str):
        return amount
    # 1 and 1.0 are one key: they need one text. Nor is there a zero below zero.
    return decimal_text(Decimal(repr(amount))).removesuffix(".0") if amount else "0"


_amounts = _Amounts()


def amount_texts(values: list[Any]) -> list[str | None]:
    """Write tidy amounts as text."""
    return list(map(_amounts.__getitem__, values))


_SHAPE = "0000-00-00 00:00:00"
_FIGURES = str.maketrans("123456789", "0" * 9)


def _is_whole_time(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and are_whole_times([value])


def are_whole_times(values: list[Any]) -> TypeGuard[list[str]]:
    """Tell if times are all there and of the documented form."""
    if None in values:
        return False
    joined = "\n".join(values) + "\n"
    if joined.translate(_FIGURES) != _shapes(len(values)):
        return False
    try:
        deque(map(datetime.fromisoformat, values), maxlen=0)
    except ValueError:  # no calendar has one of them: `read_time` has the rule for it
        return False
    return True


@lru_cache(4)
def _shapes(count: int) -> str:
    return (_SHAPE + "\n") * count
