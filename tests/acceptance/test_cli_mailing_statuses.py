"""The exit status tells the truth of a mailing, whatever can be printed and whoever stops it."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from shell import NO_READER, shell

from voxsms.cli import _io, _results
from voxsms.cli._errors import Failed
from voxsms.outbox import Outbox
from voxsms.sandbox import Sandbox

pytestmark = pytest.mark.slow

TO = "447700900001"
LOST = "read_then_close*9@A2PSendSms"
IN_DOUBT = pytest.mark.voxsms_sandbox(faults=LOST)
ENDED = "Everything had been sent before that.\n"


@pytest.fixture(params=["mail", "outbox run"])
def words(
    request: pytest.FixtureRequest, voxsms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """Give one command after the other that sends a mailing to one person."""
    monkeypatch.chdir(tmp_path)
    if request.param == "mail":
        Path("people.csv").write_text(f"phone\n{TO}\n")
        return ("mail", "hi", "--csv", "people.csv", "--from", "VOXSMS", "--yes", "--json")
    added = voxsms("outbox", "add", "mailing.db", "hi", "--from", "VOXSMS", "--to", TO)
    assert added.status == 0
    return ("outbox", "run", "mailing.db", "--json")


BROKEN = pytest.mark.parametrize(
    ("before", "redirected"),
    [("", ">/dev/full"), ("", "2>/dev/full"), (NO_READER, ">&$pipe 2>&$pipe")],
)


@pytest.mark.once
@pytest.mark.unmeasured
@BROKEN
def test_sent_and_not_all_can_be_printed(
    account: Sandbox, words: tuple[str, ...], before: str, redirected: str
) -> None:
    """All was sent: 0, and what became of each row is in the file."""
    status, _, err = shell(words, redirected, before)
    assert status == 0
    assert account.ledger.count == 1
    assert Path("people.result.csv").exists() is (words[0] == "mail")
    if redirected == ">/dev/full":
        assert f"voxsms: standard output: No space left on device\n{ENDED}" in err


@pytest.mark.once
@pytest.mark.unmeasured
@IN_DOUBT
@BROKEN
def test_in_doubt_and_not_all_can_be_printed(
    account: Sandbox, words: tuple[str, ...], before: str, redirected: str
) -> None:
    """A message may have left: 3, and what helps where it can be said."""
    status, _, err = shell(words, redirected, before)
    assert status == 3
    assert account.ledger.requests["A2PSendSms"] == 1
    assert Path("people.result.csv").exists() is (words[0] == "mail")
    if redirected == ">/dev/full":
        assert "1 message may or may not have been sent\n" in err


def _fails(*_: object) -> None:
    raise Failed("standard output: No space left on device")


def test_the_end_of_a_mailing_that_cannot_be_printed(
    voxsms: Run,
    account: Sandbox,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sent: 0, with both said."""
    monkeypatch.setattr(_io, "print_json", _fails)
    ran = voxsms(*words)
    assert ran.status == 0
    assert ran.err.endswith(f"voxsms: standard output: No space left on device\n{ENDED}")
    assert account.ledger.count == 1


@IN_DOUBT
def test_a_doubt_that_cannot_be_printed(
    voxsms: Run,
    account: Sandbox,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In doubt: 3, with both said, and how to settle it; also by the command that asks again."""
    monkeypatch.setattr(_io, "print_json", _fails)
    outbox = "people.outbox.db" if words[0] == "mail" else "mailing.db"
    for command in (words, ("outbox", "reconcile", outbox, "--json")):
        ran = voxsms(*command)
        assert ran.status == 3
        assert "voxsms: standard output: No space left on device\n" in ran.err
        assert "\n1 message may or may not have been sent\n" in ran.err
        assert "again" in ran.err or "The history settles that" in ran.err
    assert account.ledger.requests["A2PSendSms"] == 1


@pytest.mark.voxsms_sandbox(refused={TO: 385})
def test_a_refusal_that_cannot_be_printed(
    voxsms: Run, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service refused a number: 1, as if it had been printed."""
    monkeypatch.setattr(_io, "print_json", _fails)
    people = tmp_path / "people.csv"
    people.write_text(f"phone\n{TO}\n")
    ran = voxsms("mail", "hi", "--csv", str(people), "--from", "VOXSMS", "--yes", "--json")
    assert ran.status == 1
    assert "the service refused 1 message" in ran.err
    assert account.ledger.count == 0


def _interrupted(*_: object) -> Any:  # noqa: ANN401 - does not return
    raise KeyboardInterrupt


@IN_DOUBT
def test_ctrl_c_after_a_mailing_in_doubt(
    voxsms: Run, account: Sandbox, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the history is asked, and while the rows are written: 3."""
    if words[0] == "mail":
        monkeypatch.setattr(_results.Results, "write", _interrupted)
    else:
        monkeypatch.setattr(_io, "print_json", _interrupted)
    ran = voxsms(*words)
    assert ran.status == 3
    assert "may" in ran.err
    assert account.ledger.requests["A2PSendSms"] == 1


@IN_DOUBT
def test_ctrl_c_while_the_history_is_asked(
    voxsms: Run, account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes a while, and what was sent before is in doubt: 3, and what that means."""
    people = tmp_path / "people.csv"
    people.write_text(f"phone\n{TO}\n")
    monkeypatch.setattr(Outbox, "reconcile", _interrupted)
    ran = voxsms("mail", "hi", "--csv", str(people), "--from", "VOXSMS", "--yes")
    assert ran.status == 3
    assert ran.err.endswith(
        "voxsms: interrupted\n"
        "Messages may have been sent and charged: the outbox knows which are in doubt.\n"
    )
    assert account.ledger.requests["A2PSendSms"] == 1


@pytest.mark.once
@pytest.mark.unmeasured
def test_a_question_that_nobody_sees_is_not_answered(
    account: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard error is full, a yes that waits in a pipe sends nothing."""
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(f"phone\n{TO}\n")
    mail = ("mail", "hi", "--csv", "people.csv", "--from", "VOXSMS")
    status, _, _ = shell(mail, "2>/dev/full <<< y")
    assert status == 1
    assert account.ledger.count == 0


@pytest.mark.voxsms_sandbox(currency="US\x1b[2J\u202e")
def test_a_currency_cannot_drive_the_terminal(
    voxsms: Run, account: Sandbox, words: tuple[str, ...]
) -> None:
    """The line that says how far it is shows what the service says, and carries nothing out."""
    for command in (words, [word for word in words if word != "--json"]):
        ran = voxsms(*command)
        assert ran.status == 0
        assert all(char.isprintable() or char == "\n" for char in ran.err + ran.out)
    assert account.ledger.count == 1
