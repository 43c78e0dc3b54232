"""`estimate`: the size and cost of a mailing, from a line or a file, before it is sent."""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import attrs
from cyclopts import Parameter

from voxsms.api.phone_numbers import read_phone_number
from voxsms.cli import _io as io
from voxsms.cli._account import AS_ABROAD, FROM_ENVIRONMENT, Account, Numbers, OfAccount, OfNumbers
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import NO_TEXT, Json, OfText, open_file
from voxsms.cli._recipients import NO_FILE, Mailing, Notes, People, Repeats, find_text, open_list
from voxsms.cli._shortening import AS_IT_IS, OfShortening, Shortening
from voxsms.cli._spending import refuse_unpriced
from voxsms.cli.prices import METHOD_OF_WAY, Way
from voxsms.errors import InvalidRequest
from voxsms.pricing import Estimate, RateTable, Tally, estimate, estimate_many
from voxsms.text import Message, Template

_MAX_ROWS: Final = 12
"""Rows of a table; the first ones are the largest, so the others matter less."""


async def estimate_command(
    words: OfText = NO_TEXT,
    *,
    to: Annotated[
        list[str] | None,
        Parameter(help="The numbers to send to.", consume_multiple=True, negative=()),
    ] = None,
    mailing: Annotated[Mailing, Parameter(name="*")] = NO_FILE,
    rates: Annotated[
        Path | None, Parameter(help="A file of rates that `voxsms prices --save` wrote.")
    ] = None,
    way: Annotated[
        Way, Parameter(name="--for", help="Without --rates: fetch the prices of this command.")
    ] = "a2p",
    shortening: OfShortening = AS_IT_IS,
    numbers: OfNumbers = AS_ABROAD,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Show the size and cost of a mailing: TEXT --to NUMBER..., or --template TEXT --csv FILE.

    Exit status 1 if no price is known for a message: the total is then only part of the cost.
    """
    if to is None and mailing.csv is None:
        raise Usage("give the recipients: their numbers with --to, or a file of them with --csv")
    if to is not None and mailing.csv is not None:
        raise Usage("give --to or --csv, not both")
    text = find_text(
        words, mailing, shortening, as_it_is="is priced as written: nothing is filled in"
    )
    notes = Notes(strict=mailing.strict)
    table = await _rates(rates, way, account)
    if mailing.csv is not None:
        written = text.text if isinstance(text, Message) else text
        with open_list(mailing.csv, mailing, numbers, written, notes) as people:
            found = _estimate_list(people, text, table, shortening)
        found = attrs.evolve(found, invalid=notes.bad)
    else:
        found = _estimate_numbers(str(text), to or [], table, numbers, notes)
    if json:
        facts = attrs.asdict(found, recurse=False)
        bad_rows = [row._asdict() for row in notes.bad_rows]
        told = {"bad_rows": bad_rows, "repeated": notes.repeated, "warnings": notes.warnings}
        io.print_json({**facts, **told})
    elif found.messages:
        _print(found)
    if not found.messages:
        raise Failed(f"no row could be priced: {notes.explain_no_row()}")
    refuse_unpriced(found)


async def _rates(file: Path | None, way: Way, account: Account) -> RateTable:
    if file is None:
        async with account.client() as client:
            return await client.rates(METHOD_OF_WAY[way])
    with open_file(file) as content:
        try:
            return RateTable.from_json(content.read())
        except InvalidRequest as error:
            raise Usage(f"{file}: {'; '.join(map(str, error.faults))}") from None


def _estimate_numbers(
    text: str, given: list[str], rates: RateTable, numbers: Numbers, notes: Notes
) -> Estimate:
    found = estimate(text, given, rates, **numbers.options)
    repeats, doubtful = Repeats(), numbers.find_doubtful("--to value")
    for place, number in enumerate(given, 1):
        digits = read_phone_number(number, numbers.region)
        repeats.add(digits, place)
        doubtful.add(digits, place)
    for words in doubtful.describe():
        notes.warn_of_list(words)
    notes.tell_repeats(repeats, "--to: number {} is the same as number {}")
    return found


def _estimate_list(
    people: People, text: Message | Template, rates: RateTable, shortening: Shortening
) -> Estimate:
    """Estimate a text over a list, the same for all or filled in: 16 bytes of memory a row."""
    if isinstance(text, Message):
        estimate(text, (), rates)  # a problem of the text is not a problem of a row
        pairs = ((text, row.destination) for row in people)
        return estimate_many(pairs, rates, on_bad=people.leave_out)
    if shortening.asked:
        shortened = _fill_in(people, text, shortening)
        return estimate_many(shortened, rates, on_bad=people.leave_out)
    filled = ((row.values, row.destination) for row in people)
    return estimate_many(filled, rates, template=text, on_bad=people.leave_out)


def _fill_in(
    people: People, template: Template, shortening: Shortening
) -> Iterator[tuple[Message, str]]:
    for row in people:
        try:
            yield shortening.apply(template.fill(row.values)), row.destination
        except InvalidRequest as error:  # a text that cannot be sent, or cut
            people.leave_out(0, error)


def _print(found: Estimate) -> None:
    """Print the size and cost of a mailing, by group and by fragments, and what stands out."""
    messages = io.number(found.messages, "message")
    fragments = io.number(found.fragments, "fragment")
    at_least = "at least " if found.unpriced else ""
    io.say(
        (f"{at_least}{io.money(found.cost, found.currency)}", io.ACCENT),
        f" for {messages} of {fragments} together",
    )
    if found.unsure:
        least, most = (io.money(cost) for cost in (found.least_cost, found.most_cost))
        unsure = io.number(found.unsure, "message")
        io.say(
            f"{at_least}between {least} and {most}: the service may cut {unsure} in more than one "
            "way"
        )
    _print_unpriced(found)
    unit = found.currency
    _print_tallies("price group", found.by_group.items(), unit)
    by_fragments = ((str(n), tally) for n, tally in found.by_fragments.items())
    _print_tallies("fragments of a message", by_fragments, unit)
    by_character = (
        (f"{char}  {unicodedata.name(char, f'U+{ord(char):04X}')}", tally)
        for char, tally in found.pushed_by_character.items()
    )
    _print_tallies("made longer by a character", by_character, unit, further=True)
    _print_tallies("made longer by a field", found.pushed_by_field.items(), unit, further=True)


def _print_unpriced(found: Estimate) -> None:
    if not found.unpriced:
        return
    prefixes = found.unpriced_prefixes.items()
    named = ", ".join(f"{prefix}... ({n:,})" for prefix, n in islice(prefixes, _MAX_ROWS))
    more = ", ..." if len(prefixes) > _MAX_ROWS else ""
    unpriced = io.number(found.unpriced, "message")
    io.say((f"no price is known for {unpriced}", io.BAD), f", to {named}{more}")
    if found.short_codes:
        several = f"{found.short_codes:,} go to short codes"
        codes = "1 goes to a short code" if found.short_codes == 1 else several
        io.say(f"of these {codes}, such as 12345: prices are those of phone numbers")


def _print_tallies(
    title: str, tallies: Iterable[tuple[str, Tally]], currency: str, *, further: bool = False
) -> None:
    """Print a table; a `further` one counts only the fragments that its rows added."""
    rows = list(tallies)
    if not rows:
        return
    fragments = "further fragments" if further else "all fragments"
    figures = ("messages", fragments, f"{'for ' if further else 'cost in '}{currency}")
    table = io.Rows(title, *figures, right=figures)
    for name, tally in rows[:_MAX_ROWS]:
        table.add(name, f"{tally.messages:,}", f"{tally.fragments:,}", io.money(tally.cost))
    io.say()
    io.out().print(table)
    if len(rows) > _MAX_ROWS:
        io.say(f"and {len(rows) - _MAX_ROWS:,} more")
