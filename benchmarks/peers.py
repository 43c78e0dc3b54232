"""How often one send call is delivered when its answer is lost: voxsms beside its peers.

Every client is pointed at the same loopback server, which reads a request to its end, counts a
delivery, and then does what a bad moment does, every time that it is asked. The call is the peer's
own way of sending one SMS, as it comes: with its default settings, but for a short timeout where it
lets one set it.

    pip install -e . -r benchmarks/requirements.txt
    python benchmarks/peers.py [--write]

`--write` puts the table into the documentation.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import repeat
from typing import NamedTuple

import orjson
import tables

PATIENCE = 60.0
"""Seconds until a call that has not ended by then is left; some wait for ever."""
TIMEOUT = 2
FROM, TO, TEXT = "447443332211", "447443332212", "Hello"
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
RESET = struct.pack("ii", 1, 0)
"""A linger of no time: what is closed with it is reset."""


class Fault(NamedTuple):
    """What the server does once it has delivered a message."""

    words: str
    answer: bytes = b""
    """What it says before it closes the connection."""
    resets: bool = False
    waits: bool = False
    """It says nothing, and leaves it to the client to go."""
    reads: bool = True
    """Otherwise it closes the connection before it has read anything; nothing is delivered."""


def _http(status: str, content_type: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


FAULTS = (
    Fault("closes the connection"),
    Fault("resets it", resets=True),
    Fault("half an answer", _http("200 OK", "application/json", b'{"result": 1, "mess', 60)),
    Fault("garbage", b"\x16\x03\x01\x02\x00\xff\xfe no HTTP at all\r\n\r\n"),
    Fault("HTML and HTTP 502", _http("502 Bad Gateway", "text/html", HTML)),
    Fault("HTTP 500", _http("500 Internal Server Error", "text/plain", b"")),
    Fault("never answers", waits=True),
    Fault("closes before it reads", reads=False),
)


class Server:
    """Delivers every message, and answers none of them well."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.deliveries = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if not self._fault.reads or not _read_request(connection):
                return
            self.deliveries += 1
            connection.sendall(self._fault.answer)
            if self._fault.waits:
                connection.recv(1)
            if self._fault.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _read_request(connection: socket.socket) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            return False
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return True


def _voxsms(host: str) -> None:
    import voxsms

    async def call() -> None:
        auth = voxsms.ApiKey(1, "invented")
        async with voxsms.Client(auth, f"http://{host}", timeout=TIMEOUT) as client:
            await client.send_sms_message(source=FROM, destination=TO, sms_body=TEXT)

    asyncio.run(call())


def _vendor(host: str) -> None:
    import httpx
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from voximplant.apiclient import VoximplantAPI

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    credentials = {"account_id": 1, "key_id": "invented", "private_key": key.decode()}
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(orjson.dumps(credentials))
        file.flush()
        api = VoximplantAPI(file.name)
    api.endpoint = host
    post = httpx.post
    httpx.post = lambda url, **rest: post(url.replace("https://", "http://"), **rest)
    api.send_sms_message(FROM, TO, TEXT)  # lets no timeout be set, and has none


def _twilio(host: str) -> None:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Loopback(TwilioHttpClient):
        def request(self, method, url, *args, **kwargs):
            return super().request(
                method, url.replace("https://api.twilio.com", f"http://{host}"), *args, **kwargs
            )

    client = Client("ACinvented", "invented", http_client=Loopback(timeout=TIMEOUT))
    client.messages.create(to=f"+{TO}", from_=f"+{FROM}", body=TEXT)


def _vonage(host: str) -> None:
    from vonage import Auth, HttpClientOptions, Vonage
    from vonage_sms import SmsMessage

    options = HttpClientOptions(rest_host=host, timeout=TIMEOUT)
    client = Vonage(Auth(api_key="0123abcd", api_secret="Invented0"), options)
    session = client.http_client._session
    session.mount("http://", session.get_adapter("https://"))  # the same retries
    request = session.request
    session.request = lambda url, **rest: request(url=url.replace("https://", "http://"), **rest)
    client.sms.send(SmsMessage(to=TO, from_=FROM, text=TEXT))


def _telnyx(host: str) -> None:
    from telnyx import Telnyx

    client = Telnyx(api_key="invented", base_url=f"http://{host}", timeout=TIMEOUT)
    client.messages.send(from_=f"+{FROM}", to=f"+{TO}", text=TEXT)


def _boto3(host: str) -> None:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "pinpoint-sms-voice-v2",
        endpoint_url=f"http://{host}",
        region_name="us-east-1",
        aws_access_key_id="invented",
        aws_secret_access_key="invented",
        config=Config(read_timeout=TIMEOUT),
    )
    client.send_text_message(
        DestinationPhoneNumber=f"+{TO}", OriginationIdentity=f"+{FROM}", MessageBody=TEXT
    )


CLIENTS: dict[str, tuple[str, Callable[[str], None]]] = {
    "voxsms": ("voxsms", _voxsms),
    "the vendor's SDK": ("voximplant-apiclient", _vendor),
    "twilio": ("twilio", _twilio),
    "telnyx": ("telnyx", _telnyx),
    "boto3": ("boto3", _boto3),
    "vonage": ("vonage", _vonage),
}


def _quietly(call: Callable[[str], None], host: str) -> None:
    with contextlib.suppress(Exception):  # that it fails is the point; how often it sent is asked
        call(host)


def deliveries(call: Callable[[str], None], fault: Fault) -> str:
    """Make one call in a process of its own; count what was delivered."""
    server = Server(fault)
    process = multiprocessing.get_context("spawn").Process(
        target=_quietly, args=(call, server.host), daemon=True
    )
    process.start()
    process.join(PATIENCE)
    unfinished = process.is_alive()
    process.kill()
    process.join()
    return f"{server.deliveries}{', waits' if unfinished else ''}"


def table() -> str:
    """Measure and render: a line a fault, a column a client."""
    clients = [f"{name} {version(package)}" for name, (package, _) in CLIENTS.items()]
    with ThreadPoolExecutor(len(CLIENTS)) as threads:
        counts = [
            list(threads.map(deliveries, [call for _, call in CLIENTS.values()], repeat(fault)))
            for fault in FAULTS
        ]
    lines = [[fault.words, *of_fault] for fault, of_fault in zip(FAULTS, counts, strict=True)]
    return tables.rows([["the server, each time", *clients], *lines])


def main() -> None:
    """Measure and print, or write into the documentation."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--write", action="store_true", help="put the table into the documentation"
    )
    given = arguments.parse_args()
    measured = table()
    print(measured)
    if given.write:
        tables.put("peers", measured, "one call a cell")


if __name__ == "__main__":
    main()
