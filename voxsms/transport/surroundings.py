"""What stands around a transport: certificates to trust, a proxy to take, a mock in its place."""

from functools import cache
from ssl import SSLContext
from types import FunctionType
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx


@cache
def tls() -> SSLContext:
    """Give the context with the trusted certificates.

    Loading them takes 15 to 19 ms: once for all connections of all clients.
    """
    return httpx.create_ssl_context()


def proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for a URL; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def is_this_machine(host: str) -> bool:
    """Tell whether a host is the loopback of this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def is_written_in(function: object, *packages: str) -> bool:
    """Tell whether a function is a library's own, and no stand-in that a mock put in its place.

    By where it was written: a mock may have been there before voxsms was.
    """
    if type(function) is not FunctionType:
        return False
    return str(function.__globals__["__name__"]).partition(".")[0] in packages
