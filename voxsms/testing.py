"""The pytest plugin: `voxsms_sandbox`, for everyone who has voxsms and pytest installed.

pytest loads this for each of its users, so nothing heavy is imported before the fixture is used.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from voxsms.sandbox import Sandbox

_MARKER = (
    "voxsms_sandbox(**settings): what the sandbox of the fixture starts with, as for `serve()`"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def voxsms_sandbox(request: pytest.FixtureRequest) -> Iterator["Sandbox"]:
    """Yield a sandbox of the service, running on loopback, new for each test.

    It has money, two numbers that support SMS, the SenderID "VOXSMS" and prices for the prefixes 1,
    44 and 7; `@pytest.mark.voxsms_sandbox(balance=0)` changes what it starts with.
    """
    try:
        from voxsms import sandbox  # noqa: PLC0415 - see above
    except ModuleNotFoundError as missing:
        raise pytest.fail.Exception(str(missing), pytrace=False) from None
    node = cast("pytest.Item", request.node)
    marker = node.get_closest_marker("voxsms_sandbox")
    settings: Mapping[str, Any] = marker.kwargs if marker else {}
    with sandbox.serve(**settings) as running:
        yield running
