"""Rows: from an answer's bytes to time, key and content, with every value tidy.

The time is text that sorts: `yyyy-MM-dd HH:mm:ss`, shorter if less is known, empty if there is
none. The key identifies a row: its id, or a digest of the row if it has none. The content is what a
format encodes: a struct with the columns' values, or the row's own JSON.

A tidy value is an int or a str by its column's kind, or None; an amount may still be the JSON
number that was received, and a choice may be in another case. Other values are read by the readers
of the typed records, so that an export and `async for` agree on what a value means; only missing
values are left alone. An impossible time is None in both.

msgspec decodes JSON directly into structs and checks types on the way. It accepts an answer only if
each value has its usual type, or one that the contract also names (section 2: phone numbers and
statuses are sent as numbers and as strings). Any other answer, including errors, is read by the
codec, value by value. Figures: `benchmarks/README.md`.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache, lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast, get_args, get_type_hints

import attrs
import orjson

try:
    import msgspec
except ModuleNotFoundError as missing:
    need = "the export needs msgspec: pip install 'voxsms[export]'"
    raise ModuleNotFoundError(need, name=missing.name) from missing

from voxsms.api.codec import Answer, read_payload
from voxsms.api.decode import Unreadable, read
from voxsms.api.fast_decode import Int, PageDecoder
from voxsms.api.spec import AnyMethod
from voxsms.errors import ResponseInvalid

NO_ID = 2**62
"""Keys from here on are digests of rows without an id."""
Line = bytes | msgspec.Raw
"""A row's own JSON; a `Raw` is a view of the whole answer."""
TIME_LENGTH = len("yyyy-MM-dd HH:mm:ss")
DATE_LENGTH = len("yyyy-MM-dd")
_PORTION = 2500
"""Rows that are encoded at a time: `benchmarks/README.md`."""
_INTEGERS = range(-(2**63), 2**64)
"""The integers that can be written as JSON."""


@attrs.frozen
class Rows:
    """Rows by column, as there are millions: an object for each takes a tenth of the whole time."""

    times: list[str]
    keys: list[int]
    contents: list[Any]

    @classmethod
    def joined(cls, parts: Iterable["Rows"]) -> "Rows":
        """Return the rows of all parts."""
        rows = cls([], [], [])
        for part in parts:
            rows.times.extend(part.times)
            rows.keys.extend(part.keys)
            rows.contents.extend(part.contents)
        return rows

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, span: slice) -> "Rows":
        return Rows(*(column[span] for column in self._columns))

    def take(self, indexes: Sequence[int]) -> "Rows":
        """Return some rows, in the order of the indexes."""
        return Rows(*([column[index] for index in indexes] for column in self._columns))

    def sort(self) -> None:
        """Sort the rows by time, within a second by key."""
        if self.times[:1] > self.times[-1:]:  # in place: a copy would touch every row
            for column in self._columns:
                column.reverse()
        if self.times == sorted(self.times) and self.keys == sorted(self.keys):
            return  # usually, as ids ascend with time: four times as fast
        order = sorted(range(len(self)), key=self.keys.__getitem__)
        order.sort(key=self.times.__getitem__)
        for column in self._columns:
            column[:] = [column[index] for index in order]

    def keep(self, start: int, end: int) -> None:
        """Remove the rows before and after a span."""
        for column in self._columns:
            del column[end:]
            del column[:start]

    def portions(self) -> Iterator[list[Any]]:
        """Remove the rows, and yield their contents a portion at a time.

        A portion fits in the processor's cache: a format that is done with it frees it there.
        """
        self.times.clear()
        self.keys.clear()
        while self.contents:
            portion = self.contents[:_PORTION]
            del self.contents[:_PORTION]
            yield portion
            del portion

    @property
    def _columns(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.times, self.keys, self.contents


class Kind(Enum):
    """What a column holds."""

    INT = "whole numbers"
    TEXT = "texts"
    CHOICE = "texts of which there are few"
    MONEY = "amounts"
    TIME = "times in UTC as yyyy-MM-dd HH:mm:ss, or yyyy-MM-dd where no more is known"


_KINDS = {int: Kind.INT, str: Kind.TEXT, Decimal: Kind.MONEY, datetime: Kind.TIME}
_USUAL: Mapping[Kind, Any] = {
    Kind.INT: Int | None,
    Kind.TEXT: str | None,
    Kind.CHOICE: str | None,
    Kind.MONEY: Int | float | None,
    Kind.TIME: str | None,
}
_LOOSE: Mapping[Kind, Any] = {
    kind: types if kind is Kind.TIME else types | Int | str for kind, types in _USUAL.items()
}
_TIDY: Mapping[Kind, frozenset[type]] = {
    Kind.INT: frozenset([int]),
    Kind.TEXT: frozenset([str]),
    Kind.CHOICE: frozenset([str]),
    Kind.MONEY: frozenset([int, float]),
    Kind.TIME: frozenset(),  # a time is never tidy by its type alone
}


@attrs.frozen
class Column:
    """A field of a history's rows."""

    name: str
    kind: Kind
    hint: Any
    """Its type in the typed record."""
    known: Mapping[str, str]
    """The known values of a choice, in either case."""

    @classmethod
    def of(cls, name: str, hint: Any) -> "Column":  # noqa: ANN401 - a type hint has no type
        """Return the column of a record's field."""
        types = [each for each in get_args(hint) or (hint,) if each is not type(None)]
        choice = next((each for each in types if issubclass(each, StrEnum)), None)
        members: list[str] = [] if choice is None else [member.value for member in choice]
        kind = _KINDS[types[0]] if choice is None else Kind.CHOICE
        return cls(name, kind, hint, {m.lower(): m for m in members} | {m: m for m in members})

    def is_tidy(self, value: object) -> bool:
        """Return whether a value is tidy."""
        return value is None or type(value) in _TIDY[self.kind]

    def tidy(self, value: object) -> Any:  # noqa: ANN401 - an int, a str, a float or None
        """Return the tidy value. Raise `Unreadable` if there is none."""
        if self.is_tidy(value):
            return value
        if type(value) is int and str in _TIDY[self.kind]:
            return str(value)
        found: object = read(self.hint, value)
        if isinstance(found, datetime):
            text = found.replace(tzinfo=None).isoformat(" ")
            return text[:DATE_LENGTH] if len(str(value)) <= DATE_LENGTH else text
        if isinstance(found, Decimal):
            return decimal_text(found)
        if isinstance(found, int) and found not in _INTEGERS:
            raise Unreadable(self.name, "a whole number of more than 64 bits")
        return found.value if isinstance(found, StrEnum) else found


@attrs.frozen
class Layout:
    """The columns of one history."""

    cmd: str
    """Its method's name on the wire."""
    columns: tuple[Column, ...]
    time: Column
    """The time when a message was processed."""

    @classmethod
    def of(cls, cmd: str, record: type[attrs.AttrsInstance]) -> "Layout":
        """Return the columns of a history by the class of its typed rows."""
        hints = get_type_hints(record)
        columns = tuple(Column.of(each.name, hints[each.name]) for each in attrs.fields(record))
        (time,) = (column for column in columns if column.kind is Kind.TIME)
        return cls(cmd, columns, time)

    def tidy(self, column: Column, value: object) -> Any:  # noqa: ANN401 - see above
        """Return the tidy value of a column. Raise `ResponseInvalid` if there is none."""
        try:
            return column.tidy(value)
        except Unreadable as trouble:
            raise ResponseInvalid(self.cmd, f"result[].{column.name}", trouble.problem) from trouble

    def parse(self, line: Line) -> dict[str, Any]:
        """Return a row's JSON as a dict. Raise `ResponseInvalid`, which does not show the row."""
        try:
            row: dict[str, Any] = orjson.loads(bytes(line))
        except orjson.JSONDecodeError:
            problem = "a number beyond any double"
            raise ResponseInvalid(self.cmd, "result", problem) from None
        return row


@attrs.frozen
class Page:
    """The rows of one answer."""

    rows: Rows
    total: int
    """How many rows match in all."""
    all_timed: bool
    """Whether every row has a time, to the second."""
    date: str = ""
    """The date header of the answer."""
    offset: int = 0

    @property
    def end(self) -> int:
        """The offset after its last row."""
        return self.offset + len(self.rows)


class _RawPage(msgspec.Struct):
    result: list[msgspec.Raw]


_raw_page: Any = msgspec.json.Decoder(_RawPage)
_OF_ONE_TYPE = ("message_id", "source_number", "destination_number", "status_id")
"""Fields that are made tidy even if a row keeps its own JSON."""


class RowReader:
    """Reads answers of one history.

    Args:
        method: the history's method.
        layout: its columns.
        as_json: whether the content of a row is its own JSON, not a struct of its columns.
    """

    def __init__(self, method: AnyMethod, layout: Layout, *, as_json: bool) -> None:
        self._method = method
        self._layout = layout
        self._as_json = as_json
        wanted = {layout.time.name, *_OF_ONE_TYPE}
        self._columns = [c for c in layout.columns if not as_json or c.name in wanted]
        self._usual, self._loose = (
            PageDecoder((column.name, types[column.kind], None) for column in self._columns)
            for types in (_USUAL, _LOOSE)
        )

    def read(self, answer: Answer) -> Page:
        """Return the rows of an answer. Raise `ApiError` and `ResponseInvalid`."""
        if answer.status == HTTPStatus.OK:
            if (found := self._usual.decode(answer.body)) is not None:
                return self._page(*found, answer)
            if (found := self._loose.decode(answer.body)) is not None:
                rows, total = found
                return self._page(rows, total, answer, self._tidy_all(rows))
        return self._read_patiently(answer)

    def _page(
        self,
        rows: list[Any],
        total: int,
        answer: Answer,
        changed: Mapping[int, dict[str, Any]] | None = None,
        came: Sequence[object] = (),
    ) -> Page:
        time = self._layout.time
        times = take(rows, time.name)
        if not (all_timed := are_whole_times(times)):
            for index, value in enumerate(times):
                times[index] = "" if value is None else self._tidy_time(value)
                setattr(rows[index], time.name, times[index] or None)
        keys = self._keys(take(rows, "message_id"), answer, came)
        contents: list[Any] = self._lines(answer, changed or {}, came) if self._as_json else rows
        date = answer.headers.get("date", "")
        return Page(Rows(times, keys, contents), total, all_timed, date)

    def _tidy_time(self, value: str) -> str:
        if are_whole_times([value]):
            return value
        text: str | None = self._layout.tidy(self._layout.time, value)
        return text or ""

    def _tidy_all(self, rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
        """Make all values except times tidy; return the changed ones, by row."""
        changed: dict[int, dict[str, Any]] = {}
        for column in self._columns:
            if column.kind is Kind.TIME:
                continue
            for index, value in enumerate(take(rows, column.name)):
                if not column.is_tidy(value):
                    tidy = self._layout.tidy(column, value)
                    setattr(rows[index], column.name, tidy)
                    changed.setdefault(index, {})[column.name] = tidy
        return changed

    def _keys(self, ids: list[int | None], answer: Answer, came: Sequence[object]) -> list[int]:
        known = cast("list[int]", ids)
        if None not in ids and max(known, default=0) < NO_ID:
            return known
        lines = _raw_lines(answer, came)
        return [
            _digest(line) if row_id is None else row_id % NO_ID
            for row_id, line in zip(ids, lines, strict=True)
        ]

    def _lines(
        self, answer: Answer, changed: Mapping[int, dict[str, Any]], came: Sequence[object]
    ) -> list[Line]:
        """Return each row's JSON on one line: as received, except values of the wrong type."""
        lines = _raw_lines(answer, came)
        parse = self._layout.parse
        for index, values in changed.items():
            lines[index] = orjson.dumps(parse(lines[index]) | values)
        if not _has_line_ends(answer.body.rstrip()):
            return lines
        return [orjson.dumps(parse(e)) if _has_line_ends(bytes(e)) else e for e in lines]

    def _read_patiently(self, answer: Answer) -> Page:
        cmd, payload = self._method.cmd, read_payload(self._method, answer)
        found = payload.get("result")
        if found == {}:  # PHP writes an empty list like this
            found = []
        kinds = {*map(type, cast("list[object]", found))} if isinstance(found, list) else {None}
        if not kinds <= {dict}:
            raise ResponseInvalid(cmd, "result", "not a list of rows")
        try:
            total = read(int, payload.get("total_count"))
        except Unreadable as trouble:
            raise ResponseInvalid(cmd, "total_count", trouble.problem) from None
        came = cast("list[dict[str, Any]]", found)
        names = [column.name for column in self._columns]
        rows = [SimpleNamespace(**{name: row.get(name) for name in names}) for row in came]
        time = self._layout.time
        for row in rows:
            setattr(row, time.name, self._layout.tidy(time, getattr(row, time.name)))
        return self._page(rows, total, answer, self._tidy_all(rows), came)


def _raw_lines(answer: Answer, came: Sequence[object]) -> list[Line]:
    """Return each row as received, or as the codec read it."""
    try:
        lines: list[Line] = _raw_page.decode(answer.body).result
    except (msgspec.MsgspecError, RecursionError):
        return [orjson.dumps(row) for row in came]
    return lines


def _digest(line: Line) -> int:
    return NO_ID + int.from_bytes(hashlib.sha256(line).digest()[:8]) % NO_ID


def _has_line_ends(json: bytes) -> bool:
    return b"\n" in json or b"\r" in json


def take(rows: Sequence[Any], name: str) -> list[Any]:
    """Return one attribute of all rows."""
    return _taker(name)(rows)


@cache
def _taker(name: str) -> Callable[[Sequence[Any]], list[Any]]:
    # Compiled for each name, so that the interpreter specializes the attribute access: half the
    # time of `map` and `attrgetter`.
    taker: Callable[[Sequence[Any]], list[Any]] = eval(f"lambda rows: [row.{name} for row in rows]")  # noqa: S307 - a name of our own records
    return taker


_SHAPE = "0000-00-00 00:00:00"
_FIGURES = str.maketrans("123456789", "0" * 9)


def are_whole_times(values: Collection[str | None]) -> bool:
    """Return whether all times are present, in the documented form and possible."""
    if None in values:
        return False
    times = cast("Collection[str]", values)
    joined = "\n".join([*times, ""])
    if joined.translate(_FIGURES) != _shapes(len(times)):
        return False
    try:
        deque(map(datetime.fromisoformat, times), maxlen=0)
    except ValueError:  # `read_time` handles these
        return False
    return True


@lru_cache(4)
def _shapes(count: int) -> str:
    return (_SHAPE + "\n") * count


_MAX_ZEROS = 60
_MAX_AMOUNTS = 4096


def decimal_text(value: Decimal) -> str:
    """Return a decimal without an exponent, unless that would be absurdly long."""
    exponent = value.as_tuple().exponent
    short = isinstance(exponent, int) and abs(exponent) <= _MAX_ZEROS
    return f"{value:f}" if short else str(value)


@lru_cache(_MAX_AMOUNTS)
def amount_text(amount: float | str | None) -> str | None:
    """Return a tidy amount as text; prices repeat, so recent ones are cached."""
    if amount is None or isinstance(amount, str):
        return amount
    # 1 and 1.0 are the same cache key, so they need the same text; and -0.0 is 0.
    return decimal_text(Decimal(repr(amount))).removesuffix(".0") if amount else "0"
