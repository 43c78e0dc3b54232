"""HTTP in: takes a call out of a request and has its fault, usually none, answer it."""

import asyncio
import contextlib
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from voxsms.api.spec import METHODS
from voxsms.sandbox import forms
from voxsms.sandbox.calls import Call, Reply
from voxsms.sandbox.clock import Clock
from voxsms.sandbox.exchange import Exchange
from voxsms.sandbox.ledger import Ledger
from voxsms.sandbox.methods import Service
from voxsms.sandbox.refusal import Refusal
from voxsms.sandbox.script import FaultScript
from voxsms.sandbox.wire_faults import ACTS

_LOG = logging.getLogger("voxsms")
# Both ways of addressing a method, with and without the slash at the end.
MAX_BODY = 2 * 1024 * 1024
"""Bytes of a body. The longest request of the contract, in its longest form, has under 100 KB."""
_MAX_DRAIN = 16 * 1024 * 1024
_DRAIN_SECONDS = 0.5
_PATHS = ("/platform_api/{cmd}/", "/platform_api/{cmd}", "/platform_api/", "/platform_api")


class Endpoint:
    """The ASGI application behind every path of the service."""

    def __init__(self, service: Service, faults: FaultScript, ledger: Ledger, clock: Clock) -> None:
        self._service = service
        self._faults = faults
        self._ledger = ledger
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            call = _read_call(request, await _read_body(request))
        except ClientDisconnect:
            return
        except _TooLarge:
            await _refuse_body(receive, send)
            return
        except ValueError:
            problem = f"More than {forms.MAX_FIELDS} fields.\n"
            await Response(problem, 413, media_type="text/plain")(scope, receive, send)
            return
        known = call.method if call.method in METHODS else "unknown"
        self._ledger.saw(known)
        exchange = Exchange(call, self._service, self._clock, scope, receive, send)
        try:
            self._service.admit(call)
        except Refusal as refusal:
            _LOG.debug("sandbox: %s, refused: %s", known, refusal.code)
            await exchange.answer(Reply.json(refusal.body()))
            return
        # Only for a caller who is let in: a wrong key must not use up what a test has scripted.
        fault = self._faults.take(call.method)
        _LOG.debug("sandbox: %s, fault: %s", known, fault.kind)
        await ACTS[fault.kind](exchange, fault)

    def routed(self) -> Router:
        """Give the application that knows the paths."""
        return Router([Route(path, self) for path in _PATHS], redirect_slashes=False)


class _TooLarge(Exception):
    """A body is longer than `MAX_BODY`."""


async def _read_body(request: Request) -> bytes:
    said = request.headers.get("content-length", "0")  # digits only: h11 has checked them
    if int(said) > MAX_BODY:
        raise _TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise _TooLarge
    return bytes(body)


async def _refuse_body(receive: Receive, send: Send) -> None:
    """Answer 413 at once, then read on for a moment: a socket closed unread cuts its answer off."""
    answer = b"The body is longer than %d bytes.\n" % MAX_BODY
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(answer)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": answer, "more_body": True})
    left = _MAX_DRAIN
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    break
                left -= len(message["body"])
    await send({"type": "http.response.body"})


def _read_call(request: Request, body: bytes) -> Call:
    content_type = request.headers.get("content-type", "")
    form = forms.read(request.url.query, content_type, body)
    method = request.path_params.get("cmd") or form.get("cmd", "")
    return Call(method, form, request.headers.get("authorization"))
