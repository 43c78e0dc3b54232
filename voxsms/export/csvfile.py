"""CSV (RFC 4180, UTF-8, with a header): the columns of the typed rows.

A text that a spreadsheet would run as a formula when it opens the file gets an apostrophe in front,
which spreadsheets take as "this is text": a message that anyone can send must not become a program
on the machine of whoever looks at the history. Source: OWASP, CSV Injection.

A formula may begin in the middle of a text, too. Where the decimal sign is a comma, a spreadsheet
cuts lines at semicolons; a quote that is not at the beginning of its cell means nothing to it then,
and a line end in quotes is the end of a line. Neither quotes nor an apostrophe in front of the text
help there, only one before the formula. It is put before `=`; before the other signs only where
what follows could do harm, that is call something or look elsewhere: with `(`, `|` or `!A1`. Lists
with dashes, smileys and numbers are what people write, and stay.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from voxsms.export.columns import Field, Kind, Layout, amount_texts
from voxsms.export.decoding import Decoded
from voxsms.export.lines import Lines
from voxsms.export.masks import masked

Column = list[Any]
_NEWLINE = "\r\n"
_records = re.compile(rb'(?:[^"\r\n]++|"[^"]*+")*+\r\n').findall
"""A quoted cell may hold newlines; a doubled quote in it ends one piece and begins the next."""
_SPECIAL = ",", '"', "\n", "\r", ";", "\t"
_CUTS = "\t\r\n"
_EQUALS, _SIGNS = "=\uff1d", "+@\uff0b\uff20\uff0d-"
_SPANS = (0, 0x20), (0x7F, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F)
_UNSEEN = "\xad\u061c\u1680\u180e\u3000\ufeff" + "".join(
    chr(code) for first, last in _SPANS for code in range(first, last + 1)
)
"""What may be passed over before a formula: blanks, controls, marks without a width."""
_MAY_LEAD = frozenset(_EQUALS + _SIGNS + _UNSEEN)
_leads_to_formula = re.compile(f"[{_CUTS}]|[{_UNSEEN}]*+[{_EQUALS}{_SIGNS}]").match
"""OWASP: a tab or a line end in front is reason enough."""
_HARM = rf"[^;{_CUTS}]*(?:[(|]|![\w$])"
_pieces = re.compile(
    f'([;{_CUTS}][;"{_UNSEEN}]*+)([{_EQUALS}](?![{_EQUALS}])|[{_SIGNS}](?={_HARM}))?+'
)
"""Where a piece of a text begins; and its first sign, if it is a formula."""
_is_number_with_plus = re.compile(r"\+[0-9]+").fullmatch


class Csv(Lines):
    """Writes rows as cells; `raw` leaves texts as they are."""

    def __init__(self, layout: Layout, *, mask: bool, raw: bool) -> None:
        self.names = [field.name for field in layout.fields]
        super().__init__(_records, (",".join(self.names) + _NEWLINE).encode())
        self._fields = layout.fields
        self._mask = mask
        self._text = _quoted if raw else _inert
        self._cells: Mapping[Kind, Callable[[Field, Column], list[str]]] = {
            Kind.INT: _figures,
            Kind.TEXT: self._texts,
            Kind.CHOICE: self._choices,
            Kind.MONEY: _amounts,
            Kind.TIME: _times,
        }

    def encode(self, page: Decoded) -> bytes:
        """Write each row."""
        columns = [self._cells[each.kind](each, self._column(page, each)) for each in self._fields]
        return _NEWLINE.join([*map(",".join, zip(*columns, strict=True)), ""]).encode()

    def _column(self, page: Decoded, field: Field) -> Column:
        values = page.column(field.name)
        return [masked(field.name, value) for value in values] if self._mask else values

    def _texts(self, _: Field, values: Column) -> list[str]:
        texts = _plain(values)
        together = "".join(texts)
        if together.isdigit() or not together:
            return texts
        quiet = _MAY_LEAD.isdisjoint([text[:1] for text in texts])
        if quiet and not any(each in together for each in _SPECIAL):
            return texts
        return list(map(self._text, texts))

    def _choices(self, field: Field, values: Column) -> list[str]:
        known = [field.known_as(value) or "" for value in {*values}]
        cells = dict(zip({*values}, self._texts(field, known), strict=True))
        return list(map(cells.__getitem__, values))


def _figures(_: Field, values: Column) -> list[str]:
    if None not in values:
        return list(map(str, values))
    return ["" if value is None else str(value) for value in values]


def _amounts(_: Field, values: Column) -> list[str]:
    return _plain(amount_texts(values))


def _times(_: Field, values: Column) -> list[str]:
    return _plain(values)


def _plain(values: Column) -> list[str]:
    return values if None not in values else [value or "" for value in values]


def _quoted(text: str) -> str:
    if "," in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _inert(text: str) -> str:
    if ";" in text or "\n" in text or "\r" in text or "\t" in text:
        text = _pieces.sub(_apart, text)
    return _quoted(_led(text) if text[:1] in _MAY_LEAD else text)


def _apart(beginning: re.Match[str]) -> str:
    before, sign = beginning.groups()
    return f"{before}'{sign}" if sign else before


def _led(text: str) -> str:
    if _is_number_with_plus(text):
        return text[1:]  # a number stays a number: its digits
    return "'" + text if _leads_to_formula(text) else text
