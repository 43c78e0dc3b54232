"""`send`, `a2p` and `control`, against a sandbox: what is said, and what was really delivered."""

import json
import signal
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from conftest import Run

from voxsms.api.models import A2PSendSmsResult, FailedSms, SendSmsMessageResult, SmsTransaction
from voxsms.client import Client
from voxsms.clock import Clock
from voxsms.sandbox import Number, Sandbox

OWN, TO = "447443332211", "447700900001"
SEND = ("send", "--from", OWN, "--to", TO)
A2P = ("a2p", "--from", "VOXSMS", "--to", TO)
ENABLED = pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)])


@ENABLED
def test_send(voxsms: Run, account: Sandbox) -> None:
    """One message is sent, and its id and fragments are told beside the prediction."""
    ran = voxsms(*SEND, "hello")
    assert ran == (0, "sent: message 1, 1 fragment (predicted: 1)\n", "")
    (delivery,) = account.ledger.deliveries
    assert (delivery.source, delivery.destination, delivery.fragments) == (OWN, TO, 1)


@ENABLED
def test_send_as_json(voxsms: Run, account: Sandbox) -> None:
    """A program gets the result with the wire's names."""
    ran = voxsms(*SEND, "--json", "he\u2019s here" * 20, "--store-body")
    assert ran.status == 0
    assert json.loads(ran.out) == {
        "result": 1,
        "message_id": 1,
        "fragments_count": 3,
        "predicted_fragments_count": 3,
    }
    assert account.ledger.count == 1


@ENABLED
def test_the_wires_names_and_other_ways_to_write(voxsms: Run, account: Sandbox) -> None:
    """The long names of the wire do the same, and numbers may be written for people."""
    ran = voxsms("send", "hi", "--source", "+44 7443 332211", "--destination", "+44 7700-900001")
    assert ran.status == 0
    assert account.ledger.to(TO)


@ENABLED
@pytest.mark.parametrize("octets", [b"hello\n", b"hello\r\n", b"\xef\xbb\xbfhello", b"hello"])
def test_a_text_from_a_file_or_standard_input(
    voxsms: Run, account: Sandbox, tmp_path: Path, octets: bytes
) -> None:
    """The line end that an editor or `echo` adds, and Windows' mark, are no part of the text."""
    file = tmp_path / "text.txt"
    file.write_bytes(octets)
    assert voxsms(*SEND, "--store-body", "--file", str(file)).status == 0
    assert voxsms(*SEND, "--store-body", "-", stdin=octets).status == 0
    assert voxsms(*SEND, "--store-body", "--file", "-", stdin=octets).status == 0
    shown = voxsms("history", "sms", "--json").out.splitlines()
    assert [json.loads(line)["text"] for line in shown] == ["hello"] * 3
    assert account.ledger.count == 3


@ENABLED
def test_a_text_that_starts_with_a_hyphen(voxsms: Run, account: Sandbox) -> None:
    """A text may start with a hyphen; one that looks like a misspelt option is not sent."""
    assert voxsms(*SEND, "-20% today").status == 0
    assert voxsms(*SEND, "--stoer-body").status == 2
    assert account.ledger.count == 1


@ENABLED
@pytest.mark.parametrize(
    ("words", "stdin", "problem"),
    [
        ((), b"", "give one text: as an argument, with --file, or `-`"),
        (("hi", "--file", "text.txt"), b"", "give one text"),
        (("--file", "nowhere.txt"), b"", "nowhere.txt: No such file or directory"),
        (("--file", "."), b"", ".: Is a directory"),
        (("-",), b"caf\xe9", "standard input: is not UTF-8 (byte 4)"),
        (("-",), b"", "TEXT: is empty. Nothing was sent."),
        (("",), b"", "TEXT: is empty. Nothing was sent."),
        (("x" * 766,), b"", "766"),
        (("a\x1bb",), b"", "bare ESC"),
    ],
)
def test_a_text_that_cannot_be_sent(
    voxsms: Run, account: Sandbox, words: tuple[str, ...], stdin: bytes, problem: str
) -> None:
    """Whatever is wrong with the text is said, with status 2, and nothing leaves the machine."""
    ran = voxsms(*SEND, *words, stdin=stdin)
    assert ran.status == 2
    assert problem in ran.err
    assert ran.out == ""
    assert account.ledger.requests == {}


@pytest.mark.parametrize(
    "words", [(*A2P, "hello"), ("estimate", "--to", TO, "hello", "--rates", "rates.json")]
)
def test_a_text_that_was_taken_for_a_number(
    voxsms: Run, account: Sandbox, words: tuple[str, ...]
) -> None:
    """`--to` takes all that follows it: who gives the text after it is told where to put it."""
    ran = voxsms(*words)
    assert ran.status == 2
    assert "give one text: as an argument before --to, with --file" in ran.err
    assert account.ledger.requests == {}
    assert voxsms(*A2P, "--", "hello").status == 0


def test_a_file_that_is_not_utf8(voxsms: Run, account: Sandbox, tmp_path: Path) -> None:
    """The file is named, and the first byte that cannot be."""
    file = tmp_path / "text.txt"
    file.write_bytes(b"ab\xff")
    ran = voxsms(*SEND, "--file", str(file))
    assert (ran.status, ran.err) == (2, f"voxsms: {file}: is not UTF-8 (byte 3)\n")
    assert account.ledger.requests == {}


def test_a_number_that_is_not_enabled(voxsms: Run, account: Sandbox) -> None:
    """The refusal comes with what to do about it."""
    ran = voxsms(*SEND, "hi")
    assert ran.status == 1
    assert "386 SMS_DISABLED_FOR_NUMBER" in ran.err
    assert "voxsms control NUMBER enable" in ran.err
    assert account.ledger.count == 0


@ENABLED
def test_no_phone_number(voxsms: Run, account: Sandbox) -> None:
    """A wrong destination is found before anything is sent."""
    ran = voxsms("send", "hi", "--from", OWN, "--to", "Ada")
    assert ran.status == 2
    assert "--to: '***' is not a phone number" in ran.err
    assert account.ledger.requests == {}


@pytest.mark.voxsms_sandbox(
    numbers=[Number(number=OWN, sms_enabled=True)], faults="commit_then_close*2"
)
@pytest.mark.parametrize(("command", "history"), [(SEND, "sms"), (A2P, "a2p")])
def test_an_outcome_that_nobody_knows(
    voxsms: Run, account: Sandbox, command: tuple[str, ...], history: str
) -> None:
    """A lost answer ends with 3, says that the message may have been sent, and where to look."""
    ran = voxsms(command[0], "hi", *command[1:])
    assert ran.status == 3
    assert "may have been sent and charged" in ran.err
    assert f"voxsms history {history}" in ran.err
    assert TO not in ran.err
    assert account.ledger.count == 1


@pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)], faults="never")
def test_ctrl_c_during_a_send(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted send may have been sent: that is said, where to look, and the status is 3."""
    monkeypatch.setattr(account.ledger, "count_request", _interrupter())
    ran = voxsms(*SEND, "hi")
    assert (ran.status, ran.out) == (3, "")
    assert "the call was cancelled" in ran.err
    assert "may have been sent and charged" in ran.err
    assert ran.err.endswith("voxsms history sms\n")
    assert TO not in ran.err


@pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)], faults="rate_limited*2")
def test_ctrl_c_before_a_send_leaves(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while it waits to try again, nothing was sent: the status is SIGINT's."""
    interrupt = _interrupter()

    async def sleep(_: Clock, __: float) -> None:
        interrupt("")
        await anyio.sleep_forever()

    monkeypatch.setattr(Clock, "sleep", sleep)
    assert voxsms(*SEND, "hi") == (130, "", "voxsms: interrupted\n")
    assert account.ledger.count == 0


@pytest.mark.voxsms_sandbox(faults="never")
def test_ctrl_c_during_a_read(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted read leaves nothing to tell."""
    monkeypatch.setattr(account.ledger, "count_request", _interrupter())
    assert voxsms("numbers") == (130, "", "voxsms: interrupted\n")


def _interrupter() -> Callable[[str], None]:
    main = threading.main_thread().ident or 0
    return lambda _: signal.pthread_kill(main, signal.SIGINT)


def test_a2p(voxsms: Run, account: Sandbox) -> None:
    """Accepted numbers are listed with their messages."""
    ran = voxsms("a2p", "hello", *A2P[1:])
    assert ran.status == 0
    head, *table = ran.out.splitlines()
    assert head == "accepted: 1, each 1 fragment (predicted: 1)"
    assert [line.split() for line in table] == [["message", "to"], ["1", TO]]
    assert account.ledger.to(TO)


def test_a2p_with_refused_numbers(voxsms: Run, account: Sandbox) -> None:
    """Refused numbers are listed with code and reason, and the status is 1: not all went out."""
    ran = voxsms("a2p", "hello", *A2P[1:], "18765550142", "--yes")
    assert ran.status == 1
    assert "18765550142  506   No route for dst numbers" in ran.out
    told = "voxsms: 1 of 2 numbers were not accepted: 1 with code 506\n506: Check"
    assert ran.err.startswith(told)
    assert account.ledger.count == 1


def test_a2p_as_json(voxsms: Run, account: Sandbox) -> None:
    """A program gets both lists; the status is the same."""
    ran = voxsms("a2p", "hello", *A2P[1:], "18765550142", "--yes", "--json")
    assert ran.status == 1
    found = json.loads(ran.out)
    assert found["result"] == [{"message_id": 1, "destination_number": TO}]
    assert found["failed"][0]["error_code"] == 506
    assert account.ledger.charged == Decimal("0.034")


def test_a2p_with_a_number_twice(voxsms: Run, account: Sandbox) -> None:
    """Every fault is named, with its position, and nothing is sent."""
    ran = voxsms("a2p", "", *A2P[1:], f"+{TO}", "12")
    assert ran.status == 2
    assert "--to, value 2: 447***001 stands at position 1 already" in ran.err
    assert "--to, value 3: *** has 2 digits" in ran.err
    assert "TEXT: is empty. Nothing was sent." in ran.err
    assert account.ledger.requests == {}


@pytest.mark.voxsms_sandbox(refused={TO: 385})
def test_a_refusal_cannot_drive_the_terminal(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service says is shown, and not carried out."""
    sent = A2PSendSmsResult(
        (SmsTransaction(1, "447\x1b]0;x\x07"),),
        1,
        (FailedSms("448\x9b2J", "\x1b[2Jno", 385),),
        predicted_fragments_count=1,
    )

    async def a2p_send_sms(_: Client, **_given: object) -> A2PSendSmsResult:
        return sent

    monkeypatch.setattr(Client, "a2p_send_sms", a2p_send_sms)
    words = ("a2p", "hello", *A2P[1:], "447700900002", "--yes")
    out = voxsms(*words).out
    assert "447<U+001B>]0;x<U+0007>" in out
    assert "448<U+009B>2J  385   <U+001B>[2Jno" in out
    assert all(char.isprintable() or char == "\n" for char in out)
    found = json.loads(voxsms(*words, "--json").out)
    assert found["result"][0]["destination_number"] == "447\x1b]0;x\x07"
    assert found["failed"][0]["error_description"] == "\x1b[2Jno"
    assert account.ledger.count == 0


@pytest.mark.parametrize(("command", "word"), [("enable", "enabled"), ("DISABLE", "disabled")])
def test_control(voxsms: Run, account: Sandbox, command: str, word: str) -> None:
    """SMS is switched on and off for a number."""
    ran = voxsms("control", f"+{OWN}", command)
    assert ran == (0, f"SMS is {word} for +{OWN}\n", "")
    assert voxsms("control", "--phone-number", OWN, "--command", command, "--json").out == (
        '{"result": 1}\n'
    )
    assert account.ledger.requests == {"ControlSms": 2}


def test_control_of_a_number_that_is_not_ours(voxsms: Run, account: Sandbox) -> None:
    """The service's refusal is told with its code."""
    ran = voxsms("control", "14155550199", "enable")
    assert ran.status == 1
    assert "121 INVALID_PHONE_NUMBER" in ran.err
    assert account.ledger.count == 0


def test_a_count_that_differs_stands_out(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that counts otherwise is seen at once; an old one gives no id to show."""

    async def send_sms_message(_: Client, **_given: object) -> SendSmsMessageResult:
        return SendSmsMessageResult(1, 2, predicted_fragments_count=1)

    monkeypatch.setattr(Client, "send_sms_message", send_sms_message)
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = voxsms(*SEND, "hi")
    assert ran.status == 0
    assert "message, 2 fragments" in ran.out
    assert "\x1b[1;31m (predicted: 1)" in ran.out
    assert account.ledger.count == 0
