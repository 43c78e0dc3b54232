"""A stranger on this machine reads nothing of a sandbox, costs it little, changes nothing."""

import base64
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from voxsms.sandbox import Sandbox, serve

Post = Callable[..., dict[str, Any]]
LIMIT = 2 * 1024 * 1024
A2P = {"src_number": "VOXSMS", "dst_numbers": "447443332212", "text": "Hi"}


def form(sandbox: Sandbox) -> dict[str, str]:
    """Return an A2P request with the API key."""
    key = sandbox.api_key
    return A2P | {"account_id": str(key.account_id), "api_key": key.api_key}


def url(sandbox: Sandbox) -> str:
    """Return where an A2P request goes."""
    return f"{sandbox.url}/platform_api/A2PSendSms/"


def mode(file: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(file.stat().st_mode)


def test_a_database_is_for_its_user_alone(tmp_path: Path) -> None:
    """From the first moment; one that others could read is closed to them, with all beside it."""
    file = tmp_path / "books.sqlite"
    with serve(database=file):
        assert mode(file) == 0o600
    beside = [tmp_path / f"books.sqlite{suffix}" for suffix in ("-journal", "-wal", "-shm")]
    for each in (file, *beside[1:]):
        each.touch()
        each.chmod(0o644)
    modes: list[int] = []
    with serve(database=file), closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE account SET balance = 1")
        modes += [mode(each) for each in (file, *beside) if each.exists()]
        database.execute("ROLLBACK")
    assert len(modes) >= 2  # SQLite's journal is one of them
    assert set(modes) == {0o600}


def test_a_database_in_memory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own name for it is understood."""
    monkeypatch.chdir(tmp_path)
    with serve(database=":memory:") as sandbox:
        assert sandbox.balance == 100
    assert not list(tmp_path.iterdir())


def test_credentials_are_for_their_user_alone(voxsms_sandbox: Sandbox, tmp_path: Path) -> None:
    """Also in a file that was there before, with whatever mode."""
    file = tmp_path / "credentials.json"
    assert mode(voxsms_sandbox.save_credentials(file)) == 0o600
    file.chmod(0o666)
    assert mode(voxsms_sandbox.save_credentials(file)) == 0o600


def _of_unknown_length(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("headers", [URLENCODED, MULTIPART])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [LIMIT + 1, 5 * LIMIT])
def test_a_body_that_is_too_long(
    voxsms_sandbox: Sandbox,
    http: httpx.Client,
    post: Post,
    headers: dict[str, str],
    chunked: bool,
    size: int,
) -> None:
    """HTTP 413 for every kind of body, with and without a length; the next request is served."""
    body = b"a" * size
    content = _of_unknown_length(body) if chunked else body
    answer = http.post(url(voxsms_sandbox), content=content, headers=headers)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert answer.text == "The body is longer than 2097152 bytes.\n"
    assert post("A2PSendSms", **A2P)["failed"] == []


def test_a_body_at_the_limit(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """2 MiB are read: what is wrong with them is then the parameter's."""
    body = "&".join(f"{name}={value}" for name, value in form(voxsms_sandbox).items()) + "&x="
    answer = http.post(
        url(voxsms_sandbox), content=body + "x" * (LIMIT - len(body)), headers=URLENCODED
    )
    assert answer.status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"5\r\nhello\r\n"])
def test_a_long_body_is_refused_before_it_is_there(voxsms_sandbox: Sandbox, sent: bytes) -> None:
    """By its announced length, or in the middle of its chunks; then the connection ends."""
    host, port = voxsms_sandbox.url.removeprefix("http://").split(":")
    length = b"transfer-encoding: chunked" if sent else b"content-length: 99999999"
    head = b"POST /platform_api/A2PSendSms/ HTTP/1.1\r\nhost: x\r\n" + length + b"\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head + sent)
        if sent:
            chunk = b"%x\r\n%s\r\n" % (LIMIT, b"a" * LIMIT)
            connection.sendall(chunk)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_end(voxsms_sandbox: Sandbox) -> None:
    """The connection is cut some megabytes after the answer."""
    host, port = voxsms_sandbox.url.removeprefix("http://").split(":")
    head = (
        b"POST /platform_api/A2PSendSms/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n%s\r\n" % (LIMIT // 2, b"a" * (LIMIT // 2))
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(chunk * 200)


def _parts(count: int, **fields: str) -> bytes:
    parts = [(f"f{number}", "") for number in range(count - len(fields))] + list(fields.items())
    form = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    )
    return f"{form}--b--\r\n".encode()


def _pairs(count: int, **fields: str) -> bytes:
    pairs = [f"f{number}=" for number in range(count - len(fields))]
    return "&".join([*pairs, *(f"{name}={value}" for name, value in fields.items())]).encode()


@pytest.mark.parametrize(
    ("write", "headers"), [(_parts, MULTIPART), (_pairs, URLENCODED)], ids=["multipart", "form"]
)
def test_a_form_of_too_many_fields(
    voxsms_sandbox: Sandbox,
    http: httpx.Client,
    write: Callable[..., bytes],
    headers: dict[str, str],
) -> None:
    """A hundred are read; more, and HTTP 413 without the time to look at each."""
    fields = form(voxsms_sandbox)
    hundred = http.post(url(voxsms_sandbox), content=write(100, **fields), headers=headers)
    assert hundred.json()["failed"] == []
    more = http.post(url(voxsms_sandbox), content=write(101, **fields), headers=headers)
    assert (more.status_code, more.text) == (413, "More than 100 fields.\n")
    many = http.post(url(voxsms_sandbox), content=write(20_000), headers=headers)
    assert many.status_code == 413
    assert voxsms_sandbox.ledger.count == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" * (LIMIT // 2),
        b"--b\r\n" + b"x: y\r\n" * (LIMIT // 8),
        b"--b\r\ncontent-disposition: form-data" + b";" * (LIMIT - 100),
        b"--b\r\ncontent-disposition: form-data;" + b" " * (LIMIT - 100),
        b"--b\r\ncontent-type: multipart/mixed; boundary=c\r\n\r\n" + b"--c\r\n" * (LIMIT // 6),
        b"--b\r\n" + b"content-disposition:;\r\n" * (LIMIT // 24),
    ],
    ids=["lines", "headers", "options", "blanks", "nested", "dispositions"],
)
def test_a_form_made_to_be_costly(voxsms_sandbox: Sandbox, http: httpx.Client, body: bytes) -> None:
    """Two mebibytes of anything are read in far less than a second, and are no credentials."""
    started = time.process_time()
    answer = http.post(url(voxsms_sandbox), content=body, headers=MULTIPART)
    assert answer.json()["error"]["code"] == 100
    assert time.process_time() - started < 2  # tens of milliseconds; it was 20 s


@pytest.mark.parametrize(
    ("content_type", "good"),
    [
        ('multipart/form-data; boundary="b"', True),
        ("Multipart/Form-Data; charset=utf-8; Boundary=b", True),
        ("multipart/form-data", False),
    ],
)
def test_the_boundary_of_a_form(
    voxsms_sandbox: Sandbox, http: httpx.Client, content_type: str, good: bool
) -> None:
    """Quoted or not; without one there are no fields, and so no credentials."""
    body = _parts(6, **form(voxsms_sandbox)).replace(b'name="text"', b"name=text")
    body = body.replace(b"--b--", b"--b\r\n\r\nnameless\r\n--b--")
    answer = http.post(
        url(voxsms_sandbox), content=body, headers={"content-type": content_type}
    ).json()
    assert ("error" not in answer) is good


def _token(sandbox: Sandbox, key: str) -> str:
    claims = {"iss": str(sandbox.auth.account_id), "iat": time.time(), "exp": time.time() + 60}
    return jwt.encode(claims, key, "RS256", {"kid": sandbox.auth.key_id})


@pytest.mark.voxsms_sandbox(faults="rate_limited", rate_limit=1)
def test_only_who_may_call_changes_anything(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """A stranger's request meets no scripted fault, uses up no rate, charges nothing."""
    good = form(voxsms_sandbox)
    address = url(voxsms_sandbox)
    signed = _token(voxsms_sandbox, voxsms_sandbox.auth.private_key)
    forged = signed[:-8] + "AAAAAAAA"
    strangers = [
        http.post(address, data=A2P),
        http.post(address, data=good | {"api_key": "wrong"}),
        http.post(address, data=good | {"account_id": "1"}),
        http.post(address, data=good, headers={"authorization": "Basic YTpi"}),
        http.post(address, data=A2P, headers={"authorization": f"Bearer {forged}"}),
        http.post(address.replace("A2PSendSms", "Nothing"), data=good),
    ]
    codes = [answer.json()["error"]["code"] for answer in strangers]
    assert codes == [100, 100, 115, 447, 100, 103]
    assert [fault.kind for fault in voxsms_sandbox.faults.pending] == ["rate_limited"]
    assert voxsms_sandbox.faults.happened == ()
    assert voxsms_sandbox.ledger.count == 0
    assert voxsms_sandbox.balance == 100
    assert http.post(address, data=good).json()["error"]["code"] == 340
    assert voxsms_sandbox.faults.pending == ()
    sent = http.post(address, data=A2P, headers={"authorization": f"Bearer {signed}"}).json()
    assert sent["result"][0]["message_id"] == 1


def test_a_token_that_is_nested_deeply(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """It is no token, and no trouble of the server either."""
    header = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    answer = http.post(
        url(voxsms_sandbox), data=A2P, headers={"authorization": f"Bearer {header}.e30.e30"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, 447)
