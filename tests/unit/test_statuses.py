"""Whatever the order in which statuses are told, the same one stands in the end."""

from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms import DeliveryStatus
from voxsms.webhooks import advance, is_final

FINAL = ("DELIVERED", "FAILED", "EXPIRED", "REJECTED", "ABORTED")


def told(*statuses: str) -> str:
    """Return what stands after statuses were told one after the other."""
    return str(reduce(advance, statuses))


@pytest.mark.parametrize("final", FINAL)
def test_a_late_lower_status_never_overwrites_a_final_one(final: str) -> None:
    """In any order of what came before and after it."""
    for order in permutations(("QUEUED", "DISPATCHED", "UNKNOWN", final)):
        assert told(*order) == final
    assert is_final(DeliveryStatus(final))


@pytest.mark.parametrize(("first", "second"), list(permutations(FINAL, 2)))
def test_what_is_final_stays(first: str, second: str) -> None:
    """Of two final statuses the first is kept."""
    assert told(first, second) == first


def test_what_is_not_final_goes_on() -> None:
    """From queued to dispatched to unknown, and never back."""
    assert told("QUEUED", "DISPATCHED") == told("DISPATCHED", "QUEUED") == "DISPATCHED"
    assert told("DISPATCHED", "UNKNOWN") == told("UNKNOWN", "DISPATCHED") == "UNKNOWN"
    assert not any(map(is_final, ("QUEUED", "DISPATCHED", "UNKNOWN", "NEW", None)))


def test_a_status_that_was_added_later_overrides_nothing_final() -> None:
    """It is more than being under way."""
    assert told("DISPATCHED", "CARRIER_OK") == "CARRIER_OK"
    assert told("CARRIER_OK", "QUEUED") == "CARRIER_OK"
    assert told("DELIVERED", "CARRIER_OK") == "DELIVERED"


@given(st.lists(st.sampled_from(DeliveryStatus), min_size=1), st.randoms())
def test_the_order_does_not_matter_where_one_is_final_at_most(
    statuses: list[DeliveryStatus], chance: object
) -> None:
    """Callbacks come in any order, and more than once."""
    finals = [status for status in statuses if is_final(status)]
    once = [status for status in statuses if not is_final(status) or status is finals[0]]
    shuffled = sorted(once, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert told(*once) == told(*shuffled, *shuffled)
