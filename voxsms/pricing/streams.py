"""One accumulator for rows that are there and rows that are awaited."""

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
Sum = TypeVar("Sum")


def fed(
    items: Iterable[Item] | AsyncIterable[Item],
    add: Callable[[Item], None],
    sum_: Callable[[], Sum],
) -> Sum | Coroutine[Any, Any, Sum]:
    """Add every item and give the sum; to be awaited if the items are."""
    if isinstance(items, AsyncIterable):
        return _fed(items, add, sum_)
    for item in items:
        add(item)
    return sum_()


async def _fed(
    items: AsyncIterable[Item], add: Callable[[Item], None], sum_: Callable[[], Sum]
) -> Sum:
    async for item in items:
        add(item)
    return sum_()
