"""Sending on several machines: procrastinate hands out the chunks, one job each.

When a chunk becomes pending, a job for it is deferred in the same transaction (`hand_out` in
`_postgres.py`). A job only calls `run_chunk`, so a job that runs twice, or on a worker that was
thought dead, sends nothing twice; and no job is ever retried. Chunks that a dead worker was sending
become `unknown`, those it had not begun are handed out again; both by `reconcile`.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from voxsms.calls.hooks import write_log
from voxsms.client import Client
from voxsms.errors import Fault, InvalidRequest, OutboxUnavailable
from voxsms.outbox._chunks import MARGIN, ChunkOutcome, Sender
from voxsms.outbox._guards import Guards
from voxsms.outbox._run import Failures, find_option_faults, set_rate, stop_at_signals
from voxsms.outbox._store import MAX_ID, Database
from voxsms.pricing import Budget

if TYPE_CHECKING:
    from procrastinate import Blueprint, JobContext
    from psycopg import AsyncConnection

    from voxsms.outbox._outbox import Outbox
    from voxsms.outbox._postgres import PostgresServer

_QUEUE: Final = "voxsms"
"""The prefix of the task names, too."""
_PATIENCE: Final = 1.0
"""Seconds a job waits for a slot of the rate; then one with a higher priority gets its turn."""
_PAUSE: Final = 60.0
"""Seconds until a worker that could not send tries again."""
_MAX_FAILURES: Final = 20
"""How many failures in a row pause a worker."""
_FIRST: Final = 2**31 - 1
"""The priority of the periodic tasks."""
_POLL: Final = 1.0
"""Seconds between two searches for jobs that are due."""


def hand_out(database: Database, base: int = 0, end: int = MAX_ID, delay: float = 0.0) -> None:
    """Make sure that each pending chunk has a job."""
    database.hand_out(base, end, delay)


class Jobs:
    """The tasks of a process, and what they share."""

    def __init__(self, outbox: "Outbox", client: Client | None, guards: Guards | None) -> None:
        self.stopping = anyio.Event()
        self._outbox = outbox
        self._client = client
        self._guards = guards
        self._sender: Sender | None = None
        self._opening = anyio.Lock()
        self.opened = AsyncExitStack()  # until the process ends
        self._failures = Failures(_MAX_FAILURES)
        self._paused_until = 0.0

    async def open(self) -> tuple[Client, Sender]:
        """Open the client and the outbox unless the user did."""
        async with self._opening:
            if self._client is None:
                self._client = await self.opened.enter_async_context(Client.from_env())
            if self._sender is None:
                if not self._outbox.is_open:
                    await self.opened.enter_async_context(self._outbox)
                self._sender = Sender(self._outbox, self._client, self._guards)
            return self._client, self._sender

    async def run_chunk(self, chunk_id: int) -> None:
        """Send a chunk; one that is not due or has no slot yet gets another job for later."""
        client, sender = await self.open()
        clock = client.session.clock
        begun, wait = clock.monotonic(), 0.0
        while not self.stopping.is_set():
            if (pause := self._paused_until - clock.monotonic()) > 0:
                await self.sleep(pause)
                continue
            outcome = await sender.run(chunk_id)
            self._note(outcome, clock.monotonic())
            if outcome.counts or outcome.wait is None:
                return  # it has an outcome, or was put back and thereby handed out
            wait = outcome.wait
            if clock.monotonic() - begun + wait > _PATIENCE:
                break
            await self.sleep(wait)
        await self._outbox.store.write(hand_out, chunk_id, chunk_id + 1, wait)

    def _note(self, outcome: ChunkOutcome, now: float) -> None:
        if why := self._failures.note(outcome):
            self._paused_until = now + _PAUSE
            text = "outbox: nothing is sent for the next %.0f s: %s"
            write_log(logging.WARNING, text, _PAUSE, why)

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the worker stops."""
        with anyio.move_on_after(seconds):
            await self.stopping.wait()

    async def reconcile(self, context: "JobContext", timestamp: int) -> None:  # noqa: ARG002 - of the tick
        """Settle intents in doubt, and hand out again what a dead worker had not begun."""
        from procrastinate import exceptions, jobs  # noqa: PLC0415 - of an extra

        client, _ = await self.open()
        manager = context.app.job_manager
        for job in await manager.get_stalled_jobs(queue=_QUEUE):
            with suppress(exceptions.ConnectorException):  # another worker has just done it
                await manager.finish_job(job, jobs.Status.FAILED, delete_job=False)
        await self._outbox.store.write(hand_out)
        await self._outbox.reconcile(client)

    async def track(self, context: "JobContext", timestamp: int) -> None:  # noqa: ARG002 - of the tick
        """Read delivery statuses and costs."""
        client, _ = await self.open()
        await self._outbox.track(client)

    def blueprint(self) -> "Blueprint":
        """Return the tasks."""
        from procrastinate import Blueprint  # noqa: PLC0415 - of an extra

        found = Blueprint()
        found.task(name="run_chunk", queue=_QUEUE)(self.run_chunk)
        # No `lock`: a dead worker's would block the workers that clean up after it.
        for cron, task in (("* * * * *", self.reconcile), ("*/5 * * * *", self.track)):
            name = task.__name__
            made = found.task(
                name=name,
                queue=_QUEUE,
                queueing_lock=f"{_QUEUE}-{name}",
                priority=_FIRST,
                pass_context=True,
            )(task)
            found.periodic(cron=cron)(made)
        return found


def _server(outbox: "Outbox") -> "PostgresServer":
    """Return the server of an outbox. Raise `InvalidRequest` if it is a file."""
    from voxsms.outbox._postgres import PostgresServer  # noqa: PLC0415 - of an extra

    if not isinstance(outbox.place, PostgresServer):
        problem = "is a SQLite file: send it with `run`; workers need PostgreSQL"
        raise InvalidRequest("outbox", (Fault("outbox", problem),))
    return outbox.place


def tasks(
    outbox: "Outbox", client: Client | None = None, *, guards: Guards | None = None
) -> "Blueprint":
    """Return the tasks with which your own procrastinate app sends an outbox.

    Add them with `app.add_tasks_from(voxsms.outbox.tasks(outbox, client), namespace="voxsms")`. The
    namespace must be this one: it is part of the task names for which `add` defers jobs. Their
    queue is also `voxsms`. `run_chunk` sends; `reconcile` and `track` are periodic.
    Do not use procrastinate's `retry_stalled_jobs` to send messages in doubt: it does nothing.
    Call `resend`.

    Args:
        outbox: in PostgreSQL; if it is not open, the first job opens it until the process ends.
        client: sends the messages; if None, the first job creates one with `Client.from_env()`.
        guards: who gets no message, or gets it later.

    Raises:
        InvalidRequest: the outbox is not in PostgreSQL.
    """
    _server(outbox)
    return Jobs(outbox, client, guards).blueprint()


async def run_worker(
    outbox: "Outbox",
    client: Client,
    *,
    concurrency: int = 8,
    rate: float | None = None,
    budget: Budget | None = None,
    guards: Guards | None = None,
    wait: bool = True,
    signals: bool = True,
) -> None:
    """Send what is added to an outbox in PostgreSQL, as one of any number of workers (asyncio).

    The first worker creates procrastinate's tables; messages added before that are sent, too. A
    worker that cannot send (no money, no permission, a budget reached, too many failures in a row)
    logs why and tries again every minute.

    Args:
        outbox: an open outbox.
        client: sends the messages.
        concurrency: how many calls are in flight at a time.
        rate: messages a second, for all senders of this outbox together, as in `Outbox.run`.
        budget: replaces the client's budget.
        guards: who gets no message, or gets it later.
        wait: wait for more; False ends when nothing is due.
        signals: finish the calls in flight and end at SIGINT and SIGTERM.

    Raises:
        InvalidRequest: an argument is not valid, or the outbox is not in PostgreSQL.
        OutboxUnavailable: the database cannot be used; the calls in flight have ended.
    """
    server = _server(outbox)
    if faults := find_option_faults(concurrency=concurrency, rate=rate):
        raise InvalidRequest("run_worker", tuple(faults))
    from procrastinate import App, PsycopgConnector, exceptions, worker  # noqa: PLC0415 - of an extra

    failures: tuple[type[Exception], ...] = (exceptions.ConnectorException, *server.failures)
    sender = client if budget is None else client.with_options(budget=budget)
    jobs = Jobs(outbox, sender, guards)

    class Worker(worker.Worker):
        """A worker whose jobs stop waiting when it stops, and that knows if it was asked to."""

        is_lost = False

        def stop(self) -> None:
            self.is_lost = not jobs.stopping.is_set()
            jobs.stopping.set()
            super().stop()  # type: ignore[no-untyped-call] # as procrastinate has it

    if rate is not None:
        await outbox.store.write(set_rate, rate)
    await outbox.store.write(server.prepare_engine)
    app = App(
        connector=PsycopgConnector(
            conninfo=server.url, min_size=1, max_size=4, configure=_spare_disk
        )
    )
    app.add_tasks_from(jobs.blueprint(), namespace=_QUEUE)
    try:
        async with app.open_async():
            working = Worker(
                app,
                queues=[_QUEUE],
                name="voxsms",
                concurrency=concurrency,
                wait=wait,
                fetch_job_polling_interval=_POLL,
                shutdown_graceful_timeout=client.session.options.deadline + MARGIN,
                delete_jobs="successful",
                install_signal_handlers=False,
            )

            def stop() -> None:
                jobs.stopping.set()
                working.stop()

            running: asyncio.Future[None] = asyncio.ensure_future(
                working.run()  # type: ignore[no-untyped-call] # the same
            )
            await _wait(running, stop, signals=signals)
        running.result()
    except failures as error:
        raise OutboxUnavailable(server.explain(error.__cause__ or error)) from None
    if working.is_lost:
        raise OutboxUnavailable(f"{server}: the connection was lost; calls in flight have ended")


async def _spare_disk(connection: "AsyncConnection[Any]") -> None:
    """Let procrastinate not wait for the disk: the outbox records what a job does."""
    await connection.execute("SET synchronous_commit = off")
    await connection.commit()


async def _wait(
    running: asyncio.Future[None], stop: Callable[[], object], *, signals: bool
) -> None:
    """Wait until a worker has ended; if this is cancelled, stop it and wait for calls in flight."""
    async with stop_at_signals(lambda _: stop(), enabled=signals):
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            stop()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([running])
            raise
