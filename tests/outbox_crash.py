"""The crash test: a mailing whose processes are killed at random moments, and its reckoning.

python tests/outbox_crash.py mailing.db --people 20000 --kills 30
python tests/outbox_crash.py postgresql://... --people 20000 --kills 30 --workers 2
"""

import argparse
import asyncio
import multiprocessing
import random
import time
from collections import Counter
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import attrs
import outbox_child

from voxsms import Client, Outbox
from voxsms.outbox import OutboxSummary, State
from voxsms.sandbox import Sandbox, serve

FAULTS = {
    "ok": 30,
    "read_then_close": 1,
    "read_then_reset": 1,
    "commit_then_close": 1,
    "commit_then_reset": 1,
    "commit_then_half": 1,
    "commit_then_html": 1,
    "commit_then_error": 1,
    "http_error": 1,
    # Each halves the rate, for seconds.
    "http_429": 0.05,
    "rate_limited": 0.05,
}
"""What a request meets, and how often beside the others."""
SETTLED = {State.SENT, State.REFUSED, State.PRESUMED_NOT_SENT}


@attrs.frozen(kw_only=True)
class Mailing:
    """What is sent, and how often its processes are killed."""

    where: str
    people: int
    kills: int
    workers: int = 1
    method: Literal["a2p_send_sms", "send_sms_message"] = "a2p_send_sms"
    repeated: int = 0
    """Numbers that stand twice."""
    chunk_size: int = 20
    deadline: float = 1.0
    seed: int = 0

    @property
    def numbers(self) -> list[str]:
        """Whom it goes to."""
        once = [f"4477{n:08d}" for n in range(self.people)]
        return once + once[: self.repeated]


async def send(mailing: Mailing) -> tuple[OutboxSummary, int]:
    """Send it, with kills and faults; check the outbox against the ledger, row by row.

    Returned is also how many messages were under way when their process was killed.
    """
    draw = random.Random(mailing.seed)  # noqa: S311 - a test's dice
    source = "VOXSMS" if mailing.method == "a2p_send_sms" else "447443332211"
    async with serve(balance=10**6) as sandbox, _client(sandbox) as client:
        if mailing.method == "send_sms_message":
            await client.control_sms(phone_number=source, command="enable")
        before = sandbox.balance
        async with Outbox.open(mailing.where) as outbox:
            rows = [("See you", number) for number in mailing.numbers]
            await outbox.add(
                rows,
                source=source,
                method=mailing.method,
                key="m",
                chunk_size=mailing.chunk_size,
            )
            await asyncio.to_thread(_kill_and_resume, mailing, sandbox, draw)
            sandbox.faults.clear()
            await outbox.run(client)
            doubts = [intent.error async for intent in outbox.intents("unknown")]
            died = sum("ended without recording the outcome" in (error or "") for error in doubts)
            while (await outbox.reconcile(client, settle_after=timedelta(0))).open:  # noqa: ASYNC110 - time passes
                await asyncio.sleep(0.2)
            summary = await outbox.summary()
            await _check(outbox, sandbox, mailing)
            # The prices of one that died before it had them come with the history.
            await outbox.track(client)
            assert (await outbox.summary()).cost == before - sandbox.balance
    return summary, died


def _client(sandbox: Sandbox) -> Client:
    return Client(sandbox.api_key, base_url=sandbox.url)


def _kill_and_resume(mailing: Mailing, sandbox: Sandbox, draw: random.Random) -> int:
    """Start the processes again and again, and kill one of them in the midst of sending."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["outbox_child"])
    key = sandbox.api_key
    arguments = (mailing.where, sandbox.url, key.account_id, key.api_key, mailing.deadline)
    method = "A2PSendSms" if mailing.method == "a2p_send_sms" else "SendSmsMessage"
    calls = max(2, len(mailing.numbers) // mailing.chunk_size // (mailing.kills + 2))
    running: list[BaseProcess] = []
    kills = 0
    while kills < mailing.kills:
        if len(sandbox.faults.pending) < 2 * calls:
            drawn = draw.choices([*FAULTS], [*FAULTS.values()], k=4 * calls)
            sandbox.faults.script([f"{kind}@{method}" for kind in drawn])
        while len(running) < mailing.workers:
            process: BaseProcess = context.Process(
                target=outbox_child.run, args=arguments, daemon=True
            )
            process.start()
            running.append(process)
        # By what was sent and not by time: how busy the machine is decides nothing.
        enough = sandbox.ledger.requests[method] + draw.randint(1, calls)
        ends = time.monotonic() + 120
        while sandbox.ledger.requests[method] < enough and any(p.is_alive() for p in running):
            assert time.monotonic() < ends, "nothing is sent any more"
            time.sleep(0.001)
        victim: BaseProcess = running.pop(draw.randrange(len(running)))
        assert victim.is_alive(), "nothing was left to send: fewer kills, or more people"
        victim.kill()
        victim.join()
        kills += 1
    for process in running:
        process.kill()
        process.join()
    return kills


async def _check(outbox: Outbox, sandbox: Sandbox, mailing: Mailing) -> None:
    asked = Counter(mailing.numbers)
    got = Counter(delivery.destination for delivery in sandbox.ledger.deliveries)
    twice = {number: count for number, count in got.items() if count > asked[number]}
    assert not twice, f"doubles: {len(twice)}"
    by_id = {delivery.message_id: delivery for delivery in sandbox.ledger.deliveries}
    told: Counter[str] = Counter()
    in_doubt: Counter[str] = Counter()
    async for intent in outbox.intents():
        told[intent.destination] += 1
        if intent.state is State.SENT:
            assert intent.message_id is not None
            assert by_id.pop(intent.message_id).destination == intent.destination
        elif intent.state is State.AMBIGUOUS:
            in_doubt[intent.destination] += 1
        else:
            assert intent.state in SETTLED, intent.state
    assert told == asked, "lost"
    # What is left in the ledger belongs to a number that stands twice and could not be told apart.
    for delivery in by_id.values():
        assert in_doubt[delivery.destination]


def main() -> None:
    """Run it by hand."""
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--method", default="a2p_send_sms")
    parser.add_argument("--repeated", type=int, default=0)
    parser.add_argument("--chunk-size", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    if "://" not in given["where"]:
        Path(given["where"]).unlink(missing_ok=True)
    began = time.monotonic()
    summary, died = asyncio.run(send(Mailing(**given)))
    print(f"{time.monotonic() - began:.0f} s, {died} were under way when killed: {summary}")  # noqa: T201 - its result


if __name__ == "__main__":
    main()
