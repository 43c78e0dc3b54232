"""The directory of an export: one export at a time works in it, and nobody else can read it."""

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

from voxsms.errors import Fault, InvalidRequest


class Lock:
    """Makes a directory and holds it. Raises `InvalidRequest`.

    On Windows, which has no `flock` and opens no directories, nothing stands between two exports.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            _check(path, path.lstat())
            self._handle = _locked(path)
        except BlockingIOError:
            raise _refused("is being written by another export") from None
        except OSError as error:
            raise _refused(f"can not be written: {path}: {error.strerror}") from error

    def release(self) -> None:
        """Let it go."""
        if self._handle is not None:
            os.close(self._handle)


def _check(path: Path, found: os.stat_result) -> None:
    """Take no directory of anyone else's: what is in it is read and removed."""
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(f"can not be written: {path} is in the way and no directory")
    if not hasattr(os, "geteuid"):  # Windows: the mode says nothing there
        return
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        problem = "is not a directory that you alone can read and write: remove it or choose"
        raise _refused(f"can not be written: {path} {problem} another path")


def _locked(path: Path) -> int | None:
    if (fcntl := _fcntl()) is None:
        return None
    handle = os.open(path, os.O_RDONLY | _flag("O_DIRECTORY") | _flag("O_NOFOLLOW"))
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


def _fcntl() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("fcntl")
    except ModuleNotFoundError:
        return None


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest("export_history", (Fault("path", problem),))
