"""A directory with a file for each day: replaced as a whole, or brought up to date.

    days/day=2026-11-27/part-9f86d081.parquet

The digest in the name identifies what was exported: history, account, filters and options. So an
update notices if a directory holds something else. A file beside the days cannot do that: some
programs refuse a directory with files of different kinds (polars).

A directory is replaced as a whole in three steps: move the old one aside, move the new one in,
remove the old one. An update moves the files of the days into place one by one, the earliest first;
the result holds those that are still to be moved. The next run can continue after any step.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path

import attrs
import orjson

from voxsms.calls.hooks import logger
from voxsms.errors import CheckpointMismatch, Fault, InvalidRequest
from voxsms.export import _files as files
from voxsms.export._checkpoint import NO_DAY, WAY_OUT, Read, SavedSection, scale_of
from voxsms.export._query import Query
from voxsms.export.formats import NAMES, Format

_OLD = "old"
"""The name of the replaced directory within that of the export."""
_DIGITS = 8
_LAST_SECOND = time(23, 59, 59)
_DAY = "day="
_is_day = re.compile(rf"{_DAY}(\d{{4}}-\d\d-\d\d|{NO_DAY})").fullmatch
_is_part = re.compile(rf"part-[0-9a-f]{{{_DIGITS}}}\.({'|'.join(map(re.escape, NAMES))})").fullmatch


def name_part(identity: Mapping[str, str], format_: str) -> str:
    """Return the name of the file of each day."""
    digest = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"part-{digest[:_DIGITS]}.{format_}"


_OF_ANOTHER = (
    "holds days of another export (another history, account, filter, format or option), which "
    "this one cannot update: choose another directory, or export it as a whole"
)
_LEFT_OUT = (
    "%d messages have no day, or one before %s, and were not added to the directory: an export "
    "without update (--update) writes them, too"
)


@attrs.frozen
class Days:
    """The directory, and the name of the file in each of its days."""

    path: Path
    part: str

    def find(self) -> list[str]:
        """Return the days of the directory."""
        return sorted(each.parent.name.removeprefix(_DAY) for each in self._parts(self.part))

    def find_first(self, look_back: timedelta) -> date | None:
        """Return the day that is `look_back` before the last day, if there is one."""
        there = [day for day in self.find() if day != NO_DAY]
        try:
            return (datetime.fromisoformat(there[-1]) - look_back).date() if there else None
        except OverflowError:  # before the first day of all
            return None

    def check_update(self, *, is_begun: bool) -> None:
        """Check that it can be updated. Raises `InvalidRequest` and `CheckpointMismatch`."""
        if any(each.name != self.part for each in self._parts("part-*")):
            raise InvalidRequest("export_history", (Fault("path", _OF_ANOTHER),))
        if is_begun and not self.path.is_dir():
            raise CheckpointMismatch(f"{self.path}, which is being updated, is missing{WAY_OUT}")

    def _parts(self, name: str) -> Iterable[Path]:
        return self.path.glob(f"{_DAY}*/{name}")

    def write(
        self, format_: Format, sections: Sequence[SavedSection], read: Read, result: Path
    ) -> int:
        """Write the directory that becomes the result; return its number of rows."""
        self._write(format_, sections, read, result, scale_of(sections))
        files.sync_directory(result)
        return sum(section.rows for section in sections)

    def write_update(
        self,
        format_: Format,
        sections: Sequence[SavedSection],
        read: Read,
        result: Path,
        span: tuple[date, date],
    ) -> int:
        """Write the days to move in, from a span with both ends inclusive; return their rows.

        A day that no longer has rows is an empty file there. Days outside the span are written only
        if they need more decimals to match the new ones.
        """
        first, last = map(str, span)
        new = [section for section in sections if first <= section.day <= last]
        if len(new) < len(sections):
            rows = sum(section.rows for section in sections) - sum(section.rows for section in new)
            logger.warning(_LEFT_OUT, rows, first)
        there = self.find()
        kept = [day for day in there if not first <= day <= last]
        scales = {day: format_.scale_in(self._file(self.path, day)) for day in kept}
        scale = max(scale_of(new), *scales.values(), 0)
        self._write(format_, new, read, result, scale)
        for day in kept:
            if scales[day] < scale:
                parts = format_.read(self._file(self.path, day))
                self._write_day(format_, result, day, parts, scale)
        for day in {*there} - {*kept} - {section.day for section in new}:
            with files.create(result / f"{_DAY}{day}") as gone:
                files.sync(gone)
        files.sync_directory(result)
        return sum(section.rows for section in new)

    def _write(
        self,
        format_: Format,
        sections: Sequence[SavedSection],
        read: Read,
        result: Path,
        scale: int,
    ) -> None:
        files.remove_tree(result)
        files.make_directory(result)
        for day, of_day in groupby(sections, key=lambda section: section.day):
            self._write_day(format_, result, day, map(read, of_day), scale)

    def _write_day(
        self, format_: Format, result: Path, day: str, parts: Iterable[bytes], scale: int
    ) -> None:
        path = self._file(result, day)
        files.make_directory(path.parent)
        format_.write_to(path, parts, scale)
        files.sync_directory(path.parent)

    def _file(self, place: Path, day: str) -> Path:
        return place / f"{_DAY}{day}" / self.part

    def replace(self, result: Path) -> None:
        """Move the result into place, unless that has been done."""
        if _exists(result):
            old = result.with_name(_OLD)
            if _exists(self.path) and not _exists(old):
                self._check()
                files.replace(self.path, old)
            files.replace(result, self.path)
        files.sync_directory(self.path.parent)

    def update(self, result: Path) -> None:
        """Move the files of an update into place, as far as that has not been done."""
        if _exists(result):
            self._check()
            for new in sorted(result.iterdir()):
                self._put(new, self.path / new.name)
            files.remove_directory(result)
        files.sync_directory(self.path)

    def _put(self, new: Path, day: Path) -> None:
        if not new.is_dir():
            files.remove(day / self.part)
            with suppress(OSError):  # it contains other files, or is missing
                files.remove_directory(day)
            files.remove(new)
            return
        if _exists(new / self.part):
            files.make_directory(day)
            files.replace(new / self.part, day / self.part)
            files.sync_directory(day)
        files.remove_directory(new)

    def _check(self) -> None:
        if not holds_days_alone(self.path):
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(self.path))

    def clear(self, workplace: Path) -> None:
        """Remove the directory that was replaced; put it back if nothing has replaced it."""
        old = workplace / _OLD
        if not _exists(old):
            return
        if not _exists(self.path):
            files.replace(old, self.path)
            return
        for day in old.iterdir():
            for part in day.iterdir() if _is_day(day.name) and day.is_dir() else ():
                if _is_part(part.name):
                    files.remove(part)
            with suppress(OSError):  # it contains other files: they stay
                files.remove_directory(day)
        with suppress(OSError):
            files.remove_directory(old)


def check_update(query: Query, look_back: timedelta, *, by_day: bool) -> Iterator[Fault]:
    """Yield the faults of an update: it replaces whole days of a directory."""
    if not by_day:
        yield Fault("update", "needs a directory with a file for each day: end the path with /")
    if look_back < timedelta():
        yield Fault("look_back", "is negative")
    if query.from_date is not None and query.from_date.time() != time():
        yield Fault("from_date", "must be the first second of a day in UTC, for an update")
    if query.to_date is not None and query.to_date.time() != _LAST_SECOND:
        yield Fault("to_date", "must be the last second of a day in UTC, for an update")


def holds_days_alone(path: Path) -> bool:
    """Return whether a directory holds only files of an export by day, or nothing."""
    return path.is_dir() and all(
        _is_day(day.name)
        and day.is_dir()
        and not day.is_symlink()
        and all(_is_part(each.name) for each in day.iterdir())
        for day in path.iterdir()
    )


def _exists(path: Path) -> bool:
    return os.path.lexists(path)
