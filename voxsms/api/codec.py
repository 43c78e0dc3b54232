"""Request to form, answer to record or error: pure functions around the table.

`write_request` and `read_answer` are the client's side, `read_request` is the sandbox's.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeVar, cast

import attrs
import orjson

from voxsms.api import fault_codes, spec
from voxsms.api.decode import Unreadable, read
from voxsms.api.spec import AnyMethod, MethodSpec, Param, RequestClass
from voxsms.api.wire import Violation, WireFault, WireFaults
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
    """What came back over HTTP; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    received_at: datetime


@attrs.frozen
class ParameterFault:
    """One bad parameter of a request, with what the table says of it."""

    name: str
    param: Param
    fault: WireFault

    def for_user(self) -> Fault:
        """Say it to a user of the client."""
        at = self.fault.position
        return Fault(self.name if at is None else f"{self.name}[{at}]", self.fault.problem)


@attrs.frozen
class _Shape:
    """What the codec needs of a request class, looked up once."""

    parameters: Mapping[str, Param]
    required: frozenset[str]


class _Shapes(dict[RequestClass, _Shape]):
    """The shapes of request classes, each worked out when it is first asked for."""

    def __missing__(self, kind: RequestClass) -> _Shape:
        self[kind] = shape = _Shape(spec.parameters(kind), spec.required(kind))
        return shape


_SHAPES = _Shapes()


def write_request(row: AnyMethod, request: attrs.AttrsInstance) -> FormFields:
    """Write a request as form fields, or raise `InvalidRequest` with every fault in it."""
    shape = _SHAPES[type(request)]
    form: FormFields = {}
    faults: list[ParameterFault] = []
    for name, param in shape.parameters.items():
        value = getattr(request, name)
        if value is None and name not in shape.required:
            continue
        try:
            form[name] = param.wire_type.write(value)
        except WireFaults as found:
            faults += [ParameterFault(name, param, fault) for fault in found.faults]
    faults += _reversed_span(row, shape, form)
    if faults:
        raise _invalid(row, faults)
    return form


def _reversed_span(row: AnyMethod, shape: _Shape, form: Mapping[str, str]) -> list[ParameterFault]:
    """Find a span of time that ends before it starts; times of one form compare as text."""
    if row.span is None or not form.keys() >= set(row.span):
        return []
    start, end = row.span
    if form[start] <= form[end]:
        return []
    fault = WireFault(f"is later than {end}", Violation.REVERSED)
    return [ParameterFault(start, shape.parameters[start], fault)]


def _invalid(row: AnyMethod, faults: list[ParameterFault]) -> InvalidRequest:
    unsendable = any(fault.fault.violation is Violation.UNSENDABLE for fault in faults)
    error = InvalidText if unsendable else InvalidRequest
    return error(row.cmd, tuple(fault.for_user() for fault in faults))


def read_request(
    row: AnyMethod, form: Mapping[str, str]
) -> tuple[dict[str, object], list[ParameterFault]]:
    """Read form fields into the values of parameters, beside every fault in them.

    An empty optional parameter counts as absent; what the table does not know is passed over.
    """
    shape = _SHAPES[spec.widest(row)]
    given = {name: param for name, param in shape.parameters.items() if form.get(name)}
    missing = _SHAPES[spec.request_class(row)].required - given.keys()
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
    return values, faults or _reversed_span(row, shape, form)


def read_answer(
    row: MethodSpec[..., R], answer: Answer, beside: Mapping[str, object] = MappingProxyType({})
) -> R:
    """Read an answer into the row's record, or raise `ApiError` or `ResponseInvalid`.

    `beside` are fields of the record that this side knows and the wire does not.
    """
    if row.paged and not beside and (page := _read_quickly(row, answer)) is not None:
        return page
    payload = read_payload(row, answer)
    payload.update(beside)
    try:
        return read(row.reply, _place_of_record(row, payload))
    except Unreadable as trouble:
        path = _path_in_answer(row, payload, trouble.path)
        raise ResponseInvalid(row.cmd, path, trouble.problem) from trouble


def _read_quickly(row: MethodSpec[..., R], answer: Answer) -> R | None:
    return _quick_reader(row)(answer.body) if answer.status == HTTPStatus.OK else None


@cache
def _quick_reader(row: MethodSpec[..., R]) -> Callable[[bytes], R | None]:
    # Late: no program should wait for msgspec that reads no history.
    from voxsms.api.fast_decode import page_reader  # noqa: PLC0415

    return cast("Callable[[bytes], R | None]", page_reader(cast("Any", row.reply)))


def _place_of_record(row: AnyMethod, payload: dict[str, object]) -> object:
    if not row.inside:
        return payload
    result = payload.get("result")
    if not result or not isinstance(result, dict):
        return result
    # GetAccountInfo has a field of the record beside `result`.
    return {**payload, **cast("dict[str, object]", result)}


def _path_in_answer(row: AnyMethod, payload: dict[str, object], path: str) -> str:
    """Say where in the whole answer a path of the record is."""
    result = payload.get("result")
    first = re.split(r"[.\[]", path, maxsplit=1)[0]
    beside = isinstance(result, dict) and first in payload and first not in result
    if not row.inside or beside:
        return path
    return f"result.{path}".replace("result.[", "result[").removesuffix(".$")


def read_payload(row: AnyMethod, answer: Answer) -> dict[str, object]:
    """Parse an answer's JSON object, or raise `ApiError` or `ResponseInvalid`."""
    data = _object_in(answer.body)
    if isinstance(data, str):
        raise _without_json(row, answer, data)
    if data.get("error") or data.get("errors"):
        raise _error_in(row, answer, data)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS and "result" in data:
        # Neither a refusal nor a success: for a send this must stay in doubt.
        raise ResponseInvalid(row.cmd, "$", "HTTP 429 with a result")
    if not _is_success(answer):
        raise _without_json(row, answer, "a JSON object without an error")
    return data


def _is_success(answer: Answer) -> bool:
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES


def _object_in(body: bytes) -> dict[str, object] | str:
    """Parse a JSON object, or say what is there instead."""
    try:
        payload = _parsed(body)
    except orjson.JSONDecodeError as error:
        # In words, not as a cause: orjson's error holds the whole body, be it large or secret.
        return f"no JSON ({error})"
    if not isinstance(payload, dict):
        return f"a JSON value of type {type(payload).__name__}"
    return cast("dict[str, object]", payload)


_ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _parsed(body: bytes) -> object:
    """Parse JSON; half of a surrogate pair, as in a text cut in the middle of one, becomes U+FFFD.

    orjson refuses it, and the whole page with it.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        whole = _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        return orjson.loads(whole)


def _without_json(row: AnyMethod, answer: Answer, body: str) -> ApiError | ResponseInvalid:
    """Turn an answer that is none of the service's into an error by its status alone."""
    kind = answer.headers.get("content-type", "no content type")
    unreadable = ResponseInvalid(row.cmd, "$", f"HTTP {answer.status}, {kind}, {body}")
    return _by_status(row, answer) or unreadable


def _by_status(row: AnyMethod, answer: Answer, msg: str = "") -> ApiError | None:
    """Make an error of a status that says enough without a code of the service."""
    name, wait = f"HTTP_{answer.status}", retry_after(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(0, name, msg or "too many requests", row.cmd, wait)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        said = msg or "the service or a gateway before it failed"
        return ServerFault(0, name, said, row.cmd, wait)
    return None


def _error_in(
    row: AnyMethod, answer: Answer, data: dict[str, object]
) -> ApiError | ResponseInvalid:
    if "result" in data:
        # Neither a refusal nor a success: for a send this must stay in doubt.
        place = "error" if data.get("error") else "errors"
        return ResponseInvalid(row.cmd, place, "an error beside a result")
    errors = data.get("errors")
    found = data.get("error") or (
        cast("list[object]", errors)[0] if isinstance(errors, list) else errors
    )
    code, msg = _code_and_text(found)
    if code == answer.status and not _is_success(answer):
        code = 0  # a gateway repeats the status there; the service's own errors come with 200
    if not code and (error := _by_status(row, answer, msg)):
        return error  # a gateway's own JSON, such as {"error": "Too many requests"}
    known = fault_codes.look_up(code)
    name = known.name if code or _is_success(answer) else f"HTTP_{answer.status}"
    wait = retry_after(answer, msg if code == _NAMES_SECONDS else "")
    return known.error(code, name, msg, row.cmd, wait)


_NAMES_SECONDS = 416
_SECONDS = re.compile(r"[0-9]{1,9}")

_CODE = re.compile(r"[0-9]{1,9}")


def _code_and_text(error: object) -> tuple[int, str]:
    """Take code and text from an error object; a code that can not be read is 0."""
    if not isinstance(error, dict):
        return 0, str(error)
    fields = cast("dict[str, object]", error)
    code = _CODE.fullmatch(str(fields.get("code")))
    return int(code.group()) if code else 0, str(fields.get("msg") or "")


def retry_after(answer: Answer, msg: str = "") -> float | None:
    """Give the seconds an answer asks to wait: `Retry-After` in either form, else in its text."""
    header = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(header):
        return float(header)
    if header and (date := http_date(header)) is not None:
        # By the clock that wrote it; this machine's may be off by more than the wait.
        now = http_date(answer.headers.get("date", "")) or answer.received_at
        return max(0.0, (date - now).total_seconds())
    named = _SECONDS.search(msg)
    return float(named.group()) if named else None


def http_date(header: str) -> datetime | None:
    """Read an HTTP date as aware UTC; None where it is none."""
    try:
        date = parsedate_to_datetime(header)
        # RFC 9110, 5.6.7: a date without a zone (asctime's form) is in UTC.
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
