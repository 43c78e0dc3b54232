"""Pages of rows: whatever comes, they are the same however they are read."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms.api import codec, fast_decode, spec
from voxsms.errors import ApiError, ResponseInvalid

pytestmark = pytest.mark.slow

_EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"
_METHODS = {
    "GetSmsHistory": "get_sms_history",
    "A2PGetSmsHistory": "a2p_get_sms_history",
    "GetPhoneNumbers": "get_phone_numbers",
}
PAGES: dict[str, dict[str, Any]] = {
    cmd: json.loads((_EXAMPLES / f"{name}.json").read_bytes()) for cmd, name in _METHODS.items()
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "0", "7", "-1", "1.5", "1e3", "NaN", "in", "OUT", "delivered", "true"]),
    st.sampled_from(["2026-01-15 10:20:30", "2026-01-15", "2026-02-30 10:20:30", "0000-00-00"]),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
)


def answer(body: object, status: int = 200) -> codec.Answer:
    """Make an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return codec.Answer(status, {}, raw, datetime(2026, 1, 15, tzinfo=UTC))


def outcome(cmd: str, given_: codec.Answer) -> object:
    """Give the page, or the class and the text of our error."""
    try:
        return codec.read_answer(spec.METHODS[cmd], given_)
    except (ApiError, ResponseInvalid) as error:
        return type(error), str(error)


@contextmanager
def read_by(way: str) -> Iterator[None]:
    """Read pages by way of structs, of dicts (where msgspec is not installed), or patiently."""
    codec._quick_reader.cache_clear()
    changes: Any = {
        "structs": nullcontext(),
        "dicts": patch.object(fast_decode, "msgspec", None),
        "patiently": patch.object(codec, "_read_quickly", lambda *_: None),
    }
    try:
        with changes[way]:
            yield
    finally:
        codec._quick_reader.cache_clear()


def outcomes(cmd: str, given_: codec.Answer) -> set[str]:
    """Read an answer in every way; 1, 1.0 and True are told apart."""
    found: set[str] = set()
    for way in ("structs", "dicts", "patiently"):
        with read_by(way):
            found.add(repr(outcome(cmd, given_)))
    return found


@pytest.mark.parametrize("cmd", PAGES)
@settings(max_examples=examples(300))
@given(data=st.data())
def test_a_page_of_odd_values_is_the_same_in_either_way(cmd: str, data: st.DataObject) -> None:
    """Rows and errors do not depend on whether msgspec is installed."""
    page = PAGES[cmd]
    rows: list[dict[str, Any]] = []
    for row in page["result"][:2]:
        names = st.sampled_from([*row, "error_message", "transaction_id", "text", "new_field"])
        odd = data.draw(st.dictionaries(names, VALUES, max_size=2))
        gone = data.draw(st.sets(st.sampled_from([*row]), max_size=1))
        rows.append({name: value for name, value in (row | odd).items() if name not in gone})
    more = data.draw(
        st.dictionaries(st.sampled_from(["total_count", "error", "errors", "x"]), VALUES)
    )
    body = {"result": rows, "total_count": len(rows)} | more
    assert len(outcomes(cmd, answer(body, data.draw(st.sampled_from([200, 201, 429, 500]))))) == 1


PIECES = [
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\xff",
    b"\xc3\xa4",
    b"{",
    b"]",
    b",",
    b"-",
    b"0",
    b"1e5",
]


@pytest.mark.parametrize("cmd", PAGES)
@settings(max_examples=examples(300))
@given(data=st.data())
def test_damaged_json_is_the_same_in_either_way(cmd: str, data: st.DataObject) -> None:
    """What orjson refuses is refused, and what it takes is taken for the same."""
    whole = orjson.dumps(PAGES[cmd])
    place = data.draw(st.integers(0, len(whole) - 1))
    body = whole[:place] + data.draw(st.sampled_from(PIECES)) + whole[place + 1 :]
    assert len(outcomes(cmd, answer(body))) == 1


@pytest.mark.parametrize("way", ["structs", "dicts"])
@pytest.mark.parametrize("cmd", PAGES)
def test_the_usual_page_is_read_fast(cmd: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's own example needs no patience, with msgspec or without, and is complete."""
    with read_by("patiently"):
        wanted = repr(outcome(cmd, answer(PAGES[cmd])))
    monkeypatch.setattr(codec, "read_payload", None)
    with read_by(way):
        found = outcome(cmd, answer(PAGES[cmd]))
    assert repr(found) == wanted
    assert len(getattr(found, "result", ())) == len(PAGES[cmd]["result"]) > 0


@pytest.mark.parametrize("way", ["structs", "dicts"])
def test_documented_looseness_is_read_fast(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers as numbers, other statuses, dates without a time, whole costs, null."""
    page = PAGES["A2PGetSmsHistory"]
    loose: dict[str, list[Any]] = {
        "source_number": [12345678111, "ACME"],
        "destination_number": [12345678222, 12345678223],
        "status_id": [1, "2", 3, "9", 17],
        "delivery_status": ["DELIVERED", "delivered", None, "NEW"],
        "processing_date": ["", None, "2026-01-15", "2026-01-15 10:20:30"],
        "cost": [1, 0.5, "0.25"] if way == "dicts" else [1, 0.5],
        "error_message": [None, "x"],
    }
    rows = [{**page["result"][0], name: v} for name, values in loose.items() for v in values]
    body = {"result": rows, "total_count": len(rows)}
    with read_by("patiently"):
        wanted = repr(outcome("A2PGetSmsHistory", answer(body)))
    monkeypatch.setattr(codec, "read_payload", None)
    with read_by(way):
        assert repr(outcome("A2PGetSmsHistory", answer(body))) == wanted


@pytest.mark.parametrize("body", [[], [1], "x", 5, None, True, {}, {"result": 1}, b"", b"<html>"])
@pytest.mark.parametrize("cmd", PAGES)
def test_what_is_no_page_is_the_same_error_in_every_way(cmd: str, body: object) -> None:
    """An answer that is no object, or no JSON, is told once and in one way."""
    [found] = outcomes(cmd, answer(body))
    assert "ResponseInvalid" in found


def test_without_msgspec_a_page_is_read_by_way_of_dicts() -> None:
    """It is among the extras: the core reads a history without it."""
    source = importlib.util.find_spec("voxsms.api.fast_decode")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    with patch.dict(sys.modules, {"msgspec": None}):
        source.loader.exec_module(module)
    method = spec.METHODS["GetSmsHistory"]
    body = json.dumps(PAGES["GetSmsHistory"]).encode()
    with read_by("patiently"):
        wanted = outcome("GetSmsHistory", answer(body))
    assert repr(module.page_reader(method.reply)(body)) == repr(wanted)
