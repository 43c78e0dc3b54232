"""The environment of a connection: certificates, a proxy, and whether a mock is installed.

An error about an unusable setting names the variable and the reason. No error shows the user or the
password of a proxy.
"""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import gaierror
from ssl import SSLCertVerificationError, SSLContext, SSLError
from types import FunctionType
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs
import httpx

from voxsms.transport._seam import FaultKind, TransportFault

SOCKS = ("socks5", "socks5h")
_SCHEMES = ("http", "https", *SOCKS)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Proxy:
    """The proxy that a request goes through."""

    url: str = attrs.field(repr=False)
    """It may contain a password."""
    named_by: str
    """What names it, for messages: an environment variable or an argument."""

    @property
    def scheme(self) -> str:
        """The protocol of the proxy."""
        return urlsplit(self.url).scheme

    def unusable(self, reason: str) -> TransportFault:
        """Return the fault of a call that cannot use this proxy."""
        return TransportFault(
            FaultKind.CONNECTION, f"the proxy named by {self.named_by} cannot be used: {reason}"
        )

    def on_the_way(self, fault: TransportFault) -> TransportFault:
        """Return the fault of a call that got no further than this proxy, naming the proxy."""
        return TransportFault(
            fault.kind, f"{fault.problem} (through the proxy named by {self.named_by})"
        )


def given_proxy(url: str | None) -> Proxy | None:
    """Return the proxy that a user gave as an argument."""
    return None if url is None else Proxy(url, "the argument `proxy`")


def proxy_for(url: str, given: Proxy | None = None) -> Proxy | None:
    """Return the proxy for a URL: the one given, or the one that the environment names.

    Raises:
        TransportFault: it cannot be used; names its source, and the reason.
    """
    # No plain text of a proxy's URL in this frame: error trackers record the variables of frames.
    proxy = given or _proxy_of_environment(url)
    if proxy and (reason := _problem(proxy.url)):
        raise proxy.unusable(reason)
    return proxy


def _proxy_of_environment(url: str) -> Proxy | None:
    parts = urlsplit(url)
    proxies = getproxies()
    if _is_direct(parts, proxies.get("no")):
        return None
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    if not (found := proxies.get(kind)):
        return None
    return Proxy(found if "://" in found else f"http://{found}", _named_by(kind, found))


def _named_by(kind: str, value: str) -> str:
    """Return the variable that names a proxy; on some systems the system settings do."""
    names = (name for name, text in os.environ.items() if text == value)
    of_kind = (name for name in names if name.lower() == f"{kind}_proxy")
    return next(of_kind, "the system's settings")


def _problem(url: str) -> str | None:
    """Return why a library would misread a URL, or quote it in an error; None if it would not."""
    if not url.isprintable() or " " in url:
        return "it has white space or control characters in it"
    try:
        parts = urlsplit(url)
    except ValueError:
        return (
            "its host is neither a name nor an address (an IPv6 address must be in brackets);"
            " write a [ or ] of a password as %5B or %5D"
        )
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return "write a /, ? or # of its password as %2F, %3F or %23"
    if "\\" in url:
        return "write a \\ of its password as %5C"
    if parts.scheme not in _SCHEMES:
        return f"it must begin with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
    try:
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    return None if is_whole else "it must be like http://host:port, with a port from 1 to 65535"


def _is_direct(parts: SplitResult, no_proxy: str | None) -> bool:
    """Return whether a URL is to be called without a proxy."""
    host = (parts.hostname or "").rstrip(".")
    if is_this_machine(host):
        return True
    if no_proxy is None:
        return bool(proxy_bypass(host))  # the system's settings
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    entries = (entry for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)
    return any(_matches(entry, host, port) for entry in entries)


def _matches(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY names a host, as curl and Go read it.

    | entry | names |
    | --- | --- |
    | `*` | every host |
    | `example.com`, `.example.com`, `*.example.com` | the domain and all below it |
    | `10.0.0.1`, `::1`, `[::1]` | the address |
    | `10.0.0.0/8`, `fd00::/8` | every address of the network |
    | any of these with `:8080` (but a network) | only on that port |
    """
    if entry == "*":
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:  # no address or no network: names are compared
        pass
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal() and (name.count(":") == 0 or name.endswith("]")):
        return int(digits) == port and _matches(name, host, port)
    if entry.startswith("["):
        return _matches(entry.strip("[]"), host, port) if ":" in host else False
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def is_this_machine(host: str) -> bool:
    """Return whether a host is the loopback of this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls() -> SSLContext:
    """Return the context with the trusted certificates.

    Raises:
        TransportFault: the file or directory that the environment names cannot be read.
    """
    name = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
    return _trust(name, os.environ[name] if name else "")


@lru_cache
def _trust(name: str | None, path: str) -> SSLContext:
    """Load the certificates that a variable names, once for all clients: it takes 15 to 19 ms."""
    where = f"named by {name} ({path}) " if name else ""
    # OpenSSL takes a list of directories, and does not report missing ones.
    directories = path.split(os.pathsep) if name == "SSL_CERT_DIR" else []
    if directories and not any(Path(each).is_dir() for each in directories):
        what = f"the certificates {where}cannot be used: there is no such directory"
        raise TransportFault(FaultKind.CONNECTION, what)
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        gone = "there is no such file" if path and not Path(path).exists() else _reason(error)
        what = f"the certificates {where}cannot be used: {gone}"
        raise TransportFault(FaultKind.CONNECTION, what) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def is_written_in(function: object, *packages: str) -> bool:
    """Return whether a function is a library's own, not a mock's replacement.

    Decided by the module that defines it: a mock may have been installed before voxsms loaded.
    """
    if type(function) is not FunctionType:
        return False
    return str(function.__globals__["__name__"]).partition(".")[0] in packages


_QUOTED = re.compile(r"""(bytearray\(|\bb['"]).*""", re.DOTALL)


def hide_quotes(error: BaseException) -> None:
    """Remove the bytes of an answer from the texts of an error and of all its causes.

    A library's error about a malformed HTTP answer quotes it, and stays the cause of ours: an error
    tracker would record half a page of a history.
    """
    for each in _chain(error):
        each.args = tuple(map(_hide, each.args))
        if isinstance(vars(each).get("message"), str):  # aiohttp's
            vars(each)["message"] = _hide(vars(each)["message"])


def no_connection(error: BaseException) -> str:
    """Say that no connection could be made, and why if a person can do something about it."""
    for each in _chain(error):
        # aiohttp's own error is of this class too, but only its cause has the reason.
        if isinstance(each, SSLCertVerificationError) and hasattr(each, "verify_message"):
            return (
                "no connection could be made: the certificate is not trusted "
                f"({each.verify_message}); SSL_CERT_FILE names others to trust"
            )
        if isinstance(each, gaierror):
            return "no connection could be made: the name of the host is not known"
        if isinstance(each, ConnectionRefusedError):
            return "no connection could be made: nothing listens there"
        if isinstance(each, SSLError) and getattr(each, "reason", "") == "WRONG_VERSION_NUMBER":
            return "no connection could be made: TLS is not spoken there; is it http, not https?"
    numbers = (
        each.errno
        for each in _chain(error)
        if isinstance(each, OSError) and not isinstance(each, SSLError)
    )
    number = next(filter(None, numbers), None)
    return f"no connection could be made{f': {os.strerror(number)}' if number else ''}"


def refused_by_proxy(status: int | None) -> str:
    """Say that a proxy refused the connection, with the HTTP status if there is one."""
    told = f" (HTTP {status})" if status else ""
    is_asking = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    where = "; its user and password are missing or wrong: http://user:password@host:port"
    hint = where if is_asking else ""
    return f"the proxy refused the connection{told}{hint}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    found = [error]
    for each in found:
        yield each
        behind = (each.__cause__, each.__context__)
        found += [e for e in behind if e is not None and not any(e is known for known in found)]


def _hide(value: Any) -> Any:  # noqa: ANN401 - errors are made of anything
    if isinstance(value, bytes | bytearray):  # aiohttp's, of a line that is too long
        return "..."
    return _QUOTED.sub("...", value) if isinstance(value, str) else value
