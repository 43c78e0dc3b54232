"""THE TABLE: each method is described once; all other code that knows a method reads it here.

A `MethodSpec` determines the client's method with its types and `help()`, what goes over the wire,
the checks made before sending, the reading of the answer, whether a repetition can charge twice,
the sandbox's reading of requests, and the method table in the documentation.

A request class is the signature of its method: each field carries its wire type, its meaning, and
the code with which the service refuses a bad value. A field without a wire type stays on this
machine.
Source: shared contract, sections 2 and 3; the wording is that of the public method reference.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from inspect import Signature, getdoc, signature
from os import PathLike
from types import MappingProxyType
from typing import (
    Annotated,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    get_args,
    get_type_hints,
)

import attrs

from voxsms.api import wire
from voxsms.api.models import (
    A2PSendSmsResult,
    A2PSmsHistory,
    AccountInfo,
    ControlSmsResult,
    DeliveryStatus,
    Direction,
    HistoryPage,
    Output,
    PhoneNumber,
    ResourcePrice,
    SendSmsMessageResult,
    SmsCommand,
    SmsHistory,
)
from voxsms.text import Message

RequestClass = type[attrs.AttrsInstance]
P = ParamSpec("P")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - "Result", short as the ParamSpec beside it

MAX_NUMBERS = 100
"""How many destinations one A2P send takes."""
MAX_PAGE_ROWS = 1000
"""How many rows one page of a history holds."""


@attrs.frozen
class Param:
    """What the table says about one parameter."""

    wire_type: wire.WireType
    doc: str
    refusal: int = 496
    """The service's code for a value it does not accept."""


@attrs.frozen
class Sending:
    """The parameters of a charged method for the sender, the destinations and the text."""

    sender: str
    to: str
    text: str


@attrs.frozen(kw_only=True)
class MethodSpec(Generic[P, R]):
    """One method of the table."""

    cmd: str
    """The name on the wire."""
    request: Callable[P, attrs.AttrsInstance]
    """An attrs class with one field for each parameter."""
    reply: type[R]
    """The class that the answer is read into."""
    summary: str
    inside: bool = False
    """The record is under `result`, not at the top level of the answer."""
    sending: Sending | None = None
    """Set for a method that charges: a repetition may be delivered and charged again."""
    success_result: int | None = None
    """The only number under `result` that means success, if the answer has a number there."""
    row_key: str = "message_id"
    """The field that identifies a row of a page."""
    span: tuple[str, str] | None = None
    """The two parameters that bound a span of time, the earlier first."""
    download: type[attrs.AttrsInstance] | None = None
    """The request class of its `output=` form, where the answer is a file."""
    roles: tuple[str, ...] = ()
    """Any one of these lets a service account call it; for documentation, never checked here."""
    example: str = ""
    """The call that `help()` shows, if arguments are required."""

    @property
    def charges(self) -> bool:
        """Whether a call can send a message and charge for it."""
        return self.sending is not None

    @property
    def paged(self) -> bool:
        """Whether the answer is one page of a list."""
        return getattr(self.reply, "__origin__", None) is HistoryPage


AnyMethod = MethodSpec[..., object]


class AsyncWriter(Protocol):
    """A file opened for writing bytes, such as `await anyio.open_file(path, "wb")`."""

    async def write(self, data: bytes, /) -> object:
        """Write bytes."""
        ...


_PHONE = wire.PhoneType()
_NUMBER = wire.SenderType()
_WORD = wire.StringType()
_FLAG = wire.BoolType()
_TIME = wire.TimeType()
_IDS = wire.ListType(wire.IntType(1))
_DIRECTION = wire.ChoiceType(Direction)
_STATUS = wire.ChoiceType(DeliveryStatus, wire=lambda status: str(status.number))
_COMMAND = wire.ChoiceType(SmsCommand)
_OUTPUT = wire.ChoiceType(Output)

StoreBody = Annotated[
    bool | None,
    Param(_FLAG, "Keep the text, so that the history shows it. The service's default is false."),
]
Offset = Annotated[int | None, Param(wire.IntType(), "How many rows to skip.", 497)]
SourceFilter = Annotated[str | None, Param(_NUMBER, "Only messages from this number or SenderID.")]
DestinationFilter = Annotated[str | None, Param(_PHONE, "Only messages to this number.")]
RowCount = Annotated[
    int | None,
    Param(wire.IntType(1, MAX_PAGE_ROWS), "Rows in one page, at most (and by default) 1000.", 497),
]
FromDate = Annotated[
    datetime | None, Param(_TIME, "Only messages of this time and later; an aware datetime.", 111)
]
ToDate = Annotated[
    datetime | None, Param(_TIME, "Only messages of this time and earlier; an aware datetime.", 111)
]
MessageIds = Annotated[Iterable[int] | None, Param(_IDS, "Only the messages with these ids.")]
DirectionFilter = Annotated[
    Direction | Literal["IN", "OUT", "in", "out"] | None,
    Param(_DIRECTION, "Only sent or only received messages; both if left out.", 470),
]
StatusFilter = Annotated[
    DeliveryStatus | int | None, Param(_STATUS, "Only messages with this delivery status.")
]
OutputFormat = Annotated[Literal["csv", "xls"], Param(_OUTPUT, "The kind of file.", 105)]


# Requests are neither compared nor shown: a `repr` would contain numbers and texts.


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SendSmsMessage:
    """Send one SMS between two numbers; each fragment of a long text is charged."""

    source: Annotated[str, Param(_NUMBER, "A rented number for which SMS is enabled.", 422)]
    destination: Annotated[str, Param(_PHONE, "The number to send to.", 423)]
    sms_body: Annotated[
        str | Message,
        Param(wire.TextType(765), "The text, at most 765 UTF-16 code units.", 496),
    ]
    store_body: StoreBody = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class A2PSendSms:
    """Send one text from an application to up to 100 numbers; each fragment is charged for each."""

    src_number: Annotated[
        str,
        Param(_NUMBER, "A SenderID installed by the provider, or a rented, enabled number.", 507),
    ]
    dst_numbers: Annotated[
        Iterable[str],
        Param(
            wire.ListType(_PHONE, MAX_NUMBERS, distinct=True),
            "The numbers to send to: at most 100, none twice.",
            423,
        ),
    ]
    text: Annotated[
        str | Message,
        Param(wire.TextType(1600), "The text, at most 1600 UTF-16 code units.", 508),
    ]
    store_body: StoreBody = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ControlSms:
    """Enable or disable sending and receiving SMS for a number that supports it."""

    phone_number: Annotated[str, Param(_PHONE, "A rented number with SMS support.", 121)]
    command: Annotated[
        SmsCommand | Literal["enable", "disable"], Param(_COMMAND, "`enable` or `disable`.")
    ]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetSmsHistory:
    """Read the history of two-way messages, sent and received."""

    message_id: MessageIds = None
    source_number: SourceFilter = None
    destination_number: DestinationFilter = None
    direction: DirectionFilter = None
    count: RowCount = None
    offset: Offset = None
    from_date: FromDate = None
    to_date: ToDate = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class A2PGetSmsHistory:
    """Read the history of A2P messages."""

    message_id: MessageIds = None
    source_number: SourceFilter = None
    destination_number: DestinationFilter = None
    count: RowCount = None
    offset: Offset = None
    from_date: FromDate = None
    to_date: ToDate = None
    delivery_status: StatusFilter = None


Target = str | PathLike[str] | AsyncWriter
"""Where a download goes: a path, or an async file open for writing bytes."""


class Download(attrs.AttrsInstance, Protocol):
    """The request class of a method's `output=` form."""

    @property
    def path(self) -> Target:
        """Where the file goes."""
        ...


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DownloadSmsHistory(GetSmsHistory):
    """Download one page of the history of two-way messages as a file, bytes untouched.

    A truncated file is an error, and leaves no trace. It goes unnoticed only without TLS, if
    neither a length nor chunks nor compression mark the end.
    """

    path: Target
    output: OutputFormat


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DownloadA2PSmsHistory(A2PGetSmsHistory):
    """Download one page of the history of A2P messages as a file, bytes untouched.

    A truncated file is an error, and leaves no trace. It goes unnoticed only without TLS, if
    neither a length nor chunks nor compression mark the end.
    """

    path: Target
    output: OutputFormat


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetPhoneNumbers:
    """List the numbers attached to the account."""

    phone_number: Annotated[
        Iterable[str] | None, Param(wire.ListType(_PHONE), "Only these numbers.", 121)
    ] = None
    sms_supported: Annotated[
        bool | None, Param(_FLAG, "Only numbers that support SMS, or only those that do not.")
    ] = None
    count: Annotated[int | None, Param(wire.IntType(1), "Rows in one page.", 497)] = None
    offset: Offset = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetResourcePrice:
    """Read the prices of resources by groups of destinations, in the account's currency."""

    resource_type: Annotated[
        Iterable[str] | None,
        Param(wire.ListType(_WORD), "Only these types, such as `SMSOUT` or `A2P_SMS_E212`.", 429),
    ] = None
    resource_param: Annotated[
        Iterable[str] | None, Param(wire.ListType(_PHONE), "Numbers whose price groups to return.")
    ] = None
    price_group_id: Annotated[
        Iterable[int] | None, Param(_IDS, "Only the groups with these ids.")
    ] = None
    price_group_name: Annotated[
        str | None, Param(_WORD, "Only groups whose name has this in it.", 430)
    ] = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetAccountInfo:
    """Read the account: balance, currency, what is enabled."""

    return_live_balance: Annotated[
        bool | None, Param(_FLAG, "Compute the balance now; else it is the last one known.")
    ] = None


_SPAN = ("from_date", "to_date")
_STAFF = ("Owner", "Admin", "Developer")

SEND_SMS_MESSAGE = MethodSpec(
    cmd="SendSmsMessage",
    request=SendSmsMessage,
    reply=SendSmsMessageResult,
    summary="Send one SMS between two numbers",
    sending=Sending(sender="source", to="destination", text="sms_body"),
    success_result=1,
    roles=(*_STAFF, "CallsSMS"),
    example="""
    sent = await client.send_sms_message(
        source="447443332211", destination="447443332212", sms_body="Hi"
    )
    print(sent.message_id, sent.fragments_count)
""",
)
A2P_SEND_SMS = MethodSpec(
    cmd="A2PSendSms",
    request=A2PSendSms,
    reply=A2PSendSmsResult,
    summary="Send one text to up to 100 numbers",
    sending=Sending(sender="src_number", to="dst_numbers", text="text"),
    roles=("CallsSMS",),
    example="""
    sent = await client.a2p_send_sms(
        src_number="VOXSMS", dst_numbers=["447443332212", "447443332213"], text="See you"
    )
    sent.raise_if_failed()  # an accepted send may have failed for some numbers, or all
    print(sent.result[0].message_id)  # without the line above `result` may be empty
""",
)
CONTROL_SMS = MethodSpec(
    cmd="ControlSms",
    request=ControlSms,
    reply=ControlSmsResult,
    summary="Enable or disable SMS for a number",
    success_result=1,
    roles=_STAFF,
    example="""
    await client.control_sms(phone_number="447443332211", command="enable")
""",
)
GET_SMS_HISTORY = MethodSpec(
    cmd="GetSmsHistory",
    request=GetSmsHistory,
    reply=HistoryPage[SmsHistory],
    summary="Read the history of two-way messages",
    span=_SPAN,
    download=DownloadSmsHistory,
    roles=(*_STAFF, "Supervisor", "Accountant", "CallsSMS"),
)
A2P_GET_SMS_HISTORY = MethodSpec(
    cmd="A2PGetSmsHistory",
    request=A2PGetSmsHistory,
    reply=HistoryPage[A2PSmsHistory],
    summary="Read the history of A2P messages",
    span=_SPAN,
    download=DownloadA2PSmsHistory,
    roles=("Owner", "Admin", "CallsSMS"),
)
GET_PHONE_NUMBERS = MethodSpec(
    cmd="GetPhoneNumbers",
    request=GetPhoneNumbers,
    reply=HistoryPage[PhoneNumber],
    row_key="phone_id",
    summary="List the numbers of the account",
)
GET_RESOURCE_PRICE = MethodSpec(
    cmd="GetResourcePrice",
    request=GetResourcePrice,
    reply=tuple[ResourcePrice, ...],
    summary="Read prices by groups of destinations",
    inside=True,
)
GET_ACCOUNT_INFO = MethodSpec(
    cmd="GetAccountInfo",
    request=GetAccountInfo,
    reply=AccountInfo,
    summary="Read the account and its balance",
    inside=True,
)

TABLE: tuple[AnyMethod, ...] = (
    SEND_SMS_MESSAGE,
    A2P_SEND_SMS,
    CONTROL_SMS,
    GET_SMS_HISTORY,
    A2P_GET_SMS_HISTORY,
    GET_PHONE_NUMBERS,
    GET_RESOURCE_PRICE,
    GET_ACCOUNT_INFO,
)

METHODS: Mapping[str, AnyMethod] = MappingProxyType({method.cmd: method for method in TABLE})
"""Every method by its name on the wire."""


def parameters(request: RequestClass) -> Mapping[str, Param]:
    """Return the parameters of a request class that cross the wire, in order."""
    hints = get_type_hints(request, include_extras=True)
    return MappingProxyType(
        {
            name: param
            for name, hint in hints.items()
            for param in get_args(hint)
            if isinstance(param, Param)
        }
    )


def required(request: RequestClass) -> frozenset[str]:
    """Return the names of the parameters that have no default."""
    fields = attrs.fields_dict(request)
    return frozenset(n for n in parameters(request) if fields[n].default is attrs.NOTHING)


def widest(method: AnyMethod) -> RequestClass:
    """Return the request class that has every parameter a method can take on the wire."""
    return method.download or request_class(method)


def request_class(method: AnyMethod) -> RequestClass:
    """Return a method's request class, typed as a class and not as a signature.

    Raises:
        TypeError: the request is not a class.
    """
    if not isinstance(method.request, type):
        raise TypeError(f"{method.cmd}: the request of a method is a class")
    return method.request


def call_signature(request: RequestClass, returns: object) -> Signature:
    """Return the signature of a call: that of the request class, and what the call returns."""
    shown = signature(request)
    plain = get_type_hints(request)  # without what `Annotated` adds for the wire
    named = [p.replace(annotation=plain[p.name]) for p in shown.parameters.values()]
    return shown.replace(parameters=named, return_annotation=returns)


def documentation(method: AnyMethod, request: RequestClass) -> str:
    """Return what `help()` shows for a call: an example, what it takes, what it raises."""
    args = [f"    {name}: {param.doc}" for name, param in parameters(request).items()]
    own = [f"    {field}: {_TARGET}" for field in attrs.fields_dict(request) if field == "path"]
    roles = f"\n\nRoles: {', '.join(method.roles)}." if method.roles else ""
    example = (method.example or _show_call(method, request)).strip("\n")
    code = f".. code-block:: python\n\n{example}"
    parts = [getdoc(request) or "", code, "\n".join(["Args:", *args, *own])]
    return "\n\n".join([*parts, _RAISED_BY_SENDS if method.charges else _RAISED]) + roles


def _show_call(method: AnyMethod, request: RequestClass) -> str:
    call = f"client.{python_name(request.__name__)}"
    if request is method.download:
        return f'    size = await {call}(output="csv", path="history.csv")'
    if not method.paged:
        return f"    result = await {call}()"
    rows = f"    async for row in {call}():  # every row\n        print(row)"
    return f"    page = await {call}()  # one page\n{rows}"


_TARGET = "Where the file goes: a path, or an async file open for writing bytes."
_RAISED_BY_SENDS = """\
Raises:
    InvalidRequest: An argument is invalid; every fault is named. Nothing was sent.
    BudgetExceeded, PriceUnknown: The budget does not allow the send. Nothing was sent.
    CredentialsInvalid: The credentials cannot be used. Nothing was sent.
    NotSent: No byte of the request left this machine: it is safe to call again.
    ApiError: The service refused it; the class and `code` say why. Nothing was sent.
    OutcomeUnknown: It may have been sent and charged: check the history before calling again."""
_RAISED = """\
Raises:
    InvalidRequest: An argument is invalid; every fault is named.
    CredentialsInvalid: The credentials cannot be used.
    ConnectionFailed, TimedOut: No answer came, even after several attempts.
    ApiError: The service refused it; the class and `code` say why.
    ResponseInvalid: The answer cannot be read."""


def python_name(cmd: str) -> str:
    """Return the client's name of a method: `A2PSendSms` is `a2p_send_sms`."""
    words = cmd.replace("A2P", "A2p")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in words).removeprefix("_")
