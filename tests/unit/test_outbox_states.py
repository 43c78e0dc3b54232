"""The rule of states, and that the database keeps it whatever happens in whatever order."""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from doubles import KEY, FakeClock, Turn, refusal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from outboxes import NUMBERS, SOURCE, Service, accepted, break_writing, lost, no_connection
from profiles import examples

from voxsms import Client, Outbox
from voxsms.api.codec import Answer
from voxsms.outbox import TRANSITIONS, Event, State, run_chunk
from voxsms.outbox._states import RESENDABLE
from voxsms.transport import Evidence, Request


def test_what_may_have_been_sent_is_never_pending_again_on_its_own() -> None:
    """Only an answer that says so, or a person, leads back; and nothing leads away from `sent`."""
    back = {event for event, (_, after) in TRANSITIONS.items() if after is State.PENDING}
    assert back == {Event.NOT_SENT, Event.RESENT}
    assert TRANSITIONS[Event.NOT_SENT][0] == (State.SENDING,)
    assert all(State.SENT not in before for before, _ in TRANSITIONS.values())
    assert set(TRANSITIONS) == set(Event)
    assert [event for event, (_, after) in TRANSITIONS.items() if after is State.SENDING] == [
        Event.CLAIMED
    ]


def reachable(start: State, *, resent: bool) -> set[State]:
    """Give the states that the rule leads to, with or without a person's `resend`."""
    found = {start}
    while True:
        more = {
            after
            for event, (before, after) in TRANSITIONS.items()
            if found & {*before} and (resent or event is not Event.RESENT)
        }
        if more <= found:
            return found
        found |= more


class Killed(BaseException):
    """The process died here: nothing is written any more."""


class Machine(RuleBasedStateMachine):
    """Adds, runs chunks through all kinds of trouble, dies, waits, and looks at the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "outbox.db"
        self.clock = FakeClock()
        self.service = Service()
        self.delivered: Counter[str] = Counter()
        self.began: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.before: dict[int, State] = {}
        self.numbers = iter(NUMBERS)
        self.was_resent = False

    def do(self, act: Callable[[Outbox, Client], Coroutine[Any, Any, object]]) -> None:
        """Do something with the outbox in a process of its own."""

        async def main() -> None:
            client = Client(KEY, transport=self.service, clock=self.clock, deadline=10)
            async with client, Outbox.open(self.path, clock=self.clock) as outbox:
                await act(outbox, client)

        asyncio.run(main())

    @rule(count=st.integers(1, 5), size=st.integers(1, 3))
    def add(self, count: int, size: int) -> None:
        """Add some, of one text."""
        people = [("Hi", number) for _, number in zip(range(count), self.numbers, strict=False)]
        self.do(lambda outbox, _: outbox.add(people, source=SOURCE, chunk_size=size))

    @rule(
        chunk=st.integers(1, 6),
        trouble=st.sampled_from(["", "lost", "cut", "refused", "later", "no way", "dies", "late"]),
    )
    def run(self, chunk: int, trouble: str) -> None:
        """Run a chunk as an engine does."""

        async def turn(request: Request, evidence: Evidence) -> Answer:
            form = self.service.forms[-1]
            if trouble in {"", "cut", "late", "dies"}:
                self.delivered.update(form["dst_numbers"].split(";"))
            if trouble == "late":
                self.clock.passed += 30
                async with Outbox.open(self.path, clock=self.clock) as other:
                    await other.run(other_client).__anext__()
            if trouble == "no way":
                return await no_connection(request, evidence)
            if trouble in fails:
                raise fails[trouble]
            return answers.get(trouble) or accepted(form)

        fails: dict[str, BaseException] = {"dies": Killed(), "lost": lost(), "cut": lost()}
        answers = {"refused": refusal(508), "later": refusal(340)}
        other_client = Client(KEY, transport=Service(*[refusal(127)] * 9), clock=self.clock)
        turns: list[Turn] = [turn]
        self.service.turns = turns

        async def act(outbox: Outbox, client: Client) -> None:
            if trouble == "dies":
                break_writing(outbox, Killed(), {"settle", "release"})
            with suppress(Killed):
                await run_chunk(outbox, client, chunk)

        self.do(act)
        self.service.turns = []

    @rule(seconds=st.sampled_from([0.5, 5, 16, 100]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.passed += seconds

    @rule()
    def look(self) -> None:
        """Start a run, which first looks for claims of the dead; a budget keeps it from sending."""
        self.service.turns = [refusal(127)] * 9
        self.do(lambda outbox, client: outbox.run(client, concurrency=1).__anext__())
        self.service.turns = []

    @rule(states=st.sets(st.sampled_from(RESENDABLE)))
    def resend(self, states: set[State]) -> None:
        """Ask for some again, by name."""
        before = {n: s for n, (s, _) in self.stored().items() if s in states}
        self.do(lambda outbox, _: outbox.resend(tuple(states)))
        for position in before:
            self.resent[self.stored()[position][1]] += 1
            self.before[position] = State.PENDING

    @rule()
    def cancel(self) -> None:
        """Take back what is pending."""
        self.do(lambda outbox, _: outbox.cancel())
        assert State.PENDING not in {state for state, _ in self.stored().values()}

    def stored(self) -> dict[int, tuple[State, str]]:
        """Give state and number of each intent; in a chunk that is settled none is pending."""
        with closing(sqlite3.connect(self.path)) as db:
            if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                return {}
            rows = db.execute(
                "SELECT position, CASE i.state WHEN 'pending' THEN c.state ELSE i.state END,"
                " destination FROM voxsms_intents i LEFT JOIN voxsms_chunks c ON c.id = i.chunk"
            ).fetchall()
        return {position: (State(state), number) for position, state, number in rows}

    @invariant()
    def nobody_twice_and_nobody_lost(self) -> None:
        """More than one message only where a person asked for it; and the books agree."""
        for position, (state, number) in self.stored().items():
            assert self.delivered[number] <= 1 + self.resent[number]
            if state is State.SENT:
                assert self.delivered[number]
            if state in {State.PENDING, State.REFUSED} and not self.resent[number]:
                assert not self.delivered[number]
            before = self.before.get(position, State.PENDING)
            assert state in reachable(before, resent=False)
            self.before[position] = state

    def teardown(self) -> None:
        """Remove the file."""
        self.directory.cleanup()


@pytest.mark.slow
def test_the_rule_is_kept_whatever_happens() -> None:
    """Processes that die, answers that come late, chunks that are run again and again."""
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples(40), stateful_step_count=15, deadline=None)
    )
