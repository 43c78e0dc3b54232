"""Vulgar fractions in plain characters: how they are written depends on what stands beside them."""

import re
import unicodedata
from typing import Final

_FRACTION: Final = re.compile(r"<fraction> ([0-9A-F ]+) 2044 ([0-9A-F ]+)")
_SLASHES: Final = frozenset("/\u2044\u2215")
_BEFORE: Final = _SLASHES | frozenset(".,")


def write_fraction(char: str, before: str, after: str) -> str | None:
    """Write one as `1/2`, after a number as ` 1/2`; None if that might be read as another number.

    Beside it stands one character each, or none at the ends of a text.
    """
    found = _FRACTION.fullmatch(unicodedata.decomposition(char))
    if not found or _is_number(after) or before in _BEFORE or after in _SLASHES:
        return None
    over, under = ("".join(chr(int(code, 16)) for code in part.split()) for part in found.groups())
    return f"{' ' if _is_number(before) else ''}{over}/{under}"


def _is_number(char: str) -> bool:
    return char != "" and unicodedata.numeric(char, None) is not None
