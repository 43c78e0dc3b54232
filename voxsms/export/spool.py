"""The file that an export becomes, where windows can simply follow each other.

Windows are appended in their order as they are read, so that every row is written to the disk once
and nothing is left to do in the end but to give the file its name.
"""

from collections.abc import Sequence
from pathlib import Path

from voxsms.export.growing import GrowingFile
from voxsms.export.parts import Format, Part, settle, sync

_SETTLED_AT_A_TIME = 4
"""Windows after which the file is brought to the disk, while others are read: so there is little
left to do in the end, and a long history does not push everything else out of the memory."""


class Spool:
    """Takes windows in their order."""

    def __init__(self, path: Path, format_: Format) -> None:
        self.windows = 0
        """How many it holds."""
        self._file = GrowingFile(path, format_.writer)

    def has(self, index: int, place: tuple[int, int]) -> bool:
        """Take note of a window that an earlier run put in, if it is the next one."""
        start, end = place
        if index != self.windows or (self.windows and start != self._file.end):
            return False
        self.windows += 1
        self._file.end = end
        return True

    def append(self, index: int, content: Sequence[Part]) -> int | None:
        """Put in a window and give where it begins, if it is the next one."""
        if index != self.windows:
            return None
        start = self._file.append(content)
        self.windows += 1
        if self.windows % _SETTLED_AT_A_TIME == 0:
            settle(self._file.opened())
        return start

    def finish(self, target: Path) -> None:
        """Bring it to the disk and give it its name."""
        sync(self._file.opened())
        self.close()
        self._file.path.replace(target)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
