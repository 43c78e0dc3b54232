"""Sending an outbox in this process: several chunks at a time, until none is left.

A run is awaited to its end, or iterated over for its progress. Between two steps of the iteration
nothing is in flight: leaving the loop leaves nothing running and nothing to close.
"""

import math
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from voxsms.client import Client
from voxsms.errors import Fault, InvalidRequest
from voxsms.outbox import _sql as sql
from voxsms.outbox._chunks import ChunkOutcome, Sender, expire
from voxsms.outbox._guards import Guards
from voxsms.outbox._states import OutboxProgress, OutboxSummary
from voxsms.outbox._store import Database

if TYPE_CHECKING:
    from voxsms.outbox._outbox import Outbox

_POLL: Final = 0.5
"""Seconds after which an idle task looks for work again."""
_SHORT: Final = 0.01
_SOON: Final = 120.0
"""Seconds a run waits for chunks that become due; it ends if the others are due later."""
_MAX_CONCURRENCY: Final = 100
_MIN_RATE: Final = 0.0001
"""Messages a second: one in three hours. A lower rate is a mistake: it would never send."""


def find_option_faults(concurrency: object, **numbers: object) -> list[Fault]:
    """Return what is wrong with the options of a run or a worker."""
    faults: list[Fault] = []
    if type(concurrency) is not int or not 1 <= concurrency <= _MAX_CONCURRENCY:
        problem = f"must be a whole number from 1 to {_MAX_CONCURRENCY}"
        faults.append(Fault("concurrency", problem))
    for name, value in numbers.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            faults.append(Fault(name, f"is {value!r}; it must be a number above 0"))
        elif name == "rate" and value < _MIN_RATE:
            faults.append(Fault(name, f"is {value!r}; it must be at least {_MIN_RATE}"))
    return faults


@attrs.frozen(kw_only=True)
class RunOptions:
    """How to run; checked by `find_faults`."""

    concurrency: int
    rate: float | None
    max_failures: int
    forever: bool
    every: float
    signals: bool
    on_progress: Callable[[OutboxProgress], object] | None

    def find_faults(self) -> list[Fault]:
        """Return what is wrong with the options."""
        faults = find_option_faults(self.concurrency, rate=self.rate, every=self.every)
        if type(self.max_failures) is not int or self.max_failures < 1:
            faults.append(Fault("max_failures", "must be a whole number of at least 1"))
        return faults


def set_rate(database: Database, rate: float) -> None:
    """Set the shared rate; infinity is no limit."""
    database.change(sql.SET_RATE, rate=None if math.isinf(rate) else float(rate))


def read_left(database: Database) -> tuple[float | None, float | None]:
    """Return the seconds until a chunk is due, and until a claim expires."""
    ((due, expires),) = database.all(sql.LEFT)
    return due, expires


class Failures:
    """Counts the calls in a row that failed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def note(self, outcome: ChunkOutcome) -> str | None:
        """Return the reason to stop after this outcome, if there is one."""
        error = outcome.error
        if error is None:
            self._count = 0 if outcome.counts else self._count
            return None
        if outcome.stops:
            return str(error)
        self._count += 1
        if self._count < self._most:
            return None
        return f"{self._count} failures in a row; the last one: {error}"


class Run:
    """A run of an outbox: `await` it for the summary, or use `async for` for its progress."""

    def __init__(
        self, outbox: "Outbox", client: Client, guards: Guards | None, options: RunOptions
    ) -> None:
        if faults := options.find_faults():
            raise InvalidRequest("Outbox.run", tuple(faults))
        self._outbox = outbox
        self._store = outbox.store
        self._clock = client.session.clock
        self._sender = Sender(outbox, client, guards)
        self._options = options
        self._failures = Failures(options.max_failures)
        self._stopped: str | None = None
        self._error: Exception | None = None
        self._is_at_end = False
        self._is_prepared = False
        self._last: tuple[float, int] | None = None
        self._naps: set[anyio.CancelScope] = set()

    def __await__(self) -> Generator[Any, None, OutboxSummary]:
        """Run to the end."""
        return self._run_to_end().__await__()

    def __aiter__(self) -> "Run":
        """Iterate over the progress: every second or so, and once more at the end."""
        return self

    async def __anext__(self) -> OutboxProgress:
        """Continue the run until the next report."""
        if self._is_at_end:
            raise StopAsyncIteration
        await self._work(self._clock.monotonic() + self._options.every)
        return await self._look()

    async def _run_to_end(self) -> OutboxSummary:
        while not self._is_at_end:
            report = self._options.on_progress
            await self._work(math.inf, report)
        summary = await self._outbox.summary()
        return attrs.evolve(summary, stopped=self._stopped)

    async def _look(self) -> OutboxProgress:
        """Return the progress."""
        summary, now = await self._outbox.summary(), self._clock.monotonic()
        done = summary.total - summary.pending - summary.sending
        before = self._last or (now, done)
        self._last = (now, done)
        passed = now - before[0]
        speed = max(0.0, (done - before[1]) / passed) if passed > 0 else 0.0
        return OutboxProgress(
            **attrs.asdict(attrs.evolve(summary, stopped=self._stopped)),
            per_second=speed,
            seconds_left=(summary.pending + summary.sending) / speed if speed else None,
        )

    async def _work(
        self, until: float, report: Callable[[OutboxProgress], object] | None = None
    ) -> None:
        """Send chunks until a time, the end or a stop; nothing is in flight when this returns."""
        if not self._is_prepared:
            if self._options.rate is not None:
                await self._store.write(set_rate, self._options.rate)
            await self._store.write(expire)
            self._last = None
            self._is_prepared = True
            await self._look()
        await self._run_senders(until, report)
        await self._finish(report)

    async def _finish(self, report: Callable[[OutboxProgress], object] | None) -> None:
        if report is not None:
            report(await self._look())
        if self._error is not None:
            raise self._error

    async def _run_senders(
        self, until: float, report: Callable[[OutboxProgress], object] | None
    ) -> None:
        """Send chunks in several tasks, until the end, a time or a signal."""
        async with stop_at_signals(self._stop, enabled=self._options.signals) as group:
            if report is not None:
                group.start_soon(self._tell, report)
            async with anyio.create_task_group() as workers:
                for _ in range(self._options.concurrency):
                    workers.start_soon(self._send, until)

    async def _tell(self, report: Callable[[OutboxProgress], object]) -> None:
        while True:
            await anyio.sleep(self._options.every)
            report(await self._look())

    async def _send(self, until: float) -> None:
        """Send one chunk after the other."""
        try:
            while not self._is_at_end and self._clock.monotonic() < until:
                outcome = await self._sender.run(None)
                if outcome.counts:
                    if why := self._failures.note(outcome):
                        self._stop(why)
                else:
                    await self._idle(outcome)
        except Exception as error:  # noqa: BLE001 - raised when the others have ended
            self._error = self._error or error
            self._end()

    def _stop(self, why: str) -> None:
        self._stopped = self._stopped or why
        self._end()

    def _end(self) -> None:
        """Begin no more chunks, and wake all tasks that wait."""
        self._is_at_end = True
        for nap in self._naps:
            nap.cancel()

    async def _idle(self, outcome: ChunkOutcome) -> None:
        """Wait if there is something to wait for; otherwise end the run."""
        if outcome.wait is not None:
            await self._nap(min(outcome.wait, _POLL))
            return
        due, expires = await self._store.read(read_left)
        if expires is not None and expires <= 0:
            await self._store.write(expire)
        elif self._options.forever or expires is not None or (due is not None and due <= _SOON):
            waits = [wait for wait in (due, expires) if wait is not None and wait > 0]
            await self._nap(max(min([_POLL, *waits]), _SHORT))
        else:
            if due is not None:
                self._stopped = self._stopped or "what is left is not due yet"
            self._end()

    async def _nap(self, seconds: float) -> None:
        """Wait until a time or the end."""
        with anyio.CancelScope() as nap:
            self._naps.add(nap)
            try:
                if not self._is_at_end:
                    await self._clock.sleep(seconds)
            finally:
                self._naps.remove(nap)


@asynccontextmanager
async def stop_at_signals(
    stop: Callable[[str], object], *, enabled: bool
) -> AsyncGenerator[TaskGroup]:
    """Call a function with the name of each SIGINT and SIGTERM.

    Yields a task group, whose tasks are cancelled at the end. Then the old handlers are restored.
    """

    async def receive(*, task_status: TaskStatus[None]) -> None:
        before = {each: signal.getsignal(each) for each in taken}
        try:
            with anyio.open_signal_receiver(*taken) as signals:
                task_status.started()
                async for each in signals:
                    stop(each.name)
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    taken = _find_free_signals() if enabled else []
    async with anyio.create_task_group() as group:
        if taken:
            await group.start(receive)
        yield group
        group.cancel_scope.cancel()


def _find_free_signals() -> list[signal.Signals]:
    """Return SIGINT and SIGTERM, unless the program handles them or they cannot be handled here."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return []
    return [each for each in (signal.SIGINT, signal.SIGTERM) if _is_free(signal.getsignal(each))]


def _is_free(handler: object) -> bool:
    if handler in {signal.SIG_DFL, signal.default_int_handler}:
        return True
    # The event loop's own handler for Ctrl-C.
    module = str(getattr(getattr(handler, "func", handler), "__module__", ""))
    return module.partition(".")[0] in {"asyncio", "trio"}
