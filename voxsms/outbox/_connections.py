"""The caller's own connection: an `add` in the caller's transaction."""

from collections.abc import Callable
from contextlib import suppress
from inspect import isawaitable
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import anyio
from anyio import to_thread

from voxsms.errors import OutboxUnavailable
from voxsms.outbox._store import Database, Place, unfit

P = ParamSpec("P")
T = TypeVar("T")
_INWARDS: Final = ("driver_connection", "get_raw_connection", "connection")
"""Attributes that lead from a SQLAlchemy or Django session or connection to the one behind it."""
_DEPTH: Final = 4
"""Session, connection, the pool's connection, the driver's connection."""


async def find_driver_connection(given: Any) -> Any:  # noqa: ANN401 - of any library
    """Return the driver's connection behind a SQLAlchemy or Django connection."""
    found = given
    for _ in range(_DEPTH):
        inwards = next((name for name in _INWARDS if hasattr(found, name)), None)
        if inwards is None:
            break
        if callable(getattr(found, "in_transaction", None)) and not found.in_transaction():
            # SQLAlchemy commits only a transaction that was begun through it.
            await _result(found.begin())
        inner = getattr(found, inwards)
        found = await _result(inner() if callable(inner) else inner)
    return found


async def _result(found: Any) -> Any:  # noqa: ANN401 - of any library
    return await found if isawaitable(found) else found


async def write_within(
    place: Place,
    connection: object,
    step: Callable[Concatenate[Database, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a step in the transaction of a caller's connection, and commit nothing.

    Raises:
        InvalidRequest: the connection is of another kind, to another database, or not in a
            transaction that can be rolled back.
        OutboxUnavailable: the database cannot be written; the transaction is as it was before.
    """

    def take() -> T:
        place.check(database)
        database.execute("SAVEPOINT voxsms_add", {})
        try:
            taken = step(database, *args, **kwargs)
        except BaseException:
            with suppress(*place.failures):  # the first error is the one to report
                database.execute("ROLLBACK TO SAVEPOINT voxsms_add", {})
            raise
        database.execute("RELEASE SAVEPOINT voxsms_add", {})
        return taken

    driver = await find_driver_connection(connection)
    if driver is None:  # Django's `connection` differs in each thread and task
        raise unfit("has no open connection here; for Django pass `connections['default']`")
    try:
        database = place.adopt(driver)
        if database.is_of_one_thread:
            return take()
        return await _in_thread(take)
    except place.failures as error:
        raise OutboxUnavailable(place.explain(error)) from None


async def _in_thread(take: Callable[[], T]) -> T:
    """Run what uses a caller's connection to its end, even if the caller is cancelled."""
    result: list[T] = []
    with anyio.CancelScope(shield=True):
        result.append(await to_thread.run_sync(take, limiter=anyio.CapacityLimiter(1)))
    return result[0]
