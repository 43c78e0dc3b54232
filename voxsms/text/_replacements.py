"""What says the same in GSM-7: the data and rules for converting a text to it.

This is what the industry calls smart encoding: characters that word processors, phones and web
pages use where a plain keyboard has a plain one. Each replacement is in GSM-7, and a reader would
write it that way or not notice. Left out on purpose, because they would say something else:

- combining marks: a tilde over an n is not `~` (composition, NFC, comes before this table);
- fractions and superscripts: one and a half is not `11/2`; the middle dot, which may multiply;
- accented letters, and letters of other scripts that look like Latin ones;
- emoji, and the two characters that reverse the reading order.

Below the table are rules for fractions (always used), accents, Greek and look-alikes (on request).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from voxsms.text._gsm7 import ALPHABET, ESC


class Replacement(NamedTuple):
    """What is written in place of a character, and why that says the same."""

    text: str
    """GSM-7 characters; empty if the character is invisible."""
    reason: str


# Reason, replacement, and the characters it replaces.
_TABLE: Final = (
    (
        "typographic double quote",
        '"',
        "\u00ab\u00bb\u201c\u201d\u201e\u201f\u275d\u275e\u301d\u301e\u301f\u2e42",
    ),
    ("double prime used as a quote", '"', "\u02ba\u02dd\u02ee\u2033\u2036"),
    ("typographic single quote", "'", "\u2018\u2019\u201a\u201b\u2039\u203a\u275b\u275c"),
    (
        "prime, accent or modifier used as an apostrophe",
        "'",
        "`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u2032\u2035\ua78b\ua78c\uff40",
    ),
    (
        "typographic dash or hyphen",
        "-",
        "\u2010\u2011\u2012\u2013\u2014\u2015\u02d7\u23bc\u23bd\u2e3a\ufe31\ufe32\ufe58",
    ),
    ("minus sign", "-", "\u2212"),
    ("bullet", "-", "\u2022\u2023\u2043\u25e6"),
    ("double low line", "_", "\u2017"),
    ("ellipsis", "...", "\u2026\u22ef\ufe19"),
    ("two dot leader", "..", "\u2025"),
    (
        "space of another width",
        " ",
        (
            "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
            "\u205f\u3000"
        ),
    ),
    ("tab", " ", "\t"),
    ("line break of another kind", "\n", "\v\u0085\u2028\u2029"),
    (
        "invisible character",
        "",
        (
            "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2061\u2062"
            "\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
        ),
    ),
    ("ideographic punctuation", ",", "\u3001\ufe11\ufe51\uff64"),
    ("ideographic punctuation", ".", "\u3002\ufe12\uff61"),
    ("colon of another shape", ":", "\u02d0\u02f8\u2236\u2982\ua789"),
    ("semicolon of another shape", ";", "\u204f"),
    ("click letter shaped as the mark", "!", "\u01c3"),
    ("two marks in one", "!!", "\u203c"),
    ("two marks in one", "??", "\u2047"),
    ("two marks in one", "?!", "\u2048"),
    ("two marks in one", "!?", "\u2049"),
    ("slash of another shape", "/", "\u00f7\u2044\u2215\u29f8"),
    ("backslash of another shape", "\\", "\u2216\u29f5\u29f9"),
    (
        "vertical line of another shape",
        "|",
        "\u00a6\u2223\u239c\u239f\u23b8\u23b9\u23d0\u2502\u2758",
    ),
    (
        "asterisk of another shape",
        "*",
        (
            "\u204e\u2217\u229b\u2722\u2723\u2724\u2725\u2731\u2732\u2733\u273a\u273b\u273c\u273d\u2743"
            "\u2749\u274a\u274b\u29c6"
        ),
    ),
    ("plus sign of another shape", "+", "\u02d6"),
    ("multiplication sign", "x", "\u00d7"),
    ("equals sign of another shape", "=", "\ua78a"),
    ("circumflex of another shape", "^", "\u02c6"),
    ("tilde of another shape", "~", "\u02dc\u02f7\u223c\u301c"),
    ("percent sign of another script", "%", "\u066a"),
    ("parenthesis of another shape", "(", "\u2768\u276a\u27ee\u2985"),
    ("parenthesis of another shape", ")", "\u2769\u276b\u27ef\u2986"),
    ("bracket of another shape", "[", "\u2772\u27e6\u3010\u3014"),
    ("bracket of another shape", "]", "\u2773\u27e7\u3011\u3015"),
    ("brace of another shape", "{", "\u2774"),
    ("brace of another shape", "}", "\u2775"),
    ("sign written with plain characters", "(c)", "\u00a9"),
    ("sign written with plain characters", "(R)", "\u00ae"),
    ("sign written with plain characters", "(TM)", "\u2122"),
    ("sign written with plain characters", "No.", "\u2116"),
    ("sign written with plain characters", "+/-", "\u00b1"),
    ("sign written with plain characters", "<=", "\u2264"),
    ("sign written with plain characters", ">=", "\u2265"),
    ("sign written with plain characters", "<-", "\u2190"),
    ("sign written with plain characters", "->", "\u2192"),
    ("sign written with plain characters", "=>", "\u21d2"),
    ("ligature", "ff", "\ufb00"),
    ("ligature", "fi", "\ufb01"),
    ("ligature", "fl", "\ufb02"),
    ("ligature", "ffi", "\ufb03"),
    ("ligature", "ffl", "\ufb04"),
    ("ligature", "st", "\ufb05\ufb06"),
    ("ligature", "IJ", "\u0132"),
    ("ligature", "ij", "\u0133"),
    ("ligature", "OE", "\u0152"),
    ("ligature", "oe", "\u0153"),
    ("two letters in one", "'n", "\u0149"),
    ("two letters in one", "LJ", "\u01c7"),
    ("two letters in one", "Lj", "\u01c8"),
    ("two letters in one", "lj", "\u01c9"),
    ("two letters in one", "NJ", "\u01ca"),
    ("two letters in one", "Nj", "\u01cb"),
    ("two letters in one", "nj", "\u01cc"),
    ("two letters in one", "DZ", "\u01f1"),
    ("two letters in one", "Dz", "\u01f2"),
    ("two letters in one", "dz", "\u01f3"),
    ("other form of the letter", "s", "\u017f"),
    ("other form of the letter", "\u00df", "\u1e9e"),
    ("sign for the letter", "K", "\u212a"),
    ("sign for the letter", "\u00c5", "\u212b"),
    ("sign for the letter", "\u0394", "\u2206"),
    ("sign for the letter", "\u03a0", "\u220f"),
    ("sign for the letter", "\u03a3", "\u2211"),
    ("sign for the letter", "\u03a9", "\u2126"),
)

_SMALL_CAPITALS: Final = (
    "ABCDEFGHIJKLMNOPRSTUVWYZ",
    (
        "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f"
        "\u1d0d\u0274\u1d0f\u1d18\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22"
    ),
)

# For these blocks Unicode itself gives the plain form of each character, and the kind of variant.
_FORM_BLOCKS: Final = (
    range(0x2100, 0x2150),  # letterlike symbols
    range(0xFE10, 0xFE20),  # vertical forms
    range(0xFE30, 0xFE70),  # compatibility forms, small form variants
    range(0xFF00, 0xFFF0),  # full-width forms
    range(0x1D400, 0x1D800),  # mathematical letters, used as fancy type
)
_FORMS: Final = {
    "<font>": "letter in another type",
    "<small>": "small form",
    "<vertical>": "form for vertical writing",
    "<wide>": "full-width form",
}


def _from_table() -> Iterator[tuple[str, Replacement]]:
    for reason, text, chars in _TABLE:
        yield from ((char, Replacement(text, reason)) for char in chars)
    for letter, char in zip(*_SMALL_CAPITALS, strict=True):
        yield char, Replacement(letter, "small capital")


def _from_unicode() -> Iterator[tuple[str, Replacement]]:
    for char in (chr(code) for block in _FORM_BLOCKS for code in block):
        tag = unicodedata.decomposition(char).partition(" ")[0]
        if tag in _FORMS and (text := unicodedata.normalize("NFKC", char)) in ALPHABET:
            yield char, Replacement(text, _FORMS[tag])


def _from_controls() -> Iterator[tuple[str, Replacement]]:
    """Yield C0 and C1: they are invisible."""
    for char in map(chr, (*range(0x20), *range(0x7F, 0xA0))):
        if char not in ALPHABET and char != ESC:
            yield char, Replacement("", "control character")


@cache
def replacements() -> Mapping[str, Replacement]:
    """Return the replacements, by the character outside GSM-7 that each stands for."""
    return MappingProxyType(
        {**dict(_from_controls()), **dict(_from_unicode()), **dict(_from_table())}
    )


# --- Accents --------------------------------------------------------------------------------------

# A stroke, a hook or a missing dot is part of a letter in Unicode; only the name shows it.
_ACCENTED: Final = re.compile(r"LATIN (SMALL|CAPITAL) LETTER (?:DOTLESS ([IJ])$|([A-Z]) WITH )")


@lru_cache(maxsize=4096)
def remove_accents(char: str) -> str | None:
    """Return the nearest letter that GSM-7 has, or None if there is none.

    Accents are removed from the outside in, so a ring or a diaeresis stays if GSM-7 has it.
    """
    if not char.isalpha():
        return None  # a stroke through a sign reverses its meaning
    inner = char
    while inner not in ALPHABET:
        decomposition = unicodedata.decomposition(inner)
        if not decomposition or decomposition.startswith("<"):
            return _find_by_name(inner)
        inner = chr(int(decomposition.split()[0], 16))
    return inner


def _find_by_name(char: str) -> str | None:
    found = _ACCENTED.match(unicodedata.name(char, ""))
    if not found:
        return None
    case, dotless, letter = found.groups()
    return (letter or dotless).lower() if case == "SMALL" else letter or dotless


def remove_marks(text: str) -> str:
    """Remove combining marks after letters that GSM-7 has; the others belong to their letter."""
    kept: list[str] = []
    for char in text:
        on_letter = bool(kept) and kept[-1].isalpha() and kept[-1] in ALPHABET
        if not (on_letter and unicodedata.combining(char)):
            kept.append(char)
    return "".join(kept)


# --- Fractions ------------------------------------------------------------------------------------

_FRACTION: Final = re.compile(r"<fraction> ([0-9A-F ]+) 2044 ([0-9A-F ]+)")
_SLASHES: Final = frozenset("/\u2044\u2215")
_BEFORE_FRACTION: Final = _SLASHES | frozenset(".,")


def write_fraction(char: str, before: str, after: str) -> str | None:
    """Write a fraction as `1/2`, after a number as ` 1/2`; None if that might be misread.

    `before` and `after` are its neighbours, empty at the ends of a text.
    """
    found = _FRACTION.fullmatch(unicodedata.decomposition(char))
    if not found or _is_number(after) or before in _BEFORE_FRACTION or after in _SLASHES:
        return None
    over, under = ("".join(chr(int(code, 16)) for code in part.split()) for part in found.groups())
    return f"{' ' if _is_number(before) else ''}{over}/{under}"


def _is_number(char: str) -> bool:
    return char != "" and unicodedata.numeric(char, None) is not None


# --- Look-alikes ----------------------------------------------------------------------------------

# They come from a keyboard left in another layout, or from someone who wants one word to pass for
# another. Swapping them changes the word, so they are reported, and swapped only on request.
_ALIKE: Final = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХҮҺԚԜаеорсухѕіјһԁԛԝӏк"  # Cyrillic
        "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαγικνορυχ",  # Greek
        "ABESIJKMHOPCTYXYHQWaeopcyxsijhdqwlk"  # what they look like, in Latin
        "ABEZHIKMNOPTYXayikvopux",
        strict=True,
    )
)
_LOOKALIKE: Final = re.compile(f"[{''.join(_ALIKE)}]")
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
    """Return the look-alikes in words whose other letters, at least one, are all Latin."""
    if text.isascii() or not _LOOKALIKE.search(text):
        return ()
    return tuple(_find_homoglyphs(text))


def _find_homoglyphs(text: str) -> Iterator[Homoglyph]:
    for word in _WORD.finditer(text):
        letters = {char for char in word.group() if char.isalpha()}
        foreign = letters & _ALIKE.keys()
        own = letters - foreign
        if foreign and own and all(map(_is_latin, own)):
            for found in _LOOKALIKE.finditer(text, *word.span()):
                char = found.group()
                name = unicodedata.name(char)
                yield Homoglyph(found.start(), char, name, _ALIKE[char])


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN ")


# --- Greek: in capitals, as Greek mailings are written --------------------------------------------

# GSM-7 has the Greek capitals whose shapes Latin lacks, and no others.
_CAPITALS: Final = {char: shape for char, shape in _ALIKE.items() if "Α" <= char <= "Χ"}
_NOT_GREEK: Final = re.compile(r"[^\W\d_\u0370-\u03ff\u1f00-\u1fff]")


def write_greek(letter: str, *, capitals: bool = False) -> str | None:
    """Write a Greek capital as the GSM-7 character of the same shape, without accents.

    With `capitals`, a small letter is written as its capital. None for anything else.
    """
    decomposed = unicodedata.normalize("NFD", letter)
    base = decomposed[0]
    if not unicodedata.name(base, "").startswith("GREEK "):
        return None
    if not all(map(unicodedata.combining, decomposed[1:])):
        return None
    upper = base.upper() if capitals else base
    written = _CAPITALS.get(upper, upper)
    return written if written in ALPHABET else None


def find_greek_words(text: str) -> Iterator[range]:
    """Yield the spans of words in which every letter is Greek, unlike the mu of micrometres."""
    for word in _WORD.finditer(text):
        if not _NOT_GREEK.search(word.group()):
            yield range(*word.span())
