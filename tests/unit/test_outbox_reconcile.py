"""What is in doubt is settled by the history: found, absent, ambiguous, or still open."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
from doubles import Turn
from outboxes import NUMBERS, SOURCE, Ahead, History, accepted, lost, scripted, states

from voxsms import InvalidRequest, OutcomeUnknown, ResponseInvalid
from voxsms.api.codec import Answer
from voxsms.calls.resolve import fits
from voxsms.outbox import Reconciled, Tracked, run_chunk
from voxsms.transport import Evidence, Request
from voxsms.webhooks import A2PActivated, A2PDelivery

ZERO = timedelta(0)


TWO = [("Hi", NUMBERS[0], "a"), ("Hi", NUMBERS[1], "b")]


async def test_one_message_of_the_history_settles_one_doubt(tmp_path: Path) -> None:
    """With its id and its cost; what the history does not have stays open for a while."""
    async with scripted(tmp_path, lost()) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add(TWO, source=SOURCE)
        await outbox.run(client)
        assert await states(outbox) == ["unknown", "unknown"]
        history.add(NUMBERS[0])
        history.add("447700900999")
        first = await outbox.reconcile(client)
        assert (first.sent, first.open, first.presumed_not_sent) == (1, 1, 0)
        assert 890 <= first.wait <= 901
        (sent,) = [intent async for intent in outbox.intents("sent")]
        assert (sent.message_id, str(sent.cost), sent.delivery_status) == (
            100,
            "0.05",
            "DISPATCHED",
        )
        assert sent.error is None
        clock.passed += first.wait + 1
        second = await outbox.reconcile(client)
        assert second == Reconciled(sent=0, ambiguous=0, presumed_not_sent=1, open=0, wait=0.0)
        assert await states(outbox) == ["sent", "presumed_not_sent"]
        assert await outbox.resend() == 1
        assert (await outbox.run(client)).sent == 2
        assert service.calls == [[NUMBERS[0], NUMBERS[1]], [NUMBERS[1]]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (0, ["presumed_not_sent", "presumed_not_sent"]),
        (1, ["ambiguous", "ambiguous"]),
        (2, ["sent", "sent"]),
        (3, ["ambiguous", "ambiguous"]),
    ],
)
async def test_a_number_that_stands_twice_is_settled_by_count(
    tmp_path: Path, rows: int, expected: list[str]
) -> None:
    """Two rows for two messages; another number of them can tell nothing."""
    async with scripted(tmp_path, lost(), lost()) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add([("Hi", NUMBERS[0], "a"), ("Hi", NUMBERS[0], "b")], source=SOURCE)
        await outbox.run(client, concurrency=1)
        for _ in range(rows):
            history.add(NUMBERS[0])
        result = await outbox.reconcile(client, settle_after=ZERO)
        assert await states(outbox) == expected
        assert result.open == 0
        ids = {intent.message_id async for intent in outbox.intents("sent")}
        assert ids == ({100, 101} if rows == 2 else set())
        if expected[0] == "ambiguous":
            history.rows = history.rows[:1] * 2
            history.rows[1] = history.rows[0] | {"message_id": 101}
            assert (await outbox.reconcile(client)).sent == 2


async def test_what_is_begun_while_the_history_is_read_keeps_its_row(tmp_path: Path) -> None:
    """A worker sends to the same number meanwhile: its message is not taken for the lost one."""
    async with scripted(tmp_path, lost()) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add(TWO[:1], source=SOURCE)
        await outbox.run(client)
        await outbox.add([("Hi", NUMBERS[0], "again")], source=SOURCE)
        read = history.page

        def send_meanwhile(form: Mapping[str, str]) -> Answer:
            if "from_date" in form and not history.rows:
                with closing(sqlite3.connect(tmp_path / "outbox.db")) as other, other:
                    now = clock.time()
                    other.execute(
                        "UPDATE voxsms_chunks SET state = 'sending', claims = 1, claimed_at = ?,"
                        " expires_at = ? WHERE state = 'pending'",
                        (now, now + 9),
                    )
                history.add(NUMBERS[0])
            return read(form)

        with patch.object(history, "page", send_meanwhile):
            found = await outbox.reconcile(client, settle_after=ZERO)
        assert (found.sent, found.open) == (0, 1)
        assert await states(outbox) == ["unknown", "sending"]


async def test_ids_of_the_other_way_to_send_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """Each counts by itself: the same id may be a message of the one and of the other."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add([("Hi", NUMBERS[7], "two-way")], source=SOURCE, method="send_sms_message")
        await outbox.run(client)
        service.turns.append(lost())
        await outbox.add(TWO[:1], source=SOURCE)
        await outbox.run(client)
        history.add(NUMBERS[0], message_id=int(NUMBERS[7][-5:]))
        assert (await outbox.reconcile(client)).sent == 1


async def test_texts_and_fragments_tell_messages_apart(tmp_path: Path) -> None:
    """Where the history has them; a row without fragments is of a message that failed."""
    texts = ["A", "B", "x" * 300]
    async with scripted(tmp_path, *[lost()] * 3) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add([(text, NUMBERS[0]) for text in texts], source=SOURCE)
        await outbox.run(client, concurrency=1)
        history.add(NUMBERS[0], fragments=2)
        history.add(NUMBERS[0], text="B")
        assert (await outbox.reconcile(client, settle_after=ZERO)).sent == 2
        assert await states(outbox) == ["presumed_not_sent", "sent", "sent"]


async def test_a_message_of_another_intent_or_time_is_not_taken(tmp_path: Path) -> None:
    """Nor one that is under way at this moment."""

    async def slow(_: Request, __: Evidence) -> Answer:
        history.add(NUMBERS[0])
        before = await outbox.reconcile(client, settle_after=ZERO)
        assert (before.sent, before.open) == (0, 1)
        return accepted(service.forms[-1])

    turns: list[Turn] = [lost()]
    async with scripted(tmp_path, *turns) as (outbox, client, service, clock):
        history = service.history = History(clock)
        history.add(NUMBERS[0])
        clock.passed += 60
        await outbox.add([("Hi", NUMBERS[0])], source=SOURCE)
        await outbox.run(client)
        await outbox.add([("Hi", NUMBERS[0])], source=SOURCE)
        service.turns = [slow]
        await outbox.run(client)
        history.rows[-1]["message_id"] = 0  # the id that it was answered with
        assert (await outbox.reconcile(client, settle_after=ZERO)).presumed_not_sent == 1


async def test_a_history_that_gives_fewer_rows_than_it_counts_proves_nothing(
    tmp_path: Path,
) -> None:
    """It is an error, and what is in doubt stays so."""
    async with scripted(tmp_path, lost()) as (outbox, client, service, clock):
        service.history = History(clock)
        service.history.missing = 1
        await outbox.add(TWO, source=SOURCE)
        await outbox.run(client)
        with pytest.raises(ResponseInvalid, match="has 0 rows where it counts 1"):
            await outbox.reconcile(client, settle_after=ZERO)
        assert await states(outbox) == ["unknown", "unknown"]


async def test_a_dead_process_is_looked_for_in_the_time_of_its_claim(tmp_path: Path) -> None:
    """By the service's clock, which may be another than this machine's."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        history = service.history = History(Ahead(clock))
        await outbox.add([("Hi", NUMBERS[0])], source="447443332211", method="send_sms_message")
        history.add(NUMBERS[0])
        await outbox.store.write(
            lambda database: database.change(
                "UPDATE voxsms_chunks SET state = 'sending', claims = 1, claimed_at = NOW,"
                " expires_at = NOW + 5"
            )
        )
        clock.passed += 6
        assert await client.get_sms_history(count=1)
        assert (await outbox.reconcile(client)).sent == 1
        (intent,) = [intent async for intent in outbox.intents()]
        assert (intent.message_id, intent.delivery_status) == (100, "DELIVERED")


async def test_delivery_statuses_come_from_the_history_and_from_callbacks(tmp_path: Path) -> None:
    """A final status stays, in whatever order they are told."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await outbox.add(TWO, source=SOURCE)
        await outbox.run(client)
        history.add(NUMBERS[0], message_id=0, cost=0.07)
        history.add(NUMBERS[1], message_id=1, delivery_status=None)
        history.add("447700900999")
        assert await outbox.track(client) == Tracked(changed=2, open=2)
        assert str((await outbox.summary()).cost) == "0.12"
        callback = A2PDelivery(
            callback_id=1, account_id=1, type="t", id=0, source_number=SOURCE, status="DELIVERED"
        )
        await outbox.on_callback(callback)
        await outbox.on_callback(
            A2PActivated(callback_id=2, account_id=1, type="t", a2p_enabled=True)
        )
        assert await outbox.track(client) == Tracked(changed=1, open=1)
        found = [intent.delivery_status async for intent in outbox.intents()]
        assert found == ["DELIVERED", None]


async def test_a_callback_of_a_stranger_changes_nothing(tmp_path: Path) -> None:
    """Messages that this outbox does not know may be told of, too."""
    async with scripted(tmp_path) as (outbox, client, *_):
        await outbox.add(TWO, source=SOURCE)
        await outbox.run(client)
        callback = A2PDelivery(
            callback_id=1, account_id=1, type="t", id=999, source_number=SOURCE, status="DELIVERED"
        )
        await outbox.on_callback(callback)
        assert [intent.delivery_status async for intent in outbox.intents()] == [None, None]


async def test_doubts_that_lie_far_apart_are_read_apart(tmp_path: Path) -> None:
    """Two mailings a day apart: each is looked for in its own time."""
    async with scripted(tmp_path, lost(), lost()) as (outbox, client, service, clock):
        history = service.history = History(clock)
        for key in ("a", "b"):
            await outbox.add([("Hi", NUMBERS[0], key)], source=SOURCE)
            await outbox.run(client)
            history.add(NUMBERS[0])
            clock.passed += 86_400
        assert (await outbox.reconcile(client)).sent == 2


async def test_a_doubt_after_the_services_time_was_told_is_looked_for_by_it(tmp_path: Path) -> None:
    """Whatever this machine's clock says: the answers' dates were there before."""
    async with scripted(tmp_path, lost()) as (outbox, client, service, clock):
        history = service.history = History(Ahead(clock))
        await client.a2p_get_sms_history()
        await outbox.add([("Hi", NUMBERS[0], "a")], source=SOURCE)
        await outbox.run(client)
        history.add(NUMBERS[0])
        assert (await outbox.reconcile(client)).sent == 1


@pytest.mark.parametrize(
    ("sought", "row", "expected"),
    [
        ({}, {}, True),
        ({}, {"destination_number": "447700900999"}, False),
        ({}, {"processed_date": datetime(2026, 1, 2, tzinfo=UTC)}, False),
        ({"text": "Hi"}, {"text": "Hi"}, True),
        ({"text": "Hi"}, {"text": "Ho"}, False),
        ({"fragments": (1, 2)}, {"fragments": 3}, False),
        ({"fragments": (1, 2)}, {"fragments": 0}, True),
    ],
)
def test_which_row_can_be_a_message(
    sought: dict[str, Any], row: dict[str, Any], *, expected: bool
) -> None:
    """Its number, its time, and its text where both are known, else its fragments."""
    base = SimpleNamespace(
        destination=NUMBERS[0],
        since=datetime(2026, 1, 1, tzinfo=UTC),
        until=datetime(2026, 1, 1, 1, tzinfo=UTC),
        fragments=None,
        text=None,
    )
    found = SimpleNamespace(
        destination_number=NUMBERS[0],
        processed_date=datetime(2026, 1, 1, tzinfo=UTC),
        fragments=1,
        text=None,
    )
    vars(base).update(sought)
    vars(found).update(row)
    assert fits(cast("Any", base), cast("Any", found)) is expected


# --- client.resolve -------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_one_doubt_is_settled_by_the_client(tmp_path: Path, known: bool) -> None:
    """Sent with its row, open with how long to wait, or not sent; whatever clock was known."""
    async with scripted(tmp_path, lost(), max_attempts=1) as (_, client, service, clock):
        history = service.history = History(clock)
        if known:
            await client.a2p_get_sms_history(count=1)
        with pytest.raises(OutcomeUnknown) as found:
            await client.a2p_send_sms(src_number=SOURCE, dst_numbers=NUMBERS[:3], text="Hi")
        doubt = found.value
        assert (doubt.source, doubt.since is not None, doubt.fragments) == (SOURCE, known, (1, 1))
        history.add(NUMBERS[0])
        history.add(NUMBERS[1])
        history.add(NUMBERS[1])
        first = await client.resolve(doubt)
        assert [row.message_id for row in first.sent] == [100]
        assert (first.state, first.ambiguous, first.open) == ("open", (NUMBERS[1],), (NUMBERS[2],))
        assert first.wait > 800
        clock.passed += first.wait + 1
        last = await client.resolve(doubt)
        assert (last.state, last.not_sent, last.wait) == ("ambiguous", (NUMBERS[2],), 0.0)
        del history.rows[2]
        assert (await client.resolve(doubt)).state == "partly"
        doubt.numbers = NUMBERS[:1]  # type: ignore[assignment]
        assert (await client.resolve(doubt)).state == "sent"
        doubt.fragments = None
        history.rows[0]["fragments"] = 3
        assert (await client.resolve(doubt)).state == "sent"
        history.rows.clear()
        assert (await client.resolve(doubt, settle_after=ZERO)).state == "not_sent"


async def test_only_a_send_can_be_settled(tmp_path: Path) -> None:
    """Anything else is refused."""
    async with scripted(tmp_path) as (_, client, __, ___):
        doubt = OutcomeUnknown("Other", "lost", datetime.now(UTC), "sending", ())
        with pytest.raises(InvalidRequest, match="can be settled"):
            await client.resolve(doubt)
        assert (await run_chunk(_, client, 5)).counts == {}


async def test_messages_far_apart_are_looked_for_where_they_were(tmp_path: Path) -> None:
    """A mailing of two days does not take the history of all that lies between."""
    async with scripted(tmp_path, lost(), lost()) as (outbox, client, service, clock):
        history = service.history = History(clock)
        await client.a2p_get_sms_history(count=1)  # from here on the service's time is known
        await outbox.add(TWO, source=SOURCE, chunk_size=1)
        await outbox.run(client, concurrency=1, max_failures=1)
        history.add(NUMBERS[0])
        clock.passed += 2 * 86400
        history.add(NUMBERS[0])
        await outbox.run(client)
        history.add(NUMBERS[1])
        assert (await outbox.reconcile(client, settle_after=ZERO)).sent == 2
        ids = [intent.message_id async for intent in outbox.intents("sent")]
        assert ids == [100, 102]
        await outbox.on_callback(
            A2PDelivery(
                callback_id=1, account_id=1, type="t", id=555, source_number=SOURCE, status="FAILED"
            )
        )
        assert len([intent async for intent in outbox.intents()]) == 2
