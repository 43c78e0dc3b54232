"""Whether characters of a text can join to what a reader takes for one (a grapheme cluster).

To find the clusters (UAX 29) takes long; to see that there can be none of several characters takes
one look, and that is the answer for nearly all texts.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Final

# Characters that join with none of their like: those of the Grapheme_Cluster_Break classes Other,
# LV and LVT, and the line feed. The ranges leave out rare scripts, to be short and quick to search;
# a test holds them against the property itself. The carriage return joins the line feed.
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

# Two regional indicators in a row are one flag, so `regex` looks back from each to the first in its
# row. After an even number of them, if one more follows, there is always a break (GB12 and GB13).
_FLAGS: Final = re.compile("[\U0001f1e6-\U0001f1ff]{16}(?=[\U0001f1e6-\U0001f1ff])")


@cache
def _may_join() -> re.Pattern[str]:
    """Compile it when it is first asked for: that takes milliseconds."""
    return re.compile(f"[^{_ALONE}]")


def may_join(text: str) -> bool:
    """Tell if there may be a grapheme cluster of several characters; if not, there is none."""
    if text.isascii():
        return "\r" in text
    return _may_join().search(text) is not None


def split_clusters(text: str) -> list[str]:
    """Split a text into its grapheme clusters; ask `may_join` first if that is needed at all."""
    # `regex` takes longer to import than the rest of voxsms.text, and few texts need it.
    findall: Callable[[str, str], list[str]] = import_module("regex").findall
    clusters: list[str] = []
    done = 0
    for block in _FLAGS.finditer(text):
        clusters += findall(r"\X", text[done : block.end()])
        done = block.end()
    return clusters + findall(r"\X", text[done:])
