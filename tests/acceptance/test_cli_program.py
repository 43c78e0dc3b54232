"""The program around the commands: statuses, errors, help, streams, what it needs."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest
from conftest import Run
from cyclopts import CycloptsError

from voxsms import errors
from voxsms.cli import _errors, _io, app, main
from voxsms.cli._errors import Exit, Sends, ending_of, words_of
from voxsms.sandbox import Sandbox

PYTHON = sys.executable
CREDENTIALS = ("VOXIMPLANT_CREDENTIALS", "VOXIMPLANT_ACCOUNT_ID", "VOXIMPLANT_API_KEY")


def test_help_names_every_command(voxsms: Run) -> None:
    """Whoever types `voxsms` or `voxsms --help` sees every command and the exit statuses."""
    for tokens in ((), ("--help",)):
        ran = voxsms(*tokens)
        assert ran.status == 0
        for name in ("demo", "count", "estimate", "send", "a2p", "control", "history", "prices"):
            assert name in ran.out
        for name in ("numbers", "sandbox", "methods", "balance", "explain", "Exit status: 0 done"):
            assert name in ran.out


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["nonsense"], 'Unknown command "nonsense"'),
        (["count", "--nonsense"], 'Invalid value "--nonsense" for TEXT. There is no such option'),
        (["methods", "--nonsense"], "Unknown option: --nonsense"),
        (["send", "hi"], "voxsms: --from is missing.\n"),
        (["send", "hi", "--frm", "1"], "--from is missing. Did you mean --from instead of --frm?"),
        (["export", "sms"], "voxsms: PATH is missing.\n"),
        (["history", "sms", "--limit"], "parameter --limit requires an argument"),
        (["history", "sms", "--limit", "0"], "Must be >= 1"),
        (["history", "sms", "--limit", "many"], 'unable to convert "many" into int'),
        (["history", "sms", "--direction", "up"], '"up" is not one of IN, OUT'),
        (["control", "447443332211", "twist"], '"twist" is not one of enable, disable'),
        (["methods", "more"], "voxsms: too many words: more.\n"),
        (
            ["a2p", "See", "you", "soon", "--from", "A", "--to", "447443332211"],
            "too many words: you soon; put a text of several words in quotes.\n",
        ),
        (
            ["mail", "people.csv", "--template", "Hi", "{name}", "soon", "--from", "A"],
            "; put a text of several words in quotes.\n",
        ),
        (
            ["outbox", "add", "a", "--csv", "b", "--from", "A", "--template", "Hi", "dear", "Ann"],
            "; put a text of several words in quotes.\n",
        ),
        (["outbox", "status", "a.db", "b.db"], "voxsms: too many words: b.db.\n"),
    ],
)
def test_a_wrong_call_ends_with_2(voxsms: Run, tokens: list[str], words: str) -> None:
    """A mistake on the command line is named, with where to look, and nothing is done."""
    ran = voxsms(*tokens)
    assert ran.status == 2
    assert ran.err.startswith("voxsms: ")
    assert words in ran.err
    assert "See voxsms" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_help_is_pointed_at_where_the_mistake_is(voxsms: Run) -> None:
    """The hint names the help of the command that was called wrongly."""
    assert "See voxsms history sms --help" in voxsms("history", "sms", "--limit", "x").err


def test_no_credentials_are_said_so(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the user learns which variables to set, and of the sandbox."""
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    ran = voxsms("numbers")
    assert ran.status == 2
    assert "VOXIMPLANT_CREDENTIALS" in ran.err
    assert "voxsms sandbox" in ran.err


def test_a_base_url_that_is_none(voxsms: Run, account: Sandbox) -> None:
    """A wrong `--base-url` is named."""
    assert account.url
    ran = voxsms("numbers", "--base-url", "nonsense")
    assert ran.status == 2
    assert "--base-url or $VOXSMS_BASE_URL: must be like https://api.voximplant.com" in ran.err


def test_credentials_that_are_wrong_end_with_1(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a refusal with its code and name, and all that may be wrong is named."""
    assert account.url
    monkeypatch.setenv("VOXIMPLANT_API_KEY", "invented")
    ran = voxsms("numbers")
    assert ran.status == 1
    assert "100 AUTHORIZATION_FAILED" in ran.err
    assert "Check the account id and the API key, or the credentials file" in ran.err
    assert "invented" not in ran.err


def test_a_service_that_is_not_there_ends_with_1(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that fails is a failure and no mystery: it says where the service was looked for."""
    url = account.url
    account.stop()
    monkeypatch.setattr("voxsms.client.Client.get_phone_numbers", _fails)
    ran = voxsms("numbers", "--base-url", url)
    assert ran.status == 1
    assert "GetPhoneNumbers: no answer" in ran.err
    assert f"Looked for at {url}; --base-url changes that." in ran.err


@pytest.mark.parametrize(
    "problem", ["the proxy of $HTTPS_PROXY cannot be used", "its certificate is not trusted"]
)
def test_a_problem_that_another_url_does_not_solve(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """What is wrong on the way there is not blamed on the URL."""
    assert account.url

    def fail(_: object) -> object:
        raise errors.ConnectionFailed("GetPhoneNumbers", problem)

    monkeypatch.setattr("voxsms.client.Client.get_phone_numbers", fail)
    assert voxsms("numbers") == (1, "", f"voxsms: GetPhoneNumbers: {problem}\n")


def _fails(_: object) -> object:
    raise errors.ConnectionFailed("GetPhoneNumbers", "no answer")


def test_a_credentials_file_can_be_named(
    voxsms: Run,
    voxsms_sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--credentials` and `--base-url`, or $VOXSMS_BASE_URL, are enough to call the service."""
    file = str(voxsms_sandbox.save_credentials(tmp_path / "key.json"))
    ran = voxsms("numbers", "--credentials", file, "--base-url", voxsms_sandbox.url)
    assert (ran.status, ran.err) == (0, "")
    assert "447443332211" in ran.out
    monkeypatch.setenv("VOXSMS_BASE_URL", voxsms_sandbox.url)
    assert voxsms("numbers", "--credentials", file).out == ran.out


def test_a_credentials_file_that_is_not_there(voxsms: Run) -> None:
    """The file is named, and that it cannot be read."""
    ran = voxsms("numbers", "--credentials", "/nowhere/key.json")
    assert ran.status == 2
    assert "'/nowhere/key.json': cannot be read" in ran.err


EXITS = {
    errors.OutcomeUnknown: 3,
    errors.InvalidRequest: 2,
    errors.InvalidText: 2,
    errors.CredentialsInvalid: 2,
    errors.TemplateError: 2,
    CycloptsError: 2,
    KeyboardInterrupt: 130,
    OSError: 1,
    ZeroDivisionError: None,
}


def _all_errors(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*map(_all_errors, kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(_all_errors(errors.VoxSmsError), key=str))
def test_every_error_of_the_library_has_a_status(kind: type[BaseException]) -> None:
    """No error of voxsms ever ends a command with a traceback; 1 is the rule."""
    ending = ending_of(kind.__new__(kind))
    assert ending is not None
    assert ending.status == EXITS.get(kind, 1)


@pytest.mark.parametrize("kind", [CycloptsError, KeyboardInterrupt, OSError, ZeroDivisionError])
def test_other_errors(kind: type[BaseException]) -> None:
    """Interruptions and files have a status too; a fault of voxsms itself is not hidden."""
    ending = ending_of(kind())
    assert (ending and ending.status) == EXITS[kind]


def test_a_fault_of_voxsms_is_not_hidden(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever nobody thought of keeps its traceback, so that it can be reported."""
    monkeypatch.setattr(app, "app", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        voxsms("count", "x")


def test_ctrl_c_ends_with_130(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption says so in a word, without a traceback."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "app", interrupt)
    assert voxsms("count", "x") == (130, "", "voxsms: interrupted\n")


def test_ctrl_c_says_what_was_noted(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is cancelled by it: what is noted on the cancellation is said."""

    async def work() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            error.add_note("What was read is kept.")
            raise

    monkeypatch.setattr(app, "app", lambda *_, **__: asyncio.run(work()))
    assert voxsms("count", "x") == (130, "", "voxsms: interrupted\nWhat was read is kept.\n")


def test_a_file_that_cannot_be_written_is_named(
    voxsms: Run, account: Sandbox, tmp_path: Path
) -> None:
    """What the system says of a file is passed on with its name, and ends with 1."""
    assert account.url
    path = tmp_path / "no" / "rates.json"
    ran = voxsms("prices", "--save", str(path))
    assert ran.status == 1
    assert ran.err == f"voxsms: {path}: No such file or directory\n"


def test_an_error_of_the_system_without_a_file() -> None:
    """What has no file and no words is shown as it is."""
    ending = ending_of(OSError("odd"))
    assert ending is not None
    assert words_of(ending.words, OSError("odd")) == "odd"


def test_an_error_of_the_system_with_two_files() -> None:
    """Of a renaming the name that was asked for is shown, not the one of voxsms's own."""
    error = OSError(13, "Permission denied", ".all.csv.export/result.tmp", None, "all.csv")
    error.add_note("The same command goes on.")
    ending = ending_of(error)
    assert ending is not None
    assert words_of(ending.words, error) == "all.csv: Permission denied"
    assert _errors.advice_on(error, Sends()) == "The same command goes on."


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is as if it led nowhere: the command is carried out, and the stream stays closed."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setattr(sys, name, None)
    assert main(["count", "-"]) == 0
    assert main(["count", "--nonsense"]) == 2
    assert getattr(sys, name) is None
    out, err = capsys.readouterr()
    assert ("0 fragments" in out) is (name != "stdout")
    assert ("no such option" in err) is (name != "stderr")


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that is closed ends a command quietly, with the status of SIGPIPE."""
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["methods"]) == Exit.NOBODY_READS
        pipe.write("goes nowhere")


def test_nobody_reads_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where the pipe is found closed only when the rest is written."""
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["methods", "--json"]) == Exit.NOBODY_READS


@pytest.mark.slow
def test_history_into_head(account: Sandbox) -> None:
    """`voxsms history a2p | head` shows the first lines, and no complaint."""
    account.fill_history("a2p", 3000)
    command = f"{PYTHON} -m voxsms history a2p | head -n 3; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(  # noqa: S603 - as a shell would
        ["/bin/bash", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 141
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_a_terminal_that_cannot_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that the terminal has not is written as its code, and nothing breaks."""
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, "latin-1"))
    assert main(["count", "caf\u00e9 \u201cx\u201d"]) == 0
    assert b"\\u201cx" in octets.getvalue()
    assert b"caf\xe9" in octets.getvalue()


def test_a_stream_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output can be caught by a program that calls `main`."""
    caught = io.StringIO()
    monkeypatch.setattr(sys, "stdout", caught)
    assert main(["methods", "--json"]) == 0
    assert caught.getvalue().count("\n") == 8


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra `cli` the program says how to get it."""
    monkeypatch.delitem(sys.modules, "voxsms.cli.app")
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert main(["--help"]) == 2
    assert capsys.readouterr().err == (
        "voxsms: the command line needs cyclopts: pip install 'voxsms[cli]'\n"
    )


def test_another_module_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is not taken for a missing extra."""
    monkeypatch.delitem(sys.modules, "voxsms.cli.app")
    monkeypatch.delattr("voxsms.cli.history", raising=False)
    monkeypatch.setitem(sys.modules, "voxsms.cli.history", None)
    with pytest.raises(ImportError, match=r"voxsms\.cli\.history"):
        main(["history", "sms"])


def test_a_command_imports_what_it_needs() -> None:
    """To count a text no client is loaded: the program starts fast."""
    program = """
import sys
from voxsms.cli import main
main(["count", "hi"])
heavy = {"asyncio", "httpx", "anyio", "cryptography", "voxsms.client", "voxsms.pricing"}
sys.stderr.write(" ".join(heavy & sys.modules.keys()))
"""
    done = subprocess.run(  # noqa: S603 - this very program
        [PYTHON, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_python_m_voxsms(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m voxsms` is the command line, with its exit status."""
    done = subprocess.run(  # noqa: S603 - this very program
        [PYTHON, "-m", "voxsms", "count"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("voxsms: give one text")
    monkeypatch.setattr(sys, "argv", ["voxsms", "count", "--nonsense"])
    with pytest.raises(SystemExit, match="2"):
        import_module("voxsms.__main__")


def test_a_text_cannot_drive_the_terminal() -> None:
    """Whatever comes from outside is shown, and not carried out."""
    assert _io.visible("a\x1b[2Jb\u202ec\nd\u2019") == "a<U+001B>[2Jb<U+202E>c\u23ced\u2019"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.0355", "0.0355"), ("100", "100.0000"), ("1234.5", "1,234.5000"), ("1E-7", "0.0000001")],
)
def test_money_keeps_every_digit(amount: str, shown: str) -> None:
    """An amount has at least the four decimals of a balance, and every one that it has."""
    assert _io.money(Decimal(amount)) == shown


def test_what_was_noted_on_a_cancellation_is_said_after_ctrl_c() -> None:
    """Also when it met another cancellation on its way out."""

    def noted() -> None:
        error = asyncio.CancelledError()
        error.add_note("It is kept.")
        raise error

    def met_another() -> None:
        try:
            noted()
        finally:
            raise asyncio.CancelledError

    def interrupted() -> None:
        try:
            met_another()
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    assert _errors._notes(caught.value) == ["It is kept."]
    assert _errors._notes(ValueError()) == []
