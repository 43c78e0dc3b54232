"""History rows: `async for` over typed rows beside the floor, on the same server in the same run.

The floor fetches the same pages with the same transport and only parses them with orjson.
`python benchmarks/history.py` prints rows a second and the ratio.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine

import orjson
from loopback import ROWS_A_PAGE, pin, server

import voxsms
from voxsms.transport import Evidence, Request, Timeouts


async def _floor(url: str, rows: int) -> int:
    transport = voxsms.HttpxTransport()
    seen = 0
    for offset in range(0, rows, ROWS_A_PAGE):
        request = Request(
            f"{url}/platform_api/GetSmsHistory/",
            {"Content-Type": "application/x-www-form-urlencoded"},
            f"count=1000&offset={offset}".encode(),
            charges=False,
            timeouts=Timeouts(),
        )
        answer = await transport.send(request, Evidence())
        seen += len(orjson.loads(answer.body)["result"])
    await transport.aclose()
    return seen


async def _typed(url: str, rows: int) -> int:
    seen = 0
    async with voxsms.Client(voxsms.ApiKey(1, "invented"), url) as client:
        async for _ in client.get_sms_history(count=ROWS_A_PAGE):
            seen += 1
    assert seen == rows
    return seen


def _rate(run: Callable[[str, int], Coroutine[None, None, int]], url: str, rows: int) -> float:
    began = time.perf_counter()
    seen = asyncio.run(run(url, rows))
    return seen / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    pin(0)
    with server(rows=given.rows) as url:
        found = [
            (_rate(_floor, url, given.rows), _rate(_typed, url, given.rows))
            for _ in range(given.rounds)
        ]
    floor, typed = (statistics.median(rates) for rates in zip(*found, strict=True))
    ratio = statistics.median(t / f for f, t in found)
    print("| reading | rows a second | of the floor |")
    print("| --- | --- | --- |")
    print(f"| floor: fetch and orjson | {floor:,.0f} | 1.00 |")
    print(f"| async for, typed rows | {typed:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
