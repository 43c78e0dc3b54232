"""A history on a line of time for the loopback server: pages by `from_date` and `to_date`, too.

Rows lie at even distances over two years, the newest first. They are kept as one block of JSON, so
that a page is a slice of it and the server is never what is measured.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import parse_qs

import orjson
from loopback import http_answer, row

_END = datetime(2026, 11, 1, tzinfo=UTC)
_START = _END - timedelta(days=730)
_FORM = "%Y-%m-%d %H:%M:%S"
_ACCOUNT = b'{"result":{"account_id":1,"account_name":"invented","balance":25.0,"currency":"USD"}}'


class Timeline:
    """Answers history requests; anything else gets an empty page."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._step = (_END - _START) / rows
        self._ends = [0]
        self._indexes: dict[str, int] = {}
        parts: list[bytes] = []
        for index in range(rows):
            at = self._time(index)
            parts.append(orjson.dumps(row(rows - index) | {"processed_date": at}) + b",")
            self._ends.append(self._ends[-1] + len(parts[-1]))
        self._block = b"".join(parts)

    def _time(self, index: int) -> str:
        return (_END - (index + 1) * self._step).strftime(_FORM)

    def _index(self, text: str) -> int:
        """Give the index of the first row that is not later than a time, newest first."""
        if text not in self._indexes:
            after = partial(self._is_not_later, text)
            self._indexes[text] = bisect_left(range(self._rows), x=True, key=after)
        return self._indexes[text]

    def _is_not_later(self, text: str, index: int) -> bool:
        return self._time(index) <= text

    def __call__(self, head: bytes, body: bytes) -> bytes:
        """Give a page, or the account."""
        if b"/GetAccountInfo/" in head:
            return http_answer(_ACCOUNT)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        first = self._index(form["to_date"]) if "to_date" in form else 0
        last = self._rows
        if "from_date" in form:
            # The first row earlier than `from_date` is the first not later than the second before.
            start = datetime.fromisoformat(form["from_date"]) - timedelta(seconds=1)
            last = self._index(f"{start:{_FORM}}")
        begin = min(last, first + int(form.get("offset", "0")))
        end = min(last, begin + int(form.get("count", "1000")))
        rows = self._block[self._ends[begin] : max(self._ends[end] - 1, self._ends[begin])]
        total = max(0, last - first)
        return http_answer(b'{"result":[' + rows + b'],"total_count":' + b"%d}" % total)
