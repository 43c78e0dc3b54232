"""JSON Lines: each row on its own line, in the bytes received, with all its fields."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import orjson

from voxsms.export._rows import Line
from voxsms.export._table import Table, mask_value
from voxsms.export.formats._format import Format


class Jsonl(Format):
    """Writes rows with all their fields, including those unknown to voxsms.

    A masked row has only the known fields: those that the service adds later may contain anything.
    """

    as_json = True

    def __init__(self, table: Table) -> None:
        self._table = table

    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Return each row on a line."""
        lines: Iterable[Line] = chain.from_iterable(portions)
        if self._table.mask or self._table.with_rates:
            lines = map(self._rewrite, lines)
        return b"\n".join([*lines, b""])

    def _rewrite(self, line: Line) -> bytes:
        layout = self._table.layout
        shown = row = layout.parse(line)
        if self._table.mask:
            names = [column.name for column in layout.columns if column.name in row]
            shown = {name: mask_value(name, row[name]) for name in names}
        return orjson.dumps(shown | (self._table.fields_of(row) if self._table.with_rates else {}))
