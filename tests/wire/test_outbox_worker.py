"""Workers that share an outbox in PostgreSQL: procrastinate hands out the chunks, one job each."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from doubles import KEY, NOW, answer, refusal
from outboxes import NUMBERS, SOURCE, Service, lost, no_connection, rows, states
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.periodic import PeriodicDeferrer
from procrastinate.schema import SchemaManager
from psycopg.rows import dict_row

from voxsms import Budget, Client, InvalidRequest, Outbox, OutboxUnavailable
from voxsms.outbox import Guards, _postgres, run_worker, tasks
from voxsms.outbox import _worker as worker
from voxsms.sandbox import Sandbox

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_minute_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no task come round while a test runs: when it runs is chance."""

    async def wait(_: PeriodicDeferrer) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(PeriodicDeferrer, "worker", wait)


def ask(place: str, statement: str) -> list[dict[str, Any]]:
    """Run a statement on the database."""
    with psycopg.connect(place, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def jobs(place: str) -> list[dict[str, Any]]:
    """Read the jobs that send."""
    return ask(
        place,
        "SELECT args, status, priority, scheduled_at > now() AS is_later FROM procrastinate_jobs"
        " WHERE task_name = 'voxsms:run_chunk' ORDER BY id",
    )


def make_engine(place: str) -> None:
    """Make procrastinate's tables, as a user does who has an app already."""
    with psycopg.connect(place) as connection:
        connection.execute(SchemaManager.get_schema())


@asynccontextmanager
async def opened(place: str, *turns: Any) -> AsyncIterator[tuple[Outbox, Client, Service]]:  # noqa: ANN401 - a script
    """Open an outbox beside a client whose service is a script."""
    service = Service(*turns)
    async with Client(KEY, transport=service) as client, Outbox.open(place) as outbox:
        yield outbox, client, service


async def test_two_workers_send_each_message_once(place: str) -> None:
    """What was added before the first of them ran, and later; what is lost is in doubt."""
    async with opened(place, lost()) as (one, client, service), Outbox.open(place) as two:
        await one.add(rows(30), source=SOURCE, chunk_size=3)
        async with anyio.create_task_group() as group:
            for outbox in (one, two):
                group.start_soon(partial(run_worker, outbox, client, wait=False))
        await two.add(rows(60), source=SOURCE, chunk_size=3)
        assert len(jobs(place)) == 10
        async with anyio.create_task_group() as group:
            for outbox in (one, two):
                group.start_soon(partial(run_worker, outbox, client, wait=False))
        summary = await one.summary()
        assert (summary.sent, summary.unknown) == (57, 3)
        assert sorted(service.sent) == sorted({*service.sent})
        assert jobs(place) == []


async def test_a_job_is_deferred_with_the_chunk_or_not_at_all(place: str) -> None:
    """In its transaction, with its priority and its time; `resend` and the guards do so, too."""
    make_engine(place)
    async with opened(place, lost()) as (outbox, client, _):
        with psycopg.connect(place) as theirs:
            await outbox.add(rows(2), source=SOURCE, connection=theirs)
            theirs.rollback()
        assert jobs(place) == []
        await outbox.add(rows(4), source=SOURCE, chunk_size=2, priority=7)
        await outbox.add(
            rows(5)[4:], source=SOURCE, send_at=NOW + timedelta(days=9999), priority=-1
        )
        assert [job["args"]["chunk_id"] for job in jobs(place)] == [
            chunk async for chunk in outbox.chunks()
        ]
        found = [(job["status"], job["priority"], job["is_later"]) for job in jobs(place)]
        assert found == [("todo", 7, None), ("todo", 7, None), ("todo", -1, True)]
        await run_worker(
            outbox, client, wait=False, guards=Guards(forbidden_prefixes=(NUMBERS[3],))
        )
        assert await states(outbox) == ["unknown", "unknown", "sent", "refused", "pending"]
        assert len(jobs(place)) == 1
        assert await outbox.resend(["unknown"]) == 2
        assert len(jobs(place)) == 2
        await run_worker(outbox, client, wait=False, budget=Budget(max_fragments=99))
        assert await states(outbox) == ["sent", "sent", "sent", "refused", "pending"]


async def test_what_was_not_sent_gets_a_job_for_later(place: str) -> None:
    """No byte left, or there is no slot of the rate; nobody retries what was in flight."""
    async with opened(place, no_connection) as (outbox, client, service):
        await outbox.add(rows(1), source=SOURCE)
        await run_worker(outbox, client, wait=False)
        assert await states(outbox) == ["pending"]
        assert {job["status"] for job in jobs(place)} == {"todo"}
        ask(place, "UPDATE voxsms_chunks SET due = 0")
        ask(place, "UPDATE procrastinate_jobs SET scheduled_at = NULL")
        await run_worker(outbox, client, wait=False)
        # Ten messages take ten seconds at this rate: the second ten are too early.
        await outbox.add(rows(31)[1:], source=SOURCE, chunk_size=10)
        await run_worker(outbox, client, wait=False, rate=1, concurrency=2)
        assert (len(service.sent), (await outbox.summary()).pending) == (11, 20)
        assert {job["status"] for job in jobs(place)} == {"todo"}


async def test_as_many_jobs_as_chunks(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, they are deferred by portions; none has two."""
    make_engine(place)
    monkeypatch.setattr(_postgres, "_DEFER_AT_ONCE", 2)
    async with opened(place) as (outbox, *_):
        await outbox.add(rows(5), source=SOURCE, chunk_size=1)
        await outbox.store.write(worker.hand_out)
        assert [job["args"]["chunk_id"] for job in jobs(place)] == [
            chunk async for chunk in outbox.chunks()
        ]
        assert len(jobs(place)) == 5


async def test_a_slot_that_comes_soon_is_waited_for(place: str) -> None:
    """The job keeps its place."""
    async with opened(place) as (outbox, client, service):
        await outbox.add(rows(90), source=SOURCE, chunk_size=30)
        await run_worker(outbox, client, wait=False, rate=100, concurrency=1)
        assert len(service.sent) == 90


@pytest.mark.parametrize("how", ["signal", "cancelled"])
async def test_without_money_a_worker_waits_and_says_why(
    place: str, how: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, not one for each chunk; it ends at once when it is asked to, and loses nothing."""
    paused = anyio.Event()
    sleep = worker.Jobs.sleep

    async def note(self: worker.Jobs, seconds: float) -> None:
        paused.set()
        await sleep(self, seconds)

    monkeypatch.setattr(worker.Jobs, "sleep", note)
    async with opened(place, refusal(127), refusal(127)) as (outbox, client, service):
        await outbox.add(rows(5), source=SOURCE, chunk_size=1)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: run_worker(outbox, client, concurrency=1))
                await paused.wait()
                if how == "signal":
                    os.kill(os.getpid(), signal.SIGTERM)
                else:
                    group.cancel_scope.cancel()
        assert len(service.calls) == 1
        assert "nothing is sent for the next 60 s: A2PSendSms: 127" in caplog.text
        assert await states(outbox) == ["pending"] * 5
        service.turns = []
        await run_worker(outbox, client, wait=False)
        assert await states(outbox) == ["sent"] * 5


async def test_in_an_app_of_the_users_own(place: str) -> None:
    """What a dead worker had begun becomes unknown; what it had not is handed out again, once."""
    make_engine(place)
    async with opened(place) as (outbox, client, service):
        app = App(connector=PsycopgConnector(conninfo=place))
        app.add_tasks_from(tasks(outbox, client), namespace="voxsms")
        await outbox.add(rows(4), source=SOURCE, chunk_size=2)
        # Both jobs were taken by a worker that was killed, the first chunk in the midst of sending.
        ask(place, "UPDATE procrastinate_jobs SET status = 'doing'")
        ask(
            place,
            "UPDATE voxsms_chunks SET state = 'sending', claims = 1, claimed_at = 1, expires_at = 2"
            " WHERE id = (SELECT min(id) FROM voxsms_chunks)",
        )
        service.history = _NoHistory()
        async with app.open_async():
            for _ in range(2):
                await app.configure_task("voxsms:reconcile", queue="voxsms").defer_async(
                    timestamp=0
                )
                await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)
            await app.configure_task("voxsms:track", queue="voxsms").defer_async(timestamp=0)
            await app.run_worker_async(wait=False, install_signal_handlers=False)
        assert await states(outbox) == ["presumed_not_sent"] * 2 + ["sent"] * 2
        assert [job["status"] for job in jobs(place)] == ["failed", "failed", "succeeded"]
        assert len(service.sent) == 2


class _NoHistory:
    """A history without rows."""

    def page(self, _: object) -> object:
        """Give an empty page."""
        return answer({"result": [], "total_count": 0})


async def test_what_is_not_open_is_opened_with_the_first_job(
    place: str, voxsms_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials come from the environment; where there are none it says so, and waits."""
    make_engine(place)
    monkeypatch.delenv("VOXIMPLANT_CREDENTIALS", raising=False)
    monkeypatch.delenv("VOXIMPLANT_ACCOUNT_ID", raising=False)
    async with Outbox.open(place) as adding:
        await adding.add(rows(2), source="VOXSMS")
    outbox = Outbox.open(place)
    shared = worker.Jobs(outbox, None, None)
    app = App(connector=PsycopgConnector(conninfo=place))
    app.add_tasks_from(shared.blueprint(), namespace="voxsms")
    async with app.open_async(), shared.opened:
        await app.run_worker_async(wait=False, install_signal_handlers=False)
        assert "failed" in [job["status"] for job in jobs(place)]
        assert len(voxsms_sandbox.ledger.deliveries) == 0
        key = voxsms_sandbox.api_key
        monkeypatch.setenv("VOXIMPLANT_ACCOUNT_ID", str(key.account_id))
        monkeypatch.setenv("VOXIMPLANT_API_KEY", key.api_key)
        monkeypatch.setenv("VOXSMS_BASE_URL", voxsms_sandbox.url)
        await app.configure_task("voxsms:reconcile", queue="voxsms").defer_async(timestamp=0)
        for _ in range(2):
            await app.run_worker_async(wait=False, install_signal_handlers=False)
        assert len(voxsms_sandbox.ledger.deliveries) == 2
        assert (await outbox.summary()).sent == 2


async def test_what_makes_no_sense_is_refused(place: str, tmp_path: Path) -> None:
    """By its name, before anything is sent."""
    async with opened(place) as (outbox, client, _), Outbox.open(tmp_path / "mailing.db") as file:
        with pytest.raises(InvalidRequest, match="is a SQLite file"):
            tasks(file, client)
        with pytest.raises(InvalidRequest, match="is a SQLite file"):
            await run_worker(file, client)
        with pytest.raises(InvalidRequest, match=r"concurrency[^;]*; rate"):
            await run_worker(outbox, client, concurrency=0, rate=0)


async def test_a_worker_that_lost_its_database_ends_with_an_error(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What restarts it sees that it did not come to an end; what was added is sent then."""

    async def lose(_: object) -> None:
        raise ConnectorException("gone")

    async with opened(place) as (outbox, client, _):
        await outbox.add(rows(1), source=SOURCE)
        with monkeypatch.context() as patch:
            patch.setattr(PeriodicDeferrer, "worker", lose)
            with anyio.fail_after(20), pytest.raises(OutboxUnavailable, match="was lost"):
                await run_worker(outbox, client)
        await run_worker(outbox, client, wait=False)
        assert await states(outbox) == ["sent"]


async def test_a_database_that_fails_is_named_without_its_password(place: str) -> None:
    """The worker ends with an error; what is in the outbox stays there."""
    secret = place.replace("voxsms@", "voxsms:s3cret@")
    async with opened(secret) as (outbox, client, _):
        await outbox.add(rows(1), source=SOURCE)
        make_engine(place)
        ask(place, "DROP TABLE procrastinate_workers CASCADE")
        with pytest.raises(OutboxUnavailable, match="procrastinate_workers") as found:
            await run_worker(outbox, client)
        assert "s3cret" not in f"{found.value!r} {found.value.__cause__!r}"
        assert await states(outbox) == ["pending"]
