"""What is read as a phone number, and what is refused because it could mean something else.

A message to the wrong person cannot be recalled, so punctuation is checked before it is dropped:

| written | taken as | because |
| --- | --- | --- |
| `447700900123`, `+44 7700-900.123` | its digits in order | separators only group digits |
| `(+44) 7700 (900) 123`, `44.7700.900123` | its digits in order | nothing else looks like it |
| with white space or invisible marks around | the same | they come from copying |
| `447700900123.0`, `4.477E+11` | refused | a spreadsheet; digits may be lost |
| `12.50`, `1,234.56`, `1.234.567` | refused | an amount; `+1.234.567` is a number |
| `2026-11-27`, `27/11/26 10:20`, `10.20.30` | refused | a date or a time |
| `192.168.100.200` | refused | an IP address |
| `+44 (0)7700 900123`, `+44 0 7700 900123` | refused | the zero may have to go or stay |
| `+44 07700 900123`, `44 07700 900123` | refused | here it goes; in Italy's `+39 06` it stays |
| `07700 900123`, `00 44 ...`, `011 44 ...` | no destination | dialled inside one country |
| `(212) 555-0100`, `212-5550100` | refused | North America without its `+1` |
| `138 1234 5678`, `98765 43210` | refused | China, India without country code |
| `8 (912) 345-67-89`, `555-0100` | refused | Russia's trunk prefix; one town |
| `12345-6789`, `123-45-6789`, `12-34-56` | refused | a postal, an identity, a bank code |
| `51.5074 -0.1278` | refused | geographic coordinates |
| `447700900123 (2)`, `447700900123-99` | refused | complete; the rest says which, or how many |
| `... x5`, `... ext. 5`, `...;ext=5` | refused | an extension gets no message |
| `A / B`, `A; B`, `A` and `B` on two lines | refused | two numbers would become one |
| digits of other scripts, anything else | refused | only ASCII digits may remain |

With a `region` a number may be in that country's national format; one that could then be two
numbers is refused too. phonenumbers (extra `phone`), Google's libphonenumber, knows the formats.

Source: E.164 (at most 15 digits, no country code begins with 0) and shared contract, section 2.
"""

import re
from functools import cache
from types import ModuleType

from voxsms.api.country_codes import COUNTRY_CODES, is_short_code
from voxsms.masking import mask_number

MIN_DIGITS, MAX_DIGITS = 5, 15
_MAX_CHARACTERS = 64
"""Including punctuation; a longer text is not worth searching."""
_MAX_SENDER_ID = 11
_HAS_NAME = re.compile(r"^[^\W\d_]|[^\W\d_]{2}").search


def _characters(*spans: tuple[int, int]) -> str:
    return "".join(chr(code) for first, last in spans for code in range(first, last + 1))


_AROUND = _characters(
    (0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
    (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),  # white space
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x180B, 0x180F), (0x200B, 0x200F),
    (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),  # nothing to see
)  # fmt: skip
_SPACES = _characters(
    (0xA0, 0xA0), (0x2000, 0x200A), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)
)  # fmt: skip
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_ALIKE = str.maketrans(dict.fromkeys(_SPACES, " ") | dict.fromkeys(_DASHES, "-"))

_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_DATE = (
    rf"{_YEAR}(?P<a>[-./ ]){_MONTH}(?P=a){_DAY}|{_YEAR}[-./]{_MONTH}|{_MONTH}[-./]{_YEAR}"
    rf"|(?:{_DAY}(?P<b>[-./ ]){_MONTH}|{_MONTH}(?P<c>[-./ ]){_DAY})(?:(?P=b)|(?P=c)){_YEAR}"
    rf"|(?:{_DAY}(?P<d>[-./]){_MONTH}|{_MONTH}(?P<e>[-./]){_DAY})(?:(?P=d)|(?P=e))\d\d"
)
_TIME = r"\d\d?[:.-]\d\d(?:[:.-]\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|\d?\d)"
_AMOUNT = (
    r"(?!\+\d{1,3}\.\d{4})[+-]?\d+[.,]\d*"  # but RFC 5733 writes +44.7700900123
    r"|[+-]?\d{1,3}(?:(?P<s>[ .,'])\d{3})+(?!(?P=s))[.,]\d\d?"
    r"|[+-]?\d{1,3}(?:[,']\d{3})+"
    r"|\d{1,3}(?P<t>[ .])\d{3}(?:(?P=t)\d{3})?|\d\d?(?:\.\d{3}){3}"
)
_NATIONAL = (
    r"[2-9]\d\d(?:([ .-])\d{3}\1\d{4}|[ .-]\d{7})|\d{3}[ -]\d{4}"  # North America
    r"|1\d\d([ .-])\d{4}\2\d{4}"  # China
    r"|\d{5}[ .-]\d{5}"  # India
    r"|\( ?[1-9]\d* ?\)(?:[ .-]*\d){5,9}"  # an area code; after a country code more follow
    r"|\+?[2-689][ .(-].*"  # Russia's 8: the only country codes of one digit are 1 and 7
)
_IS_AMOUNT = "looks like an amount; write a phone number with a leading + or as digits alone"
_IS_NATIONAL = "is written as inside one country; add the country code and a leading +"
_HAS_ZERO = "has a zero after the country code; leave it out, as when dialled from abroad"
_LOST_DIGITS = "and lost its last digits: format the column as text"
_GOES_OR_STAYS = (
    "goes in some countries and stays in others; write the number as it is dialled from abroad"
)
_ZERO_GOES = "|".join(each.digits for each in COUNTRY_CODES.values() if each.drops_zero)
_BREAK = r";/|&,+\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"

_REFUSED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), reason)
    for pattern, reason in (
        (
            r"\+?\d(?:[.,]\d{1,6})?e\+?\d+",
            _LOST_DIGITS,
        ),
        (
            r"[+-]?\d+(?:[.,]\d+)?e[+-]?\d+",
            "is in scientific notation; format the column as text",
        ),
        (
            r"[^.,]*\d ?[.,]00?",
            "is a spreadsheet's decimal; format the column as text",
        ),
        (
            rf"(?:{_DATE})(?:[ T-]+{_TIME})?|\d\d?:\d\d(?::\d\d)?|\d\d\.\d\d\.\d\d",
            "looks like a date or a time, not like a phone number",
        ),
        (
            rf"{_BYTE}(?:\.{_BYTE}){{3}}(?::\d+)?",
            "looks like an IP address, not like a phone number",
        ),
        (
            (
                r"\d{5}-\d{3,4}|\d{3}-\d\d-\d{4}|3\d{3}([ -])\d{6}\1\d{4,5}"
                r"|\d\d-\d\d-\d\d(?:[ -]\d{6,8})?"  # a sort code, and an account
            ),
            "looks like a postal code, an identity or a card number, not like a phone number",
        ),
        (
            r"-?\d{1,3}\.\d{3,} *[ -]\d{1,3}\.\d{3,}",
            "looks like geographic coordinates, not like a phone number",
        ),
        (
            rf"\+?(?:[^{_BREAK}\d]*+\d){{5}}[^{_BREAK}]*+[{_BREAK}](?:\D*+\d){{5}}.*",
            "has more than one number in it; give each by itself",
        ),
        (
            _AMOUNT,
            _IS_AMOUNT,
        ),
        (
            r".*\d{11,}[ .()-]+\d{1,4} ?\)?",
            "has something after a complete number; give the number alone",
        ),
        (
            r".*\d[ ,;]*(?:#|(?-i:x)|ext(?:n|ension)?)[ .:=]*\d+",
            "has an extension, which no message can be sent to",
        ),
        (
            r".*\d[^\d(]*\( ?0.*",
            f"cannot be guessed: the zero in parentheses {_GOES_OR_STAYS}",
        ),
        (
            r"\+? ?\(?\+?\d{1,3}\)?[ .-]+0[ .-]+\d.*",
            f"cannot be guessed: a zero after the country code {_GOES_OR_STAYS}",
        ),
        (
            (
                rf"(?:\+ ?|\(\+ ?|\+\()(?:{_ZERO_GOES})\)?[ .-]*\(?0.*"
                rf"|\(?(?:{_ZERO_GOES})[ .)-]+\(?0.*"
            ),
            _HAS_ZERO,
        ),
        (
            _NATIONAL,
            _IS_NATIONAL,
        ),
    )
)  # fmt: skip
_GROUP = r"(?:\d++|\( ?\d++ ?\))"
_NUMBER = re.compile(rf"(?:(?:\+ ?)?{_GROUP}|\(\+ ?\d++ ?\))(?:[ .-]{{0,3}}{_GROUP})*+", re.ASCII)

_PREFIXES = (
    ("00", "starts with 00; write the country code without a prefix"),
    ("011", "starts with 011, North America's prefix; write the country code without a prefix"),
    ("0", "starts with 0, as inside one country; write the country code instead, such as 44"),
)


def to_digits(text: str, *, national: bool = False) -> str:
    """Return the digits of a written phone number of any length.

    With `national` it may be in the national format of one country.

    Raises:
        ValueError: it is not one, or could mean something else; the reason, with the number masked.
    """
    if text.isascii() and text.isdigit():  # nearly always
        return text
    written = text.strip(_AROUND).translate(_ALIKE)
    if written.isascii() and written.isdigit():
        return written
    if len(written) <= _MAX_CHARACTERS:
        for pattern, reason in _REFUSED:
            if national and reason in (_IS_NATIONAL, _HAS_ZERO) and "+" not in written:
                continue
            # Nine digits in groups of three are an amount or a number of Poland or Spain.
            spaced = national and reason is _IS_AMOUNT
            if pattern.fullmatch(written.replace(" ", "") if spaced else written):
                if reason is _LOST_DIGITS:  # no whole number is left to mask
                    raise ValueError(f"a spreadsheet turned it into {written} {reason}")
                raise ValueError(f"{mask_number(written)!r} {reason}")
        if _NUMBER.fullmatch(written):
            return "".join(filter(str.isdigit, written))
    problem = f"{mask_number(written)!r} is not a phone number: only digits may remain"
    if any(c.isdigit() and not c.isascii() for c in written):
        problem += ", and only 0 to 9"
    raise ValueError(problem)


def read_phone_number(text: str, region: str | None = None, *, strict: bool = False) -> str:
    """Return the digits of a number that a message can go to: 5 to 15, not starting with 0.

    Args:
        text: The number as it was written.
        region: The country whose national format it may have, by its two letters, such as `GB`.
        strict: Refuse numbers that are impossible in their country, and short codes.

    Raises:
        ValueError: what is wrong with it, with the number masked; or with the region.
        ModuleNotFoundError: `region` or `strict` is given and the extra `phone` is not installed.
    """
    national = None if region is None else _read_national(text, check_region(region))
    digits = _read_international(text) if national is None else national
    if strict and (problem := _find_impossible(digits)):
        raise ValueError(f"{mask_number(digits)} {problem}")
    return digits


def _read_international(text: str) -> str:
    digits = to_digits(text)
    if digits.startswith("0"):
        problem = next(why for prefix, why in _PREFIXES if digits.startswith(prefix))
        raise ValueError(f"{mask_number(digits)} {problem}")
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        raise ValueError(
            f"{mask_number(digits)} has {len(digits)} digits; "
            f"a phone number has {MIN_DIGITS} to {MAX_DIGITS}"
        )
    return digits


def is_national(text: str) -> bool:
    """Return whether a refused text may be a number in a national format."""
    try:
        digits = to_digits(text, national=True)
    except ValueError:
        return False
    is_dialled_abroad = digits.startswith(("00", "011"))
    return MIN_DIGITS <= len(digits) <= MAX_DIGITS and not is_dialled_abroad


# --- National numbers, by phonenumbers ------------------------------------------------------------


def check_region(region: object) -> str:
    """Return a region as phonenumbers knows it, or raise `ValueError`."""
    if isinstance(region, str) and region.upper() in import_phonenumbers().SUPPORTED_REGIONS:
        return region.upper()
    raise ValueError(
        f"is {region!r}; it must be a country's two letters, such as US, or GB for the UK"
    )


@cache
def import_phonenumbers() -> ModuleType:
    """Import the library; that takes a tenth of a second, and few programs need it."""
    try:
        import phonenumbers  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        need = "region and strict_numbers need phonenumbers: pip install 'voxsms[phone]'"
        raise ModuleNotFoundError(need, name=missing.name) from None
    return phonenumbers


def find_country(digits: str) -> str | None:
    """Return the two letters of a number's country; None for a short code or no known country."""
    library = import_phonenumbers()
    if is_short_code(digits):
        return None
    try:
        parsed = library.parse(f"+{digits}", None)
    except library.NumberParseException:
        return None
    # A number that is not in use is assigned to the main country of its code.
    main = library.region_code_for_country_code(parsed.country_code)
    found: str = library.region_code_for_number(parsed) or main
    return found if found.isalpha() else None  # 001 stands for the whole world


def _read_national(text: str, region: str) -> str | None:
    """Return the digits of a number in a country's national format; None if it is not in it."""
    written = text.strip(_AROUND).translate(_ALIKE)
    if "+" in written:
        return None
    digits = to_digits(text, national=True)
    inside = _parse(digits, region)
    is_national_form = inside[1] == "valid" and any(
        pattern.fullmatch(written) for pattern, reason in _REFUSED if reason is _IS_NATIONAL
    )
    if digits.startswith("0") or is_national_form:
        readings = {inside[0]: inside[1]}
    else:
        readings = dict((inside, _parse(f"+{digits}", None)))
    for least in ("valid", "possible"):
        found = [number for number, standing in readings.items() if standing == least]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{mask_number(digits)} could be a number of {region} or one with its country "
                "code; write it with a leading +"
            )
    if len(readings) == 1 or (inside[1] == "local" and not is_short_code(digits)):
        raise ValueError(f"{mask_number(digits)} is not a possible number of {region}")
    return None


def _parse(number: str, region: str | None) -> tuple[str, str]:
    """Return the digits with the country code, and how far they make a valid number."""
    library = import_phonenumbers()
    try:
        parsed = library.parse(number, region)
    except library.NumberParseException:
        return "", "none"
    digits = library.format_number(parsed, library.PhoneNumberFormat.E164).removeprefix("+")
    if library.is_valid_number(parsed):
        return digits, "valid"
    reason = library.is_possible_number_with_reason(parsed)
    kinds = library.ValidationResult
    if reason == kinds.IS_POSSIBLE and not parsed.italian_leading_zero:  # a zero that should go
        return digits, "possible"
    return digits, "local" if reason == kinds.IS_POSSIBLE_LOCAL_ONLY else "none"


def _find_impossible(digits: str) -> str | None:
    """Return why a number is impossible in every country; None if it is possible."""
    if is_short_code(digits):
        return "is a short code, not a phone number"
    library = import_phonenumbers()
    kinds = library.ValidationResult
    try:
        parsed = library.parse(f"+{digits}", None)
    except library.NumberParseException:
        return "is not a possible number: no country has this code"
    reason = library.is_possible_number_with_reason(parsed)
    if reason == kinds.IS_POSSIBLE:
        return None
    how = {kinds.TOO_SHORT: "too short", kinds.TOO_LONG: "too long"}.get(reason, "not complete")
    return f"is not a possible number: {how} for the country code {parsed.country_code}"


def may_be_sender_id(text: str) -> bool:
    """Return whether a text that is not a phone number may be a sender's name, as `7-11` or `ACME`.

    It has fewer than 5 digits, or at most 11 characters and begins with a letter or has a word.
    Source: 3GPP TS 23.040, 9.1.2.5.
    """
    return sum(map(str.isdigit, text)) < MIN_DIGITS or (
        len(text) <= _MAX_SENDER_ID and _HAS_NAME(text) is not None
    )


def digits_or_text(text: str) -> str:
    """Return the digits of a phone number, and anything else unchanged.

    So a source that is not a number goes out as a SenderID, and `7-11` and `1.5` stay unchanged: a
    phone number has at least 5 digits.
    """
    try:
        digits = to_digits(text)
    except ValueError:
        return text
    return digits if len(digits) >= MIN_DIGITS else text
