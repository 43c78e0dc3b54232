"""An estimate as tables, and as a line of JSON."""

import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Final

from voxsms.cli import show
from voxsms.pricing import Estimate, Tally

_MOST_ROWS: Final = 12
"""Rows of a table; the rest matter less, for the first ones are the largest."""


def print_estimate(found: Estimate) -> None:
    """Print what a mailing takes and costs, by group and by fragments, and what stands out."""
    fragments = show.number(found.fragments, "fragment")
    show.say(
        (show.money(found.cost, found.currency), show.ACCENT),
        f" for {show.number(found.messages, 'message')} of {fragments} together",
    )
    if found.unsure:
        least, most = (show.money(cost) for cost in (found.least_cost, found.most_cost))
        unsure = show.number(found.unsure, "message")
        show.say(f"between {least} and {most}: the service may cut {unsure} in more than one way")
    _print_unpriced(found)
    unit = found.currency
    _print_tallies("price group", found.by_group.items(), unit)
    by_fragments = ((str(n), tally) for n, tally in found.by_fragments.items())
    _print_tallies("fragments of a message", by_fragments, unit)
    by_character = ((_named(char), tally) for char, tally in found.pushed_by_character.items())
    _print_tallies("made longer by a character", by_character, unit, further=True)
    _print_tallies("made longer by a field", found.pushed_by_field.items(), unit, further=True)


def _print_unpriced(found: Estimate) -> None:
    if not found.unpriced:
        return
    prefixes = found.unpriced_prefixes.items()
    named = ", ".join(f"{prefix}... ({n:,})" for prefix, n in islice(prefixes, _MOST_ROWS))
    more = ", ..." if len(prefixes) > _MOST_ROWS else ""
    unpriced = show.number(found.unpriced, "message")
    show.say((f"no price is known for {unpriced}", show.BAD), f", to {named}{more}")


def _print_tallies(
    title: str, tallies: Iterable[tuple[str, Tally]], currency: str, *, further: bool = False
) -> None:
    """Print a table; one of what is further lists what there would not be otherwise."""
    rows = list(tallies)
    if not rows:
        return
    fragments = "further fragments" if further else "all fragments"
    figures = ("messages", fragments, f"{'for ' if further else 'cost in '}{currency}")
    table = show.rows_of(title, *figures, right=figures)
    for name, tally in rows[:_MOST_ROWS]:
        cells = (f"{tally.messages:,}", f"{tally.fragments:,}", show.money(tally.cost))
        table.add_row(show.visible(name), *cells)
    show.say()
    show.out().print(table)
    if len(rows) > _MOST_ROWS:
        show.say(f"and {len(rows) - _MOST_ROWS:,} more")


def _named(char: str) -> str:
    return f"{char}  {unicodedata.name(char, f'U+{ord(char):04X}')}"
