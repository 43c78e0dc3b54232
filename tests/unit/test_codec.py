"""Answers to records or errors: whatever comes back, it is read or told as one of our errors."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import attrs
import pytest

from voxsms import errors
from voxsms.api import codec, spec
from voxsms.api.models import ControlSmsResult
from voxsms.api.spec import AnyMethod, MethodSpec
from voxsms.errors import ResponseInvalid

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


def answer(
    body: bytes | str, status: int = 200, headers: Mapping[str, str] | None = None
) -> codec.Answer:
    """Make an answer that came at noon."""
    content = body.encode() if isinstance(body, str) else body
    return codec.Answer(status, headers or {}, content, NOW)


def error_of(
    got: codec.Answer, row: MethodSpec[..., object] = spec.CONTROL_SMS
) -> errors.VoxSmsError:
    """Give the error that an answer is read as."""
    with pytest.raises(errors.VoxSmsError) as caught:
        codec.read_answer(row, got)
    return caught.value


BODIES: dict[str, str | bytes] = {
    "HTML": "<html>Bad Gateway</html>",
    "nothing": "",
    "a list": "[1]",
    "a string": '"ok"',
    "null": "null",
    "success": '{"result": 1}',
    "not UTF-8": b'{"result": "\xff"}',
    "a deep list": "[" * 100_000,
    "a huge number": '{"result": 1e999}',
    "NaN": '{"result": NaN}',
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_server_error_is_a_server_fault_whatever_its_body(name: str, status: int) -> None:
    """A 5xx without an error of the service in it is told by its status."""
    error = error_of(answer(BODIES[name], status, {"retry-after": "7"}))
    assert type(error) is errors.ServerFault
    assert (error.code, error.name, error.method) == (0, f"HTTP_{status}", "ControlSms")
    assert error.retry_after == 7.0
    failed = "the service or a gateway in front of it failed"
    assert str(error) == f"ControlSms: HTTP_{status}: {failed}"


NAMING_A_RESULT = ["success", "not UTF-8", "a huge number", "NaN"]


@pytest.mark.parametrize("name", sorted(set(BODIES) - set(NAMING_A_RESULT)))
def test_too_many_requests_is_a_rate_limit_whatever_its_body(name: str) -> None:
    """A 429 says that the call was not processed, with the seconds it names."""
    error = error_of(answer(BODIES[name], 429, {"retry-after": "30"}))
    assert type(error) is errors.RateLimited
    assert error.args == (0, "HTTP_429", "too many requests", "ControlSms", 30.0)


@pytest.mark.parametrize("name", NAMING_A_RESULT)
def test_a_result_among_too_many_requests_is_neither(name: str) -> None:
    """A 429 says "not processed" and a result "processed": a send must not be repeated on that."""
    error = error_of(answer(BODIES[name], 429))
    assert isinstance(error, ResponseInvalid)
    assert (error.path, error.problem) == ("$", "HTTP 429 with result")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 413])
def test_other_statuses_are_answers_that_can_not_be_read(name: str, status: int) -> None:
    """A redirect or a refusal of a gateway is no answer of the service."""
    error = error_of(answer(BODIES[name], status, {"content-type": "text/html"}))
    assert isinstance(error, ResponseInvalid)
    assert error.path == "$"
    assert error.problem.startswith(f"HTTP {status}, text/html, ")


@pytest.mark.parametrize("name", sorted(set(BODIES) - {"success"}))
def test_a_good_status_without_a_good_body_can_not_be_read(name: str) -> None:
    """A 200 with HTML, nothing, half of JSON or another value is told as such."""
    error = error_of(answer(BODIES[name]))
    assert isinstance(error, ResponseInvalid)
    assert error.path == "$"
    assert error.problem.startswith("HTTP 200, no content type, ")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "not JSON (Input is a zero-length, empty document: line 1 column 1 (char 0))"),
        ("[1]", "a JSON value of type list"),
    ],
)
def test_what_came_instead_of_an_object_is_said(body: str, problem: str) -> None:
    """A person reads what the body was, with the place where it stops being JSON."""
    error = error_of(answer(body))
    assert str(error) == (
        f"ControlSms: the answer cannot be read at $: HTTP 200, no content type, {problem}"
    )
    assert str(error_of(answer('{"result": 1}', 403))).endswith("a JSON object without an error")


@pytest.mark.slow
@pytest.mark.parametrize(("start", "filler"), [(b"", b"\xff"), (b'{"result": "', b"x")])
def test_a_huge_body_is_told_and_let_go(start: bytes, filler: bytes) -> None:
    """Neither the error nor its chain keeps the body, which may be large or hold a secret."""
    error = error_of(answer(start + filler * 50_000_000))
    assert isinstance(error, ResponseInvalid)
    assert (error.__cause__, error.__context__) == (None, None)
    assert len(str(error)) < 200


def test_an_answer_does_not_show_its_body() -> None:
    """A logged answer shows no text, number or secret that came in it."""
    assert "planted" not in repr(answer('{"result": "planted"}'))


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"result": 5}', "result"),
        ('{"result": []}', "result.account_id"),
        ('{"api_address": "a"}', "result"),
        ('{"result": {"account_id": "x"}}', "result.account_id"),
        ('{"result": {"account_id": "x"}, "account_id": 5}', "result.account_id"),
    ],
)
def test_a_path_in_a_nested_record_starts_at_the_answer(body: str, path: str) -> None:
    """Where the record stands under `result`, the path says so."""
    error = error_of(answer(body), spec.GET_ACCOUNT_INFO)
    assert isinstance(error, ResponseInvalid)
    assert error.path == path


def test_any_2xx_is_a_success() -> None:
    """What counts is the body, not which success the status names."""
    assert codec.read_answer(spec.CONTROL_SMS, answer('{"result": 1}', 201)) == ControlSmsResult(1)


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
def test_an_error_of_the_service_counts_under_any_status(status: int) -> None:
    """The service's own code says more than the status it came with."""
    error = error_of(answer('{"error": {"code": 386, "msg": "off"}}', status))
    assert type(error) is errors.SmsNotEnabled


ERROR_BODIES: list[tuple[str, tuple[int, str, str]]] = [
    ('{"error": {"code": 340, "msg": "slow"}}', (340, "RATE_LIMIT_EXCEED", "slow")),
    ('{"error": {"code": "340", "msg": "slow"}}', (340, "RATE_LIMIT_EXCEED", "slow")),
    ('{"error": {"code": 9999, "msg": "new"}, "extra": 1}', (9999, "UNLISTED", "new")),
    ('{"errors": [{"code": 127, "msg": "low"}]}', (127, "INSUFFICIENT_MONEY", "low")),
    ('{"errors": {"code": 127, "msg": "low"}}', (127, "INSUFFICIENT_MONEY", "low")),
    ('{"errors": ["broken"]}', (0, "UNLISTED", "broken")),
    ('{"error": "broken"}', (0, "UNLISTED", "broken")),
    ('{"error": {"msg": "broken"}}', (0, "UNLISTED", "broken")),
    ('{"error": {"code": null, "msg": null}}', (0, "UNLISTED", "")),
    ('{"error": {"code": -5, "msg": 7}}', (0, "UNLISTED", "7")),
    ('{"error": {"code": true}}', (0, "UNLISTED", "")),
    ('{"error": {"code": 999999999}}', (999999999, "UNLISTED", "")),
    ('{"error": {"code": 99999999999999999999}}', (0, "UNLISTED", "")),
]


@pytest.mark.parametrize(("body", "expected"), ERROR_BODIES)
def test_an_error_is_read_in_every_shape(body: str, expected: tuple[int, str, str]) -> None:
    """Whatever shape an error comes in, its code and text reach the user."""
    error = error_of(answer(body))
    assert isinstance(error, errors.ApiError)
    assert (error.code, error.name, error.msg) == expected


def test_a_gateway_s_own_json_error_is_read_by_its_status() -> None:
    """A gateway's `{"error": ...}` has no code of the service; its text is kept."""
    error = error_of(answer('{"error": "Too many requests"}', 429, {"retry-after": "2"}))
    assert type(error) is errors.RateLimited
    assert error.args == (0, "HTTP_429", "Too many requests", "ControlSms", 2.0)
    error = error_of(answer('{"error": {"code": "E1", "msg": "down"}}', 503))
    assert type(error) is errors.ServerFault
    assert error.args == (0, "HTTP_503", "down", "ControlSms", None)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"result": 1, "error": {"code": 340, "msg": "slow"}}', "error"),
        ('{"result": [], "error": {"code": 340, "msg": "slow"}}', "error"),
        ('{"result": 1, "errors": [{"code": 340, "msg": "slow"}]}', "errors"),
    ],
)
def test_an_error_beside_a_result_is_neither(body: str, path: str) -> None:
    """Such an answer proves nothing, so a send stays in doubt."""
    error = error_of(answer(body))
    assert isinstance(error, ResponseInvalid)
    assert (error.path, error.problem) == (path, "an error beside result")


FIELDS = ("result", "message_id", "transaction_id", "failed", "fragments_count", "total_count")


def test_every_field_of_an_accepted_send_is_known_as_one() -> None:
    """A field that is added to a reply is looked for beside errors, too."""
    for method in (spec.SEND_SMS_MESSAGE, spec.A2P_SEND_SMS):
        assert {f.name for f in attrs.fields(method.reply)} <= {
            *FIELDS,
            "predicted_fragments_count",
        }


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("error", ['"error": {"code": 340}', '"errors": [{"code": 340}]'])
def test_an_error_beside_anything_accepted_is_neither(field: str, error: str) -> None:
    """And beside null it is an error: null is the same as absent."""
    got = error_of(answer(f'{{{error}, "{field}": 5}}'))
    assert isinstance(got, ResponseInvalid)
    assert got.problem == f"an error beside {field}"
    got = error_of(answer(f'{{"{field}": null, {error}}}'))
    assert type(got) is errors.RateLimited


SEVERAL: list[tuple[str, int]] = [
    ('"errors": [{"code": 340}, {"code": 515}]', 515),
    ('"errors": [{"code": 515}, {"code": 340}]', 515),
    ('"errors": [{"code": 101}, {"code": 2}]', 2),
    ('"error": {"code": 340}, "errors": [{"code": 484}]', 484),
    ('"error": {"code": 340}, "errors": [{"code": 101}]', 101),
    ('"error": {"code": 340}, "errors": {"code": 456}', 456),
    ('"errors": [{"code": 456}, {"code": 104}, {"code": 101}]', 104),
    ('"errors": [{"code": 340}, {"code": "?"}]', 0),
    ('"errors": [{"code": 340}, {}]', 0),
    ('"errors": [{"code": 340}, "broken"]', 0),
    ('"error": "broken", "errors": [{"code": 340}]', 0),
    ('"errors": [null, {"code": 340}], "error": null', 340),
    ('"error": {"code": 340}, "errors": [{"code": 340}]', 340),
    ('"error": {}, "errors": [{"code": 340}]', 340),
    ('"error": false, "errors": [{"code": 340}]', 340),
]


@pytest.mark.parametrize(("body", "code"), SEVERAL)
def test_of_several_errors_the_one_that_leaves_the_most_in_doubt_counts(
    body: str, code: int
) -> None:
    """What may be waited out counts least: an answer is a refusal only if all of it says so."""
    error = error_of(answer(f"{{{body}}}"))
    assert isinstance(error, errors.ApiError)
    assert error.code == code


@pytest.mark.parametrize("result", ["0", "-1", '"0"', "2", "1861"])
@pytest.mark.parametrize("method", [spec.CONTROL_SMS, spec.SEND_SMS_MESSAGE])
def test_a_result_other_than_1_is_no_success(result: str, method: AnyMethod) -> None:
    """The contract knows no other number, so none is taken for success (section 4)."""
    body = f'{{"result": {result}, "message_id": 7, "fragments_count": 1}}'
    error = error_of(answer(body), method)
    assert isinstance(error, ResponseInvalid)
    assert (error.path, error.problem) == ("result", "is not 1, which alone means success")


def test_a_mark_before_json_is_dropped() -> None:
    """Some servers write a UTF-8 byte order mark."""
    mark = b"\xef\xbb\xbf"
    assert codec.read_answer(spec.CONTROL_SMS, answer(mark + b'{"result": 1}')).result == 1
    assert error_of(answer(mark + b'{"error": {"code": 386}}')).args[0] == 386
    page = mark + b'{"result": [], "total_count": 0}'
    assert codec.read_answer(spec.GET_SMS_HISTORY, answer(page)).total_count == 0


@pytest.mark.parametrize("status", [200, 429, 503])
def test_an_empty_list_is_an_empty_object(status: int) -> None:
    """PHP writes one for the other."""
    as_list, as_object = (error_of(answer(body, status)) for body in ("[]", "{}"))
    assert (type(as_list), str(as_list)) == (type(as_object), str(as_object))


def test_an_empty_object_is_an_empty_list() -> None:
    """And the other for the one."""
    page = codec.read_answer(spec.GET_SMS_HISTORY, answer('{"result": {}, "total_count": 0}'))
    assert page.result == ()


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("text/html; charset=utf-8", "text/html"),
        ("application/problem+json", "application/problem+json"),
        ("Kanarienvogel", "an odd content type"),
        ("text/447443332212", "an odd content type"),
        ("text/" + "x" * 1000, "an odd content type"),
        ("", "an odd content type"),
    ],
)
def test_of_a_content_type_only_a_media_type_is_shown(header: str, shown: str) -> None:
    """The rest could be anything, of any length."""
    error = error_of(answer("x", 200, {"content-type": header}))
    assert f"HTTP 200, {shown}, not JSON" in str(error)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "; the base URL is probably wrong"), (407, "; a proxy asks for credentials")],
)
def test_a_status_that_has_a_usual_reason_says_it(status: int, hint: str) -> None:
    """A person reads what to look at."""
    assert str(error_of(answer("<html>", status))).endswith(hint)


@pytest.mark.parametrize(
    "beside", ['"error": null', '"error": {}', '"errors": []', '"errors": null']
)
def test_an_empty_error_beside_a_result_is_no_error(beside: str) -> None:
    """An empty list of errors says that there was none."""
    got = codec.read_answer(spec.CONTROL_SMS, answer(f'{{"result": 1, {beside}}}'))
    assert got == ControlSmsResult(result=1)


@pytest.fixture(params=["UTC", "Asia/Tokyo"])
def machine_zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put the machine into a time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


RETRY_AFTER: list[tuple[str, float | None]] = [
    ("", None),
    ("0", 0.0),
    (" 120 ", 120.0),
    ("Thu, 15 Jan 2026 12:00:30 GMT", 30.0),
    ("Thursday, 15-Jan-26 12:00:30 GMT", 30.0),
    ("Thu Jan 15 12:00:30 2026", 30.0),
    ("Thu, 15 Jan 2026 11:59:00 GMT", 0.0),
    ("Thu, 15 Jan 2026 21:00:01 +0900", 1.0),
    ("soon", None),
    ("-5", None),
    ("0.503", 0.503),
    ("1.5", 1.5),
    (" 2.0 ", 2.0),
    ("nan", None),
    ("inf", None),
    ("1e9", None),
    ("1.", None),
    (".5", None),
    ("1,5", None),
    ("-0.5", None),
    ("+3", None),
    ("1.5 s", None),
    ("\u0661\u0662", None),
    ("9" * 400, None),
    ("Thu, 15 Jan 2026 12:00:30 +9999", None),
    ("1 Jan 1 00:00 +99999999999999", None),
    ("Fri, 31 Dec 9999 23:59:59 -0100", None),
]


@pytest.mark.usefixtures("machine_zone")
@pytest.mark.parametrize(
    ("header", "seconds"), RETRY_AFTER, ids=[str(i) for i in range(len(RETRY_AFTER))]
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float | None) -> None:
    """Seconds and every form of an HTTP date are understood, wherever the machine stands."""
    assert codec.retry_after(answer("", 503, {"retry-after": header})) == seconds


@pytest.mark.parametrize(
    ("code", "msg", "header", "seconds"),
    [
        (416, "Retry after 17 seconds", None, 17.0),
        (416, "Try again later", None, None),
        (416, "Retry after 17 seconds", "3", 3.0),
        (416, "Retry after 17 seconds", "soon", 17.0),
        (340, "Limit is 17 a second", None, None),
        (340, "Limit is 17 a second", "3", 3.0),
    ],
)
def test_the_seconds_are_taken_from_the_text_of_416_alone(
    code: int, msg: str, header: str | None, seconds: float | None
) -> None:
    """Only code 416 names seconds in its text; a header goes before it."""
    headers = {"retry-after": header} if header else {}
    error = error_of(answer(f'{{"error": {{"code": {code}, "msg": "{msg}"}}}}', 200, headers))
    assert type(error) is errors.RateLimited
    assert error.retry_after == seconds


@pytest.mark.parametrize("cmd", sorted(spec.METHODS))
def test_an_empty_object_is_no_answer_of_any_method(cmd: str) -> None:
    """No record can be made of nothing."""
    assert isinstance(error_of(answer("{}"), spec.METHODS[cmd]), ResponseInvalid)
