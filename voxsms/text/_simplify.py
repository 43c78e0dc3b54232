"""Save fragments by replacing characters with others that say the same.

There are two ways to save. *Complete*: every character outside GSM-7 is replaced, and the whole
message is written in GSM-7. *Shorter*: the message stays in UTF-16, and a character is replaced
only if that takes fewer code units. The way that takes fewer fragments is chosen, or neither if
neither saves any. CRLF becomes LF only where that saves a fragment too.

Letters are composed first (NFC). On request, Greek capitals become the GSM-7 letters of the same
shape, small Greek letters only if they may become capitals. Other characters in GSM-7 are never
changed, nor are links.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, groupby, product
from operator import attrgetter
from typing import Final, Literal

import attrs

from voxsms.text._changes import Change, apply_changes, trim_change
from voxsms.text._graphemes import Atom, find_atoms, may_join, split_clusters
from voxsms.text._gsm7 import ALPHABET, FOREIGN, count_septets
from voxsms.text._replacements import (
    Homoglyph,
    find_greek_words,
    find_homoglyphs,
    remove_accents,
    remove_marks,
    replacements,
    write_fraction,
    write_greek,
)
from voxsms.text._segments import count_fragments

Greek = bool | Literal["capitals"]
CRLF: Final = "\r\n"
_MAX_MARKS: Final = 30  # on one letter, in any real text (UAX 15, stream-safe format)
# They join, separate or reverse their neighbours. That is invisible in a GSM-7 text, but in emoji
# and in the scripts of other languages they are part of the writing.
_JOINERS: Final = frozenset(
    "\u034f\u061c\u180e\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
    "\ufe0e\ufe0f"
)


def simplify(
    text: str, *, accents: bool, homoglyphs: bool, greek: Greek, always: bool
) -> tuple[Change, ...]:
    """Return the changes that save fragments; none if there is nothing to save."""
    count = count_fragments(text)
    if (count <= 1 and not always) or (count_septets(text) is not None and CRLF not in text):
        return ()
    lookalikes = {one.index: one for one in (find_homoglyphs(text) if homoglyphs else ())}
    atoms = find_atoms(text)
    fewest = count + always
    best: tuple[Change, ...] = ()
    line_ends = (always,) if always or CRLF not in text else (False, True)
    for line_feeds, complete in product(line_ends, (True, False)):
        rules = Rules(text, atoms, lookalikes, accents, greek, always, line_feeds, complete)
        changes = rules.find_changes()
        after = count_fragments(apply_changes(text, changes))
        # A text of invisible characters stays as it is: an empty text cannot be sent.
        if changes and 0 < after < fewest:
            fewest, best = after, changes
    return best


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield the clusters that are not entirely in GSM-7, and CRLF, with their index.

    Several CRs before an LF, as in a text that was converted twice, are one line end.
    """
    if not may_join(text):
        yield from ((found.start(), found.group()) for found in FOREIGN.finditer(text))
        return
    index = line_end = 0
    for cluster in split_clusters(text):
        if cluster == CRLF:
            yield line_end, text[line_end : index + len(CRLF)]
        elif FOREIGN.search(cluster):
            yield index, cluster
        index += len(cluster)
        if cluster != "\r":
            line_end = index


def _order_marks(form: str) -> str:
    """Sort marks by their classes (UAX 15); `normalize` takes quadratic time."""
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
    """What may be replaced in a text, and how."""

    text: str
    atoms: Sequence[Atom]
    """Where nothing may be replaced."""
    lookalikes: Mapping[int, Homoglyph]
    """Letters of another script to swap, by their index."""
    accents: bool
    """Also remove accents that GSM-7 does not have."""
    greek: Greek
    """Write Greek capitals, or all Greek in capitals, by shapes that GSM-7 has."""
    always: bool
    """Also make replacements that shorten nothing."""
    line_feeds: bool
    """Write LF for CRLF."""
    complete: bool
    """Convert the whole message to GSM-7; else it stays in UTF-16."""

    def find_changes(self) -> tuple[Change, ...]:
        """Return the changes by these rules; if `complete`, none unless all becomes GSM-7."""
        if not (self.complete or self.always or may_join(self.text)):
            return ()  # only invisible, styled and decomposed characters can shrink
        changes: list[Change] = []
        for index, cluster in _clusters(self.text):
            form, reason = self.rewrite(index, cluster)
            if self.complete and FOREIGN.search(form):
                return ()
            if form != cluster:
                changes.append(trim_change(index, cluster, form, reason))
        return tuple(changes)

    def rewrite(self, index: int, cluster: str) -> tuple[str, str]:
        """Return what to write for a grapheme cluster, and why."""
        following = bisect_right(self.atoms, index, key=attrgetter("end"))
        if any(atom.start < index + len(cluster) for atom in self.atoms[following : following + 1]):
            return cluster, ""
        if cluster.endswith(CRLF):
            return ("\n", "line end of two characters") if self.line_feeds else (cluster, "")
        if self.complete and (fraction := self._fraction(index, cluster)):
            return fraction, "fraction"
        reasons: dict[str, None] = {}
        form = "".join(self._swap(at, char, reasons) for at, char in enumerate(cluster, index))
        form = self._compose(form, reasons)
        form = "".join(self._replace(char, reasons) for char in form)
        form = self._compose(form, reasons)
        after = self.text[index + len(cluster) : index + len(cluster) + 1]
        if not form and after and unicodedata.combining(after):
            return cluster, ""  # it would leave its mark on the letter before it
        if self.greek and self.complete and FOREIGN.search(form):
            form = self._write_greek(index, form, reasons)
        if self.accents and FOREIGN.search(form):
            form = self._strip(form, reasons)
        return form, "; ".join(reasons)

    def _fraction(self, index: int, cluster: str) -> str | None:
        if len(cluster) > 1:
            return None
        return write_fraction(cluster, self._visible(index - 1, -1), self._visible(index + 1, 1))

    def _visible(self, index: int, step: int) -> str:
        """Return the character at an index, or the next one that will be visible."""
        while 0 <= index < len(self.text):
            found = replacements().get(self.text[index])
            if found is None or found.text:
                return self.text[index]
            index += step
        return ""

    def _swap(self, index: int, char: str, reasons: dict[str, None]) -> str:
        found = self.lookalikes.get(index)
        if found is None or not self._is_worth(char, found.looks_like):
            return char
        reasons[f"look-alike: {found.name}"] = None
        return found.looks_like

    def _compose(self, form: str, reasons: dict[str, None]) -> str:
        composed = unicodedata.normalize(
            "NFC", _order_marks(form) if len(form) > _MAX_MARKS else form
        )
        if composed == form or not (
            self.complete or ALPHABET.issuperset(composed) or _units(composed) < _units(form)
        ):
            return form
        reasons["composed form (NFC)"] = None
        return composed

    def _replace(self, char: str, reasons: dict[str, None]) -> str:
        found = replacements().get(char)
        if found is None or not self._is_worth(char, found.text):
            return char
        reasons[found.reason] = None
        return found.text

    def _write_greek(self, index: int, form: str, reasons: dict[str, None]) -> str:
        capitals = self.greek == "capitals" and index in self._greek_letters
        written = write_greek(form, capitals=capitals)
        if written is None:
            return form
        reasons["Greek in capitals" if form.islower() else "Greek capital of the same shape"] = None
        if unicodedata.normalize("NFD", form) != form:
            reasons["accent left off"] = None
        return written

    @cached_property
    def _greek_letters(self) -> frozenset[int]:
        return frozenset(chain.from_iterable(find_greek_words(self.text)))

    def _strip(self, form: str, reasons: dict[str, None]) -> str:
        bare = remove_marks("".join(self._bare(char) for char in form))
        if bare != form:
            reasons["accent left off"] = None
        return bare

    def _bare(self, char: str) -> str:
        bare = None if char in ALPHABET else remove_accents(char)
        return char if bare is None or not self._is_worth(char, bare) else bare

    def _is_worth(self, char: str, text: str) -> bool:
        if self.complete:
            return True
        return char not in _JOINERS and _units(text) - _units(char) < self.always
