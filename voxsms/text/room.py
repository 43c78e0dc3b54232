"""How much room a template leaves for values that are not known yet.

What is promised has to hold for every value of a given length, also for one in which a pair (an
escape pair in GSM-7, a surrogate pair in UTF-16) stands at each border of two fragments: the
fragment before it then has to leave a unit free.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from voxsms.text.capacity import GSM7, MAX_FRAGMENTS, UTF16
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
    """Count the fragments for the worst values there can be, written in one encoding.

    Whatever is more than `MAX_FRAGMENTS` is not counted further.
    """
    capacity = GSM7 if encoding is Encoding.GSM7 else UTF16
    unknown: Callable[[int], bytes] = _pairs
    if capacity is GSM7 and any(isinstance(part, str) and septets(part) is None for part in parts):
        # The text around them forces UTF-16: each character of the values takes one code unit.
        capacity, unknown = UTF16, bytes
    known = [capacity.pair_map(part) if isinstance(part, str) else part for part in parts]
    units = sum(part if isinstance(part, int) else len(part) for part in known)
    if units > capacity.part * MAX_FRAGMENTS:
        return MAX_FRAGMENTS + 1
    pairs = b"".join(unknown(part) if isinstance(part, int) else part for part in known)
    return len(capacity.cuts(pairs))


def most_units(parts: Callable[[int], Sequence[Part]], encoding: Encoding, fragments: int) -> int:
    """Find the greatest number of units for which the parts still fit so many fragments."""
    fragments = min(fragments, MAX_FRAGMENTS)
    units = range(1, GSM7.single * fragments + 1)
    return bisect_right(units, fragments, key=lambda n: most_fragments(parts(n), encoding))


def _pairs(units: int) -> bytes:
    """Return a pair map in which no cut is free: wherever it falls, a pair may stand there."""
    return b"\x1b" * (units - 1) + bytes(min(units, 1))
