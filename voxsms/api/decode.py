"""Read JSON values into records, leniently: the only module that uses cattrs.

A field's type says how its value is read, with every looseness the contract names (section 2,
"Known looseness to accept"): numbers as strings and strings as numbers, second names, null where a
field may also be absent, `[]` for an empty object and `{}` for an empty list. An error names the
path of the value that cannot be read. Pages of rows go through `fast_decode` first.
"""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import (
    BaseValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
    transform_error,
)
from cattrs.gen import make_dict_structure_fn

R = TypeVar("R")
Hook = Callable[[Any, Any], Any]

MISFITS = (ValueError, TypeError, LookupError, AttributeError)
"""The exceptions that reading a value of the wrong kind raises."""
_LOG = logging.getLogger("voxsms")


class Unreadable(ValueError):
    """A value that cannot be read: its path, and what is wrong with it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem


def _mismatch(value: object, wanted: str) -> ValueError:
    return ValueError(f"a value of type {type(value).__name__} where {wanted} was expected")


_EXACT = 2**53


def _is_whole(value: float) -> bool:
    """Return whether a double is the whole number on the wire, not one rounded to it."""
    return abs(value) < _EXACT and value.is_integer()


def _read_int(value: object, _: object = None) -> int:
    if type(value) is int:
        return value
    if isinstance(value, float) and _is_whole(value):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    raise _mismatch(value, "a whole number")


def _read_str(value: object, _: object = None) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int or (isinstance(value, float) and _is_whole(value)):
        return str(int(value))
    raise _mismatch(value, "a string")


def _read_bool(value: object, _: object = None) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _mismatch(value, "true or false")


class Amounts(dict[float, Decimal]):
    """Amounts by the double they were read as: prices repeat (`benchmarks/README.md`, "amounts").

    orjson reads a JSON number as a double, whose shortest form is the number on the wire up to 15
    significant digits.
    """

    _MAX = 4096

    def __missing__(self, amount: float) -> Decimal:
        """Read an amount, and keep it unless there are too many."""
        if len(self) >= self._MAX:
            self.clear()
        self[amount] = value = Decimal(repr(amount))
        return value


AMOUNTS = Amounts()


def _read_decimal(value: object, _: object = None) -> Decimal:
    if type(value) is float:
        return AMOUNTS[value]
    if type(value) is int:
        return Decimal(value)
    if not isinstance(value, str):
        raise _mismatch(value, "an amount")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("a string that is not an amount") from None
    if not amount.is_finite():
        raise ValueError("an amount that is not finite")
    return amount


_IN_NO_CALENDAR = re.compile(r"-?\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d.*)?", re.ASCII)


def read_time(text: str) -> datetime | None:
    """Return the UTC time in a text; every reader of records uses this rule.

    An empty text is None. So is a well-formed but impossible time, such as `0000-00-00 00:00:00`
    (MySQL's zero), `-0001-11-30` (PHP's reading of it), a 13th month, or a year outside 1 to 9999:
    its row has no time, and a warning is logged, once per process and without the value. One such
    row must not stop the reading of a whole history.

    Raises:
        ValueError: the text is not written as a time.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        if _IN_NO_CALENDAR.fullmatch(text):
            warn_of_impossible_time()
            return None
        raise ValueError("a string that is not a time of the form yyyy-MM-dd HH:mm:ss") from None


@cache
def warn_of_impossible_time() -> None:
    """Log that a row has no time because the one it came with is impossible; once per process."""
    _LOG.warning("a row has an impossible time; its time is None")


def _read_time(value: object, _: object = None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _mismatch(value, "a time")
    return read_time(value)


def _enum_of(hint: object) -> type[StrEnum] | None:
    """Return the enumeration in a hint such as `Direction | str`, which may gain values."""
    if get_origin(hint) is not UnionType:
        return None
    return next((a for a in get_args(hint) if isinstance(a, type) and issubclass(a, StrEnum)), None)


def is_open_enum(hint: object) -> bool:
    """Return whether a field is an enumeration that may gain values."""
    return _enum_of(hint) is not None


def known_values(hint: object) -> dict[str, StrEnum]:
    """Return the members of an open enumeration by their values, in either case."""
    members = list(_enum_of(hint) or ())
    return {m.value.lower(): m for m in members} | {m.value: m for m in members}


def admits_none(hint: object) -> bool:
    """Return whether a field may be absent or null."""
    return get_origin(hint) is UnionType and type(None) in get_args(hint)


def _read_open_enum(hint: object) -> Hook:
    known, nullable = known_values(hint), admits_none(hint)

    def read(value: object, _: object) -> str | None:
        if value is None and nullable:
            return None
        text = _read_str(value)
        return known.get(text, text)

    return read


_misfit = cast("Any", IterableValidationError)  # pyright does not see its third argument


def _read_tuple(hint: object, converter: Converter) -> Hook:
    item = get_args(hint)[0]
    read_item = converter.get_structure_hook(item)

    def read(value: object, _: object) -> tuple[object, ...]:
        if value == {}:  # PHP's empty list
            return ()
        if not isinstance(value, list):
            raise _mismatch(value, "a list")
        items = cast("list[object]", value)
        if item is str and set(map(type, items)) == {str}:  # nothing to convert
            return tuple(items)
        found: list[object] = []
        for each in items:
            try:
                found.append(read_item(each, item))
            except (*MISFITS, BaseValidationError) as error:
                # Only the first: checking all of a long answer would hold up the event loop.
                error.add_note(IterableValidationNote("", len(found), item))
                raise _misfit("", [error], list) from None
        return tuple(found)

    return read


def _is_tuple(hint: object) -> bool:
    return get_origin(hint) is tuple


def _is_record(hint: object) -> bool:
    return attrs.has(get_origin(hint) or cast("type", hint))


def _read_record(record: Any, converter: Converter) -> Hook:  # noqa: ANN401 - a generic alias has no type
    structure = cast("Hook", make_dict_structure_fn(record, converter))
    kind = get_origin(record) or record
    second_names = {f.name: f.metadata["also"] for f in attrs.fields(kind) if f.metadata}
    hints = get_type_hints(kind)
    # Their order in the record allows them no default, but they may be absent.
    nullable = [
        f.name
        for f in attrs.fields(kind)
        if f.default is attrs.NOTHING and admits_none(hints[f.name])
    ]

    def read(value: object, _: object) -> object:
        if value == []:  # PHP's empty object
            value = {}
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        present: dict[str, object] = value  # pyright: ignore[reportUnknownVariableType]
        if None in present.values():  # null is the same as absent
            present = {key: item for key, item in present.items() if item is not None}
        elif second_names or nullable:
            present = {**present}
        for name, second in second_names.items():
            if second in present:
                present.setdefault(name, present[second])
        for name in nullable:
            present.setdefault(name, None)
        return structure(present, record)

    return read


def _make_converter() -> Converter:
    converter = Converter()
    for kind, hook in (
        (int, _read_int), (str, _read_str), (bool, _read_bool), (Decimal, _read_decimal)
    ):  # fmt: skip
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook(datetime | None, _read_time)
    converter.register_structure_hook_factory(is_open_enum, _read_open_enum)
    converter.register_structure_hook_factory(_is_tuple, _read_tuple)
    converter.register_structure_hook_factory(_is_record, _read_record)
    return converter


_CONVERTER = _make_converter()
_hook: Callable[[Any], Hook] = cache(_CONVERTER.get_structure_hook)


def value_reader(hint: Any) -> Callable[[object], Any]:  # noqa: ANN401 - a type hint has no type
    """Return a function that reads a value of a type, or raises one of `MISFITS`."""
    hook = _hook(hint)
    return lambda value: hook(value, hint)


def read(record: type[R], value: object) -> R:
    """Read a JSON value into a record.

    Raises:
        Unreadable: the path to the first value that cannot be read, and what is wrong with it.
    """
    try:
        found: R = _hook(record)(value, record)
    except (BaseValidationError, ValueError) as error:
        # Each line of cattrs is "problem @ $.path"; the first is the first fault.
        first = transform_error(error, format_exception=_describe)[0]
    else:
        return found
    problem, _, path = first.rpartition(" @ ")
    # Not chained: the cause may have the value in its text.
    raise Unreadable(path.removeprefix("$").removeprefix(".") or "$", problem) from None


def _describe(error: BaseException, _: type[object] | None) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
