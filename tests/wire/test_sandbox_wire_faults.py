"""What each fault does, seen on a bare socket, and what the ledger says was really delivered."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from voxsms.sandbox import KINDS, InjectedFault, Sandbox, serve

Post = Callable[..., dict[str, Any]]
A2P = {"src_number": "VOXSMS", "dst_numbers": "447443332212", "text": "Hi"}


def connect(sandbox: Sandbox) -> socket.socket:
    """Open a connection."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def form(sandbox: Sandbox) -> dict[str, str]:
    """Return an A2P request with the API key."""
    key = sandbox.api_key
    return A2P | {"account_id": str(key.account_id), "api_key": key.api_key}


def request(sandbox: Sandbox, method: str = "A2PSendSms") -> bytes:
    """Write a request byte by byte as it crosses the wire."""
    body = urlencode(form(sandbox)).encode()
    head = f"POST /platform_api/{method}/ HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"content-type: application/x-www-form-urlencoded\r\n\r\n" + body


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    pieces: list[bytes] = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def exchange(
    sandbox: Sandbox, *, stays_open: bool = False, silent: bool = False
) -> tuple[bytes, str]:
    """Send one request and read to the end: what came, and how it ended.

    Where the connection is to stay open, the end is that nothing comes for a moment.
    """
    came = b""
    try:
        with connect(sandbox) as connection:
            connection.sendall(request(sandbox))
            connection.settimeout(0.1 if stays_open and silent else 5)
            while piece := connection.recv(65536):
                came += piece
                connection.settimeout(0.1 if stays_open else 5)
    except ConnectionRefusedError:
        return b"", "refused"
    except ConnectionResetError:
        return came, "reset"
    except TimeoutError:
        return came, "open"
    return came, "closed"


OK = (b"HTTP/1.1 200", "open")
SEEN: dict[str, tuple[bytes, str]] = {
    "ok": OK,
    "refuse": (b"", "refused"),
    "read_then_close": (b"", "closed"),
    "read_then_reset": (b"", "reset"),
    "never": (b"", "open"),
    "http_error": (b"HTTP/1.1 503", "open"),
    "http_429": (b"HTTP/1.1 429", "open"),
    "rate_limited": OK,
    "error": OK,
    "slow": (b"", "open"),
    "drip": (b"HTTP/1.1 200", "closed"),
    "commit_then_close": (b"", "closed"),
    "commit_then_reset": (b"", "reset"),
    "commit_then_half": (b"HTTP/1.1 200", "closed"),
    "commit_then_garbage": (b"\x16\x03", "closed"),
    "commit_then_html": (b"HTTP/1.1 502", "open"),
    "commit_then_500": (b"HTTP/1.1 500", "open"),
    "commit_then_error": OK,
    "commit_then_answer": OK,
    "commit_then_never": (b"", "open"),
}


@pytest.mark.unmeasured
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"accept_then_close"}))
def test_each_fault_on_the_wire(voxsms_sandbox: Sandbox, post: Post, kind: str) -> None:
    """The client sees what the fault's name says; the ledger holds a delivery where it commits."""
    voxsms_sandbox.faults.add(kind)
    start, expected_end = SEEN[kind]
    came, end = exchange(voxsms_sandbox, stays_open=expected_end == "open", silent=not start)
    assert (came[: len(start)], end) == (start, expected_end)
    assert bool(came) == bool(start)
    while not voxsms_sandbox.faults.happened:  # a silent one, on a busy machine
        time.sleep(0.001)
    assert voxsms_sandbox.ledger.count == KINDS[kind].commits
    voxsms_sandbox.faults.clear()
    assert post("A2PSendSms", **A2P)["failed"] == []
    assert voxsms_sandbox.ledger.count == KINDS[kind].commits + 1


def test_a_connection_that_is_closed_when_it_is_accepted(
    voxsms_sandbox: Sandbox, post: Post
) -> None:
    """No request is read; whether the client sees an end or a reset depends on when it writes."""
    voxsms_sandbox.faults.add("accept_then_close")
    with connect(voxsms_sandbox) as connection:
        assert connection.recv(1) == b""
    assert dict(voxsms_sandbox.ledger.requests) == {}
    assert post("A2PSendSms", **A2P)["failed"] == []


def test_an_answer_cut_in_half(voxsms_sandbox: Sandbox) -> None:
    """Fewer bytes of the body come than its length says."""
    voxsms_sandbox.faults.add("commit_then_half")
    came, _ = exchange(voxsms_sandbox)
    head, _, body = came.partition(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
    assert 0 < len(body) < int(length.partition(b": ")[2])


def test_a_dripping_answer_is_whole(voxsms_sandbox: Sandbox) -> None:
    """It arrives in many pieces and is a good answer in the end."""
    voxsms_sandbox.faults.add("drip", seconds=0.0001)
    with connect(voxsms_sandbox) as connection:
        connection.sendall(request(voxsms_sandbox))
        first = connection.recv(65536)
        rest = read_all(connection)
    assert len(first) < len(rest)
    assert (first + rest).endswith(b'"fragments_count":1}')


def test_a_drip_that_nobody_waits_for(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A client that goes away ends it."""
    voxsms_sandbox.faults.add("drip", seconds=0.01)
    with connect(voxsms_sandbox) as connection:
        connection.sendall(request(voxsms_sandbox))
        assert connection.recv(1) == b"H"
    assert post("A2PSendSms", **A2P)["failed"] == []


@pytest.mark.parametrize(("retry_after", "expected"), [(None, None), (7, "7"), ("soon", "soon")])
@pytest.mark.parametrize("kind", ["http_429", "http_error", "rate_limited", "error"])
def test_a_wait_that_is_asked_for(
    voxsms_sandbox: Sandbox,
    http: httpx.Client,
    kind: str,
    retry_after: object,
    expected: str | None,
) -> None:
    """`Retry-After` is there if it was wanted, as it was wanted."""
    voxsms_sandbox.faults.add(kind, retry_after=retry_after)
    answer = http.post(
        f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/", data=form(voxsms_sandbox)
    )
    assert answer.headers.get("retry-after") == expected


@pytest.mark.parametrize("kind", ["error", "commit_then_error"])
def test_any_error_code(voxsms_sandbox: Sandbox, post: Post, kind: str) -> None:
    """An error of any code, with its own text or the code's name."""
    voxsms_sandbox.faults.add(kind, code=416, msg="Retry after 12 seconds")
    voxsms_sandbox.faults.add(kind, code=484)
    voxsms_sandbox.faults.add(kind)
    assert [post("A2PSendSms", **A2P)["error"] for _ in range(3)] == [
        {"code": 416, "msg": "Retry after 12 seconds"},
        {"code": 484, "msg": "Http request rejected"},
        {"code": 2, "msg": "Internal error"},
    ]
    assert voxsms_sandbox.ledger.count == (3 if kind == "commit_then_error" else 0)


def test_a_status_of_a_gateway(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """Any status, in HTML, as a gateway says it."""
    voxsms_sandbox.faults.add("http_error", status=504)
    answer = http.post(
        f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/", data=form(voxsms_sandbox)
    )
    assert (answer.status_code, "html" in answer.headers["content-type"]) == (504, True)


def test_a_slow_answer_comes(voxsms_sandbox: Sandbox, post: Post) -> None:
    """After the seconds it was told, of real time."""
    voxsms_sandbox.faults.add("slow", seconds=0.05)
    start = time.monotonic()
    assert post("A2PSendSms", **A2P)["failed"] == []
    assert time.monotonic() - start >= 0.05


def test_a_slow_answer_by_the_driven_clock(voxsms_sandbox: Sandbox) -> None:
    """It comes when the sandbox's clock has come so far, and not before."""
    voxsms_sandbox.faults.add("slow", seconds=3600, driven=True)
    with connect(voxsms_sandbox) as connection:
        connection.sendall(request(voxsms_sandbox))
        while voxsms_sandbox.ledger.count == 0:
            time.sleep(0.001)
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(5)
        voxsms_sandbox.clock.advance(3600)
        assert connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("driven", [False, True])
def test_a_slow_answer_that_nobody_waits_for(
    voxsms_sandbox: Sandbox, post: Post, driven: bool
) -> None:
    """A client that goes away ends it; the message was delivered all the same."""
    voxsms_sandbox.faults.add("slow", seconds=3600, driven=driven)
    with connect(voxsms_sandbox) as connection:
        connection.sendall(request(voxsms_sandbox))
        while voxsms_sandbox.ledger.count == 0:
            time.sleep(0.001)
    assert post("A2PSendSms", **A2P)["failed"] == []
    assert voxsms_sandbox.ledger.count == 2


def test_connecting_fails_for_a_while(voxsms_sandbox: Sandbox, post: Post) -> None:
    """`refuse` also ends idle connections, and the sandbox listens again by itself."""
    post("GetAccountInfo")
    voxsms_sandbox.faults.add("refuse", seconds=0.5)
    with pytest.raises(httpx.ConnectError):
        post("GetAccountInfo")
    answer = None
    while answer is None:
        with suppress(httpx.ConnectError):
            answer = post("GetAccountInfo")
    assert not voxsms_sandbox.faults.pending
    assert "result" in answer
    assert [fault.kind for fault in voxsms_sandbox.faults.happened] == ["refuse"]


def test_refusing_twice_as_long(voxsms_sandbox: Sandbox) -> None:
    """Two refusals are two spans, one after another."""
    start = time.monotonic()
    voxsms_sandbox.faults.script([InjectedFault("refuse", options={"seconds": 0.05})] * 2)
    while voxsms_sandbox.faults.pending:
        with suppress(ConnectionRefusedError):
            connect(voxsms_sandbox).close()
            assert not voxsms_sandbox.faults.pending  # the last span ended before the connection
        time.sleep(0.005)
    assert time.monotonic() - start >= 0.1


def test_refusing_until_told_otherwise(voxsms_sandbox: Sandbox, post: Post) -> None:
    """`clear()` opens the listener at once; the span that was left over means nothing then."""
    voxsms_sandbox.faults.add("refuse", seconds=0.05)
    with pytest.raises(httpx.ConnectError):
        post("GetAccountInfo")
    voxsms_sandbox.faults.clear()
    assert "result" in post("GetAccountInfo")
    voxsms_sandbox.faults.add("refuse", seconds=60)
    time.sleep(0.06)
    with pytest.raises(httpx.ConnectError):
        post("GetAccountInfo")


def test_a_sandbox_that_refuses_from_the_start(post_to: Callable[[Sandbox], Post]) -> None:
    """The script given to `serve()` holds from the first connection on."""
    with serve(faults="refuse:seconds=60") as sandbox:
        with pytest.raises(httpx.ConnectError):
            post_to(sandbox)("GetAccountInfo")
        sandbox.faults.clear()
        assert "result" in post_to(sandbox)("GetAccountInfo")


def test_a_script_of_several(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Each request meets the next fault; one of the connection ends the one that was kept."""
    voxsms_sandbox.faults.script("ok, accept_then_close, ok, error:code=314, refuse:seconds=60")
    assert "result" in post("GetAccountInfo")
    with pytest.raises(httpx.HTTPError):
        post("GetAccountInfo")
    assert "result" in post("GetAccountInfo")
    assert post("GetAccountInfo")["error"]["code"] == 314
    with pytest.raises(httpx.ConnectError):
        post("GetAccountInfo")


def test_faults_of_one_method(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A fault of a method lets the others pass and waits for its own."""
    voxsms_sandbox.faults.add("error", method="A2PSendSms", times=2)
    voxsms_sandbox.faults.add("error", code=340)
    assert post("GetAccountInfo")["error"]["code"] == 340
    assert "result" in post("GetAccountInfo")
    assert [post("A2PSendSms", **A2P).get("error", {}).get("code") for _ in range(3)] == [
        2,
        2,
        None,
    ]
    expected = [
        InjectedFault("error", 1, None, {"code": 340}),
        *[InjectedFault("error", n, "A2PSendSms") for n in (2, 1)],
    ]
    assert list(voxsms_sandbox.faults.happened) == expected


def test_a_request_under_way_while_connecting_fails(voxsms_sandbox: Sandbox) -> None:
    """A connection that is being used is closed once it has its answer, and not before."""
    voxsms_sandbox.faults.add("slow", seconds=0.1)
    with connect(voxsms_sandbox) as connection:
        connection.sendall(request(voxsms_sandbox))
        while voxsms_sandbox.ledger.count == 0:
            time.sleep(0.001)
        voxsms_sandbox.faults.add("refuse", seconds=60)
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_the_end_of_a_sandbox_ends_what_hangs() -> None:
    """Requests that are never answered and half requests go with the server, at once."""
    threads = threading.active_count()
    with serve(faults="never, commit_then_never, slow:seconds=600, drip:seconds=600") as sandbox:
        hanging = [connect(sandbox) for _ in range(5)]
        for connection in hanging[:4]:
            connection.sendall(request(sandbox))
        hanging[4].sendall(request(sandbox)[:-1])
        while len(sandbox.faults.happened) < 4:
            time.sleep(0.001)
        start = time.monotonic()
    assert time.monotonic() - start < 1
    assert threading.active_count() == threads
    for connection in hanging:
        connection.close()
