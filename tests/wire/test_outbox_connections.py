"""Adding within the caller's own transaction: what is rolled back is never sent."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from anyio import to_thread
from django.db.utils import ConnectionHandler
from doubles import KEY
from outboxes import NUMBERS, SOURCE, Service, rows, states
from psycopg.rows import dict_row
from seen_stores import configure_django
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from voxsms import Client, InvalidRequest, Outbox, OutboxUnavailable

pytestmark = pytest.mark.slow


class Closed:
    """What Django's `connection` is in another thread."""

    connection = None


@attrs.frozen
class Theirs:
    """A caller's connection, and what the caller does with it."""

    connection: Any
    execute: Callable[[str], Any]
    commit: Callable[[], Any]
    rollback: Callable[[], Any]


Opens = Callable[[str], AbstractAsyncContextManager[Theirs]]


@asynccontextmanager
async def _psycopg(url: str) -> AsyncIterator[Theirs]:
    with psycopg.connect(url, row_factory=dict_row) as given:
        yield Theirs(given, given.execute, given.commit, given.rollback)


@asynccontextmanager
async def _psycopg_async(url: str) -> AsyncIterator[Theirs]:
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as given:
        yield Theirs(given, given.execute, given.commit, given.rollback)


@asynccontextmanager
async def _sqlalchemy(url: str, *, is_session: bool) -> AsyncIterator[Theirs]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with Session(engine) if is_session else engine.connect() as given:
        yield Theirs(given, lambda said: given.execute(text(said)), given.commit, given.rollback)
    engine.dispose()


@asynccontextmanager
async def _sqlalchemy_async(url: str, *, is_session: bool) -> AsyncIterator[Theirs]:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"))
    async with AsyncSession(engine) if is_session else engine.connect() as given:
        yield Theirs(given, lambda said: given.execute(text(said)), given.commit, given.rollback)
    await engine.dispose()


@asynccontextmanager
async def _django(url: str) -> AsyncIterator[Theirs]:
    configure_django()
    parts = psycopg.conninfo.conninfo_to_dict(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "HOST": parts["host"],
        "PORT": parts["port"],
        "AUTOCOMMIT": False,
    }
    given = ConnectionHandler({"default": database})["default"]
    given.inc_thread_sharing()
    thread = to_thread.run_sync  # Django's own calls are for threads without an event loop

    def execute(said: str) -> None:
        with given.cursor() as cursor:
            cursor.execute(said)

    await thread(execute, "SELECT 1")
    yield Theirs(
        given,
        lambda said: thread(execute, said),
        lambda: thread(given.commit),
        lambda: thread(given.rollback),
    )
    await thread(given.close)


KINDS: dict[str, Opens] = {
    "psycopg": _psycopg,
    "psycopg, async": _psycopg_async,
    "sqlalchemy": partial(_sqlalchemy, is_session=False),
    "sqlalchemy, session": partial(_sqlalchemy, is_session=True),
    "sqlalchemy, async": partial(_sqlalchemy_async, is_session=False),
    "sqlalchemy, async session": partial(_sqlalchemy_async, is_session=True),
    "django": _django,
}


async def _result(found: Any) -> Any:  # noqa: ANN401 - as each library has it
    return await found if isawaitable(found) else found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_sent_exactly_if_the_transaction_commits(kind: str, place: str) -> None:
    """Whichever library the caller has, and whether it has run a statement before or not."""
    service = Service()
    async with Client(KEY, transport=service) as client, Outbox.open(place) as outbox:
        async with KINDS[kind](place) as theirs:
            for position, end in enumerate((theirs.rollback, theirs.commit)):
                row = ("Your order is on its way", NUMBERS[position], "order-1")
                added = await outbox.add([row], source=SOURCE, connection=theirs.connection)
                assert added.accepted == 1
                # Nothing of it is seen, or sent, before the caller commits.
                assert (await outbox.run(client)).total == 0
                await _result(end())
            await _result(theirs.execute("CREATE TABLE orders (id INTEGER)"))
            await outbox.add(rows(3), source=SOURCE, connection=theirs.connection)
            await _result(theirs.rollback())
        assert (await outbox.run(client)).sent == 1
        assert service.sent == [NUMBERS[1]]


@pytest.mark.parametrize("kind", ["psycopg", "psycopg, async"])
async def test_an_add_that_fails_leaves_the_transaction_as_it_was(kind: str, place: str) -> None:
    """All of it is added or nothing, and the caller's own work can be committed."""
    async with Outbox.open(place) as outbox, KINDS[kind](place) as theirs:
        await outbox.add(rows(2), source=SOURCE)
        await _result(theirs.execute("CREATE TABLE orders (id INTEGER)"))
        await _result(
            theirs.execute("ALTER TABLE voxsms_intents ADD CHECK (destination <> '44770090000005')")
        )
        bad = [*rows(4), ("Hi", "44770090000005", "k9")]
        with pytest.raises(OutboxUnavailable, match="violates check"):
            await outbox.add(bad, source=SOURCE, connection=theirs.connection)
        await outbox.add(rows(3), source=SOURCE, connection=theirs.connection)
        await _result(theirs.commit())
        assert await states(outbox) == ["pending"] * 3
        with psycopg.connect(place) as connection:
            connection.execute("SELECT * FROM orders")


async def test_a_connection_that_is_no_help_is_refused(place: str, tmp_path: Path) -> None:
    """The error says what to give instead, and nothing is added."""
    async with Outbox.open(place) as outbox, Outbox.open(tmp_path / "mailing.db") as small:

        async def refuse(where: Outbox, connection: object, words: str) -> None:
            with pytest.raises(InvalidRequest, match=words):
                await where.add(rows(1), source=SOURCE, connection=connection)

        with psycopg.connect(place, autocommit=True) as connection:
            await refuse(outbox, connection, "commits each statement on its own")
            await refuse(small, connection, "must be a sqlite3 connection")
            with connection.transaction():
                assert (await outbox.add(rows(1), source=SOURCE, connection=connection)).accepted
            connection.execute("CREATE SCHEMA elsewhere")
            connection.execute("SET search_path = elsewhere")
            with connection.transaction():
                await refuse(outbox, connection, "without an outbox")
        with pytest.raises(OutboxUnavailable, match="closed"):
            await outbox.add(rows(1), source=SOURCE, connection=connection)
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            await refuse(small, other, "one file at a time")
            await refuse(outbox, other, "psycopg 3")
        with closing(sqlite3.connect(tmp_path / "mailing.db", isolation_level=None)) as autocommit:
            await refuse(small, autocommit, "begin a transaction")
        await refuse(outbox, Closed(), "connections")
        assert await states(outbox) == ["pending"]
        assert await states(small) == []


@pytest.mark.parametrize("begins", [False, True])
async def test_a_transaction_of_sqlite_takes_messages_with_it(tmp_path: Path, begins: bool) -> None:
    """The caller's tables are in the outbox's file."""
    path = tmp_path / "mailing.db"
    service = Service()
    async with Client(KEY, transport=service) as client, Outbox.open(path) as outbox:
        with closing(sqlite3.connect(path)) as theirs:
            theirs.row_factory = sqlite3.Row
            theirs.execute("CREATE TABLE orders (id INTEGER)")
            for position, end in enumerate((theirs.rollback, theirs.commit)):
                if begins:
                    theirs.execute("INSERT INTO orders VALUES (1)")
                row = ("Your order is on its way", NUMBERS[position])
                added = await outbox.add([row], source=SOURCE, connection=theirs)
                assert added.accepted == 1
                assert (await outbox.summary()).total == 0
                end()
            assert theirs.execute("SELECT count(*) FROM orders").fetchone()[0] == begins
        assert (await outbox.run(client)).sent == 1
        assert service.sent == [NUMBERS[1]]
