"""Shorten a text until it fits: cut between words, or at least between graphemes.

The longest beginning that fits is chosen among the places where the text may end: at the end of a
grapheme cluster, outside links and placeholders, and without spaces or commas left hanging before
the ellipsis. Of these, the last one at the end of a word is used, unless that loses more than half:
then the text is in a script without spaces, or a long token.

A longer beginning never takes fewer fragments, so bisection finds it. That holds for a character
outside GSM-7 too: beginnings before it may be long, those after it have less room.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, islice, takewhile
from typing import Final

import attrs

from voxsms.errors import Fault, InvalidRequest
from voxsms.text._graphemes import Atom, find_atoms, may_join, split_clusters
from voxsms.text._gsm7 import count_septets
from voxsms.text._segments import GSM7

_LOOSE: Final = ",;:-\u2010\u2011\u2012\u2013\u2014(/[{<\u201c\u201e\u2018\u00ab\u00bf\u00a1&"
_DOTS: Final = ".\u2026"
_HANGING: Final = f"[{re.escape(_LOOSE + _DOTS)}]"
_AFTER_WORD: Final = re.compile(rf"(?<!{_HANGING}){_HANGING}*+(?:\s|\Z)")


@attrs.frozen
class Cuts:
    """The places where a text may be cut, and what is written there."""

    text: str
    ellipsis: str

    def ending(self, end: int) -> str:
        """Return what to write after a beginning that ends at `end`.

        A phone may read an ellipsis that touches a link as part of it.
        """
        return f" {self.ellipsis}" if self.ellipsis and end in self._links else self.ellipsis

    def shorten(self, end: int) -> str:
        """Return the beginning that ends at `end`, with the ellipsis."""
        return self.text[:end] + self.ending(end)

    def find_longest(self, max_fragments: int, fits: Callable[[str], bool]) -> int | None:
        """Return the end of the longest sensible beginning that fits, or None if none does."""
        limit = GSM7.single * max_fragments  # a character takes at least one unit
        ends = list(takewhile(lambda end: end <= limit, self._find_ends()))
        count = bisect_left(ends, 1, key=lambda end: not fits(self.shorten(end)))
        if not count:
            return None
        longest = ends[count - 1]
        word_ends = self._find_word_ends(longest)
        enough = ends[bisect_left(ends, longest / 2) : count]
        words = (
            end
            for end in enough
            if end in word_ends or any(map(_is_ideograph, self.text[end - 1 : end + 1]))
        )
        return max(words, default=longest)

    def shorten_most(self) -> str:
        """Return the shortest form of the text: the whole text if cutting does not shorten it."""
        shortened = map(self.shorten, islice(self._find_ends(), 1))
        return min(
            (self.text, *shortened), key=lambda text: (count_septets(text) is None, len(text))
        )

    @cached_property
    def _atoms(self) -> list[Atom]:
        return find_atoms(self.text)

    @cached_property
    def _links(self) -> frozenset[int]:
        return frozenset(atom.end for atom in self._atoms if atom.is_link)

    def _find_ends(self) -> Iterator[int]:
        """Yield where the text may end: after a grapheme, outside atoms, not after a loose mark."""
        atoms = iter(self._atoms)
        atom = next(atoms, None)
        for end in self._find_boundaries():
            while atom and atom.end < end:
                atom = next(atoms, None)
            if end == atom.end if atom and atom.start < end else not self._is_loose(end - 1):
                yield end

    def _find_boundaries(self) -> Sequence[int]:
        """Return where grapheme clusters begin, except the first."""
        if not may_join(self.text):
            return range(1, len(self.text))
        return list(accumulate(map(len, split_clusters(self.text)[:-1])))

    def _is_loose(self, index: int) -> bool:
        char = self.text[index]
        if char in _DOTS:
            return self.ellipsis.startswith(tuple(_DOTS))
        return char.isspace() or char in _LOOSE

    def _find_word_ends(self, limit: int) -> set[int]:
        """Return the ends of words, up to a limit: white space or the end of the text follows."""
        found = takewhile(lambda match: match.start() <= limit, _AFTER_WORD.finditer(self.text))
        return {end for match in found for end in range(*match.span())}


def _is_ideograph(char: str) -> bool:
    """Return whether a character can stand for a word: an ideograph, a kana, an emoji."""
    return unicodedata.east_asian_width(char) == "W" and not "\uac00" <= char <= "\ud7a3"


def check_max_fragments(max_fragments: int, subject: str) -> None:
    """Raise `InvalidRequest` if a limit of fragments is invalid."""
    if type(max_fragments) is not int or max_fragments < 1:
        shown = max_fragments if type(max_fragments) is int else type(max_fragments).__name__
        problem = f"is {shown}; it must be a whole number of at least 1"
        raise InvalidRequest(subject, (Fault("max_fragments", problem),))


def pluralize(number: int, noun: str = "fragment") -> str:
    """Write `1 fragment` or `2 fragments`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
