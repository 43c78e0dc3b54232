"""What a mailing will take and cost, before it is sent."""

from collections import Counter
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, overload

from voxsms.errors import Fault, InvalidRequest, TemplateError
from voxsms.pricing.looks import Filling, Look, Looks, text_form
from voxsms.pricing.rates import Rate, RateTable
from voxsms.pricing.streams import fed
from voxsms.pricing.tallies import Estimate, Tallies
from voxsms.text.message import Message
from voxsms.text.template import Template

OnBad = Callable[[int, InvalidRequest], object]
Row = Mapping[str, str | int]
_FAULTS_NAMED: Final = 20  # of a list that may have a million


def estimate(text: str | Message, destinations: Iterable[str], rates: RateTable) -> Estimate:
    """Say what one text to many numbers will take and cost.

    A number without a known price is counted in `unpriced`. `InvalidRequest` names the positions
    of what are no phone numbers, and a text that the send of these rates would refuse. A number
    that is given twice is counted twice.
    """
    look = Looks(rates.method).at(text)
    tallies = Tallies()
    for rate, messages in _rates_of(destinations, rates, tallies).items():
        tallies.add(look, rate, messages)
    return tallies.estimate(rates.currency, look.count.told)


def _rates_of(
    destinations: Iterable[str], rates: RateTable, tallies: Tallies
) -> Counter[Rate | None]:
    if isinstance(destinations, str):
        raise InvalidRequest("estimate", (Fault("destinations", "is a str; it must be a list"),))
    found: Counter[Rate | None] = Counter()
    faults: list[Fault] = []
    bad = 0
    for position, number in enumerate(destinations):
        try:
            rate = rates.get(number)
        except InvalidRequest as error:
            bad += 1
            if bad <= _FAULTS_NAMED:
                faults.append(Fault(f"destinations[{position}]", error.faults[0].problem))
            continue
        found[rate] += 1
        if rate is None:
            tallies.stray(number)
    if faults:
        more = [Fault("destinations", f"and {bad - _FAULTS_NAMED} more")]
        raise InvalidRequest("estimate", (*faults, *more[: bad > _FAULTS_NAMED]))
    return found


@overload
def estimate_many(
    pairs: AsyncIterable[tuple[str | Message, str]],
    rates: RateTable,
    *,
    on_bad: OnBad | None = None,
) -> Coroutine[Any, Any, Estimate]: ...
@overload
def estimate_many(
    pairs: Iterable[tuple[str | Message, str]], rates: RateTable, *, on_bad: OnBad | None = None
) -> Estimate: ...
@overload
def estimate_many(
    pairs: AsyncIterable[tuple[Row, str]],
    rates: RateTable,
    *,
    template: Template,
    on_bad: OnBad | None = None,
) -> Coroutine[Any, Any, Estimate]: ...
@overload
def estimate_many(
    pairs: Iterable[tuple[Row, str]],
    rates: RateTable,
    *,
    template: Template,
    on_bad: OnBad | None = None,
) -> Estimate: ...
def estimate_many(
    pairs: Iterable[tuple[Any, str]] | AsyncIterable[tuple[Any, str]],
    rates: RateTable,
    *,
    template: Template | None = None,
    on_bad: OnBad | None = None,
) -> Estimate | Coroutine[Any, Any, Estimate]:
    """Say what a text each to many numbers will take and cost, in constant memory.

    Args:
        pairs: (text, destination) for each recipient; iterable, or async iterable and then the
            estimate is awaited. Of messages rendered from a template the estimate also tells which
            field made them longer.
        rates: what messages cost.
        template: with it the pairs are (row, destination): quicker than rendering messages, a row
            may hold more than the fields, and one that lacks a field is a bad pair.
        on_bad: called with the position and an `InvalidRequest` for each pair that the send would
            refuse; the pair is left out and counted in `Estimate.invalid`. Without it the first is
            raised.
    """
    look = (
        Looks(rates.method).at
        if template is None
        else Filling(template, text_form(rates.method)).look_at
    )
    stream = _Stream(rates, look, on_bad)
    return fed(pairs, stream.add, stream.estimate)


class _Stream:
    """An estimate that takes one pair after another."""

    def __init__(self, rates: RateTable, look: Callable[[Any], Look], on_bad: OnBad | None) -> None:
        self._rates = rates
        self._look = look
        self._on_bad = on_bad
        self._tallies = Tallies()
        self._position = -1
        self._invalid = 0

    def add(self, pair: tuple[Any, str]) -> None:
        self._position += 1
        given, destination = pair
        try:
            look = self._look(given)
            rate = self._rates.get(destination)
        except (InvalidRequest, TemplateError) as error:
            self._leave_out(_located(self._position, error), error)
            return
        self._tallies.add(look, rate)
        if rate is None:
            self._tallies.stray(destination)

    def estimate(self) -> Estimate:
        return self._tallies.estimate(self._rates.currency, None, self._invalid)

    def _leave_out(self, located: InvalidRequest, error: Exception) -> None:
        if self._on_bad is None:
            raise located from error
        self._invalid += 1
        self._on_bad(self._position, located)


def _located(position: int, error: InvalidRequest | TemplateError) -> InvalidRequest:
    """Say in which pair, and where in it, a fault is."""
    place = f"pairs[{position}]"
    if isinstance(error, TemplateError):
        return InvalidRequest("estimate_many", (Fault(place, str(error)),))
    return InvalidRequest(
        "estimate_many",
        tuple(Fault(f"{place}.{fault.field}", fault.problem) for fault in error.faults),
    )
