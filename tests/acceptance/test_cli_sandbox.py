"""`sandbox`: the service for clients in any language, from start to end."""

import json
import logging
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Run

import voxsms.sandbox
from voxsms.calls.auth import ServiceAccount
from voxsms.cli import _io, main
from voxsms.cli.sandbox import _kinds, _Lines
from voxsms.sandbox import CALLBACK_KINDS, KINDS, running_urls

pytestmark = pytest.mark.slow

_OWN = ["447443332211"]
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
    assert (facts["account_id"], facts["api_key"]) == (1000001, "sandbox-api-key")
    assert facts["env"]["VOXIMPLANT_ACCOUNT_ID"] == "1000001"
    assert ledger == {"deliveries": 0, "fragments": 0, "charged": "0"}


def _while_it_runs(
    monkeypatch: pytest.MonkeyPatch, words: list[str], call: Callable[[str], object]
) -> int:
    """Run a sandbox, call it while it runs, and end it."""
    read, write = os.pipe()

    def call_and_end() -> None:
        try:
            while not (urls := running_urls()):
                time.sleep(0.005)
            call(min(urls))
        finally:
            os.close(write)

    with os.fdopen(read) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        caller = threading.Thread(target=call_and_end)
        caller.start()
        status = main(["sandbox", "--until-eof", *words])
        caller.join()
    return status


def _send(http: httpx.Client, url: str) -> None:
    """Send a message to two numbers, one of which is refused, and nothing to nobody."""
    form = {"account_id": "1000001", "api_key": "sandbox-api-key", "src_number": "VOXSMS"}
    numbers = "14155550101;14155550142"
    body = {**form, "dst_numbers": numbers, "text": "hello"}
    http.post(f"{url}/platform_api/A2PSendSms/", data=body)


def test_a_person_watches_the_requests_of_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], http: httpx.Client
) -> None:
    """A line for each, with the sandbox's time; none with `--quiet` or `--json`."""
    words = ["--refuse", "14155550142=506"]

    def send(url: str) -> None:
        # The last thing before it waits: that requests are shown.
        while not quiet and logging.getLogger("voxsms.sandbox").level != logging.INFO:
            time.sleep(0.005)
        _send(http, url)

    for quiet in ([], ["--quiet"], ["--json"]):
        assert _while_it_runs(monkeypatch, [*words, *quiet], send) == 0
        out = capsys.readouterr().out
        line = r"\n\d\d:\d\d:\d\d A2PSendSms 2 numbers -> 1 sent, 1 refused \(506\), 0\.0085 USD\n"
        assert bool(re.search(line, out)) is not bool(quiet)
        assert logging.getLogger("voxsms.sandbox").level == logging.NOTSET


def test_a_pipe_that_nobody_reads_ends_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be printed is dropped."""
    lines = _Lines(voxsms.sandbox.serve())

    def fail(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(_io, "say", fail)
    lines.emit(logging.makeLogRecord({"msg": "a line"}))


@pytest.mark.usefixtures("ended")
def test_the_account_stays_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """From run to run: by default, by options, by a file with the key, and in a database."""

    def facts(*words: str) -> tuple[object, ...]:
        status, out, _ = _run(capsys, "--json", *words)
        assert status == 0
        said = json.loads(out.splitlines()[0])
        return said["account_id"], said["api_key"], said["callback_salt"]

    usual = (1000001, "sandbox-api-key", "sandbox-callback-salt")
    database = ("--database", str(tmp_path / "box.db"))
    credentials = str(tmp_path / "credentials.json")
    assert facts() == usual
    given = ("--account-id", "77", "--api-key", "mine", "--credentials-file", credentials)
    assert facts(*database, *given) == (77, "mine", "sandbox-callback-salt")
    assert facts(*database) == (77, "mine", "sandbox-callback-salt")
    assert facts("--key-file", credentials) == (77, *usual[1:])
    again = str(tmp_path / "again.json")
    facts(*database, "--credentials-file", again)
    assert ServiceAccount.from_file(again) == ServiceAccount.from_file(credentials)


@pytest.mark.usefixtures("ended")
def test_over_tls_a_person_is_told_what_to_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For the certificate, wherever it is written, and for a callback."""
    file, url = tmp_path / "ca.pem", "http://127.0.0.1:8000/in"
    status, out, err = _run(
        capsys, "--tls", "--certificate-file", str(file), "--callback-url", url, "--number", *_OWN
    )
    assert (status, err) == (0, "")
    for words in (
        "The sandbox listens on https://127.0.0.1:",
        f"callbacks  {url}",
        "export VOXIMPLANT_CALLBACK_SALT=sandbox-callback-salt",
        f"export SSL_CERT_FILE={file}",
        f"export REQUESTS_CA_BUNDLE={file}",
        f"export NODE_EXTRA_CA_CERTS={file}",
        f"voxsms receive 447700900123 {_OWN[0]} STOP",
        f"curl --cacert {file} https://127.0.0.1:",
    ):
        assert words in out
    assert file.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")


@pytest.mark.usefixtures("ended")
def test_who_opens_it_to_others_is_warned(capsys: pytest.CaptureFixture[str]) -> None:
    """As containers need it."""
    status, out, err = _run(capsys, "--host", "0.0.0.0")  # noqa: S104 - it is a sandbox
    assert status == 0
    assert "listens on http://127.0.0.1:" in out
    assert "voxsms: warning: other machines can reach 0.0.0.0" in err


@pytest.mark.usefixtures("ended")
def test_a_history_to_practise_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`--fill` makes one up, once for a database."""
    database = tmp_path / "box.db"
    words = ("--fill", "a2p=300", "sms=20", "--database", str(database))
    for _ in range(2):
        assert _run(capsys, *words)[0] == 0
        with closing(sqlite3.connect(database)) as db:
            counts = dict(db.execute("SELECT kind, count(*) FROM messages GROUP BY kind"))
        assert counts == {"a2p": 300, "sms": 20}


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


@pytest.mark.parametrize("end", [signal.SIGTERM, None])
def test_a_client_in_any_language(end: signal.Signals | None, http: httpx.Client) -> None:
    """Whoever reads its first line can send; its last line says what was really delivered."""
    words = ("--refuse", "14155550142=385", "--price", "48=0.03")
    with _running("--until-eof", *words) as (process, facts):
        form = {
            "account_id": facts["account_id"],
            "api_key": facts["api_key"],
            "src_number": facts["sender_ids"][0],
            "dst_numbers": "48512345678;14155550142",
            "text": "hello",
        }
        answer = http.post(f"{facts['url']}/platform_api/A2PSendSms/", data=form).json()
        assert [each["error_code"] for each in answer["failed"]] == [385]
        if end is not None:
            process.send_signal(end)
        out, err = process.communicate(timeout=20)  # which also ends its standard input
        assert json.loads(out) == {"deliveries": 1, "fragments": 1, "charged": "0.03"}
        assert (process.returncode, err) == (0, "")
    with pytest.raises(httpx.ConnectError):
        http.get(facts["url"])


def test_faults_on_purpose(monkeypatch: pytest.MonkeyPatch, http: httpx.Client) -> None:
    """`--faults` says what goes wrong, request after request."""
    statuses: list[int] = []

    def call(url: str) -> None:
        form = {"account_id": "1000001", "api_key": "sandbox-api-key"}
        for _ in range(2):
            answer = http.post(f"{url}/platform_api/GetPhoneNumbers/", data=form)
            statuses.append(answer.status_code)

    words = ["--json", "--faults", "http_error:status=502"]
    assert _while_it_runs(monkeypatch, words, call) == 0
    assert statuses == [502, 200]


def test_without_eof_it_goes_on(http: httpx.Client) -> None:
    """A standard input that is closed ends it only where that is asked for."""
    with _running() as (process, facts):
        assert process.stdin is not None
        process.stdin.close()
        answer = http.post(f"{facts['url']}/platform_api/Nothing/").json()
        assert answer["error"]["code"] == 103


def test_somebody_asked_which_faults_there_are(voxsms: Run) -> None:
    """The help lists every kind, and shows how they are written."""
    lines = voxsms("sandbox", "--help").out.splitlines()
    shown = "".join(line.strip("│ ") + " " for line in lines)
    for kind in (*KINDS, *CALLBACK_KINDS):
        assert f" {kind}" in shown
    assert "kind*times@Method:option=value" in shown


@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        (["--faults", "earthquake"], 2, "--faults: kind: 'earthquake' is not one of ok, refuse"),
        (["--faults", "error:cod=1"], 2, "--faults: error has no option cod"),
        (["--balance", "much"], 2, "--balance: is not an amount"),
        (["--number", "Ada"], 2, "--number: '***' is not a phone number"),
        (["--refuse", "14155550142"], 2, '"14155550142" is not of the form NUMBER=CODE'),
        (["--refuse", "14155550142=x"], 2, "is not of the form NUMBER=CODE"),
        (["--refuse", "Ada=385"], 2, "--refuse: '***' is not a phone number"),
        (["--price", "48"], 2, '--price: "48" is not of the form PREFIX=PRICE, such as 48=0.03'),
        (["--price", "999=1"], 2, "--price: '999' does not begin with a country code"),
        (["--price", "48=much"], 2, "--price: is not an amount"),
        (["--rate-limit", "0"], 2, "--rate-limit: is 0; it must be above 0"),
        (["--deliver-after", "-1"], 2, "--deliver-after: is -1.0; it must not be below 0"),
        (["--port", "70000"], 2, "Must be <= 65535"),
        (["--host", "localhost"], 2, "--host: is not an IP address of this machine"),
        (["--host", "192.0.2.1"], 1, "192.0.2.1, port: Cannot assign requested address"),
        (["--fill", "mms=3"], 2, '--fill: "mms=3" is not of the form a2p=ROWS or sms=ROWS'),
        (["--fill", "sms=0"], 2, "--fill: rows: a history needs 1 to 10,000,000"),
        (["--key-file", "/nowhere/key"], 2, "--key-file: /nowhere/key: No such file"),
        (["--callback-url", "me"], 2, "--callback-url: is not a URL with http or https and a host"),
        (["--certificate-file", "ca.pem"], 2, "--certificate-file: needs --tls"),
        (["--tls", "--certificate-file", "/nowhere/ca"], 1, "/nowhere/ca: No such file"),
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
    assert _kinds() == "those of voxsms.sandbox"  # its help is there all the same
