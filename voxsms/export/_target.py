"""The target and format of an export, checked before any request; and a file's last step."""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

import attrs

from voxsms.api.phone_numbers import import_phonenumbers
from voxsms.errors import Fault
from voxsms.export import _files as files
from voxsms.export._checkpoint import Read, SavedSection, scale_of
from voxsms.export._days import holds_days_alone
from voxsms.export.formats import NAMES, Format

Destination = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard output, or a file opened for writing bytes."""


@attrs.frozen
class Target:
    """A file or a stream; or a directory, which `Days` writes."""

    path: Path | None
    stream: BinaryIO | None
    format: str
    by_day: bool

    @property
    def workplace(self) -> Path | None:
        """The directory in which the export is built, on the same disk; a stream has none."""
        return None if self.path is None else self.path.with_name(f".{self.path.name}.export")

    def write(
        self, format_: Format, sections: Sequence[SavedSection], read: Read, result: Path
    ) -> int:
        """Write the stream, or the file that becomes the result; return its number of rows."""
        parts, scale = map(read, sections), scale_of(sections)
        if self.stream is not None:
            format_.write(self.stream, parts, scale)
            self.stream.flush()
        else:
            files.remove_tree(result)
            format_.write_to(result, parts, scale)
        return sum(section.rows for section in sections)

    def replace(self, result: Path) -> None:
        """Move the result into place, unless that has been done."""
        if self.path is not None:
            if os.path.lexists(result):
                files.replace(result, self.path)
            files.sync_directory(self.path.parent)

    def is_in_place(self, result: Path) -> bool:
        """Return whether a result that was ready has been moved, and still exists."""
        return not os.path.lexists(result) and self.path is not None and os.path.lexists(self.path)


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
        problem = "is a text file: open it for bytes, as in open(name, 'wb')"
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
    named = _named_format(path)
    if format_ is not None and named not in (None, format_):
        return None, [Fault("format", f"is {format_}, but the path ends with .{named}")]
    kind = format_ or named or ("parquet" if by_day and not path.suffix else None)
    if kind is None:
        known = ", ".join(f".{each}" for each in NAMES)
        shown = f"ends with {path.suffix!r}" if path.suffix else "has no suffix"
        told = f"{shown}; it must be one of {known}, or give a format; a directory ends with /"
        return None, [Fault("path", told)]
    try:
        # The target of a link is replaced, not the link.
        path = Path(os.path.realpath(path)) if path.is_symlink() else path
        problem = _find_problem(path, by_day=by_day)
    except (OSError, ValueError) as error:  # a name that is too long, or contains NUL
        problem = f"is not a file name: {getattr(error, 'strerror', error)}"
    faults = [Fault("path", problem)] if problem else []
    return Target(path, None, kind, by_day), faults + _check_library(kind)


def _named_format(path: Path) -> str | None:
    """Return the format that the suffix of a name means, such as `.csv` or `.csv.gz`."""
    ends = ("".join(path.suffixes[-2:]), path.suffix)
    found = [end.removeprefix(".").lower() for end in ends]
    return next((each for each in found if each in NAMES), None)


def _find_problem(path: Path, *, by_day: bool) -> str | None:
    """Return why a path cannot be a target; whether it is writable shows later."""
    if not path.name or "\0" in path.name:
        return "is not a file name"
    if not path.parent.is_dir():
        return f"cannot be written: there is no directory {path.parent}"
    if by_day:
        if path.exists() and not holds_days_alone(path):
            return "exists and holds more than an export's days: it is not overwritten"
    elif path.is_dir():
        return "is a directory: end it with / to have a file for each day in it"
    elif path.exists() and not path.is_file():
        return "is not a regular file"
    path.with_name(f".{path.name}.export").exists()  # raises if that name is too long
    return None


_LIBRARIES = {
    "parquet": ("pyarrow.parquet", "a Parquet file needs pyarrow: pip install 'voxsms[parquet]'"),
    "xlsx": ("xlsxwriter", "a workbook needs XlsxWriter: pip install 'voxsms[xlsx]'"),
}


def _check_library(format_: str) -> list[Fault]:
    if format_ not in _LIBRARIES:
        return []
    name, problem = _LIBRARIES[format_]
    try:
        import_module(name)
    except ModuleNotFoundError:
        return [Fault("path", problem)]
    return []


def check_phonenumbers() -> list[Fault]:
    """Return the fault if phonenumbers, which knows the countries, is not installed."""
    try:
        import_phonenumbers()
    except ModuleNotFoundError:
        return [Fault("with_rates", "needs phonenumbers: pip install 'voxsms[phone]'")]
    return []
