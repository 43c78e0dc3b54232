"""What commands say to people who know neither the service nor Python."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from conftest import Run
from cyclopts.completion.detect import ShellDetectionError

from voxsms.api.fault_codes import CODES
from voxsms.api.models import AccountInfo
from voxsms.cli import main
from voxsms.cli._codes import EXPLANATIONS
from voxsms.cli.app import _COMMANDS
from voxsms.client import Client
from voxsms.sandbox import Sandbox


def test_somebody_met_code_506(voxsms: Run) -> None:
    """`explain` says what it means, what became of the message and what to do."""
    for word in ("506", "no_route_for_dst_numbers"):
        ran = voxsms("explain", word)
        assert (ran.status, ran.err) == (0, "")
        *words, advice = ran.out.splitlines()
        assert words == [
            "506 NO_ROUTE_FOR_DST_NUMBERS",
            "The service has no route to this number.",
            "Nothing was sent, nothing is charged.",
        ]
        assert advice.startswith("Check the number: the country code first, nothing left out.")
    assert "A message may have been sent and charged." in voxsms("explain", "515").out


def test_a_program_asked_for_all_codes(voxsms: Run) -> None:
    """Each code has words, a list of all fits in 80 columns, and JSON has an object for each."""
    assert EXPLANATIONS.keys() == CODES.keys()
    lines = voxsms("explain").out.splitlines()
    assert len(lines) == 1 + len(CODES)
    assert max(map(len, lines)) <= 80
    found = [json.loads(line) for line in voxsms("explain", "--json").out.splitlines()]
    assert [row["code"] for row in found] == list(CODES)
    assert found[0]["sent"] == "maybe"
    assert all(row["meaning"] and row["advice"] for row in found)
    assert found[-1]["error"] == "voxsms.RequestRefused"


def test_no_code_that_leaves_a_doubt_asks_to_send_again_at_once(voxsms: Run) -> None:
    """Who tries again without a look at the history may send a message twice."""
    found = [json.loads(line) for line in voxsms("explain", "--json").out.splitlines()]
    advice = {row["code"]: row["advice"] for row in found if row["sent"] == "maybe"}
    assert {14, 515} < advice.keys()
    assert [code for code, words in advice.items() if "history" not in words] == []


def test_a_code_that_nobody_knows(voxsms: Run) -> None:
    """It is said where the known ones are."""
    ran = voxsms("explain", "999")
    assert ran.status == 2
    assert '"999" is not an error code of the SMS methods; `voxsms explain` lists them' in ran.err


@pytest.mark.voxsms_sandbox(faults="error@GetPhoneNumbers:code=127,error@GetPhoneNumbers:code=3")
def test_the_service_refused_with_a_code(voxsms: Run, account: Sandbox) -> None:
    """What to do stands under what happened, where it is known."""
    assert account.url
    ran = voxsms("numbers")
    assert "127 INSUFFICIENT_MONEY" in ran.err
    assert ran.err.endswith("\nTop up the account; see `voxsms balance`.\n")
    assert voxsms("numbers").err.count("\n") == 1


@pytest.mark.voxsms_sandbox(balance="12.5")
def test_somebody_asked_what_is_left(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`balance` shows the money and no secret of the account."""
    assert voxsms("balance") == (0, "12.5000 USD\n", "")
    found = json.loads(voxsms("balance", "--json").out)
    assert found.keys() == {"account_id", "account_name", "balance", "credit_limit", "currency"}
    assert found["balance"] == "12.5"
    assert account.api_key.api_key not in str(found)

    async def get_account_info(_: Client, **_given: object) -> AccountInfo:
        return AccountInfo(1, "ACME", Decimal(5), "EUR", credit_limit=Decimal(10))

    monkeypatch.setattr(Client, "get_account_info", get_account_info)
    assert voxsms("balance").out == "5.0000 EUR, and 10.0000 EUR of credit\n"


def test_the_help_fits_and_says_what_commands_are_for(voxsms: Run) -> None:
    """In the words of somebody who sends mailings; a line a command, in an order that helps."""
    ran = voxsms("--help")
    for name, _, _, summary in _COMMANDS:
        assert f" {summary} " in ran.out, name
    assert ran.out.index(" demo ") < ran.out.index(" count ") < ran.out.index(" a2p ")
    send, a2p = (" ".join(voxsms(name, "--help").out.split()) for name in ("send", "a2p"))
    assert "to one person, who can answer" in send
    assert "up to 100 people in your company's name; they cannot answer" in a2p
    for words in ("announcements", "SenderID", "charged", "--dry-run", "--max-cost", "--yes"):
        assert words in a2p


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version(voxsms: Run, flag: str) -> None:
    """`-V` is short for it."""
    assert voxsms(flag).out == "0.1.0\n"


class Terminal(StringIO):
    """A terminal of 40 columns."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_a_narrow_terminal_breaks_lines_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said on standard error can be read; in a file it is one line."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["count"]) == 2
    lines = re.sub("\x1b\\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 40
    whole = "voxsms: give one text: as an argument, with --file, or `-` for standard input"
    assert " ".join(line.strip() for line in lines) == whole


def test_a_shell_completes(voxsms: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--install-completion` writes what bash needs to complete commands and options."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    ran = voxsms("--install-completion", "--shell", "bash")
    (script,) = [word.rstrip(";") for word in ran.out.split() if word.startswith(str(tmp_path))]
    bash = f"""
source {script}
COMP_WORDS=(voxsms history a2p --si) COMP_CWORD=3
$(complete -p voxsms | sed 's/.*-F \\([^ ]*\\).*/\\1/') voxsms --si a2p
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["/bin/bash", "-c", bash], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["--since"]


def test_a_shell_that_is_not_known(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be named."""
    monkeypatch.setattr("cyclopts.completion.detect.detect_shell", _fail)
    ran = voxsms("--install-completion")
    assert (ran.status, ran.out) == (2, "")
    assert "name it, such as --shell bash" in ran.err


def _fail() -> str:
    raise ShellDetectionError
