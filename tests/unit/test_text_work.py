"""Long texts: what is done grows with the length of a text, not with its square.

Counted are steps (of the interpreter, and those that C code is known to take), so that no test
depends on the speed of a machine.
"""

import sys
import tracemalloc
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from types import FrameType, ModuleType
from typing import Any, Literal

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from voxsms.errors import InvalidRequest, TemplateError
from voxsms.text import Message, Template, segment

FLAG = "\U0001f1e9"  # one regional indicator; two of them are a flag
NORMALIZE = unicodedata.normalize


class Meter:
    """Counts the steps of a call."""

    def __init__(self) -> None:
        self.steps = 0

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - its own type
        """Count one instruction."""
        frame.f_trace_opcodes = True
        self.steps += 1
        return self.trace

    def findall(self, pattern: str, text: str) -> list[str]:
        r"""Count as `regex` does for `\X`: at each flag it looks back to the first in its row."""
        runs = regex.findall("[\U0001f1e6-\U0001f1ff]+", text)
        self.steps += len(text) + sum(len(run) ** 2 for run in runs)
        return regex.findall(pattern, text)

    def normalize(self, form: Literal["NFC", "NFD"], text: str) -> str:
        """Count as CPython does: a mark goes back one place for each that belongs behind it."""
        orders = [*map(unicodedata.combining, NORMALIZE("NFKD", text[:1]) + text[1:])]
        astray = sum(0 < second < first for first, second in pairwise(orders))
        self.steps += len(text) + astray**2
        return NORMALIZE(form, text)


def steps(call: Callable[[], object]) -> int:
    """Count the steps of a call; a refusal ends one, too."""
    meter = Meter()
    fake = ModuleType("regex")
    fake.findall = meter.findall  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, suppress(InvalidRequest, TemplateError):
        patch.setitem(sys.modules, "regex", fake)
        patch.setattr(unicodedata, "normalize", meter.normalize)
        before = sys.gettrace()
        sys.settrace(meter.trace)
        try:
            call()
        finally:
            sys.settrace(before)
    return meter.steps


def fitted(text: str, max_fragments: int = 1, ellipsis: str = "...") -> Message:
    """Shorten a text."""
    return Message(text).fitted(max_fragments=max_fragments, ellipsis=ellipsis)


def fitted_values(value: str) -> Message:
    """Shorten two fields, of which the first must go to its least."""
    template = Template("{a} {b}" + "x" * 150)
    return template.render_fitted(max_fragments=1, shrink=["a", "b"], a=value, b="b" * 400)


def named(size: int) -> Template:
    """Make a template of many fields."""
    return Template(" ".join(f"{{field{index}}}" for index in range(size)))


@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        lambda n: segment("x" * 200 + FLAG * n).bounds,
        lambda n: segment(("x" + FLAG * 99) * (n // 100)).bounds,
        lambda n: segment("x" * 200 + "\u0301" * n).bounds,
        lambda n: segment("\u0436\u200d\ufe0f" * n).forced_by,
        lambda n: Message(FLAG * n).simplified(),
        lambda n: Message("e" + "\u0301\u0323" * n).simplified(),
        lambda n: Message("e" + "\u0f73" * n).simplified(accents=True),
        lambda n: Message("a.io \u2019 " * n).simplified(),
        lambda n: Message("\u00bd" + "\u200b" * n + "\u00bd").simplified(),
        lambda n: Message("p\u0430y\u200b" * n).simplified(homoglyphs=True, accents=True),
        lambda n: Message("\u2019 word" * n).simplified().fitted(max_fragments=1).changes,
        lambda n: Message("p\u0430y " * n).homoglyphs,
        lambda n: fitted(FLAG * n),
        lambda n: fitted("-" * n),
        lambda n: fitted("\r\n" * n),
        lambda n: fitted("\u0600 " * n),
        lambda n: fitted("a.io " * n, n // 40),
        lambda n: fitted("." * n + "x", max(1, n // 160), ellipsis=""),
        lambda n: fitted("aaaa" * n, n // 40),
        lambda n: fitted_values("a" * n),
        lambda n: fitted_values("-" * n),
        lambda n: fitted_values("\u0600 " * n),
        lambda n: fitted_values(FLAG * n),
        lambda n: Template("{a} " * n).render(a="\u0436").forced_by_fields,
        lambda n: Template("{a}").render(a="\u0436" * n).forced_by_fields,
        lambda n: Template("{a} " * n).room("a", max_fragments=4),
        lambda n: Template("{a} " * n).room("a", max_fragments=255),
        lambda n: named(n // 4).render(**{f"field{index}": index for index in range(n // 4)}),
        lambda n: named(n // 4).render(**{f"felt{index}": "" for index in range(n // 4)}),
    ],
)
def test_twice_the_text_is_twice_the_work(work: Callable[[int], object]) -> None:
    """Whatever stands in it: flags, marks, links, blanks, fields."""
    with suppress(InvalidRequest, TemplateError):
        work(40)  # tables are made once
    assert steps(lambda: work(800)) < 2.6 * steps(lambda: work(400))


@pytest.mark.parametrize("char", ["a", "-", FLAG, "\u0436"])
def test_a_long_value_takes_little_memory(char: str) -> None:
    """A value of 80,000 characters took 3.1 GB."""
    tracemalloc.start()
    with suppress(TemplateError):
        fitted_values(char * 20_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000 * 200


def test_a_row_of_what_cannot_end_a_text_is_no_deep_one() -> None:
    """A prepended mark takes the space after it along, however many there are."""
    with pytest.raises(InvalidRequest, match="no beginning of it that makes sense fits"):
        fitted("\u0600 " * 3_000)


FLAGS = st.lists(st.sampled_from([FLAG, FLAG * 17, "\U0001f1fa", "\u0301", "\u0600", "a"]))


@given(FLAGS.map("".join))
def test_flags_are_paired_as_unicode_pairs_them(text: str) -> None:
    """However many stand in a row, and whatever stands before and after them (UAX 29)."""
    text = "\u0436" * 71 + text
    clusters: list[str] = regex.findall(r"\X", text)
    count, used = 1, 0
    for units in (len(cluster.encode("utf-16-le")) // 2 for cluster in clusters):
        if units > 67:
            return  # cut inside: another test's
        count, used = (count, used + units) if used + units <= 67 else (count + 1, units)
    assert segment(text).bounds.most == (count)


@given(
    st.text(
        st.sampled_from("e\u0301\u0323\u0f73\u0f71\u0344\u0345\u1100\u1161"),
        min_size=31,
        max_size=80,
    )
)
def test_long_rows_of_marks_are_composed_as_unicode_composes_them(marks: str) -> None:
    """In the order of their classes (UAX 15), however many there are."""
    text = "\u0436e" + marks
    simple = Message(text).simplified(always=True).text
    assert NORMALIZE("NFC", simple) == NORMALIZE("NFC", text)


def test_no_message_has_more_than_255_fragments() -> None:
    """The header that joins them counts them in one octet, so no room is beyond that."""
    template = Template("{name}")
    assert template.room("name", max_fragments=10**9) == template.room("name", max_fragments=255)
    assert template.worst_case(name=255 * 66) == (111, 255)
    with pytest.raises(TemplateError, match="more than 255 fragments, which no message may have"):
        template.worst_case(name=10**12)
