"""An outbox in PostgreSQL: the same promises, by several who share it, and clear words."""

import builtins
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import psycopg
import pytest
from doubles import KEY
from outboxes import NUMBERS, SOURCE, Service, lost, rows, states
from postgres import server

from voxsms import Client, InvalidRequest, Outbox, OutboxUnavailable
from voxsms.outbox import run_chunk
from voxsms.outbox._store import Database


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the URL of a server's database."""
    with server() as found:
        yield found


@pytest.fixture
def place(url: str) -> str:
    """Give the URL of an empty database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url


async def test_two_who_share_an_outbox_send_each_message_once(place: str) -> None:
    """Chunks are handed out, the rate is shared, and what is in doubt stays in doubt."""
    service = Service(lost())
    async with (
        Client(KEY, transport=service) as client,
        Outbox.open(place) as one,
        Outbox.open(place) as two,
    ):
        added = await one.add(rows(60), source=SOURCE, chunk_size=3)
        assert (added.accepted, (await two.add(rows(60), source=SOURCE)).repeated) == (60, 60)

        async def run(outbox: Outbox) -> None:
            await outbox.run(client, concurrency=4, rate=300)

        async with anyio.create_task_group() as group:
            group.start_soon(run, one)
            group.start_soon(run, two)
        summary = await two.summary()
        assert (summary.sent, summary.unknown) == (57, 3)
        assert sorted(service.sent) == sorted({*service.sent})
        assert [intent.position async for intent in one.intents("unknown")]
        assert (await run_chunk(one, client, 1)).counts == {}
        assert await one.resend(["unknown"]) == 3
        assert (await one.run(client)).sent == 60


async def test_a_claim_of_a_dead_process_becomes_unknown(place: str) -> None:
    """By the server's clock, whoever looks."""
    async with Client(KEY, transport=Service()) as client, Outbox.open(place) as outbox:
        await outbox.add(rows(2), source=SOURCE)
        await outbox.store.write(
            lambda database: database.change(
                "UPDATE voxsms_chunks SET state = 'sending', claims = 1, claimed_at = NOW - 9,"
                " expires_at = NOW - 1"
            )
        )
        assert (await outbox.run(client)).unknown == 2


async def test_a_connection_that_is_lost_is_made_again(place: str) -> None:
    """And two transactions in each other's way are tried again."""

    def cut(database: Database, times: list[int]) -> None:
        ((found,),) = database.all("SELECT pg_backend_pid()")
        with psycopg.connect(place, autocommit=True) as other:
            if times:
                other.execute("SELECT pg_terminate_backend(%s)", [found])
                times.pop()
        database.all("SELECT 1")

    async with Outbox.open(place) as outbox:
        cuts = [1]
        await outbox.store.write(cut, cuts)
        assert (await outbox.add(rows(2), source=SOURCE)).accepted == 2
        await outbox.store.read(cut, [1])
        with pytest.raises(OutboxUnavailable, match="terminating connection"):
            await outbox.store.write(cut, [1] * 9)
        assert await states(outbox) == ["pending", "pending"]
        added = await outbox.add([("\0", NUMBERS[5])], source=SOURCE)
        assert "NUL" in added.refused[0][1].problem


async def test_a_newer_outbox_is_refused(place: str) -> None:
    """It says to upgrade."""
    async with Outbox.open(place):
        pass
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("UPDATE voxsms_outbox SET version = 99")
    with pytest.raises(OutboxUnavailable, match="newer voxsms"):
        async with Outbox.open(place):
            raise AssertionError


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    """Host, port and database, and why."""
    outbox = Outbox.open("postgresql://me:s3cret@127.0.0.1:1/mailing")
    assert repr(outbox) == "<Outbox postgresql://127.0.0.1:1/mailing>"
    with pytest.raises(OutboxUnavailable, match=r"127\.0\.0\.1:1/mailing") as found:
        async with outbox:
            raise AssertionError
    assert "s3cret" not in f"{found.value!r}{found.value.__cause__!r}"
    with pytest.raises(OutboxUnavailable):
        async with Outbox.open("postgres://127.0.0.1:1/mailing"):
            raise AssertionError
    with pytest.raises(InvalidRequest, match="cannot be read") as unreadable:
        Outbox.open("postgresql://me:s3cret@host:nonsense/%zz")
    assert "s3cret" not in repr(unreadable.value)


def test_without_psycopg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the extra."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as it is
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(name, name="psycopg")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "voxsms.outbox._postgres", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"voxsms\[postgres\]"):
        Outbox.open("postgresql://host/db")
