"""Fragments: counted by hand in the vectors, by a slow reference here, and by others' code."""

import json
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxsms.errors import Fault, InvalidRequest, InvalidText
from voxsms.text import Bounds, Encoding, ForcedBy, count_fragments, segment
from voxsms.text._gsm7 import ALPHABET, BASIC, EXTENSION
from voxsms.text._segments import find_faults

VECTORS = Path(__file__).parents[1] / "vectors" / "segments"


def cases(name: str) -> list[Any]:
    """Read one file of vectors."""
    vectors: list[Any] = json.loads((VECTORS / name).read_text("utf-8"))["cases"]
    return vectors


# --- The reference: the rule, one character at a time. -------------------------------------------


def cost(char: str, encoding: str) -> int:
    """Count the units of one character."""
    return 1 + (char in EXTENSION if encoding == "GSM-7" else ord(char) > 0xFFFF)


def fill(pieces: list[str], encoding: str, size: int) -> list[str]:
    """Put pieces into fragments in their order, a new one where a piece does not fit any more.

    A piece longer than a fragment starts a new one and is cut between its characters.
    """
    fragments = [""]
    used = 0
    for piece in pieces:
        weight = sum(cost(char, encoding) for char in piece)
        if used + weight <= size:
            fragments[-1] += piece
            used += weight
        elif weight <= size:
            fragments.append(piece)
            used = weight
        else:
            fragments += fill(list(piece), encoding, size)
            used = sum(cost(char, encoding) for char in fragments[-1])
    return [fragment for fragment in fragments if fragment]


@attrs.frozen
class Reference:
    """What the rule says of a text."""

    encoding: str
    units: int
    fragments: list[str]
    least: int
    most: int


def reference(text: str) -> Reference:
    """Apply the rule slowly and obviously."""
    encoding = "GSM-7" if all(char in ALPHABET for char in text) else "UTF-16"
    single, part = (160, 153) if encoding == "GSM-7" else (70, 67)
    units = sum(cost(char, encoding) for char in text)
    if units <= single:
        count = 1 if text else 0
        return Reference(encoding, units, [text] if text else [], count, count)
    clusters = import_module("regex").findall(r"\X", text)
    return Reference(
        encoding=encoding,
        units=units,
        fragments=fill(list(text), encoding, part),
        least=units // part + (units % part > 0),
        most=len(fill(clusters, encoding, part)),
    )


# --- Texts: short and long runs of what can go wrong, so that cuts fall on pairs and clusters. ----

BASICS = sorted(BASIC)
DOUBLES = sorted(EXTENSION)
BASIC_PLANE = [*"яЛ`ç\t\u2019\u2026\u00a0\u0301\u200d\ufe0f가क\u20ab\u20ad\u03aa\uffff\u1b00"]
ASTRAL = [*"😀👍🇩🇪🏽\U00010000\U0010ffff"]
CLUSTERS = ["\r\n", "e\u0301", "👨\u200d👩\u200d👧", "🇩🇪", "👍🏽", "\u1100\u1161\u11a8", "क्षि"]
LONG_CLUSTERS = ["e" + "\u0301" * 80, "👍" + "\u200d👍" * 50]


def runs(*chunks: list[str]) -> st.SearchStrategy[str]:
    """Return texts made of chunks, some of them repeated for up to a fragment or two."""
    chunk = st.sampled_from(list(chain.from_iterable(chunks)))
    run = st.builds(lambda text, times: text * times, chunk, st.integers(1, 160))
    return st.lists(chunk | run, max_size=10).map("".join)


GSM7_TEXTS = runs(BASICS, DOUBLES, ["\r\n", "a", "€"])
UTF16_TEXTS = st.builds(
    "{}{}{}".format,
    runs(BASICS, DOUBLES, BASIC_PLANE, ASTRAL, CLUSTERS),
    st.sampled_from(["", *LONG_CLUSTERS]),
    runs(BASIC_PLANE, ASTRAL, CLUSTERS),
)
ANY_TEXTS = (
    GSM7_TEXTS
    | UTF16_TEXTS
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"), max_size=300)
)


@given(ANY_TEXTS)
@example("a" * 152 + "€" + "a" * 152)
@example("\u20ac" * 77 + "\u20ad")
@example("a" * 80 + "\U00010000" + "a" * 80)
def test_it_is_what_the_rule_says(text: str) -> None:
    """Encoding, units, fragments and bounds are those of the rule applied by hand."""
    expected, found = reference(text), segment(text)
    assert found.encoding == expected.encoding
    assert found.units == expected.units
    assert list(found.fragments) == expected.fragments
    assert found.bounds == (expected.least, expected.most)


@given(ANY_TEXTS)
def test_the_fast_count_agrees(text: str) -> None:
    """`count_fragments` gives the same number as the segmentation, and as its fragments."""
    found = segment(text)
    assert count_fragments(text) == found.fragments_count == len(found.fragments)


@given(ANY_TEXTS)
def test_fragments_lose_nothing_and_fit(text: str) -> None:
    """Joined the fragments give the text back; each fits, and what is left is told."""
    found = segment(text)
    assert "".join(found.fragments) == text
    single, part = (160, 153) if found.encoding is Encoding.GSM7 else (70, 67)
    room = single if found.fragments_count <= 1 else part
    used = [sum(cost(char, found.encoding) for char in fragment) for fragment in found.fragments]
    assert sum(used) == found.units
    assert all(0 < units <= room for units in used)
    assert found.units_left == room - (used[-1] if used else 0)


@given(ANY_TEXTS)
def test_the_count_lies_within_the_bounds(text: str) -> None:
    """Least <= count <= most for every text, and all are equal where nothing can be cut apart."""
    found = segment(text)
    assert found.bounds.least <= found.fragments_count <= found.bounds.most
    clusters = import_module("regex").findall(r"\X", text)
    if all(cost(char, found.encoding) == 1 for char in text) and len(clusters) == len(text):
        assert found.bounds.least == found.bounds.most


@given(UTF16_TEXTS)
def test_the_characters_that_force_utf16_are_named(text: str) -> None:
    """Every character outside GSM-7 is listed in order, with its place; others are not."""
    forced = segment(text).forced_by
    expected = [(index, char) for index, char in enumerate(text) if char not in ALPHABET]
    assert [(one.index, one.char) for one in forced] == expected
    assert (segment(text).encoding is Encoding.UTF16) == bool(forced)
    assert all(one.name for one in forced)
    assert all(set(one.suggestion or "") <= ALPHABET for one in forced)


@given(GSM7_TEXTS.filter(bool) | UTF16_TEXTS.filter(bool))
def test_smsutil_cuts_alike(text: str) -> None:
    """smsutil, made by others, cuts every text at the same places."""
    parts = import_module("smsutil").split(text).parts
    assert tuple(part.content for part in parts) == segment(text).fragments


@given(GSM7_TEXTS)
def test_gsm0338_counts_alike(text: str) -> None:
    """gsm0338, made by others, writes a text in as many septets."""
    octets, _ = import_module("gsm0338").Codec().encode(text)
    assert segment(text).units == len(octets)


@pytest.mark.parametrize("case", cases("cuts.json"), ids=lambda case: case["name"])
def test_hand_counted_texts(case: dict[str, Any]) -> None:
    """The figures that were counted by hand come out."""
    text = "".join(chunk * times for chunk, times in case["text"])
    found = segment(text)
    assert found.encoding == case["encoding"]
    assert found.units == case["units"]
    assert found.units_left == case["units_left"]
    assert found.fragments_count == case["fragments_count"] == count_fragments(text)
    assert [len(fragment) for fragment in found.fragments] == case["lengths"]
    assert list(found.bounds) == case["bounds"]
    assert "".join(found.fragments) == text


@pytest.mark.parametrize("case", cases("refused.json"), ids=lambda case: case["name"])
@pytest.mark.parametrize("call", [count_fragments, segment])
def test_what_no_message_can_carry_is_refused(
    call: Callable[[str], object], case: dict[str, Any]
) -> None:
    """A lone surrogate and a bare ESC are refused; the error says which and where."""
    text = "".join(chr(int(point, 16)) for point in case["code_points"])
    with pytest.raises(InvalidText) as caught:
        call(text)
    message = str(caught.value)
    assert isinstance(caught.value, InvalidRequest)
    assert [fault.field for fault in caught.value.faults] == ["text"]
    assert all(name in message for name in case["names"])
    assert caught.value.sent == "no"


def test_a_refusal_does_not_show_the_text() -> None:
    """Neither the error nor what it keeps holds the text."""
    secret = "Ваш пароль Tr0ub4dor"
    for text in (f"{secret}\ud83d", f"{secret}\x1b"):
        with pytest.raises(InvalidText) as caught:
            count_fragments(text)
        error = caught.value
        assert "Tr0ub4dor" not in f"{error!s}{error!r}{error.args}{error.__cause__!r}"


@pytest.mark.parametrize("size", [0, 100, 400])
@pytest.mark.parametrize("filler", ["a", "é", "€", "я", "😀"])
def test_a_fault_is_found_anywhere(size: int, filler: str) -> None:
    """It does not matter what stands around a lone surrogate or an ESC, nor how much of it."""
    for bad in "\x1b\ud800\udbff\udc00\udfff":
        text = filler * size + bad + filler * size
        assert find_faults(text, "sms_body") == (Fault("sms_body", find_faults(text)[0].problem),)
        assert f"U+{ord(bad):04X} at index {size} " in find_faults(text)[0].problem
        with pytest.raises(InvalidText):
            count_fragments(text)


@given(ANY_TEXTS)
def test_a_text_that_can_be_sent_has_no_fault(text: str) -> None:
    """Only lone surrogates and ESC are faults."""
    assert find_faults(text) == ()


@pytest.mark.parametrize("case", cases("forced_by.json"), ids=lambda case: ascii(case["text"]))
def test_what_forces_utf16_is_named_with_a_way_out(case: dict[str, Any]) -> None:
    """Index, character, Unicode name and what says the same in GSM-7."""
    expected = tuple(ForcedBy(*record) for record in case["forced_by"])
    assert segment(case["text"]).forced_by == expected


@pytest.mark.parametrize(
    ("char", "times", "count"),
    [
        ("a", 1_601, 11),  # 10 x 153 = 1530
        ("a", 15_300, 100),
        ("€", 7_601, 101),  # 76 in each
        ("я", 1_601, 24),  # 23 x 67 = 1541
        ("я", 6_701, 101),
        ("😀", 3_300, 100),  # 33 in each
    ],
)
def test_texts_longer_than_the_service_takes(char: str, times: int, count: int) -> None:
    """Counting has no limit of its own: the limit is another check's to name."""
    text = char * times
    assert count_fragments(text) == count
    assert "".join(segment(text).fragments) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("ΣAΣ " * 40, 1),
        ("[ΣAΣ]" * 40, 2),  # 7 septets each
        ("ΣAΣ€ " * 40, 2),
        ("Σας " * 40, 3),  # 67 code units each
        ("ΣAΣ\0" * 40, 3),
        ("It\u2019s " * 20, 2),
    ],
)
def test_what_is_counted_in_a_way_of_its_own(text: str, count: int) -> None:
    """Greek, with and without what takes two septets, and an apostrophe as it is typeset."""
    assert count_fragments(text) == segment(text).fragments_count == count


def test_encodings_are_named_as_the_field_names_them() -> None:
    """The names are those that are printed and compared."""
    assert [str(encoding) for encoding in Encoding] == ["GSM-7", "UTF-16"]
    assert segment("a").encoding == "GSM-7"


def test_bounds_say_which_is_which() -> None:
    """The bounds are a pair and can be read by name."""
    bounds = segment("я" * 66 + "😀" + "я" * 66).bounds
    assert bounds == (2, 3)
    assert bounds == Bounds(least=2, most=3)


def test_a_segmentation_is_a_value() -> None:
    """It cannot be changed, compares and hashes by what it says, can be copied, hides the text."""
    found = segment("Tr0ub4dor\u2019s")
    assert found == segment("Tr0ub4dor\u2019s")
    assert hash(found) == hash(segment("Tr0ub4dor\u2019s"))
    assert found.fragments_count == 1
    assert (deepcopy(found), deepcopy(found).forced_by) == (found, found.forced_by)
    assert "Tr0ub4dor" not in repr(found)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.units = 0  # type: ignore[misc]


def test_only_bounds_need_regex(monkeypatch: pytest.MonkeyPatch) -> None:
    """`regex` is asked for only where grapheme clusters can matter, not to count."""
    monkeypatch.setitem(sys.modules, "regex", None)
    assert count_fragments("я" * 200) == 3
    assert segment("a" * 200).bounds == (2, 2)
    assert segment("я" * 70).bounds == (1, 1)
    with pytest.raises(ImportError):
        _ = segment("я" * 71).bounds
