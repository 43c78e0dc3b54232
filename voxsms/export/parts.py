"""What a kind of file has to do, and how files are made that nobody else can read."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from voxsms.export.decoding import Decoded

Cells = Any
"""Encoded rows, as each format has them in memory."""
_MOST_PARTS = 1000
"""That one call of the system takes: POSIX has 1024."""
Part = bytes | memoryview
"""Encoded rows, as each format keeps them on disk."""


class Writer(Protocol):
    """Joins parts to a file."""

    def add(self, part: Part) -> None:
        """Add the next part."""
        ...

    def close(self) -> None:
        """Write what is left; the file itself stays open."""
        ...

    def abandon(self) -> None:
        """Write nothing more, now or when it is forgotten."""
        ...


class Format(Protocol):
    """A kind of file.

    Rows are encoded page by page, as soon as they are decoded: they are in the processor's cache
    then, and as objects they take several times the memory.
    """

    @property
    def names(self) -> Sequence[str]:
        """The fields it looks at."""
        ...

    @property
    def joined(self) -> bool:
        """Whether a file is nothing but its parts, one after the other, after a header."""
        ...

    def encode(self, page: Decoded) -> Cells:
        """Encode the rows of a page."""
        ...

    def pick(self, pages: Sequence[Cells], order: Sequence[int]) -> Cells:
        """Join rows, picked by their positions in all the pages."""
        ...

    def slice(self, page: Cells, start: int, end: int) -> Cells:
        """Give some rows that follow each other."""
        ...

    def parts(self, pages: Sequence[Cells]) -> Sequence[Part]:
        """Give pages as they are kept in a file."""
        ...

    def without(self, part: Part, places: set[int]) -> Part:
        """Leave rows out of what was kept."""
        ...

    def writer(self, file: BinaryIO) -> Writer:
        """Begin a file."""
        ...


class Concatenation:
    """One part after the other, after a header."""

    def __init__(self, file: BinaryIO, header: bytes = b"") -> None:
        self._file = file
        file.write(header)

    def add(self, part: Part) -> None:
        """Add the next part."""
        self._file.write(part)

    def close(self) -> None:
        """Nothing is left to write."""

    def abandon(self) -> None:
        """Nothing is waiting to be written."""


def open_private(path: Path) -> BinaryIO:
    """Open a new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write_all(file: BinaryIO, parts: Sequence[Part]) -> None:
    """Write parts, in one call of the system where it has one for that.

    Each call gives the interpreter to another thread, and to join them would cost a copy.
    """
    file.flush()
    writev = getattr(os, "writev", None)
    if writev is None:  # Windows
        file.writelines(parts)
        file.flush()
        return
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        written = writev(file.fileno(), left[:_MOST_PARTS])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:  # a part of a part, as when a disk is full
            left[0] = left[0][written:]


def sync(file: BinaryIO) -> None:
    """Bring a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def settle(file: BinaryIO) -> None:
    """Bring a file to the disk that nobody is going to read soon: it need not stay in memory."""
    sync(file)
    if hasattr(os, "posix_fadvise"):  # not on macOS and Windows
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sync_directory(path: Path) -> None:
    """Bring the names of a directory's files to the disk, where a directory can be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
