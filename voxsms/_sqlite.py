"""SQLite files for their owner alone, that several threads and processes may use."""

import os
import sqlite3
from pathlib import Path


def connect_private(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file, made if it is not there, without transactions of Python's own.

    Args:
        path: the file.
        timeout: seconds to wait while another writes.
    """
    # Made before SQLite would make it, for others to read.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
