"""The directory beside the target in which an export is made, and from which it goes on.

It holds the checkpoint (what is exported, and the plan), a file for each window that was read, and
the spool, if there is one (`spool.py`). All but the spool appears under its name whole, by a
rename: whatever moment a run was killed at, what is there can be trusted, and what is not is read
again. A half-written file has a name of its own and is swept away; so is a window that is not
intact because the machine itself went down, or that the plan does not know. Nothing else in it is
touched, and only the owner can read any of it.
"""

import re
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import orjson

from voxsms.errors import CheckpointMismatch
from voxsms.export.lock import Lock
from voxsms.export.parts import Format, open_private, sync
from voxsms.export.placing import Placed
from voxsms.export.plan import Window
from voxsms.export.planning import Plan
from voxsms.export.spool import Spool
from voxsms.export.windowfile import SPOOL, Packed, is_intact, place_in_spool
from voxsms.masking import mask_number

LAYOUT = "1"
"""Of the files here: to be raised with every change, so that two versions never mix theirs."""
_CHECKPOINT = "checkpoint.json"
_UNFINISHED = ".tmp"
_SCRATCH = f"result{_UNFINISHED}"
_PART = re.compile(r"(\d{6,})\.(\d+)\.(\d+)\.(\d+)\.(-?\d+)\.(-?\d+)\.part")
_OWN_PART = re.compile(r"\d{6,}(\.-?\d+)+\.part")
"""That of another layout, too."""
_NUMBERS = ("source_number", "destination_number")
_LONGEST_SHOWN = 60
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
    least: int
    """Of what the rows are known by; with the greatest it tells which windows can share rows."""
    greatest: int


class WorkDirectory:
    """The directory of one export, locked while it is in use.

    Args:
        path: where.
        joined: the format of a result in which windows simply follow each other, if it is one.
    """

    def __init__(self, path: Path, joined: Format | None = None) -> None:
        self.path = path
        self.parts: dict[int, PartFile] = {}
        """The windows that were read, by their positions in the plan."""
        self.spool = None if joined is None else Spool(path / SPOOL, joined)
        self._lock: Lock | None = None
        self._content: dict[str, Any] = {}
        """That of the checkpoint."""

    def open(self) -> None:
        """Make it and lock it. Raises `InvalidRequest`."""
        self._lock = Lock(self.path)

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
        if differences := "; ".join(_differences(was, identity)):
            differs = f"belongs to another export ({differences})"
            raise CheckpointMismatch(f"{self.path} {differs}{_WAY_OUT}")
        self._content = found
        self._sweep()
        self._find_parts(len(plan.windows))
        return plan

    def save(self, identity: Mapping[str, str], plan: Plan) -> None:
        """Write the checkpoint."""
        self._content = {"identity": identity, "plan": attrs.asdict(plan)}
        self._write({})

    def _write(self, more: Mapping[str, object]) -> None:
        with self._created(_CHECKPOINT) as file:
            file.write(orjson.dumps({**self._content, **more}, option=orjson.OPT_INDENT_2))
            sync(file)

    def put(self, target: Path, rows: int) -> None:
        """Give a directory that is ready its name.

        It can not be replaced later as a file can. So it is written down beforehand which one it
        is: a run killed after the renaming is known to have ended, and one before it goes on.
        """
        found = self.scratch.stat()
        self._write({"ready": [found.st_ino, found.st_mtime_ns, rows]})
        try:
            self.scratch.rename(target)
        except OSError:
            self._write({})
            raise

    def keep(self, index: int, placed: Placed, total: int, packed: Packed) -> None:
        """Keep a window that was read, instead of an earlier reading of it."""
        figures = len(placed), total, len(placed.strays), *placed.span
        name = ".".join([f"{index:06}", *map(str, figures), "part"])
        at = None if self.spool is None else self.spool.append(index, packed.content)
        with self._created(name) as file:
            file.writelines(packed.file(at))
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
        return self.path / _SCRATCH

    def _find_parts(self, windows: int) -> None:
        for path in sorted(self.path.iterdir()):
            if (name := _PART.fullmatch(path.name)) is None:
                continue
            part = PartFile(path, *map(int, name.groups()))
            if part.index >= windows or not is_intact(path):
                path.unlink()
                continue
            # Two if the run was killed between a new reading and the removal of the old one.
            earlier = self.parts.setdefault(part.index, part)
            old, new = sorted((earlier, part), key=lambda each: each.total)
            self.parts[part.index] = new
            if old is not new:
                old.path.unlink()
        self._find_spooled()

    @property
    def whole_spool(self) -> Spool | None:
        """The spool, if it holds every window as it is to be."""
        paths = [part.path for part in self.parts.values()]
        if self.spool is None or self.spool.windows != len(paths):
            return None
        return None if None in map(place_in_spool, paths) else self.spool

    def _find_spooled(self) -> None:
        """See how much of the spool holds; what is not joined to its beginning is read again."""
        for index, part in sorted(self.parts.items()):
            place = place_in_spool(part.path)
            if place is None or (self.spool is not None and self.spool.has(index, place)):
                continue
            part.path.unlink()
            del self.parts[index]

    def _sweep(self) -> None:
        for path in self.path.glob(f"*{_UNFINISHED}"):
            name = path.name.removesuffix(_UNFINISHED)
            if path.name == _SCRATCH and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name == _SCRATCH or name == _CHECKPOINT or _OWN_PART.fullmatch(name):
                path.unlink()

    @property
    def can_go_on(self) -> bool:
        """Whether another run could go on from here."""
        return bool(self._content) and (self.path / _CHECKPOINT).exists()

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint: nothing goes on from here."""
        (self.path / _CHECKPOINT).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the checkpoint and what it speaks of; nothing that is not of an export."""
        self.drop_checkpoint()
        self._sweep()
        for path in self.path.iterdir():
            if _OWN_PART.fullmatch(path.name) or path.name == SPOOL:
                path.unlink()
        self.parts.clear()

    def close(self) -> None:
        """Unlock it; leave it if an export can go on from it, and nothing half-written in it."""
        if self._lock is None:
            return
        if self.spool is not None:
            self.spool.close()
        self._sweep()
        if not (self.path / _CHECKPOINT).exists():
            self.forget()
            with suppress(OSError):  # something of someone else's is in it
                self.path.rmdir()
        self._lock.release()
        self._lock = None


def rows_in_place(work: Path, target: Path) -> int | None:
    """Give the rows of a directory that a run put into its place before it was killed."""
    try:
        found = target.lstat()
        *which, rows = orjson.loads((work / _CHECKPOINT).read_bytes())["ready"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return int(rows) if which == [found.st_ino, found.st_mtime_ns] else None


def _differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            yield f"{name}: {_shown(name, was.get(name))} there, {_shown(name, now.get(name))} here"


def _shown(name: str, text: str | None) -> str:
    if text is None:
        return "none"
    shown = ";".join(map(mask_number, text.split(";"))) if name in _NUMBERS else text
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."


def _plan(found: dict[str, Any]) -> Plan:
    windows, spans = ([_window(**each) for each in found[name]] for name in ("windows", "spans"))
    return Plan(_time(found["end"]), tuple(windows), tuple(spans), fresh=bool(found["fresh"]))


def _window(start: str | None, end: str, rows: int) -> Window:
    return Window(None if start is None else _time(start), _time(end), int(rows))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
