"""One word for one thing: those that have a plainer one do not come back."""

import re
from pathlib import Path

import pytest

import voxsms

ROOT = Path(str(voxsms.__file__)).parent
CHECKOUT = Path(__file__).parents[2]
WRITTEN = ("*.md", "docs/*.md", "docs/[!_]*/**/*.md", "docs/*.py", "docs/[!_]*/**/*.py")
PAGES = sorted([*ROOT.rglob("*.py"), *(page for each in WRITTEN for page in CHECKOUT.glob(each))])
INSTEAD = {
    r"\bcan not\b": "cannot",
    r'"""(Give|Gives|Tell|Tells) ': "Return ..., Return whether ...",
    r"\b_?(MOST|FEWEST)_[A-Z]": "MAX_, MIN_",
    r"\banew\b": "again",
    r"\b[Ww]hoever\b": "who, anyone who",
    r"\b(or )?be it\b": "whether",
    r"\bin our words\b": "in one of our errors",
    r"\bsilence_counts\b": "reports_progress",
    r"\b[Hh]ollow\b": "empty",
    r"\bfate\b": "outcome",
    r"\bHTTP try\b": "attempt",
    r"\bat the most\b": "at most",
    r"\b(dearly|in vain|and its like)\b": "expensive, needlessly, and similar",
}


@pytest.mark.parametrize("word", INSTEAD)
def test_a_word_that_has_a_plainer_one_is_not_used(word: str) -> None:
    """Nobody greps for it."""
    found = [
        f"{page}:{number}: {line.strip()}"
        for page in PAGES
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(word, line)
    ]
    assert found == [], f"say: {INSTEAD[word]}"
