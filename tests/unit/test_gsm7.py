"""The GSM-7 alphabet: transcribed once from the standard, checked against others who did."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.text import _gsm7 as gsm7

VECTORS = Path(__file__).parents[1] / "vectors" / "segments"
STANDARD: dict[str, Any] = json.loads((VECTORS / "alphabet.json").read_text("utf-8"))


def char(code_point: str) -> str:
    """Return the character of a code point in hexadecimal."""
    return chr(int(code_point, 16))


def septets_of(text: str) -> bytes:
    """Write a text in septets, one by one from the table: the slow and obvious way."""
    return b"".join(
        bytes([gsm7.BASIC[char]]) if char in gsm7.BASIC else bytes([0x1B, gsm7.EXTENSION[char]])
        for char in text
    )


def test_the_basic_table_is_the_standards() -> None:
    """Each basic character has the septet that 3GPP TS 23.038 gives it."""
    standard = {
        char(code_point): high * 16 + int(low, 16)
        for low, row in STANDARD["basic_rows"].items()
        for high, code_point in enumerate(row)
        if code_point != STANDARD["escape"]["code_point"]
    }
    assert standard == gsm7.BASIC
    assert len(gsm7.BASIC) == 127


def test_the_extension_table_is_the_standards() -> None:
    """Each extension character has the second septet that 3GPP TS 23.038 gives it."""
    standard = {char(point): int(septet, 16) for septet, point in STANDARD["extension"].items()}
    assert standard == gsm7.EXTENSION
    assert len(gsm7.EXTENSION) == 10


def test_esc_is_no_character() -> None:
    """ESC only announces an extension character: it is in neither table."""
    assert char(STANDARD["escape"]["code_point"]) == gsm7.ESC
    assert gsm7.ESC not in gsm7.ALPHABET


@pytest.mark.parametrize(("code_point", "why"), STANDARD["foreign"].items())
def test_neighbours_of_the_alphabet_are_outside(code_point: str, why: str) -> None:
    """Characters easily taken for GSM-7 are not, wherever in a text they are."""
    for text in ("{}", "a{}", "é{}é", "€{}", "{}Ω"):
        assert gsm7.count_septets(text.format(char(code_point))) is None, why


def test_smsutil_has_the_same_alphabet() -> None:
    """smsutil, made by others, writes every character as we do and knows no more."""
    theirs = import_module("smsutil.codecs")
    assert set(theirs.GSM_CHARSET) - {gsm7.ESC} == gsm7.ALPHABET
    for letter in gsm7.ALPHABET:
        assert theirs.GSM0338Codec().encode(letter) == (septets_of(letter), 1)


def test_gsm0338_has_the_same_alphabet() -> None:
    """gsm0338, made by others, writes every character as we do and knows no more."""
    codec = import_module("gsm0338").Codec()
    for letter in gsm7.ALPHABET:
        assert codec.encode(letter) == (septets_of(letter), 1)
    basic = {codec.decode(bytes([septet]))[0] for septet in range(128) if septet != 0x1B}
    assert basic == set(gsm7.BASIC)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_every_character_of_unicode_is_told_apart() -> None:
    """A character counts one or two septets if it is in the tables, and none is if it is not."""
    for point in range(sys.maxunicode + 1):
        letter = chr(point)
        expected = 1 if letter in gsm7.BASIC else 2 if letter in gsm7.EXTENSION else None
        assert gsm7.count_septets(letter) == expected


ALPHABET = st.text(st.sampled_from(sorted(gsm7.ALPHABET)))
GREEK = st.text(st.sampled_from("ΓΔΘΛΞΠΣΦΨΩAEHIOTY .€[\u0391\u03b1\x00"))


@given(GREEK)
def test_a_greek_text_is_counted_as_written(text: str) -> None:
    """Texts of Greek capitals are counted in a way of their own, with the same result."""
    foreign = not gsm7.ALPHABET.issuperset(text)
    expected = None if foreign else len(septets_of(text))
    for count in (gsm7.count_septets, gsm7.count_greek, gsm7.count_latin):
        assert count(text) == expected


@given(ALPHABET)
def test_septets_are_counted_as_written(text: str) -> None:
    """A text takes as many septets as writing it out one by one gives."""
    written = septets_of(text)
    assert gsm7.count_septets(text) == len(written)
    assert [mark == 0x1B for mark in gsm7.escape_map(text)] == [mark == 0x1B for mark in written]


@given(ALPHABET, st.characters(), st.integers(0, 200))
def test_one_foreign_character_is_found_anywhere(text: str, letter: str, at: int) -> None:
    """One character outside the alphabet is enough, wherever it stands, and only such a one."""
    mixed = text[:at] + letter + text[at:]
    assert (gsm7.count_septets(mixed) is None) == (letter not in gsm7.ALPHABET)
    assert bool(gsm7.FOREIGN.search(mixed)) == (letter not in gsm7.ALPHABET)
