"""The ledger: every delivery a sandbox really made, whatever its client was told."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

import attrs

from voxsms.pricing import total


@attrs.frozen(kw_only=True)
class Delivery:
    """One message to one number, accepted and charged."""

    method: str
    """The method's name on the wire."""
    source: str
    destination: str
    fragments: int
    cost: Decimal
    message_id: int
    at: datetime


class Ledger:
    """Counts deliveries and requests; may be read from any thread, also after the sandbox ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deliveries: list[Delivery] = []
        self._requests: Counter[str] = Counter()

    def __repr__(self) -> str:
        """Show the count alone: deliveries hold whole numbers."""
        return f"<Ledger: {self.count} deliveries>"

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Everything that was delivered, in order."""
        with self._lock:
            return tuple(self._deliveries)

    @property
    def count(self) -> int:
        """How many messages were delivered."""
        with self._lock:
            return len(self._deliveries)

    @property
    def charged(self) -> Decimal:
        """The exact sum of what the deliveries cost."""
        return total(delivery.cost for delivery in self.deliveries)

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests arrived whole, by method, whatever became of them; absent is 0."""
        with self._lock:
            return Counter(self._requests)

    def to(self, number: str) -> tuple[Delivery, ...]:
        """Return the deliveries to one number."""
        return tuple(each for each in self.deliveries if each.destination == number)

    def record(self, deliveries: Iterable[Delivery]) -> None:
        """Enter deliveries; for the sandbox."""
        with self._lock:
            self._deliveries += deliveries

    def count_request(self, method: str) -> None:
        """Count a request; for the sandbox."""
        with self._lock:
            self._requests[method] += 1

    def reset(self) -> None:
        """Forget everything; for the sandbox."""
        with self._lock:
            self._deliveries.clear()
            self._requests.clear()
