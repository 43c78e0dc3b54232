"""What a kind of file has to do: encode rows, and join what was encoded to a file."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from voxsms.export import _files as files
from voxsms.export._rows import Row


class Format(ABC):
    """A kind of file. What has a default here holds for lines of text."""

    as_json = False
    """Whether the content of a row is its own JSON, not a struct of its columns."""
    header: bytes | None = b""
    """What a file begins with if the rest is nothing but its parts, one after the other."""
    max_rows: int = sys.maxsize
    """How many rows a file holds at most."""

    @abstractmethod
    def encode(self, rows: Sequence[Row], /) -> bytes:
        """Return rows as a part of a file."""

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its rows."""
        lines = part.splitlines(keepends=True)
        return b"".join([line for index, line in enumerate(lines) if index not in indexes])

    def write(self, file: BinaryIO, parts: Iterable[bytes], _scale: int, /) -> None:
        """Write a file; it stays open. The scale is that of all its parts, or more."""
        files.append(file, chain([self.header or b""], parts))

    def write_to(self, path: Path, parts: Iterable[bytes], scale: int) -> None:
        """Write a new file and bring it to the disk."""
        with files.create(path) as file:
            self.write(file, parts, scale)
            files.sync(file)

    def scale_of(self, _part: bytes, /) -> int:
        """Return how many decimals the amounts of a part have, where its file needs to know."""
        return 0

    def scale_in(self, _path: Path, /) -> int:
        """Return how many decimals a file that was written holds."""
        return 0

    def read(self, path: Path, /) -> Iterable[bytes]:
        """Return the parts of a file that has to be written again with another scale."""
        raise AssertionError(f"{path}: lines have no scale")


class Sink:
    """A file, as libraries that write one need it, that can be cut off.

    What did not come to its end must get no end: they would add one when they are collected.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file

    def write(self, data: bytes) -> int:
        """Write to the file, or nowhere."""
        if self._file is not None:
            files.append(self._file, [data])
        return len(data)

    def flush(self) -> None:
        """Leave it to the file's owner."""

    def cut(self) -> None:
        """Let nothing more through."""
        self._file = None
