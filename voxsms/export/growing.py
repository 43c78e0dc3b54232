"""A file that grows at its end. A run that is killed may leave it with half a piece there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from voxsms.export.parts import Part, open_private, write_all


class GrowingFile:
    """Takes pieces; opened when the first one comes.

    Args:
        path: where.
        head: writes what the file begins with.
    """

    def __init__(self, path: Path, head: Callable[[BinaryIO], object]) -> None:
        self.path = path
        self.end = 0
        """Where the next piece begins. What an earlier run left behind it is cut off."""
        self._head = head
        self._file: BinaryIO | None = None

    def append(self, piece: Sequence[Part]) -> int:
        """Write a piece and give where it begins."""
        write_all(self.opened(), piece)
        start, self.end = self.end, self.end + sum(map(len, piece))
        return start

    def close(self) -> None:
        """Close it, if it is open."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def opened(self) -> BinaryIO:
        """Give the file, opened for what comes next."""
        if self._file is None:
            self._file = self._gone_on() if self.end else self._begun()
        return self._file

    def _begun(self) -> BinaryIO:
        self.path.unlink(missing_ok=True)
        file = open_private(self.path)
        self._head(file)
        self.end = file.tell()
        return file

    def _gone_on(self) -> BinaryIO:
        file = self.path.open("r+b")
        self._head(file)  # no checksum says that it is what it was
        file.truncate(self.end)
        file.seek(0, os.SEEK_END)
        return file
