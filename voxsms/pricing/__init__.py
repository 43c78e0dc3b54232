"""What messages cost: rates, estimates and budgets before a send, charges after it.

Pure: no clock, no network. The names below are the whole interface; the modules are private.
"""

from voxsms.api.models import PriceGroup, PriceGroupParams
from voxsms.pricing._budget import Budget, Reservation
from voxsms.pricing._estimates import Estimate, Tally, estimate, estimate_many
from voxsms.pricing._rates import EXACT, RESOURCE_TYPES, Rate, RateTable, price_of_one, total
from voxsms.pricing._reconcile import Compared, Comparison, compare_with_history

__all__ = [
    "EXACT",
    "RESOURCE_TYPES",
    "Budget",
    "Compared",
    "Comparison",
    "Estimate",
    "PriceGroup",
    "PriceGroupParams",
    "Rate",
    "RateTable",
    "Reservation",
    "Tally",
    "compare_with_history",
    "estimate",
    "estimate_many",
    "price_of_one",
    "total",
]
