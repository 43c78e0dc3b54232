"""A history made up in bulk: a million rows in seconds, the same ones for the same seed."""

import sqlite3
from datetime import datetime

from voxsms.sandbox.schema import INDEXES

# A linear congruential step scatters the row's number; the rest of the row is read off `r`.
# Times go up evenly with the rows, so that some seconds hold several rows where they are many.
_FILL = """
WITH RECURSIVE rows(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM rows WHERE n + 1 < :rows),
scattered AS (SELECT n, ((n + :seed * 7919) * 2654435761 + 12345) % 4294967291 AS r FROM rows),
drawn AS (
    SELECT
        :first + n AS id,
        strftime('%Y-%m-%d %H:%M:%S', :start + :span * n / :rows, 'unixepoch') AS at,
        printf('4477009%05d', r % 100000) AS other,
        CASE WHEN :kind = 'sms' AND r % 10 < 3 THEN 'IN' ELSE 'OUT' END AS direction,
        1 + (r / 7 % 10 > 6) + (r / 7 % 10 > 8) AS fragments,
        CASE
            WHEN r / 11 % 100 < 92 THEN 'DELIVERED' WHEN r / 11 % 100 < 95 THEN 'FAILED'
            WHEN r / 11 % 100 < 97 THEN 'EXPIRED' WHEN r / 11 % 100 < 98 THEN 'REJECTED'
            WHEN r / 11 % 100 < 99 THEN 'ABORTED' ELSE 'UNKNOWN'
        END AS fate,
        CASE WHEN r % 2 THEN json_quote('Your code is ' || (r % 900000 + 100000)) END AS text
    FROM scattered
)
INSERT INTO messages
SELECT
    id, :kind, at,
    CASE direction WHEN 'IN' THEN other ELSE :own END,
    CASE direction WHEN 'IN' THEN :own ELSE other END,
    direction,
    CASE fate WHEN 'REJECTED' THEN 0 ELSE fragments END,
    printf('0.%04d', 385 * fragments),
    CASE direction WHEN 'IN' THEN 'DELIVERED' ELSE fate END,
    CASE direction WHEN 'IN' THEN 'DELIVERED' ELSE fate END,
    NULL,
    text
FROM drawn
"""

_OWN = {"sms": "447443332211", "a2p": "VOXSMS"}
_INDEX_NAMES = ("by_time", "by_destination", "by_due")
_SEEDS = 100_000  # more would leave 64 bits


def fill(
    db: sqlite3.Connection,
    kind: str,
    rows: int,
    *,
    start: datetime,
    end: datetime,
    seed: int,
) -> None:
    """Enter settled messages of one kind between two times; nothing is charged or delivered."""
    if kind not in _OWN:
        raise ValueError(f"kind: {kind!r} is neither sms nor a2p")
    if rows < 1 or end <= start:
        raise ValueError("a history needs at least one row, and an end after its start")
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM messages").fetchone()
    arguments = {
        "kind": kind,
        "rows": rows,
        "own": _OWN[kind],
        "seed": seed % _SEEDS,
        "first": last + 1,
        "start": int(start.timestamp()),
        "span": int((end - start).total_seconds()),
    }
    # To sort a whole index takes a third of the time of keeping it sorted.
    for name in _INDEX_NAMES:
        db.execute(f"DROP INDEX {name}")
    db.execute(_FILL, arguments)
    for statement in INDEXES.split(";")[:-1]:
        db.execute(statement)
