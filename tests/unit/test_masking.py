"""How numbers are shown where a stranger may read them."""

import re

import pytest
from doubles import least_time
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export._table import mask_value
from voxsms.masking import mask_message, mask_number

DIGITS = st.text("0123456789")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("447700900212", "447***212"),
        ("1234567890", "123***890"),
        ("123456789", "12***89"),
        ("1234567", "12***67"),
        ("123456", "1***6"),
        ("1234", "1***4"),
        ("123", "***"),
        ("1", "***"),
        ("", "***"),
        ("Hi Ann, your code is 1234", "Hi ***234"),
    ],
)
def test_number_is_shown_by_its_ends(value: str, shown: str) -> None:
    """The longer a value the more of its ends is shown, but never more than three characters."""
    assert mask_number(value) == shown


@given(st.text())
def test_masked_value_hides_what_it_must(value: str) -> None:
    """At least two characters are always hidden (of three or fewer, all), four of a number."""
    start, _, end = mask_number(value).partition("***")
    if "*" not in value:
        assert value.startswith(start)
        assert value.endswith(end)
    hidden = len(value) - (len(mask_number(value)) - 3)
    assert hidden >= min(len(value), 2)
    assert hidden >= 4 or len(value) < 10


@given(DIGITS.filter(lambda digits: len(digits) > 3))
def test_masked_number_can_not_be_read(number: str) -> None:
    """The whole number does not stand in what is shown, nor do its digits run together."""
    assert number not in mask_number(number)
    assert re.fullmatch(r"[0-9]{1,3}\*\*\*[0-9]{1,3}", mask_number(number))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Invalid number 447700900212.", "Invalid number 447***212."),
        ("from +14155550100 to 447700900212", "from +141***100 to 447***212"),
        ("1234567", "12***67"),
        ("call 123456 in 30 s", "call 123456 in 30 s"),
        ("٤٤٧٧٠٠٩٠٠٢١٢", "٤٤٧***٢١٢"),
        ("", ""),
    ],
)
def test_long_runs_of_digits_are_masked(text: str, shown: str) -> None:
    """Seven digits and more are masked in a message of the service; the rest stays readable."""
    assert mask_message(text) == shown


@given(st.lists(DIGITS | st.text()).map("".join))
def test_no_long_run_is_left(text: str) -> None:
    """Whatever the text, seven digits in a row do not remain, and what is no digit does."""
    masked = mask_message(text)
    assert not re.search(r"\d{7}", masked)
    assert re.sub(r"[\d*]", "", masked) == re.sub(r"[\d*]", "", text)
    assert mask_message(masked) == masked


@given(st.text().filter(lambda text: not re.search(r"\d{7}", text)))
def test_other_text_stays(text: str) -> None:
    """A text without a long run of digits is given back as it is."""
    assert mask_message(text) == text


VALUE = "Kanarienvogel 44 7443 332212"


@pytest.mark.parametrize("before", range(960, 1001))
def test_a_long_message_is_cut_after_it_was_masked(before: int) -> None:
    """A text or a number that stands where a message is cut is not shown in part."""
    message = "x" * before + VALUE + " 447443332212 " + "y" * 10_000
    shown = mask_message(message, [VALUE])
    assert not re.search(r"Ka|\d{4}", shown)
    assert shown.startswith("x" * before)
    assert shown.endswith("...")
    assert len(shown) < 1100


@pytest.mark.parametrize("unit", ["4", "4 ", "44 7443 33221 ", "1" * 15 + " ", "See yo", "( ", "é"])
def test_masking_takes_time_by_what_is_shown(unit: str) -> None:
    """Two million characters of the worst kind are cut before they are searched."""
    message = unit * (2_000_000 // len(unit))
    values = ["447443332212", "4" * 15, "See you", "(" * 50]
    assert least_time(lambda: mask_message(message, values)) < 0.25
    assert len(mask_message(message, values)) < 3000


def test_long_values_of_a_request_are_hidden() -> None:
    """A list of a hundred thousand ids, or a sender of two million letters."""
    ids, sender = ";".join(map(str, range(10**6, 10**6 + 100_000))), "Kanarienvogel" * 150_000
    for message in (f"bad: {ids}", f"bad: {sender} or {ids}", "x" * 900 + sender):
        assert not re.search(r"Ka|vogel|\d{4}", mask_message(message, [ids, sender]))


def test_a_text_of_digits_is_hidden_whole() -> None:
    """Only a number shows its ends."""
    assert mask_message("no: 12 34 56 78 90", ["12 34 56 78 90"]) == "no: ***"
    assert mask_message("no: 12 34 56 78 90", ["1234567890"]) == "no: 123***890"


@pytest.mark.parametrize(
    "number",
    [
        "447700900123",
        "+44 7700 900123",
        "44-7700-900-123",
        "(447) 700.900.123",
        "4477 0090 0123",
        "44 - 7700 - 900123",
        "44\u2011770\xa0090/0123",
        "12345",
        "123 456",
    ],
)
def test_an_export_hides_a_number_however_it_is_written(number: str) -> None:
    """Numbers have 5 to 15 digits: in a masked export no such run is left in an error."""
    shown = str(mask_value("error_message", f"Error send sms to {number}: Code = 1"))
    digits = re.sub(r"\D", "", number)
    assert re.sub(r"\D", "", shown).removesuffix("1") == re.sub(r"\D", "", mask_number(digits))
    assert shown.startswith("Error send sms to ")
    assert shown.endswith(": Code = 1")


@given(st.text() | st.from_regex(r"\A(?:[0-9][ .()-]{0,2}){3,16}\Z"))
def test_an_export_leaves_no_number_in_an_error(text: str) -> None:
    """Whatever the text."""
    shown = str(mask_value("error_message", text))
    assert not re.search(r"\d(?:[ .()-]{0,3}\d){4}", shown)


def test_an_export_keeps_what_is_no_number() -> None:
    """Codes and counts stay readable, and so does what is not there."""
    assert mask_value("error_message", "Code = 385, part 2 of 30") == "Code = 385, part 2 of 30"
    assert mask_value("error_message", None) is None
