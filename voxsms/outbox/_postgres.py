"""An outbox in PostgreSQL, through psycopg: tables that many machines share."""

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from voxsms.errors import Fault, InvalidRequest
from voxsms.outbox import _sql as sql
from voxsms.outbox._store import LOCK_TIMEOUT, Database

try:
    import psycopg
    from psycopg import conninfo, errors
except ModuleNotFoundError as missing:
    need = "an outbox in PostgreSQL needs psycopg: pip install 'voxsms[postgres]'"
    raise ModuleNotFoundError(need, name=missing.name) from None

_CONNECT_TIMEOUT: Final = 10
_LOCK: Final = 0x564F5853
"""Held while the tables are made."""
_ADD_ROOM: Final = 2**32
"""Ids for the chunks of one `add`: nobody waits for another's transaction to learn its own."""
_SCHEMA: Final = (
    f"CREATE SEQUENCE voxsms_adds INCREMENT BY {_ADD_ROOM} MINVALUE 1",
    "CREATE SEQUENCE voxsms_positions MINVALUE 0 START 0",
    *sql.SCHEMA,
)
_PASSING: Final = (errors.DeadlockDetected, errors.SerializationFailure)


class Postgres(Database):
    """A connection to a PostgreSQL database."""

    tokens: Mapping[str, str] = {
        "NOW": "extract(epoch from clock_timestamp())::float8",
        "LOCKED": "FOR UPDATE SKIP LOCKED",
        "ROWS": "(SELECT value FROM json_array_elements(CAST(:rows AS json))) AS r",
        "ID_KEY": "BIGINT PRIMARY KEY",
        "POSITION_KEY": "BIGINT PRIMARY KEY DEFAULT nextval('voxsms_positions')",
        "POSITION": "",
        "NEXT_POSITION": "",
    }
    column = r"(r.value->>\1)"
    marker = r"%(\1)s"
    failures = (psycopg.Error,)

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        super().__init__()
        self._connection = connection

    def execute(self, statement: str, values: Mapping[str, object]) -> "psycopg.Cursor[Any]":
        """Run a statement as the database reads it."""
        return self._connection.execute(cast("Any", statement), values or None)

    def begin(self, *, durable: bool) -> None:  # noqa: ARG002 - all are
        """Begin a transaction."""
        self.execute("BEGIN", {})

    def allocate(self) -> tuple[int, int]:
        """Return the first id for new chunks; the positions come from a sequence."""
        ((base,),) = self.all("SELECT nextval('voxsms_adds')")
        return base, 0

    def is_passing(self, error: Exception) -> bool:
        """Return whether the connection was lost, or two transactions stood in each other's way."""
        return self._connection.closed or isinstance(error, _PASSING)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@attrs.frozen
class PostgresServer:
    """A database on a server; its password is in no text of it."""

    url: str = attrs.field(repr=False)
    name: str
    failures: tuple[type[Exception], ...] = (psycopg.Error,)
    refuses_nul: bool = True

    @classmethod
    def of(cls, url: str) -> "PostgresServer":
        """Read a URL. Raise `InvalidRequest` for one that cannot be read."""
        try:
            parts = conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            parts = None
        if parts is None:
            problem = "cannot be read; it must be like postgresql://user@host:5432/database"
            del url  # error trackers record the variables of frames; it may hold a password
            raise InvalidRequest("Outbox", (Fault("where", problem),))
        host, port = parts.get("host", "localhost"), parts.get("port", "5432")
        return cls(url, f"postgresql://{host}:{port}/{parts.get('dbname', '')}")

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
        """Make the tables unless they are there."""
        database.begin(durable=True)
        database.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", {})
        ((found,),) = database.all("SELECT to_regclass('voxsms_outbox')")
        if found is None:
            for statement in _SCHEMA:
                database.change(statement, version=sql.VERSION)
        database.execute("COMMIT", {})

    def explain(self, error: Exception) -> str:
        """Return in words what an error says; its details could hold numbers and texts."""
        said = cast("psycopg.Error", error).diag.message_primary or str(error).partition("\n")[0]
        password = conninfo.conninfo_to_dict(self.url).get("password")
        if password:
            said = said.replace(str(password), "***")
        return f"{self}: {said}"
