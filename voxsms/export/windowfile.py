"""A window on disk: what will stand in the file, and what must be known of it then.

A line of JSON about the sections (one, or one for each day), the sections, and eight bytes for each
row by which it is known. The sections may stand in the spool instead (`spool.py`).

Checksums stand in the first line: these files are not synced, which would write to the disk twice
as much as the result has, so after a failure of power one can be there in part.
"""

import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from os import SEEK_END
from pathlib import Path
from typing import Any

import attrs
import orjson

from voxsms.export.days import NO_DAY
from voxsms.export.parts import Cells, Format, Part
from voxsms.export.placing import Placed, Slice

_DAY = len("yyyy-MM-dd")
_NAME_BYTES = 8
SPOOL = "result.spool"
"""The name of the spool, in the same directory."""


@attrs.frozen
class Section:
    """Rows that follow each other and go into one file."""

    day: str
    """Empty if the export is not by day."""
    rows: int
    content: Part


@attrs.frozen
class WindowFile:
    """The content of a window's file."""

    sections: Sequence[Section]
    names: Sequence[int]
    """What each row is known by, as a number: its id, or a part of the digest it has instead."""
    strays: frozenset[int]
    """The places of the rows that can not be placed by their time."""

    def without(self, places: set[int], format_: Format) -> Iterator[Section]:
        """Give the sections without some of the rows."""
        first = 0
        for section in self.sections:
            out = {place - first for place in places if first <= place < first + section.rows}
            first += section.rows
            if out:
                content = format_.without(section.content, out)
                yield Section(section.day, section.rows - len(out), content)
            else:
                yield section


@attrs.frozen
class Packed:
    """A window, ready to be kept."""

    sections: Sequence[tuple[str, int, int]]
    """Day, rows and bytes of each."""
    strays: Sequence[int]
    content: Sequence[Part]
    """What will stand in the file, piece by piece."""
    checksums: Sequence[int]
    """Of each piece."""
    names: bytes

    def file(self, at: int | None = None) -> list[Part]:
        """Give the pieces of its file; with `at`, its content stands there in the spool."""
        pieces = list(zip(map(len, self.content), self.checksums, strict=True))
        crc = zlib.crc32(self.names)
        about = {"sections": self.sections, "strays": self.strays, "pieces": pieces, "names": crc}
        content = self.content if at is None else ()
        return [orjson.dumps({**about, "at": at}), b"\n", *content, self.names]


def pack(format_: Format, placed: Placed, *, by_day: bool) -> Packed:
    """Make a window ready to be kept."""
    sections: list[tuple[str, int, int]] = []
    content: list[Part] = []
    checksums: list[int] = []
    whole = [("", each) for each in placed.slices]
    days = groupby(
        chain.from_iterable(map(_days, placed.slices)) if by_day else whole, itemgetter(0)
    )
    for day, pairs in days:
        slices = [each for _, each in pairs]
        parts = format_.parts([_cells(format_, each) for each in slices])
        sections.append((day, sum(map(len, slices)), sum(map(len, parts))))
        content += parts
        known = [each.crc32 for each in slices] if format_.joined else [None] * len(parts)
        checksums += [
            zlib.crc32(part) if crc is None else crc for part, crc in zip(parts, known, strict=True)
        ]
    names = b"".join([each.rows.names[each.start : each.end].tobytes() for each in placed.slices])
    return Packed(sections, sorted(placed.strays), content, checksums, names)


def _cells(format_: Format, piece: Slice) -> Cells:
    if piece.whole:
        return piece.rows.cells
    return format_.slice(piece.rows.cells, piece.start, piece.end)


def _days(piece: Slice) -> Iterator[tuple[str, Slice]]:
    start = piece.start
    times = piece.rows.list_times()[start : piece.end]
    for day, rows in groupby(time[:_DAY] if time else NO_DAY for time in times):
        end = start + sum(1 for _ in rows)
        yield day, Slice(piece.rows, start, end)
        start = end


def read_names(path: Path, rows: int) -> tuple[Sequence[int], frozenset[int]]:
    """Read only what the rows of a window are known by, and the places of its strays."""
    names = array("q")
    with path.open("rb") as file:
        about = orjson.loads(file.readline())
        file.seek(-rows * _NAME_BYTES, SEEK_END)
        names.fromfile(file, rows)
    return names, frozenset(about["strays"])


def unpack(path: Path) -> WindowFile:
    """Read a window's file."""
    about, content, names = _read(path)
    sections: list[Section] = []
    start = 0
    for day, rows, size in about["sections"]:
        sections.append(Section(day, rows, content[start : start + size]))
        start += size
    return WindowFile(sections, array("q", bytes(names)), frozenset(about["strays"]))


def place_in_spool(path: Path) -> tuple[int, int] | None:
    """Tell where in the spool a window's content begins and ends; None if it is in its file."""
    with path.open("rb") as file:
        about = orjson.loads(file.readline())
    at = about["at"]
    return None if at is None else (at, at + _size(about))


def is_intact(path: Path) -> bool:
    """Tell if a window is as it was written."""
    try:
        about, content, names = _read(path)
        for size, crc in about["pieces"]:
            if len(content) < size or zlib.crc32(content[:size]) != crc:
                return False
            content = content[size:]
        return bool(zlib.crc32(names) == about["names"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read(path: Path) -> tuple[dict[str, Any], memoryview, memoryview]:
    """Give what is known of a window, its content, and the names of its rows."""
    head, _, rest = path.read_bytes().partition(b"\n")
    about: dict[str, Any] = orjson.loads(head)
    body = memoryview(rest)
    if about["at"] is None:
        size = _size(about)
        return about, body[:size], body[size:]
    with path.with_name(SPOOL).open("rb") as file:
        file.seek(about["at"])
        return about, memoryview(file.read(_size(about))), body


def _size(about: Mapping[str, Any]) -> int:
    return sum(size for _, _, size in about["sections"])
