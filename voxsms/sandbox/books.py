"""The books of an account: numbers, balance, and every message with what became of it."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import attrs

from voxsms.api.models import DeliveryStatus, Direction
from voxsms.api.wire import TIME_FORMAT
from voxsms.pricing import EXACT, total
from voxsms.sandbox import private_files
from voxsms.sandbox.clock import Clock
from voxsms.sandbox.refusal import Refusal
from voxsms.sandbox.schema import INDEXES, TABLES
from voxsms.sandbox.settings import Number, Settings

_INSUFFICIENT_MONEY = 127
_IN_MEMORY = ":memory:"


def _make_private(path: str | os.PathLike[str]) -> None:
    """Let the user alone read a database; SQLite gives the files beside it the same mode."""
    left_behind = (Path(f"{os.fspath(path)}{suffix}") for suffix in ("-journal", "-wal", "-shm"))
    try:
        for file in (path, *(each for each in left_behind if each.exists())):
            private_files.make_private(file)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from None


@attrs.frozen(kw_only=True)
class Entry:
    """A message to be entered."""

    kind: str
    """`sms` or `a2p`: which history it stands in."""
    source: str
    destination: str
    fragments: int
    cost: Decimal
    text: str | None
    """None where it is not to be stored."""
    direction: Direction = Direction.OUT


class Books:
    """State in SQLite behind one lock: every method may be called from any thread."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.version = 0
        """Goes up whenever a message was entered or moved on."""
        self._settings = settings
        self._clock = clock
        self._numbers = {each.number: each for each in settings.numbers}
        path = settings.database or _IN_MEMORY
        if path != _IN_MEMORY:
            _make_private(path)
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._open()

    def _open(self) -> None:
        self.db.executescript(TABLES + INDEXES)
        with self.lock, self.db:
            self.db.execute("BEGIN")
            self.db.executemany(
                "INSERT OR IGNORE INTO numbers VALUES (?, ?)",
                [(each.number, each.sms_enabled) for each in self._settings.numbers],
            )
            if self.db.execute("SELECT 1 FROM account").fetchone() is None:
                start = str(self._settings.balance)
                self.db.execute("INSERT INTO account VALUES (?)", (start,))

    def close(self) -> None:
        """Close the database."""
        with self.lock:
            self.db.close()

    @property
    def balance(self) -> Decimal:
        """The money that is left, exactly."""
        with self.lock:
            (balance,) = self.db.execute("SELECT balance FROM account").fetchone()
        return Decimal(balance)

    def numbers(self) -> list[Number]:
        """Give the account's numbers as they are now."""
        with self.lock:
            enabled = dict(self.db.execute("SELECT number, sms_enabled FROM numbers"))
        return [
            attrs.evolve(each, sms_enabled=bool(enabled[each.number]))
            for each in self._numbers.values()
        ]

    def number(self, digits: str) -> Number | None:
        """Give one of the account's numbers."""
        known = self._numbers.get(digits)
        if known is None:
            return None
        with self.lock:
            found = self.db.execute("SELECT sms_enabled FROM numbers WHERE number = ?", (digits,))
            (enabled,) = found.fetchone()
        return attrs.evolve(known, sms_enabled=bool(enabled))

    def enable(self, digits: str, *, enabled: bool) -> None:
        """Enable or disable SMS for a number."""
        with self.lock:
            self.db.execute(
                "UPDATE numbers SET sms_enabled = ? WHERE number = ?", (enabled, digits)
            )

    def enter(self, entries: Sequence[Entry]) -> tuple[list[int], datetime]:
        """Charge messages and enter them, all or none; give their ids and the time."""
        now = self._clock.now()
        with self.lock, self.db:
            self.db.execute("BEGIN IMMEDIATE")
            left = EXACT.subtract(self.balance, total(entry.cost for entry in entries))
            if left < 0:
                raise Refusal(_INSUFFICIENT_MONEY)
            self.db.execute("UPDATE account SET balance = ?", (f"{left:f}",))
            (last,) = self.db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
            ids = list(range(last + 1, last + 1 + len(entries)))
            self._insert(zip(ids, entries, strict=True), now)
        return ids, now

    def _insert(self, numbered: Iterable[tuple[int, Entry]], now: datetime) -> None:
        at, due = now.strftime(TIME_FORMAT), now.timestamp() + self._settings.dispatch_after
        rows = [
            (
                id_, e.kind, at, e.source, e.destination, e.direction, e.fragments, f"{e.cost:f}",
                *self._progress(e, due), None if e.text is None else json.dumps(e.text),
            )
            for id_, e in numbered
        ]  # fmt: skip
        self.db.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        self.version += 1

    def _progress(self, entry: Entry, due: float) -> tuple[str, str, float | None]:
        """Give a new message's status, its fate, and when the status moves on."""
        if entry.direction is Direction.IN:
            return DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED, None
        fate = self._settings.fates.get(entry.destination, DeliveryStatus.DELIVERED)
        return DeliveryStatus.QUEUED, fate, due

    def settle(self) -> None:
        """Move on every message whose time has come."""
        now, travel = self._clock.time(), self._settings.deliver_after
        with self.lock:
            sent = self.db.execute(
                "UPDATE messages SET status = 'DISPATCHED', due = due + ?"
                " WHERE due <= ? AND status = 'QUEUED'",
                (travel, now),
            )
            ended = self.db.execute(
                "UPDATE messages SET status = fate, due = NULL"
                " WHERE due <= ? AND status = 'DISPATCHED'",
                (now,),
            )
            self.version += bool(sent.rowcount + ended.rowcount)
