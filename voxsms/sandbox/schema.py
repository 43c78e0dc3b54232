"""The tables of a sandbox's database, and how a row of a history looks on the wire.

A message's JSON is a column that SQLite keeps up to date by itself: a page of a history is then
one column of a range of an index, whatever size the history has.
"""

from voxsms.api.models import DeliveryStatus
from voxsms.sandbox.settings import STATUS_IDS

_STATUS_ID = (
    "CASE status "
    + " ".join(f"WHEN '{status}' THEN '{STATUS_IDS[status]}'" for status in DeliveryStatus)
    + " END"
)
_FAILED = "status NOT IN ('QUEUED', 'DISPATCHED', 'DELIVERED')"

# Text is stored as JSON already: SQLite's functions end a string at a NUL character.
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

TABLES = f"""
PRAGMA synchronous = OFF;  -- a sandbox's file need not outlive a power cut
CREATE TABLE IF NOT EXISTS account (balance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS numbers (number TEXT PRIMARY KEY, sms_enabled INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,         -- 'sms' or 'a2p': which history it stands in
    at TEXT NOT NULL,           -- as on the wire
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    direction TEXT NOT NULL,
    fragments INTEGER NOT NULL,
    cost TEXT NOT NULL,         -- a decimal
    status TEXT NOT NULL,
    fate TEXT NOT NULL,         -- the status it will end with
    due REAL,                   -- when its status moves on, seconds since the epoch
    text TEXT,                  -- as JSON
    json TEXT NOT NULL GENERATED ALWAYS AS ({_JSON}) STORED
);
"""

INDEXES = """
CREATE INDEX IF NOT EXISTS by_time ON messages (kind, at);
CREATE INDEX IF NOT EXISTS by_destination ON messages (kind, destination, at);
CREATE INDEX IF NOT EXISTS by_due ON messages (due) WHERE due IS NOT NULL;
"""
