"""What a message costs before it is sent: rates, estimates, budgets."""

from voxsms.pricing.rates import RESOURCE_TYPES, Rate, RateTable

__all__ = ["RESOURCE_TYPES", "Rate", "RateTable"]
