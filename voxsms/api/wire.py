"""Wire types: how one parameter is checked, written, and read on the other side.

On the wire everything is text (shared contract, section 1): booleans are `true`/`false`, lists are
joined with `;`, times are `yyyy-MM-dd HH:mm:ss` in UTC. A type's `write` turns a user's value into
text, its `read` turns text from the wire into a value; both may raise `WireFaults`.
"""

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, cast

import attrs

from voxsms.api.phone_numbers import (
    check_region,
    digits_or_text,
    import_phonenumbers,
    read_phone_number,
)
from voxsms.errors import Fault
from voxsms.masking import mask_number
from voxsms.text import Message, find_faults

SEPARATOR = ";"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_TIME_LENGTH = len("yyyy-MM-dd HH:mm:ss")
Choice = TypeVar("Choice", bound=StrEnum)
Given = TypeVar("Given")
Crossed = TypeVar("Crossed", bound=Hashable)


class Violation(StrEnum):
    """The kinds of fault that the service distinguishes."""

    MISSING = "missing"
    INVALID = "invalid"
    OUT_OF_RANGE = "out of range"
    TOO_LONG = "too long"
    REVERSED = "reversed"
    """A span of time that ends before it starts."""
    UNSENDABLE = "unsendable"
    """A text that no message can carry."""


class WireFaults(ValueError):
    """What is wrong with a value: one fault, or several if it is a list."""

    def __init__(self, faults: list["WireFault"]) -> None:
        super().__init__(*faults)
        self.faults = faults


class WireFault(WireFaults):
    """One fault of one value; `position` is set if it is an item of a list."""

    def __init__(
        self, problem: str, trouble: Violation = Violation.INVALID, position: int | None = None
    ) -> None:
        super().__init__([self])
        self.args: tuple[Any, ...] = (problem, trouble, position)
        self.problem = problem
        self.violation = trouble
        self.position = position


class WireType(Protocol):
    """How one kind of parameter crosses the wire."""

    def write(self, value: object) -> str:
        """Return the text for a user's value. Raises `WireFaults`."""
        ...

    def read(self, text: str) -> object:
        """Return the value of a text from the wire. Raises `WireFaults`."""
        ...


def describe_type(value: object) -> str:
    """Return a name of a value's type for a message to a person."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise WireFault(f"is {describe_type(value)}; it must be a str")
    if not value:
        raise WireFault("is empty", Violation.MISSING)
    return value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WireFault("has a lone surrogate, half of a character that was cut") from None
    return text


@attrs.frozen
class PhoneType:
    """A phone number that a message can go to; `phone_numbers` has the rule."""

    region: str | None = None
    """The country whose national format it may have."""
    strict: bool = False
    """Refuse impossible numbers."""

    @classmethod
    def of(cls, region: str | None, *, strict: bool) -> "PhoneType | None":
        """Return how these options have numbers read; None if as in the table of methods."""
        return cls(region, strict) if region is not None or strict else None

    def write(self, value: object) -> str:
        """Take a number with `+`, spaces, dots, dashes, parentheses; return its digits."""
        return self.read(_string(value))

    def read(self, text: str) -> str:
        """Return the digits."""
        try:
            return read_phone_number(text, self.region, strict=self.strict)
        except ValueError as error:
            raise WireFault(str(error)) from None


def find_phone_fault(phone: PhoneType) -> Fault | None:
    """Return what is wrong with the options for reading numbers.

    Raises:
        ModuleNotFoundError: the extra `phone` is not installed.
    """
    import_phonenumbers()
    try:
        if phone.region is not None:
            check_region(phone.region)
    except ValueError as error:
        return Fault("region", str(error))
    return None


@attrs.frozen
class SenderType:
    """A sender: a phone number's digits, or a SenderID as it is."""

    def write(self, value: object) -> str:
        """Take a number with punctuation or a SenderID."""
        return self.read(_string(value))

    def read(self, text: str) -> str:
        """Return a number's digits or the SenderID."""
        return digits_or_text(_encodable(text))


def utf16_units(text: str) -> int:
    """Count UTF-16 code units; lone surrogates count as one."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@attrs.frozen
class TextType:
    """A message text of at most `max_units` UTF-16 code units.

    The contract says "characters"; UTF-16 units are the strictest reading of it.
    """

    max_units: int

    def write(self, value: object) -> str:
        """Take a `str` or a `Message`."""
        return self.read(_string(value.text if isinstance(value, Message) else value))

    def read(self, text: str) -> str:
        """Return the text unchanged."""
        faults: list[WireFault] = []
        if len(text) > self.max_units // 2 and (units := utf16_units(text)) > self.max_units:
            problem = f"has {units} UTF-16 code units; at most {self.max_units} are allowed"
            faults.append(WireFault(problem, Violation.TOO_LONG))
        faults += [WireFault(f.problem, Violation.UNSENDABLE) for f in find_faults(text)]
        if faults:
            raise WireFaults(faults)
        return text


@attrs.frozen
class StringType:
    """A string of any characters."""

    def write(self, value: object) -> str:
        """Take a string that is not empty."""
        return self.read(_string(value))

    def read(self, text: str) -> str:
        """Return the string."""
        return _encodable(text)


_LARGEST = 2**63 - 1
_MAX_FIGURES = len(str(-_LARGEST))


@attrs.frozen
class IntType:
    """A whole number from `minimum` to `maximum`."""

    minimum: int = 0
    maximum: int | None = None
    """None is 2**63 - 1."""

    def write(self, value: object) -> str:
        """Take an int, not a bool."""
        if type(value) is not int:
            raise WireFault(f"is {describe_type(value)}; it must be an int")
        return str(self._in_range(value))

    def read(self, text: str) -> int:
        """Return the int."""
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= _MAX_FIGURES):
            raise WireFault("is not a whole number")
        return self._in_range(int(text))

    def _in_range(self, value: int) -> int:
        if abs(value) > _LARGEST:
            # Not shown: Python refuses to format an int of some thousand digits.
            raise WireFault("is too large for 64 bits", Violation.OUT_OF_RANGE)
        if value < self.minimum:
            raise WireFault(
                f"is {value}; it must be at least {self.minimum}", Violation.OUT_OF_RANGE
            )
        if self.maximum is not None and value > self.maximum:
            raise WireFault(
                f"is {value}; it must be at most {self.maximum}", Violation.OUT_OF_RANGE
            )
        return value


@attrs.frozen
class BoolType:
    """`true` or `false`; the official Python client writes them with a capital letter."""

    def write(self, value: object) -> str:
        """Take a bool."""
        if type(value) is not bool:
            raise WireFault(f"is {describe_type(value)}; it must be a bool")
        return "true" if value else "false"

    def read(self, text: str) -> bool:
        """Return the bool."""
        if text.lower() not in ("true", "false"):
            raise WireFault("is neither true nor false")
        return text.lower() == "true"


@attrs.frozen
class TimeType:
    """A time in UTC, to the second."""

    def write(self, value: object) -> str:
        """Take an aware `datetime` of any zone."""
        if not isinstance(value, datetime):
            raise WireFault(f"is {describe_type(value)}; it must be an aware datetime")
        if value.utcoffset() is None:
            raise WireFault("is a naive datetime; give it a time zone, such as datetime.UTC")
        try:
            return value.astimezone(UTC).isoformat(" ", "seconds")[:_TIME_LENGTH]
        except OverflowError:
            raise WireFault("is outside the years 1 to 9999 in UTC") from None

    def read(self, text: str) -> datetime:
        """Return the aware UTC `datetime`."""
        with suppress(ValueError):
            time = datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
            if self.write(time) == text:  # strptime also takes "2026-1-2 3:4:5"
                return time
        raise WireFault("is not a time of the form yyyy-MM-dd HH:mm:ss")


@attrs.frozen
class ChoiceType(Generic[Choice]):
    """One value of an enumeration, in either case; `wire` says how it is written."""

    choices: type[Choice]
    wire: Callable[[Choice], str] = str

    def write(self, value: object) -> str:
        """Take a member, or a value that the enumeration looks one up by."""
        try:
            return self.wire(self.choices(cast("str", value)))
        except ValueError:
            return self.wire(self.read(value if isinstance(value, str) else ""))

    def read(self, text: str) -> Choice:
        """Return the member."""
        for member in self.choices:
            if text.lower() in (self.wire(member).lower(), member.value.lower()):
                return member
        raise WireFault(f"is not one of {', '.join(map(self._shown, self.choices))}")

    def _shown(self, member: Choice) -> str:
        written = self.wire(member)
        return written if written == member.value else f"{member.value} ({written})"


@attrs.frozen
class ListType:
    """Values joined with `;`: at least one, at most `max_items`, none twice if `distinct`."""

    item: WireType
    max_items: int | None = None
    distinct: bool = False

    def write(self, value: object) -> str:
        """Take any iterable except a string."""
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise WireFault(f"is {describe_type(value)}; it must be a list")
        given = list(cast("Iterable[object]", value))
        return SEPARATOR.join(self._cross_all(self._write_item, given))

    def read(self, text: str) -> tuple[object, ...]:
        """Return the values."""
        return tuple(self._cross_all(self.item.read, text.split(SEPARATOR)))

    def _write_item(self, value: object) -> str:
        text = self.item.write(value)
        if SEPARATOR in text:
            raise WireFault(f"has a {SEPARATOR!r}, which separates the items of a list")
        return text

    def _cross_all(self, cross: Callable[[Given], Crossed], given: list[Given]) -> list[Crossed]:
        if not given:
            raise WireFault("is an empty list", Violation.MISSING)
        faults: list[WireFault] = []
        if self.max_items is not None and len(given) > self.max_items:
            problem = f"has {len(given)} items; at most {self.max_items} are allowed"
            faults.append(WireFault(problem, Violation.TOO_LONG))
        crossed: dict[int, Crossed] = {}
        for position, item in enumerate(given):
            try:
                crossed[position] = cross(item)
            except WireFaults as found:
                faults += [WireFault(f.problem, f.violation, position) for f in found.faults]
        if self.distinct:
            faults += _find_repeated(crossed)
        if faults:
            raise WireFaults(faults)
        return list(crossed.values())


def _find_repeated(by_position: dict[int, Crossed]) -> list[WireFault]:
    first_at: dict[Crossed, int] = {}
    return [
        _twice(value, first_at[value], position)
        for position, value in by_position.items()
        if first_at.setdefault(value, position) != position
    ]


def _twice(value: object, first: int, second: int) -> WireFault:
    shown = mask_number(str(value))
    return WireFault(f"{shown} stands at position {first} already", position=second)
