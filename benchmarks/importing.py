"""`import voxsms` beside the import of what it stands on, in fresh processes, taken in turn."""

import argparse
import statistics
import subprocess
import sys
import time

BASE = "import httpx, attrs, cattrs, anyio, orjson"
EVERYTHING = "from voxsms import Client"


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own interpreter
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=25)
    rounds = arguments.parse_args().rounds
    found: dict[str, list[float]] = {"pass": [], BASE: [], "import voxsms": [], EVERYTHING: []}
    for code in found:
        _seconds(code)
    for _ in range(rounds):
        for code, seconds in found.items():
            seconds.append(_seconds(code))
    empty, base, ours, client = (statistics.median(seconds) for seconds in found.values())
    print("| import | ms | ratio |")
    print("| --- | --- | --- |")
    print(f"| httpx, attrs, cattrs, anyio, orjson | {(base - empty) * 1000:.0f} | 1.00 |")
    print(
        f"| import voxsms | {(ours - empty) * 1000:.0f} | {(ours - empty) / (base - empty):.2f} |"
    )
    ratio = (client - empty) / (base - empty)
    print(f"| from voxsms import Client | {(client - empty) * 1000:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
