"""Calls: voxsms on each transport beside its raw library, in the same run.

    python benchmarks/calls.py [--write]

It measures calls a second and CPU a call at 1, 10 and 100 in flight, the time of a burst of 1,000
calls awaited at once, and that of 20 tasks making the same calls in a loop. `--write` puts the
table into the documentation. What is measured has one core, the server the other.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import aiohttp
import attrs
import httpx
import httpx2
import tables
from loopback import pin, server

import voxsms
from voxsms.transport import Transport

SOURCE, DESTINATION, TEXT = "447443332211", "447443332212", "Hello"
FORM = {"source": SOURCE, "destination": DESTINATION, "sms_body": TEXT}
CREDENTIALS = {"account_id": "1", "api_key": "invented"}
Call = Callable[[], Awaitable[object]]


Open = Callable[[AsyncExitStack], Awaitable[Call]]
LEVELS = (1, 10, 100)
BURST = 1000
HEAD = [
    "client",
    *(f"{n} in flight" for n in LEVELS),
    f"{BURST:,} at once",
    "by 20 tasks",
    "CPU a call",
    "added",
]


@attrs.frozen
class Figures:
    """What was measured of one client in one round."""

    rate: dict[int, float]
    """Calls a second, by how many are in flight."""
    cpu: float
    """Microseconds of CPU a call, at 10 in flight."""
    burst: float | None
    """Seconds; None if it was left out."""
    loop_of_20: float


@attrs.frozen
class Pair:
    """A library, and voxsms on it."""

    library: str
    raw: Open
    voxsms: Open


async def _voxsms(url: str, stack: AsyncExitStack, transport: Transport) -> Call:
    client = voxsms.Client(
        voxsms.ApiKey(1, "invented"), url, transport=transport, timeout=120, deadline=120
    )
    await stack.enter_async_context(client)
    return lambda: client.send_sms_message(source=SOURCE, destination=DESTINATION, sms_body=TEXT)


async def _httpx(url: str, stack: AsyncExitStack) -> Call:
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=120))

    async def call() -> object:
        answer = await client.post(f"{url}/platform_api/SendSmsMessage/", data=FORM | CREDENTIALS)
        return answer.json()

    return call


async def _httpx2(url: str, stack: AsyncExitStack) -> Call:
    client = await stack.enter_async_context(httpx2.AsyncClient(timeout=120))

    async def call() -> object:
        answer = await client.post(f"{url}/platform_api/SendSmsMessage/", data=FORM | CREDENTIALS)
        return answer.json()

    return call


async def _aiohttp(url: str, stack: AsyncExitStack) -> Call:
    session = await stack.enter_async_context(aiohttp.ClientSession())

    async def call() -> object:
        body = urlencode(FORM | CREDENTIALS).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        target = f"{url}/platform_api/SendSmsMessage/"
        async with session.post(target, data=body, headers=headers) as answer:
            return await answer.json()

    return call


async def _in_flight(call: Call, tasks: int, calls: int) -> None:
    left = calls

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    await asyncio.gather(*(worker() for _ in range(tasks)))


async def _measure(open_: Open, calls: int, *, burst: bool) -> Figures:
    rate: dict[int, float] = {}
    cpu: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        call = await open_(stack)
        await _in_flight(call, 2, 50)
        for tasks in LEVELS:
            used = time.process_time()
            rate[tasks] = calls / await _seconds(_in_flight(call, tasks, calls))
            cpu[tasks] = (time.process_time() - used) / calls * 1e6
        loop_of_20 = await _seconds(_in_flight(call, 20, BURST))
    return Figures(rate, cpu[10], await _burst(open_) if burst else None, loop_of_20)


async def _burst(open_: Open) -> float:
    async with AsyncExitStack() as stack:
        call = await open_(stack)
        return await _seconds(asyncio.gather(*(call() for _ in range(BURST))))


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def pairs(url: str) -> list[Pair]:
    """Give each library and voxsms on it, to call a server."""
    from voxsms.transport._aiohttp import AiohttpTransport

    def ours(make: Callable[[], Transport]) -> Open:
        return lambda stack: _voxsms(url, stack, make())

    return [
        Pair("httpx", lambda stack: _httpx(url, stack), ours(voxsms.HttpxTransport)),
        Pair("httpx2", lambda stack: _httpx2(url, stack), ours(voxsms.Httpx2Transport)),
        Pair("aiohttp", lambda stack: _aiohttp(url, stack), ours(AiohttpTransport)),
    ]


@attrs.frozen
class Measured:
    """What was found of a pair, round for round."""

    pair: Pair
    raw: list[Figures] = attrs.field(factory=list[Figures])
    voxsms: list[Figures] = attrs.field(factory=list[Figures])

    def measure(self, calls: int) -> None:
        """Measure the two once more; raw httpx's burst, which takes 20 s, only once."""
        burst = self.pair.library != "httpx" or not self.raw
        self.raw.append(asyncio.run(_measure(self.pair.raw, calls, burst=burst)))
        self.voxsms.append(asyncio.run(_measure(self.pair.voxsms, calls, burst=True)))

    @property
    def added(self) -> float:
        """Microseconds of CPU that voxsms adds to a call."""
        rounds = zip(self.raw, self.voxsms, strict=True)
        return statistics.median(ours.cpu - its.cpu for its, ours in rounds)


def _line(name: str, rounds: list[Figures], added: str) -> list[str]:
    rates = [f"{statistics.median(f.rate[n] for f in rounds):,.0f}" for n in LEVELS]
    burst = statistics.median(f.burst for f in rounds if f.burst is not None)
    loop = statistics.median(f.loop_of_20 for f in rounds)
    cpu = statistics.median(f.cpu for f in rounds)
    return [name, *rates, f"{burst:.2f} s", f"{loop:.2f} s", f"{cpu:.0f} us", added]


def table(url: str, calls: int, rounds: int) -> str:
    """Measure all in turn, round for round, and render."""
    found = [Measured(pair) for pair in pairs(url)]
    for _ in range(rounds):
        for each in found:
            each.measure(calls)
    lines = [HEAD]
    for each in found:
        lines.append(_line(f"raw {each.pair.library}", each.raw, ""))
        lines.append(_line(f"voxsms, {each.pair.library}", each.voxsms, f"{each.added:+.0f} us"))
    return tables.rows(lines)


def main() -> None:
    """Measure and print, or write into the documentation."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=1500)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--write", action="store_true", help="put the table into the documentation"
    )
    given = arguments.parse_args()
    pin(0)
    with server() as url:
        measured = table(url, given.calls, given.rounds)
    print(measured)
    if given.write:
        size = f"{given.calls:,} calls a cell, median of {given.rounds} rounds"
        tables.put("throughput", measured, size)


if __name__ == "__main__":
    main()
