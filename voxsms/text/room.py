"""How much room a template leaves for values that are not known yet.

What is promised has to hold for every value of a given length, also for one in which a pair (an
escape pair in GSM-7, a surrogate pair in UTF-16) stands at each border of two fragments: the
fragment before it then has to leave a unit free.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from voxsms.text.capacity import GSM7, UTF16
from voxsms.text.gsm7 import septets
from voxsms.text.segments import Encoding

Part = str | int
"""A text that is known, or how many units one takes that is not."""


class Room(NamedTuple):
    """How long a value may be; 0 also where the message is too long without it."""

    gsm7: int
    """In septets, of a value in GSM-7. Most characters take one, the euro and brackets two."""
    utf16: int
    """In UTF-16 code units, of any other value. A character takes one, an emoji mostly two."""


class WorstCase(NamedTuple):
    """How many fragments a message takes at most."""

    gsm7: int
    """If all values are in GSM-7."""
    utf16: int
    """If a value has a character outside GSM-7."""


def most_fragments(parts: Sequence[Part], encoding: Encoding) -> int:
    """Count the fragments for the worst values there can be, written in one encoding."""
    fits_gsm7 = all(septets(part) is not None for part in parts if isinstance(part, str))
    if encoding is Encoding.GSM7 and not fits_gsm7:
        # The text around them forces UTF-16: each character of the values takes one code unit.
        return len(UTF16.cuts(b"".join(_map(part, UTF16.pair_map, bytes) for part in parts)))
    capacity = GSM7 if encoding is Encoding.GSM7 else UTF16
    return len(capacity.cuts(b"".join(_map(part, capacity.pair_map, _pairs) for part in parts)))


def most_units(parts: Callable[[int], Sequence[Part]], encoding: Encoding, fragments: int) -> int:
    """Find the greatest number of units for which the parts still fit so many fragments."""
    units = range(1, GSM7.single * fragments + 1)
    return bisect_right(units, fragments, key=lambda n: most_fragments(parts(n), encoding))


def _map(part: Part, known: Callable[[str], bytes], unknown: Callable[[int], bytes]) -> bytes:
    return known(part) if isinstance(part, str) else unknown(part)


def _pairs(units: int) -> bytes:
    """Give a pair map in which no cut is free: wherever it falls, a pair may stand there."""
    return b"\x1b" * (units - 1) + bytes(min(units, 1))
