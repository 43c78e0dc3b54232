"""The whole main path against the sandbox over real HTTP, under asyncio and under trio."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from doubles import until

from voxsms import (
    Budget,
    Client,
    Httpx2Transport,
    HttpxTransport,
    SmsNotEnabled,
    SmsTransaction,
)
from voxsms.errors import NotSent, OutcomeUnknown
from voxsms.sandbox import Sandbox, serve
from voxsms.transport._aiohttp import AiohttpTransport

WAYS: list[tuple[str, Callable[[], Any]]] = [
    ("asyncio", HttpxTransport),
    ("asyncio", Httpx2Transport),
    ("asyncio", AiohttpTransport),
    ("trio", HttpxTransport),
    ("trio", Httpx2Transport),
]
EVERYWHERE = pytest.mark.parametrize(
    ("backend", "make"), WAYS, ids=[f"{backend}-{make.__name__}" for backend, make in WAYS]
)
SOURCE = "447443332211"
REFUSED = ("447440000007", "447440000123")
NUMBERS = [f"44744{n:07d}" for n in range(250)]


def run(backend: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run a program under asyncio or trio."""
    anyio.run(main, backend=backend)


async def send_and_read(sandbox: Sandbox, client: Client, path: Path) -> None:
    """Do what a newcomer does on the first day, and compare all of it."""
    numbers = [each async for each in client.get_phone_numbers(sms_supported=True)]
    assert SOURCE in [each.phone_number for each in numbers]
    text = "Your table is booked"
    by_two_way = partial(
        client.send_sms_message, source=SOURCE, destination="14155550199", sms_body=text
    )
    with pytest.raises(SmsNotEnabled):
        await by_two_way()
    await client.control_sms(phone_number=SOURCE, command="enable")
    sent = await by_two_way(store_body=True)
    assert sent.fragments_count == sent.predicted_fragments_count == 1

    before = (await client.get_account_info()).balance
    rates = await client.rates()
    accepted: list[SmsTransaction] = []
    refused: list[str] = []
    budget = Budget(max_cost="20", rates=rates)
    careful = client.with_options(budget=budget)
    for start in range(0, len(NUMBERS), 100):
        mailing = await careful.a2p_send_sms(
            src_number="VOXSMS", dst_numbers=NUMBERS[start : start + 100], text=text * 10
        )
        assert mailing.fragments_count == mailing.predicted_fragments_count == 2
        accepted += mailing.result
        refused += [failed.destination_number for failed in mailing.failed]
    assert len(accepted) == 248
    assert tuple(refused) == REFUSED
    cost = sum((rates.rate_for(m.destination_number).cost(2) for m in accepted), Decimal(0))
    assert budget.spent == cost
    account = await client.get_account_info(return_live_balance=True)
    assert abs(before - account.balance - cost) < Decimal("0.0001")

    two_way = [row async for row in client.get_sms_history()]
    assert [(row.message_id, row.text, row.cost) for row in two_way] == [
        (sent.message_id, text, sandbox.ledger.deliveries[0].cost)
    ]
    ids = {row.message_id async for row in client.a2p_get_sms_history(count=60)}
    assert ids == {message.message_id for message in accepted}
    size = await client.download_a2p_sms_history(output="csv", path=path, count=10)
    content = path.read_bytes()  # noqa: ASYNC240 - a test has nobody to hold up
    assert (len(content), content.count(b"\n")) == (size, 11)
    assert sandbox.ledger.count == 249


async def send(client: Client) -> None:
    """Send one A2P message."""
    await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=["14155550199"], text="x")


@EVERYWHERE
def test_the_main_path(backend: str, make: Callable[[], Any], tmp_path: Path) -> None:
    """Enable, send to one and to 250, read both histories, download: all of it agrees."""

    async def main() -> None:
        async with (
            serve(refused=dict.fromkeys(REFUSED, 506)) as sandbox,
            Client(sandbox.auth, sandbox.url, transport=make()) as client,
        ):
            await send_and_read(sandbox, client, tmp_path / "history.csv")

    run(backend, main)


@EVERYWHERE
def test_a_cancelled_send_is_told_and_the_client_goes_on(
    backend: str, make: Callable[[], Any]
) -> None:
    """A limit of the user's own cuts a call off; the hook knows; the next call is answered."""
    doubts: list[OutcomeUnknown | None] = []

    async def main() -> None:
        async with (
            serve() as sandbox,
            Client(
                sandbox.auth,
                sandbox.url,
                transport=make(),
                on_outcome=lambda event: doubts.append(event.doubt),
            ) as client,
        ):
            sandbox.faults.add("commit_then_never")
            with anyio.CancelScope() as limit:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(send, client)
                    await until(lambda: sandbox.ledger.count == 1)
                    limit.cancel()
            assert sandbox.ledger.count == 1
            assert (await client.get_account_info()).currency == "USD"

    run(backend, main)
    assert doubts[0] is not None
    assert doubts[0].numbers == ("14155550199",)
    assert doubts[1:] == [None]


@EVERYWHERE
def test_a_stale_token_is_renewed_by_the_services_clock(
    backend: str, make: Callable[[], Any]
) -> None:
    """A machine whose clock is an hour off learns it from the refusal and is answered."""

    async def main() -> None:
        async with (
            serve() as sandbox,
            Client(sandbox.auth, sandbox.url, transport=make()) as client,
        ):
            sandbox.clock.advance(3600)
            assert (await client.get_account_info()).currency == "USD"
            assert sandbox.ledger.requests["GetAccountInfo"] == 2

    run(backend, main)


@EVERYWHERE
def test_an_outage_and_no_server(backend: str, make: Callable[[], Any]) -> None:
    """`OutcomeUnknown` where something may have been delivered, `NotSent` where nobody listens."""

    async def main() -> None:
        async with (
            serve() as sandbox,
            Client(sandbox.auth, sandbox.url, transport=make()) as client,
        ):
            sandbox.faults.add("commit_then_reset")
            with pytest.raises(OutcomeUnknown):
                await send(client)
            assert sandbox.ledger.count == 1
        async with Client(
            sandbox.auth, "http://127.0.0.1:1", transport=make(), max_attempts=1
        ) as nowhere:
            with pytest.raises(NotSent):
                await send(nowhere)

    run(backend, main)
