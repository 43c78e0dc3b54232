"""The exit status tells the truth of a send, whatever can be printed and whoever stops it."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
from conftest import Run
from shell import NO_READER, shell

from voxsms.api import spec
from voxsms.api.models import A2PSendSmsResult, SmsTransaction
from voxsms.cli import _io, app, main
from voxsms.cli._errors import Exit, Sends
from voxsms.client import Client
from voxsms.clock import Clock
from voxsms.sandbox import Number, Sandbox

pytestmark = pytest.mark.slow

OWN, TO = "447443332211", "447700900001"
NUMBERS = [Number(number=OWN, sms_enabled=True)]
SEND = ("send", "hi", "--from", OWN, "--to", TO)
A2P = ("a2p", "hi", "--from", "VOXSMS", "--to", TO)
ENABLED = pytest.mark.voxsms_sandbox(numbers=NUMBERS)
IN_DOUBT = pytest.mark.voxsms_sandbox(numbers=NUMBERS, faults="commit_then_close")
SILENT = pytest.mark.voxsms_sandbox(numbers=NUMBERS, faults="never")
MAY_BE_SENT = "may have been sent and charged: check the history before sending it again"

FULL = "voxsms: standard output: No space left on device\n"


@pytest.mark.once
@pytest.mark.unmeasured
@ENABLED
@pytest.mark.parametrize(
    ("words", "before", "redirected", "problem"),
    [
        (SEND, "", ">/dev/full", FULL),
        ((*SEND, "--json"), NO_READER, ">&$pipe", "voxsms: Broken pipe\n"),
        (A2P, "", ">/dev/full", FULL),
    ],
)
def test_sent_and_nothing_can_be_printed(
    account: Sandbox, words: tuple[str, ...], before: str, redirected: str, problem: str
) -> None:
    """The message was sent: 0, and standard error says both."""
    status, _, err = shell(words, redirected, before)
    assert (status, err) == (0, f"{problem}The message had been sent before that.\n")
    assert account.ledger.count == 1


@pytest.mark.unmeasured
@ENABLED
@pytest.mark.parametrize(
    ("before", "redirected"),
    [
        ("", ">&- 2>&-"),
        (NO_READER, ">&$pipe 2>&$pipe"),
    ],
)
def test_sent_and_nothing_at_all_can_be_printed(
    account: Sandbox, before: str, redirected: str
) -> None:
    """Also where the words about it cannot be printed either."""
    assert shell(SEND, redirected, before) == (0, "", "")
    assert account.ledger.count == 1


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize("redirected", [">/dev/full", ">/dev/full 2>&-"])
def test_partly_refused_and_nothing_can_be_printed(account: Sandbox, redirected: str) -> None:
    """Some numbers were refused: 1, as if it had been printed."""
    status, _, err = shell((*A2P, "18765550142", "--yes"), redirected)
    assert status == 1
    assert ("it refused some of the numbers" in err) is ("2>" not in redirected)
    assert account.ledger.count == 1


@pytest.mark.once
@pytest.mark.unmeasured
@IN_DOUBT
@pytest.mark.parametrize(
    ("words", "before", "redirected"),
    [
        (SEND, "", ">/dev/full 2>/dev/full"),
        (A2P, "", ">&- 2>&-"),
        (A2P, NO_READER, "2>&$pipe"),
    ],
)
def test_in_doubt_and_nothing_can_be_printed(
    account: Sandbox, words: tuple[str, ...], before: str, redirected: str
) -> None:
    """A message may have left: 3, whatever becomes of the words."""
    assert shell(words, redirected, before) == (3, "", "")
    assert account.ledger.count == 1


@pytest.mark.measured_programs
def test_a_full_disk_under_standard_output() -> None:
    """A command that sends nothing has failed, in one line."""
    assert shell(("methods",), ">/dev/full") == (1, "", FULL)
    assert shell(("methods", "--json"), ">/dev/full 2>/dev/full") == (1, "", "")


@pytest.mark.unmeasured
@SILENT
@pytest.mark.parametrize(
    ("words", "number"), [(A2P, signal.SIGINT), (SEND, signal.SIGTERM), (A2P, signal.SIGHUP)]
)
def test_a_signal_during_a_send(
    account: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    number: signal.Signals,
) -> None:
    """Whatever stops it, the doubt is told, and where to look."""
    status, err = _stopped(account, monkeypatch, number, words)
    assert status == 3
    assert MAY_BE_SENT in err
    assert f"voxsms history {'a2p' if words is A2P else 'sms'}\n" in err


@pytest.mark.measured_programs
@SILENT
def test_a_signal_where_ctrl_c_is_ignored(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A background job of a script ignores SIGINT; SIGTERM still has its word."""
    ignoring = ("/bin/bash", "-c", 'trap "" INT; exec "$@"', "bash")
    status, err = _stopped(account, monkeypatch, signal.SIGTERM, SEND, ignoring)
    assert status == 3
    assert MAY_BE_SENT in err
    assert err.endswith("\nCheck the history: voxsms history sms\n")
    assert "Traceback" not in err


def test_the_last_ctrl_c_of_many(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it comes after a send was decided, the status is that of the send."""

    def ends(_: object, sends: Sends) -> int:
        sends.status = Exit.UNKNOWN
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_run", ends)
    assert voxsms(*SEND).status == 3


AT_LAST = """
import os, sys
from voxsms.cli import main
class Late:
    def __del__(self, kill=os.kill, process=os.getpid()):
        kill(process, 2)
late = Late()
sys.exit(main())
"""


@IN_DOUBT
def test_ctrl_c_while_python_winds_up(account: Sandbox) -> None:
    """A third one, after the doubt was told, leaves the status as it is."""
    ran = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-c", AT_LAST, *SEND],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (ran.returncode, ran.stdout) == (3, "")
    assert MAY_BE_SENT in ran.stderr
    assert account.ledger.count == 1


WINDS_UP = """
import sys
from voxsms.cli import _io, main
def interrupt(_):
    raise KeyboardInterrupt
_io._flush_or_drop = interrupt
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.measured_programs
@ENABLED
@pytest.mark.parametrize(
    ("words", "status", "told"), [(SEND, 0, ""), (("methods",), 130, "voxsms: interrupted\n")]
)
def test_ctrl_c_while_a_command_winds_up(
    account: Sandbox, words: tuple[str, ...], status: int, told: str
) -> None:
    """It was sent, and nothing is left to do: 0."""
    ran = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-c", WINDS_UP, *words], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (status, told)
    assert account.ledger.count == (words is SEND)


def _stopped(
    account: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    words: tuple[str, ...],
    under: tuple[str, ...] = (),
) -> tuple[int, str]:
    """Run a command of its own, and stop it when the sandbox has seen its request."""
    seen = threading.Event()
    monkeypatch.setattr(account.ledger, "count_request", lambda _: seen.set())
    with subprocess.Popen(  # noqa: S603 - this very program
        [*under, sys.executable, "-m", "voxsms", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - a suite in the background has it ignored
    ) as process:
        try:
            assert seen.wait(60)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, err


@pytest.mark.voxsms_sandbox(numbers=NUMBERS, faults="rate_limited*9")
@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP"),
    ],
)
def test_a_signal_before_a_send_leaves(
    voxsms: Run,
    account: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    status: int,
    words: str,
) -> None:
    """Stopped while it waits to try again, nothing was sent: the status is the signal's."""

    async def sleep(_: Clock, __: float) -> None:
        signal.raise_signal(number)
        await anyio.sleep_forever()

    monkeypatch.setattr(Clock, "sleep", sleep)
    assert voxsms(*SEND) == (status, "", f"voxsms: {words}\n")
    assert account.ledger.count == 0


@pytest.mark.unmeasured
@ENABLED
def test_a_second_ctrl_c_during_a_send(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the call before that knows what became of it: the message may have left."""

    async def send_sms_message(_: Client, **_given: object) -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await anyio.sleep_forever()
        finally:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Client, "send_sms_message", send_sms_message)
    ran = voxsms(*SEND)
    assert (ran.status, ran.out) == (3, "")
    assert ran.err == (
        f"voxsms: interrupted\nThe message {MAY_BE_SENT}.\nCheck the history: voxsms history sms\n"
    )
    assert account.ledger.count == 0


@SILENT
def test_a_second_ctrl_c_after_the_doubt(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while connections are closed: the doubt is still told."""
    thread = threading.main_thread().ident or 0
    monkeypatch.setattr(
        account.ledger, "count_request", lambda _: signal.pthread_kill(thread, signal.SIGINT)
    )
    monkeypatch.setattr(Client, "__aexit__", _interrupted_exit())
    ran = voxsms(*SEND)
    assert (ran.status, ran.out) == (3, "")
    assert MAY_BE_SENT in ran.err


@ENABLED
def test_ctrl_c_after_it_was_sent(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent, and that was told: 0."""
    monkeypatch.setattr(Client, "__aexit__", _interrupted_exit())
    ran = voxsms(*SEND)
    assert ran == (
        0,
        "sent: message 1, 1 fragment (predicted: 1)\n",
        "voxsms: interrupted\nThe message had been sent before that.\n",
    )
    assert account.ledger.count == 1


def _interrupted_exit() -> Callable[..., Any]:
    """Return how a client is closed by somebody who is in a hurry."""
    original = Client.__aexit__

    async def aexit(client: Client, *given: Any) -> None:  # noqa: ANN401 - an exception's parts
        await original(client, *given)
        raise KeyboardInterrupt

    return aexit


@pytest.mark.parametrize("module", ["cyclopts", "voxsms.cli._io", "voxsms.cli.send"])
def test_ctrl_c_while_modules_are_imported(module: str) -> None:
    """It ends with 130 and a word, without a traceback."""
    program = f"""
import signal, sys
class Finder:
    def find_spec(self, name, *given):
        if name == {module!r}:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from voxsms.cli import main
sys.exit(main(["send", "--help"]))
"""
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "voxsms: interrupted\n")


def test_ctrl_c_while_modules_are_imported_and_nothing_can_be_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The status is the same."""

    def run(_: object) -> int:
        raise KeyboardInterrupt

    program = ModuleType("voxsms.cli.app")
    monkeypatch.setattr(program, "run", run, raising=False)
    monkeypatch.setitem(sys.modules, "voxsms.cli.app", program)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["methods"]) == 130


def test_a_signal_that_is_ignored_stays_so(voxsms: Run) -> None:
    """`nohup voxsms ...` goes on when the terminal is closed; handlers are put back."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert voxsms("methods").status == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_in_a_thread(capsys: pytest.CaptureFixture[str]) -> None:
    """A program may run a command in a thread, which can set no handlers."""
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(main(["count", "hi"])))
    thread.start()
    thread.join()
    assert statuses == [0]
    assert "GSM-7" in capsys.readouterr().out


@pytest.mark.parametrize("strangers", [(), (SmsTransaction(2, "447700900999"),)])
def test_an_answer_that_does_not_tell_of_every_number(
    voxsms: Run,
    account: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    strangers: tuple[SmsTransaction, ...],
) -> None:
    """The message to the others may have been sent: 3, and where to look.

    A number that was not asked for is no answer about one that was.
    """

    async def a2p_send_sms(_: Client, **_given: object) -> A2PSendSmsResult:
        told = (SmsTransaction(1, TO), *strangers)
        return A2PSendSmsResult(told, 1, (), predicted_fragments_count=1)

    monkeypatch.setattr(Client, "a2p_send_sms", a2p_send_sms)
    ran = voxsms(*A2P, "447700900002", "--yes")
    assert ran.status == 3
    assert TO in ran.out
    assert ran.err == (
        "voxsms: the answer does not say what became of 1 of 2 numbers\n"
        f"The message {MAY_BE_SENT}.\n"
        "Check the history: voxsms history a2p\n"
    )
    assert account.ledger.count == 0


@ENABLED
def test_a_fault_of_voxsms_after_a_send(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its traceback is shown, so that it can be reported; the status speaks of the message."""
    monkeypatch.setattr(_io, "say", lambda *_: 1 / 0)
    ran = voxsms(*SEND)
    assert ran.status == 0
    assert "Traceback" in ran.err
    assert ran.err.endswith(
        "voxsms: ZeroDivisionError('division by zero')\nThe message had been sent before that.\n"
    )
    assert account.ledger.count == 1


@ENABLED
def test_ctrl_c_while_it_is_said(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even then the status is that of the send."""

    def complain(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_io, "complain", complain)
    monkeypatch.setattr(_io, "say", lambda *_: (tmp_path / "nowhere").stat())
    assert voxsms(*SEND).status == 0
    assert account.ledger.count == 1


async def test_a_send_of_which_nothing_is_known_is_in_doubt() -> None:
    """Stopped before anything was told of it: it may have left."""

    async def stopped() -> None:
        raise asyncio.CancelledError

    sends = Sends()
    with pytest.raises(asyncio.CancelledError):
        await sends.watch(spec.SEND_SMS_MESSAGE, stopped())
    assert sends.status == 3


def test_a_module_that_is_missing_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation says what is broken, not that cyclopts is needed."""
    monkeypatch.setitem(sys.modules, "voxsms.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"voxsms\.cli\.app"):
        main(["methods"])
