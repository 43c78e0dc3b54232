"""An outbox beside the same sends made directly with a client; adding, memory, the shared rate.

    python benchmarks/outbox.py [add] [cost] [rate] [memory] [--people 20000] [--postgres URL]

`cost` sends to a sandbox in a process of its own, with answers at once, after 50 ms and after
200 ms; each way with the same number of calls under way. At once nothing is waited for, so on two
cores it compares what client, sandbox and database compute. CPU is that of the processes that send:
where others use the machine it says more than the time. Without `--postgres` a server of Debian's
`postgresql` is started, which writes to the disk as a real one does.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import anyio
import attrs
import orjson
import psycopg
import tables
from loopback import http_answer, server

import voxsms
from voxsms.api.codec import Answer
from voxsms.outbox import run_worker
from voxsms.sandbox import serve
from voxsms.transport import Evidence, Request

sys.path.append(str(Path(__file__).parents[1] / "tests"))

SOURCE, TEXT = "VOXSMS", "See you at six"
CONCURRENCY, CHUNK = 8, 100
DELAYS = (0.0, 0.05, 0.2)
LEAST_ROWS = {"SQLite": 50_000, "PostgreSQL": 30_000}
RATE, RATE_SECONDS = 200.0, 10.0
CONTEXT = multiprocessing.get_context("spawn")


def numbers(count: int) -> Iterator[str]:
    """Give so many numbers."""
    return (f"4477{n:08d}" for n in range(count))


def empty(where: str) -> None:
    """Remove an outbox."""
    if "://" in where:
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
    else:
        for suffix in ("", "-wal", "-shm"):
            Path(where + suffix).unlink(missing_ok=True)


async def fill(outbox: voxsms.Outbox, people: int, chunk_size: int = CHUNK) -> None:
    """Add so many messages."""
    rows = ((TEXT, number) for number in numbers(people))
    added = await outbox.add(rows, source=SOURCE, key="mailing", chunk_size=chunk_size)
    assert added.accepted == people


# --- processes ------------------------------------------------------------------------------------


class Slow(voxsms.HttpxTransport):
    """A network on which each answer takes a while."""

    delay = 0.0

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Send it, and wait."""
        answer = await super().send(request, evidence)
        if self.delay:
            await anyio.sleep(self.delay)
        return answer


@attrs.frozen
class Service:
    """Where to send to."""

    url: str
    account_id: int = 1
    api_key: str = "invented"
    delay: float = 0.0

    def client(self) -> voxsms.Client:
        """Make a client."""
        transport = Slow()
        transport.delay = self.delay
        key = voxsms.ApiKey(self.account_id, self.api_key)
        return voxsms.Client(key, self.url, transport=transport)


def _serve(told: "Queue[Service]") -> None:
    async def main() -> None:
        async with serve(balance=10**9) as sandbox:
            key = sandbox.api_key
            told.put(Service(sandbox.url, key.account_id, key.api_key))
            await anyio.sleep_forever()

    asyncio.run(main())


@contextmanager
def sandbox() -> Iterator[Service]:
    """Run a sandbox in a process of its own."""
    told: Queue[Service] = CONTEXT.Queue()
    process = CONTEXT.Process(target=_serve, args=(told,), daemon=True)
    process.start()
    yield told.get()
    process.kill()
    process.join()


def _work(
    where: str,
    service: Service,
    concurrency: int,
    rate: float | None,
    start: Event,
    told: "Queue[Any]",
) -> None:
    import procrastinate  # noqa: F401 - what starting takes is no cost of a call

    async def main() -> None:
        async with service.client() as client, voxsms.Outbox.open(where) as outbox:
            told.put(None)
            start.wait()
            before = time.process_time()
            await run_worker(
                outbox, client, concurrency=concurrency, rate=rate, wait=rate is not None
            )
            told.put(time.process_time() - before)

    asyncio.run(main())


def work(where: str, service: Service, workers: int) -> tuple[float, float]:
    """Run worker processes until nothing is left; return seconds, and those of CPU."""
    told: Queue[Any] = CONTEXT.Queue()
    start = CONTEXT.Event()
    arguments = (where, service, CONCURRENCY // workers, None, start, told)
    processes = [CONTEXT.Process(target=_work, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for _ in processes:
        told.get()
    began = time.perf_counter()
    start.set()
    used = [told.get() for _ in processes]
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds, sum(used)


# --- what it costs --------------------------------------------------------------------------------


async def _direct(service: Service, people: int) -> None:
    listed = [*numbers(people)]
    chunks = iter([listed[n : n + CHUNK] for n in range(0, people, CHUNK)])

    async def send(client: voxsms.Client) -> None:
        for chunk in chunks:
            await client.a2p_send_sms(src_number=SOURCE, dst_numbers=chunk, text=TEXT)

    async with service.client() as client, anyio.create_task_group() as group:
        for _ in range(CONCURRENCY):
            group.start_soon(send, client)


async def _run(where: str, service: Service) -> None:
    async with service.client() as client, voxsms.Outbox.open(where) as outbox:
        await outbox.run(client, concurrency=CONCURRENCY)


def timed(run: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Return the seconds that something takes, and those of CPU."""
    began, used = time.perf_counter(), time.process_time()
    asyncio.run(run())  # type: ignore[arg-type] # all are coroutine functions
    return time.perf_counter() - began, time.process_time() - used


async def _fill(where: str, people: int) -> None:
    async with voxsms.Outbox.open(where) as outbox:
        await fill(outbox, people)


async def _check(where: str, people: int) -> None:
    async with voxsms.Outbox.open(where) as outbox:
        summary = await outbox.summary()
        assert summary.sent == people, summary


def cost(file: str, url: str, people: int, rounds: int) -> str:
    """Measure each way in turn, round for round; return the table."""
    lines = [["answers take", "way", "calls a second", "beside direct", "CPU a call"]]
    with sandbox() as fast:
        for service in [attrs.evolve(fast, delay=delay) for delay in DELAYS]:
            ways: dict[str, tuple[str, Callable[[], tuple[float, float]]]] = {
                "client alone": ("", lambda: timed(partial(_direct, service, people))),  # noqa: B023 - called in this round
                "SQLite": (file, lambda: timed(partial(_run, file, service))),  # noqa: B023 - the same
                "PostgreSQL": (url, lambda: timed(partial(_run, url, service))),  # noqa: B023 - the same
                "PostgreSQL, 1 worker": (url, lambda: work(url, service, 1)),  # noqa: B023 - the same
                "PostgreSQL, 2 workers": (url, lambda: work(url, service, 2)),  # noqa: B023 - the same
            }
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            timed(partial(_direct, service, people // 10))
            for _ in range(rounds):
                for name, (where, measure) in ways.items():
                    if where:
                        empty(where)
                        asyncio.run(_fill(where, people))
                    found[name].append(measure())
                    if where:
                        asyncio.run(_check(where, people))
            direct = found["client alone"]
            for name, measured in found.items():
                beside = statistics.median(
                    its[0] / base[0] for its, base in zip(measured, direct, strict=True)
                )
                calls = people / CHUNK
                seconds, used = (statistics.median(each) for each in zip(*measured, strict=True))
                lines.append(
                    [
                        f"{service.delay * 1000:.0f} ms",
                        name,
                        f"{calls / seconds:,.0f}",
                        f"{beside:.2f}",
                        f"{used / calls * 1000:.1f} ms",
                    ]
                )
    return tables.rows(lines)


# --- adding, and memory ---------------------------------------------------------------------------


class Accepting:
    """Accepts every send."""

    def __call__(self, _: bytes, body: bytes) -> bytes:
        """Answer it."""
        fields = dict(field.split(b"=", 1) for field in body.split(b"&"))
        listed = fields.get(b"dst_numbers", b"").replace(b"%3B", b";").decode()
        sent = [
            {"message_id": int(each), "destination_number": each}
            for each in listed.split(";")
            if each
        ]
        return http_answer(orjson.dumps({"result": sent, "failed": [], "fragments_count": 1}))


def _measure_add(where: str, people: int, url: str | None, told: "Queue[Any]") -> None:
    async def main() -> None:
        async with voxsms.Outbox.open(where) as outbox:
            began, used = time.perf_counter(), time.process_time()
            await fill(outbox, people)
            told.put((time.perf_counter() - began, time.process_time() - used, _peak()))
            if url:
                async with Service(url).client() as client:
                    await outbox.run(client)
                told.put(_peak())

    asyncio.run(main())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_add(where: str, people: int, url: str | None = None) -> list[Any]:
    """Add messages in a process of its own, and with a URL send them there."""
    empty(where)
    told: Queue[Any] = CONTEXT.Queue()
    process = CONTEXT.Process(target=_measure_add, args=(where, people, url, told))
    process.start()
    found = [told.get() for _ in range(2 if url else 1)]
    process.join()
    return found


def adding(places: dict[str, str], people: int, rounds: int) -> str:
    """Measure how fast rows are added; return the table."""
    lines = [["store", "rows a second", "promised", "CPU a row"]]
    for name, where in places.items():
        found = [measure_add(where, people)[0] for _ in range(rounds)]
        seconds, used, _ = (statistics.median(each) for each in zip(*found, strict=True))
        promised = f"{LEAST_ROWS[name]:,}"
        rate = f"{people / seconds:,.0f}"
        lines.append([name, rate, promised, f"{used / people * 1e6:.1f} us"])
    return tables.rows(lines)


def memory(places: dict[str, str], sizes: Sequence[int]) -> str:
    """Measure the most memory that adding and running take; return the table."""
    lines = [["store", "messages", "after add", "after run"]]
    with server(make=Accepting) as url:
        for name, where in places.items():
            for people in sizes:
                (_, _, added), ran = measure_add(where, people, url)
                lines.append([name, f"{people:,}", f"{added:.0f} MB", f"{ran:.0f} MB"])
    return tables.rows(lines)


# --- the shared rate ------------------------------------------------------------------------------


async def rate(url: str) -> str:
    """Have two workers send at a shared rate; count in the sandbox what comes in ten seconds."""
    empty(url)
    async with serve(balance=10**9) as box, voxsms.Outbox.open(url) as outbox:
        await fill(outbox, int(RATE * (RATE_SECONDS + 10)), chunk_size=5)
        key = box.api_key
        service = Service(box.url, key.account_id, key.api_key)
        told: Queue[Any] = CONTEXT.Queue()
        start = CONTEXT.Event()
        start.set()
        arguments = (url, service, CONCURRENCY, RATE, start, told)
        processes = [CONTEXT.Process(target=_work, args=arguments) for _ in range(2)]
        for process in processes:
            process.start()
        while box.ledger.count < RATE:  # noqa: ASYNC110 - they start
            await anyio.sleep(0.01)
        before, began = box.ledger.count, time.perf_counter()
        await anyio.sleep(RATE_SECONDS)
        found = (box.ledger.count - before) / (time.perf_counter() - began)
        for process in processes:
            process.kill()
            process.join()
    return f"{found:.1f} messages a second, of {RATE:.0f}: {found / RATE - 1:+.1%}"


def main() -> None:
    """Measure and print."""
    parts = ("add", "cost", "rate", "memory")
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", help=", ".join(parts))
    arguments.add_argument("--people", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--postgres", help="URL of a database that may be emptied")
    given = arguments.parse_args()
    chosen = given.parts or parts
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        if given.postgres is None:
            import postgres

            given.postgres = stack.enter_context(postgres.server(fsync=True))
        places = {"SQLite": f"{place}/mailing.db", "PostgreSQL": given.postgres}
        print(f"{tables.machine()}, load {os.getloadavg()[0]:.1f}\n")
        if "add" in chosen:
            print(adding(places, 5 * given.people, given.rounds), "\n")
        if "cost" in chosen:
            file, url = places.values()
            print(cost(file, url, given.people, given.rounds), "\n")
        if "rate" in chosen:
            print(asyncio.run(rate(given.postgres)), "\n")
        if "memory" in chosen:
            print(memory(places, (100_000, 1_000_000)))


if __name__ == "__main__":
    main()
