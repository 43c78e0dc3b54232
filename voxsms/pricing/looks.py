"""What an estimate sees in one text: its fragments, how sure they are, what made them more.

A character made a message longer if the message would take fewer fragments with every character of
its kind taking one septet, as nearly all do: in a UTF-16 message those outside GSM-7, in a GSM-7
message those of the extension table. Where most of a text is outside ASCII it is written in another
script, and no single character is to blame.

A field made a message longer if the message takes fewer fragments without the field's value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol

import attrs

from voxsms.errors import Fault, InvalidRequest
from voxsms.text.capacity import GSM7, UTF16, Capacity
from voxsms.text.clusters import may_join
from voxsms.text.gsm7 import EXTENSION, FOREIGN, septets
from voxsms.text.message import Message
from voxsms.text.segments import count_fragments, segment

Kind = Literal["character", "field"]
_EXTENDED: Final = re.compile(f"[{re.escape(''.join(EXTENSION))}]")


class Cause(NamedTuple):
    """What made a message longer."""

    kind: Kind
    name: str
    """The character, or the field's name."""
    without: int
    """How many fragments the message would take but for it."""


@attrs.frozen
class Look:
    """What an estimate needs to know of one text."""

    fragments: int
    least: int
    most: int
    causes: tuple[Cause, ...] = ()


class TemplateLike(Protocol):
    """What is asked of a `voxsms.Template`."""

    @property
    def fields(self) -> Iterable[str]:
        """The names of its fields."""
        ...

    def render(self, **values: str) -> str | Message:
        """Fill it in."""
        ...


# Nearly all texts look like one of a few: nothing made them longer.
_look = lru_cache(maxsize=1024)(Look)
_ONE: Final = _look(1, 1, 1)


def look_at(given: object) -> Look:
    """Look at a text; `InvalidRequest` if it can not be sent."""
    text = given if isinstance(given, str) else _text_of(given)
    fragments = count_fragments(text)
    if fragments == 1:
        return _ONE
    if not fragments:
        raise InvalidRequest("estimate", (Fault("text", "is empty"),))
    units = septets(text)
    if units is None:
        bounds = _bounds(text, fragments, UTF16, len(text.encode("utf-16")) // 2 - 1)
        return _look(fragments, *bounds, _causes(text, fragments, FOREIGN))
    bounds = _bounds(text, fragments, GSM7, units)
    causes = () if units == len(text) else _causes(text, fragments, _EXTENDED)
    return _look(fragments, *bounds, causes)


def _bounds(text: str, fragments: int, capacity: Capacity, units: int) -> tuple[int, int]:
    """Say what `segment(text).bounds` says, in much less time for nearly all texts."""
    return segment(text).bounds if may_join(text) else (capacity.least(units), fragments)


def look_at_filled(template: TemplateLike, values: Mapping[str, str]) -> Look:
    """Look at a template filled in; values that it has no field for are passed over."""
    wanted = {field: values[field] for field in template.fields if field in values}
    look = look_at(template.render(**wanted))
    if look is _ONE:
        return look
    causes = (*look.causes, *_fields(template, wanted, look.fragments))
    return _look(look.fragments, look.least, look.most, causes)


def _text_of(given: object) -> str:
    if isinstance(given, Message):
        return given.text
    problem = f"is a value of type {type(given).__name__}; it must be a str"
    raise InvalidRequest("estimate", (Fault("text", problem),))


def _causes(text: str, fragments: int, dear: re.Pattern[str]) -> tuple[Cause, ...]:
    """Name the dear characters, if the message takes fewer fragments with cheap ones for them."""
    if 2 * len(text.encode("ascii", "ignore")) < len(text):
        return ()
    without = count_fragments(dear.sub("x", text))
    if without == fragments:
        return ()
    found = sorted(set(dear.findall(text)))
    return tuple(Cause("character", character, without) for character in found)


def _fields(template: TemplateLike, values: Mapping[str, str], fragments: int) -> Iterator[Cause]:
    for field in values:
        emptied = template.render(**{**values, field: ""})
        without = count_fragments(emptied if isinstance(emptied, str) else emptied.text)
        if without < fragments:
            yield Cause("field", field, without)
