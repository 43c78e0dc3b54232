"""An outbox that is run in a process of its own, so that it can be killed."""

from functools import partial

import anyio

from voxsms import ApiKey, Client, Outbox, Timeouts
from voxsms.outbox import _postgres, run_worker  # noqa: F401 - loaded once, for all processes


async def _run(where: str, url: str, key: ApiKey, deadline: float) -> None:
    async with (
        Client(key, base_url=url, deadline=deadline, timeout=Timeouts(read=0.2)) as client,
        Outbox.open(where) as outbox,
    ):
        if "://" in where:
            await run_worker(outbox, client)
        else:
            await outbox.run(client, max_failures=10**6)


def run(where: str, url: str, account_id: int, api_key: str, deadline: float) -> None:
    """Run it to the end; in PostgreSQL as a worker, which has none."""
    anyio.run(partial(_run, where, url, ApiKey(account_id, api_key), deadline))
