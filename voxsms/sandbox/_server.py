"""uvicorn in its own thread with its own loop; it stops cleanly, whatever is still open.

It answers for one account at a time, and can serve several one after the other. Below it is the raw
layer: what a well-behaved ASGI application cannot do to a connection.
"""

import asyncio
import logging
import socket
import struct
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, cast

import attrs
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from voxsms.sandbox._faults import FaultScript, InjectedFault
from voxsms.sandbox._tls import write_certificates

_LOOPBACK = "127.0.0.1"
_PATIENCE = 5
"""Seconds after which a short operation counts as stuck."""
_TURNS = 100
"""Turns of the loop within which every answer in progress notices that it was cut off."""


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound before the server starts, so that its port is known."""
    # asyncio disables Nagle only if the protocol is named; with Nagle each answer takes 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _nobody(*_: object) -> None:
    raise AssertionError("every connection is closed before it has a request")


def _close_each() -> FaultScript:
    return FaultScript([InjectedFault("accept_then_close", times=sys.maxsize)])


@attrs.define
class _Tenant:
    """The application and its faults; at first there is none, and every connection is closed."""

    app: ASGIApp = _nobody
    faults: FaultScript = attrs.field(factory=_close_each)


_LINGER_0 = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing sends an RST and drops unsent data."""


class RawProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with access to the transport.

    The application finds it under `scope["state"]["wire"]`.
    """

    tenant: _Tenant
    """Set by a subclass for each server, because uvicorn creates the instances."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, "wire": self}
        self.logger = logging.getLogger("voxsms")
        self.access_log = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - the base class differs from asyncio's
        """Accept a connection, or close it if that is the first fault."""
        super().connection_made(transport)
        faults = self.tenant.faults
        fault = faults.connecting()
        if fault is not None and faults.take_connecting(fault):
            self.close()

    def close_if_idle(self) -> None:
        """Close unless a request is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self.close()

    @property
    def is_last(self) -> bool:
        """Whether the next request must open a new connection, because of a fault there."""
        return self.tenant.faults.connecting() is not None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def close(self) -> None:
        """Close normally."""
        self.transport.close()

    def reset(self) -> None:
        """Close with an RST."""
        sock = cast("socket.socket", self.transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """Runs until `end` is called; its listener is closed while `refuse` is the first fault."""

    def __init__(self, config: uvicorn.Config, tenant: _Tenant, listener: socket.socket) -> None:
        super().__init__(config)
        self._tenant = tenant
        self._main = asyncio.current_task()
        self._listener = listener
        self._address: tuple[str, int] = listener.getsockname()[:2]
        self._refusing: InjectedFault | None = None
        self._looking = asyncio.Lock()
        self._end = asyncio.Event()
        self.ready: Future[None] = Future()

    def end(self) -> None:
        """Make `serve` return; call it in the loop's thread."""
        self._end.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and set `ready`."""
        try:
            await super().startup(sockets)
        except OSError as error:
            self.should_exit = True
            self.ready.set_exception(error)
        else:
            await self.look()
            self.ready.set_result(None)

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - closed with their servers
        """End with nothing left open."""
        self._stop_listening()
        await self._cut()
        self._stop_listening()  # `look` may have opened it again meanwhile

    async def _cut(self) -> None:
        """Abort every connection, which ends the answers in progress.

        Also those that uvicorn does not know yet: one that is being accepted is a task of the loop.
        """
        own = {self._main, asyncio.current_task()}
        turns = 0
        async with asyncio.timeout(_PATIENCE):
            while self.server_state.connections or asyncio.all_tasks() - own:
                for connection in self._connections():
                    connection.transport.abort()
                if turns > _TURNS:  # a TLS handshake waits for its client
                    for task in asyncio.all_tasks() - own:
                        task.cancel()
                turns += 1
                await asyncio.sleep(0)

    async def answer_for_nobody(self) -> None:
        """Drop the account; return when nothing of it is left."""
        self._tenant.app, self._tenant.faults = _nobody, _close_each()
        await self._cut()
        await self.look()

    def _connections(self) -> list[RawProtocol]:
        return cast("list[RawProtocol]", list(self.server_state.connections))

    async def look(self) -> None:
        """Adjust listener and connections to the script of faults."""
        async with self._looking:
            self._close_what_must()
            first = self._tenant.faults.connecting()
            if self._refusing is not None and first is not self._refusing:
                self._refusing = None
                self._listener = _bind(*self._address)
                await super().startup([self._listener])
            await asyncio.sleep(0)  # the loop closes sockets in its next round

    def look_soon(self) -> None:
        """Close what must be closed, and open soon; call it in the loop's thread.

        The request that changed the script has not been answered yet: afterwards its client must
        find the listener closed.
        """
        self._close_what_must()
        task = asyncio.get_running_loop().create_task(self.look())
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def _close_what_must(self) -> None:
        fault = self._tenant.faults.connecting()
        if fault is None:
            return
        # The fault is for a new connection, so no open one may be used.
        for connection in self._connections():
            connection.close_if_idle()
        if fault.kind == "refuse":
            self._stop_listening()
            self._open_after(fault)

    def _open_after(self, fault: InjectedFault) -> None:
        if self._refusing is not fault:
            self._refusing = fault
            later = asyncio.get_running_loop().call_later
            take = self._tenant.faults.take_connecting
            later(fault.option("seconds"), take, fault)

    def _stop_listening(self) -> None:
        # Not `Server.close()`: asyncio would then drop a connection that it has just accepted, and
        # leave its socket open.
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()


class ServerThread:
    """The server's thread, from `start` to `stop`; it serves the app of `answer_for`."""

    def __init__(
        self,
        port: int = 0,
        keep_alive: float = 5.0,
        host: str = _LOOPBACK,
        host_names: Iterable[str] = (),
        *,
        tls: bool = False,
    ) -> None:
        self._tenant = _Tenant()
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._files = TemporaryDirectory(prefix="voxsms-sandbox-") if tls else None
        scheme = "https" if tls else "http"
        reached = {"0.0.0.0": _LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared
        self.url: str = f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{self.port}"
        """Its URL on this machine; no slash at the end."""
        self._key = None if self._files is None else Path(self._files.name, "server.pem")
        if self._key is not None:
            write_certificates(self._key.parent, [host, *host_names])
        self._config = uvicorn.Config(
            self._answer,
            ssl_certfile=self._key,
            http=type("SandboxProtocol", (RawProtocol,), {"tenant": self._tenant}),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the sandbox's own header follows its clock
            timeout_keep_alive=cast("int", keep_alive),  # a float works, too
        )
        self._thread = threading.Thread(target=self._run, name="voxsms-sandbox", daemon=True)
        self._started: Future[tuple[asyncio.AbstractEventLoop, _Uvicorn]] = Future()

    @property
    def certificate(self) -> Path | None:
        """The certificate of the authority that signed the server's; None without TLS."""
        return None if self._key is None else self._key.with_name("ca.pem")

    def start(self) -> Self:
        """Start it; return when it listens."""
        self._thread.start()
        _, server = self._started.result()
        error = server.ready.exception()
        if self._key is not None:
            self._key.unlink()  # it has been read
        if error:
            self._thread.join()
            self._remove_files()
            raise error
        return self

    def stop(self) -> None:
        """Stop it; return when nothing of it is left."""
        self._tenant.faults.on_change = None
        loop, server = self._started.result()
        loop.call_soon_threadsafe(server.end)
        self._thread.join()
        self._remove_files()

    def _remove_files(self) -> None:
        if self._files is not None:
            self._files.cleanup()

    def answer_for(self, app: ASGIApp, faults: FaultScript) -> None:
        """Let an account answer from now on; before there was none."""
        self._tenant.app = app
        self._tenant.faults = faults  # last: until here every connection is closed
        faults.on_change = self._look
        if faults.connecting() is not None:
            self._look()

    def answer_for_nobody(self) -> None:
        """Close all connections, present and future; return when the account is not in use."""
        self._tenant.faults.on_change = None
        loop, server = self._started.result()
        asyncio.run_coroutine_threadsafe(server.answer_for_nobody(), loop).result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._tenant.app(scope, receive, send)

    def _run(self) -> None:
        # Not the loop of the user's policy: resetting needs a real socket.
        with self._socket, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = _Uvicorn(self._config, self._tenant, self._socket)
        self._started.set_result((asyncio.get_running_loop(), server))
        await server.serve([self._socket])

    def _look(self) -> None:
        loop, server = self._started.result()
        if threading.current_thread() is self._thread:
            server.look_soon()
        else:
            asyncio.run_coroutine_threadsafe(server.look(), loop).result(_PATIENCE)
