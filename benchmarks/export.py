"""A whole history into a file, beside the floor, the typed rows and the vendor's SDK.

`python benchmarks/export.py` prints rows a second on one server in one run, the same against a
server that takes 100 ms a page, and what an export of a sandbox's history takes in memory, checked
row for row. The floor fetches the same pages with the same transport and only parses them. With
`--check` it ends with 1 if a figure is worse than what is promised; `--sandbox` and `--speed` do
one part alone; `--write` puts the first table into the documentation.
"""

import argparse
import asyncio
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import orjson
import tables
from history import _floor, _typed
from loopback import pin, server
from timeline import Timeline

import voxsms
from voxsms.sandbox import serve

Run = Callable[[str, str, int], int]
"""Takes a directory to write in, the server's URL and how many rows it has."""
FORMATS = ("jsonl", "csv", "parquet")
END = datetime(2026, 11, 1, tzinfo=UTC)
START = END - timedelta(days=730)
VENDOR_ROWS = 20_000
OF_FLOOR = {"async for, typed rows": 0.45, "export to jsonl": 0.6, "export to parquet": 0.4}
OF_VENDOR = 14.0
AT_100_MS = 6.0
MOST_MB = 200.0
MOST_GROWTH = 1.15
"""Of memory, from a fifth of the rows to all: flat, but for noise."""


async def _export(url: str, path: str, account_id: int = 1, api_key: str = "invented") -> int:
    async with voxsms.Client(voxsms.ApiKey(account_id, api_key), url) as client:
        return (await voxsms.export_history(client, "sms", path, to_date=END)).rows


def _exported(format_: str, place: str, url: str, rows: int) -> int:
    found = asyncio.run(_export(url, f"{place}/history.{format_}"))
    assert found == rows
    return found


def _ran(run: Callable[[str, int], Awaitable[int]], _: str, url: str, rows: int) -> int:
    return asyncio.run(run(url, rows))  # type: ignore[arg-type] # both are coroutine functions


def _vendor(place: str, url: str, _: int) -> int:
    """Read pages with the vendor's SDK, its reading of dates put right."""
    sdk: Any = import_module("voximplant.apiclient.client")
    post = httpx.post

    def post_in_clear(_: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        return post(f"{url}/platform_api/GetSmsHistory/", **options)

    sdk.httpx.post = post_in_clear
    with serve() as sandbox:
        credentials = str(sandbox.save_credentials(f"{place}/credentials.json"))
        api = sdk.VoximplantAPI(credentials, endpoint=url.removeprefix("http://"))
        api._api_date_to_py = api._api_datetime_utc_to_py  # noqa: SLF001 - its bug
        seen = sum(
            len(api.get_sms_history(count=1000, offset=offset)["result"])
            for offset in range(0, VENDOR_ROWS, 1000)
        )
    sdk.httpx.post = post
    assert seen == VENDOR_ROWS
    return seen


def _rate(run: Run, url: str, rows: int) -> float:
    with tempfile.TemporaryDirectory() as place:  # to remove it again is nobody's work
        began = time.perf_counter()
        return run(place, url, rows) / (time.perf_counter() - began)


def _missed(name: str, figure: float, limit: float, *, least: bool = True) -> list[str]:
    """Say that a figure is worse than its limit, if it is."""
    if figure >= limit if least else figure <= limit:
        return []
    return [f"{name}: {figure:.2f}, promised is {'at least' if least else 'at most'} {limit:g}"]


def speed(rows: int, rounds: int, *, write: bool) -> list[str]:
    """Compare on a server that answers at once."""
    missed: list[str] = []
    lines = [["reading", "rows a second", "of the floor", "times the vendor's SDK"]]
    runs: dict[str, Run] = {
        "floor: fetch and orjson": partial(_ran, _floor),
        "async for, typed rows": partial(_ran, _typed),
        **{f"export to {each}": partial(_exported, each) for each in FORMATS},
        "vendor's SDK, patched": _vendor,
    }
    with server(make=partial(Timeline, rows)) as url:
        found = [[_rate(run, url, rows) for run in runs.values()] for _ in range(rounds)]
    for name, *rates in zip(runs, *found, strict=True):
        floor, vendor = ([each[n] for each in found] for n in (0, -1))
        of_floor = statistics.median(a / b for a, b in zip(rates, floor, strict=True))
        of_vendor = statistics.median(a / b for a, b in zip(rates, vendor, strict=True))
        rate = f"{statistics.median(rates):,.0f}"
        lines.append([name, rate, f"{of_floor:.2f}", f"{of_vendor:.1f}"])
        missed += _missed(f"{name}, of the floor", of_floor, OF_FLOOR.get(name, 0.0))
        if name.startswith("export"):
            missed += _missed(f"{name}, times the vendor's SDK", of_vendor, OF_VENDOR)
    print(tables.rows(lines))
    if write:
        tables.put("export", tables.rows(lines), f"{rows:,} rows, median of {rounds} rounds")
    return missed


def latency(rows: int) -> list[str]:
    """Compare with one page at a time, where each takes 100 ms."""
    with server(make=partial(Timeline, rows), delay=0.1) as url:
        one = _rate(partial(_ran, _floor), url, rows)
        many = _rate(partial(_exported, "jsonl"), url, rows)
    print(f"\n100 ms a page: {one:,.0f} rows a second one page at a time, {many:,.0f} exported,")
    print(f"{many / one:.1f} times as many.")
    return _missed("at 100 ms a page, times one page at a time", many / one, AT_100_MS)


def _rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Give each row of a file with its fields as the JSON of the service has them."""
    if path.suffix == ".jsonl":
        with path.open("rb") as lines:
            yield from map(orjson.loads, lines)
    elif path.suffix == ".csv":
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                assert row.pop("currency") == "USD"  # the account's, not the row's
                yield {name: _of_cell(name, cell) for name, cell in row.items() if cell}
    else:
        parquet: Any = import_module("pyarrow.parquet")
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                assert row.pop("currency") == "USD"
                time_ = f"{row['processed_date']:%Y-%m-%d %H:%M:%S}"
                row |= {"cost": float(row["cost"]), "processed_date": time_}
                yield {name: value for name, value in row.items() if value is not None}


def _of_cell(name: str, cell: str) -> object:
    if name == "cost":
        return float(cell)
    return int(cell) if name in ("message_id", "fragments", "transaction_id") else cell


def _same(running: Any, path: Path) -> bool:  # noqa: ANN401 - a sandbox
    """Compare every field of every row with the sandbox's books, not by way of what is measured."""
    db = running._running.account.db  # noqa: SLF001
    rows = db.execute("SELECT json FROM messages ORDER BY at, id")
    pairs = zip_longest((orjson.loads(text) for (text,) in rows), _rows_of(path))
    return all(wanted == found for wanted, found in pairs)


def _child(url: str, account: str, key: str, path: str) -> None:
    began = time.perf_counter()
    rows = asyncio.run(_export(url, path, int(account), key))
    seconds = time.perf_counter() - began
    # Not `ru_maxrss`: a new program begins there with the peak of the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"rows": rows, "seconds": seconds, "peak": peak}))


def sandbox(sizes: list[int]) -> list[str]:
    """Export a sandbox's history, check every row, and measure memory."""
    missed: list[str] = []
    first: dict[str, float] = {}
    print("\n| sandbox | format | rows a second | peak RSS MB | complete and exact |")
    print("| --- | --- | --- | --- | --- |")
    for size in sizes:
        with serve() as running, tempfile.TemporaryDirectory() as place:
            running.fill_history("sms", size, start=START, end=END)
            key = running.api_key
            for format_ in FORMATS:
                path = Path(place, f"history.{format_}")
                account = [running.url, str(key.account_id), key.api_key, str(path)]
                command = [sys.executable, __file__, "--child", *account]
                ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
                told = json.loads(ended.stdout)
                assert told["rows"] == size
                assert _same(running, path)
                rate = told["rows"] / told["seconds"]
                print(f"| {size:,} | {format_} | {rate:,.0f} | {told['peak']:.0f} | yes |")
                growth = told["peak"] / first.setdefault(format_, told["peak"])
                name = f"{size:,} rows to {format_}"
                missed += _missed(f"{name}, peak RSS MB", told["peak"], MOST_MB, least=False)
                missed += _missed(f"{name}, growth of memory", growth, MOST_GROWTH, least=False)
    return missed


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--slow-rows", type=int, default=200_000)
    arguments.add_argument("--check", action="store_true", help="end with 1 if a figure is missed")
    arguments.add_argument(
        "--write", action="store_true", help="the first table to the documentation"
    )
    arguments.add_argument("--speed", action="store_true", help="only rows a second")
    arguments.add_argument("--sandbox", action="store_true", help="only the sandbox's history")
    arguments.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        _child(*given.child)
        return
    missed: list[str] = []
    if not given.sandbox:
        cores = os.sched_getaffinity(0)
        pin(0)
        missed += speed(given.rows, given.rounds, write=given.write)
        missed += latency(given.slow_rows)
        os.sched_setaffinity(0, cores)
    if not given.speed:
        missed += sandbox([given.rows // 5, given.rows])
    print(*(f"\nmissed: {each}" for each in missed))
    if given.check and missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
