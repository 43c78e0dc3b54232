"""Where an export goes and as what, checked before anything is asked for; and the last step to it.

A file is replaced by a rename. A directory is replaced in three steps (the old one aside, the new
one in, the old one away), each of which the next run can go on from. Only a directory that holds
nothing but what an export writes is replaced.
"""

import errno
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from voxsms.errors import Fault
from voxsms.export import _files as files
from voxsms.export._checkpoint import Section
from voxsms.export.formats import NAMES, Format

Destination = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard output, or a file opened for writing bytes."""
_OLD = "old"
"""The name of the directory that is replaced, in the directory of the export."""
_is_day = re.compile(r"day=(\d{4}-\d\d-\d\d|__HIVE_DEFAULT_PARTITION__)").fullmatch
_is_part = re.compile(rf"part-\d+\.({'|'.join(NAMES)})").fullmatch


@attrs.frozen
class Target:
    """A file, a directory of files by day, or a stream."""

    path: Path | None
    stream: BinaryIO | None
    format: str
    by_day: bool

    @property
    def workplace(self) -> Path | None:
        """The directory in which the export is made, on the same disk; a stream has none."""
        return None if self.path is None else self.path.with_name(f".{self.path.name}.export")

    def write(self, format_: Format, sections: Iterable[Section], result: Path) -> None:
        """Write rows to the stream, or make the file or directory that becomes the result."""
        if self.stream is not None:
            format_.write(self.stream, (section.content for section in sections))
            self.stream.flush()
            return
        files.remove_tree(result)
        if self.by_day:
            self._write_days(format_, sections, result)
        else:
            _write_file(format_, sections, result)

    def _write_days(self, format_: Format, sections: Iterable[Section], result: Path) -> None:
        """Write a file for each day; a second one for its rows that have a date alone."""
        files.make_directory(result)
        for day, of_day in groupby(sections, key=lambda section: section.day):
            directory = result / f"day={day}"
            files.make_directory(directory)
            number = sum(1 for _ in directory.iterdir())
            _write_file(format_, of_day, directory / f"part-{number}.{self.format}")
            files.sync_directory(directory)
        files.sync_directory(result)

    def replace(self, result: Path) -> None:
        """Put the result in its place, if that has not been done; go on wherever it was stopped."""
        if self.path is None:
            return
        if self.by_day and _exists(result):
            old = result.with_name(_OLD)
            if _exists(self.path) and not _exists(old):
                if not holds_days_alone(self.path):
                    raise OSError(errno.ENOTEMPTY, "Directory not empty", str(self.path))
                files.replace(self.path, old)
            files.replace(result, self.path)
        elif _exists(result):
            files.replace(result, self.path)
        files.sync_directory(self.path.parent)

    def is_in_place(self, result: Path) -> bool:
        """Return whether a result that was ready was moved, and is still there."""
        return not _exists(result) and self.path is not None and _exists(self.path)

    def clear(self, workplace: Path) -> None:
        """Remove the directory that was replaced; put it back if nothing has replaced it."""
        old = workplace / _OLD
        if self.path is None or not _exists(old):
            return
        if not _exists(self.path):
            files.replace(old, self.path)
            return
        for day in old.iterdir():
            for part in day.iterdir() if _is_day(day.name) and day.is_dir() else ():
                if _is_part(part.name):
                    files.remove(part)
            with suppress(OSError):  # something else was put in: it stays
                files.remove_directory(day)
        with suppress(OSError):
            files.remove_directory(old)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def holds_days_alone(path: Path) -> bool:
    """Return whether a directory holds nothing but what an export by day writes, or nothing."""
    return path.is_dir() and all(
        _is_day(day.name) and not day.is_symlink() and all(map(_is_part, _names(day)))
        for day in path.iterdir()
    )


def _names(directory: Path) -> Iterator[str]:
    if not directory.is_dir():
        return iter([directory.name])
    return (each.name for each in directory.iterdir())


def _write_file(format_: Format, sections: Iterable[Section], path: Path) -> None:
    with files.create(path) as file:
        format_.write(file, (section.content for section in sections))
        files.sync(file)


def check_target(
    path: Destination, format_: str | None, *, by_day: bool
) -> tuple[Target | None, list[Fault]]:
    """Return the target that a user means, and what is wrong with it."""
    if format_ is not None and format_ not in NAMES:
        return None, [Fault("format", f"must be one of {', '.join(NAMES)}")]
    if isinstance(path, str | os.PathLike) and path != "-":
        return _check_path(os.fsdecode(path), format_, by_day=by_day)
    stream: object = getattr(sys.stdout, "buffer", None) if path == "-" else path
    faults: list[Fault] = []
    if isinstance(stream, io.TextIOBase):
        problem = "is a file for text: open it for bytes, as in open(name, 'wb')"
        faults.append(Fault("path", problem))
    elif not hasattr(stream, "write"):
        faults.append(Fault("path", "must be a path, '-' or a file open for bytes"))
    if by_day:
        faults.append(Fault("by_day", "needs a directory to write files in"))
    target = Target(None, cast("BinaryIO", stream), format_ or "jsonl", by_day=False)
    return target, faults + _check_library(target.format)


def _check_path(
    given: str, format_: str | None, *, by_day: bool
) -> tuple[Target | None, list[Fault]]:
    path = Path(given)
    by_day = by_day or given.endswith(("/", os.sep))
    suffix = path.suffix.removeprefix(".").lower()
    named = suffix if suffix in NAMES else None
    if format_ is not None and named not in (None, format_):
        return None, [Fault("format", f"is {format_}, but the path ends with {path.suffix}")]
    kind = format_ or named or ("parquet" if by_day and not suffix else None)
    if kind is None:
        known = ", ".join(f".{each}" for each in NAMES)
        shown = f"ends with {path.suffix!r}" if suffix else "has no suffix"
        return None, [Fault("path", f"{shown}; it must be one of {known}, or give a format")]
    try:
        # What a link points to is replaced, and not the link.
        path = Path(os.path.realpath(path)) if path.is_symlink() else path
        problem = _find_problem(path, by_day=by_day)
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL in it
        problem = f"is no name of a file: {getattr(error, 'strerror', error)}"
    faults = [Fault("path", problem)] if problem else []
    return Target(path, None, kind, by_day), faults + _check_library(kind)


def _find_problem(path: Path, *, by_day: bool) -> str | None:
    """Return why nothing can be put there; whether it can be written is seen when it is."""
    if not path.name or "\0" in path.name:
        return "is no name of a file"
    if not path.parent.is_dir():
        return f"cannot be written: there is no directory {path.parent}"
    if by_day:
        if path.exists() and not holds_days_alone(path):
            return "exists and holds more than an export's days: it is not overwritten"
    elif path.is_dir():
        return "is a directory: end it with / to have a file for each day in it"
    elif path.exists() and not path.is_file():
        return "is no regular file"
    path.with_name(f".{path.name}.export").exists()  # raises if that name is too long
    return None


def _check_library(format_: str) -> list[Fault]:
    if format_ != "parquet":
        return []
    try:
        import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        return [Fault("path", "a Parquet file needs pyarrow: pip install 'voxsms[parquet]'")]
    return []
