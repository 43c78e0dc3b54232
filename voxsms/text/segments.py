"""How many fragments a message takes, where it is cut, and which characters make it dear.

`count_fragments` answers the one question that is asked for every message, and quickly: work for
each character is done by C code. `segment` answers the others. What the fragments hold is said in
`capacity.py`.
"""

import re
import unicodedata
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

import attrs

from voxsms.errors import Fault, InvalidText
from voxsms.text.capacity import GSM7, UTF16, Capacity, surrogate_map
from voxsms.text.gsm7 import ALPHABET, ESC, FOREIGN, MARKS, escape_map, septets
from voxsms.text.replacements import replacements

_NO_CHARACTER: Final = re.compile("[\x1b\ud800-\udfff]")
_AFTER_GREEK: Final = "\u03aa"  # the alphabet's last Greek capital is U+03A9
_AFTER_EURO: Final = "\u20ad"
_ONE_FRAGMENT: Final = GSM7.single

# The service takes 1600 characters at most; to look into a table is quicker than to divide.
_TABULATED: Final = 1600
_CERTAIN_GSM7: Final = GSM7.certain(_TABULATED)
_CERTAIN_UTF16: Final = bytes(1) + UTF16.certain(_TABULATED)  # one unit more: the byte order mark

_CONTROLS: Final = {
    "\x00": "NULL",
    "\t": "CHARACTER TABULATION",
    "\v": "LINE TABULATION",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
"""Control characters that people meet: `unicodedata` names none."""
_UNNAMED: Final = {"Cc": "control", "Co": "private-use"}


class Encoding(StrEnum):
    """How the characters of a message are written."""

    GSM7 = "GSM-7"
    UTF16 = "UTF-16"


class ForcedBy(NamedTuple):
    """A character that GSM-7 can not carry: for it the whole message is written in UTF-16."""

    index: int  # type: ignore[assignment]  # the promised name; hides `tuple.index`, no loss here
    """Its position, counted in code points."""
    char: str
    name: str
    """Its Unicode name, or `control-0001` and the like where it has none."""
    suggestion: str | None
    """What says the same in GSM-7 (`""`: it can go, nobody sees it), or None."""


class Bounds(NamedTuple):
    """Between how many fragments the service may cut, as it documents no rule for pairs."""

    least: int
    """If it cuts anywhere, even inside a pair."""
    most: int
    """If it keeps whole what a reader takes for one character (a grapheme cluster)."""


def find_faults(text: str, field: str = "text") -> tuple[Fault, ...]:
    """Say if a lone surrogate or a bare ESC makes a text unfit for any message, and where.

    That is one fault or none, however many such characters there are; the text is not shown.
    """
    found = list(_NO_CHARACTER.finditer(text))
    if not found:
        return ()
    char, more = found[0].group(), len(found) - 1
    what = "a bare ESC" if char == ESC else "a lone surrogate, half a character"
    problem = f"U+{ord(char):04X} at index {found[0].start()} is {what}; no message can carry it"
    return (Fault(field, f"{problem} (nor {more} more after it)" if more else problem),)


def _count_utf16(text: str) -> int:
    try:
        octets = text.encode("utf-16")  # a name with a byte order in it is slower
    except UnicodeEncodeError:
        raise InvalidText("message", find_faults(text)) from None  # it holds the whole text
    if ESC in text:
        raise InvalidText("message", find_faults(text))
    units = len(octets) >> 1
    if units <= _TABULATED and (count := _CERTAIN_UTF16[units]):
        return count
    return len(UTF16.cuts(surrogate_map(octets)))


def count_fragments(text: str) -> int:
    """Count the fragments that a message takes; the empty text takes none."""
    if text.isascii():
        # `translate` gives back the same object if it changes nothing: all characters are basic.
        if len(text) <= _ONE_FRAGMENT and (octets := text.encode()).translate(MARKS) is octets:
            return 1 if text else 0
    # A text that needs UTF-16 mostly shows it in its first character (strings are ordered by it,
    # and after the alphabet's Greek comes only the euro sign), its last or its middle one. To look
    # there is quicker than to try GSM-7 in vain; a text that hides it is found out below.
    elif (text >= _AFTER_GREEK and not "€" <= text < _AFTER_EURO) or (
        "€" not in text and (text[-1] not in ALPHABET or text[len(text) >> 1] not in ALPHABET)
    ):
        return _count_utf16(text)
    units = septets(text)
    if units is None:
        return _count_utf16(text)
    if units <= _TABULATED and (count := _CERTAIN_GSM7[units]):
        return count
    return len(GSM7.cuts(escape_map(text)))


@attrs.frozen
class Segmentation:
    """How one text is cut; all but the encoding and the units is computed when asked for."""

    text: str = attrs.field(repr=False)
    encoding: Encoding
    units: int
    """How many septets or UTF-16 code units the text takes."""

    @property
    def fragments_count(self) -> int:
        """How many fragments the text takes, pairs kept whole; each is charged as a message."""
        return len(self._cuts)

    @property
    def units_left(self) -> int:
        """How many units are free in the last fragment."""
        if self.units <= self._capacity.single:
            return self._capacity.single - self.units
        start, end = self._cuts[-2:]
        return self._capacity.part - (end - start)

    @cached_property
    def fragments(self) -> tuple[str, ...]:
        """The parts of the text, one for each fragment; joined they give the text back."""
        return self._capacity.split(self.text, self._pairs)

    @cached_property
    def forced_by(self) -> tuple[ForcedBy, ...]:
        """Each character that forces UTF-16; empty for a GSM-7 text."""
        return tuple(_forced_by(found) for found in FOREIGN.finditer(self.text))

    @cached_property
    def bounds(self) -> Bounds:
        """The least and the most fragments that the service may count; nearly always equal."""
        most = self.fragments_count
        # CRLF is the only grapheme cluster of more than one character that GSM-7 can carry.
        if most > 1 and (self.encoding is Encoding.UTF16 or "\r\n" in self.text):
            most = self._capacity.most(self.text, self._pairs)
        return Bounds(self._capacity.least(self.units), most)

    @property
    def _capacity(self) -> Capacity:
        return GSM7 if self.encoding is Encoding.GSM7 else UTF16

    @cached_property
    def _pairs(self) -> bytes:
        return self._capacity.pair_map(self.text)

    @cached_property
    def _cuts(self) -> list[int]:
        return self._capacity.cuts(self._pairs)


def segment(text: str) -> Segmentation:
    """Say how a message is encoded and cut, and why."""
    units = septets(text)
    if units is not None:
        return Segmentation(text, Encoding.GSM7, units)
    if faults := find_faults(text):
        raise InvalidText("message", faults)
    return Segmentation(text, Encoding.UTF16, len(text.encode("utf-16")) // 2 - 1)


def _forced_by(found: re.Match[str]) -> ForcedBy:
    char = found.group()
    replacement = replacements().get(char)
    return ForcedBy(found.start(), char, _name(char), replacement.text if replacement else None)


def _name(char: str) -> str:
    """Give a character's Unicode name, or a label where it has none."""
    kind = _UNNAMED.get(unicodedata.category(char), "unassigned")
    return unicodedata.name(char, _CONTROLS.get(char, f"{kind}-{ord(char):04X}"))
