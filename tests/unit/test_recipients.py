"""Lists of people as offices make them: what each kind of file says, row by row."""

import gzip
import io
import re
import sys
import zipfile
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.cell import WriteOnlyCell

from voxsms import recipients
from voxsms.errors import InvalidRequest
from voxsms.recipients import BadRow, Recipient, Recipients

ANN, BOB = "447443332212", "447443332213"


def opened(content: str | bytes, **options: Any) -> Recipients:  # noqa: ANN401 - those of `read`
    """Open a list from memory."""
    octets = content.encode() if isinstance(content, str) else content
    return recipients.read(io.BytesIO(octets), **options)


def read(content: str | bytes, **options: Any) -> list[Recipient | BadRow]:  # noqa: ANN401
    """Return all rows of a list."""
    with opened(content, **options) as people:
        return [*people]


def refusal(content: str | bytes, **options: Any) -> str:  # noqa: ANN401
    """Return why a list cannot be read."""
    with pytest.raises(InvalidRequest) as caught:
        opened(content, **options)
    (fault,) = caught.value.faults
    return f"{fault.field}: {fault.problem}"


def workbook(*rows: list[Any], title: str = "People", hidden: str = "", more: str = "") -> bytes:
    """Make an Excel workbook; a cell may be (value, number format)."""
    book = openpyxl.Workbook(write_only=True)
    if hidden:
        book.create_sheet(hidden).sheet_state = "hidden"
    sheet = book.create_sheet(title)
    for row in rows:
        cells: list[Any] = []
        for value in row:
            if isinstance(value, tuple):
                cell = WriteOnlyCell(sheet, value[0])
                cell.number_format = value[1]
                cells.append(cell)
            else:
                cells.append(value)
        sheet.append(cells)
    if more:
        book.create_sheet(more)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_list_that_excel_saved_in_europe() -> None:
    """Semicolons, a mark in front: good rows are read, each bad one is told with its reason."""
    found = read(
        "\ufeffphone;name;Order no\n447443332212;Ann;17\n4,4744E+11;Bob;18\n"
        "+44 7443 332213;Cyd;19\n07443332214;Dan;20\n;Eve;21\n;;\n447443332212;Ann again;22\n"
    )
    assert found == [
        Recipient(2, ANN, {"phone": ANN, "name": "Ann", "Order no": "17"}),
        BadRow(
            3,
            "phone: a spreadsheet turned it into 4,4744E+11 and lost its last digits: format the "
            "column as text",
        ),
        Recipient(4, BOB, {"phone": "+44 7443 332213", "name": "Cyd", "Order no": "19"}),
        BadRow(
            5,
            "phone: 074***214 starts with 0, as inside one country; write the country code "
            "instead, such as 44",
        ),
        BadRow(6, "phone: is empty"),
        Recipient(8, ANN, {"phone": ANN, "name": "Ann again", "Order no": "22"}),
    ]


def rewritten(octets: bytes, old: bytes, new: bytes) -> bytes:
    """Change the source of the one sheet of a workbook."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(octets)) as file, zipfile.ZipFile(changed, "w") as written:
        for name in file.namelist():
            content = file.read(name)
            written.writestr(name, content.replace(old, new) if "/sheet" in name else content)
    return changed.getvalue()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_list_that_excel_saved_as_unicode_text(encoding: str) -> None:
    """Marked or not it is read, and that there was no mark is told."""
    octets = f"phone\tname\r\n{ANN}\tЖанна\r\n{BOB}\tЛев\r\n".encode(encoding)
    for asked in (None, encoding, "utf-16"):
        if asked == "utf-16" and "16" not in encoding:
            continue
        with opened(octets, encoding=asked) as people:
            names = [row.values["name"] for row in people if isinstance(row, Recipient)]
            assert (names, people.delimiter) == (["Жанна", "Лев"], "\t")
            unmarked = encoding in {"utf-16-le", "utf-16-be"}
            told = ["has no mark of its encoding, and is read as UTF-16"]
            assert people.notes == (told if unmarked and asked is None else [])


WORDS = {
    "cp1250": "Łukasz Wójcik, Jiří Dvořák",
    "cp1251": "Анна Лев Толстой",
    "cp1252": "René, Müller, €5",
    "cp1253": "Γιώργος ΚΑΛΗΜΕΡΑ",
    "cp1254": "Ayşe Çağlar, Işık",
    "cp1255": "שלום רחל",
    "cp1256": "محمد علي",
    "cp1257": "Jūratė Žukauskienė",
    "cp850": "Zoë Müller",
    "cp866": "Анна Лев",
    "cp932": "田中さくら",
    "cp949": "김철수",
    "gb18030": "王小明",
    "koi8-r": "Анна Лев",
    "mac-roman": "René Müller",
}


@pytest.mark.parametrize("encoding", WORDS)
def test_a_list_in_the_encoding_of_an_older_windows(encoding: str) -> None:
    """No name is taken for another: the encoding is named, and with it the names are right."""
    words = WORDS[encoding]
    octets = f"phone;name\n{ANN};{words}\n{BOB};Bob\n{BOB};{words}\n".encode(encoding)
    reason = f"is not UTF-8; encoding={encoding!r} reads it"
    values = {"phone": BOB, "name": "Bob"}
    assert read(octets) == [BadRow(2, reason), Recipient(3, BOB, values), BadRow(4, reason)]
    (first, _, _) = read(octets, encoding=encoding)
    assert isinstance(first, Recipient)
    assert first.values["name"] == words
    # Where the names are not needed there is nothing wrong with the row.
    assert {type(row) for row in read(octets, fields=())} == {Recipient}


def test_a_wrong_encoding_was_asked_for() -> None:
    """It is said that the file is not in it; one that there is not is named."""
    octets = f"Телефон;Имя\n{ANN};Ада\n".encode("cp1251")
    told = "is not UTF-8; encoding='cp1251' reads it"
    assert refusal(octets) == f"source: {told}"
    assert refusal(octets, encoding="ascii") == "source: is not ascii"
    octets = f"phone;name\n{ANN};\x98Ада\n".encode("cp1251", "replace").replace(b"?", b"\x98")
    assert read(octets, encoding="cp1251", fields=["name"]) == [BadRow(2, "is not cp1251")]
    for asked in ("cp12512", "hex", "a\0b"):
        assert "is not known; known are utf-8" in refusal(octets, encoding=asked)


def test_a_name_that_an_earlier_program_could_not_read() -> None:
    """Nobody is sent the sign for a lost character."""
    (row,) = read(f"phone,name\n{ANN},Ren\ufffd\n")
    assert row == BadRow(2, "has U+FFFD in place of a character that was lost earlier")


@pytest.mark.parametrize("name", ["tab", "comma", "semicolon", "pipe", ";", "\\t", "§"])
def test_what_stands_between_columns_is_seen_or_said(name: str) -> None:
    """By the rows that are as wide as the first, or as it was asked for."""
    names = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
    delimiter = names.get(name, name)
    text = f"phone{delimiter}name\n{ANN}{delimiter}Ann\n{BOB}{delimiter}Bob\n"
    ways: list[dict[str, Any]] = [{"delimiter": name}, {}]
    for options in ways[: 1 if name == "§" else 2]:
        with opened(text, **options) as people:
            assert people.delimiter == delimiter
            assert [row.line for row in people] == [2, 3]


def test_a_list_that_was_exported_for_excel() -> None:
    """`--excel` writes numbers as formulas, as others do: they are read as they are seen."""
    content = 'phone,name,note\r\n"=""447443332212""",Ann,"=1+1"\r\n="447443332213",Bob,x="y"\r\n'
    assert read(content) == [
        Recipient(2, ANN, {"phone": ANN, "name": "Ann", "note": "=1+1"}),
        Recipient(3, BOB, {"phone": BOB, "name": "Bob", "note": 'x="y"'}),
    ]


def test_commas_in_names_are_no_columns() -> None:
    """Most rows decide, not the most commas; what is no CSV decides nothing."""
    with opened(f"last, first, c/o;phone\nDoe, J;{ANN}\nDoe;{BOB}\n") as people:
        assert people.columns == ("last, first, c/o", "phone")
    assert [type(row) for row in read(f"phone\n{'x' * 140_000}\n{ANN}\n")] == [BadRow, Recipient]


@pytest.mark.parametrize("first", ["sep=;", "SEP=;\r", '"sep=;"', "\ufeffsep=;"])
def test_a_first_line_that_is_for_excel_alone(first: str) -> None:
    """It says what stands between columns, unless that is asked for, and the lines are right."""
    assert read(f"{first}\nphone;n\n{ANN};Ann\n") == [Recipient(3, ANN, {"phone": ANN, "n": "Ann"})]
    assert refusal(f"{first}\nphone|n\n{ANN}|Ann\n").startswith(
        'number_column: there is no column "'
    )
    (row,) = read(f"{first}\nphone|n\n{ANN}|Ann\n", delimiter="pipe")
    assert row.line == 3


TITLED = f"Spring campaign\n\nPhone;Name\n{ANN};Ann\n"


@pytest.mark.parametrize(
    ("content", "skipped", "line"),
    [
        (TITLED, 1, 4),
        (TITLED, 2, 4),
        (f"sep=;\n{TITLED}", 1, 5),
        (f"Spring, 2026; for\nall of us\n{TITLED[17:]}", 2, 4),
        (f"\ufeff{TITLED}".encode(), 1, 4),
        (workbook(["Spring campaign"], [], ["Phone", "Name"], [ANN, "Ann"]), 1, 4),
        ("a title\n" * 70 + f"Phone;Name\n{ANN};Ann\n", 70, 72),
    ],
)
def test_a_title_stood_above_the_names_of_the_columns(
    content: str | bytes, skipped: int, line: int
) -> None:
    """It is left out where that is asked for; lines are those of the file."""
    assert read(content, skip_rows=skipped) == [Recipient(line, ANN, {"Phone": ANN, "Name": "Ann"})]


def test_how_to_leave_a_title_out_is_said() -> None:
    """A first row with a single name may be one, also the second time."""
    told = "number_column, or leave the row out with skip_rows={} if it is a title"
    assert refusal(TITLED).endswith(told.format(1))
    assert refusal(f"Made by Ann\n{TITLED}", skip_rows=1).endswith(told.format(2))
    assert refusal(workbook(["Spring campaign"], ["Phone"])).endswith(told.format(1))
    assert "skip_rows" not in refusal("Telefon\n")
    assert refusal(TITLED, skip_rows=-1) == "skip_rows: is -1; it must be an int of 0 or more"


@pytest.mark.parametrize("delimiter", ["", "tabs", '"', "\n"])
def test_a_delimiter_that_is_none(delimiter: str) -> None:
    """The answer is in words, not in those of the csv module."""
    assert refusal("phone", delimiter=delimiter) == (
        f"delimiter: is {delimiter!r}; it must be one character, not a quote, or one of: "
        "comma, semicolon, tab, pipe"
    )


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("phone ", None),
        ("\xa0Phone\u200b", None),
        ("Te\u0301le\u0301phone", "téléphone"),
        ("Téléphone", "te\u0301le\u0301phone "),
        ('"Mobile\nno"', "mobile no"),
    ],
)
def test_a_column_whose_name_only_looks_the_same(header: str, asked: str | None) -> None:
    """Blanks, capitals, line ends and the way accents are composed make no other name."""
    (row,) = read(f"\n;\n{header};Order No\n{ANN};7\n", number_column=asked, fields=["order no"])
    assert isinstance(row, Recipient)
    assert (row.destination, row.values) == (ANN, {"order no": "7"})


@pytest.mark.parametrize(
    ("header", "asked", "advice"),
    [
        ("Имя;Телефон", None, "the columns are Имя, Телефон: number_column='Телефон'"),
        ("Name,Order number,Mobile", None, ": number_column='Mobile'"),
        ("Name,Number", None, ": number_column='Number'"),
        ("Name,Phones,Fax", "Fox", ": number_column='Fax'"),
        ("Name,,City", None, "the columns are Name, City: say which has the numbers with number_"),
        (",".join(f"c{n}" for n in range(30)), None, "c18, c19, ...: say which has"),
    ],
)
def test_no_column_has_the_name(header: str, asked: str | None, advice: str) -> None:
    """Nobody's number is guessed: the columns are named, and what to ask for."""
    told = refusal(f"{header}\n", number_column=asked)
    assert told.startswith(f'number_column: there is no column "{asked or "phone"}"; the columns')
    assert advice in told


def test_two_columns_have_the_name() -> None:
    """One has to be renamed; one that is written exactly so is the one."""
    told = 'there are 2 columns "phone": rename all but one'
    assert refusal("phone,phone\n") == f"number_column: {told}"
    (row,) = read(f"Phone,phone\nx,{ANN}\n", fields=())
    assert isinstance(row, Recipient)
    told = 'there is no column "town"; the columns are phone, 447***212'
    assert refusal(f"phone,{ANN}\n", fields=["town"]) == f"fields: {told}"


@pytest.mark.parametrize(
    "content",
    [
        f"{ANN}^Ann Smith\n",
        f"{ANN} Ann Smith\n",
        f'{{"phone":"{ANN}","name":"Ann"}}\n',
        f"<td>phone</td><td>{ANN}</td>\n",
        f"name of {ANN}," + "x" * 500,
    ],
)
def test_a_row_stands_where_the_names_of_the_columns_should(content: str) -> None:
    """No number is shown whole, and no screen is filled."""
    told = refusal(content)
    assert ANN not in told
    assert len(told) < 300


@pytest.mark.parametrize("zeros", ["\0", "\0\n", "\0" * 400])
def test_a_zero_byte_got_into_a_list(zeros: str) -> None:
    """It makes the file no UTF-16: the other rows are read as they are."""
    rows = read(f"phone,name\n{ANN},Ann\n{BOB},B{zeros}ob\n{ANN},Cy\n")
    good = [row.values["name"] for row in rows if isinstance(row, Recipient)]
    assert [good[0], good[-1]] == ["Ann", "Cy"]


def test_a_file_that_is_no_text() -> None:
    """It is said to be none, without a screen of what it would be as a text."""
    compressed = gzip.compress(f"phone\n{ANN}\n".encode() * 50, mtime=0)
    for octets in (compressed, b"\x89PNG\r\n" + bytes(range(256))):
        told = refusal(octets)
        assert told == "source: is not UTF-8 and has zero bytes: it is compressed, or no text"


def test_a_list_without_names_of_columns() -> None:
    """What is missing is said, and no number is shown."""
    told = "the first line has a number where the columns are to be named: put a line above it"
    assert refusal(f"{ANN};Ann\n{BOB};Bob\n") == f"source: {told}, such as phone;name"
    for nothing in ("", "\n\n", ";;\n", "sep=,\n"):
        told = "is empty: there is no line with the column names"
        assert refusal(nothing) == f"source: {told}"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (f"{ANN} / {BOB}", "has more than one number in it; give each by itself"),
        (f'"{ANN}, {BOB}"', "has more than one number in it; give each by itself"),
        (f"{ANN} ext. 5", "has an extension, which no message can be sent to"),
        ("447443332212.0", "is a spreadsheet's decimal; format the column as text"),
        ("4.47443332212E+11", "is in scientific notation; format the column as text"),
    ],
)
def test_a_cell_with_more_or_less_than_a_number(cell: str, reason: str) -> None:
    """The row is refused with words, and without the number."""
    (row,) = read(f"phone\n{cell}\n")
    assert isinstance(row, BadRow)
    assert row.reason.endswith(reason)
    assert not {ANN, BOB} & {*row.reason.split()}


def test_national_numbers() -> None:
    """With a region they are read; what is no possible number is refused where that is asked."""
    text = "phone\n07443332214\n12345\n"
    (first, second) = read(text, region="gb")
    assert isinstance(first, Recipient)
    assert isinstance(second, Recipient)
    assert (first.destination, second.destination) == ("447443332214", "12345")
    (_, second) = read(text, region="GB", strict_numbers=True)
    assert second == BadRow(3, "phone: 1***5 is a short code, not a phone number")
    assert isinstance(read(text, strict_numbers=True)[1], BadRow)
    assert refusal(text, region="UK").startswith("region: is 'UK'; it must be a country's two")


def test_most_of_a_column_is_no_number() -> None:
    """At the end it is told that it may be the wrong one."""
    with opened(f"name,phone\nAnn,{ANN}\nBob,{BOB}\n", number_column="name") as people:
        assert people.number_column == "name"
        assert people.notes == []
        assert len([*people]) == 2
        told = 'most of the column "name" is not phone numbers: a wrong number_column?'
        assert people.notes == [told]


def test_a_list_in_an_excel_workbook() -> None:
    """It is read as it is: numbers with all digits, days as days, what is empty as nothing."""
    day = datetime(2026, 11, 27, tzinfo=UTC).replace(tzinfo=None)
    octets = workbook(
        [None, None],
        ["Phone", "Name", "Order no", "Day", "Hour", "Paid", "Sum", None, None],
        [447443332212, "Анна\nМария", 17, day, day.replace(hour=9), True, 12.5],
        [f"+{BOB}", None, 0.1 + 0.2, date(2026, 11, 28), time(9, 30)],
        [],
        [None, "Eve"],
    )
    with opened(octets) as people:
        assert (people.encoding, people.delimiter, people.notes) == (None, None, [])
        (ann, bob, eve) = people
    assert isinstance(ann, Recipient)
    assert isinstance(bob, Recipient)
    assert (ann.line, ann.destination) == (3, ANN)
    assert [*ann.values.values()] == [
        *(ANN, "Анна\nМария", "17", "2026-11-27", "2026-11-27 09:00:00", "TRUE", "12.5")
    ]
    assert [*bob.values.values()] == [f"+{BOB}", "", "0.3", "2026-11-28", "09:30:00", "", ""]
    assert eve == BadRow(6, "Phone: is empty")


@pytest.mark.parametrize(
    ("value", "shown_as", "told"),
    [
        (447440000000, "0.00E+00", "turned it into 4.4744E+11 and lost its last digits"),
        (400000000000, "0.00E+00", "turned it into 4E+11 and lost its last digits"),
        (447443332212, "0.00E+00", ANN),
        (447443332212, "General", ANN),
        (7443332214, "00000000000", "074***214 starts with 0"),
        (7443332214, "00000 000000", "074***214 starts with 0"),
        (612345678, '0#" "##" "##" "##" "##', "061***678 starts with 0"),  # Excel's own for France
        (7443332214, '"0"#', "074***214 starts with 0"),
        (7443332214, r"\0\ 0", "074***214 starts with 0"),
        (7443332212, '"+44 "0', ANN),
        (7443332212, "+44 0", ANN),
        (15112345678, '"+49" 0', "4915112345678"),  # and not the USA
        (2125550100, "+1 (000) 000-0000", "12125550100"),
        (7443332212, '"+44 (0)"0', "cannot be guessed"),
        (447443332212, '"Mobile: "0', ANN),
        (447443332212, "+0", ANN),
        (447443332212, "#,##0", ANN),
        (447443332212.5, "General", "looks like an amount"),
        (4.4744333221234e19, "General", "is in scientific notation"),
    ],
)
def test_a_number_that_excel_holds_as_a_number(value: float, shown_as: str, told: str) -> None:
    """Digits that are there or shown in front count; those that are lost are told."""
    (row,) = read(workbook(["phone"], [(value, shown_as)]))
    assert told in (row.destination if isinstance(row, Recipient) else row.reason)


def test_a_workbook_has_a_number_beyond_any_double() -> None:
    """It is a bad row, as any number that is none."""
    octets = rewritten(workbook(["phone"], [17], [447443332212]), b"<v>17</v>", b"<v>1e999</v>")
    bad, ann = read(octets)
    assert isinstance(bad, BadRow)
    assert isinstance(ann, Recipient)
    assert (bad.line, ann.line, ann.destination) == (2, 3, ANN)


def test_a_workbook_of_several_sheets() -> None:
    """The first one that is shown is read and the others are named, or the one asked for."""
    octets = workbook(["phone"], [ANN], title="März", hidden="Lists", more="Old")
    with opened(octets) as people:
        assert people.notes == ['only the sheet "März" is read, not Old']
        assert len([*people]) == 1
    with opened(octets, sheet="März") as people:
        assert people.notes == []
    assert (
        refusal(octets, sheet="old") == 'sheet: there is no sheet "old"; the sheets are März, Old'
    )
    assert refusal(octets, sheet="Old").startswith("source: is empty")
    assert refusal(workbook([" "], [None])).startswith("source: is empty")


def test_an_option_of_the_other_kind_of_file() -> None:
    """A sheet of CSV, an encoding of a workbook: somebody means another file than this one."""
    octets = workbook(["phone"], [ANN])
    assert refusal(f"phone\n{ANN}\n", sheet="März") == "sheet: is 'März'; CSV has none"
    assert refusal(octets, encoding="cp1251") == "encoding: is 'cp1251'; a workbook has none"
    assert refusal(octets, delimiter=";") == "delimiter: is ';'; a workbook has none"


def test_a_workbook_that_cannot_be_read() -> None:
    """A file that is broken, of an old Excel or of another program: what to do is said."""
    octets = workbook(["phone"], *[[ANN] for _ in range(9)])
    assert "is not a readable Excel workbook: save it again, or as CSV (" in refusal(octets[:-100])
    at = octets.index(b"xl/worksheets/sheet1.xml") + 60
    broken = octets[:at] + bytes(20) + octets[at + 20 :]
    with pytest.raises(InvalidRequest, match="save it again, or as CSV"):
        read(broken)
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
    assert refusal(old).endswith("save it as .xlsx without one, or as CSV")


@pytest.mark.parametrize(
    ("source", "options", "told"),
    [
        (b"phone\n", {}, "source: is a value of type bytes; it must be a path, or a file open for"),
        (None, {}, "source: is None; it must be a path"),
        (io.BytesIO(b"phone,name\n"), {"fields": "name"}, "fields: is a str; it must be a list of"),
        (io.BytesIO(b"phone\n"), {"skip_rows": "1"}, "skip_rows: is '1'; it must be an int of 0"),
    ],
)
def test_a_list_was_asked_for_wrongly(source: Any, options: dict[str, Any], told: str) -> None:  # noqa: ANN401 - whatever is given
    """The parameter is named, and what it takes."""
    with pytest.raises(InvalidRequest, match=re.escape(told)):
        recipients.read(source, **options)


def test_a_workbook_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'voxsms\[xlsx\]'"):
        opened(workbook(["phone"]))


class Pipe(io.RawIOBase):
    """A file that cannot go back and gives little at a time."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self._rest = octets

    def read(self, size: int = -1) -> bytes:
        """Give a part."""
        size = min(size, 1000) if size > 0 else 1000
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def seekable(self) -> bool:
        """It cannot go back."""
        return False


def test_a_list_that_comes_through_a_pipe() -> None:
    """CSV is read as it comes, a workbook as soon as it is whole."""
    rows = [f"4477009{n:05}" for n in range(3000)]
    for octets in ("\n".join(["phone", *rows]).encode(), workbook(["phone"], *([n] for n in rows))):
        with recipients.read(Pipe(octets)) as people:  # type: ignore[arg-type]
            assert [row.destination for row in people if isinstance(row, Recipient)] == rows


def test_a_path_and_a_file_of_ones_own(tmp_path: Path) -> None:
    """A path is opened and closed; a file stays open, and has to be one of bytes."""
    path = tmp_path / "people.csv"
    path.write_text(f"phone\n{ANN}\n")
    for source in (path, str(path)):
        with recipients.read(source) as people:
            assert len([*people]) == 1
    with path.open("rb") as file:
        with recipients.read(file) as people:
            assert len([*people]) == 1
        assert not file.closed
    with (
        path.open() as text,
        pytest.raises(InvalidRequest, match="open it for bytes"),
    ):
        recipients.read(text)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        recipients.read(tmp_path / "nowhere.csv")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=9)


@given(st.lists(CELLS, max_size=5), st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-16"]))
def test_whatever_the_names_they_come_back(names: list[str], delimiter: str, encoding: str) -> None:
    """What a spreadsheet program writes is what is read."""
    quoted = ['"{}"'.format(name.replace('"', '""')) for name in names]
    lines = [f"phone{delimiter}name", *(f"{ANN}{delimiter}{name}" for name in quoted)]
    rows = read("\r\n".join(lines).encode(encoding))
    assert [row.values["name"] for row in rows if isinstance(row, Recipient)] == names


@given(st.binary(max_size=300))
def test_whatever_the_file_it_ends_in_words(octets: bytes) -> None:
    """A file of any kind is read or refused; no error is one of the csv module or a codec."""
    for content in (octets, b"phone,name\n" + octets):
        try:
            rows = read(content)
        except InvalidRequest:
            continue
        assert all(isinstance(row, Recipient) or row.reason for row in rows)
