"""The outbox: a mailing that survives crashes, sends no message twice and loses none.

.. code-block:: python

    rows = [("Hi Ann, we open at 9", "447443332212"), ("Hi Bob, we open at 9", "447443332213")]
    async with voxsms.Outbox.open("mailing.db") as outbox:
        await outbox.add(rows, source="VOXSMS")
        summary = await outbox.run(client)
        await outbox.reconcile(client)

An intent is one message to one number. Intents with the same text are grouped in a chunk, which is
one call. `run_chunk` is the whole protocol (`_chunks.py`): whatever calls it, and however often, a
chunk that was begun is not begun again. Intents in doubt are settled by the history
(`_reconcile.py`).
"""

from voxsms.calls.resolve import Resolution
from voxsms.outbox._chunks import ChunkOutcome, run_chunk
from voxsms.outbox._guards import Guards, QuietHours
from voxsms.outbox._outbox import Outbox
from voxsms.outbox._run import Run
from voxsms.outbox._states import (
    TRANSITIONS,
    Added,
    Event,
    Intent,
    OutboxProgress,
    OutboxSummary,
    Reconciled,
    State,
    Tracked,
)
from voxsms.outbox._worker import run_worker, tasks

__all__ = [
    "TRANSITIONS",
    "Added",
    "ChunkOutcome",
    "Event",
    "Guards",
    "Intent",
    "Outbox",
    "OutboxProgress",
    "OutboxSummary",
    "QuietHours",
    "Reconciled",
    "Resolution",
    "Run",
    "State",
    "Tracked",
    "run_chunk",
    "run_worker",
    "tasks",
]
