"""Prices and estimates: lookups a second, and a CSV of a million recipients beside its floor.

The floor reads the same file with `csv.reader` and counts the fragments of the same texts, which
are there already; the estimate reads, renders, counts, prices, adds up, and says what made messages
longer. It is given texts rendered with `str.format`, then rows and `template=`. "x" is how many
times the floor's time that takes, "x*" how many times the floor's with the rendering in it.

The promises: a million lookups a second, at most seven times the floor, less than 50 MB of memory
more. `python benchmarks/pricing.py` prints what is.
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
from itertools import islice
from pathlib import Path

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.pricing import RateTable, estimate_many
from voxsms.text import Template, count_fragments

_DIGITS = "0123456789"
_MAILINGS = {
    "ASCII, 1": "Hi {name}, your order {code} is on its way. Thank you for buying from us!",
    "ASCII, 1 or 2": "Hi {name}, your order {code} is on its way. " + "It comes to your door. " * 5,
    "ASCII, 2 or 3": "Hi {name}, your order {code} is on its way. "
    + "It comes to your door. " * 11,
    "curly quote, 2": "Hi {name}, we\u2019ve sent order {code}. " + "It comes to your door. " * 3,
    "Cyrillic, 2": "Здравствуйте, {name}! Ваш заказ {code} отправлен, ждите звонка в пятницу.",
}
_NAMES = (
    *(
        "Ann",
        "Bob",
        "Maximiliana",
        "Jos\u00e9",
        "Christopher",
        "Li",
        "Noor",
        "Ada",
        "Grace",
        "Linus",
    ),
    *("Guido", "Barbara", "Edsger", "Donald", "Ren\u00e9e", "Margaret", "Alan", "Tim", "Radia"),
    "\u0141ukasz",  # one recipient in twenty has a name outside GSM-7
)


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
    began = time.process_time()
    work()
    return time.process_time() - began


def _texts(path: Path, text: str) -> list[str]:
    return [text.format(name=name, code=code) for name, code, _ in islice(_rows(path), 50_000)]


def _read(path: Path) -> float:
    def read() -> None:
        for _ in _rows(path):
            pass

    return _seconds(read)


def _count(texts: list[str]) -> float:
    def count() -> None:
        for text in texts:
            count_fragments(text)

    return _seconds(count) / len(texts)


def _render(path: Path, text: str) -> float:
    rows = list(islice(_rows(path), 50_000))

    def render() -> None:
        for name, code, _ in rows:
            text.format(name=name, code=code)

    return _seconds(render) / len(rows)


def _rendered(path: Path, text: str, rates: RateTable) -> float:
    pairs = ((text.format(name=name, code=code), to) for name, code, to in _rows(path))
    return _seconds(lambda: estimate_many(pairs, rates))


def _templated(path: Path, text: str, rates: RateTable) -> float:
    template = Template(text)
    pairs = (({"name": name, "code": code}, to) for name, code, to in _rows(path))
    return _seconds(lambda: estimate_many(pairs, rates, template=template))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _compare(path: Path, text: str, rates: RateTable, rows: int, rounds: int) -> str:
    """Give a line of the table; the least of several rounds, taken in turn."""
    before = _peak()
    _templated(path, text, rates)
    more = _peak() - before
    texts = _texts(path, text)
    taken = [
        (
            _read(path) / rows + _count(texts),
            _render(path, text),
            _rendered(path, text, rates) / rows,
            _templated(path, text, rates) / rows,
        )
        for _ in range(rounds)
    ]
    floor, render, plain, templated = map(min, zip(*taken, strict=True))
    return (
        f"{1 / floor:,.0f} | {1 / plain:,.0f} | {plain / floor:.1f} "
        f"| {plain / (floor + render):.1f} | {1 / templated:,.0f} | {templated / floor:.1f} "
        f"| {templated / (floor + render):.1f} | {more:.1f}"
    )


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
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    dice = random.Random(4)  # noqa: S311 - invented numbers, the same in each run
    countries = _countries(dice)
    rates = _rates(dice, countries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write(path, given.rows, dice, countries)
        print(f"{given.rows:,} recipients, {len(rates.prices[0].price_groups)} price groups\n")
        print("| mailing, fragments | floor /s | texts /s | x | x* | rows /s | x | x* | more MB |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, text in _MAILINGS.items():
            print(f"| {name} | {_compare(path, text, rates, given.rows, given.rounds)} |")
    numbers = [_number(dice, countries) for _ in range(200_000)]
    print(f"\nrate_for: {_lookups(rates, numbers) / 1e6:.2f} million lookups a second")


if __name__ == "__main__":
    main()
