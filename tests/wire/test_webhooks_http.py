"""Callbacks over real HTTP: each is handled once, by whichever process it comes to."""

import hashlib
import json
import multiprocessing
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from doubles import FakeClock

from voxsms.testing import serve_app
from voxsms.webhooks import (
    Callback,
    CallbackSecret,
    InboundSms,
    MemorySeen,
    Seen,
    SqliteOptOuts,
    SqliteSeen,
    asgi_app,
)

SECRET = CallbackSecret("pepper-of-the-tests", 1, "k-of-the-tests")
Posting = Callable[[bytes], int]


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


def test_mounted_in_starlette(handled: Handled, http: httpx.Client) -> None:
    """At whatever path."""
    from starlette.applications import Starlette  # noqa: PLC0415 - for this test alone
    from starlette.routing import Mount  # noqa: PLC0415

    app = asgi_app(handled, secret=SECRET, seen=MemorySeen())
    with serve_app(Starlette(routes=[Mount("/voximplant", app)])) as url:
        assert http.post(f"{url}/voximplant/", content=posted(7)).status_code == 200
    assert handled.ids == [7]


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
            statuses.extend(http.post(url, content=body).status_code for body in bodies)

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


async def test_a_callback_whose_process_died_is_handled_by_another(tmp_path: Path) -> None:
    """After ten minutes, in which the process could still be at it."""
    clock = FakeClock()
    died, other = (SqliteSeen(tmp_path / "seen.db", clock=clock) for _ in range(2))
    assert await died.take(7)
    assert not await other.take(7)
    clock.passed += 601
    assert await other.take(7)
    await other.keep(7)
    clock.passed += 10**9
    assert not await died.take(7)
    await died.give_back(7)
    assert not await other.take(7)
    for each in (died, other):
        await each.aclose()


def modes(place: Path) -> set[int]:
    """Return who may do what with the files of a directory."""
    return {stat.S_IMODE(each.stat().st_mode) for each in place.iterdir()}


async def test_what_was_given_back_is_taken_again(tmp_path: Path) -> None:
    """By whoever comes first; the file is for its owner alone, and opened again when needed."""
    seen: Seen = SqliteSeen(tmp_path / "seen.db")
    assert await seen.take(2**63 - 1)
    await seen.give_back(2**63 - 1)
    assert await seen.take(2**63 - 1)
    assert isinstance(seen, SqliteSeen)
    await seen.aclose()
    assert not await seen.take(2**63 - 1)
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
