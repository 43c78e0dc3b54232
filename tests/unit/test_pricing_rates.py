"""What a message costs: the groups of the service, the contract's rule and its rounding."""

import json
import pickle
import sys
from decimal import Decimal, localcontext
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.api.wire import PhoneType, WireFault
from voxsms.errors import InvalidRequest, PriceUnknown
from voxsms.pricing import RESOURCE_TYPES, Rate, RateTable

_EXAMPLE = Path(__file__).parents[1] / "vectors" / "examples" / "get_resource_price.json"


def _group(
    group_id: int,
    price: str = "0.01",
    allowed: str = "",
    forbidden: str = "",
    name: str | None = None,
    *,
    per: int = 1,
    quantum: int = 1,
) -> PriceGroup:
    label = f"group {group_id}" if name is None else name
    params = PriceGroupParams(tuple(allowed.split()), tuple(forbidden.split()))
    return PriceGroup(group_id, label, Decimal(price), per, quantum, params)


def _table(*groups: PriceGroup) -> RateTable:
    prices = [ResourcePrice("SMSOUT", groups)]
    return RateTable.from_resource_prices(prices, currency="USD", method="send_sms_message")


def _example(method: str) -> RateTable:
    answer = json.loads(_EXAMPLE.read_text(), parse_float=Decimal)
    prices = [
        ResourcePrice(
            price["resource_type"],
            tuple(
                PriceGroup(
                    **{
                        **group,
                        "price": Decimal(group["price"]),
                        "params": PriceGroupParams(
                            **{name: tuple(value) for name, value in group["params"].items()}
                        ),
                    }
                )
                for group in price["price_groups"]
            ),
        )
        for price in answer["result"]
    ]
    return RateTable.from_resource_prices(prices, currency="USD", method=method)


@pytest.mark.parametrize(
    ("method", "number", "fragments", "cost"),
    [
        ("send_sms_message", "14155550100", 1, "0.0079"),
        ("send_sms_message", "442071838750", 2, "0.0820"),
        ("send_sms_message", "447700900212", 1, "0.0355"),  # 3.55 for 100
        ("send_sms_message", "447700900212", 3, "0.1065"),
        ("SendSmsMessage", "+44 (7700) 900-212", 3, "0.1065"),
        ("a2p_send_sms", "79263331122", 2, "0.0624"),
        ("A2PSendSms", "79263331122", 0, "0"),
    ],
)
def test_the_contracts_example_is_priced(
    method: str, number: str, fragments: int, cost: str
) -> None:
    """The longest prefix prices a number, written in any form, for either name of the send."""
    assert _example(method).rate_for(number).cost(fragments) == Decimal(cost)


@pytest.mark.parametrize(
    ("method", "number", "reason"),
    [
        ("send_sms_message", "18765550100", "USA forbids it"),
        ("send_sms_message", "79263331122", "no group has a prefix of it"),
        ("a2p_send_sms", "14155550100", "no group has a prefix of it"),
    ],
)
def test_a_number_without_a_price_is_unknown_and_not_free(
    method: str, number: str, reason: str
) -> None:
    """`rate_for` says why, without the number; `get` gives None."""
    table = _example(method)
    with pytest.raises(PriceUnknown, match=reason) as caught:
        table.rate_for(number)
    assert number not in str(caught.value)
    assert f"{number[:3]}***{number[-3:]}" in str(caught.value)
    assert caught.value.sent == "no"
    assert table.get(number) is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("abc", "only digits may remain"),
        ("4477", "has 4 digits"),
        ("1234567890123456", "has 16 digits"),
        ("0044770090021", "starts with 00"),
        ("٤٤٧٧٠٠٩٠٠٢١٢", "only digits may remain"),
        ("447700900212.0", "a spreadsheet's decimal"),
        ("07700 900212", "starts with 0"),
        (447700900212, "must be a str"),
        (None, "must be a str"),
    ],
)
def test_what_is_no_number_is_refused(number: object, problem: str) -> None:
    """A price is asked for what could be sent to; the same check as every call makes."""
    for ask in (_table(_group(1, allowed="4")).rate_for, _table().get):
        with pytest.raises(InvalidRequest, match=problem) as caught:
            ask(cast("str", number))
        assert str(number) not in str(caught.value) or number is None


@given(
    st.one_of(
        st.text("0123456789", max_size=18),
        st.text("0123456789+-. ()x\u0664", max_size=18),
    )
)
def test_the_numbers_priced_are_those_that_can_be_sent_to(number: str) -> None:
    """What every call takes for a phone number has a price, and what it refuses has none.

    Nor have short codes.
    """
    everywhere = RateTable.from_resource_prices(
        [
            ResourcePrice(
                "SMSOUT", (PriceGroup(1, "all", Decimal(1), params=PriceGroupParams(("",))),)
            )
        ],
        currency="USD",
        method="send_sms_message",
    )
    try:
        digits = PhoneType().write(number)
    except WireFault:
        with pytest.raises(InvalidRequest):
            everywhere.get(number)
    else:
        assert (everywhere.get(number) is None) == (len(digits) <= 6)


def test_a_forbidden_prefix_leaves_the_number_without_a_group() -> None:
    """The next shorter prefix does not take over: no word of the service says that it would."""
    table = _table(_group(1, allowed="44"), _group(2, allowed="447", forbidden="44700"))
    assert table.rate_for("447123456").price_group_id == 2
    assert table.rate_for("442123456").price_group_id == 1
    with pytest.raises(PriceUnknown, match="group 2 forbids it"):
        table.rate_for("447001234")


def test_a_forbidden_prefix_may_be_another_groups_allowed_one() -> None:
    """What one group leaves out another may take, by its longer prefix."""
    table = _table(_group(1, allowed="1", forbidden="1876 1809"), _group(2, allowed="1876"))
    assert table.rate_for("18765550100").price_group_id == 2


def _calls(forbidden: int) -> int:
    """Count the calls, Python's own among them, of the first look into a table."""
    named = " ".join(f"1{index:05}" for index in range(forbidden))
    table = _table(_group(1, allowed="1", forbidden=named))
    seen: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: seen.append(event))
    try:
        table.get("19999999999")
    finally:
        sys.setprofile(before)
    return len(seen)


def test_twice_the_prefixes_are_twice_the_work() -> None:
    """Each forbidden prefix is decided once, and not beside every other."""
    assert _calls(400) < 2.2 * _calls(200)


def test_a_prefix_longer_than_any_number_is_passed_over() -> None:
    """It matches none, and to compare one of a megabyte with its own starts takes minutes."""
    long = "44" * 500_000
    table = _table(_group(1, allowed=f"44 {long}", forbidden=long))
    assert table.rate_for("442071838750").price_group_id == 1


def test_two_groups_with_the_same_longest_prefix_are_unknown() -> None:
    """Nobody can say which of the two charges, so no price is given, and both are named."""
    table = _table(_group(1, allowed="44 1"), _group(2, allowed="44"), _group(3, allowed="447"))
    assert table.rate_for("447700900212").price_group_id == 3
    with pytest.raises(PriceUnknown, match=r"longest prefix \(group 1, group 2\)"):
        table.rate_for("442071838750")


def test_a_group_listed_twice_is_one_group() -> None:
    """The same group in two answers, or twice in one, is no ambiguity."""
    group = _group(1, allowed="44 44")
    assert _table(group, group).rate_for("442071838750").price_group_id == 1


def test_a_group_may_take_every_number() -> None:
    """An empty prefix stands before every number, and every other prefix is longer."""
    table = _table(_group(1, allowed=""), _group(2, allowed="7"))
    assert table.get("442071838750") is None
    everywhere = PriceGroup(3, "rest", Decimal(1), params=PriceGroupParams(("",)))
    table = _table(everywhere, _group(2, allowed="7"))
    assert table.rate_for("442071838750").price_group_id == 3
    assert table.rate_for("79263331122").price_group_id == 2


def test_a_prefix_may_be_written_like_a_number() -> None:
    """A plus sign, spaces and dashes in a prefix mean nothing."""
    assert _table(_group(1, allowed="+1-415")).rate_for("14155550100").price_group_id == 1


def _layered(**layers: PriceGroup) -> list[ResourcePrice]:
    return [ResourcePrice(kind, (group,)) for kind, group in layers.items()]


def test_resource_types_are_tried_in_their_order() -> None:
    """The first type in which the number belongs to a group prices it, however short its prefix."""
    prices = _layered(
        SMSOUT_INTERNATIONAL=_group(2, allowed="447"),
        SMSOUT=_group(1, allowed="4", forbidden="448"),
        A2P_SMS_E212=_group(9, allowed="5"),
    )
    table = RateTable.from_resource_prices(prices, currency="USD", method="send_sms_message")
    assert table.rate_for("447700900212").resource_type == "SMSOUT"
    prices += _layered(SMSOUT_RU_INTERNATIONAL=_group(3, allowed="448"))
    table = RateTable.from_resource_prices(prices, currency="USD", method="send_sms_message")
    assert table.rate_for("448700900212").resource_type == "SMSOUT_RU_INTERNATIONAL"
    assert table.get("557700900212") is None


def test_the_order_of_resource_types_can_be_replaced() -> None:
    """Which type prices which send is not documented, so a user who knows better may say."""
    prices = _layered(SMSOUT=_group(1, allowed="4"), SMSOUT_INTERNATIONAL=_group(2, allowed="4"))
    table = RateTable.from_resource_prices(
        prices,
        currency="USD",
        method="a2p_send_sms",
        resource_types=["SMSOUT_INTERNATIONAL", "SMSOUT"],
    )
    assert table.rate_for("447700900212").price_group_id == 2


def test_an_ambiguous_group_is_not_passed_over_for_the_next_type() -> None:
    """A doubt in the first type is a doubt: the next type's price would be a guess."""
    tied = ResourcePrice("SMSOUT", (_group(1, allowed="44"), _group(2, allowed="44")))
    prices = [tied, *_layered(SMSOUT_INTERNATIONAL=_group(3, allowed="44"))]
    table = RateTable.from_resource_prices(prices, currency="USD", method="send_sms_message")
    with pytest.raises(PriceUnknown, match="several groups"):
        table.rate_for("447700900212")


@pytest.mark.parametrize(
    ("fragments", "quantum", "resources"),
    [(0, 1, 0), (1, 1, 1), (3, 1, 3), (1, 6, 6), (6, 6, 6), (7, 6, 12), (2, 100, 100)],
)
def test_resources_are_rounded_up_to_the_quantum(
    fragments: int, quantum: int, resources: int
) -> None:
    """Rounding is per message and recipient: `ceil(fragments / quantum) * quantum`."""
    rate = _table(_group(1, "0.5", "1", quantum=quantum)).rate_for("14155550100")
    assert rate.resources(fragments) == resources
    assert rate.cost(fragments) == Decimal("0.5") * resources
    assert rate.cost(fragments, 1000) == Decimal(500) * resources


@pytest.mark.parametrize(
    ("price", "resources", "one"),
    [
        ("3.55", 100, "0.0355"),
        ("1", 3, "0.333333333333"),
        ("2", 3, "0.666666666667"),
        ("0.000000000001", 2, "0"),  # half of the last place goes to the even neighbour
        ("0.000000000003", 2, "0.000000000002"),
        ("0.000000000005", 2, "0.000000000002"),
        # Just above a half: who rounds to 28 digits first sees a half and rounds down.
        ("0.0000000000010000000000000000000000000000001", 2, "0.000000000001"),
        ("1200", 1, "1200"),
        ("1E+3", 1, "1000"),
        ("0", 1, "0"),
        ("-0", 1, "0"),
    ],
)
def test_the_price_of_one_resource_is_rounded_once(price: str, resources: int, one: str) -> None:
    """Half even to 12 decimals, and written without the zeros that say nothing."""
    group = _group(1, price, "1", per=resources)
    found = _table(group).rate_for("14155550100").price
    assert f"{found:f}" == one


def test_costs_are_exact_in_any_decimal_context() -> None:
    """What a program does to its decimal context changes no price."""
    with localcontext() as context:
        context.prec = 2
        rate = _table(_group(1, "1.23456789", "1")).rate_for("14155550100")
        cost = rate.cost(7, 123_456_789)
    assert cost == Decimal(123_456_789 * 7 * 123_456_789).scaleb(-8)


@pytest.mark.parametrize(
    ("price", "per", "quantum"),
    [
        ("0.1", 1, 0),
        ("0.1", 0, 1),
        ("0.1", -1, 1),
        ("-0.1", 1, 1),
        ("NaN", 1, 1),
        ("Infinity", 1, 1),
        ("1E+400", 1, 1),
        ("1E-400", 1, 1),
    ],
)
def test_a_group_that_makes_no_sense_has_no_price(price: str, per: int, quantum: int) -> None:
    """It is unknown, not free; the other groups keep their prices."""
    table = _table(_group(1, price, "44", per=per, quantum=quantum), _group(2, allowed="1"))
    assert table.rate_for("14155550100").price_group_id == 2
    with pytest.raises(PriceUnknown, match=r"group 1 has price .* which is impossible"):
        table.rate_for("442071838750")


def test_groups_of_one_name_can_be_told_apart() -> None:
    """A rate's `group` is the name alone where that is enough, else with type and id."""
    table = _table(
        _group(1, allowed="1", name="USA"),
        _group(2, allowed="2", name="Mobile"),
        _group(3, allowed="3", name="Mobile"),
        _group(4, allowed="4", name=""),
    )
    numbers = ("14155550100", "24155550100", "34155550100", "44155550100")
    assert [table.rate_for(number).group for number in numbers] == [
        "USA",
        "Mobile (SMSOUT 2)",
        "Mobile (SMSOUT 3)",
        "(SMSOUT 4)",
    ]


def test_an_unknown_method_is_refused() -> None:
    """The message names the two sends."""
    with pytest.raises(InvalidRequest, match="'control_sms' is not one of send_sms_message, a2p"):
        RateTable.from_resource_prices([], currency="USD", method="control_sms")
    with pytest.raises(InvalidRequest, match="'control_sms' is not one of send_sms_message, a2p"):
        RateTable(currency="USD", method="control_sms", resource_types=(), prices=())


def test_a_table_shows_its_method_and_not_its_prices() -> None:
    """`repr` is short, and a table survives pickling."""
    table = _example("send_sms_message")
    assert repr(table) == (
        "RateTable(currency='USD', method='send_sms_message', "
        "resource_types=('SMSOUT', 'SMSOUT_INTERNATIONAL', 'SMSOUT_RU_INTERNATIONAL'))"
    )
    copied = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own bytes
    assert copied == table
    assert copied.rate_for("14155550100") == table.rate_for("14155550100")


_PREFIXES = st.frozensets(st.text("12", max_size=7), max_size=4).map(tuple)
_GROUPS = st.lists(st.tuples(_PREFIXES, _PREFIXES), max_size=5)
_NUMBERS = st.text("12", min_size=7, max_size=9)


def _brute(layers: list[list[tuple[tuple[str, ...], tuple[str, ...]]]], number: str) -> str | None:
    """Search every prefix of every group, as the contract's sentence says it."""
    for kind, groups in zip(RESOURCE_TYPES["send_sms_message"], layers, strict=True):
        longest = -1
        found: list[int] = []
        for index, (allowed, _) in enumerate(groups):
            for prefix in allowed:
                if number.startswith(prefix) and len(prefix) >= longest:
                    found = [*(found if len(prefix) == longest else []), index]
                    longest = len(prefix)
        if len(found) > 1:
            return None
        if found and not any(number.startswith(prefix) for prefix in groups[found[0]][1]):
            return f"{kind} {found[0]}"
    return None


@given(st.lists(_GROUPS, min_size=3, max_size=3), st.lists(_NUMBERS, min_size=1, max_size=20))
def test_prices_agree_with_a_brute_force_search(
    layers: list[list[tuple[tuple[str, ...], tuple[str, ...]]]], numbers: list[str]
) -> None:
    """However prefixes lie within each other, the index finds what a search of all finds."""
    prices = [
        ResourcePrice(
            kind,
            tuple(
                PriceGroup(index, f"{kind} {index}", Decimal(1), params=PriceGroupParams(*params))
                for index, params in enumerate(groups)
            ),
        )
        for kind, groups in zip(RESOURCE_TYPES["send_sms_message"], layers, strict=True)
    ]
    table = RateTable.from_resource_prices(prices, currency="USD", method="send_sms_message")
    for number in numbers * 2:  # the second time from what the first has left in the index
        rate = table.get(number)
        assert (rate and rate.group) == _brute(layers, number)


def test_a_rate_is_hashable_and_compares_by_value() -> None:
    """Rates may be counted and looked up, also over two tables made of the same prices."""
    one, other = (_example("send_sms_message").rate_for("14155550100") for _ in range(2))
    assert one == other == Rate("USA", "SMSOUT", 101, Decimal("0.0079"))
    assert len({one, other}) == 1
