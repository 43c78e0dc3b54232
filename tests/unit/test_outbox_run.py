"""Running an outbox: how it ends, why it stops, how fast it goes, and what it says meanwhile."""

import signal
from pathlib import Path
from typing import Any

import anyio
import pytest
from doubles import FakeClock, Turn, answer, refusal
from outboxes import NUMBERS, SOURCE, Asked, accepted, lost, no_connection, rows, scripted, states

from voxsms import Budget, InvalidRequest, Outbox
from voxsms.api.codec import Answer
from voxsms.outbox import Guards, OutboxProgress, run_chunk
from voxsms.transport import Evidence, Request

ONE_EACH: dict[str, Any] = {"source": SOURCE, "chunk_size": 1}


async def test_awaited_it_comes_to_the_end(tmp_path: Path) -> None:
    """Through trouble, too: what was not sent is sent later, what is in doubt never."""
    turns: list[Turn] = [no_connection, lost(), refusal(340), no_connection]
    async with scripted(tmp_path, *turns) as (outbox, client, service, _):
        await outbox.add(rows(40), source=SOURCE, chunk_size=4)
        summary = await outbox.run(client, concurrency=3)
        assert (summary.sent, summary.unknown, summary.total) == (36, 4, 40)
        assert summary.stopped is None
        assert len(service.sent) == len({*service.sent}) == 36
        assert (summary.fragments, str(summary.cost)) == (36, "1.80")
        assert await outbox.run(client) == summary


async def test_iterated_it_tells_how_it_goes(tmp_path: Path) -> None:
    """Between two steps nothing is in flight; a loop that is left goes on when it is run again."""

    async def slowly(_: Request, __: Evidence) -> Answer:
        await clock.sleep(0.4)
        return accepted(service.forms[-1])

    clock = FakeClock()
    async with scripted(tmp_path, *[slowly] * 20, clock=clock) as (outbox, client, service, _):
        await outbox.add(rows(10), **ONE_EACH)
        seen: list[OutboxProgress] = []
        async for progress in outbox.run(client, concurrency=1, every=1):
            assert progress.sending == 0
            seen.append(progress)
            if progress.sent > 4:
                break
        assert seen[0].per_second == pytest.approx(2.5)
        assert seen[0].seconds_left == pytest.approx((10 - seen[0].sent) / 2.5)
        seen += [progress async for progress in outbox.run(client, concurrency=1, every=1)]
        assert seen[-1].sent == 10
        assert (seen[-1].pending, seen[-1].seconds_left) in [(0, 0.0), (0, None)]
        assert len(service.sent) == 10


async def test_a_function_is_told_how_it_goes(tmp_path: Path) -> None:
    """For a bar: now and then, and at the end."""
    told: list[OutboxProgress] = []

    async def slowly(_: Request, __: Evidence) -> Answer:
        await anyio.sleep(0.02)
        return accepted(service.forms[-1])

    async with scripted(tmp_path, slowly, slowly) as (outbox, client, service, _):
        await outbox.add(rows(2), **ONE_EACH)
        await outbox.run(client, concurrency=1, every=0.01, on_progress=told.append)
    assert len(told) > 2
    assert told[-1].sent == 2


@pytest.mark.parametrize("code", [127, 100, 104, 509, 507])
async def test_it_stops_where_the_next_would_meet_the_same(tmp_path: Path, code: int) -> None:
    """It says why, and the rest stays pending."""
    async with scripted(tmp_path, refusal(code), refusal(code)) as (outbox, client, service, _):
        await outbox.add(rows(5), **ONE_EACH)
        summary = await outbox.run(client, concurrency=1)
        assert summary.stopped is not None
        assert str(code) in summary.stopped
        assert (summary.pending, len(service.calls)) == (5, 1)
        async for progress in outbox.run(client, concurrency=1):
            assert progress.stopped is not None
        service.turns = []
        assert (await outbox.run(client)).sent == 5


async def test_it_stops_after_too_many_failures_in_a_row(tmp_path: Path) -> None:
    """Each may have been a message in doubt."""
    turns: list[Turn] = [lost(), answer(), lost(), lost(), lost()]
    turns[1] = answer(
        {"result": [{"message_id": 1, "destination_number": NUMBERS[1]}]}
        | {"failed": [], "fragments_count": 1}
    )
    async with scripted(tmp_path, *turns) as (outbox, client, *_):
        await outbox.add(rows(9), **ONE_EACH)
        summary = await outbox.run(client, concurrency=1, max_failures=3)
        assert summary.stopped is not None
        assert summary.stopped.startswith("3 failures in a row; the last one: A2PSendSms: ")
        assert (summary.sent, summary.unknown, summary.pending) == (1, 4, 4)


async def test_a_budget_of_the_run_stops_it(tmp_path: Path) -> None:
    """Nothing is spent beyond it."""
    async with scripted(tmp_path) as (outbox, client, *_):
        budget = Budget(max_cost="0.12", rates=await client.rates())
        await outbox.add(rows(5), **ONE_EACH)
        summary = await outbox.run(client, budget=budget)
        assert (summary.sent, summary.pending, str(summary.cost)) == (2, 3, "0.10")
        assert summary.stopped is not None
        assert "budget" in summary.stopped


class Standing(FakeClock):
    """Time that never passes: who sleeps is not woken by it."""

    def __init__(self) -> None:
        super().__init__()
        self.someone_sleeps = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep until it is cancelled."""
        self.slept.append(seconds)
        self.someone_sleeps.set()
        await anyio.sleep_forever()


async def test_a_run_ends_with_its_last_chunk(tmp_path: Path) -> None:
    """Tasks that found nothing to do meanwhile hold it up no longer."""
    clock = Standing()
    async with scripted(tmp_path, clock=clock) as (outbox, client, service, _):

        async def answer_late(_: Request, __: Evidence) -> Answer:
            await clock.someone_sleeps.wait()
            return accepted(service.forms[-1])

        service.turns = [answer_late]
        await outbox.add(rows(2), source=SOURCE)
        with anyio.fail_after(20):
            summary = await outbox.run(client, concurrency=3)
        assert (summary.sent, summary.stopped) == (2, None)


async def test_a_rate_is_kept_by_all_who_share_it(tmp_path: Path) -> None:
    """Ten messages a second, by two outboxes on one file: no more, and not much less."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        times: list[float] = []

        async def note(_: Request, __: Evidence) -> Answer:
            times.append(clock.passed)
            return accepted(service.forms[-1])

        service.turns = [note] * 100
        await outbox.run(client, rate=10)  # there is nothing yet; who comes later has the same rate
        await outbox.add(rows(60), source=SOURCE, chunk_size=2)
        async with Outbox.open(tmp_path / "outbox.db", clock=clock) as other:
            began = clock.passed
            async with anyio.create_task_group() as group:
                group.start_soon(other.run(client, concurrency=2)._run_to_end)
                await outbox.run(client, concurrency=2)
        assert len(times) == 30
        # A send may be later than its slot, and never earlier.
        assert times[-1] - began + 0.001 >= (2 * 30 - 2) / 10
        assert times[-1] - times[0] <= 1.05 * 6
        # It was kept in the outbox, and can be taken off.
        await outbox.add([("more", number) for number in NUMBERS[:100]], source=SOURCE)
        before = clock.passed
        await outbox.run(client, concurrency=1, rate=float("inf"))
        assert clock.passed - before < 1


async def test_a_chunk_that_would_wait_long_is_not_claimed(tmp_path: Path) -> None:
    """A process that dies while it waits leaves nobody in doubt."""
    async with scripted(tmp_path) as (outbox, client, *_):
        await outbox.add(rows(2), **ONE_EACH)
        await outbox.run(client, rate=0.1, concurrency=1, every=1).__anext__()
        outcome = await run_chunk(outbox, client, 2)
        assert outcome.counts == {}
        assert outcome.wait == pytest.approx(9.75, abs=1.1)
        assert await states(outbox) == ["sent", "pending"]


async def test_the_rate_halves_at_code_340_and_comes_back(tmp_path: Path) -> None:
    """For everybody, at most once a second, without a rate that was set, too."""
    async with scripted(tmp_path, refusal(340), refusal(340)) as (outbox, client, _service, clock):
        await outbox.add(rows(2), **ONE_EACH)
        await outbox.run(client, rate=8, concurrency=2, every=0.1).__anext__()

        async def rate() -> float:
            read = await outbox.store.read(
                lambda database: database.all("SELECT rate, slowed, slowed_at FROM voxsms_outbox")
            )
            return float(read[0][1])

        assert await rate() == pytest.approx(4, rel=0.1)
        summary = await outbox.run(client)
        assert summary.sent == 2
        clock.passed += 100
        before = clock.passed
        await outbox.add([("more", number) for number in NUMBERS[:8]], **ONE_EACH)
        await outbox.run(client, concurrency=1)
        assert clock.passed - before == pytest.approx(7 / 8, abs=0.3)


async def test_too_much_without_a_rate_halves_what_was_going_out(tmp_path: Path) -> None:
    """What went out in the last seconds, and not one chunk a second."""

    async def quick(_: Request, __: Evidence) -> Answer:
        await clock.sleep(0.5)
        return accepted(service.forms[-1])

    turns: list[Turn] = [*[quick] * 20, refusal(340)]
    clock = FakeClock()
    async with scripted(tmp_path, *turns, clock=clock) as (outbox, client, service, _):
        await outbox.add(rows(220), source=SOURCE, chunk_size=10)
        run = outbox.run(client, concurrency=1, every=10.2)
        await run.__anext__()
        read = await outbox.store.read(
            lambda database: database.all("SELECT slowed FROM voxsms_outbox")
        )
        assert read[0][0] == pytest.approx(10, rel=0.3)
        assert (await outbox.run(client)).sent == 220


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_finishes_what_is_in_flight(tmp_path: Path, number: signal.Signals) -> None:
    """The rest stays pending, and the handlers are afterwards what they were."""

    async def press(_: Request, __: Evidence) -> Answer:
        signal.raise_signal(number)
        await anyio.sleep(0.05)
        return accepted(service.forms[-1])

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    async with scripted(tmp_path, press) as (outbox, client, service, _):
        await outbox.add(rows(5), **ONE_EACH)
        summary = await outbox.run(client, concurrency=1)
        assert (summary.stopped, summary.sent, summary.pending) == (number.name, 1, 4)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_program_with_handlers_of_its_own_keeps_them(tmp_path: Path) -> None:
    """A web server's, say; and so does one that is run in another thread."""
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:

        async def press(_: Request, __: Evidence) -> Answer:
            signal.raise_signal(signal.SIGTERM)
            return accepted(service.forms[-1])

        async with scripted(tmp_path, press) as (outbox, client, service, _):
            await outbox.add(rows(2), **ONE_EACH)
            assert (await outbox.run(client)).sent == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [signal.SIGTERM]

    async def elsewhere() -> None:
        (tmp_path / "2").mkdir()
        async with scripted(tmp_path / "2") as (outbox, client, *_):
            await outbox.add(rows(1), source=SOURCE)
            assert (await outbox.run(client)).sent == 1

    await anyio.to_thread.run_sync(anyio.run, elsewhere)


async def test_it_can_go_on_for_ever(tmp_path: Path) -> None:
    """As a service does; it is cancelled, and what is in flight is written down."""
    async with scripted(tmp_path) as (outbox, client, _service, _):
        with anyio.CancelScope() as scope:
            steps = 0
            async for progress in outbox.run(client, forever=True):
                steps += 1
                if steps == 3:
                    await outbox.add(rows(2), source=SOURCE)
                if progress.sent:
                    scope.cancel()
        assert await states(outbox) == ["sent", "sent"]


async def test_a_defect_ends_the_run(tmp_path: Path) -> None:
    """As itself, and no group of errors; nothing stays claimed."""

    async def fail() -> None:
        raise LookupError

    async with scripted(tmp_path) as (outbox, client, *_):
        await outbox.add(rows(5), **ONE_EACH)
        with pytest.raises(LookupError):
            await outbox.run(client, guards=Guards(opt_outs=Asked(fail)))
        assert await states(outbox) == ["pending"] * 5


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 101}, "concurrency"),
        ({"rate": 0}, "rate"),
        ({"rate": "10"}, "rate"),
        ({"rate": 1e-320}, "rate"),
        ({"every": -1}, "every"),
        ({"max_failures": 0}, "max_failures"),
    ],
)
async def test_a_run_that_makes_no_sense_is_refused(
    tmp_path: Path, options: dict[str, Any], field: str
) -> None:
    """On the spot."""
    async with scripted(tmp_path) as (outbox, client, *_):
        with pytest.raises(InvalidRequest) as found:
            outbox.run(client, **options)
        assert found.value.faults[0].field == field


async def test_what_is_sent_again_takes_its_name(tmp_path: Path) -> None:
    """Never what was sent; what is in doubt only if it is asked for."""
    turns: list[Turn] = [lost(), refusal(508)]
    async with scripted(tmp_path, *turns) as (outbox, client, _service, _):
        people = [("A", NUMBERS[0]), ("A", NUMBERS[1]), ("B", NUMBERS[0]), ("C", NUMBERS[0])]
        await outbox.add(people, source=SOURCE)
        await outbox.run(client, concurrency=1)
        assert await states(outbox) == ["unknown", "unknown", "refused", "sent"]
        assert await outbox.resend() == 0
        for bad in (["sent"], ["pending"], ["nonsense"]):
            with pytest.raises(InvalidRequest, match="is not one of"):
                await outbox.resend(bad)  # type: ignore[arg-type]
        assert await outbox.resend(["unknown", "refused"]) == 3
        assert await states(outbox) == ["pending"] * 3 + ["sent"]
        assert (await outbox.run(client)).sent == 4
        assert await outbox.resend(["unknown", "refused"]) == 0
        with pytest.raises(InvalidRequest, match="is not one of"):
            outbox.intents("nonsense")  # type: ignore[arg-type]
