"""Where an export goes and as what, checked before anything is asked for."""

import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from voxsms.errors import Fault
from voxsms.export.checkpoint import rows_in_place
from voxsms.export.columns import Layout
from voxsms.export.csvfile import Csv
from voxsms.export.jsonl import Jsonl
from voxsms.export.parquet import Parquet
from voxsms.export.parts import Format

FORMATS = ("jsonl", "csv", "parquet")
Destination = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard output, or a file opened for writing bytes."""


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
        return None if self.path is None else _workplace(self.path)

    @property
    def rows_in_place(self) -> int | None:
        """The rows of a result that is in its place already, if a run was killed after that."""
        return (
            rows_in_place(_workplace(self.path), self.path) if self.path and self.by_day else None
        )

    def writes(self, layout: Layout, *, mask: bool, raw: bool) -> Format:
        """Give what writes the rows of a history."""
        if self.format == "parquet":
            return Parquet(layout, mask=mask)
        if self.format == "csv":
            return Csv(layout, mask=mask, raw=raw)
        return Jsonl(layout, mask=mask)


def _workplace(path: Path) -> Path:
    return path.with_name(f".{path.name}.export")


def checked_target(
    path: Destination, format_: str | None, *, by_day: bool
) -> tuple[Target | None, list[Fault]]:
    """Make a target of what a user gave, and say what is wrong with it."""
    if format_ is not None and format_ not in FORMATS:
        return None, [Fault("format", f"must be one of {', '.join(FORMATS)}")]
    if isinstance(path, str | os.PathLike) and path != "-":
        return _checked_path(os.fsdecode(path), format_, by_day=by_day)
    stream = _standard_output() if path == "-" else path
    faults = [Fault("path", problem)] if (problem := _problem_of_stream(stream)) else []
    if by_day:
        faults.append(Fault("by_day", "needs a directory to write files in"))
    target = Target(None, cast("BinaryIO", stream), format_ or "jsonl", by_day=False)
    return target, faults + _missing_library(target.format)


def _standard_output() -> object:
    return getattr(sys.stdout, "buffer", None)


def _problem_of_stream(stream: object) -> str | None:
    if isinstance(stream, io.TextIOBase):
        return "is a file for text: open it for bytes, as in open(name, 'wb')"
    return None if hasattr(stream, "write") else "must be a path, '-' or a file open for bytes"


def _checked_path(
    given: str, format_: str | None, *, by_day: bool
) -> tuple[Target | None, list[Fault]]:
    path = Path(given)
    by_day = by_day or given.endswith(("/", os.sep))
    suffix = path.suffix.removeprefix(".").lower()
    named = suffix if suffix in FORMATS else None
    if format_ is not None and named not in (None, format_):
        return None, [Fault("format", f"is {format_}, but the path ends with {path.suffix}")]
    kind = format_ or named or ("parquet" if by_day and not suffix else None)
    if kind is None:
        known = ", ".join(f".{each}" for each in FORMATS)
        shown = f"ends with {path.suffix!r}" if suffix else "has no suffix"
        return None, [Fault("path", f"{shown}; it must be one of {known}, or give a format")]
    target = Target(path, None, kind, by_day)
    try:
        # What a link points to is replaced, and not the link.
        real = Path(os.path.realpath(path)) if path.is_symlink() else path
        target = attrs.evolve(target, path=real)
        problem = _problem_of_place(target, real)
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL in it
        problem = f"is no name of a file: {getattr(error, 'strerror', error)}"
    faults = [Fault("path", problem)] if problem else []
    return target, faults + _missing_library(kind)


def _problem_of_place(target: Target, path: Path) -> str | None:
    """Say why nothing can be put there; whether it can be written is seen when it is."""
    if not path.name or "\0" in path.name:
        return "is no name of a file"
    if not path.parent.is_dir():
        return f"can not be written: there is no directory {path.parent}"
    if target.by_day:
        empty = not path.exists() or (path.is_dir() and not any(path.iterdir()))
        if not empty and target.rows_in_place is None:
            return "exists and is not an empty directory: it is not overwritten"
    elif path.is_dir():
        return "is a directory: end it with / to have a file for each day in it"
    elif path.exists() and not path.is_file():
        return "is no regular file"
    return None


def _missing_library(format_: str) -> list[Fault]:
    if format_ != "parquet":
        return []
    try:
        import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        return [Fault("path", "a Parquet file needs pyarrow: pip install 'voxsms[parquet]'")]
    return []
