"""Everything that an export changes on the disk goes through here, for its owner's eyes alone.

Each function is one step: a run may be killed before or after it, and nothing in between has to be
thought of but a file that was written in part.
"""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

UNBUFFERED = 0


def make_directory(path: Path) -> None:
    """Make a directory, unless it is there."""
    path.mkdir(mode=0o700, exist_ok=True)


def create(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a new file that only its owner can read."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(handle, "w+b", buffering)


def open_again(path: Path) -> BinaryIO:
    """Open a file of an earlier run to go on with it."""
    return path.open("r+b", UNBUFFERED)


def append(file: BinaryIO, parts: Iterable[bytes]) -> None:
    """Write parts, every byte of them.

    What has no buffer (`rows`; standard output with PYTHONUNBUFFERED) may write a part of what it
    gets, as when a disk is full, and call it no error. Raises `BlockingIOError` if it takes none.
    """
    for part in parts:
        left = memoryview(part).cast("B")
        while left:
            written = file.write(left)
            if not written:
                raise BlockingIOError(errno.EAGAIN, "the stream takes nothing")
            left = left[written:]


def truncate(file: BinaryIO, size: int) -> None:
    """Cut off what an earlier run has left half-written."""
    file.truncate(size)
    file.seek(0, os.SEEK_END)


def sync(file: BinaryIO) -> None:
    """Bring a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring the names of a directory's files to the disk, where a directory can be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path) -> None:
    """Rename a file or a directory; a file that has the name goes."""
    source.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a link, if it is there."""
    path.unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Remove an empty directory."""
    path.rmdir()


def remove_tree(path: Path) -> None:
    """Remove a directory of our own and all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
