"""The file that an export becomes, where windows can simply follow each other.

Windows are appended in their order as they are read, so that every row is written to the disk once
and nothing is left to do in the end but to give the file its name. What is not whole at its end,
because a run was killed, is cut off when the next one goes on.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from voxsms.export.parts import Format, Part, open_private, settle, sync, write_all

_SETTLED_AT_A_TIME = 4
"""Windows after which the file is brought to the disk, while others are read: so there is little
left to do in the end, and a long history does not push everything else out of the memory."""


class Spool:
    """Takes windows in their order."""

    def __init__(self, path: Path, format_: Format) -> None:
        self.path = path
        self.windows = 0
        """How many it holds."""
        self._format = format_
        self._end = 0
        self._file: BinaryIO | None = None

    def has(self, index: int, place: tuple[int, int]) -> bool:
        """Take note of a window that an earlier run put in, if it is the next one."""
        start, end = place
        if index != self.windows or (self.windows and start != self._end):
            return False
        self.windows += 1
        self._end = end
        return True

    def append(self, index: int, content: Sequence[Part]) -> int | None:
        """Put in a window and give where it begins, if it is the next one."""
        if index != self.windows:
            return None
        file, start = self._opened(), self._end
        write_all(file, content)
        self._end += sum(map(len, content))
        self.windows += 1
        if self.windows % _SETTLED_AT_A_TIME == 0:
            settle(file)
        return start

    def finish(self, target: Path) -> None:
        """Bring it to the disk and give it its name."""
        sync(self._opened())
        self.close()
        self.path.replace(target)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._gone_on() if self.windows else self._begun()
        return self._file

    def _begun(self) -> BinaryIO:
        self.path.unlink(missing_ok=True)
        file = open_private(self.path)
        self._format.writer(file)  # writes what a file begins with
        self._end = file.tell()
        return file

    def _gone_on(self) -> BinaryIO:
        file = self.path.open("r+b")
        self._format.writer(file)  # what it begins with is not under a window's checksum
        file.truncate(self._end)
        file.seek(0, os.SEEK_END)
        return file
