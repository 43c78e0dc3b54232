"""What a type checker makes of every call: read by mypy and basedpyright, never run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import anyio
import httpx

import voxsms
from voxsms import (
    A2PSendSmsResult,
    A2PSmsHistory,
    AccountInfo,
    Budget,
    CallEvent,
    Client,
    ControlSmsResult,
    DeliveryStatus,
    Direction,
    FailedSms,
    HistoryPage,
    Message,
    MessageStatus,
    Pager,
    PhoneNumber,
    RateTable,
    ResourcePrice,
    SendSmsMessageResult,
    SmsCommand,
    SmsHistory,
    SmsTransaction,
    Timeouts,
)
from voxsms.pricing import PriceGroup

WHEN = datetime(2026, 11, 22, tzinfo=UTC)


async def sends(client: Client) -> None:
    """Both sends, with each kind of text and of list."""
    sent = await client.send_sms_message(source="1", destination="2", sms_body="x", store_body=True)
    assert_type(sent, SendSmsMessageResult)
    assert_type(sent.message_id, int | None)
    assert_type(sent.predicted_fragments_count, int)
    await client.send_sms_message(source="1", destination="2", sms_body=Message("x"))
    result = await client.a2p_send_sms(src_number="S", dst_numbers=["1"], text="x", store_body=None)
    assert_type(result, A2PSendSmsResult)
    assert_type(result.result, tuple[SmsTransaction, ...])
    assert_type(result.failed, tuple[FailedSms, ...])
    assert_type(result.raise_if_failed(), None)
    await client.a2p_send_sms(src_number="S", dst_numbers=("1",), text=Message("x"))
    await client.a2p_send_sms(src_number="S", dst_numbers={"1": 1}.keys(), text="x")
    await client.a2p_send_sms(src_number="S", dst_numbers=(n for n in "12"), text="x")


async def control(client: Client) -> None:
    """A command by name or by member."""
    assert_type(await client.control_sms(phone_number="1", command="enable"), ControlSmsResult)
    await client.control_sms(phone_number="1", command=SmsCommand.DISABLE)


async def histories(client: Client) -> None:
    """A page by `await`, rows and pages by `async for`, with every filter."""
    pager = client.get_sms_history(
        message_id=[1],
        source_number="1",
        destination_number="2",
        direction="in",
        count=10,
        offset=0,
        from_date=WHEN,
        to_date=WHEN,
    )
    assert_type(pager, Pager[SmsHistory])
    assert_type(await pager, HistoryPage[SmsHistory])
    assert_type((await pager).result, tuple[SmsHistory, ...])
    assert_type((await pager).total_count, int)
    assert_type(pager.pages(), AsyncIterator[HistoryPage[SmsHistory]])
    async for row in client.get_sms_history(direction=Direction.OUT):
        assert_type(row, SmsHistory)
        assert_type(row.direction, Direction | str)
        assert_type(row.status_id, MessageStatus | str)
        assert_type(row.cost, Decimal)
        assert_type(row.processed_date, datetime | None)
    a2p = client.a2p_get_sms_history(delivery_status=DeliveryStatus.DELIVERED, count=10)
    assert_type(await a2p, HistoryPage[A2PSmsHistory])
    async for message in client.a2p_get_sms_history(delivery_status=5, message_id=(1, 2)):
        assert_type(message, A2PSmsHistory)
        assert_type(message.delivery_status, DeliveryStatus | str | None)
        assert_type(message.processing_date, datetime | None)


async def downloads(client: Client, path: Path) -> None:
    """To a path, as text or `Path`, or to an async file."""
    assert_type(await client.download_sms_history(output="csv", path=path), int)
    await client.download_sms_history(output="xls", path="history.xls", direction="OUT")
    async with await anyio.open_file(path, "wb") as file:
        size = await client.download_a2p_sms_history(output="csv", path=file, delivery_status=5)
    assert_type(size, int)


async def readings(client: Client) -> None:
    """Numbers, prices, the account, rates."""
    numbers = client.get_phone_numbers(phone_number=["1"], sms_supported=True, count=1, offset=2)
    assert_type(await numbers, HistoryPage[PhoneNumber])
    async for number in client.get_phone_numbers():
        assert_type(number, PhoneNumber)
        assert_type(number.phone_number, str)
    prices = await client.get_resource_price(
        resource_type=["SMSOUT"],
        resource_param=["447443332212"],
        price_group_id=[1],
        price_group_name="x",
    )
    assert_type(prices, tuple[ResourcePrice, ...])
    assert_type(prices[0].price_groups, tuple[PriceGroup, ...])
    account = await client.get_account_info(return_live_balance=True)
    assert_type(account, AccountInfo)
    assert_type(account.balance, Decimal)
    assert_type(await client.rates(), RateTable)
    assert_type(await client.rates("send_sms_message"), RateTable)


def heard(event: CallEvent) -> None:
    """Take an event."""
    assert_type(event.doubt, voxsms.OutcomeUnknown | None)


async def clients() -> None:
    """Each way of making one."""
    assert_type(Client.from_env(), Client)
    assert_type(Client.from_env(timeout=5, max_attempts=2, region="GB"), Client)
    account = voxsms.ServiceAccount.from_file("credentials.json")
    async with Client(account, timeout=5, deadline=9.5, on_outcome=heard) as client:
        assert_type(client, Client)
        view = client.with_options(timeout=Timeouts(read=1), budget=Budget(max_fragments=2))
        assert_type(view, Client)
    key = voxsms.ApiKey(1, "k")
    Client(key, "http://127.0.0.1", transport=httpx.AsyncClient())
    Client(key, transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    Client(key, transport=voxsms.HttpxTransport(connections=5), max_attempts=1)
    Client(key, transport=voxsms.Httpx2Transport())


def texts() -> None:
    """Counting and segmenting."""
    assert_type(voxsms.count_fragments("x"), int)
    assert_type(voxsms.segment("x"), voxsms.text.Segmentation)
    assert_type(voxsms.segment("x").fragments, tuple[str, ...])


async def errors(client: Client) -> None:
    """What an error carries."""
    try:
        await client.get_account_info()
    except voxsms.OutcomeUnknown as doubt:
        assert_type(doubt.numbers, tuple[str, ...])
        assert_type(doubt.at, datetime)
    except voxsms.ApiError as error:
        assert_type(error.code, int)
        assert_type(error.retry_after, float | None)
    except voxsms.InvalidRequest as error:
        assert_type(error.faults, tuple[voxsms.Fault, ...])
