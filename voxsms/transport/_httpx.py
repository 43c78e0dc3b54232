"""The transports on httpx and httpx2: one `AsyncHTTPTransport` per connection.

The cookies, redirects and authentication of an httpx client are not wanted here, and cost a third
of its time. `httpx2`, the maintained successor of httpx, has the same interface and uses this code.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from ssl import SSLContext, SSLError, SSLWantReadError
from typing import Any

import anyio
import attrs
import httpx

from voxsms.api.codec import Answer
from voxsms.clock import Clock
from voxsms.transport._environment import (
    SOCKS,
    Proxy,
    given_proxy,
    hide_quotes,
    is_written_in,
    no_connection,
    proxy_for,
    refused_by_proxy,
    tls,
)
from voxsms.transport._pool import CONNECTIONS, Pool
from voxsms.transport._seam import (
    BodyReader,
    Evidence,
    FaultKind,
    Phase,
    Request,
    TransportFault,
)

_ONE = 1
_INNER = ("_httpcore_stream", "_stream", "_connection")
"""The attributes that lead from an httpx response to the httpcore connection below it."""

# The library's errors and their kind in the seam, most specific first.
_FAULTS = (
    ("ConnectTimeout", FaultKind.TIMEOUT, "no connection was made in time"),
    ("WriteTimeout", FaultKind.TIMEOUT, "the request could not be written in time"),
    ("ReadTimeout", FaultKind.TIMEOUT, "no answer came in time"),
    ("TimeoutException", FaultKind.TIMEOUT, "a limit of time was reached"),
    ("DecodingError", FaultKind.UNREADABLE, "the answer's compression is damaged"),
    ("RemoteProtocolError", FaultKind.CONNECTION, "the server closed the connection"),
    ("HTTPError", FaultKind.CONNECTION, "the connection broke"),
)
_STATUS = re.compile(r"[1-5]\d\d\b", re.ASCII)
"""The start of the text of an HTTP proxy's error."""


class _Unseen(str):
    """The user or the password of a proxy; its encoded bytes are not shown either.

    httpcore logs those of SOCKS at DEBUG.
    """

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Encode it."""
        return _UnseenBytes(super().encode(encoding, errors))


class _UnseenBytes(bytes):
    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class Library:
    """httpx or httpx2: the module, the core under it, and whether a mock is installed."""

    def __init__(self, name: str, core: str) -> None:
        try:
            self.httpx: Any = import_module(name)
            self._core: Any = import_module(core)
        except ModuleNotFoundError as missing:
            need = f"{name} is not installed: pip install 'voxsms[{name}]'"
            raise ModuleNotFoundError(need, name=missing.name) from missing
        self.name = f"{name}/{self.httpx.__version__}"
        self._faults = [(getattr(self.httpx, e), kind, text) for e, kind, text in _FAULTS]
        self._no_connection = (self.httpx.ConnectError, self.httpx.ConnectTimeout)
        self._packages = (name, core)

    @property
    def untouched(self) -> bool:
        """Whether requests really go to the library: respx and others replace these functions."""
        entrances = (
            self.httpx.AsyncHTTPTransport,
            self._core.AsyncConnectionPool,
            self._core.AsyncHTTPConnection,
        )
        return all(is_written_in(e.handle_async_request, *self._packages) for e in entrances)

    def fault_of(self, error: Exception) -> TransportFault:
        """Return the fault for an error of the library."""
        hide_quotes(error)
        if isinstance(error, self.httpx.ConnectError):
            return TransportFault(FaultKind.CONNECTION, no_connection(error))
        if isinstance(error, self.httpx.ProxyError):
            status = _STATUS.match(str(error))
            what = refused_by_proxy(int(status[0]) if status else None)
            return TransportFault(FaultKind.CONNECTION, what)
        for kind_of_error, kind, text in self._faults:
            if isinstance(error, kind_of_error):
                return TransportFault(kind, text)
        return TransportFault(FaultKind.CONNECTION, "the connection failed")

    def proxy(self, url: str) -> Any:  # noqa: ANN401 - of either module
        """Build the library's proxy."""
        made = self.httpx.Proxy(url)
        made.auth = made.auth and tuple(map(_Unseen, made.auth))
        return made

    def request(self, request: Request, watch: "Watch") -> Any:  # noqa: ANN401 - of either module
        """Build the library's request."""
        return self.httpx.Request(
            "POST",
            request.url,
            headers=request.headers,
            content=request.body,
            extensions={"timeout": attrs.asdict(request.timeouts), "trace": watch},
        )

    async def exchange(
        self,
        send: Callable[[Any], Awaitable[Any]],
        request: Request,
        evidence: Evidence,
        opened: Callable[[Any], object] | None = None,
    ) -> Answer:
        """Send a request and read its answer to the end; pass `opened` the new socket, if any."""
        watch = Watch(evidence, opened)
        try:
            response = await send(self.request(request, watch))
        except TransportFault:  # it was too late to begin
            raise
        except Exception as error:
            # A user's transport may have tried another route after the first one failed.
            failed = watch.connect_failed and isinstance(error, self._no_connection)
            evidence.connect_failed = failed
            raise self.fault_of(error) from error
        evidence.phase = Phase.READING
        is_read = response.is_stream_consumed  # and decompressed: a mock's
        reader = BodyReader(request, response.status_code, response.headers, is_unpacked=is_read)
        async with aclosing(response.aiter_bytes() if is_read else response.aiter_raw()) as parts:
            while part := await self._next(parts):
                await reader.feed(part)
        body = reader.body(_tls_of(response) if request.sink else None)
        if _has_more(response):
            await response.extensions["network_stream"].aclose()
        return Answer(response.status_code, response.headers, body, datetime.now(UTC))

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes:
        try:
            return await anext(parts, b"")
        except Exception as error:
            raise self.fault_of(error) from error


@cache
def library(name: str) -> Library:
    """Return a library by the name of its package."""
    return Library(name, {"httpx": "httpcore", "httpx2": "httpcore2"}[name])


@attrs.define
class Watch:
    """Records how far a request got, from the events that httpcore reports."""

    evidence: Evidence
    opened: Callable[[Any], object] | None
    """Called with a socket before anything is sent on it, even for TLS."""
    connect_failed: bool = False
    """Whether the last attempt to connect failed."""

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Take one event."""
        step = event.partition(".")[2]
        if step == "send_request_headers.started":
            # A proxy's CONNECT is a request too, but not ours.
            if info["request"].method != b"CONNECT":
                self.evidence.reach(Phase.SENDING)
        elif step == "receive_response_headers.started":
            if self.evidence.phase >= Phase.SENDING:
                self.evidence.phase = Phase.WAITING
        elif step == "connect_tcp.started":
            self.evidence.reach(Phase.CONNECTING)
            self.connect_failed = False
        elif step == "connect_tcp.complete" and self.opened is not None:
            self.opened(info["return_value"])
        elif step == "connect_tcp.failed":
            self.connect_failed = True


class Connection:
    """A pool of the library that holds one connection, and the socket below it."""

    def __init__(self, of: Library, pool: Any, proxy: Proxy | None) -> None:  # noqa: ANN401 - of either module
        self._library = of
        self._pool = pool
        self._proxy = proxy
        self._socket: Any = None

    async def exchange(self, request: Request, evidence: Evidence) -> Answer:
        """Send a request and read its answer."""
        try:
            return await self._library.exchange(
                self._pool.handle_async_request, request, evidence, self._opened
            )
        except TransportFault as fault:
            if self._proxy is None or evidence.phase >= Phase.SENDING:
                raise
            raise self._proxy.on_the_way(fault) from fault.__cause__

    def _opened(self, socket: object) -> None:
        self._socket = socket

    async def aclose(self) -> None:
        """Close it; the next request opens another."""
        try:
            await self._pool.aclose()
        finally:
            # A pool does not know the socket of a connection cancelled during its TLS handshake,
            # and would leave it open.
            if self._socket is not None:
                await self._socket.aclose()


def _has_more(response: Any) -> bool:  # noqa: ANN401 - of either module
    """Return whether bytes were received after an answer that was read to its end.

    They would be taken for the answer to the next request: a "try again later" that a gateway sends
    twice would cause the next message to be sent twice. httpcore looks for such bytes in the
    socket, but not among those it has received; where it keeps them is not part of its interface.
    """
    if "network_stream" not in response.extensions or response.http_version == "HTTP/2":
        return False  # a mock; or HTTP/2, whose answers are numbered
    part = response.stream
    while not hasattr(part, "_h11_state"):
        part = next((inner for name in _INNER if (inner := getattr(part, name, None))), None)
        if part is None:
            return True  # an httpcore whose internals differ
    return bool(part._h11_state.trailing_data[0]) or _has_records(response)  # noqa: SLF001 - see above


def _tls_of(response: Any) -> Any:  # noqa: ANN401 - of either module
    """Return the TLS connection of an answer, if it is known and marks the answer's end."""
    look = getattr(response.extensions.get("network_stream"), "get_extra_info", None)
    return look("ssl_object") if look and response.http_version != "HTTP/2" else None


def _has_records(response: Any) -> bool:  # noqa: ANN401 - of either module
    """Return whether a TLS connection has received records that were not read."""
    tls_object = _tls_of(response)
    if tls_object is None:
        return False
    try:
        tls_object.read(1)
    except SSLError as error:
        return not isinstance(error, SSLWantReadError)
    return True


class HttpxTransport:
    """The default transport: httpx, with a transport for each connection.

    Args:
        connections: the most connections open at once; further calls wait.
        verify: an `ssl.SSLContext` to use instead of the default one.
        proxy: the URL of a proxy; by default the one that the environment names.
        clock: the clock that measures how long connections are idle.
    """

    _package = "httpx"

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        verify: SSLContext | None = None,
        proxy: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._library = library(self._package)
        self._verify = verify
        self._proxy = given_proxy(proxy)
        self._url = ""
        self._pool: Pool[Connection] = Pool(self._connect, connections, clock or Clock())

    @property
    def name(self) -> str:
        """The library and its version."""
        return self._library.name

    @property
    def reports_progress(self) -> bool:
        """Whether a failure without a report proves that nothing left: not if a mock is there."""
        return self._library.untouched

    def _connect(self) -> Connection:
        """Create a connection, which opens on its first request.

        Raises:
            TransportFault: the proxy or the certificates cannot be used.
        """
        httpx_ = self._library.httpx
        proxy = proxy_for(self._url, self._proxy)
        verify = self._verify or tls()
        # The pool decides how long a connection may be idle.
        limits = httpx_.Limits(
            max_connections=_ONE, max_keepalive_connections=_ONE, keepalive_expiry=None
        )
        try:
            transport = httpx_.AsyncHTTPTransport(
                verify=verify, limits=limits, proxy=proxy and self._library.proxy(proxy.url)
            )
        except Exception as error:
            if proxy is None:
                what = f"the certificates given as `verify` cannot be used: {type(error).__name__}"
                raise TransportFault(FaultKind.CONNECTION, what) from error
        else:
            return Connection(self._library, transport, proxy)
        # Outside the handler: the library's error may quote the proxy's password.
        raise proxy.unusable(_why_not(proxy, self._library.name))

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send once. Raises `TransportFault`."""
        self._url = request.url
        async with self._pool.borrow(request, evidence) as connection:
            return await connection.exchange(request, evidence)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class Httpx2Transport(HttpxTransport):
    """The same on `httpx2` (extra `httpx2`)."""

    _package = "httpx2"


def _why_not(proxy: Proxy, name: str) -> str:
    if proxy.scheme in SOCKS:
        return "for SOCKS a package is missing: pip install 'voxsms[socks]'"
    return f"{name} does not take it"


class UserHttpxTransport:
    """A user's own `httpx.AsyncClient`: its pool, proxies and certificates are used as they are."""

    reports_progress = False

    def __init__(self, client: httpx.AsyncClient, *, owned: bool = False) -> None:
        self._client = client
        self._owned = owned
        self._library = library("httpx")
        self.name = self._library.name

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send once. Raises `TransportFault`."""
        response: httpx.Response | None = None

        async def send(built: httpx.Request) -> httpx.Response:
            nonlocal response
            # Without the client's own `auth`: the proof is included, and some kinds send twice.
            response = await self._client.send(
                built, stream=True, auth=None, follow_redirects=False
            )
            return response

        evidence.reach(Phase.HANDED_OVER)
        try:
            return await self._library.exchange(send, request, evidence)
        finally:
            if response is not None:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    async def aclose(self) -> None:
        """Close the client, but only if it was created for a user's transport."""
        if self._owned:
            await self._client.aclose()
