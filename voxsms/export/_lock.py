"""The lock on an export's directory: one export at a time uses it, and only its owner reads it."""

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from voxsms.errors import Fault, InvalidRequest
from voxsms.export import _files as files


class Lock:
    """Creates a directory and locks it. Raises `InvalidRequest`.

    On Windows, which has no `flock` and cannot open directories, two exports are not kept apart.
    """

    def __init__(self, path: Path) -> None:
        try:
            files.make_directory(path)
            _check(path, path.lstat())
            self._handle = _lock(path)
        except BlockingIOError:
            raise _refused("is being written by another export") from None
        except OSError as error:
            raise _refused(f"cannot be written: {path}: {error.strerror}") from error

    def release(self) -> None:
        """Release the lock."""
        if self._handle is not None:
            os.close(self._handle)


def _check(path: Path, found: os.stat_result) -> None:
    """Refuse a directory of another user: its files would be read and removed."""
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(f"cannot be written: {path} exists and is not a directory")
    if not hasattr(os, "geteuid"):  # Windows: the mode has no meaning there
        return
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        problem = "is not a directory that only you can read and write: remove it or choose"
        raise _refused(f"cannot be written: {path} {problem} another path")


def _lock(path: Path) -> int | None:
    try:
        fcntl: Any = import_module("fcntl")
    except ModuleNotFoundError:
        return None
    flags = int(getattr(os, "O_DIRECTORY", 0)) | int(getattr(os, "O_NOFOLLOW", 0))
    handle = os.open(path, os.O_RDONLY | flags)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(handle), path.lstat()):
            return handle
    except OSError:
        os.close(handle)
        raise
    # The export that used it has just ended and removed it.
    os.close(handle)
    raise BlockingIOError


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest("export_history", (Fault("path", problem),))
