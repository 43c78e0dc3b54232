"""What is taken for a phone number, and what is refused because it could mean something else.

A message to the wrong person cannot be called back, so punctuation is judged before it is dropped:

| written | taken as | because |
| --- | --- | --- |
| `447700900123`, `+44 7700-900.123` | its digits in order | separators only group digits |
| `(+44) 7700 (900) 123`, `44.7700.900123` | its digits in order | nothing else looks like it |
| with white space or invisible marks around | the same | they come along with a copy |
| `447700900123.0`, `4.477E+11` | refused | a spreadsheet; digits may be lost |
| `12.50`, `1,234.56`, `1.234.567` | refused | an amount; `+1.234.567` is a number |
| `2026-11-27`, `27/11/26 10:20`, `10.20.30` | refused | a date or a time |
| `192.168.100.200` | refused | an IP address |
| `+44 (0)7700 900123`, `+44 0 7700 900123` | refused | the zero may go or stay |
| `07700 900123`, `00 44 ...`, `011 44 ...` | no destination | dialled inside one country |
| `(212) 555-0100`, `212-5550100` | refused | North America without its `+1` |
| `138 1234 5678`, `98765 43210` | refused | China, India without country code |
| `8 (912) 345-67-89`, `555-0100` | refused | Russia's trunk prefix; one town |
| `12345-6789`, `123-45-6789`, `12-34-56` | refused | an identity, a bank, a postal code |
| `51.5074 -0.1278` | refused | a place on earth |
| `447700900123 (2)`, `447700900123-99` | refused | whole already; it says which, or how many |
| `... x5`, `... ext. 5`, `...;ext=5` | refused | an extension gets no message |
| `A / B`, `A; B`, `A` and `B` on two lines | refused | two numbers would become one |
| digits of other scripts, anything else | refused | only ASCII digits may remain |

Source: E.164 (at most 15 digits, no country code begins with 0) and shared contract, section 2.
"""

import re

from voxsms.masking import mask_number

MIN_DIGITS, MAX_DIGITS = 5, 15
_MAX_CHARACTERS = 64
"""With all its punctuation; what is longer is not worth a search."""


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
_GOES_OR_STAYS = (
    "goes in some countries and stays in others; write the number as it is dialled from abroad"
)
_BREAK = r";/|&,+\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"

_REFUSED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), reason)
    for pattern, reason in (
        (
            r"[+-]?\d+(?:[.,]\d+)?e[+-]?\d+",
            "is in scientific notation, which loses digits; format the column as text",
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
            "looks like a place on earth, not like a phone number",
        ),
        (
            rf"\+?(?:[^{_BREAK}\d]*+\d){{5}}[^{_BREAK}]*+[{_BREAK}](?:\D*+\d){{5}}.*",
            "has more than one number in it; give each by itself",
        ),
        (
            _AMOUNT,
            "looks like an amount; write a phone number with a leading + or as digits alone",
        ),
        (
            r".*\d{11,}[ .()-]+\d{1,4} ?\)?",
            "has something behind a number that is whole; give the number alone",
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
            _NATIONAL,
            "is written as inside one country; add the country code and a leading +",
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


def to_digits(text: str) -> str:
    """Return the digits of a written phone number of any length.

    Raises:
        ValueError: it is none, or could mean something else; the reason, with the number masked.
    """
    written = text.strip(_AROUND).translate(_ALIKE)
    if written.isascii() and written.isdigit():
        return written
    if len(written) <= _MAX_CHARACTERS:
        for pattern, reason in _REFUSED:
            if pattern.fullmatch(written):
                raise ValueError(f"{mask_number(written)!r} {reason}")
        if _NUMBER.fullmatch(written):
            return "".join(filter(str.isdigit, written))
    problem = f"{mask_number(written)!r} is not a phone number: only digits may remain"
    if any(c.isdigit() and not c.isascii() for c in written):
        problem += ", and only 0 to 9"
    raise ValueError(problem)


def read_phone_number(text: str) -> str:
    """Return the digits of a number that a message can go to: 5 to 15, the first of them no 0.

    Raises:
        ValueError: what is wrong with it, with the number masked.
    """
    digits = to_digits(text)
    for prefix, problem in _PREFIXES:
        if digits.startswith(prefix):
            raise ValueError(f"{mask_number(digits)} {problem}")
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        raise ValueError(
            f"{mask_number(digits)} has {len(digits)} digits; "
            f"a phone number has {MIN_DIGITS} to {MAX_DIGITS}"
        )
    return digits


def digits_or_text(text: str) -> str:
    """Return the digits of what is a phone number, and anything else as it is.

    So a source that is no number goes out as the SenderID it is, and `7-11` and `1.5` stay what
    they are: what has fewer than 5 digits is no phone number.
    """
    try:
        digits = to_digits(text)
    except ValueError:
        return text
    return digits if len(digits) >= MIN_DIGITS else text
