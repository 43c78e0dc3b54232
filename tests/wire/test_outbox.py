"""An outbox against the sandbox: what was delivered, what it cost, what the outbox says of it."""

from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from fault_matrix import TRANSPORTS

from voxsms import Client, NotSent, Outbox, Template
from voxsms.api import spec
from voxsms.clock import Clock
from voxsms.sandbox import Sandbox, serve

SOURCE = "VOXSMS"


def client_of(sandbox: Sandbox) -> Client:
    """Give a client of the sandbox's account."""
    return Client(sandbox.api_key, base_url=sandbox.url)


async def test_the_books_agree_to_the_cent(tmp_path: Path) -> None:
    """Everybody got one message, and the costs are what the balance went down by."""
    numbers = [f"4477009{n:05d}" for n in range(60)] + ["14155550123", "79161234567"]
    people = [({"name": f"No. {n % 7}"}, number) for n, number in enumerate(numbers)]
    async with serve(refused={numbers[5]: 385}) as sandbox, client_of(sandbox) as client:
        before = sandbox.balance
        async with Outbox.open(tmp_path / "mailing.db") as outbox:
            template = Template("Hello {name}, see you at six")
            added = await outbox.add(
                people, source=SOURCE, template=template, key="november", chunk_size=5
            )
            assert added.accepted == len(people)
            summary = await outbox.run(client)
            assert (summary.sent, summary.refused) == (len(people) - 1, 1)
            assert before - sandbox.balance == summary.cost == sandbox.ledger.charged
            by_number = {delivery.destination: delivery for delivery in sandbox.ledger.deliveries}
            assert len(by_number) == sandbox.ledger.count == summary.sent
            async for intent in outbox.intents("sent"):
                delivery = by_number[intent.destination]
                assert (intent.message_id, intent.fragments_count, intent.cost) == (
                    delivery.message_id,
                    delivery.fragments,
                    delivery.cost,
                )
            (refused,) = [intent async for intent in outbox.intents("refused")]
            assert (refused.destination, refused.error_code) == (numbers[5], 385)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_it_may_be_too_late_for_the_first_byte(
    transport: str, voxsms_sandbox: Sandbox
) -> None:
    """It is asked right before it: then nothing leaves, and the connection serves the next call."""
    asked: list[bool] = []

    def may_begin() -> bool:
        asked.append(len(asked) != 1)
        return asked[-1]

    client = Client(
        voxsms_sandbox.api_key, base_url=voxsms_sandbox.url, transport=TRANSPORTS[transport]()
    )
    async with client:
        session = client.session
        late = session.with_options(
            attrs.evolve(session.options, may_begin=may_begin, max_attempts=1)
        )
        request = spec.A2PSendSms(src_number=SOURCE, dst_numbers=["447700900123"], text="Hi")
        with pytest.raises(NotSent, match="too late"):
            await late.call(spec.A2P_SEND_SMS, request)
        assert asked == [True, False]
        assert not voxsms_sandbox.ledger.requests["A2PSendSms"]
        await late.call(spec.A2P_SEND_SMS, request)
        assert voxsms_sandbox.ledger.count == 1


class Ahead(Clock):
    """The clock of a machine that is ten minutes ahead."""

    def time(self) -> float:
        """Give its time."""
        return super().time() + 600


async def test_a_machine_whose_clock_is_wrong_settles_by_the_services_time(
    tmp_path: Path, voxsms_sandbox: Sandbox
) -> None:
    """What another process sent before it died is found, and not taken as never sent."""
    key, url = voxsms_sandbox.api_key, voxsms_sandbox.url
    async with Outbox.open(tmp_path / "mailing.db", clock=Ahead()) as outbox:
        await outbox.add([("See you", "447700900123")], source=SOURCE)
        async with Client(key, base_url=url, clock=Ahead()) as client:
            await outbox.run(client)
        await outbox.store.write(
            lambda database: (
                database.change("UPDATE voxsms_intents SET state = 'pending', message_id = NULL"),
                database.change(
                    "UPDATE voxsms_chunks SET state = 'sending', since = NULL, until = NULL,"
                    " claimed_at = NOW - 2, expires_at = NOW - 1"
                ),
            )
        )
        async with Client(key, base_url=url, clock=Ahead()) as client:
            settled = await outbox.reconcile(client, settle_after=timedelta(0))
        assert (settled.sent, settled.presumed_not_sent) == (1, 0)
        async with Client(key, base_url=url, clock=Ahead()) as client:
            assert (await outbox.track(client)).changed == 1
