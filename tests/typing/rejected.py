"""What a type checker refuses: an error in each marked line, and in no other; never run."""
# ruff: noqa: ASYNC230, B018, D103, F841, PTH123, SIM115, T201 - wrong on purpose
# A strict checker tells of a slip again where its result is used:
# pyright: standard

import voxsms
from voxsms import Client, Timeouts


async def send_sms_message(client: Client) -> None:
    await client.send_sms_message(source="1", destination="2", body="x")  # rejected
    await client.send_sms_message(source="1", destination=2, sms_body="x")  # rejected
    await client.send_sms_message(source="1", destination="2")  # rejected
    await client.send_sms_message("1", "2", "x")  # rejected
    await client.send_sms_message(source="1", destination="2", sms_body=b"x")  # rejected
    sent: str = await client.send_sms_message(source="1", destination="2", sms_body="x")  # rejected


async def a2p_send_sms(client: Client) -> None:
    await client.a2p_send_sms(src_number="S", dst_numbers=["1"], txt="x")  # rejected
    await client.a2p_send_sms(src_number="S", dst_numbers=[1], text="x")  # rejected
    await client.a2p_send_sms(src_number="S", text="x")  # rejected
    result = await client.a2p_send_sms(src_number="S", dst_numbers=["1"], text="x")
    result.message_id  # rejected


async def control_sms(client: Client) -> None:
    await client.control_sms(number="1", command="enable")  # rejected
    await client.control_sms(phone_number="1", command="on")  # rejected
    await client.control_sms(phone_number="1")  # rejected


async def get_sms_history(client: Client) -> None:
    await client.get_sms_history(limit=10)  # rejected
    await client.get_sms_history(from_date="2026-11-22")  # rejected
    await client.get_sms_history(direction="both")  # rejected
    await client.get_sms_history(output="csv")  # rejected
    await client.get_sms_history(delivery_status=5)  # rejected
    for row in client.get_sms_history():  # rejected
        print(row)
    async for message in client.get_sms_history():
        print(message.delivery_status)  # rejected


async def a2p_get_sms_history(client: Client) -> None:
    await client.a2p_get_sms_history(direction="IN")  # rejected
    await client.a2p_get_sms_history(delivery_status="DELIVERED")  # rejected
    await client.a2p_get_sms_history(message_id=7)  # rejected
    async for message in client.a2p_get_sms_history():
        print(message.processed_date)  # rejected


async def downloads(client: Client) -> None:
    await client.download_sms_history(output="csv")  # rejected
    await client.download_sms_history(output="json", path="x")  # rejected
    await client.download_sms_history(output="csv", path=open("x", "wb"))  # rejected
    await client.download_a2p_sms_history(path="x")  # rejected
    await client.download_a2p_sms_history(output="csv", path="x", direction="IN")  # rejected


async def get_phone_numbers(client: Client) -> None:
    await client.get_phone_numbers(numbers=["1"])  # rejected
    await client.get_phone_numbers(sms_supported="yes")  # rejected
    async for number in client.get_phone_numbers():
        print(number.message_id)  # rejected


async def get_resource_price(client: Client) -> None:
    await client.get_resource_price(type=["SMSOUT"])  # rejected
    await client.get_resource_price(price_group_id=["1"])  # rejected
    async for price in client.get_resource_price():  # rejected
        print(price)


async def get_account_info(client: Client) -> None:
    await client.get_account_info(live=True)  # rejected
    await client.get_account_info(return_live_balance="yes")  # rejected
    account: voxsms.SmsHistory = await client.get_account_info()  # rejected


def clients(key: voxsms.ApiKey) -> None:
    Client()  # rejected
    Client("credentials.json")  # rejected
    Client(key, retries=3)  # rejected
    Client(key, timeout="5")  # rejected
    Client(key, transport="httpx")  # rejected
    Client(key, on_outcome=lambda: None)  # rejected
    Client(key).with_options(base_url="https://x.test")  # rejected
    Client.from_env(retries=3)  # rejected
    Client.from_env(timeout="5")  # rejected
    Timeouts(total=5)  # rejected
    voxsms.nonsense  # rejected
    voxsms.count_fragments(7)  # rejected
