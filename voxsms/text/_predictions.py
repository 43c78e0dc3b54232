"""How many fragments a text will take, how certain that is, and what adds fragments.

A character made a message longer if the message would take fewer fragments with every character of
its kind taking one septet, as nearly all characters do: in a UTF-16 message those outside GSM-7, in
a GSM-7 message those of the extension table. A text that is mostly outside ASCII is written in
another script, and no single character is to blame.

A field made a message longer if the message takes fewer fragments without the field's value.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import attrs

from voxsms.text._graphemes import may_join
from voxsms.text._gsm7 import ALPHABET, BASIC, EXTENSION, FOREIGN, count_septets
from voxsms.text._message import Message
from voxsms.text._segments import GSM7, UTF16, Capacity, count_fragments, segment
from voxsms.text._template import RenderedMessage, Template, Value

Check = Callable[[object], str]
_COMMON: Final = "".join(char for char in BASIC if char.isascii()).encode()


class Cause(NamedTuple):
    """What made a message longer."""

    kind: Literal["character", "field"]
    name: str
    """The character, or the field's name."""
    without: int
    """How many fragments the message would take without it."""


class Count(NamedTuple):
    """How many fragments a text takes."""

    fragments: int
    """As `count_fragments` says."""
    least: int
    """The fewest and the most that the service may count: `Segmentation.bounds`."""
    most: int


@attrs.frozen
class Prediction:
    """The fragments that one text will take, and the causes."""

    count: Count
    causes: tuple[Cause, ...] = ()


@lru_cache(maxsize=1024)  # nearly all texts share a few predictions
def _prediction(
    fragments: int, least: int, most: int, causes: tuple[Cause, ...] = ()
) -> Prediction:
    return Prediction(Count(fragments, least, most), causes)


_ONE: Final = _prediction(1, 1, 1)


class Predictor:
    """Predicts the fragments of texts.

    Args:
        check: Called with anything but a text of one fragment; returns it as a text, or raises what
            a send would raise.
    """

    def __init__(self, check: Check) -> None:
        self._check = check

    def predict(self, given: object) -> Prediction:
        """Return what a text takes; for a rendered message, also which fields made it longer."""
        if isinstance(given, RenderedMessage):
            return _filled(given.template, self._check).predict(given.values)
        text = given.text if isinstance(given, Message) else given
        fragments = count_fragments(text) if isinstance(text, str) else 0
        if fragments == 1:
            return _ONE
        text = self._check(text)
        return _predict_long(text, fragments, *_measure(text))


class TemplatePredictor:
    """Predicts the fragments of one template, filled in for each recipient.

    Args:
        template: The template to fill in.
        check: As for `Predictor`.
    """

    def __init__(self, template: Template, check: Check) -> None:
        self._template = template
        self._check = check
        nothing = dict.fromkeys(template.fields, "")
        self._places = Counter(field for field, _, _ in template.locate(nothing))

    def predict(self, row: Mapping[str, Value]) -> Prediction:
        """Return what the template takes, filled in from a row that may hold more than the fields.

        Raises:
            TemplateError: the row lacks a field.
        """
        text = self._template.fill(row)
        fragments = count_fragments(text)
        if fragments == 1:
            return _ONE
        capacity, units = _measure(self._check(text))
        found = _predict_long(text, fragments, capacity, units)
        causes = self._find_causes(row, text, fragments, capacity, units)
        return _prediction(*found.count, found.causes + causes) if causes else found

    def _find_causes(
        self,
        row: Mapping[str, Value],
        text: str,
        fragments: int,
        capacity: Capacity,
        units: int,
    ) -> tuple[Cause, ...]:
        """Return the fields whose values, if left out, would leave fewer fragments.

        Unless the value itself forces UTF-16, the other characters take as much without it, and
        arithmetic is mostly enough.
        """
        causes: list[Cause] = []
        each = 1 if units == len(text) else 2  # at most: if some take two, any may
        excess = units - max(capacity.single, capacity.part * (fragments - 1))
        for field, places in self._places.items():
            value = str(row[field])
            freed = each * len(value) * places
            forcing = capacity is UTF16 and FOREIGN.search(value)
            if freed < excess and not forcing:
                continue
            if each == 1 and not forcing:
                causes.append(Cause("field", field, capacity.min_fragments(units - freed)))
            elif (without := count_fragments(self._template.fill({**row, field: ""}))) < fragments:
                causes.append(Cause("field", field, without))
        return tuple(causes)


_filled = lru_cache(maxsize=8)(TemplatePredictor)


def _measure(text: str) -> tuple[Capacity, int]:
    """Return the capacity and the units of a text of several fragments."""
    # A text in another script mostly begins with it, so GSM-7 need not be tried.
    units = None if not text.isascii() and FOREIGN.match(text) else count_septets(text)
    return (UTF16, len(text.encode("utf-16")) // 2 - 1) if units is None else (GSM7, units)


def _predict_long(text: str, fragments: int, capacity: Capacity, units: int) -> Prediction:
    if units == len(text) and capacity is GSM7 and "\r" not in text:
        return _prediction(fragments, fragments, fragments)  # no pairs, no clusters
    if may_join(text):
        least, most = segment(text).bounds
    else:
        least, most = capacity.min_fragments(units), fragments
    return _prediction(fragments, least, most, _find_characters(text, fragments, capacity))


def _find_characters(text: str, fragments: int, capacity: Capacity) -> tuple[Cause, ...]:
    """Return the expensive characters if cheap ones in their place would save fragments."""
    if 2 * len(text.encode("ascii", "ignore")) < len(text):
        return ()
    rare = text.encode().translate(None, _COMMON).decode()
    expensive = set(rare) - ALPHABET if capacity is UTF16 else EXTENSION.keys() & rare
    cheaper = text
    for character in expensive:
        cheaper = cheaper.replace(character, "x")
    without = count_fragments(cheaper)
    if without == fragments:
        return ()
    return tuple(Cause("character", character, without) for character in sorted(expensive))
