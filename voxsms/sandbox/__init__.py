"""The sandbox: the service as a real HTTP server on loopback, with play money.

For experiments, tests and teaching, with clients in any language.

.. code-block:: python

    async with voxsms.sandbox.serve() as sandbox:
        async with voxsms.Client(sandbox.auth, sandbox.url) as client:
            await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=["447443332212"], text="Hi")
        assert sandbox.ledger.count == 1

`with serve() as sandbox:` does the same in a program that is not async.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import ParamSpec

try:
    from voxsms.sandbox._sandbox import Sandbox, running_urls
    from voxsms.sandbox._server import ServerThread
except ModuleNotFoundError as _missing:
    _name = str(_missing.name).partition(".")[0]
    if _name not in ("starlette", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        f"the sandbox needs {_name}: pip install 'voxsms[sandbox]'", name=_name
    ) from None

from voxsms.sandbox._callbacks import CallbackPost
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._faults import CALLBACK_KINDS, KINDS, FaultScript, InjectedFault
from voxsms.sandbox._ledger import Delivered, Delivery, Ledger, SentMessage
from voxsms.sandbox._settings import PRICES, Number, Settings

__all__ = [
    "CALLBACK_KINDS",
    "KINDS",
    "PRICES",
    "CallbackPost",
    "Delivered",
    "Delivery",
    "FaultScript",
    "InjectedFault",
    "Ledger",
    "Number",
    "Sandbox",
    "SandboxClock",
    "SentMessage",
    "ServerThread",
    "Settings",
    "running_urls",
    "serve",
]

P = ParamSpec("P")


def _taking(
    settings: Callable[P, Settings],
) -> Callable[[Callable[[Settings], Sandbox]], Callable[P, Sandbox]]:
    """Make a function of `Settings` accept the parameters of `Settings`, which define them once."""

    def decorate(function: Callable[[Settings], Sandbox]) -> Callable[P, Sandbox]:
        def serve(*args: P.args, **kwargs: P.kwargs) -> Sandbox:
            return function(settings(*args, **kwargs))

        serve.__doc__ = function.__doc__
        return update_wrapper(serve, settings, assigned=(), updated=())

    return decorate


@_taking(Settings)
def serve(settings: Settings) -> Sandbox:
    """Return a sandbox to start by `with` or `async with`; `Settings` describes the arguments."""
    return Sandbox(settings)
