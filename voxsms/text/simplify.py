"""A text brought back to fewer fragments by characters that say the same.

There are two ways to pay less. *Complete*: every character outside GSM-7 is replaced, and the whole
message is written in GSM-7. *Shorter*: the message stays in UTF-16, and only what takes fewer code
units is replaced. The way that takes fewer fragments is gone, and neither if both save nothing.
CRLF becomes LF only where that, too, saves a fragment.

Letters are composed first (NFC). What else GSM-7 has is never touched, nor anything in a link.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from operator import attrgetter
from typing import Final

import attrs

from voxsms.text.accents import drop_marks, without_accents
from voxsms.text.atoms import Atom, find_atoms
from voxsms.text.changes import Change, changed, least_change
from voxsms.text.clusters import may_join, split_clusters
from voxsms.text.fractions import write_fraction
from voxsms.text.gsm7 import ALPHABET, FOREIGN, septets
from voxsms.text.homoglyphs import Homoglyph, find_homoglyphs
from voxsms.text.replacements import replacements
from voxsms.text.segments import count_fragments

# They join, part or turn round what stands beside them. That shows nowhere in a text in GSM-7, but
# in emoji and in the scripts of other languages they are part of what is written.
_JOINERS: Final = frozenset(
    "\u034f\u061c\u180e\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
    "\ufe0e\ufe0f"
)

_MAX_MARKS: Final = 30  # on one letter, in a text that anybody means (UAX 15, stream-safe format)

CRLF: Final = "\r\n"


def simplify(text: str, *, accents: bool, homoglyphs: bool, always: bool) -> tuple[Change, ...]:
    """Give the changes that save fragments; none if there is nothing to save."""
    count = count_fragments(text)
    if (count <= 1 and not always) or (septets(text) is not None and CRLF not in text):
        return ()
    lookalikes = {one.index: one for one in (find_homoglyphs(text) if homoglyphs else ())}
    atoms = find_atoms(text)
    fewest = count + always
    best: tuple[Change, ...] = ()
    line_ends = (always,) if always or CRLF not in text else (False, True)
    for line_feeds, way in product(line_ends, (_complete, _shorter)):
        rules = Rules(text, atoms, lookalikes, accents, always, line_feeds, way is _complete)
        changes = way(rules)
        after = count_fragments(changed(text, changes))
        # A text of invisible characters stays as it is: nothing at all can not be sent.
        if changes and 0 < after < fewest:
            fewest, best = after, changes
    return best


def _complete(rules: "Rules") -> tuple[Change, ...]:
    """Give the changes that bring a text to GSM-7; none if they can not."""
    changes: list[Change] = []
    for index, cluster in _clusters(rules.text):
        form, reason = rules.rewrite(index, cluster)
        if FOREIGN.search(form):
            return ()
        if form != cluster:
            changes.append(least_change(index, cluster, form, reason))
    return tuple(changes)


def _shorter(rules: "Rules") -> tuple[Change, ...]:
    """Give the changes that make no character longer, and (unless told always) some shorter."""
    if not rules.always and not may_join(rules.text):
        return ()  # what shrinks is invisible, a letter in another type, or to be composed
    changes: list[Change] = []
    for index, cluster in _clusters(rules.text):
        form, reason = rules.rewrite(index, cluster)
        if form != cluster:
            changes.append(least_change(index, cluster, form, reason))
    return tuple(changes)


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Find the clusters that are not wholly in GSM-7, and CRLF, with their index."""
    if not may_join(text):
        yield from ((found.start(), found.group()) for found in FOREIGN.finditer(text))
        return
    index = 0
    for cluster in split_clusters(text):
        if cluster == CRLF or FOREIGN.search(cluster):
            yield index, cluster
        index += len(cluster)


def _ordered(form: str) -> str:
    """Put marks in the order of their classes (UAX 15), for which Python takes quadratic time."""
    decomposed = "".join(unicodedata.normalize("NFD", char) for char in form)
    runs = groupby(decomposed, key=lambda char: unicodedata.combining(char) > 0)
    return "".join(
        "".join(sorted(run, key=unicodedata.combining) if is_marks else run)
        for is_marks, run in runs
    )


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@attrs.frozen
class Rules:
    """What may be replaced, and how."""

    text: str
    atoms: Sequence[Atom]
    """Where nothing may be."""
    lookalikes: Mapping[int, Homoglyph]
    """Letters of another script that shall be swapped, by their index."""
    accents: bool
    """Also accents that GSM-7 does not have are left off."""
    always: bool
    """Also what makes nothing shorter."""
    line_feeds: bool
    """CRLF becomes LF."""
    complete: bool
    """The message shall be written in GSM-7; else it stays in UTF-16."""

    def rewrite(self, index: int, cluster: str) -> tuple[str, str]:
        """Write what a reader takes for one character by the rules, and say why so."""
        following = bisect_right(self.atoms, index, key=attrgetter("end"))
        if any(atom.start < index + len(cluster) for atom in self.atoms[following : following + 1]):
            return cluster, ""
        if cluster == CRLF:
            return ("\n", "line end of two characters") if self.line_feeds else (cluster, "")
        if self.complete and (fraction := self._fraction(index, cluster)):
            return fraction, "fraction"
        reasons: dict[str, None] = {}
        form = "".join(self._swap(at, char, reasons) for at, char in enumerate(cluster, index))
        form = self._compose(form, reasons)
        form = "".join(self._replace(char, reasons) for char in form)
        form = self._compose(form, reasons)
        if self.accents and FOREIGN.search(form):
            form = self._strip(form, reasons)
        return form, "; ".join(reasons)

    def _fraction(self, index: int, cluster: str) -> str | None:
        if len(cluster) > 1:
            return None
        return write_fraction(cluster, self._visible(index - 1, -1), self._visible(index + 1, 1))

    def _visible(self, index: int, step: int) -> str:
        """Give the character there, or the next one of which something will be seen."""
        while 0 <= index < len(self.text):
            found = replacements().get(self.text[index])
            if found is None or found.text:
                return self.text[index]
            index += step
        return ""

    def _swap(self, index: int, char: str, reasons: dict[str, None]) -> str:
        found = self.lookalikes.get(index)
        if found is None or not self._pays(char, found.looks_like):
            return char
        reasons[f"look-alike: {found.name}"] = None
        return found.looks_like

    def _compose(self, form: str, reasons: dict[str, None]) -> str:
        composed = unicodedata.normalize("NFC", _ordered(form) if len(form) > _MAX_MARKS else form)
        if composed == form or not (
            self.complete or ALPHABET.issuperset(composed) or _units(composed) < _units(form)
        ):
            return form
        reasons["composed form (NFC)"] = None
        return composed

    def _replace(self, char: str, reasons: dict[str, None]) -> str:
        found = replacements().get(char)
        if found is None or not self._pays(char, found.text):
            return char
        reasons[found.reason] = None
        return found.text

    def _strip(self, form: str, reasons: dict[str, None]) -> str:
        bare = drop_marks("".join(self._bare(char) for char in form))
        if bare != form:
            reasons["accent left off"] = None
        return bare

    def _bare(self, char: str) -> str:
        bare = None if char in ALPHABET else without_accents(char)
        return char if bare is None or not self._pays(char, bare) else bare

    def _pays(self, char: str, text: str) -> bool:
        if self.complete:
            return True
        return char not in _JOINERS and _units(text) - _units(char) < self.always
