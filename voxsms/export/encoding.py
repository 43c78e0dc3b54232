"""A page as it is kept: its rows encoded and sorted, and beside them what tells and places each.

All this is done when an answer has just been read: it is in the processor's cache then. Later only
whole pages are moved, unless rows of several have to be mixed.
"""

import hashlib
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from typing import cast

import attrs
import orjson

from voxsms.api.codec import Answer
from voxsms.errors import ResponseInvalid
from voxsms.export.columns import TIME_LENGTH, Layout
from voxsms.export.decoding import Decoded, Decoder, arranged
from voxsms.export.parts import Cells, Format
from voxsms.export.query import Query

Time = str | None
_LARGEST = 2**63


@attrs.frozen
class Rows:
    """Rows by time, those of one second by name."""

    names: "array[int]"
    """What each is known by: its id, or a part of a digest of its bytes if it has none."""
    times: str | list[Time]
    """As text, which sorts; lines of one string if all are whole."""
    ends: tuple[str, str] | None
    """The first and the last of them, if all are whole."""
    cells: Cells = attrs.field(repr=False)
    crc32: int | None = None
    """The checksum of the cells, if they are bytes; made while the processor has them at hand."""
    span: tuple[int, int] | None = None
    """The least and the greatest name, if all are different."""
    nameless: frozenset[int] = frozenset()
    """The names of those that have no id."""

    @classmethod
    def of(
        cls,
        names: "array[int]",
        times: list[Time],
        cells: Cells,
        *,
        whole: bool,
        span: tuple[int, int] | None = None,
        nameless: frozenset[int] = frozenset(),
    ) -> "Rows":
        """Make rows of what is known of them; `whole` says that all times are to the second."""
        crc = zlib.crc32(cells) if isinstance(cells, bytes) else None
        if not names or not whole:
            return cls(names, times, None, cells, crc, span, nameless)
        lines = "\n".join(cast("list[str]", times))
        ends = lines[:TIME_LENGTH], lines[-TIME_LENGTH:]
        return cls(names, lines, ends, cells, crc, span, nameless)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def keys(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """What the first and the last row are sorted by, if all times are whole."""
        if self.ends is None:
            return None
        return (self.ends[0], self.names[0]), (self.ends[1], self.names[-1])

    def list_times(self) -> list[Time]:
        """Give the time of each row."""
        return [*self.times.splitlines()] if isinstance(self.times, str) else self.times

    def first_at(self, time: str) -> int:
        """Give the place of the first row that is not earlier, if all times are whole."""
        if self.ends is not None and self.ends[0] < time <= self.ends[1]:
            return bisect_left(str(self.times).splitlines(), time)
        return 0 if self.ends is None or time <= self.ends[0] else len(self)


class Encoder:
    """Encodes answers as they come."""

    def __init__(self, query: Query, layout: Layout, format_: Format) -> None:
        self._layout = layout
        self._format = format_
        names = {layout.time.name, layout.message_id.name, *format_.names}
        self._decoder = Decoder(query.row, layout, names)

    def join(self, pages: Sequence[Rows], chosen: list[int]) -> Rows:
        """Join some rows of several pages."""
        return joined(self._format, pages, chosen)

    def count(self, answer: Answer) -> tuple[int, list[Time]]:
        """Give how many rows the service counts, and the times of those that came along.

        Raises `ApiError` and `ResponseInvalid`.
        """
        page = self._decoder.decode(answer)
        return page.total, page.column(self._layout.time.name)

    def encode(self, answer: Answer) -> tuple[Rows, int]:
        """Encode the rows of an answer; give how many the service counts, too.

        Raises `ApiError` and `ResponseInvalid`.
        """
        page = self._decoder.decode(answer)
        time = self._layout.time.name
        names, packed, nameless = _names(page.column(self._layout.message_id.name), page)
        order = sort(names, page.column(time))
        span, page = _span(names, order), page.arranged(order)
        if isinstance(order, range):
            packed = packed[:: order.step]
        else:
            packed = array("q", arranged(names, order))
        try:
            cells = self._format.encode(page)
        except orjson.JSONDecodeError:  # it has the whole body in it
            problem = "a number beyond any double"
            raise ResponseInvalid(self._layout.cmd, "result", problem) from None
        times, whole = page.column(time), page.whole_times
        rows = Rows.of(packed, times, cells, whole=whole, span=span, nameless=nameless)
        return rows, page.total


def joined(format_: Format, pages: Sequence[Rows], chosen: list[int]) -> Rows:
    """Join and sort rows, chosen by their positions in all the pages."""
    names = array("q", chain.from_iterable(rows.names for rows in pages))
    times = [time for rows in pages for time in rows.list_times()]
    order = sort([names[n] for n in chosen], [times[n] for n in chosen])
    picked = arranged(chosen, order)
    cells = format_.pick([rows.cells for rows in pages], picked)
    whole = all(rows.ends or not rows.names for rows in pages)
    names = array("q", [names[n] for n in picked])
    return Rows.of(names, [times[n] for n in picked], cells, whole=whole)


def _names(ids: list[int | None], page: Decoded) -> tuple[list[int], "array[int]", frozenset[int]]:
    """Give what rows are known by, also packed, and those of the names that stand for no id."""
    known = cast("list[int]", ids)
    try:
        return known, array("q", known), frozenset()
    except (TypeError, OverflowError):  # there is not one for each, or one is too large
        pass
    pairs = list(zip(ids, page.raw(), strict=True))
    digests = {_digest(raw) for row_id, raw in pairs if row_id is None}
    names = [_digest(raw) if row_id is None else row_id % _LARGEST for row_id, raw in pairs]
    return names, array("q", names), frozenset(digests)


def _digest(raw: bytes) -> int:
    return int.from_bytes(hashlib.sha256(raw).digest()[:8]) % _LARGEST


def _span(names: list[int], order: range | list[int]) -> tuple[int, int] | None:
    if not names or len({*names}) != len(names):
        return None
    if isinstance(order, range):
        return names[order[0]], names[order[-1]]
    return min(names), max(names)


def sort(names: list[int], times: list[Time]) -> range | list[int]:
    """Give the order of rows by time and name; they may have it, or its reverse."""
    texts = [time or "" for time in times] if None in times else cast("list[str]", times)
    by_time = sorted(texts)
    if by_time == texts:
        if sorted(names) == names:
            return range(len(names))
    elif by_time == texts[::-1] and sorted(names) == names[::-1]:
        return range(len(names) - 1, -1, -1)
    # Twice by one key is faster than once by two.
    order = sorted(range(len(names)), key=names.__getitem__)
    order.sort(key=texts.__getitem__)
    return order
