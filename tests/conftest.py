"""What many tests share: a request to a sandbox as any HTTP client would make it, and a shell."""

import gc
import os
import signal
import ssl
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import postgres
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import is_hypothesis_test, settings
from profiles import PROFILE

from voxsms.cli import main
from voxsms.sandbox import Sandbox

ROOT = Path(__file__).parents[1]

settings.load_profile(PROFILE)

# Builds what is uploaded from the checkout, which the gate's second run is without.
collect_ignore = [] if (ROOT / "voxsms").is_dir() else ["acceptance/test_distributions.py"]

# Programs that tests start, and the workers, compile a module once also where Python is told to
# keep nothing: half of what a command takes to start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure() -> None:
    """Take signals as from a terminal, also in the background of a shell and under `nohup`."""
    # The commands that are tested as processes inherit what is set here.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A key's primes are checked once, not for each of hundreds of clients: that takes 40 ms.
    load = cache(serialization.load_pem_private_key)
    pytest.MonkeyPatch().setattr(serialization, "load_pem_private_key", load)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the coverage of what depends neither on chance nor on a signal's moment.

    Others would take twice as long; and each program that a test starts half as long again.
    """
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("measured_programs") is None:
            patch.delenv("COVERAGE_PROCESS_START", raising=False)
        measuring = sys.gettrace()
        if measuring is None or not _is_unmeasured(item):
            return (yield)
        sys.settrace(None)  # in this thread alone: a sandbox's is shared with other tests
        try:
            return (yield)
        finally:
            sys.settrace(measuring)


def _is_unmeasured(item: pytest.Item) -> bool:
    by_chance = is_hypothesis_test(getattr(item, "obj", None))
    return by_chance or item.get_closest_marker("unmeasured") is not None


def pytest_xdist_auto_num_workers() -> int:
    """Have two workers more than there are processors: many tests wait for sockets and disks."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Find the tests with the garbage collector off, and hide them from it afterwards.

    It would take a quarter of that time; and some tests run it often.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


Post = Callable[..., dict[str, Any]]
"""Posts a form to a method with the API key and gives the answer's JSON."""


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """Give a plain HTTP client: none of voxsms's own code."""
    # Without the usual certificates, which take 30 ms to load.
    with httpx.Client(
        timeout=5, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ) as client:
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Give the URL of a PostgreSQL server's database."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def place(postgres_server: str) -> str:
    """Give the URL of an empty PostgreSQL database."""
    postgres.empty(postgres_server)
    return postgres_server


@pytest.fixture
def post_to(http: httpx.Client) -> Callable[[Sandbox], Post]:
    """Give a function that makes a `Post` for a sandbox."""

    def post_to(sandbox: Sandbox) -> Post:
        key = sandbox.api_key
        credentials = {"account_id": str(key.account_id), "api_key": key.api_key}

        def post(method: str, **fields: object) -> dict[str, Any]:
            form = credentials | {name: str(value) for name, value in fields.items()}
            answer = http.post(f"{sandbox.url}/platform_api/{method}/", data=form)
            assert answer.status_code == 200
            body: dict[str, Any] = answer.json()
            return body

        return post

    return post_to


@pytest.fixture
def post(voxsms_sandbox: Sandbox, post_to: Callable[[Sandbox], Post]) -> Post:
    """Give a function that calls a method of the test's own sandbox."""
    return post_to(voxsms_sandbox)


class Ran(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]
"""Runs a command, given as its words; `stdin=` is what it can read."""


@pytest.fixture
def voxsms(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command of voxsms as a shell does, not at a terminal."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*tokens: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin), "utf-8"))
        status = main(tokens)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def account(voxsms_env: Sandbox) -> Sandbox:
    """Give a sandbox whose account the commands of `voxsms` find in the environment."""
    return voxsms_env
