"""The ledger: every delivery a sandbox really made, whatever its client was told."""

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
    """What was delivered to whom; equal to the pair of both, and shown as it."""

    destination: str
    text: str

    def __repr__(self) -> str:
        """Show the pair."""
        return repr(tuple(self))


class Delivered(list[T]):
    """What was delivered, in order: a list that can say how another one differs from it."""

    elsewhere: Sequence[SentMessage] = ()
    """What was delivered to others."""

    def differences(self, expected: Iterable[object]) -> list[str]:
        """Return lines for a person: `-` before what is expected, `+` before what was delivered."""
        lines = ["- expected, + delivered:", *ndiff([*map(repr, expected)], [*map(repr, self)])]
        if self.elsewhere:
            lines += ["delivered to other numbers:", *map("  {!r}".format, self.elsewhere)]
        return [line.rstrip() for line in lines]


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

    @property
    def messages(self) -> Delivered[SentMessage]:
        """The number and the text of every delivery."""
        return Delivered(SentMessage(each.destination, each.text) for each in self.deliveries)

    def since(self, count: int) -> tuple[Delivery, ...]:
        """Return what was delivered after the first `count` deliveries."""
        with self._lock:
            return tuple(self._deliveries[count:])

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
