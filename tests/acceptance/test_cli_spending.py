"""What people are asked and told before a command charges them."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from conftest import Run

from voxsms.cli import _spending
from voxsms.sandbox import Number, Sandbox

OWN, TO, OTHER, UNPRICED = "447443332211", "447700900001", "447700900002", "18765550142"
A2P = ("a2p", "See you", "--from", "VOXSMS", "--to", TO)
LONG = "See you at the new shop. " * 10
ENABLED = pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)])


@pytest.mark.parametrize(
    ("answer", "status", "sent"),
    [(b"y\n", 0, 2), (b"YES\n", 0, 2), (b"n\n", 1, 0), (b"\n", 1, 0), (b"what?\n", 1, 0)],
)
def test_a_marketer_was_asked_before_two_messages_were_charged(
    voxsms: Run, account: Sandbox, answer: bytes, status: int, sent: int
) -> None:
    """The question tells the price; only yes sends."""
    ran = voxsms(*A2P, OTHER, stdin=answer)
    assert ran.status == status
    assert ran.err.startswith("Send 2 messages for 0.0680 USD? [y/N] ")
    assert ran.err.endswith("voxsms: Nothing was sent.\n") == (sent == 0)
    assert account.ledger.count == sent


def test_a_script_that_cannot_answer_was_told_of_yes(voxsms: Run, account: Sandbox) -> None:
    """Nothing is sent where nobody can be asked; `--yes` sends, and asks for no prices."""
    ran = voxsms(*A2P, OTHER)
    assert ran.status == 2
    assert "nobody answered; --yes sends without a question. Nothing was sent." in ran.err
    assert account.ledger.count == 0
    asked = account.ledger.requests["GetResourcePrice"]
    assert voxsms(*A2P, OTHER, "--yes").status == 0
    assert account.ledger.requests["GetResourcePrice"] == asked == 1
    assert account.ledger.count == 2


def test_one_message_was_sent_without_a_question(voxsms: Run, account: Sandbox) -> None:
    """A single message of one fragment is what was typed; a longer one is several."""
    assert voxsms(*A2P).err == ""
    assert account.ledger.requests == {"A2PSendSms": 1}
    ran = voxsms("a2p", LONG, *A2P[2:], stdin=b"n\n")
    assert ran.err.startswith("Send 1 message of 2 fragments for 0.0680 USD? [y/N]")
    ran = voxsms("a2p", LONG, *A2P[2:], UNPRICED, stdin=b"n\n")
    assert "2 messages of 2 fragments each for at least 0.0680 USD (no price is known for 1" in (
        ran.err
    )
    assert account.ledger.count == 1


@pytest.mark.voxsms_sandbox(faults="error@GetAccountInfo:code=104")
def test_somebody_whose_account_may_not_see_prices_was_asked_all_the_same(
    voxsms: Run, account: Sandbox
) -> None:
    """A role that may send and see no prices can send; a limit cannot be kept then."""
    ran = voxsms(*A2P, OTHER, stdin=b"y\n")
    assert ran.status == 0
    assert "The cost is not known (GetAccountInfo: 104 FORBIDDEN_COMMAND" in ran.err
    assert "Send 2 messages? [y/N]" in ran.err
    assert account.ledger.count == 2
    account.faults.script("error@GetAccountInfo:code=104")
    assert voxsms(*A2P, OTHER, "--max-cost", "1").status == 1
    assert account.ledger.count == 2


@ENABLED
def test_somebody_wanted_to_know_first(voxsms: Run, account: Sandbox) -> None:
    """`--dry-run` checks all, tells the price and sends nothing, for both ways to send."""
    assert voxsms(*A2P, OTHER, "--dry-run") == (
        0,
        "2 messages would cost 0.0680 USD. Nothing was sent.\n",
        "",
    )
    ran = voxsms("send", "hi", "--from", OWN, "--to", TO, "--dry-run", "--json")
    found = json.loads(ran.out)
    assert (found["messages"], found["cost"]) == (1, "0.0355")
    ran = voxsms(*A2P, "Ada", "--dry-run")
    assert ran.status == 2
    assert "--to, value 2: '***' is not a phone number" in ran.err
    assert account.ledger.count == 0
    assert "A2PSendSms" not in account.ledger.requests


@ENABLED
@pytest.mark.parametrize(
    ("limit", "status", "words"),
    [
        ("0.0680", 0, ""),
        (
            "0.06",
            1,
            "2 messages would cost 0.0680 USD; --max-cost is 0.0600 USD. Nothing was sent.",
        ),
        ("-1", 2, '"-1" is not an amount of money, such as 25.00'),
        ("nan", 2, '"nan" is not an amount of money'),
        ("much", 2, '"much" is not an amount of money'),
    ],
)
def test_a_limit_held(voxsms: Run, account: Sandbox, limit: str, status: int, words: str) -> None:
    """`--max-cost` is a limit for this send, whatever is said to the question."""
    ran = voxsms(*A2P, OTHER, "--yes", "--max-cost", limit)
    assert ran.status == status
    assert words in ran.err
    assert account.ledger.count == (2 if status == 0 else 0)
    assert voxsms("send", "hi", "--from", OWN, "--to", TO, "--max-cost", "0.01").status == 1


def test_a_limit_cannot_be_kept_without_a_price(voxsms: Run, account: Sandbox) -> None:
    """A number without a known price could cost anything."""
    ran = voxsms(*A2P, UNPRICED, "--max-cost", "100", "--yes")
    assert ran.status == 1
    assert "(no price is known for 1 number); --max-cost is 100.0000 USD" in ran.err
    assert account.ledger.count == 0


def test_ctrl_c_at_the_question(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends there and then, and nothing is sent."""

    class Keyboard:
        def readline(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return "y\n"

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(_spending, "sys", SimpleNamespace(stdin=Keyboard()))
    ran = voxsms(*A2P, OTHER)
    assert (ran.status, ran.err) == (
        130,
        "Send 2 messages for 0.0680 USD? [y/N] voxsms: interrupted\n",
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert account.ledger.count == 0


def test_a_question_in_a_thread(voxsms: Run, account: Sandbox) -> None:
    """A program that calls `main` in a thread of its own is asked, too."""
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(lambda: voxsms(*A2P, OTHER, stdin=b"y\n")).result()
    assert (ran.status, account.ledger.count) == (0, 2)


@ENABLED
@pytest.mark.parametrize("words", [("a2p", "--from", "VOXSMS"), ("send", "--from", OWN)])
def test_a_template_was_about_to_be_sent_as_it_is(
    voxsms: Run, account: Sandbox, words: tuple[str, ...]
) -> None:
    """A `{name}` in a text is told before the message is charged."""
    ran = voxsms(words[0], "Hi {name}", *words[1:], "--to", TO, "--dry-run")
    assert ran.status == 0
    told = "voxsms: warning: {name} is sent as written: nothing is filled in\n"
    assert ran.err == told
    assert account.ledger.count == 0


@ENABLED
@pytest.mark.parametrize(
    ("words", "to"),
    [
        (("a2p", "hi", "--from", "VOXSMS", "--to"), "0.0340"),
        (("send", "hi", "--from", OWN, "--to"), "0.0355"),
    ],
)
def test_numbers_as_they_are_written_at_home(
    voxsms: Run, account: Sandbox, words: tuple[str, ...], to: str
) -> None:
    """`--region` reads them; without it what they were taken for is told before all else."""
    ran = voxsms(*words, "7700900001", "--dry-run")
    assert ran.err.startswith(
        "voxsms: warning: 1 number (--to value 1) was taken for Russia and Kazakhstan (+7), but"
    )
    ran = voxsms(*words, "7700900001", "--dry-run", "--strict-numbers")
    assert ran.status == 2
    assert "not a possible number: too short for the country code 7. Nothing was sent." in ran.err
    ran = voxsms(*words, "7700900001", "--dry-run", "--region", "GB")
    assert (ran.status, ran.err) == (0, "")
    assert f"would cost {to} USD" in ran.out
    assert account.ledger.count == 0
    ran = voxsms(*words, "07700 900001", "--region", "GB")
    assert (ran.status, ran.err) == (0, "")
    (sent,) = account.ledger.deliveries
    assert sent.destination == TO


def test_a_dry_run_that_knows_only_a_part_of_the_price(voxsms: Run, account: Sandbox) -> None:
    """A script does not take the part for the whole: 1, as `estimate` ends with."""
    ran = voxsms(*A2P, "48512345678", "--dry-run")
    assert ran.status == 1
    assert "at least 0.0340 USD (no price is known for 1 number). Nothing was sent." in ran.out
    assert "no price is known for 1 message: the total is only part of the cost" in ran.err
    assert account.ledger.count == 0
