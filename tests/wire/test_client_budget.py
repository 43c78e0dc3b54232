"""A budget and the calls it watches: set aside before, given back or kept by what is known."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest
from doubles import A2P, KEY, SENT, SMS, FakeClock, Scripted, Turn, answer, refusal

from voxsms import Budget, CallEvent, Client, RateTable
from voxsms.api.codec import Answer
from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import (
    ApiError,
    BudgetExceeded,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    PriceUnknown,
    RateLimited,
    ResponseInvalid,
    VoxSmsError,
)
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

UK, US = "447443332212", "14155550101"
GROUPS = tuple(
    PriceGroup(n, name, Decimal(price), params=PriceGroupParams(allowed=(prefix,)))
    for n, name, price, prefix in ((1, "UK", "0.04", "44"), (2, "US", "0.01", "1"))
)
BROKE = TransportFault(FaultKind.CONNECTION, "the server closed the connection")


def rates(method: str = "a2p_send_sms") -> RateTable:
    """Give 0.04 for the UK and 0.01 for the US."""
    kind = "A2P_SMS_E212" if method == "a2p_send_sms" else "SMSOUT"
    return RateTable.from_resource_prices(
        (ResourcePrice(kind, GROUPS),), currency="EUR", method=method
    )


class Spending:
    """A client with a budget of 1 EUR."""

    def __init__(
        self,
        *turns: Turn,
        phase: Phase = Phase.READING,
        **options: Any,  # noqa: ANN401 - those of Client
    ) -> None:
        self.budget = Budget(max_cost="1.00", rates=[rates(), rates("send_sms_message")])
        self.transport = Scripted(*turns, phase=phase)
        self.client = Client(
            KEY, transport=self.transport, clock=FakeClock(), budget=self.budget, **options
        )

    async def send(self, *numbers: str, text: str = "See you") -> None:
        """Send to so many numbers."""
        await self.client.a2p_send_sms(src_number="ACME", dst_numbers=numbers, text=text)

    @property
    def spent(self) -> Decimal:
        """What is spent or set aside."""
        return self.budget.spent


def accepted(*numbers: str, refused: tuple[str, ...] = (), code: int = 506) -> Answer:
    """Give an answer to a send."""
    return answer(
        {
            "result": [{"message_id": 1, "destination_number": number} for number in numbers],
            "failed": [
                {"destination_number": number, "error_description": "no", "error_code": code}
                for number in refused
            ],
            "fragments_count": 1,
        }
    )


async def test_an_accepted_send_is_spent() -> None:
    """What was predicted for each number, by its own price and fragments."""
    spending = Spending(accepted(UK, US))
    await spending.send(UK, US)
    assert spending.spent == Decimal("0.05")
    await spending.send(UK, US, text="x" * 161)
    assert spending.spent == Decimal("0.15")


async def test_a_two_way_send_is_spent_too() -> None:
    """By the rates of its own method."""
    spending = Spending(answer(SENT))
    await spending.client.send_sms_message(source=UK, destination=UK, sms_body="See you")
    assert spending.spent == Decimal("0.04")


async def test_of_a_partial_success_only_what_was_accepted_is_spent() -> None:
    """A refused number costs nothing."""
    spending = Spending(accepted(US, refused=(UK,)))
    await spending.send(UK, US)
    assert spending.spent == Decimal("0.01")


@pytest.mark.parametrize(
    ("reply", "spent", "silent"),
    [
        (accepted(US), "0.05", 1),
        (accepted("+44 7443 332-212", refused=("+1 (415) 555-0101",)), "0.04", 0),
        (accepted(UK, refused=("4474***212",)), "0.05", 1),
        (accepted(UK, refused=(US,), code=14), "0.05", 1),
    ],
)
async def test_what_an_answer_does_not_account_for_stays_set_aside(
    reply: Answer, spent: str, silent: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a number that was refused is given back; one that is not spoken of may be charged.

    The log says how many, and no number.
    """
    spending = Spending(reply)
    await spending.send(UK, US)
    assert spending.spent == Decimal(spent)
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert said == [
        f"A2PSendSms: the answer does not say what became of {silent} of 2 numbers"
    ] * bool(silent)


@pytest.mark.parametrize(
    "reply",
    [
        accepted(),
        accepted(refused=(US,)),
        accepted(refused=(UK, US), code=14),
        accepted(refused=(UK, US), code=515),
        accepted(UK, refused=(UK,)),
        accepted("+44 7443 332-212", refused=(UK,)),
        accepted(UK, US, refused=(US,)),
        accepted(UK, US, UK),
    ],
)
async def test_an_answer_that_cannot_be_to_this_send_is_a_doubt(reply: Answer) -> None:
    """It accepts nobody and not all are refused, one is both, or they are too many.

    All stays set aside.
    """
    spending = Spending(reply)
    with pytest.raises(OutcomeUnknown) as caught:
        await spending.send(UK, US)
    assert isinstance(caught.value.__cause__, ResponseInvalid)
    assert spending.spent == Decimal("0.05")


async def test_it_is_set_aside_before_anything_leaves() -> None:
    """While a send is under way its cost can not be spent by another."""
    held: list[Decimal] = []

    async def look(_request: Request, _evidence: Evidence) -> Answer:
        held.append(spending.spent)
        return accepted(UK)

    spending = Spending(look)
    await spending.send(UK)
    assert held == [Decimal("0.04")]


async def test_a_budget_that_is_used_up_stops_a_send() -> None:
    """`BudgetExceeded` before any byte leaves, and nothing more is set aside by it."""
    spending = Spending(accepted(UK))
    for _ in range(25):
        await spending.send(UK)
    with pytest.raises(BudgetExceeded) as caught:
        await spending.send(UK)
    assert caught.value.sent == "no"
    assert spending.spent == Decimal("1.00")
    assert len(spending.transport.requests) == 25


async def test_a_number_without_a_price_stops_a_send() -> None:
    """`PriceUnknown`, before any byte leaves; the number is not shown whole."""
    spending = Spending(accepted(UK))
    with pytest.raises(PriceUnknown) as caught:
        await spending.send("33123456789")
    assert "33123456789" not in str(caught.value)
    assert spending.transport.requests == []
    assert spending.spent == 0


NO: list[tuple[Turn, Phase, type[VoxSmsError]]] = [
    (refusal(340), Phase.READING, RateLimited),
    (refusal(506), Phase.READING, ApiError),
    (BROKE, Phase.CONNECTING, NotSent),
    (answer(b"", 429), Phase.READING, RateLimited),
    (ZeroDivisionError(), Phase.QUEUED, NotSent),
]


@pytest.mark.parametrize(("turn", "phase", "kind"), NO)
async def test_what_was_not_sent_is_given_back(
    turn: Turn, phase: Phase, kind: type[VoxSmsError]
) -> None:
    """Every error whose `.sent` is "no" leaves the budget as it was."""
    spending = Spending(turn, phase=phase, max_attempts=1)
    with pytest.raises(kind) as caught:
        await spending.send(UK)
    assert caught.value.sent == "no"
    assert spending.spent == 0


MAYBE: list[Turn] = [BROKE, refusal(2), answer(b"{"), answer(b"", 500), ZeroDivisionError()]


@pytest.mark.parametrize("turn", MAYBE)
async def test_what_is_in_doubt_stays_set_aside(turn: Turn) -> None:
    """It may have been charged."""
    spending = Spending(turn)
    with pytest.raises(OutcomeUnknown):
        await spending.send(UK)
    assert spending.spent == Decimal("0.04")


@pytest.mark.parametrize(
    ("phase", "spent"),
    [(Phase.QUEUED, "0"), (Phase.CONNECTING, "0"), (Phase.SENDING, "0.04")],
)
async def test_a_cancelled_send_is_kept_or_given_back_by_its_evidence(
    phase: Phase, spent: str
) -> None:
    """Before its first byte nothing was spent; after it nobody knows."""

    async def hang(_request: Request, _evidence: Evidence) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError

    spending = Spending(hang, phase=phase)
    task = asyncio.ensure_future(spending.send(UK))
    await anyio.wait_all_tasks_blocked()
    assert spending.spent == Decimal("0.04")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spending.spent == Decimal(spent)


async def test_a_send_that_is_tried_again_is_set_aside_once() -> None:
    """Three attempts are one send."""
    spending = Spending(refusal(340), refusal(340), accepted(UK))
    await spending.send(UK)
    assert spending.spent == Decimal("0.04")


async def test_what_charges_nothing_needs_no_budget() -> None:
    """Readings go on when the money is spent."""
    spending = Spending(answer({"result": 1}))
    spending.budget.reserve("x" * 161, [UK] * 12, method="a2p_send_sms")
    result = await spending.client.control_sms(phone_number=UK, command="enable")
    assert result.result == 1


async def test_a_hundred_sends_at_once_stay_within_the_budget() -> None:
    """However they mix, no more is spent than the budget has."""
    spending = Spending(accepted(UK))
    sends = await asyncio.gather(*(spending.send(UK) for _ in range(100)), return_exceptions=True)
    assert sum(result is None for result in sends) == 25
    assert sum(isinstance(result, BudgetExceeded) for result in sends) == 75
    assert spending.spent == Decimal("1.00")


async def test_an_event_has_message_ids_and_the_predicted_cost() -> None:
    """What a metric of money needs is told of each send, and no text and no number."""
    events: list[CallEvent] = []
    spending = Spending(
        accepted(UK, US), answer(SENT), refusal(340), max_attempts=1, on_outcome=events.append
    )
    await spending.send(UK, US, text="x" * 161)
    await spending.client.send_sms_message(**SMS)
    with pytest.raises(RateLimited):
        await spending.send(UK)
    with pytest.raises(BudgetExceeded):
        await spending.send(*(f"4477009{n:05}" for n in range(30)))
    told = [(event.message_ids, event.predicted_cost) for event in events]
    assert told[:3] == [
        ((1, 1), Decimal("0.10")),
        ((1861,), Decimal("0.04")),
        ((), Decimal("0.04")),
    ]
    assert told[-1] == ((), Decimal("1.20"))
    assert UK not in repr(events)
    assert "xxx" not in repr(events)


async def test_without_rates_no_cost_is_told() -> None:
    """A budget that only limits fragments knows no price."""
    events: list[CallEvent] = []
    client = Client(
        KEY,
        transport=Scripted(accepted(UK), answer({"result": 1, "fragments_count": 1})),
        on_outcome=events.append,
        budget=Budget(max_fragments=1),
    )
    await client.a2p_send_sms(**A2P)
    await client.send_sms_message(**SMS)
    assert [(event.message_ids, event.predicted_cost) for event in events] == [
        ((1,), None),
        ((), None),
    ]


PRICES = {
    "result": [
        {
            "resource_type": kind,
            "price_groups": [
                {
                    "price_group_id": 1,
                    "price_group_name": "UK",
                    "price": price,
                    "params": {"allowed": ["44"], "forbidden": []},
                }
            ],
        }
        for kind, price in (("A2P_SMS_E212", "0.04"), ("SMSOUT", "0.5"))
    ]
}
ACCOUNT = {"result": {"account_id": 1, "account_name": "a", "balance": 1, "currency": "EUR"}}


async def test_a_budget_asks_for_the_rates_itself() -> None:
    """One line gives a view that stops at a limit for both sends; the client itself has none."""
    script = Scripted(
        answer(ACCOUNT), answer(PRICES), accepted(UK), answer(SENT), accepted(UK), accepted(UK)
    )
    clock = FakeClock()
    client = Client(KEY, transport=script, clock=clock)
    sender = await client.with_budget(max_cost="0.56", per=timedelta(days=1))
    await sender.a2p_send_sms(**A2P)
    await sender.send_sms_message(**SMS)
    with pytest.raises(BudgetExceeded, match="within 1 day") as caught:
        await sender.a2p_send_sms(**A2P)
    assert (caught.value.left, caught.value.currency) == (Decimal("0.02"), "EUR")
    assert len(script.requests) == 4
    await client.a2p_send_sms(**A2P)
    clock.passed += 87_000
    await sender.a2p_send_sms(**A2P)


async def test_limits_that_make_no_sense_are_refused_before_anything_is_asked() -> None:
    """A slip costs no call."""
    script = Scripted()
    client = Client(KEY, transport=script)
    with pytest.raises(InvalidRequest, match="max_cost: is 'a lot'"):
        await client.with_budget(max_cost="a lot")
    assert not script.requests
