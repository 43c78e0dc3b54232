"""Prices and estimates: lookups a second, and a CSV of a million recipients beside its floor.

The floor reads the same file with `csv.reader` and counts the fragments of the same texts, rendered
beforehand; the estimate reads, renders, counts, prices and adds up. `python benchmarks/pricing.py`
prints two tables; the promises are a million lookups a second, a seventh of the floor's speed, and
less than 50 MB more memory.
"""

import argparse
import csv
import gc
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.pricing import RateTable, estimate_many
from voxsms.text.segments import count_fragments

_DIGITS = "0123456789"
_MAILINGS = {
    "ASCII, 1 fragment": "Hi {name}, your order {code} is on its way. Thank you for buying from us!",
    "ASCII, 1 or 2": "Hi {name}, your order {code} is on its way. " + "It comes to your door. " * 5,
    "ASCII, 2 or 3": "Hi {name}, your order {code} is on its way. "
    + "It comes to your door. " * 11,
    "curly quote, 2": "Hi {name}, we\u2019ve sent order {code} and it\u2019ll be with you. Thank you!",
    "Cyrillic, 2": "Здравствуйте, {name}! Ваш заказ {code} отправлен, ждите его у себя в пятницу.",
}
_NAMES = ("Ann", "Bob", "Maximiliana", "Zo\u00eb", "Christopher", "Li", "\u0141ukasz", "Noor")


class _Text:
    """A template as the estimate wants it, with as little of its own as can be."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.fields = ("name", "code")

    def render(self, **values: str) -> str:
        return self._text.format_map(values)


def _prefix(dice: random.Random, country: str) -> str:
    return country + "".join(dice.choices(_DIGITS, k=dice.choice((1, 2, 2, 3, 4))))


def _countries(dice: random.Random) -> list[str]:
    """Invent 220 country codes of one to three digits, none the beginning of another."""
    made = ["1", "7"]
    while len(made) < 220:
        code = str(dice.randint(20, 999))
        if not any(code.startswith(other) or other.startswith(code) for other in made):
            made.append(code)
    return made


def _rates(dice: random.Random, countries: list[str]) -> RateTable:
    """Make a table like a service's: each country, and its mobile networks by longer prefixes."""
    groups: list[PriceGroup] = []
    for index, country in enumerate(countries):
        price = Decimal(dice.randint(50, 2000)).scaleb(-4)
        mobile = tuple({_prefix(dice, country) for _ in range(8)})
        groups += (
            PriceGroup(2 * index, country, price, params=PriceGroupParams((country,))),
            PriceGroup(2 * index + 1, f"{country} mobile", price, 100, 1, PriceGroupParams(mobile)),
        )
    prices = [ResourcePrice("A2P_SMS_E212", tuple(groups))]
    return RateTable.from_resource_prices(prices, currency="USD", method="a2p_send_sms")


def _number(dice: random.Random, countries: list[str]) -> str:
    return dice.choice(countries) + "".join(dice.choices(_DIGITS, k=9))


def _write(path: Path, rows: int, dice: random.Random, countries: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for index in range(rows):
            writer.writerow((dice.choice(_NAMES), f"{index:06}", _number(dice, countries)))


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.reader(file)


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _floor(path: Path, text: str, rows: int) -> float:
    def read() -> None:
        for _ in _rows(path):
            pass

    some = [
        text.format(name=name, code=code)
        for (name, code, _), _ in zip(_rows(path), range(50_000), strict=False)
    ]

    def count() -> None:
        for rendered in some:
            count_fragments(rendered)

    return _seconds(read) + _seconds(count) * rows / len(some)


def _rendered(path: Path, text: str, rates: RateTable) -> float:
    pairs = ((text.format(name=name, code=code), to) for name, code, to in _rows(path))
    return _seconds(lambda: estimate_many(pairs, rates))


def _templated(path: Path, text: str, rates: RateTable) -> float:
    pairs = (({"name": name, "code": code}, to) for name, code, to in _rows(path))
    return _seconds(lambda: estimate_many(pairs, rates, template=_Text(text)))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _lookups(rates: RateTable, numbers: list[str]) -> float:
    def look_up() -> None:
        rate_for = rates.rate_for
        for number in numbers:
            rate_for(number)

    return len(numbers) / min(_seconds(look_up) for _ in range(7))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    given = arguments.parse_args()
    dice = random.Random(4)
    countries = _countries(dice)
    rates = _rates(dice, countries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write(path, given.rows, dice, countries)
        print(f"{given.rows:,} recipients, {len(rates.prices[0].price_groups)} price groups\n")
        print("| mailing | floor rows/s | rendered | x floor | template= | x floor | more MB |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, text in _MAILINGS.items():
            before = _peak()
            rendered = _rendered(path, text, rates)
            templated = _templated(path, text, rates)
            more = _peak() - before
            floor = _floor(path, text, given.rows)
            print(
                f"| {name} | {given.rows / floor:,.0f} | {given.rows / rendered:,.0f} "
                f"| {rendered / floor:.1f} | {given.rows / templated:,.0f} "
                f"| {templated / floor:.1f} | {more:.1f} |"
            )
    numbers = [_number(dice, countries) for _ in range(200_000)]
    print(f"\nrate_for: {_lookups(rates, numbers) / 1e6:.2f} million lookups a second")


if __name__ == "__main__":
    main()
