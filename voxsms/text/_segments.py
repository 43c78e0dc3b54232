"""How many fragments a message takes, where it is cut, and which characters make it expensive.

The rule (3GPP TS 23.038 and 23.040, 9.2.3.24.1): a GSM-7 text fits one fragment of 160 septets, any
other one of 70 UTF-16 code units. A longer text is cut into fragments of 153 septets or 67 code
units; the header that joins them takes the rest. An escape pair and a surrogate pair are never cut.

`count_fragments` answers the one question asked for every message, quickly: C code does the work
for each character. `segment` answers the others, from a text's pair map: one byte for each unit
(septet or code unit), 0x1B for the first unit of a pair. C code builds the map; Python runs once
for each fragment.
"""

import re
import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import attrs

from voxsms.errors import Fault, InvalidText
from voxsms.text._graphemes import split_clusters
from voxsms.text._gsm7 import (
    ALPHABET,
    ESC,
    FOREIGN,
    MARKS,
    SIGMA,
    count_greek,
    count_latin,
    count_septets,
    escape_map,
)
from voxsms.text._replacements import replacements, write_greek

MAX_FRAGMENTS: Final = 255
"""The header that joins fragments has one octet for their number (3GPP TS 23.040, 9.2.3.24.1)."""

_OPENS_PAIR: Final = 0x1B
_HIGH_OCTETS: Final = slice(
    3 if sys.byteorder == "little" else 2, None, 2
)  # after a byte order mark
_HIGH_SURROGATES: Final = bytes(0xD8) + b"\x1b" * 4 + bytes(0x24)  # marks D8 to DB


def _surrogate_map(octets: bytes) -> bytes:
    """Return the pair map of a text in UTF-16, with its byte order mark."""
    return octets[_HIGH_OCTETS].translate(_HIGH_SURROGATES)


def _count_characters(pairs: bytes, start: int, end: int) -> int:
    """Count the characters in a span of units that cuts no pair."""
    return end - start - pairs.count(_OPENS_PAIR, start, end)


@attrs.frozen
class Capacity:
    """How much the fragments of one encoding hold."""

    single: int
    """Units in a message of one fragment."""
    part: int
    """Units in each fragment of a longer message."""
    pair_map: Callable[[str], bytes]

    def min_fragments(self, units: int) -> int:
        """Count the fragments if pairs may be cut."""
        return -(-units // self.part) if units > self.single else min(units, 1)

    def tabulate(self, up_to: int) -> bytes:
        """Return the fragments for each number of units; 0 where it depends on the pairs."""
        table = bytearray(1)
        fragments = 1
        while len(table) <= up_to:
            # Each fragment but the last may have to leave one unit free before a pair.
            depends = fragments - 1
            table += bytes([fragments]) * (self.part - depends) + bytes(depends)
            fragments += 1
        table[1 : self.single + 1] = b"\x01" * self.single
        return bytes(table)

    def find_cuts(self, pairs: bytes) -> list[int]:
        """Return where each fragment ends, in units, if no pair is cut."""
        part = self.part if len(pairs) > self.single else self.single
        ends: list[int] = []
        end = 0
        while (end := end + part) < len(pairs):
            if pairs[end - 1] == _OPENS_PAIR:
                end -= 1
            ends.append(end)
        return [*ends, len(pairs)] if pairs else ends

    def split(self, text: str, pairs: bytes) -> tuple[str, ...]:
        """Split a text into fragments so that no pair is cut."""
        spans = pairwise((0, *self.find_cuts(pairs)))
        ends = accumulate(_count_characters(pairs, start, end) for start, end in spans)
        return tuple(text[start:end] for start, end in pairwise((0, *ends)))

    def max_fragments(self, text: str, pairs: bytes) -> int:
        """Count the fragments of a longer message if no grapheme cluster is cut.

        A cluster longer than a fragment starts a new one and is cut between its characters. So the
        cuts made here also keep pairs whole, and as `find_cuts` places each cut as late as it can,
        it never needs more fragments than this.
        """
        cluster_ends = list(accumulate(map(len, split_clusters(text)), initial=0))
        count = start = first = 0  # `start` counts units, `first` characters
        while start < len(pairs):
            end = min(start + self.part, len(pairs))
            end -= pairs[end - 1] == _OPENS_PAIR  # never true at the end of the text
            last = first + _count_characters(pairs, start, end)
            whole = cluster_ends[bisect_right(cluster_ends, last) - 1]
            if whole > first:  # else one cluster fills the fragment and has to be cut
                end -= len(self.pair_map(text[whole:last]))
                last = whole
            count, start, first = count + 1, end, last
        return count


GSM7: Final = Capacity(160, 153, escape_map)
UTF16: Final = Capacity(70, 67, lambda text: _surrogate_map(text.encode("utf-16")))

_NO_CHARACTER: Final = re.compile("[\x1b\ud800-\udfff]")
_AFTER_GREEK: Final = "\u03aa"  # the alphabet's last Greek capital is U+03A9
_AFTER_EURO: Final = "\u20ad"
_APOSTROPHE: Final = "\u2019"
_ONE_FRAGMENT: Final = GSM7.single

# The service takes at most 1600 characters; looking in a table is quicker than dividing.
_TABULATED: Final = 1600
_CERTAIN_GSM7: Final = GSM7.tabulate(_TABULATED)
_CERTAIN_UTF16: Final = bytes(1) + UTF16.tabulate(_TABULATED)  # shifted by the byte order mark


def find_faults(text: str, field: str = "text") -> tuple[Fault, ...]:
    """Return what makes a text unfit for any message: a lone surrogate or a bare ESC, and where.

    At most one fault, however many such characters there are; the text is not shown.
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
        octets = text.encode("utf-16")  # a codec with a byte order in its name is slower
    except UnicodeEncodeError:
        raise InvalidText("message", find_faults(text)) from None  # the cause holds the whole text
    if ESC in text:
        raise InvalidText("message", find_faults(text))
    units = len(octets) >> 1
    if units <= _TABULATED and (count := _CERTAIN_UTF16[units]):
        return count
    return len(UTF16.find_cuts(_surrogate_map(octets)))


def count_fragments(text: str) -> int:
    """Count the fragments that a message takes; the empty text takes none.

    Raises:
        InvalidText: the text has a lone surrogate or a bare ESC.
    """
    if text.isascii():
        # `translate` returns the same object if it changes nothing: every character is basic.
        if len(text) <= _ONE_FRAGMENT and (octets := text.encode()).translate(MARKS) is octets:
            return 1 if text else 0
        units = count_latin(text)
    elif SIGMA in text:
        units = count_greek(text)
    # A text that needs UTF-16 mostly shows it in its first character (strings compare by it, and
    # after the alphabet's Greek comes only the euro sign), its last or its middle one, or has a
    # typographic apostrophe. Checking these is quicker than trying GSM-7 first; the code below
    # finds the other such texts.
    elif (
        (text >= _AFTER_GREEK and not "€" <= text < _AFTER_EURO)
        or _APOSTROPHE in text
        or ("€" not in text and (text[-1] not in ALPHABET or text[len(text) >> 1] not in ALPHABET))
    ):
        return _count_utf16(text)
    else:
        units = count_latin(text)
    if units is None:
        return _count_utf16(text)
    if units <= _TABULATED and (count := _CERTAIN_GSM7[units]):
        return count
    return len(GSM7.find_cuts(escape_map(text)))


class Encoding(StrEnum):
    """How the characters of a message are written."""

    GSM7 = "GSM-7"
    UTF16 = "UTF-16"


class ForcedBy(NamedTuple):
    """A character that GSM-7 cannot carry: it forces the whole message into UTF-16."""

    index: int  # type: ignore[assignment]  # the promised name; hides `tuple.index`, no loss here
    """Its position, counted in code points."""
    char: str
    name: str
    """Its Unicode name, or `control-0001` and the like where it has none."""
    suggestion: str | None
    """What says the same in GSM-7 (`""`: it is invisible and can be dropped), or None.

    For a Greek capital, what `simplified(greek=True)` writes: the letter of the same shape.
    """


class Bounds(NamedTuple):
    """The fewest and the most fragments the service may count: it documents no rule for pairs."""

    least: int
    """If it cuts anywhere, even inside a pair."""
    most: int
    """If it keeps whole what a reader takes for one character (a grapheme cluster)."""


@attrs.frozen
class Segmentation:
    """How one text is cut; all but the encoding and the units is computed on first use."""

    text: str = attrs.field(repr=False)
    encoding: Encoding
    units: int
    """How many septets or UTF-16 code units the text takes."""

    @property
    def fragments_count(self) -> int:
        """How many fragments the text takes with pairs kept whole; each is charged as a message."""
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
        """The parts of the text, one for each fragment; joined, they give the text again."""
        return self._capacity.split(self.text, self._pairs)

    @cached_property
    def forced_by(self) -> tuple[ForcedBy, ...]:
        """Each character that forces UTF-16; empty for a GSM-7 text."""
        return tuple(_explain(found) for found in FOREIGN.finditer(self.text))

    @cached_property
    def bounds(self) -> Bounds:
        """The fewest and the most fragments that the service may count; nearly always equal."""
        most = self.fragments_count
        # CRLF is the only grapheme cluster of more than one character that GSM-7 can carry.
        if most > 1 and (self.encoding is Encoding.UTF16 or "\r\n" in self.text):
            most = self._capacity.max_fragments(self.text, self._pairs)
        return Bounds(self._capacity.min_fragments(self.units), most)

    @property
    def _capacity(self) -> Capacity:
        return GSM7 if self.encoding is Encoding.GSM7 else UTF16

    @cached_property
    def _pairs(self) -> bytes:
        return self._capacity.pair_map(self.text)

    @cached_property
    def _cuts(self) -> list[int]:
        return self._capacity.find_cuts(self._pairs)


def segment(text: str) -> Segmentation:
    """Return how a message is encoded and cut, and why.

    Raises:
        InvalidText: the text has a lone surrogate or a bare ESC.
    """
    units = count_septets(text)
    if units is not None:
        return Segmentation(text, Encoding.GSM7, units)
    if faults := find_faults(text):
        raise InvalidText("message", faults)
    return Segmentation(text, Encoding.UTF16, len(text.encode("utf-16")) // 2 - 1)


_CONTROLS: Final = {
    "\x00": "NULL",
    "\t": "CHARACTER TABULATION",
    "\v": "LINE TABULATION",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
"""Control characters that people encounter: `unicodedata` names none."""
_UNNAMED: Final = {"Cc": "control", "Co": "private-use"}


def _explain(found: re.Match[str]) -> ForcedBy:
    char = found.group()
    kind = _UNNAMED.get(unicodedata.category(char), "unassigned")
    name = unicodedata.name(char, _CONTROLS.get(char, f"{kind}-{ord(char):04X}"))
    replacement = replacements().get(char)
    suggestion = replacement.text if replacement else write_greek(char)
    return ForcedBy(found.start(), char, name, suggestion)
