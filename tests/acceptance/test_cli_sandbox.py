"""`sandbox`: the service for clients in any language, from start to end."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Run

from voxsms.calls.auth import ServiceAccount
from voxsms.cli import _io, main

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "voxsms", "sandbox", "--json"]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a standard input that has ended already, so that `--until-eof` ends at once."""
    read, write = os.pipe()
    os.write(write, b"whatever is written there is passed over")
    os.close(write)
    with os.fdopen(read) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        yield


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a sandbox that is told to end as soon as it runs."""
    status = main(["sandbox", "--until-eof", *words])
    return status, *capsys.readouterr()


@pytest.mark.usefixtures("ended")
def test_it_says_how_to_call_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A person sees the URL, the account, what to type next, and at the end what was delivered."""
    file = tmp_path / "the key.json"
    status, out, err = _run(capsys, "--credentials-file", str(file))
    assert (status, err) == (0, "")
    account = ServiceAccount.from_file(file)
    for words in (
        "The sandbox listens on http://127.0.0.1:",
        "447443332211, 14155550100",
        "VOXSMS",
        "100.0000 USD",
        "export VOXSMS_BASE_URL=http://127.0.0.1:",
        f"export VOXIMPLANT_CREDENTIALS='{file}'",
        f"export VOXIMPLANT_ACCOUNT_ID={account.account_id}",
        "/platform_api/GetPhoneNumbers/ -d account_id=",
        "0 messages delivered, 0 fragments, 0.0000 USD charged",
    ):
        assert words in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.usefixtures("ended")
def test_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no credentials file is written, none is named."""
    assert "CREDENTIALS" not in _run(capsys)[1]


@pytest.mark.usefixtures("ended")
def test_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A program gets one line when it runs, and one of what was delivered when it ended."""
    words = ["--balance", "5.5", "--number", "14155550142", "--sender-id", "ACME", "SHOP"]
    status, out, err = _run(capsys, "--json", *words, "--database", str(tmp_path / "db"))
    assert (status, err) == (0, "")
    facts, ledger = map(json.loads, out.splitlines())
    assert facts["balance"] == "5.5"
    assert facts["numbers"] == ["14155550142"]
    assert facts["sender_ids"] == ["ACME", "SHOP"]
    assert facts["credentials_file"] is None
    assert len(facts["api_key"]) == 40
    assert ledger == {"deliveries": 0, "fragments": 0, "charged": "0"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C and SIGTERM end it in order, and the handlers are those of before."""
    before = signal.getsignal(number)
    print_json = _io.print_json

    def print_and_signal(value: dict[str, Any]) -> None:
        print_json(value)
        if "url" in value:
            signal.raise_signal(number)

    monkeypatch.setattr(_io, "print_json", print_and_signal)
    assert main(["sandbox", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert signal.getsignal(number) == before


@contextmanager
def _running(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run a sandbox as a program of its own; give it, and what it said."""
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - this very program
        [*COMMAND, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, None])
def test_a_client_in_any_language(end: signal.Signals | None, http: httpx.Client) -> None:
    """Whoever reads its first line can send; its last line says what was really delivered."""
    with _running("--until-eof", "--refuse", "14155550142=385") as (process, facts):
        form = {
            "account_id": facts["account_id"],
            "api_key": facts["api_key"],
            "src_number": facts["sender_ids"][0],
            "dst_numbers": "14155550101;14155550142",
            "text": "hello",
        }
        answer = http.post(f"{facts['url']}/platform_api/A2PSendSms/", data=form).json()
        assert [each["error_code"] for each in answer["failed"]] == [385]
        if end is not None:
            process.send_signal(end)
        out, err = process.communicate(timeout=20)  # which also ends its standard input
        assert json.loads(out) == {"deliveries": 1, "fragments": 1, "charged": "0.0085"}
        assert (process.returncode, err) == (0, "")
    with pytest.raises(httpx.ConnectError):
        http.get(facts["url"])


def test_faults_on_purpose(http: httpx.Client) -> None:
    """`--faults` says what goes wrong, request after request."""
    with _running("--until-eof", "--faults", "http_error:status=502") as (_, facts):
        form = {"account_id": facts["account_id"], "api_key": facts["api_key"]}
        url = f"{facts['url']}/platform_api/GetPhoneNumbers/"
        assert [http.post(url, data=form).status_code for _ in range(2)] == [502, 200]


def test_without_eof_it_goes_on(http: httpx.Client) -> None:
    """A standard input that is closed ends it only where that is asked for."""
    with _running() as (process, facts):
        assert process.stdin is not None
        process.stdin.close()
        answer = http.post(f"{facts['url']}/platform_api/Nothing/").json()
        assert answer["error"]["code"] == 103


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        (["--faults", "earthquake"], 2, "'earthquake' is not one of"),
        (["--balance", "much"], 2, "balance: is no amount"),
        (["--number", "Ada"], 2, "numbers: '***' is not a phone number"),
        (["--refuse", "14155550142"], 2, '"14155550142" is not of the form NUMBER=CODE'),
        (["--refuse", "14155550142=x"], 2, "is not of the form NUMBER=CODE"),
        (["--refuse", "Ada=385"], 2, "'***' is not a phone number"),
        (["--rate-limit", "0"], 2, "rate_limit: is 0; it must be above 0"),
        (["--deliver-after", "-1"], 2, "deliver_after: is -1.0; it must not be below 0"),
        (["--port", "70000"], 2, "Must be <= 65535"),
        (["--database", "/nowhere/db"], 2, "/nowhere/db: unable to open database file"),
        (["--credentials-file", "/nowhere/key"], 1, "/nowhere/key: No such file or directory"),
    ],
)
def test_a_sandbox_that_cannot_be(voxsms: Run, words: list[str], status: int, problem: str) -> None:
    """Each mistake is named, and nothing is left running."""
    threads = threading.active_count()
    ran = voxsms("sandbox", *words)
    assert ran.status == status
    assert problem in ran.err
    assert ran.out == ""
    assert threading.active_count() == threads


def test_a_port_that_is_taken(voxsms: Run) -> None:
    """A port that somebody else has is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = voxsms("sandbox", "--port", str(port))
    assert (ran.status, ran.err) == (1, f"voxsms: port {port}: Address already in use\n")


def test_without_the_extra(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra `sandbox` the command says how to get it."""
    for name in [name for name in sys.modules if name.startswith("voxsms.sandbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = voxsms("sandbox")
    assert ran.status == 2
    assert ran.err == "voxsms: the sandbox needs uvicorn: pip install 'voxsms[sandbox]'\n"
