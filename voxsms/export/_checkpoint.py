"""The directory beside the target where an export is built, and from which it resumes.

It holds two files that only grow. `rows` has the encoded rows of each window that was proven
complete. `journal` has a JSON line with the identity and plan of the export, a line for each of
these windows (the position of its rows and their keys), and at the end one that says that the
result is ready. Of two lines about a window the later one counts.

A window's rows are written before its line, and neither is known to be on disk before the result
is: after a power failure anything may be missing. Checksums, one at the beginning of each line and
one of the rows in it, show what can be trusted; the rest is read again.

If a file of the format is its windows one after the other, and they are in order in `rows`, `rows`
is the result. Then it is synced as it grows, so that a long export does not end with a long wait
for the disk. Otherwise that would only write more to the disk.
"""

import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime
from errno import EIO
from itertools import groupby
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import orjson

from voxsms.errors import CheckpointMismatch
from voxsms.export import _files as files
from voxsms.export._lock import Lock
from voxsms.export._plan import Plan, Window
from voxsms.export._prove import WindowRows
from voxsms.export._rows import DATE_LENGTH, Rows
from voxsms.export.formats import Format
from voxsms.masking import mask_number

LAYOUT = "4"
"""The version of the files here: raise it with every change, so that versions are never mixed."""
ROWS, RESULT, TEMPORARY = "rows", "result", "temporary"
_JOURNAL, _NEW_JOURNAL = "journal", "journal.new"
NO_DAY = "__HIVE_DEFAULT_PARTITION__"
"""The name that Hive, Spark, Arrow and DuckDB give to the rows without a value."""
_SYNC_AFTER = 8 * 2**20
"""How many bytes of a result may be unsynced."""
_NUMBERS = ("source_number", "destination_number")
_MAX_SHOWN = 60
WAY_OUT = ". Nothing was changed: choose another file, or begin again with restart (--restart)"


@attrs.frozen
class Section:
    """Encoded rows that follow each other and go into one file."""

    day: str
    """Empty if the export is not by day."""
    rows: int
    is_stray: bool
    scale: int
    """How many decimals the amounts have, if the format needs to know."""
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class SavedSection:
    """A section in `rows`."""

    day: str
    rows: int
    """Without the dropped ones."""
    is_stray: bool
    scale: int
    start: int
    size: int
    dropped: frozenset[int]
    """The indexes of the rows that are left out, as they are elsewhere, too."""


Read = Callable[[SavedSection], bytes]
"""Returns the rows of a section."""


def scale_of(sections: Iterable[SavedSection]) -> int:
    """Return how many decimals the amounts of sections have."""
    return max((section.scale for section in sections), default=0)


@attrs.frozen
class EncodedWindow:
    """A complete window, ready to be saved."""

    index: int
    """Its index in the plan."""
    total: int
    """How many rows the service counted, with those of the seconds before and after."""
    sections: Sequence[Section]
    """The strays last."""
    keys: "array[int]"
    """The keys of all rows, in order."""

    @classmethod
    def of(cls, format_: Format, index: int, found: WindowRows, *, by_day: bool) -> "EncodedWindow":
        """Encode a window. Its rows must not be used afterwards."""
        keys = array("q", found.rows.keys)
        keys.extend(found.strays.keys)
        sections: list[Section] = []
        for rows, is_stray in ((found.rows, False), (found.strays, True)):
            for day, some in _split_days(rows) if by_day else [("", rows)]:
                if count := len(some):
                    content = format_.encode(some.portions())
                    scale = format_.scale_of(content)
                    sections.append(Section(day, count, is_stray, scale, content))
        return cls(index, found.total, sections, keys)


def _split_days(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Yield the rows of each day, which follow each other."""
    start = 0
    for day, times in groupby(rows.times, lambda time: time[:DATE_LENGTH] or NO_DAY):
        end = start + sum(1 for _ in times)
        yield day, rows[start:end]
        start = end


@attrs.frozen
class Saved:
    """A window that was saved."""

    index: int
    rows: int
    strays: int
    """How many of the rows have no time that puts them in a window."""
    total: int
    """How many rows the service counted, with those of the seconds before and after."""
    least: int
    """The least key; with the greatest it shows which windows can share rows."""
    greatest: int
    start: int
    """Where its rows begin in `rows`."""
    size: int
    line: int
    """Where its line begins in the journal."""


class Checkpoint:
    """The directory of one export, locked while it is in use.

    Args:
        path: where it is.
        format_: the format of `rows`.
        is_file: whether the result is one file, which `rows` may become.
    """

    def __init__(self, path: Path, format_: Format, *, is_file: bool) -> None:
        self.path = path
        self.saved: dict[int, Saved] = {}
        """The windows that were saved, by their indexes in the plan."""
        self.ready: dict[str, Any] | None = None
        """The result, if it is ready: its name here, and how many rows it has."""
        self._format = format_
        self._may_be_result = is_file and format_.header is not None
        self._header = format_.header or b""
        self._end = len(self._header)
        """Where the next window begins in `rows`; the bytes after that were not saved."""
        self._lock: Lock | None = None
        self._rows: BinaryIO | None = None
        self._unsynced = 0
        self._journal: BinaryIO | None = None
        self._is_begun = False

    def open(self) -> None:
        """Create and lock it. Raises `InvalidRequest`."""
        self._lock = Lock(self.path)

    @property
    def can_resume(self) -> bool:
        """Whether another run could resume this one."""
        return self._is_begun and (self.path / _JOURNAL).exists()

    def load(self, identity: Mapping[str, str]) -> Plan | None:
        """Return the plan of the earlier run, if there was one. Raises `CheckpointMismatch`."""
        try:
            journal = (self.path / _JOURNAL).open("rb")
        except FileNotFoundError:
            return None
        with journal:
            try:
                head = _parse(journal.readline()) or {}
                was, plan = dict[str, str](head["identity"]), _read_plan(head["plan"])
            except (ValueError, KeyError, TypeError):
                raise CheckpointMismatch(f"{self.path} cannot be read{WAY_OUT}") from None
            if differences := "; ".join(_differences(was, identity)):
                differs = f"belongs to another export ({differences})"
                raise CheckpointMismatch(f"{self.path} {differs}{WAY_OUT}")
            self._is_begun = True
            self._load_windows(journal, len(plan.windows))
        return plan

    def _load_windows(self, journal: BinaryIO, windows: int) -> None:
        """Find the windows that are intact, and continue after the last one."""
        line = journal.tell()
        try:
            rows = (self.path / ROWS).open("rb")
        except FileNotFoundError:
            rows = None
        with ExitStack() as opened:
            if rows is not None:
                opened.enter_context(rows)
            for text in journal:
                if (about := _parse(text)) is not None:
                    self.ready = about.get("ready")
                if rows is not None and about and about.get("index", windows) < windows:
                    saved = _saved(about, line, _keys(about))
                    rows.seek(saved.start)
                    if zlib.crc32(rows.read(saved.size)) == about["crc"]:
                        self.saved[saved.index] = saved
                        self._end = max(self._end, saved.start + saved.size)
                line += len(text)

    def begin(self, identity: Mapping[str, str], plan: Plan) -> None:
        """Write the journal's first line; the file gets its name only when that is complete."""
        new = self.path / _NEW_JOURNAL
        files.remove(new)
        with files.create(new) as file:
            files.append(file, [_line({"identity": identity, "plan": attrs.asdict(plan)})])
            files.sync(file)
        files.replace(new, self.path / _JOURNAL)
        self._is_begun = True

    def save(self, window: EncodedWindow) -> None:
        """Save a window; it replaces an earlier reading."""
        contents = [section.content for section in window.sections]
        crc = 0
        for content in contents:
            crc = zlib.crc32(content, crc)
        about = {
            "index": window.index,
            "total": window.total,
            "start": self._end,
            "sections": [
                (s.day, s.rows, s.is_stray, s.scale, len(s.content)) for s in window.sections
            ],
            "crc": crc,
            "keys": b64encode(window.keys).decode(),
        }
        rows = self._open_rows()
        files.append(rows, contents)
        line = self._append(about)
        saved = self.saved[window.index] = _saved(about, line, window.keys)
        self._end += saved.size
        self._unsynced += saved.size
        if self._unsynced >= _SYNC_AFTER and self._may_be_result:
            files.sync(rows)
            self._unsynced = 0

    def _open_rows(self) -> BinaryIO:
        if self._rows is None:
            path = self.path / ROWS
            if self._end == len(self._header):
                files.remove(path)
                self._rows = files.create(path, files.UNBUFFERED)
            else:
                self._rows = files.open_again(path)
            files.append(self._rows, [self._header])  # written again: it has no checksum
            files.truncate(self._rows, self._end)
        return self._rows

    def _open_journal(self) -> BinaryIO:
        if self._journal is None:
            self._journal = files.open_again(self.path / _JOURNAL)
            self._journal.seek(-1, SEEK_END)
            if self._journal.read() != b"\n":  # an earlier run was stopped in its last line
                files.append(self._journal, [b"\n"])
        return self._journal

    def _append(self, about: Mapping[str, Any]) -> int:
        """Write a line to the journal; return its position."""
        journal = self._open_journal()
        line = journal.tell()
        files.append(journal, [_line(about)])
        return line

    def keys(self, saved: Saved) -> "array[int]":
        """Return the keys of a window's rows, those of the strays last."""
        return _keys(self._read_line(saved))

    def sections(self, dropped: Mapping[int, Collection[int]]) -> Iterator[SavedSection]:
        """Yield the sections of all windows, in order, without the strays in `dropped`."""
        for _, saved in sorted(self.saved.items()):
            start, first = saved.start, 0
            for day, rows, is_stray, scale, size in self._read_line(saved)["sections"]:
                out = frozenset[int]()
                if is_stray:
                    here = range(first, first + rows)
                    out = frozenset(n - first for n in dropped.get(saved.index, ()) if n in here)
                    first += rows
                yield SavedSection(day, rows - len(out), is_stray, scale, start, size, out)
                start += size

    def read(self, section: SavedSection) -> bytes:
        """Return the encoded rows of a section."""
        with (self.path / ROWS).open("rb") as rows:
            rows.seek(section.start)
            content = rows.read(section.size)
        return self._format.drop(content, section.dropped) if section.dropped else content

    def _read_line(self, saved: Saved) -> Mapping[str, Any]:
        with (self.path / _JOURNAL).open("rb") as journal:
            journal.seek(saved.line)
            about = _parse(journal.readline())
        if about is None:
            problem = "a saved window can no longer be read"
            raise OSError(EIO, problem, str(self.path / _JOURNAL))
        return about

    @property
    def is_result(self) -> bool:
        """Whether `rows` can be the result: all windows, in order, nothing else."""
        end = len(self._header)
        for _, saved in sorted(self.saved.items()):
            if saved.size and (saved.start != end or saved.strays):
                return False
            end += saved.size
        return self._may_be_result and end == self._end

    def finish_rows(self) -> None:
        """Sync `rows`, which is the result."""
        files.sync(self._open_rows())
        self._close_rows()

    def note_ready(self, name: str, rows: int) -> None:
        """Record that the result is complete, with its name here: it only has to be moved."""
        self._note({"name": name, "rows": rows})

    def note_gone(self) -> None:
        """Record that the result is missing: it must be built again."""
        self._note(None)

    def _note(self, ready: dict[str, Any] | None) -> None:
        self.ready = ready
        self._append({"ready": ready})
        files.sync(self._open_journal())

    def finish(self) -> None:
        """Remove everything once the result is in place; `rows` before the journal that says so."""
        self._close_files()
        files.remove(self.path / ROWS)
        self.forget()

    def forget(self) -> None:
        """Remove everything that an export left here, and nothing else.

        The journal is removed first: it must not refer to a half-removed result.
        """
        self._close_files()
        for name in (_JOURNAL, _NEW_JOURNAL, ROWS):
            files.remove(self.path / name)
        for name in (RESULT, TEMPORARY):
            files.remove_tree(self.path / name)
        self._is_begun, self.ready, self._end = False, None, len(self._header)
        self.saved.clear()

    def close(self) -> None:
        """Unlock it; keep it if an export can be resumed, without half-written files."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with ExitStack() as steps:  # each runs, even if an earlier one fails
            steps.callback(lock.release)
            steps.callback(self._clear)
            steps.callback(self._close_files)

    def _clear(self) -> None:
        if not (self.path / _JOURNAL).exists():
            self.forget()
            with suppress(OSError):  # it contains other files
                files.remove_directory(self.path)
        elif self.ready is None:
            for name in (RESULT, TEMPORARY):
                files.remove_tree(self.path / name)

    def _close_files(self) -> None:
        with ExitStack() as steps:
            steps.callback(self._close_rows)
            journal, self._journal = self._journal, None
            if journal is not None:
                steps.callback(journal.close)

    def _close_rows(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            rows.close()


def _line(about: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(about)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line, if it is intact."""
    crc, _, text = line.partition(b" ")
    is_whole = text.endswith(b"\n") and crc == b"%08x" % zlib.crc32(text[:-1])
    return orjson.loads(text) if is_whole else None


def _saved(about: Mapping[str, Any], line: int, keys: Sequence[int]) -> Saved:
    sections = about["sections"]
    return Saved(
        about["index"],
        len(keys),
        sum(rows for _, rows, is_stray, *_ in sections if is_stray),
        about["total"],
        min(keys, default=0),
        max(keys, default=0),
        about["start"],
        sum(size for *_, size in sections),
        line,
    )


def _keys(about: Mapping[str, Any]) -> "array[int]":
    return array("q", b64decode(about["keys"]))


def _differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            yield f"{name}: {_shown(name, was.get(name))} there, {_shown(name, now.get(name))} here"


def _shown(name: str, text: str | None) -> str:
    if text is None:
        return "none"
    shown = ";".join(map(mask_number, text.split(";"))) if name in _NUMBERS else text
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."


def _read_plan(found: dict[str, Any]) -> Plan:
    windows, spans = (
        [_read_window(**each) for each in found[name]] for name in ("windows", "spans")
    )
    return Plan(
        _read_time(found["end"]),
        tuple(windows),
        tuple(spans),
        bool(found["is_open"]),
        found["first_day"] and date.fromisoformat(found["first_day"]),
    )


def _read_window(start: str | None, end: str, rows: int) -> Window:
    return Window(None if start is None else _read_time(start), _read_time(end), int(rows))


def _read_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
