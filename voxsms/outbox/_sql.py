"""The tables of an outbox and every statement on them, once for SQLite and PostgreSQL.

Parameters are written `:name`. Where the two differ there is a word in capitals, which the database
replaces (`_store.py`): `NOW` (seconds since the epoch by its own clock), `LOCKED` (skip rows that
another transaction holds), `ROWS` with `$0`, `$1` (a list of lists as JSON, because a statement
costs more than a row), and `ID_KEY`.

`+chunk` makes the database search by position, not by the index on `chunk`, with which it would
read ROWS for each intent of the chunk.

An intent is stored as `pending` until its chunk ends, and counts as `sending` while the chunk is:
so a claim writes one row, not a hundred.
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

from voxsms.api.statuses import FINAL
from voxsms.outbox._states import TRANSITIONS, Event, State

VERSION: Final = 1
"""The version of the tables. A higher one is from a newer voxsms."""

SCHEMA: Final = (
    """CREATE TABLE voxsms_outbox (
        version INTEGER NOT NULL,
        rate DOUBLE PRECISION,       -- messages a second; NULL: no limit
        slowed DOUBLE PRECISION,     -- the rate to which code 340 brought it down
        slowed_at DOUBLE PRECISION,
        busy_until DOUBLE PRECISION NOT NULL -- GCRA: the slots up to then are taken
    )""",
    "INSERT INTO voxsms_outbox (version, busy_until) VALUES (:version, 0)",
    """CREATE TABLE voxsms_chunks (
        id ID_KEY,
        method TEXT NOT NULL,
        source TEXT NOT NULL,
        text TEXT NOT NULL,
        store_body INTEGER,
        fragments INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        due DOUBLE PRECISION NOT NULL,
        state TEXT NOT NULL,         -- pending, sending, cancelled, or settled: see its intents
        claims INTEGER NOT NULL,     -- how often it was begun
        claimed_at DOUBLE PRECISION, -- by the database's clock
        expires_at DOUBLE PRECISION,
        since DOUBLE PRECISION,      -- of a doubt: when it may have been sent,
        until DOUBLE PRECISION       -- by the service's clock
    )""",
    """CREATE TABLE voxsms_intents (
        position ID_KEY,
        key TEXT UNIQUE,
        chunk BIGINT,
        source TEXT,                 -- of an intent without a chunk
        destination TEXT NOT NULL,
        state TEXT NOT NULL,
        message_id BIGINT,
        fragments INTEGER,
        cost TEXT,
        error_code INTEGER,
        error TEXT,
        delivery_status TEXT,
        at DOUBLE PRECISION
    )""",
    "CREATE INDEX voxsms_due ON voxsms_chunks (priority DESC, due, id) WHERE state = 'pending'",
    "CREATE INDEX voxsms_under_way ON voxsms_chunks (expires_at) WHERE state = 'sending'",
    "CREATE INDEX voxsms_of_chunk ON voxsms_intents (chunk)",
    "CREATE INDEX voxsms_ids ON voxsms_intents (message_id) WHERE message_id IS NOT NULL",
    """CREATE INDEX voxsms_doubts ON voxsms_intents (state)
        WHERE state IN ('unknown', 'ambiguous', 'presumed_not_sent')""",
)

# --- add ------------------------------------------------------------------------------------------

LAST_IDS: Final = """
SELECT coalesce(max(id), 0) + 1, (SELECT coalesce(max(position), -1) + 1 FROM voxsms_intents)
FROM voxsms_chunks
"""
ADD_CHUNKS: Final = """
INSERT INTO voxsms_chunks
    (id, method, source, text, store_body, fragments, priority, due, state, claims)
SELECT :base + CAST($0 AS BIGINT), :method, :source, $1, CAST(:store_body AS INTEGER),
    CAST($2 AS INTEGER), :priority, CAST(:due AS DOUBLE PRECISION), 'pending', 0
FROM ROWS
"""
# A row that a check refused may be added again with the same key, once it is corrected.
ADD_INTENTS: Final = """
INSERT INTO voxsms_intents (position, key, chunk, source, destination, state, error, at)
SELECT :first + CAST($0 AS BIGINT), $1, :base + CAST($2 AS BIGINT), :source, $3, $4, $5,
    CASE $4 WHEN 'refused' THEN NOW END
FROM ROWS WHERE true ORDER BY CAST($0 AS BIGINT)
ON CONFLICT (key) DO UPDATE SET chunk = excluded.chunk, source = excluded.source,
    destination = excluded.destination, state = excluded.state, error = excluded.error,
    at = excluded.at
WHERE voxsms_intents.state = 'refused' AND voxsms_intents.error_code IS NULL
"""
DROP_EMPTY_CHUNKS: Final = """
DELETE FROM voxsms_chunks WHERE id >= :base AND id < :end
    AND NOT EXISTS (SELECT 1 FROM voxsms_intents WHERE chunk = voxsms_chunks.id)
"""

FIND_ADDED: Final = """
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM voxsms_chunks WHERE id >= :base AND id < :base + CAST(:rows AS BIGINT)
) OR EXISTS (
    SELECT 1 FROM voxsms_intents WHERE position >= :first
        AND position < :first + CAST(:rows AS BIGINT)
)
"""

# --- the shared rate ------------------------------------------------------------------------------

# A rate that code 340 lowered grows by its own size in ten seconds, up to the limit.
_SLOWED: Final = "slowed * (1 + (NOW - slowed_at) / 10)"
_RATE: Final = f"""CASE WHEN slowed IS NULL THEN rate
    WHEN rate IS NULL OR {_SLOWED} < rate THEN {_SLOWED} ELSE rate END"""
_FREE_AT: Final = "CASE WHEN busy_until > NOW THEN busy_until ELSE NOW END"
READ_RATE: Final = f"SELECT {_RATE} FROM voxsms_outbox"
TAKE_SLOT: Final = f"""
UPDATE voxsms_outbox SET busy_until = {_FREE_AT} + :seconds
WHERE busy_until <= NOW + :patience RETURNING busy_until - :seconds - NOW
"""
READ_WAIT: Final = "SELECT busy_until - NOW FROM voxsms_outbox"
SET_RATE: Final = "UPDATE voxsms_outbox SET rate = :rate"
# At most once a second: calls that are in flight together are refused together.
SLOW_DOWN: Final = f"""
UPDATE voxsms_outbox SET slowed = CASE WHEN coalesce({_RATE}, :observed) > 2
    THEN coalesce({_RATE}, :observed) / 2 ELSE 1 END, slowed_at = NOW
WHERE slowed_at IS NULL OR slowed_at < NOW - 1
"""

# --- run_chunk ------------------------------------------------------------------------------------

PICK: Final = f"""
SELECT id, ({READ_RATE}) FROM voxsms_chunks WHERE state = 'pending' AND due <= NOW
ORDER BY priority DESC, due, id LIMIT 1 LOCKED
"""
PICK_BY_ID: Final = f"""
SELECT id, ({READ_RATE}) FROM voxsms_chunks
WHERE id = :id AND state = 'pending' AND due <= NOW LOCKED
"""
PENDING_CHUNKS: Final = """
SELECT id FROM voxsms_chunks WHERE state = 'pending' AND id > :after ORDER BY id LIMIT :limit
"""
FIND_CHUNK: Final = "SELECT state, due - NOW FROM voxsms_chunks WHERE id = :id"
RECIPIENTS: Final = """
SELECT position, destination FROM voxsms_intents WHERE chunk = :id AND state = 'pending'
ORDER BY position
"""
CLAIM: Final = """
UPDATE voxsms_chunks SET state = 'sending', claims = claims + 1, claimed_at = NOW + :wait,
    expires_at = NOW + :wait + :limit
WHERE id = :id AND state = 'pending'
RETURNING method, source, text, store_body, claims
"""
RELEASE: Final = """
UPDATE voxsms_chunks SET state = 'pending', due = NOW + :delay
WHERE id = :id AND state = 'sending' AND claims = :claim RETURNING id
"""
SETTLE: Final = """
UPDATE voxsms_chunks SET state = 'settled', since = :since, until = :until
WHERE id = :id AND state = 'sending' AND claims = :claim RETURNING id
"""


def _in(states: Iterable[State]) -> str:
    # While a chunk is being sent its intents are stored as pending.
    stored = {State.PENDING if state is State.SENDING else state for state in states}
    return "state IN (" + ", ".join(f"'{state}'" for state in sorted(stored)) + ")"


@cache
def settle_intents(event: Event) -> str:
    """Return the statement that applies an event to intents of a chunk, as `TRANSITIONS` allows."""
    before, after = TRANSITIONS[event]
    return f"""
        UPDATE voxsms_intents SET state = '{after}', message_id = CAST($1 AS BIGINT),
            fragments = CAST($2 AS INTEGER), cost = $3, error_code = CAST($4 AS INTEGER),
            error = $5, at = NOW
        FROM ROWS WHERE position = CAST($0 AS BIGINT) AND +chunk = :id AND {_in(before)}
    """


COPY_CHUNK: Final = """
INSERT INTO voxsms_chunks
    (id, method, source, text, store_body, fragments, priority, due, state, claims)
SELECT CAST(:new AS BIGINT), method, source, text, store_body, fragments, priority,
    NOW + CAST(:delay AS DOUBLE PRECISION), 'pending', 0
FROM voxsms_chunks WHERE id = :id
"""


@cache
def move_intents(states: tuple[State, ...]) -> str:
    """Return the statement that moves intents of a chunk to another, as pending."""
    # An intent that changed since it was read (an answer, another move) is left alone.
    return f"""
        UPDATE voxsms_intents SET chunk = :new, state = 'pending', message_id = NULL,
            fragments = NULL, cost = NULL, error_code = NULL, error = NULL, at = NULL,
            delivery_status = NULL
        FROM ROWS WHERE position = CAST($0 AS BIGINT) AND +chunk = :id AND {_in(states)}
    """


FIND_EXPIRED: Final = """
SELECT id, claims FROM voxsms_chunks WHERE state = 'sending' AND expires_at <= NOW LOCKED
"""

# --- reading --------------------------------------------------------------------------------------

_STATE: Final = "CASE i.state WHEN 'pending' THEN c.state ELSE i.state END"
SUMMARY: Final = f"""
SELECT {_STATE} AS stands, i.fragments, i.cost, count(*) FROM voxsms_intents AS i
LEFT JOIN voxsms_chunks AS c ON c.id = i.chunk GROUP BY 1, 2, 3
"""
INTENTS: Final = f"""
SELECT i.position, i.key, coalesce(c.source, i.source), i.destination, {_STATE}, i.message_id,
    i.fragments, i.cost, i.error_code, i.error, i.delivery_status, i.at
FROM voxsms_intents AS i LEFT JOIN voxsms_chunks AS c ON c.id = i.chunk
WHERE i.position > :after AND (:state = '' OR {_STATE} = :state) ORDER BY i.position LIMIT :limit
"""
PENDING: Final = """
SELECT i.position, c.text, i.destination
FROM voxsms_intents AS i JOIN voxsms_chunks AS c ON c.id = i.chunk
WHERE i.position > :after AND i.state = 'pending' AND c.method = :method
ORDER BY i.position LIMIT :limit
"""
LATELY: Final = """
SELECT count(*), NOW - min(at) FROM voxsms_intents
WHERE at > NOW - :seconds AND chunk IS NOT NULL
"""
LEFT: Final = """
SELECT (SELECT min(due) - NOW FROM voxsms_chunks WHERE state = 'pending'),
    (SELECT min(expires_at) - NOW FROM voxsms_chunks WHERE state = 'sending')
"""


@cache
def find_resendable(states: tuple[State, ...]) -> str:
    """Return the statement that finds the intents in these states that may be sent again."""
    return f"""
        SELECT position, chunk, destination FROM voxsms_intents
        WHERE {_in(states)} AND chunk IS NOT NULL ORDER BY chunk, position
    """


_CANCELLED, _REFUSED = TRANSITIONS[Event.CANCELLED]
CANCEL_CHUNKS: Final = "UPDATE voxsms_chunks SET state = 'cancelled' WHERE state = 'pending'"
CANCEL_INTENTS: Final = f"""
UPDATE voxsms_intents SET state = '{_REFUSED}', error = :error, at = NOW, chunk = NULL,
    source = (SELECT c.source FROM voxsms_chunks AS c WHERE c.id = voxsms_intents.chunk)
WHERE {_in(_CANCELLED)} AND chunk IN (SELECT id FROM voxsms_chunks WHERE state = 'cancelled')
"""

# --- what the history says ------------------------------------------------------------------------

READ_NOW: Final = "SELECT NOW"
_DOUBT: Final = """
SELECT i.position, i.destination, i.state, c.method, c.source, c.text, c.claimed_at, c.expires_at,
    c.since, c.until, i.at
FROM voxsms_intents AS i JOIN voxsms_chunks AS c ON c.id = i.chunk
"""
DOUBTS: Final = f"{_DOUBT} WHERE i.state IN ('unknown', 'ambiguous') ORDER BY i.position"
# The ids of their rows in the history are not known yet, either.
UNDER_WAY: Final = f"{_DOUBT} WHERE i.state = 'pending' AND c.state = 'sending'"
SENT_WITHOUT_ID: Final = f"{_DOUBT} WHERE i.state = 'sent' AND i.message_id IS NULL"
# Each method has its own ids: the same id may occur in both.
KNOWN_IDS: Final = """
SELECT i.message_id FROM voxsms_intents AS i JOIN voxsms_chunks AS c ON c.id = i.chunk
WHERE i.message_id IN (SELECT CAST($0 AS BIGINT) FROM ROWS) AND c.method = :method
"""


@cache
def resolve_intents(event: Event) -> str:
    """Return the statement that applies the history's event to intents, as `TRANSITIONS` allows."""
    before, after = TRANSITIONS[event]
    return f"""
        UPDATE voxsms_intents SET state = '{after}', message_id = CAST($1 AS BIGINT),
            fragments = CAST($2 AS INTEGER), cost = $3, delivery_status = $4, error = $5,
            at = coalesce(at, NOW)
        FROM ROWS WHERE position = CAST($0 AS BIGINT) AND {_in(before)}
    """


_FINAL: Final = ", ".join(f"'{status}'" for status in sorted(FINAL))
ON_THE_WAY: Final = f"""
SELECT i.message_id, c.method, c.source, c.claimed_at, i.at
FROM voxsms_intents AS i JOIN voxsms_chunks AS c ON c.id = i.chunk
WHERE i.state = 'sent' AND i.message_id IS NOT NULL AND (i.cost IS NULL
    OR coalesce(i.delivery_status, '') NOT IN ({_FINAL}))
"""
STATUSES: Final = """
SELECT i.message_id, i.delivery_status
FROM voxsms_intents AS i JOIN voxsms_chunks AS c ON c.id = i.chunk
WHERE i.message_id IN (SELECT CAST($0 AS BIGINT) FROM ROWS) AND c.method = :method
"""
NOTE_STATUSES: Final = """
UPDATE voxsms_intents SET delivery_status = $1, cost = coalesce($2, cost),
    fragments = coalesce(CAST($3 AS INTEGER), fragments)
FROM ROWS WHERE message_id = CAST($0 AS BIGINT)
    AND chunk IN (SELECT id FROM voxsms_chunks WHERE method = :method)
"""
