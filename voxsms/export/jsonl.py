"""JSON Lines: each row on a line of its own, in the bytes it came in, with every field it has."""

from collections.abc import Sequence
from functools import partial

import orjson

from voxsms.export.columns import Layout
from voxsms.export.decoding import Decoded, Json
from voxsms.export.lines import Lines
from voxsms.export.masks import masked

_OF_ONE_TYPE = ("message_id", "source_number", "destination_number", "status_id")
"""Fields that come as numbers or as strings (contract, section 2) and leave as what they are."""


class Jsonl(Lines):
    """Writes rows with every field they have, those unknown to voxsms too.

    A masked row has the known fields alone: what the service adds later may hold anything.
    """

    names: Sequence[str] = _OF_ONE_TYPE

    def __init__(self, layout: Layout, *, mask: bool) -> None:
        super().__init__(partial(bytes.splitlines, keepends=True))
        self._fields = layout.fields
        self._mask = mask

    def encode(self, page: Decoded) -> bytes:
        """Write each row."""
        return b"\n".join([*self._lines(page), b""])

    def _lines(self, page: Decoded) -> list[bytes]:
        if self._mask:
            return [orjson.dumps(self._masked(row)) for row in self._changed(page)[0]]
        lines = page.raw()
        if not page.came.keys().isdisjoint(_OF_ONE_TYPE):
            rows, places = self._changed(page)
            for place in places:
                lines[place] = orjson.dumps(rows[place])
        return list(map(_on_one_line, lines)) if _has_line_ends(page.body.rstrip()) else lines

    def _changed(self, page: Decoded) -> tuple[list[Json], set[int]]:
        """Give rows of which each has values of the types that every other has, and the changed."""
        rows, places = page.as_dicts(), set[int]()
        for name in page.came.keys() & {*_OF_ONE_TYPE}:
            for place, (came, tidy) in enumerate(
                zip(page.came[name], page.known[name], strict=True)
            ):
                if came is not tidy:
                    rows[place][name] = tidy
                    places.add(place)
        return rows, places

    def _masked(self, row: Json) -> Json:
        names = [field.name for field in self._fields if field.name in row]
        return {name: masked(name, row[name]) for name in names}


def _on_one_line(line: bytes) -> bytes:
    whole = bytes(line)  # as msgspec gives it, it is a view of the answer
    return orjson.dumps(orjson.loads(whole)) if _has_line_ends(whole) else whole


def _has_line_ends(json: bytes) -> bool:
    return b"\n" in json or b"\r" in json
