"""What sending may cost: checked before each send, so that a runaway loop stops at a limit.

A reservation is made before the send and closed after it: released if the error's `.sent` is
`"no"`, settled for the numbers that an answer did not certainly refuse, and kept if the outcome is
unknown. A cancelled call follows the same rule.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, cast

import attrs

from voxsms.api.phone_numbers import digits_or_text
from voxsms.errors import BudgetExceeded, Fault, InvalidRequest, PriceUnknown
from voxsms.pricing._rates import EXACT, RateTable, destination_digits, method_name, total
from voxsms.text import count_fragments

if TYPE_CHECKING:
    from voxsms.clock import Clock

_SLOTS: Final = 1000
"""The number of parts that a window of time is kept in, so that a busy day takes no more memory."""


@attrs.define
class _Slot:
    """What was spent in one part of the window."""

    number: int
    amount: Decimal = Decimal(0)
    is_over: bool = False


class Reservation:
    """What one send has set aside; it stays set aside if neither method is called.

    The last call counts: calling a method again, or both in turn, books nothing twice.
    """

    cost: Decimal | None
    """What the send is predicted to cost; None if a number has no known price."""

    def __init__(
        self,
        costs: Sequence[tuple[str, Decimal | None]],
        book: Callable[[Decimal, _Slot | None], _Slot],
    ) -> None:
        self._costs = [(number, cost or Decimal(0)) for number, cost in costs]
        self._book = book
        self._kept = total(cost for _, cost in self._costs)
        self.cost = None if any(cost is None for _, cost in costs) else self._kept
        self._slot = book(self._kept, None)

    def settle(self, accepted: Iterable[str]) -> None:
        """Keep what was predicted for the numbers that the service accepted, or may have accepted.

        An accepted number that the service writes differently is matched with the most expensive of
        the remaining numbers.
        """
        cost_of = dict(self._costs)
        asked = Counter(number for number, _ in self._costs)
        taken = Counter(digits_or_text(number) for number in accepted)
        known = [cost_of[number] for number in (asked & taken).elements()]
        left = sorted((cost_of[number] for number in (asked - taken).elements()), reverse=True)
        self._keep(total([*known, *left[: (taken - asked).total()]]))

    def release(self) -> None:
        """Return everything to the budget, as nothing can have been sent."""
        self._keep(Decimal(0))

    def _keep(self, amount: Decimal) -> None:
        self._book(EXACT.subtract(amount, self._kept), self._slot)
        self._kept = amount


class Budget:
    """A limit on what is spent through everything that uses this object.

    Several clients, views and outboxes may share one, in any number of tasks and threads. It counts
    predicted costs, starting at 0 in each run of the program; the history has what was charged.

    .. code-block:: python

        from datetime import timedelta

        budget = voxsms.Budget(
            max_cost="25", per=timedelta(days=1), rates=await client.rates()
        )

    Args:
        max_cost: The most that all sends together may cost, in the currency of `rates`.
        per: The sliding window of time that `max_cost` is for: older sends do not count (they are
            forgotten a thousandth of that time late). Without it `max_cost` holds as long as this
            object is used, or until `reset`.
        max_fragments: The most fragments that one message may take.
        rates: What messages cost, needed for `max_cost`: one table, or one for each send.
        unpriced: `"refuse"` raises `PriceUnknown` for a number without a known price; `"allow"`
            lets it pass and counts nothing for it.
        clock: For tests: its `monotonic` measures the time.

    Raises:
        InvalidRequest: the limits make no sense; every fault is named.
    """

    def __init__(
        self,
        *,
        max_cost: Decimal | int | str | None = None,
        per: timedelta | None = None,
        max_fragments: int | None = None,
        rates: RateTable | Sequence[RateTable] | None = None,
        unpriced: Literal["refuse", "allow"] = "refuse",
        clock: "Clock | None" = None,
    ) -> None:
        tables = [rates] if isinstance(rates, RateTable) else rates or []
        self.max_cost: Decimal | None = None if max_cost is None else _read_amount(max_cost)
        self.per = per
        self.max_fragments = max_fragments
        self._clock = None if per is None else clock or _make_clock()
        self._tables = {table.method: table for table in tables}
        self._refuses = unpriced != "allow"
        self._slots: deque[_Slot] = deque()
        self._spent = Decimal(0)  # the sum of the slots
        self._lock = Lock()  # held for arithmetic only, never over a send
        if faults := self._find_faults({table.currency for table in tables}):
            raise InvalidRequest("Budget", tuple(faults))

    @property
    def spent(self) -> Decimal:
        """What has been spent or set aside so far, or within `per`; 0 without `rates`."""
        with self._lock:
            self._forget_old()
            return self._spent

    @property
    def left(self) -> Decimal | None:
        """How much may still be spent now; None without `max_cost`."""
        return None if self.max_cost is None else EXACT.subtract(self.max_cost, self.spent)

    def reset(self) -> None:
        """Start again from 0; sends now under way count as made before the reset."""
        with self._lock:
            self._forget(len(self._slots))

    def reserve(
        self,
        text: str,
        numbers: Sequence[str],
        *,
        method: str | None = None,
        fragments: int | None = None,
    ) -> Reservation:
        """Set aside what one text to these numbers costs, before anything is sent.

        `method` is the send it is for; it may be omitted if there is only one table. `fragments` is
        how many the text takes, if already counted.

        Raises:
            BudgetExceeded: it takes too many fragments or costs too much.
            PriceUnknown: no price is known.
            InvalidRequest: no message can go to one of the numbers.
            InvalidText: the text has a lone surrogate or a bare ESC.
        """
        if fragments is None:
            fragments = count_fragments(text)
        if self.max_fragments is not None and fragments > self.max_fragments:
            raise BudgetExceeded(
                f"the message takes {fragments} fragments; the budget allows {self.max_fragments}"
            )
        return Reservation(self._find_costs(fragments, numbers, method), self._book)

    def _find_costs(
        self, fragments: int, numbers: Sequence[str], method: str | None
    ) -> list[tuple[str, Decimal | None]]:
        digits = [destination_digits(number) for number in numbers]
        table = self._find_table(method) if self._tables else None
        return [(number, self._find_cost(table, number, fragments)) for number in digits]

    def _find_table(self, method: str | None) -> RateTable | None:
        """Return the rates of a send; another send's would be wrong and are not used."""
        if method is None and len(self._tables) == 1:
            return next(iter(self._tables.values()))
        table = None if method is None else self._tables.get(method_name(method))
        if table is None and self._refuses:
            known = ", ".join(self._tables)
            asked = method if method is None else method_name(method)
            raise PriceUnknown(f"the budget has rates of {known}, and this send is {asked}")
        return table

    def _find_cost(self, table: RateTable | None, number: str, fragments: int) -> Decimal | None:
        if table is None:
            return None
        rate = table.rate_for(number) if self._refuses else table.get(number)
        return rate.cost(fragments) if rate else None

    def _book(self, amount: Decimal, slot: _Slot | None) -> _Slot:
        """Add an amount to what is spent, if the limit allows it.

        With the slot of a reservation it corrects the amount set aside: always allowed, and without
        effect if the slot is forgotten.
        """
        with self._lock:
            self._forget_old()
            before = self._spent
            after = EXACT.add(before, amount)
            if slot is None:
                if self.max_cost is not None and amount > 0 and after > self.max_cost:
                    raise self._refuse(amount, before)
                slot = self._find_slot()
            if not slot.is_over:
                slot.amount = EXACT.add(slot.amount, amount)
                self._spent = after
            return slot

    def _refuse(self, cost: Decimal, spent: Decimal) -> BudgetExceeded:
        limit = self.max_cost or Decimal(0)
        unit = next(iter(self._tables.values())).currency
        within = "" if self.per is None else f" within {_write_span(self.per)}"
        return BudgetExceeded(
            f"this send would cost {cost} {unit}; of the budget of {limit} {unit}{within} "
            f"{spent} {unit} are spent or set aside",
            cost=cost,
            left=max(EXACT.subtract(limit, spent), Decimal(0)),
            limit=limit,
            currency=unit,
        )

    def _find_slot(self) -> _Slot:
        """Return the slot of this moment; without `per` there is one for all time."""
        number = self._count_slots()
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _count_slots(self) -> int:
        if self.per is None or self._clock is None:
            return 0
        return int(self._clock.monotonic() / self.per.total_seconds() * _SLOTS)

    def _forget_old(self) -> None:
        if self.per is not None:
            # A slot is dropped when its last moment is outside the window.
            oldest = self._count_slots() - _SLOTS
            self._forget(sum(1 for slot in self._slots if slot.number < oldest))

    def _forget(self, slots: int) -> None:
        for _ in range(slots):
            slot = self._slots.popleft()
            slot.is_over = True
            self._spent = EXACT.subtract(self._spent, slot.amount)

    def _find_faults(self, currencies: set[str]) -> list[Fault]:
        faults: list[Fault] = []
        if self.max_cost is not None and not currencies:
            faults.append(Fault("rates", "is missing; max_cost needs to know what messages cost"))
        if len(currencies) > 1:
            faults.append(
                Fault("rates", f"has several currencies: {', '.join(sorted(currencies))}")
            )
        per = cast("object", self.per)
        if per is not None and (not isinstance(per, timedelta) or per <= timedelta()):
            faults.append(Fault("per", f"is {per!r}; it must be a timedelta above 0"))
        if per is not None and self.max_cost is None:
            faults.append(Fault("per", "is given without max_cost, whose time span it sets"))
        given: object = self.max_fragments
        if given is not None and (type(given) is not int or given < 1):
            problem = f"is {self.max_fragments!r}; it must be a whole number of at least 1"
            faults.append(Fault("max_fragments", problem))
        return faults

    def __repr__(self) -> str:
        """Show the limits and what is spent."""
        if not hasattr(self, "_lock"):
            return "<Budget that was not created>"
        limits = f"max_cost={self.max_cost}, max_fragments={self.max_fragments}"
        per = "" if self.per is None else f", per={self.per}"
        return f"Budget({limits}{per}, spent={self.spent})"


def _make_clock() -> "Clock":
    from voxsms.clock import Clock  # noqa: PLC0415 - anyio comes with it

    return Clock()


def _write_span(span: timedelta) -> str:
    """Write `1 day`, `7 days` or, if not a whole number of days, `0:15:00`."""
    return str(span).removesuffix(", 0:00:00")


def _read_amount(given: object) -> Decimal:
    """Return an amount of money exactly as it was written; a float is refused."""
    if isinstance(given, Decimal | int | str) and not isinstance(given, bool):
        with suppress(InvalidOperation):
            amount = Decimal(given)
            if amount.is_finite() and amount >= 0:
                return amount
    problem = f"is {given!r}; it must be a Decimal, an int or a str of 0 or more"
    raise InvalidRequest("Budget", (Fault("max_cost", problem),))
