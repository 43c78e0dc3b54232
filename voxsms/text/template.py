"""Template: a text with fields, filled in for each recipient and kept within its fragments.

    greeting = Template("Hi {name}, your code is {code}")
    greeting.render(name="Ada", code="1234")
    greeting.render_fitted(max_fragments=1, shrink=["name"], name=name, code=code)

A field is a plain name in braces; `{{` and `}}` write the braces themselves. There is nothing else:
no formats, no conversions, no attributes. So whoever writes a template can read nothing with it but
the values that are given.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from operator import itemgetter
from typing import Final, NamedTuple, cast

import attrs

from voxsms.errors import TemplateError
from voxsms.text.capacity import MAX_FRAGMENTS
from voxsms.text.changes import Change, least_change
from voxsms.text.filling import (
    Value,
    check_lengths,
    check_names,
    check_values,
    listed,
    refuse,
    refuse_unsendable,
)
from voxsms.text.fitting import Cuts, at_most, count_of
from voxsms.text.message import Message, check_str
from voxsms.text.placeholders import Field, Piece, parse
from voxsms.text.room import Part, Room, WorstCase, most_fragments, most_units
from voxsms.text.segments import Encoding, ForcedBy, count_fragments

_STR: Final = frozenset((str,))


class ForcedByField(NamedTuple):
    """A field whose value switched the whole message to UTF-16."""

    field: str
    characters: tuple[ForcedBy, ...]
    """The characters that did it, with their indices in the message."""


@attrs.frozen(eq=False, repr=False)
class RenderedMessage(Message):
    """A message made from a template."""

    template: "Template" = attrs.field(kw_only=True)
    values: Mapping[str, str] = attrs.field(kw_only=True)
    """What stands in the fields."""

    @property
    def forced_by_fields(self) -> tuple[ForcedByField, ...]:
        """The fields whose values switched the message to UTF-16; none if the template's text did.

        None either if the message is in GSM-7.
        """
        forced = self.segmentation.forced_by
        found: dict[str, list[ForcedBy]] = {}
        for field, start, value in self.template.places(self.values):
            first, end = (
                bisect_left(forced, at, key=itemgetter(0)) for at in (start, start + len(value))
            )
            found.setdefault(field, []).extend(forced[first:end])
        if sum(map(len, found.values())) < len(forced):
            return ()
        return tuple(ForcedByField(field, tuple(here)) for field, here in found.items() if here)


@attrs.frozen(repr=False)
class Template:
    """A text with `{fields}`."""

    text: str
    """The template as it was written."""

    def __attrs_post_init__(self) -> None:
        """Refuse what is no template."""
        check_str(self.text, "template")
        refuse_unsendable({"text": self.text})
        _ = self._pieces

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in the order in which they first appear."""
        return tuple(dict.fromkeys(self._order))

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        return parse(self.text)

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(piece.name for piece in self._pieces if isinstance(piece, Field))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self._order)

    @cached_property
    def _pick(self) -> Callable[[Mapping[str, Value]], tuple[Value, ...]]:
        """Take the values that `_format` is filled in with."""
        order = self._order
        if len(order) > 1:
            return itemgetter(*order)
        return lambda values: tuple([values[name] for name in order])

    @cached_property
    def _format(self) -> str:
        """What `%` fills in: nothing in Python is quicker."""
        parts = (p.replace("%", "%%") if isinstance(p, str) else "%s" for p in self._pieces)
        return "".join(parts)

    def render(self, /, **values: Value) -> RenderedMessage:
        """Fill in every field; `TemplateError` names the missing and the unknown ones."""
        if values.keys() == self._names and _STR.issuperset(map(type, values.values())):
            return self._rendered(cast("dict[str, str]", values))
        return self._rendered(self._checked(values))

    def fill(self, row: Mapping[str, Value], /) -> str:
        """Fill in every field from a row that may hold more, and give the text alone: quickly."""
        try:
            values = self._pick(row)
        except KeyError:
            values = ()
        if len(values) == len(self._order) and _STR.issuperset(map(type, values)):
            return self._format % values
        return self._fill(self._checked({name: row[name] for name in self.fields if name in row}))

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

        They are shortened in this order: the first one as little as possible; only if the message
        does not fit even with the least of it, the next one too. At least one character is kept of
        each, otherwise `TemplateError`. Where a value is cut, `ellipsis` is written.
        """
        at_most(max_fragments, "template")
        order = _field_names(shrink)
        known = self._checked(values, shrink=order)
        refuse_unsendable({**known, "ellipsis": ellipsis})
        whole = self._rendered(known)
        if whole.segmentation.fragments_count <= max_fragments:
            return whole
        shrunk = self._shrink(known, order, ellipsis, max_fragments)
        reason = f"shortened to fit {count_of(max_fragments)}"
        changes = tuple(
            least_change(start, value, shrunk[field], f"{{{field}}} {reason}")
            for field, start, value in self.places(known)
            if value != shrunk[field]
        )
        return self._rendered(shrunk, changes=changes, original=whole.text)

    def room(self, field: str, /, *, max_fragments: int, **others: Value) -> Room:
        """Say how long the value of one field may be, whatever it is, given those of the others."""
        at_most(max_fragments, "template")
        known = self._checked(others, without=field)
        refuse_unsendable(known)

        def parts(units: int) -> list[Part]:
            return self._parts({**known, field: units})

        return Room(
            most_units(parts, Encoding.GSM7, max_fragments),
            most_units(parts, Encoding.UTF16, max_fragments),
        )

    def worst_case(self, /, **max_lengths: int) -> WorstCase:
        """Say how many fragments the message takes at most, if no value is longer than this.

        Lengths are in septets for the one figure, in UTF-16 code units for the other.
        """
        refuse((*check_names(self.fields, max_lengths), *check_lengths(max_lengths)))
        parts = self._parts(max_lengths)
        gsm7 = utf16 = most_fragments(parts, Encoding.GSM7)
        if any(max_lengths.values()):
            utf16 = most_fragments(parts, Encoding.UTF16)
        if max(gsm7, utf16) > MAX_FRAGMENTS:
            refuse((f"it takes more than {MAX_FRAGMENTS} fragments, which no message may have",))
        return WorstCase(gsm7, utf16)

    def places(self, values: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
        """Say where each value stands in the message: field, index, value."""
        index = 0
        for piece in self._pieces:
            if isinstance(piece, Field):
                yield piece.name, index, values[piece.name]
                index += len(values[piece.name])
            else:
                index += len(piece)

    def __repr__(self) -> str:
        """Name the fields, not the text: a repr ends up in logs."""
        return f"<Template: {', '.join(self.fields) or 'no fields'}>"

    def _checked(
        self, values: Mapping[str, Value], *, without: str = "", shrink: Iterable[str] = ()
    ) -> dict[str, str]:
        names = check_names(self.fields, values, without=without, shrink=shrink)
        refuse((*names, *check_values(values)))
        return {name: str(value) for name, value in values.items()}

    def _fill(self, values: Mapping[str, str]) -> str:
        return self._format % self._pick(values)

    def _rendered(
        self,
        values: Mapping[str, str],
        changes: tuple[Change, ...] = (),
        original: str | None = None,
    ) -> RenderedMessage:
        text = self._fill(values)
        return RenderedMessage(
            text, changes=changes, original=original, template=self, values=values
        )

    def _parts(self, values: Mapping[str, Part]) -> list[Part]:
        return [values[p.name] if isinstance(p, Field) else p for p in self._pieces]

    def _shrink(
        self, values: dict[str, str], order: tuple[str, ...], ellipsis: str, max_fragments: int
    ) -> dict[str, str]:
        """Shorten one field after the other until the message fits."""
        for field in order:
            cuts = Cuts(values[field], ellipsis)
            end = cuts.longest(max_fragments, partial(self._fits, values, field, max_fragments))
            if end is not None:
                return {**values, field: cuts.written(end)}
            values = {**values, field: cuts.least()}
        taken = count_of(count_fragments(self._fill(values)))
        least = f" with the least of {listed(order)}" if order else ""
        raise TemplateError(
            f"template: the message takes {taken}{least}; max_fragments is {max_fragments}"
        )

    def _fits(self, values: dict[str, str], field: str, max_fragments: int, value: str) -> bool:
        return count_fragments(self._fill({**values, field: value})) <= max_fragments


def _field_names(names: Iterable[str]) -> tuple[str, ...]:
    """Take names of fields, each once; a single `str` would be taken apart into letters."""
    if isinstance(names, str):
        raise TemplateError("template: shrink is a str; it must be a list of names of fields")
    return tuple(dict.fromkeys(names))
