"""What a callback says is confirmed by the service, and what is made up is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voxsms import Client, InvalidRequest
from voxsms.sandbox import Number, Sandbox, serve
from voxsms.webhooks import A2PActivated, A2PDelivery, InboundSms, MinBalance, confirm

OURS, THEIRS = "447443332211", "447443332212"


def inbound(text: str, source: str = THEIRS) -> InboundSms:
    """Return a callback that says that somebody wrote."""
    return InboundSms(
        callback_id=7,
        account_id=1,
        type="sms_inbound",
        source_number=source,
        destination_number=OURS,
        sms_body=text,
    )


async def test_an_inbound_message_is_confirmed_by_the_history() -> None:
    """By its numbers and, where it was stored, its text."""
    async with serve(numbers=[Number(number=OURS, sms_enabled=True)]) as sandbox:
        sandbox.receive(source=THEIRS, destination=OURS, text="Order 17")
        async with Client(sandbox.auth, sandbox.url) as client:
            assert await confirm(client, inbound("Order 17"))
            assert not await confirm(client, inbound("Order 18"))
            assert not await confirm(client, inbound("Order 17", source="447443332213"))
            assert not await confirm(client, inbound("Order 17"), within=timedelta(days=-1))
            sandbox.receive(source=THEIRS, destination=OURS, text="Order 19", store_body=False)
            assert await confirm(client, inbound("Order 19"))


async def test_the_clock_of_this_machine_hides_no_message() -> None:
    """What is recent is so by the service's clock, which its first answer tells."""
    numbers = [Number(number=OURS, sms_enabled=True)]
    async with serve(numbers=numbers, start=datetime(2026, 1, 15, tzinfo=UTC)) as sandbox:
        sandbox.receive(source=THEIRS, destination=OURS, text="Order 17")
        async with Client(sandbox.auth, sandbox.url) as client:
            assert await confirm(client, inbound("Order 17"))
            sandbox.clock.advance(timedelta(days=2))
        async with Client(sandbox.auth, sandbox.url) as client:
            assert not await confirm(client, inbound("Order 17"))


def delivery(message_id: int, **fields: Any) -> A2PDelivery:  # noqa: ANN401 - any field
    """Return a callback that says how far a message is."""
    told = {"source_number": "VOXSMS", "status": "QUEUED", "destination_numbers": (THEIRS,)}
    return A2PDelivery(
        callback_id=7, account_id=1, type="a2p_sms_delivery", id=message_id, **told | fields
    )


@pytest.mark.parametrize(
    ("fields", "is_confirmed"),
    [
        ({}, True),
        ({"destination_numbers": ()}, True),  # it need not name one
        ({"destination_numbers": (f"+{THEIRS}", THEIRS)}, True),
        ({"status": "DISPATCHED"}, False),
        ({"status": "DELIVERED"}, False),
        ({"status": "FAILED"}, False),
        ({"status": "OF_TOMORROW"}, False),
        ({"source_number": "ACME"}, False),
        ({"source_number": THEIRS}, False),
        ({"destination_numbers": ("447443332213",)}, False),
        ({"destination_numbers": (THEIRS, "447443332213")}, False),
        ({"destination_numbers": ("",)}, False),
    ],
)
async def test_a_delivery_is_confirmed_by_the_messages_own_row(
    voxsms_sandbox: Sandbox, fields: dict[str, Any], is_confirmed: bool
) -> None:
    """A status that the service has not come to, another sender or recipient: made up."""
    async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        sent = await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=[THEIRS], text="Hi")
        callback = delivery(sent.result[0].message_id, **fields)
        assert await confirm(client, callback) is is_confirmed


@pytest.mark.voxsms_sandbox(dispatch_after=1, deliver_after=3)
@pytest.mark.parametrize(
    ("told", "is_confirmed"),
    [("QUEUED", True), ("DISPATCHED", True), ("DELIVERED", True), ("EXPIRED", False)],
)
async def test_a_delivery_that_comes_late_is_confirmed(
    voxsms_sandbox: Sandbox, told: str, is_confirmed: bool
) -> None:
    """The history may be further than a callback, but not elsewhere."""
    async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        sent = await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=[THEIRS], text="Hi")
        voxsms_sandbox.clock.advance(60)
        callback = delivery(sent.result[0].message_id, status=told)
        assert await confirm(client, callback) is is_confirmed


@pytest.mark.parametrize(
    "callback",
    [
        delivery(99),
        delivery(99, destination_numbers=()),
        delivery(0),
        delivery(2**63),
        inbound("Hi", source=""),
        inbound("Hi", source="half \ud83d"),
        inbound("Hi", source="somebody"),
    ],
)
async def test_what_the_service_cannot_have_is_made_up(
    voxsms_sandbox: Sandbox, callback: InboundSms | A2PDelivery
) -> None:
    """The history has no such id or number, not even where nobody could ask for it."""
    async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        assert not await confirm(client, callback)


async def test_the_activation_is_confirmed_by_the_account(voxsms_sandbox: Sandbox) -> None:
    """Which says whether A2P is enabled."""
    async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        for enabled in (True, False):
            callback = A2PActivated(callback_id=7, account_id=1, type="x", a2p_enabled=enabled)
            assert await confirm(client, callback) is enabled


async def test_of_other_callbacks_no_method_tells(voxsms_sandbox: Sandbox) -> None:
    """It is said, and nothing is asked."""
    async with Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        callback = MinBalance(
            callback_id=7, account_id=1, type="x", is_min_credit=True, is_repeated=False
        )
        with pytest.raises(InvalidRequest, match="MinBalance"):
            await confirm(client, callback)
