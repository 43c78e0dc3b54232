"""Numbers that were taken for those of another country, which a person should be told."""

import re
from typing import Any

import phonenumbers
import pytest

from voxsms.api.country_codes import COUNTRY_CODES, DoubtfulNumbers, find_country_code

OF_NO_COUNTRY = "001"


def doubts(*numbers: str, strict: bool = True) -> list[str]:
    """Return what is said of numbers whose region is known."""
    found = DoubtfulNumbers("line", lambda option, value: f"{option}={value}", "GB", strict=strict)
    for line, digits in enumerate(numbers, 2):
        found.add(digits, line)
    return found.describe()


def test_the_table_is_libphonenumbers() -> None:
    """Each country code is there, with the lengths of its mobile numbers."""
    codes = {
        str(code): regions
        for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
        if regions != (OF_NO_COUNTRY,)
    }
    assert codes.keys() == COUNTRY_CODES.keys()
    for code, regions in codes.items():
        lengths: set[int] = set()
        for region in regions:
            known: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
            of_mobiles = {*(known.mobile or known.general_desc).possible_length} - {-1}
            lengths |= of_mobiles or {*known.general_desc.possible_length}
        found = COUNTRY_CODES[code]
        spans = (found.min_digits - len(code), found.max_digits - len(code))
        assert spans == (min(lengths), max(lengths)), code


def test_a_zero_is_refused_only_where_no_number_has_it() -> None:
    """Each country of such a code has the prefix 0, and libphonenumber knows no number with it."""
    codes = [int(each.digits) for each in COUNTRY_CODES.values() if each.drops_zero]
    assert len(codes) > 90
    for code in codes:
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
            known: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
            pattern = re.compile(str(known.general_desc.national_number_pattern))
            assert not any(pattern.match(f"0{n:03}555555555") for n in range(1000)), region


def test_no_mobile_number_with_its_country_code_is_doubtful() -> None:
    """Nobody is warned of a list that is right."""
    examples = [
        phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        for region in phonenumbers.SUPPORTED_REGIONS
    ]
    e164 = phonenumbers.PhoneNumberFormat.E164
    written = [phonenumbers.format_number(each, e164)[1:] for each in examples if each]
    assert len(written) > 200
    assert doubts(*written) == []


@pytest.mark.parametrize(
    ("digits", "taken_for"),
    [
        ("7700900124", "Russia and Kazakhstan (+7)"),  # the UK
        ("612345678", "Australia (+61)"),  # France, the Netherlands
        ("1701234567", "USA, Canada and others (+1)"),  # Germany
        ("412345678", "Switzerland (+41)"),  # Australia
        ("501234567", "Belize (+501)"),  # Ukraine, Saudi Arabia, Israel
        ("512345678", "Peru (+51)"),  # Poland, which has no 0 to lose
    ],
)
def test_a_number_that_lost_its_zero(digits: str, taken_for: str) -> None:
    """Each is taken for a number of a country that has none of this length."""
    (told,) = doubts(digits)
    assert told.startswith(f"1 number (line 2) was taken for {taken_for}, but has {len(digits)}")


def test_many_doubtful_numbers() -> None:
    """The first lines of each kind are named, the most common kinds first."""
    told = doubts(
        *["612345678"] * 2, *["7700900124"] * 7, "12345", "9991234567", "32", "4512345",
        "4612345", "4712345", "4812345", "447700900123", strict=False,
    )  # fmt: skip
    assert told == [
        (
            "7 numbers (lines 4, 5, 6, 7, 8 and 2 more) were taken for Russia and Kazakhstan (+7), "
            "but have 10 digits; mobile numbers there have 11"
        ),
        (
            "2 numbers (lines 2, 3) were taken for Australia (+61), but have 9 digits; mobile "
            "numbers there have 11"
        ),
        "1 number (line 12) begins with the code of no country",
        (
            "1 number (line 14) was taken for Denmark (+45), but has 7 digits; mobile numbers "
            "there have 10"
        ),
        (
            "1 number (line 15) was taken for Sweden (+46), but has 7 digits; mobile numbers there "
            "have 11"
        ),
        "2 more are like this, of other countries",
        "strict_numbers= refuses impossible numbers",
    ]
    assert "mobile numbers there have 12 to 13" in doubts("49301234")[0]


def test_the_code_of_a_number() -> None:
    """Codes have one to three digits."""
    found = [find_country_code(digits) for digits in ("79161234567", "380501234567", "9991234567")]
    assert [code and code.country for code in found] == ["Russia and Kazakhstan", "Ukraine", None]
