"""Vectors transcribed from the contract, run against the table, the encoder and the decoder.

Client and sandbox read one table, so they would agree on a wrong row. These files are the outside
voice: they were written from the contract's prose, not from the code. In them `$time`, `$decimal`
and `$enum` mark what JSON has no form for.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs
import pytest

from voxsms import errors
from voxsms.api import codec, fault_codes, models, spec
from voxsms.api.spec import AnyMethod

Case = dict[str, Any]

_VECTORS = Path(__file__).parents[1] / "vectors"
_METHODS: dict[str, Case] = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((_VECTORS / "methods").glob("*.json"))
}
_OUTCOMES = {
    "refused": fault_codes.Outcome.REFUSED,
    "wait": fault_codes.Outcome.REFUSED_RETRYABLE,
    "stale": fault_codes.Outcome.STALE_TOKEN,
    "unknown": fault_codes.Outcome.UNKNOWN,
}
"""What the vectors call an effect."""
_CODES: list[Case] = json.loads((_VECTORS / "fault_codes.json").read_text("utf-8"))["codes"]


def _cases(kind: str) -> list[Any]:
    return [
        pytest.param(spec.METHODS[cmd], case, id=f"{cmd}: {case['says']}")
        for cmd, vector in _METHODS.items()
        for case in vector[kind]
    ]


def _given(value: object) -> object:
    """Make what a user gives of its form in a vector."""
    if not isinstance(value, dict):
        return value
    if "$time" in value:
        return datetime.fromisoformat(value["$time"])
    kind, name = value["$enum"].split(".")
    member: object = getattr(models, kind)[name]
    return member


def _plain(value: object) -> object:
    """Make of a record what a vector has for it; no two types have the same form."""
    kind: Any = type(value)
    if attrs.has(kind):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return {"$enum": f"{type(value).__name__}.{value.name}"}
    if isinstance(value, Decimal):
        return {"$decimal": f"{value.normalize():f}"}
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    return value


def _shown(value: object) -> str:
    """Write a value so that 1, 1.0, true and "1" differ and a difference is seen line by line."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


def _request(row: AnyMethod, case: Case) -> attrs.AttrsInstance:
    kind: Any = spec.widest(row) if case.get("download") else row.request
    request: attrs.AttrsInstance = kind(**{n: _given(v) for n, v in case["given"].items()})
    return request


def _answer(case: Case) -> codec.Answer:
    body = case["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    at = datetime(2026, 1, 15, 12, tzinfo=UTC)
    return codec.Answer(case["status"], case["headers"], text.encode(), at)


def test_every_row_has_a_request_a_reply_and_an_error() -> None:
    """No method gets into the table without the contract's own words for it."""
    assert _METHODS.keys() == spec.METHODS.keys()
    for cmd, vector in _METHODS.items():
        assert vector["cmd"] == cmd
        assert all(vector[kind] for kind in ("requests", "replies", "errors"))


@pytest.mark.parametrize("cmd", sorted(_METHODS))
def test_a_row_says_what_the_contract_says(cmd: str) -> None:
    """Parameters, roles, charging and paging of each method are the documented ones."""
    vector, row = _METHODS[cmd], spec.METHODS[cmd]
    request = spec.request_class(row)
    assert spec.required(request) == set(vector["required"])
    documented = {*vector["required"], *vector["optional"]}
    assert set(spec.parameters(spec.widest(row))) == documented
    assert set(spec.parameters(request)) == documented - {"output"}
    assert list(row.roles) == vector["roles"]
    assert (row.charges, row.paged) == (vector["charges"], vector["paged"])


@pytest.mark.parametrize(("row", "case"), _cases("requests"))
def test_a_request_is_written_as_documented(row: AnyMethod, case: Case) -> None:
    """What a user gives leaves the machine in the documented form."""
    assert codec.write_request(row, _request(row, case)) == case["form"]


@pytest.mark.parametrize(("row", "case"), _cases("requests"))
def test_a_documented_request_is_read(row: AnyMethod, case: Case) -> None:
    """The sandbox takes a documented request, and what it read is written the same way again."""
    values, faults = codec.read_request(row, case["form"])
    assert faults == []
    assert values.keys() == case["form"].keys()
    again = _request(
        row, {**case, "given": {"path": "out", **values} if "path" in case["given"] else values}
    )
    assert codec.write_request(row, again) == case["form"]


@pytest.mark.parametrize(("row", "case"), _cases("replies"))
def test_a_reply_is_read_as_documented(row: AnyMethod, case: Case) -> None:
    """Each field of a documented answer arrives with its value and its type."""
    assert _shown(_plain(codec.read_answer(row, _answer(case)))) == _shown(case["fields"])


@pytest.mark.parametrize(("row", "case"), _cases("errors"))
def test_an_error_is_raised_as_documented(row: AnyMethod, case: Case) -> None:
    """Each documented error arrives as its own class with code, name and text."""
    expected = dict(case["error"])
    kind = getattr(errors, expected.pop("class"))
    with pytest.raises(errors.VoxSmsError) as caught:
        codec.read_answer(row, _answer(case))
    assert type(caught.value) is kind
    assert {name: getattr(caught.value, name) for name in expected} == expected
    assert vars(caught.value)["method"] == row.cmd


@pytest.mark.parametrize("case", _CODES, ids=lambda case: str(case["code"]))
def test_a_code_means_what_the_contract_says(case: Case) -> None:
    """Each listed code has its documented name, our class for it, and the request's fate."""
    known = fault_codes.look_up(case["code"])
    assert known.code == case["code"]
    assert case["name"] in (known.name, None)
    assert known.error is getattr(errors, case["class"])
    assert known.outcome is _OUTCOMES[case["effect"]]


def test_every_documented_code_is_listed_and_no_other() -> None:
    """The table of codes is the contract's, neither more nor less."""
    assert set(fault_codes.CODES) == {case["code"] for case in _CODES}
    assert len(_CODES) == len({case["code"] for case in _CODES})


@pytest.mark.parametrize("code", [3, 333, 999, 2**31])
def test_an_unlisted_code_is_an_api_error_and_a_refusal(code: int) -> None:
    """A code that voxsms does not know reaches the user as `ApiError` with its number."""
    row = fault_codes.look_up(code)
    assert row == fault_codes.FaultCode(
        code, "UNLISTED", errors.ApiError, fault_codes.Outcome.REFUSED
    )


def test_an_error_without_a_code_leaves_the_outcome_open() -> None:
    """Where no code came it could be any, so nothing may be concluded from it."""
    row = fault_codes.look_up(0)
    assert (row.error, row.outcome) == (errors.ApiError, fault_codes.Outcome.UNKNOWN)
