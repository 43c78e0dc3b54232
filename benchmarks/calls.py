"""Calls: voxsms on each transport beside its raw library, in the same run.

`python benchmarks/calls.py` prints calls a second and CPU a call at 1, 10 and 100 in flight, and
the time of a burst of 1,000 calls awaited at once.
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
from loopback import pin, server

import voxsms
from voxsms.transport.seam import Transport

SOURCE, DESTINATION, TEXT = "447443332211", "447443332212", "Hello"
FORM = {"source": SOURCE, "destination": DESTINATION, "sms_body": TEXT}
CREDENTIALS = {"account_id": "1", "api_key": "invented"}
Call = Callable[[], Awaitable[object]]


@attrs.frozen
class Figure:
    """What was measured of one client."""

    name: str
    rate: dict[int, float]
    cpu: dict[int, float]
    burst: float
    loop_of_20: float


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


async def _measure(
    name: str, open_: Callable[[AsyncExitStack], Awaitable[Call]], calls: int, *, burst: bool
) -> Figure:
    rate: dict[int, float] = {}
    cpu: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        call = await open_(stack)
        await _in_flight(call, 2, 50)
        for tasks in (1, 10, 100):
            wall, used = time.perf_counter(), time.process_time()
            await _in_flight(call, tasks, calls)
            rate[tasks] = calls / (time.perf_counter() - wall)
            cpu[tasks] = (time.process_time() - used) / calls * 1e6
        wall = time.perf_counter()
        await _in_flight(call, 20, 1000)
        loop_of_20 = time.perf_counter() - wall
    at_once = float("nan")
    if burst:
        async with AsyncExitStack() as stack:
            call = await open_(stack)
            wall = time.perf_counter()
            await asyncio.gather(*(call() for _ in range(1000)))
            at_once = time.perf_counter() - wall
    return Figure(name, rate, cpu, at_once, loop_of_20)


def _clients(url: str) -> dict[str, Callable[[AsyncExitStack], Awaitable[Call]]]:
    from voxsms.transport.aiohttp_session import AiohttpTransport

    return {
        "raw httpx": lambda stack: _httpx(url, stack),
        "voxsms, httpx": lambda stack: _voxsms(url, stack, voxsms.HttpxTransport()),
        "raw httpx2": lambda stack: _httpx2(url, stack),
        "voxsms, httpx2": lambda stack: _voxsms(url, stack, voxsms.Httpx2Transport()),
        "raw aiohttp": lambda stack: _aiohttp(url, stack),
        "voxsms, aiohttp": lambda stack: _voxsms(url, stack, AiohttpTransport()),
    }


def _median(figures: list[Figure]) -> Figure:
    def middle(pick: Callable[[Figure], float]) -> float:
        return statistics.median(pick(figure) for figure in figures)

    levels = (1, 10, 100)
    return Figure(
        figures[0].name,
        {n: statistics.median(f.rate[n] for f in figures) for n in levels},
        {n: statistics.median(f.cpu[n] for f in figures) for n in levels},
        middle(lambda f: f.burst),
        middle(lambda f: f.loop_of_20),
    )


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=1500)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--slow-burst", action="store_true", help="raw httpx's burst too (20 s)")
    given = arguments.parse_args()
    pin(0)
    with server() as url:
        clients = _clients(url)
        found: dict[str, list[Figure]] = {name: [] for name in clients}
        for round_ in range(given.rounds):
            for name, open_ in clients.items():
                burst = not name.startswith("raw httpx") or (given.slow_burst and not round_)
                found[name].append(asyncio.run(_measure(name, open_, given.calls, burst=burst)))
    heads = "client | 1 /s | 10 /s | 100 /s | CPU us at 1 | at 10 | at 100 | burst of 1,000 s"
    print(f"| {heads} | 20 tasks s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for figures in found.values():
        f = _median(figures)
        cells = [f"{f.rate[n]:,.0f}" for n in f.rate] + [f"{f.cpu[n]:.0f}" for n in f.cpu]
        print(f"| {f.name} | {' | '.join(cells)} | {f.burst:.2f} | {f.loop_of_20:.2f} |")


if __name__ == "__main__":
    main()
