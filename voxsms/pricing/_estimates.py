"""The fragments and the cost of a mailing, before it is sent.

Only counts are kept, by price group and number of fragments, so a mailing of any size takes the
same memory; costs are multiplied once, at the end, exactly.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar, overload

import attrs

from voxsms.api.country_codes import is_short_code
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.spec import TABLE, parameters, python_name, request_class
from voxsms.api.wire import PhoneType, TextType, WireFault, WireFaults, find_phone_fault
from voxsms.errors import Fault, InvalidRequest, TemplateError
from voxsms.pricing._rates import EXACT, Rate, RateTable, total
from voxsms.text import Cause, Count, Message, Prediction, Predictor, Template, TemplatePredictor

OnBad = Callable[[int, InvalidRequest], object]
Row = Mapping[str, str | int]
Item = TypeVar("Item")
Sum = TypeVar("Sum")
_MAX_FAULTS: Final = 20  # shown, of a list that may have a million
_MAX_ALIKE: Final = 5_000
_PREFIX: Final = 3  # digits that unpriced numbers are counted by: they show a country, no person


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
    """The fragments and the cost of a mailing, as far as prices are known."""

    currency: str
    messages: int
    """One for each recipient, including those without a price."""
    fragments: int
    """Of all messages together."""
    fragments_count: int | None
    """Of each message; None if they differ (see `by_fragments`) or there are no messages."""
    cost: Decimal
    """Of all messages that have a price."""
    least_cost: Decimal
    """The cost if the service cuts long messages into the fewest fragments possible."""
    most_cost: Decimal
    """The cost if it cuts them into the most fragments possible."""
    unsure: int
    """How many messages the service may cut in more than one way."""
    by_group: Mapping[str, Tally]
    """By price group, the most expensive first; the costs add up to `cost`."""
    by_fragments: Mapping[int, Tally]
    """By the number of fragments a message takes; adds up to all messages and `cost`."""
    unpriced: int
    """How many messages have no known price; no cost includes them."""
    unpriced_prefixes: Mapping[str, int]
    """The same by the first three digits of the number, the most frequent first."""
    short_codes: int = 0
    """How many of these go to short codes (12345), which phone number prices do not cover."""
    pushed_by_character: Mapping[str, Tally]
    """By character, the messages in which it added fragments, how many, and what those cost.

    A message with several such characters is counted for each of them.
    """
    pushed_by_field: Mapping[str, Tally]
    """The same by template field, for the field's value."""
    invalid: int = 0
    """How many pairs were left out because they cannot be sent; `on_bad` was called for each."""


class Tallies:
    """The running counts of an estimate."""

    def __init__(self) -> None:
        # Counts of like messages; there may be many kinds, so they are added up now and then.
        # Each count is a list of one item, so that a single lookup both reads and writes it.
        self._alike: dict[tuple[Rate | None, Count, tuple[Cause, ...]], list[int]] = {}
        self._counts: Counter[tuple[Rate | None, Count]] = Counter()
        self._pushed: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        self._unpriced: Counter[str] = Counter()
        self._short_codes = 0

    def add(self, found: Prediction, rate: Rate | None, messages: int = 1) -> None:
        """Count messages with one text to one price group, or to no known group."""
        alike = (rate, found.count, found.causes)
        count = self._alike.get(alike)
        if count is None:
            if len(self._alike) == _MAX_ALIKE:
                self._add_up()
            count = self._alike[alike] = [0]
        count[0] += messages

    def _add_up(self) -> None:
        for (rate, count, causes), [n] in self._alike.items():
            self._counts[rate, count] += n
            for cause in causes:
                further = count.fragments - cause.without
                cost = EXACT.subtract(
                    _cost(rate, count.fragments, n), _cost(rate, cause.without, n)
                )
                self._pushed[cause.kind, cause.name] += Tally(n, n * further, cost)
        self._alike.clear()

    def add_unpriced(self, number: str) -> None:
        """Count a number without a price by its first digits."""
        digits = digits_or_text(number)
        self._unpriced[digits[:_PREFIX]] += 1
        self._short_codes += is_short_code(digits)

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
            least_cost=total(
                _cost(rate, count.least, n) for (rate, count), n in self._counts.items()
            ),
            most_cost=total(
                _cost(rate, count.most, n) for (rate, count), n in self._counts.items()
            ),
            unsure=sum(n for (_, count), n in self._counts.items() if count.least != count.most),
            by_group=self._by_group(),
            by_fragments=by_fragments,
            unpriced=self._unpriced.total(),
            unpriced_prefixes=dict(self._unpriced.most_common()),
            short_codes=self._short_codes,
            pushed_by_character=self._pushed_by("character"),
            pushed_by_field=self._pushed_by("field"),
            invalid=invalid,
        )

    def _by_group(self) -> dict[str, Tally]:
        tallies: defaultdict[str, Tally] = defaultdict(Tally)
        for (rate, count), n in self._counts.items():
            if rate:
                tallies[rate.group] += _tally(rate, count, n)
        return dict(sorted(tallies.items(), key=lambda item: item[1].cost, reverse=True))

    def _by_fragments(self) -> dict[int, Tally]:
        tallies: defaultdict[int, Tally] = defaultdict(Tally)
        for (rate, count), n in self._counts.items():
            tallies[count.fragments] += _tally(rate, count, n)
        return dict(sorted(tallies.items()))

    def _pushed_by(self, kind: str) -> dict[str, Tally]:
        pushed = {name: tally for (of, name), tally in self._pushed.items() if of == kind}
        return dict(sorted(pushed.items(), key=lambda item: item[1].messages, reverse=True))


def _tally(rate: Rate | None, count: Count, messages: int) -> Tally:
    return Tally(messages, messages * count.fragments, _cost(rate, count.fragments, messages))


def _cost(rate: Rate | None, fragments: int, messages: int) -> Decimal:
    return rate.cost(fragments, messages) if rate else Decimal(0)


def estimate(
    text: str | Message,
    destinations: Iterable[str],
    rates: RateTable,
    *,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Estimate:
    """Return the fragments and the cost of one text to many numbers.

    A number without a known price is counted in `unpriced`. A number that is given twice is counted
    twice. `region` and `strict_numbers` are those of the client that will send.

    Raises:
        InvalidRequest: the send that the rates are for would refuse the text, or some destinations,
            which are named by their positions.
    """
    found = Predictor(_make_check(rates.method)).predict(text)
    tallies = Tallies()
    read = _make_reader("estimate", region, strict=strict_numbers)
    for rate, messages in _count_rates(destinations, rates, tallies, read).items():
        tallies.add(found, rate, messages)
    return tallies.estimate(rates.currency, found.count.fragments)


@cache
def _make_check(method: str) -> Callable[[object], str]:
    """Build a function that refuses a text as the send does, by the table of methods."""
    (spec,) = (one for one in TABLE if python_name(one.cmd) == method)
    wire_types = (one.wire_type for one in parameters(request_class(spec)).values())
    text_type = next(one for one in wire_types if isinstance(one, TextType))

    def check(given: object) -> str:
        if isinstance(given, str) and 0 < 2 * len(given) <= text_type.max_units:
            return given  # each character takes at most two code units
        try:
            return text_type.write(given)
        except WireFaults as found:
            faults = tuple(Fault("text", one.problem) for one in found.faults)
            raise InvalidRequest("estimate", faults) from None

    return check


def _count_rates(
    destinations: Iterable[str], rates: RateTable, tallies: Tallies, read: Callable[[str], str]
) -> Counter[Rate | None]:
    if isinstance(destinations, str):
        raise InvalidRequest("estimate", (Fault("destinations", "is a str; it must be a list"),))
    found: Counter[Rate | None] = Counter()
    faults: list[Fault] = []
    bad = 0
    for position, number in enumerate(destinations):
        try:
            digits = read(number)
            rate = rates.get(digits)
        except InvalidRequest as error:
            bad += 1
            if bad <= _MAX_FAULTS:
                faults.append(Fault(f"destinations[{position}]", error.faults[0].problem))
            continue
        found[rate] += 1
        if rate is None:
            tallies.add_unpriced(digits)
    if bad > _MAX_FAULTS:
        faults.append(Fault("destinations", f"and {bad - _MAX_FAULTS} more"))
    if faults:
        raise InvalidRequest("estimate", tuple(faults))
    return found


def _make_reader(subject: str, region: str | None, *, strict: bool) -> Callable[[str], str]:
    """Build a function that reads a number as a client with these options does."""
    phone = PhoneType.of(region, strict=strict)
    if phone is None:
        return lambda number: number  # `RateTable` reads it
    if fault := find_phone_fault(phone):
        raise InvalidRequest(subject, (fault,))

    def read(number: str) -> str:
        try:
            return phone.write(number)
        except WireFault as fault:
            raise InvalidRequest(subject, (Fault("destination", fault.problem),)) from None

    return read


@overload
def estimate_many(
    pairs: AsyncIterable[tuple[str | Message, str]],
    rates: RateTable,
    *,
    on_bad: OnBad | None = None,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Coroutine[Any, Any, Estimate]: ...
@overload
def estimate_many(
    pairs: Iterable[tuple[str | Message, str]],
    rates: RateTable,
    *,
    on_bad: OnBad | None = None,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Estimate: ...
@overload
def estimate_many(
    pairs: AsyncIterable[tuple[Row, str]],
    rates: RateTable,
    *,
    template: Template,
    on_bad: OnBad | None = None,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Coroutine[Any, Any, Estimate]: ...
@overload
def estimate_many(
    pairs: Iterable[tuple[Row, str]],
    rates: RateTable,
    *,
    template: Template,
    on_bad: OnBad | None = None,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Estimate: ...
def estimate_many(
    pairs: Iterable[tuple[Any, str]] | AsyncIterable[tuple[Any, str]],
    rates: RateTable,
    *,
    template: Template | None = None,
    on_bad: OnBad | None = None,
    region: str | None = None,
    strict_numbers: bool = False,
) -> Estimate | Coroutine[Any, Any, Estimate]:
    """Return the fragments and the cost of many texts, each to one number, in constant memory.

    Args:
        pairs: (text, destination) for each recipient; iterable, or async iterable: then await the
            estimate. For messages rendered from a template the estimate also shows which field made
            them longer.
        rates: What messages cost.
        template: With it the pairs are (row, destination): quicker than rendering messages; a row
            may hold more than the fields, and one that lacks a field is a bad pair.
        on_bad: Called with the position and an `InvalidRequest` for each pair that the send would
            refuse; the pair is left out and counted in `Estimate.invalid`.
        region: As for the client that will send: numbers may be in this country's national format.
        strict_numbers: As for that client: refuse impossible numbers.

    Raises:
        InvalidRequest: the first pair that the send would refuse, if there is no `on_bad`.
    """
    check = _make_check(rates.method)
    predictor = Predictor(check) if template is None else TemplatePredictor(template, check)
    read = _make_reader("estimate_many", region, strict=strict_numbers)
    stream = _Stream(rates, predictor, on_bad, read)
    return feed(pairs, stream.add, stream.estimate)


class _Stream:
    """An estimate that takes its pairs one by one."""

    def __init__(
        self,
        rates: RateTable,
        predictor: Predictor | TemplatePredictor,
        on_bad: OnBad | None,
        read: Callable[[str], str],
    ) -> None:
        self._rates = rates
        self._read = read
        self._predict: Callable[[Any], Prediction] = predictor.predict
        self._on_bad = on_bad
        self._tallies = Tallies()
        self._position = -1
        self._invalid = 0

    def add(self, pair: tuple[Any, str]) -> None:
        self._position += 1
        given, destination = pair
        try:
            found = self._predict(given)
            digits = self._read(destination)
            rate = self._rates.get(digits)
        except (InvalidRequest, TemplateError) as error:
            self._leave_out(error)
            return
        self._tallies.add(found, rate)
        if rate is None:
            self._tallies.add_unpriced(digits)

    def estimate(self) -> Estimate:
        return self._tallies.estimate(self._rates.currency, None, self._invalid)

    def _leave_out(self, error: InvalidRequest | TemplateError) -> None:
        place = f"pairs[{self._position}]"
        if isinstance(error, TemplateError):
            faults: tuple[Fault, ...] = (Fault(place, str(error)),)
        else:
            faults = tuple(Fault(f"{place}.{one.field}", one.problem) for one in error.faults)
        located = InvalidRequest("estimate_many", faults)
        if self._on_bad is None:
            raise located from error
        self._invalid += 1
        self._on_bad(self._position, located)


def feed(
    items: Iterable[Item] | AsyncIterable[Item],
    add: Callable[[Item], None],
    finish: Callable[[], Sum],
) -> Sum | Coroutine[Any, Any, Sum]:
    """Add every item and return the sum, to be awaited if the items are async."""
    if isinstance(items, AsyncIterable):
        return _feed(items, add, finish)
    for item in items:
        add(item)
    return finish()


async def _feed(
    items: AsyncIterable[Item], add: Callable[[Item], None], finish: Callable[[], Sum]
) -> Sum:
    async for item in items:
        add(item)
    return finish()
