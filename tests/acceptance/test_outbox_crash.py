"""A mailing whose processes are killed at random moments: nobody twice, nobody lost."""

from pathlib import Path

import psycopg
import pytest
from outbox_crash import Mailing, send

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.unmeasured]


async def test_a_mailing_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """The outbox agrees with the ledger row by row, and with the balance to the cent."""
    mailing = Mailing(where=str(tmp_path / "mailing.db"), people=2000, kills=8)
    summary, died = await send(mailing)
    assert died > 0
    assert summary.total == 2000


async def test_two_workers_of_which_one_is_killed_again_and_again(place: str) -> None:
    """The same on PostgreSQL, where procrastinate hands out the chunks."""
    mailing = Mailing(where=place, people=600, kills=3, workers=2, chunk_size=5)
    summary, died = await send(mailing)
    assert died > 0
    assert summary.total == 600
    with psycopg.connect(place) as connection:
        jobs = connection.execute("SELECT count(*) FROM procrastinate_events").fetchone()
    assert jobs is not None
    assert jobs[0] > 0
