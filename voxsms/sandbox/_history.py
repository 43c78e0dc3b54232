"""The histories: pages of messages by filter, newest first (the service documents no order).

A history can be made up in bulk: a million rows in seconds, the same rows for the same seed.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import attrs

from voxsms.api.models import DeliveryStatus
from voxsms.api.spec import MAX_PAGE_ROWS
from voxsms.api.wire import TIME_FORMAT
from voxsms.errors import PriceUnknown
from voxsms.sandbox._account import FIELDS, INDEXES, Account
from voxsms.sandbox._settings import Settings


@attrs.frozen
class Page:
    """Rows as JSON texts, and the total number that match."""

    rows: list[str]
    total: int

    def json(self) -> bytes:
        """Return the body of an answer."""
        return f'{{"result":[{",".join(self.rows)}],"total_count":{self.total}}}'.encode()

    def csv(self, kind: str) -> bytes:
        """Return a file with the JSON field names as header."""
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, FIELDS[kind])
        writer.writeheader()
        writer.writerows(json.loads(row, parse_float=str) for row in self.rows)
        return file.getvalue().encode()


_FILTERS: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "message_id": ("id IN (SELECT value FROM json_each(?))", lambda ids: json.dumps(list(ids))),
    "source_number": ("source = ?", str),
    "destination_number": ("destination = ?", str),
    "direction": ("direction = ?", str),
    "delivery_status": ("status = ?", lambda status: DeliveryStatus(status).value),
    # Both ends are inclusive (contract, section 6); times of the same form compare as text.
    "from_date": ("at >= ?", lambda time: time.strftime(TIME_FORMAT)),
    "to_date": ("at <= ?", lambda time: time.strftime(TIME_FORMAT)),
}

_Query = tuple[str, tuple[object, ...]]
_Bookmark = tuple[str, int]


def _query(kind: str, values: Mapping[str, object]) -> _Query:
    used = [(*_FILTERS[name], value) for name, value in values.items() if name in _FILTERS]
    conditions = ["FROM messages WHERE kind = ?", *(condition for condition, _, _ in used)]
    arguments = (kind, *(write(value) for _, write, value in used))
    return " AND ".join(conditions), arguments


class History:
    """Reads pages.

    SQLite scans to an offset, and scans again for each total: for a page deep in a million rows
    each takes 30 ms. So the end of each page is cached as a bookmark where the next one begins, and
    so is each total, until a message is recorded or changes, even by another sandbox with the same
    database.
    """

    def __init__(self, account: Account, max_rows: int) -> None:
        self._account = account
        self._max_rows = max_rows
        self._max_remembered = 10_000
        self._version = -1, -1
        self._totals: dict[_Query, int] = {}
        self._bookmarks: dict[tuple[_Query, int], _Bookmark] = {}

    def page(self, kind: str, values: Mapping[str, Any]) -> Page:
        """Return the page for a request's values."""
        count = min(values.get("count", MAX_PAGE_ROWS), self._max_rows)
        query = _query(kind, values)
        with self._account.lock:
            self._account.move_statuses()
            self._forget_if_changed()
            rows = self._rows(query, values.get("offset", 0), count)
            return Page(rows, self._total(query))

    def _forget_if_changed(self) -> None:
        remembered = len(self._bookmarks) + len(self._totals)
        (of_others,) = self._account.db.execute("PRAGMA data_version").fetchone()
        version = self._account.version, of_others
        if self._version != version or remembered > self._max_remembered:
            self._version = version
            self._totals.clear()
            self._bookmarks.clear()

    def _total(self, query: _Query) -> int:
        if query not in self._totals:
            source, arguments = query
            found = self._account.db.execute(f"SELECT count(*) {source}", arguments)
            (self._totals[query],) = found.fetchone()
        return self._totals[query]

    def _rows(self, query: _Query, offset: int, count: int) -> list[str]:
        source, arguments = query
        bookmark = self._bookmarks.get((query, offset))
        if bookmark is not None:
            source, arguments = f"{source} AND (at, id) < (?, ?)", (*arguments, *bookmark)
        found = self._account.db.execute(
            f"SELECT json, at, id {source} ORDER BY at DESC, id DESC LIMIT ? OFFSET ?",
            (*arguments, count, 0 if bookmark else offset),
        ).fetchall()
        if found:
            _, at, id_ = found[-1]
            self._bookmarks[query, offset + len(found)] = (at, id_)
        return [row for row, _, _ in found]


# A linear congruential step scatters the row's number; the rest of the row is derived from `r`.
# Times increase evenly with the rows, so that some seconds have several rows if there are many.
_FILL = """
WITH RECURSIVE rows(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM rows WHERE n + 1 < :rows),
scattered AS (SELECT n, ((n + :seed * 7919) * 2654435761 + 12345) % 4294967291 AS r FROM rows),
drawn AS (
    SELECT
        :first + n AS id,
        strftime('%Y-%m-%d %H:%M:%S', :start + :span * n / :rows, 'unixepoch') AS at,
        made_up_number(:kind, r) AS other,
        CASE WHEN :kind = 'sms' AND r % 10 < 3 THEN 'IN' ELSE 'OUT' END AS direction,
        1 + (r / 7 % 10 > 6) + (r / 7 % 10 > 8) AS fragments,
        CASE
            WHEN r / 11 % 100 < 92 THEN 'DELIVERED' WHEN r / 11 % 100 < 95 THEN 'FAILED'
            WHEN r / 11 % 100 < 97 THEN 'EXPIRED' WHEN r / 11 % 100 < 98 THEN 'REJECTED'
            WHEN r / 11 % 100 < 99 THEN 'ABORTED' ELSE 'UNKNOWN'
        END AS final_status,
        CASE WHEN r % 2 THEN json_quote('Your code is ' || (r % 900000 + 100000)) END AS text
    FROM scattered
)
INSERT INTO messages
SELECT
    id, :kind, at,
    CASE direction WHEN 'IN' THEN other ELSE :own END,
    CASE direction WHEN 'IN' THEN :own ELSE other END,
    direction,
    CASE final_status WHEN 'REJECTED' THEN 0 ELSE fragments END,
    CASE WHEN direction = 'IN' OR final_status = 'REJECTED' THEN '0'
        ELSE cost(:kind, other, fragments) END,
    CASE direction WHEN 'IN' THEN 'DELIVERED' ELSE final_status END,
    CASE direction WHEN 'IN' THEN 'DELIVERED' ELSE final_status END,
    NULL,
    text
FROM drawn
"""

_MADE_UP = (
    ("44770090", 4),  # reserved by Ofcom for drama
    ("4420794600", 2),
    ("121255501", 2),  # 555-01xx, which nobody has in North America
    ("141555501", 2),
    ("7900123", 4),
    ("7495765", 4),
    ("4917655512", 3),
    ("33199001", 4),  # reserved by ARCEP for fiction
)
"""Prefixes of made-up numbers in several countries, and how many digits follow."""
_INDEX_NAMES = ("by_time", "by_destination", "by_due")
MAX_FILL = 10_000_000
"""The most rows that are made up at once; a million are 250 MB."""
_SEEDS = 100_000  # more would leave 64 bits


class Filler:
    """Makes up histories; the messages go to countries with a price, and cost that."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._rates = settings.rates()
        self._places = {kind: self._priced(kind) for kind in self._rates}

    def _priced(self, kind: str) -> list[tuple[str, int]]:
        """Return the made-up numbers that have a price, or all if none has."""
        priced = [
            (start, digits)
            for start, digits in _MADE_UP
            if self._cost(kind, start + "0" * digits, 1) != "0"
        ]
        return priced or list(_MADE_UP)

    def _number(self, kind: str, scattered: int) -> str:
        places = self._places[kind]
        start, digits = places[scattered // 13 % len(places)]
        return f"{start}{scattered % 10**digits:0{digits}}"

    def _cost(self, kind: str, number: str, fragments: int) -> str:
        try:
            return f"{self._rates[kind].rate_for(number).cost(fragments):f}"
        except PriceUnknown:
            return "0"

    def fill(self, kind: str, rows: int, *, start: datetime, end: datetime, seed: int) -> None:
        """Record settled messages of one kind between two times; nothing is charged or delivered.

        Raises:
            ValueError: names the argument.
        """
        if kind not in self._rates:
            raise ValueError(f"kind: {kind!r} is neither sms nor a2p")
        if not 1 <= rows <= MAX_FILL or end <= start:
            raise ValueError(f"rows: a history needs 1 to {MAX_FILL:,}, and an end after its start")
        numbers, sender_ids = self._settings.numbers, self._settings.sender_ids
        own = numbers[0].number if numbers else "447443332211"
        account = self._account
        with account.lock, account.db as db:
            (last,) = db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
            arguments = {
                "kind": kind,
                "rows": rows,
                "own": sender_ids[0] if kind == "a2p" and sender_ids else own,
                "seed": seed % _SEEDS,
                "first": last + 1,
                "start": int(start.timestamp()),
                "span": int((end - start).total_seconds()),
            }
            db.create_function("made_up_number", 2, self._number, deterministic=True)
            db.create_function("cost", 3, cache(self._cost), deterministic=True)
            # Building an index afterwards takes a third of the time of keeping it sorted.
            for name in _INDEX_NAMES:
                db.execute(f"DROP INDEX {name}")
            db.execute(_FILL, arguments)
            for statement in INDEXES.split(";")[:-1]:
                db.execute(statement)
            account.version += 1
