"""An outbox in PostgreSQL: the same promises, by several who share it, and clear words."""

import builtins
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psycopg
import pytest
from doubles import KEY, Turn
from outboxes import NUMBERS, SOURCE, Service, lost, rows, states

from voxsms import Client, InvalidRequest, Outbox, OutboxUnavailable
from voxsms.outbox import State, run_chunk
from voxsms.outbox._postgres import Postgres
from voxsms.outbox._store import Database


@asynccontextmanager
async def opened_with(place: str, *turns: Turn) -> AsyncIterator[tuple[Outbox, Client]]:
    """Open an outbox beside a client whose service is a script."""
    async with Client(KEY, transport=Service(*turns)) as client, Outbox.open(place) as outbox:
        yield outbox, client


@pytest.mark.unmeasured
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


async def test_an_answer_that_comes_while_it_is_put_back_counts(place: str) -> None:
    """Nobody gets a second message because a person and a late answer met."""
    async with opened_with(place, lost()) as (outbox, client):
        await outbox.add(rows(2), source=SOURCE)
        assert (await outbox.run(client)).unknown == 2
        with psycopg.connect(place) as late, psycopg.connect(place, autocommit=True) as looking:
            late.execute("UPDATE voxsms_intents SET state = 'sent' WHERE position = 0")
            async with anyio.create_task_group() as group:
                group.start_soon(outbox.resend, [State.UNKNOWN])
                waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                while looking.execute(waits).fetchone() == (0,):  # noqa: ASYNC110 - a server's
                    await anyio.sleep(0.01)
                late.commit()
        assert await states(outbox) == ["sent", "pending"]


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


@pytest.mark.parametrize("commits", [True, False])
async def test_a_list_whose_commit_is_not_answered_is_added_once(
    place: str, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    """Without keys, too: whether the server had committed it is found out."""
    execute, left = Postgres.execute, [1]

    def cut(self: Postgres, statement: str, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a cursor
        if statement != "COMMIT" or not left:
            return execute(self, statement, values)
        left.pop()
        if commits:
            execute(self, statement, values)
        self.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    people = [("See you", each) for each in NUMBERS[:3]]
    async with Outbox.open(place) as outbox:
        monkeypatch.setattr(Postgres, "execute", cut)
        assert (await outbox.add([*people, ("See you", "4477")], source=SOURCE)).accepted == 3
        assert not left
        assert await states(outbox) == ["pending"] * 3 + ["refused"]


async def test_a_long_list_that_is_added_again_is_the_same_list(place: str) -> None:
    """Also one that is longer now, and has a row that was refused; the positions are the rows'."""
    people = [("See you", f"4477{n:08d}") for n in range(12_000)]
    async with Outbox.open(place) as outbox:
        bad = [*people[:9_000]]
        bad[7] = ("See you", "4477")
        assert (await outbox.add(bad, source=SOURCE, key="list")).accepted == 8_999
        assert (await outbox.intents("refused").__anext__()).position == 7
        added = await outbox.add(people, source=SOURCE, key="list")
        assert (added.accepted, added.repeated, added.refused) == (3_001, 8_999, ())
        assert (await outbox.summary()).pending == 12_000
        positions = [intent.position async for intent in outbox.intents()]
        assert positions[:9_000] == [*range(9_000)]


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
