"""How a command ends: what each trouble says, and the exit status that a script goes by.

0 done; 1 refused or failed; 2 called wrongly: an argument, a file or the environment has to be put
right, and nothing was sent; 3 a message may have been sent and nobody knows, whether for a lost
answer or for Ctrl-C. 130 and 141 are what a shell says of a program that SIGINT or SIGPIPE ended.
"""

from asyncio import CancelledError
from collections.abc import Callable
from enum import IntEnum

import attrs
from cyclopts import CycloptsError

from voxsms.api.spec import SEND_SMS_MESSAGE
from voxsms.errors import (
    CredentialsInvalid,
    InvalidRequest,
    OutcomeUnknown,
    SmsNotEnabled,
    TemplateError,
    VoxSmsError,
)


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


def _interrupted(_: BaseException) -> str:
    return "interrupted"


def _refused_by_system(error: OSError) -> str:
    # Of a renaming the second name is the one that was asked for.
    place = error.filename2 or error.filename
    return ": ".join(str(part) for part in (place, error.strerror or error) if part)


def _nothing(_: BaseException) -> str:
    return ""


def _account(_: CredentialsInvalid) -> str:
    return "Without an account: `voxsms sandbox` runs one to try things with."


def _enable(_: SmsNotEnabled) -> str:
    return "To enable it: voxsms control NUMBER enable"


def _look(doubt: OutcomeUnknown) -> str:
    history = "sms" if doubt.method == SEND_SMS_MESSAGE.cmd else "a2p"
    return f"The history tells: voxsms history {history}"


def _notes(error: BaseException) -> list[str]:
    """Give what was noted on an error on its way."""
    # Ctrl-C is raised anew by asyncio, out of the cancellation that passed through voxsms; one that
    # met another on its way out has that behind it.
    stopped = isinstance(error, KeyboardInterrupt | CancelledError)
    cause = error.__context__ if stopped else None
    earlier = [] if cause is None else _notes(cause)
    return [*earlier, *getattr(error, "__notes__", ())]


def _help(error: CycloptsError) -> str:
    return " ".join(("See", "voxsms", *(error.command_chain or ()), "--help"))


@attrs.frozen
class Ending:
    """How a command ends that met an error of this kind."""

    error: type[BaseException]
    status: Exit
    words: Callable[..., str] = str
    hint: Callable[..., str] = _nothing
    """Says what to do about it."""

    def advice(self, error: BaseException) -> str:
        """Say what to do about an error, and what was noted on it."""
        return "\n".join(filter(None, [self.hint(error), *_notes(error)]))


_ENDINGS = (
    Ending(OutcomeUnknown, Exit.UNKNOWN, hint=_look),
    Ending(InvalidRequest, Exit.USAGE),
    Ending(CredentialsInvalid, Exit.USAGE, hint=_account),
    Ending(TemplateError, Exit.USAGE),
    Ending(SmsNotEnabled, Exit.FAILED, hint=_enable),
    Ending(VoxSmsError, Exit.FAILED),
    Ending(CycloptsError, Exit.USAGE, hint=_help),
    Ending(Usage, Exit.USAGE),
    Ending(Failed, Exit.FAILED),
    Ending(KeyboardInterrupt, Exit.INTERRUPTED, _interrupted),
    Ending(OSError, Exit.FAILED, _refused_by_system),
)
"""The most specific first."""


def ending_of(error: BaseException) -> Ending | None:
    """Give how a command ends that met an error; None for one that is a fault of voxsms."""
    return next((ending for ending in _ENDINGS if isinstance(error, ending.error)), None)
