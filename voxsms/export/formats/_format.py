"""The interface of a file format: encode rows, and join the encoded parts to a file."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from voxsms.export import _files as files


class Format(ABC):
    """A file format. The defaults here are for lines of text."""

    as_json = False
    """Whether the content of a row is its own JSON, not a struct of its columns."""
    header: bytes | None = b""
    """The beginning of a file if the rest is just its parts, one after the other; or None."""
    max_rows: int = sys.maxsize
    """How many rows a file holds at most."""

    @abstractmethod
    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Encode rows as a part of a file. Their contents come a portion at a time."""

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its rows."""
        lines = part.splitlines(keepends=True)
        return b"".join([line for index, line in enumerate(lines) if index not in indexes])

    def write(self, file: BinaryIO, parts: Iterable[bytes], _scale: int, /) -> None:
        """Write a file, which stays open. The scale is at least that of all its parts."""
        files.append(file, chain([self.header or b""], parts))

    def write_to(self, path: Path, parts: Iterable[bytes], scale: int) -> None:
        """Write a new file and sync it to disk."""
        with files.create(path) as file:
            self.write(file, parts, scale)
            files.sync(file)

    def scale_of(self, _part: bytes, /) -> int:
        """Return how many decimals the amounts of a part have, if the format needs to know."""
        return 0

    def scale_in(self, _path: Path, /) -> int:
        """Return how many decimals the amounts of a written file have."""
        return 0

    def read(self, path: Path, /) -> Iterable[bytes]:
        """Return the parts of a file that must be written again with another scale."""
        raise AssertionError(f"{path}: lines have no scale")


class Sink:
    """A file object for libraries; it can be cut off from its file.

    An unfinished file must stay without a footer, which a library's writer may add when it is
    garbage-collected.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file

    def write(self, data: bytes) -> int:
        """Write to the file, unless it was cut off."""
        if self._file is not None:
            files.append(self._file, [data])
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file's owner flushes it."""

    def cut(self) -> None:
        """Drop everything that is written from now on."""
        self._file = None
