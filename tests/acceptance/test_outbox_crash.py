"""A mailing whose processes are killed at random moments: nobody twice, nobody lost."""

from pathlib import Path

import pytest
from outbox_crash import Mailing, send

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


async def test_a_mailing_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """The outbox agrees with the ledger row by row, and with the balance to the cent."""
    mailing = Mailing(where=str(tmp_path / "mailing.db"), people=2000, kills=8)
    summary, died = await send(mailing)
    assert died > 0
    assert summary.total == 2000
