"""An export and `async for` agree on every row, however loosely it comes."""

import csv
import io
import json
from collections import Counter
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import anyio
import attrs
import orjson
import pytest
from doubles import NOW, answer
from histories import WIRE, FakeHistory, Json, Message, content
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms import ResponseInvalid, SmsHistory, VoxSmsError
from voxsms.api import spec
from voxsms.api.codec import Answer, read_answer
from voxsms.export import _rows, export_history
from voxsms.export._rows import Layout, Page, RowReader, Rows, amount_text, decimal_text
from voxsms.export._table import Table, mask_value
from voxsms.export.formats import make_format
from voxsms.export.formats._jsonl import Jsonl

pytestmark = pytest.mark.slow

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")
AT = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
LAYOUT = Layout.of("GetSmsHistory", SmsHistory)

whole = st.integers(1, 2**53 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.one_of(
    st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True),
    st.integers(10**6, 10**15),
    st.sampled_from(["ACME", "=ACME", "-1"]),
)
rows = st.fixed_dictionaries(
    {
        "message_id": st.one_of(whole, whole.map(str), whole.map(float)),
        "source_number": numbers,
        "destination_number": numbers,
        "direction": st.sampled_from(["IN", "OUT", "in", "Out", "ASKEW"]),
        "fragments": st.one_of(st.integers(0, 9), st.just("3"), st.just(2.0)),
        "cost": st.one_of(
            st.integers(0, 10**6),
            st.floats(0, 10**6).map(lambda cost: round(cost, 6)),
            st.decimals(0, 10**6, places=9).map(str),
        ),
        "status_id": st.sampled_from(["1", "2", "3", 1, 2, 3.0, "99"]),
        "processed_date": st.sampled_from(
            [
                AT.strftime(WIRE),
                "2026-03-01",
                "",
                None,
                "2026-03-01T14:30:15+02:00",
                f"{AT:{WIRE}}.25",
            ]
        ),
    },
    optional={
        "error_message": st.none() | texts,
        "transaction_id": st.none() | whole | whole.map(str),
        "text": st.none() | texts,
        "added_later": st.recursive(
            texts | st.booleans(), lambda inner: st.lists(inner, max_size=2)
        ),
    },
)


async def both(history: FakeHistory, suffix: str, *, raw: bool) -> tuple[list[Any], bytes | None]:
    """Read a history both ways."""
    with TemporaryDirectory() as place:
        path = Path(place, f"all.{suffix}")
        async with history.client() as client:
            records = [row async for row in client.get_sms_history(count=3, to_date=NOW)]
            await export_history(client, "sms", path, to_date=NOW, raw=raw)
        return records, content(path)


def read_both(
    given_: list[Json], suffix: str, *, raw: bool = False
) -> tuple[list[Any], list[Json]]:
    """Read rows both ways, each sorted by id."""
    history = FakeHistory(
        [Message(AT, {**row, "message_id": n}) for n, row in enumerate(given_, 1)]
    )
    for message, row in zip(history.messages, given_, strict=True):
        kind = type(row["message_id"])
        message.row["message_id"] = kind(message.row["message_id"])
    records, file = anyio.run(lambda: both(history, suffix, raw=raw))
    assert file is not None
    if suffix == "parquet":
        found = pq.read_table(io.BytesIO(file)).to_pylist()
    elif suffix == "csv":
        found = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    else:
        found = [orjson.loads(line) for line in file.split(b"\n")[:-1]]
    records.sort(key=lambda row: row.message_id)
    return records, sorted(found, key=lambda row: int(row["message_id"]))


def as_time(text: str) -> datetime | None:
    """Read a time of a CSV."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


@settings(max_examples=examples(60))
@given(st.lists(rows, max_size=8))
def test_csv_agrees(given_: list[Json]) -> None:
    """Every cell is the record's field; texts are whole, quotes, newlines and all."""
    records, found = read_both(given_, "csv", raw=True)
    readers: dict[str, Any] = {
        "message_id": int,
        "fragments": int,
        "cost": Decimal,
        "processed_date": as_time,
        "transaction_id": lambda text: int(text) if text else None,
        "error_message": lambda text: text or None,
        "text": lambda text: text or None,
    }
    for record, row in zip(records, found, strict=True):
        wanted = {
            name: value or None if value == "" else value
            for name, value in attrs.asdict(record).items()
        }
        assert row.pop("currency") == "USD"
        assert {name: readers.get(name, str)(row[name]) for name in row} == wanted


@settings(max_examples=examples(60))
@given(st.lists(rows, max_size=8))
def test_parquet_agrees(given_: list[Json]) -> None:
    """Every value is the record's field, with its type."""
    records, found = read_both(given_, "parquet")
    assert found == [attrs.asdict(record) | {"currency": "USD"} for record in records]


@pytest.mark.parametrize(
    "costs",
    [
        [0.0017 * 3, 0.1 + 0.2, 1e-9, 12345678901234.5],  # the noise of doubles is kept as it is
        [1, 2.5, -0.0, 0],
        ["0.5", 0.5, 3],
    ],
)
def test_amounts_are_exact_in_parquet(costs: list[Any]) -> None:
    """Whatever figures a double has, and however the amounts of one page came."""
    row: Json = Message.sms(1, AT).row
    records, found = read_both([{**row, "cost": cost} for cost in costs], "parquet")
    assert [each["cost"] for each in found] == [record.cost for record in records]


@settings(max_examples=examples(60))
@given(st.lists(rows, max_size=8))
def test_json_lines_agree(given_: list[Json]) -> None:
    """A line read as a row is the record; fields unknown to voxsms are there as they came."""
    records, found = read_both(given_, "jsonl")
    again = FakeHistory([Message(AT, each) for each in found], order=list)

    async def read() -> list[SmsHistory]:
        async with again.client() as client:
            return list((await client.get_sms_history(count=1000)).result)

    assert anyio.run(read) == records
    for came, line in zip(given_, found, strict=True):
        assert line.get("added_later") == came.get("added_later")
        assert type(line["message_id"]) is int
        assert {
            type(line[name]) for name in ("source_number", "destination_number", "status_id")
        } == {str}


TABLES = ("jsonl", "csv", "parquet", "xlsx")


@settings(max_examples=examples(200))
@given(
    given_=st.lists(st.tuples(rows, st.sampled_from(["kept", None, "gone"])), max_size=6),
    mask=st.booleans(),
)
def test_every_format_has_the_same_rows(
    given_: list[tuple[Json, str | None]], *, mask: bool
) -> None:
    """In one order and under one name, also where ids are missing, and with numbers hidden."""
    page: list[Json] = []
    for row, message_id in given_:
        more = {} if message_id == "kept" else {"message_id": None}
        page.append({n: v for n, v in (row | more).items() if v is not None or message_id is None})
    given_answer = answer({"result": page, "total_count": len(page)})
    typed = read_answer(spec.GET_SMS_HISTORY, given_answer).result
    texts = ("source_number", "destination_number")
    wanted = Counter(tuple(mask_value(n, getattr(row, n)) for n in texts) for row in typed)
    if not mask:
        wanted = Counter((row.source_number, row.destination_number) for row in typed)
    table = Table(LAYOUT, mask=mask, with_rates=False)
    formats = [make_format(each, table, Path(), raw=True, excel=False) for each in TABLES]
    found: list[bytes] = []
    known: list[tuple[list[str], list[int]]] = []
    for format_ in formats:
        reader = RowReader(spec.GET_SMS_HISTORY, LAYOUT, as_json=format_.as_json)
        read = reader.read(given_answer)
        assert read.total == len(page)
        known.append((read.rows.times, read.rows.keys))
        contents = read.rows.contents
        found.append(format_.encode([contents[:1], contents[1:]]))
    assert known == [known[0]] * len(TABLES)
    lines = [orjson.loads(line) for line in found[0].splitlines()]
    cells = list(csv.reader(io.StringIO(found[1].decode(), newline="")))
    arrow = pa.ipc.open_stream(found[2]).read_all().to_pylist()
    sheet = [orjson.loads(line) for line in found[3].splitlines()]
    assert Counter((line[texts[0]], line[texts[1]]) for line in lines) == wanted
    assert Counter((row[1], row[2]) for row in cells) == wanted
    assert Counter((row[texts[0]], row[texts[1]]) for row in arrow) == wanted
    assert Counter((row[1], row[2]) for row in sheet) == wanted


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400])
def test_a_number_beyond_any_double_is_told(number: str) -> None:
    """Where a line has to be written again it cannot be; the error does not show the row."""
    row = Message.sms(1, AT, added_later="here", status_id=1).row
    body = orjson.dumps({"result": [row], "total_count": 1}).replace(b'"here"', number.encode())
    usual = body.replace(b'"status_id":1', b'"status_id":"1"')
    jsonl = Jsonl(Table(LAYOUT, mask=True, with_rates=False))
    for given_ in (body, usual):
        with pytest.raises(ResponseInvalid, match="result: a number beyond any double") as caught:
            jsonl.encode(READERS["jsonl"].read(Answer(200, {}, given_, NOW)).rows.portions())
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["message_id", "transaction_id", "fragments"])
def test_whole_numbers_are_read_to_the_same_bound(name: str) -> None:
    """Up to 64 bits; beyond them a double has taken some of the figures."""
    for number, taken in ((2**63, True), (2**64 - 1, True), (2**64, False), (10**30, False)):
        body = {"result": [Message.sms(1, AT).row | {name: number}], "total_count": 1}
        given_ = Answer(200, {}, json.dumps(body).encode(), NOW)
        for read in (
            partial(read_answer, spec.GET_SMS_HISTORY, given_),
            partial(READERS["columns"].read, given_),
        ):
            with nullcontext() if taken else pytest.raises(ResponseInvalid, match=name):
                read()


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        *((suffix, "message_id") for suffix in TABLES),
        *((suffix, "fragments") for suffix in TABLES[1:]),  # in a row's own JSON it stays a text
    ],
)
@pytest.mark.parametrize("written", [str(2**64), str(-(2**63) - 1), "9" * 40])
def test_a_text_of_a_whole_number_that_no_file_holds_is_told(
    suffix: str, name: str, written: str
) -> None:
    """It ends in an error of voxsms, also where a row has to be written again as JSON."""
    format_ = make_format(
        suffix, Table(LAYOUT, mask=False, with_rates=False), Path(), raw=True, excel=False
    )
    given_ = answer({"result": [Message.sms(1, AT).row | {name: written}], "total_count": 1})
    reader = RowReader(spec.GET_SMS_HISTORY, LAYOUT, as_json=format_.as_json)
    with pytest.raises(
        ResponseInvalid, match=rf"result\[\]\.{name}: a whole number of more than 64"
    ):
        format_.encode([reader.read(given_).rows.contents])


@given(st.permutations(["2026-10-31 23:07:26.5"] * 9 + ["2026-10-31"] * 7))
def test_times_of_other_lengths_that_add_up_are_whole_in_parquet(times: list[str]) -> None:
    """As many characters as 16 times to the second have, in whatever order they come."""
    format_ = make_format(
        "parquet", Table(LAYOUT, mask=False, with_rates=False), Path(), raw=True, excel=False
    )
    rows = [Message.sms(n, AT).row | {"processed_date": time} for n, time in enumerate(times)]
    read = RowReader(spec.GET_SMS_HISTORY, LAYOUT, as_json=False).read(
        answer({"result": rows, "total_count": len(rows)})
    )
    part = format_.encode([read.rows.contents])
    wanted = [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times]
    assert pa.ipc.open_stream(part).read_all()["processed_date"].to_pylist() == wanted


@pytest.mark.parametrize("cost", ["1e400", "-1e400"])
def test_an_amount_beyond_any_double_is_told(cost: str) -> None:
    """A sheet has doubles: the amount must not be missing without a word."""
    table = Table(LAYOUT, mask=False, with_rates=False)
    sheet = make_format("xlsx", table, Path(), raw=True, excel=False)
    read = READERS["columns"].read(
        answer({"result": [Message.sms(1, AT, cost=cost).row], "total_count": 1})
    )
    with pytest.raises(ResponseInvalid, match=r"result\[\].cost: an amount beyond any double"):
        sheet.encode([read.rows.contents])


READERS = {
    "jsonl": RowReader(spec.GET_SMS_HISTORY, LAYOUT, as_json=True),
    "columns": RowReader(spec.GET_SMS_HISTORY, LAYOUT, as_json=False),
}
BODY = orjson.dumps(
    {
        "result": [Message.sms(n, AT, text=text).row for n, text in enumerate(("д}, {", '"\\'))],
        "total_count": 2,
    }
)
PIECES = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-",
    b"e",
    b"u",
    b"\xff",
    b"\n",
    b" ",
)


@settings(max_examples=examples(400))
@given(place=st.integers(0, len(BODY) - 1), piece=st.sampled_from(PIECES), cut=st.integers(0, 3))
def test_no_answer_is_taken_that_is_not_json(place: int, piece: bytes, cut: int) -> None:
    """What orjson refuses the quicker way refuses, too; what is taken is taken byte for byte."""
    body = BODY[:place] + piece + BODY[place + cut :]
    answer_ = Answer(200, {}, body, NOW)
    try:
        rows = READERS["jsonl"].read(answer_).rows
    except VoxSmsError:
        rows = None
    with suppress(VoxSmsError):
        READERS["columns"].read(answer_)
        orjson.loads(body)
    if rows is None:
        return
    wanted = orjson.loads(body)["result"]
    assert [orjson.loads(bytes(line)) for line in rows.contents] == wanted


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 104, "msg": "no"}}, 200),
        ({"errors": [{"code": 104}]}, 200),
        ({"error": {"code": 1}, "result": [], "total_count": 0}, 200),
        ({"result": [], "total_count": 0}, 500),
        ({"result": {"0": 1}, "total_count": 0}, 200),
        ({"result": [1], "total_count": 1}, 200),
        ({"total_count": 1}, 200),
        ({"result": [], "total_count": "many"}, 200),
        ({"result": []}, 200),
        ([], 200),
        (b"<html>", 200),
    ],
)
def test_an_answer_without_rows_is_the_error_it_is_for_the_typed_rows(
    body: object, status: int
) -> None:
    """The same class of error, whichever way it is read."""
    given_ = answer(body, status)
    with pytest.raises(VoxSmsError) as typed:
        read_answer(spec.GET_SMS_HISTORY, given_)
    with pytest.raises(VoxSmsError) as exported:
        READERS["columns"].read(given_)
    assert type(exported.value) is type(typed.value)


def test_a_page_whose_rows_are_an_empty_object_is_empty() -> None:
    """PHP writes an empty list so; both readers take it for one."""
    given_ = answer({"result": {}, "total_count": 0})
    assert read_answer(spec.GET_SMS_HISTORY, given_).result == ()
    for reader in READERS.values():
        assert reader.read(given_) == Page(Rows([], [], []), 0, all_timed=True)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_the_contract_names_is_read_quickly(
    reader: RowReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers and statuses as numbers, ids as strings, a day or no time: a page needs no dicts."""

    def codec(*_: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(_rows, "read_payload", codec)
    row: Json = Message.sms(7, AT, status_id="1").row
    for odd in (
        {"source_number": 447443332211, "destination_number": 447443332212, "status_id": 1},
        {"message_id": "7", "transaction_id": "8", "cost": "0.0355"},
        {"processed_date": "2026-03-01"},
        {"processed_date": ""},
    ):
        page = reader.read(answer({"result": [row, row | odd], "total_count": 2}))
        assert page.rows.keys == [7, 7]
        for content_ in page.rows.contents:
            plain = orjson.loads(bytes(content_)) if reader is READERS["jsonl"] else None
            assert (plain["status_id"] if plain else content_.status_id) == "1"


def test_a_count_may_come_as_a_string() -> None:
    """The contract's looseness, in the figure that everything depends on."""
    page = READERS["columns"].read(answer({"result": [], "total_count": "0"}))
    assert (page.total, len(page.rows)) == (0, 0)
    created = READERS["columns"].read(answer({"result": [], "total_count": 0}, 201))
    assert created.total == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.10", "0.10"), ("1E-70", "1E-70"), ("1E+99", "1E+99"), ("-0.5", "-0.5")],
)
def test_amounts_are_written_plainly(value: str, text: str) -> None:
    """Without an exponent, unless that took more than sixty figures."""
    assert decimal_text(Decimal(value)) == text


def test_amounts_that_are_one_are_written_as_one() -> None:
    """1 and 1.0, 0 and -0.0: the text does not depend on which came first."""
    amounts = [1, 1.0, 0, -0.0, 0.5, None, "2.50"]
    assert list(map(amount_text, amounts)) == ["1", "1", "0", "0", "0.5", None, "2.50"]
    assert [amount_text(n / 8) for n in range(5000)][-1] == "624.875"
