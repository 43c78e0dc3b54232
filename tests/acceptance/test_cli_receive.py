"""`receive`: a message arrives at a sandbox that runs."""

import json

import pytest
from conftest import Run

from voxsms.sandbox import Number, Sandbox

OWN, ONE = "447443332211", "447443332212"
enabled = pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)])


@enabled
def test_a_message_arrives(voxsms: Run, account: Sandbox) -> None:
    """With the sandbox's URL from the environment or as an option, with a proxy set or not."""
    ran = voxsms("receive", "+44 7443 332212", OWN, "STOP")
    assert (ran.status, ran.out) == (0, "recorded: message 1\n")
    assert ran.err == "voxsms: nothing was posted: the sandbox was started without --callback-url\n"
    account.callback_url = url = "http://127.0.0.1:1/callbacks"
    ran = voxsms("receive", ONE, OWN, "STOP")
    assert ran == (0, f"arrived: message 2, to be posted to {url}\n", "")
    ran = voxsms("receive", ONE, OWN, "-", "--json", "--base-url", f"{account.url}/", stdin=b"Hi\n")
    assert (ran.status, json.loads(ran.out)) == (0, {"message_id": 3, "callback_url": url})


@enabled
@pytest.mark.parametrize(
    ("words", "status", "problem"),
    [
        ([ONE, "447443332219", "Hi"], 2, "destination: is not a number of the account"),
        ([ONE, "Ada", "Hi"], 2, "destination: '***' is not a phone number"),
        ([ONE, OWN], 2, "give one text"),
        ([ONE, OWN, "Hi", "--base-url", "127.0.0.1:1"], 2, "no sandbox URL is given"),
        (
            [ONE, OWN, "Hi", "--base-url", "https://api.voximplant.com"],
            2,
            "no sandbox URL is given",
        ),
        ([ONE, OWN, "Hi", "--base-url", "http://127.0.0.1:1"], 1, "Connection refused"),
        ([ONE, OWN, "Hi", "--base-url", "http://[::1"], 1, "Invalid IPv6 URL"),
    ],
)
def test_a_message_that_cannot_arrive(
    voxsms: Run, account: Sandbox, words: list[str], status: int, problem: str
) -> None:
    """What is wrong is said, and how to get a sandbox."""
    ran = voxsms("receive", *words)
    assert ran.status == status
    assert problem in ran.err
    assert account.callbacks == ()


def test_a_server_that_is_no_sandbox(voxsms: Run, account: Sandbox) -> None:
    """Its answer is not taken for one."""
    ran = voxsms("receive", ONE, OWN, "Hi", "--base-url", f"{account.url}/elsewhere")
    assert ran.status == 1
    assert "answers HTTP 404: is it a sandbox?" in ran.err
