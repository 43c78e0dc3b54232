"""An outbox in PostgreSQL, through psycopg: tables that many machines share."""

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs
import orjson
from anyio import from_thread

from voxsms.api.wire import describe_type
from voxsms.errors import Fault, InvalidRequest
from voxsms.outbox import _sql as sql
from voxsms.outbox._store import LOCK_TIMEOUT, MAX_ID, Database, unfit

try:
    import psycopg
    from psycopg import conninfo, errors
    from psycopg.pq import TransactionStatus
    from psycopg.rows import tuple_row
except ModuleNotFoundError as missing:
    need = "an outbox in PostgreSQL needs psycopg: pip install 'voxsms[postgres]'"
    raise ModuleNotFoundError(need, name=missing.name) from None

_CONNECT_TIMEOUT: Final = 10
_LOCK: Final = 0x564F5853
"""Held while the tables are created."""
_ADD_ROOM: Final = 2**32
"""Chunk ids reserved for one `add`: it need not wait for another's transaction to get its ids."""
_LOCK_POSITIONS: Final = _LOCK + 1
_DEFER_AT_ONCE: Final = 10_000
_SCHEMA: Final = (
    f"CREATE SEQUENCE voxsms_adds INCREMENT BY {_ADD_ROOM} MINVALUE 1",
    "CREATE SEQUENCE voxsms_positions MINVALUE 0",
    *sql.SCHEMA,
)
# Each may succeed the next time; the last is raised if two processes hand out the same chunk.
_PASSING: Final = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)
# Takes a block of positions without waiting for long transactions of others: by a session lock, as
# sequences are not transactional.
_TAKE_POSITIONS: Final = f"""
SELECT pg_advisory_lock({_LOCK_POSITIONS}),
    setval('voxsms_positions', nextval('voxsms_positions') + :rows - 1) - :rows + 1,
    pg_advisory_unlock({_LOCK_POSITIONS})
"""
_COPY_INTENTS: Final = """
COPY voxsms_intents (position, key, chunk, source, destination, state) FROM STDIN
"""
_BEGIN: Final = (b"BEGIN; SET LOCAL synchronous_commit = off", b"BEGIN")
_FIND_TABLES: Final = "SELECT to_regclass('voxsms_outbox')"
# Reads a table: without one PostgreSQL may answer as of before it waited for a lock.
_HAS_ENGINE: Final = """
SELECT count(*) > 0 FROM pg_type WHERE oid = to_regtype('procrastinate_job_to_defer_v1')
"""
# The function that procrastinate's `defer` calls, with jobs built from the chunks in the database.
_DEFER: Final = """
SELECT cardinality(procrastinate_defer_jobs_v1(array_agg(
    ROW(
        'voxsms', 'voxsms:run_chunk', priority, NULL, 'voxsms-chunk-' || id,
        jsonb_build_object('chunk_id', id), scheduled_at
    )::procrastinate_job_to_defer_v1 ORDER BY priority DESC, due, id
)))
FROM (
    SELECT id, priority, due,
        CASE WHEN due > 0 OR %(delay)s > 0 THEN
            greatest(to_timestamp(due), clock_timestamp() + make_interval(secs => %(delay)s))
        END AS scheduled_at
    FROM voxsms_chunks
    WHERE state = 'pending' AND id >= %(base)s AND id < %(end)s AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs
        WHERE queueing_lock = 'voxsms-chunk-' || voxsms_chunks.id AND status = 'todo'
    )
    ORDER BY priority DESC, due, id LIMIT %(limit)s
) AS chunks
"""


class Postgres(Database):
    """A connection to a PostgreSQL database."""

    tokens: Mapping[str, str] = {
        "NOW": "extract(epoch from clock_timestamp())::float8",
        "LOCKED": "FOR UPDATE SKIP LOCKED",
        "ROWS": "(SELECT value FROM json_array_elements(CAST(:rows AS json))) AS r",
        "ID_KEY": "BIGINT PRIMARY KEY",
    }
    column = r"(r.value->>\1)"
    marker = r"%(\1)s"
    failures = (psycopg.Error,)
    reserves_ids = True  # by sequences

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        super().__init__()
        self._connection = connection
        self._has_engine = False
        self._may_copy = True

    def execute(self, statement: str, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a cursor
        """Run a statement as the database reads it."""
        # Not `connection.cursor()`: that of a caller's connection may return rows as dicts.
        cursor = psycopg.Cursor(self._connection, row_factory=tuple_row)
        return cursor.execute(cast("Any", statement), values or None)

    def begin(self, *, durable: bool) -> None:
        """Begin a transaction; one that is not `durable` does not wait for the disk."""
        self._connection.execute(_BEGIN[durable], prepare=False)

    def allocate(self, rows: int) -> tuple[int, int]:
        """Return the first id for new chunks, and the first of `rows` positions for new intents."""
        self._may_copy = True
        ((base,),) = self.all("SELECT nextval('voxsms_adds')")
        first = self.all(_TAKE_POSITIONS, rows=rows)[0][1] if rows else 0
        return base, first

    def add_pending(self, rows: str, base: int, first: int, source: str) -> int:
        """Add pending intents, by COPY, which takes half the time."""
        if self._may_copy:
            self.execute("SAVEPOINT voxsms_copy", {})
            try:
                return self._copy(orjson.loads(rows), base, first, source)
            except errors.UniqueViolation:
                # A key exists already. More probably do, so COPY is not tried again.
                self._may_copy = False
                self.execute("ROLLBACK TO SAVEPOINT voxsms_copy", {})
        return self.add_intents(rows, base, first, source)

    def _copy(self, rows: list[list[Any]], base: int, first: int, source: str) -> int:
        with psycopg.Cursor(self._connection).copy(_COPY_INTENTS) as copy:
            for index, key, chunk, number, state, _ in rows:
                copy.write_row((first + index, key, base + chunk, source, number, state))
        self.execute("RELEASE SAVEPOINT voxsms_copy", {})
        return len(rows)

    def hand_out(self, base: int = 0, end: int = MAX_ID, delay: float = 0.0) -> None:
        """Defer a job for each pending chunk without one, if procrastinate's tables exist."""
        if not self._has_engine:
            ((self._has_engine,),) = self.all(_HAS_ENGINE)
        if self._has_engine:
            which = {"base": base, "end": end, "delay": delay, "limit": _DEFER_AT_ONCE}
            while self.execute(_DEFER, which).fetchall()[0][0] == _DEFER_AT_ONCE:
                pass

    def is_passing(self, error: Exception) -> bool:
        """Return whether the connection was lost, or two transactions conflicted."""
        return self._connection.closed or isinstance(error, _PASSING)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@attrs.frozen
class _Fetched:
    """The result of a statement."""

    rows: list[Any]
    rowcount: int

    def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self.rows


class AwaitedPostgres(Postgres):
    """A caller's asyncio connection, used from a worker thread through the event loop."""

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        super().__init__(cast("Any", connection))
        self._awaited = connection

    def execute(self, statement: str, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a cursor
        """Run a statement as the database reads it."""
        return from_thread.run(self._execute, statement, values)

    async def _execute(self, statement: str, values: Mapping[str, object]) -> _Fetched:
        cursor = psycopg.AsyncCursor(self._awaited, row_factory=tuple_row)
        await cursor.execute(cast("Any", statement), values or None)
        rows = await cursor.fetchall() if cursor.description else []
        return _Fetched(rows, cursor.rowcount)

    def add_pending(self, rows: str, base: int, first: int, source: str) -> int:
        """Add pending intents without COPY: few are added in this way."""
        return self.add_intents(rows, base, first, source)


@attrs.frozen
class PostgresServer:
    """A database on a server; its password is never shown."""

    url: str = attrs.field(repr=False)
    name: str
    failures: tuple[type[Exception], ...] = (psycopg.Error,)
    refuses_nul: bool = True

    @classmethod
    def of(cls, url: str) -> "PostgresServer":
        """Parse a URL. Raise `InvalidRequest` if it cannot be parsed."""
        try:
            parts = conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            parts = None
        if parts is None:
            problem = "cannot be read; it must be like postgresql://user@host:5432/database"
            del url  # error trackers record the variables of frames; it may hold a password
            raise InvalidRequest("Outbox", (Fault("where", problem),))
        host, port = parts.get("host", "localhost"), parts.get("port", "5432")
        name = f"{host}:{port}/{parts.get('dbname', '')}"
        if "@" in name:  # the name is shown, and would contain part of the password
            problem = "cannot be read; in a password / is written as %2F, @ as %40"
            del url, parts, host, port, name
            raise InvalidRequest("Outbox", (Fault("where", problem),))
        return cls(url, f"postgresql://{name}")

    def __str__(self) -> str:
        """Return host, port and database."""
        return self.name

    def connect(self) -> Postgres:
        """Connect."""
        connection: psycopg.Connection[Any] = psycopg.connect(
            self.url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT
        )
        database = Postgres(connection)
        database.execute(f"SET lock_timeout = {int(LOCK_TIMEOUT * 1000)}", {})
        return database

    def prepare(self, database: Database) -> None:
        """Create the tables unless they exist."""
        database.begin(durable=True)
        database.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", {})
        ((found,),) = database.all(_FIND_TABLES)
        if found is None:
            for statement in _SCHEMA:
                database.change(statement, version=sql.VERSION)
        database.execute("COMMIT", {})

    def prepare_engine(self, database: Database) -> None:
        """Create procrastinate's tables unless they exist, and hand out pending chunks."""
        from procrastinate.schema import SchemaManager  # noqa: PLC0415 - slow, and few need it

        database.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", {})
        ((found,),) = database.all(_HAS_ENGINE)
        if not found:
            database.execute(SchemaManager.get_schema(), {})
        database.hand_out()

    def adopt(self, connection: object) -> Postgres:
        """Use a caller's connection; psycopg begins a transaction with the first statement."""
        taken: Any = connection
        if isinstance(connection, psycopg.AsyncConnection):
            database: Postgres = AwaitedPostgres(taken)
        elif isinstance(connection, psycopg.Connection):
            database = Postgres(taken)
        else:
            kind = describe_type(connection)
            raise unfit(f"is {kind}; it must be a psycopg 3 connection, or use one")
        if connection.autocommit and connection.info.transaction_status is TransactionStatus.IDLE:
            raise unfit("commits each statement on its own; begin a transaction")
        return database

    def check(self, database: Database) -> None:
        """Raise `InvalidRequest` if a caller's connection is to another database."""
        ((found,),) = database.all(_FIND_TABLES)
        if found is None:
            raise unfit(f"is to a database without an outbox; this one is in {self}")

    def explain(self, error: BaseException) -> str:
        """Describe an error without its details, which may contain numbers and texts."""
        said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        said = said or str(error).partition("\n")[0]
        password = conninfo.conninfo_to_dict(self.url).get("password")
        if password:
            said = said.replace(str(password), "***")
        return f"{self}: {said}"
