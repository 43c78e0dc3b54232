"""`outbox`: mailings as a service: add, send, watch, settle, export."""

import csv
import shlex
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
import orjson
from cyclopts import App, Parameter
from cyclopts.validators import Number

from voxsms.calls.resolve import SETTLE_AFTER
from voxsms.cli import _io as io
from voxsms.cli._account import AS_ABROAD, FROM_ENVIRONMENT, Account, OfAccount, OfNumbers
from voxsms.cli._delivery import (
    AS_USUAL,
    OfDelivery,
    concluding,
    deliver,
    find_doubts,
    find_ending,
    note_doubts,
    open_outbox,
)
from voxsms.cli._errors import SENDS, Failed, Usage
from voxsms.cli._io import NO_TEXT, Json, OfText
from voxsms.cli._mailing import MessageList, OfSender, OfWay, copied
from voxsms.cli._mirror import moment, reader
from voxsms.cli._recipients import NO_FILE, Mailing, Notes, find_text
from voxsms.cli._shortening import AS_IT_IS, OfShortening
from voxsms.cli._spending import Yes, amount, confirm
from voxsms.cli.prices import METHOD_OF_WAY
from voxsms.errors import CredentialsInvalid, VoxSmsError
from voxsms.outbox import Intent, Outbox, OutboxProgress, State, run_worker
from voxsms.recipients import BadRow

_Resendable = Literal["presumed_not_sent", "unknown", "ambiguous", "refused"]
_FIELDS: Final = tuple(field.name for field in attrs.fields(Intent))
_FLAG: Final = Parameter(negative=(), show_default=False)
Where = Annotated[
    str,
    Parameter(help="The path of an outbox's file, or postgresql://user@host:5432/database."),
]
outbox: App = App(name="outbox", help="A mailing that survives crashes, on one machine or on many.")


def _shown(where: str) -> str:
    """Return the name of an outbox for a command; not a URL, which may hold a password."""
    return "URL" if "://" in where else shlex.quote(where)


def _history_settles(where: str) -> str:
    return f"The history settles that: voxsms outbox reconcile {_shown(where)}"


@outbox.command
async def add(
    where: Where,
    words: OfText = NO_TEXT,
    *,
    source: OfSender,
    to: Annotated[
        list[str] | None,
        Parameter(help="The numbers to send to.", consume_multiple=True, negative=()),
    ] = None,
    mailing: Annotated[Mailing, Parameter(name="*")] = NO_FILE,
    way: OfWay = "a2p",
    key: Annotated[
        str | None,
        Parameter(
            help="A name for this mailing: with it the same numbers can be added again after a "
            "crash without a second message. Without it each message is new.",
        ),
    ] = None,
    chunk_size: Annotated[
        int,
        Parameter(
            help="How many numbers go in one call; with fewer, fewer are in doubt after a failure."
        ),
    ] = 100,
    priority: Annotated[int, Parameter(help="Higher goes first.")] = 0,
    send_at: Annotated[
        datetime | None,
        Parameter(
            converter=reader(moment),
            help="Not before this time: 2026-11-25T14:00, in UTC unless a zone is given.",
        ),
    ] = None,
    shortening: OfShortening = AS_IT_IS,
    numbers: OfNumbers = AS_ABROAD,
    json: Json = False,
) -> None:
    """Add messages to send: TEXT --to NUMBER..., or --template TEXT --csv FILE.

    This sends nothing; an outbox file is created if it does not exist. Messages that cannot be
    sent are reported and left out; either all the others are added, or none.
    """
    if (to is None) == (mailing.csv is None):
        raise Usage("give the people: their numbers with --to, or a file of them with --csv")
    text = find_text(
        words, mailing, shortening, as_it_is="is added as written: nothing is filled in"
    )
    options: dict[str, Any] = {
        "source": source,
        "method": METHOD_OF_WAY[way],
        "chunk_size": chunk_size,
        "priority": priority,
        "send_at": send_at,
    }
    notes, lines = Notes(strict=mailing.strict), array("Q")
    async with open_outbox(where, must_exist=False) as kept:
        if mailing.csv is None:
            rows = ((text.text, number) for number in to or ())
            added = await kept.add(rows, key=key, **options, **numbers.options)
        else:
            with copied(mailing.csv) as copy:
                listed = MessageList(
                    path=mailing.csv,
                    copy=copy,
                    mailing=mailing,
                    numbers=numbers,
                    text=text,
                    shortening=shortening,
                    name=key,
                )
                added = await kept.add(_rows(listed, notes, lines), **options)
    if mailing.csv is None:
        bad = [(place + 1, fault.problem) for place, fault in added.refused]
        for place, problem in bad:
            io.complain(f"--to, value {place}: {problem}")
    else:
        for place, fault in added.refused:
            notes.add_bad(BadRow(lines[place], fault.problem))
        bad = [(row.line, row.reason) for row in notes.bad_rows]
    if json:
        refused = [{"at": place, "reason": problem} for place, problem in bad]
        io.print_json({"added": added.accepted, "repeated": added.repeated, "refused": refused})
    else:
        repeated = f", {added.repeated:,} already there" if added.repeated else ""
        io.say((f"{added.accepted:,} added", io.GOOD), repeated)
    if mailing.csv is None and bad:
        raise Failed(f"{io.number(len(bad), 'number')} refused")


def _rows(listed: MessageList, notes: Notes, lines: "array[int]") -> Iterator[Any]:
    """Return the messages of a list, and note the line of each."""
    for each in listed.messages(notes):
        lines.append(each.line)
        yield each.row


@outbox.command
async def run(
    where: Where,
    *,
    delivery: OfDelivery = AS_USUAL,
    max_cost: Annotated[
        Decimal | None,
        Parameter(
            converter=reader(amount),
            help="Stop before this run spends more than this, in the currency of the account.",
        ),
    ] = None,
    forever: Annotated[bool, _FLAG, Parameter(help="Go on waiting for more.")] = False,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Send what is pending and due; several runs may share an outbox, here and elsewhere.

    Ctrl-C finishes the calls in flight, and leaves the rest for the next run.
    """
    async with (
        account.client() as client,
        delivery.guards() as guards,
        open_outbox(where) as kept,
    ):
        sender = await client.with_budget(max_cost=max_cost) if max_cost is not None else client
        summary = await deliver(kept, sender, delivery, guards, forever=forever)
    how = "Run the same command to resume."
    with concluding(find_ending(summary, settle=_history_settles(where), how=how)):
        if json:
            io.print_json({**attrs.asdict(summary), "total": summary.total})
        else:
            io.say((f"{summary.sent:,} sent", io.GOOD), f" for {io.money(summary.cost)} in all")


@outbox.command
async def worker(
    where: Where,
    *,
    delivery: OfDelivery = AS_USUAL,
    until_done: Annotated[
        bool, _FLAG, Parameter(help="End when nothing is due, instead of waiting for more.")
    ] = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Send what is added to an outbox in PostgreSQL, until Ctrl-C or SIGTERM.

    Workers may run on several machines. They also settle what is in doubt, and read statuses.
    """
    async with (
        account.client() as client,
        delivery.guards() as guards,
        open_outbox(where) as kept,
    ):
        words = f"sending what is added to {kept.place}; Ctrl-C finishes the calls in flight"
        io.err().print(words, soft_wrap=True)
        await run_worker(
            kept,
            client,
            concurrency=delivery.concurrency,
            rate=delivery.rate,
            guards=guards,
            wait=not until_done,
        )
        doubts = note_doubts(await kept.summary()) if until_done else None
    if doubts:
        doubts.add_note(_history_settles(where))
        raise doubts


@outbox.command
async def status(
    where: Where, *, json: Json = False, account: OfAccount = FROM_ENVIRONMENT
) -> None:
    """Show how many messages are in each state, their cost, and the speed of sending.

    The estimate needs the account's prices; without an account the rest is shown.
    """
    async with open_outbox(where) as kept:
        now = await kept.progress()
        left = now.pending + now.sending
        estimate = await _Estimate.of(kept, account, now) if left else _Estimate(now.cost)
    if json:
        facts = {**attrs.asdict(now), "total": now.total, **attrs.asdict(estimate)}
        io.print_json({name: value for name, value in facts.items() if name != "stopped"})
    else:
        _print_status(now, estimate)


@attrs.frozen
class _Estimate:
    """What a whole mailing costs."""

    estimated_cost: Decimal | None = None
    """Including what was spent; None if the prices are not known."""
    currency: str = ""
    problem: str | None = None

    @classmethod
    async def of(cls, kept: Outbox, account: Account, now: OutboxProgress) -> "_Estimate":
        """Estimate what is left, by the account's prices."""
        cost, currency, unpriced = now.cost, "", 0
        try:
            async with account.client() as client:
                for method in METHOD_OF_WAY.values():
                    found = await kept.estimate(await client.rates(method))
                    cost, currency = cost + found.cost, found.currency
                    unpriced += found.unpriced
        except CredentialsInvalid:
            return cls(problem="the prices of the account are not known: no credentials")
        except VoxSmsError as error:
            return cls(problem=str(error))
        if unpriced:
            return cls(cost, currency, f"no price is known for {io.number(unpriced, 'message')}")
        return cls(cost, currency)


def _print_status(now: OutboxProgress, estimate: _Estimate) -> None:
    table = io.Rows("state", "messages", right=("messages",))
    styles = {State.SENT: io.GOOD, State.UNKNOWN: io.BAD, State.AMBIGUOUS: io.BAD}
    for state in State:
        if count := getattr(now, state.value):
            table.add(state.value.replace("_", " "), f"{count:,}", style=styles.get(state))
    io.out().print(table if table.row_count else "no messages")
    cost = io.money(now.cost, estimate.currency)
    if estimate.estimated_cost is not None and estimate.estimated_cost != now.cost:
        least = "at least " if estimate.problem else ""
        cost += f" of {least}{io.money(estimate.estimated_cost, estimate.currency)}"
    problem = f"  ({estimate.problem})" if estimate.problem else ""
    io.say((f"cost so far {cost}", io.ACCENT), problem)
    if now.per_second:
        left = f", {timedelta(seconds=round(now.seconds_left))} left" if now.seconds_left else ""
        io.say(f"{now.per_second:,.1f} messages/s in the last minute{left}")


@outbox.command
async def reconcile(
    where: Where,
    *,
    settle_after: Annotated[
        int,
        Parameter(
            help="Minutes after which a message that the history does not have is presumed not "
            "sent.",
            validator=Number(gte=0),
        ),
    ] = int(SETTLE_AFTER.total_seconds() // 60),
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Settle what is in doubt by the history, and read delivery statuses and costs from it.

    Exit status 3 as long as something is in doubt.
    """
    async with account.client() as client, open_outbox(where) as kept:
        settled = await kept.reconcile(client, settle_after=timedelta(minutes=settle_after))
        tracked = await kept.track(client)
        now = await kept.summary()
    if doubts := find_doubts(now):
        if settled.open:
            doubts.add_note(f"Ask again in {timedelta(seconds=round(settled.wait))}.")
        if now.ambiguous:
            where = _shown(where)
            doubts.add_note(f"See them: voxsms outbox export {where} - --state ambiguous")
        SENDS.get().conclude(doubts)
    if json:
        statuses = {"statuses_read": tracked.changed, "statuses_open": tracked.open}
        io.print_json({**attrs.asdict(settled), **statuses})
    else:
        io.say(
            (f"{settled.sent:,} found", io.GOOD),
            f", {settled.presumed_not_sent:,} presumed not sent, {settled.ambiguous:,} ambiguous; "
            f"{tracked.changed:,} statuses read",
        )
    if doubts:
        raise doubts


@outbox.command
async def export(
    where: Where,
    path: Annotated[
        Path,
        Parameter(
            allow_leading_hyphen=True,
            help="A file that ends in .csv or .jsonl; or - for standard output.",
        ),
    ],
    *,
    kind: Annotated[
        Literal["csv", "jsonl"] | None,
        Parameter(
            name="--format", help="The format, if no suffix names it; by default JSON Lines."
        ),
    ] = None,
    state: Annotated[State | None, Parameter(help="Only messages in this state.")] = None,
    json: Json = False,
) -> None:
    """Write what became of each message to a file: CSV or JSON Lines."""
    suffix = "" if str(path) == "-" else path.suffix.removeprefix(".")
    written = kind or suffix or "jsonl"
    if written not in {"csv", "jsonl"}:
        raise Usage(f"{path}: ends neither in .csv nor in .jsonl; name the format with --format")
    async with open_outbox(where) as kept:
        intents = kept.intents(state)
        if str(path) == "-":
            await _write(intents, written, io.print_raw)
            return
        with io.replaced(path, "utf-8") as file:
            count = await _write(intents, written, file.write)
    if json:
        io.print_json({"messages": count, "path": str(path)})
    else:
        io.say((io.number(count, "message"), io.GOOD), f" in {path}")


class _Lines:
    """A file for `csv` that hands each line on."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write


async def _write(intents: AsyncIterator[Intent], kind: str, write: Callable[[str], object]) -> int:
    writer = csv.writer(_Lines(write))
    if kind == "csv":
        writer.writerow(_FIELDS)
    count = 0
    async for intent in intents:
        count += 1
        values = [_plain(getattr(intent, name)) for name in _FIELDS]
        if kind == "csv":
            writer.writerow(["" if value is None else value for value in values])
        else:
            write(orjson.dumps(dict(zip(_FIELDS, values, strict=True))).decode() + "\n")
    return count


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value


@outbox.command
async def resend(
    where: Where,
    *,
    state: Annotated[
        list[_Resendable] | None,
        Parameter(
            help="Messages in these states. [default: presumed_not_sent]",
            consume_multiple=True,
            negative=(),
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Mark messages to be sent again, by your decision: some may have been delivered.

    This sends nothing: the next run does. Messages in the state `sent` are never sent again.
    """
    states = state or ["presumed_not_sent"]
    async with open_outbox(where) as kept:
        now = await kept.summary()
        doubtful = sum(getattr(now, each) for each in {*states} - {"refused"})
        if doubtful and not yes:
            confirm(f"Resend {io.number(doubtful, 'message')} that may have been delivered?")
        count = await kept.resend(states)
    if json:
        io.print_json({"pending_again": count})
    else:
        io.say((io.number(count, "message"), io.GOOD), " to be sent again")
