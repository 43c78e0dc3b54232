"""Where a downloaded file goes: a path, filled beside it and renamed, or a user's async file."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import CancelScope, to_thread

from voxsms.api.spec import AsyncWriter, Target


class Destination(Protocol):
    """Takes a file piece by piece."""

    written: int

    async def restart(self) -> bool:
        """Forget what came; say whether that could be done."""
        ...

    async def write(self, part: bytes) -> None:
        """Take the next piece."""
        ...

    async def finish(self) -> None:
        """Keep what came."""
        ...

    async def abandon(self) -> None:
        """Leave no trace of what came."""
        ...


def destination(target: Target) -> Destination:
    """Give the destination that a user named."""
    return (
        PathDestination(Path(target)) if isinstance(target, str | os.PathLike) else _Given(target)
    )


class PathDestination:
    """A file that appears under its name only when it is whole; only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part: BinaryIO | None = None
        self.written = 0

    async def _open(self) -> BinaryIO:
        if self._part is None:
            self._part = await to_thread.run_sync(self._create)
        return self._part

    def _create(self) -> BinaryIO:
        # mkstemp: mode 0600, for a history is nobody else's.
        handle, _ = made = tempfile.mkstemp(
            dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".part"
        )
        self._temporary = Path(made[1])
        return os.fdopen(handle, "wb")

    async def restart(self) -> bool:
        """Start again from an empty file."""
        if self._part is not None:
            await to_thread.run_sync(self._truncate, self._part)
        self.written = 0
        return True

    def _truncate(self, part: BinaryIO) -> None:
        part.seek(0)
        part.truncate()

    async def write(self, part: bytes) -> None:
        """Append a piece."""
        file = await self._open()
        self.written += await to_thread.run_sync(file.write, part)

    async def finish(self) -> None:
        """Give the file its name."""
        await to_thread.run_sync(self._keep, await self._open())

    def _keep(self, part: BinaryIO) -> None:
        part.flush()
        os.fsync(part.fileno())
        part.close()
        self._temporary.replace(self._path)

    async def abandon(self) -> None:
        """Remove what was written; also when the call was cancelled."""
        if self._part is not None:
            self._part.close()
            with CancelScope(shield=True), suppress(FileNotFoundError):
                await to_thread.run_sync(self._temporary.unlink)


class _Given:
    """An async file that a user opened, closes, and would find half full after a fault."""

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
