"""An export in a process of its own, so that it can be killed."""

import os
import signal
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import anyio
from histories import START, small_pages

from voxsms import ApiKey, Client
from voxsms.export import _files, export_history


async def _export(url: str, key: ApiKey, path: str) -> tuple[int, bool]:
    async with Client(key, url) as client:
        with small_pages(40, 120):
            summary = await export_history(client, "sms", path, to_date=START.replace(month=6))
    return summary.rows, summary.resumed


def _die_in(place: Path, directory: Path) -> None:
    if directory == place:
        os.kill(os.getpid(), signal.SIGKILL)


def run(
    url: str, account_id: int, api_key: str, path: str, told: Connection, *, last: bool = True
) -> None:
    """Export; tell when it begins, how many rows it wrote, and whether it went on from another.

    Without its last step the process is killed when the result has just got its name.
    """
    if not last:
        patch.object(_files, "sync_directory", partial(_die_in, Path(path).parent)).start()
    told.send("began")
    told.send(anyio.run(partial(_export, url, ApiKey(account_id, api_key), path)))
