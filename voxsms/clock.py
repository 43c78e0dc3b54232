"""Time and randomness, in one place, so that a test can control both."""

import random
import time

import anyio
import attrs


class Clock:
    """The machine's clocks and random numbers; pass a client a subclass to control them."""

    def time(self) -> float:
        """Return the seconds since the epoch, by this machine's clock."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds of a clock that only goes forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds."""
        await anyio.sleep(seconds)

    def roll(self) -> float:
        """Return a random number from 0 to 1, for jitter."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing


@attrs.frozen
class Moment:
    """A point in time by both clocks: one of them stands still while the machine sleeps."""

    monotonic: float
    time: float

    @classmethod
    def now(cls, clock: Clock) -> "Moment":
        """Read the clocks."""
        return cls(clock.monotonic(), clock.time())

    def is_within(self, limit: float, of: "Moment") -> bool:
        """Return whether another moment is at most `limit` seconds off by both clocks.

        A clock that was set, forward or back, proves no age.
        """
        return of.monotonic - self.monotonic <= limit and -limit <= of.time - self.time <= limit
