"""HTTPS: clients trust a sandbox by the files that it names, unpatched; and where it listens."""

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from voxsms.client import Client
from voxsms.sandbox import serve
from voxsms.sandbox._tls import write_certificates


async def test_a_client_trusts_it_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sandbox.env` is all that a client needs; the files are gone in the end."""
    async with serve(tls=True) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        for name, value in sandbox.env.items():
            monkeypatch.setenv(name, value)
        async with Client.from_env() as client:
            assert (await client.get_account_info()).balance == 100
        certificate = sandbox.certificate
        assert certificate is not None
        assert [file.name for file in certificate.parent.iterdir()] == ["ca.pem"]  # and no key
        assert set(sandbox.env) >= {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
        assert {sandbox.env["SSL_CERT_FILE"], sandbox.env["NODE_EXTRA_CA_CERTS"]} == {
            str(certificate)
        }
    assert not certificate.parent.exists()
    assert sandbox.certificate is None


def test_nobody_else_trusts_it() -> None:
    """Without its certificate a client refuses it, and one without TLS has none."""
    trusting = httpx.Client(trust_env=False)
    refused = pytest.raises(httpx.ConnectError, match="certificate verify failed")
    with serve(tls=True) as sandbox, trusting as http, refused:
        http.get(f"{sandbox.url}/sandbox/")
    with serve() as plain:
        assert plain.certificate is None
        assert "SSL_CERT_FILE" not in plain.env


def test_a_fault_over_tls() -> None:
    """What goes wrong on a connection goes wrong on this one, too."""
    with serve(tls=True, faults="read_then_reset,accept_then_close") as sandbox:
        key = sandbox.api_key
        form = {"account_id": key.account_id, "api_key": key.api_key}
        context = ssl.create_default_context(cafile=str(sandbox.certificate))
        with httpx.Client(verify=context, trust_env=False) as trusting:
            url = f"{sandbox.url}/platform_api/GetAccountInfo/"
            for _ in range(2):
                with pytest.raises(httpx.TransportError):
                    trusting.post(url, data=form)
            assert "result" in trusting.post(url, data=form).json()


def test_a_handshake_that_never_comes() -> None:
    """Does not keep a sandbox from ending."""
    with serve(tls=True) as sandbox:
        host, port = sandbox.url.removeprefix("https://").split(":")
        silent = socket.create_connection((host, int(port)))
        context = ssl.create_default_context(cafile=str(sandbox.certificate))
        with socket.create_connection((host, int(port))) as sock:
            context.wrap_socket(sock, server_hostname="localhost").close()  # after the silent one
    with silent:
        silent.settimeout(5)
        assert silent.recv(1) == b""


def verify(directory: Path, name: str) -> None:
    """Shake hands under a name, as strictly as Python knows how."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "server.pem")
    client = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = [ssl.MemoryBIO() for _ in range(4)]
    mine = client.wrap_bio(ends[0], ends[1], server_hostname=name)
    theirs = server.wrap_bio(ends[2], ends[3], server_side=True)
    for each in (mine, theirs) * 3:
        with suppress(ssl.SSLWantReadError):
            each.do_handshake()
        ends[2].write(ends[1].read())
        ends[0].write(ends[3].read())
    assert mine.version() is not None


def test_the_names_of_a_certificate(tmp_path: Path) -> None:
    """This machine's, a container's, and no others."""
    write_certificates(tmp_path, ["0.0.0.0", "sandbox", "localhost"])  # noqa: S104 - a name
    for name in ("localhost", "127.0.0.1", "::1", "host.docker.internal", "sandbox"):
        verify(tmp_path, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(tmp_path, "example.com")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:"),  # noqa: S104 - it is a sandbox
        ("::1", "http://[::1]:"),
        ("127.0.0.2", "http://127.0.0.2:"),
    ],
)
def test_where_it_listens(host: str, url: str, http: httpx.Client) -> None:
    """The URL is one by which this machine reaches it, also after it was closed for a while."""
    with serve(host=host) as sandbox:
        assert sandbox.url.startswith(url)
        sandbox.faults.add("refuse", seconds=60)
        sandbox.faults.clear()
        assert http.get(f"{sandbox.url}/sandbox/").json()["url"] == sandbox.url


def test_an_address_that_cannot_be() -> None:
    """A name is not one: which address it is, nobody knows."""
    with pytest.raises(ValueError, match="host: is not an IP address of this machine, such as 127"):
        serve(host="localhost")
    with pytest.raises(OSError, match="assign"):
        serve(host="192.0.2.1").start()
