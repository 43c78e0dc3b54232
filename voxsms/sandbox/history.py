"""The histories: pages of messages by filter, newest first (the service documents no order)."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from voxsms.api.models import DeliveryStatus
from voxsms.api.spec import MAX_ROWS
from voxsms.api.wire import TIME_FORMAT
from voxsms.sandbox.books import Books
from voxsms.sandbox.schema import FIELDS


@attrs.frozen
class Page:
    """Rows as JSON texts, and how many match in all."""

    rows: list[str]
    total: int

    def json(self) -> bytes:
        """Give the body of an answer."""
        return f'{{"result":[{",".join(self.rows)}],"total_count":{self.total}}}'.encode()

    def csv(self, kind: str) -> bytes:
        """Give a file with the JSON field names as header."""
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, FIELDS[kind])
        writer.writeheader()
        writer.writerows(json.loads(row, parse_float=str) for row in self.rows)
        return file.getvalue().encode()


_FILTERS: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "message_id": ("id IN (SELECT value FROM json_each(?))", lambda ids: json.dumps(list(ids))),
    "source_number": ("source = ?", str),
    "destination_number": ("destination = ?", str),
    "direction": ("direction = ?", str),
    "delivery_status": ("status = ?", lambda status: DeliveryStatus(status).value),
    # Both ends are taken as inclusive (contract, section 6); times of one form compare as text.
    "from_date": ("at >= ?", lambda time: time.strftime(TIME_FORMAT)),
    "to_date": ("at <= ?", lambda time: time.strftime(TIME_FORMAT)),
}

_Query = tuple[str, tuple[object, ...]]
_Place = tuple[str, int]


def _query(kind: str, values: Mapping[str, object]) -> _Query:
    used = [(*_FILTERS[name], value) for name, value in values.items() if name in _FILTERS]
    conditions = ["FROM messages WHERE kind = ?", *(condition for condition, _, _ in used)]
    arguments = (kind, *(write(value) for _, write, value in used))
    return " AND ".join(conditions), arguments


class History:
    """Reads pages.

    SQLite counts its way to an offset, and counts anew for each total: for a page deep in a million
    rows that is 30 ms for each. So the end of each page is remembered as the place where the next
    one begins, and so is each total, both until a message is entered or moves on.
    """

    def __init__(self, books: Books, most_rows: int) -> None:
        self._books = books
        self._most_rows = most_rows
        self._most_places = 10_000
        self._version = -1
        self._totals: dict[_Query, int] = {}
        self._places: dict[tuple[_Query, int], _Place] = {}

    def page(self, kind: str, values: Mapping[str, Any]) -> Page:
        """Give the page that a request's values ask for."""
        count = min(values.get("count", MAX_ROWS), self._most_rows)
        query = _query(kind, values)
        with self._books.lock:
            self._books.settle()
            self._forget_if_changed()
            rows = self._rows(query, values.get("offset", 0), count)
            return Page(rows, self._total(query))

    def _forget_if_changed(self) -> None:
        if (
            self._version != self._books.version
            or max(len(self._places), len(self._totals)) > self._most_places
        ):
            self._version = self._books.version
            self._totals.clear()
            self._places.clear()

    def _total(self, query: _Query) -> int:
        if query not in self._totals:
            source, arguments = query
            found = self._books.db.execute(f"SELECT count(*) {source}", arguments)
            (self._totals[query],) = found.fetchone()
        return self._totals[query]

    def _rows(self, query: _Query, offset: int, count: int) -> list[str]:
        source, arguments = query
        place = self._places.get((query, offset))
        if place is not None:
            source, arguments = f"{source} AND (at, id) < (?, ?)", (*arguments, *place)
        found = self._books.db.execute(
            f"SELECT json, at, id {source} ORDER BY at DESC, id DESC LIMIT ? OFFSET ?",
            (*arguments, count, 0 if place else offset),
        ).fetchall()
        if found:
            _, at, id_ = found[-1]
            self._places[query, offset + len(found)] = (at, id_)
        return [row for row, _, _ in found]
