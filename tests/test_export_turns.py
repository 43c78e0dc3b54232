"""Windows are kept in their order, in whatever order they were read."""

from functools import partial

import anyio
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export.turns import Turns


@given(st.permutations(range(12)), st.integers(1, 4), st.integers(0, 4))
def test_everything_is_done_in_order(arrival: list[int], bringers: int, most: int) -> None:
    """Each once, however many bring them; no more wait than may, but for one a bringer."""
    done: list[int] = []
    waiting: set[int] = set()
    most_waiting = 0
    # Whoever brings things takes the earliest that nobody has: so the next in turn is under way.
    speed = {number: place for place, number in enumerate(arrival)}

    async def run() -> None:
        turns, left = Turns(range(12), most), iter(range(12))

        async def do(number: int) -> None:
            await anyio.lowlevel.checkpoint()
            waiting.discard(number)
            done.append(number)

        async def bring() -> None:
            nonlocal most_waiting
            for number in left:
                for _ in range(speed[number]):
                    await anyio.lowlevel.checkpoint()
                waiting.add(number)
                most_waiting = max(most_waiting, len(waiting))
                await turns.take(number, partial(do, number))

        async with anyio.create_task_group() as group:
            for _ in range(bringers):
                group.start_soon(bring)

    anyio.run(run)
    assert done == list(range(12))
    assert most_waiting <= most + bringers
