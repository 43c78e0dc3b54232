"""Proxies: which one is taken, and that asking one for a way through is not sending."""

import asyncio
import ssl
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from doubles import KEY, SMS, FakeClock, always, http, json_answer, loopback

from voxsms import Client, Httpx2Transport, HttpxTransport, Timeouts
from voxsms.errors import ConnectionFailed, NotSent, OutcomeUnknown
from voxsms.transport import aiohttp_session
from voxsms.transport.aiohttp_session import AiohttpTransport
from voxsms.transport.surroundings import proxy_for

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
    assert proxy_for(url) == proxy


async def close(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Read a request, close."""
    writer.close()


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


async def test_a_proxy_that_refuses_means_not_sent(client: Of) -> None:
    """407 is the proxy's answer, not the service's; its password is in no error."""
    refusal = always(http(b"", "407 Proxy Authentication Required"))
    async with loopback(refusal) as proxy:
        url = proxy.url.replace("://", "://user:pa55word@")
        of = client("https://svc.test", proxy=url)
        with pytest.raises(NotSent) as send:
            await of.send_sms_message(**SMS)
        with pytest.raises(ConnectionFailed) as reading:
            await of.get_account_info()
    for error in (send.value, reading.value):
        assert "pa55word" not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"


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


@pytest.mark.parametrize("kind", ["gopher", "socks4", "socks5"])
@pytest.mark.parametrize("named", ["environment", "argument"])
async def test_a_proxy_that_makes_no_sense_means_not_sent(
    client: Of, kind: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind of proxy that the library does not know, or lacks a package for, is named as such.

    Also where it is met by the first call of a program; its password is not shown.
    """
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setattr(aiohttp_session._Connector, "asked", False)
    proxy = f"{kind}://user:pa55word@127.0.0.1:1"
    if named == "environment":
        monkeypatch.setenv("ALL_PROXY", proxy)
    of = client("https://svc.test", **({"proxy": proxy} if named == "argument" else {}))
    with pytest.raises(NotSent, match="the proxy can not be used") as send:
        await of.send_sms_message(**SMS)
    with pytest.raises(ConnectionFailed, match="the proxy can not be used") as reading:
        await of.get_account_info()
    for error in (send.value, reading.value):
        assert error.__cause__ is not None
        assert "pa55word" not in "".join(traceback.format_exception(error))


async def test_certificates_that_can_not_be_used_mean_not_sent() -> None:
    """Whatever is wrong with what a connection is made of, a send ends in one of our errors."""
    odd: Any = "/there/is/no/such.pem"
    async with Client(KEY, transport=HttpxTransport(verify=odd), max_attempts=1) as client:
        with pytest.raises(NotSent, match="the certificates can not be used"):
            await client.send_sms_message(**SMS)


def test_certificates_are_checked_by_default() -> None:
    """The shared context asks for a certificate and compares its name."""
    from voxsms.transport.surroundings import tls  # noqa: PLC0415 - its only use

    assert tls().verify_mode is ssl.CERT_REQUIRED
    assert tls().check_hostname
    assert tls() is tls()
