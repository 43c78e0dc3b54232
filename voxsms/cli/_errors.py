"""How a command ends: what each error says, and the exit status that a script goes by.

    0    done
    1    refused or failed
    2    called wrongly: an argument, a file or the environment is not right; nothing was sent
    3    a message may have been sent and no answer said so
    130  stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, 141 nobody reads the output: what a shell
         says of a program that a signal ended

Once a send is under way its outcome decides, whatever else goes wrong: 3 where it is in doubt, and
0 where the message was sent, even if nothing can be printed any more.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
from cyclopts import Argument, CycloptsError, MissingArgumentError, UnusedCliTokensError

from voxsms.cli._codes import EXPLANATIONS
from voxsms.errors import (
    ApiError,
    CredentialsInvalid,
    InvalidRequest,
    OutcomeUnknown,
    PartlyFailed,
    TemplateError,
    VoxSmsError,
)

if TYPE_CHECKING:
    from voxsms.api.spec import AnyMethod
    from voxsms.calls.hooks import CallEvent

R = TypeVar("R")


class Exit(IntEnum):
    """The exit statuses."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130
    NOBODY_READS = 141


class Usage(Exception):
    """A command that was called wrongly: an argument, or a file that one names."""


class Failed(Exception):
    """A command that could not be carried out."""


class InDoubt(Exception):
    """An answer that does not tell of every number what became of its message."""


class Unsettled(Exception):
    """A mailing of which some messages may or may not have been sent."""


def _where_to_look(doubtful: "OutcomeUnknown | Sends") -> str:
    history = "a2p" if doubtful.method.startswith("A2P") else "sms"
    return f"The history tells: voxsms history {history}"


def _may_be_sent(sends: "Sends") -> str:
    if not sends.method:
        return "Messages may have been sent and charged: the outbox knows which are in doubt."
    return (
        "The message may have been sent and charged: look at the history before sending it again."
        f"\n{_where_to_look(sends)}"
    )


def _was_sent(sends: "Sends") -> str:
    what = "The message" if sends.method else "What was to be sent"
    return f"{what} had been sent before that."


_MEANWHILE: Final[Mapping[Exit | None, "Saying"]] = {
    Exit.UNKNOWN: _may_be_sent,
    Exit.FAILED: "The service had answered before that: it refused some of the numbers.",
    Exit.DONE: _was_sent,
}
"""What to say of a send beside an error that came after it, or while it was under way."""


@attrs.define
class Sends:
    """What a run has sent, as far as it knows."""

    status: Exit | None = None
    """The exit status that a send decided; None if no message can have left."""
    method: str = ""
    """The method that was called."""
    doubt: OutcomeUnknown | None = None
    """That of a send that was stopped."""
    calls: "list[CallEvent]" = attrs.field(factory=list)
    """How calls ended; the client's `on_outcome` adds to it."""
    ending: BaseException | None = None
    """How a mailing has ended that is not over without an error."""

    def conclude(self, ending: BaseException | None) -> None:
        """Have the run end as a mailing did, whatever comes up until it is told."""
        self.ending = ending
        found = ending_of(ending) if ending else None
        status = found.status if found else Exit.DONE
        self.status = status if status in _MEANWHILE else None

    def tell(self) -> str:
        """Say what was sent, beside an error that came up after that."""
        if self.ending is not None:
            return "\n".join([str(self.ending), *_notes(self.ending)])
        return words_of(_MEANWHILE.get(self.status, ""), self)

    async def watch(self, method: "AnyMethod", send: Awaitable[R]) -> R:
        """Await a send by a method, and remember what became of it."""
        from asyncio import CancelledError  # noqa: PLC0415 - 40 ms; who awaits has it already

        self.method = method.cmd
        self.status = Exit.UNKNOWN  # until more is known: a second Ctrl-C may end it anywhere
        try:
            result = await send
        except VoxSmsError as error:
            self.status = Exit.UNKNOWN if error.sent == "maybe" else None
            raise
        except CancelledError:
            if self.calls:
                self.doubt = self.calls[-1].doubt
                self.status = Exit.UNKNOWN if self.doubt else None
            raise
        self.status = Exit.FAILED if getattr(result, "failed", ()) else Exit.DONE
        return result


SENDS: Final[ContextVar[Sends]] = ContextVar("sends")
"""Those of the command that is run."""


def _refused_by_system(error: OSError) -> str:
    # Of a renaming the second name is the one that was asked for.
    place = error.filename2 or error.filename
    return ": ".join(str(part) for part in (place, error.strerror or error) if part)


def _what_to_do(error: ApiError) -> str:
    known = EXPLANATIONS.get(error.code)
    return known.advice if known else ""


def _what_to_do_with_each(error: PartlyFailed) -> str:
    codes = sorted({refusal.error_code for refusal in error.result.failed} & EXPLANATIONS.keys())
    return "\n".join(f"{code}: {EXPLANATIONS[code].advice}" for code in codes)


_MISSING: Final = re.compile(r'Command ".*?" parameter (--\S+) requires an argument\.')


def _words_of_call(error: CycloptsError) -> str:
    """Say in few words what was left out, or is too much."""
    if isinstance(error, UnusedCliTokensError):
        words = error.unused_tokens or []
        with_text = {"count", "estimate", "send", "a2p", "mail", "add"}
        has_text = with_text & {*(error.command_chain or ())}
        quotes = "; put a text of several words in quotes" if has_text else ""
        return f"too many words: {' '.join(words)}{quotes}."
    argument = error.argument
    if not isinstance(error, MissingArgumentError) or argument is None or error.keyword:
        return str(error)
    return _MISSING.sub(f"{name_of(argument)} is missing.", str(error))


def name_of(argument: Argument) -> str:
    """Return what a person calls an argument who types it."""
    name = argument.names[0]
    return name if argument.index is None else name.removeprefix("--").upper()


def _where_help_is(error: CycloptsError) -> str:
    return " ".join(("See", "voxsms", *(error.command_chain or ()), "--help"))


def _notes(error: BaseException) -> list[str]:
    """Return what was noted on an error on its way."""
    # asyncio raises Ctrl-C as a new error, out of the cancellation that passed through voxsms; one
    # that met another on its way out has that behind it.
    cause = None if isinstance(error, Exception) else error.__context__
    earlier = [] if cause is None else _notes(cause)
    return [*earlier, *getattr(error, "__notes__", ())]


Saying = str | Callable[..., str]
"""Words, or what makes them of their subject."""


def words_of(saying: Saying, subject: object) -> str:
    """Return the words on an error, or on what was sent."""
    return saying if isinstance(saying, str) else saying(subject)


@attrs.frozen
class Ending:
    """How a command ends that met an error of this kind."""

    error: type[BaseException]
    status: Exit
    hint: Saying = ""
    """What to do about it."""
    words: Saying = str
    """What happened."""


_ENDINGS = (
    Ending(OutcomeUnknown, Exit.UNKNOWN, _where_to_look),
    Ending(InDoubt, Exit.UNKNOWN),
    Ending(Unsettled, Exit.UNKNOWN),
    Ending(InvalidRequest, Exit.USAGE),
    Ending(
        CredentialsInvalid,
        Exit.USAGE,
        "Without an account: `voxsms sandbox` runs one to try things with.",
    ),
    Ending(TemplateError, Exit.USAGE),
    Ending(ApiError, Exit.FAILED, _what_to_do),
    Ending(PartlyFailed, Exit.FAILED, _what_to_do_with_each),
    Ending(VoxSmsError, Exit.FAILED),
    Ending(CycloptsError, Exit.USAGE, _where_help_is, _words_of_call),
    Ending(Usage, Exit.USAGE),
    Ending(Failed, Exit.FAILED),
    Ending(ModuleNotFoundError, Exit.USAGE),  # an extra that is not installed
    Ending(KeyboardInterrupt, Exit.INTERRUPTED, words="interrupted"),
    Ending(BrokenPipeError, Exit.NOBODY_READS, words=_refused_by_system),
    Ending(OSError, Exit.FAILED, words=_refused_by_system),
)
"""The most specific first."""
_ABOUT_THE_SEND: Final = (OutcomeUnknown, PartlyFailed, Unsettled)


def advice_on(error: BaseException, sends: Sends) -> str:
    """Say what to do about an error, what was noted on it, and what it leaves of a send."""
    ending = ending_of(error)
    hint = words_of(ending.hint, error) if ending else ""
    told = error is sends.ending or isinstance(error, _ABOUT_THE_SEND)
    meanwhile = "" if told else sends.tell()
    return "\n".join(filter(None, [hint, *_notes(error), meanwhile]))


def ending_of(error: BaseException) -> Ending | None:
    """Return how a command ends that met an error; None for one that is a fault of voxsms."""
    return next((ending for ending in _ENDINGS if isinstance(error, ending.error)), None)
