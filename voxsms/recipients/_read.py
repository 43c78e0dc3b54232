"""A list of recipients: which column is which, and the content of each row."""

import codecs
import io
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from voxsms.api.country_codes import DoubtfulNumbers, Spell, advise_region
from voxsms.api.phone_numbers import (
    check_region,
    import_phonenumbers,
    is_national,
    read_phone_number,
)
from voxsms.api.wire import describe_type
from voxsms.masking import mask_message, mask_number
from voxsms.recipients._csv import CsvRows, is_like_number
from voxsms.recipients._encodings import find_encoding, guess_encoding
from voxsms.recipients._excel import OLD_SIGNATURE, SIGNATURE, ExcelRows
from voxsms.recipients._rows import BadRow, Recipient, Rows, make_error

_HEAD: Final = 1 << 16  # bytes at the beginning that show what kind of file it is
_PHONE: Final = "phone"
_NUMBER_WORDS: Final = (
    (
        r"phone|mobile|\bcell|handy|gsm|msisdn|\bt[eé]l|m[oó]vil|celular|telefon|телефон|\bмоб|\bтел"
        r"|τηλ[εέ]φ|κινητ|電話|电话|手机|携帯|전화|휴대|טלפון|هاتف|جوال"
    ),
    r"number|numer|nummer|número|numéro|номер|\bsms|\bto\b",
)
"""Names of the column with the numbers, the likelier words first; compared in lower case."""
_LOST: Final = re.compile("[\udc80-\udcff]")
"""Finds the substitutes for bytes that are invalid in the encoding."""
_REPLACED: Final = "\ufffd"
_MAX_NAMED: Final = 20  # columns
_MAX_NAME: Final = 60  # characters of one


def _spell_keyword(option: str, value: str | int) -> str:
    return f"{option}={value!r}" if value else option


class Recipients:
    """The rows of a list, which can be read once; `with` closes the file.

    Iterating yields a `Recipient` or a `BadRow` for each row; empty rows are skipped.
    """

    columns: tuple[str, ...]
    """The names of all columns, without blanks around them."""
    number_column: str
    """The column with the phone numbers."""
    encoding: str | None
    """The encoding of the file; None for a workbook."""
    delimiter: str | None
    """What separates the columns; None for a workbook."""
    notes: list[str]
    """Notes for the user on the whole list; reading to its end may add more."""
    cells: list[str]
    """The cells of the last row read, one for each of `columns`; empty if it does not fit them."""

    def __init__(
        self, source: "_Source", number_column: str | None, fields: Collection[str] | None
    ) -> None:
        self._source = source
        self._rows = source.rows
        self.encoding, self.delimiter = source.encoding, source.delimiter
        self.notes = source.notes
        if any(map(_LOST.search, self._rows.header)):
            raise make_error("source", source.refuse_encoding(self._rows.header))
        self.columns = tuple(map(_clean, self._rows.header))
        self._number_at = self._rows.number_at = self._find_numbers(number_column or _PHONE)
        self.number_column = self.columns[self._number_at]
        if fields is None:
            self._fields = {name: self.columns.index(name) for name in self.columns if name}
        else:
            self._fields = {name: self._find(name, "fields") for name in fields}

    def __enter__(self) -> Self:
        """Return the list itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._source.close()

    def __iter__(self) -> Iterator[Recipient | BadRow]:
        """Yield row after row."""
        at, fields = self._number_at, self._fields
        region, strict = self._source.region, self._source.strict_numbers
        doubtful = DoubtfulNumbers("line", self._source.spell, region, strict=strict)
        read = no_numbers = national = 0
        for row in self._rows:
            self.cells = []
            if isinstance(row, BadRow):
                yield row
                continue
            line, self.cells = row
            cells = self.cells
            if not any(map(str.strip, cells)):
                continue
            read += 1
            values = {name: cells[index] for name, index in fields.items()}
            if problem := self._find_lost([cells[at], *values.values()]):
                yield BadRow(line, problem)
                continue
            try:
                number = read_phone_number(cells[at], region, strict=strict)
            except ValueError as error:
                if region is None and is_national(cells[at]):
                    national += 1
                else:
                    no_numbers += 1
                problem = str(error) if cells[at].strip() else "is empty"
                yield BadRow(line, f"{self.number_column}: {problem}")
            else:
                doubtful.add(number, line)
                yield Recipient(line, number, values)
        if 2 * no_numbers > read:
            option = self._source.spell("number_column", "")
            what = f'most of the column "{self.number_column}" is not phone numbers'
            self.notes.append(f"{what}: a wrong {option}?")
        if national:
            rows = f"{national:,} {'number lacks' if national == 1 else 'numbers lack'}"
            advice = advise_region(self._source.spell)
            self.notes.append(f"{rows} the country code, it seems: {advice}")
        self.notes += doubtful.describe()

    def _find_lost(self, cells: Sequence[str]) -> str:
        text = "\n".join(cells)
        if text.isascii():
            return ""
        if _LOST.search(text):
            return self._source.refuse_encoding(cells)
        return "has U+FFFD in place of a character that was lost earlier" * (_REPLACED in text)

    # --- Which column is meant ----------------------------------------------------------------

    def _find(self, name: str, option: str, advice: str = "") -> int:
        """Return the index of a column."""
        same = [at for at, column in enumerate(self.columns) if column == name]
        alike = [at for at, column in enumerate(self.columns) if _key(column) == _key(name)]
        found = same or alike
        if len(found) == 1:
            return found[0]
        if found:
            problem = f'there are {len(found)} columns "{name}": rename all but one'
            raise make_error(option, problem)
        named = [_show_name(column) for column in self.columns if column]
        more = ", ..." if len(named) > _MAX_NAMED else ""
        columns = f"the columns are {', '.join(named[:_MAX_NAMED])}{more}"
        raise make_error(option, f'there is no column "{name}"; {columns}{advice}')

    def _find_numbers(self, name: str) -> int:
        columns = [column for column in self.columns if column]
        if not columns:
            raise make_error("source", "is empty: there is no line with the column names")
        if any(map(is_like_number, columns)) and not any(_key(c) == _key(name) for c in columns):
            above = f"put a line above it, such as {_PHONE}{self.delimiter or ','}name"
            problem = f"the first line has a number where the columns are to be named: {above}"
            raise make_error("source", problem)
        keys = {_key(column): column for column in columns if _show_name(column) == column}
        likely = get_close_matches(_key(name), keys, n=1) + [
            key for words in _NUMBER_WORDS for key in keys if re.search(words, key)
        ]
        source = self._source
        option = source.spell("number_column", keys[likely[0]] if likely else "")
        advice = option if likely else f"say which has the numbers with {option}"
        if len(columns) == 1 and not likely:
            skip = source.spell("skip_rows", source.skip_rows + 1)
            advice += f", or leave the row out with {skip} if it is a title"
        return self._find(name, "number_column", f": {advice}")


def _show_name(name: str) -> str:
    """Return the name of a column for an error, masked: it may be data instead of a name."""
    shown = mask_number(name) if is_like_number(name) else mask_message(name)
    return shown if len(shown) <= _MAX_NAME else f"{shown[:_MAX_NAME]}..."


def _clean(name: str) -> str:
    """Return the name of a column without invisible characters."""
    seen = (
        char for char in unicodedata.normalize("NFC", name) if unicodedata.category(char) != "Cf"
    )
    return " ".join("".join(seen).split())


def _key(name: str) -> str:
    return _clean(name).casefold()


# --- What kind of file it is ----------------------------------------------------------------------


class _Source:
    """An open file, its rows, and how to read them."""

    rows: Rows
    encoding: str | None = None
    delimiter: str | None = None

    def __init__(
        self,
        file: BinaryIO,
        opened: ExitStack,
        *,
        encoding: str | None,
        delimiter: str | None,
        sheet: str | None,
        skip_rows: int,
        region: str | None,
        strict_numbers: bool,
        spell: Spell,
    ) -> None:
        self.notes: list[str] = []
        self.region: str | None = region
        self.strict_numbers: bool = strict_numbers
        self.skip_rows: int = skip_rows
        self.spell = spell
        self._guess: str | None = None
        self._opened = opened
        self._head: bytes = file.read(_HEAD)
        if not isinstance(self._head, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise make_error("source", 'is open for text; open it for bytes: open(path, "rb")')
        if self._head.startswith(OLD_SIGNATURE):
            what = "is a workbook of an old Excel (.xls), or has a password"
            raise make_error("source", f"{what}: save it as .xlsx without one, or as CSV")
        if self._head.startswith(SIGNATURE):
            _refuse_options("a workbook has none", encoding=encoding, delimiter=delimiter)
            self._open_workbook(file, sheet)
        else:
            _refuse_options("CSV has none", sheet=sheet)
            self._open_text(file, encoding, delimiter)

    def keep_open(self) -> None:
        """Leave it to `close` to close the file."""
        self._opened = self._opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def _open_workbook(self, file: BinaryIO, sheet: str | None) -> None:
        whole = file
        if file.seekable():
            file.seek(-len(self._head), io.SEEK_CUR)
        else:  # a zip file has its table of contents at the end
            whole = self._opened.enter_context(TemporaryFile())  # noqa: SIM115 - closed with the list
            whole.write(self._head)
            copyfileobj(file, whole)
        self.rows = rows = ExcelRows(whole, sheet, self.skip_rows)
        self._opened.callback(rows.close)
        if sheet is None and rows.others:
            others = ", ".join(rows.others)
            self.notes.append(f'only the sheet "{rows.sheet}" is read, not {others}')

    def _open_text(self, file: BinaryIO, encoding: str | None, delimiter: str | None) -> None:
        found, is_certain = find_encoding(self._head)
        if encoding is not None:
            found = _check_encoding(encoding, found)
        elif not is_certain:
            self.notes.append("has no mark of its encoding, and is read as UTF-16")
        self.encoding = found
        # An invalid byte, which becomes a lone surrogate, spoils only its row.
        errors = "replace" if found.startswith(("utf-16", "utf-32")) else "surrogateescape"
        octets = io.BufferedReader(_Joined(self._head, file))
        rows = CsvRows(
            io.TextIOWrapper(octets, found, errors, newline=""), delimiter, self.skip_rows
        )
        self.rows, self.delimiter = rows, rows.delimiter

    def refuse_encoding(self, cells: Sequence[str]) -> str:
        """Say which encoding would read a text that is not of this one."""
        if self.encoding != "utf-8":  # it was requested
            return f"is not {self.encoding}"
        if b"\0" in self._head:
            return "is not UTF-8 and has zero bytes: it is compressed, or no text"
        if self._guess is None:
            here = "\n".join(cells).encode(errors="surrogateescape")
            self._guess = guess_encoding(b"\n".join((self._head, here)))
        return f"is not UTF-8; {self.spell('encoding', self._guess)} reads it"


def _refuse_options(problem: str, **options: str | None) -> None:
    for name, value in options.items():
        if value is not None:
            raise make_error(name, f"is {value!r}; {problem}")


def _check_encoding(asked: str, found: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), asked)  # refuses codecs that are not for text, such as `hex`
    except (LookupError, ValueError):
        problem = f"{asked!r} is not known; known are utf-8, utf-16, cp1251, cp1252 and others"
        raise make_error("encoding", problem) from None
    name = codecs.lookup(asked).name
    if name == "utf-16":  # marked or not
        return found if found.startswith(name) else "utf-16-le"
    return name


class _Joined(io.RawIOBase):
    """The beginning of a file, which was read before, joined with the rest."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a buffer has no type before 3.12
        place = memoryview(buffer).cast("B")
        octets = self._head or self._rest.read(len(place))
        taken, self._head = octets[: len(place)], octets[len(place) :]
        place[: len(taken)] = taken
        return len(taken)


def read(
    source: str | PathLike[str] | BinaryIO,
    *,
    number_column: str | None = None,
    fields: Collection[str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    skip_rows: int = 0,
    region: str | None = None,
    strict_numbers: bool = False,
    spell_option: Spell = _spell_keyword,
) -> Recipients:
    """Open a list of people: CSV, or an Excel workbook (`.xlsx`; extra `xlsx`).

    The first row, or the first after `skip_rows`, names the columns. Names are the same if they
    differ only in surrounding blanks, in case, or in how accents are composed.

    `encoding` and `delimiter` are refused for a workbook, `sheet` for CSV.

    Args:
        source: A path, or a file that is open for reading bytes, which stays open.
        number_column: The column with the phone numbers; by default `phone`.
        fields: The columns that are needed, such as `Template.fields`; by default all. Errors in
            other columns do not make a row bad.
        encoding: The encoding of a CSV file, such as `cp1251`; by default UTF-8, or UTF-16 if the
            file shows that.
        delimiter: What separates the columns of CSV, a character or `tab`, `comma`, `semicolon`,
            `pipe`; by default the one of these that fits most rows, or that of a first line
            `sep=;`.
        sheet: The sheet of a workbook; by default the first one.
        skip_rows: How many rows (in CSV: lines) there are above the column names, such as a title
            or a date. Empty ones need not be counted, nor a line `sep=;`.
        region: Numbers may be in the national format of this country, such as `GB` (extra `phone`).
        strict_numbers: Refuse numbers that are not possible in their country (extra `phone`).
        spell_option: Writes an option and its value (or `""`) for messages to the user.

    Raises:
        InvalidRequest: it cannot be read as a list, or lacks a column; says which option helps.
        OSError: the file cannot be opened.
        ModuleNotFoundError: a required extra is not installed.
    """
    try:
        if region is not None:
            check_region(region)
        elif strict_numbers:
            import_phonenumbers()
    except ValueError as error:
        raise make_error("region", str(error)) from None
    if type(skip_rows) is not int or skip_rows < 0:
        raise make_error("skip_rows", f"is {skip_rows!r}; it must be an int of 0 or more")
    if isinstance(fields, str):
        raise make_error("fields", f"is a str; it must be a list of names, such as [{fields!r}]")
    with ExitStack() as opened:
        if isinstance(source, str | PathLike):
            file: BinaryIO = opened.enter_context(Path(source).open("rb"))
        elif hasattr(source, "read"):
            file = source
        else:
            problem = f"is {describe_type(source)}; it must be a path, or a file open for bytes"
            raise make_error("source", problem)
        opening = _Source(
            file,
            opened,
            encoding=encoding,
            delimiter=delimiter,
            sheet=sheet,
            skip_rows=skip_rows,
            region=region,
            strict_numbers=strict_numbers,
            spell=spell_option,
        )
        found = Recipients(opening, number_column, fields)
        opening.keep_open()
    return found
