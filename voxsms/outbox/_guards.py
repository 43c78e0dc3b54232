"""Checks before anything is sent: who may get a message, who wants none, and when.

A guard is asked when a chunk is claimed, not when it is added: since then a person may have opted
out, and the quiet hours may have begun.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from voxsms.api.phone_numbers import import_phonenumbers
from voxsms.errors import Fault, InvalidRequest
from voxsms.webhooks import OptOuts

_STEP: Final = timedelta(minutes=5)
_STEPS: Final = 2 * 24 * 12
"""Two days: a country of many time zones may have few hours that are quiet in none of them."""


@attrs.frozen
class QuietHours:
    """The hours in which nothing is sent, in the recipient's local time.

    The time zone is that of the number's region (extra `phone`). If a number may be in several
    zones, like most mobile numbers of a large country, nothing is sent in quiet hours of any zone.
    """

    start: time
    end: time

    def wait(self, number: str, now: datetime) -> timedelta:
        """Return how long to wait until a number may get a message; zero if it may now."""
        zones = _zones_of(number)
        if not any(self._covers(now, zone) for zone in zones):
            return timedelta()
        for steps in range(1, _STEPS):
            at = now + steps * _STEP
            if not any(self._covers(at, zone) for zone in zones):
                return steps * _STEP
        return _STEPS * _STEP  # at any hour it is quiet somewhere

    def _covers(self, now: datetime, zone: ZoneInfo) -> bool:
        local = now.astimezone(zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


@lru_cache(maxsize=10_000)
def _zones_of(number: str) -> tuple[ZoneInfo, ...]:
    library = import_phonenumbers()
    from phonenumbers import timezone  # noqa: PLC0415 - of the extra

    parsed = library.parse(f"+{number}", None)
    zones: list[ZoneInfo] = []
    for name in timezone.time_zones_for_number(parsed):
        try:
            zones.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError):  # Etc/Unknown: no region
            zones.append(ZoneInfo("UTC"))
    return tuple(zones)


def _prefixes(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        given = (given,)
    prefixes = tuple(prefix.removeprefix("+") for prefix in given)
    if not all(prefix.isascii() and prefix.isdigit() for prefix in prefixes):
        raise InvalidRequest("Guards", (Fault("prefixes", "must be digits, such as 44"),))
    if any(prefix.startswith("0") for prefix in prefixes):
        problem = "no number begins with 0; they begin with the country code, such as 44"
        raise InvalidRequest("Guards", (Fault("prefixes", problem),))
    return prefixes


@attrs.frozen(kw_only=True)
class Guards:
    """Who may get a message from an outbox.

    Args:
        allowed_prefixes: only numbers that begin with one of these digits, such as `44`.
        forbidden_prefixes: no numbers that begin with one of these.
        opt_outs: nobody on this list, such as a `voxsms.webhooks.SqliteOptOuts`.
        quiet_hours: nobody in these hours; the messages go out after them.
    """

    allowed_prefixes: tuple[str, ...] = attrs.field(default=(), converter=_prefixes)
    forbidden_prefixes: tuple[str, ...] = attrs.field(default=(), converter=_prefixes)
    opt_outs: OptOuts | None = None
    quiet_hours: QuietHours | None = None

    async def refuse(self, number: str) -> str | None:
        """Return why a number gets no message; None if it may get one."""
        if self.allowed_prefixes and not number.startswith(self.allowed_prefixes):
            return "begins with none of the allowed prefixes"
        if number.startswith(self.forbidden_prefixes):
            return "begins with a forbidden prefix"
        if self.opt_outs is not None and await self.opt_outs.contains(number):
            return "is on the opt-out list"
        return None

    def wait(self, number: str, now: float) -> float:
        """Return the seconds until a number may get its message."""
        if self.quiet_hours is None:
            return 0.0
        return self.quiet_hours.wait(number, datetime.fromtimestamp(now, UTC)).total_seconds()
