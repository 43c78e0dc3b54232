"""What says the same in GSM-7: all that the field replaces, without the faults known there."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from voxsms.text import _replacements as table
from voxsms.text._gsm7 import ALPHABET, ESC
from voxsms.text._replacements import replacements

VECTORS = Path(__file__).parents[1] / "vectors" / "segments"
FIELD: dict[str, Any] = json.loads((VECTORS / "smart_encoding.json").read_text("utf-8"))


def char(code_point: str) -> str:
    """Return the character of a code point in hexadecimal."""
    return chr(int(code_point, 16))


def test_what_the_field_replaces_is_replaced() -> None:
    """Each character that smart encoding is documented to replace is, but for those named."""
    documented = {char(point) for point in FIELD["documented"]}
    left_alone = {char(point) for point in FIELD["not_replaced"]}
    assert documented - set(replacements()) == left_alone


@pytest.mark.parametrize(("code_point", "expected"), FIELD["one_for_one"].items())
def test_what_goes_wrong_elsewhere_does_not_here(code_point: str, expected: str) -> None:
    """A no-break space is one space, a tab is one, a quote is no comma, and the like."""
    assert replacements()[char(code_point)].text == expected


def test_a_replacement_is_gsm7_and_has_a_reason() -> None:
    """Only characters outside GSM-7 are replaced, only by GSM-7, always with a reason."""
    for letter, (text, reason) in replacements().items():
        assert letter not in ALPHABET
        assert letter != ESC
        assert set(text) <= ALPHABET
        assert reason


def test_no_space_gets_longer() -> None:
    """Every space, tab and line break becomes exactly one character."""
    spaces = [letter for letter in replacements() if letter.isspace() and letter > "\x1f"]
    assert {"\u00a0", "\u3000", "\u2028"} <= set(spaces)
    assert {len(replacements()[letter].text) for letter in (*spaces, "\t", "\v")} == {1}


def test_no_mark_that_belongs_to_a_letter_becomes_a_character() -> None:
    """A combining tilde does not become `~`: marks go only where they show nothing."""
    marks = {letter for letter in replacements() if unicodedata.category(letter)[0] == "M"}
    assert not any(unicodedata.combining(letter) for letter in marks)
    assert {replacements()[letter].text for letter in marks} == {""}


def test_numbers_keep_their_value() -> None:
    """A digit is replaced by the digit of the same value; fractions and superscripts are not."""
    numbers = [letter for letter in replacements() if unicodedata.numeric(letter, None) is not None]
    assert len(numbers) == 60  # ten full-width ones and five styles of ten
    for letter in numbers:
        assert int(replacements()[letter].text) == unicodedata.numeric(letter)


def test_letters_of_other_scripts_are_left_alone() -> None:
    """A look-alike from another alphabet is never swapped: that would be another word."""
    letters = [letter for letter in replacements() if letter.isalpha()]
    names = {unicodedata.name(letter).split()[0] for letter in letters}
    assert names.isdisjoint({"CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "HEBREW"})


def test_nothing_turns_the_reading_order_round() -> None:
    """Overrides change what is read, so taking them out would change it back."""
    assert {"\u202d", "\u202e"}.isdisjoint(replacements())


def test_each_character_is_listed_once() -> None:
    """No row of the table contradicts another, or what Unicode itself says."""
    listed = [letter for _, _, letters in table._TABLE for letter in letters]
    assert len(listed) == len(set(listed))
    derived = {letter for letter, _ in (*table._from_unicode(), *table._from_controls())}
    assert derived & set(listed) == {"\t", "\v", "\u0085"}


def test_the_table_is_read_only() -> None:
    """It is shared by all callers."""
    with pytest.raises(TypeError):
        replacements()["a"] = table.Replacement("b", "")  # type: ignore[index]
