"""Requests to form fields, answers to records or errors: pure functions around the table.

The client uses `write_request` and `read_answer`, the sandbox `read_request`.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar, cast

import attrs
import orjson

from voxsms.api import fault_codes, spec
from voxsms.api.contradictions import find_contradiction, read_code
from voxsms.api.decode import Unreadable, read
from voxsms.api.fault_codes import Outcome
from voxsms.api.models import (
    A2PSendSmsResult,
    FailedSms,
    SmsTransaction,
)
from voxsms.api.spec import AnyMethod, MethodSpec, Param, RequestClass
from voxsms.api.wire import ListType, PhoneType, Violation, WireFault, WireFaults, WireType
from voxsms.errors import (
    ApiError,
    Fault,
    InvalidRequest,
    InvalidText,
    RateLimited,
    ResponseInvalid,
    ServerFault,
)

R = TypeVar("R")

FormFields = dict[str, str]
"""The fields of a request as text."""


@attrs.frozen
class Answer:
    """An answer over HTTP; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    received_at: datetime


@attrs.frozen
class ParameterFault:
    """One bad parameter of a request, with its entry in the table."""

    name: str
    param: Param
    fault: WireFault

    def for_user(self) -> Fault:
        """Return the fault as a user of the client reads it."""
        at = self.fault.position
        return Fault(self.name if at is None else f"{self.name}[{at}]", self.fault.problem)


@attrs.frozen
class _Shape:
    """What the codec needs to know about a request class, looked up once."""

    parameters: Mapping[str, Param]
    required: frozenset[str]


class _Shapes(dict[RequestClass, _Shape]):
    """The shapes of request classes, each computed on first use."""

    def __missing__(self, kind: RequestClass) -> _Shape:
        self[kind] = shape = _Shape(spec.parameters(kind), spec.required(kind))
        return shape


_SHAPES = _Shapes()


def write_request(
    method: AnyMethod, request: attrs.AttrsInstance, phone: PhoneType | None = None
) -> FormFields:
    """Write a request as form fields, or raise `InvalidRequest` with every fault in it.

    `phone` says how to read phone numbers, if not as in the table.
    """
    shape = _SHAPES[type(request)]
    form: FormFields = {}
    faults: list[ParameterFault] = []
    for name, param in shape.parameters.items():
        value = getattr(request, name)
        if value is None and name not in shape.required:
            continue
        wire_type = param.wire_type if phone is None else _with_phone(param.wire_type, phone)
        try:
            form[name] = wire_type.write(value)
        except WireFaults as found:
            faults += [ParameterFault(name, param, fault) for fault in found.faults]
    faults += _reversed_span(method, shape, form)
    if faults:
        raise _invalid(method, faults)
    return form


def _with_phone(wire_type: WireType, phone: PhoneType) -> WireType:
    if isinstance(wire_type, PhoneType):
        return phone
    if isinstance(wire_type, ListType) and isinstance(wire_type.item, PhoneType):
        return attrs.evolve(wire_type, item=phone)
    return wire_type


def _reversed_span(
    method: AnyMethod, shape: _Shape, form: Mapping[str, str]
) -> list[ParameterFault]:
    """Find a span of time that ends before it starts; times in one format compare as text."""
    if method.span is None or not form.keys() >= set(method.span):
        return []
    start, end = method.span
    if form[start] <= form[end]:
        return []
    fault = WireFault(f"is later than {end}", Violation.REVERSED)
    return [ParameterFault(start, shape.parameters[start], fault)]


def _invalid(method: AnyMethod, faults: list[ParameterFault]) -> InvalidRequest:
    unsendable = any(fault.fault.violation is Violation.UNSENDABLE for fault in faults)
    error = InvalidText if unsendable else InvalidRequest
    return error(method.cmd, tuple(fault.for_user() for fault in faults))


def read_request(
    method: AnyMethod, form: Mapping[str, str]
) -> tuple[dict[str, object], list[ParameterFault]]:
    """Read form fields; return the values of the parameters, and every fault in them.

    An empty optional parameter counts as absent; parameters not in the table are ignored.
    """
    shape = _SHAPES[spec.widest(method)]
    given = {name: param for name, param in shape.parameters.items() if form.get(name)}
    missing = _SHAPES[spec.request_class(method)].required - given.keys()
    values: dict[str, object] = {}
    faults = [
        ParameterFault(name, shape.parameters[name], WireFault("is missing", Violation.MISSING))
        for name in sorted(missing)
    ]
    for name, param in given.items():
        try:
            values[name] = param.wire_type.read(form[name])
        except WireFaults as found:
            faults += [ParameterFault(name, param, fault) for fault in found.faults]
    return values, faults or _reversed_span(method, shape, form)


def read_answer(method: MethodSpec[..., R], answer: Answer) -> R:
    """Read an answer into the method's record.

    Raises:
        ApiError: the service answered with an error.
        ResponseInvalid: the answer cannot be read, or its `result` does not mean success.
    """
    if method.paged and (page := _read_quickly(method, answer)) is not None:
        return page
    payload = read_payload(method, answer)
    try:
        record = read(method.reply, _place_of_record(method, payload))
    except Unreadable as trouble:
        path = _path_in_answer(method, payload, trouble.path)
        raise ResponseInvalid(method.cmd, path, trouble.problem) from trouble
    expected = method.success_result
    if expected is not None and getattr(record, "result", None) != expected:
        raise ResponseInvalid(method.cmd, "result", f"is not {expected}, which alone means success")
    return record


def check_numbers(method: AnyMethod, sent: A2PSendSmsResult, asked: Collection[str]) -> None:
    """Check that an answer fits the send to many numbers that it answers.

    A number in doubt is not a contradiction if others were accepted: the result names those.

    Raises:
        ResponseInvalid: the answer names no number, a number both as accepted and as failed, or
            more numbers than requested; or it accepts none, and does not say that all were refused.
    """
    named = len(sent.result) + len(sent.failed)
    if not named:
        raise ResponseInvalid(method.cmd, "result", "names no number, accepted or failed")
    if named > len(asked):
        problem = f"names {named} numbers, accepted and failed, where {len(asked)} were asked for"
        raise ResponseInvalid(method.cmd, "result", problem)
    if bare_numbers(sent.result) & bare_numbers(sent.failed):
        raise ResponseInvalid(method.cmd, "failed", "names a number that is accepted, too")
    if not sent.result and (doubts := len(numbers_in_doubt(sent, asked))):
        problem = f"does not say of {doubts} of {len(asked)} numbers that they were refused"
        raise ResponseInvalid(method.cmd, "failed", problem)


def numbers_in_doubt(sent: A2PSendSmsResult, asked: Iterable[str]) -> tuple[str, ...]:
    """Return the numbers whose outcome an answer to a send leaves open.

    It does not name them, or has a code with which the message may have been sent.
    """
    refused = (each for each in sent.failed if not fault_codes.leaves_doubt(each.error_code))
    told = bare_numbers(sent.result) | bare_numbers(refused)
    return tuple(number for number in asked if number not in told)


def bare_numbers(named: Iterable[SmsTransaction | FailedSms]) -> set[str]:
    """Return the numbers in an answer as they were sent."""
    return {bare_number(each.destination_number) for each in named}


def bare_number(written: str) -> str:
    """Return a number in an answer as it was sent: the service may write it differently."""
    if written.isascii() and written.isdigit():
        return written
    return "".join(filter(str.isdigit, written)) or written


def _read_quickly(method: MethodSpec[..., R], answer: Answer) -> R | None:
    return _quick_reader(method)(answer.body) if answer.status == HTTPStatus.OK else None


@cache
def _quick_reader(method: MethodSpec[..., R]) -> Callable[[bytes], R | None]:
    # Imported late: a program that reads no history should not wait for msgspec.
    from voxsms.api.fast_decode import page_reader  # noqa: PLC0415

    return cast("Callable[[bytes], R | None]", page_reader(cast("Any", method.reply)))


def _place_of_record(method: AnyMethod, payload: dict[str, object]) -> object:
    if not method.inside:
        return payload
    result = payload.get("result")
    if not result or not isinstance(result, dict):
        return result
    # GetAccountInfo has a field of the record outside `result`.
    return {**payload, **cast("dict[str, object]", result)}


def _path_in_answer(method: AnyMethod, payload: dict[str, object], path: str) -> str:
    """Return the path in the whole answer for a path in the record."""
    result = payload.get("result")
    first = re.split(r"[.\[]", path, maxsplit=1)[0]
    beside = isinstance(result, dict) and first in payload and first not in result
    if not method.inside or beside:
        return path
    return f"result.{path}".replace("result.[", "result[").removesuffix(".$")


def read_payload(method: AnyMethod, answer: Answer) -> dict[str, object]:
    """Return an answer's JSON object; null is the same as absent.

    Raises:
        ApiError: every part of the answer says that it is an error; of several errors in it, the
            one that leaves most in doubt.
        ResponseInvalid: it is not a JSON object, or contradicts itself.
    """
    data = _object_in(answer.body)
    errors = [] if isinstance(data, str) else _errors_in(data)
    if len(errors) > _MAX_ERRORS:  # each takes its time, and two megabytes hold 700,000
        problem = f"has {len(errors)} errors; at most {_MAX_ERRORS} are read"
        raise ResponseInvalid(method.cmd, "errors", problem)
    payload = None if isinstance(data, str) else data
    is_429 = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    if errors or is_429 or method.charges:
        problem = find_contradiction(answer.body, payload, errors, is_429=is_429)
        if problem:
            path = "error" if payload and payload.get("error") else "errors" if errors else "$"
            raise ResponseInvalid(method.cmd, path, problem)
    if isinstance(data, str):
        raise _without_json(method, answer, data)
    if errors:
        raise max((_api_error(method, answer, error) for error in errors), key=_doubt_left)
    if not _is_success(answer):
        raise _without_json(method, answer, "a JSON object without an error")
    return data


_MAX_ERRORS = 1000


def _errors_in(data: Mapping[str, object]) -> list[object]:
    """Return every error in an answer; an empty or false one does not count."""
    error, more = data.get("error"), data.get("errors")
    if not error and not more:
        return []
    listed = cast("list[object]", more) if isinstance(more, list) else [more or None]
    return [*([error] if error else []), *(each for each in listed if each is not None)]


def _doubt_left(error: ApiError) -> int:
    return _BY_DOUBT.index(fault_codes.outcome_of(error))


_BY_DOUBT = (Outcome.REFUSED_RETRYABLE, Outcome.STALE_TOKEN, Outcome.REFUSED, Outcome.UNKNOWN)
"""Outcomes by the doubt they leave: an error that can be waited out least, an unknown one most."""


def _is_success(answer: Answer) -> bool:
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


def _object_in(body: bytes) -> dict[str, object] | str:
    """Return a JSON object, or what the body is instead; `[]` is PHP's empty object."""
    try:
        payload = parse_json(body)
    except orjson.JSONDecodeError as error:
        # As text, not as a cause: orjson's error holds the whole body.
        return f"not JSON ({error})"
    if payload == []:
        return {}
    if not isinstance(payload, dict):
        return f"a JSON value of type {type(payload).__name__}"
    return cast("dict[str, object]", payload)


_HEX = rb"[0-9a-fA-F]{2}"
_HIGH, _LOW = rb"\\u[dD][89aAbB]" + _HEX, rb"\\u[dD][c-fC-F]" + _HEX
_HALF_PAIR = re.compile(  # starts with literal text, which is searched for quickly
    rb"\\u[dD](?:[89aAbB]%b(?!%b)|[c-fC-F]%b(?<!%b%b))" % (_HEX, _LOW, _HEX, _HIGH, _LOW)
)
_MAX_HALF_PAIRS = 10_000
"""Half pairs in one body; a page of a history has a thousand texts."""
_NO_UTF_8 = b"\xff"


def parse_json(body: bytes) -> object:
    """Parse JSON; half a surrogate pair, as in a text cut in the middle of one, becomes U+FFFD.

    orjson refuses such a half, and with it the whole page. A byte order mark is dropped.

    Raises:
        orjson.JSONDecodeError: it is not JSON; the error holds the whole body.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if _NO_UTF_8 in body:
            raise
        # With escaped backslashes replaced, every remaining backslash begins an escape.
        escapes = body.replace(rb"\\", _NO_UTF_8)
        whole = _HALF_PAIR.sub(rb"\\ufffd", escapes, count=_MAX_HALF_PAIRS)
        if whole == escapes:
            raise
        return orjson.loads(whole.replace(_NO_UTF_8, rb"\\"))


_MEDIA_TYPE = re.compile(r"(?:application|image|multipart|text)/(?!.*\d{7})[\w.+-]{1,50}", re.ASCII)
_HINTS: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: "; the base URL is probably wrong",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "; a proxy asks for credentials",
}


def _without_json(method: AnyMethod, answer: Answer, body: str) -> ApiError | ResponseInvalid:
    """Turn an answer that is not from the service into an error, by its status alone."""
    header = answer.headers.get("content-type")
    media_type = (header or "").partition(";")[0].strip()
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "no content type" if header is None else "an odd content type"
    problem = f"HTTP {answer.status}, {media_type}, {body}{_HINTS.get(answer.status, '')}"
    return _by_status(method, answer) or ResponseInvalid(method.cmd, "$", problem)


def _by_status(method: AnyMethod, answer: Answer, msg: str = "") -> ApiError | None:
    """Return the error for a status that says enough without a code of the service."""
    name, wait = f"HTTP_{answer.status}", retry_after(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(0, name, msg or "too many requests", method.cmd, wait)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said = msg or "the service or a gateway in front of it failed"
        return ServerFault(0, name, said, method.cmd, wait)
    return None


def _api_error(method: AnyMethod, answer: Answer, error: object) -> ApiError:
    code, msg = _code_and_text(error)
    if code == answer.status and not _is_success(answer):
        code = 0  # a gateway repeats the status there; the service's own errors come with 200
    if not code and (by_status := _by_status(method, answer, msg)):
        return by_status  # a gateway's own JSON, such as {"error": "Too many requests"}
    known = fault_codes.look_up(code)
    name = known.name if code or _is_success(answer) else f"HTTP_{answer.status}"
    wait = retry_after(answer, msg if code == _NAMES_SECONDS else "")
    return known.error(code, name, msg, method.cmd, wait)


_NAMES_SECONDS = 416
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def _code_and_text(error: object) -> tuple[int, str]:
    """Return code and text of an error object; a code that cannot be read is 0."""
    if not isinstance(error, dict):
        return 0, str(error)
    fields = cast("dict[str, object]", error)
    return read_code(fields.get("code")), str(fields.get("msg") or "")


def retry_after(answer: Answer, msg: str = "") -> float | None:
    """Return the seconds an answer asks to wait, by `Retry-After` in either form or by its text."""
    header = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(header):
        return float(header)
    if header and (date := http_date(header)) is not None:
        # By the clock that wrote the header; this machine's may be off by more than the wait.
        now = http_date(answer.headers.get("date", "")) or answer.received_at
        return max(0.0, (date - now).total_seconds())
    named = _SECONDS.search(msg)
    return float(named.group()) if named else None


def http_date(header: str) -> datetime | None:
    """Return an HTTP date as aware UTC; None if it is not one."""
    try:
        date = parsedate_to_datetime(header)
        # RFC 9110, 5.6.7: a date without a zone (asctime's form) is in UTC.
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
