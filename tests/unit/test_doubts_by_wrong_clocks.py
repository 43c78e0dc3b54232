"""A wrong clock, whoever's it is, never makes a message that was sent one that was not."""

from datetime import timedelta
from pathlib import Path

import pytest
from outboxes import NUMBERS, SOURCE, Ahead, History, lost, scripted, states

from voxsms import OutcomeUnknown, PermissionDenied

ZERO = timedelta(0)
WRONG = [  # by how much the `Date` is wrong, by how much this machine's clock is
    (3.0, 0.0),
    (45.0, 0.0),
    (1800.0, 0.0),
    (-70.0, 0.0),
    (7200.0, 0.0),
    (300.0, 90.0),
    (-3500.0, 600.0),
    (None, 90.0),
    (None, -5400.0),
]


def history_of(clock: Ahead, date_off: float | None) -> History:
    """Make a history whose time is right, and whose answers have a gateway's `Date`."""
    history = History(clock)
    history.date_off = date_off
    return history


@pytest.mark.parametrize(("date_off", "machine_off"), WRONG)
async def test_one_that_was_sent_is_never_told_as_not_sent(
    tmp_path: Path, date_off: float | None, machine_off: float
) -> None:
    """By `Client.resolve`: the history has it at another time, so nobody can tell."""
    async with scripted(tmp_path, lost(), max_attempts=1) as (_, client, service, machine):
        history = service.history = history_of(Ahead(machine, -machine_off), date_off)
        for _ in range(2):
            await client.a2p_get_sms_history(count=1)
        history.add(NUMBERS[0])
        with pytest.raises(OutcomeUnknown) as doubt:
            await client.a2p_send_sms(src_number=SOURCE, dst_numbers=NUMBERS[:2], text="Hi")
        first = await client.resolve(doubt.value)
        assert NUMBERS[0] not in first.not_sent
        machine.passed += first.wait + 7300
        last = await client.resolve(doubt.value)
        assert NUMBERS[0] in last.ambiguous or [row.message_id for row in last.sent] == [100]
        assert last.not_sent == (NUMBERS[1],)
        history.rows.clear()
        assert (await client.resolve(doubt.value)).state == "not_sent"


@pytest.mark.parametrize(("date_off", "machine_off"), WRONG)
async def test_one_of_an_outbox_that_was_sent_is_never_presumed_not_sent(
    tmp_path: Path, date_off: float | None, machine_off: float
) -> None:
    """`resend` would send it a second time."""
    async with scripted(tmp_path, lost()) as (outbox, client, service, machine):
        history = service.history = history_of(Ahead(machine, -machine_off), date_off)
        for _ in range(2):
            await client.a2p_get_sms_history(count=1)
        await outbox.add([("Hi", NUMBERS[0])], source=SOURCE)
        await outbox.run(client)
        history.add(NUMBERS[0])
        machine.passed += 10_000
        await outbox.reconcile(client)
        assert await states(outbox) in (["ambiguous"], ["sent"])
        assert await outbox.resend() == 0


async def test_where_the_clocks_agree_a_message_of_another_time_is_another(tmp_path: Path) -> None:
    """The absence of one that was lost is proven, though its number got one like it before."""
    async with scripted(tmp_path, lost(), max_attempts=1) as (_, client, service, machine):
        history = service.history = History(machine)
        await client.a2p_get_sms_history(count=1)
        history.add(NUMBERS[0])
        machine.passed += 90
        with pytest.raises(OutcomeUnknown) as doubt:
            await client.a2p_send_sms(src_number=SOURCE, dst_numbers=NUMBERS[:1], text="Hi")
        assert (await client.resolve(doubt.value, settle_after=ZERO)).state == "not_sent"


async def test_a_clock_that_is_a_second_off_hides_no_message(tmp_path: Path) -> None:
    """The history has whole seconds, and the service's time is known to two of them."""
    async with scripted(tmp_path, lost(), max_attempts=1) as (_, client, service, machine):
        history = service.history = History(Ahead(machine, -1.9))
        machine.passed = 0.9  # there a second begins
        await client.a2p_get_sms_history(count=1)
        machine.passed = 1.8  # and is nearly over
        history.add(NUMBERS[0])
        with pytest.raises(OutcomeUnknown) as doubt:
            await client.a2p_send_sms(src_number=SOURCE, dst_numbers=NUMBERS[:1], text="Hi")
        assert (await client.resolve(doubt.value)).state == "sent"


async def test_the_time_is_learned_without_the_role_for_a_history(tmp_path: Path) -> None:
    """A developer's key may send two-way messages and not read the history of the others."""
    async with scripted(tmp_path, lost(), max_attempts=1) as (_, client, service, machine):
        history = service.history = History(machine)
        with pytest.raises(OutcomeUnknown) as doubt:
            await client.send_sms_message(source=NUMBERS[1], destination=NUMBERS[0], sms_body="Hi")
        history.add(NUMBERS[0], source_number=NUMBERS[1])
        service.forbidden = "A2PGetSmsHistory"
        with pytest.raises(PermissionDenied):
            await client.a2p_get_sms_history(count=1)
        assert (await client.resolve(doubt.value)).state == "sent"
