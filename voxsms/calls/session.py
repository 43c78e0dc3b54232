"""The state that the calls of one client share, and the part of a client that jobs use.

A job, such as an export, makes its calls through `client.session`: it needs no other part of a
client.
"""

from collections.abc import Callable, Coroutine, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from voxsms._version import __version__
from voxsms.api.codec import Answer, FormFields, read_answer, read_payload, write_request
from voxsms.api.models import Output
from voxsms.api.spec import AnyMethod, MethodSpec, Target
from voxsms.api.wire import PhoneType
from voxsms.calls.auth import Signer
from voxsms.calls.download import open_target
from voxsms.calls.hooks import Hooks
from voxsms.calls.loop import Call, RetryBudget, without_frames
from voxsms.calls.service_clock import ServiceClock
from voxsms.clock import Clock
from voxsms.errors import Fault, InvalidRequest, ResponseInvalid
from voxsms.transport import Timeouts, Transport, is_file

if TYPE_CHECKING:
    from voxsms.pricing import Budget

R = TypeVar("R")


@attrs.frozen
class Options:
    """The options that a view of a client may set for its calls."""

    timeouts: Timeouts = attrs.field(factory=Timeouts)
    max_attempts: int = 4
    deadline: float = 60.0
    """Seconds for a whole call, including its waits and repetitions."""
    budget: "Budget | None" = None
    phone: PhoneType | None = None
    """How to read phone numbers, if not as in the table of methods."""
    may_begin: Callable[[], bool] | None = None
    """Called right before the first byte of each attempt; on False it fails and nothing leaves."""


class Session:
    """A client's account, clocks and calls, with the options of one view of it.

    Views share everything but their options.
    """

    def __init__(
        self,
        signer: Signer,
        base_url: str,
        transport: Transport,
        hooks: Hooks,
        clock: Clock,
        options: Options,
    ) -> None:
        self.signer = signer
        self.base_url = base_url
        self.transport = transport
        self.hooks = hooks
        self.clock = clock
        self.options = options
        self.service_clock: ServiceClock = ServiceClock(clock)
        self.retries: RetryBudget = RetryBudget()
        self.headers: Mapping[str, str] = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "User-Agent": f"voxsms/{__version__} {transport.name}",
        }
        self._closings: list[None] = []  # shared by the views

    @property
    def account_id(self) -> int | None:
        """The account that the credentials are for; None if they do not name it."""
        account_id = getattr(self.signer, "account_id", None)
        return account_id if isinstance(account_id, int) else None

    @property
    def is_closed(self) -> bool:
        """Whether the client, or a view of it, was closed."""
        return bool(self._closings)

    def with_options(self, options: Options) -> "Session":
        """Return a view with other options."""
        view = copy(self)
        view.options = options
        return view

    def call(
        self, method: MethodSpec[..., R], request: attrs.AttrsInstance
    ) -> Coroutine[Any, Any, R]:
        """Make a call. Raises what `voxsms.errors` says."""
        return self.read(method, request, partial(read_answer, method))

    def read(
        self, method: AnyMethod, request: attrs.AttrsInstance, reading: Callable[[Answer], R]
    ) -> Coroutine[Any, Any, R]:
        """Make a call whose answer is not read into the method's record but by `reading`."""
        return Call(self, method, self._check(method, request), reading).run()

    async def download(self, method: AnyMethod, request: attrs.AttrsInstance, to: Target) -> int:
        """Make a call that answers with a file; return its size in bytes."""
        file = open_target(method.cmd, to)

        def size(answer: Answer) -> int:
            if not is_file(answer.status, answer.headers.get("content-type", "")):
                read_payload(method, answer)
                raise ResponseInvalid(method.cmd, "$", "a JSON object where a file was expected")
            return file.written

        call = Call(self, method, self._file_form(method, request), size, file)
        try:
            written = await call.run()
            await file.finish()
        except BaseException:
            await file.abandon()
            raise
        return written

    def _check(self, method: AnyMethod, request: attrs.AttrsInstance) -> FormFields:
        if self._closings:
            raise InvalidRequest(method.cmd, (Fault("client", "is closed"),))
        try:
            return write_request(method, request, self.options.phone)
        except InvalidRequest as error:
            raise without_frames(error) from None

    def _file_form(self, method: AnyMethod, request: attrs.AttrsInstance) -> FormFields:
        form = self._check(method, request)
        if form["output"] != Output.JSON:
            return form
        del form  # error trackers record the variables of frames
        raise InvalidRequest(method.cmd, (Fault("output", "is json; it must be csv or xls"),))

    async def aclose(self) -> None:
        """Close the connections; calls made after this are refused."""
        self._closings.append(None)
        await self.transport.aclose()
