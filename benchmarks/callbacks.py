"""Callbacks read and verified, beside `json.loads` and `hashlib` alone in the same run.

`python benchmarks/callbacks.py`
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from voxsms import CallbackInvalid, SignatureInvalid
from voxsms.webhooks import MAX_BODY, CallbackSecret, parse

SECRET = CallbackSecret("a-salt-of-the-benchmark", 1, "a-key-of-the-benchmark")
POSTS, ROUNDS = 2000, 7


def post(callback_id: int, count: int) -> bytes:
    """Return the body of a signed post of inbound messages."""
    ids = range(callback_id, callback_id + count)
    return json.dumps(
        {
            "callbacks": [
                {
                    "callback_id": each,
                    "account_id": 1,
                    "type": "sms_inbound",
                    "hash": SECRET.signature(each),
                    "balance": 12.5,
                    "currency": "USD",
                    "sms_inbound": {
                        "source_number": "447443332212",
                        "destination_number": "447443332211",
                        "sms_body": "STOP",
                    },
                }
                for each in ids
            ]
        }
    ).encode()


def floor(body: bytes) -> None:
    """Parse and hash, and look at nothing."""
    for item in json.loads(body)["callbacks"]:
        signed = f"a-salt-of-the-benchmark1a-key-of-the-benchmark{item['callback_id']}"
        hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


def rate(read: Callable[[bytes], object], posts: list[bytes], each: int) -> float:
    """Return the callbacks a second: the median of some rounds."""
    found: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for body in posts:
            read(body)
        found.append(len(posts) * each / (time.perf_counter() - begun))
    return statistics.median(found)


PATTERNS = (
    b"1;", b"1", b";", b" ", b'"', b"\\\\", b'\\"', b"\\n", b"\\u", b"\\ud83d", b"\\ud83d\\n",
    b"[", b"{", b'{"a":', b"\x00", b"\xff", "\u00e9".encode(),
    b"1,", b"1.5,", b"null,", b'"1",', b"[],", b"{},", b"[[[[]]]],", b'{"a":1},',
)  # fmt: skip


def fill(pattern: bytes, item: dict[str, Any] | None = None) -> bytes:
    """Return a megabyte of a pattern, in place of "HOLE" in a callback or alone."""
    before, after = b"", b""
    if item is not None:
        hole = b'"HOLE"' if pattern.endswith(b",") else b"HOLE"
        before, _, after = write(item).partition(hole)
    if pattern.endswith(b","):
        before, after = before + b"[", b"0]" + after
    return before + pattern * ((MAX_BODY - len(before) - len(after)) // len(pattern)) + after


def write(*items: dict[str, Any]) -> bytes:
    """Return the body of a signed post."""
    return json.dumps(
        {
            "callbacks": [
                {"callback_id": at, "account_id": 1, "hash": SECRET.signature(at)} | item
                for at, item in enumerate(items)
            ]
        }
    ).encode()


def large_posts() -> list[bytes]:
    """Return posts as large as one may be, of every shape that was ever slow to read, and more."""
    known = {"id": 12, "source_number": "ACME", "status": "DELIVERED"}
    numbers = {"source_number": "447443332212", "destination_number": "447443332211"}
    text = {"type": "sms_inbound", "sms_inbound": numbers | {"sms_body": "HOLE"}}
    delivery = {"type": "a2p_sms_delivery", "d": known | {"destination_numbers": "HOLE"}}
    many = {"type": "a2p_sms_delivery", "d": known | {"destination_numbers": "1;" * 100}}
    listed = {"type": "a2p_sms_delivery", "d": known | {"destination_numbers": [1] * 100}}
    keys: dict[str, Any] = {f"k{number}": {} for number in range(75_000)}
    few: dict[str, Any] = {f"k{number}": {} for number in range(15)}
    like: dict[str, Any] = {f"k{number}": known | {"id": "x"} for number in range(9)}
    fields = ("hash", "callback_id", "account_id", "type", "balance", "currency")
    return [
        *(fill(pattern) for pattern in PATTERNS),
        *(fill(pattern, text) for pattern in PATTERNS),
        *(fill(pattern, delivery) for pattern in PATTERNS),
        *(fill(b"9", {"type": "x"} | {field: "HOLE"}) for field in fields),
        *(fill(b"1,", {"type": "x"} | {field: "HOLE"}) for field in fields),
        fill(b"9", {"type": "a2p_sms_delivery", "d": known | {"id": "HOLE"}}),
        write({"type": "x"} | keys),
        write({"type": "x", "outer": keys}),
        write(*[{"type": "x", "text": "x" * 900}] * 1000),
        *(write(*[each] * 1000) for each in (many, listed, {"type": "x"} | few)),
        write(*[{"type": "x"} | like] * 1000),
        write(*[{"type": "sms_inbound", "sms_inbound": numbers | {"sms_body": "x" * 700}}] * 1000),
    ]


def slowest() -> tuple[float, bytes]:
    """Return the seconds of the slowest large post, the best of some rounds, and the post."""
    return max((min(seconds(body) for _ in range(ROUNDS)), body) for body in large_posts())


def seconds(body: bytes) -> float:
    """Return the seconds of this process that a post takes to be read or refused."""
    begun = time.process_time()
    with suppress(CallbackInvalid, SignatureInvalid):
        parse(body, SECRET)
    return time.process_time() - begun


def main() -> None:
    """Measure posts of one callback, of many, and those that take longest."""
    for each in (1, 50):
        posts = [post(at * each, each) for at in range(POSTS // each)]
        ours = rate(lambda body: parse(body, SECRET), posts, each)
        least = rate(floor, posts, each)
        print(
            f"{each:3d} a post: {ours:8,.0f} callbacks a second, "
            f"json.loads and hashlib alone {least:8,.0f} ({ours / least:.2f})"
        )
    longest, body = slowest()
    print(
        f"the slowest of {len(large_posts())} shapes of up to 1 MiB: {longest * 1000:.0f} ms, "
        f"{len(body):,} bytes: {body[:20]!r}...{body[-60:]!r}"
    )


if __name__ == "__main__":
    main()
