"""What an estimate sees in one text: its fragments, how sure they are, what made them more.

A character made a message longer if the message would take fewer fragments with every character of
its kind taking one septet, as nearly all do: in a UTF-16 message those outside GSM-7, in a GSM-7
message those of the extension table. Where most of a text is outside ASCII it is written in another
script, and no single character is to blame.

A field made a message longer if the message takes fewer fragments without the field's value.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import attrs

from voxsms.api.spec import TABLE, parameters, python_name, request_class
from voxsms.api.wire import TextType, WireFaults
from voxsms.errors import Fault, InvalidRequest
from voxsms.text.capacity import GSM7, UTF16, Capacity
from voxsms.text.clusters import may_join
from voxsms.text.gsm7 import ALPHABET, BASIC, EXTENSION, FOREIGN, septets
from voxsms.text.message import Message
from voxsms.text.segments import count_fragments, segment
from voxsms.text.template import RenderedMessage, Template

Kind = Literal["character", "field"]
_COMMON: Final = "".join(char for char in BASIC if char.isascii()).encode()


class Cause(NamedTuple):
    """What made a message longer."""

    kind: Kind
    name: str
    """The character, or the field's name."""
    without: int
    """How many fragments the message would take but for it."""


class Count(NamedTuple):
    """How many fragments a text takes."""

    told: int
    """As `count_fragments` says."""
    least: int
    most: int


@attrs.frozen
class Look:
    """What an estimate needs to know of one text."""

    count: Count
    causes: tuple[Cause, ...] = ()


@lru_cache(maxsize=1024)  # nearly all texts look like one of a few
def _look(told: int, least: int, most: int, causes: tuple[Cause, ...] = ()) -> Look:
    return Look(Count(told, least, most), causes)


_ONE: Final = _look(1, 1, 1)


class Looks:
    """Looks at texts that are to go out by one method."""

    def __init__(self, method: str) -> None:
        self._form = text_form(method)

    def at(self, given: object) -> Look:
        """Look at a text; at a rendered message, also at the fields it was made from."""
        if isinstance(given, RenderedMessage):
            return _filling(given.template, self._form).look_at(given.values)
        text = given.text if isinstance(given, Message) else given
        if not isinstance(text, str):
            text = _checked(text, self._form)
        fragments = count_fragments(text)
        if fragments == 1:
            return _ONE
        return _look_at_long(text, fragments, *_measure(text, self._form))


def text_form(method: str) -> TextType:
    """Return the rule for the text of a send."""
    (spec,) = (one for one in TABLE if python_name(one.cmd) == method)
    forms = (one.wire_type for one in parameters(request_class(spec)).values())
    return next(form for form in forms if isinstance(form, TextType))


def _checked(given: object, form: TextType) -> str:
    """Return what a send would send, or refuse what it would refuse."""
    try:
        return form.write(given)
    except WireFaults as found:
        faults = tuple(Fault("text", one.problem) for one in found.faults)
        raise InvalidRequest("estimate", faults) from None


class Filling:
    """Looks at one template, filled in for each recipient."""

    def __init__(self, template: Template, form: TextType) -> None:
        self._template = template
        self._form = form
        nothing = dict.fromkeys(template.fields, "")
        self._places = Counter(field for field, _, _ in template.places(nothing))

    def look_at(self, row: Mapping[str, str | int]) -> Look:
        """Look at the text that a row makes, which may hold more than the fields."""
        text = self._template.fill(row)
        fragments = count_fragments(text)
        if fragments == 1:
            return _ONE
        capacity, units = _measure(text, self._form)
        look = _look_at_long(text, fragments, capacity, units)
        causes = self._fields(row, text, fragments, capacity, units)
        return _look(*look.count, look.causes + causes) if causes else look

    def _fields(
        self,
        row: Mapping[str, str | int],
        text: str,
        fragments: int,
        capacity: Capacity,
        units: int,
    ) -> tuple[Cause, ...]:
        """Name the fields without whose values there are fewer fragments.

        Unless a value is what forces UTF-16, the other characters take as much without it, and
        mostly arithmetic tells.
        """
        causes: list[Cause] = []
        each = 1 if units == len(text) else 2  # at most: where some take two, any may
        excess = units - max(capacity.single, capacity.part * (fragments - 1))
        for field, places in self._places.items():
            value = str(row[field])
            freed = each * len(value) * places
            forcing = capacity is UTF16 and FOREIGN.search(value)
            if freed < excess and not forcing:
                continue
            if each == 1 and not forcing:
                causes.append(Cause("field", field, capacity.least(units - freed)))
            elif (without := count_fragments(self._template.fill({**row, field: ""}))) < fragments:
                causes.append(Cause("field", field, without))
        return tuple(causes)


_filling = lru_cache(maxsize=8)(Filling)


def _measure(text: str, form: TextType) -> tuple[Capacity, int]:
    """Return the capacity and the units of a text of several fragments, if a send takes it."""
    if 2 * len(text) > form.max_units or not text:
        _checked(text, form)
    # A text of another script mostly begins with it, and need not be tried in vain.
    units = None if not text.isascii() and FOREIGN.match(text) else septets(text)
    return (UTF16, len(text.encode("utf-16")) // 2 - 1) if units is None else (GSM7, units)


def _look_at_long(text: str, fragments: int, capacity: Capacity, units: int) -> Look:
    if units == len(text) and capacity is GSM7 and "\r" not in text:
        return _look(fragments, fragments, fragments)  # all of it is cheap and joins nothing
    if may_join(text):
        least, most = segment(text).bounds
    else:
        least, most = capacity.least(units), fragments
    return _look(fragments, least, most, _characters(text, fragments, capacity))


def _characters(text: str, fragments: int, capacity: Capacity) -> tuple[Cause, ...]:
    """Name the dear characters, if with cheap ones for them there are fewer fragments."""
    if 2 * len(text.encode("ascii", "ignore")) < len(text):
        return ()
    rare = text.encode().translate(None, _COMMON).decode()
    dear = set(rare) - ALPHABET if capacity is UTF16 else EXTENSION.keys() & rare
    cheaper = text
    for character in dear:
        cheaper = cheaper.replace(character, "x")
    without = count_fragments(cheaper)
    if without == fragments:
        return ()
    return tuple(Cause("character", character, without) for character in sorted(dear))
