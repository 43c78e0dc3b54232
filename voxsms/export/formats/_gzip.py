"""Lines of text in one gzip stream, compressed when the parts are joined.

The header has no name and no time, so the same rows produce the same bytes. The parts are not
compressed separately: a file of several streams is valid, but some programs read only the first.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

from voxsms.export import _files as files
from voxsms.export.formats._format import Format

_LEVEL = 6
_AS_GZIP = 16 + zlib.MAX_WBITS


class Gzip(Format):
    """Compresses the output of another format."""

    header = None

    def __init__(self, lines: Format) -> None:
        self._lines = lines
        self.as_json = lines.as_json

    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Return rows as lines."""
        return self._lines.encode(portions)

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its rows."""
        return self._lines.drop(part, indexes)

    def write(self, file: BinaryIO, parts: Iterable[bytes], _: int, /) -> None:
        """Write one stream."""
        files.append(file, _compress(chain([self._lines.header or b""], parts)))


def _compress(parts: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.compressobj(_LEVEL, wbits=_AS_GZIP)
    yield from map(stream.compress, parts)
    yield stream.flush()
