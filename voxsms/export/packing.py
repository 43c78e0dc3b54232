"""A window made ready to be kept (`windowlog.py`)."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter

import attrs

from voxsms.export.days import NO_DAY
from voxsms.export.parts import Cells, Format, Part
from voxsms.export.placing import Placed, Slice

_DAY = len("yyyy-MM-dd")


@attrs.frozen
class Section:
    """Rows that follow each other and go into one file."""

    day: str
    """Empty if the export is not by day."""
    rows: int
    content: Part


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
    """What each row is known by, eight bytes each."""
    span: tuple[int, int]
    """The least and the greatest of them."""


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
    strays = sorted(placed.strays)
    return Packed(sections, strays, content, checksums, names, placed.span)


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
