"""CSV (RFC 4180, UTF-8, with a header): the columns of the typed rows.

A text that a spreadsheet would run as a formula when it opens the file gets an apostrophe in front,
which marks it as text for spreadsheets: a message that anyone can send must not become a program on
the machine of a person who reads the history. Source: OWASP, CSV Injection.

A formula may begin in the middle of a text, too. Where the decimal sign is a comma, a spreadsheet
splits lines at semicolons; then it ignores quotes that are not at the beginning of a cell, and a
line end in quotes ends the line. Quotes or an apostrophe in front of the text do not help there,
only an apostrophe before the formula. `=` always gets one; other signs only if what follows could
do harm, that is call something or refer elsewhere: with `(`, `|` or `!A1`. Lists with dashes,
smileys and numbers are ordinary texts, and stay.

For Excel the file begins with a UTF-8 byte order mark, and a number or an id is `="447700900123"`:
nothing else keeps Excel from reading it as 4,477E+11, with only 15 correct digits.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from voxsms.export._rows import Column, Kind, amount_text
from voxsms.export._table import Table
from voxsms.export.formats._format import Format

_NUMBERS = ("message_id", "source_number", "destination_number", "transaction_id")
_NEWLINE = "\r\n"
_find_records = re.compile(rb'(?:[^"\r\n]++|"[^"]*+")*+\r\n').findall
"""A quoted cell may hold newlines; a doubled quote in it ends one piece and begins the next."""
_SPECIAL = ",", '"', "\n", "\r", ";", "\t"
_CUTS = "\t\r\n"
_EQUALS, _SIGNS = "=\uff1d", "+@\uff0b\uff20\uff0d-"
_SPANS = (0, 0x20), (0x7F, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F)
_UNSEEN = "\xad\u061c\u1680\u180e\u3000\ufeff" + "".join(
    chr(code) for first, last in _SPANS for code in range(first, last + 1)
)
"""Characters that a spreadsheet may skip before a formula: blanks, controls, zero-width marks."""
_MAY_LEAD = frozenset(_EQUALS + _SIGNS + _UNSEEN)
_leads_to_formula = re.compile(f"[{_CUTS}]|[{_UNSEEN}]*+[{_EQUALS}{_SIGNS}]").match
"""OWASP: a tab or a line end in front is enough."""
_HARM = rf"[^;{_CUTS}]*(?:[(|]|![\w$])"
_pieces = re.compile(
    f'([;{_CUTS}][;"{_UNSEEN}]*+)([{_EQUALS}](?![{_EQUALS}])|[{_SIGNS}](?={_HARM}))?+'
)
"""The beginning of a piece of a text, with its first sign if it is a formula."""
_is_number_with_plus = re.compile(r"\+[0-9]+").fullmatch


class Csv(Format):
    """Writes rows as cells; `raw` leaves texts as they are, `excel` writes numbers as texts."""

    def __init__(self, table: Table, *, raw: bool, excel: bool) -> None:
        self._table = table
        self._text = _quote if raw else _make_inert
        self._excel = excel
        names = (",".join(table.names) + _NEWLINE).encode()
        self.header = BOM_UTF8 + names if excel else names

    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Return rows as records."""
        return b"".join(map(self._records, portions))

    def _records(self, contents: Sequence[Any]) -> bytes:
        take_values = self._table.take
        cells = [self._cells(each, take_values(each, contents)) for each in self._table.columns]
        return _NEWLINE.join([*map(",".join, zip(*cells, strict=True)), ""]).encode()

    def _cells(self, column: Column, values: list[Any]) -> list[str]:
        if self._excel and column.name in _NUMBERS:
            return list(map(self._number_as_text, values))
        if column.kind in (Kind.CHOICE, Kind.MONEY):  # values repeat: each is formatted once
            different = [*{*values}]
            cells = self._cells_of(column, different)
            if len(cells) == 1:
                return cells * len(values)
            return list(map(dict(zip(different, cells, strict=True)).__getitem__, values))
        return self._cells_of(column, values)

    def _cells_of(self, column: Column, values: list[Any]) -> list[str]:
        if column.kind is Kind.CHOICE:
            values = [column.known.get(value, value) for value in values]
        elif column.kind is Kind.MONEY:
            values = list(map(amount_text, values))
        elif column.kind is Kind.INT:
            return ["" if value is None else str(value) for value in values]
        texts = values if None not in values else [value or "" for value in values]
        return self._texts(texts) if column.kind in (Kind.TEXT, Kind.CHOICE) else texts

    def _number_as_text(self, value: int | str | None) -> str:
        text = "" if value is None else str(value)
        return f'"=""{text}"""' if text.isdigit() and text.isascii() else self._text(text)

    def _texts(self, texts: list[str]) -> list[str]:
        together = "".join(texts)
        if not together or (together.isascii() and together.encode().isdigit()):
            return texts
        quiet = _MAY_LEAD.isdisjoint([text[:1] for text in texts])
        if quiet and not any(each in together for each in _SPECIAL):
            return texts
        return list(map(self._text, texts))

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its records."""
        records = _find_records(part)
        return b"".join([each for index, each in enumerate(records) if index not in indexes])


def _quote(text: str) -> str:
    if "," in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _make_inert(text: str) -> str:
    if ";" in text or "\n" in text or "\r" in text or "\t" in text:
        text = _pieces.sub(_mark_formula, text)
    return _quote(_mark_start(text) if text[:1] in _MAY_LEAD else text)


def _mark_formula(beginning: re.Match[str]) -> str:
    before, sign = beginning.groups()
    return f"{before}'{sign}" if sign else before


def _mark_start(text: str) -> str:
    if _is_number_with_plus(text):
        return text[1:]  # a number stays a number: its digits
    return "'" + text if _leads_to_formula(text) else text
