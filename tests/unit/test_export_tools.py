"""Exports for people's tools: what a spreadsheet, a data frame and a database make of the files."""
# ruff: noqa: ASYNC240 - a test has nobody to hold up

import csv
import errno
import gzip
import io
import sys
import zipfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from disk import disk_of, found
from doubles import refusal
from histories import START, FakeHistory, Json, Message, lines, small_pages, spread

from voxsms import ApiError, InvalidRequest, ResponseInvalid
from voxsms.api.phone_numbers import find_country, import_phonenumbers
from voxsms.export import ExportSummary, _files, export_history
from voxsms.export.formats import _xlsx

LAST = START + timedelta(days=30)


def history(*changes: Json, make: Any = Message.sms, count: int = 6) -> FakeHistory:  # noqa: ANN401 - a function
    """Give a history whose first rows have these changes."""
    service = FakeHistory(spread(count, seconds=3600, make=make))
    for message, change in zip(service.messages, changes, strict=False):
        message.row.update(change)
    return service


async def export(service: FakeHistory, path: Any, **options: Any) -> ExportSummary:  # noqa: ANN401 - whatever is given
    """Export with small pages and windows."""
    with small_pages(3, 4):
        async with service.client() as client:
            kind = options.pop("kind", "sms")
            return await export_history(client, kind, path, **{"to_date": LAST} | options)


def cells(path: Path) -> list[dict[str, Any]]:
    """Read a CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet(content: bytes) -> list[dict[str, tuple[str, str]]]:
    """Read the sheet of a workbook: of each cell its type (`n`, `text`) and what it shows."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        root = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own
    assert root.find(f".//{_NS}f") is None, "a formula"
    rows = [
        {cell.attrib["r"].rstrip("0123456789"): cell for cell in row}
        for row in root.iter(f"{_NS}row")
    ]
    names = {place: "".join(cell.itertext()) for place, cell in rows[0].items()}
    return [
        {
            names[place]: ("text" if "t" in cell.attrib else "n", "".join(cell.itertext()))
            for place, cell in row.items()
        }
        for row in rows[1:]
    ]


# --- Parquet --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "scale"),
    [
        ([0.0385, 0.077, 0.1155], 4),
        ([1, 2.0, "3"], 0),
        (["2.50", 0.5, 0.5], 1),
        ([0.0017 * 3, 1, 1], 19),
        ([100, "-0.010", 1], 2),
    ],
)
async def test_an_analyst_found_24_zeros_behind_each_amount(
    tmp_path: Path, costs: list[Any], scale: int
) -> None:
    """A column of amounts has as many decimals as the longest of them, and keeps each exact."""
    path = tmp_path / "all.parquet"
    await export(history(*({"cost": cost} for cost in costs), count=3), path)
    table = pq.read_table(path)
    assert table.schema.field("cost").type == pa.decimal128(38, scale)
    assert table["cost"].to_pylist() == [Decimal(str(cost)) for cost in costs]


async def test_a_directory_whose_files_had_different_types_could_not_be_read(
    tmp_path: Path,
) -> None:
    """All days have one type of amount, which is that of the day that needs the most decimals."""
    service = FakeHistory(spread(4, seconds=86400))
    service.messages[2].row["cost"] = "0.1234567"
    await export(service, f"{tmp_path}/days/")
    files = sorted((tmp_path / "days").glob("*/*.parquet"))
    types = {pq.read_schema(file).field("cost").type for file in files}
    assert types == {pa.decimal128(38, 7)}
    table = ds.dataset(tmp_path / "days", partitioning="hive").to_table()
    assert table.num_rows == 4
    assert Decimal("0.1234567") in table["cost"].to_pylist()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
async def test_the_two_histories_could_not_be_put_under_each_other(
    tmp_path: Path, suffix: str
) -> None:
    """The time has one name in both, and an amount says its currency."""
    kinds = {"sms": Message.sms, "a2p": Message.a2p}
    for kind, make in kinds.items():
        await export(history(make=make), tmp_path / f"{kind}.{suffix}", kind=kind)
    for kind in kinds:
        content = (tmp_path / f"{kind}.{suffix}").read_bytes()
        if suffix == "parquet":
            rows = pq.read_table(io.BytesIO(content)).to_pylist()
        elif suffix == "csv":
            rows = cells(tmp_path / f"{kind}.csv")
        else:
            rows = sheet(content)
        time = "processed_date (UTC)" if suffix == "xlsx" else "processed_date"
        assert {time, "cost", "currency"} <= rows[0].keys()
        assert "processing_date" not in rows[0]
        names = list(rows[0])
        assert names.index("currency") == names.index("cost") + 1
        currency = ("text", "USD") if suffix == "xlsx" else "USD"
        assert [row["currency"] for row in rows] == [currency] * 6


async def test_a_key_that_may_not_read_the_account(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The export is written without the currency, and says so; what may pass is no reason."""
    service = history()
    service.account = refusal(2, "internal error")
    with pytest.raises(ApiError, match="GetAccountInfo: 2"):
        await export(service, tmp_path / "all.csv")
    service.account = refusal(104, "role")
    await export(service, tmp_path / "all.csv")
    assert {row["currency"] for row in cells(tmp_path / "all.csv")} == {""}
    assert "the column currency stays empty: GetAccountInfo: 104" in caplog.text


async def test_json_lines_stay_as_they_came(tmp_path: Path) -> None:
    """Nothing is added to them, and nothing asked for, unless prices are wanted."""
    service = history()
    service.account = refusal(104, "role")
    await export(service, tmp_path / "all.jsonl")
    assert lines(tmp_path / "all.jsonl") == [message.row for message in service.messages]


# --- Countries and price groups -------------------------------------------------------------------

PRICES = [
    {
        "resource_type": kind,
        "price_groups": [
            {
                "price_group_id": 1,
                "price_group_name": "United Kingdom",
                "price": 0.0385,
                "params": {"allowed": ["44"]},
            }
        ],
    }
    for kind in ("SMSOUT", "A2P_SMS_E212")
]
PLACES: list[tuple[Json, tuple[str | None, str | None]]] = [
    ({"destination_number": "447400123456"}, ("GB", "United Kingdom")),
    ({"destination_number": 441534123456}, ("JE", "United Kingdom")),
    ({"destination_number": "447700900123"}, ("GB", "United Kingdom")),  # of Ofcom's for films
    ({"destination_number": "79161234567"}, ("RU", None)),
    ({"destination_number": "12345"}, (None, None)),  # a short code
    ({"destination_number": "+0"}, (None, None)),
    ({"destination_number": "447400123456", "direction": "in"}, ("GB", None)),
    ({"destination_number": "999123456"}, (None, None)),  # no country has 999
    ({"destination_number": "88216123456"}, (None, None)),  # satellites
]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "xlsx"])
async def test_an_analyst_wanted_the_cost_by_country(
    tmp_path: Path, suffix: str, *, mask: bool
) -> None:
    """`with_rates` says of each destination its country and price group, hidden or not."""
    service = history(*(change for change, _ in PLACES), count=len(PLACES))
    service.prices = PRICES
    path = tmp_path / f"all.{suffix}"
    await export(service, path, with_rates=True, mask=mask)
    if suffix == "jsonl":
        rows = lines(path)
    elif suffix == "csv":
        rows = [{n: cell or None for n, cell in row.items()} for row in cells(path)]
    elif suffix == "parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        rows = [{n: shown for n, (_, shown) in row.items()} for row in sheet(path.read_bytes())]
    found = [(row.get("country"), row.get("price_group")) for row in rows]
    assert found == [place for _, place in PLACES]
    assert {row["currency"] for row in rows} == {"USD"}
    assert ("447400123456" in str(rows)) is not mask


async def test_applications_messages_are_priced_by_their_own_rates(tmp_path: Path) -> None:
    """Those of A2P."""
    service = history(*(change for change, _ in PLACES), make=Message.a2p)
    service.prices = PRICES[1:]
    await export(service, tmp_path / "all.csv", kind="a2p", with_rates=True)
    assert cells(tmp_path / "all.csv")[0]["price_group"] == "United Kingdom"


async def test_countries_without_their_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install, before anything is asked for."""
    import_phonenumbers.cache_clear()
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(InvalidRequest, match=r"with_rates: needs .* pip install 'voxsms\[phone\]'"):
        await export(history(), tmp_path / "all.csv", with_rates=True)


def test_a_number_without_a_country() -> None:
    """It is none, not an error: also what no country could have."""
    assert [find_country(each) for each in ("447400123456", "12345", "9" * 30)] == [
        "GB",
        None,
        None,
    ]


# --- Compressed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
async def test_files_were_too_large_to_be_sent_on(tmp_path: Path, suffix: str) -> None:
    """`.gz` holds the same bytes in one stream, without a name or a time of its own."""
    await export(history(), tmp_path / f"all.{suffix}")
    await export(history(), tmp_path / f"all.{suffix}.gz")
    packed = (tmp_path / f"all.{suffix}.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / f"all.{suffix}").read_bytes()
    assert packed[3:8] == bytes(5)  # no flags, no time
    stream = io.BytesIO()
    await export(history(), stream, format=f"{suffix}.gz")
    assert stream.getvalue() == packed


async def test_a_compressed_file_drops_what_came_twice(tmp_path: Path) -> None:
    """As the plain one does: a row without a time comes with several windows and stays once."""
    service = history({"processed_date": ""}, count=12)
    service.find = _with_timeless(service)  # type: ignore[method-assign]
    for name in ("all.csv", "all.csv.gz", "all.xlsx", "all.parquet"):
        assert (await export(service, tmp_path / name)).rows == 12
    packed = gzip.decompress((tmp_path / "all.csv.gz").read_bytes())
    assert packed == (tmp_path / "all.csv").read_bytes()
    assert len(sheet((tmp_path / "all.xlsx").read_bytes())) == 12


def _with_timeless(service: FakeHistory) -> Any:  # noqa: ANN401 - a function
    """Let what has no time match every span."""
    find = service.find

    def found(form: dict[str, str], *span: datetime | None) -> list[Message]:
        in_span = find(form, *span)
        timeless = [each for each in service.messages if not each.row["processed_date"]]
        return in_span + [each for each in timeless if each not in in_span]

    return found


async def test_a_database_reads_what_is_compressed(tmp_path: Path) -> None:
    """Arrow's reader of CSV, which others use, too, takes it as it is."""
    await export(history(), tmp_path / "all.csv.gz")
    table = pacsv.read_csv(tmp_path / "all.csv.gz")
    assert table.num_rows == 6
    assert table.schema.field("processed_date").type == pa.timestamp("s")


# --- Spreadsheets ---------------------------------------------------------------------------------

TEXT = '=HYPERLINK("http://x.example";"y")'


async def test_a_manager_opened_the_history_in_a_spreadsheet(tmp_path: Path) -> None:
    """Numbers and ids are texts, amounts and times can be reckoned with, and nothing runs."""
    service = history(
        {"text": TEXT, "cost": "0.0385", "status_id": 1, "message_id": 2**62 - 5},
        {"text": "two\nlines \x01 & <b>", "source_number": "ACME"},
        {"processed_date": "2026-03-01"},
        {"processed_date": "1899-12-31 10:00:00"},
        {"text": "", "transaction_id": None},
    )
    path = tmp_path / "all.xlsx"
    summary = await export(service, path)
    rows = {row["destination_number"][1]: row for row in sheet(path.read_bytes())}
    assert summary.rows == len(rows) == 6
    first, second, third, fourth, fifth = (rows[f"447700900{n:03d}"] for n in range(1, 6))
    assert first == {
        "message_id": ("text", str(2**62 - 5)),
        "source_number": ("text", "447443332211"),
        "destination_number": ("text", "447700900001"),
        "direction": ("text", "OUT"),
        "fragments": ("n", "2"),
        "cost": ("n", "0.0385"),
        "currency": ("text", "USD"),
        "status_id": ("text", "1"),
        "processed_date (UTC)": ("n", "46082"),
        "transaction_id": ("text", "1000001"),
        "text": ("text", TEXT),
    }
    assert second["source_number"] == ("text", "ACME")
    assert second["text"] == ("text", "two\nlines _x0001_ & <b>")
    assert third["processed_date (UTC)"] == ("n", "46082")  # a day alone
    assert fourth["processed_date (UTC)"] == ("text", "1899-12-31 10:00:00")
    assert fifth["text"] == ("text", "")
    assert "transaction_id" not in fifth


async def test_the_same_rows_give_the_same_workbook(tmp_path: Path) -> None:
    """It says nothing of when it was made; a stream gets what a file does."""
    await export(history(), tmp_path / "all.xlsx")
    stream = io.BytesIO()
    await export(history(), stream, format="xlsx")
    assert stream.getvalue() == (tmp_path / "all.xlsx").read_bytes()


async def test_a_history_was_too_long_for_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told when it is counted, before it is read; a directory by day holds it."""
    monkeypatch.setattr(_xlsx.Xlsx, "max_rows", 5)
    service = history()
    with pytest.raises(InvalidRequest, match="a sheet of a spreadsheet holds 1,048,575 messages"):
        await export(service, tmp_path / "all.xlsx")
    assert {form["count"] for form in service.forms} == {"1"}
    assert list(tmp_path.iterdir()) == []
    days = FakeHistory(spread(6, seconds=86400))
    assert (await export(days, f"{tmp_path}/days/", format="xlsx")).rows == 6


async def test_a_day_was_too_long_for_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told when it is written; what was read is kept, and no text is left beside it."""
    monkeypatch.setattr(_xlsx.Xlsx, "max_rows", 5)
    with pytest.raises(InvalidRequest, match="there are 6 or more"):
        await export(history(), f"{tmp_path}/days/", format="xlsx")
    (work,) = tmp_path.iterdir()
    assert sorted(each.name for each in work.iterdir()) == ["journal", "rows"]
    monkeypatch.setattr(_xlsx.Xlsx, "max_rows", 6)
    assert (await export(history(), f"{tmp_path}/days/", format="xlsx")).resumed


@pytest.mark.slow
async def test_a_machine_was_switched_off_while_a_workbook_was_written(tmp_path: Path) -> None:
    """Or its disk was full: the same command makes it, and no text is left beside it."""
    await export(history(), tmp_path / "whole.xlsx")
    with disk_of(1000) as machine:
        await export(history(), tmp_path / "all.xlsx")
    resumed: list[bool] = []
    for left in range(4, 44, 4):
        (tmp_path / "all.xlsx").unlink()
        with disk_of(1000 - machine.left - left) as stopped:
            await export(history(), tmp_path / "all.xlsx")
        assert stopped.is_off
        resumed.append((await export(history(), tmp_path / "all.xlsx")).resumed)
        assert sorted(found(tmp_path)) == ["all.xlsx", "whole.xlsx"]
        assert len({*found(tmp_path).values()}) == 1
    assert sum(resumed) > 5
    append = _files.append

    def full(file: Any, parts: Any) -> None:  # noqa: ANN401 - a file, bytes
        append(file, parts)
        if (tmp_path / ".all.xlsx.export" / "result").exists():
            raise OSError(errno.ENOSPC, "No space left on device")

    with (
        patch.object(_files, "append", full),
        pytest.raises(OSError, match="No space left") as caught,
    ):
        await export(history(), tmp_path / "all.xlsx")
    assert caught.value.errno == errno.ENOSPC
    assert (await export(history(), tmp_path / "all.xlsx")).resumed


async def test_a_text_that_no_cell_holds(tmp_path: Path) -> None:
    """It is not cut: the column is named."""
    with pytest.raises(ResponseInvalid, match=r"result\[\]\.text: a text that is too long"):
        await export(history({"text": "x" * 32_768}), tmp_path / "all.xlsx")


async def test_a_workbook_without_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(InvalidRequest, match=r"pip install 'voxsms\[xlsx\]'"):
        await export(history(), tmp_path / "all.xlsx")


async def test_excel_turned_phone_numbers_into_4_47e11(tmp_path: Path) -> None:
    """`excel` writes a CSV that Excel reads as UTF-8, in which numbers and ids are texts."""
    path = tmp_path / "all.csv"
    service = history({"text": TEXT, "source_number": "ACME"}, {"text": "Добрый день"})
    await export(service, path, excel=True)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfmessage_id,")
    rows = cells(path)
    assert rows[0]["destination_number"] == '="447700900001"'
    assert rows[0]["message_id"] == '="1"'
    assert rows[0]["source_number"] == "ACME"
    assert rows[0]["text"] == f"'{TEXT}"
    assert rows[1]["text"] == "Добрый день"
    assert rows[0]["cost"] == "0.077"
    assert rows[0]["fragments"] == "2"
    await export(service, path, excel=True, mask=True)
    assert cells(path)[0]["destination_number"] == "447***001"
    await export(history({"transaction_id": None}), path, excel=True)
    assert cells(path)[0]["transaction_id"] == ""
