"""Rows by way of structs: whatever comes, they are what they are by way of dicts."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms.api import codec, registry
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
        return codec.read_answer(registry.METHODS[cmd], given_)
    except (ApiError, ResponseInvalid) as error:
        return type(error), str(error)


@contextmanager
def without_structs() -> Iterator[None]:
    """Read as where msgspec is not installed."""
    codec._quick_reader.cache_clear()
    try:
        with patch.dict(sys.modules, {"voxsms.api.structs": None}):
            yield
    finally:
        codec._quick_reader.cache_clear()


def both(cmd: str, given_: codec.Answer) -> tuple[object, object]:
    """Read an answer in either way."""
    with without_structs():
        by_dicts = outcome(cmd, given_)
    return outcome(cmd, given_), by_dicts


def shown(found: object) -> str:
    """Tell 1 from 1.0 and from True, in what is compared."""
    return repr(found)


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
    quick, by_dicts = both(cmd, answer(body, data.draw(st.sampled_from([200, 201, 429, 500]))))
    assert shown(quick) == shown(by_dicts)


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
    quick, by_dicts = both(cmd, answer(body))
    assert shown(quick) == shown(by_dicts)


@pytest.mark.parametrize("cmd", PAGES)
def test_the_usual_page_takes_the_quick_way(cmd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parsed into dicts for the contract's own example, and nothing is missing."""
    wanted = both(cmd, answer(PAGES[cmd]))[1]
    monkeypatch.setattr(codec, "read_payload", None)
    found = outcome(cmd, answer(PAGES[cmd]))
    assert shown(found) == shown(wanted)
    assert len(getattr(found, "result", ())) == len(PAGES[cmd]["result"]) > 0
