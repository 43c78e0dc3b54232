"""How a command ends: what each error says, and the exit status for scripts.

    0    done
    1    refused or failed
    2    called wrongly: an argument, a file or the environment is wrong; nothing was sent
    3    a message may have been sent, but no answer confirmed it
    130  stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP, 141 nobody reads the output: as a shell
         reports a program that a signal ended

Once a send is under way its outcome decides, whatever else goes wrong: 3 if it is in doubt, and
0 if the message was sent, even if nothing can be printed any more.
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
    """A command was called wrongly: an argument is wrong, or the file that it names."""


class Failed(Exception):
    """A command could not be carried out."""


class InDoubt(Exception):
    """An answer that lacks the outcome of some numbers."""


class Unsettled(Exception):
    """Some messages of a mailing may or may not have been sent."""


def _where_to_look(doubtful: "OutcomeUnknown | Sends") -> str:
    history = "a2p" if doubtful.method.startswith("A2P") else "sms"
    return f"Check the history: voxsms history {history}"


def _may_be_sent(sends: "Sends") -> str:
    if not sends.method:
        return "Messages may have been sent and charged: the outbox knows which are in doubt."
    return (
        "The message may have been sent and charged: check the history before sending it again."
        f"\n{_where_to_look(sends)}"
    )


def _was_sent(sends: "Sends") -> str:
    what = "The message" if sends.method else "Everything"
    return f"{what} had been sent before that."


_MEANWHILE: Final[Mapping[Exit | None, "Saying"]] = {
    Exit.UNKNOWN: _may_be_sent,
    Exit.FAILED: "The service had answered before that: it refused some of the numbers.",
    Exit.DONE: _was_sent,
}
"""What to say about a send when an error happened during or after it."""


@attrs.define
class Sends:
    """What a run has sent, as far as it knows."""

    status: Exit | None = None
    """The exit status that a send decided; None if no message can have been sent."""
    method: str = ""
    """The method that was called."""
    doubt: OutcomeUnknown | None = None
    """The doubt about a send that was stopped."""
    calls: "list[CallEvent]" = attrs.field(factory=list)
    """How calls ended; the client's `on_outcome` adds to it."""
    ending: BaseException | None = None
    """The error that a mailing ended with."""

    def conclude(self, ending: BaseException | None) -> None:
        """Have the run end as a mailing did, whatever happens before that is printed."""
        self.ending = ending
        found = ending_of(ending) if ending else None
        status = found.status if found else Exit.DONE
        self.status = status if status in _MEANWHILE else None

    def tell(self) -> str:
        """Say what was sent before or while another error happened."""
        if self.ending is not None:
            return "\n".join([str(self.ending), *_notes(self.ending)])
        return words_of(_MEANWHILE.get(self.status, ""), self)

    async def watch(self, method: "AnyMethod", send: Awaitable[R]) -> R:
        """Await a send by a method, and remember its outcome."""
        from asyncio import CancelledError  # noqa: PLC0415 - takes 40 ms; only sends need it

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
"""The sends of the command that is running."""


def _refused_by_system(error: OSError) -> str:
    # When a file is renamed, the second name is the one that the user gave.
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
    """Say briefly which argument is missing or is one too many."""
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
    """Return the name of an argument as a user types it."""
    name = argument.names[0]
    return name if argument.index is None else name.removeprefix("--").upper()


def _where_help_is(error: CycloptsError) -> str:
    return " ".join(("See", "voxsms", *(error.command_chain or ()), "--help"))


def _notes(error: BaseException) -> list[str]:
    """Return the notes that were added to an error."""
    # asyncio raises Ctrl-C as a new error: the notes are on its context, the cancellation that
    # passed through voxsms, or on the context of that.
    cause = None if isinstance(error, Exception) else error.__context__
    earlier = [] if cause is None else _notes(cause)
    return [*earlier, *getattr(error, "__notes__", ())]


Saying = str | Callable[..., str]
"""Words, or a function that makes them from their subject."""


def words_of(saying: Saying, subject: object) -> str:
    """Return the words about an error, or about what was sent."""
    return saying if isinstance(saying, str) else saying(subject)


@attrs.frozen
class Ending:
    """How a command ends after an error of this kind."""

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
    """Return advice on an error: what to do, its notes, and what was sent despite it."""
    ending = ending_of(error)
    hint = words_of(ending.hint, error) if ending else ""
    told = error is sends.ending or isinstance(error, _ABOUT_THE_SEND)
    meanwhile = "" if told else sends.tell()
    return "\n".join(filter(None, [hint, *_notes(error), meanwhile]))


def ending_of(error: BaseException) -> Ending | None:
    """Return how a command ends after an error; None if the error is a bug in voxsms."""
    return next((ending for ending in _ENDINGS if isinstance(error, ending.error)), None)
