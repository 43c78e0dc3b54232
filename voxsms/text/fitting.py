"""A text shortened to what fits: cut between words, or at least between graphemes.

The longest beginning that fits is looked for among the places where the text may end: at the end
of a grapheme cluster, in no link and no placeholder, and without the spaces and commas that would
hang before the ellipsis. Of these the last one at the end of a word is taken, unless it gives away
more than half: then there is no word there but a script without spaces, or a long token.

The longer the beginning, the more fragments, so it can be found by halving. That holds for a
character outside GSM-7 too: the beginnings before it may be long, those after it have less room.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Final

import attrs

from voxsms.errors import Fault, InvalidRequest
from voxsms.text.atoms import Atom, find_atoms
from voxsms.text.clusters import may_join, split_clusters
from voxsms.text.gsm7 import septets

_LOOSE: Final = ",;:-\u2010\u2011\u2012\u2013\u2014(/[{<\u201c\u201e\u2018\u00ab\u00bf\u00a1&"
_DOTS: Final = ".\u2026"
_AFTER_WORD: Final = re.compile(rf"[{re.escape(_LOOSE + _DOTS)}]*(?:\s|\Z)")


@attrs.frozen
class Cuts:
    """The places where a text may end early, and what is written there."""

    text: str
    ellipsis: str

    def at(self, end: int) -> str:
        """Give what is written after the beginning that ends there.

        A telephone may take an ellipsis that touches a link for a part of it.
        """
        return f" {self.ellipsis}" if self.ellipsis and end in self._links else self.ellipsis

    def written(self, end: int) -> str:
        """Give the shortened text."""
        return self.text[:end] + self.at(end)

    def longest(self, fits: Callable[[str], bool]) -> int | None:
        """Find the end of the longest sensible beginning that fits; None if none does."""
        boundaries = self._boundaries

        def is_too_long(boundary: int) -> bool:
            end = self._end(boundary)
            return end > 0 and not fits(self.written(end))

        count = bisect_left(boundaries, 1, key=is_too_long)
        longest = self._end(boundaries[count - 1]) if count else 0
        for boundary in reversed(boundaries[:count]):
            end = self._end(boundary)
            if 2 * end < longest or not end:
                break
            if self._is_word_end(end):
                return end
        return longest or None

    def least(self) -> str:
        """Give the least that can be left of the text: the whole, if cutting makes it no less."""
        ends = (self._end(boundary) for boundary in self._boundaries)
        first = [self.written(end) for end in ends if end][:1]
        return min((self.text, *first), key=lambda text: (septets(text) is None, len(text)))

    @cached_property
    def _atoms(self) -> list[Atom]:
        return find_atoms(self.text)

    @cached_property
    def _links(self) -> frozenset[int]:
        return frozenset(atom.end for atom in self._atoms if atom.is_link)

    @cached_property
    def _boundaries(self) -> Sequence[int]:
        """Where grapheme clusters begin."""
        if not may_join(self.text):
            return range(len(self.text))
        return list(accumulate(map(len, split_clusters(self.text)[:-1]), initial=0))

    def _end(self, boundary: int) -> int:
        """Go back to where the text may end: in no atom, after nothing loose; 0 if nowhere."""
        floor = 0
        for atom in self._atoms:
            if atom.end <= boundary:
                floor = atom.end
            else:
                boundary = min(boundary, atom.start)
        end = boundary
        while end > floor and self._is_loose(self.text[end - 1]):
            end -= 1
        last = self._boundaries[bisect_right(self._boundaries, end) - 1]
        return end if last == end else self._end(last)  # what is loose may be part of a cluster

    def _is_loose(self, char: str) -> bool:
        if char in _DOTS:
            return self.ellipsis.startswith(tuple(_DOTS))
        return char.isspace() or char in _LOOSE

    def _is_word_end(self, end: int) -> bool:
        if _AFTER_WORD.match(self.text, end):
            return True
        return _is_ideograph(self.text[end - 1]) or _is_ideograph(self.text[end])


def _is_ideograph(char: str) -> bool:
    """Tell if a character can stand for a word: an ideograph, a kana, an emoji."""
    return unicodedata.east_asian_width(char) == "W" and not "\uac00" <= char <= "\ud7a3"


def at_most(max_fragments: int, subject: str) -> int:
    """Check a limit of fragments."""
    if type(max_fragments) is not int or max_fragments < 1:
        shown = max_fragments if type(max_fragments) is int else type(max_fragments).__name__
        problem = f"is {shown}; it must be a whole number of at least 1"
        raise InvalidRequest(subject, (Fault("max_fragments", problem),))
    return max_fragments


def count_of(number: int, noun: str = "fragment") -> str:
    """Write `1 fragment` or `2 fragments`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
