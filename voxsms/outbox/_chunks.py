"""One chunk from `pending` to its outcome: the whole protocol, and all that an engine calls.

1. Claim the chunk (`pending -> sending`) with a slot of the shared rate, in a transaction that is
   committed before any byte leaves. A chunk that is found `sending` is never sent.
2. Ask the guards; record the recipients that they hold back.
3. Send once. The first byte leaves only if the claim is younger than the deadline, by this
   process's own clocks: a process that was frozen meanwhile sends nothing.
4. Write the outcome of every recipient, in one transaction.

If a claim is older than a send can take, no process can still be sending it: the chunk becomes
`unknown`, never `pending`. `CONSEQUENCES` says what each error leads to; the transitions are in
`_states.py`.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, Final, NamedTuple, ParamSpec

import anyio
import attrs
import orjson

from voxsms.api.codec import bare_number
from voxsms.api.fault_codes import Outcome, leaves_doubt
from voxsms.api.models import A2PSendSmsResult, SendSmsMessageResult
from voxsms.api.spec import A2P_SEND_SMS, SEND_SMS_MESSAGE, A2PSendSms, SendSmsMessage
from voxsms.calls.hooks import CallEvent, Hooks, call_hook, write_log
from voxsms.calls.loop import delay_after
from voxsms.calls.resolve import EARLY, LATE
from voxsms.client import Client
from voxsms.clock import Clock, Moment
from voxsms.errors import (
    ApiError,
    AuthenticationFailed,
    BudgetExceeded,
    CredentialsInvalid,
    InsufficientFunds,
    InvalidRequest,
    NotSent,
    OutboxUnavailable,
    OutcomeUnknown,
    PermissionDenied,
    PriceUnknown,
    RateLimited,
    SmsNotEnabled,
    VoxSmsError,
)
from voxsms.masking import mask_message
from voxsms.outbox import _sql as sql
from voxsms.outbox._guards import Guards
from voxsms.outbox._states import TRANSITIONS, Event, State, write_amount
from voxsms.outbox._store import Database

if TYPE_CHECKING:
    from voxsms.outbox._outbox import Outbox
    from voxsms.pricing import RateTable

P = ParamSpec("P")
MARGIN: Final = 5.0
"""Seconds by which the clocks of a process and of the database may diverge during a send."""
_LATELY: Final = 5.0
"""Seconds over which the speed is measured when the service limits a run without a rate."""
PATIENCE: Final = 0.25
"""Seconds a claimed chunk may wait for its slot; one that would wait longer is not claimed."""


@attrs.frozen
class Consequence:
    """What an error of a send leads to."""

    event: Event
    stops: bool = False
    """Whether the next chunk would fail in the same way."""


CONSEQUENCES: Final[Mapping[type[VoxSmsError], Consequence]] = {
    # the first that fits
    OutcomeUnknown: Consequence(Event.DOUBTED),
    NotSent: Consequence(Event.NOT_SENT),
    RateLimited: Consequence(Event.NOT_SENT),
    BudgetExceeded: Consequence(Event.NOT_SENT, stops=True),
    InsufficientFunds: Consequence(Event.NOT_SENT, stops=True),
    AuthenticationFailed: Consequence(Event.NOT_SENT, stops=True),
    PermissionDenied: Consequence(Event.NOT_SENT, stops=True),
    SmsNotEnabled: Consequence(Event.NOT_SENT, stops=True),
    CredentialsInvalid: Consequence(Event.NOT_SENT, stops=True),
    VoxSmsError: Consequence(Event.REFUSED),
}
_OF_SENDER: Final = {191, 422, 507, 528}
"""Codes that refuse the source, and so each of its chunks: a person must fix that."""


def consequence_of(error: VoxSmsError) -> Consequence:
    """Return what an error of a send leads to."""
    if isinstance(error, ApiError) and error.code in _OF_SENDER:
        return Consequence(Event.NOT_SENT, stops=True)
    if isinstance(error, BudgetExceeded) and error.limit is None:  # too many fragments
        return Consequence(Event.REFUSED)
    return next(then for kind, then in CONSEQUENCES.items() if isinstance(error, kind))


@attrs.frozen
class ChunkOutcome:
    """The result of `run_chunk`."""

    chunk_id: int | None
    """None if there is no such chunk: the transaction that adds it may not be committed yet."""
    counts: Mapping[State, int] = attrs.field(factory=dict[State, int])
    """How many of its intents are now in each state; empty if it could not be sent now."""
    wait: float | None = None
    """Seconds after which it can be run again; None if it cannot."""
    error: VoxSmsError | None = None
    """What went wrong with the call."""
    stops: bool = False
    """Whether the next chunk would fail the same way: no money, no permission, no such sender."""


@attrs.frozen
class Claim:
    """A chunk that only this task may send."""

    id: int
    number: int
    """The number of the claim: how often the chunk was begun."""
    method: str
    source: str = attrs.field(repr=False)
    text: str = attrs.field(repr=False)
    store_body: bool | None
    recipients: tuple[tuple[int, str], ...] = attrs.field(repr=False)
    """Position and phone number of each."""
    wait: float
    """Seconds until its slot of the rate."""
    at: Moment


# --- steps in the database ------------------------------------------------------------------------


def claim(
    database: Database, chunk_id: int | None, limit: float, clock: Clock
) -> "Claim | ChunkOutcome":
    """Claim a chunk, by default the next, with a slot of the rate; or return how long to wait."""
    at = Moment.now(clock)
    picked = (
        database.all(sql.PICK) if chunk_id is None else database.all(sql.PICK_BY_ID, id=chunk_id)
    )
    if not picked:
        return _wait_until_due(database, chunk_id)
    ((found, rate),) = picked
    recipients = database.all(sql.RECIPIENTS, id=found)
    wait = 0.0 if rate is None else _take_slot(database, len(recipients) / rate)
    if wait > PATIENCE:
        return ChunkOutcome(found, wait=wait - PATIENCE)
    ((method, source, text, store_body, number),) = database.all(
        sql.CLAIM, id=found, wait=wait, limit=limit + MARGIN
    )
    keeps = None if store_body is None else bool(store_body)
    people = tuple((int(position), str(number)) for position, number in recipients)
    return Claim(found, number, method, source, text, keeps, people, wait, at)


def _wait_until_due(database: Database, chunk_id: int | None) -> ChunkOutcome:
    found = [] if chunk_id is None else database.all(sql.FIND_CHUNK, id=chunk_id)
    if not found:
        return ChunkOutcome(None)
    ((state, wait),) = found
    return ChunkOutcome(chunk_id, wait=max(0.0, wait) if state == State.PENDING else None)


def _take_slot(database: Database, seconds: float) -> float:
    """Take a slot and return the seconds until then; more than `PATIENCE` means none was taken."""
    taken = database.all(sql.TAKE_SLOT, seconds=seconds, patience=PATIENCE)
    if taken:
        return max(0.0, float(taken[0][0]))
    ((wait,),) = database.all(sql.READ_WAIT)
    return max(float(wait), PATIENCE + 0.001)


class Told(NamedTuple):
    """What is known of a recipient."""

    position: int
    message_id: int | None = None
    fragments: int | None = None
    cost: str | None = None
    error_code: int | None = None
    error: str | None = None


def _write_told(database: Database, event: Event, chunk_id: int, told: Iterable[Told]) -> None:
    """Apply an event to recipients of a chunk."""
    if rows := [tuple(each) for each in told]:
        written = orjson.dumps(rows).decode()
        database.change(sql.settle_intents(event), id=chunk_id, rows=written)


def write_outcomes(
    database: Database,
    of: Claim,
    told: Mapping[Event, list[Told]],
    window: tuple[float, float] | None = None,
) -> None:
    """Write the outcome of every recipient, even if the claim has expired meanwhile."""
    since, until = window or (None, None)
    database.change(sql.SETTLE, id=of.id, claim=of.number, since=since, until=until)
    for event, rows in told.items():
        _write_told(database, event, of.id, rows)


def release(database: Database, of: Claim, delay: float) -> bool:
    """Put back a chunk of which nothing was sent; return whether this task still had the claim."""
    is_mine = bool(database.all(sql.RELEASE, id=of.id, claim=of.number, delay=delay))
    database.hand_out(of.id, of.id + 1)
    return is_mine


def move(
    database: Database,
    chunk_id: int,
    positions: Iterable[int],
    delay: float = 0.0,
    states: tuple[State, ...] = (State.PENDING,),
) -> int:
    """Move the intents that are in these states to a new chunk; return how many there were."""
    new, _ = database.allocate(0)
    database.change(sql.COPY_CHUNK, id=chunk_id, new=new, delay=delay)
    rows = orjson.dumps([[position] for position in positions]).decode()
    moved = database.change(sql.move_intents(states), id=chunk_id, new=new, rows=rows)
    database.hand_out(new, new + 1)
    return moved


def expire(database: Database) -> int:
    """Mark claims that no process can still be sending as `unknown`; return how many there were."""
    expired = database.all(sql.FIND_EXPIRED)
    why = "the process that sent it ended without recording the outcome"
    for chunk_id, number in expired:
        positions = database.all(sql.RECIPIENTS, id=chunk_id)
        _write_told(
            database, Event.EXPIRED, chunk_id, [Told(each, error=why) for each, _ in positions]
        )
        database.change(sql.SETTLE, id=chunk_id, claim=number, since=None, until=None)
    return len(expired)


def hold_back(
    database: Database, of: Claim, told: list[Told], later: Mapping[float, list[int]]
) -> None:
    """Refuse some recipients of a claim, and move others to chunks that are due later."""
    _write_told(database, Event.REFUSED, of.id, told)
    for delay, positions in later.items():
        move(database, of.id, positions, delay)


def split(database: Database, of: Claim) -> None:
    """Move each recipient of a claim to its own chunk."""
    for position, _ in of.recipients:
        move(database, of.id, [position])
    write_outcomes(database, of, {})


def slow_down(database: Database, observed: float) -> None:
    """Halve the shared rate, or the observed one if none is set."""
    database.change(sql.SLOW_DOWN, observed=observed)


# --- the protocol ---------------------------------------------------------------------------------


class Sender:
    """Sends the chunks of an outbox through a client."""

    def __init__(self, outbox: "Outbox", client: Client, guards: Guards | None = None) -> None:
        self._store = outbox.store
        self._prices = outbox.prices
        self._client = client
        self._session = client.session
        self._clock = client.session.clock
        self._limit = client.session.options.deadline
        self._guards = guards
        self._recent: deque[tuple[float, int]] = deque()

    async def run(self, chunk_id: int | None) -> ChunkOutcome:
        """Send a chunk, by default the next one."""
        found = await self._store.write_durably(claim, chunk_id, self._limit, self._clock)
        if isinstance(found, ChunkOutcome):
            return found
        watch = _Watch(self._session.hooks)
        try:
            if found.wait:
                await self._clock.sleep(found.wait)
            held, allowed = await self._ask_guards(found)
            outcome = await self._send(allowed, watch)
        except BaseException:
            # Cancelled, or a bug: record what is known about the send before raising.
            with anyio.CancelScope(shield=True), suppress(OutboxUnavailable):
                await self._abandon(found, watch)
            raise
        return attrs.evolve(outcome, counts=Counter(outcome.counts) + held) if held else outcome

    async def _ask_guards(self, of: Claim) -> tuple[Counter[State], Claim]:
        """Record the recipients that the guards hold back; return the claim of the others."""
        told: list[Told] = []
        later: dict[float, list[int]] = {}
        if guards := self._guards:
            now = self._session.service_clock.best()
            for position, number in of.recipients:
                if reason := await guards.refuse(number):
                    told.append(Told(position, error=reason))
                elif wait := guards.wait(number, now):
                    later.setdefault(wait, []).append(position)
        if not told and not later:
            return Counter(), of
        await self._store.write(hold_back, of, told, later)
        postponed = [position for positions in later.values() for position in positions]
        held = {*postponed, *(each.position for each in told)}
        left = tuple(each for each in of.recipients if each[0] not in held)
        counts = Counter({State.REFUSED: len(told), State.PENDING: len(postponed)})
        return counts, attrs.evolve(of, recipients=left)

    async def _send(self, of: Claim, watch: "_Watch") -> ChunkOutcome:
        if not of.recipients:
            await self._write(of, write_outcomes, of, {})
            return ChunkOutcome(of.id)
        prices = await self._prices.table(self._client, of.method)
        began = self._session.service_clock.now()
        try:
            result = await self._call(of, watch)
        except VoxSmsError as error:
            return await self._write_failure(of, error, began)
        self._recent.append((self._clock.monotonic(), len(of.recipients)))
        while self._recent[0][0] < self._recent[-1][0] - _LATELY:
            self._recent.popleft()
        told = read_result(of, result, prices)
        await self._write(of, write_outcomes, of, told, self._window(began))
        return ChunkOutcome(of.id, _count(told))

    async def _call(self, of: Claim, watch: "_Watch") -> A2PSendSmsResult | SendSmsMessageResult:
        limit, clock = self._limit + of.wait, self._clock
        left = limit - (clock.monotonic() - of.at.monotonic)
        options = attrs.evolve(
            self._session.options,
            deadline=max(left, 0.001),
            max_attempts=1,  # each takes a slot of the shared rate
            may_begin=lambda: of.at.is_within(limit, Moment.now(clock)),
        )
        session = self._session.with_options(options)
        session.hooks = watch.hooks
        numbers = [number for _, number in of.recipients]
        if of.method == "a2p_send_sms":
            return await session.call(
                A2P_SEND_SMS,
                A2PSendSms(
                    src_number=of.source,
                    dst_numbers=numbers,
                    text=of.text,
                    store_body=of.store_body,
                ),
            )
        return await session.call(
            SEND_SMS_MESSAGE,
            SendSmsMessage(
                source=of.source,
                destination=numbers[0],
                sms_body=of.text,
                store_body=of.store_body,
            ),
        )

    async def _write_failure(
        self, of: Claim, error: VoxSmsError, began: float | None
    ) -> ChunkOutcome:
        then, count = consequence_of(error), len(of.recipients)
        if then.event is Event.NOT_SENT:
            if isinstance(error, RateLimited):
                await self._store.write(slow_down, self._observe(count))
            delay = 0.0 if then.stops else delay_after(of.number, error, self._clock.roll())
            await self._write(of, release, of, delay)
            return ChunkOutcome(of.id, {State.PENDING: count}, delay, error, then.stops)
        if isinstance(error, InvalidRequest | PriceUnknown) and count > 1:
            await self._write(of, split, of)  # a recipient is wrong, and it is not known which
            return ChunkOutcome(of.id, {State.PENDING: count}, error=error)
        code = error.code if isinstance(error, ApiError) else None
        why = str(error)
        rows = [Told(each, error_code=code, error=why) for each, _ in of.recipients]
        await self._write(of, write_outcomes, of, {then.event: rows}, self._window(began))
        return ChunkOutcome(of.id, _count({then.event: rows}), error=error)

    def _observe(self, messages: int) -> float:
        """Return the messages sent a second in the last seconds, including these."""
        now = self._clock.monotonic()
        recent = [each for each in self._recent if each[0] > now - _LATELY]
        began = min([now, *(at for at, _ in recent)])
        return (messages + sum(count for _, count in recent)) / max(now - began, 1.0)

    def _window(self, began: float | None) -> tuple[float, float] | None:
        """Return the times at which the service may say it was sent; None if they are unknown."""
        ended = self._session.service_clock.now()
        return (
            None
            if began is None or ended is None
            else (
                began - EARLY.total_seconds(),
                ended + LATE.total_seconds(),
            )
        )

    async def _write(
        self,
        of: Claim,
        step: Callable[Concatenate[Database, P], object],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Run a step, and retry it while the claim lasts: the outcome is known only here."""
        delay = 0.05
        while True:
            try:
                await self._store.write(step, *args, **kwargs)
            except OutboxUnavailable:
                if not of.at.is_within(self._limit, Moment.now(self._clock)):
                    raise
                await self._clock.sleep(delay)
                delay = min(2 * delay, 5.0)
            else:
                return

    async def _abandon(self, of: Claim, watch: "_Watch") -> None:
        ended = watch.ended
        if ended is None or ended.outcome not in {Outcome.UNKNOWN, Outcome.ACCEPTED}:
            await self._store.write(release, of, 0.0)
        elif ended.doubt is not None:
            why = str(ended.doubt)
            rows = [Told(position, error=why) for position, _ in of.recipients]
            await self._store.write(write_outcomes, of, {Event.DOUBTED: rows})


class _Watch:
    """Records how a call ended, even if it was cancelled."""

    def __init__(self, hooks: Hooks) -> None:
        self.ended: CallEvent | None = None
        self.hooks = Hooks(hooks.on_attempt, self._note)
        self._on_outcome = hooks.on_outcome

    def _note(self, event: CallEvent) -> None:
        self.ended = event
        call_hook(self._on_outcome, event)


def read_result(
    of: Claim,
    result: A2PSendSmsResult | SendSmsMessageResult,
    prices: "RateTable | None",
) -> dict[Event, list[Told]]:
    """Return what an answer says about each recipient."""
    fragments = result.fragments_count
    costs: dict[int, str] = {}
    """The cost by rate: most recipients of a chunk have the same rate."""

    def accepted(position: int, number: str, message_id: int | None) -> Told:
        rate = prices.get(number) if prices else None
        cost = costs.get(id(rate)) if rate else None
        if rate and cost is None:
            cost = costs[id(rate)] = write_amount(rate.cost(fragments))
        return Told(position, message_id, fragments, cost)

    if isinstance(result, SendSmsMessageResult):
        ((position, number),) = of.recipients
        return {Event.ACCEPTED: [accepted(position, number, result.message_id)]}
    ids = {bare_number(one.destination_number): one.message_id for one in result.result}
    refusals = {bare_number(one.destination_number): one for one in result.failed}
    told: dict[Event, list[Told]] = {Event.ACCEPTED: [], Event.REFUSED: [], Event.DOUBTED: []}
    for position, number in of.recipients:
        if number in ids:
            told[Event.ACCEPTED].append(accepted(position, number, ids[number]))
        elif refusal := refusals.get(number):
            code, why = refusal.error_code, mask_message(refusal.error_description, [number])
            if leaves_doubt(code):
                told[Event.DOUBTED].append(Told(position, error=f"{code}: {why}"))
            else:
                told[Event.REFUSED].append(Told(position, error_code=code, error=why))
        else:
            why = "the answer does not mention this number"
            told[Event.DOUBTED].append(Told(position, error=why))
    return told


def _count(told: Mapping[Event, list[Told]]) -> dict[State, int]:
    return {TRANSITIONS[event][1]: len(rows) for event, rows in told.items() if rows}


class Prices:
    """What messages cost, asked for once; if that fails, `track` fills in the costs."""

    def __init__(self) -> None:
        self._tables: dict[str, RateTable | None] = {}
        self._lock = anyio.Lock()

    async def table(self, client: Client, method: str) -> "RateTable | None":
        """Return the prices of a send, or None if they are not available."""
        async with self._lock:
            if method not in self._tables:
                self._tables[method] = None
                try:
                    self._tables[method] = await client.rates(method)
                except VoxSmsError as error:
                    text = "outbox: no prices (%s); track fills in the costs from the history"
                    write_log(logging.WARNING, text, type(error).__name__)
            return self._tables[method]


async def run_chunk(
    outbox: "Outbox", client: Client, chunk_id: int, *, guards: Guards | None = None
) -> ChunkOutcome:
    """Send one chunk, if it is pending and due; an engine may call this any number of times.

    A chunk that was begun is never sent a second time. The outcome is returned, not raised, even if
    the call failed.

    Raises:
        OutboxUnavailable: the database cannot be used.
    """
    return await Sender(outbox, client, guards).run(chunk_id)
