"""SQLite files readable by their owner only, which several threads and processes may use."""

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path


def connect_private(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file, creating it if needed, without Python's own transactions.

    Args:
        path: the file.
        timeout: seconds to wait while another connection writes.

    Raises:
        OSError: the file cannot be created, or is a directory.
    """
    # Created here, as SQLite would create it readable by others. An existing file is not opened:
    # closing it would drop the locks that other connections of this process hold on it (POSIX;
    # "How To Corrupt An SQLite Database File", 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
