"""JSON values into records: the only home of cattrs.

A field's type says how its value is read, with every looseness the contract names (section 2,
"Known looseness to accept"). Two converters share the readers of single values:

- the quick one compiles a function for each record class that tells the usual type of each value in
  place and calls a reader only for another: a whole history comes through here, and this takes half
  the time of cattrs' own functions (`voxsms/api/structs.py` has the same for structs);
- the patient one, asked only when the quick one gave up, also knows second names and nulls, and
  names the path to what can not be read.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

R = TypeVar("R")
Hook = Callable[[Any, Any], Any]
_UTC_SUFFIX = "+00:00"
_LOG = logging.getLogger("voxsms")


UNUSUAL = (ValueError, TypeError, LookupError, AttributeError)
"""What the quick converter raises for what only the patient one can read, or explain."""


class Unreadable(ValueError):
    """A value that can not be read: where it stands, and what is wrong with it."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem


def _mismatch(value: object, wanted: str) -> ValueError:
    return ValueError(f"a value of type {type(value).__name__} where {wanted} was expected")


_EXACT = 2**53


def _is_whole(value: float) -> bool:
    """Tell if a double is the whole number that stood on the wire, not one rounded to it."""
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


class _Money(dict[float, Decimal]):
    """Amounts by the double they came as: prices repeat, and a look-up is a tenth of a parse.

    orjson reads a JSON number as a double, whose shortest form is the number on the wire up to 15
    significant digits.
    """

    _MOST = 4096

    def __missing__(self, amount: float) -> Decimal:
        if len(self) >= self._MOST:
            self.clear()
        self[amount] = value = Decimal(repr(amount))
        return value


_money = _Money()


def _read_decimal(value: object, _: object = None) -> Decimal:
    if type(value) is float:
        return _money[value]
    if type(value) is int:
        return Decimal(value)
    if not isinstance(value, str):
        raise _mismatch(value, "an amount")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("a string that is no amount") from None
    if not amount.is_finite():
        raise ValueError("an amount that is not finite")
    return amount


_IN_NO_CALENDAR = re.compile(r"-?\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d.*)?", re.ASCII)


def read_time(text: str) -> datetime | None:
    """Return the UTC time of a record that came as text: the one rule of every reader.

    An empty text is None. So is a time that is written as times are and that no calendar has, such
    as `0000-00-00 00:00:00` (MySQL's zero), `-0001-11-30` (PHP's reading of it), a 13th month, or
    one outside the years 1 to 9999: its row comes without a time, and a warning is logged, once a
    process and without the value. One such row must not end the reading of a whole history.

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
        raise ValueError("a string that is no time of the form yyyy-MM-dd HH:mm:ss") from None


@cache
def warn_of_impossible_time() -> None:
    """Log that a row has no time because no calendar has the one it came with; once a process."""
    _LOG.warning("a row came with a time that no calendar has; its time is None")


def _read_time(value: object, _: object = None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _mismatch(value, "a time")
    return read_time(value)


def _enum_of(hint: object) -> type[StrEnum] | None:
    """Give the enumeration in a hint such as `Direction | str`, whose values may grow."""
    if get_origin(hint) is not UnionType:
        return None
    return next((a for a in get_args(hint) if isinstance(a, type) and issubclass(a, StrEnum)), None)


def is_open_enum(hint: object) -> bool:
    """Tell if a field is an enumeration whose values may grow."""
    return _enum_of(hint) is not None


def _known_values(hint: object) -> dict[str, StrEnum]:
    """Give the members of an open enumeration by their values, in either case."""
    members = list(_enum_of(hint) or ())
    return {m.value.lower(): m for m in members} | {m.value: m for m in members}


def _read_open_enum(hint: object) -> Hook:
    known, nullable = _known_values(hint), admits_none(hint)

    def read(value: object, _: object) -> str | None:
        if value is None and nullable:
            return None
        text = _read_str(value)
        return known.get(text, text)

    return read


def _is_tuple(hint: object) -> bool:
    return get_origin(hint) is tuple


def _read_tuple(hint: object, converter: Converter) -> Hook:
    item = get_args(hint)[0]
    read_list = list_structure_factory(cast("Any", list)[item], converter)

    def read(value: object, _: object) -> tuple[object, ...]:
        if value == {}:  # PHP writes an empty list so
            return ()
        if not isinstance(value, list):
            raise _mismatch(value, "a list")
        return tuple(read_list(cast("list[object]", value), None))

    return read


def _is_record(hint: object) -> bool:
    return attrs.has(get_origin(hint) or cast("type", hint))


def _read_patiently(record: Any, converter: Converter) -> Hook:  # noqa: ANN401 - a generic alias has no type
    structure = cast("Hook", make_dict_structure_fn(record, converter))
    kind = get_origin(record) or record
    second_names = {f.name: f.metadata["also"] for f in attrs.fields(kind) if f.metadata}
    nullable = [name for name, hint in get_type_hints(kind).items() if admits_none(hint)]

    def read(value: object, _: object) -> object:
        if value == []:  # PHP writes an empty object so
            value = {}
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        data = cast("dict[str, object]", value)
        # null is the same as absent
        present = {key: item for key, item in data.items() if item is not None}
        for name, second in second_names.items():
            if second in present:
                present.setdefault(name, present[second])
        for name in nullable:
            present.setdefault(name, None)
        return structure(present, record)

    return read


def admits_none(hint: object) -> bool:
    """Tell if a field may be absent or null."""
    return get_origin(hint) is UnionType and type(None) in get_args(hint)


# How the usual value of a type is told and taken in place, by the type; `v` is the value, `read`
# the reader for all others.
IN_PLACE: dict[object, str] = {
    int: "v if type(v := {value}) is int else {read}(v, {hint})",
    str: "v if type(v := {value}) is str else {read}(v, {hint})",
    int | None: "v if type(v := {value}) is int or v is None else {read}(v, {hint})",
    str | None: "v if (v := {value}) is None or type(v) is str else {read}(v, {hint})",
    Decimal: "money[v] if type(v := {value}) is float else {read}(v, {hint})",
    datetime | None: (
        "parse(v + utc) if type(v := {value}) is str and len(v) == 19 else {read}(v, {hint})"
    ),
}
_OPEN_ENUM = "known_{key}.get(v, v) if type(v := {value}) is str else {read}(v, {hint})"
_BY_READER = "{read}({value}, {hint})"
# A loop over all rows, since a call for each takes as long as two fields.
_READ_ALL = """
def read_all(rows):
    records = []
    for data in rows:
        {before}
        self = new(unlocked)
        {fields}
        self.__class__ = record
        records.append(self)
    return records
"""


@attrs.frozen
class Source:
    """What records are made of: how a compiled function takes a field out of it."""

    present: str
    """A field that must be there."""
    perhaps: str
    """A field that may not be there."""
    before: str = ""
    """What is done first for each object."""
    in_place: Mapping[object, str] = IN_PLACE
    knows_defaults: bool = False
    """Whether it has the default itself where a field is not there."""


# A value that must be there is looked up by a subscript, which takes half as long as a call; what
# is missing after all is for the patient one to tell.
_DICTS = Source("data[{key!r}]", "get({key!r})", before="get = data.get")


def _read_quickly(record: Any, converter: Converter) -> Hook:  # noqa: ANN401 - a generic alias has no type
    read_all = _compiled(record, converter, _DICTS)

    def read(value: object, _: object) -> object:
        return read_all((value,))[0]

    return read


def _read_tuple_quickly(hint: object, converter: Converter) -> Hook:
    if not _is_record(item := get_args(hint)[0]):
        return _read_tuple(hint, converter)
    read_all = _compiled(item, converter, _DICTS)

    def read(value: object, _: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise _mismatch(value, "a list")
        return tuple(read_all(cast("list[object]", value)))

    return read


def _compiled(
    record: type[R], converter: Converter, source: Source
) -> Callable[[Iterable[Any]], list[R]]:
    """Compile a function that reads objects into records, with one expression a field.

    attrs' own `__init__` of a frozen class takes more time than all the rest. So the fields are set
    on an instance of a subclass with the same layout and no lock, which then becomes the record.
    """
    kind: Any = get_origin(record) or record
    unlocked = type(
        f"Unlocked{kind.__name__}",
        (kind,),
        # Both, or the type falls back to looking them up in Python at each assignment.
        {
            "__slots__": (),
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
        },
    )
    given = dict(zip(getattr(kind, "__parameters__", ()), get_args(record), strict=False))
    names: dict[str, object] = {
        "new": object.__new__, "unlocked": unlocked, "record": kind,
        "money": _money, "parse": datetime.fromisoformat, "utc": _UTC_SUFFIX,
    }  # fmt: skip
    hints = get_type_hints(kind)
    fields: list[str] = []
    for field in attrs.fields(kind):
        hint = _filled(hints[field.name], given)
        reader, default = f"read_{field.name}", f"default_{field.name}"
        names |= {reader: converter.get_structure_hook(hint), default: field.default}
        names |= {f"known_{field.name}": _known_values(hint), f"hint_{field.name}": hint}
        by_type = _OPEN_ENUM if is_open_enum(hint) else source.in_place.get(hint, _BY_READER)
        must = field.default is attrs.NOTHING and not admits_none(hint)
        value = by_type.format(
            key=field.name,
            value=(source.present if must else source.perhaps).format(key=field.name),
            read=reader,
            hint=f"hint_{field.name}",
        )
        if field.default not in (None, attrs.NOTHING) and not source.knows_defaults:
            value = f"{default} if {field.name!r} not in data else {value}"
        fields.append(f"self.{field.name} = {value}")
    body = _READ_ALL.format(before=source.before, fields="\n        ".join(fields))
    exec(body, names)  # noqa: S102 - written from our own classes alone, as attrs and cattrs do
    return cast("Callable[[Iterable[Any]], list[R]]", names["read_all"])


def compiled(record: type[R], source: Source) -> Callable[[Iterable[Any]], list[R]]:
    """Compile a function that reads objects into records.

    It raises one of `UNUSUAL` for what only `read` can read, or explain.
    """
    return _compiled(record, _quick, source)


def _filled(hint: Any, given: dict[Any, Any]) -> Any:  # noqa: ANN401 - a type hint has no type
    """Put the arguments of a generic record in the place of its type variables."""
    free = getattr(hint, "__parameters__", ())
    return hint[tuple(given[each] for each in free)] if free else hint


Factory = Callable[[Any, Converter], Hook]


def _converter(read_record: Factory, read_tuple: Factory, *, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    for kind, hook in (
        (int, _read_int), (str, _read_str), (bool, _read_bool), (Decimal, _read_decimal)
    ):  # fmt: skip
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook(datetime | None, _read_time)
    converter.register_structure_hook_factory(is_open_enum, _read_open_enum)
    converter.register_structure_hook_factory(_is_tuple, read_tuple)
    converter.register_structure_hook_factory(_is_record, read_record)
    return converter


_quick = _converter(_read_quickly, _read_tuple_quickly, detailed=False)
_patient = _converter(_read_patiently, _read_tuple, detailed=True)


def read(record: type[R], value: object) -> R:
    """Read a JSON value into a record, or raise `Unreadable` with the path to the trouble."""
    try:
        return _quick.structure(value, record)
    except UNUSUAL:
        return _read_or_explain(record, value)


def _read_or_explain(record: type[R], value: object) -> R:
    try:
        return _patient.structure(value, record)
    except (BaseValidationError, ValueError) as error:
        # Each line of cattrs is "problem @ $.path"; the first is the first fault.
        first = transform_error(error, format_exception=_in_words)[0]
    problem, _, path = first.rpartition(" @ ")
    # Not chained: what the quick converter stumbled over may have the value in its text.
    raise Unreadable(path.removeprefix("$").removeprefix(".") or "$", problem) from None


def _in_words(error: BaseException, _: type[object] | None) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
