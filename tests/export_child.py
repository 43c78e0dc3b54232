"""An export in a process of its own, so that it can be killed."""

from functools import partial
from multiprocessing.connection import Connection

import anyio
from histories import START, small_pages

from voxsms import ApiKey, Client
from voxsms.export import export_history


async def _export(url: str, key: ApiKey, path: str) -> int:
    async with Client(key, url) as client:
        with small_pages(40, 120):
            summary = await export_history(client, "sms", path, to_date=START.replace(month=6))
    return summary.rows


def run(url: str, account_id: int, api_key: str, path: str, told: Connection) -> None:
    """Export; tell when it begins and how many rows it wrote."""
    told.send("began")
    told.send(anyio.run(partial(_export, url, ApiKey(account_id, api_key), path)))
