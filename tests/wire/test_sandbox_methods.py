"""The eight methods over real HTTP: what a request of the contract gets from the sandbox."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from voxsms.sandbox import Number, Sandbox

Post = Callable[..., dict[str, Any]]
OWN, DESTINATION = "447443332211", "447443332212"
EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"


def example(name: str) -> dict[str, Any]:
    """Read an answer that the contract shows."""
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    return found


def enable(post: Post, number: str = OWN) -> None:
    """Enable SMS for a number of the sandbox."""
    assert post("ControlSms", phone_number=number, command="enable") == {"result": 1}


def test_a_message_between_two_numbers(voxsms_sandbox: Sandbox, post: Post) -> None:
    """SendSmsMessage tells the id and the fragments, charges, and is entered in the ledger."""
    enable(post)
    answer = post("SendSmsMessage", source=OWN, destination=DESTINATION, sms_body="Hi")
    assert answer == {"result": 1, "message_id": 1, "fragments_count": 1}
    (delivery,) = voxsms_sandbox.ledger.deliveries
    assert (delivery.method, delivery.source, delivery.destination) == (
        "SendSmsMessage",
        OWN,
        DESTINATION,
    )
    # 447: 3.55 for 100
    assert (delivery.fragments, str(delivery.cost), delivery.message_id) == (1, "0.0355", 1)
    assert str(voxsms_sandbox.balance) == "99.9645"


def test_one_text_to_many_numbers(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A2PSendSms names each message it accepted, in the order of the request."""
    numbers = [f"447443332{n}" for n in range(300, 400)]
    answer = post("A2PSendSms", src_number="VOXSMS", dst_numbers=";".join(numbers), text="x" * 161)
    assert answer.keys() == example("a2p_send_sms_partial").keys()
    assert answer["result"] == [
        {"message_id": n, "destination_number": number} for n, number in enumerate(numbers, 1)
    ]
    assert (answer["failed"], answer["fragments_count"]) == ([], 2)
    assert voxsms_sandbox.ledger.count == 100


@pytest.mark.voxsms_sandbox(refused={"447443332212": 385})
def test_a_number_refused_among_many(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The contract's own example of a partial success; the refused number is not charged."""
    numbers = "447443332213;447443332212;5511999990000"
    answer = post("A2PSendSms", src_number="VOXSMS", dst_numbers=numbers, text="Hi")
    assert answer["result"] == [{"message_id": 1, "destination_number": "447443332213"}]
    refused, unserved = answer["failed"]
    assert refused == example("a2p_send_sms_partial")["failed"][0]
    assert (unserved["destination_number"], unserved["error_code"]) == ("5511999990000", 506)
    assert [each.destination for each in voxsms_sandbox.ledger.deliveries] == ["447443332213"]
    assert str(voxsms_sandbox.ledger.charged) == "0.034"


@pytest.mark.voxsms_sandbox(refused={"447443332212": 385})
def test_an_a2p_send_of_which_nothing_is_accepted(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Numbers that are served but refused are items of the answer, also if all of them are."""
    answer = post("A2PSendSms", src_number="VOXSMS", dst_numbers="447443332212", text="Hi")
    assert (answer["result"], len(answer["failed"])) == ([], 1)
    assert voxsms_sandbox.ledger.count == 0


def test_an_enabled_number_may_send_a2p(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The older text of the reference: a rented, enabled number instead of a SenderID."""
    enable(post)
    answer = post("A2PSendSms", src_number=OWN, dst_numbers=DESTINATION, text="Hi")
    assert [each["destination_number"] for each in answer["result"]] == [DESTINATION]
    assert voxsms_sandbox.ledger.to(DESTINATION)[0].source == OWN


def test_a_number_is_enabled_and_disabled(post: Post) -> None:
    """ControlSms changes what GetPhoneNumbers says."""
    enable(post)
    assert [n["is_sms_enabled"] for n in post("GetPhoneNumbers")["result"]] == [True, False]
    assert post("ControlSms", phone_number=OWN, command="disable") == {"result": 1}
    assert [n["is_sms_enabled"] for n in post("GetPhoneNumbers")["result"]] == [False, False]


@pytest.mark.voxsms_sandbox(
    numbers=[
        "+44 7443 332211",
        Number(number="14155550100", sms_supported=False, callback_url="https://a.example/in"),
        "79261234567",
        "5511999990000",
    ]
)
def test_numbers_are_listed_page_by_page(post: Post) -> None:
    """GetPhoneNumbers has filters, count and offset, and the fields of the contract's example."""
    everything = post("GetPhoneNumbers")
    rows = everything["result"]
    needed = example("get_phone_numbers")["result"][0].keys() - {"subscription_id", "modified"}
    assert all(needed <= row.keys() for row in rows)
    assert [row["phone_country_code"] for row in rows] == ["GB", "US", "RU", "ZZ"]
    assert (everything["total_count"], everything["count"]) == (4, 4)
    page = post("GetPhoneNumbers", count=2, offset=1)
    assert (page["result"], page["total_count"], page["count"]) == (rows[1:3], 4, 2)
    assert post("GetPhoneNumbers", sms_supported="false")["result"] == [rows[1]]
    assert post("GetPhoneNumbers", phone_number=f"{OWN};999999999")["result"] == [rows[0]]
    assert rows[1]["incoming_sms_callback_url"] == "https://a.example/in"
    assert "incoming_sms_callback_url" not in rows[0]


def prices(post: Post, **fields: object) -> dict[str, list[str]]:
    """Ask for prices and give the names of the groups by resource type."""
    found = post("GetResourcePrice", **fields)["result"]
    return {p["resource_type"]: [g["price_group_name"] for g in p["price_groups"]] for p in found}


def test_prices_are_those_of_the_contract(post: Post) -> None:
    """The groups of the contract's example stand in the answer as they are there."""
    shown = example("get_resource_price")["result"][0]
    (found,) = post("GetResourcePrice", resource_type="SMSOUT")["result"]
    groups = {group["price_group_id"]: group for group in found["price_groups"]}
    expected = shown["price_groups"]
    assert [groups[group["price_group_id"]] for group in expected] == expected


def test_prices_by_filter(post: Post) -> None:
    """Types, ids and parts of names choose groups; a known type without prices is no error."""
    both = prices(post)
    assert both.keys() == {"SMSOUT", "A2P_SMS_E212"}
    assert prices(post, resource_type="SMSOUT;SMSINPUT;SMS_IN_MOB_GB").keys() == {"SMSOUT"}
    assert prices(post, price_group_id="101;201") == {
        "SMSOUT": ["USA"],
        "A2P_SMS_E212": ["Russia Mobile"],
    }
    kingdom = ["United Kingdom", "United Kingdom Mobile"]
    assert prices(post, price_group_name="kingdom", resource_type="SMSOUT") == {"SMSOUT": kingdom}
    assert prices(post, price_group_name="Atlantis") == {}


def test_prices_of_numbers(post: Post) -> None:
    """`requested` names the numbers of a group: by the longest prefix, unless it is forbidden."""
    numbers = "79263331122;447443332212;442071838750;18761234567;5511999990000"
    found = post("GetResourcePrice", resource_param=numbers, resource_type="A2P_SMS_E212")
    (price,) = found["result"]
    requested = {g["price_group_name"]: g["params"]["requested"] for g in price["price_groups"]}
    assert requested == {
        "Russia Mobile": ["79263331122"],
        "United Kingdom": ["442071838750"],
        "United Kingdom Mobile": ["447443332212"],
    }


@pytest.mark.voxsms_sandbox(prices=[])
def test_prices_where_there_are_none(post: Post) -> None:
    """An account without prices answers an empty list."""
    assert post("GetResourcePrice", resource_param="79263331122") == {"result": []}


@pytest.mark.voxsms_sandbox(balance="100.50005", currency="EUR", a2p_enabled=False)
def test_the_account(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """GetAccountInfo shows the balance with four decimals, and the secrets the contract names."""
    key = voxsms_sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key}
    text = http.post(f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/", data=form).text
    assert re.search(r'"balance":100\.5000[,}]', text)
    answer = json.loads(text)
    assert example("get_account_info").keys() == answer.keys()
    account = answer["result"]
    assert example("get_account_info")["result"].keys() - account.keys() == {"callback_url"}
    assert account["account_id"] == key.account_id == voxsms_sandbox.auth.account_id
    assert account["api_key"] == key.api_key
    assert account["callback_salt"] == voxsms_sandbox.callback_salt
    assert len(account["callback_salt"]) <= 40
    assert (account["currency"], account["a2p_sms_enabled"]) == ("EUR", False)
    assert f"http://{answer['api_address']}" == voxsms_sandbox.url
