"""Message: what a text costs, and the longest beginning of it that fits."""

import copy
import pickle

import attrs
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from voxsms.errors import InvalidRequest, InvalidText
from voxsms.text import Encoding, Message, count_fragments
from voxsms.text._changes import apply_changes
from voxsms.text._graphemes import find_atoms
from voxsms.text._gsm7 import ALPHABET

WORDS = st.sampled_from(["word ", "a ", "Hi, ", "end. ", "Stra\u00dfe ", "{[\u20ac]} ", "x" * 40])
FOREIGN = st.sampled_from(
    [
        "\u0436\u0436\u0436 ",
        "\U0001f600",
        "\U0001f468\u200d\U0001f469 ",
        "e\u0301",
        "\u8bf7\u8bbf",
        "\u2019s ",
    ]
)
ATOMS = st.sampled_from(["https://example.com/a?b=1 ", "{name} ", "b@example.com, "])
TEXTS = st.builds(
    lambda head, tail, last, times: ("".join(head) * times) + "".join(tail) + last,
    st.lists(WORDS | ATOMS, min_size=1, max_size=12),
    st.lists(WORDS | FOREIGN | ATOMS, max_size=60),
    st.sampled_from(["", "\U0001f600", "  "]),
    st.integers(1, 12),
)
LIMITS = st.integers(1, 4)
ELLIPSES = st.sampled_from(["...", "", "\u2026", " (more)"])


def allowed_ends(text: str) -> list[int]:
    """Return where a text may be cut, by the slow way: between clusters, in no atom."""
    atoms = find_atoms(text)
    clusters: list[str] = regex.findall(r"\X", text)
    ends: list[int] = []
    end = 0
    for cluster in clusters[:-1]:
        end += len(cluster)
        if not any(start < end < stop for start, stop, _ in atoms):
            ends.append(end)
    return ends


def beginnings(text: str, ellipsis: str) -> dict[int, str]:
    """Write every beginning as it would be sent, with nothing loose before the ellipsis."""
    atoms = find_atoms(text)
    loose = ",;:-\u2010\u2011\u2012\u2013\u2014(/[{<\u201c\u201e\u2018\u00ab\u00bf\u00a1&"
    loose += ".\u2026" if ellipsis[:1] in {".", "\u2026"} else ""
    allowed = allowed_ends(text)
    written: dict[int, str] = {}
    for cut in allowed:
        floor = max((atom.end for atom in atoms if atom.end <= cut), default=0)
        end = cut
        while end > floor and (text[end - 1].isspace() or text[end - 1] in loose):
            end -= 1
        if end in allowed:
            after_link = any(atom.is_link and atom.end == end for atom in atoms)
            written[end] = text[:end] + (" " if after_link and ellipsis else "") + ellipsis
    return written


def test_a_message_is_its_text() -> None:
    """It gives its text, is equal to what says the same, and cannot be changed."""
    message = Message("Hello")
    assert (message.text, str(message), f"{message}") == ("Hello", "Hello", "Hello")
    assert (message.changes, message.original, message.homoglyphs) == ((), "Hello", ())
    assert message == Message("Hello") != Message("hello")
    assert message != "Hello"
    assert len({message, Message("Hello"), Message("\u201cHello\u201d")}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.text = "x"  # type: ignore[misc]


def test_a_message_can_be_copied_and_pickled() -> None:
    """A copy says the same of itself, also after the message was looked at."""
    message = Message("\u201cok\u201d" * 40).simplified()
    assert message.segmentation.fragments_count == 1
    for twin in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):  # noqa: S301 - our own bytes
        assert twin == message
        assert (twin.changes, twin.original) == (message.changes, message.original)
        assert twin.segmentation == message.segmentation


def test_its_segmentation_is_found_once() -> None:
    """What the text costs is worked out when it is first asked for, and kept."""
    message = Message("Caf\u00e9 \u0436")
    assert message.segmentation is message.segmentation
    assert message.segmentation.encoding is Encoding.UTF16


def test_the_repr_does_not_show_the_text() -> None:
    """It says how long the message is: a repr ends up in logs. One that cannot be sent has one."""
    assert repr(Message("hunter2")) == "<Message: 7 characters, GSM-7, 1 fragment>"
    assert repr(Message("\u0436" * 71)) == "<Message: 71 characters, UTF-16, 2 fragments>"
    assert repr(Message("\x1b")) == "<Message: 1 character, cannot be sent>"


@pytest.mark.parametrize("given_text", [b"bytes", None, 5, Message("x")])
def test_only_a_text_makes_a_message(given_text: object) -> None:
    """Something else is refused by its type, at once."""
    with pytest.raises(InvalidRequest, match=r"message: text: is a value of type \w+; .* str"):
        Message(given_text)  # type: ignore[arg-type]


def test_a_text_that_cannot_be_sent_is_refused_when_counted() -> None:
    """A lone surrogate or a bare ESC is named by whatever counts, without the text."""
    message = Message("secret \x1b")
    for count in (lambda: message.segmentation, lambda: message.fitted(max_fragments=1)):
        with pytest.raises(InvalidText, match="index 7") as caught:
            count()
        assert "secret" not in str(caught.value)


@given(TEXTS, LIMITS, ELLIPSES)
@example("word " * 31 + "wor \U0001f600", 1, "...")
@example("a" * 158 + " b" * 40 + "\U0001f600", 1, "")
@example("https://example.com/" + "a" * 130 + " " + "b" * 60, 1, "...")
def test_the_longest_that_fits(text: str, limit: int, ellipsis: str) -> None:
    """What is kept fits and is as long as can be.

    One more grapheme would not fit, or, if the cut is at the end of a word, one more word. A word
    end that gives away more than half of what would fit is not taken.
    """
    message = Message(text)
    written = beginnings(text, ellipsis)
    fitting = [end for end, sent in written.items() if end and count_fragments(sent) <= limit]
    if count_fragments(text) <= limit:
        assert message.fitted(max_fragments=limit, ellipsis=ellipsis) is message
        return
    if count_fragments(text.rstrip()) <= limit:
        assert message.fitted(max_fragments=limit, ellipsis=ellipsis).text == text.rstrip()
        return
    if not fitting:
        with pytest.raises(InvalidRequest, match="no beginning of it that makes sense fits"):
            message.fitted(max_fragments=limit, ellipsis=ellipsis)
        return
    fitted = message.fitted(max_fragments=limit, ellipsis=ellipsis)
    (change,) = fitted.changes
    end, longest = change.index, max(fitting)
    assert fitted.text == written[end]
    assert fitted.segmentation.fragments_count <= limit
    assert 2 * end >= longest
    words = [one for one in fitting if is_word_end(text, one) and 2 * one >= longest]
    assert end == (max(words) if words else longest)


def is_word_end(text: str, end: int) -> bool:
    """Return whether a word ends there: before white space, beside an ideograph or emoji."""
    rest = text[end:].lstrip(
        ",;:-\u2010\u2011\u2012\u2013\u2014(/[{<\u201c\u201e\u2018\u00ab\u00bf\u00a1&.\u2026"
    )
    wide = {*"\u8bf7\u8bbf\U0001f600\U0001f468\U0001f469"}
    return not rest or rest[0].isspace() or not wide.isdisjoint(text[end - 1 : end + 1])


@given(TEXTS, LIMITS)
def test_nothing_is_lost_on_the_way(text: str, limit: int) -> None:
    """The changes lead from the first text to the last, through simplifying and shortening."""
    message = Message(text).simplified()
    if message.text.strip():
        try:
            fitted = message.fitted(max_fragments=limit)
        except InvalidRequest:
            return
        assert fitted.original == text
        assert apply_changes(text, fitted.changes) == fitted.text
        assert fitted.fitted(max_fragments=limit) is fitted


@given(st.text(sorted(ALPHABET - {"\r"}), max_size=400), LIMITS)
def test_any_text_in_gsm7_keeps_its_beginning(text: str, limit: int) -> None:
    """What is kept is the beginning of the text, with the ellipsis and nothing else after it."""
    try:
        fitted = Message(text).fitted(max_fragments=limit).text
    except InvalidRequest:
        return
    assert count_fragments(fitted) <= limit
    assert text.startswith((fitted, fitted.removesuffix("..."), fitted.removesuffix(" ...")))


def test_one_more_grapheme_would_not_fit() -> None:
    """Without spaces the cut is at a grapheme: 67 of 70 units and the ellipsis, a flag in one."""
    fitted = Message("\u0436" * 500).fitted(max_fragments=1)
    assert fitted.text == "\u0436" * 67 + "..."
    flag = "\U0001f1fa\U0001f1e6"
    fitted = Message("\u0436" * 64 + flag * 9).fitted(max_fragments=1, ellipsis="")
    assert fitted.text == "\u0436" * 64 + flag
    assert Message("a" * 500).fitted(max_fragments=3).text == "a" * 456 + "..."


def test_leaving_out_the_last_emoji_gives_more_room() -> None:
    """Without the emoji at its end a text is in GSM-7 again, and nearly all of it fits."""
    text = "word " * 30 + "\U0001f600"
    assert Message(text).segmentation.fragments_count == 3
    fitted = Message(text).fitted(max_fragments=1)
    assert fitted.text == ("word " * 30).strip() + "..."
    assert fitted.segmentation.encoding is Encoding.GSM7
    (change,) = fitted.changes
    assert change == (149, " \U0001f600", "...", "shortened to fit 1 fragment")


def test_an_ellipsis_in_utf16_leaves_less_room() -> None:
    """The ellipsis counts too: as one character outside GSM-7 it makes the message shorter."""
    text = "word " * 100
    assert len(Message(text).fitted(max_fragments=1, ellipsis="\u2026").text) == 70
    assert len(Message(text).fitted(max_fragments=1).text) == 157


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 100 + " https://example.com/" + "b" * 50, "a" * 100 + "..."),
        ("a" * 139 + " {placeholder}" * 5, "a" * 139 + " {placeholder}..."),
        (
            "a" * 132 + " https://example.com/abc then more",
            "a" * 132 + " https://example.com/abc ...",
        ),
        (
            "a" * 130 + ", (and then some more of this text)",
            "a" * 130 + ", (and then some more of...",
        ),
        ("a" * 150 + "! \u2013 (and then", "a" * 150 + "!..."),
        ("a" * 150 + ". Then it goes on", "a" * 150 + ". Then..."),
        ("a" * 154 + ". Then it goes on", "a" * 154 + "..."),
        ("Hi " + "b" * 200, "Hi " + "b" * 154 + "..."),
        ("\ud55c\uad6d " * 40, "\ud55c\uad6d" + " \ud55c\uad6d" * 21 + "..."),
        ("a" * 160 + "   ", "a" * 160),
    ],
)
def test_where_it_is_cut(text: str, expected: str) -> None:
    """Between words, in no link, no placeholder; nothing hangs before the ellipsis."""
    assert Message(text).fitted(max_fragments=1).text == expected


@pytest.mark.parametrize("text", ["https://example.com/" + "a" * 200, "\r\n" * 99 + "a", "-" * 200])
def test_it_refuses_where_nothing_sensible_is_left(text: str) -> None:
    """A link that does not fit and a row of dashes cannot be shortened; the limit is named."""
    with pytest.raises(
        InvalidRequest, match=r"takes 2 fragments and no beginning .* fits 1 fragment"
    ):
        Message(text).fitted(max_fragments=1)


def test_an_ellipsis_that_fills_the_message_is_refused() -> None:
    """If the ellipsis leaves no room nothing can be kept; a bad one is named."""
    with pytest.raises(InvalidRequest):
        Message("a" * 200).fitted(max_fragments=1, ellipsis="." * 160)
    with pytest.raises(InvalidText, match=r"ellipsis: U\+001B at index 0"):
        Message("a" * 200).fitted(max_fragments=1, ellipsis="\x1b")


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, None])
def test_the_limit_is_a_number_of_fragments(limit: object) -> None:
    """A limit that is none is refused by its value or type."""
    with pytest.raises(InvalidRequest, match=r"max_fragments: is .*; it must be a whole number of"):
        Message("a").fitted(max_fragments=limit)  # type: ignore[arg-type]


def test_the_empty_text_fits() -> None:
    """There is nothing to shorten in it."""
    assert Message("").fitted(max_fragments=1).text == ""
    assert Message("").simplified(always=True).text == ""
