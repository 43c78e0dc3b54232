"""Callbacks over real HTTP: each is handled once, by whichever process it comes to."""

import hashlib
import json
import multiprocessing
import socket
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from voxsms.testing import serve_app
from voxsms.webhooks import (
    Callback,
    CallbackSecret,
    InboundSms,
    MemorySeen,
    SqliteOptOuts,
    SqliteSeen,
    Taken,
    asgi_app,
)

SECRET = CallbackSecret("pepper-of-the-tests", 1, "k-of-the-tests")
Posting = Callable[[bytes | Iterable[bytes]], int]


def posted(*ids: int, text: str = "Hi") -> bytes:
    """Return the signed body of a post with inbound messages."""
    items: list[dict[str, Any]] = []
    for each in ids:
        signed = f"pepper-of-the-tests1k-of-the-tests{each}".encode()
        fields = {"source_number": "447443332212", "destination_number": "447443332211"}
        items.append(
            {
                "callback_id": each,
                "account_id": 1,
                "type": "sms_inbound",
                "hash": hashlib.md5(signed, usedforsecurity=False).hexdigest(),
                "sms_inbound": fields | {"sms_body": text},
            }
        )
    return json.dumps({"callbacks": items}).encode()


class Handled:
    """A handler that notes what it is given, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.ids: list[int] = []
        self.failures = failures

    async def __call__(self, callback: Callback) -> None:
        """Take a callback."""
        assert isinstance(callback, InboundSms)
        if self.failures:
            self.failures -= 1
            raise LookupError
        self.ids.append(callback.callback_id)


@pytest.fixture
def handled() -> Handled:
    """Return a handler."""
    return Handled()


@pytest.fixture
def post(handled: Handled, http: httpx.Client) -> Iterator[Posting]:
    """Serve the app and return what posts to it and gives the status."""
    with serve_app(asgi_app(handled, secret=SECRET, seen=MemorySeen())) as url:
        yield lambda body: http.post(url, content=body).status_code


def test_a_callback_is_handled_once(post: Posting, handled: Handled) -> None:
    """Doubled, reordered, replayed with another text: once."""
    assert post(posted(7, 8)) == 200
    assert post(posted(8, 7, 8)) == 200
    assert post(posted(7, text="another")) == 200
    assert handled.ids == [7, 8]


def test_what_is_forged_truncated_or_too_large_is_refused(post: Posting, handled: Handled) -> None:
    """By its status alone, without a word, and nothing is handled."""
    good = posted(7)
    assert post(good.replace(b'"callback_id": 7', b'"callback_id": 9')) == 403
    assert post(good[:-3]) == 400
    assert post(good + b" " * 2**20) == 413
    assert handled.ids == []
    assert post(good) == 200


def test_a_body_that_comes_slowly_is_read_to_its_end(post: Posting, handled: Handled) -> None:
    """In whatever pieces."""
    good = posted(7)
    assert post(iter((good[:1], good[1:50], good[50:]))) == 200
    assert handled.ids == [7]


def test_a_body_of_another_length_than_it_says(handled: Handled, http: httpx.Client) -> None:
    """What is missing is waited for until nobody is there; what is too much is no part of it."""
    good = posted(7)
    with serve_app(asgi_app(handled, secret=SECRET, seen=MemorySeen())) as url:
        place = httpx.URL(url)
        for length, status in ((len(good) + 1, b""), (len(good) - 1, b"HTTP/1.1 400 Bad Request")):
            with socket.create_connection((place.host, place.port or 0), timeout=5) as raw:
                raw.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
                raw.sendall(good)
                raw.shutdown(socket.SHUT_WR)
                assert raw.recv(24) == status
        assert handled.ids == []
        assert http.post(url, content=good).status_code == 200


async def test_a_body_that_never_ends_is_not_read_to_its_end(handled: Handled) -> None:
    """The limit holds while it is read."""
    pieces = 0
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 2**16, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = asgi_app(handled, secret=SECRET, seen=MemorySeen())
    await app({"type": "http", "method": "POST"}, receive, send)
    assert sent[0]["status"] == 413
    assert pieces == 2**20 // 2**16 + 1


def test_only_posts_are_taken(handled: Handled, http: httpx.Client) -> None:
    """And the answer says so."""
    with serve_app(asgi_app(handled, secret=SECRET, seen=MemorySeen())) as url:
        answer = http.get(url)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


async def test_a_post_that_broke_off_is_not_answered(handled: Handled) -> None:
    """There is nobody to answer to."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError(message)

    app = asgi_app(handled, secret=SECRET, seen=MemorySeen())
    await app({"type": "http", "method": "POST"}, receive, send)
    assert handled.ids == []


async def test_it_takes_http_alone(handled: Handled) -> None:
    """A WebSocket is a mistake in the caller's routes."""
    app = asgi_app(handled, secret=SECRET, seen=MemorySeen())
    with pytest.raises(RuntimeError, match="not websocket"):
        await app({"type": "websocket"}, None, None)


def test_what_failed_comes_again_and_is_handled(http: httpx.Client) -> None:
    """The id was given back."""
    handled = Handled(failures=1)
    with serve_app(asgi_app(handled, secret=SECRET, seen=MemorySeen())) as url:
        statuses = [http.post(url, content=posted(7)).status_code for _ in range(3)]
    assert statuses == [500, 200, 200]
    assert handled.ids == [7]


def test_in_starlette(handled: Handled, http: httpx.Client) -> None:
    """Mounted or as a route, with the slash at the end and without it."""
    app = asgi_app(handled, secret=SECRET, seen=MemorySeen())
    paths = "/mounted/", "/mounted/below", "/route", "/both", "/both/"
    routes = [
        Mount("/mounted", app), Route("/route", app), Route("/both", app), Mount("/both", app)
    ]  # fmt: skip
    with serve_app(Starlette(routes=routes)) as url:
        statuses = [
            http.post(url + path, content=posted(number)).status_code
            for number, path in enumerate(paths)
        ]
    assert statuses == [200] * 5
    assert handled.ids == [0, 1, 2, 3, 4]


def _serve_one(path: Path, connection: Any) -> None:  # noqa: ANN401 - a pipe's end
    """Be one of several processes that share a file."""
    handled = Handled()
    with serve_app(asgi_app(handled, secret=SECRET, seen=SqliteSeen(path))) as url:
        connection.send(url)
        connection.recv()
    connection.send(handled.ids)


@pytest.mark.slow
def test_two_processes_that_share_a_file_handle_each_callback_once(
    tmp_path: Path, http: httpx.Client
) -> None:
    """Whichever of them it comes to, and to both at the same time, in whatever way."""
    spawn = multiprocessing.get_context("spawn")
    ends = [spawn.Pipe() for _ in range(2)]
    processes = [
        spawn.Process(target=_serve_one, args=(tmp_path / "seen.db", theirs)) for _, theirs in ends
    ]
    for process in processes:
        process.start()
    statuses: list[int] = []

    def post_again(url: str, body: bytes) -> int:
        """Post until it is not in progress in the other process, as the service does."""
        while (status := http.post(url, content=body).status_code) == 503:
            pass
        return status

    def post_all(url: str, firsts: Iterable[int]) -> None:
        for each in firsts:
            good = posted(each, each + 1)
            bodies = (
                good.replace(b'"callback_id": %d,' % each, b'"callback_id": 99,'),  # forged
                good[:-3],
                good + b" " * 2**20,
                good,
                posted(each, text="another"),  # replayed
                posted(each + 1, each, each + 1),  # reordered and doubled
            )
            statuses.extend(post_again(url, body) for body in bodies)

    try:
        urls = [ours.recv() for ours, _ in ends]
        orders = (range(8), range(7, -1, -1))
        threads = [
            threading.Thread(target=post_all, args=both) for both in zip(urls, orders, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for ours, _ in ends:
            ours.send(None)
        ids = [each for ours, _ in ends for each in ours.recv()]
    finally:
        for process in processes:
            process.join(30)
    assert Counter(statuses) == {403: 16, 400: 16, 413: 16, 200: 48}
    assert sorted(ids) == list(range(9))


def modes(place: Path) -> set[int]:
    """Return who may do what with the files of a directory."""
    return {stat.S_IMODE(each.stat().st_mode) for each in place.iterdir()}


async def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """And opened again when it is needed."""
    seen = SqliteSeen(tmp_path / "seen.db")
    await seen.keep(7)
    await seen.aclose()
    assert await seen.take(7, "a" * 32) == Taken.HANDLED
    assert modes(tmp_path) == {0o600}
    await seen.aclose()
    await seen.aclose()


async def test_who_opted_out_is_known_to_every_process(tmp_path: Path) -> None:
    """And can opt in again."""
    one, other = (SqliteOptOuts(tmp_path / "opt-outs.db") for _ in range(2))
    await one.add("+44 7443 332212")
    await one.add("447443332212")
    assert await other.contains("447443332212")
    await other.remove("447443332212")
    assert not await one.contains("447443332212")
    for each in (one, other):
        await each.aclose()
