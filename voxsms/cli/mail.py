"""`mail`: send a text to a file of people, and write the results to another file."""

import math
import re
import shlex
from glob import escape
from pathlib import Path
from typing import Annotated, Final

import anyio
import attrs
from cyclopts import Parameter

from voxsms.cli import _io as io
from voxsms.cli._account import AS_ABROAD, FROM_ENVIRONMENT, OfAccount, OfNumbers
from voxsms.cli._delivery import AS_USUAL, OfDelivery, concluding, deliver, find_ending, note_doubts
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import NO_TEXT, Json, OfText
from voxsms.cli._mailing import (
    Look,
    MessageList,
    OfSender,
    OfWay,
    copied,
    digest,
    held,
    is_closed,
    look,
)
from voxsms.cli._recipients import NO_FILE, Mailing, Notes, find_text
from voxsms.cli._results import Results
from voxsms.cli._shortening import AS_IT_IS, OfShortening
from voxsms.cli._spending import NO_LIMIT, OfSpending, Spending, Yes, may_charge, may_send_unpriced
from voxsms.cli.prices import METHOD_OF_WAY
from voxsms.client import Client
from voxsms.errors import ApiError, ConnectionFailed, TimedOut
from voxsms.outbox import Intent, Outbox, OutboxSummary, Reconciled
from voxsms.pricing import RateTable

_KEY: Final = re.compile(r"(mail-([0-9a-f]{8})-([0-9a-f]{8})):[0-9]+(?::[0-9]+)?")
_OUTBOX, _RESULT = ".outbox.db", ".result.csv"
_AGAIN: Final = "Run the same command to resume; nobody gets the message twice."


async def mail(
    words: OfText = NO_TEXT,
    *,
    source: OfSender,
    mailing: Annotated[Mailing, Parameter(name="*")] = NO_FILE,
    outbox: Annotated[
        str | None,
        Parameter(
            help="Where to record what was sent; by default beside the list: people.outbox.db for "
            "people.csv. Another mailing to the same list needs another name."
        ),
    ] = None,
    way: OfWay = "a2p",
    spending: OfSpending = NO_LIMIT,
    yes: Yes = False,
    delivery: OfDelivery = AS_USUAL,
    shortening: OfShortening = AS_IT_IS,
    numbers: OfNumbers = AS_ABROAD,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
) -> None:
    """Send a text to everyone in a file: --csv FILE --template TEXT --from NAME.

    You see the first texts, the bad rows and the price, and are asked before anything is sent. What
    became of each row is in people.result.csv afterwards.

    However it is stopped, the same command resumes it: nobody gets the message twice, even if you
    edit the list or the text meanwhile. The edits apply to those who are left.
    """
    if mailing.csv is None:
        raise Usage("give the people: a file of them with --csv")
    path, method = _find_outbox(mailing.csv, outbox), METHOD_OF_WAY[way]
    text = find_text(words, mailing, shortening, as_it_is="")
    said = digest(method, source, type(text).__name__, text.text, attrs.astuple(shortening))
    name = f"mail-{digest(mailing.csv.name, mailing.sheet)}-{said}"
    with held(mailing.csv), copied(mailing.csv) as copy:
        async with account.client() as client, delivery.guards() as guards:
            earlier = await _Earlier.read(path, client)
            listed = MessageList(
                path=mailing.csv,
                copy=copy,
                mailing=mailing,
                numbers=numbers,
                text=text,
                shortening=shortening,
                name=earlier.name or name,
            )
            seen = await _look(listed, client, method, earlier, strict=mailing.strict)
            other = earlier.compare(name)
            if other and (yes or not seen.estimate.messages):
                raise _other_mailing(path, other)
            if other:
                io.complain(
                    f"warning: {path} was begun with {other}",
                    "Those who were sent a message then get nothing now; the others get this one.",
                )
            if not json:
                _tell(seen, earlier, path)
            if not _may_send(seen, spending, yes=yes, json=json):
                return
            currency = seen.estimate.currency
            async with Outbox.open(path) as kept:
                await kept.cancel()  # those who are left get the current text of the current list
                rows = (each.row for each in listed.messages())
                await kept.add(rows, source=source, method=method)
                run = await deliver(kept, client, delivery, guards, currency=currency)
                settled = await _reconcile(kept, client)
                summary = attrs.evolve(await kept.summary(), stopped=run.stopped)
                note_doubts(summary)
                intents = {each.key or "": each async for each in kept.intents()}
        results, file = Results(), _results_of(path)
        results.write(file, listed, intents)
    with concluding(_find_ending(results, summary, settled, path, file)):
        if json:
            facts = {"cost": results.cost, "currency": currency, "stopped": run.stopped}
            files = {"results": str(file), "outbox": str(path)}
            io.print_json({"states": results.states, **facts, **files})
        else:
            io.say((results.describe(currency), io.ACCENT), f"; row by row in {file}")


def _find_outbox(people: Path, outbox: str | None) -> Path:
    if outbox is None:
        if str(people) == "-":
            raise Usage(
                "a list from standard input has no name: name the outbox with --outbox FILE"
            )
        return people.with_suffix(_OUTBOX)
    if "://" in outbox:
        advice = "for one on a server use `voxsms outbox add` and `voxsms outbox run`"
        raise Usage(f"--outbox: must be the path of a file; {advice}")
    return Path(outbox)


def _results_of(outbox: Path) -> Path:
    return outbox.with_name(outbox.name.removesuffix(".db").removesuffix(".outbox") + _RESULT)


# --- before anything is sent ----------------------------------------------------------------------


@attrs.frozen
class _Earlier:
    """What earlier runs of a mailing left."""

    name: str | None = None
    """The prefix of the keys of all messages that were begun; None if none were."""
    intents: dict[str, Intent] = attrs.field(factory=dict[str, Intent])

    @classmethod
    async def read(cls, path: Path, client: Client) -> "_Earlier":
        """Read it; messages in doubt are settled as far as the history allows."""
        if not await anyio.Path(path).exists():
            return cls()
        intents: dict[str, Intent] = {}
        names: set[str] = set()
        async with Outbox.open(path) as outbox:
            await _reconcile(outbox, client)
            async for intent in outbox.intents():
                found = _KEY.fullmatch(intent.key or "")
                if not found:
                    problem = "holds messages that `voxsms mail` did not add"
                    raise Usage(f"{path}: {problem}; give another --outbox")
                intents[found[0]] = intent
                if is_closed(intent):
                    names.add(found[1])
        if len(names) > 1:
            raise Usage(f"{path}: holds more than one mailing; give another --outbox")
        return cls(next(iter(names), None), intents)

    def compare(self, name: str) -> str:
        """Say how this mailing differs from the one that was begun."""
        if self.name is None:
            return ""
        before, now = self.name.split("-")[1:], name.split("-")[1:]
        parts = ("another list", "another text or sender")
        return " and ".join(
            part for part, one, other in zip(parts, before, now, strict=True) if one != other
        )


async def _reconcile(outbox: Outbox, client: Client) -> Reconciled | None:
    """Settle what is in doubt; None if the history cannot be read."""
    try:
        return await outbox.reconcile(client)
    except (ApiError, ConnectionFailed, TimedOut) as error:
        io.complain(f"warning: what is in doubt stays in doubt: {error}")
        return None


async def _look(
    listed: MessageList, client: Client, method: str, earlier: _Earlier, *, strict: bool
) -> Look:
    notes = Notes(strict=strict)
    try:
        rates, problem = await client.rates(method), None
    except ApiError as error:
        rates = RateTable.from_resource_prices((), currency="", method=method)
        problem = error
    seen = look(listed, rates, notes, earlier.intents)
    if not seen.estimate.messages and not seen.closed:
        raise Failed(f"no row can be sent: {notes.explain_no_row()}")
    return attrs.evolve(seen, no_prices=problem)


def _other_mailing(path: Path, other: str) -> Failed:
    error = Failed(f"{path}: was begun with {other}. Nothing was sent.")
    error.add_note("For a new mailing, also to people who got that one, give it --outbox NAME.db.")
    error.add_note("To send this to those who were left, run the command without --yes.")
    return error


def _tell(seen: Look, earlier: _Earlier, path: Path) -> None:
    """Show what would be sent."""
    if earlier.name is None:
        for old in sorted(path.parent.glob(f"*{_OUTBOX}")):
            if _is_without_list(old):
                io.say(
                    f"A new mailing. If the list was renamed: --outbox {old} resumes the one "
                    "that was begun under the old name."
                )
    for each in seen.first:
        fragments = io.number(each.text.segmentation.fragments_count, "fragment")
        io.say((f"line {each.line}, {fragments}: ", io.FAINT), each.text.text)
    if more := seen.estimate.messages - len(seen.first):
        io.say((f"and {more:,} more", io.FAINT))
    if seen.repeated:
        rows = io.number(seen.repeated, "row")
        io.say(f"{rows} with the same number and text as an earlier one: sent once")
    if seen.closed:
        io.say(f"{io.number(seen.closed, 'message')} of the list {_were(seen.closed)} sent before")


def _is_without_list(outbox: Path) -> bool:
    """Return whether the list of an outbox is no longer beside it."""
    stem = outbox.name.removesuffix(_OUTBOX)
    own = (_OUTBOX, f"{_OUTBOX}-wal", f"{_OUTBOX}-shm", _RESULT)
    beside = (each.name.removeprefix(stem) for each in outbox.parent.glob(f"{escape(stem)}.*"))
    return all(each in own for each in beside)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _may_send(seen: Look, spending: Spending, *, yes: bool, json: bool) -> bool:
    found = seen.estimate
    if not found.messages and not spending.dry_run:
        return True  # to write what became of the others
    fragments = f" of {io.number(found.fragments, 'fragment')}"
    size = io.number(found.messages, "message") + fragments * (found.fragments > found.messages)
    if seen.no_prices is None:
        return may_charge(found, size, spending, asks=not yes, json=json)
    return may_send_unpriced(seen.no_prices, size, spending, asks=not yes)


# --- afterwards -----------------------------------------------------------------------------------


def _find_ending(
    results: Results,
    summary: OutboxSummary,
    settled: Reconciled | None,
    path: Path,
    file: Path,
) -> BaseException | None:
    where = shlex.quote(str(path))
    settle = "The same command asks the history again"
    if settled and settled.open:
        settle += f"; after {max(1, math.ceil(settled.wait / 60))} min it can settle all of them"
    elif summary.ambiguous:
        settle = f"Check them by hand: voxsms outbox export {where} - --state ambiguous"
    if ending := find_ending(summary, settle=f"{settle}.", how=_AGAIN):
        return ending
    if count := summary.presumed_not_sent:
        error = Failed(f"the history does not have {io.number(count, 'message')}")
        error.add_note(f"To send them again: voxsms outbox resend {where}, then the same command.")
        return error
    if count := results.refused_by_service:
        return Failed(f"the service refused {io.number(count, 'message')}: {file} says why")
    return None
