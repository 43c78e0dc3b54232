"""Time and chance, in one place, so that a test can drive both."""

import random
import time

import anyio


class Clock:
    """The machine's clocks and its dice; give a client a subclass of it to drive them."""

    def time(self) -> float:
        """Return the seconds since the epoch, UTC, as this machine knows them."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds of a clock that only goes forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    def roll(self) -> float:
        """Return a random number from 0 to 1, for jitter."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing
