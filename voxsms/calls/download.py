"""Targets of a download: a path, written next to it and renamed, or a user's async file."""

import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from anyio import CancelScope, to_thread

from voxsms.api.spec import AsyncWriter, Target
from voxsms.api.wire import describe_type
from voxsms.errors import Fault, InvalidRequest


class TargetFile(Protocol):
    """Takes a file piece by piece."""

    written: int
    """How many bytes it has taken."""

    async def restart(self) -> bool:
        """Discard what was written; return whether that was possible."""
        ...

    async def write(self, part: bytes) -> None:
        """Take the next piece."""
        ...

    async def finish(self) -> None:
        """Save what was written."""
        ...

    async def abandon(self) -> None:
        """Remove every trace of what was written."""
        ...


def open_target(cmd: str, target: Target) -> TargetFile:
    """Return the file that a user named as the target of `cmd`.

    Raises:
        InvalidRequest: the target cannot be written.
    """
    if problem := _problem_of(target):
        raise InvalidRequest(cmd, (Fault("path", problem),))
    if isinstance(target, str | os.PathLike):
        return _PathTarget(Path(target))
    return _WriterTarget(target)


def _problem_of(target: object) -> str | None:
    """Return what is wrong with a target, as far as can be known before anything is sent."""
    if isinstance(target, str | os.PathLike):
        path = Path(cast("str", target))
        if path.is_dir():
            return "is a directory; it must be the path of a file"
        return None if path.parent.is_dir() else "is in a directory that does not exist"
    if isinstance(target, io.IOBase):
        return "is a file that blocks; give its path, or open it with `await anyio.open_file(...)`"
    return (
        None
        if hasattr(target, "write")
        else f"is {describe_type(target)}; it must be a path or a file"
    )


class _PathTarget:
    """A file that appears under its name only when complete; readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part: BinaryIO | None = None
        self.written = 0

    def _open(self) -> BinaryIO:
        """Create the file; not in a thread, whose result a cancelled call would never get."""
        if self._part is None:
            # mkstemp: mode 0600, as a history is private.
            handle, name = tempfile.mkstemp(
                dir=self._path.parent, prefix=f".{self._path.name[:40]}.", suffix=".part"
            )
            self._temporary = Path(name)
            self._part = os.fdopen(handle, "wb")
        return self._part

    async def restart(self) -> bool:
        """Empty the file."""
        if self._part is not None:
            await to_thread.run_sync(self._truncate, self._part)
        self.written = 0
        return True

    def _truncate(self, part: BinaryIO) -> None:
        part.seek(0)
        part.truncate()

    async def write(self, part: bytes) -> None:
        """Append a piece."""
        file = self._open()
        self.written += await to_thread.run_sync(file.write, part)

    async def finish(self) -> None:
        """Rename the file to its final name."""
        await to_thread.run_sync(self._save, self._open())

    def _save(self, part: BinaryIO) -> None:
        part.flush()
        os.fsync(part.fileno())
        part.close()
        self._temporary.replace(self._path)

    async def abandon(self) -> None:
        """Remove what was written, also if the call was cancelled."""
        if self._part is not None:
            self._part.close()
            with CancelScope(shield=True), suppress(FileNotFoundError):
                await to_thread.run_sync(self._temporary.unlink)


class _WriterTarget:
    """An async file that a user opened and will close; after a fault it would be half full."""

    def __init__(self, file: AsyncWriter) -> None:
        self._file = file
        self.written = 0

    async def restart(self) -> bool:
        return self.written == 0

    async def write(self, part: bytes) -> None:
        await self._file.write(part)
        self.written += len(part)

    async def finish(self) -> None:
        pass

    async def abandon(self) -> None:
        pass
