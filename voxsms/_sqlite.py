"""SQLite files for their owner alone, that several threads and processes may use."""

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path


def connect_private(path: Path, timeout: float) -> sqlite3.Connection:
    """Open a file, made if it is not there, without transactions of Python's own.

    Args:
        path: the file.
        timeout: seconds to wait while another writes.

    Raises:
        OSError: it cannot be made, or is a directory.
    """
    # Made before SQLite would make it, for others to read. One that is there is not opened here: to
    # close it would take away the locks that other connections of this process have on it (POSIX;
    # "How To Corrupt An SQLite Database File", 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
