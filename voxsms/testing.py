"""The pytest plugin, for everyone who has voxsms and pytest installed.

.. code-block:: python

    import pytest

    async def send_code(client, number):
        await client.a2p_send_sms(
            src_number="VOXSMS", dst_numbers=[number], text="Your code is 4711"
        )

    @pytest.mark.anyio  # pytest-asyncio does as well: every fixture here is sync
    async def test_a_code_is_sent(voxsms_sandbox):
        async with voxsms.Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
            await send_code(client, "447443332212")
        assert voxsms_sandbox.delivered_to("447443332212") == ["Your code is 4711"]

Fixtures: `voxsms_sandbox` is new for each test and takes a millisecond, `voxsms_sandbox_module` and
`voxsms_sandbox_session` last longer, `voxsms_env` sets the variables for `Client.from_env()`.
While one of them is in use no client reaches anything but a sandbox; `voxsms_only_sandbox` alone
has the same effect (`usefixtures = voxsms_only_sandbox` in pytest's settings: in every test).

Marks: `voxsms_sandbox(balance=0)` sets what the sandbox starts with, `voxsms_faults("refuse")` what
goes wrong.

pytest loads this plugin for all its users, so nothing heavy is imported before a fixture is used.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxsms.calls.session import Session
    from voxsms.sandbox import Delivered, InjectedFault, Sandbox, ServerThread

_PATIENCE = 5
"""Seconds that a served app may take to finish its requests."""
_TICK = 0.001
"""Seconds between two checks of whether it has started."""
_MARKERS = (
    "voxsms_sandbox(**settings): what the sandbox of the fixture starts with, as for `serve()`",
    "voxsms_faults(*faults): what goes wrong in the sandbox of the fixture, such as 'refuse'",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def voxsms_sandbox(
    request: pytest.FixtureRequest, _voxsms_server: "ServerThread"
) -> Iterator["Sandbox"]:
    """Yield a sandbox of the service, running on loopback, with a new account for each test.

    It has money, two numbers that support SMS, the SenderID "VOXSMS" and prices for the prefixes 1,
    44 and 7; `@pytest.mark.voxsms_sandbox(balance=0)` changes what it starts with, and
    `@pytest.mark.voxsms_faults("commit_then_close")` sets what goes wrong: with a send, unless
    another method is named (`commit_then_close@GetSmsHistory`).
    """
    yield from _run_sandbox(request, _voxsms_server)


@pytest.fixture(scope="module")
def voxsms_sandbox_module(request: pytest.FixtureRequest) -> Iterator["Sandbox"]:
    """Yield a sandbox that all tests of a module share; its marks are those in `pytestmark`."""
    yield from _run_sandbox(request)


@pytest.fixture(scope="session")
def voxsms_sandbox_session(request: pytest.FixtureRequest) -> Iterator["Sandbox"]:
    """Yield a sandbox that all tests share; under xdist, all tests of a worker."""
    yield from _run_sandbox(request)


@pytest.fixture
def voxsms_env(voxsms_sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> "Sandbox":
    """Return the test's sandbox, whose account `Client.from_env()` finds in the environment."""
    monkeypatch.delenv("VOXIMPLANT_CREDENTIALS", raising=False)
    for name, value in voxsms_sandbox.env.items():
        monkeypatch.setenv(name, value)
    return voxsms_sandbox


@pytest.fixture
def voxsms_only_sandbox() -> Iterator[None]:
    """Fail a test in which a client calls anything but a sandbox of this process.

    That includes a client in an app that the test serves, whose own error would only be HTTP 500.
    """
    with _guard():
        yield


@pytest.fixture(scope="session")
def _voxsms_server() -> Iterator["ServerThread"]:
    """Yield the server that serves the account of each test in turn."""
    server = _load_sandbox().ServerThread().start()
    yield server
    server.stop()


def _load_sandbox() -> Any:  # noqa: ANN401 - a module
    try:
        from voxsms import sandbox  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as missing:
        raise pytest.fail.Exception(str(missing), pytrace=False) from None
    return sandbox


def _run_sandbox(
    request: pytest.FixtureRequest, server: "ServerThread | None" = None
) -> Iterator["Sandbox"]:
    """Yield a sandbox set up by the marks, on the given server or on its own."""
    sandbox = _load_sandbox()
    node = cast("pytest.Item", request.node)
    try:
        settings, faults = _read_marks(node)
        made = sandbox.Settings(**settings)
        running = sandbox.Sandbox(
            made, server if made.server == sandbox.Settings().server else None
        )
        running.faults.script(_read_faults(sandbox, faults))
    except (TypeError, ValueError) as error:
        raise pytest.fail.Exception(f"a mark of {node.name}: {error}", pytrace=False) from None
    with _guard(), running:
        yield running


def _read_marks(node: pytest.Item) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
    """Return the settings and the faults that the marks of a test name."""
    settings, faults = map(node.get_closest_marker, ("voxsms_sandbox", "voxsms_faults"))
    if settings and settings.args:
        raise TypeError("voxsms_sandbox takes its settings by name, such as balance=0")
    if faults and faults.kwargs:
        raise TypeError("voxsms_faults takes no names: write 'rate_limited:retry_after=5'")
    return settings.kwargs if settings else {}, faults.args if faults else ()


def _read_faults(sandbox: Any, written: "Iterable[str]") -> "Iterator[InjectedFault]":  # noqa: ANN401 - a module
    """Yield the faults of a mark; one that loses an answer applies to sends if it names no method.

    A test means its own send, not the price lookup that a budget makes before it.
    """
    from attrs import evolve  # noqa: PLC0415 - heavy

    script = sandbox.FaultScript()
    script.script(written)
    for fault in script.pending:
        loses = fault.kind.startswith("commit_") and fault.method is None
        yield evolve(fault, method="sends") if loses else fault


@contextmanager
def _guard() -> Generator[None]:
    """Fail each call of a client that would reach anything but a sandbox of this process."""
    from voxsms.calls.session import Session  # noqa: PLC0415 - heavy

    thread, refused_elsewhere = threading.get_ident(), list[str]()

    def guarded(call: Callable[..., object]) -> Callable[..., object]:
        def checked(session: "Session", *args: object) -> object:
            sandbox = sys.modules.get("voxsms.sandbox")
            if sandbox is None or session.base_url not in sandbox.running_urls():
                refused = (
                    f"a client calls {session.base_url}, which is not a sandbox of this test: pass"
                    " it base_url=voxsms_sandbox.url, or use the fixture voxsms_env and create it"
                    " with Client.from_env()"
                )
                if threading.get_ident() != thread:  # the app would turn the failure into a 500
                    refused_elsewhere.append(refused)
                pytest.fail(refused)
            return call(session, *args)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        for name in ("read", "download"):  # every call goes through one of them
            patch.setattr(Session, name, guarded(getattr(Session, name)))
        yield
    if refused_elsewhere:
        pytest.fail(f"in an app that the test serves, {refused_elsewhere[0]}", pytrace=False)


@contextmanager
def no_waiting() -> Generator[None]:
    """Skip the waits between attempts, for all clients without a clock of their own.

    .. code-block:: python

        with voxsms.testing.no_waiting():
            await client.get_account_info()  # its attempts follow without a pause

    The sandbox's own delays, such as the fault `slow`, stay as they are.
    """
    from anyio.lowlevel import checkpoint  # noqa: PLC0415 - heavy

    from voxsms.clock import Clock  # noqa: PLC0415 - heavy

    async def sleep(*_: object) -> None:
        await checkpoint()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clock, "sleep", sleep)
        yield


@contextmanager
def serve_app(app: Callable[..., Any]) -> Generator[str]:
    """Serve an ASGI app on loopback in a thread, with its lifespan; yield its URL.

    .. code-block:: python

        from starlette.applications import Starlette

        with voxsms.testing.serve_app(Starlette()) as url:
            sandbox.callback_url = f"{url}/voximplant/"

    Raises:
        RuntimeError: its lifespan failed; the log says why.
    """
    _load_sandbox()  # fails with the name of the extra that has uvicorn
    import uvicorn  # noqa: PLC0415 - heavy

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=_PATIENCE)
        server = uvicorn.Server(config)

        def run() -> None:
            with suppress(SystemExit):  # uvicorn raises it if the lifespan failed
                server.run([listener])

        thread = threading.Thread(target=run, name="voxsms-app", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(_TICK)
        if not server.started:
            raise RuntimeError("the app could not be started: see the log of uvicorn")
        try:
            yield "http://{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain how the messages that a sandbox delivered differ from those a test expects."""
    sandbox = sys.modules.get("voxsms.sandbox")
    if sandbox is None or op != "==":
        return None
    kind: type[Delivered[Any]] = sandbox.Delivered
    for delivered, expected in ((left, right), (right, left)):
        if isinstance(delivered, kind) and isinstance(expected, list | tuple):
            differences = delivered.differences(cast("Iterable[object]", expected))
            return [f"{left!r} == {right!r}", *differences]
    return None
