"""JSON Lines: each row on a line of its own, in the bytes it came in, with every field it has."""

from collections.abc import Collection, Iterable, Sequence
from typing import BinaryIO

import orjson

from voxsms.export import _files as files
from voxsms.export._masks import mask_value
from voxsms.export._rows import Layout, Row, take


class Jsonl:
    """Writes rows with every field they have, those unknown to voxsms too.

    A masked row has the known fields alone: what the service adds later may hold anything.
    """

    as_json = True
    header = b""

    def __init__(self, layout: Layout, *, mask: bool) -> None:
        self._layout = layout
        self._mask = mask

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """Return each row on a line."""
        lines = take(rows, "content")
        if self._mask:
            lines = list(map(self._masked, lines))
        return b"\n".join([*lines, b""])

    def _masked(self, line: bytes) -> bytes:
        row, columns = self._layout.parse(line), self._layout.columns
        names = [column.name for column in columns if column.name in row]
        return orjson.dumps({name: mask_value(name, row[name]) for name in names})

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its lines."""
        lines = part.splitlines(keepends=True)
        return b"".join([line for index, line in enumerate(lines) if index not in indexes])

    def write(self, file: BinaryIO, parts: Iterable[bytes], /) -> None:
        """Write one part after the other."""
        files.append(file, parts)
