"""Letters without their accents: not what was written, but what is read."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from voxsms.text.gsm7 import ALPHABET

# A stroke, a hook or a missing dot is part of a letter for Unicode; only the name tells it.
_NAMED: Final = re.compile(r"LATIN (SMALL|CAPITAL) LETTER (?:DOTLESS ([IJ])$|([A-Z]) WITH )")


@lru_cache(maxsize=4096)
def without_accents(char: str) -> str | None:
    """Give the nearest letter that GSM-7 has; None if there is none.

    Accents come off from the outside in, so a ring or a diaeresis stays where GSM-7 has it.
    """
    if not char.isalpha():
        return None  # what crosses out a sign turns its meaning round
    inner = char
    while inner not in ALPHABET:
        decomposition = unicodedata.decomposition(inner)
        if not decomposition or decomposition.startswith("<"):
            return _by_name(inner)
        inner = chr(int(decomposition.split()[0], 16))
    return inner


def _by_name(char: str) -> str | None:
    found = _NAMED.match(unicodedata.name(char, ""))
    if not found:
        return None
    case, dotless, letter = found.groups()
    return (letter or dotless).lower() if case == "SMALL" else letter or dotless


def drop_marks(text: str) -> str:
    """Drop the combining marks after letters that GSM-7 has; others belong to their letter."""
    kept: list[str] = []
    for char in text:
        if not (unicodedata.combining(char) and kept and _may_lose_marks(kept[-1])):
            kept.append(char)
    return "".join(kept)


def _may_lose_marks(char: str) -> bool:
    return char.isalpha() and char in ALPHABET
