"""Faults as data: the script says which request meets which fault."""

import pytest

from voxsms.sandbox import KINDS, FaultScript, InjectedFault
from voxsms.sandbox._faults import parse


def test_every_kind_is_documented() -> None:
    """A test can go through every fault there is; `test_sandbox_wire_faults` does so."""
    assert len(KINDS) == 21
    assert all(kind.doc.endswith(".") for kind in KINDS.values())
    assert {name for name, kind in KINDS.items() if kind.connecting} == {
        "refuse",
        "accept_then_close",
    }


def test_a_script_as_text() -> None:
    """The compact form that the command line and `serve(faults=)` take."""
    text = (
        "commit_then_close*2@A2PSendSms, rate_limited:retry_after=1,"
        "slow:seconds=0.5:driven=true,error:code=416:msg=Retry after 3 seconds,,"
        "http_error:status=504"
    )
    assert parse(text) == (
        InjectedFault("commit_then_close", 2, "A2PSendSms"),
        InjectedFault("rate_limited", options={"retry_after": "1"}),
        InjectedFault("slow", options={"seconds": 0.5, "driven": True}),
        InjectedFault("error", options={"code": 416, "msg": "Retry after 3 seconds"}),
        InjectedFault("http_error", options={"status": 504}),
    )
    assert parse("") == ()
    assert parse("slow:driven=no")[0].option("driven") is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "kind: 'explode' is not one of ok, refuse"),
        ("ok@NoMethod", "method: 'NoMethod' is not one of SendSmsMessage"),
        ("ok*0", "times: is 0; it must be at least 1"),
        ("ok:seconds=1", "ok has no option seconds"),
        ("slow:seconds=x", "seconds: 'x' is not a number"),
        ("error:code=x", "code: 'x' is not a number"),
        ("slow:seconds=nan", "slow: seconds must be a number from 0 to 100,000,000"),
        ("callback_late:seconds=-1", "callback_late: seconds must be a number from 0"),
        ("error:code=9999999999", "error: code must be a whole number of at most 9 digits"),
        ("http_error:status=204", "http_error: status must be an HTTP status from 200 to 599"),
        ("http_429:retry_after=\N{EURO SIGN}", "http_429: retry_after must be printable ASCII"),
        ("error:msg=\ud800", "error: msg must be text"),
        ("ok*99999999999999999999", "times: is larger than"),
        ("callback_late@A2PSendSms", "method: 'A2PSendSms' is not one of sms_inbound"),
        ("refuse@A2PSendSms", "refuse affects the connection"),
        ("ok**", "'ok\\*\\*' is not a fault"),
        ("ok:seconds", "is not a fault"),
    ],
)
def test_a_script_that_cannot_be(text: str, said: str) -> None:
    """A mistake is named with what would be right."""
    with pytest.raises(ValueError, match=said):
        parse(text)


def test_faults_are_met_in_order() -> None:
    """`times` counts down, and what happened is kept."""
    script = FaultScript([InjectedFault("never", 2)])
    script.script(["drip", InjectedFault("ok", method="ControlSms")])
    script.add("commit_then_close", times=1, method="A2PSendSms")
    met = [script.take("A2PSendSms").kind for _ in range(5)]
    assert met == ["never", "never", "drip", "commit_then_close", "ok"]
    assert script.pending == (InjectedFault("ok", method="ControlSms"),)
    assert [fault.kind for fault in script.happened] == met[:4]
    script.clear()
    assert not script.pending
    assert len(script.happened) == 4


def test_a_fault_of_the_connection_waits_for_its_turn() -> None:
    """It is met when it stands first; requests that come before a connection pass it by."""
    script = FaultScript(parse("never@ControlSms,accept_then_close,drip"))
    assert script.connecting() is None
    assert script.take("A2PSendSms").kind == "ok"
    assert script.take("ControlSms").kind == "never"
    waiting = script.connecting()
    assert waiting is not None
    assert waiting.kind == "accept_then_close"
    assert script.take("A2PSendSms").kind == "ok"
    assert script.take_connecting(waiting)
    assert not script.take_connecting(waiting)
    assert script.take("A2PSendSms").kind == "drip"


def test_an_option_has_a_default() -> None:
    """What is not said is the kind's own."""
    assert InjectedFault("refuse").option("seconds") == 0.25
    assert InjectedFault("refuse", options={"seconds": 2}).option("seconds") == 2
