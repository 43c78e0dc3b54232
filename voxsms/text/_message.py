"""Message: a text, what it costs, and the shorter texts that say the same."""

from collections.abc import Iterable
from functools import cached_property

import attrs

from voxsms.errors import Fault, InvalidRequest, InvalidText
from voxsms.text._changes import Change, apply_changes, chain_changes
from voxsms.text._fitting import Cuts, check_max_fragments, pluralize
from voxsms.text._replacements import Homoglyph, find_homoglyphs
from voxsms.text._segments import Segmentation, count_fragments, find_faults, segment
from voxsms.text._simplify import Greek, simplify


def check_str(given: object, subject: str) -> None:
    """Raise `InvalidRequest` if this is not a `str`."""
    if not isinstance(given, str):
        problem = f"is a value of type {type(given).__name__}; it must be a str"
        raise InvalidRequest(subject, (Fault("text", problem),))


@attrs.frozen(eq=False, repr=False)
class Message:
    """A text, accepted wherever a `str` text is; immutable: changes are made in a copy."""

    text: str
    changes: tuple[Change, ...] = attrs.field(default=(), kw_only=True)
    """What was changed in `original`: `(index, before, after, reason)` each, in order."""
    _original: str | None = attrs.field(default=None, kw_only=True, alias="original")

    def __attrs_post_init__(self) -> None:
        """Refuse what is not a `str`; a text that cannot be sent is refused when it is counted."""
        check_str(self.text, "message")

    @property
    def original(self) -> str:
        """The text before all changes."""
        return self.text if self._original is None else self._original

    @cached_property
    def segmentation(self) -> Segmentation:
        """How the text is encoded and cut into fragments, and why."""
        return segment(self.text)

    @cached_property
    def homoglyphs(self) -> tuple[Homoglyph, ...]:
        """Cyrillic and Greek letters that pass for Latin ones inside Latin words."""
        return find_homoglyphs(self.text)

    def simplified(
        self,
        *,
        accents: bool = False,
        homoglyphs: bool = False,
        greek: Greek = False,
        always: bool = False,
    ) -> "Message":
        """Return the same in fewer fragments; this message itself if that saves none.

        Characters outside GSM-7 are replaced by GSM-7 ones that say the same: first letters are
        composed (NFC), then quotes, dashes, spaces and the like are replaced. Of the characters in
        GSM-7 only CRLF changes: it becomes LF where that saves a fragment too. Links and letters of
        other scripts stay as they are. The result never takes more fragments.

        Args:
            accents: Also remove accents that GSM-7 does not have.
            homoglyphs: Also swap what `homoglyphs` reports.
            greek: With True, write Greek capitals without accents, as the GSM-7 letters of the same
                shape, Greek or Latin: a reader sees no difference but the accents.
                With `"capitals"`, also write the small letters of Greek words as capitals.
            always: Also replace where it saves nothing, but never at the cost of a fragment.

        Raises:
            InvalidText: the text has a lone surrogate or a bare ESC.
            InvalidRequest: `greek` is something else.
        """
        asked: object = greek
        if not (isinstance(asked, bool) or asked == "capitals"):
            problem = f"is {asked!r}; it must be True, False or 'capitals'"
            raise InvalidRequest("message", (Fault("greek", problem),))
        changes = simplify(
            self.text, accents=accents, homoglyphs=homoglyphs, greek=greek, always=always
        )
        if not changes:
            return self
        simple = self._with(changes)
        if homoglyphs:  # a replacement may have joined two words, which exposes a look-alike
            return simple.simplified(accents=accents, homoglyphs=True, greek=greek, always=always)
        return simple

    def fitted(self, *, max_fragments: int, ellipsis: str = "...") -> "Message":
        """Return the text shortened until it fits; this message itself if it already fits.

        The longest beginning that fits with the ellipsis is kept. It is cut at the end of a word
        (of a grapheme cluster only where a word would lose more than half), never in a link or a
        `{placeholder}`.

        Raises:
            InvalidRequest: `max_fragments` is below 1, or no part of the text can be kept.
            InvalidText: text or ellipsis has a lone surrogate or a bare ESC.
        """
        check_max_fragments(max_fragments, "message")
        if faults := find_faults(ellipsis, "ellipsis"):
            raise InvalidText("message", faults)
        if self.segmentation.fragments_count <= max_fragments:
            return self
        end, after = self._cut(max_fragments, ellipsis)
        reason = f"shortened to fit {pluralize(max_fragments)}"
        return self._with((Change(end, self.text[end:], after, reason),))

    def _cut(self, max_fragments: int, ellipsis: str) -> tuple[int, str]:
        kept = self.text.rstrip()
        if kept and count_fragments(kept) <= max_fragments:
            return len(kept), ""
        cuts = Cuts(self.text, ellipsis)
        end = cuts.find_longest(max_fragments, lambda text: count_fragments(text) <= max_fragments)
        if end is None:
            raise InvalidRequest("message", (self._no_room(max_fragments),))
        return end, cuts.ending(end)

    def _no_room(self, max_fragments: int) -> Fault:
        taken = pluralize(self.segmentation.fragments_count)
        limit = pluralize(max_fragments)
        problem = f"takes {taken} and no beginning of it that makes sense fits {limit}"
        return Fault("text", problem)

    def _with(self, changes: Iterable[Change]) -> "Message":
        changes = tuple(changes)
        text = apply_changes(self.text, changes)
        if self.changes:
            changes = chain_changes(self.original, self.changes, changes)
        return Message(text, changes=changes, original=self.original)

    def __eq__(self, other: object) -> bool:
        """Compare the texts: how a message came to be does not matter."""
        return self.text == other.text if isinstance(other, Message) else NotImplemented

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash(self.text)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def __repr__(self) -> str:
        """Show how long the message is, not what it says: a repr ends up in logs."""
        name = type(self).__name__
        characters = pluralize(len(self.text), "character")
        if find_faults(self.text):
            return f"<{name}: {characters}, cannot be sent>"
        cut = self.segmentation
        return f"<{name}: {characters}, {cut.encoding}, {pluralize(cut.fragments_count)}>"
