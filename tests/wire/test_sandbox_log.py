"""A line for each request: what was asked, what it came to, the fault that it met."""

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from voxsms.sandbox import Number, Sandbox

Post = Callable[..., dict[str, Any]]
OWN, ONE, TWO = "447443332211", "447443332212", "447443332213"
A2P: dict[str, Any] = {"src_number": "VOXSMS", "dst_numbers": f"{ONE};{TWO}", "text": "Hi"}
refusing = pytest.mark.voxsms_sandbox(
    refused={TWO: 506},
    numbers=[Number(number=OWN, sms_enabled=True)],
    callback_url="http://127.0.0.1:1/",
)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what takes the lines that were logged since it was called last."""
    caplog.set_level(logging.INFO, "voxsms.sandbox")

    def take() -> list[str]:
        found = [r.getMessage() for r in caplog.records if r.name == "voxsms.sandbox"]
        caplog.clear()
        return found

    return take


@refusing
@pytest.mark.parametrize(
    ("method", "form", "line"),
    [
        ("A2PSendSms", A2P, "A2PSendSms 2 numbers -> 1 sent, 1 refused (506), 0.0340 USD"),
        (
            "SendSmsMessage",
            {"source": OWN, "destination": ONE, "sms_body": "x" * 161},
            "SendSmsMessage 1 number -> 1 sent, 0.0710 USD",
        ),
        ("A2PSendSms", A2P | {"src_number": "NOBODY"}, "A2PSendSms 2 numbers -> refused (507 INV"),
        ("ControlSms", {"phone_number": OWN, "command": "disable"}, "ControlSms -> done"),
        ("GetSmsHistory", {}, "GetSmsHistory -> 0 of 0 rows"),
        ("GetSmsHistory", {"output": "csv"}, "GetSmsHistory -> a file of 129 bytes"),
        ("GetPhoneNumbers", {}, "GetPhoneNumbers -> 1 of 1 row"),
        ("Nothing", {}, "unknown method -> refused (103 UNKNOWN_COMMAND)"),
        (
            "GetAccountInfo",
            {"api_key": "x"},
            "GetAccountInfo -> refused (100 AUTHORIZATION_FAILED)",
        ),
    ],
)
def test_what_a_request_came_to(
    voxsms_sandbox: Sandbox,
    http: httpx.Client,
    lines: Callable[[], list[str]],
    method: str,
    form: dict[str, Any],
    line: str,
) -> None:
    """In one line, without a number or a text."""
    key = voxsms_sandbox.api_key
    form = {"account_id": key.account_id, "api_key": key.api_key} | form
    http.post(f"{voxsms_sandbox.url}/platform_api/{method}/", data=form)
    (said,) = lines()
    assert said.startswith(line)


@refusing
def test_the_fault_that_it_met(
    voxsms_sandbox: Sandbox, post: Post, lines: Callable[[], list[str]]
) -> None:
    """It says whether the request was carried out before it."""
    voxsms_sandbox.faults.script("drip:seconds=0,error:code=2")
    post("A2PSendSms", **A2P)
    post("A2PSendSms", **A2P)
    assert lines() == [
        "A2PSendSms 2 numbers -> 1 sent, 1 refused (506), 0.0340 USD; then the fault drip",
        "A2PSendSms 2 numbers -> nothing carried out: the fault error",
    ]


@refusing
def test_what_was_posted(voxsms_sandbox: Sandbox, lines: Callable[[], list[str]]) -> None:
    """And what came of it."""
    voxsms_sandbox.receive(source=ONE, destination=OWN, text="Hi")
    voxsms_sandbox.flush_callbacks()
    voxsms_sandbox.clock.advance(1)
    voxsms_sandbox.flush_callbacks()
    said = "1 callback posted (sms_inbound{}) -> no answer (ConnectionRefusedError)"
    assert lines() == [said.format(""), said.format(", attempt 2")]
