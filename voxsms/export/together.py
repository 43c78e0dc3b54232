"""Several things at once, of which the first that fails ends the others."""

from collections.abc import Awaitable, Callable, Sequence
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
