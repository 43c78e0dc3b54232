"""What the machine around a transport says: which certificates to trust, which proxy to take."""

from functools import cache
from ssl import SSLContext
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
    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
