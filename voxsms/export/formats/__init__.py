"""What a kind of file has to do: encode rows, and join what was encoded to a file."""

from collections.abc import Collection, Iterable, Sequence
from typing import BinaryIO, Protocol

from voxsms.export._rows import Layout, Row
from voxsms.export.formats._csv import Csv
from voxsms.export.formats._jsonl import Jsonl
from voxsms.export.formats._parquet import Parquet

__all__ = ["NAMES", "Format", "make_format"]

NAMES = ("jsonl", "csv", "parquet")


class Format(Protocol):
    """A kind of file."""

    @property
    def as_json(self) -> bool:
        """Whether the content of a row is its own JSON, not a struct of its columns."""
        ...

    @property
    def header(self) -> bytes | None:
        """What a file begins with if the rest is nothing but its parts, one after the other."""
        ...

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """Return rows as a part of a file."""
        ...

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a part without some of its rows."""
        ...

    def write(self, file: BinaryIO, parts: Iterable[bytes], /) -> None:
        """Write a file; it stays open."""
        ...


def make_format(name: str, layout: Layout, *, mask: bool, raw: bool) -> Format:
    """Return what writes the rows of a history."""
    if name == "parquet":
        return Parquet(layout, mask=mask)
    if name == "csv":
        return Csv(layout, mask=mask, raw=raw)
    return Jsonl(layout, mask=mask)
