"""The client: the table of methods as methods of a class.

Each method of the table becomes a plain function of the class, replacing the stub under its
decorator. A type checker infers the names, types and defaults of the arguments, and the result,
from the method's request and reply classes; at run time the function has that signature and the
table's documentation, so that `help()` is right too.
"""

import logging
import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from inspect import Parameter, iscoroutinefunction, signature
from types import GenericAlias, TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    get_args,
    overload,
)
from urllib.parse import urlsplit

import attrs
import httpx

from voxsms._credentials import variable
from voxsms.api import spec
from voxsms.api.models import HistoryPage
from voxsms.api.spec import MethodSpec, RequestClass, call_signature, documentation, request_class
from voxsms.api.wire import PhoneType, describe_type, find_phone_fault
from voxsms.calls.auth import Auth, from_env
from voxsms.calls.hooks import AttemptEvent, CallEvent, Hooks, write_log
from voxsms.calls.paging import Pager
from voxsms.calls.resolve import SETTLE_AFTER, Resolution, resolve_doubt
from voxsms.calls.session import Options, Session
from voxsms.clock import Clock
from voxsms.errors import Fault, InvalidRequest, OutcomeUnknown
from voxsms.transport import Timeouts, Transport
from voxsms.transport._environment import is_this_machine
from voxsms.transport._httpx import HttpxTransport, UserHttpxTransport

if TYPE_CHECKING:  # few programs use prices, and only they load this
    from decimal import Decimal

    from voxsms.pricing import Budget, RateTable

P = ParamSpec("P")
R = TypeVar("R")
Row = TypeVar("Row")
R_co = TypeVar("R_co", covariant=True)
Stub = Callable[["Client"], None]
"""What a decorator replaces: it puts the name of a method where readers look for it."""

BASE_URL = "https://api.voximplant.com"


class Function(Protocol[P, R_co]):
    """A function of the class, as type checkers see it; an instance binds it."""

    @overload
    def __get__(
        self, client: None, owner: type[object]
    ) -> Callable[Concatenate["Client", P], R_co]: ...
    @overload
    def __get__(self, client: "Client", owner: type[object]) -> Callable[P, R_co]: ...
    def __get__(self, client: "Client | None", owner: type[object]) -> Callable[..., R_co]:
        """Bind it."""
        ...


def _name_arguments(request_of: Callable[P, R]) -> Callable[P, R]:
    """Make the error for wrong arguments name the function and the arguments it takes."""
    shown = [
        f"{name}=" if parameter.default is Parameter.empty else f"[{name}=]"
        for name, parameter in signature(request_of).parameters.items()
    ]
    function = f"Client.{spec.python_name(getattr(request_of, '__name__', ''))}"

    def make(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return request_of(*args, **kwargs)
        except TypeError as error:
            _, _, problem = str(error).partition("() ")
            if problem.startswith("takes"):
                problem = "takes keyword arguments only"
            raise TypeError(f"{function}() {problem}; it takes {', '.join(shown)}") from None
        finally:
            del args, kwargs  # error trackers record the variables of frames

    return make


def _call(method: MethodSpec[P, R]) -> Callable[[Stub], Function[P, Coroutine[Any, Any, R]]]:
    """Build the function of a method whose answer is one record."""
    request_of = _name_arguments(method.request)

    async def call(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            request = request_of(*args, **kwargs)
        finally:
            del args, kwargs  # error trackers record the variables of frames
        return await client.session.call(method, request)

    made = _document(call, method, request_class(method), method.reply)
    return lambda _: cast("Function[P, Coroutine[Any, Any, R]]", made)


def _paged(method: MethodSpec[P, HistoryPage[Row]]) -> Callable[[Stub], Function[P, Pager[Row]]]:
    """Build the function of a method whose answer is one page of a list."""
    request_of = _name_arguments(method.request)

    def call(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Pager[Row]:
        try:
            request = request_of(*args, **kwargs)
        finally:
            del args, kwargs  # error trackers record the variables of frames

        def fetch(request: attrs.AttrsInstance) -> Coroutine[Any, Any, HistoryPage[Row]]:
            return client.session.call(method, request)

        return Pager(method, request, fetch, client.session.service_clock.now)

    returns = GenericAlias(Pager, get_args(method.reply))
    made = _document(call, method, request_class(method), returns)
    return lambda _: cast("Function[P, Pager[Row]]", made)


def _download(
    method: spec.AnyMethod, request_class_of: Callable[P, spec.Download]
) -> Callable[[Stub], Function[P, Coroutine[Any, Any, int]]]:
    """Build the function of a method in its `output=` form, whose answer is a file."""
    request_of = _name_arguments(request_class_of)

    async def call(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> int:
        try:
            request = request_of(*args, **kwargs)
        finally:
            del args, kwargs  # error trackers record the variables of frames
        return await client.session.download(method, request, request.path)

    made = _document(call, method, cast("RequestClass", request_class_of), int)
    return lambda _: cast("Function[P, Coroutine[Any, Any, int]]", made)


def _document(
    function: Any,  # noqa: ANN401 - of three kinds
    method: spec.AnyMethod,
    request: RequestClass,
    returns: object,
) -> object:
    """Set a function's name, signature and documentation to those of the table."""
    function.__name__ = spec.python_name(request.__name__)
    function.__qualname__ = f"Client.{function.__name__}"
    function.__doc__ = documentation(method, request)
    shown = call_signature(request, returns)
    client = Parameter("self", Parameter.POSITIONAL_ONLY)
    function.__signature__ = shown.replace(parameters=[client, *shown.parameters.values()])
    # Documentation tools read these where a signature would do.
    function.__annotations__ = {name: p.annotation for name, p in shown.parameters.items()}
    function.__annotations__["return"] = returns
    return function


class ClientOptions(TypedDict, total=False):
    """What a `Client` takes besides its credentials; documented there."""

    base_url: str
    timeout: float | Timeouts
    deadline: float
    max_attempts: int
    budget: "Budget | None"
    region: str | None
    strict_numbers: bool
    transport: Transport | httpx.AsyncClient | httpx.AsyncBaseTransport | None
    on_attempt: Callable[[AttemptEvent], object] | None
    on_outcome: Callable[[CallEvent], object] | None
    clock: Clock | None


class Client:
    """An asynchronous client for Voximplant's SMS methods.

    Use it as `async with Client(auth) as client:`, under asyncio or trio. One client may serve
    several event loops in turn, such as an `asyncio.run` for each job, or those of several threads
    at once: each loop has its own connections.
    No call is ever sent twice where that could deliver a message twice.

    Args:
        auth: a `ServiceAccount` or an `ApiKey`.
        base_url: the URL of the service.
        timeout: one limit in seconds for each phase of an attempt, or `Timeouts` to set each.
        deadline: seconds for a whole call, including its waits and repetitions.
        max_attempts: how often a call may be tried, where trying again is safe.
        budget: what sending may cost; checked before every send.
        region: a country's two letters, such as `GB`: numbers to send to may be in its national
            format (`07700 900123`). Needs the extra `phone`, as does `strict_numbers`.
        strict_numbers: refuse numbers that are not possible in their country, and short codes.
        transport: `HttpxTransport` by default; another transport of `voxsms.transport`, or an
            `httpx.AsyncClient` or transport of your own.
        on_attempt: called after each attempt with an `AttemptEvent`.
        on_outcome: called after each call with a `CallEvent`, also if the call was cancelled or a
            budget stopped it.
        clock: for tests: a `Clock` that controls time.

    Raises:
        InvalidRequest: an argument is invalid.
    """

    @_call(spec.SEND_SMS_MESSAGE)
    def send_sms_message(self) -> None:
        """Send one SMS between two numbers."""

    @_call(spec.A2P_SEND_SMS)
    def a2p_send_sms(self) -> None:
        """Send one text from an application to up to 100 numbers."""

    @_call(spec.CONTROL_SMS)
    def control_sms(self) -> None:
        """Enable or disable SMS for a number."""

    @_paged(spec.GET_SMS_HISTORY)
    def get_sms_history(self) -> None:
        """Read the history of two-way messages."""

    @_paged(spec.A2P_GET_SMS_HISTORY)
    def a2p_get_sms_history(self) -> None:
        """Read the history of A2P messages."""

    @_download(spec.GET_SMS_HISTORY, spec.DownloadSmsHistory)
    def download_sms_history(self) -> None:
        """Download one page of the history of two-way messages as a file."""

    @_download(spec.A2P_GET_SMS_HISTORY, spec.DownloadA2PSmsHistory)
    def download_a2p_sms_history(self) -> None:
        """Download one page of the history of A2P messages as a file."""

    @_paged(spec.GET_PHONE_NUMBERS)
    def get_phone_numbers(self) -> None:
        """List the numbers attached to the account."""

    @_call(spec.GET_RESOURCE_PRICE)
    def get_resource_price(self) -> None:
        """Read the prices of resources by groups of destinations."""

    @_call(spec.GET_ACCOUNT_INFO)
    def get_account_info(self) -> None:
        """Read the account: balance, currency, what is enabled."""

    def __init__(
        self,
        auth: Auth,
        base_url: str = BASE_URL,
        *,
        timeout: float | Timeouts = Timeouts(),  # noqa: B008 - immutable
        deadline: float = 60.0,
        max_attempts: int = 4,
        budget: "Budget | None" = None,
        region: str | None = None,
        strict_numbers: bool = False,
        transport: Transport | httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        on_attempt: Callable[[AttemptEvent], object] | None = None,
        on_outcome: Callable[[CallEvent], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = Clock() if clock is None else clock
        hooks = Hooks(on_attempt, on_outcome)
        phone = PhoneType.of(region, strict=strict_numbers)
        options = Options(Timeouts.of(timeout), max_attempts, deadline, budget, phone)
        faults = _faults_of_parts(auth, base_url, transport, hooks, clock)
        try:
            _check(options, *faults)
        except InvalidRequest:
            del base_url  # error trackers record the variables of frames; it may hold a password
            raise
        _warn_of_clear_text(base_url)
        carrier, url = _transport(transport, clock), base_url.rstrip("/")
        self.session: Session = Session(auth.signer(), url, carrier, hooks, clock, options)

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """Create a client from the environment.

        `VOXIMPLANT_CREDENTIALS` names a service account's credentials file; without it
        `VOXIMPLANT_ACCOUNT_ID` and `VOXIMPLANT_API_KEY` are used. `VOXSMS_BASE_URL` is optional.

        Raises:
            CredentialsInvalid: names the variable, file and field at fault.
        """
        options.setdefault("base_url", variable(os.environ, "VOXSMS_BASE_URL") or BASE_URL)
        try:
            return cls(from_env(os.environ), **options)
        finally:
            del options  # error trackers record the variables of frames

    def with_options(
        self,
        *,
        timeout: float | Timeouts | None = None,
        max_attempts: int | None = None,
        deadline: float | None = None,
        budget: "Budget | None" = None,
        region: str | None = None,
        strict_numbers: bool | None = None,
    ) -> Self:
        """Return a view of this client with other options, sharing its connections.

        Raises:
            InvalidRequest: an option is invalid.
        """
        now = self.session.options
        numbers = now.phone or PhoneType()
        phone = PhoneType.of(
            numbers.region if region is None else region,
            strict=numbers.strict if strict_numbers is None else strict_numbers,
        )
        options = Options(
            now.timeouts if timeout is None else Timeouts.of(timeout),
            now.max_attempts if max_attempts is None else max_attempts,
            now.deadline if deadline is None else deadline,
            now.budget if budget is None else budget,
            phone,
        )
        view = object.__new__(type(self))
        _check(options)
        view.session = self.session.with_options(options)
        return view

    async def rates(self, method: str = "a2p_send_sms") -> "RateTable":
        """Return the prices of one of the two sends, in the account's currency.

        Args:
            method: `a2p_send_sms` or `send_sms_message`.
        """
        from voxsms.pricing import RESOURCE_TYPES  # noqa: PLC0415

        if method not in RESOURCE_TYPES:
            known = " or ".join(RESOURCE_TYPES)
            raise InvalidRequest("rates", (Fault("method", f"is not {known}"),))
        (table,) = await self._rates_of(method)
        return table

    async def _rates_of(self, *methods: str) -> "list[RateTable]":
        from voxsms.pricing import RESOURCE_TYPES, RateTable  # noqa: PLC0415

        account = await self.get_account_info()
        kinds = [kind for method in methods for kind in RESOURCE_TYPES[method]]
        prices = await self.get_resource_price(resource_type=kinds)
        return [
            RateTable.from_resource_prices(prices, currency=account.currency, method=method)
            for method in methods
        ]

    async def resolve(
        self, doubt: OutcomeUnknown, *, settle_after: timedelta = SETTLE_AFTER
    ) -> Resolution:
        """Return what the history says of a send in doubt: sent with ids, not sent, or still open.

        It is ambiguous if several messages in the history could match, or if this machine's clock
        and the service's disagree and the history has one like it within a day.

        .. code-block:: python

            numbers = ["447443332212"]
            try:
                await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=numbers, text="Hi")
            except voxsms.OutcomeUnknown as doubt:
                resolution = await client.resolve(doubt)

        Nothing is sent. While it is open, `resolution.wait` says in how many seconds to ask again:
        what the history does not have by then was not sent, or is ambiguous.

        Args:
            doubt: the error that the send raised.
            settle_after: how long the history may take to show a message.
        """
        return await resolve_doubt(self.session, doubt, settle_after)

    async def with_budget(
        self,
        *,
        max_cost: "Decimal | int | str",
        per: timedelta | None = None,
        max_fragments: int | None = None,
        unpriced: Literal["refuse", "allow"] = "refuse",
    ) -> Self:
        """Return a view of this client with a budget, based on the account's current rates.

        .. code-block:: python

            from datetime import timedelta

            sender = await client.with_budget(max_cost="25", per=timedelta(days=1))

        Both kinds of send through the view count; what this client itself sends does not.

        Args:
            max_cost: the most that may be spent, in the account's currency.
            per: the sliding window of time that `max_cost` is for; without it, as long as the view
                is used.
            max_fragments: the most fragments that one message may take.
            unpriced: "allow" lets a number without a known price pass, and counts nothing for it.

        Raises:
            InvalidRequest: the limits make no sense.
        """
        from voxsms.pricing import RESOURCE_TYPES, Budget, RateTable  # noqa: PLC0415

        def make(rates: "list[RateTable]") -> "Budget":
            return Budget(
                max_cost=max_cost,
                per=per,
                max_fragments=max_fragments,
                rates=rates,
                unpriced=unpriced,
                clock=self.session.clock,
            )

        methods = tuple(RESOURCE_TYPES)
        make([RateTable.from_resource_prices((), currency="", method=methods[0])])  # limits first
        return self.with_options(budget=make(await self._rates_of(*methods)))

    async def __aenter__(self) -> Self:
        """Return the client; it opens connections when it needs them."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, including those of every view; later calls are refused.

        Connections opened in another event loop are closed when that loop ends (by `asyncio.run`).
        """
        await self.session.aclose()

    def __repr__(self) -> str:
        """Show the URL and the transport, and nothing secret."""
        session: Session | None = getattr(self, "session", None)
        if session is None:  # its arguments were refused
            return "<Client that was not created>"
        return f"<Client {session.base_url} over {session.transport.name}>"


def _faults_of_parts(
    auth: object, base_url: object, transport: object, hooks: Hooks, clock: object
) -> Iterator[Fault]:
    """Find invalid parts of a client, such as a class, a path or a coroutine."""
    if not _is_one_with(auth, "signer"):
        yield Fault("auth", f"is {describe_type(auth)}; it must be a ServiceAccount or an ApiKey")
    if problem := _problem_of_url(base_url):
        yield Fault("base_url", problem)
    of_httpx = isinstance(transport, httpx.AsyncClient | httpx.AsyncBaseTransport | None)
    if not of_httpx and not _is_one_with(transport, "reports_progress"):
        wanted = "an httpx.AsyncClient, an httpx transport or one of voxsms.transport"
        yield Fault("transport", f"is {describe_type(transport)}; it must be {wanted}")
    if not all(_is_one_with(clock, method) for method in ("time", "monotonic", "sleep", "roll")):
        yield Fault("clock", f"is {describe_type(clock)}; it must be a Clock")
    for name, hook in attrs.asdict(hooks, recurse=False).items():
        if hook is not None and not _is_plain_function(hook):
            yield Fault(name, "must be a plain function: it is called on the spot, not awaited")


def _is_plain_function(hook: object) -> bool:
    asynchronous = iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__)
    return callable(hook) and not asynchronous


def _warn_of_clear_text(url: str) -> None:
    """Warn about a URL without TLS, unless it is on this machine, as in tests."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        text = "credentials cross the network in the clear: %s is called without TLS"
        write_log(logging.WARNING, text, parts.hostname)


def _problem_of_url(url: object) -> str | None:
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return _LIKE
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # unclosed brackets, a port that is not a number
        return _LIKE
    if not known or parts.query or parts.fragment:
        return _LIKE
    return "must not hold credentials" if parts.username or parts.password else None


_LIKE = f"must be like {BASE_URL}"


def _check(options: Options, *others: Fault) -> None:
    faults = [
        *others,
        *(
            Fault(f"timeout.{name}", "must be a number of seconds above 0")
            for name, value in attrs.asdict(options.timeouts).items()
            if not _is_positive(value)
        ),
    ]
    if not _is_positive(options.deadline):
        faults.append(Fault("deadline", "must be a number of seconds above 0"))
    if type(options.max_attempts) is not int or options.max_attempts < 1:
        faults.append(Fault("max_attempts", "must be a whole number of at least 1"))
    if options.phone and (fault := find_phone_fault(options.phone)):
        faults.append(fault)
    if options.budget is not None and not _is_one_with(options.budget, "reserve"):
        faults.append(Fault("budget", f"is {describe_type(options.budget)}; it must be a Budget"))
    if faults:
        raise InvalidRequest("Client", tuple(faults))


def _is_one_with(value: object, method: str) -> bool:
    """Return whether a value has a method and is not a class, a common slip."""
    return hasattr(value, method) and not isinstance(value, type)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _transport(
    given: Transport | httpx.AsyncClient | httpx.AsyncBaseTransport | None, clock: Clock
) -> Transport:
    if given is None:
        return HttpxTransport(clock=clock)
    if isinstance(given, httpx.AsyncBaseTransport):
        return UserHttpxTransport(httpx.AsyncClient(transport=given), owned=True)
    return UserHttpxTransport(given) if isinstance(given, httpx.AsyncClient) else given
