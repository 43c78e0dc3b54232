"""Where an outbox is stored: a SQLite file or a PostgreSQL database, used in a worker thread.

Steps that tasks write at the same time share a transaction: one task commits those of the others
with its own, so that one `fsync` serves them all. So a step is a plain function of the database
that may run again, alone, if another step of the transaction failed.
"""

import re
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, cast

import anyio
import attrs
from anyio import to_thread

from voxsms._sqlite import connect_private
from voxsms.api.wire import describe_type
from voxsms.clock import Clock
from voxsms.errors import Fault, InvalidRequest, OutboxUnavailable
from voxsms.outbox import _sql as sql

P = ParamSpec("P")
T = TypeVar("T")
Row = tuple[Any, ...]

MAX_ID: Final = 2**63 - 1
LOCK_TIMEOUT: Final = 30.0
"""Seconds to wait while another process writes."""
_MAX_TRIES: Final = 5
_APPLICATION_ID: Final = 0x564F5853
"""In the header of a SQLite file: marks it as an outbox."""
_TOKEN = re.compile(r"\b(?:NOW|LOCKED|ROWS|ID_KEY)\b")


class Database(ABC):
    """A connection, and how its kind of database writes the tokens of `_sql.py`."""

    tokens: Mapping[str, str]
    column: str
    marker = r":\1"
    failures: tuple[type[Exception], ...]
    """The exceptions that it raises."""
    is_of_one_thread = False
    """Whether a caller's connection may be used in the caller's thread only."""
    reserves_ids = False
    """Whether ids from `allocate` are never returned again, even after a rollback."""

    def __init__(self) -> None:
        self._rendered: dict[str, str] = {}

    def all(self, statement: str, **values: object) -> list[Row]:
        """Run a statement and return its rows."""
        return list(self.execute(self._render(statement), values).fetchall())

    def change(self, statement: str, **values: object) -> int:
        """Run a statement and return how many rows it wrote."""
        return int(self.execute(self._render(statement), values).rowcount)

    def _render(self, statement: str) -> str:
        found = self._rendered.get(statement)
        if found is None:
            text = _TOKEN.sub(lambda token: self.tokens[token[0]], statement)
            text = re.sub(r"\$(\d)", self.column, text)
            found = self._rendered[statement] = re.sub(r"(?<!:):([a-z_]+)", self.marker, text)
        return found

    @abstractmethod
    def execute(self, statement: str, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a cursor
        """Run a statement as the database reads it."""

    @abstractmethod
    def begin(self, *, durable: bool) -> None:
        """Begin a transaction; a `durable` one survives a power failure, not only a crash."""

    def rollback(self) -> None:
        """Roll the transaction back, if that has not happened already."""
        with suppress(*self.failures):
            self.execute("ROLLBACK", {})

    @abstractmethod
    def allocate(self, rows: int) -> tuple[int, int]:
        """Return the first id for new chunks, and the first of `rows` positions for new intents."""

    def add_intents(self, rows: str, base: int, first: int, source: str) -> int:
        """Add intents, given as JSON; return how many of them are new."""
        return self.change(sql.ADD_INTENTS, rows=rows, base=base, first=first, source=source)

    def add_pending(self, rows: str, base: int, first: int, source: str) -> int:
        """Add pending intents, in a faster way if there is one."""
        return self.add_intents(rows, base, first, source)

    @abstractmethod
    def hand_out(self, base: int = 0, end: int = MAX_ID, delay: float = 0.0) -> None:
        """Have the engine, if there is one, run the pending chunks with ids from `base` to `end`.

        It runs them when they are due, and not before `delay` seconds have passed.
        """

    @abstractmethod
    def is_passing(self, error: Exception) -> bool:
        """Return whether a retry on a new connection may succeed."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


def unfit(problem: str) -> InvalidRequest:
    """Return the error for a caller's connection that cannot be used."""
    return InvalidRequest("Outbox.add", (Fault("connection", problem),))


class Place(Protocol):
    """Where an outbox is; `str()` of it is its name in errors."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """The exceptions of the database and of connecting to it."""
        ...

    @property
    def refuses_nul(self) -> bool:
        """Whether its texts cannot have a NUL character."""
        ...

    def connect(self) -> Database:
        """Open a connection."""
        ...

    def prepare(self, database: Database) -> None:
        """Create the tables unless they exist. Raises `OutboxUnavailable`."""
        ...

    def adopt(self, connection: object) -> Database:
        """Use a caller's connection. Raises `InvalidRequest` if its transaction is of no use."""
        ...

    def check(self, database: Database) -> None:
        """Raise `InvalidRequest` if a caller's connection is to another place."""
        ...

    def explain(self, error: Exception) -> str:
        """Describe an error of the database, without secrets."""
        ...


class Sqlite(Database):
    """A connection to a SQLite file."""

    tokens: Mapping[str, str] = {
        "NOW": ":now",
        "LOCKED": "",
        "ROWS": "(SELECT value FROM json_each(:rows)) AS r",
        "ID_KEY": "INTEGER PRIMARY KEY",
    }
    column = r"json_extract(r.value, '$[\1]')"
    failures = (sqlite3.Error,)
    is_of_one_thread = True

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        super().__init__()
        self._connection = connection
        self._clock = clock
        self._is_durable: bool | None = None

    def execute(self, statement: str, values: Mapping[str, object]) -> sqlite3.Cursor:
        """Run a statement as the database reads it."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, {**values, "now": self._clock.time()})

    def begin(self, *, durable: bool) -> None:
        """Begin a transaction."""
        if durable is not self._is_durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable
        self._connection.execute("BEGIN IMMEDIATE")

    def allocate(self, rows: int) -> tuple[int, int]:  # noqa: ARG002 - it has the file to itself
        """Return the first id for new chunks, and the first of `rows` positions for new intents."""
        ((chunk, position),) = self.all(sql.LAST_IDS)
        return chunk, position

    def hand_out(self, base: int = 0, end: int = MAX_ID, delay: float = 0.0) -> None:
        """Do nothing: a run of a file finds the pending chunks itself."""

    def is_passing(self, error: Exception) -> bool:  # noqa: ARG002 - of none
        """Return whether to try again: SQLite has waited already where waiting helps."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@attrs.frozen
class SqliteFile:
    """An outbox file, created if it does not exist; readable by its owner only."""

    path: Path
    clock: Clock
    failures: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    refuses_nul: bool = False

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    def connect(self) -> Sqlite:
        """Open it."""
        return Sqlite(connect_private(self.path, LOCK_TIMEOUT), self.clock)

    def prepare(self, database: Database) -> None:
        """Create the tables unless they exist.

        Raises:
            OutboxUnavailable: the file belongs to another program.
        """

        def count_tables() -> int:
            return int(database.execute("SELECT count(*) FROM sqlite_schema", {}).fetchone()[0])

        (application,) = database.execute("PRAGMA application_id", {}).fetchone()
        if count_tables() and application != _APPLICATION_ID:
            raise OutboxUnavailable(
                f"{self}: is another program's SQLite file; an outbox needs its own file"
            )
        with suppress(sqlite3.OperationalError):  # a process that opens it now does the same
            database.execute("PRAGMA journal_mode = WAL", {})
        database.begin(durable=True)
        if not count_tables():  # another process may have created them meanwhile
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}", {})
            for statement in sql.SCHEMA:
                database.change(statement, version=sql.VERSION)
        database.execute("COMMIT", {})

    def adopt(self, connection: object) -> Sqlite:
        """Use a caller's connection; begin a transaction if there is none."""
        if not isinstance(connection, sqlite3.Connection):
            raise unfit(f"is {describe_type(connection)}; it must be a sqlite3 connection")
        if not connection.in_transaction:
            # Python 3.12 has `autocommit`; if it is not set, `isolation_level` decides.
            autocommit = getattr(connection, "autocommit", -1)
            if autocommit is True or (autocommit == -1 and connection.isolation_level is None):
                raise unfit("commits each statement on its own; begin a transaction")
            connection.execute("BEGIN IMMEDIATE")
        return Sqlite(connection, self.clock)

    def check(self, database: Database) -> None:
        """Raise `InvalidRequest` if a caller's connection is to another file."""
        name = database.execute("PRAGMA database_list", {}).fetchall()[0][2]
        if not name or not self.path.samefile(name):
            raise unfit(f"is not to {self}; SQLite commits one file at a time")

    def explain(self, error: Exception) -> str:
        """Describe an error."""
        said = str(error.strerror) if isinstance(error, OSError) else str(error)
        return f"{self}: {_WORDS.get(said, said)}"


_WORDS = {
    "file is not a database": "is not a SQLite file; an outbox needs its own file",
    "database is locked": f"is locked by another program, for more than {LOCK_TIMEOUT:g} s",
    "attempt to write a readonly database": "cannot be written: it is read-only",
    "database or disk is full": "cannot be written: the disk is full",
}


@attrs.define(eq=False)
class _Step(Generic[T]):
    """A function that a task runs in the database, and its result."""

    run: Callable[[Database], T]
    durable: bool
    result: T | None = None
    error: Exception | None = None
    is_done: bool = False


AnyStep = _Step[Any]


class _Connection:
    """A connection for one thread at a time, opened when needed and again after it broke."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._database: Database | None = None

    def write(self, steps: Sequence[AnyStep]) -> None:
        """Run steps in one transaction; if that fails, each in its own."""
        with self._lock:
            if len(steps) == 1 or self._try(steps) is not None:
                for step in steps:
                    step.error = self._persist(partial(self._try, [step]))
            for step in steps:
                step.is_done = True

    def read(self, step: AnyStep) -> None:
        """Run a step that writes nothing."""
        with self._lock:
            step.error = self._persist(partial(self._look, step))

    def prepare(self) -> None:
        """Create the tables unless they exist. Raises the database's errors."""
        with self._lock:
            database = self._open()
            try:
                self._place.prepare(database)
            except BaseException:
                database.rollback()
                raise
            ((version,),) = database.all("SELECT version FROM voxsms_outbox")
            if version > sql.VERSION:
                raise OutboxUnavailable(
                    f"{self._place}: was created by a newer voxsms (its tables are of version "
                    f"{version}, this one knows {sql.VERSION}); upgrade voxsms"
                )

    def close(self) -> None:
        """Close it; it is opened again when needed."""
        with self._lock:
            self._drop()

    def _persist(self, try_: Callable[[], Exception | None]) -> Exception | None:
        for _ in range(_MAX_TRIES - 1):
            error = try_()
            if error is None or not self._may_pass(error):
                return error
        return try_()

    def _try(self, steps: Sequence[AnyStep]) -> Exception | None:
        try:
            database = self._open()
            database.begin(durable=any(step.durable for step in steps))
            try:
                results = [step.run(database) for step in steps]
                database.execute("COMMIT", {})
            except BaseException:
                database.rollback()
                raise
        except Exception as error:  # noqa: BLE001 - handed to the task whose step it is
            return error
        for step, result in zip(steps, results, strict=True):
            step.result = result
        return None

    def _look(self, step: AnyStep) -> Exception | None:
        try:
            step.result = step.run(self._open())
        except Exception as error:  # noqa: BLE001 - handed to the task whose step it is
            return error
        return None

    def _open(self) -> Database:
        if self._database is None:
            self._database = self._place.connect()
        return self._database

    def _may_pass(self, error: Exception) -> bool:
        database = self._database
        if database is None or not isinstance(error, database.failures):
            return False
        if not database.is_passing(error):
            return False
        self._drop()
        return True

    def _drop(self) -> None:
        if self._database is not None:
            with suppress(*self._database.failures):
                self._database.close()
            self._database = None


class Store:
    """An outbox's database, for the tasks of one event loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._writer = _Connection(place)
        self._reader = _Connection(place)  # long reads do not delay writes
        self._waiting: list[AnyStep] = []
        self._turn = anyio.Lock()
        self._threads = anyio.CapacityLimiter(2)  # threads of other libraries cannot delay it

    async def open(self) -> None:
        """Create the tables unless they exist.

        Raises:
            OutboxUnavailable: this is not an outbox, or it cannot be reached, read or written.
        """
        try:
            await to_thread.run_sync(self._writer.prepare, limiter=self._threads)
        except self.place.failures as error:
            await self.aclose()
            raise OutboxUnavailable(self.place.explain(error)) from None
        except BaseException:
            await self.aclose()
            raise

    async def write(
        self,
        step: Callable[Concatenate[Database, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a step in a transaction, which is committed when this returns, cancelled or not."""
        return await self._write(step, args, kwargs, durable=False)

    async def write_durably(
        self,
        step: Callable[Concatenate[Database, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do the same as `write`, and survive a power failure, too."""
        return await self._write(step, args, kwargs, durable=True)

    async def _write(
        self,
        step: Callable[..., T],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        *,
        durable: bool,
    ) -> T:
        asked = _Step(lambda database: step(database, *args, **kwargs), durable)
        with anyio.CancelScope(shield=True):
            self._waiting.append(asked)
            async with self._turn:
                if not asked.is_done:
                    steps, self._waiting = self._waiting, []
                    await to_thread.run_sync(self._writer.write, steps, limiter=self._threads)
        return self._result(asked)

    async def read(
        self,
        step: Callable[Concatenate[Database, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a step that writes nothing."""
        asked = _Step(lambda database: step(database, *args, **kwargs), durable=False)
        await to_thread.run_sync(self._reader.read, asked, limiter=self._threads)
        return self._result(asked)

    def _result(self, step: _Step[T]) -> T:
        error = step.error
        if error is None:
            return cast("T", step.result)
        if isinstance(error, self.place.failures):
            raise OutboxUnavailable(self.place.explain(error)) from None
        raise error

    async def aclose(self) -> None:
        """Close the connections."""
        with anyio.CancelScope(shield=True):
            for connection in (self._writer, self._reader):
                await to_thread.run_sync(connection.close, limiter=self._threads)
