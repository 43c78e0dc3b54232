"""A limit on what sending costs, asked before each send."""

import asyncio
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from doubles import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import BudgetExceeded, InvalidRequest, InvalidText, PriceUnknown
from voxsms.pricing import Budget, RateTable, Reservation, estimate

USA, UK, RUSSIA, NOWHERE = "14155550100", "442071838750", "79263331122", "99912345678"


def _rates(method: str, kind: str, currency: str = "USD", **prices: str) -> RateTable:
    groups = tuple(
        PriceGroup(index, name, Decimal(price), params=PriceGroupParams((name.strip("p"),)))
        for index, (name, price) in enumerate(prices.items())
    )
    return RateTable.from_resource_prices(
        [ResourcePrice(kind, groups)], currency=currency, method=method
    )


RATES = _rates("send_sms_message", "SMSOUT", p1="0.1", p44="0.25")
A2P_RATES = _rates("a2p_send_sms", "A2P_SMS_E212", p7="1")

_NUMBERS = st.lists(st.sampled_from([USA, UK]), min_size=1, max_size=4)
_ENDS = st.sampled_from(["keep", "release", "settle"])


def test_what_is_reserved_is_what_was_estimated() -> None:
    """A send sets aside its price before it goes out."""
    budget = Budget(max_cost=Decimal(1), rates=RATES)
    budget.reserve("x" * 161, [USA, "+44 20 7183 8750"])
    assert budget.spent == estimate("x" * 161, [USA, UK], RATES).cost == Decimal("0.7")


def test_over_the_limit_nothing_is_sent() -> None:
    """The error says limit, spent and asked, and shows no number; what fits is still allowed."""
    budget = Budget(max_cost="0.6", rates=RATES)
    budget.reserve("x", [USA, UK])
    with pytest.raises(BudgetExceeded) as caught:
        budget.reserve("x", [USA, UK])
    assert str(caught.value) == (
        "this send would cost 0.35 USD; of the budget of 0.6 USD 0.35 USD are spent or set aside"
    )
    assert caught.value.sent == "no"
    error = caught.value
    assert (error.cost, error.left, error.limit) == (
        Decimal("0.35"),
        Decimal("0.25"),
        Decimal("0.6"),
    )
    assert error.currency == "USD"
    budget.reserve("x", [UK])
    assert budget.spent == Decimal("0.6")


def test_the_limit_itself_may_be_spent() -> None:
    """A budget of exactly the price is enough, and 0 allows nothing that costs."""
    Budget(max_cost="0.35", rates=RATES).reserve("x", [USA, UK])
    with pytest.raises(BudgetExceeded):
        Budget(max_cost=0, rates=RATES).reserve("x", [USA])


def test_a_refused_send_is_given_back() -> None:
    """`release` is for an error whose `.sent` is "no"; calling it again changes nothing."""
    budget = Budget(max_cost=1, rates=RATES)
    budget.reserve("x", [UK])
    reservation = budget.reserve("x", [USA])
    reservation.release()
    reservation.release()
    assert budget.spent == Decimal("0.25")


def test_a_send_of_which_nothing_is_known_stays_spent() -> None:
    """A lost answer and a cancelled call close nothing, and the money may be gone."""
    budget = Budget(max_cost=1, rates=RATES)
    budget.reserve("x", [UK])
    assert budget.spent == Decimal("0.25")


@pytest.mark.parametrize(
    ("accepted", "kept"),
    [
        ([USA, UK], "0.35"),
        ([UK], "0.25"),
        (["+1 415 555 0100"], "0.1"),
        ([], "0"),
        (["4155550100"], "0.25"),  # written differently: the dearest that is left
        ([USA, "02071838750"], "0.35"),
        ([USA, UK, "79263331122"], "0.35"),
    ],
)
def test_only_accepted_numbers_stay_spent(accepted: list[str], kept: str) -> None:
    """A refused number is taken as not charged."""
    budget = Budget(max_cost=1, rates=RATES)
    reservation = budget.reserve("x", [USA, UK])
    reservation.settle(accepted)
    assert budget.spent == Decimal(kept)
    reservation.settle(accepted)
    assert budget.spent == Decimal(kept)


def test_a_number_given_twice_is_paid_twice() -> None:
    """And settled as often as it was accepted."""
    budget = Budget(max_cost=1, rates=RATES)
    reservation = budget.reserve("x", [USA, USA, UK])
    assert budget.spent == Decimal("0.45")
    reservation.settle([USA, USA])
    assert budget.spent == Decimal("0.2")


def test_settling_never_fails_on_the_limit() -> None:
    """What was accepted is spent whatever the limit says, and a word can be taken back."""
    budget = Budget(max_cost="0.35", rates=RATES)
    reservation = budget.reserve("x", [USA, UK])
    reservation.release()
    reservation.settle([USA, UK])
    assert budget.spent == Decimal("0.35")


def test_a_message_may_have_so_many_fragments() -> None:
    """`max_fragments` is per message, and needs no rates."""
    budget = Budget(max_fragments=2)
    budget.reserve("x" * 306, [USA, NOWHERE])
    with pytest.raises(BudgetExceeded, match="takes 3 fragments; the budget allows 2") as caught:
        budget.reserve("x" * 307, [USA])
    error = caught.value
    assert (error.cost, error.left, error.limit, error.currency) == (None, None, None, None)
    assert budget.spent == 0


def test_without_limits_a_budget_counts() -> None:
    """Rates alone make a meter."""
    budget = Budget(rates=RATES)
    for _ in range(3):
        budget.reserve("x", [USA])
    assert budget.spent == Decimal("0.3")


def test_an_unknown_price_is_refused() -> None:
    """It could be any; nothing of the send is set aside."""
    budget = Budget(max_cost=100, rates=RATES)
    with pytest.raises(PriceUnknown) as caught:
        budget.reserve("x", [USA, NOWHERE])
    assert NOWHERE not in str(caught.value)
    assert budget.spent == 0


def test_an_unknown_price_may_be_allowed() -> None:
    """Told so, the send passes and counts for what is known."""
    budget = Budget(max_cost=100, rates=RATES, unpriced="allow")
    budget.reserve("x", [USA, NOWHERE])
    assert budget.spent == Decimal("0.1")
    budget.reserve("x", [USA], method="a2p_send_sms")
    assert budget.spent == Decimal("0.1")


@pytest.mark.parametrize("method", ["a2p_send_sms", "A2PSendSms"])
def test_rates_of_the_other_send_are_not_used(method: str) -> None:
    """The two sends cost differently: rates of one say nothing of the other."""
    budget = Budget(max_cost=100, rates=RATES)
    with pytest.raises(
        PriceUnknown, match="has rates of send_sms_message, and this send is a2p_send_sms"
    ):
        budget.reserve("x", [USA], method=method)
    budget.reserve("x", [USA], method="SendSmsMessage")
    assert budget.spent == Decimal("0.1")


def test_one_budget_for_both_sends() -> None:
    """With a table for each, every send is priced by its own and the total is one."""
    budget = Budget(max_cost=100, rates=[RATES, A2P_RATES])
    budget.reserve("x", [USA], method="send_sms_message")
    budget.reserve("x", [RUSSIA], method="a2p_send_sms")
    assert budget.spent == Decimal("1.1")
    with pytest.raises(PriceUnknown, match="and this send is None"):
        budget.reserve("x", [USA])


def test_a_budget_a_day_lets_through_what_a_day_may_cost() -> None:
    """What was spent longer ago than `per` is free again; one that is refused says what is left."""
    clock = FakeClock()
    budget = Budget(max_cost="0.6", per=timedelta(days=1), rates=RATES, clock=clock)
    budget.reserve("x", [UK])
    clock.passed += 12 * 3600
    budget.reserve("x", [UK])
    with pytest.raises(BudgetExceeded) as caught:
        budget.reserve("x", [UK])
    assert str(caught.value) == (
        "this send would cost 0.25 USD; of the budget of 0.6 USD within 1 day 0.50 USD are spent "
        "or set aside"
    )
    assert caught.value.left == budget.left == Decimal("0.1")
    clock.passed += 12 * 3600 - 1  # a second less than a day after the first
    assert budget.spent == Decimal("0.5")
    clock.passed += 100
    assert budget.spent == Decimal("0.25")
    budget.reserve("x", [UK])
    assert repr(budget) == (
        "Budget(max_cost=0.6, max_fragments=None, per=1 day, 0:00:00, spent=0.50)"
    )


def test_a_window_of_time_needs_no_clock_of_the_users() -> None:
    """Without one the machine's is taken."""
    budget = Budget(max_cost="0.25", per=timedelta(days=1), rates=RATES)
    budget.reserve("x", [UK])
    assert budget.left == 0


def test_a_send_that_ends_after_its_time_takes_nothing_from_others() -> None:
    """What was set aside before the window is forgotten, whatever becomes of it."""
    clock = FakeClock()
    budget = Budget(max_cost=1, per=timedelta(minutes=15), rates=RATES, clock=clock)
    first, second = budget.reserve("x", [UK]), budget.reserve("x", [UK])
    clock.passed += 1000
    budget.reserve("x", [USA])
    first.release()
    second.settle([UK])
    assert budget.spent == Decimal("0.1")


def test_a_budget_may_start_again() -> None:
    """After `reset` the whole limit is there, and earlier sends change nothing any more."""
    budget = Budget(max_cost="0.25", rates=RATES)
    before = budget.reserve("x", [UK])
    assert budget.left == 0
    budget.reset()
    assert (budget.spent, budget.left) == (Decimal(0), Decimal("0.25"))
    budget.reserve("x", [UK])
    before.release()
    assert budget.spent == Decimal("0.25")
    assert Budget(rates=RATES).left is None


def test_a_reservation_says_what_the_send_costs() -> None:
    """The prediction, or None where a price is not known."""
    budget = Budget(rates=RATES, unpriced="allow")
    assert budget.reserve("x", [USA, UK]).cost == Decimal("0.35")
    assert budget.reserve("x", [USA, NOWHERE]).cost is None
    assert Budget(max_fragments=1).reserve("x", [USA]).cost is None


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([USA, UK]), _ENDS),
        max_size=40,
    )
)
def test_no_window_of_time_costs_more_than_the_limit(sends: list[tuple[int, str, str]]) -> None:
    """Whenever one looks, what was sent in the time before costs no more than the limit."""
    clock, per = FakeClock(), 60
    budget = Budget(max_cost=1, per=timedelta(seconds=per), rates=RATES, clock=clock)
    sent: list[tuple[float, Decimal]] = []
    for wait, number, end in sends:
        clock.passed += wait
        cost = RATES.rate_for(number).cost(1)
        within = sum((c for at, c in sent if clock.passed - at <= per), Decimal(0))
        late = sum((c for at, c in sent if clock.passed - at <= per * 1.002), Decimal(0))
        try:
            reservation = budget.reserve("x", [number])
        except BudgetExceeded:
            assert late + cost > 1
            assert within <= budget.spent <= late
            continue
        assert within + cost <= 1
        if end == "release":
            reservation.release()
        else:
            sent.append((clock.passed, cost))


def test_a_text_that_no_message_can_carry_is_refused() -> None:
    """Half a character has no number of fragments."""
    with pytest.raises(InvalidText):
        Budget(max_fragments=1).reserve("\ud800", [USA])


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("447700900123.0", "a spreadsheet's decimal"),
        ("+44 (0)7700 900123", "cannot be guessed"),
        ("07700 900123", "starts with 0"),
        ("2026-11-27", "looks like a date"),
        ("192.168.100.200", "looks like an IP address"),
        (447700900123, "must be a str"),
    ],
)
def test_what_is_no_number_sets_nothing_aside(number: object, problem: str) -> None:
    """A budget refuses what every call refuses, with rates and without them."""
    for budget in (Budget(max_cost=1, rates=RATES), Budget(rates=RATES, unpriced="allow")):
        with pytest.raises(InvalidRequest, match=problem):
            budget.reserve("x", [USA, cast("str", number)])
        assert budget.spent == 0
    with pytest.raises(InvalidRequest, match=problem):
        Budget(max_fragments=1).reserve("x", [cast("str", number)])


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"per": timedelta(0), "max_cost": 1}, r"per: is .*; it must be a timedelta above 0"),
        ({"per": 3600, "max_cost": 1}, "per: is 3600; it must be a timedelta above 0"),
        ({"per": timedelta(1)}, "per: is given without max_cost, whose time span it sets"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(options: dict[str, Any], fault: str) -> None:
    """A number could be seconds or hours; a window alone limits nothing."""
    with pytest.raises(InvalidRequest, match=fault):
        Budget(rates=RATES, **options)


@pytest.mark.parametrize(
    ("max_cost", "max_fragments", "rates", "fault"),
    [
        (0.1, None, RATES, "max_cost: is 0.1; it must be a Decimal, an int or a str of 0 or more"),
        ("a lot", None, RATES, "max_cost: is 'a lot'; it must be"),
        (-1, None, RATES, "max_cost: is -1; it must be"),
        (True, None, RATES, "max_cost: is True; it must be"),
        (Decimal("NaN"), None, RATES, "max_cost: is Decimal.*; it must be"),
        (1, None, None, "rates: is missing; max_cost needs to know what messages cost"),
        (1, 0, [], "rates: is missing.*; max_fragments: is 0; it must be a whole number"),
        (None, "2", RATES, "max_fragments: is '2'; it must be a whole number of at least 1"),
        (
            1,
            None,
            [RATES, _rates("a2p_send_sms", "A2P_SMS_E212", "EUR", p7="1")],
            "rates: has several currencies: EUR, USD",
        ),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(
    max_cost: object,
    max_fragments: object,
    rates: RateTable | Sequence[RateTable] | None,
    fault: str,
) -> None:
    """Money is a `Decimal`, never a float, and every fault is named at once."""
    with pytest.raises(InvalidRequest, match=fault):
        Budget(
            max_cost=cast("Decimal", max_cost),
            max_fragments=cast("int", max_fragments),
            rates=rates,
        )


def test_a_budget_shows_its_limits() -> None:
    """`repr` is what a person wants to know while debugging."""
    budget = Budget(max_cost=1, max_fragments=3, rates=RATES)
    budget.reserve("x", [UK])
    assert repr(budget) == "Budget(max_cost=1, max_fragments=3, spent=0.25)"


async def test_many_tasks_share_one_budget() -> None:
    """Of a hundred sends at once exactly those that fit are allowed."""
    budget = Budget(max_cost="1.05", rates=RATES)

    async def send() -> bool:
        try:
            reservation = budget.reserve("x", [USA])
        except BudgetExceeded:
            return False
        await asyncio.sleep(0)
        reservation.settle([USA])
        return True

    sent = await asyncio.gather(*(send() for _ in range(100)))
    assert sum(sent) == 10
    assert budget.spent == Decimal(1)


def test_many_threads_share_one_budget() -> None:
    """No reservation is lost or booked twice between threads."""
    budget = Budget(max_cost=100_000, rates=RATES)

    def send(turn: int) -> None:
        reservation = budget.reserve("x", [USA, UK])
        if turn % 3 == 0:
            reservation.release()
        elif turn % 3 == 1:
            reservation.settle([UK])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(3_000)))
    assert budget.spent == 1_000 * (Decimal("0.25") + Decimal("0.35"))


@given(st.decimals(0, 5, places=2), st.lists(st.tuples(_NUMBERS, _ENDS, st.integers(0, 4))))
def test_the_books_are_always_right(
    limit: Decimal, sends: list[tuple[list[str], str, int]]
) -> None:
    """Whatever happens to sends, what is spent is what is kept, and never more than the limit."""
    budget = Budget(max_cost=limit, rates=RATES)
    kept = Decimal(0)
    for numbers, end, accepted in sends:
        try:
            reservation: Reservation = budget.reserve("x", numbers)
        except BudgetExceeded:
            assert kept + estimate("x", numbers, RATES).cost > limit
            continue
        if end == "release":
            reservation.release()
        elif end == "settle":
            reservation.settle(numbers[:accepted])
        stays = {"keep": numbers, "release": [], "settle": numbers[:accepted]}[end]
        kept += estimate("x", stays, RATES).cost
        assert budget.spent == kept <= limit


def test_a_budget_that_was_refused_can_be_shown() -> None:
    """A tool that records the variables of frames shows it, too."""
    with pytest.raises(InvalidRequest) as caught:
        Budget(max_cost="x")
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    budgets = [frame.f_locals["self"] for frame in frames if "self" in frame.f_locals]
    assert [repr(budget) for budget in budgets] == ["<Budget that was not created>"]
