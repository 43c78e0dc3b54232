"""What a message costs before it is sent: rates, estimates, budgets."""

from voxsms.api.models import PriceGroup, PriceGroupParams
from voxsms.pricing.budget import Budget, Reservation
from voxsms.pricing.estimates import estimate, estimate_many
from voxsms.pricing.invoice import Compared, Comparison, compare_with_history
from voxsms.pricing.rates import RESOURCE_TYPES, Rate, RateTable
from voxsms.pricing.tallies import Estimate, Tally

__all__ = [
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
]
