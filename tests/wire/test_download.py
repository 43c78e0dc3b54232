"""A history as the service's own file: whole under its name or not there at all."""
# ruff: noqa: ASYNC240 - a test has nobody to hold up

import asyncio
import gzip
import io
import os
import secrets
import socket
import stat
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from doubles import KEY, NOW, Act, FakeClock, always, answer, http, loopback
from loopback_tls import certificates

from voxsms import Client, Httpx2Transport, HttpxTransport
from voxsms.api.codec import Answer
from voxsms.errors import (
    ConnectionFailed,
    InvalidRequest,
    RequestRefused,
    ResponseInvalid,
    TimedOut,
)
from voxsms.transport import BodyReader, Evidence, FaultKind, Phase, Request, TransportFault
from voxsms.transport._aiohttp import AiohttpTransport

CSV = b"message_id;cost\n1;0,041\n2;0.041\n\xff\x00"
BROKE = TransportFault(FaultKind.CONNECTION, "the answer was cut off")
Part = bytes | Exception | None
"""A piece of an answer, an end of it, or (None) a wait for ever."""


class Feeding:
    """A transport that gives answers piece by piece; the last script goes on."""

    name = "feeding"
    reports_progress = True

    def __init__(self, *scripts: Sequence[Part], kind: str = "application/octet-stream") -> None:
        self.scripts = list(scripts)
        self.kind = kind
        self.requests: list[Request] = []

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Give the next answer."""
        self.requests.append(request)
        evidence.phase = Phase.READING
        reader = BodyReader(request, 200, {"content-type": self.kind})
        for part in self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]:
            if part is None:
                await anyio.sleep_forever()
            elif isinstance(part, Exception):
                raise part
            else:
                await reader.feed(part)
        return Answer(200, {"content-type": self.kind}, reader.body(), NOW)

    async def aclose(self) -> None:
        """Have nothing to close."""


def client_of(transport: Feeding, **options: Any) -> Client:  # noqa: ANN401 - those of Client
    """Give a client in driven time."""
    return Client(KEY, transport=transport, clock=FakeClock(), **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file that is not there."""
    return tmp_path / "history.csv"


def left_in(path: Path) -> list[str]:
    """Name everything that lies where a file was to go."""
    return sorted(entry.name for entry in path.parent.iterdir())


@pytest.mark.parametrize("output", ["csv", "xls"])
async def test_the_bytes_of_the_file_are_the_services(
    path: Path, output: Literal["csv", "xls"]
) -> None:
    """Untouched; its size is given; only its owner can read it; nothing else is left."""
    transport = Feeding([CSV[:7], CSV[7:]])
    size = await client_of(transport).download_sms_history(output=output, path=path, count=10)
    assert size == len(CSV)
    assert path.read_bytes() == CSV
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left_in(path) == ["history.csv"]
    assert transport.requests[0].body == (
        f"count=10&output={output}&account_id=1&api_key=k-of-the-tests".encode()
    )
    assert transport.requests[0].url.endswith("/GetSmsHistory/")
    assert not transport.requests[0].charges


async def test_both_histories_can_be_downloaded(path: Path) -> None:
    """By a path given as text, too; a file that was there is replaced."""
    path.write_text("of yesterday")
    transport = Feeding([CSV])
    size = await client_of(transport).download_a2p_sms_history(output="csv", path=str(path))
    assert size == len(CSV)
    assert path.read_bytes() == CSV
    assert transport.requests[0].url.endswith("/A2PGetSmsHistory/")


async def test_json_is_no_file_to_download(path: Path) -> None:
    """The wire knows `output=json`, which is what the history call is for: nothing is sent."""
    transport = Feeding([CSV])
    wrong: Any = "json"
    with pytest.raises(InvalidRequest, match="output: is json; it must be csv or xls"):
        await client_of(transport).download_sms_history(output=wrong, path=path)
    assert transport.requests == []


async def test_an_empty_file_is_a_file(path: Path) -> None:
    """A history without rows may be no bytes at all."""
    assert await client_of(Feeding([])).download_sms_history(output="csv", path=path) == 0
    assert path.read_bytes() == b""


async def test_a_refusal_comes_as_json_and_leaves_no_file(path: Path) -> None:
    """The service answers with its error where a file was expected."""
    refusal = answer({"error": {"code": 105, "msg": "bad output"}}).body
    client = client_of(Feeding([refusal], kind="application/json"))
    with pytest.raises(RequestRefused, match="105"):
        await client.download_sms_history(output="csv", path=path)
    assert left_in(path) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b'{"result": []}', "application/json"), (b"<html>", "text/html"), (b"<html>", "Text/HTML")],
)
async def test_what_is_no_file_is_not_kept_as_one(path: Path, body: bytes, kind: str) -> None:
    """JSON without an error, or a gateway's page: `ResponseInvalid`, and the old file stays."""
    path.write_text("of yesterday")
    client = client_of(Feeding([body], kind=kind), max_attempts=1)
    with pytest.raises(ResponseInvalid):
        await client.download_sms_history(output="csv", path=path)
    assert path.read_text() == "of yesterday"
    assert left_in(path) == ["history.csv"]


async def test_a_download_that_breaks_is_begun_again(path: Path) -> None:
    """What came before is forgotten, so that no row is there twice."""
    transport = Feeding([CSV[:20], BROKE], [BROKE], [CSV])
    assert await client_of(transport).download_sms_history(output="csv", path=path) == len(CSV)
    assert path.read_bytes() == CSV
    assert len(transport.requests) == 3


async def test_a_download_that_broke_before_its_first_byte_is_begun_again(path: Path) -> None:
    """There was nothing to forget."""
    assert await client_of(Feeding([BROKE], [CSV])).download_sms_history(output="csv", path=path)
    assert path.read_bytes() == CSV


async def test_json_is_no_kind_of_file(path: Path) -> None:
    """It is what `get_sms_history` is for; told before anything is sent."""
    transport = Feeding([CSV])
    with pytest.raises(InvalidRequest, match="output: "):
        await client_of(transport).download_sms_history(output="json", path=path)  # type: ignore[arg-type]  # the point
    assert transport.requests == []


async def test_a_download_that_fails_leaves_no_trace(path: Path) -> None:
    """Neither a part nor a half file; a file that was there is still there."""
    path.write_text("of yesterday")
    with pytest.raises(ConnectionFailed):
        await client_of(Feeding([CSV, BROKE])).download_sms_history(output="csv", path=path)
    assert left_in(path) == ["history.csv"]
    assert path.read_text() == "of yesterday"


@pytest.mark.parametrize("native", [True, False], ids=["asyncio", "anyio"])
async def test_a_download_that_is_cancelled_leaves_no_trace(path: Path, native: bool) -> None:
    """Neither a file nor an open handle."""
    client = client_of(Feeding([CSV, None]))

    async def download() -> None:
        await client.download_sms_history(output="csv", path=path)

    if native:
        task = asyncio.ensure_future(download())
        for _ in range(200):
            await asyncio.sleep(0.001)
            if left_in(path):
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with anyio.move_on_after(0.1):
            await download()
    assert left_in(path) == []


async def test_a_download_cancelled_at_any_step_leaves_no_trace(path: Path) -> None:
    """Wherever it is: opening, writing, keeping. The file is whole or not there."""
    client = client_of(Feeding([CSV, CSV]))
    for steps in range(40):
        task = asyncio.ensure_future(client.download_sms_history(output="csv", path=path))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await anyio.to_thread.run_sync(lambda: None)
        assert left_in(path) in ([], ["history.csv"])
        assert not path.exists() or path.read_bytes() == CSV * 2


async def test_a_deadline_of_a_download(path: Path) -> None:
    """It is a timeout like any other and leaves no trace."""
    client = client_of(Feeding([CSV, None]), deadline=0.05)
    with pytest.raises(TimedOut):
        await client.download_sms_history(output="csv", path=path)
    assert left_in(path) == []


async def test_a_file_that_the_user_opened_is_filled(path: Path) -> None:
    """`anyio.open_file`, or anything with an async `write`; it is left open."""
    async with await anyio.open_file(path, "wb") as file:
        size = await client_of(Feeding([CSV[:5], CSV[5:]])).download_sms_history(
            output="csv", path=file
        )
        await file.write(b"more")
    assert size == len(CSV)
    assert path.read_bytes() == CSV + b"more"


class Own:
    """A user's own async file."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    async def write(self, data: bytes, /) -> None:
        """Keep it."""
        self.parts.append(data)


async def test_a_half_filled_file_of_the_users_is_not_filled_twice() -> None:
    """What was written can not be taken back: the fault is raised."""
    own, transport = Own(), Feeding([CSV, BROKE], [CSV])
    with pytest.raises(ConnectionFailed):
        await client_of(transport).download_sms_history(output="csv", path=own)
    assert own.parts == [CSV]
    assert len(transport.requests) == 1


async def test_an_untouched_file_of_the_users_is_tried_again() -> None:
    """Nothing was written yet."""
    own = Own()
    await client_of(Feeding([BROKE], [CSV])).download_sms_history(output="csv", path=own)
    assert own.parts == [CSV]


async def test_a_write_that_fails_is_raised_as_it_is() -> None:
    """A full disk is an `OSError`, and no reason to ask the service again."""

    class Full(Own):
        async def write(self, data: bytes, /) -> None:  # noqa: ARG002 - nothing fits
            raise OSError("No space left on device")

    transport = Feeding([CSV])
    with pytest.raises(OSError, match="No space left"):
        await client_of(transport).download_sms_history(output="csv", path=Full())
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (None, "path: is None; it must be a path or a file"),
        (7, "path: is a value of type int; it must be a path or a file"),
        (b"x.csv", "path: is a value of type bytes; it must be a path or a file"),
        (io.BytesIO(), "path: is a file that blocks; give its path, or open it with"),
        ("/no/such/place/x.csv", "path: is in a directory that does not exist"),
        ("/", "path: is a directory; it must be the path of a file"),
    ],
)
async def test_a_bad_target_is_told_before_anything_is_sent(target: object, problem: str) -> None:
    """In words that say what to give instead."""
    transport = Feeding([CSV])
    with pytest.raises(InvalidRequest) as caught:
        await client_of(transport).download_sms_history(output="csv", path=target)  # type: ignore[arg-type]  # the point
    assert problem in str(caught.value)
    assert str(caught.value).startswith("GetSmsHistory: ")
    assert transport.requests == []


async def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    """The file beside it has a shorter one."""
    path = tmp_path / f"{'ж' * 125}.csv"
    await client_of(Feeding([CSV])).download_sms_history(output="csv", path=path)
    assert path.read_bytes() == CSV


@pytest.fixture(params=[HttpxTransport, AiohttpTransport])
async def carried(
    request: pytest.FixtureRequest,
) -> AsyncIterator[HttpxTransport | AiohttpTransport]:
    """Give a real transport."""
    transport = request.param()
    yield transport
    await transport.aclose()


async def test_a_large_file_is_streamed(
    carried: HttpxTransport | AiohttpTransport, path: Path
) -> None:
    """Larger than the largest answer that is held in memory."""
    megabyte = bytes(range(256)) * 4096

    async def act(writer: asyncio.StreamWriter, _request: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\n\r\n" % (40 * len(megabyte))
        )
        for _ in range(40):
            writer.write(megabyte)
            await writer.drain()

    async with loopback(act) as server:
        client = Client(KEY, server.url, transport=carried)
        assert await client.download_sms_history(output="csv", path=path) == 40 * 2**20
    assert path.stat().st_size == 40 * 2**20
    assert path.read_bytes()[-256:] == megabyte[-256:]


async def test_a_file_that_is_cut_off_is_noticed(
    carried: HttpxTransport | AiohttpTransport, path: Path
) -> None:
    """Fewer bytes than were announced are no file."""
    cut = http(CSV * 2, "200 OK", "Content-Type: text/csv")[: -len(CSV)]

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(cut)
        await writer.drain()
        writer.close()

    async with loopback(act) as server:
        client = Client(KEY, server.url, transport=carried, clock=FakeClock())
        with pytest.raises(ConnectionFailed):
            await client.download_sms_history(output="csv", path=path)
        assert len(server.requests) == 4
    assert left_in(path) == []


async def test_a_packed_file_is_unpacked(
    carried: HttpxTransport | AiohttpTransport, path: Path
) -> None:
    """The transport's compression is no part of the file."""
    packed = http(gzip.compress(CSV), "200 OK", "Content-Type: text/csv", "Content-Encoding: gzip")
    async with loopback(always(packed)) as server:
        client = Client(KEY, server.url, transport=carried)
        assert await client.download_sms_history(output="csv", path=path) == len(CSV)
    assert path.read_bytes() == CSV


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(secrets.token_bytes(50_000))
CUT = {
    "length": HEAD + b"Content-Length: 99\r\n\r\n" + CSV,
    "between chunks": CHUNKED + b"%x\r\n%s\r\n" % (len(CSV), CSV),
    "within a chunk": CHUNKED + b"99\r\n" + CSV,
    "gzip": HEAD + b"Content-Encoding: gzip\r\n\r\n" + PACKED[:20_000],
    "deflate": HEAD + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(PACKED)[:20_000],
    "gzip of right length": http(
        PACKED[:20_000], "200 OK", "Content-Type: text/csv", "Content-Encoding: gzip"
    ),
}
"""Answers that end before their end, and say so."""
UNMARKED = HEAD + b"\r\n" + CSV
"""An answer whose end is that of its connection."""
Carrier = Callable[..., HttpxTransport | AiohttpTransport]


@pytest.fixture(params=[HttpxTransport, Httpx2Transport, AiohttpTransport])
def make(request: pytest.FixtureRequest) -> Carrier:
    """Give one real transport after the other."""
    made: Carrier = request.param
    return made


def ends(payload: bytes, *, close_notify: bool = True) -> Act:
    """Make an act that writes and ends the connection; TLS can be cut off below."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(payload)
        await writer.drain()
        if close_notify:
            writer.close()
            return
        below = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
        with below:
            below.shutdown(socket.SHUT_RDWR)

    return act


@pytest.mark.parametrize("payload", CUT.values(), ids=CUT)
async def test_a_file_whose_end_did_not_come_is_no_file(
    make: Carrier, path: Path, payload: bytes
) -> None:
    """Its framing or its compression shows it: it is asked for again, and leaves no trace."""
    async with loopback(ends(payload)) as server:
        client = Client(KEY, server.url, transport=make(), clock=FakeClock(), max_attempts=2)
        with pytest.raises(ConnectionFailed, match=r"cut off|closed the connection"):
            await client.download_sms_history(output="csv", path=path)
        assert len(server.requests) == 2
        await client.aclose()
    assert left_in(path) == []


@pytest.mark.parametrize("close_notify", [True, False])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tls_tells_where_an_unmarked_file_was_cut_off(
    make: Carrier, path: Path, backend: str, *, close_notify: bool
) -> None:
    """Whoever closes says so before (`close_notify`); a connection that was cut says nothing."""
    if make is AiohttpTransport and backend == "trio":
        return  # asyncio only
    trust, act = certificates(), ends(UNMARKED, close_notify=close_notify)

    async def download(url: str) -> None:
        transport, clock = make(verify=trust.client), FakeClock()
        async with Client(KEY, url, transport=transport, clock=clock, max_attempts=2) as client:
            if close_notify:
                assert await client.download_sms_history(output="csv", path=path) == len(CSV)
                return
            with pytest.raises(ConnectionFailed, match="cut off"):
                await client.download_sms_history(output="csv", path=path)

    async def serve_beside() -> None:
        async with loopback(act, trust.server) as server:
            url = server.url.replace("http:", "https:")
            run = partial(anyio.run, download, url, backend=backend)
            await asyncio.to_thread(run)

    asyncio.run(serve_beside())
    assert left_in(path) == (["history.csv"] if close_notify else [])


async def test_where_nothing_marks_the_end_of_a_file_it_is_taken_as_it_is(
    make: Carrier, path: Path
) -> None:
    """Without TLS nobody can know; the docstring says so."""
    async with loopback(ends(UNMARKED)) as server:
        client = Client(KEY, server.url, transport=make())
        assert await client.download_sms_history(output="csv", path=path) == len(CSV)
        await client.aclose()
    assert "It goes unnoticed only without TLS" in str(Client.download_sms_history.__doc__)


@pytest.mark.parametrize(
    ("payload", "size"),
    [
        (gzip.compress(CSV) + gzip.compress(CSV), 2 * len(CSV)),
        (gzip.compress(bytes(3 * 2**20)), 3 * 2**20),
        (b"", 0),
    ],
    ids=["two members", "larger than a piece", "empty"],
)
async def test_a_packed_file_is_unpacked_to_its_end(
    make: Carrier, path: Path, payload: bytes, size: int
) -> None:
    """Whatever it is packed like."""
    reply = http(payload, "200 OK", "Content-Type: text/csv", "Content-Encoding: gzip")
    async with loopback(always(reply)) as server:
        client = Client(KEY, server.url, transport=make())
        assert await client.download_sms_history(output="csv", path=path) == size
        await client.aclose()
    assert path.stat().st_size == size


async def test_what_stands_behind_a_packed_file_is_an_error(make: Carrier, path: Path) -> None:
    """It is damaged, or not what it says."""
    damaged = gzip.compress(CSV) + b"and more"
    reply = http(damaged, "200 OK", "Content-Type: text/csv", "Content-Encoding: gzip")
    async with loopback(always(reply)) as server:
        client = Client(KEY, server.url, transport=make(), max_attempts=1)
        with pytest.raises(ResponseInvalid, match="compression is damaged"):
            await client.download_sms_history(output="csv", path=path)
        await client.aclose()
    assert left_in(path) == []
