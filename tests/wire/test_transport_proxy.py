"""Proxies: which one is taken, and that asking one for a way through is not sending."""

import asyncio
import errno
import os
import re
import socket
import ssl
import sys
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from doubles import KEY, SMS, FakeClock, always, http, json_answer, loopback

from voxsms import Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.errors import ConnectionFailed, NotSent, OutcomeUnknown
from voxsms.transport import _aiohttp
from voxsms.transport._aiohttp import AiohttpTransport
from voxsms.transport._environment import given_proxy, no_connection, proxy_for, tls

Make = Callable[..., Any]
KINDS: dict[str, Make] = {
    "httpx": HttpxTransport,
    "httpx2": Httpx2Transport,
    "aiohttp": AiohttpTransport,
}
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have none of the machine's own proxies."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Client]]:
    """Give a function that makes a client over one transport after the other."""
    made: list[Client] = []

    def of(url: str, **transport: object) -> Client:
        quick = Timeouts(connect=2, read=2, write=2, pool=2)
        carrier = KINDS[request.param](**transport)
        made.append(
            Client(KEY, url, transport=carrier, clock=FakeClock(), timeout=quick, max_attempts=1)
        )
        return made[-1]

    yield of
    for each in made:
        await each.aclose()


Of = Callable[..., Client]


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://svc.test", None),
        ({"HTTPS_PROXY": "http://p.test:1"}, "https://svc.test", "http://p.test:1"),
        ({"https_proxy": "http://p.test:1"}, "https://svc.test", "http://p.test:1"),
        ({"HTTPS_PROXY": "p.test:3128"}, "https://svc.test", "http://p.test:3128"),
        ({"HTTPS_PROXY": ""}, "https://svc.test", None),
        ({"http_proxy": "http://p.test:1"}, "https://svc.test", None),
        ({"http_proxy": "http://p.test:1"}, "http://svc.test/x", "http://p.test:1"),
        ({"ALL_PROXY": "socks5://p.test:1"}, "https://svc.test", "socks5://p.test:1"),
        ({"ALL_PROXY": "http://p.test", "NO_PROXY": "svc.test"}, "https://svc.test", None),
        ({"ALL_PROXY": "http://p.test", "NO_PROXY": "*"}, "https://svc.test", None),
        ({"ALL_PROXY": "http://p.test", "NO_PROXY": ".test"}, "https://a.svc.test:8443", None),
        ({"ALL_PROXY": "http://p.test", "NO_PROXY": "a.test, svc.test"}, "https://svc.test", None),
        ({"ALL_PROXY": "http://p.test"}, "http://localhost:8080", None),
        ({"ALL_PROXY": "http://p.test"}, "http://127.0.0.1:8080", None),
        ({"ALL_PROXY": "http://p.test"}, "http://[::1]:8080", None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual variables, in either case, with or without a scheme; never for this machine."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(url)
    assert (found and found.url) == proxy


PROXY = "http://user:pa55word@p.test:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8,192.168.0.0/16", "https://192.168.7.1:8443", True),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8443", True),
        ("10.1.2.3:8443", "https://10.1.2.3", False),
        ("10.0.0.0/33", "https://10.1.2.3", False),
        ("fd00::/8", "https://[fd00::7]", True),
        ("fd00::/8", "https://[fe80::7]", False),
        ("[fd00::7]", "https://[fd00::7]", True),
        ("[fd00::7]:8443", "https://[fd00::7]:8443", True),
        ("[fd00::7]:8443", "https://[fd00::7]:8444", False),
        ("fd00::7", "https://[FD00:0::7]", True),
        ("[svc]", "https://svc", False),
        ("svc.test:443", "https://svc.test", True),
        ("svc.test:80", "http://svc.test", True),
        ("svc.test:443", "https://svc.test:8443", False),
        ("svc.test:x", "https://svc.test", False),
        ("test", "https://svc.test", True),
        ("*.test", "https://svc.test", True),
        (".svc.test", "https://svc.test", True),
        ("SVC.Test", "https://svc.test", True),
        ("svc.test.", "https://svc.test.", True),
        ("vc.test", "https://svc.test", False),
        ("other.test  svc.test", "https://svc.test", True),
        ("other.test,\tsvc.test ,", "https://svc.test", True),
        ("*", "https://svc.test", True),
        (".", "https://svc.test", False),
        ("10.0.0.0/8", "https://svc.test", False),
    ],
)
def test_no_proxy_is_honoured_in_every_usual_form(
    no_proxy: str, url: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, addresses, networks, with ports: otherwise the credentials would go to the proxy."""
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(url) is None) is is_direct


async def test_what_no_proxy_names_is_called_directly(
    client: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is not contacted, so that no credentials come to it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(2**16)
        writer.write(json_answer())
        await writer.drain()
        writer.close()

    service = await asyncio.start_server(answer, "127.0.0.2")
    async with loopback(close) as proxy, service:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        url = f"http://127.0.0.2:{service.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
        with pytest.raises(OutcomeUnknown):  # a proxy was given it, and hung up
            await client(url).send_sms_message(**SMS)
        assert proxy.connections == 1
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, 127.0.0.0/8")
        assert (await client(url).send_sms_message(**SMS)).message_id == 1861
        assert proxy.connections == 1


def test_a_proxy_is_shown_without_its_password() -> None:
    """By what names it."""
    proxy = proxy_for("https://svc.test", given_proxy(PROXY))
    assert repr(proxy) == "Proxy(named_by='the argument `proxy`')"


async def close(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Read a request, close."""
    writer.close()


async def test_a_socks_proxy_is_spoken_to_in_its_own_language(client: Of) -> None:
    """With the extra `socks`; one that hangs up means that nothing was sent. aiohttp takes none."""
    greetings: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(await reader.read(3))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1")
    async with server:
        of = client(
            "https://svc.test", proxy=f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        )
        with pytest.raises(NotSent) as found:
            await of.send_sms_message(**SMS)
    takes_socks = "aiohttp" not in str(found.value)
    assert [greeting[:1] for greeting in greetings] == [b"\x05"] * takes_socks


@pytest.mark.parametrize("make", [HttpxTransport, Httpx2Transport])
async def test_no_log_shows_the_password_of_a_socks_proxy(
    make: Callable[..., HttpxTransport], caplog: pytest.LogCaptureFixture
) -> None:
    """The proxy gets it; httpcore, which logs what it sends at DEBUG, shows nothing of it."""
    read: list[bytes] = []

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(9)
        writer.write(b"\x05\x02")  # with user and password
        read.append(await reader.read(99))
        writer.close()

    caplog.set_level(1)
    server = await asyncio.start_server(ask, "127.0.0.1")
    async with server:
        url = f"socks5://a-user:pa55word@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(KEY, "https://svc.test", transport=make(proxy=url)) as of:
            with pytest.raises(NotSent):
                await of.with_options(max_attempts=1).send_sms_message(**SMS)
    assert read == [b"\x01\x06a-user\x08pa55word"]
    assert "setup_socks5_connection" in caplog.text
    assert "pa55word" not in caplog.text


@pytest.mark.parametrize("named", ["environment", "argument"])
async def test_a_connect_to_a_proxy_is_not_sending(
    client: Of, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy read a CONNECT and closed: nothing of the message left, `NotSent`."""
    async with loopback(close) as proxy:
        if named == "environment":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        given = {"proxy": proxy.url} if named == "argument" else {}
        with pytest.raises(NotSent):
            await client("https://svc.test", **given).send_sms_message(**SMS)
        assert proxy.requests[0].startswith(b"CONNECT svc.test:443 HTTP/1.1\r\n")
        assert len(proxy.requests) == 1
        assert b"See" not in b"".join(proxy.requests)
        assert KEY.api_key.encode() not in b"".join(proxy.requests)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("407 Proxy Authentication Required", "(HTTP 407); its user and password are missing or"),
        ("403 447443332212 is not", "(HTTP 403) (through the proxy named by the argument"),
        ("502 Bad Gateway", "(HTTP 502) (through the proxy named by the argument"),
    ],
)
async def test_a_proxy_that_refuses_means_not_sent(client: Of, status: str, words: str) -> None:
    """The answer is the proxy's, not the service's: its status is told, no password."""
    async with loopback(always(http(b"<html>", status))) as proxy:
        url = proxy.url.replace("://", "://user:pa55word@")
        of = client("https://svc.test", proxy=url)
        with pytest.raises(NotSent) as send:
            await of.send_sms_message(**SMS)
        with pytest.raises(ConnectionFailed) as reading:
            await of.get_account_info()
    for error in (send.value, reading.value):
        assert f"the proxy refused the connection {words}" in error.problem
        assert not [text for text in shown(error) if "pa55word" in text]


async def test_tls_is_asked_of_who_does_not_speak_it(client: Of) -> None:
    """`https` in front of a sandbox, or of a proxy, is a common slip: it is named."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(3)
        writer.write(http(b"", "400 Bad Request"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1")
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for of in (client(url), client("https://svc.test", proxy=url)):
            with pytest.raises(NotSent, match=r"TLS is not spoken there; is it http, not https\?"):
                await of.send_sms_message(**SMS)


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("user:pa55word", "user:pa55word"),
        ("user:p%2Fa%40%23", "user:p/a@#"),
        ("user", "user:"),
        ("user:pa:55", "user:pa:55"),
    ],
)
async def test_a_proxy_is_given_the_password_of_its_url(
    client: Of, userinfo: str, credentials: str
) -> None:
    """With its percent signs read."""
    async with loopback(close) as proxy:
        url = proxy.url.replace("://", f"://{userinfo}@")
        with pytest.raises(NotSent):
            await client("https://svc.test", proxy=url).send_sms_message(**SMS)
    proof = f"\r\nproxy-authorization: basic {b64encode(credentials.encode()).decode()}\r\n"
    assert proof.lower() in proxy.requests[0].decode().lower()


async def test_a_tunnel_that_breaks_before_tls_means_not_sent(client: Of) -> None:
    """The proxy gave the way free and closed it: TLS never began, no byte of ours left."""

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        writer.close()

    async with loopback(act) as proxy:
        with pytest.raises(NotSent):
            await client("https://svc.test", proxy=proxy.url).send_sms_message(**SMS)


async def test_what_a_proxy_carries_itself_has_been_sent(client: Of) -> None:
    """Without TLS the proxy is given the message: if it then closes, the outcome is unknown."""
    async with loopback(close) as proxy:
        with pytest.raises(OutcomeUnknown):
            await client("http://svc.test", proxy=proxy.url).send_sms_message(**SMS)
        assert proxy.requests[0].startswith(b"POST http://svc.test/platform_api/SendSmsMessage/")
        assert len(proxy.requests) == 1


async def test_calls_go_through_a_proxy(client: Of) -> None:
    """A proxy that carries them."""
    async with loopback(always(json_answer())) as proxy:
        of = client("http://svc.test", proxy=proxy.url)
        assert (await of.send_sms_message(**SMS)).message_id == 1861
        assert (await of.send_sms_message(**SMS)).message_id == 1861


async def test_a_proxy_that_nobody_runs_means_not_sent(client: Of) -> None:
    """No connection could be made, to whomever."""
    of = client("https://svc.test", proxy="http://127.0.0.1:1")
    with pytest.raises(NotSent):
        await of.send_sms_message(**SMS)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
async def test_a_proxy_that_does_not_answer_is_named(
    client: Of, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is not the service that is missing: the variable that names the proxy is said."""
    monkeypatch.setenv(name, "http://user:secret@127.0.0.1:1")
    with pytest.raises(NotSent) as caught:
        await client("http://example.test").send_sms_message(**SMS)
    assert caught.value.problem == (
        f"no connection could be made: nothing listens there (through the proxy named by {name})"
    )


UNTRUSTED = ssl.SSLCertVerificationError()
UNTRUSTED.verify_message = "self-signed certificate"
TRUST = "SSL_CERT_FILE names others to trust"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (UNTRUSTED, f": the certificate is not trusted (self-signed certificate); {TRUST}"),
        (socket.gaierror(), ": the name of the host is not known"),
        (ConnectionRefusedError(), ": nothing listens there"),
        (OSError(), ""),
        (OSError(errno.ENETUNREACH, "any"), f": {os.strerror(errno.ENETUNREACH)}"),
        (OSError(errno.EMFILE, "any"), f": {os.strerror(errno.EMFILE)}"),
        (ssl.SSLError(1, "any"), ""),
    ],
)
def test_why_no_connection_could_be_made(reason: Exception, words: str) -> None:
    """What a person can do something about is said, however deep the libraries hide it."""
    error = RuntimeError()
    error.__context__ = ValueError()
    error.__context__.__cause__ = reason
    assert no_connection(error) == f"no connection could be made{words}"


UNUSABLE = {
    "gopher://user:pa55word@127.0.0.1:1": "it must begin with http://, https://, socks5://",
    "socks4://user:pa55word@127.0.0.1:1": "it must begin with http://, https://, socks5://",
    "socks5://user:pa55word@127.0.0.1:1": "SOCKS",
    "http://user:pa55word/x@127.0.0.1:1": "write a /, ? or # of its password as %2F, %3F or %23",
    "http://user:pa55word?x@127.0.0.1:1": "write a /, ? or # of its password as %2F, %3F or %23",
    "http://user:pa55word#x@127.0.0.1:1": "write a /, ? or # of its password as %2F, %3F or %23",
    "http://user:12/pa55word@127.0.0.1:1": "write a /, ? or # of its password as %2F, %3F or %23",
    "http://user:pa55word[x@127.0.0.1:1": "write a [ or ] of a password as %5B or %5D",
    "http://user:pa55word@[zz]:1": "its host is neither a name nor an address",
    "http://user:pa55word@\u2100:1": "its host is neither a name nor an address",
    "http://user:pa55word\\@127.0.0.1:1": "write a \\ of its password as %5C",
    "http://user:pa55word@127.0.0.1:99999": "a port from 1 to 65535",
    "http://user:pa55word@127.0.0.1:0": "a port from 1 to 65535",
    "http://user:pa55word@127.0.0.1:x": "a port from 1 to 65535",
    "http://user:pa55word@:8080": "it must be like http://host:port",
    "http://user:pa55word @127.0.0.1:1": "white space",
    "http://user:pa55word\x7f@127.0.0.1:1": "white space or control characters",
}


def chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all those behind it."""
    found = [error]
    for each in found:
        yield each
        behind = (each.__cause__, each.__context__)
        found += [e for e in behind if e is not None and e not in found]


def shown(error: BaseException) -> Iterator[str]:
    """Show all that an error tracker sees of an error and of those behind it."""
    yield "".join(traceback.format_exception(error))
    for each in chain(error):
        yield f"{each!r} {vars(each)!r}"
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if frame.f_globals["__name__"].startswith("voxsms"):
                yield repr(frame.f_locals)


@pytest.mark.parametrize("proxy", UNUSABLE)
@pytest.mark.parametrize("named", ["environment", "argument"])
async def test_a_proxy_that_cannot_be_used_means_not_sent(
    client: Of, proxy: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What names it is said, with the reason; its password is shown nowhere.

    Also where it is met by the first call of a program.
    """
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setattr(_aiohttp._Connector, "asked", False)
    if named == "environment":
        monkeypatch.setenv("all_proxy", proxy)
    of = client("https://svc.test", **({"proxy": proxy} if named == "argument" else {}))
    names = "all_proxy" if named == "environment" else "the argument `proxy`"
    words = re.escape(f"the proxy named by {names} cannot be used: ") + ".*"
    words += re.escape(UNUSABLE[proxy])
    with pytest.raises(NotSent, match=words) as send:
        await of.send_sms_message(**SMS)
    with pytest.raises(ConnectionFailed, match=words) as reading:
        await of.get_account_info()
    for error in (send.value, reading.value):
        assert not [text for text in shown(error) if "pa55word" in text]


@pytest.mark.parametrize("kind", [HttpxTransport, Httpx2Transport])
async def test_a_proxy_that_a_library_refuses_is_not_quoted(
    kind: Callable[..., HttpxTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it dislikes about it."""
    transport = kind(proxy=PROXY)

    class Refuses(transport._library.httpx.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        def __init__(self, **given: object) -> None:
            raise ValueError(f"what is this? {given['proxy']}")

    monkeypatch.setattr(transport._library.httpx, "AsyncHTTPTransport", Refuses)
    async with Client(KEY, "https://svc.test", transport=transport, max_attempts=1) as of:
        with pytest.raises(NotSent, match="does not take it") as send:
            await of.send_sms_message(**SMS)
    assert not [text for text in shown(send.value) if "pa55word" in text]


@pytest.mark.parametrize(
    "userinfo",
    ["us%3Aer:pa55word", "user:pa55word%D0%BF", "user:pa55word\N{CYRILLIC SMALL LETTER PE}"],
)
async def test_a_proxy_that_aiohttp_refuses_is_not_quoted(
    userinfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before aiohttp sees it; also in the first call of a program."""
    monkeypatch.setattr(_aiohttp._Connector, "asked", False)
    transport = AiohttpTransport(proxy=f"http://{userinfo}@127.0.0.1:1")
    async with Client(KEY, "https://svc.test", transport=transport, max_attempts=1) as of:
        with pytest.raises(NotSent, match="Latin-1") as send:
            await of.send_sms_message(**SMS)
    assert not [text for text in shown(send.value) if "pa55word" in text]


async def test_certificates_that_cannot_be_used_mean_not_sent() -> None:
    """Whatever is wrong with what a connection is made of, a send ends in one of our errors."""
    odd: Any = "/there/is/no/such.pem"
    async with Client(KEY, transport=HttpxTransport(verify=odd), max_attempts=1) as client:
        with pytest.raises(NotSent, match="the certificates given as `verify` cannot be used"):
            await client.send_sms_message(**SMS)


@pytest.mark.parametrize(
    ("name", "path", "reason"),
    [
        ("SSL_CERT_FILE", "/there/is/no/such.pem", "there is no such file"),
        ("SSL_CERT_FILE", __file__, "[X509"),
        ("SSL_CERT_DIR", "/there/is/no/such:/nor/this", "there is no such directory"),
    ],
)
async def test_certificates_that_the_environment_names_and_that_cannot_be_used(
    client: Of, name: str, path: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, with its value and the reason, and nothing was sent."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(name, path)
    words = re.escape(f"the certificates named by {name} ({path}) cannot be used: {reason}")
    with pytest.raises(NotSent, match=words):
        await client("https://svc.test").send_sms_message(**SMS)


def test_certificates_are_checked_by_default() -> None:
    """The shared context asks for a certificate and compares its name."""
    assert tls().verify_mode is ssl.CERT_REQUIRED
    assert tls().check_hostname
    assert tls() is tls()
