"""The GSM 7-bit default alphabet as data, and the tables that let C code count septets.

Source: 3GPP TS 23.038, 6.2.1 (the default alphabet) and 6.2.1.1 (its extension table). National
language shift tables are not used: the service documents none.
"""

import codecs
import re
from typing import Final

ESC: Final = "\x1b"
"""Septet 0x1B: it opens an escape pair, so it is not a character of a text."""

# A character's index is its septet; ESC is included so that the indices are right.
_DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

BASIC: Final = {char: septet for septet, char in enumerate(_DEFAULT_ALPHABET) if char != ESC}
"""The 127 characters that take one septet, and their septets."""

EXTENSION: Final = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""The ten characters that take an escape pair, and the septet that follows ESC in it."""

ALPHABET: Final = frozenset(BASIC) | frozenset(EXTENSION)
"""Every character that GSM-7 can carry."""

FOREIGN: Final = re.compile(f"[^{re.escape(''.join(sorted(ALPHABET)))}]")
"""One character that GSM-7 cannot carry."""

# The code below works on bytes: nothing in Python looks at every character faster than
# `bytes.translate`. Of the alphabet only the euro sign and ten Greek capitals are not in Latin-1:
# the euro sign is replaced by another character of the extension table, the capitals are dropped.
# A Greek text has so many of them that a pattern, or a charmap of the whole alphabet, is quicker.
_SINGLES: Final = "".join(BASIC).encode("latin-1", "ignore")
_DOUBLES: Final = "".join(EXTENSION).encode("latin-1", "ignore")

_DOUBLE: Final = 0x80
_FOREIGN: Final = 0xFF


def _marks() -> bytes:
    """Return the translation that leaves basic bytes as they are and marks the others."""
    table = bytearray([_FOREIGN]) * 256
    for octet in _SINGLES:
        table[octet] = octet
    for octet in _DOUBLES:
        table[octet] = _DOUBLE
    return bytes(table)


MARKS: Final = _marks()
"""A `bytes.translate` table that changes nothing in ASCII text of basic characters.

CPython then returns the same object, so an `is` check shows at once that there is nothing to count;
an interpreter that returns a copy counts, and finds nothing.
"""

SIGMA: Final = "\u03a3"
"""Nearly every Greek text has it."""
_GREEK: Final = re.compile(f"[{re.escape(''.join(BASIC))}€]*+").fullmatch
_CARRIED: Final = re.compile(f"[{re.escape(''.join(sorted(ALPHABET)))}]*+").fullmatch

# CPython builds its quick kind of map only if the first octet is NUL. ESC's place is free.
_CODES: Final = codecs.charmap_build(
    "\0" + _DEFAULT_ALPHABET[1:].replace(ESC, _DEFAULT_ALPHABET[0]) + "".join(EXTENSION)
)
_ASCII: Final = bytes(range(0x80))
_TO_DOUBLE: Final = b"\0" * 0x80 + b"\x80" * 0x80


def count_septets(text: str) -> int | None:
    """Count the septets that a text takes; None if GSM-7 cannot carry it."""
    return count_greek(text) if SIGMA in text else count_latin(text)


def count_greek(text: str) -> int | None:
    """Count the septets of any text; quick where it has many Greek letters."""
    if _GREEK(text):
        return len(text) + text.count("€") if "€" in text else len(text)
    if FOREIGN.match(text):  # an error takes longer
        return None
    try:
        octets, units = codecs.charmap_encode(text, "strict", _CODES)
    except UnicodeEncodeError:
        return None
    return None if 0 in octets else units + len(octets.translate(None, _ASCII))


def count_latin(text: str) -> int | None:
    """Count the septets of any text; quick where it has no Greek letters."""
    units = len(text)
    if text.isascii():
        octets = text.encode()
        marked = octets.translate(MARKS)
        if marked is octets:
            return units
        return None if _FOREIGN in marked else units + marked.count(_DOUBLE)
    octets = text.replace("€", "[").encode("latin-1", "ignore")
    if len(octets) != units and not _CARRIED(text):
        return None
    marked = octets.translate(MARKS, _SINGLES)
    return None if _FOREIGN in marked else units + len(marked)


def escape_map(text: str) -> bytes:
    """Return one byte for each septet of a GSM-7 text: ESC for the first of an escape pair."""
    octets, _ = codecs.charmap_encode(text, "strict", _CODES)
    return octets.translate(_TO_DOUBLE).replace(b"\x80", b"\x1b\x80")
