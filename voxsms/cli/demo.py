"""`demo`: what voxsms does, in a few seconds, over real HTTP and without an account."""

from collections import Counter
from decimal import Decimal
from typing import Final, Self

import anyio
import attrs
from cyclopts import App
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from voxsms.api.spec import MAX_NUMBERS
from voxsms.cli import _io as io
from voxsms.cli._errors import Failed
from voxsms.cli._io import Json
from voxsms.cli.count import marked
from voxsms.cli.demo_figures import Figures, Leg
from voxsms.cli.numbers import table_of_numbers
from voxsms.cli.place import SandboxProcess
from voxsms.cli.send import fragments, refusals
from voxsms.client import Client
from voxsms.pricing import RateTable, Tally, estimate
from voxsms.text import segment

# Numbers that nobody has: those that Ofcom keeps for drama, and 555-01xx in North America.
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


def demo(*, json: Json = False) -> None:
    """See it work: a sandbox, 251 messages, what they cost. Needs no account and no network."""
    _end(_told(quiet=json), json=json)


def _told(*, quiet: bool) -> "Story":
    story = Story(quiet=quiet)
    story.headline("A sandbox of the service, in a process of its own")
    with SandboxProcess(SETUP) as place:
        return _ended(place, anyio.run(story.tell, place))


def _ended(place: SandboxProcess, story: "Story") -> "Story":
    """Ask the sandbox for its own word on what it delivered."""
    ledger = place.ledger()
    charged = Decimal(ledger["charged"])
    story.figures.delivered = Tally(ledger["deliveries"], ledger["fragments"], charged)
    return story


def _end(story: "Story", *, json: bool) -> None:
    if json:
        io.print_json(attrs.asdict(story.figures))
    if found := story.figures.disagreements():
        raise Failed("; ".join(["the demo's figures do not agree", *found]))
    story.end()


class Story:
    """The demo as it is told, and the figures that it comes to."""

    def __init__(self, *, quiet: bool) -> None:
        self.figures = Figures(Leg("two-way", 1), Leg("A2P", len(RECIPIENTS)), to_refuse=TO_REFUSE)
        self._console = io.out()
        self._console.quiet = quiet
        self._step = 0

    async def tell(self, place: SandboxProcess) -> Self:
        """Do it all, in order."""
        self._console.print(f"It listens on {place.url}; nothing leaves this machine.")
        async with Client(place.auth, place.url) as client:
            source = await self._numbers(client)
            rates = await client.rates("a2p_send_sms")
            self._texts(rates)
            before = await client.get_account_info()
            self.figures.before, self.figures.currency = before.balance, before.currency
            await self._send_one(client, source)
            await self._send_many(client, rates)
            await self._histories(client)
            self.figures.after = (await client.get_account_info()).balance
        return self

    def headline(self, words: str) -> None:
        """Begin the next part."""
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
        """Tell what it came to; every figure has been compared by now."""
        self.headline("What it came to")
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


def add_to(app: App) -> None:
    """Add this command to the program."""
    app.command(demo, group=io.WITHOUT_ACCOUNT)
