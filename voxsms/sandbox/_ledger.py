"""The ledger: every delivery that a sandbox really made, whatever it answered to the client."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from difflib import ndiff
from typing import NamedTuple, TypeVar

import attrs

from voxsms.pricing import total

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Delivery:
    """One message to one number, accepted and charged."""

    method: str
    """The method's name on the wire."""
    source: str
    destination: str
    text: str
    fragments: int
    cost: Decimal
    message_id: int
    at: datetime


class SentMessage(NamedTuple):
    """Destination and text of a delivery; equal to the tuple of both, and shown like it."""

    destination: str
    text: str

    def __repr__(self) -> str:
        """Show the tuple."""
        return repr(tuple(self))


class Delivered(list[T]):
    """Deliveries in order: a list that can describe how another one differs from it."""

    elsewhere: Sequence[SentMessage] = ()
    """Deliveries to other numbers."""

    def differences(self, expected: Iterable[object]) -> list[str]:
        """Return readable lines: `-` before expected messages, `+` before delivered ones."""
        lines = ["- expected, + delivered:", *ndiff([*map(repr, expected)], [*map(repr, self)])]
        if self.elsewhere:
            lines += ["delivered to other numbers:", *map("  {!r}".format, self.elsewhere)]
        return [line.rstrip() for line in lines]


class Ledger:
    """Counts deliveries and requests; readable from any thread, even after the sandbox ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deliveries: list[Delivery] = []
        self._requests: Counter[str] = Counter()

    def __repr__(self) -> str:
        """Show only the count: deliveries contain whole phone numbers."""
        return f"<Ledger: {self.count} deliveries>"

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """All deliveries, in order."""
        with self._lock:
            return tuple(self._deliveries)

    @property
    def count(self) -> int:
        """How many messages were delivered."""
        with self._lock:
            return len(self._deliveries)

    @property
    def charged(self) -> Decimal:
        """The exact total cost of the deliveries."""
        return total(delivery.cost for delivery in self.deliveries)

    @property
    def requests(self) -> Mapping[str, int]:
        """How many complete requests arrived, by method, whatever became of them; absent is 0."""
        with self._lock:
            return Counter(self._requests)

    @property
    def messages(self) -> Delivered[SentMessage]:
        """The number and the text of every delivery."""
        return Delivered(SentMessage(each.destination, each.text) for each in self.deliveries)

    def since(self, count: int) -> tuple[Delivery, ...]:
        """Return the deliveries after the first `count`."""
        with self._lock:
            return tuple(self._deliveries[count:])

    def to(self, number: str) -> tuple[Delivery, ...]:
        """Return the deliveries to one number."""
        return tuple(each for each in self.deliveries if each.destination == number)

    def record(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries; for the sandbox."""
        with self._lock:
            self._deliveries += deliveries

    def count_request(self, method: str) -> None:
        """Count a request; for the sandbox."""
        with self._lock:
            self._requests[method] += 1

    def reset(self) -> None:
        """Clear everything; for the sandbox."""
        with self._lock:
            self._deliveries.clear()
            self._requests.clear()
