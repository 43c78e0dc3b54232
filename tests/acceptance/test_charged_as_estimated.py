"""The price told before sending is what is charged: random texts, numbers and rate tables."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

import voxsms
from voxsms.sandbox import serve

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

SENDER = "447443332211"
PREFIXES = ("1", "1876", "7", "79", "44", "447", "4478")

prices = st.decimals(min_value=0, max_value=9, places=6)
price_groups = st.lists(
    st.tuples(
        st.sampled_from(PREFIXES),
        prices,
        st.sampled_from([1, 3, 7, 100]),
        st.sampled_from([1, 2, 5]),
        st.none() | st.sampled_from(PREFIXES),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda group: group[0],
)
numbers = st.lists(
    st.builds(
        lambda prefix, rest: f"{prefix}{rest:07d}",
        st.sampled_from(["1212", "1876", "7926", "7012", "4478", "4479", "4420", "3361"]),
        st.integers(0, 10**7 - 1),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)
# Short of the limits of both sends, long enough for several fragments, in both encodings.
texts = st.text("abc €{}[]é\nЖ\u2019😀", min_size=1, max_size=170)


def resource(
    kind: str, groups: list[tuple[str, Decimal, int, int, str | None]]
) -> voxsms.ResourcePrice:
    """Give the price groups of one resource type."""
    return voxsms.ResourcePrice(
        kind,
        tuple(
            voxsms.pricing.PriceGroup(
                n,
                f"{kind} {n}",
                price,
                per,
                quantum,
                voxsms.pricing.PriceGroupParams((prefix,), (forbidden,) if forbidden else ()),
            )
            for n, (prefix, price, per, quantum, forbidden) in enumerate(groups)
        ),
    )


@settings(max_examples=examples(25))
@given(price_groups, numbers, texts)
async def test_an_a2p_mailing_costs_what_was_estimated(
    groups: list[tuple[str, Decimal, int, int, str | None]], destinations: list[str], text: str
) -> None:
    """To the last decimal, and those without a price are the ones that were refused."""
    async with (
        serve(prices=[resource("A2P_SMS_E212", groups)], balance=10**6) as sandbox,
        voxsms.Client(sandbox.auth, sandbox.url) as client,
    ):
        rates = await client.rates("a2p_send_sms")
        told = voxsms.estimate(text, destinations, rates)
        mailing = client.a2p_send_sms(src_number="VOXSMS", dst_numbers=destinations, text=text)
        if told.unpriced == len(destinations):
            with pytest.raises(voxsms.RequestRefused, match="506"):
                await mailing
        else:
            sent = await mailing
            assert len(sent.failed) == told.unpriced
            assert sent.fragments_count == sent.predicted_fragments_count == told.fragments_count
        assert sandbox.ledger.charged == told.cost
        assert sum(tally.cost for tally in told.by_group.values()) == told.cost


@settings(max_examples=examples(15))
@given(price_groups, price_groups, numbers, texts)
async def test_a_two_way_message_costs_what_was_estimated(
    domestic: list[tuple[str, Decimal, int, int, str | None]],
    international: list[tuple[str, Decimal, int, int, str | None]],
    destinations: list[str],
    text: str,
) -> None:
    """Through the resource types in their order, message by message."""
    offered = [resource("SMSOUT", domestic), resource("SMSOUT_INTERNATIONAL", international)]
    async with (
        serve(prices=offered, balance=10**6) as sandbox,
        voxsms.Client(sandbox.auth, sandbox.url) as client,
    ):
        await client.control_sms(phone_number=SENDER, command="enable")
        rates = await client.rates("send_sms_message")
        for destination in destinations:
            try:
                await client.send_sms_message(source=SENDER, destination=destination, sms_body=text)
            except voxsms.RequestRefused:
                assert voxsms.estimate(text, [destination], rates).unpriced == 1
        assert sandbox.ledger.charged == voxsms.estimate(text, destinations, rates).cost
