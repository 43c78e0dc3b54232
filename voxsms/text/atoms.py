"""What is neither changed inside nor cut in two: links, mail addresses and placeholders.

Where a link ends is for the telephone to say; this follows RFC 3986, appendix C, and what common
telephones do: white space, quotes and angle brackets end it, and punctuation at its end is not
part of it. In doubt a link is taken to be longer rather than shorter: left alone it still works.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from voxsms.text.replacements import replacements

_NO_LINK: Final = r"\s<>\"\u201c-\u201e\u00ab\u00bb\u3000-\u303f\uff01-\uff0f\uff1a\uff1b\uff1f"
# Every pattern starts where a word starts, so that a long word is not searched from each letter.
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
    """Where one of them stands."""

    start: int
    end: int
    is_link: bool
    """If a telephone makes it something to tap on."""


def find_atoms(text: str) -> list[Atom]:
    """Find what is neither changed nor cut, in order."""
    return list(_find(text)) if _HINT.search(text) else []


def _find(text: str) -> Iterator[Atom]:
    for found in _ATOM.finditer(text):
        if found["link"]:
            link = _without_tail(found["link"])
            yield Atom(found.start(), found.start() + len(link), is_link=True)
        else:
            yield Atom(*found.span(), is_link=False)


def _without_tail(link: str) -> str:
    """Leave off the punctuation after a link; a parenthesis that it opened itself is its own."""
    tail = _tail()
    own = link.count("(") - link.count(")")  # below zero: so many are closed that it did not open
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
