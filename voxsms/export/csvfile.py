"""CSV (RFC 4180, UTF-8, with a header): the columns of the typed rows.

A text that a spreadsheet would run as a formula when it opens the file gets an apostrophe in front,
which spreadsheets take as "this is text": a message that anyone can send must not become a program
on the machine of whoever looks at the history. Source: OWASP, CSV Injection.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from voxsms.export.columns import Field, Kind, Layout, amount_texts
from voxsms.export.decoding import Decoded, column
from voxsms.export.lines import Lines
from voxsms.export.masks import masked

Column = list[Any]
_NEWLINE = "\r\n"
_records = re.compile(rb'(?:[^"\r\n]|"[^"]*")*\r\n').findall
"""A quoted cell may hold newlines; a doubled quote in it ends one piece and begins the next."""
_SPECIAL = ",", '"', "\n", "\r"
_RUN_AS_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
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
        values = column(page.rows, field.name)
        return [masked(field.name, value) for value in values] if self._mask else values

    def _texts(self, _: Field, values: Column) -> list[str]:
        texts = _plain(values)
        together = "".join(texts)
        if together.isdigit() or not together:
            return texts
        quiet = _RUN_AS_FORMULA.isdisjoint([text[:1] for text in texts])
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
    if text[:1] not in _RUN_AS_FORMULA:
        return _quoted(text)
    # A number stays a number: its digits.
    return text[1:] if _is_number_with_plus(text) else _quoted("'" + text)
