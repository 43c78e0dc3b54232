"""The state of an account: numbers, balance, and every message with its status.

A message's JSON is a generated column in SQLite: a page of a history is one column of a range of an
index, whatever the size of the history.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import attrs

from voxsms.api.models import DeliveryStatus, Direction
from voxsms.api.statuses import advance
from voxsms.api.wire import TIME_FORMAT
from voxsms.pricing import EXACT, total
from voxsms.sandbox._calls import Refusal
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._settings import STATUS_IDS, Number, Settings

_INSUFFICIENT_MONEY = 127

_STATUS_ID = (
    "CASE status "
    + " ".join(f"WHEN '{status}' THEN '{STATUS_IDS[status]}'" for status in DeliveryStatus)
    + " END"
)
_FAILED = "status NOT IN ('QUEUED', 'DISPATCHED', 'DELIVERED')"

# Text is stored as JSON: SQLite's functions end a string at a NUL character.
_JSON = f"""
    '{{"message_id":' || id
    || ',"source_number":' || json_quote(source)
    || ',"destination_number":' || json_quote(destination)
    || CASE kind WHEN 'sms' THEN ',"direction":"' || direction || '"' ELSE '' END
    || ',"fragments":' || fragments
    || ',"cost":' || cost
    || ',"status_id":"' || {_STATUS_ID} || '"'
    || CASE WHEN {_FAILED} THEN ',"error_message":'
        || json_quote('Error send sms to ' || destination || ' from ' || source || ' Code = 1')
        ELSE '' END
    || CASE kind WHEN 'sms' THEN ',"processed_date":"' ELSE ',"processing_date":"' END || at || '"'
    || ',"transaction_id":' || (1000000 + id)
    || CASE kind WHEN 'a2p' THEN ',"delivery_status":"' || status || '"' ELSE '' END
    || CASE WHEN text IS NULL THEN '' ELSE ',"text":' || text END
    || '}}'
"""

FIELDS = {
    "sms": (
        "message_id", "source_number", "destination_number", "direction", "fragments", "cost",
        "status_id", "error_message", "processed_date", "transaction_id", "text",
    ),
    "a2p": (
        "message_id", "source_number", "destination_number", "fragments", "cost", "status_id",
        "error_message", "processing_date", "transaction_id", "delivery_status", "text",
    ),
}  # fmt: skip
"""The fields of a history's rows in the order of the columns of its CSV."""

_TABLES = f"""
PRAGMA synchronous = OFF;  -- a sandbox's file need not survive a power failure
CREATE TABLE IF NOT EXISTS account (balance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS identity (
    account_id INTEGER NOT NULL, api_key TEXT NOT NULL, callback_salt TEXT NOT NULL,
    key_id TEXT NOT NULL, private_key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (number TEXT PRIMARY KEY, sms_enabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,         -- 'sms' or 'a2p': which history it is in
    at TEXT NOT NULL,           -- as on the wire
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    direction TEXT NOT NULL,
    fragments INTEGER NOT NULL,
    cost TEXT NOT NULL,         -- a decimal
    status TEXT NOT NULL,
    final_status TEXT NOT NULL,         -- the status it will end with
    due REAL,                   -- when its status moves on, seconds since the epoch
    text TEXT,                  -- as JSON
    json TEXT NOT NULL GENERATED ALWAYS AS ({_JSON}) STORED
);
"""

_MOVE = """
UPDATE messages SET status = advance(status, {}), due = {} WHERE due <= ? AND status = {}
RETURNING id, kind, source, destination, status
"""

INDEXES = """
CREATE INDEX IF NOT EXISTS by_time ON messages (kind, at);
CREATE INDEX IF NOT EXISTS by_destination ON messages (kind, destination, at);
CREATE INDEX IF NOT EXISTS by_due ON messages (due) WHERE due IS NOT NULL;
"""

_IN_MEMORY = ":memory:"
_SIDE_FILES = ("", "-journal", "-wal", "-shm")
"""Files that SQLite may put beside a database; new ones get the permissions of the database."""


def _make_private(path: Path) -> None:
    """Create a database file readable by its owner only, or make an existing one so.

    Raises:
        sqlite3.OperationalError: the file cannot be created or belongs to another user.
    """
    try:
        # Created here: SQLite's file would be readable by all until it was changed.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        for suffix in _SIDE_FILES:
            file = path.with_name(path.name + suffix)
            if file.is_file():
                file.chmod(0o600)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error


@attrs.frozen(kw_only=True)
class NewMessage:
    """A message to record."""

    kind: str
    """`sms` or `a2p`: which history it is in."""
    source: str
    destination: str
    fragments: int
    cost: Decimal
    text: str | None
    """None if it is not to be stored."""
    direction: Direction = Direction.OUT


@attrs.frozen
class KeptIdentity:
    """The credentials of an account, in a database."""

    account_id: int
    api_key: str = attrs.field(repr=False)
    callback_salt: str = attrs.field(repr=False)
    key_id: str
    private_key: str = attrs.field(repr=False)


@attrs.frozen
class Moved:
    """A message whose delivery status changed."""

    message_id: int
    kind: str
    source: str
    destination: str
    status: str


class Account:
    """State in SQLite behind one lock: every method may be called from any thread."""

    def __init__(self, settings: Settings, clock: SandboxClock) -> None:
        self.lock = threading.RLock()
        self.version = 0
        """Increases whenever a message is recorded or its status changes."""
        self.on_moved: Callable[[Sequence[Moved]], None]
        """Called with the messages whose statuses changed, in that order; set by the poster."""
        self.on_charged: Callable[[Decimal], None]
        """Called with the balance after messages were recorded; set by the poster."""
        self._settings = settings
        self._clock = clock
        self._numbers = {each.number: each for each in settings.numbers}
        path = os.fspath(settings.database or _IN_MEMORY)
        if path != _IN_MEMORY:
            path = os.path.realpath(path)  # follows a link even if its target is missing
            _make_private(Path(path))
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.create_function("advance", 2, advance, deterministic=True)
        try:
            self._create_tables()
        except BaseException:
            self.db.close()
            raise

    def _create_tables(self) -> None:
        self.db.executescript(_TABLES + INDEXES)
        with self.lock, self.db:
            self.db.execute("BEGIN")
            self.db.executemany(
                "INSERT OR IGNORE INTO numbers VALUES (?, ?)",
                [(each.number, each.sms_enabled) for each in self._settings.numbers],
            )
            if self.db.execute("SELECT 1 FROM account").fetchone() is None:
                start = str(self._settings.balance)
                self.db.execute("INSERT INTO account VALUES (?)", (start,))

    def kept_identity(self) -> KeptIdentity | None:
        """Return the credentials in the database, if any."""
        with self.lock:
            found = self.db.execute("SELECT * FROM identity").fetchone()
        return None if found is None else KeptIdentity(*found)

    def keep_identity(self, identity: KeptIdentity) -> None:
        """Store credentials in the database, replacing earlier ones."""
        with self.lock, self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("DELETE FROM identity")
            self.db.execute("INSERT INTO identity VALUES (?,?,?,?,?)", attrs.astuple(identity))

    def reset(self) -> None:
        """Delete every message, and reset the balance and the numbers to the settings."""
        with self.lock, self.db:
            self.db.execute("BEGIN")
            self.db.execute("DELETE FROM messages")
            self.db.execute("UPDATE account SET balance = ?", (str(self._settings.balance),))
            self.db.executemany(
                "UPDATE numbers SET sms_enabled = ? WHERE number = ?",
                [(each.sms_enabled, each.number) for each in self._settings.numbers],
            )
            self.version += 1

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
        """Return the account's numbers as they are now."""
        with self.lock:
            enabled = dict(self.db.execute("SELECT number, sms_enabled FROM numbers"))
        return [
            attrs.evolve(each, sms_enabled=bool(enabled[each.number]))
            for each in self._numbers.values()
        ]

    def number(self, digits: str) -> Number | None:
        """Return one of the account's numbers; None if it has no such number."""
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

    def record(self, messages: Sequence[NewMessage]) -> tuple[list[int], datetime]:
        """Charge and record messages, all or none; return their ids and the time.

        Raises:
            Refusal: the balance is too low for all of them.
        """
        now = self._clock.now()
        with self.lock, self.db:
            self.db.execute("BEGIN IMMEDIATE")
            left = EXACT.subtract(self.balance, total(message.cost for message in messages))
            if left < 0:
                raise Refusal(_INSUFFICIENT_MONEY)
            self.db.execute("UPDATE account SET balance = ?", (f"{left:f}",))
            (last,) = self.db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
            ids = list(range(last + 1, last + 1 + len(messages)))
            self._insert(zip(ids, messages, strict=True), now)
        self.on_charged(left)
        return ids, now

    def _insert(self, numbered: Iterable[tuple[int, NewMessage]], now: datetime) -> None:
        at, due = now.strftime(TIME_FORMAT), now.timestamp() + self._settings.dispatch_after
        rows = [
            (
                id_, m.kind, at, m.source, m.destination, m.direction, m.fragments, f"{m.cost:f}",
                *self._progress(m, due), None if m.text is None else json.dumps(m.text),
            )
            for id_, m in numbered
        ]  # fmt: skip
        self.db.executemany("INSERT INTO messages VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        self.version += 1

    def _progress(self, message: NewMessage, due: float) -> tuple[str, str, float | None]:
        """Return a new message's status, its final status, and when the status changes."""
        if message.direction is Direction.IN:
            return DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED, None
        last = self._settings.outcomes.get(message.destination, DeliveryStatus.DELIVERED)
        return DeliveryStatus.QUEUED, last, due

    def move_statuses(self) -> None:
        """Change the status of every message that is due."""
        now, travel = self._clock.time(), self._settings.deliver_after
        with self.lock:
            sent = self.db.execute(
                _MOVE.format("'DISPATCHED'", "due + ?", "'QUEUED'"), (travel, now)
            ).fetchall()
            ended = self.db.execute(
                _MOVE.format("final_status", "NULL", "'DISPATCHED'"), (now,)
            ).fetchall()
            moved = [Moved(*row) for row in sent + ended]
            self.version += bool(moved)
            self.on_moved(moved)

    def next_due(self) -> float | None:
        """Return when the next status changes, seconds since the epoch; None if none will."""
        with self.lock:
            found = self.db.execute("SELECT min(due) FROM messages WHERE due IS NOT NULL")
            (due,) = found.fetchone()
        return None if due is None else float(due)
