"""The transport on aiohttp (extra `aiohttp`): asyncio only, and many times faster than httpx.

aiohttp is used directly. Through httpx (`httpx-aiohttp`), a connection that breaks after the
request was delivered is reported as `ConnectTimeout`, without a trace: that invites a second send.

Sends and reads have a session each: a connection of the first is dropped after half a second idle,
one of the second later. See `_pool.py` on connections that the server closes when idle.
"""

import asyncio
import select
from contextvars import ContextVar
from datetime import UTC, datetime
from ssl import SSLContext, SSLObject
from weakref import WeakKeyDictionary

import anyio

try:
    import aiohttp
except ModuleNotFoundError as missing:
    need = "AiohttpTransport needs aiohttp: pip install 'voxsms[aiohttp]'"
    raise ModuleNotFoundError(need, name=missing.name) from missing
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from voxsms.api.codec import Answer
from voxsms.clock import Clock
from voxsms.transport._environment import (
    Proxy,
    given_proxy,
    hide_quotes,
    is_written_in,
    no_connection,
    proxy_for,
    refused_by_proxy,
    tls,
)
from voxsms.transport._pool import (
    CLOSE_LIMIT,
    CONNECTIONS,
    READ_REUSE,
    SEND_REUSE,
    Limiter,
    PerLoop,
)
from voxsms.transport._seam import (
    BodyReader,
    Evidence,
    FaultKind,
    Phase,
    Request,
    TransportFault,
)

# aiohttp's errors and their kind in the seam, most specific first.
_FAULTS: tuple[tuple[type[BaseException], FaultKind, str], ...] = (
    (aiohttp.ConnectionTimeoutError, FaultKind.TIMEOUT, "no connection was made in time"),
    (TimeoutError, FaultKind.TIMEOUT, "no answer came in time"),
    (aiohttp.ServerDisconnectedError, FaultKind.CONNECTION, "the server closed the connection"),
    (aiohttp.ClientPayloadError, FaultKind.CONNECTION, "the answer was cut off or damaged"),
)


def _fault_of(error: Exception) -> TransportFault:
    hide_quotes(error)
    if isinstance(error, aiohttp.ClientResponseError):
        _hide_request(error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return TransportFault(FaultKind.CONNECTION, refused_by_proxy(error.status))
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransportFault(FaultKind.CONNECTION, no_connection(error))
    for kind_of_error, kind, text in _FAULTS:
        if isinstance(error, kind_of_error):
            return TransportFault(kind, text)
    return TransportFault(FaultKind.CONNECTION, "the connection broke")


def _hide_request(error: aiohttp.ClientResponseError) -> None:
    """Remove the request's headers and its proxy's password, which the error would show."""
    info = error.request_info
    headers: CIMultiDict[str] = CIMultiDict()
    url, real_url = info.url.with_user(None), info.real_url.with_user(None)
    error.request_info = aiohttp.RequestInfo(url, info.method, CIMultiDictProxy(headers), real_url)
    error.args = ()


_under_way: ContextVar[Evidence] = ContextVar("evidence of the request under way")
_tls: ContextVar[list[SSLObject | None] | None] = ContextVar("what a file comes through, if asked")


class _Connector(aiohttp.TCPConnector):
    """Records when a request gets its connection: from then on its bytes may leave.

    aiohttp's tracing reports the same moment at 27 us a call; overriding the method costs nothing.
    """

    asked = False
    """Whether aiohttp ever called `connect`: only then does a missing call prove something."""

    def __init__(self, reuse: float, verify: SSLContext, clock: Clock) -> None:
        super().__init__(limit=0, keepalive_timeout=reuse, ssl=verify)  # pyright: ignore[reportUnknownMemberType]
        self._reuse = reuse
        self._clock = clock
        # How far apart the clocks were when a connection was last used; the key, its protocol, is
        # None by its type only.
        self._used: WeakKeyDictionary[ResponseHandler | None, float] = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        """Get a connection, from the pool or new, through a proxy's tunnel if needed."""
        evidence = _under_way.get()
        _Connector.asked = True
        evidence.reach(Phase.CONNECTING)
        apart = self._clock.time() - self._clock.monotonic()
        connection = await super().connect(req, traces, timeout)
        while not self._is_good(connection, apart):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        self._used[connection.protocol] = apart
        if (tls := _tls.get()) is not None and connection.transport:
            tls[:] = [connection.transport.get_extra_info("ssl_object")]
        try:
            evidence.reach(Phase.SENDING)
        except TransportFault:  # it was too late to begin
            connection.close()
            raise
        return connection

    def _is_good(self, connection: Connection, apart: float) -> bool:
        """Return whether a connection is new, or unchanged since its last use."""
        before = self._used.get(connection.protocol)
        if before is None:
            return True
        # aiohttp's clock stops while the machine sleeps, so that time does not count as idle.
        slept = abs(apart - before) > self._reuse
        return not slept and not _is_stale(connection)


def _is_stale(connection: Connection) -> bool:
    """Return whether anything arrived on a connection since its last answer, or it was closed.

    aiohttp would take it as the answer to the next request: a "try again later" that a gateway
    sends twice would cause the next message to be sent twice.
    """
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return True
    return _is_readable(transport.get_extra_info("socket").fileno())


def _is_readable(socket: int) -> bool:
    """Return whether a socket has bytes, or an end of file, that the loop has not read yet."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


class _Sessions:
    """The sessions of one event loop, and the limiter in front of them."""

    def __init__(self, connections: int, verify: SSLContext | None, clock: Clock) -> None:
        self.limiter = Limiter(connections)
        self._verify = verify
        self._clock = clock
        self._by_reuse: dict[float, aiohttp.ClientSession] = {}

    def session(self, reuse: float) -> aiohttp.ClientSession:
        """Return the session whose connections are dropped after `reuse` seconds idle."""
        if reuse not in self._by_reuse:
            verify = self._verify or tls()
            try:
                self._by_reuse[reuse] = aiohttp.ClientSession(
                    connector=_Connector(reuse, verify, self._clock),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                )
            except Exception as error:
                needs = "it needs asyncio, and an ssl.SSLContext where `verify` is given"
                what = f"aiohttp cannot make a session ({type(error).__name__}): {needs}"
                raise TransportFault(FaultKind.CONNECTION, what) from error
        return self._by_reuse[reuse]

    async def aclose(self) -> None:
        """Close every connection, even if the call is cancelled meanwhile."""
        closings = [asyncio.ensure_future(each.close()) for each in self._by_reuse.values()]
        if closings:
            # asyncio's own cancellation ends the wait, but closing continues.
            with anyio.CancelScope(shield=True):
                await asyncio.wait(closings, timeout=CLOSE_LIMIT)


def _is_taken(proxy: str) -> bool:
    """Return whether aiohttp accepts a proxy's URL; if not, its error would quote the URL."""
    try:
        url = URL(proxy)
        f"{url.user}{url.password}".encode("latin-1")
    except ValueError:
        return False
    return ":" not in (url.user or "")


class AiohttpTransport:
    """Carries requests with aiohttp; for asyncio. Each event loop has its own connections.

    Args:
        connections: the most connections open at once; further calls wait.
        verify: an `ssl.SSLContext` to use instead of the default one.
        proxy: the URL of a proxy; by default the one that the environment names.
        clock: the clock that shows how long the machine slept.
    """

    name: str = f"aiohttp/{aiohttp.__version__}"

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        verify: SSLContext | None = None,
        proxy: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        time = clock or Clock()
        self._of_loop = PerLoop(lambda: _Sessions(connections, verify, time))
        self._proxy = given_proxy(proxy)
        self._proxies: dict[str, Proxy | None] = {}

    @property
    def reports_progress(self) -> bool:
        """Whether a failure without a report proves that nothing left.

        It does once aiohttp was seen to report, unless a mock, such as aioresponses, has replaced
        one of its methods.
        """
        of_session = vars(aiohttp.ClientSession)
        entrances = (
            of_session.get("post"),
            of_session.get("_request"),
            aiohttp.TCPConnector.connect,
        )
        return _Connector.asked and all(is_written_in(e, "aiohttp") for e in entrances)

    def _proxy_for(self, url: str) -> Proxy | None:
        if url not in self._proxies:
            proxy = proxy_for(url, self._proxy)
            if proxy and proxy.scheme not in ("http", "https"):
                raise proxy.unusable(
                    "aiohttp takes http and https only; HttpxTransport takes SOCKS"
                )
            if proxy and not _is_taken(proxy.url):
                raise proxy.unusable(
                    "aiohttp takes neither an odd host nor letters beyond Latin-1 in the user"
                    " and password, nor a colon in the user; HttpxTransport may"
                )
            self._proxies[url] = proxy
        return self._proxies[url]

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send once. Raises `TransportFault`."""
        evidence.wait()
        sessions = await self._of_loop.here()
        await sessions.limiter.acquire(request.timeouts.pool)
        try:
            self._of_loop.refuse_if_closed()  # closed while this call waited
            proxy = self._proxy_for(request.url)
            session = sessions.session(SEND_REUSE if request.charges else READ_REUSE)
            evidence.reach(Phase.HANDED_OVER)
            return await self._exchange(session, proxy, request, evidence)
        finally:
            sessions.limiter.release()

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        proxy: Proxy | None,
        request: Request,
        evidence: Evidence,
    ) -> Answer:
        _under_way.set(evidence)
        tls: list[SSLObject | None] = [None]
        _tls.set(tls if request.sink else None)
        limits = request.timeouts
        try:
            response = await session.post(
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=limits.connect,  # all of it, including the resolver and a proxy
                    sock_connect=limits.connect,
                    sock_read=limits.read,
                ),
                proxy=proxy.url if proxy else None,
            )
        except TransportFault:  # it was too late to begin
            raise
        except Exception as error:
            fault = _fault_of(error)
            if proxy and evidence.phase < Phase.SENDING:
                fault = proxy.on_the_way(fault)
            raise fault from error
        async with response:
            evidence.phase = Phase.READING
            return await self._read(response, request, tls)

    async def _read(
        self, response: aiohttp.ClientResponse, request: Request, tls: list[SSLObject | None]
    ) -> Answer:
        reader = BodyReader(request, response.status, response.headers)
        while part := await self._next(response):
            await reader.feed(part)
        body = reader.body(tls[0])
        return Answer(response.status, response.headers, body, datetime.now(UTC))

    async def _next(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await response.content.readany()
        except Exception as error:
            raise _fault_of(error) from error

    async def aclose(self) -> None:
        """Close every connection of this loop, including those in use."""
        await self._of_loop.aclose()
