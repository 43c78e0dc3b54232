"""The program: its commands, and what happens around each of them."""

import atexit
import signal
import threading
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, cast

from cyclopts import App, Group

from voxsms._version import __version__
from voxsms.cli import _io
from voxsms.cli._errors import SENDS, Exit, Sends, advice_on, ending_of, words_of
from voxsms.cli._faults import usage_of
from voxsms.errors import InvalidRequest

_HELP: Final = """Voximplant's SMS API: see the price first, never send a message twice.

`voxsms demo` shows it all, without an account.
`voxsms COMMAND --help` explains a command.

Exit status: 0 done, 1 refused or failed, 2 called wrongly (nothing was sent),
3 a message may have been sent, but no answer confirmed it.
"""
_ABOUT: Final = Group("About", sort_key=3)
_COMMANDS: Final = (
    ("demo", "demo:demo", _io.WITHOUT_ACCOUNT, "See it all work, in half a minute."),
    ("count", "count:count", _io.WITHOUT_ACCOUNT, "How many messages a text is charged as."),
    ("estimate", "estimate:estimate_command", _io.WITHOUT_ACCOUNT, "What a mailing will cost."),
    ("explain", "explain:explain", _io.WITHOUT_ACCOUNT, "What an error code means and what to do."),
    ("sandbox", "sandbox:sandbox", _io.WITHOUT_ACCOUNT, "A service to try things with."),
    ("receive", "receive:receive", _io.WITHOUT_ACCOUNT, "Send a message to a sandbox's number."),
    ("methods", "methods:methods", _io.WITHOUT_ACCOUNT, "What the service can do."),
    ("send", "send:send", _io.WITH_ACCOUNT, "Write to one person, who can answer."),
    ("a2p", "send:a2p", _io.WITH_ACCOUNT, "Write to many people, in your company's name."),
    ("mail", "mail:mail", _io.WITH_ACCOUNT, "Send a text to everyone in a file."),
    ("outbox", "outbox:outbox", _io.WITH_ACCOUNT, "Mailings as a service: workers, their status."),
    ("balance", "balance:balance", _io.WITH_ACCOUNT, "How much money is left."),
    ("prices", "prices:prices", _io.WITH_ACCOUNT, "What a message costs, country by country."),
    ("numbers", "numbers:numbers", _io.WITH_ACCOUNT, "Your numbers, and which can send."),
    ("control", "send:control", _io.WITH_ACCOUNT, "Enable or disable SMS for a number."),
    ("history", "history:history", _io.WITH_ACCOUNT, "What was sent, and whether it arrived."),
    ("export", "export:export", _io.WITH_ACCOUNT, "The whole history in a file."),
    ("--install-completion", "completion:install", _ABOUT, "Complete commands in your shell."),
)
"""Each command, where it is, its group, and its summary in the overview."""


def _make(*, overview: bool) -> App:
    """Build the program; a command's module is imported when the command is run.

    In the overview commands are not run, and have these summaries in place of their own help.
    """
    program = App(
        name="voxsms",
        help=_HELP,
        version=__version__,
        version_flags=("--version", "-V"),
        help_format="plaintext" if overview else None,  # half the time that Markdown takes
        suppress_keyboard_interrupt=False,  # cyclopts would end the program without a message
    )
    for place, (name, path, group, summary) in enumerate(_COMMANDS):
        words = summary if overview else None
        program.command(f"voxsms.cli.{path}", name=name, group=group, sort_key=place, help=words)
    for flag in ("--help", "--version"):
        program[flag].group = _ABOUT
    return program


app: App = _make(overview=False)

_FOR_OVERVIEW: Final[Sequence[Sequence[str]]] = ([], ["--help"], ["-h"])

_SIGNALS: Final = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(tokens: Sequence[str]) -> int:
    """Run a command and return its exit status."""
    sends = Sends()
    SENDS.set(sends)
    try:
        return _run(tokens, sends)
    except KeyboardInterrupt:  # after those that `_run` handles
        if sends.status is None:
            raise
        return sends.status
    finally:
        if sends.status is not None:
            # Otherwise Ctrl-C during Python's shutdown would change the exit status.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _run(tokens: Sequence[str], sends: Sends) -> int:
    with _io.ready_streams(), _io.shown_warnings(), _stopped_by_signals() as caught:
        try:
            return _run_command(tokens)
        except BaseException as met:
            # That a message may have been sent matters more than Ctrl-C.
            error = sends.doubt or met
            ending = ending_of(error)
            with suppress(KeyboardInterrupt):  # a second one, during the report
                _report(error, sends, caught)
            if sends.status is not None:
                return sends.status
            if ending is None:
                raise
            if caught and ending.status is Exit.INTERRUPTED:
                return 128 + caught[0]
            return ending.status


def _run_command(tokens: Sequence[str]) -> int:
    program = _make(overview=True) if [*tokens] in _FOR_OVERVIEW else app
    try:
        status = program(
            tokens,
            exit_on_error=False,
            print_error=False,
            verbose=False,
            result_action="return_value",
        )
    except InvalidRequest as error:
        raise usage_of(error, program, tokens) from error
    _io.flush()
    return cast("int | None", status) or Exit.DONE


def _report(error: BaseException, sends: Sends, caught: Sequence[int]) -> None:
    ending, advice = ending_of(error), advice_on(error, sends)
    if ending is None:
        if sends.status is not None:  # otherwise Python shows it
            with suppress(OSError):
                traceback.print_exception(error)
            _io.complain(repr(error), advice)
    elif caught and ending.status is Exit.INTERRUPTED:
        _io.complain(f"stopped by {signal.Signals(caught[0]).name}", advice)
    elif ending.status is not Exit.NOBODY_READS or advice:
        _io.complain(words_of(ending.words, error), advice)


@contextmanager
def _stopped_by_signals() -> Generator[list[int]]:
    """Let SIGTERM and SIGHUP stop a command as Ctrl-C does: it still reports what it sent."""
    caught: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        caught.append(number)
        if not callable(signal.getsignal(signal.SIGINT)):  # ignored, as in a script's background
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)  # whatever handles it: Python, asyncio or an outbox

    alone = threading.current_thread() is not threading.main_thread()  # may set no handlers
    taken = [] if alone else [n for n in _SIGNALS if signal.getsignal(n) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, stop)
    try:
        yield caught
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
