"""Several things at once, of which the first that fails ends the others."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import TypeVar

from anyio import create_task_group

T = TypeVar("T")


async def together(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Make calls at the same time and give their results in order.

    A user who wrote one `await` gets one error: the first, as itself and not in a group.
    """
    results: dict[int, T] = {}
    failed: list[Exception] = []

    async def run(index: int, call: Callable[[], Awaitable[T]]) -> None:
        try:
            results[index] = await call()
        except Exception as error:  # noqa: BLE001 - raised below
            failed.append(error)
            group.cancel_scope.cancel()

    async with create_task_group() as group:
        for index, call in enumerate(calls):
            group.start_soon(run, index, call)
    if failed:
        raise failed[0]
    return [results[index] for index in range(len(calls))]


async def a_few_at_a_time(few: int, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Make calls, so many at the same time, and give their results in any order.

    A task for each call would take longer to make than some calls take.
    """
    waiting = iter(calls)

    async def make_some() -> list[T]:
        return [await call() for call in waiting]

    made = await together([make_some] * min(few, len(calls)))
    return [*chain.from_iterable(made)]
