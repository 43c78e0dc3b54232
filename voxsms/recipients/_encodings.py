"""The encoding of a list, and a guess if it cannot be determined with certainty.

A guess is only suggested, never used: in the wrong encoding everybody would be greeted with a wrong
name. It is the encoding in which words have the fewest letters that are foreign to one language, or
capitals in the middle.
"""

import codecs
import re
from itertools import islice
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the next one
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PART_OF_ZEROS: Final = 16
"""In UTF-16 every second byte of digits is zero; in other encodings a zero byte is an error."""
_RAW_WORD: Final = re.compile(rb"[^\x00-\x2f\x3a-\x40]+")
"""A word; those with a byte outside ASCII are used. The second byte of a character may look like a
letter."""
_MAX_WORDS: Final = 200
_WORD: Final = re.compile(r"[^\x00-@\[-`{-~]+")
_AROUND_WORDS: Final = "“”„«»‘’…–—°№™\xa0"

_WEST: Final = (
    "a-zàâæçéèêëîïôœùûüÿ",  # French
    "a-zäöüßéè",  # German
    "a-záéíñóúüªº",  # Spanish
    "a-záàâãçéêíóôõúü",  # Portuguese
    "a-zàèéìíòù",  # Italian
    "a-zåäöæøéü",  # Nordic
    "a-záðéíóúýþæö",  # Icelandic
)
_CENTRAL: Final = (
    "a-ząćęłńóśźż",  # Polish
    "a-záäčďéěíĺľňóôřŕšťúůýž",  # Czech, Slovak
    "a-záéíóöőúüű",  # Hungarian
    "a-zčćđšž",  # Croatian, Slovene
    "a-zăâîşţ",  # Romanian
)
_CYRILLIC: Final = ("а-яё", "а-щьюяґєії")  # Russian, Ukrainian
_ALPHABETS: Final = (
    ("cp1255", ("א-ת",)),
    ("cp1256", ("ء-ْ",)),
    ("cp1253", ("α-ωάέήίόύώϊϋ",)),
    *((encoding, _CYRILLIC) for encoding in ("cp1251", "koi8-r", "cp866", "mac-cyrillic")),
    *((encoding, _WEST) for encoding in ("cp1252", "mac-roman", "cp850")),
    *((encoding, _CENTRAL) for encoding in ("cp1250", "cp852")),
    ("cp1254", ("a-zçğıi\u0307öşüâîû",)),
    ("cp1257", ("a-ząčęėįšųūž", "a-zāčēģīķļņšūž", "a-zäöõüšž")),
    ("cp932", ("ぁ-ヿ一-鿿",)),
    ("cp949", ("가-힣",)),
    ("gb18030", ("一-鿿",)),
)
"""The letters of the languages of each encoding; of equally good encodings the first is used."""


def find_encoding(head: bytes) -> tuple[str, bool]:
    """Return the encoding that the beginning of a file shows, and whether a mark names it."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, True
    even, odd = head[::2].count(0), head[1::2].count(0)
    if abs(even - odd) > len(head) // _PART_OF_ZEROS:
        return ("utf-16-be" if even > odd else "utf-16-le"), False
    return "utf-8", True


def guess_encoding(octets: bytes) -> str:
    """Return the encoding in which a text that is not UTF-8 makes the most sense."""
    words = (found[0] for found in _RAW_WORD.finditer(octets) if not found[0].isascii())
    sample = b" ".join(islice(words, _MAX_WORDS))
    return min(
        _ALPHABETS, key=lambda known: _count_foreign(sample.decode(known[0], "replace"), known[1])
    )[0]


def _count_foreign(text: str, alphabets: tuple[str, ...]) -> int:
    found = (word for word in _WORD.findall(text) if not word.isascii() and word not in "€£")
    words = [word.strip(_AROUND_WORDS) for word in found]
    mixed = sum(word not in {word.lower(), word.upper(), word.capitalize()} for word in words)
    letters = "".join(words).lower().replace("’", "")
    return mixed + min(len(re.findall(f"[^{alphabet}]", letters)) for alphabet in alphabets)
