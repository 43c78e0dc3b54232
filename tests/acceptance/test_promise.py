"""The promise of a send, over every mixture of faults: delivered once at most, and told truly."""

from collections.abc import Callable
from typing import Any

import anyio
import attrs
from doubles import A2P, A2P_SENT, SENT, SMS, CountingSigner, FakeClock, answer, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms import CallEvent, Client
from voxsms.api.codec import Answer
from voxsms.api.fault_codes import CODES
from voxsms.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    VoxSmsError,
)
from voxsms.transport import Evidence, FaultKind, Phase, Request, TransportFault

# From the contract, section 4: after these the message may have been delivered, or not.
IN_DOUBT = {1, 2, 4, 5, 14, 484, 515}
REFUSALS = sorted({*CODES, 9999} - IN_DOUBT)


@attrs.frozen
class Turn:
    """What a service and the network do with one request, and whether it is delivered."""

    what: Answer | Exception | None
    delivered: bool
    phase: Phase | None = Phase.READING
    """`None`: a transport of someone's own that tells nothing of its way."""
    connect_failed: bool = False


def fault(phase: Phase | None, *, delivered: bool, connect_failed: bool, error: Exception) -> Turn:
    """Make a fault of the network; what came before the first byte is not delivered."""
    really = delivered and phase is not Phase.QUEUED and not connect_failed
    return Turn(error, really, phase, connect_failed)


def behind_a_gateway(code: int) -> Answer:
    """Give a refusal that came with a status of a server's failure: not to be believed."""
    return attrs.evolve(refusal(code), status=502)


def from_a_gateway(status: int) -> Answer:
    """Give a gateway's own error, which repeats its status for a code."""
    return answer({"error": {"code": status, "msg": "request timeout"}}, status)


# What a transport raises: faults, and what is not for it to raise, which proves nothing.
ERRORS = [
    *(TransportFault(kind, "broke") for kind in FaultKind),
    ConnectionFailed("M", "a client inside the transport failed"),
    NotSent("M", "so it says"),
    RateLimited(340, "RATE_LIMIT_EXCEED", "", "M"),
    AuthenticationFailed(456, "TOKEN_EXPIRED", "", "M"),
    ZeroDivisionError(),
]
maybe = st.booleans()
GARBAGE = [
    b"",
    b"{",
    b"[]",
    b"<html>",
    b'{"result": 1, "error": {"code": 101}}',
    b'{"result": "x"}',
]
turns = st.one_of(
    st.sampled_from(REFUSALS).map(lambda code: Turn(refusal(code, "in 3 seconds"), False)),
    st.builds(Turn, st.sampled_from(sorted(IN_DOUBT)).map(refusal), maybe),
    st.builds(Turn, st.sampled_from(GARBAGE).map(answer), maybe),
    st.builds(Turn, st.sampled_from([500, 502, 503]).map(lambda s: answer(b"<html>", s)), maybe),
    st.builds(Turn, st.sampled_from([101, 340]).map(behind_a_gateway), maybe),
    st.builds(Turn, st.sampled_from([403, 408, 423, 499, 504]).map(from_a_gateway), maybe),
    st.just(Turn(answer(b"", 429, {"retry-after": "1"}), False)),
    st.just(Turn(from_a_gateway(429), False)),
    st.builds(
        fault,
        st.sampled_from([None, *Phase]),
        delivered=maybe,
        connect_failed=maybe,
        error=st.sampled_from(ERRORS),
    ),
    st.just(Turn(None, True)),
)


class Service:
    """Plays its turns, then accepts; counts what it delivered."""

    name = "service"

    def __init__(self, script: list[Turn], *, reports_progress: bool, sent: object) -> None:
        self.reports_progress = reports_progress
        self.script = list(script)
        self.sent = sent
        self.delivered = 0

    def _next(self) -> Turn:
        turn = self.script.pop(0) if self.script else Turn(None, True)
        before = turn.phase is None or turn.phase < Phase.SENDING
        silent = before and isinstance(turn.what, Exception)
        if silent and self.reports_progress:
            # A transport of voxsms's own says so before a byte leaves: nothing was delivered.
            return attrs.evolve(turn, delivered=False)
        return turn

    async def send(self, _: Request, evidence: Evidence) -> Answer:
        """Play the next turn."""
        turn = self._next()
        self.delivered += turn.delivered
        if turn.phase is not None:
            evidence.phase = turn.phase
        evidence.connect_failed = turn.connect_failed
        if isinstance(turn.what, Exception):
            raise turn.what
        return turn.what or answer(self.sent)

    async def aclose(self) -> None:
        """Have nothing to close."""


async def outcome_of(call: Callable[[], Any]) -> VoxSmsError | None:
    """Make a call and give its error."""
    try:
        await call()
    except VoxSmsError as error:
        return error
    return None


@settings(max_examples=examples(400))
@given(st.lists(turns, max_size=6), st.booleans(), st.booleans(), st.integers(1, 6))
def test_one_call_is_delivered_once_at_most_and_never_called_failed_if_it_was(
    script: list[Turn], reports_progress: bool, a2p: bool, max_attempts: int
) -> None:
    """Success means 1 delivery, "no" means 0, and only `OutcomeUnknown` says "maybe"."""
    service = Service(script, reports_progress=reports_progress, sent=A2P_SENT if a2p else SENT)
    told: list[CallEvent] = []
    client = Client(
        CountingSigner(),
        transport=service,
        clock=FakeClock(),
        max_attempts=max_attempts,
        deadline=1000,
        on_outcome=told.append,
    )

    async def call() -> None:
        if a2p:
            await client.a2p_send_sms(**A2P)
        else:
            await client.send_sms_message(**SMS)

    async def main() -> None:
        error = await outcome_of(call)
        assert service.delivered <= 1
        if error is None:
            assert service.delivered == 1
        elif error.sent == "no":
            assert service.delivered == 0
        else:
            assert isinstance(error, OutcomeUnknown)
            assert error.numbers == ("447443332212",)
        assert told[0].doubt is (error if isinstance(error, OutcomeUnknown) else None)
        assert len(told) == 1

    anyio.run(main)
