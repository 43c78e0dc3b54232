"""What must not be cut in two: grapheme clusters, links, mail addresses and placeholders.

A grapheme cluster (UAX 29) is what a reader takes for one character. Finding the clusters is slow;
ruling out clusters of several characters is quick, and enough for nearly all texts.

The phone decides where a link ends; this follows RFC 3986, appendix C, and what common phones do:
white space, quotes and angle brackets end it, and punctuation at its end is not part of it. In
doubt a link is taken to be longer rather than shorter: left alone, it still works.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Final, NamedTuple

from voxsms.text._replacements import replacements

# Characters that never join one another: those of the Grapheme_Cluster_Break classes Other, LV and
# LVT, and the line feed. The ranges leave out rare scripts, to be short and quick to search; a test
# compares them with the property itself. The carriage return joins the line feed.
_ALONE: Final = (
    "\n\x20-\x7e\xa0-\xac\xae-\u02ff"  # Latin
    "\u0370-\u0373\u0376-\u0377\u037a-\u037f\u0384-\u038a\u038e-\u03a1\u03a3-\u0482\u048a-\u052f"
    "\u0531-\u0556\u0561-\u0587\u05d0-\u05ea"  # Greek, Cyrillic, Armenian, Hebrew
    "\u060c\u061b\u061f-\u064a\u0660-\u066f\u0671-\u06d3"  # Arabic without its marks
    "\u10d0-\u10ff\u1e00-\u1eff"  # Georgian, more Latin
    "\u2010-\u2027\u202f-\u205e\u20a0-\u20c0\u2100-\u23ff\u2460-\u2bff"  # punctuation, signs
    "\u3000-\u3029\u3041-\u3096\u309b-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff9d"  # East Asia
    "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001faff"  # emoji
)

# Two regional indicators in a row are one flag, so `regex` looks back from each to the first of its
# run. After an even number of them, if one more follows, there is always a break (GB12 and GB13).
_FLAGS: Final = re.compile("[\U0001f1e6-\U0001f1ff]{16}(?=[\U0001f1e6-\U0001f1ff])")


@cache
def _may_join() -> re.Pattern[str]:
    """Return the pattern, compiled on first use, which takes milliseconds."""
    return re.compile(f"[^{_ALONE}]")


def may_join(text: str) -> bool:
    """Return whether there may be a cluster of several characters; if not, there is none."""
    if text.isascii():
        return "\r" in text
    return _may_join().search(text) is not None


def split_clusters(text: str) -> list[str]:
    """Split a text into its grapheme clusters; `may_join` says whether that is needed at all."""
    # `regex` takes longer to import than the rest of voxsms.text, and few texts need it.
    findall: Callable[[str, str], list[str]] = import_module("regex").findall
    clusters: list[str] = []
    done = 0
    for block in _FLAGS.finditer(text):
        clusters += findall(r"\X", text[done : block.end()])
        done = block.end()
    return clusters + findall(r"\X", text[done:])


_NO_LINK: Final = r"\s<>\"\u201c-\u201e\u00ab\u00bb\u3000-\u303f\uff01-\uff0f\uff1a\uff1b\uff1f"
# Every pattern starts at the start of a word, so that a long word is not searched from each letter.
_ATOM: Final = re.compile(
    rf"""
    (?P<link>
        (?<![a-z0-9+.-]) (?: [a-z][a-z0-9+.-]*:// | www\. ) [^{_NO_LINK}]+
      | (?<![\w.+-]) [\w.+-]+@[\w-]+ (?: \.[\w-]+ )+
      | (?<![\w.-]) (?: [\w-]+\. )+ [^\W\d_]{{2,}} (?!\w) (?: [/?\#:] [^{_NO_LINK}]+ )?
    )
    | \$?\{{\{{?\s*[\w.-]+\s*\}}?\}}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HINT: Final = re.compile(r"\w[.@]\w|://|\{")


class Atom(NamedTuple):
    """The position of a link, a mail address or a placeholder."""

    start: int
    end: int
    is_link: bool
    """Whether a phone makes it a link to tap."""


def find_atoms(text: str) -> list[Atom]:
    """Return the links, mail addresses and placeholders in a text, in order."""
    return list(_find_atoms(text)) if _HINT.search(text) else []


def _find_atoms(text: str) -> Iterator[Atom]:
    for found in _ATOM.finditer(text):
        if found["link"]:
            link = _strip_tail(found["link"])
            yield Atom(found.start(), found.start() + len(link), is_link=True)
        else:
            yield Atom(*found.span(), is_link=False)


def _strip_tail(link: str) -> str:
    """Remove the punctuation after a link; a parenthesis opened in the link belongs to it."""
    tail = _tail()
    own = link.count("(") - link.count(")")  # if negative: how many are closed but not opened
    end = len(link)
    while link[end - 1] in tail:
        if link[end - 1] == ")":
            if own >= 0:
                break
            own += 1
        end -= 1
    return link[:end]


@cache
def _tail() -> frozenset[str]:
    marks = (char for char in replacements() if not char.isalnum())
    return frozenset((*".,;:!?'\")]>", *marks))
