"""The directory beside the target in which an export is made, and from which it goes on.

It holds the checkpoint (what is exported, and the plan), the log of the windows that were read
(`windowlog.py`), and the spool, if there is one (`spool.py`). The checkpoint appears under its name
whole, by a rename; a window that is not as it was written is read again: whatever moment a run was
killed at, what is found can be trusted. Nothing else in it is touched, and only the owner can read
any of it.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import orjson

from voxsms.errors import CheckpointMismatch
from voxsms.export.lock import Lock
from voxsms.export.packing import Packed
from voxsms.export.parts import Format, open_private, sync
from voxsms.export.plan import Window
from voxsms.export.planning import Plan
from voxsms.export.spool import Spool
from voxsms.export.windowlog import SPOOL, Kept, WindowLog
from voxsms.masking import mask_number

LAYOUT = "2"
"""Of the files here: to be raised with every change, so that two versions never mix theirs."""
_CHECKPOINT = "checkpoint.json"
_UNFINISHED = ".tmp"
_SCRATCH = f"result{_UNFINISHED}"
_LOG = "windows.log"
_NUMBERS = ("source_number", "destination_number")
_LONGEST_SHOWN = 60
_WAY_OUT = ". Nothing was changed: choose another file, or begin anew with restart (--restart)"


class WorkDirectory:
    """The directory of one export, locked while it is in use.

    Args:
        path: where.
        joined: the format of a result in which windows simply follow each other, if it is one.
    """

    def __init__(self, path: Path, joined: Format | None = None) -> None:
        self.path = path
        self.kept: dict[int, Kept] = {}
        """The windows that were read, by their positions in the plan."""
        self.spool = None if joined is None else Spool(path / SPOOL, joined)
        self._log = WindowLog(path / _LOG)
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
        self._find_kept(len(plan.windows))
        return plan

    def save(self, identity: Mapping[str, str], plan: Plan) -> None:
        """Write the checkpoint."""
        self._content = {"identity": identity, "plan": attrs.asdict(plan)}
        self._write({})

    def _write(self, more: Mapping[str, object]) -> None:
        """Write the checkpoint, which has its name only when it is whole."""
        temporary = self.path / (_CHECKPOINT + _UNFINISHED)
        try:
            with open_private(temporary) as file:
                file.write(orjson.dumps({**self._content, **more}, option=orjson.OPT_INDENT_2))
                sync(file)
            temporary.replace(self.path / _CHECKPOINT)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

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

    def keep(self, index: int, total: int, packed: Packed) -> None:
        """Keep a window that was read, instead of an earlier reading of it."""
        at = None if self.spool is None else self.spool.append(index, packed.content)
        self.kept[index] = self._log.append(index, total, packed, at)

    @property
    def scratch(self) -> Path:
        """Where the result is put together: a name that is swept away after a kill."""
        return self.path / _SCRATCH

    def _find_kept(self, windows: int) -> None:
        """Find what was read before, as far as the plan knows it; of two readings the later.

        The spool holds up to where it is whole: what it has behind that is read again. A window
        that was read again, into the log, leaves its earlier reading there.
        """
        found = [each for each in self._log.load() if each.index < windows]
        spooled = {each.index: each.spooled for each in found if each.spooled is not None}
        latest = {each.index: each for each in found}
        for index, kept in sorted(latest.items()):
            place = spooled.get(index)
            held = place is not None and self.spool is not None and self.spool.has(index, place)
            if held or kept.spooled is None:
                self.kept[index] = kept

    @property
    def whole_spool(self) -> Spool | None:
        """The spool, if it holds every window as it is to be."""
        kept = self.kept.values()
        spooled = all(each.spooled is not None for each in kept)
        return self.spool if self.spool and spooled and self.spool.windows == len(kept) else None

    def _sweep(self) -> None:
        """Remove what is half-made."""
        (self.path / (_CHECKPOINT + _UNFINISHED)).unlink(missing_ok=True)
        if self.scratch.is_dir() and not self.scratch.is_symlink():
            shutil.rmtree(self.scratch)
        else:
            self.scratch.unlink(missing_ok=True)

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
        for name in (_LOG, SPOOL):
            (self.path / name).unlink(missing_ok=True)
        self.kept.clear()

    def close(self) -> None:
        """Unlock it; leave it if an export can go on from it, and nothing half-written in it."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with ExitStack() as steps:  # each is taken, whatever becomes of those before it
            steps.callback(lock.release)
            steps.callback(self._clear)
            steps.callback(self._log.close)
            if self.spool is not None:
                steps.callback(self.spool.close)

    def _clear(self) -> None:
        self._sweep()
        if not (self.path / _CHECKPOINT).exists():
            self.forget()
            with suppress(OSError):  # something of someone else's is in it
                self.path.rmdir()


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
