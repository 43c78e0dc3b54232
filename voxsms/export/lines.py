"""What the two formats of text have in common: a row is a line, and a page is a run of lines."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import BinaryIO

from voxsms.export.parts import Concatenation, Part, Writer


class Lines:
    """Cuts and joins lines.

    Args:
        split: cuts bytes into lines, with their ends.
        header: what a file begins with.
    """

    joined = True

    def __init__(self, split: Callable[[bytes], list[bytes]], header: bytes = b"") -> None:
        self._split = split
        self._header = header

    def pick(self, pages: Sequence[bytes], order: Sequence[int]) -> bytes:
        """Join lines, picked by their positions in all the pages."""
        lines = list(chain.from_iterable(map(self._split, pages)))
        return b"".join(map(lines.__getitem__, order))

    def slice(self, page: bytes, start: int, end: int) -> bytes:
        """Give some lines that follow each other."""
        return b"".join(self._split(page)[start:end])

    def parts(self, pages: Sequence[bytes]) -> Sequence[Part]:
        """Give what pages are in the file."""
        return pages

    def without(self, part: Part, places: set[int]) -> bytes:
        """Leave lines out of a part."""
        lines = self._split(bytes(part))
        return b"".join([line for place, line in enumerate(lines) if place not in places])

    def writer(self, file: BinaryIO) -> Writer:
        """Begin a file."""
        return Concatenation(file, self._header)
