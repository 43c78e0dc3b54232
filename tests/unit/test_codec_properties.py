"""What holds for every answer, however mangled: it is a record or an error, both ours."""

import copy
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api import codec, models, spec
from voxsms.errors import ApiError, ResponseInvalid

_EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"
_METHOD_OF = {
    "send_sms_message": "SendSmsMessage",
    "send_sms_message_older": "SendSmsMessage",
    "a2p_send_sms_partial": "A2PSendSms",
    "a2p_send_sms_older": "A2PSendSms",
    "control_sms": "ControlSms",
    "get_sms_history": "GetSmsHistory",
    "a2p_get_sms_history": "A2PGetSmsHistory",
    "get_phone_numbers": "GetPhoneNumbers",
    "get_resource_price": "GetResourcePrice",
    "get_account_info": "GetAccountInfo",
}
_SECRET = "plain text of 447443332212"

Place = tuple[str | int, ...]


def _read(cmd: str, body: bytes, status: int = 200) -> object:
    answer = codec.Answer(status, {}, body, datetime(2026, 1, 15, tzinfo=UTC))
    return codec.read_answer(spec.METHODS[cmd], answer)


def _outcome(cmd: str, body: bytes, status: int = 200) -> object:
    """Give the record or, as a value, our error; any other error fails the test."""
    try:
        return _read(cmd, body, status)
    except (ApiError, ResponseInvalid) as error:
        return error


def _example(name: str) -> bytes:
    return (_EXAMPLES / f"{name}.json").read_bytes()


def _places(value: Any, above: Place = ()) -> Iterator[Place]:  # noqa: ANN401 - any JSON
    """Give the place of every value inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        yield (*above, key)
        if isinstance(item, dict | list):
            yield from _places(item, (*above, key))


def _path(place: Place) -> str:
    """Write a place as an error writes it."""
    return "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in place).removeprefix(".")


def _changed(payload: object, place: Place, value: object) -> bytes:
    """Give the body with another value at a place."""
    changed: Any = copy.deepcopy(payload)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return json.dumps(changed).encode()


_FIELDS = {
    field.name
    for kind in vars(models).values()
    if isinstance(kind, type) and attrs.has(kind)
    for field in attrs.fields(kind)
}
_PLACES = [
    (name, place)
    for name in _METHOD_OF
    if name != "a2p_send_sms_older"
    for place in _places(json.loads(_example(name)))
]
_ODD: list[object] = [
    None,
    True,
    -1,
    1.5,
    1e300,
    10**40,
    "",
    "?",
    _SECRET,
    [],
    [[]],
    {},
    {"x": [1]},
]


@pytest.mark.parametrize("name", _METHOD_OF)
def test_an_answer_cut_anywhere_can_not_be_read(name: str) -> None:
    """A connection lost at any byte never leaves half a record that looks whole."""
    body = _example(name).strip()
    for length in range(len(body)):
        with pytest.raises(ResponseInvalid) as caught:
            _read(_METHOD_OF[name], body[:length])
        assert caught.value.path == "$"
    assert _read(_METHOD_OF[name], body)


@pytest.mark.parametrize(
    ("name", "place"), _PLACES, ids=lambda v: v if isinstance(v, str) else _path(v)
)
def test_an_odd_value_is_read_or_told_at_its_place(name: str, place: Place) -> None:
    """A wrong value anywhere in an answer is named by its path, and is not shown."""
    payload = json.loads(_example(name))
    for value in _ODD:
        outcome = _outcome(_METHOD_OF[name], _changed(payload, place, value))
        if isinstance(outcome, ResponseInvalid):
            assert re.match(re.escape(_path(place)) + r"($|[.\[])", outcome.path)
            assert _SECRET not in f"{outcome} {outcome.__cause__}"


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, place in _PLACES if place[-1] in _FIELDS],
    ids=lambda v: v if isinstance(v, str) else _path(v),
)
def test_a_value_of_a_wrong_type_never_passes(name: str, place: Place) -> None:
    """No field of a record silently takes what it can not be."""
    payload = json.loads(_example(name))
    wrong: object = {"x": [1]} if place[-1] != "params" else [1]
    with pytest.raises(ResponseInvalid):
        _read(_METHOD_OF[name], _changed(payload, place, wrong))


@pytest.mark.parametrize("name", _METHOD_OF)
def test_unknown_fields_change_nothing(name: str) -> None:
    """The service may add a field to any object of any answer."""
    payload = json.loads(_example(name))
    expected = _read(_METHOD_OF[name], _example(name))
    objects = [(), *(place for place in _places(payload) if isinstance(place[-1], int))]
    for place in objects:
        inside = payload
        for key in place:
            inside = inside[key]
        if isinstance(inside, dict):
            inside["added_later"] = {"deep": [1, None, "x"]}
    body = json.dumps(payload).encode()
    assert b"added_later" in body
    assert _read(_METHOD_OF[name], body) == expected


def test_a_second_name_is_told_by_the_record_s_name() -> None:
    """What an older server calls `transaction_id` is `message_id` to the user, in an error too."""
    body = _example("a2p_send_sms_older").replace(b"3996474", b'"?"')
    with pytest.raises(ResponseInvalid) as caught:
        _read("A2PSendSms", body)
    assert caught.value.path == "result[0].message_id"
    assert str(caught.value) == (
        "A2PSendSms: the answer cannot be read at result[0].message_id: "
        "a value of type str where a whole number was expected"
    )


def test_a_missing_field_is_told_by_its_path() -> None:
    """A field that is not there is named where it should be, and null is the same as absent."""
    for gone in (b'"cost_": 2.7123', b'"cost": null'):
        body = _example("get_sms_history").replace(b'"cost": 2.7123', gone)
        with pytest.raises(ResponseInvalid) as caught:
            _read("GetSmsHistory", body)
        assert (caught.value.path, caught.value.problem) == ("result[0].cost", "cost is missing")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_KEYS = sorted(_FIELDS | {"error", "errors", "code", "msg", "transaction_id", "added_later"})
_NEARLY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1", "OUT", "2026-01-01", "2026-01-01 00:00:00", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner),
    max_leaves=30,
)
_STATUSES = st.sampled_from([200, 201, 204, 301, 400, 404, 429, 500, 503])


@given(
    st.sampled_from(sorted(spec.METHODS)),
    st.binary()
    | _JSON.map(lambda value: json.dumps(value).encode())
    | _NEARLY.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(_KEYS), _NEARLY).map(
        lambda value: json.dumps(value).encode()
    ),
    _STATUSES,
)
def test_anything_at_all_is_a_record_or_one_of_our_errors(
    cmd: str, body: bytes, status: int
) -> None:
    """No answer, however odd, reaches the user as an error of Python's or of a library's."""
    outcome = _outcome(cmd, body, status)
    if isinstance(outcome, ApiError | ResponseInvalid):
        assert outcome.method == cmd
        assert str(outcome).startswith(f"{cmd}: ")
    else:
        assert status in range(200, 300)
        assert attrs.has(type(outcome)) or isinstance(outcome, tuple)


@given(st.integers(1, 200_000), st.sampled_from(["[", '{"result":', '{"a":[']))
def test_nesting_of_any_depth_is_told(depth: int, opening: str) -> None:
    """A deep value is refused, not followed until the stack ends."""
    with pytest.raises(ResponseInvalid):
        _read("GetSmsHistory", (opening * depth).encode())
