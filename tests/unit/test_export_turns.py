"""Windows are kept in their order, in whatever order they were read."""

from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export.together import a_few_at_a_time
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


@given(st.integers(0, 20), st.integers(1, 9))
def test_calls_are_made_once_and_a_few_at_a_time(many: int, few: int) -> None:
    """Each result is there, and no more are under way than may be."""
    under_way = most = 0

    async def call(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 3):
            await anyio.lowlevel.checkpoint()
        under_way -= 1
        return number

    calls = [partial(call, number) for number in range(many)]
    assert sorted(anyio.run(a_few_at_a_time, few, calls)) == list(range(many))
    assert most <= min(few, many)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_call_that_fails_ends_the_others(backend: str) -> None:
    """Its error comes as itself, and what was not begun is not."""
    begun: list[int] = []

    async def call(number: int) -> int:
        begun.append(number)
        await anyio.lowlevel.checkpoint()
        if number == 2:
            raise ZeroDivisionError(number)
        return number

    calls = [partial(call, number) for number in range(20)]
    with pytest.raises(ZeroDivisionError):
        anyio.run(a_few_at_a_time, 4, calls, backend=backend)
    assert 3 <= len(begun) < 10
