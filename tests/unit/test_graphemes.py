"""The quick look that tells whether characters of a text can join."""

import sys
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxsms.text._graphemes import may_join

regex = import_module("regex")  # it has no types


@pytest.mark.unmeasured
@pytest.mark.slow
def test_no_character_that_joins_is_taken_for_one_that_stands_alone() -> None:
    """Each character passed as standing alone has a class that UAX 29 breaks before and after."""
    everything = [chr(code) for code in range(sys.maxunicode + 1)]
    alone = "".join(char for char in everything if not may_join(char))
    joining = regex.findall(r"[^\p{GCB=Other}\p{GCB=LV}\p{GCB=LVT}\p{GCB=Control}\n]", alone)
    assert joining == []
    assert len(alone) > 30_000
    assert regex.findall(r"\X", alone) == list(alone)


@pytest.mark.parametrize(
    "text",
    [
        "a\u0301",
        "\r\n",
        "\u2764\ufe0f",
        "\U0001f468\u200d\U0001f469",
        "\U0001f44d\U0001f3fd",
        "\U0001f1e9\U0001f1ea",
        "\u0e01\u0e33",
        "\u1100\u1161",
        "\u0915\u094d\u0937",
        "\u0600\u0661",
    ],
)
def test_what_joins_is_seen(text: str) -> None:
    """A mark, a line end, emoji sequences, flags and the scripts in which characters join."""
    assert len(regex.findall(r"\X", text)) == 1
    assert may_join(text)
    assert may_join(f"Hello {text} there")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello\nthere",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u0401\u043b\u043a\u0430!",
        "\u201eZa\u017c\u00f3\u0142\u0107\u201d \u2013 10\u00a0\u20ac\u2026",
        "\u4f60\u597d \u3053\u3093\u306b\u3061\u306f \uc548\ub155",
        "\U0001f600\U0001f680\u2b50",
        "\u0645\u0631\u062d\u0628\u0627",
    ],
)
def test_common_texts_need_no_second_look(text: str) -> None:
    """Most scripts, typography and plain emoji are known to stand alone."""
    assert not may_join(text)


_CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("ab \r\n\u0301\u200d\ufe0f\U0001f468\U0001f3fd\U0001f1e9\u1100\uac00\u0600"),
)


@given(st.text(_CHARACTERS))
def test_where_none_may_join_every_character_is_a_cluster(text: str) -> None:
    """The quick look is never wrong about "no"."""
    assert may_join(text) or regex.findall(r"\X", text) == list(text)
