"""Predictions beside what the history says was charged."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from voxsms.api.models import (
    A2PSmsHistory,
    Direction,
    PriceGroup,
    PriceGroupParams,
    ResourcePrice,
    SmsHistory,
)
from voxsms.errors import InvalidRequest
from voxsms.pricing import Compared, RateTable, Tally, compare_with_history


def _rates(method: str, kind: str) -> RateTable:
    groups = (
        PriceGroup(1, "USA", Decimal("0.0079"), params=PriceGroupParams(("1",))),
        PriceGroup(2, "United Kingdom", Decimal("0.04104"), params=PriceGroupParams(("44",))),
    )
    return RateTable.from_resource_prices(
        [ResourcePrice(kind, groups)], currency="USD", method=method
    )


RATES = _rates("send_sms_message", "SMSOUT")


def _row(
    fragments: int,
    cost: str,
    text: str | None = None,
    number: str = "14155550100",
    direction: Direction | str = Direction.OUT,
) -> SmsHistory:
    return SmsHistory(
        1, "14155550199", number, direction, fragments, Decimal(cost), "1", None, text=text
    )


def test_an_invoice_as_predicted_agrees() -> None:
    """Fragments as counted and costs as the rates say: nothing differs."""
    rows = [
        _row(1, "0.0079", "Hello"),
        _row(2, "0.0158", "x" * 161),
        _row(3, "0.0237"),  # without its text, only the cost can be compared
        _row(1, "0.0410", number="442071838750"),  # 0.04104 shown with four decimals
    ]
    found = compare_with_history(rows, RATES)
    assert found.agrees
    assert found.currency == "USD"
    assert found.by_group["USA"] == Compared(
        Tally(3, 6, Decimal("0.0474")), Tally(3, 6, Decimal("0.0474"))
    )
    assert found.overall.difference == Decimal("-0.00004")


def test_a_wrong_rate_is_seen() -> None:
    """The group whose messages are charged otherwise is named first, with the difference."""
    rows = [_row(1, "0.0079"), _row(2, "0.1", number="442071838750")]
    found = compare_with_history(rows, RATES)
    assert not found.agrees
    assert list(found.by_group) == ["United Kingdom", "USA"]
    differing = found.by_group["United Kingdom"]
    assert (differing.cost_off, differing.fragments_off) == (1, 0)
    assert differing.difference == Decimal("0.01792")
    assert found.by_group["USA"].difference == 0


def test_a_wrong_counting_rule_is_seen() -> None:
    """The service counted two fragments where one was predicted, at the right rate."""
    found = compare_with_history([_row(2, "0.0158", "Hello")], RATES)
    assert (found.overall.fragments_off, found.overall.cost_off) == (1, 0)
    assert found.overall.predicted == Tally(1, 1, Decimal("0.0079"))
    assert found.overall.charged == Tally(1, 2, Decimal("0.0158"))


def test_a_failed_message_is_expected_to_cost_nothing() -> None:
    """Of 0 fragments; one that was charged all the same is a difference."""
    free, charged = _row(0, "0", "Hello"), _row(0, "4.3437", "Hello")
    assert compare_with_history([free], RATES).agrees
    found = compare_with_history([free, charged], RATES)
    assert (found.overall.cost_off, found.overall.difference) == (1, Decimal("4.3437"))


@pytest.mark.parametrize("number", ["99912345678", "not a number"])
def test_messages_without_a_price_are_counted_apart(number: str) -> None:
    """What was charged for them is told, and they do not agree."""
    found = compare_with_history([_row(2, "0.5", number=number)], RATES)
    assert found.unpriced == Tally(1, 2, Decimal("0.5"))
    assert (found.agrees, found.by_group, found.overall) == (False, {}, Compared())


def test_messages_that_came_in_are_passed_over() -> None:
    """Rates are those of sending; a direction that the service adds later is compared."""
    rows = [_row(1, "5", direction=Direction.IN), _row(1, "0.0079", direction="NEW")]
    found = compare_with_history(rows, RATES)
    assert (found.received, found.overall.charged.messages, found.agrees) == (1, 1, True)


def test_a_text_that_cannot_be_counted_is_left_to_the_service() -> None:
    """A stored text with half a character does not end the comparison."""
    assert compare_with_history([_row(1, "0.0079", "\ud800")], RATES).agrees


def test_the_tolerance_can_be_chosen() -> None:
    """Where the history shows every decimal nothing may differ."""
    rows = [_row(1, "0.0410", number="442071838750")]
    found = compare_with_history(rows, RATES, tolerance=Decimal(0))
    assert found.overall.cost_off == 1


def test_rates_of_the_other_send_are_refused() -> None:
    """Every message would differ, and nobody would see why."""
    with pytest.raises(InvalidRequest, match="are those of a2p_send_sms; the rows are messages"):
        compare_with_history([_row(1, "1")], _rates("a2p_send_sms", "A2P_SMS_E212"))


async def test_rows_may_be_awaited() -> None:
    """The client's pager gives rows that are awaited, and the comparison then is too."""

    async def rows() -> AsyncIterator[A2PSmsHistory]:
        for cost in ("0.0079", "0.0080"):
            yield A2PSmsHistory(
                1, "voxsms", "14155550100", 1, Decimal(cost), "1", None, delivery_status="NEW"
            )

    found = await compare_with_history(rows(), _rates("a2p_send_sms", "A2P_SMS_E212"))
    assert (found.overall.charged.messages, found.overall.cost_off) == (2, 1)
