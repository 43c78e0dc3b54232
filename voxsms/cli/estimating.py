"""`estimate`: what a mailing will take and cost, before it is sent."""

from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import App, Parameter

from voxsms.cli import show
from voxsms.cli.account import FROM_ENVIRONMENT, Account, OfAccount
from voxsms.cli.endings import Usage
from voxsms.cli.estimate_tables import print_estimate
from voxsms.cli.mailing import NO_FILE, BadRow, Mailing, estimate_file
from voxsms.cli.prices import METHODS, Way
from voxsms.cli.show import Json
from voxsms.cli.texts import NONE_YET, OfText, Words, opened
from voxsms.errors import InvalidRequest
from voxsms.pricing import Estimate, RateTable, estimate
from voxsms.text import Template


async def estimate_command(
    words: OfText = NONE_YET,
    *,
    to: Annotated[
        list[str] | None,
        Parameter(help="The numbers to send to.", consume_multiple=True, negative=()),
    ] = None,
    mailing: Annotated[Mailing, Parameter(name="*")] = NO_FILE,
    rates: Annotated[
        Path | None, Parameter(help="A file of rates that `voxsms prices --save` has kept.")
    ] = None,
    way: Annotated[
        Way, Parameter(name="--for", help="Without --rates: ask for those of this way to send.")
    ] = "a2p",
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Say what a mailing will take and cost: TEXT --to NUMBER..., or --template TEXT --csv FILE."""
    if (to is None) == (mailing.csv is None):
        raise Usage("give the recipients: their numbers with --to, or a file of them with --csv")
    if mailing.template is not None and (mailing.csv is None or words.given):
        raise Usage("--template stands for a text, and is filled in from a file: see --csv")
    text = _text(words, to) if mailing.template is None else Template(mailing.template)
    found, bad_rows = _estimate(text, to, mailing, await _rates(rates, way, account))
    if json:
        show.print_json({**attrs.asdict(found, recurse=False), "bad_rows": bad_rows})
    else:
        print_estimate(found)


def _text(words: Words, to: list[str] | None) -> str:
    return words.read() if to is None else words.read(before="--to")


def _estimate(
    text: str | Template, to: list[str] | None, mailing: Mailing, rates: RateTable
) -> tuple[Estimate, list[BadRow]]:
    if to is not None and isinstance(text, str):  # a template comes with a file
        return estimate(text, to, rates), []
    return estimate_file(mailing, text, rates)


async def _rates(file: Path | None, way: Way, account: Account) -> RateTable:
    if file is not None:
        with opened(file) as content:
            return _read(content.read(), file)
    async with account.client() as client:
        return await client.rates(METHODS[way])


def _read(content: bytes, file: Path) -> RateTable:
    try:
        return RateTable.from_json(content)
    except InvalidRequest as error:
        raise Usage(f"{file}: {'; '.join(map(str, error.faults))}") from None


def add_to(app: App) -> None:
    """Add this command to the program."""
    app.command(estimate_command, name="estimate", group=show.AT_HOME)
