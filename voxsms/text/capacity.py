"""What the fragments of each encoding hold, and where a text may be cut.

The rule (3GPP TS 23.038 and 23.040, 9.2.3.24.1): a GSM-7 text fits one fragment of 160 septets, any
other one of 70 UTF-16 code units. A longer text is cut into fragments of 153 septets or 67 code
units; the header that joins them takes the rest. An escape pair and a surrogate pair are never cut.

A text is looked at through its pair map: one byte for each unit (septet or code unit), and 0x1B for
the first unit of a pair. C code makes the map; Python runs once for each fragment.
"""

import sys
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Final

import attrs

from voxsms.text.clusters import split_clusters
from voxsms.text.gsm7 import escape_map

MAX_FRAGMENTS: Final = 255
"""The header that joins fragments counts them in one octet (3GPP TS 23.040, 9.2.3.24.1)."""

_OPENS_PAIR: Final = 0x1B
_HIGH_OCTETS: Final = slice(
    3 if sys.byteorder == "little" else 2, None, 2
)  # after a byte order mark
_HIGH_SURROGATES: Final = bytes(0xD8) + b"\x1b" * 4 + bytes(0x24)  # marks D8 to DB


def surrogate_map(octets: bytes) -> bytes:
    """Give the pair map of a text in UTF-16, with its byte order mark."""
    return octets[_HIGH_OCTETS].translate(_HIGH_SURROGATES)


def _characters(pairs: bytes, start: int, end: int) -> int:
    """Count the characters in a span of units that cuts no pair."""
    return end - start - pairs.count(_OPENS_PAIR, start, end)


@attrs.frozen
class Capacity:
    """What fragments of one encoding hold."""

    single: int
    """Units in a message of one fragment."""
    part: int
    """Units in each fragment of a longer message."""
    pair_map: Callable[[str], bytes]

    def least(self, units: int) -> int:
        """Count the fragments if pairs may be cut."""
        return -(-units // self.part) if units > self.single else min(units, 1)

    def certain(self, up_to: int) -> bytes:
        """Tabulate the fragments for each count of units; 0 where it depends on the pairs."""
        table = bytearray(1)
        least = 1
        while len(table) <= up_to:
            # Each fragment but the last may have to leave one unit to a pair.
            depends = least - 1
            table += bytes([least]) * (self.part - depends) + bytes(depends)
            least += 1
        table[1 : self.single + 1] = b"\x01" * self.single
        return bytes(table)

    def cuts(self, pairs: bytes) -> list[int]:
        """Say where each fragment ends, in units, if no pair is cut."""
        part = self.part if len(pairs) > self.single else self.single
        ends: list[int] = []
        end = 0
        while (end := end + part) < len(pairs):
            if pairs[end - 1] == _OPENS_PAIR:
                end -= 1
            ends.append(end)
        return [*ends, len(pairs)] if pairs else ends

    def split(self, text: str, pairs: bytes) -> tuple[str, ...]:
        """Cut a text so that no pair is cut."""
        spans = pairwise((0, *self.cuts(pairs)))
        ends = accumulate(_characters(pairs, start, end) for start, end in spans)
        return tuple(text[start:end] for start, end in pairwise((0, *ends)))

    def most(self, text: str, pairs: bytes) -> int:
        """Count the fragments of a longer message if no grapheme cluster is cut.

        A cluster longer than a fragment starts a new one and is cut between its characters. So the
        cuts made here are also cuts that keep pairs whole, and as `cuts` makes each of those as far
        on as it can, it never needs more fragments than this.
        """
        cluster_ends = list(accumulate(map(len, split_clusters(text)), initial=0))
        count = start = first = 0  # `start` counts units, `first` characters
        while start < len(pairs):
            end = min(start + self.part, len(pairs))
            end -= pairs[end - 1] == _OPENS_PAIR  # never so at the end of the text
            last = first + _characters(pairs, start, end)
            whole = cluster_ends[bisect_right(cluster_ends, last) - 1]
            if whole > first:  # else one cluster fills the fragment and has to be cut
                end -= len(self.pair_map(text[whole:last]))
                last = whole
            count, start, first = count + 1, end, last
        return count


GSM7: Final = Capacity(160, 153, escape_map)
UTF16: Final = Capacity(70, 67, lambda text: surrogate_map(text.encode("utf-16")))
