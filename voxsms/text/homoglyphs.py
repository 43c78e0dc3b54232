"""Cyrillic and Greek letters inside Latin words: they look alike, and force UTF-16.

They come from a keyboard left in another layout, or from somebody who wants one word to pass for
another. To swap them is to change the word, so they are reported; only who asks for it by name has
them swapped. A letter is reported if every letter of its word is Latin or looks so, and one is.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

_ALIKE: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХҮҺԚԜаеорсухѕіјһԁԛԝӏк"  # Cyrillic
        "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορυχ",  # Greek
        "ABESIJKMHOPCTYXYHQWaeopcyxsijhdqwlk"  # what they look like, in Latin
        "ABEZHIKMNOPTYXayikvopux",
        strict=True,
    )
)
_ANY: Final = re.compile(f"[{''.join(_ALIKE)}]")
_WORD: Final = re.compile(r"\w+")


class Homoglyph(NamedTuple):
    """A letter of another script that passes for a Latin one."""

    index: int  # type: ignore[assignment]  # the field's name; hides `tuple.index`, no loss here
    """Its position, counted in code points."""
    char: str
    name: str
    """Its Unicode name."""
    looks_like: str
    """The Latin letter."""


def find_homoglyphs(text: str) -> tuple[Homoglyph, ...]:
    """Report each look-alike inside a Latin word."""
    if text.isascii() or not _ANY.search(text):
        return ()
    return tuple(_find(text))


def _find(text: str) -> Iterator[Homoglyph]:
    for word in _WORD.finditer(text):
        letters = {char for char in word.group() if char.isalpha()}
        foreign = letters & _ALIKE.keys()
        own = letters - foreign
        if foreign and own and all(map(_is_latin, own)):
            for found in _ANY.finditer(text, *word.span()):
                char = found.group()
                name = unicodedata.name(char)
                yield Homoglyph(found.start(), char, name, _ALIKE[char])


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN ")
