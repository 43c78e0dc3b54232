"""aiohttp as the carrier (extra `aiohttp`): asyncio only, and many times faster than httpx.

aiohttp is used directly. Through httpx (`httpx-aiohttp`) a connection that breaks after the request
was delivered is reported as `ConnectTimeout`, and no trace is passed: a call to send it twice.

Sends and readings have a session each: the connections of one are dropped when they have been idle
for half a second, those of the other later. See `lanes.py` on connections that die of age.
"""

import select
from contextvars import ContextVar
from datetime import UTC, datetime
from ssl import SSLContext
from typing import ClassVar
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from multidict import CIMultiDict, CIMultiDictProxy

from voxsms.api.codec import Answer
from voxsms.transport.lanes import READ_REUSE, SEND_REUSE
from voxsms.transport.limiter import CONNECTIONS, Limiter
from voxsms.transport.quoting import hide_quotes
from voxsms.transport.seam import (
    BodyReader,
    Evidence,
    FaultKind,
    Phase,
    Request,
    TransportFault,
)
from voxsms.transport.surroundings import is_written_in, proxy_for, tls

# aiohttp's errors in the words of the seam, most specific first.
_FAULTS: tuple[tuple[type[BaseException], FaultKind, str], ...] = (
    (aiohttp.ConnectionTimeoutError, FaultKind.TIMEOUT, "no connection was made in time"),
    (TimeoutError, FaultKind.TIMEOUT, "no answer came in time"),
    (aiohttp.ClientConnectorError, FaultKind.CONNECTION, "no connection could be made"),
    (aiohttp.ServerDisconnectedError, FaultKind.CONNECTION, "the server closed the connection"),
    (aiohttp.ClientPayloadError, FaultKind.CONNECTION, "the answer was cut off or damaged"),
)


def _fault_of(error: Exception) -> TransportFault:
    hide_quotes(error)
    if isinstance(error, aiohttp.ClientResponseError):
        _hide_request(error)
    for kind_of_error, kind, text in _FAULTS:
        if isinstance(error, kind_of_error):
            return TransportFault(kind, text)
    return TransportFault(FaultKind.CONNECTION, "the connection broke")


def _hide_request(error: aiohttp.ClientResponseError) -> None:
    """Take out the request's headers and its proxy's password, which the error would show."""
    info = error.request_info
    headers: CIMultiDict[str] = CIMultiDict()
    url, real_url = info.url.with_user(None), info.real_url.with_user(None)
    error.request_info = aiohttp.RequestInfo(url, info.method, CIMultiDictProxy(headers), real_url)
    error.args = ()


_under_way: ContextVar[Evidence] = ContextVar("evidence of the request under way")


class _Connector(aiohttp.TCPConnector):
    """Notes when a request gets its connection: from then on its bytes may leave.

    It is the moment of which aiohttp's tracing tells with `on_connection_create_end` and
    `on_connection_reuseconn`; but to be told costs 27 us a call, and to stand there nothing.
    """

    asked = False
    """Whether aiohttp came by here at all: only then does it mean something that it did not."""
    _used: ClassVar[WeakSet[ResponseHandler | None]] = WeakSet()  # never None, by its type only

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        """Get a connection, from the pool or a new one, through a proxy's tunnel where need be."""
        evidence = _under_way.get()
        _Connector.asked = True
        evidence.phase = Phase.CONNECTING
        connection = await super().connect(req, traces, timeout)
        while connection.protocol in self._used and _is_stale(connection):
            connection.close()
            connection = await super().connect(req, traces, timeout)
        self._used.add(connection.protocol)
        evidence.phase = Phase.SENDING
        return connection


def _is_stale(connection: Connection) -> bool:
    """Tell whether anything came on a connection since its last answer, its end included.

    aiohttp would give it out as the answer to the next request: a "come back later" that a gateway
    sends twice would have the next message sent twice.
    """
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return True
    return _is_readable(transport.get_extra_info("socket").fileno())


def _is_readable(socket: int) -> bool:
    """Tell whether a socket has bytes, or its end, that the loop has not come to yet."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


class AiohttpTransport:
    """Carries requests with aiohttp; for asyncio.

    Args:
        connections: how many connections are open at the most; calls beyond that wait.
        verify: an `ssl.SSLContext` to use instead of the default one.
        proxy: the URL of a proxy; by default the one that the environment names.
    """

    name = f"aiohttp/{aiohttp.__version__}"

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        verify: SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        self._limiter = Limiter(connections)
        self._verify = verify
        self._proxy = proxy
        self._proxies: dict[str, str | None] = {}
        self._sessions: dict[float, aiohttp.ClientSession] = {}

    @property
    def silence_counts(self) -> bool:
        """Silence proves that nothing left, where aiohttp is known to ask for its connections.

        And unless a mock, such as that of aioresponses, stands where it was.
        """
        entrances = (vars(aiohttp.ClientSession).get("_request"), aiohttp.TCPConnector.connect)
        return _Connector.asked and all(is_written_in(e, "aiohttp") for e in entrances)

    def _session(self, reuse: float) -> aiohttp.ClientSession:
        if reuse not in self._sessions:
            connector = _Connector(limit=0, keepalive_timeout=reuse, ssl=self._verify or tls())
            self._sessions[reuse] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._sessions[reuse]

    def _proxy_for(self, url: str) -> str | None:
        if url not in self._proxies:
            self._proxies[url] = self._proxy or proxy_for(url)
        return self._proxies[url]

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send once. Raises `TransportFault`."""
        await self._limiter.enter(request.timeouts.pool)
        try:
            evidence.phase = Phase.HANDED_OVER
            return await self._exchange(request, evidence)
        finally:
            self._limiter.leave()

    async def _exchange(self, request: Request, evidence: Evidence) -> Answer:
        session = self._session(SEND_REUSE if request.charges else READ_REUSE)
        _under_way.set(evidence)
        try:
            response = await session.post(
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=request.timeouts.connect, sock_read=request.timeouts.read
                ),
                proxy=self._proxy_for(request.url),
            )
        except Exception as error:
            raise _fault_of(error) from error
        async with response:
            evidence.phase = Phase.READING
            return await self._read(response, request)

    async def _read(self, response: aiohttp.ClientResponse, request: Request) -> Answer:
        kind = response.headers.get("content-type", "")
        reader = BodyReader(request, response.status, kind)
        while part := await self._next(response):
            await reader.feed(part)
        return Answer(response.status, response.headers, reader.body(), datetime.now(UTC))

    async def _next(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await response.content.readany()
        except Exception as error:
            raise _fault_of(error) from error

    async def aclose(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
