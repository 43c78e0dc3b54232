"""Windows on disk: what will stand in the file, and what must be known of it then.

They are kept in one file, the log, to which each is appended when it was read: a line of JSON about
the sections (one, or one for each day), the sections, and eight bytes for each row by which it is
known. The sections may stand in the spool instead (`spool.py`). A file for each window would take
longer to make than to fill.

Nothing here is synced before the result is: that would write to the disk twice as much as the
result has. So after a failure of power a window can be there in part. Checksums tell: each line
begins with its own, and has those of what follows it.
"""

import zlib
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from errno import EIO
from os import SEEK_CUR, fstat
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import orjson

from voxsms.export.growing import GrowingFile
from voxsms.export.packing import Packed, Section
from voxsms.export.parts import Format

SPOOL = "result.spool"
"""The name of the spool, in the same directory."""
_NAME_BYTES = 8
_LONGEST_LINE = 1 << 24
"""Far more than a window can have sections and strays."""


@attrs.frozen
class Kept:
    """A window that was read."""

    index: int
    """Its position in the plan."""
    rows: int
    total: int
    """How many rows the service counted, with those of the seconds before and after."""
    strays: int
    """How many of the rows can not be placed by their time."""
    least: int
    """Of what the rows are known by; with the greatest it tells which windows can share rows."""
    greatest: int
    log: Path
    place: int
    """Where in the log it begins."""
    spooled: tuple[int, int] | None
    """Where its content begins and ends in the spool, if it stands there."""


class WindowLog:
    """Takes windows in the order in which they are read; one that is read again, anew.

    What was read before stays where it is until the export ends.

    Args:
        path: where; the spool, if there is one, is beside it.
    """

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path, lambda _: None)

    def append(self, index: int, total: int, packed: Packed, spooled_at: int | None) -> Kept:
        """Keep a window, whose content stands in the spool if it is told where."""
        about = {
            "index": index,
            "total": total,
            "span": packed.span,
            "strays": packed.strays,
            "sections": packed.sections,
            "pieces": list(zip(map(len, packed.content), packed.checksums, strict=True)),
            "names": zlib.crc32(packed.names),
            "at": spooled_at,
        }
        content = packed.content if spooled_at is None else ()
        place = self._file.append([_line(about), *content, packed.names])
        return self._kept(about, place)

    def load(self) -> Iterator[Kept]:
        """Give the windows that are there as they were written, and go on behind the last one.

        One that was read again comes again.
        """
        try:
            file = self._file.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            size = fstat(file.fileno()).st_size
            while (about := _about(file)) is not None:
                place, end = (
                    self._file.end,
                    file.tell() + _size_here(about) + _rows(about) * _NAME_BYTES,
                )
                if end > size:
                    break
                self._file.end = end
                if _is_intact(file, about):
                    yield self._kept(about, place)
                file.seek(end)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _kept(self, about: Mapping[str, Any], place: int) -> Kept:
        at, (least, greatest) = about["at"], about["span"]
        return Kept(
            about["index"],
            _rows(about),
            about["total"],
            len(about["strays"]),
            least,
            greatest,
            self._file.path,
            place,
            None if at is None else (at, at + _size(about)),
        )


def read(kept: Kept, out: Collection[int], format_: Format) -> Iterator[Section]:
    """Read a window without some of its rows, of which the places are given."""
    with kept.log.open("rb") as file:
        about = _sought(file, kept)
        left = memoryview(_content(file, about))
    first = 0
    for day, rows, size in about["sections"]:
        content, left = left[:size], left[size:]
        here = {place - first for place in out if first <= place < first + rows}
        first += rows
        kept_here = format_.without(content, here) if here else content
        yield Section(day, rows - len(here), kept_here)


def read_names(kept: Kept) -> tuple[Sequence[int], frozenset[int]]:
    """Read only what the rows of a window are known by, and the places of its strays."""
    with kept.log.open("rb") as file:
        about = _sought(file, kept)
        file.seek(_size_here(about), SEEK_CUR)
        return array("q", _names(file, about)), frozenset(about["strays"])


def _sought(file: BinaryIO, kept: Kept) -> Mapping[str, Any]:
    file.seek(kept.place)
    if (about := _about(file)) is None:
        raise OSError(EIO, "a window that was kept can not be read any more", file.name)
    return about


def _line(about: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(about)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _about(file: BinaryIO) -> dict[str, Any] | None:
    """Read the line about a window, if it is one."""
    crc, _, text = file.readline(_LONGEST_LINE).partition(b" ")
    # Without the line's end the next window would be written behind it, on the same line.
    whole = text.endswith(b"\n") and crc == b"%08x" % zlib.crc32(text[:-1])
    return orjson.loads(text) if whole else None


def _is_intact(file: BinaryIO, about: Mapping[str, Any]) -> bool:
    try:
        content = memoryview(_content(file, about))
    except OSError:  # the spool may be gone
        return False
    for size, crc in about["pieces"]:
        if len(content) < size or zlib.crc32(content[:size]) != crc:
            return False
        content = content[size:]
    return bool(zlib.crc32(_names(file, about)) == about["names"])


def _content(file: BinaryIO, about: Mapping[str, Any]) -> bytes:
    """Read the content of a window, from behind its line or from the spool."""
    if about["at"] is None:
        return file.read(_size(about))
    with Path(file.name).with_name(SPOOL).open("rb") as spool:
        spool.seek(about["at"])
        return spool.read(_size(about))


def _names(file: BinaryIO, about: Mapping[str, Any]) -> bytes:
    return file.read(_rows(about) * _NAME_BYTES)


def _rows(about: Mapping[str, Any]) -> int:
    return sum(rows for _, rows, _ in about["sections"])


def _size(about: Mapping[str, Any]) -> int:
    return sum(size for _, _, size in about["sections"])


def _size_here(about: Mapping[str, Any]) -> int:
    """Give how much of its content stands in the log."""
    return _size(about) if about["at"] is None else 0
