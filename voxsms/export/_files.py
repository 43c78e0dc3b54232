"""Everything that an export changes on disk: all files are readable by their owner only.

Each function is one step: a run may be killed before or after it. The only state in between is a
partly written file.
"""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

UNBUFFERED = 0


def make_directory(path: Path) -> None:
    """Create a directory, unless it exists."""
    path.mkdir(mode=0o700, exist_ok=True)


def create(path: Path, buffering: int = -1) -> BinaryIO:
    """Open a new file that only its owner can read."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(handle, "w+b", buffering)


def open_again(path: Path) -> BinaryIO:
    """Open a file of an earlier run to continue it."""
    return path.open("r+b", UNBUFFERED)


def append(file: BinaryIO, parts: Iterable[bytes]) -> None:
    """Write parts, every byte of them.

    An unbuffered file (`rows`; standard output with PYTHONUNBUFFERED) may write only a part without
    an error, as when a disk is full. Raises `BlockingIOError` if it accepts nothing.
    """
    for part in parts:
        left = memoryview(part).cast("B")
        while left:
            written = file.write(left)
            if not written:
                raise BlockingIOError(errno.EAGAIN, "the stream accepts nothing")
            left = left[written:]


def truncate(file: BinaryIO, size: int) -> None:
    """Cut off what an earlier run left half-written."""
    file.truncate(size)
    file.seek(0, os.SEEK_END)


def sync(file: BinaryIO) -> None:
    """Sync a file to disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Sync the names of a directory's files to disk, where directories can be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(source: Path, target: Path) -> None:
    """Rename a file or a directory; it replaces a file of that name."""
    source.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a link, if it exists."""
    path.unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Remove an empty directory."""
    path.rmdir()


def remove_tree(path: Path) -> None:
    """Remove one of our own directories with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
