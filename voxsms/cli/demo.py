"""`demo`: what voxsms does, in a few seconds, over real HTTP and without an account."""

import json as json_
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import anyio
import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from voxsms.api.models import A2PSmsHistory, FailedSms, SmsHistory
from voxsms.api.spec import MAX_NUMBERS
from voxsms.calls.auth import ServiceAccount
from voxsms.cli import _io as io
from voxsms.cli._errors import Exit, Failed, Usage
from voxsms.cli._io import Json
from voxsms.cli.count import marked
from voxsms.cli.numbers import table_of_numbers
from voxsms.cli.send import fragments, refusals
from voxsms.client import Client
from voxsms.pricing import RateTable, Tally, estimate
from voxsms.text import segment

# Numbers that nobody has: those that Ofcom reserves for drama, and 555-01xx in North America.
_BRITISH: Final = [f"447700900{n:03}" for n in range(150)]
_AMERICAN: Final = [f"12125550{n:03}" for n in range(100, 199)]
_NO_ROUTE: Final = "18765550142"  # Jamaica, for which the sandbox has no price
RECIPIENTS: Final = (*_BRITISH, *_AMERICAN, _NO_ROUTE)
TO_REFUSE: Final = (_AMERICAN[-1], _NO_ROUTE)
SETUP: Final = ("--refuse", f"{_AMERICAN[-1]}=385", "--dispatch-after", "0", "--deliver-after", "0")

_SENDER_ID: Final = "VOXSMS"
_PLAIN: Final = (
    "Your parcel is on its way! It's due on Friday between 9:00 and 11:00. "
    "Reply 1 to have it left with a neighbour, 2 for Saturday."
)
_CURLY: Final = _PLAIN.replace("'", "\u2019")
_EMOJI: Final = f"{_PLAIN} \U0001f4e6"
_PATIENCE: Final = 10
"""Seconds that the sandbox may take to end before it is killed."""


def demo(*, json: Json = False) -> None:
    """See it work: a sandbox, 251 messages, what they cost. Needs no account and no network."""
    story = Story(quiet=json)
    story.headline("A sandbox of the service, in a process of its own")
    with SandboxProcess(SETUP) as sandbox:
        anyio.run(story.tell, sandbox)


def _end(story: "Story", *, json: bool) -> None:
    if json:
        io.print_json(attrs.asdict(story.figures))
    if found := story.figures.disagreements():
        raise Failed("; ".join(["the demo's figures do not agree", *found]))
    story.end()


class Story:
    """The demo as it is shown, and its figures."""

    def __init__(self, *, quiet: bool) -> None:
        legs = Leg("two-way", 1), Leg("A2P", len(RECIPIENTS))
        self.figures: Figures = Figures(*legs, to_refuse=TO_REFUSE)
        self._console = io.out()
        self._console.quiet = quiet
        self._step = 0

    async def tell(self, sandbox: "SandboxProcess") -> None:
        """Run all parts, in order."""
        self._console.print(f"It listens on {sandbox.url}; nothing leaves this machine.")
        async with Client(sandbox.auth, sandbox.url) as client:
            source = await self._numbers(client)
            rates = await client.rates("a2p_send_sms")
            self._texts(rates)
            before = await client.get_account_info()
            self.figures.before, self.figures.currency = before.balance, before.currency
            await self._send_one(client, source)
            await self._send_many(client, rates)
            await self._histories(client)
            self.figures.after = (await client.get_account_info()).balance
        ledger = sandbox.ledger()  # the sandbox's own record of what it delivered
        charged = Decimal(ledger["charged"])
        self.figures.delivered = Tally(ledger["deliveries"], ledger["fragments"], charged)
        _end(self, json=self._console.quiet)

    def headline(self, words: str) -> None:
        """Print the headline of the next part."""
        self._step += 1
        self._console.print(Text(f"\n{self._step}  {words}", io.ACCENT))

    async def _numbers(self, client: Client) -> str:
        self.headline("The numbers of the account; SMS is enabled for the first")
        first = (await client.get_phone_numbers(sms_supported=True)).result[0].phone_number
        await client.control_sms(phone_number=first, command="enable")
        found = [number async for number in client.get_phone_numbers()]
        self._console.print(table_of_numbers(found))
        return first

    def _texts(self, rates: RateTable) -> None:
        self.headline(f"What a text costs, before it is sent to {len(RECIPIENTS)} numbers")
        columns = ("fragments", f"cost in {rates.currency}")
        table = io.Rows("text", "written in", *columns, right=columns)
        for text in (_PLAIN, _CURLY, _EMOJI):
            cut, priced = segment(text), estimate(text, RECIPIENTS, rates)
            self.figures.prices.append(priced.cost)
            figures = (str(cut.fragments_count), io.money(priced.cost))
            table.add(marked(text), cut.encoding, *figures)
        self._console.print(table)
        (found,) = segment(_CURLY).forced_by
        self._console.print(
            f"One curly quote ({found.char} {found.name}) doubles the price; {found.suggestion} "
            "says the same."
        )

    async def _send_one(self, client: Client, source: str) -> None:
        self.headline(f"One two-way message, from {source}")
        leg, to = self.figures.two_way, _BRITISH[0]
        sent = await client.send_sms_message(source=source, destination=to, sms_body=_PLAIN)
        leg.count(1, sent.predicted_fragments_count, sent.fragments_count)
        rates = await client.rates("send_sms_message")
        leg.estimated = estimate(_PLAIN, [to], rates).cost
        self._console.print(Text.assemble(f"message {sent.message_id} to {to}: ", *fragments(sent)))

    async def _send_many(self, client: Client, rates: RateTable) -> None:
        self.headline(f"One A2P text to {len(RECIPIENTS)} numbers, {MAX_NUMBERS} in a request")
        leg, accepted = self.figures.a2p, list[str]()
        columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, disable=self._console.quiet) as progress:
            task = progress.add_task("", total=len(RECIPIENTS))
            for start in range(0, len(RECIPIENTS), MAX_NUMBERS):
                numbers = RECIPIENTS[start : start + MAX_NUMBERS]
                sent = await client.a2p_send_sms(
                    src_number=_SENDER_ID, dst_numbers=numbers, text=_PLAIN
                )
                accepted += [message.destination_number for message in sent.result]
                leg.count(len(sent.result), sent.predicted_fragments_count, sent.fragments_count)
                leg.refused += sent.failed
                progress.advance(task, len(numbers))
        leg.estimated = estimate(_PLAIN, accepted, rates).cost
        refused = io.number(len(leg.refused), "number")
        self._console.print(f"{len(accepted)} messages accepted, {refused} refused:")
        self._console.print(refusals(leg.refused))

    async def _histories(self, client: Client) -> None:
        self.headline("Both histories, read with `async for`")
        statuses: Counter[str] = Counter()
        async for message in client.get_sms_history():
            self.figures.two_way.enter(message)
        async for row in client.a2p_get_sms_history(count=MAX_NUMBERS):
            self.figures.a2p.enter(row)
            statuses[str(row.delivery_status)] += 1
        read = f"two-way: {self.figures.two_way.history.messages}; A2P: "
        self._console.print(read + ", ".join(f"{n} {status}" for status, n in statuses.items()))

    def end(self) -> None:
        """Print the results; every figure has been compared by now."""
        self.headline("The results")
        self._console.print(self.figures.table())
        self._console.print(
            Text(
                "Every figure agrees: what was predicted, what the service answered, what the"
                " histories say, the balance, and the sandbox's own ledger.",
                io.GOOD,
            )
        )
        self._console.print(
            "\nNext: `voxsms count TEXT` for a text of yours, `voxsms sandbox` for a program."
        )


@attrs.define
class Leg:
    """The results of one of the two ways to send."""

    name: str
    asked: int
    """How many numbers the messages were addressed to."""
    accepted: int = 0
    refused: list[FailedSms] = attrs.field(factory=list)
    predicted: int = 0
    """Fragments of the accepted messages, as voxsms counted them before sending."""
    returned: int = 0
    """The same, as the service counted them."""
    estimated: Decimal = Decimal(0)
    """What the accepted messages cost, by the price list."""
    history: Tally = attrs.field(factory=Tally)
    """The accepted messages in the history."""

    def count(self, accepted: int, predicted: int, returned: int) -> None:
        """Enter one answer of the service; the fragments are those of each message."""
        self.accepted += accepted
        self.predicted += accepted * predicted
        self.returned += accepted * returned

    def enter(self, row: SmsHistory | A2PSmsHistory) -> None:
        """Enter one row of the history."""
        self.history += Tally(1, row.fragments, row.cost)

    def comparisons(self) -> Iterator[tuple[str, object, object]]:
        """Yield the figures that must be equal: a name, and the two figures."""
        answered = self.accepted + len(self.refused)
        yield "numbers asked for, and accepted or refused", self.asked, answered
        yield "fragments predicted and returned", self.predicted, self.returned
        yield "messages accepted and in the history", self.accepted, self.history.messages
        yield "fragments returned and in the history", self.returned, self.history.fragments
        yield "cost estimated and in the history", self.estimated, self.history.cost


@attrs.define
class Figures:
    """The figures of the whole demo."""

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
        """Return the pairs of figures that should be equal and are not."""
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

    def table(self) -> io.Rows:
        """Return the figures as a table."""
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


class SandboxProcess:
    """`voxsms sandbox`, run as a separate process: `with SandboxProcess(options)`.

    It ends when its standard input does. This process holds the other end, so that happens however
    this process ends: done, interrupted, crashed or killed.
    """

    url: str
    auth: ServiceAccount

    def __init__(self, options: Sequence[str]) -> None:
        self._options = options

    def __enter__(self) -> Self:
        """Start it, and return when it listens."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "credentials.json")
            self._start(file)
            try:
                self.url = self._read_line()["url"]
                self.auth = ServiceAccount.from_file(file)
            except BaseException:
                self._end()
                raise
        return self

    def _start(self, file: Path) -> None:
        always = ("--credentials-file", str(file), "--until-eof", "--json")
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            # -P, and this process's path: modules in the current folder are not imported.
            [sys.executable, "-P", "-m", "voxsms", "sandbox", *always, *self._options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C at the terminal reaches only this process, which then ends the sandbox.
            start_new_session=True,
        )

    def _read_line(self) -> Mapping[str, Any]:
        """Read the next line that it prints."""
        line = _pipe(self._process.stdout).readline()
        if not line:
            status = self._process.wait(_PATIENCE)
            kind = Usage if status == Exit.USAGE else Failed
            raise kind(f"the sandbox ended with exit status {status}")
        return cast("Mapping[str, Any]", json_.loads(line))

    def ledger(self) -> Mapping[str, Any]:
        """End it, and return what it really delivered."""
        _pipe(self._process.stdin).close()
        return self._read_line()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        with self._process as process:
            _pipe(process.stdin).close()
            try:
                process.wait(_PATIENCE)
            except BaseException as error:
                process.kill()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Return a pipe, which is never None here: `Popen` was asked for it."""
    return cast("IO[bytes]", end)
