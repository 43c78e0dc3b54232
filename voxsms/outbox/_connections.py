"""The caller's own connection: an `add` that takes part in the caller's transaction."""

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
"""What leads from a session or connection of SQLAlchemy or Django to the one that is behind it."""
_DEPTH: Final = 4
"""Session, connection, what the pool gave, the driver's connection."""


async def find_driver_connection(given: Any) -> Any:  # noqa: ANN401 - of any library
    """Return the driver's connection that is behind one of SQLAlchemy or Django."""
    found = given
    for _ in range(_DEPTH):
        inwards = next((name for name in _INWARDS if hasattr(found, name)), None)
        if inwards is None:
            break
        if callable(getattr(found, "in_transaction", None)) and not found.in_transaction():
            # SQLAlchemy commits only what began through it.
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
    """Take a step in the transaction of a caller's connection, and commit nothing.

    Raises:
        InvalidRequest: the connection is of another kind, of another database, or in no transaction
            that could be rolled back.
        OutboxUnavailable: the database cannot be written; the transaction is as it was before.
    """

    def take() -> T:
        place.check(database)
        database.execute("SAVEPOINT voxsms_add", {})
        try:
            taken = step(database, *args, **kwargs)
        except BaseException:
            with suppress(*place.failures):  # what is wrong is the first error
                database.execute("ROLLBACK TO SAVEPOINT voxsms_add", {})
            raise
        database.execute("RELEASE SAVEPOINT voxsms_add", {})
        return taken

    driver = await find_driver_connection(connection)
    if driver is None:  # Django's `connection` is another one in each thread and task
        raise unfit("has no open connection here; of Django give `connections['default']`")
    try:
        database = place.adopt(driver)
        if database.is_of_one_thread:
            return take()
        return await _in_thread(take)
    except place.failures as error:
        raise OutboxUnavailable(place.explain(error)) from None


async def _in_thread(take: Callable[[], T]) -> T:
    """Run to the end what uses a caller's connection, also when the caller is cancelled."""
    result: list[T] = []
    with anyio.CancelScope(shield=True):
        result.append(await to_thread.run_sync(take, limiter=anyio.CapacityLimiter(1)))
    return result[0]
