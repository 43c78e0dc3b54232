"""A service and a person talk to each other over real HTTP, in both directions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voxsms import Client, DeliveryStatus
from voxsms.outbox import Guards, Outbox
from voxsms.sandbox import Number, Sandbox
from voxsms.testing import serve_app
from voxsms.webhooks import (
    A2PDelivery,
    Callback,
    InboundSms,
    Keyword,
    SqliteOptOuts,
    SqliteSeen,
    advance,
    asgi_app,
    confirm,
    is_final,
    keyword,
)

OURS, ANN = "447443332211", "447443332212"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
at_noon = pytest.mark.voxsms_sandbox(
    numbers=[Number(number=OURS, sms_enabled=True)], start=NOON, dispatch_after=1, deliver_after=3
)


class Service:
    """What a user writes: sends reminders, follows their delivery, and hears who wants no more."""

    def __init__(self, place: Path) -> None:
        self.opt_outs = SqliteOptOuts(place / "opt-outs.db")
        self.seen = SqliteSeen(place / "seen.db")
        self.statuses: dict[int, DeliveryStatus | str] = {}
        self.told: list[DeliveryStatus | str] = []

    async def on_callback(self, callback: Callback) -> None:
        """Act on what the service posts."""
        match callback:
            case InboundSms(source_number=number, sms_body=text):
                if keyword(text) is Keyword.STOP:
                    async with Client.from_env() as client:
                        assert await confirm(client, callback)
                    await self.opt_outs.add(number)
            case A2PDelivery(id=message_id, status=status):
                self.told.append(status)
                self.statuses[message_id] = advance(self.statuses.get(message_id), status)

    async def remind(self, number: str) -> int | None:
        """Send a reminder, unless its reader wants none; return its id."""
        if await self.opt_outs.contains(number):
            return None
        async with Client.from_env() as client:
            sent = await client.a2p_send_sms(
                src_number="VOXSMS", dst_numbers=[number], text="See you at 9"
            )
        return sent.result[0].message_id


@pytest.fixture
def service(tmp_path: Path, voxsms_env: Sandbox) -> Iterator[Service]:
    """Run a service to which the sandbox of the test posts."""
    service = Service(tmp_path)
    app = asgi_app(service.on_callback, secret=voxsms_env.callback_secret, seen=service.seen)
    with serve_app(app) as url:
        voxsms_env.callback_url = url
        yield service


async def converse(service: Service, sandbox: Sandbox) -> int:
    """Send, let the message arrive, answer STOP; return the message's id."""
    message_id = await service.remind(ANN)
    assert message_id is not None
    for seconds in (1, 3):
        sandbox.clock.advance(seconds)
        await sandbox.callbacks_posted()
    assert sandbox.delivered_to(ANN) == ["See you at 9"]
    assert service.statuses == {message_id: DeliveryStatus.DELIVERED}
    assert is_final(service.statuses[message_id])

    sandbox.receive(source=ANN, destination=OURS, text="Stop, please")
    await sandbox.callbacks_posted()
    assert await service.opt_outs.contains(f"+{ANN}")
    requests = sandbox.ledger.requests
    assert await service.remind(ANN) is None
    assert sandbox.ledger.requests == requests  # not a byte left
    assert sandbox.delivered_to(ANN) == ["See you at 9"]
    await service.opt_outs.aclose()
    await service.seen.aclose()
    return message_id


@at_noon
async def test_who_says_stop_gets_no_more(voxsms_env: Sandbox, service: Service) -> None:
    """A2P send, the delivery's states, an inbound STOP, and a send that is not made."""
    await converse(service, voxsms_env)
    assert service.told == ["DISPATCHED", "DELIVERED"]
    assert [post.status for post in voxsms_env.callbacks] == [200, 200, 200]


@at_noon
async def test_who_says_stop_gets_no_mailing(
    voxsms_env: Sandbox, service: Service, tmp_path: Path
) -> None:
    """An outbox that is given the same list refuses the number; another gets the message."""
    await converse(service, voxsms_env)
    requests = voxsms_env.ledger.requests["A2PSendSms"]
    mailing = [("Come again", number) for number in (ANN, "447443332213")]
    guards = Guards(opt_outs=service.opt_outs)
    async with Outbox.open(tmp_path / "mailing.db") as outbox, Client.from_env() as client:
        await outbox.add(mailing, source="VOXSMS")
        summary = await outbox.run(client, guards=guards)
    assert (summary.sent, summary.refused) == (1, 1)
    assert voxsms_env.ledger.requests["A2PSendSms"] == requests + 1
    assert "Come again" not in voxsms_env.delivered_to(ANN)
    await service.opt_outs.aclose()


@at_noon
@pytest.mark.voxsms_faults("callback_duplicated*2,callback_nested,callback_forged")
async def test_who_says_stop_is_heard_whatever_the_posts_look_like(
    voxsms_env: Sandbox, service: Service
) -> None:
    """Doubled and nested posts end in the same; a forged one says nothing."""
    message_id = await converse(service, voxsms_env)
    assert service.told == ["DISPATCHED", "DELIVERED"]
    voxsms_env.receive(source="447443332213", destination=OURS, text="STOP")
    await voxsms_env.callbacks_posted()
    assert voxsms_env.callbacks[-1].status == 403
    assert not await service.opt_outs.contains("447443332213")
    await service.opt_outs.aclose()
    assert service.statuses == {message_id: "DELIVERED"}
