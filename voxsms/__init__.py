"""Async client for Voximplant's SMS API that never sends twice and tells the price first.

.. code-block:: python

    async with voxsms.Client.from_env() as client:
        await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=["447443332212"], text="Hello")

Modules load when they are first used: `import voxsms` alone costs next to nothing. The types that
text and pricing functions return (`Segmentation`, `Estimate`, `Room`, ...) are in `voxsms.text` and
`voxsms.pricing`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # what type checkers know; a test compares it with the table below
    from voxsms import export as export
    from voxsms import outbox as outbox
    from voxsms import pricing as pricing
    from voxsms import recipients as recipients
    from voxsms import sandbox as sandbox
    from voxsms import testing as testing
    from voxsms import text as text
    from voxsms import transport as transport
    from voxsms import webhooks as webhooks
    from voxsms._version import __version__ as __version__
    from voxsms.api.fault_codes import Outcome as Outcome
    from voxsms.api.models import A2PSendSmsResult as A2PSendSmsResult
    from voxsms.api.models import A2PSmsHistory as A2PSmsHistory
    from voxsms.api.models import AccountInfo as AccountInfo
    from voxsms.api.models import ControlSmsResult as ControlSmsResult
    from voxsms.api.models import DeliveryStatus as DeliveryStatus
    from voxsms.api.models import Direction as Direction
    from voxsms.api.models import FailedSms as FailedSms
    from voxsms.api.models import HistoryPage as HistoryPage
    from voxsms.api.models import MessageStatus as MessageStatus
    from voxsms.api.models import PhoneNumber as PhoneNumber
    from voxsms.api.models import ResourcePrice as ResourcePrice
    from voxsms.api.models import SendSmsMessageResult as SendSmsMessageResult
    from voxsms.api.models import SmsCommand as SmsCommand
    from voxsms.api.models import SmsHistory as SmsHistory
    from voxsms.api.models import SmsTransaction as SmsTransaction
    from voxsms.calls.auth import ApiKey as ApiKey
    from voxsms.calls.auth import ServiceAccount as ServiceAccount
    from voxsms.calls.hooks import AttemptEvent as AttemptEvent
    from voxsms.calls.hooks import CallEvent as CallEvent
    from voxsms.calls.paging import Pager as Pager
    from voxsms.client import Client as Client
    from voxsms.clock import Clock as Clock
    from voxsms.errors import ApiError as ApiError
    from voxsms.errors import AuthenticationFailed as AuthenticationFailed
    from voxsms.errors import BudgetExceeded as BudgetExceeded
    from voxsms.errors import CallbackInvalid as CallbackInvalid
    from voxsms.errors import CheckpointMismatch as CheckpointMismatch
    from voxsms.errors import ConnectionFailed as ConnectionFailed
    from voxsms.errors import CredentialsInvalid as CredentialsInvalid
    from voxsms.errors import Fault as Fault
    from voxsms.errors import Incomplete as Incomplete
    from voxsms.errors import InsufficientFunds as InsufficientFunds
    from voxsms.errors import InvalidRequest as InvalidRequest
    from voxsms.errors import InvalidText as InvalidText
    from voxsms.errors import NotSent as NotSent
    from voxsms.errors import OutboxUnavailable as OutboxUnavailable
    from voxsms.errors import OutcomeUnknown as OutcomeUnknown
    from voxsms.errors import PartlyFailed as PartlyFailed
    from voxsms.errors import PermissionDenied as PermissionDenied
    from voxsms.errors import PriceUnknown as PriceUnknown
    from voxsms.errors import RateLimited as RateLimited
    from voxsms.errors import RequestRefused as RequestRefused
    from voxsms.errors import ResponseInvalid as ResponseInvalid
    from voxsms.errors import ServerFault as ServerFault
    from voxsms.errors import SignatureInvalid as SignatureInvalid
    from voxsms.errors import SmsNotEnabled as SmsNotEnabled
    from voxsms.errors import TemplateError as TemplateError
    from voxsms.errors import TimedOut as TimedOut
    from voxsms.errors import VoxSmsError as VoxSmsError
    from voxsms.export import export_history as export_history
    from voxsms.outbox import Outbox as Outbox
    from voxsms.pricing import Budget as Budget
    from voxsms.pricing import RateTable as RateTable
    from voxsms.pricing import estimate as estimate
    from voxsms.pricing import estimate_many as estimate_many
    from voxsms.text import Encoding as Encoding
    from voxsms.text import Message as Message
    from voxsms.text import Template as Template
    from voxsms.text import count_fragments as count_fragments
    from voxsms.text import segment as segment
    from voxsms.transport import Timeouts as Timeouts
    from voxsms.transport._aiohttp import AiohttpTransport as AiohttpTransport
    from voxsms.transport._httpx import Httpx2Transport as Httpx2Transport
    from voxsms.transport._httpx import HttpxTransport as HttpxTransport

    __all__: list[str]

_NAMES = {
    "_version": ("__version__",),
    "api.models": (
        "A2PSendSmsResult",
        "A2PSmsHistory",
        "AccountInfo",
        "ControlSmsResult",
        "DeliveryStatus",
        "Direction",
        "FailedSms",
        "HistoryPage",
        "MessageStatus",
        "PhoneNumber",
        "ResourcePrice",
        "SendSmsMessageResult",
        "SmsCommand",
        "SmsHistory",
        "SmsTransaction",
    ),
    "api.fault_codes": ("Outcome",),
    "calls.auth": ("ApiKey", "ServiceAccount"),
    "calls.hooks": ("AttemptEvent", "CallEvent"),
    "calls.paging": ("Pager",),
    "client": ("Client",),
    "clock": ("Clock",),
    "errors": (
        "ApiError",
        "AuthenticationFailed",
        "BudgetExceeded",
        "CallbackInvalid",
        "CheckpointMismatch",
        "ConnectionFailed",
        "CredentialsInvalid",
        "Fault",
        "Incomplete",
        "InsufficientFunds",
        "InvalidRequest",
        "InvalidText",
        "NotSent",
        "OutboxUnavailable",
        "OutcomeUnknown",
        "PartlyFailed",
        "PermissionDenied",
        "PriceUnknown",
        "RateLimited",
        "RequestRefused",
        "ResponseInvalid",
        "ServerFault",
        "SignatureInvalid",
        "SmsNotEnabled",
        "TemplateError",
        "TimedOut",
        "VoxSmsError",
    ),
    "export": ("export_history",),
    "outbox": ("Outbox",),
    "pricing": ("Budget", "RateTable", "estimate", "estimate_many"),
    "text": ("Encoding", "Message", "Template", "count_fragments", "segment"),
    "transport._aiohttp": ("AiohttpTransport",),
    "transport._httpx": ("Httpx2Transport", "HttpxTransport"),
    "transport": ("Timeouts",),
}
"""Every public name, by the module that it is loaded from when it is first used."""
_HOMES = {name: f"voxsms.{module}" for module, names in _NAMES.items() for name in names}
_ROOMS = {
    "export": ("msgspec",),
    "outbox": (),
    "pricing": (),
    "recipients": (),
    "sandbox": ("starlette", "uvicorn"),
    "testing": ("pytest",),
    "text": (),
    "transport": (),
    "webhooks": (),
}
"""The public packages, and what each cannot be loaded without."""

_OF_EXTRAS = ("AiohttpTransport", "export_history")

if not TYPE_CHECKING:  # a type checker knows the names, and refuses others
    __all__ = sorted(_HOMES)  # noqa: PLE0605 - the names of the table

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module, or whatever has that name
        if name in _HOMES:
            globals()[name] = value = _load(name)  # found without this function the next time
            return value
        if not name.startswith("_") and find_spec(f"voxsms.{name}"):
            return import_module(f"voxsms.{name}")  # also for `from voxsms import errors` inside
        raise AttributeError(f"module 'voxsms' has no attribute {name!r}")


def _load(name: str) -> object:
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as missing:
        if name not in _OF_EXTRAS:
            raise
        return _without_extra(name, str(missing))


def _without_extra(name: str, need: str) -> object:
    """Make a stand-in for what needs an extra: it says so when it is used, not when looked at."""

    def refuse(*_: object, **_named: object) -> NoReturn:
        raise ModuleNotFoundError(need)

    return type(name, (), {"__new__": refuse, "__doc__": need})


def __dir__() -> list[str]:
    # `help` and `inspect` get everything named here: a room that lacks its extra would end them.
    rooms = [room for room, needs in _ROOMS.items() if all(map(find_spec, needs))]
    return sorted([*_HOMES, *rooms])
