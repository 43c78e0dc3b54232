"""What sending may cost: asked before each send, so that a runaway loop stops at a limit.

A reservation is made before the send and closed after it: given back where the error's `.sent` is
`"no"`, settled by what was accepted on an answer, and kept where nobody knows, which is also what
a cancelled call leaves behind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from threading import Lock
from typing import Literal

from voxsms.api.phone_numbers import digits_or_text
from voxsms.errors import BudgetExceeded, Fault, InvalidRequest, PriceUnknown
from voxsms.pricing._money import EXACT, total
from voxsms.pricing._rates import RateTable, destination_digits, method_name
from voxsms.text import count_fragments


class Reservation:
    """What one send has set aside; it stays set aside if neither method is called.

    The last call counts: to call one again, or one after the other, books nothing twice.
    """

    def __init__(
        self, costs: Sequence[tuple[str, Decimal]], book: Callable[[Decimal], None]
    ) -> None:
        self._costs = costs
        self._book = book
        self._kept = total(cost for _, cost in costs)
        book(self._kept)

    def settle(self, accepted: Iterable[str]) -> None:
        """Keep what was predicted for the numbers that the service accepted.

        A number that comes back written differently is still one that was accepted: it keeps the
        most expensive of what is left.
        """
        cost_of = dict(self._costs)
        asked = Counter(number for number, _ in self._costs)
        taken = Counter(digits_or_text(number) for number in accepted)
        known = [cost_of[number] for number in (asked & taken).elements()]
        left = sorted((cost_of[number] for number in (asked - taken).elements()), reverse=True)
        self._keep(total([*known, *left[: (taken - asked).total()]]))

    def release(self) -> None:
        """Give everything back, as nothing can have been sent."""
        self._keep(Decimal(0))

    def _keep(self, amount: Decimal) -> None:
        self._book(EXACT.subtract(amount, self._kept))
        self._kept = amount


class Budget:
    """A limit on what is spent through everything that is given this object.

    Several clients, views and outboxes may share one, in any number of tasks and threads. It counts
    what voxsms predicts, from 0 in each run of the program; the history has what was charged.

    Args:
        max_cost: The most that all sends together may cost, in the currency of `rates`.
        max_fragments: The most fragments that one message may take.
        rates: What messages cost, needed for `max_cost`: one table, or one for each send.
        unpriced: `"refuse"` raises `PriceUnknown` for a number without a known price; `"allow"`
            lets it pass and counts nothing for it.

    Raises:
        InvalidRequest: the limits make no sense; every fault is named.
    """

    def __init__(
        self,
        *,
        max_cost: Decimal | int | str | None = None,
        max_fragments: int | None = None,
        rates: RateTable | Sequence[RateTable] | None = None,
        unpriced: Literal["refuse", "allow"] = "refuse",
    ) -> None:
        tables = [rates] if isinstance(rates, RateTable) else rates or []
        self.max_cost = None if max_cost is None else _read_amount(max_cost)
        self.max_fragments = max_fragments
        self._tables = {table.method: table for table in tables}
        self._refuses = unpriced != "allow"
        self._spent = Decimal(0)
        self._lock = Lock()  # held for arithmetic only, never over a send
        if faults := self._find_faults({table.currency for table in tables}):
            raise InvalidRequest("Budget", tuple(faults))

    @property
    def spent(self) -> Decimal:
        """What is spent or set aside so far; 0 without `rates`."""
        return self._spent

    def reserve(
        self,
        text: str,
        numbers: Sequence[str],
        *,
        method: str | None = None,
        fragments: int | None = None,
    ) -> Reservation:
        """Set aside what one text to these numbers costs, before anything is sent.

        `method` is the send it is for; it may be left out where there is one table. `fragments` is
        how many the text takes, where that was counted before.

        Raises:
            BudgetExceeded: it takes too many fragments or costs too much.
            PriceUnknown: no price is known.
            InvalidRequest: a number is none that a message can go to.
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
    ) -> list[tuple[str, Decimal]]:
        digits = [destination_digits(number) for number in numbers]
        table = self._find_table(method) if self._tables else None
        return [(number, self._find_cost(table, number, fragments)) for number in digits]

    def _find_table(self, method: str | None) -> RateTable | None:
        """Return the rates of a send; those of another one would be wrong and are not used."""
        if method is None and len(self._tables) == 1:
            return next(iter(self._tables.values()))
        table = None if method is None else self._tables.get(method_name(method))
        if table is None and self._refuses:
            known = ", ".join(self._tables)
            asked = method if method is None else method_name(method)
            raise PriceUnknown(f"the budget has rates of {known}, and this send is {asked}")
        return table

    def _find_cost(self, table: RateTable | None, number: str, fragments: int) -> Decimal:
        if table is None:
            return Decimal(0)
        rate = table.rate_for(number) if self._refuses else table.get(number)
        return rate.cost(fragments) if rate else Decimal(0)

    def _book(self, amount: Decimal) -> None:
        """Add an amount to what is spent, if the limit allows; a negative one is taken back."""
        with self._lock:
            before = self._spent
            after = EXACT.add(before, amount)
            if self.max_cost is None or amount <= 0 or after <= self.max_cost:
                self._spent = after
                return
        unit = next(iter(self._tables.values())).currency
        raise BudgetExceeded(
            f"this send would cost {amount} {unit}; of the budget of {self.max_cost} {unit} "
            f"{before} {unit} are spent or set aside"
        )

    def _find_faults(self, currencies: set[str]) -> list[Fault]:
        faults: list[Fault] = []
        if self.max_cost is not None and not currencies:
            faults.append(Fault("rates", "is missing; max_cost needs to know what messages cost"))
        if len(currencies) > 1:
            faults.append(
                Fault("rates", f"has several currencies: {', '.join(sorted(currencies))}")
            )
        given: object = self.max_fragments
        if given is not None and (type(given) is not int or given < 1):
            problem = f"is {self.max_fragments!r}; it must be a whole number of at least 1"
            faults.append(Fault("max_fragments", problem))
        return faults

    def __repr__(self) -> str:
        """Show the limits and what is spent."""
        limits = f"max_cost={self.max_cost}, max_fragments={self.max_fragments}"
        return f"Budget({limits}, spent={self._spent})"


def _read_amount(given: object) -> Decimal:
    """Return a limit of money exactly as it was written; a float is refused."""
    try:
        amount = Decimal(given) if isinstance(given, Decimal | int | str) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_finite() and amount >= 0:
        return amount
    problem = f"is {given!r}; it must be a Decimal, an int or a str of 0 or more"
    raise InvalidRequest("Budget", (Fault("max_cost", problem),))
