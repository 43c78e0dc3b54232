"""Halves of surrogate pairs in an answer: a text that was cut in the middle of an emoji."""

import json
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api.codec import Answer, read_payload
from voxsms.api.spec import METHODS

ROW = METHODS["GetSmsHistory"]


def read(body: bytes) -> dict[str, object]:
    """Read a body as the answer to a history call."""
    return read_payload(ROW, Answer(200, {}, body, datetime.now(UTC)))


def test_half_a_pair_does_not_cost_the_page() -> None:
    """The half becomes U+FFFD; whole pairs, and backslashes before a u, stay as they are."""
    body = rb'{"a": "cut \ud83d", "b": "\uDE00 cut", "c": "\ud83d\ude00", "d": "\\ud83d"}'
    assert read(body) == {"a": "cut \ufffd", "b": "\ufffd cut", "c": "😀", "d": "\\ud83d"}


PIECES = st.sampled_from(["\ud83d", "\udbff", "\ude00", "\udc00", "\\", "u", "d83d", '"', "a"])


@given(st.text(st.characters(codec=None), max_size=20) | st.lists(PIECES).map("".join))
def test_any_text_that_json_can_write_is_read(text: str) -> None:
    """What the standard library's reader takes is read alike, but for the halves."""
    body = json.dumps({"text": text}).encode()
    whole = json.loads(body)["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    expected = orjson.loads(orjson.dumps(whole))
    assert read(body) == {"text": expected}
