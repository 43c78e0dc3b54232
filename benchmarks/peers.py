"""How often one send call is delivered when its answer is lost: voxsms beside its peers.

Every client is pointed at the same loopback server, which reads a request to its end, counts a
delivery, and then does what a bad moment does: closes the connection, resets it, or answers 500.
The call is the peer's own way of sending one SMS, with its default settings.

    pip install -e . -r benchmarks/requirements.txt
    python benchmarks/peers.py [--write]

`--write` puts the table into the README.
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
from importlib.metadata import version
from pathlib import Path

import orjson

FAULTS = ("closed", "reset", "500")
PATIENCE = 240.0
FROM, TO, TEXT = "447443332211", "447443332212", "Hello"
README = Path(__file__).parents[1] / "README.md"


class Server:
    """Delivers every message, and answers none of them well."""

    def __init__(self, fault: str) -> None:
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
            if not _read_request(connection):
                return
            self.deliveries += 1
            if self._fault == "reset":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif self._fault == "500":
                head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                connection.sendall(head + b"Connection: close\r\n\r\n")


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
        async with voxsms.Client(voxsms.ApiKey(1, "invented"), f"http://{host}") as client:
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
    api.send_sms_message(FROM, TO, TEXT)


def _twilio(host: str) -> None:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Loopback(TwilioHttpClient):
        def request(self, method, url, *args, **kwargs):
            return super().request(
                method, url.replace("https://api.twilio.com", f"http://{host}"), *args, **kwargs
            )

    client = Client("ACinvented", "invented", http_client=Loopback())
    client.messages.create(to=f"+{TO}", from_=f"+{FROM}", body=TEXT)


def _vonage(host: str) -> None:
    from vonage import Auth, HttpClientOptions, Vonage
    from vonage_sms import SmsMessage

    client = Vonage(
        Auth(api_key="0123abcd", api_secret="Invented0"), HttpClientOptions(rest_host=host)
    )
    session = client.http_client._session
    session.mount("http://", session.get_adapter("https://"))  # the same retries
    request = session.request
    session.request = lambda url, **rest: request(url=url.replace("https://", "http://"), **rest)
    client.sms.send(SmsMessage(to=TO, from_=FROM, text=TEXT))


def _telnyx(host: str) -> None:
    from telnyx import Telnyx

    Telnyx(api_key="invented", base_url=f"http://{host}").messages.send(
        from_=f"+{FROM}", to=f"+{TO}", text=TEXT
    )


def _boto3(host: str) -> None:
    import boto3

    client = boto3.client(
        "pinpoint-sms-voice-v2",
        endpoint_url=f"http://{host}",
        region_name="us-east-1",
        aws_access_key_id="invented",
        aws_secret_access_key="invented",
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


def deliveries(call: Callable[[str], None], fault: str) -> str:
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
    return f"{server.deliveries}{'+' if unfinished else ''}"


def table() -> str:
    """Measure and render."""
    lines = [
        "| one call, its answer lost | version | connection closed | connection reset | HTTP 500 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (package, call) in CLIENTS.items():
        counts = " | ".join(deliveries(call, fault) for fault in FAULTS)
        lines.append(f"| {name} | {version(package)} | {counts} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print, or write into the README."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="put the table into the README")
    given = arguments.parse_args()
    measured = table()
    print(measured)
    if given.write:
        text = README.read_text(encoding="utf-8")
        start, end = "<!-- peers -->\n", "\n<!-- end -->"
        before, _, rest = text.partition(start)
        after = rest.partition(end)[2]
        README.write_text(f"{before}{start}{measured}{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
