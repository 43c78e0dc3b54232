"""What the demo found, from every side that tells it, and whether the sides agree."""

from collections.abc import Callable, Collection, Iterator
from decimal import Decimal

import attrs
from rich.table import Table

from voxsms.api.models import A2PSmsHistory, FailedSms, SmsHistory
from voxsms.cli import _io as io
from voxsms.pricing import Tally


@attrs.define
class Leg:
    """What one of the two ways to send came to."""

    name: str
    asked: int
    """Numbers that a message was to go to."""
    accepted: int = 0
    refused: list[FailedSms] = attrs.field(factory=list)
    predicted: int = 0
    """Fragments of the accepted messages, as voxsms counted them before sending."""
    returned: int = 0
    """The same, as the service counted them."""
    estimated: Decimal = Decimal(0)
    """What the accepted messages cost, by the price list."""
    history: Tally = attrs.field(factory=Tally)
    """What the history has of them."""

    def count(self, accepted: int, predicted: int, returned: int) -> None:
        """Enter one answer of the service; the fragments are those of each message."""
        self.accepted += accepted
        self.predicted += accepted * predicted
        self.returned += accepted * returned

    def enter(self, row: SmsHistory | A2PSmsHistory) -> None:
        """Enter one row of the history."""
        self.history += Tally(1, row.fragments, row.cost)

    def comparisons(self) -> Iterator[tuple[str, object, object]]:
        """Give what has to be equal: what it is, and the two figures."""
        answered = self.accepted + len(self.refused)
        yield "numbers asked for, and accepted or refused", self.asked, answered
        yield "fragments predicted and returned", self.predicted, self.returned
        yield "messages accepted and in the history", self.accepted, self.history.messages
        yield "fragments returned and in the history", self.returned, self.history.fragments
        yield "cost estimated and in the history", self.estimated, self.history.cost


@attrs.define
class Figures:
    """Everything together."""

    two_way: Leg
    a2p: Leg
    to_refuse: Collection[str]
    """The numbers that the sandbox is set up to refuse."""
    prices: list[Decimal] = attrs.field(factory=list)
    """What the three texts would cost: plain, with a curly quote, with an emoji."""
    currency: str = ""
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    delivered: Tally = attrs.field(factory=Tally)
    """What the sandbox really delivered, by its own ledger."""

    @property
    def history(self) -> Tally:
        """Both histories."""
        return self.two_way.history + self.a2p.history

    def disagreements(self) -> list[str]:
        """Name every two figures that should be equal and are not."""
        return [f"{what}: {one} and {other}" for what, one, other in self._all() if one != other]

    def _all(self) -> Iterator[tuple[str, object, object]]:
        for leg in (self.two_way, self.a2p):
            for what, one, other in leg.comparisons():
                yield f"{leg.name}: {what}", one, other
        plain, curly, _ = self.prices
        yield "twice the price of the plain text, and that with a curly quote", 2 * plain, curly
        yield "refused numbers", len(self.a2p.refused), len(self.to_refuse)
        refused = {failed.destination_number for failed in self.a2p.refused}
        yield "which numbers", sorted(refused), sorted(self.to_refuse)
        left = self.before - self.history.cost
        yield "balance before less the cost, and balance after", left, self.after
        for name, one, other in zip(
            ("messages", "fragments", "cost"),
            attrs.astuple(self.history),
            attrs.astuple(self.delivered),
            strict=True,
        ):
            yield f"{name} in the histories and really delivered", one, other

    def table(self) -> Table:
        """Give the figures as a table."""
        legs = (self.two_way, self.a2p)
        names = [leg.name for leg in legs]
        table = io.Rows("", *names, "together", right=(*names, "together"))
        rows: tuple[tuple[str, Callable[[Leg], int]], ...] = (
            ("messages accepted", lambda leg: leg.accepted),
            ("numbers refused", lambda leg: len(leg.refused)),
            ("fragments predicted", lambda leg: leg.predicted),
            ("fragments returned", lambda leg: leg.returned),
            ("messages in the history", lambda leg: leg.history.messages),
        )
        for name, figure in rows:
            table.add(name, *(f"{n:,}" for n in (*map(figure, legs), sum(map(figure, legs)))))
        costs = (*(leg.history.cost for leg in legs), self.history.cost)
        table.add("cost", *(io.money(cost, self.currency) for cost in costs), style="bold")
        table.add("balance before", "", "", io.money(self.before, self.currency))
        table.add("balance after", "", "", io.money(self.after, self.currency))
        return table
