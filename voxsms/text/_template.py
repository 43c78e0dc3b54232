"""Template: a text with fields, filled in for each recipient and kept within a fragment limit.

.. code-block:: python

    greeting = voxsms.Template("Hi {name}, your code is {code}")
    greeting.render(name="Ada", code="1234")
    greeting.render_fitted(max_fragments=1, shrink=["name"], name="Ada " * 50, code="1234")

A field is a plain name in braces, possibly of several words (`{Order no}`); `{{` and `}}` write the
braces themselves. There is nothing else: no formats, no conversions, no attributes. So a template
can read only the values that it is given.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property, partial
from operator import itemgetter
from typing import Final, NamedTuple, cast

import attrs

from voxsms.errors import InvalidText, TemplateError
from voxsms.text._changes import Change, trim_change
from voxsms.text._fitting import Cuts, check_max_fragments, pluralize
from voxsms.text._gsm7 import count_septets
from voxsms.text._message import Message, check_str
from voxsms.text._segments import (
    GSM7,
    MAX_FRAGMENTS,
    UTF16,
    Encoding,
    ForcedBy,
    count_fragments,
    find_faults,
)

_STR: Final = frozenset((str,))
Value = str | int


class ForcedByField(NamedTuple):
    """A field whose value switched the whole message to UTF-16."""

    field: str
    characters: tuple[ForcedBy, ...]
    """The characters that caused it, with their indices in the message."""


class Room(NamedTuple):
    """How long a value may be; also 0 if the message is too long without it."""

    gsm7: int
    """In septets, for a value in GSM-7. Most characters take one, the euro and brackets two."""
    utf16: int
    """In UTF-16 code units, for any other value. A character takes one, an emoji mostly two."""


class WorstCase(NamedTuple):
    """How many fragments a message takes at most."""

    gsm7: int
    """If all values are in GSM-7."""
    utf16: int
    """If a value has a character outside GSM-7."""


@attrs.frozen(eq=False, repr=False)
class RenderedMessage(Message):
    """A message made from a template."""

    template: "Template" = attrs.field(kw_only=True)
    values: Mapping[str, str] = attrs.field(kw_only=True)
    """The value of each field."""

    @property
    def forced_by_fields(self) -> tuple[ForcedByField, ...]:
        """The fields whose values switched the message to UTF-16.

        Empty if the template's own text did, or if the message is in GSM-7.
        """
        forced = self.segmentation.forced_by
        found: dict[str, list[ForcedBy]] = {}
        for field, start, value in self.template.locate(self.values):
            first = bisect_left(forced, start, key=itemgetter(0))
            last = bisect_left(forced, start + len(value), key=itemgetter(0))
            found.setdefault(field, []).extend(forced[first:last])
        if sum(map(len, found.values())) < len(forced):
            return ()
        return tuple(ForcedByField(field, tuple(here)) for field, here in found.items() if here)


@attrs.frozen(repr=False)
class Template:
    """A text with `{fields}`.

    Raises:
        TemplateError: braces or fields are malformed; all of them are named.
        InvalidText: the text has a lone surrogate or a bare ESC.
    """

    text: str
    """The template as it was written."""

    def __attrs_post_init__(self) -> None:
        """Refuse an invalid template."""
        check_str(self.text, "template")
        _refuse_unsendable({"text": self.text})
        _ = self._pieces

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in the order in which they first appear."""
        return tuple(dict.fromkeys(self._order))

    @cached_property
    def _pieces(self) -> tuple["_Piece", ...]:
        return _parse(self.text)

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(piece.name for piece in self._pieces if isinstance(piece, _Field))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self._order)

    @cached_property
    def _pick(self) -> Callable[[Mapping[str, Value]], tuple[Value, ...]]:
        """The function that takes the values for `_format` from a row."""
        order = self._order
        if len(order) > 1:
            return itemgetter(*order)
        return lambda values: tuple([values[name] for name in order])

    @cached_property
    def _format(self) -> str:
        """The format string for `%`, the quickest way in Python."""
        parts = (p.replace("%", "%%") if isinstance(p, str) else "%s" for p in self._pieces)
        return "".join(parts)

    def render(self, /, **values: Value) -> RenderedMessage:
        """Return the message with every field filled in.

        Raises:
            TemplateError: fields without a value and values without a field, all of them named.
        """
        if values.keys() == self._names and _STR.issuperset(map(type, values.values())):
            return self._make_message(cast("dict[str, str]", values))
        return self._make_message(self._check(values))

    def fill(self, row: Mapping[str, Value], /) -> str:
        """Return just the text, quickly, filled in from a row that may hold more than the fields.

        Raises:
            TemplateError: fields without a value, all of them named.
        """
        try:
            values = self._pick(row)
        except KeyError:
            values = ()
        if len(values) == len(self._order) and _STR.issuperset(map(type, values)):
            return self._format % values
        return self._fill(self._check({name: row[name] for name in self.fields if name in row}))

    def render_fitted(
        self,
        /,
        *,
        max_fragments: int,
        shrink: Iterable[str],
        ellipsis: str = "",
        **values: Value,
    ) -> RenderedMessage:
        """Fill in every field, and shorten only those in `shrink` until the message fits.

        They are shortened in this order: the first one as little as possible; the next one only if
        the message does not fit even with the first at its shortest. Each keeps at least one
        character. Where a value is cut, `ellipsis` is written.

        Raises:
            TemplateError: the message still does not fit, or names are wrong.
            InvalidRequest: `max_fragments` is below 1.
            InvalidText: a value or the ellipsis has a lone surrogate or a bare ESC.
        """
        check_max_fragments(max_fragments, "template")
        if isinstance(shrink, str):  # it would be split into letters
            raise TemplateError("template: shrink is a str; it must be a list of names of fields")
        order = tuple(dict.fromkeys(shrink))
        known = self._check(values, shrink=order)
        _refuse_unsendable({**known, "ellipsis": ellipsis})
        whole = self._make_message(known)
        if whole.segmentation.fragments_count <= max_fragments:
            return whole
        shrunk = self._shrink(known, order, ellipsis, max_fragments)
        reason = f"shortened to fit {pluralize(max_fragments)}"
        changes = tuple(
            trim_change(start, value, shrunk[field], f"{{{field}}} {reason}")
            for field, start, value in self.locate(known)
            if value != shrunk[field]
        )
        return self._make_message(shrunk, changes=changes, original=whole.text)

    def room(self, field: str, /, *, max_fragments: int, **others: Value) -> Room:
        """Return how long any value of one field may be, given the others.

        No message has more than 255 fragments, so a higher limit gives the room of 255.

        Raises:
            TemplateError: names are wrong, all of them named.
            InvalidRequest: `max_fragments` is below 1.
            InvalidText: a value has a lone surrogate or a bare ESC.
        """
        check_max_fragments(max_fragments, "template")
        known = self._check(others, without=field)
        _refuse_unsendable(known)
        limit = min(max_fragments, MAX_FRAGMENTS)
        units = range(1, GSM7.single * limit + 1)

        def find_room(encoding: Encoding) -> int:
            return bisect_right(
                units, limit, key=lambda n: self._max_fragments({**known, field: n}, encoding)
            )

        return Room(find_room(Encoding.GSM7), find_room(Encoding.UTF16))

    def worst_case(self, /, **max_lengths: int) -> WorstCase:
        """Return how many fragments the message takes at most, if no value is longer than this.

        Lengths are read in septets for `gsm7`, in UTF-16 code units for `utf16`.

        Raises:
            TemplateError: names or lengths are wrong, or no message may be that long.
        """
        _refuse((*_check_names(self.fields, max_lengths), *_check_lengths(max_lengths)))
        gsm7 = utf16 = self._max_fragments(max_lengths, Encoding.GSM7)
        if any(max_lengths.values()):
            utf16 = self._max_fragments(max_lengths, Encoding.UTF16)
        if max(gsm7, utf16) > MAX_FRAGMENTS:
            _refuse((f"it takes more than {MAX_FRAGMENTS} fragments, which no message may have",))
        return WorstCase(gsm7, utf16)

    def locate(self, values: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
        """Yield the position of each value in the message: field, index, value."""
        index = 0
        for piece in self._pieces:
            if isinstance(piece, _Field):
                yield piece.name, index, values[piece.name]
                index += len(values[piece.name])
            else:
                index += len(piece)

    def __repr__(self) -> str:
        """Name the fields, not the text: a repr ends up in logs."""
        return f"<Template: {', '.join(self.fields) or 'no fields'}>"

    def _check(
        self, values: Mapping[str, Value], *, without: str = "", shrink: Iterable[str] = ()
    ) -> dict[str, str]:
        names = _check_names(self.fields, values, without=without, shrink=shrink)
        _refuse((*names, *_check_values(values)))
        return {name: str(value) for name, value in values.items()}

    def _fill(self, values: Mapping[str, str]) -> str:
        return self._format % self._pick(values)

    def _make_message(
        self,
        values: Mapping[str, str],
        changes: tuple[Change, ...] = (),
        original: str | None = None,
    ) -> RenderedMessage:
        text = self._fill(values)
        return RenderedMessage(
            text, changes=changes, original=original, template=self, values=values
        )

    def _shrink(
        self, values: dict[str, str], order: tuple[str, ...], ellipsis: str, max_fragments: int
    ) -> dict[str, str]:
        """Shorten the fields in turn until the message fits."""
        for field in order:
            cuts = Cuts(values[field], ellipsis)
            fits = partial(self._fits, values, field, max_fragments)
            end = cuts.find_longest(max_fragments, fits)
            if end is not None:
                return {**values, field: cuts.shorten(end)}
            values = {**values, field: cuts.shorten_most()}
        taken = pluralize(count_fragments(self._fill(values)))
        least = f" with the least of {_quote(order)}" if order else ""
        raise TemplateError(
            f"template: the message takes {taken}{least}; max_fragments is {max_fragments}"
        )

    def _fits(self, values: dict[str, str], field: str, max_fragments: int, value: str) -> bool:
        return count_fragments(self._fill({**values, field: value})) <= max_fragments

    def _max_fragments(self, values: Mapping[str, str | int], encoding: Encoding) -> int:
        """Count the fragments for the worst possible values, written in one encoding.

        Either a value or its maximum length is known. The result must hold for every value of that
        length, even with a pair (an escape pair in GSM-7, a surrogate pair in UTF-16) across each
        border of two fragments: the fragment before it then has to leave a unit free. The count
        stops above `MAX_FRAGMENTS`.
        """
        parts = [values[p.name] if isinstance(p, _Field) else p for p in self._pieces]
        capacity = GSM7 if encoding is Encoding.GSM7 else UTF16
        map_unknown: Callable[[int], bytes] = _map_pairs
        if capacity is GSM7 and any(isinstance(p, str) and count_septets(p) is None for p in parts):
            # The text around them forces UTF-16: each character of the values takes one code unit.
            capacity, map_unknown = UTF16, bytes
        known = [capacity.pair_map(part) if isinstance(part, str) else part for part in parts]
        units = sum(part if isinstance(part, int) else len(part) for part in known)
        if units > capacity.part * MAX_FRAGMENTS:
            return MAX_FRAGMENTS + 1
        pairs = b"".join(map_unknown(part) if isinstance(part, int) else part for part in known)
        return len(capacity.find_cuts(pairs))


def _map_pairs(units: int) -> bytes:
    """Return the pair map of an unknown value: wherever a cut falls, it may hit a pair."""
    return b"\x1b" * (units - 1) + bytes(min(units, 1))


# --- Reading the braces, strictly -----------------------------------------------------------------

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHOWN: Final = re.compile(r" ?[\w.!:\[\]]{0,30} ?")  # nothing that could be message text
_RULE: Final = (
    "A field is a plain name in braces, {name} or {Order no}: no spaces around, no digit in front, "
    "no attribute (.), format (:) or conversion (!). Write {{ and }} for the braces themselves."
)
_BETWEEN_WORDS: Final = re.compile(r"(?<=\S)[ -](?=\S)")
_TAKEN: Final = frozenset(("ellipsis", "max_fragments", "shrink"))


class _Field(NamedTuple):
    """A field, to be replaced by a value."""

    name: str


_Piece = str | _Field


def _parse(text: str) -> tuple[_Piece, ...]:
    found = list(_BRACES.finditer(text))
    if faults := [fault for match in found if (fault := _find_fault(match))]:
        raise TemplateError(f"template: {'; '.join(faults)}. {_RULE}")
    pieces: list[_Piece] = []
    literal: list[str] = []
    done = 0
    for match in found:
        literal.append(text[done : match.start()])
        done = match.end()
        if match[1] is None:
            literal.append(match[0][0])  # `{{` is a brace
        else:
            pieces += ("".join(literal), _Field(match[1]))
            literal.clear()
    return (*pieces, "".join((*literal, text[done:])))


def _find_fault(match: re.Match[str]) -> str | None:
    """Return what is wrong with one brace or field, without showing the text around it."""
    if match[0] in {"{{", "}}"}:
        return None
    where, name = f"at index {match.start()}", match[1]
    if name is None:
        return f"a single {match[0]} {where}"
    if name in _TAKEN:
        return f"{{{name}}} {where} is taken: render_fitted has a parameter of that name"
    if _BETWEEN_WORDS.sub("_", name).isidentifier():  # as the columns of a list are named
        return None
    shown = f"{{{name}}}" if _SHOWN.fullmatch(name) else "a placeholder"
    return f"{shown} {where} is not a valid field"


# --- Checking the values: one error names every fault ---------------------------------------------

_MAX_GUESSES: Final = 10  # each is compared with every field


def _check_names(
    fields: Collection[str],
    given: Collection[str],
    *,
    without: str = "",
    shrink: Iterable[str] = (),
) -> Iterator[str]:
    """Yield the fields (except one) that have no value, and the names that are not fields."""
    if missing := [name for name in fields if name not in given and name != without]:
        yield f"no value for {_quote(missing)}"
    known = {*fields, ""}
    unknown = [name for name in dict.fromkeys((*given, without, *shrink)) if name not in known]
    for position, name in enumerate(unknown):
        close = get_close_matches(name, fields, n=1) if position < _MAX_GUESSES else ()
        meant = f" (did you mean {_quote(close)}?)" if close else ""
        yield f"no field {_quote((name,))}{meant}"
    if without in given:
        yield f"a value for {_quote((without,))}, which is the field in question"


def _check_values(values: Mapping[str, object]) -> Iterator[str]:
    """Yield the values that are not a str or an int; others could be written in several ways."""
    for name, value in values.items():
        if not isinstance(value, Value) or isinstance(value, bool):
            kind = type(value).__name__
            yield f"the value of {_quote((name,))} is of type {kind}; it must be a str or an int"


def _check_lengths(lengths: Mapping[str, object]) -> Iterator[str]:
    for name, length in lengths.items():
        if type(length) is not int or length < 0:
            yield f"the length of {_quote((name,))} must be a whole number of at least 0"


def _refuse(faults: Iterable[str]) -> None:
    """Raise one `TemplateError` for all of them."""
    if found := "; ".join(faults):
        raise TemplateError(f"template: {found}")


def _refuse_unsendable(texts: Mapping[str, str]) -> None:
    """Refuse texts that no message can carry, naming their fields."""
    if faults := [fault for name, text in texts.items() for fault in find_faults(text, name)]:
        raise InvalidText("template", tuple(faults))


def _quote(names: Iterable[str]) -> str:
    """Write names as they are in a template."""
    return ", ".join(f"{{{name}}}" for name in names)
