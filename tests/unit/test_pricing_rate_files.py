"""Rates on disk: nothing is lost, and a damaged file says where."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import InvalidRequest
from voxsms.pricing import RESOURCE_TYPES, RateTable

_TABLE = RateTable.from_resource_prices(
    [
        ResourcePrice(
            "SMSOUT", (PriceGroup(1, "USA", Decimal("0.10"), params=PriceGroupParams(("1",))),)
        )
    ],
    currency="USD",
    method="send_sms_message",
)
_PRICE_GROUPS = st.builds(
    PriceGroup,
    price_group_id=st.integers(),
    price_group_name=st.text(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    num_resources_per_price=st.integers(),
    quantum=st.integers(),
    params=st.builds(
        PriceGroupParams,
        *[st.lists(st.text("0123456789", max_size=5), max_size=3).map(tuple)] * 3,
    ),
)


@given(
    st.lists(
        st.builds(
            ResourcePrice,
            st.sampled_from(["SMSOUT", "A2P_SMS_E212", "other"]),
            st.lists(_PRICE_GROUPS, max_size=3).map(tuple),
        ),
        max_size=3,
    ),
    st.text(),
    st.sampled_from(list(RESOURCE_TYPES)),
)
def test_a_table_comes_back_from_json_as_it_was(
    prices: list[ResourcePrice], currency: str, method: str
) -> None:
    """Nothing is lost on disk: every decimal keeps its digits and its zeros."""
    table = RateTable.from_resource_prices(
        prices, currency=currency, method=method, resource_types=["SMSOUT", "other"]
    )
    written = table.to_json()
    assert RateTable.from_json(written) == table
    assert RateTable.from_json(written.encode()).to_json() == written


_STORED: dict[str, Any] = json.loads(_TABLE.to_json())


def test_decimals_are_stored_as_strings() -> None:
    """A reader that knows only doubles still gets the price as the service gave it."""
    assert _STORED["prices"][0]["price_groups"][0]["price"] == "0.10"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["voxsms_rates"], 2, "voxsms_rates: is 2; this voxsms reads 1"),
        (["voxsms_rates"], True, "voxsms_rates: is not a whole number"),
        (["currency"], None, "currency: is not a string"),
        (["method"], "x", "method: 'x' is not one of"),
        (["resource_types"], "SMSOUT", "resource_types: is not a list"),
        (["resource_types", 1], 3, r"resource_types\[1\]: is not a string"),
        (["prices"], {}, "prices: is not a list"),
        (["prices", 0], [], r"prices\[0\]: is not an object"),
        (["prices", 0, "price_groups", 0, "price"], "0,1", r"\[0\].price: is not a decimal number"),
        (["prices", 0, "price_groups", 0, "price"], "NaN", r"\[0\].price: is not a decimal number"),
        (["prices", 0, "price_groups", 0, "price"], 0.1, r"\[0\].price: is not a string"),
        (["prices", 0, "price_groups", 0, "quantum"], 1.0, "quantum: is not a whole number"),
        (["prices", 0, "price_groups", 0, "params", "allowed"], None, "allowed: is not a list"),
    ],
)
def test_a_damaged_file_is_refused_where_it_is_wrong(
    path: list[str | int], value: object, fault: str
) -> None:
    """Whoever edits a file of rates by hand is told the place and the kind of value."""
    stored = json.loads(json.dumps(_STORED))
    place = stored
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidRequest, match=fault):
        RateTable.from_json(json.dumps(stored))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "rates: is not JSON"),
        (b"\xff", "rates: is not JSON"),
        ("[" * 100_000, "rates: is not JSON"),
        ("[]", "rates: is not an object"),
        ("{}", "voxsms_rates: is missing"),
        ('{"voxsms_rates": 1}', "currency: is missing"),
    ],
)
def test_what_is_no_file_of_rates_is_refused(text: str | bytes, fault: str) -> None:
    """An empty, cut or foreign file gives one of our errors."""
    with pytest.raises(InvalidRequest, match=fault):
        RateTable.from_json(text)
