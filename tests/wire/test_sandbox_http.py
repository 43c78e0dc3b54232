"""How requests reach the sandbox and what its answers look like, as clients really speak HTTP."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from voxsms.sandbox import Sandbox

Post = Callable[..., dict[str, Any]]
OWN = "447443332211"
TEXT = "Grüße & 100 % \N{GRINNING FACE}\r\nsecond line;\x0c[brackets] +\x00"


def credentials(sandbox: Sandbox) -> dict[str, str]:
    """Return the fields of the API key."""
    return {
        "account_id": str(sandbox.api_key.account_id),
        "api_key": sandbox.api_key.api_key,
    }


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/platform_api/ControlSms/", {}),
        ("/platform_api/ControlSms", {}),
        ("/platform_api", {"cmd": "ControlSms"}),
        ("/platform_api/", {"cmd": "ControlSms"}),
    ],
)
@pytest.mark.parametrize("way", ["form", "multipart", "query", "get"])
def test_both_ways_of_addressing_a_method(
    voxsms_sandbox: Sandbox, http: httpx.Client, path: str, fields: dict[str, str], way: str
) -> None:
    """By path or by `cmd`, with the fields in any place where a form can carry them."""
    form = credentials(voxsms_sandbox) | {"phone_number": OWN, "command": "enable"} | fields
    url = voxsms_sandbox.url + path
    if way == "form":
        answer = http.post(url, data=form)
    elif way == "multipart":
        answer = http.post(url, files={name: (None, value) for name, value in form.items()})
    elif way == "query":
        answer = http.post(url, params=form)
    else:
        answer = http.get(url, params=form)
    assert (answer.status_code, answer.json()) == (200, {"result": 1})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("multipart", [False, True])
def test_a_text_arrives_as_it_was_sent(
    voxsms_sandbox: Sandbox, http: httpx.Client, post: Post, multipart: bool
) -> None:
    """Any characters in either kind of body; a field of the body counts more than the query's."""
    form = credentials(voxsms_sandbox) | {
        "src_number": "VOXSMS",
        "dst_numbers": "447443332212",
        "text": TEXT,
        "store_body": "true",
    }
    url = f"{voxsms_sandbox.url}/platform_api/A2PSendSms/?text=other"
    parts = {name: (None, value) for name, value in form.items()}
    answer = http.post(url, files=parts) if multipart else http.post(url, data=form)
    assert answer.json()["failed"] == []
    (row,) = post("A2PGetSmsHistory")["result"]
    assert row["text"] == TEXT


def test_a_multipart_body_as_the_node_client_writes_it(
    voxsms_sandbox: Sandbox, http: httpx.Client
) -> None:
    """Parts without a content type, behind a boundary of dashes; nameless parts are passed over."""
    fields = credentials(voxsms_sandbox) | {"cmd": "GetAccountInfo"}
    boundary = "-" * 26 + "015979624041574286510741"
    part = '--{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(boundary, name, value) for name, value in fields.items())
    body += f"--{boundary}\r\nContent-Disposition: form-data\r\n\r\nnobody\r\n--{boundary}--\r\n"
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    url = f"{voxsms_sandbox.url}/platform_api"
    assert "result" in http.post(url, content=body, headers=headers).json()


@pytest.mark.parametrize("flag", ["true", "True", "false", "False"])
def test_booleans_of_either_client(voxsms_sandbox: Sandbox, post: Post, flag: str) -> None:
    """The Python client writes `True`; only a text that was to be stored is in the history."""
    numbers = "447443332212"
    post("A2PSendSms", src_number="VOXSMS", dst_numbers=numbers, text="Hi", store_body=flag)
    (row,) = post("A2PGetSmsHistory")["result"]
    assert row.get("text") == ("Hi" if flag.lower() == "true" else None)
    assert voxsms_sandbox.ledger.count == 1


@pytest.mark.voxsms_sandbox(start=datetime(2019, 6, 4, 21, 0, 0, tzinfo=UTC))
def test_the_date_is_that_of_the_sandbox(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """`Date` follows the driven clock, so that a client can learn the service's time from it."""
    url = f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/"
    assert http.post(url).headers.get_list("date") == ["Tue, 04 Jun 2019 21:00:00 GMT"]
    voxsms_sandbox.clock.advance(61)
    answer = http.post(url)
    assert answer.headers["date"] == "Tue, 04 Jun 2019 21:01:01 GMT"
    assert "server" not in answer.headers


def test_another_path(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """What the service does not serve is 404, and no request in the ledger."""
    assert http.post(f"{voxsms_sandbox.url}/elsewhere").status_code == 404
    assert dict(voxsms_sandbox.ledger.requests) == {}


def test_requests_are_counted_by_method(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The ledger counts requests whatever became of them; a method that is none is `unknown`."""
    post("GetAccountInfo")
    post("GetAccountInfo")
    post("SendSmsMessage")
    post("Explode")
    assert voxsms_sandbox.ledger.requests == {
        "GetAccountInfo": 2,
        "SendSmsMessage": 1,
        "unknown": 1,
    }
    assert voxsms_sandbox.ledger.requests["ControlSms"] == 0


def test_a_request_that_is_given_up_half_way(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A body that never arrives whole is no request."""
    host, port = voxsms_sandbox.url.removeprefix("http://").split(":")
    head = b"POST /platform_api/A2PSendSms/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head)
    post("GetAccountInfo")
    assert dict(voxsms_sandbox.ledger.requests) == {"GetAccountInfo": 1}


def test_a_connection_is_kept(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """Requests one after another go over one connection."""
    url = f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/"
    streams = {id(http.post(url).extensions["network_stream"]) for _ in range(3)}
    assert len(streams) == 1


@pytest.mark.voxsms_sandbox(keep_alive=0.05)
def test_an_idle_connection_dies_of_age(voxsms_sandbox: Sandbox) -> None:
    """After `keep_alive` seconds the server closes a connection that nobody uses."""
    host, port = voxsms_sandbox.url.removeprefix("http://").split(":")
    head = b"POST /platform_api/GetAccountInfo/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" not in answer.lower()


def test_nothing_of_a_request_is_logged(
    voxsms_sandbox: Sandbox, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    """A line names method, outcome and fault, and no logger anything of content."""
    caplog.set_level("DEBUG")
    voxsms_sandbox.faults.add("commit_then_error", method="A2PSendSms")
    post("A2PSendSms", src_number="VOXSMS", dst_numbers="447443332212", text="a secret text")
    post("Secret447443332212")
    said = [record.getMessage() for record in caplog.records if record.name == "voxsms.sandbox"]
    assert said == [
        "A2PSendSms 1 number -> 1 sent, 0.0340 USD; then the fault commit_then_error",
        "unknown method -> refused (103 UNKNOWN_COMMAND)",
    ]
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    shown = "\n".join(f"{record.getMessage()} {record.args}" for record in ours)
    for hidden in ("447443332212", "a secret text", voxsms_sandbox.api_key.api_key):
        assert hidden not in shown
