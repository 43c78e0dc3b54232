"""One chunk: what each answer, fault and death leads to. No message twice, nobody lost."""

import json
import sqlite3
from contextlib import closing
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from doubles import FakeClock, Turn, answer, refusal
from outboxes import (
    NUMBERS,
    SOURCE,
    Asked,
    break_writing,
    lost,
    no_connection,
    rows,
    scripted,
    states,
)

from voxsms import Budget, CallEvent, Outbox, OutboxUnavailable, RateTable, VoxSmsError
from voxsms.api.codec import Answer
from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import ApiError, NotSent, OutcomeUnknown
from voxsms.outbox import ChunkOutcome, Guards, QuietHours, State, run_chunk
from voxsms.transport import Evidence, Request
from voxsms.webhooks import MemoryOptOuts

ONE = 1
"""The id of the first chunk."""


async def test_a_chunk_is_sent_once_however_often_it_is_run(tmp_path: Path) -> None:
    """An engine that calls again, at the same time or later, sends nothing."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        await outbox.add(rows(3), source=SOURCE)
        outcomes: list[ChunkOutcome] = []

        async def run() -> None:
            outcomes.append(await run_chunk(outbox, client, ONE))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(run)
        outcomes.append(await run_chunk(outbox, client, ONE))
        assert len(service.calls) == 1
        assert sorted(len(outcome.counts) for outcome in outcomes) == [0, 0, 0, 0, 0, 1]
        assert all(outcome.wait is None for outcome in outcomes if not outcome.counts)
        assert await run_chunk(outbox, client, 999) == ChunkOutcome(None)
        intents = [intent async for intent in outbox.intents("sent")]
        assert [intent.message_id for intent in intents] == [0, 1, 2]
        assert {(str(i.cost), i.fragments_count) for i in intents} == {("0.05", 1)}
        assert str((await outbox.summary()).cost) == "0.15"


PARTLY = answer(
    {
        "result": [{"message_id": 7, "destination_number": f"+{NUMBERS[0]}"}],
        "failed": [
            {
                "destination_number": NUMBERS[1],
                "error_description": f"no route to {NUMBERS[1]}",
                "error_code": 506,
            }
        ],
        "fragments_count": 1,
    }
)


@pytest.mark.parametrize(
    ("turn", "expected", "error"),
    [
        pytest.param(PARTLY, ["sent", "refused", "unknown"], None, id="a part"),
        pytest.param(
            answer(json.loads(PARTLY.body.replace(b"506", b"14"))),
            ["sent", "unknown", "unknown"],
            None,
            id="a part, and a number that the gateway may have sent to",
        ),
        pytest.param(lost(), ["unknown"] * 3, OutcomeUnknown, id="answer lost"),
        pytest.param(refusal(2), ["unknown"] * 3, OutcomeUnknown, id="server fault"),
        pytest.param(answer(b"<html>", 502), ["unknown"] * 3, OutcomeUnknown, id="gateway"),
        pytest.param(no_connection, ["pending"] * 3, NotSent, id="no connection"),
        pytest.param(refusal(340), ["pending"] * 3, ApiError, id="too much"),
        pytest.param(refusal(127), ["pending"] * 3, ApiError, id="no money"),
        pytest.param(refusal(100), ["pending"] * 3, ApiError, id="no permission"),
        pytest.param(refusal(507), ["pending"] * 3, ApiError, id="no such sender"),
        pytest.param(refusal(508), ["refused"] * 3, ApiError, id="bad text"),
    ],
)
async def test_what_an_answer_leads_to(
    tmp_path: Path, turn: Turn, expected: list[str], error: type[VoxSmsError] | None
) -> None:
    """A partial refusal is each recipient's own; what is in doubt is never put back."""
    async with scripted(tmp_path, turn) as (outbox, client, service, _):
        await outbox.add(rows(3), source=SOURCE)
        outcome = await run_chunk(outbox, client, ONE)
        assert await states(outbox) == expected
        assert sum(outcome.counts.values()) == 3
        assert isinstance(outcome.error, error) if error else outcome.error is None
        assert len(service.calls) == 1
        for intent in [intent async for intent in outbox.intents()]:
            assert NUMBERS[1] not in (intent.error or "")
            assert (intent.error_code == 506) is (intent.error or "").startswith("no route")


async def test_what_was_not_sent_is_due_again_after_a_while(tmp_path: Path) -> None:
    """Not at once, and later the more often it failed."""
    turns: list[Turn] = [no_connection, no_connection, refusal(416, "retry in 30 seconds")]
    async with scripted(tmp_path, *turns) as (outbox, client, service, clock):
        await outbox.add(rows(1), source=SOURCE)
        waits: list[float] = []
        for _ in range(3):
            outcome = await run_chunk(outbox, client, ONE)
            assert outcome.wait is not None
            waits.append(outcome.wait)
            early = await run_chunk(outbox, client, ONE)
            assert early.counts == {}
            assert early.wait == pytest.approx(outcome.wait)
            clock.passed += outcome.wait + 0.001
        assert waits[:2] == [0.5, 1.0]
        assert waits[2] >= 30
        assert (await run_chunk(outbox, client, ONE)).counts == {State.SENT: 1}
        assert len(service.calls) == 4


async def test_a_claim_of_a_dead_process_becomes_unknown_and_is_never_sent(tmp_path: Path) -> None:
    """Not before a send could have ended; and it never goes back to `pending`."""
    async with scripted(tmp_path, deadline=20.0) as (outbox, client, service, clock):
        await outbox.add(rows(2), source=SOURCE)
        # As `kill -9` would leave it: nothing is written any more.
        with closing(sqlite3.connect(tmp_path / "outbox.db")) as db, db:
            db.execute(
                "UPDATE voxsms_chunks SET state = 'sending', claims = 1, claimed_at = ?,"
                " expires_at = ?",
                (clock.time(), clock.time() + 25),
            )
        assert await states(outbox) == ["sending", "sending"]
        summary = await outbox.run(client)
        assert clock.passed >= 25
        assert (summary.unknown, summary.pending, summary.sending) == (2, 0, 0)
        assert service.calls == []


async def test_a_frozen_process_writes_no_first_byte(tmp_path: Path) -> None:
    """It was stopped between its claim and its send, for longer than a send can take."""
    clock = FakeClock()

    async def freeze() -> None:
        clock.passed += 61

    async with scripted(tmp_path, clock=clock) as (outbox, client, service, _):
        await outbox.add(rows(1), source=SOURCE)
        outcome = await run_chunk(outbox, client, ONE, guards=Guards(opt_outs=Asked(freeze)))
        assert service.calls == []
        assert isinstance(outcome.error, NotSent)
        assert await states(outbox) == ["pending"]


async def test_a_machine_that_slept_writes_no_first_byte(tmp_path: Path) -> None:
    """Its monotonic clock stood still meanwhile: the other one tells."""

    class Sleepy(FakeClock):
        slept_through = 0.0

        def time(self) -> float:
            return super().time() + self.slept_through

    clock = Sleepy()

    async def sleep() -> None:
        clock.slept_through += 3600

    async with scripted(tmp_path, clock=clock) as (outbox, client, service, _):
        await outbox.add(rows(1), source=SOURCE)
        await run_chunk(outbox, client, ONE, guards=Guards(opt_outs=Asked(sleep)))
        assert service.calls == []


async def test_an_answer_after_the_claim_expired_is_an_answer_all_the_same(tmp_path: Path) -> None:
    """Another process made it `unknown` meanwhile; what the service said is the truth."""
    async with scripted(tmp_path, max_attempts=1) as (outbox, client, service, clock):

        async def late(_: Request, __: Evidence) -> Answer:
            clock.passed += 66
            await other.run(client)
            assert await states(outbox) == ["unknown", "unknown", "unknown"]
            return PARTLY

        async with Outbox.open(tmp_path / "outbox.db", clock=clock) as other:
            service.turns = [late]
            await outbox.add(rows(3), source=SOURCE)
            await run_chunk(outbox, client, ONE)
            assert await states(outbox) == ["sent", "refused", "unknown"]


async def test_a_late_not_sent_leaves_it_unknown(tmp_path: Path) -> None:
    """Someone may have sent it again by then."""
    async with scripted(tmp_path) as (outbox, client, service, clock):

        async def late(_: Request, __: Evidence) -> Answer:
            clock.passed += 66
            await outbox.run(client)
            return refusal(340)

        service.turns = [late]
        await outbox.add(rows(1), source=SOURCE)
        await run_chunk(outbox, client, ONE)
        assert await states(outbox) == ["unknown"]


@pytest.mark.parametrize("left", [False, True])
async def test_a_cancelled_send_is_written_down(tmp_path: Path, left: bool) -> None:
    """In doubt if a byte may have left, pending if none did; the user's hook is told, too."""
    told: list[CallEvent] = []

    async def hang(_: Request, __: Evidence) -> Answer:
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async def ask() -> None:
        if not left:
            scope.cancel()
            await anyio.sleep_forever()

    async with scripted(tmp_path, hang, on_outcome=told.append) as (outbox, client, _, __):
        await outbox.add(rows(2), source=SOURCE)
        with anyio.CancelScope() as scope:
            await run_chunk(outbox, client, ONE, guards=Guards(opt_outs=Asked(ask)))
        assert scope.cancelled_caught
        assert await states(outbox) == ["unknown" if left else "pending"] * 2
        assert [event.doubt is not None for event in told if event.method == "A2PSendSms"] == (
            [True] if left else []
        )


async def test_a_two_way_message_from_an_older_server_has_no_id(tmp_path: Path) -> None:
    """It is sent all the same."""
    turn = answer({"result": 1, "fragments_count": 2})
    async with scripted(tmp_path, turn) as (outbox, client, *_):
        await outbox.add(rows(1), source="447443332211", method="send_sms_message")
        await run_chunk(outbox, client, ONE)
        (intent,) = [intent async for intent in outbox.intents()]
        assert (intent.state, intent.message_id, str(intent.cost)) == ("sent", None, "0.1")


async def test_without_prices_there_are_no_costs_yet(tmp_path: Path) -> None:
    """A key that may not read them can send all the same."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        service.turns = []
        await outbox.add(rows(1), source=SOURCE)

        service.tells_prices = False
        await run_chunk(outbox, client, ONE)
        summary = await outbox.summary()
        assert (summary.sent, summary.unpriced, str(summary.cost)) == (1, 1, "0")


RATES = RateTable.from_resource_prices(
    [
        ResourcePrice(
            "A2P_SMS_E212",
            (PriceGroup(1, "UK", Decimal(1), params=PriceGroupParams(allowed=("44770090000",))),),
        )
    ],
    currency="USD",
    method="a2p_send_sms",
)


async def test_a_budget_stops_it_before_any_byte(tmp_path: Path) -> None:
    """What it does not allow stays pending; a text that is too long is refused."""
    budget = Budget(max_cost=2, rates=RATES, max_fragments=1)
    async with scripted(tmp_path, budget=budget) as (outbox, client, service, _):
        await outbox.add([("Hi", number) for number in NUMBERS[:3]], source=SOURCE)
        outcome = await run_chunk(outbox, client, ONE)
        assert (outcome.stops, await states(outbox), service.calls) == (True, ["pending"] * 3, [])
        await outbox.add([("long " * 50, NUMBERS[4])], source=SOURCE)
        outcome = await run_chunk(outbox, client, ONE + 1)
        assert (outcome.stops, outcome.counts) == (False, {State.REFUSED: 1})


async def test_one_bad_number_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Where the client refuses a call for one of its numbers, each gets a call of its own."""
    budget = Budget(max_cost=50, rates=RATES)
    async with scripted(tmp_path, budget=budget) as (outbox, client, service, _):
        await outbox.add([("Hi", number) for number in [*NUMBERS[:2], NUMBERS[100]]], source=SOURCE)
        summary = await outbox.run(client)
        assert (summary.sent, summary.refused) == (2, 1)
        assert sorted(service.calls) == [[NUMBERS[0]], [NUMBERS[1]]]


async def test_guards_hold_people_back_before_anything_is_sent(tmp_path: Path) -> None:
    """Prefixes and opt-outs refuse; the others of the chunk get their message."""
    optouts = MemoryOptOuts()
    await optouts.add(NUMBERS[2])
    guards = Guards(
        allowed_prefixes=("+44", "49"), forbidden_prefixes="447700900001", opt_outs=optouts
    )
    people = [("Hi", number) for number in ["14155550123", *NUMBERS[:4]]]
    people[2] = ("Hi", "447700900001")
    async with scripted(tmp_path) as (outbox, client, service, _):
        await outbox.add(people, source=SOURCE)
        summary = await outbox.run(client, guards=guards)
        assert (summary.sent, summary.refused) == (2, 3)
        assert service.calls == [[NUMBERS[0], NUMBERS[3]]]
        errors = [intent.error async for intent in outbox.intents("refused")]
        assert errors == [
            "begins with none of the allowed prefixes",
            "begins with a forbidden prefix",
            "is on the opt-out list",
        ]
        await outbox.add([("Bye", NUMBERS[2])], source=SOURCE)
        assert (await outbox.run(client, guards=guards)).refused == 4
    with pytest.raises(VoxSmsError, match="must be digits"):
        Guards(allowed_prefixes=["GB"])
    for national in ("0044", "07", "+07"):  # it would hold nobody back, without a word
        with pytest.raises(VoxSmsError, match="no number begins with 0"):
            Guards(forbidden_prefixes=[national])


async def test_nobody_is_woken_at_night(tmp_path: Path) -> None:
    """By the time zone of the number: it is noon in London then, and 4 in the morning in L.A."""
    guards = Guards(quiet_hours=QuietHours(time(21), time(8)))
    london, los_angeles = "442079460000", "13105550123"
    async with scripted(tmp_path) as (outbox, client, service, clock):
        await outbox.add([("Hi", london), ("Hi", los_angeles)], source=SOURCE)
        summary = await outbox.run(client, guards=guards)
        assert service.calls == [[london]]
        assert (summary.sent, summary.pending) == (1, 1)
        clock.passed += timedelta(hours=4, minutes=1).total_seconds()
        assert (await outbox.run(client, guards=guards)).sent == 2
        assert service.calls[1:] == [[los_angeles]]


@pytest.mark.parametrize(
    ("number", "start", "end", "hours"),
    [
        ("442079460000", time(9), time(17), 5),  # by day, in winter: noon in London
        ("442079460000", time(13), time(14), 0),
        ("79161234567", time(20), time(8), 14),  # Russia: not before it is 8 in its west
        ("442079460000", time(0), time.max, 48),  # always
        ("8835100012345678"[:15], time(11), time(13), 1),  # of no region: UTC
    ],
)
def test_how_long_quiet_hours_last(number: str, start: time, end: time, hours: float) -> None:
    """Until they are over in every zone in which the number may be."""
    noon = FakeClock().now
    wait = Guards(quiet_hours=QuietHours(start, end)).wait(number, noon)
    assert abs(wait / 3600 - hours) <= (8 if number.startswith("79") else 0.1)
    assert Guards().wait(number, noon) == 0


@pytest.mark.parametrize("ends", [True, False])
async def test_an_outcome_that_cannot_be_written_is_tried_again(tmp_path: Path, ends: bool) -> None:
    """For as long as the claim lasts; then it is an error, and the chunk becomes unknown."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        await outbox.add(rows(1), source=SOURCE)
        full = OutboxUnavailable("the disk is full")
        break_writing(outbox, full, {"write_outcomes"}, times=3 if ends else 1000)
        if ends:
            await run_chunk(outbox, client, ONE)
            assert await states(outbox) == ["sent"]
            return
        with pytest.raises(OutboxUnavailable):
            await run_chunk(outbox, client, ONE)
        assert await states(outbox) == ["sending"]
        clock.passed += 10
        assert (await outbox.run(client)).unknown == 1
        assert len(service.calls) == 1
