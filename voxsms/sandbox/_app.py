"""HTTP in: reads a call from a request, within limits, and answers it with or without a fault.

Cheap checks come first: the size of the body, the number of fields, then the credentials. Without
good credentials no method is carried out and no fault of the script is used.
"""

import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from voxsms.api.spec import METHODS
from voxsms.sandbox._calls import Call, Refusal, Reply
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._control import Control
from voxsms.sandbox._faults import KINDS
from voxsms.sandbox._log import describe_answer, log_request
from voxsms.sandbox._service import Service
from voxsms.sandbox._wire_faults import Exchange, carry_out

# Both ways to address a method, with and without a slash at the end.
_PATHS = ("/platform_api/{cmd}/", "/platform_api/{cmd}", "/platform_api/", "/platform_api")
_CONTROL_PATHS = ("/sandbox/{name:path}", "/sandbox")

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a request's body; a gateway refuses a longer one with HTTP 413."""
MAX_FIELDS = 100
"""Fields of a form or a query string: the largest method has 14, including credentials."""
_TOO_MANY = f"More than {MAX_FIELDS} fields."
_MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(r';[ \t]*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_PART_NAME = re.compile(
    rb'^content-disposition:[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]*))',
    re.IGNORECASE | re.MULTILINE,
)


class _TooLarge(Exception):
    """A request that a gateway refuses with HTTP 413; the argument says why."""

    def __init__(self, problem: str, *, was_read: bool) -> None:
        super().__init__(problem)
        self.reply = Reply(f"{problem}\n".encode(), "text/plain", 413)
        self.was_read = was_read
        """Whether the body was read to its end."""


class _Endpoint:
    """The ASGI application behind every path of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service = self._service
        exchange = Exchange(service.clock, scope, receive, send)
        request = Request(scope, receive)
        form = await _form_or_refusal(request, exchange)
        if form is None:
            return
        method = request.path_params.get("cmd") or form.get("cmd", "")
        call = Call(method, form, request.headers.get("authorization"))
        known = call.method if call.method in METHODS else "unknown"
        service.ledger.count_request(known)
        try:
            service.admit(call)
        except Refusal as refusal:
            log_request(call, describe_answer(refusal.reply(), (), ""))
            await exchange.answer(refusal.reply())
            return
        fault = service.faults.take(call.method)
        if not KINDS[fault.kind].commits:
            log_request(call, "nothing carried out: ", fault)
        await carry_out(exchange, partial(service.answer, call, fault), fault)


class _ControlEndpoint:
    """The ASGI application behind every path of the control API, which has no faults."""

    def __init__(self, control: Control, clock: SandboxClock) -> None:
        self._control = control
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(self._clock, scope, receive, send)
        request = Request(scope, receive)
        refusal = self._control.refuse(request.headers)  # before a byte of the body is read
        if refusal is not None:
            await exchange.answer_early(refusal)
            return
        form = await _form_or_refusal(request, exchange)
        if form is not None:
            name = request.path_params.get("name", "").rstrip("/")
            await exchange.answer(self._control.answer(request.method, name, form))


def make_app(service: Service, control: Control) -> Router:
    """Return the application that routes the paths."""
    endpoint, controls = _Endpoint(service), _ControlEndpoint(control, service.clock)
    # ASGI apps, as functions would not accept every HTTP method.
    routes = [Route(path, endpoint) for path in _PATHS]
    routes += [Route(path, controls) for path in _CONTROL_PATHS]
    return Router(routes, redirect_slashes=False)


async def _form_or_refusal(request: Request, exchange: Exchange) -> dict[str, str] | None:
    """Return the form fields of a request; None if it was too large, or its client has gone."""
    try:
        return await _read_form(request)
    except ClientDisconnect:
        pass
    except _TooLarge as error:
        answer = exchange.answer if error.was_read else exchange.answer_early
        await answer(error.reply)
    return None


async def _read_form(request: Request) -> dict[str, str]:
    body = await _read_body(request)
    content_type = request.headers.get("content-type", "")
    # A field of the body overrides one of the query string; of repeated ones the last counts.
    form = dict(_urlencoded(request.url.query))
    # Voxsms and the official Python client send `application/x-www-form-urlencoded`, the official
    # Node client `multipart/form-data`.
    if content_type.lower().startswith(_MULTIPART):
        form.update(_multipart(content_type, body))
    else:
        form.update(_urlencoded(body.decode(errors="replace")))
    return form


async def _read_body(request: Request) -> bytes:
    """Read a body with any framing, but not beyond the limit."""
    too_large = _TooLarge(f"The body is longer than {MAX_BODY} bytes.", was_read=False)
    if int(request.headers.get("content-length", "0")) > MAX_BODY:  # h11 accepts only digits
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise too_large
    return bytes(body)


def _urlencoded(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _TooLarge(_TOO_MANY, was_read=True) from None


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the named parts of a form (RFC 7578, RFC 2046); a part without a name is skipped.

    The `email` package takes 0.2 ms a part and would parse nested parts.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        return
    boundary = re.escape((found[1] or found[2]).encode("latin-1"))
    # A line that only begins like the boundary is part of a value.
    delimiter = re.compile(rb"\r\n--" + boundary + rb"(?:--|(?=[ \t]*\r\n))")
    _, *parts = delimiter.split(b"\r\n" + body, MAX_FIELDS + 2)
    if len(parts) > MAX_FIELDS + 1:  # one is the rest after the last delimiter
        raise _TooLarge(_TOO_MANY, was_read=True)
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _PART_NAME.search(head):
            field: bytes = name[2] if name[1] is None else name[1]
            yield field.decode(errors="replace"), content.decode(errors="replace")
