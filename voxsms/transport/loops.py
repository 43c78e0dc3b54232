"""What belongs to one event loop: its connections, and the places in the queue before them.

A client that was made once may serve one `asyncio.run` after the other, or the child of a fork.
What was opened in one loop can not be used in the next, and a request on it would be lost: so each
loop has its own, which is closed as the loop ends, or with the client.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs
from anyio.lowlevel import current_token

from voxsms.transport.seam import FaultKind, TransportFault


class Closable(Protocol):
    """Anything that holds connections."""

    async def aclose(self) -> None:
        """Close them."""
        ...


T = TypeVar("T", bound=Closable)


@attrs.frozen
class _Held(Generic[T]):
    """What one loop has, and the generator by which the loop closes it."""

    thing: T
    keeper: AsyncGenerator[None]


class PerLoop(Generic[T]):
    """Gives each event loop its own of something, made as it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._held: dict[object, _Held[T]] = {}
        self._closed = False

    async def here(self) -> T:
        """Give what belongs to the running loop. Raises `TransportFault` when it is closed."""
        self.refuse_if_closed()
        loop = _running()
        held = self._held.get(loop)
        if held is None:
            thing = self._make()
            held = self._held[loop] = _Held(thing, self._kept(loop, thing))
            await anext(held.keeper)
        return held.thing

    async def _kept(self, loop: object, thing: T) -> AsyncGenerator[None]:
        """Close a thing: a loop that ends first ends the generators that were begun in it."""
        try:
            yield
        finally:
            self._held.pop(loop, None)
            await thing.aclose()

    def refuse_if_closed(self) -> None:
        """Raise a `TransportFault` if nothing may be sent any more."""
        if self._closed:
            raise TransportFault(FaultKind.CONNECTION, "the client was closed")

    async def aclose(self) -> None:
        """Close what belongs to the running loop, and refuse whatever is asked for after that."""
        self._closed = True
        held = self._held.pop(_running(), None)
        if held is not None:
            await held.keeper.aclose()


def _running() -> object:
    token: Any = current_token()
    return getattr(token, "native_token", token)  # which before anyio 4.11 was the token itself
