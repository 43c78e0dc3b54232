"""Checks and questions before a message is charged: `--dry-run`, `--max-cost`, `--yes`."""

import signal
import sys
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import attrs
from cyclopts import Parameter

from voxsms.api import spec
from voxsms.api.codec import write_request
from voxsms.api.spec import AnyMethod
from voxsms.api.wire import SEPARATOR
from voxsms.cli import _io as io
from voxsms.cli._account import Numbers
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._mirror import reader
from voxsms.client import Client
from voxsms.errors import ApiError
from voxsms.pricing import Estimate, estimate
from voxsms.text import count_fragments


def amount(text: str) -> Decimal:
    """Read an amount of money. Raise `ValueError` if the text is not one."""
    with suppress(InvalidOperation):
        found = Decimal(text)
        if found.is_finite() and found >= 0:
            return found
    raise ValueError("is not an amount of money, such as 25.00")


@attrs.frozen(kw_only=True)
class Spending:
    """What a send may cost."""

    dry_run: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="Send nothing: check everything, and show what it would cost.",
        ),
    ] = False
    max_cost: Annotated[
        Decimal | None,
        Parameter(
            converter=reader(amount),
            help="Send nothing if it would cost more than this, such as 25.00, in the currency of "
            "the account.",
        ),
    ] = None

    @property
    def needs_rates(self) -> bool:
        """Whether it needs to know what messages cost."""
        return self.dry_run or self.max_cost is not None


NO_LIMIT: Final = Spending()
OfSpending = Annotated[Spending, Parameter(name="*")]
"""The parameters of a command that sends."""
Yes = Annotated[
    bool,
    Parameter(
        name=("--yes", "-y"),
        negative=(),
        show_default=False,
        help="Do not ask before more than one message is charged.",
    ),
]


def check(client: Client, method: AnyMethod, given: dict[str, Any], numbers: Numbers) -> list[str]:
    """Return the digits of the numbers to send to; warn of numbers of another country.

    Raises:
        InvalidRequest: the service cannot be asked to send this.
    """
    form = write_request(method, method.request(**given), client.session.options.phone)
    to = form[method.sending.to].split(SEPARATOR) if method.sending else []
    doubtful = numbers.find_doubtful("--to value")
    for place, digits in enumerate(to, 1):
        doubtful.add(digits, place)
    if told := doubtful.describe():
        io.complain(f"warning: {told[0]}", "\n".join(told[1:]))
    return to


async def may_send(
    client: Client,
    method: AnyMethod,
    text: str,
    numbers: list[str],
    spending: Spending,
    *,
    asks: bool = False,
    json: bool,
) -> bool:
    """Return whether to send; False after a dry run, whose result has been printed.

    With `asks` the user is asked before more than one message is charged.

    Raises:
        Failed: it would cost too much, the answer to the question was no, or some messages of a
            dry run have no price.
        Usage: nobody answered.
    """
    fragments = count_fragments(text)
    asks = asks and fragments * len(numbers) > 1
    if not (asks or spending.needs_rates):
        return True
    each = f" of {fragments} fragments{' each' * (len(numbers) > 1)}" if fragments > 1 else ""
    size = f"{io.number(len(numbers), 'message')}{each}"
    try:
        rates = await client.rates(spec.python_name(method.cmd))
    except ApiError as error:
        return may_send_unpriced(error, size, spending, asks=asks)
    return may_charge(estimate(text, numbers, rates), size, spending, asks=asks, json=json)


def may_charge(found: Estimate, size: str, spending: Spending, *, asks: bool, json: bool) -> bool:
    """Return whether to send the messages of an estimate; False after a dry run.

    Raises:
        Failed: it would cost too much, the answer to the question was no, or some messages of a
            dry run have no price.
        Usage: nobody answered.
    """
    cost = _cost(found)
    if spending.max_cost is not None and (found.unpriced or found.cost > spending.max_cost):
        limit = io.money(spending.max_cost, found.currency)
        raise Failed(f"{size} would cost {cost}; --max-cost is {limit}. Nothing was sent.")
    if spending.dry_run and json:
        io.print_json(found)
    elif spending.dry_run:
        io.say(f"{size} would cost {cost}. Nothing was sent.")
    elif asks:
        confirm(f"Send {size} for {cost}?")
    if spending.dry_run:
        refuse_unpriced(found)
    return not spending.dry_run


def may_send_unpriced(why: ApiError, size: str, spending: Spending, *, asks: bool) -> bool:
    """Return whether to send when the service refused to return prices; `why` is its error.

    Raises:
        ApiError: prices are needed.
        Failed: the answer to the question was no.
        Usage: nobody answered.
    """
    if spending.needs_rates:
        raise why
    if asks:
        confirm(f"The cost is not known ({why}). Send {size}?")
    return True


def refuse_unpriced(found: Estimate) -> None:
    """Raise `Failed` if an estimate does not cover all messages."""
    if found.unpriced:
        unpriced = io.number(found.unpriced, "message")
        raise Failed(f"no price is known for {unpriced}: the total is only part of the cost")


def _cost(found: Estimate) -> str:
    cost = io.money(found.cost, found.currency)
    if not found.unpriced:
        return cost
    return f"at least {cost} (no price is known for {io.number(found.unpriced, 'number')})"


def confirm(question: str) -> None:
    """Ask the user on standard error; anything but yes is no.

    Raises:
        Failed: the answer was no.
        Usage: nobody answered, as in a script, which must pass `--yes`.
    """
    io.ask(question)
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError):  # only the main thread may, and only it is interrupted
        # asyncio's handler would go on waiting for the answer after Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = sys.stdin.readline()
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)
    if not answer:
        io.err().print()
        raise Usage("nobody answered; --yes sends without a question. Nothing was sent.")
    if answer.strip().lower() not in ("y", "yes"):
        raise Failed("Nothing was sent.")
