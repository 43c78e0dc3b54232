"""Callbacks read and verified, beside `json.loads` and `hashlib` alone in the same run.

`python benchmarks/callbacks.py`
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable

from voxsms.webhooks import CallbackSecret, parse

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


def main() -> None:
    """Measure posts of one callback and of many."""
    for each in (1, 50):
        posts = [post(at * each, each) for at in range(POSTS // each)]
        ours = rate(lambda body: parse(body, SECRET), posts, each)
        least = rate(floor, posts, each)
        print(
            f"{each:3d} a post: {ours:8,.0f} callbacks a second, "
            f"json.loads and hashlib alone {least:8,.0f} ({ours / least:.2f})"
        )


if __name__ == "__main__":
    main()
