"""What an export writes: formats, days, streams, masks; and what it refuses to write over."""

import csv
import io
import os
import stat
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from histories import START, FakeHistory, Json, lines, small_pages, spread

from voxsms import CheckpointMismatch, InvalidRequest, ResponseInvalid
from voxsms.export import ExportSummary, export_history

LOOSE: list[Json] = [
    {"source_number": 447443332211, "status_id": 1},
    {"cost": "2.50", "fragments": "2"},
    {"cost": 3, "text": '=HYPERLINK("http://x.example";"y")'},
    {"text": 'two\r\nlines, and "quotes"', "later_field": {"a": [1, 2]}},
    {"direction": "in", "error_message": "Error send sms to 447700900123 Code = 1"},
    {"direction": "SIDEWAYS", "text": "+447700900123"},
    {"text": None, "transaction_id": None},
]
"""What a row may look like beside the usual: the contract's looseness."""


def history(count: int = 100, loose: list[Json] | None = None) -> FakeHistory:
    """Give a history in which some rows are loose."""
    messages = spread(count, seconds=3600)
    for n, changes in enumerate(LOOSE if loose is None else loose):
        messages[n * 3].row.update(changes)
    return FakeHistory(messages)


async def export(service: FakeHistory, path: Any, **options: Any) -> ExportSummary:  # noqa: ANN401 - whatever is given
    """Export with small pages and windows."""
    with small_pages(10, 30):
        async with service.client() as client:
            return await export_history(client, options.pop("kind", "sms"), path, **options)


async def typed(service: FakeHistory) -> list[Any]:
    """Read the same rows as records, the oldest first."""
    async with service.client() as client:
        rows = [row async for row in client.get_sms_history(count=10)]
    return sorted(rows, key=lambda row: row.message_id)


async def test_csv_has_what_the_typed_rows_have(tmp_path: Path) -> None:
    """Column by column, with digits for numbers and every text whole."""
    path = tmp_path / "all.csv"
    await export(history(), path, raw=True)
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    for row, record in zip(found, await typed(history()), strict=True):
        assert row["message_id"] == str(record.message_id)
        assert row["source_number"] == record.source_number
        assert row["direction"] == str(record.direction)
        assert int(row["fragments"]) == record.fragments
        assert Decimal(row["cost"]) == record.cost
        assert row["status_id"] == str(record.status_id)
        assert row["processed_date"] == f"{record.processed_date:%Y-%m-%d %H:%M:%S}"
        assert row["error_message"] == (record.error_message or "")
        assert row["text"] == (record.text or "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def texts_in_csv(path: Path, texts: list[str], **options: Any) -> list[str]:  # noqa: ANN401 - whatever is given
    """Export messages with these texts, and read the file as programs do."""
    service = FakeHistory(spread(len(texts)))
    for message, text in zip(service.messages, texts, strict=True):
        message.row["text"] = text
    await export(service, path, **options)
    with path.open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


async def test_csv_runs_nothing(tmp_path: Path) -> None:
    """A text that a spreadsheet would run gets an apostrophe; a number stays a number."""
    path = tmp_path / "all.csv"
    await export(history(), path)
    with path.open(newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert """'=HYPERLINK("http://x.example";"y")""" in texts
    assert "447700900123" in texts
    assert not any(text.startswith(("=", "+", "-", "@")) for text in texts)


HIDDEN = [" ", "\xa0", "\ufeff", "\u200b", "\x0b", "\x00", "\u2028", "\x85", " \u2060 "]


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
async def test_csv_runs_nothing_behind_what_is_not_seen(tmp_path: Path, sign: str) -> None:
    """A blank, a mark or a control before a formula is no way around; alone it does nothing."""
    formulas = [f"{before}{sign}1+1" for before in ["", "\t", *HIDDEN]]
    harmless = [f"{before}a{sign}1" for before in HIDDEN]
    for texts, shown in ((formulas, [f"'{each}" for each in formulas]), (harmless, harmless)):
        found = await texts_in_csv(tmp_path / "all.csv", texts)
        assert [text.replace("\t'", "\t") for text in found] == shown
        assert await texts_in_csv(tmp_path / "raw.csv", texts, raw=True) == texts


DANGEROUS = [
    "a;=1+1",
    "a; =1+1",
    ';"=1+1',
    "a;;\ufeff=cmd|'/c calc'!A1;b",
    "a;+cmd|'/c calc'!A1",
    "a;-2+3+cmd|'/c calc'!A0",
    "a;@SUM(1,1)",
    "a\t=1+1",
    "a\n=1+1",
    "a\r\n \r\n=1+1",
    "\n=1+1",
    "a;\uff1d1",
    "a;+'[other.xlsx]Sheet'!$A$1",
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_csv_runs_nothing_wherever_it_is_cut(tmp_path: Path, delimiter: str) -> None:
    """A spreadsheet that cuts at semicolons or tabs, not at commas, finds no formula either."""
    path = tmp_path / "all.csv"
    for text in DANGEROUS:
        (found,) = await texts_in_csv(path, [text])
        assert found.replace("'", "") == text.replace("'", "")
        with path.open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file, delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.strip('" \t\r\n\ufeff')[:1] in set("=+-@\uff1d")]


async def test_csv_leaves_ordinary_texts_alone(tmp_path: Path) -> None:
    """Lists, smileys, rules, numbers and sums are what people write."""
    texts = [
        "Hi Ann ;-) see you",
        "To buy:\n- milk\n- eggs\n+ bread!",
        "Total\n=====\n5; 6",
        "Call\n+44 7700 900123; or\n@ann",
        "1+1=2, a=b; c=d",
        "a;\n",
        " indented",
        'she said "=1"',
    ]
    assert await texts_in_csv(tmp_path / "all.csv", texts) == texts


async def test_parquet_has_what_the_typed_rows_have(tmp_path: Path) -> None:
    """Typed: int64, strings, UTC timestamps, decimals, choices stored once."""
    path = tmp_path / "all.parquet"
    await export(history(), path)
    table = pq.read_table(path)
    for row, record in zip(table.to_pylist(), await typed(history()), strict=True):
        assert row["message_id"] == record.message_id
        assert row["cost"] == record.cost
        assert row["processed_date"] == record.processed_date
        assert row["direction"] == str(record.direction)
        assert row["text"] == record.text
        assert row["source_number"] == record.source_number
    assert table.schema.field("message_id").type == pa.int64()
    assert pa.types.is_decimal(table.schema.field("cost").type)
    assert table.schema.field("processed_date").type == pa.timestamp("us", "UTC")
    assert pa.types.is_dictionary(table.schema.field("status_id").type)


async def test_json_lines_keep_every_field(tmp_path: Path) -> None:
    """What voxsms does not know stays; numbers of phones are strings in every row."""
    path = tmp_path / "all.jsonl"
    await export(history(), path)
    rows = {row["message_id"]: row for row in lines(path)}
    assert rows[10]["later_field"] == {"a": [1, 2]}
    assert rows[1]["source_number"] == "447443332211"
    assert rows[1]["status_id"] == "1"
    assert rows[10]["text"] == 'two\r\nlines, and "quotes"'


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
async def test_a_mask_hides_numbers_and_texts(tmp_path: Path, suffix: str) -> None:
    """In every format; ids, times and costs stay."""
    path = tmp_path / f"all.{suffix}"
    await export(history(), path, mask=True)
    content = str(pq.read_table(path).to_pylist()) if suffix == "parquet" else path.read_text()
    assert "44770" not in content
    assert "HYPERLINK" not in content
    assert "447***" in content
    assert "later_field" not in content


async def test_a_mask_keeps_the_types(tmp_path: Path) -> None:
    """Masked or not: an id is a number and a status a string, however they came."""
    service = history(loose=[{"message_id": "1", "status_id": 1, "source_number": 447443332211}])
    await export(service, tmp_path / "all.jsonl", mask=True)
    row = lines(tmp_path / "all.jsonl")[0]
    assert (row["message_id"], row["status_id"], row["source_number"]) == (1, "1", "447***211")


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
async def test_a_directory_by_day(tmp_path: Path, format_: str) -> None:
    """A file for each day in UTC, those without a time apart; together they are all rows."""
    messages = spread(100, seconds=3600)
    messages[50].row["processed_date"] = ""
    messages[70].row["processed_date"] = messages[70].row["processed_date"][:10]
    path = tmp_path / "days"
    summary = await export(FakeHistory(messages), f"{path}/", format=format_)
    assert summary.rows == 100
    days = left_in(path)
    assert "day=2026-03-01" in days
    assert "day=__HIVE_DEFAULT_PARTITION__" in days
    files = [path / day / file for day in days for file in left_in(path / day)]
    assert all(file.suffix == f".{format_}" for file in files)
    found = 0
    for file in files:
        if format_ == "parquet":
            found += pq.read_metadata(file).num_rows
        else:
            found += file.read_bytes().count(b"\n") - (format_ == "csv")
    assert found == 100
    before = {file: file.read_bytes() for file in files}
    await export(FakeHistory(messages), f"{path}/", format=format_)
    assert {file: file.read_bytes() for file in path.glob("*/*")} == before


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "day=2026-03-01/notes.txt", "day=2026-03-01", "day=today/part-0.csv", "more/"],
)
async def test_a_directory_with_anything_else_in_it_is_not_replaced(
    tmp_path: Path, name: str
) -> None:
    """Whatever a user has put there stays: a name that ends with / may be that of a home."""
    (days := tmp_path / "days").mkdir()
    if name.endswith("/"):
        (days / name).mkdir()
    else:
        (days / name).parent.mkdir(exist_ok=True)
        (days / name).write_text("mine")
    service = history()
    with pytest.raises(InvalidRequest, match="path: exists and holds more than an export's days"):
        await export(service, f"{days}/", format="csv")
    assert service.forms == []
    assert left_in(days) == [name.split("/", maxsplit=1)[0]]


async def test_a_directory_by_day_replaces_an_older_one(tmp_path: Path) -> None:
    """As a file replaces a file: nothing of the old one stays."""
    days = tmp_path / "days"
    await export(history(), f"{days}/", format="csv")
    later = FakeHistory(spread(30, seconds=3600, start=START.replace(month=4)))
    await export(later, f"{days}/", format="csv")
    assert left_in(days) == ["day=2026-04-01", "day=2026-04-02"]
    assert left_in(tmp_path) == ["days"]


async def test_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file open for bytes, or standard output, gets the rows and is left open."""
    stream = io.BytesIO()
    summary = await export(history(), stream)
    assert (summary.path, summary.rows) == (None, 100)
    assert len(stream.getvalue().splitlines()) == 100
    with (tmp_path / "out").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, write_through=True))
        await export(history(), "-", format="csv")
        sys.stdout.flush()
        assert len((tmp_path / "out").read_bytes().splitlines()) > 100


class Grudging(io.RawIOBase):
    """Takes a few bytes at a time, and nothing more when it is full."""

    def __init__(self, room: int) -> None:
        self.taken = b""
        self._room = room

    def writable(self) -> bool:
        """Say so."""
        return True

    def write(self, content: Any, /) -> int | None:  # noqa: ANN401 - bytes of any kind
        """Take what there is room for."""
        piece = bytes(content)[: min(1000, self._room - len(self.taken))]
        self.taken += piece
        return len(piece) or None


@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
async def test_a_stream_without_a_buffer_gets_every_byte(format_: str) -> None:
    """As standard output is with PYTHONUNBUFFERED; what does not fit is an error."""
    whole, stream = io.BytesIO(), Grudging(10**6)
    await export(history(), whole, format=format_)
    await export(history(), stream, format=format_)
    assert stream.taken == whole.getvalue()
    with pytest.raises(BlockingIOError, match="accepts nothing"):
        await export(history(), Grudging(1500), format=format_)


async def test_a_stream_gets_nothing_before_all_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it gets one window after the other; whatever happens, no text stays on the disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stream, modes = io.BytesIO(), {0}

    def look(_: FakeHistory) -> None:
        assert stream.getvalue() == b""
        modes.update(stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir())

    service = history()
    service._happens = look
    await export(service, stream, format="csv")
    assert modes == {0, 0o700}
    assert left_in(tmp_path) == []
    with pytest.raises(Stopped) as caught:
        await export(stopping_at(12), io.BytesIO())
    assert not hasattr(caught.value, "__notes__")
    assert left_in(tmp_path) == []


async def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    """A link stays a link, to a file, to nothing yet, or to a directory."""
    (real := tmp_path / "real").mkdir()
    (real / "old.csv").write_text("old")
    (real / "days").mkdir()
    for name, end in (("old.csv", ""), ("new.csv", ""), ("days", "/")):
        link = tmp_path / f"link-{name}"
        link.symlink_to(real / name)
        summary = await export(history(), f"{link}{end}", format="csv")
        assert summary.path == real / name
        assert link.is_symlink()
    assert (real / "old.csv").read_bytes() == (real / "new.csv").read_bytes()
    assert len(left_in(real / "days")) == 5
    assert left_in(real) == ["days", "new.csv", "old.csv"]


def left_in(directory: Path) -> list[str]:
    """Name everything in a directory."""
    return sorted(each.name for each in directory.iterdir())


NOON = START.replace(hour=12)
BAD: list[tuple[Any, Json, str]] = [
    ("all.txt", {}, "ends with '.txt'; it must be one of .jsonl, .jsonl.gz, .csv,"),
    ("all", {}, "has no suffix; it must be one of"),
    ("days", {}, "or give a format; a directory ends with /"),
    ("all.csv", {"format": "jsonl"}, "is jsonl, but the path ends with .csv"),
    ("all.csv", {"format": "xml"}, "must be one of jsonl, jsonl.gz, csv, csv.gz, parquet"),
    ("all.csv.gz", {"format": "csv"}, "is csv, but the path ends with .csv.gz"),
    ("all.gz", {}, "ends with '.gz'; it must be one of"),
    ("all.csv", {"update": True}, "update: needs a directory with a file for each day: end the"),
    ("days/", {"look_back": timedelta(days=1)}, "look_back: is only for an update"),
    ("days/", {"update": True, "look_back": timedelta(-1)}, "look_back: is negative"),
    ("days/", {"update": True, "from_date": NOON}, "from_date: must be the first second of a day"),
    ("days/", {"update": True, "to_date": NOON}, "to_date: must be the last second of a day"),
    ("all.parquet", {"excel": True}, "excel: is for CSV, and the format is parquet"),
    ("all.parquet", {"raw": True}, "raw: is for CSV; leave it out: texts in parquet are as they"),
    ("no/such/place/all.csv", {}, "there is no directory"),
    ("here.csv", {}, "is a directory: end it with /"),
    ("pipe.csv", {}, "is not a regular file"),
    ("..", {"format": "csv"}, "is not a file name|is a directory"),
    ("/", {"format": "csv"}, "is not a file name"),
    ("a\0.csv", {}, "is not a file name"),
    ("x" * 260 + ".csv", {}, "name too long"),
    ("x" * 245 + ".csv", {}, "name too long"),
    (b"all.csv", {}, "must be a path, '-' or a file open for bytes"),
    ("-", {"by_day": True}, "needs a directory"),
    (io.StringIO(), {}, "is a text file"),
    (7, {}, "must be a path, '-' or a file open for bytes"),
    ("all.csv", {"windows_in_flight": 0}, "must be a whole number from 1 to 32"),
    ("all.csv", {"kind": "mms"}, "kind"),
    ("all.csv", {"direction": "UP"}, "direction"),
    ("all.csv", {"kind": "a2p", "direction": "IN"}, "direction"),
    ("all.csv", {"delivery_status": 1}, "delivery_status"),
    ("all.csv", {"from_date": datetime(2026, 1, 1)}, "naive"),  # noqa: DTZ001 - on purpose
    (
        "all.csv",
        {
            "from_date": datetime(2026, 2, 1, tzinfo=UTC),
            "to_date": datetime(2026, 1, 1, tzinfo=UTC),
        },
        "later than to_date",
    ),
]


@pytest.mark.parametrize(("name", "options", "problem"), BAD)
async def test_bad_input_is_named_before_anything_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: object, options: Json, problem: str
) -> None:
    """With the field and what it should be; nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    service = history()
    with pytest.raises(InvalidRequest, match=problem):
        await export(service, name, **options)
    assert service.forms == []
    assert left_in(tmp_path) == ["here.csv", "pipe.csv"]


async def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    """The work directory cannot be made: the path is named."""
    (tmp_path / ".all.csv.export").write_text("in the way")
    with pytest.raises(InvalidRequest, match="path: cannot be written"):
        await export(history(), tmp_path / "all.csv")


async def test_without_pyarrow_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet is an extra."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'voxsms\[parquet\]'"):
        await export(history(), tmp_path / "all.parquet")


class Stopped(Exception):
    """The export is stopped here."""


def stopping_at(request: int) -> FakeHistory:
    """Give a history that breaks off at a request."""
    service = history()

    def happens(of: FakeHistory) -> None:
        if len(of.forms) == request:
            raise Stopped

    service._happens = happens
    return service


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "csv.gz", "xlsx"])
async def test_a_stopped_export_goes_on(tmp_path: Path, suffix: str) -> None:
    """With what was read; the bytes are those of an undisturbed run, and nothing is left beside."""
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"all.{suffix}"
    undisturbed = await export(history(), whole, to_date=START.replace(year=2027))
    for request in (undisturbed.requests - 6, 3, 2):
        with pytest.raises((Stopped, ExceptionGroup)):
            await export(stopping_at(request), path, to_date=START.replace(year=2027))
        assert not path.exists()
    summary = await export(history(), path, to_date=START.replace(year=2027))
    assert summary.resumed
    assert summary.requests < undisturbed.requests
    assert path.read_bytes() == whole.read_bytes()
    assert left_in(tmp_path) == sorted([whole.name, path.name])


async def test_a_checkpoint_of_another_query(tmp_path: Path) -> None:
    """It is not resumed and not overwritten, unless that is what was asked for."""
    path = tmp_path / "all.csv"
    with pytest.raises((Stopped, ExceptionGroup)):
        await export(stopping_at((await export(history(), tmp_path / "w.csv")).requests - 6), path)
    left = left_in(tmp_path / ".all.csv.export")
    with pytest.raises(CheckpointMismatch, match="belongs to another export"):
        await export(history(), path, direction="OUT")
    assert left_in(tmp_path / ".all.csv.export") == left
    journal = tmp_path / ".all.csv.export" / "journal"
    journal.write_bytes(journal.read_bytes()[:40])
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        await export(history(), path)
    assert (await export(history(), path, restart=True)).rows == 100


async def test_an_amount_that_parquet_can_not_hold(tmp_path: Path) -> None:
    """It is named, and not cut."""
    service = history(loose=[{"cost": "1e30"}])
    with pytest.raises(ResponseInvalid, match="cost"):
        await export(service, tmp_path / "all.parquet")
    assert (await export(history(loose=[{"cost": "1e30"}]), tmp_path / "all.csv")).rows == 100


async def test_a_row_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """As by the typed iterator: with the path to it."""
    slips: list[Json] = [{"cost": []}, {"processed_date": "yesterday"}, {"message_id": "x"}]
    for wrong in slips:
        with pytest.raises(ResponseInvalid, match=next(iter(wrong))):
            await export(history(loose=[wrong]), tmp_path / "all.csv")


def spaced(between: bytes) -> FakeHistory:
    """Give a history whose answers have something between the parts of each row."""
    service = history(40, loose=[])
    answer = service.answer

    def written(form: dict[str, str]) -> Any:  # noqa: ANN401 - an answer
        given = answer(form)
        return attrs.evolve(given, body=given.body.replace(b',"', between + b',"'))

    service.answer = written  # type: ignore[method-assign] # another way to write
    return service


@pytest.mark.parametrize("between", [b"\n  ", b"\r", b"\r\n", b"\t "])
async def test_answers_over_several_lines(tmp_path: Path, between: bytes) -> None:
    """Whatever ends lines in an answer, a row is on one line; windows of rows can be cut."""
    await export(spaced(between), tmp_path / "all.jsonl")
    content = (tmp_path / "all.jsonl").read_bytes()
    assert len(content.splitlines()) == content.count(b"\n") == 40
    assert [row["message_id"] for row in lines(tmp_path / "all.jsonl")] == [*range(1, 41)]
