"""A window on disk: what will stand in the file, and what must be known of it then.

A line of JSON about the sections (one, or one for each day), the sections, and eight bytes for each
row by which it is known.

A checksum stands in the first line: these files are not synced, which would write to the disk twice
as much as the result has, so after a failure of power one can be there in part.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from os import SEEK_END
from pathlib import Path

import attrs
import orjson

from voxsms.export.days import NO_DAY
from voxsms.export.parts import Cells, Format, Part
from voxsms.export.placing import Placed, Slice

_DAY = len("yyyy-MM-dd")
_NAME_BYTES = 8


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


def pack(format_: Format, placed: Placed, *, by_day: bool) -> list[Part]:
    """Give the pieces of a window's file."""
    sections: list[tuple[str, int, Sequence[Part]]] = []
    whole = [("", each) for each in placed.slices]
    days = groupby(
        chain.from_iterable(map(_days, placed.slices)) if by_day else whole, itemgetter(0)
    )
    for day, pairs in days:
        slices = [each for _, each in pairs]
        parts = format_.parts([_cells(format_, each) for each in slices])
        sections.append((day, sum(each.end - each.start for each in slices), parts))
    about = [(day, rows, sum(map(len, parts))) for day, rows, parts in sections]
    names = [each.rows.names[each.start : each.end].tobytes() for each in placed.slices]
    content = [*(part for _, _, parts in sections for part in parts), *names]
    strays = sorted(placed.strays)
    head = orjson.dumps({"sections": about, "strays": strays, "crc32": _checksum(content)})
    return [head, b"\n", *content]


def _checksum(content: Iterable[Part]) -> int:
    crc = 0
    for part in content:
        crc = zlib.crc32(part, crc)
    return crc


def is_intact(path: Path) -> bool:
    """Tell if a window's file is as it was written."""
    head, _, content = path.read_bytes().partition(b"\n")
    try:
        return bool(orjson.loads(head)["crc32"] == zlib.crc32(content))
    except (ValueError, KeyError, TypeError):
        return False


def _cells(format_: Format, piece: Slice) -> Cells:
    rows = piece.rows
    if piece.end - piece.start == len(rows):
        return rows.cells
    return format_.slice(rows.cells, piece.start, piece.end)


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


def unpack(path: Path, rows: int) -> WindowFile:
    """Read a window's file."""
    content = path.read_bytes()
    head_end = content.index(b"\n") + 1
    names_start = len(content) - rows * _NAME_BYTES
    about = orjson.loads(content[:head_end])
    body = memoryview(content)[head_end:names_start]
    sections: list[Section] = []
    start = 0
    for day, its_rows, size in about["sections"]:
        sections.append(Section(day, its_rows, body[start : start + size]))
        start += size
    names = array("q", content[names_start:])
    return WindowFile(sections, names, frozenset(about["strays"]))
