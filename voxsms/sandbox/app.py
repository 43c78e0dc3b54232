"""HTTP in: takes a call out of a request and has its fault, usually none, answer it."""

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from voxsms.api.spec import METHODS
from voxsms.sandbox import forms
from voxsms.sandbox.calls import Call
from voxsms.sandbox.clock import Clock
from voxsms.sandbox.exchange import Exchange
from voxsms.sandbox.ledger import Ledger
from voxsms.sandbox.methods import Service
from voxsms.sandbox.script import FaultScript
from voxsms.sandbox.wire_faults import ACTS

_LOG = logging.getLogger("voxsms")
# Both ways of addressing a method, with and without the slash at the end.
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
        try:
            call = await _read_call(Request(scope, receive))
        except ClientDisconnect:
            return
        known = call.method if call.method in METHODS else "unknown"
        self._ledger.saw(known)
        fault = self._faults.take(call.method)
        _LOG.debug("sandbox: %s, fault: %s", known, fault.kind)
        exchange = Exchange(call, self._service, self._clock, scope, receive, send)
        await ACTS[fault.kind](exchange, fault)

    def routed(self) -> Router:
        """Give the application that knows the paths."""
        return Router([Route(path, self) for path in _PATHS], redirect_slashes=False)


async def _read_call(request: Request) -> Call:
    content_type = request.headers.get("content-type", "")
    form = forms.read(request.url.query, content_type, await request.body())
    method = request.path_params.get("cmd") or form.get("cmd", "")
    return Call(method, form, request.headers.get("authorization"))
