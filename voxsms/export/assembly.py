"""The last step: the windows that were read, in order, become a file, a directory or a stream."""

import errno
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from voxsms.export.checkpoint import WorkDirectory
from voxsms.export.days import Days
from voxsms.export.parts import Format, open_private, sync, sync_directory
from voxsms.export.spool import Spool
from voxsms.export.target import Target
from voxsms.export.windowlog import Kept, read

Repeats = Mapping[int, set[int]]


class Assembly(Protocol):
    """Puts the windows of an export together; every step may block."""

    rows: int
    """How many rows were added."""

    def add(self, kept: Kept, repeats: Repeats, /) -> None:
        """Add the next window without the rows that another one has."""
        ...

    def finish(self) -> None:
        """Put the result into its place."""
        ...

    def abandon(self) -> None:
        """Leave nothing half-written."""
        ...


def begin(format_: Format, target: Target, work: WorkDirectory, repeats: Repeats) -> Assembly:
    """Begin to put windows together."""
    if target.stream is not None:
        raw = isinstance(target.stream, io.RawIOBase)
        return _Stream(format_, cast("BinaryIO", _Whole(target.stream)) if raw else target.stream)
    path = cast("Path", target.path)
    if not repeats and (spool := work.whole_spool) is not None:
        return _Spooled(spool, path)
    if target.by_day:
        return _Directory(format_, path, target.format, work)
    return _File(format_, path, work)


class _Whole(io.BufferedIOBase):
    """A stream without a buffer (PYTHONUNBUFFERED, `buffering=0`), of which every byte is written.

    Such a stream may write a part of what it gets, as when a disk is full, and call it no error.
    """

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - a raw stream, which has no type of its own
        self._stream = stream

    def write(self, content: Any) -> int:  # noqa: ANN401 - bytes of any kind
        """Write all of it. Raises `BlockingIOError` if nothing is taken."""
        left = memoryview(content).cast("B")
        size = len(left)
        while left:
            written = self._stream.write(left)
            if not written:
                raise BlockingIOError(errno.EAGAIN, "the stream takes nothing")
            left = left[written:]
        return size


class _Stream:
    """A stream, which gets one window after the other: by now it is known that all are whole."""

    def __init__(self, format_: Format, stream: BinaryIO) -> None:
        self.rows = 0
        self._format = format_
        self._stream = stream
        self._writer = format_.writer(stream)

    def add(self, kept: Kept, repeats: Repeats, /) -> None:
        for section in read(kept, repeats.get(kept.index, ()), self._format):
            self._writer.add(section.content)
            self.rows += section.rows

    def finish(self) -> None:
        self._writer.close()
        self._stream.flush()

    def abandon(self) -> None:
        self._writer.abandon()


class _File(_Stream):
    """One file, beside its place until it is whole."""

    def __init__(self, format_: Format, path: Path, work: WorkDirectory) -> None:
        self._path = path
        self._scratch = work.scratch
        self._file = open_private(self._scratch)
        super().__init__(format_, self._file)

    def finish(self) -> None:
        self._writer.close()
        sync(self._file)
        self._file.close()
        self._scratch.replace(self._path)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        super().abandon()
        self._file.close()
        self._scratch.unlink(missing_ok=True)


class _Spooled:
    """A file that is there already: all windows are in the spool, and nothing else."""

    def __init__(self, spool: Spool, path: Path) -> None:
        self.rows = 0
        self._spool = spool
        self._path = path

    def add(self, kept: Kept, _: Repeats, /) -> None:
        self.rows += kept.rows

    def finish(self) -> None:
        self._spool.finish(self._path)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        """Leave the spool: what it holds is whole."""


class _Directory:
    """A directory of files by day."""

    def __init__(self, format_: Format, path: Path, suffix: str, work: WorkDirectory) -> None:
        self.rows = 0
        self._format = format_
        self._path = path
        self._work = work
        self._days = Days(work.scratch, format_, suffix)

    def add(self, kept: Kept, repeats: Repeats, /) -> None:
        for section in read(kept, repeats.get(kept.index, ()), self._format):
            self._days.add(section.day, section.content)
            self.rows += section.rows

    def finish(self) -> None:
        self._days.close()
        sync_directory(self._work.scratch)
        if self._path.exists():
            self._path.rmdir()  # fails if something has been put in it meanwhile
        self._work.put(self._path, self.rows)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        self._days.abandon()
        shutil.rmtree(self._work.scratch, ignore_errors=True)
