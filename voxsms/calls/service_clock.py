"""The service's time, as far as the `Date` headers of its answers show it.

This machine's clock may be wrong by seconds or by years, and so may the `Date` of a single answer
(from a gateway or a cache). So a time that both agree on is known at once; otherwise it is known
when a second answer says the same, and until then it is only the best guess.
"""

from voxsms.api.codec import http_date
from voxsms.clock import Clock

IN_STEP = 1.5
"""Seconds of difference from the service's clock that its `Date`, in whole seconds, cannot show."""
_ODD = 3600.0
"""Seconds from the believed time beyond which a single answer is not believed."""
_FIRST, _AFTER = 2020, 2100  # the range of plausible years
_MAX_TIME = 253_402_300_799.0  # the last second that a `datetime` can hold


class ServiceClock:
    """The service's time, one for each client.

    Args:
        clock: the clock of this machine.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._greatest = 0.0
        self._apart = clock.time() - clock.monotonic()
        self._is_known = False
        self._odd: float | None = None
        self._last_date = ""
        self._last_time = 0.0

    def now(self) -> float | None:
        """Return the seconds since the epoch by the service's clock, or None if not known.

        They are exact to two seconds, or to half the time a slow answer took. The time is not known
        before the first answer, while no answer has a plausible one, and after this machine's clock
        was set or the machine slept.
        """
        time = self._clock.time()
        was_set = abs(time - self._clock.monotonic() - self._apart) > IN_STEP
        return self.best() if self._is_known and not was_set else None

    def is_proven(self) -> bool:
        """Return whether the time is known and this machine's clock has always agreed with it.

        If they disagree, either may be wrong: an answer's `Date` may be a gateway's.
        """
        return self.now() is not None and self._greatest <= IN_STEP

    def best(self) -> float:
        """Return the best guess at the service's time, which a `datetime` can always hold."""
        return min(max(self._clock.time() + self._offset, 0.0), _MAX_TIME)

    def learn(self, header: str, took: float) -> None:
        """Learn from an answer's `Date`; an unreadable or implausible one is ignored.

        Args:
            header: the header's value, empty if there was none.
            took: the seconds from the request to the answer; the header was written in between.
        """
        if not header:
            return
        now = self._clock.time()
        apart = now - self._clock.monotonic()
        if abs(apart - self._apart) > IN_STEP:  # the clock was set, or the machine slept
            self._is_known, self._last_date, self._apart = False, "", apart
        in_doubt = not self._is_known or self._odd is not None
        if not in_doubt and header == self._last_date and now - self._last_time <= IN_STEP:
            return  # nothing new
        date = http_date(header)
        if date is None or not _FIRST <= date.year < _AFTER:
            return
        # After a slow answer, the next one in the same second may be more exact.
        self._last_date, self._last_time = "" if took > IN_STEP else header, now
        # `Date` is truncated to whole seconds: add half a second, the middle. When it was written
        # is not known either: a slow answer would set the clock back, and hide the newest messages.
        self._believe(date.timestamp() + 0.5 - (now - took / 2), IN_STEP + took / 2)

    def confirm(self) -> None:
        """Believe the last odd `Date`: the service refused a token by that clock."""
        odd = self._odd
        if odd is not None:
            self._set_offset(odd)
            self._is_known, self._odd = True, None

    def _believe(self, offset: float, unsure: float) -> None:
        jump, odd = abs(offset - self._offset), self._odd
        is_repeated = odd is not None and abs(offset - odd) <= _ODD
        if self._is_known and jump > _ODD and not is_repeated:
            self._odd = offset
            return
        # This machine's own clock counts too.
        self._is_known = jump <= _ODD or is_repeated or abs(offset) <= _ODD
        self._odd = None
        if jump > unsure:
            self._set_offset(offset)

    def _set_offset(self, offset: float) -> None:
        self._offset, self._greatest = offset, max(self._greatest, abs(offset))
