"""The directory of an export: one export at a time works in it, and nobody else can read it."""

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from voxsms.errors import Fault, InvalidRequest
from voxsms.export import _files as files


class Lock:
    """Makes a directory and holds it. Raises `InvalidRequest`.

    On Windows, which has no `flock` and opens no directories, nothing stands between two exports.
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
        """Let it go."""
        if self._handle is not None:
            os.close(self._handle)


def _check(path: Path, found: os.stat_result) -> None:
    """Take no directory of anyone else's: what is in it is read and removed."""
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(f"cannot be written: {path} is in the way and no directory")
    if not hasattr(os, "geteuid"):  # Windows: the mode says nothing there
        return
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        problem = "is not a directory that you alone can read and write: remove it or choose"
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
    # The export that had it has just ended and removed it.
    os.close(handle)
    raise BlockingIOError


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest("export_history", (Fault("path", problem),))
