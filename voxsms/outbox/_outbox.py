"""`Outbox`, the public class."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, cast

from voxsms.api.callbacks import A2PDelivery, Callback
from voxsms.api.wire import PhoneType, describe_type, find_phone_fault
from voxsms.calls.resolve import SETTLE_AFTER
from voxsms.client import Client
from voxsms.clock import Clock
from voxsms.errors import Fault, InvalidRequest
from voxsms.outbox import _reading as reading
from voxsms.outbox import _sql as sql
from voxsms.outbox._add import Key, Reader, Row, Spool, Terms, read_rows
from voxsms.outbox._chunks import Prices, expire, move
from voxsms.outbox._connections import write_within
from voxsms.outbox._guards import Guards
from voxsms.outbox._reconcile import StatusNote, note_statuses, reconcile, track
from voxsms.outbox._run import Run, RunOptions
from voxsms.outbox._states import (
    RESENDABLE,
    Added,
    Intent,
    OutboxProgress,
    OutboxSummary,
    Reconciled,
    State,
    Tracked,
)
from voxsms.outbox._store import Database, Place, SqliteFile, Store
from voxsms.pricing import Budget, Estimate, RateTable, estimate_many
from voxsms.text import Template

StateName = (
    State
    | Literal["pending", "sending", "sent", "refused", "unknown", "ambiguous", "presumed_not_sent"]
)


class Outbox:
    """A list of messages to send, with their outcomes; create one with `open`.

    .. code-block:: python

        async with voxsms.Outbox.open("mailing.db") as outbox:
            await outbox.add([("See you at six", "447700900123")], source="VOXSMS")
            summary = await outbox.run(client)

    It is a file, or tables in a PostgreSQL database that many machines share. Whenever a process is
    killed, no message is sent twice and none is lost.
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self.clock = clock
        self.place = place
        self._store: Store | None = None
        self._prices: Prices | None = None

    @classmethod
    def open(cls, where: str | PathLike[str], *, clock: Clock | None = None) -> Self:
        """Create or open an outbox: `async with Outbox.open(...) as outbox:`.

        Args:
            where: the path of a SQLite file, or `postgresql://...` (extra `postgres`).
            clock: for tests.

        Raises:
            InvalidRequest: `where` is neither.
            OutboxUnavailable: (by `async with`) it cannot be opened, and why.
        """
        clock = clock or Clock()
        try:
            return cls(_find_place(where, clock), clock)
        finally:
            del where  # error trackers record the variables of frames; it may hold a password

    @property
    def is_open(self) -> bool:
        """Whether it is open, as inside `async with`."""
        return self._store is not None

    @property
    def store(self) -> Store:
        """The database."""
        if self._store is None:
            problem = "is not open: use `async with Outbox.open(...) as outbox:`"
            raise InvalidRequest("Outbox", (Fault("outbox", problem),))
        return self._store

    @property
    def prices(self) -> Prices:
        """What messages cost."""
        if self._prices is None:
            self._prices = Prices()
        return self._prices

    async def __aenter__(self) -> Self:
        """Open the database; the tables are created if they do not exist."""
        store = Store(self.place)
        await store.open()
        self._store = store
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the database."""
        store, self._store, self._prices = self._store, None, None
        if store is not None:
            await store.aclose()

    def __repr__(self) -> str:
        """Show where it is, without a password."""
        return f"<Outbox {self.place}>"

    async def add(
        self,
        rows: Iterable[Row] | AsyncIterable[Row],
        *,
        source: str,
        method: Literal["a2p_send_sms", "send_sms_message"] = "a2p_send_sms",
        template: Template | None = None,
        key: Key = None,
        chunk_size: int = 100,
        priority: int = 0,
        send_at: datetime | None = None,
        store_body: bool | None = None,
        region: str | None = None,
        strict_numbers: bool = False,
        connection: object | None = None,
    ) -> Added:
        """Add messages to send.

        An `add` that raises or is killed adds nothing. Rows that cannot be sent are stored as
        `refused`; the others are added as `pending`.

        Args:
            rows: (text, destination) or (text, destination, key) for each; iterable or async
                iterable. With a `template`, a mapping in place of the text.
            source: a SenderID or a number of the account.
            method: which of the two sends to call.
            template: the text, filled in from the mappings.
            key: what identifies an intent: a row whose key is already there is not added, and so
                not sent again, unless that intent was refused without a code of the service (by a
                check, a guard or `cancel`). Either a function of the row; or a name for this whole
                `add`, whose rows are then identified by their positions, so that the same rows may
                be added again after a crash. Without a key, each row is a new intent.
            chunk_size: how many numbers go in one call at most; with fewer, fewer are in doubt when
                an answer is lost. `send_sms_message` takes one.
            priority: higher goes first.
            send_at: not before this time; aware.
            store_body: have the service keep the texts.
            region: accept national numbers of this country (extra `phone`).
            strict_numbers: refuse numbers that are not possible in their country.
            connection: add in the transaction of this connection, and commit nothing: if it is
                rolled back, nothing is sent. A psycopg 3 or sqlite3 connection to the database or
                file of this outbox, or a SQLAlchemy or Django session or connection over one
                (Django: `connections["default"]`).

        Raises:
            InvalidRequest: an argument is not valid, or a row has the wrong shape.
            OutboxUnavailable: the database cannot be written.
        """
        terms = Terms.of(source, method, chunk_size, priority, send_at, store_body)
        phone = PhoneType.of(region, strict=strict_numbers)
        if phone and (fault := find_phone_fault(phone)):
            raise InvalidRequest("Outbox.add", (fault,))
        reader = Reader(terms, template, key, phone, refuses_nul=self.place.refuses_nul)
        spool = Spool()
        try:
            await read_rows(rows, reader, spool.put)
            if connection is None:
                accepted = await self.store.write_durably(spool.write, terms, reader.rows)
            else:
                accepted = await write_within(
                    self.place, connection, spool.write, terms, reader.rows
                )
        finally:
            spool.close()
        return reader.added(accepted)

    def run(
        self,
        client: Client,
        *,
        concurrency: int = 8,
        rate: float | None = None,
        budget: Budget | None = None,
        guards: Guards | None = None,
        max_failures: int = 20,
        forever: bool = False,
        every: float = 1.0,
        signals: bool = True,
        on_progress: Callable[[OutboxProgress], object] | None = None,
    ) -> Run:
        """Send what is pending and due, to the end: await it, or iterate over its progress.

        .. code-block:: python

            async with voxsms.Outbox.open("mailing.db") as outbox:
                summary = await outbox.run(client)
                async for progress in outbox.run(client):
                    print(progress.sent, "sent")

        It ends when nothing is due and no call is in flight, in this process or in another. It ends
        earlier, with nothing lost (`OutboxSummary.stopped` says why), on: no money, no permission,
        a budget reached, too many failures in a row, SIGINT or SIGTERM.

        Args:
            client: sends the messages; its `deadline` is how long one call may take.
            concurrency: how many calls are in flight at a time.
            rate: messages a second, for all processes that send this outbox together; it is stored
                in the outbox. None keeps the stored rate, infinity removes it. It halves when the
                service reports too many requests, and recovers within seconds.
            budget: replaces the client's budget.
            guards: who gets no message, or gets it later.
            max_failures: how many calls in a row may fail before it stops.
            forever: go on waiting for more.
            every: seconds between two reports.
            signals: finish the calls in flight and stop at SIGINT and SIGTERM, unless the program
                has its own handlers for them.
            on_progress: called with an `OutboxProgress` at each report, while the run is awaited.

        Raises:
            InvalidRequest: an argument is not valid.
            OutboxUnavailable: the database cannot be used; the calls in flight are in doubt.
        """
        options = RunOptions(
            concurrency=concurrency,
            rate=rate,
            max_failures=max_failures,
            forever=forever,
            every=every,
            signals=signals,
            on_progress=on_progress,
        )
        sender = client if budget is None else client.with_options(budget=budget)
        return Run(self, sender, guards, options)

    async def summary(self) -> OutboxSummary:
        """Count the intents by state, and total the fragments and cost of those sent."""
        return await self.store.read(reading.read_summary)

    def intents(self, state: StateName | None = None) -> AsyncIterator[Intent]:
        """Iterate over all intents, or those in one state, in the order of their positions."""
        if state is not None and state not in [*State]:
            raise _no_state("intents", "state", state, State)
        return reading.intents(self.store, state or "")

    async def progress(self) -> OutboxProgress:
        """Return the `summary` with the speed of all senders in the last minute."""
        return await self.store.read(reading.read_progress)

    async def estimate(self, rates: RateTable) -> Estimate:
        """Estimate the cost of the messages without an outcome that the method of `rates` sends."""
        return await estimate_many(reading.pending(self.store, rates.method), rates)

    def chunks(self) -> AsyncIterator[int]:
        """Iterate over the ids of the chunks that are pending, due or not.

        For an engine of your own that calls `run_chunk` for each; it may do so any number of times.
        """
        return reading.chunks(self.store)

    async def reconcile(
        self, client: Client, *, settle_after: timedelta = SETTLE_AFTER
    ) -> Reconciled:
        """Settle `unknown` intents by the history: which were sent, and which were not.

        A message in the history matches an intent if source, number and time fit, and fragments and
        text where the history has them. As many messages as intents: all were sent. Otherwise the
        intents stay `unknown` until `settle_after`. Then fewer or more messages make them
        `ambiguous`, and none makes them `presumed_not_sent`; if this machine's clock and the
        service's disagree, a similar message within a day also makes them `ambiguous`. Call it
        again as long as the result's `open` is not 0.

        Raises:
            VoxSmsError: the history could not be read; what was settled before stays settled.
        """
        await self.store.write(expire)
        return await reconcile(self.store, client.session, settle_after)

    async def track(self, client: Client) -> Tracked:
        """Read the delivery statuses and costs of sent messages from the history.

        Two-way messages have no delivery status there: `DELIVERED` stands for success, `FAILED` for
        an error, `DISPATCHED` for waiting. A final status is never overwritten.

        Raises:
            VoxSmsError: the history could not be read.
        """
        return await track(self.store, client.session)

    async def on_callback(self, callback: Callback) -> None:
        """Store a delivery status that the service posts; a handler for `voxsms.webhooks`.

        Other kinds of callbacks, and those of messages that are not in this outbox, are ignored.
        """
        if isinstance(callback, A2PDelivery):
            told = StatusNote(callback.id, callback.status)
            await self.store.write(note_statuses, "a2p_send_sms", [told])

    async def resend(self, states: Iterable[StateName] = (State.PRESUMED_NOT_SENT,)) -> int:
        """Set the intents in these states back to `pending`, and return how many there were.

        voxsms never does this by itself. To send refused or doubtful messages again is your
        decision, so you name the states: `unknown`, `ambiguous` and `presumed_not_sent` ones may
        have been delivered.

        Raises:
            InvalidRequest: a state cannot be sent again; `sent` never can.
        """
        chosen = tuple(states) if not isinstance(states, str) else (states,)
        for state in chosen:
            if state not in RESENDABLE:
                raise _no_state("resend", "states", state, RESENDABLE)
        return await self.store.write_durably(put_back, tuple(State(each) for each in chosen))

    async def cancel(self) -> int:
        """Cancel all pending intents, and return how many there were.

        They become `refused`, and `resend` leaves them out; if one is added again with the same
        key, it is sent as added then. Calls in flight are not stopped.
        """
        return await self.store.write_durably(cancel)


def _no_state(call: str, name: str, given: object, known: Iterable[State]) -> InvalidRequest:
    listed = ", ".join(known)
    return InvalidRequest(f"Outbox.{call}", (Fault(name, f"{given!r} is not one of {listed}"),))


_NO_PATH: Final = re.compile(r"^:memory:$|^file:|://|\bpassword\s*=")
"""SQLite's special names, URLs of other databases, and libpq's alternative to a URL."""


def _find_place(where: object, clock: Clock) -> Place:
    if not isinstance(where, str | PathLike):
        problem = f"is {describe_type(where)}; it must be a path or a URL"
        raise InvalidRequest("Outbox", (Fault("where", problem),))
    text = fspath(cast("str | PathLike[str]", where))
    try:
        if text.startswith(("postgresql://", "postgres://")):
            from voxsms.outbox._postgres import PostgresServer  # noqa: PLC0415 - of an extra

            return PostgresServer.of(text)
        if not text or _NO_PATH.search(text):
            problem = "must be the path of a file, or postgresql://user@host/database"
            raise InvalidRequest("Outbox", (Fault("where", problem),))
        return SqliteFile(Path(text), clock)
    finally:
        del where, text  # error trackers record the variables of frames; they may hold a password


def put_back(database: Database, states: tuple[State, ...]) -> int:
    """Set intents back to `pending`, in new chunks in which no number occurs twice."""
    chunks: dict[tuple[int, int], list[int]] = {}
    seen: dict[int, dict[str, int]] = {}
    for position, chunk, destination in database.all(sql.find_resendable(states)):
        times = seen.setdefault(chunk, {})
        times[destination] = times.get(destination, -1) + 1
        chunks.setdefault((chunk, times[destination]), []).append(position)
    return sum(
        move(database, chunk, positions, states=states) for (chunk, _), positions in chunks.items()
    )


def cancel(database: Database) -> int:
    """Cancel pending intents; from the first statement on their chunks cannot be claimed."""
    database.change(sql.CANCEL_CHUNKS)
    return database.change(sql.CANCEL_INTENTS, error="cancelled")
