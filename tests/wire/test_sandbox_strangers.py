"""What a stranger can do to a sandbox: nothing that lasts, costs much, or is read by others."""

import base64
import os
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from voxsms.sandbox import Sandbox, serve

Post = Callable[..., dict[str, Any]]
LIMIT = 2 * 1024 * 1024
A2P = {"src_number": "VOXSMS", "dst_numbers": "447443332212", "text": "Hi"}
BOUNDARY = "b0undary"
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def login(sandbox: Sandbox) -> dict[str, str]:
    """Return the form fields of the API key."""
    key = sandbox.api_key
    return {"account_id": str(key.account_id), "api_key": key.api_key}


def url(sandbox: Sandbox, method: str = "GetAccountInfo") -> str:
    """Return the address of a method."""
    return f"{sandbox.url}/platform_api/{method}/"


def parts(fields: dict[str, str], head: str = "") -> bytes:
    """Write a multipart body."""
    part = '--{}\r\nContent-Disposition: form-data; name="{}"\r\n{}\r\n{}\r\n'
    body = "".join(part.format(BOUNDARY, name, head, value) for name, value in fields.items())
    return f"{body}--{BOUNDARY}--\r\n".encode()


def padded(body: bytes, length: int, name: bytes = b"&ignored=") -> bytes:
    """Fill a form with a field that means nothing up to a length."""
    return body + name + b"x" * (length - len(body) - len(name))


def modes(directory: Path) -> dict[str, int]:
    """Return the permissions of every file in a directory."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let files be readable for all unless a program asks for less."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_a_database_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 0600 before SQLite has written a byte, and for every file beside it."""
    seen: list[dict[str, int]] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def look(*args: Any, **kwargs: Any) -> sqlite3.Connection:  # noqa: ANN401 - sqlite3's own
        seen.append(modes(tmp_path))
        return connect(*args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", look)
    file = tmp_path / "account.sqlite"
    with serve(database=file):
        assert seen == [{"account.sqlite": 0o600}]
        with connect(file) as db:
            assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
            db.execute("INSERT INTO numbers VALUES ('1', 0)")
        db.close()
    with serve(database=file) as sandbox:
        httpx.post(url(sandbox, "A2PSendSms"), data=A2P | login(sandbox))
        assert len(modes(tmp_path)) == 3  # -wal and -shm
        assert set(modes(tmp_path).values()) == {0o600}


@pytest.mark.usefixtures("open_umask")
def test_a_database_that_others_could_read(tmp_path: Path) -> None:
    """One that is there already is taken from the others, with what stands beside it."""
    file = tmp_path / "account.sqlite"
    with serve(database=file):
        pass
    file.chmod(0o644)
    (tmp_path / "account.sqlite-journal").touch()
    with serve(database=file):
        assert set(modes(tmp_path).values()) == {0o600}


@pytest.mark.usefixtures("open_umask")
def test_a_database_behind_a_link(tmp_path: Path) -> None:
    """The file that a link names is made private, also where it did not exist."""
    (tmp_path / "link").symlink_to(tmp_path / "account.sqlite")
    with serve(database=tmp_path / "link"):
        assert modes(tmp_path)["account.sqlite"] == 0o600


def test_a_database_that_is_something_else(tmp_path: Path) -> None:
    """A directory or a file of another kind is an error before anything listens."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file: Is a dir"):
        serve(database=tmp_path).start()
    (tmp_path / "text").write_text("This is no database. " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        serve(database=tmp_path / "text").start()


@pytest.mark.usefixtures("open_umask")
def test_credentials_over_a_file_that_others_could_read(
    voxsms_sandbox: Sandbox, tmp_path: Path
) -> None:
    """A new file takes the place of the old one: who has that open does not see the key."""
    file = tmp_path / "credentials.json"
    file.touch(mode=0o644)
    with file.open() as old:
        assert voxsms_sandbox.save_credentials(file) == file
        assert old.read() == ""
    assert modes(tmp_path) == {"credentials.json": 0o600}
    assert voxsms_sandbox.auth.key_id in file.read_text()
    with pytest.raises(FileNotFoundError, match="missing/key"):
        voxsms_sandbox.save_credentials(tmp_path / "missing" / "key")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("multipart", [False, True])
def test_a_body_beyond_the_limit(
    voxsms_sandbox: Sandbox, http: httpx.Client, post: Post, chunked: bool, multipart: bool
) -> None:
    """HTTP 413 as a gateway says it, seen also by a client that writes all before it reads."""
    body = b"x" * (4 * LIMIT)
    if multipart:
        body = parts({"file": body.decode()})
    answer = http.post(
        url(voxsms_sandbox),
        content=iter([body]) if chunked else body,
        headers=MULTIPART if multipart else {},
    )
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert dict(voxsms_sandbox.ledger.requests) == {}
    assert "result" in post("GetAccountInfo")


def connect(sandbox: Sandbox) -> socket.socket:
    """Open a connection."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


HEAD = b"POST /platform_api/GetAccountInfo/ HTTP/1.1\r\nhost: x\r\n"


def test_a_length_beyond_the_limit(voxsms_sandbox: Sandbox) -> None:
    """Refused by its header, before a byte of the body came, and without asking for it."""
    with connect(voxsms_sandbox) as connection:
        head = b"content-length: %d\r\nexpect: 100-continue\r\n\r\n" % (LIMIT + 1)
        connection.sendall(HEAD + head)
        assert connection.recv(12) == b"HTTP/1.1 413"


@pytest.mark.slow
def test_a_body_that_never_ends(voxsms_sandbox: Sandbox, post: Post) -> None:
    """It is answered at the limit, read on for a moment, and cut; meanwhile others are answered."""
    with connect(voxsms_sandbox) as connection:
        connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(LIMIT // 0x10000):
            connection.sendall(chunk)
        assert "result" in post("GetAccountInfo")
        connection.sendall(chunk)
        assert connection.recv(12) == b"HTTP/1.1 413"
        assert "result" in post("GetAccountInfo")
        while connection.recv(65536):
            pass


def test_slow_bodies_hold_nobody_up(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Others are answered while bodies are still to come."""
    waiting = [connect(voxsms_sandbox) for _ in range(20)]
    for connection in waiting:
        connection.sendall(HEAD + b"content-length: 100\r\n\r\na")
    assert "result" in post("GetAccountInfo")
    for connection in waiting:
        connection.close()


def test_too_long_a_head(voxsms_sandbox: Sandbox) -> None:
    """64 KiB of headers are the most."""
    with connect(voxsms_sandbox) as connection:
        connection.sendall(HEAD + b"x: " + b"x" * 70_000)
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_too_many_fields_in_the_query(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """They are counted there, too."""
    assert http.post(f"{url(voxsms_sandbox)}?{'a=1&' * 101}").status_code == 413


NESTED = "content-type: multipart/mixed; boundary=inner\r\n\r\n" + "--inner\r\n\r\n\r\n" * 50_000
COSTLY = {
    "many parts": b"--b0undary\r\n\r\n\r\n" * 100_000,
    "parts in a part": parts({"a": NESTED}, head="content-type: multipart/mixed; boundary=i\r\n"),
    "short lines": parts({"a": "\r\n" * 1_000_000}),
    "almost a boundary": b"\r\n--b0undar" * 190_000,
    "blanks behind a boundary": b"--b0undary" + b" \t" * 1_000_000,
    "names in a head": b"--b0undary\r\n" + b"content-disposition:" * 100_000,
}


@pytest.mark.parametrize("body", COSTLY.values(), ids=COSTLY)
def test_a_stranger_costs_little(voxsms_sandbox: Sandbox, http: httpx.Client, body: bytes) -> None:
    """Whatever 2 MiB hold, less than a second of time is spent on who has no credentials."""
    start = time.process_time()
    answer = http.post(url(voxsms_sandbox), content=body[:LIMIT], headers=MULTIPART)
    assert time.process_time() - start < 1
    assert answer.status_code == 413 or answer.json()["error"]["code"] == 100


def test_the_fields_of_multipart(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """Names with or without quotes, a boundary with quotes, blanks behind it, text before it."""
    fields = login(voxsms_sandbox)
    body = b"preamble\r\n" + parts(fields)
    body = body.replace(b'name="api_key"', b"name=api_key").replace(
        b"--b0undary\r\n", b"--b0undary \t\r\n"
    )
    quoted = {"content-type": f'Multipart/Form-Data; charset=utf-8; Boundary="{BOUNDARY}"'}
    answer = http.post(url(voxsms_sandbox), content=body, headers=quoted)
    assert "result" in answer.json()
    spoken = A2P | fields | {"text": f"--{BOUNDARY}\n\r\n--{BOUNDARY}s are text"}
    answer = http.post(url(voxsms_sandbox, "A2PSendSms"), content=parts(spoken), headers=MULTIPART)
    assert answer.json()["failed"] == []


def deep(token_part: str) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(token_part.encode()).decode().rstrip("=")


STRANGERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}),
    "a wrong key": ({"api_key": "wrong"}, {}),
    "another account": ({"account_id": "1", "api_key": "wrong"}, {}),
    "a bad token": ({}, {"authorization": "Bearer x.y.z"}),
    "a deep token": ({}, {"authorization": f"Bearer {deep('[' * 40_000)}.{deep('{}')}.AAAA"}),
    "no token": ({}, {"authorization": "Basic YTpi"}),
}


@pytest.mark.voxsms_sandbox(faults="commit_then_close, error@A2PSendSms:code=340", rate_limit=1)
@pytest.mark.parametrize(("fields", "headers"), STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_meets_no_fault(
    voxsms_sandbox: Sandbox,
    http: httpx.Client,
    fields: dict[str, str],
    headers: dict[str, str],
) -> None:
    """Faults are for who may call; nor does anybody else use up the rate or move money or ids."""
    for method in ("A2PSendSms", "GetAccountInfo", "ControlSms"):
        answer = http.post(url(voxsms_sandbox, method), data=A2P | fields, headers=headers)
        assert answer.json()["error"]["code"] in (100, 115, 447)
    assert len(voxsms_sandbox.faults.pending) == 2
    assert voxsms_sandbox.faults.happened == ()
    assert voxsms_sandbox.ledger.count == 0
    assert voxsms_sandbox.balance == 100
    sent = url(voxsms_sandbox, "A2PSendSms")
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(sent, data=A2P | login(voxsms_sandbox))
    assert http.post(sent, data=A2P | login(voxsms_sandbox)).json()["error"]["code"] == 340
    assert [delivery.message_id for delivery in voxsms_sandbox.ledger.deliveries] == [1]


@pytest.mark.parametrize("destination", ["447443332212", "+447443332212", "14155550142"])
def test_numbers_as_other_clients_write_them(post: Post, destination: str) -> None:
    """Digits alone, as the reference has them, or with the plus sign that people add."""
    answer = post("A2PSendSms", **A2P | {"dst_numbers": destination})
    accepted = [each["destination_number"] for each in answer["result"]]
    assert accepted == [destination.removeprefix("+")]


@pytest.mark.parametrize(
    "destination",
    [
        "447443332212.0",
        "+44 (0)7443 332212",
        "4.47443E+11",
        "07443332212",
        "2026-01-15",
        "127.0.0.1",
    ],
)
def test_numbers_that_the_service_cannot_take(post: Post, destination: str) -> None:
    """What could be another number, or none, is refused with the code of its parameter."""
    sent = post("A2PSendSms", **A2P | {"dst_numbers": destination})
    assert sent["error"]["code"] == 423
    controlled = post("ControlSms", phone_number=destination, command="enable")
    assert controlled["error"]["code"] == 121
