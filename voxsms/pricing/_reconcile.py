"""Predicted beside charged costs: the history says what each message was charged.

A wrong rate shows up as messages whose cost does not match the rate for the fragments that the
service counted; a wrong counting rule as messages whose fragments the service counted differently.
The latter needs the text, which the history has only for messages sent with `store_body`.
"""

from collections import defaultdict
from collections.abc import AsyncIterable, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, overload

import attrs

from voxsms.api.models import A2PSmsHistory, Direction, SmsHistory
from voxsms.errors import Fault, InvalidRequest, InvalidText
from voxsms.pricing._estimates import Tally, feed
from voxsms.pricing._rates import EXACT, Rate, RateTable
from voxsms.text import count_fragments

SentRow = SmsHistory | A2PSmsHistory
_SHOWN: Final = Decimal("0.00005")  # the service shows money to four decimals
_NO_MESSAGES: Final = Tally()


@attrs.frozen
class Compared:
    """Messages as they were predicted, and as they were charged."""

    predicted: Tally = _NO_MESSAGES
    charged: Tally = _NO_MESSAGES
    fragments_off: int = 0
    """Messages whose fragments the service counted differently from voxsms."""
    cost_off: int = 0
    """Messages charged differently from the rate for the fragments that the service counted."""

    @property
    def difference(self) -> Decimal:
        """How much more was charged than predicted."""
        return EXACT.subtract(self.charged.cost, self.predicted.cost)

    def __add__(self, other: "Compared") -> "Compared":
        """Add up exactly."""
        return Compared(
            self.predicted + other.predicted,
            self.charged + other.charged,
            self.fragments_off + other.fragments_off,
            self.cost_off + other.cost_off,
        )


@attrs.frozen
class Comparison:
    """Predicted costs beside charged ones."""

    currency: str
    overall: Compared
    by_group: Mapping[str, Compared]
    """By price group, the one with the most messages that differ first."""
    unpriced: Tally
    """What was charged for messages without a known price; not included above."""
    received: int
    """Rows skipped because they are inbound messages."""

    @property
    def agrees(self) -> bool:
        """Whether no message differs and every message has a price."""
        off = self.overall.fragments_off + self.overall.cost_off
        return not off and not self.unpriced.messages


@overload
def compare_with_history(
    rows: AsyncIterable[SentRow], rates: RateTable, *, tolerance: Decimal = _SHOWN
) -> Coroutine[Any, Any, Comparison]: ...
@overload
def compare_with_history(
    rows: Iterable[SentRow], rates: RateTable, *, tolerance: Decimal = _SHOWN
) -> Comparison: ...
def compare_with_history(
    rows: Iterable[SentRow] | AsyncIterable[SentRow],
    rates: RateTable,
    *,
    tolerance: Decimal = _SHOWN,
) -> Comparison | Coroutine[Any, Any, Comparison]:
    """Compare what the rows of a history were charged with what `rates` say, in constant memory.

    Args:
        rows: Those of `get_sms_history` with rates of `send_sms_message`, or those of
            `a2p_get_sms_history` with rates of `a2p_send_sms`; async rows are awaited.
        rates: What messages cost.
        tolerance: How much the cost of one message may differ and still agree. The default is what
            rounding to four decimals may lose.

    Raises:
        InvalidRequest: the rates are those of the other send.
    """
    stream = _Stream(rates, tolerance)
    return feed(rows, stream.add, stream.comparison)


class _Stream:
    """A comparison that takes its rows one by one."""

    def __init__(self, rates: RateTable, tolerance: Decimal) -> None:
        self._rates = rates
        self._tolerance = tolerance
        self._by_group: defaultdict[str, Compared] = defaultdict(Compared)
        self._unpriced = _NO_MESSAGES
        self._received = 0

    def add(self, row: SentRow) -> None:
        self._check(row)
        if isinstance(row, SmsHistory) and row.direction == Direction.IN:
            self._received += 1
            return
        rate = _find_rate(row, self._rates)
        charged = Tally(1, row.fragments, row.cost)
        if rate is None:
            self._unpriced += charged
            return
        fragments = _predict_fragments(row)
        off = EXACT.subtract(row.cost, rate.cost(row.fragments)).copy_abs() > self._tolerance
        self._by_group[rate.group] += Compared(
            predicted=Tally(1, fragments, rate.cost(fragments)),
            charged=charged,
            fragments_off=fragments != row.fragments,
            cost_off=off,
        )

    def _check(self, row: SentRow) -> None:
        """Refuse rates of the other send: every message would differ."""
        method = "send_sms_message" if isinstance(row, SmsHistory) else "a2p_send_sms"
        if method != self._rates.method:
            problem = f"are those of {self._rates.method}; the rows are messages of {method}"
            raise InvalidRequest("compare_with_history", (Fault("rates", problem),))

    def comparison(self) -> Comparison:
        groups = sorted(
            self._by_group.items(), key=lambda item: _count_differing(item[1]), reverse=True
        )
        return Comparison(
            currency=self._rates.currency,
            overall=sum(self._by_group.values(), Compared()),
            by_group=dict(groups),
            unpriced=self._unpriced,
            received=self._received,
        )


def _count_differing(compared: Compared) -> int:
    return compared.fragments_off + compared.cost_off


def _find_rate(row: SentRow, rates: RateTable) -> Rate | None:
    try:
        return rates.get(row.destination_number)
    except InvalidRequest:  # the service charged for it even if voxsms would refuse the number
        return None


def _predict_fragments(row: SentRow) -> int:
    """Count the text if there is one; a message of 0 fragments failed and was not delivered."""
    if not row.text or not row.fragments:
        return row.fragments
    try:
        return count_fragments(row.text)
    except InvalidText:
        return row.fragments
