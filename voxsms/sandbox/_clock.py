"""The time in a sandbox: real time until a test controls it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_END = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""A year before Python's last: a running clock needs some time ahead."""


def _check(moment: float) -> None:
    if not 0 <= moment < _END:
        raise ValueError("the clock cannot be set to that time: it covers the years 1970 to 9998")


class SandboxClock:
    """Follows real time; `set` stops it at a time, `advance` moves it, `run` starts it again.

    Any thread may call its methods.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._stands_at: float | None = None
        self.on_change: Callable[[], None] | None = None
        """Called after the time was set or moved; for the sandbox."""
        self._start = start
        self.reset()

    def reset(self) -> None:
        """Return to the start time, or to real time."""
        if self._start is not None:
            self.set(self._start)
            return
        with self._lock:
            self._ahead, self._stands_at = 0.0, None
        self._changed()

    def time(self) -> float:
        """Return the seconds since the epoch."""
        with self._lock:
            return self._time()

    def _time(self) -> float:
        return time.time() + self._ahead if self._stands_at is None else self._stands_at

    @property
    def stands(self) -> bool:
        """Whether it is stopped, and moves only by `set` and `advance`."""
        with self._lock:
            return self._stands_at is not None

    def now(self) -> datetime:
        """Return the time as an aware UTC `datetime`."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float | timedelta) -> None:
        """Move it forward (or back); a stopped clock stays stopped at the new time.

        Raises:
            ValueError: the new time is before 1970 or after 9998.
        """
        step = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        with self._lock:
            _check(self._time() + step)
            if self._stands_at is None:
                self._ahead += step
            else:
                self._stands_at += step
        self._changed()

    def set(self, moment: datetime) -> None:
        """Set it to `moment`, an aware `datetime`, and stop it there."""
        if moment.utcoffset() is None:
            raise ValueError("the clock of a sandbox needs an aware datetime, such as one in UTC")
        _check(moment.timestamp())
        with self._lock:
            self._stands_at = moment.timestamp()
        self._changed()

    def run(self) -> None:
        """Let it run from its current time at the pace of real time."""
        with self._lock:
            self._ahead = self._time() - time.time()
            self._stands_at = None
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
