"""Things done in order, though they are ready in another."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from anyio import Event

Work = Callable[[], Awaitable[object]]


class Turns:
    """Lets each thing wait for its turn, without holding up who brought it, unless many wait.

    Args:
        order: the numbers of the things, in the order of their turns.
        most: how many may wait before whoever brings another one waits as well.
    """

    def __init__(self, order: Iterable[int], most: int) -> None:
        self._order = deque(order)
        self._most = most
        self._ready: dict[int, Work] = {}
        self._busy = False
        self._fewer = Event()

    async def take(self, number: int, work: Work) -> None:
        """Do it when it is its turn: now, or later when those before it are done.

        Whoever brings the thing whose turn it is does it, and then all that have waited for it.
        """
        self._ready[number] = work
        if not self._busy:
            await self._do_what_is_ready()
        while len(self._ready) > self._most:
            await self._fewer.wait()

    async def _do_what_is_ready(self) -> None:
        self._busy = True
        try:
            while self._order and self._order[0] in self._ready:
                await self._ready.pop(self._order[0])()
                self._order.popleft()
                self._fewer.set()
                self._fewer = Event()
        finally:
            self._busy = False
