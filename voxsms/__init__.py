"""Async client for Voximplant's SMS API that never sends twice and tells the price first.

    async with voxsms.Client.from_env() as client:
        await client.send_sms_message(source="...", destination="...", sms_body="...")

Nothing is loaded before it is used: `import voxsms` alone costs next to nothing.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxsms import sandbox as sandbox
    from voxsms import testing as testing
    from voxsms._surface import *  # noqa: F403 - each name there is public
    from voxsms._surface import __all__ as __all__
    from voxsms.export import ExportProgress as ExportProgress
    from voxsms.export import ExportSummary as ExportSummary
    from voxsms.export import export_history as export_history
    from voxsms.transport._aiohttp import AiohttpTransport as AiohttpTransport

_NEED_AN_EXTRA = {
    "AiohttpTransport": "voxsms.transport._aiohttp",
    "ExportProgress": "voxsms.export",
    "ExportSummary": "voxsms.export",
    "export_history": "voxsms.export",
}
_ROOMS = (("sandbox", ("starlette", "uvicorn")), ("testing", ("pytest",)))

if not TYPE_CHECKING:  # a type checker knows the names, and refuses others

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module, or whatever has that name
        if not name.startswith("_") and find_spec(f"voxsms.{name}"):
            return import_module(f"voxsms.{name}")  # also for `from voxsms import errors` inside
        try:
            home = _NEED_AN_EXTRA.get(name, "voxsms._surface")
            value = getattr(import_module(home), name)
        except AttributeError:
            raise AttributeError(f"module 'voxsms' has no attribute {name!r}") from None
        globals()[name] = value  # found without this function the next time
        return value


def __dir__() -> list[str]:
    # `help` and `inspect` get whatever is named here: a room that lacks its extra would end them.
    rooms = [room for room, needs in _ROOMS if all(map(find_spec, needs))]
    return sorted([*import_module("voxsms._surface").__all__, *rooms])
