"""Every refusal that the sandbox can meet, with the code that the contract has for it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from voxsms.sandbox import Number, Sandbox, serve

Post = Callable[..., dict[str, Any]]
OWN, DEAF, DESTINATION = "447443332211", "14155550100", "447443332212"
ENABLED = [Number(number=OWN, sms_enabled=True), Number(number=DEAF, sms_supported=False)]
SMS = {"source": OWN, "destination": DESTINATION, "sms_body": "Hi"}
A2P = {"src_number": "VOXSMS", "dst_numbers": DESTINATION, "text": "Hi"}
REVERSED = {"from_date": "2026-01-02 00:00:00", "to_date": "2026-01-01 00:00:00"}
HUNDRED_AND_ONE = ";".join(f"447443332{n}" for n in range(300, 401))


def refusal(answer: dict[str, Any]) -> int:
    """Return the code of an answer that is an error of the documented shape and nothing else."""
    assert answer.keys() == {"error"}
    assert answer["error"].keys() == {"code", "msg"}
    assert answer["error"]["msg"]
    code: int = answer["error"]["code"]
    return code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("NoSuchMethod", {}, 103),
        ("sendsmsmessage", SMS, 103),  # names are case-sensitive
        ("SendSmsMessage", SMS | {"sms_body": ""}, 485),
        ("SendSmsMessage", {}, 485),
        ("SendSmsMessage", SMS | {"sms_body": "x" * 766}, 499),
        ("SendSmsMessage", SMS | {"sms_body": "\N{GRINNING FACE}" * 383}, 499),  # 766 units
        ("SendSmsMessage", SMS | {"sms_body": "a\x1b"}, 496),
        ("SendSmsMessage", SMS | {"store_body": "perhaps"}, 496),
        ("SendSmsMessage", SMS | {"source": "447443332299"}, 422),
        ("SendSmsMessage", SMS | {"source": DEAF}, 528),
        ("SendSmsMessage", SMS | {"destination": "12"}, 423),
        ("SendSmsMessage", SMS | {"destination": "5511999990000"}, 506),
        ("SendSmsMessage", SMS | {"destination": "18761234567"}, 506),  # a forbidden prefix
        ("A2PSendSms", {}, 485),
        ("A2PSendSms", A2P | {"text": "x" * 1601}, 499),
        ("A2PSendSms", A2P | {"text": "a\x1b"}, 508),
        ("A2PSendSms", A2P | {"dst_numbers": HUNDRED_AND_ONE}, 499),
        ("A2PSendSms", A2P | {"dst_numbers": f"{DESTINATION};abc"}, 423),
        ("A2PSendSms", A2P | {"dst_numbers": "5511999990000;18761234567"}, 506),
        ("A2PSendSms", A2P | {"src_number": "OTHER"}, 507),
        ("A2PSendSms", A2P | {"src_number": DEAF}, 507),
        ("ControlSms", {"phone_number": OWN}, 485),
        ("ControlSms", {"phone_number": OWN, "command": "explode"}, 496),
        ("ControlSms", {"phone_number": "447443332299", "command": "enable"}, 121),
        ("ControlSms", {"phone_number": "mine", "command": "enable"}, 121),
        ("ControlSms", {"phone_number": DEAF, "command": "enable"}, 528),
        ("GetSmsHistory", {"count": 1001}, 497),
        ("GetSmsHistory", {"count": "many"}, 497),
        ("GetSmsHistory", {"offset": -1}, 497),
        ("GetSmsHistory", {"from_date": "yesterday"}, 111),
        ("GetSmsHistory", REVERSED, 123),
        ("GetSmsHistory", {"direction": "SIDEWAYS"}, 470),
        ("GetSmsHistory", {"output": "pdf"}, 105),
        ("GetSmsHistory", {"output": "xls"}, 105),
        ("GetSmsHistory", {"message_id": "one"}, 496),
        ("A2PGetSmsHistory", {"delivery_status": 9}, 496),
        ("GetPhoneNumbers", {"phone_number": "x"}, 121),
        ("GetResourcePrice", {"resource_type": "HARDWARE"}, 429),
    ],
)  # fmt: skip
@pytest.mark.voxsms_sandbox(numbers=ENABLED)
def test_a_bad_request(
    voxsms_sandbox: Sandbox, post: Post, method: str, fields: dict[str, object], code: int
) -> None:
    """A request that cannot be right gets the documented code, and nothing is sent for it."""
    assert refusal(post(method, **fields)) == code
    assert voxsms_sandbox.ledger.count == 0
    assert voxsms_sandbox.balance == 100


def test_a_number_that_is_not_enabled(post: Post) -> None:
    """386 says to call ControlSms first; a number that is not enabled is no A2P sender either."""
    assert refusal(post("SendSmsMessage", **SMS)) == 386
    assert refusal(post("A2PSendSms", **A2P | {"src_number": OWN})) == 507


@pytest.mark.voxsms_sandbox(a2p_enabled=False)
def test_an_account_without_a2p(post: Post) -> None:
    """509 where A2P is not enabled."""
    assert refusal(post("A2PSendSms", **A2P)) == 509


@pytest.mark.voxsms_sandbox(balance="0.0680", numbers=ENABLED)
def test_too_little_money_for_all_of_a_request(voxsms_sandbox: Sandbox, post: Post) -> None:
    """127: a send that cannot be paid in full sends nothing; one that can, to the last, does."""
    two = f"{DESTINATION};447443332213"  # 0.0340 each
    assert refusal(post("A2PSendSms", **A2P | {"dst_numbers": f"{two};447443332214"})) == 127
    assert (voxsms_sandbox.ledger.count, str(voxsms_sandbox.balance)) == (0, "0.0680")
    assert len(post("A2PSendSms", **A2P | {"dst_numbers": two})["result"]) == 2
    assert (voxsms_sandbox.ledger.count, str(voxsms_sandbox.balance)) == (2, "0.0000")
    assert refusal(post("SendSmsMessage", **SMS)) == 127


@pytest.mark.parametrize("code", [385, 423, 506])
def test_a_destination_that_is_made_to_be_refused(
    post_to: Callable[[Sandbox], Post], code: int
) -> None:
    """`refused` gives a destination its own code, in both sends."""
    with serve(numbers=ENABLED, refused={DESTINATION: code}) as sandbox:
        post = post_to(sandbox)
        assert refusal(post("SendSmsMessage", **SMS)) == code
        a2p = post("A2PSendSms", **A2P | {"dst_numbers": f"{DESTINATION};447443332213"})
        assert [each["error_code"] for each in a2p["failed"]] == [code]
        assert sandbox.ledger.count == 1


@pytest.mark.voxsms_sandbox(rate_limit=2, start=datetime(2026, 1, 15, 12, tzinfo=UTC))
def test_too_many_requests_in_a_second(voxsms_sandbox: Sandbox, post: Post) -> None:
    """340 once the second is full; the next second of the sandbox's clock is a new one."""
    assert [refusal(post("ControlSms")) for _ in range(4)] == [485, 485, 340, 340]
    voxsms_sandbox.clock.advance(0.5)
    assert post("ControlSms") == {"error": {"code": 340, "msg": "Rate limit exceed"}}
    voxsms_sandbox.clock.advance(0.5)
    assert [refusal(post("ControlSms")) for _ in range(3)] == [485, 485, 340]
