"""Money without loss: sums and products that no decimal context rounds, and the one rounding.

The price of one resource is `price / num_resources_per_price`, rounded once, half to even, to 12
decimals; everything after is exact (shared contract, section 3).
"""

from collections.abc import Iterable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import reduce
from typing import Final

_PLACES: Final = 12
EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""A decimal context in which sums and products are never rounded."""


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add up exactly."""
    return reduce(EXACT.add, amounts, Decimal(0))


def price_of_one(price: Decimal, resources: int) -> Decimal:
    """Divide a price by the number of resources it buys, rounded once.

    A decimal division would round to the context's digits first, and so twice.
    """
    rounded = round(Fraction(price) / resources * 10**_PLACES)
    shown = f"{Decimal(rounded).scaleb(-_PLACES, EXACT):f}"
    return Decimal(shown.rstrip("0").rstrip("."))  # 0.041 and not 0.041000000000
