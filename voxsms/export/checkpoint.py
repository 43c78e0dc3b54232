"""The directory beside the target in which an export is made, and from which it goes on.

It holds the checkpoint (what is exported, and the plan) and a file for each window that was read.
Everything in it appears under its name whole, by a rename: whatever moment a run was killed at,
what is there can be trusted, and what is not is read again. A half-written file has a name of its
own and is swept away; so is a window that is not intact because the machine itself went down. Only
the owner can read any of it.
"""

import os
import re
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import orjson

from voxsms.errors import CheckpointMismatch, Fault, InvalidRequest
from voxsms.export.parts import Part, open_private, sync
from voxsms.export.placing import Placed
from voxsms.export.plan import Window
from voxsms.export.planning import Plan
from voxsms.export.windowfile import is_intact

_CHECKPOINT = "checkpoint.json"
_UNFINISHED = ".tmp"
_PART = re.compile(r"(\d{6,})\.(\d+)\.(\d+)\.(\d+)\.part")
_WAY_OUT = ". Nothing was changed: choose another file, or begin anew with restart (--restart)"


@attrs.frozen
class PartFile:
    """A window that was read."""

    path: Path
    index: int
    rows: int
    total: int
    """How many rows the service counted, with those of the seconds before and after."""
    strays: int
    """How many of the rows can not be placed by their time."""


class WorkDirectory:
    """The directory of one export, locked while it is in use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[int, PartFile] = {}
        """The windows that were read, by their positions in the plan."""
        self._lock: int | None = None

    def open(self) -> None:
        """Make it and lock it. Raises `InvalidRequest`."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._lock = _locked(self.path)
        except BlockingIOError:
            raise refused("path", "is being written by another export") from None
        except OSError as error:
            raise refused("path", f"can not be written: {error.strerror}") from error

    def load(self, identity: Mapping[str, str]) -> Plan | None:
        """Give the plan of the run before, if there was one. Raises `CheckpointMismatch`."""
        try:
            content = (self.path / _CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = orjson.loads(content)
            was, plan = dict[str, str](found["identity"]), _plan(found["plan"])
        except (ValueError, KeyError, TypeError):
            raise CheckpointMismatch(f"{self.path} can not be read{_WAY_OUT}") from None
        if names := sorted(n for n in {*was, *identity} if was.get(n) != identity.get(n)):
            differs = f"belongs to another export (another {', '.join(names)})"
            raise CheckpointMismatch(f"{self.path} {differs}{_WAY_OUT}")
        self._sweep()
        self._find_parts()
        return plan

    def save(self, identity: Mapping[str, str], plan: Plan) -> None:
        """Write the checkpoint."""
        found = {"identity": identity, "plan": attrs.asdict(plan)}
        with self._created(_CHECKPOINT) as file:
            file.write(orjson.dumps(found, option=orjson.OPT_INDENT_2))
            sync(file)

    def keep(self, index: int, placed: Placed, total: int, content: Iterable[Part]) -> None:
        """Keep a window that was read, instead of an earlier reading of it."""
        figures = len(placed), total, len(placed.strays)
        name = ".".join([f"{index:06}", *map(str, figures), "part"])
        with self._created(name) as file:
            file.writelines(content)
        earlier = self.parts.get(index)
        self.parts[index] = PartFile(self.path / name, index, *figures)
        if earlier is not None and earlier.path.name != name:
            earlier.path.unlink()

    @contextmanager
    def _created(self, name: str) -> Generator[BinaryIO]:
        """Write a file that has its name only when it is whole."""
        temporary = self.path / (name + _UNFINISHED)
        try:
            with open_private(temporary) as file:
                yield file
            temporary.replace(self.path / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @property
    def scratch(self) -> Path:
        """Where the result is put together: a name that is swept away after a kill."""
        return self.path / f"result{_UNFINISHED}"

    def _find_parts(self) -> None:
        for path in sorted(self.path.iterdir()):
            if (name := _PART.fullmatch(path.name)) is None:
                continue
            if not is_intact(path):
                path.unlink()
                continue
            part = PartFile(path, *map(int, name.groups()))
            # Two if the run was killed between a new reading and the removal of the old one.
            earlier = self.parts.setdefault(part.index, part)
            old, new = sorted((earlier, part), key=lambda each: each.total)
            self.parts[part.index] = new
            if old is not new:
                old.path.unlink()

    def _sweep(self) -> None:
        for path in self.path.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint: nothing goes on from here."""
        (self.path / _CHECKPOINT).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the checkpoint and what it speaks of; nothing that is not of an export."""
        self.drop_checkpoint()
        self._sweep()
        for path in self.path.iterdir():
            if _PART.fullmatch(path.name):
                path.unlink()
        self.parts.clear()

    def close(self) -> None:
        """Unlock it; leave it if an export can go on from it, and nothing half-written in it."""
        if self._lock is None:
            return
        self._sweep()
        if not (self.path / _CHECKPOINT).exists():
            self.forget()
            with suppress(OSError):  # something of someone else's is in it
                self.path.rmdir()
        os.close(self._lock)
        self._lock = None


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY)
    try:
        if (fcntl := _fcntl()) is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
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
    except ModuleNotFoundError:  # Windows: no lock stands between two exports there
        return None


def _plan(found: dict[str, Any]) -> Plan:
    windows, spans = ([_window(**each) for each in found[name]] for name in ("windows", "spans"))
    return Plan(_time(found["end"]), tuple(windows), tuple(spans), fresh=True)


def _window(start: str | None, end: str, rows: int) -> Window:
    return Window(None if start is None else _time(start), _time(end), int(rows))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def refused(field: str, problem: str) -> InvalidRequest:
    """Say that an export can not be begun."""
    return InvalidRequest("export_history", (Fault(field, problem),))
