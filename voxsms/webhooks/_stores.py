"""What must be remembered between posts: the callbacks that were handled, and who opted out.

In memory for one process, or in a SQLite file for several.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from voxsms._sqlite import connect_private
from voxsms.api.phone_numbers import may_be_sender_id, read_phone_number
from voxsms.clock import Clock
from voxsms.errors import Fault, InvalidRequest

LEASE = timedelta(minutes=10)
"""How long a callback may be in progress before its process is presumed dead."""
_PATIENCE = 5.0
"""Seconds to wait for a file locked by another process: the service is waiting for an answer."""
_PAUSE = 0.02
"""Seconds between two attempts at it."""


class Taken(StrEnum):
    """The result of taking a callback."""

    YOURS = "yours"
    """It was free: act on it, then `keep` it or give it back."""
    IN_PROGRESS = "in progress"
    """Another owner is acting on it and may yet fail: the service must post it again."""
    HANDLED = "handled"
    """It has been acted on: nothing is left to do."""


class Seen(Protocol):
    """Remembers which callbacks were handled. Each method is atomic, also between processes.

    A store of your own needs these three methods; the documentation has one for Redis and one for
    Django. After some time, such as ten minutes, it must let another owner take a callback that a
    dead process had taken. A slow handler may take longer, so only the owner may give it back.
    """

    async def take(self, callback_id: int, owner: str) -> Taken:
        """Take a callback before it is acted on.

        Args:
            callback_id: the callback's id, below 2**63.
            owner: a text of 32 characters, new in each call; stored with the callback.
        """
        ...

    async def keep(self, callback_id: int) -> None:
        """Record that a callback was handled, even if another owner has taken it meanwhile."""
        ...

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Let a callback be taken again, unless another owner has taken it meanwhile."""
        ...


class OptOuts(Protocol):
    """The numbers whose owners want no messages.

    The stores in voxsms read a number as a send does, and raise `InvalidRequest` for one that no
    message can go to, such as `07700 900123` without its country code. A sender's name is kept as
    it is.
    """

    async def add(self, number: str) -> None:
        """Put a number on the list."""
        ...

    async def remove(self, number: str) -> None:
        """Take a number off the list."""
        ...

    async def contains(self, number: str) -> bool:
        """Return whether a number is on the list."""
        ...


class MemorySeen:
    """Remembers within one process, until it ends. Any thread may call it.

    Args:
        limit: how many handled callbacks to remember; beyond that the oldest are forgotten.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._owners: dict[int, str] = {}  # of those in progress
        self._handled: dict[int, None] = {}

    async def take(self, callback_id: int, owner: str) -> Taken:
        """Take a callback before it is acted on."""
        with self._lock:
            if callback_id in self._handled:
                return Taken.HANDLED
            is_yours = self._owners.setdefault(callback_id, owner) == owner
            return Taken.YOURS if is_yours else Taken.IN_PROGRESS

    async def keep(self, callback_id: int) -> None:
        """Record that a callback was handled."""
        with self._lock:
            self._owners.pop(callback_id, None)
            self._handled[callback_id] = None
            if len(self._handled) > self._limit:
                del self._handled[next(iter(self._handled))]

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Let a callback be taken again."""
        with self._lock:
            if self._owners.get(callback_id) == owner:
                del self._owners[callback_id]


def _read_entry(number: str) -> str:
    """Return the entry for a number, however it is written; a sender's name as it is.

    Raises:
        InvalidRequest: no message can go to the number, so its entry would never be found.
    """
    try:
        return read_phone_number(number)
    except ValueError as error:
        if may_be_sender_id(number):
            return number
        raise InvalidRequest("opt_outs", (Fault("number", str(error)),)) from None


class MemoryOptOuts:
    """The list within one process, until it ends."""

    def __init__(self) -> None:
        self._numbers: set[str] = set()

    async def add(self, number: str) -> None:
        """Put a number on the list."""
        self._numbers.add(_read_entry(number))

    async def remove(self, number: str) -> None:
        """Take a number off the list."""
        self._numbers.discard(_read_entry(number))

    async def contains(self, number: str) -> bool:
        """Return whether a number is on the list."""
        return _read_entry(number) in self._numbers


class _File:
    """A SQLite file readable by its owner only, used in a worker thread.

    While another process has it locked, each statement waits in the event loop. SQLite would wait
    in the thread, one statement after another: a few posts would occupy all threads of the app.
    """

    def __init__(self, path: str | PathLike[str], schema: str) -> None:
        self._path = Path(path)
        self._schema = schema
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement in a transaction of its own."""
        give_up_at = anyio.current_time() + _PATIENCE
        while True:
            try:
                return await to_thread.run_sync(partial(self._run, statement, values))
            except sqlite3.OperationalError as error:
                is_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_locked or anyio.current_time() >= give_up_at:
                    raise
            await anyio.sleep(_PAUSE)

    def _run(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            return self._connection.execute(statement, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        connection = connect_private(self._path, timeout=0)
        try:
            with suppress(sqlite3.OperationalError):  # another process may be doing the same
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a handled callback stays recorded
            connection.execute(self._schema)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _InFile:
    """The base of the stores in a file."""

    _SCHEMA = ""

    def __init__(self, path: str | PathLike[str]) -> None:
        self._file = _File(path, self._SCHEMA)

    async def aclose(self) -> None:
        """Close the file."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._file.close)


class SqliteSeen(_InFile):
    """Remembers in a SQLite file, for every process that opens it.

    A callback that was taken and neither kept nor given back within ten minutes (its process died)
    can be taken again. Handled callbacks are never forgotten, as their signatures do not expire: a
    million callbacks take 20 MB.

    Args:
        path: the file; created if missing, readable by its owner only.
        clock: for tests.
    """

    _SCHEMA = (  # a row without an owner was handled
        "CREATE TABLE IF NOT EXISTS voxsms_seen"
        " (callback_id INTEGER PRIMARY KEY, owner TEXT, taken_at REAL NOT NULL)"
    )

    def __init__(self, path: str | PathLike[str], *, clock: Clock | None = None) -> None:
        super().__init__(path)
        self._time: Callable[[], float] = (clock or Clock()).time

    async def take(self, callback_id: int, owner: str) -> Taken:
        """Take a callback before it is acted on."""
        now = self._time()
        taken = await self._file.run(
            "INSERT INTO voxsms_seen VALUES (?, ?, ?)"
            " ON CONFLICT (callback_id) DO UPDATE"
            " SET owner = excluded.owner, taken_at = excluded.taken_at"
            " WHERE owner IS NOT NULL AND taken_at < ? RETURNING owner",
            callback_id,
            owner,
            now,
            now - LEASE.total_seconds(),
        )
        if taken:
            return Taken.YOURS
        found = await self._file.run(
            "SELECT owner FROM voxsms_seen WHERE callback_id = ?", callback_id
        )
        return Taken.HANDLED if found == [(None,)] else Taken.IN_PROGRESS

    async def keep(self, callback_id: int) -> None:
        """Record that a callback was handled."""
        await self._file.run(
            "INSERT INTO voxsms_seen VALUES (?, NULL, ?)"
            " ON CONFLICT (callback_id) DO UPDATE SET owner = NULL",
            callback_id,
            self._time(),
        )

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Let a callback be taken again."""
        await self._file.run(
            "DELETE FROM voxsms_seen WHERE callback_id = ? AND owner = ?", callback_id, owner
        )


class SqliteOptOuts(_InFile):
    """The list in a SQLite file, for every process that opens it.

    Args:
        path: the file; created if missing, readable by its owner only.
    """

    _SCHEMA = "CREATE TABLE IF NOT EXISTS voxsms_opt_outs (number TEXT PRIMARY KEY) WITHOUT ROWID"

    async def add(self, number: str) -> None:
        """Put a number on the list."""
        await self._file.run(
            "INSERT OR IGNORE INTO voxsms_opt_outs VALUES (?)", _read_entry(number)
        )

    async def remove(self, number: str) -> None:
        """Take a number off the list."""
        await self._file.run("DELETE FROM voxsms_opt_outs WHERE number = ?", _read_entry(number))

    async def contains(self, number: str) -> bool:
        """Return whether a number is on the list."""
        return bool(
            await self._file.run(
                "SELECT 1 FROM voxsms_opt_outs WHERE number = ?", _read_entry(number)
            )
        )
