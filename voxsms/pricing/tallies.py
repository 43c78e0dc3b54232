"""How many messages, of how many fragments, for how much: sums that keep no message.

Only counts are kept, by price group and number of fragments, so a mailing of any size takes the
same memory; money is multiplied once at the end, exactly.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

import attrs

from voxsms.api.phone_numbers import digits_or_text
from voxsms.pricing.looks import Cause, Count, Kind, Look
from voxsms.pricing.money import EXACT, total
from voxsms.pricing.rates import Rate

Key = TypeVar("Key")
_MANY = 5_000
_PREFIX = 3  # digits by which numbers without a price are counted: a country, and no person


@attrs.frozen
class Tally:
    """A number of messages, the fragments they take, and what they cost."""

    messages: int = 0
    fragments: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: "Tally") -> "Tally":
        """Add up exactly."""
        return Tally(
            self.messages + other.messages,
            self.fragments + other.fragments,
            EXACT.add(self.cost, other.cost),
        )


@attrs.frozen(kw_only=True)
class Estimate:
    """What a mailing will take and cost, as far as prices are known."""

    currency: str
    messages: int
    """One for each recipient, with those that have no price."""
    fragments: int
    """Of all messages."""
    fragments_count: int | None
    """Of each message; None where they differ (see `by_fragments`) or there is none."""
    cost: Decimal
    """Of all messages that have a price."""
    least_cost: Decimal
    """If the service cuts long messages in the way that gives the fewest fragments."""
    most_cost: Decimal
    """If it cuts them in the way that gives the most."""
    unsure: int
    """How many messages the service may cut in more than one way."""
    by_group: Mapping[str, Tally]
    """By price group, the dearest first; the costs add up to `cost`."""
    by_fragments: Mapping[int, Tally]
    """By the number of fragments a message takes; adds up to all messages and `cost`."""
    unpriced: int
    """How many messages have no known price; they are in no cost."""
    unpriced_prefixes: Mapping[str, int]
    """The same by the first three digits of the number, the most first."""
    pushed_by_character: Mapping[str, Tally]
    """The messages in which a character made further fragments, how many, and what those cost.

    A message with several such characters is counted for each of them.
    """
    pushed_by_field: Mapping[str, Tally]
    """The same for the value of a template's field."""
    invalid: int = 0
    """How many pairs were left out because they can not be sent; `on_bad` was told of each."""


class Tallies:
    """The running counts of an estimate."""

    def __init__(self) -> None:
        # Messages that are alike; there may be many kinds, so they are added up now and then.
        # A count is a list of one, so that one look into the dict reads and writes it.
        self._alike: dict[tuple[Rate | None, Count, tuple[Cause, ...]], list[int]] = {}
        self._counts: Counter[tuple[Rate | None, Count]] = Counter()
        self._pushed: defaultdict[tuple[Kind, str], Tally] = defaultdict(Tally)
        self._strays: Counter[str] = Counter()

    def add(self, look: Look, rate: Rate | None, messages: int = 1) -> None:
        """Count messages with one text to one price group, or to none that is known."""
        alike = (rate, look.count, look.causes)
        count = self._alike.get(alike)
        if count is None:
            if len(self._alike) == _MANY:
                self._add_up()
            count = self._alike[alike] = [0]
        count[0] += messages

    def _add_up(self) -> None:
        for (rate, count, causes), [n] in self._alike.items():
            self._counts[rate, count] += n
            for cause in causes:
                more = EXACT.subtract(_cost(rate, count.told, n), _cost(rate, cause.without, n))
                further = Tally(n, n * (count.told - cause.without), more)
                self._pushed[cause.kind, cause.name] += further
        self._alike.clear()

    def stray(self, number: str) -> None:
        """Remember how a number begins that has no price."""
        self._strays[digits_or_text(number)[:_PREFIX]] += 1

    def estimate(self, currency: str, fragments_count: int | None, invalid: int = 0) -> Estimate:
        """Multiply and add up."""
        self._add_up()
        by_fragments = self._by_fragments()
        overall = sum(by_fragments.values(), Tally())
        return Estimate(
            currency=currency,
            messages=overall.messages,
            fragments=overall.fragments,
            fragments_count=next(iter(by_fragments)) if len(by_fragments) == 1 else fragments_count,
            cost=overall.cost,
            least_cost=total(_cost(rate, count.least, n) for (rate, count), n in self._items()),
            most_cost=total(_cost(rate, count.most, n) for (rate, count), n in self._items()),
            unsure=sum(n for (_, count), n in self._items() if count.least != count.most),
            by_group=self._by_group(),
            by_fragments=by_fragments,
            unpriced=self._strays.total(),
            unpriced_prefixes=dict(self._strays.most_common()),
            pushed_by_character=self._pushed_by("character"),
            pushed_by_field=self._pushed_by("field"),
            invalid=invalid,
        )

    def _items(self) -> Iterable[tuple[tuple[Rate | None, Count], int]]:
        return self._counts.items()

    def _by_group(self) -> dict[str, Tally]:
        tallies: defaultdict[str, Tally] = defaultdict(Tally)
        for (rate, count), n in self._items():
            if rate:
                tallies[rate.group] += _tally(rate, count, n)
        return dict(sorted(tallies.items(), key=lambda item: item[1].cost, reverse=True))

    def _by_fragments(self) -> dict[int, Tally]:
        tallies: defaultdict[int, Tally] = defaultdict(Tally)
        for (rate, count), n in self._items():
            tallies[count.told] += _tally(rate, count, n)
        return dict(sorted(tallies.items()))

    def _pushed_by(self, kind: Kind) -> dict[str, Tally]:
        pushed = {name: tally for (of, name), tally in self._pushed.items() if of == kind}
        return dict(sorted(pushed.items(), key=lambda item: item[1].messages, reverse=True))


def _tally(rate: Rate | None, count: Count, messages: int) -> Tally:
    return Tally(messages, messages * count.told, _cost(rate, count.told, messages))


def _cost(rate: Rate | None, fragments: int, messages: int) -> Decimal:
    return rate.cost(fragments, messages) if rate else Decimal(0)
