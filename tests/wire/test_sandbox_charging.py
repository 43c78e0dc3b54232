"""Charging: fragments times price by group, exact to the last decimal, and the account agrees."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms import Client
from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.sandbox import Number, Sandbox, serve

Post = Callable[..., dict[str, Any]]
OWN = "447443332211"
# Texts with the fragments the contract's section 2 makes of them.
FRAGMENTS = {
    "Hi": 1,
    "x" * 160: 1,
    "x" * 161: 2,
    "x" * 306: 2,
    "x" * 307: 3,
    "\N{GREEK SMALL LETTER ALPHA}" * 70: 1,
    "\N{GREEK SMALL LETTER ALPHA}" * 71: 2,
    "\N{EURO SIGN}" * 80: 1,
    "\N{EURO SIGN}" * 81: 2,
}


@pytest.mark.parametrize(
    ("destination", "price"),
    [
        ("14155550101", "0.0079"),
        ("442071838750", "0.041"),
        ("447443332212", "0.0355"),
        ("79263331122", "0.055"),
    ],
)
@pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)])
def test_a_message_costs_its_fragments(
    voxsms_sandbox: Sandbox, post: Post, destination: str, price: str
) -> None:
    """Each fragment is charged as one message, by the group with the longest prefix."""
    for text, fragments in FRAGMENTS.items():
        answer = post("SendSmsMessage", source=OWN, destination=destination, sms_body=text)
        assert answer["fragments_count"] == fragments
    costs = [delivery.cost for delivery in voxsms_sandbox.ledger.deliveries]
    assert costs == [Decimal(price) * fragments for fragments in FRAGMENTS.values()]


@pytest.mark.voxsms_sandbox(numbers=[Number(number=OWN, sms_enabled=True)])
def test_the_history_shows_what_was_charged(voxsms_sandbox: Sandbox, http: httpx.Client) -> None:
    """The cost on the wire is the exact decimal, as a JSON number."""
    key = voxsms_sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key}
    form |= {"src_number": "VOXSMS", "dst_numbers": "447443332212", "text": "x" * 307}
    http.post(f"{voxsms_sandbox.url}/platform_api/A2PSendSms/", data=form)
    text = http.post(f"{voxsms_sandbox.url}/platform_api/A2PGetSmsHistory/", data=form).text
    assert '"fragments":3,"cost":0.102,' in text
    assert voxsms_sandbox.balance == Decimal("99.898")


amounts = st.decimals(min_value=0, max_value=10, places=6, allow_nan=False)
groups = st.lists(
    st.tuples(
        st.sampled_from(["1", "14", "141", "44", "447", "4474"]),
        amounts,
        st.integers(1, 1000),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda group: group[0],
)
destinations = st.lists(
    st.sampled_from(["14155550101", "12025550102", "447443332212", "442071838750", "79263331122"]),
    min_size=1,
    max_size=5,
    unique=True,
)


def expected(
    number: str, fragments: int, table: list[tuple[str, Decimal, int, int]]
) -> Decimal | None:
    """Price a message by the words of the contract, with a search through every group."""
    matching = [group for group in table if number.startswith(group[0])]
    if not matching:
        return None
    _, price, per, quantum = max(matching, key=lambda group: len(group[0]))
    one = Decimal(round(Fraction(price) / per * 10**12)) / 10**12
    resources = -(-fragments // quantum) * quantum
    return one * resources


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=groups, numbers=destinations, text=st.sampled_from(list(FRAGMENTS)))
def test_any_rates_are_charged_exactly(
    post_to: Callable[[Sandbox], Post],
    table: list[tuple[str, Decimal, int, int]],
    numbers: list[str],
    text: str,
) -> None:
    """Ledger, balance and a search by hand agree to the last decimal, for any rate table."""
    price_groups = [
        PriceGroup(n, f"group {n}", price, per, quantum, PriceGroupParams((prefix,)))
        for n, (prefix, price, per, quantum) in enumerate(table)
    ]
    costs = {number: expected(number, FRAGMENTS[text], table) for number in numbers}
    served = {number: cost for number, cost in costs.items() if cost is not None}
    with serve(prices=[ResourcePrice("A2P_SMS_E212", tuple(price_groups))]) as sandbox:
        answer = post_to(sandbox)(
            "A2PSendSms", src_number="VOXSMS", dst_numbers=";".join(numbers), text=text
        )
        if served:
            failed = [each["destination_number"] for each in answer["failed"]]
            assert failed == [number for number in numbers if number not in served]
        else:
            assert answer["error"]["code"] == 506
        deliveries = {each.destination: each.cost for each in sandbox.ledger.deliveries}
        assert deliveries == served
        assert sandbox.ledger.charged == sum(served.values())
        assert sandbox.balance == 100 - sandbox.ledger.charged


@pytest.mark.anyio
async def test_a_marketer_priced_a_polish_template() -> None:
    """Prices for further prefixes stand beside the three, in place of what a prefix had before."""
    with serve(prices={"48": "0.03", "+30": "0.05", "44": "1"}) as sandbox:
        async with Client(sandbox.auth, sandbox.url) as client:
            rates = await client.rates(method="a2p_send_sms")
            await client.a2p_send_sms(
                src_number="VOXSMS", dst_numbers=["48512345678", "447700900123"], text="Cześć"
            )
    found = [rates.rate_for(n) for n in ("48512345678", "306912345678", "447700900123")]
    assert [(rate.group, rate.price) for rate in found] == [
        ("Poland", Decimal("0.03")),
        ("Greece", Decimal("0.05")),
        ("United Kingdom", 1),
    ]
    assert rates.rate_for("14155550101").price == Decimal("0.0085")
    assert sandbox.ledger.charged == Decimal("1.03")
