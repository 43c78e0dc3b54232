"""Async client for Voximplant's SMS API that never sends twice and tells the price first.

    async with voxsms.Client.from_env() as client:
        await client.send_sms_message(source="...", destination="...", sms_body="...")

`voxsms.sandbox` and `voxsms.testing` are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxsms._version import __version__
from voxsms.api.models import (
    A2PSendSmsResult,
    A2PSmsHistory,
    AccountInfo,
    ControlSmsResult,
    DeliveryStatus,
    Direction,
    FailedSms,
    HistoryPage,
    MessageStatus,
    PhoneNumber,
    PriceGroup,
    PriceGroupParams,
    ResourcePrice,
    SendSmsMessageResult,
    SmsCommand,
    SmsHistory,
    SmsTransaction,
)
from voxsms.auth import ApiKey, ServiceAccount
from voxsms.client import Client
from voxsms.clock import Clock
from voxsms.errors import (
    ApiError,
    AuthenticationFailed,
    BudgetExceeded,
    CallbackInvalid,
    CheckpointMismatch,
    ConnectionFailed,
    CredentialsInvalid,
    Fault,
    Incomplete,
    InsufficientFunds,
    InvalidRequest,
    InvalidText,
    NotSent,
    OutcomeUnknown,
    PartlyFailed,
    PermissionDenied,
    PriceUnknown,
    RateLimited,
    RequestRefused,
    ResponseInvalid,
    ServerFault,
    SignatureInvalid,
    SmsNotEnabled,
    TemplateError,
    TimedOut,
    VoxSmsError,
)
from voxsms.hooks import AttemptEvent, CallEvent
from voxsms.paging import Pager
from voxsms.retry import Outcome
from voxsms.text.message import Message
from voxsms.text.segments import Encoding, Segmentation, count_fragments, segment
from voxsms.transport.httpx_lanes import Httpx2Transport, HttpxTransport
from voxsms.transport.seam import Timeouts

if TYPE_CHECKING:
    from voxsms import sandbox, testing
    from voxsms.pricing import (
        Budget,
        Comparison,
        Estimate,
        Rate,
        RateTable,
        compare_with_history,
        estimate,
        estimate_many,
    )

__all__ = [
    "A2PSendSmsResult",
    "A2PSmsHistory",
    "AccountInfo",
    "ApiError",
    "ApiKey",
    "AttemptEvent",
    "AuthenticationFailed",
    "Budget",
    "BudgetExceeded",
    "CallEvent",
    "CallbackInvalid",
    "CheckpointMismatch",
    "Client",
    "Clock",
    "Comparison",
    "ConnectionFailed",
    "ControlSmsResult",
    "CredentialsInvalid",
    "DeliveryStatus",
    "Direction",
    "Encoding",
    "Estimate",
    "FailedSms",
    "Fault",
    "HistoryPage",
    "Httpx2Transport",
    "HttpxTransport",
    "Incomplete",
    "InsufficientFunds",
    "InvalidRequest",
    "InvalidText",
    "Message",
    "MessageStatus",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Pager",
    "PartlyFailed",
    "PermissionDenied",
    "PhoneNumber",
    "PriceGroup",
    "PriceGroupParams",
    "PriceUnknown",
    "Rate",
    "RateLimited",
    "RateTable",
    "RequestRefused",
    "ResourcePrice",
    "ResponseInvalid",
    "Segmentation",
    "SendSmsMessageResult",
    "ServerFault",
    "ServiceAccount",
    "SignatureInvalid",
    "SmsCommand",
    "SmsHistory",
    "SmsNotEnabled",
    "SmsTransaction",
    "TemplateError",
    "TimedOut",
    "Timeouts",
    "VoxSmsError",
    "__version__",
    "compare_with_history",
    "count_fragments",
    "estimate",
    "estimate_many",
    "sandbox",
    "segment",
    "testing",
]

_MODULES = ("sandbox", "testing")
# What not every program needs is loaded when it is first used.
_PRICING = (
    "Budget",
    "Comparison",
    "Estimate",
    "Rate",
    "RateTable",
    "compare_with_history",
    "estimate",
    "estimate_many",
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module, or whatever has that name
    if name in _MODULES:
        return import_module(f"voxsms.{name}")
    if name in _PRICING:
        return getattr(import_module("voxsms.pricing"), name)
    raise AttributeError(f"module 'voxsms' has no attribute {name!r}")
