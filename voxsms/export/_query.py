"""What is exported: one of the two histories, its filters and its range of time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import attrs

from voxsms.api import codec, spec
from voxsms.api.spec import AnyMethod, parameters, request_class
from voxsms.errors import Fault, InvalidRequest

HISTORY_METHODS: Mapping[str, AnyMethod] = {
    "sms": spec.GET_SMS_HISTORY,
    "a2p": spec.A2P_GET_SMS_HISTORY,
}
"""The method that reads each kind of history."""
PAGE_ROWS = spec.MAX_PAGE_ROWS
"""How many rows a page may have."""
MAX_WINDOW_ROWS = 10_000
"""How many rows a window should hold at most."""
_IN_ONE_ANSWER = 900
"""Rows that fit in one page with those of the seconds before and after."""
_VOLATILE = "delivery_status"
"""The filter on a field that changes after a message was entered."""
_SECOND = timedelta(seconds=1)
_LAST_SECOND = datetime.max.replace(microsecond=0, tzinfo=UTC)


@attrs.frozen
class Query:
    """A history with its filters, checked."""

    method: AnyMethod
    filters: Mapping[str, Any] = attrs.field(repr=False)
    """Only those that were given."""
    from_date: datetime | None
    to_date: datetime | None

    @property
    def record(self) -> type[attrs.AttrsInstance]:
        """The class of the history's typed rows."""
        return cast("type[attrs.AttrsInstance]", get_args(self.method.reply)[0])

    @property
    def is_volatile(self) -> bool:
        """Whether a message can enter and leave the query long after it was sent.

        Then only the rows of one answer were valid at the same time, and counts prove nothing.
        """
        return _VOLATILE in self.filters

    @property
    def max_rows(self) -> int:
        """How many rows a window should hold at most."""
        return _IN_ONE_ANSWER if self.is_volatile else MAX_WINDOW_ROWS

    @property
    def page_rows(self) -> int:
        """How many rows are asked for at a time."""
        return PAGE_ROWS

    def end(self, now: datetime) -> datetime:
        """Return the first second after the range, which does not reach into the future."""
        return (now if self.to_date is None else min(now, self.to_date)) + _SECOND

    def request(
        self, start: datetime | None, last: datetime | None, count: int, offset: int = 0
    ) -> attrs.AttrsInstance:
        """Return the request for a page of a span of time, both ends inclusive."""
        span = {"from_date": start, "to_date": last}
        return self.method.request(**self.filters, **span, count=count, offset=offset)

    def as_text(self) -> dict[str, str]:
        """Return what identifies this query, as it is written on the wire."""
        request = self.request(self.from_date, self.to_date, count=1)
        form = codec.write_request(self.method, request)
        kept = {name: text for name, text in form.items() if name not in ("count", "offset")}
        return {"method": self.method.cmd, **kept}


def check_query(
    kind: str, from_date: datetime | None, to_date: datetime | None, filters: Mapping[str, object]
) -> tuple[Query | None, list[Fault]]:
    """Return the query that a user means, and what is wrong with it."""
    method = HISTORY_METHODS.get(kind) if isinstance(cast("object", kind), str) else None
    if method is None:
        return None, [Fault("kind", "must be 'sms' (two-way messages) or 'a2p'")]
    known = parameters(request_class(method))
    given = {name: _repeatable(value) for name, value in filters.items() if value is not None}
    faults = [
        Fault(name, f"is not a filter of the {kind} history") for name in given if name not in known
    ]
    query = Query(method, {n: v for n, v in given.items() if n in known}, from_date, to_date)
    try:
        query.as_text()
    except InvalidRequest as error:
        return None, [*faults, *error.faults]
    start = None if from_date is None else _next_second(from_date)
    end = None if to_date is None else to_date.astimezone(UTC).replace(microsecond=0)
    return Query(method, query.filters, start, end), faults


def _next_second(time: datetime) -> datetime:
    """Return the first second that is not earlier, so that no earlier row is exported."""
    second = time.astimezone(UTC).replace(microsecond=0)
    return second if second >= min(time, _LAST_SECOND) else second + _SECOND


def _repeatable(value: object) -> object:
    """Return a value that can be iterated again: it is written with every request."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(cast("Iterable[object]", value))
    return value
