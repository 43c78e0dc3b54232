"""`count`: where a text is cut, what it takes, which characters make it expensive."""

import json
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

import voxsms as library
from voxsms.cli import count

CURLY = "It\u2019s " + "x" * 120


def test_a_plain_text(voxsms: Run) -> None:
    """A text in GSM-7 shows its counter and its one fragment."""
    ran = voxsms("count", "hello")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "GSM-7, 1 fragment: 5 septets, 155 left in the last",
        "  1 \u2502 hello",
    ]


def test_one_quote_that_doubles_the_price(voxsms: Run) -> None:
    """The character is named with its place and what says the same, and so is what that saves."""
    ran = voxsms("count", CURLY)
    head, first, second, why, _, quote, saving, simple = ran.out.splitlines()
    assert head == "UTF-16, 2 fragments: 125 code units, 9 left in the last"
    assert (first, second) == (
        f"  1 \u2502 {CURLY[:67]}",
        f"  2 \u2502 {CURLY[67:]}".ljust(len(first)),
    )
    assert why == "It needs UTF-16, with 70 units in a message instead of 160, because of:"
    assert quote.split() == ["\u2019", "U+2019", "RIGHT", "SINGLE", "QUOTATION", "MARK", "2", "'"]
    assert saving == "With --simplify it says the same in 1 fragment:"
    assert simple == CURLY.replace("\u2019", "'")


def test_the_character_is_marked(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the character that forces UTF-16 is seen in the text itself."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "It\x1b[1;37;41m\u2019\x1b[0ms xxx" in voxsms("count", CURLY).out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\tb", ["<U+0009>", "CHARACTER TABULATION", "a space"]),
        ("a\u200bb", ["<U+200B>", "ZERO WIDTH SPACE", "nothing: it is not seen"]),
        ("p\u0430ypal", ["CYRILLIC SMALL LETTER A", "passes for the Latin a"]),
        ("a \U0001f600 b", ["U+1F600", "GRINNING FACE"]),
        ("\u2019a\u2019b\u2019c\u2019d", ["0, 2, 4, ..."]),
        ("one\ntwo\u2019", ["one\u23ce", "two\u2019"]),
        ("a \u2028 b", ["<U+2028>", "a line end"]),
    ],
)
def test_what_forces_utf16(voxsms: Run, text: str, words: list[str]) -> None:
    """Each kind of character is seen and named, with what could stand instead of it."""
    ran = voxsms("count", text)
    assert ran.status == 0
    for word in words:
        assert word in ran.out


def test_another_script(voxsms: Run) -> None:
    """A text in a script that GSM-7 has not is not blamed letter by letter."""
    ran = voxsms(
        "count", "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439\u0442\u0435"
    )
    assert "of a script that GSM-7 cannot carry" in ran.out
    assert "CYRILLIC" not in ran.out


@pytest.mark.parametrize(
    ("text", "saving"),
    [
        (
            "ΚΑΛΗ ΣΑΣ ΗΜΕΡΑ! " * 6,
            "With --greek its capitals look the same and it takes 1 fragment:",
        ),
        ("Καλή σας ημέρα! " * 6, "In Greek capitals without accents it takes 1 fragment:"),
    ],
)
def test_greek_may_cost_half(voxsms: Run, text: str, saving: str) -> None:
    """A Greek text is shown with the capitals by which it costs half."""
    *_, said, shown = voxsms("count", text.strip()).out.splitlines()
    assert said == saving
    assert shown == ("KAΛH ΣAΣ HMEPA! " * 6).strip()


def test_very_many_characters(voxsms: Run) -> None:
    """Of many kinds of characters the first ones are named, and how many more there are."""
    ran = voxsms(
        "count",
        "x" * 40
        + "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2022\u2192\u2190\u2264\u2265\u2122\u00a9",
    )
    assert "and 2 other characters" in ran.out


def test_a_text_that_may_be_cut_in_two_ways(voxsms: Run) -> None:
    """Where the service may count otherwise, that is said and not hidden."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    text = "x" * 61 + family + "y" * 65
    least, most = library.segment(text).bounds
    assert least < most
    assert f"The service may count {least} to {most} fragments" in voxsms("count", text).out


def test_an_empty_text(voxsms: Run) -> None:
    """The empty text has no fragments, which is said; it is no mistake to ask."""
    assert voxsms("count", "") == (0, "0 fragments: an empty text cannot be sent\n", "")
    found = json.loads(voxsms("count", "", "--json").out)
    assert (found["fragments_count"], found["fragments"]) == (0, [])


def test_as_json(voxsms: Run) -> None:
    """A program gets all of the segmentation, and what simplifying would save."""
    found = json.loads(voxsms("count", CURLY, "--json").out)
    assert found == {
        "text": CURLY,
        "changes": [],
        "encoding": "UTF-16",
        "fragments_count": 2,
        "units": 125,
        "units_left": 9,
        "bounds": {"least": 2, "most": 2},
        "fragments": [CURLY[:67], CURLY[67:]],
        "forced_by": [
            {
                "index": 2,
                "char": "\u2019",
                "name": "RIGHT SINGLE QUOTATION MARK",
                "suggestion": "'",
            }
        ],
        "homoglyphs": [],
        "simplified": {
            "text": CURLY.replace("\u2019", "'"),
            "fragments_count": 1,
            "changes": [
                {
                    "index": 2,
                    "before": "\u2019",
                    "after": "'",
                    "reason": "typographic single quote",
                }
            ],
        },
    }
    assert json.loads(voxsms("count", "hello", "--json").out)["simplified"] is None


def test_from_a_file_and_standard_input(voxsms: Run, tmp_path: Path) -> None:
    """The text may come from a file or a pipe."""
    file = tmp_path / "text"
    file.write_text("hello\n")
    shown = voxsms("count", "hello").out
    assert voxsms("count", "--file", str(file)).out == shown
    assert voxsms("count", "-", stdin=b"hello\n").out == shown


@pytest.mark.parametrize(
    ("stdin", "problem"),
    [(b"a\x1bb", "is a bare ESC"), (b"\xff", "standard input: is not UTF-8 (byte 1)")],
)
def test_a_text_that_no_message_can_carry(voxsms: Run, stdin: bytes, problem: str) -> None:
    """What cannot be sent is not counted."""
    ran = voxsms("count", "-", stdin=stdin)
    assert ran.status == 2
    assert problem in ran.err


@given(st.text())
def test_marking_shows_every_character(text: str) -> None:
    """Whatever the text, what is shown is all of it and nothing that a terminal would obey."""
    shown = count.marked(text).plain
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert len(shown) >= len(text)


def test_a_marketer_saw_how_to_write_polish_for_half(voxsms: Run) -> None:
    """What `--accents` would write stands beside each letter, and the option does it."""
    text = "Zażółć gęślą jaźń, Łukasz ş " + "x" * 60
    shown = voxsms("count", text).out
    for letter, plain in (("ę", "e"), ("Ł", "L"), ("ş", "s")):
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{letter} ")]
        assert line.rstrip().endswith(f"{plain}, with --accents")
    ran = voxsms("count", "--accents", text)
    assert ran.out.startswith("GSM-7, 1 fragment: ")
    assert "It was 2 fragments; 11 changes:" in ran.out
    assert "accent left off" in ran.out


@pytest.mark.parametrize("option", [(), ("--accents",)])
def test_a_marketer_kept_the_accents_that_cost_nothing(
    voxsms: Run, option: tuple[str, ...]
) -> None:
    """No way of writing is recommended that saves no fragment, and that is said."""
    ran = voxsms("count", *option, "Zażółć gęślą jaźń, Łukasz")
    assert "--" not in ran.out
    assert "z, without its accent" in ran.out
    assert ran.out.endswith("\nNo other way of writing it saves a fragment.\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Łódź " * 20, "With --accents it loses some accents and takes 1 fragment:"),
        ("p\u0430ypal " + "x" * 100, "With --homoglyphs it looks the same and takes 1 fragment:"),
    ],
)
def test_what_saves_a_fragment_is_recommended(voxsms: Run, text: str, told: str) -> None:
    """The option is named, and the text is shown as it would be."""
    *_, said, shown = voxsms("count", text.strip()).out.splitlines()
    assert said == told
    assert shown.isascii()


@pytest.mark.parametrize(
    ("text", "placeholders"),
    [
        ("Hi {name}, {{Order no}} {name}", ["{name}", "{{Order no}}"]),
        ('{} {"a": 1} {1} { } :-{ }', []),
    ],
)
def test_a_placeholder_was_not_filled_in(voxsms: Run, text: str, placeholders: list[str]) -> None:
    """Each is told once: what is filled in may be longer."""
    told = [
        f"voxsms: warning: {p} is counted as written: a value may take more" for p in placeholders
    ]
    assert voxsms("count", text).err.splitlines() == told


def test_a_text_was_cut_on_the_command_line(voxsms: Run) -> None:
    """`--fit` cuts at a word, shows what is left, and says what was cut off by its beginning."""
    ran = voxsms("count", "--simplify", "--fit", "1", "word " * 60)
    assert ran.out.splitlines()[0].startswith("GSM-7, 1 fragment: ")
    (line,) = [line for line in ran.out.splitlines() if "shortened to fit 1 fragment" in line]
    assert "word word word..." in line
    assert voxsms("count", "--fit", "0", "hi").status == 2


def test_many_changes_are_counted(voxsms: Run) -> None:
    """A long list of changes is told by its beginning, in JSON whole."""
    text = "\u2019a" * 40
    assert "and 28 other changes" in voxsms("count", "--simplify", text).out
    told = json.loads(voxsms("count", "--simplify", "--json", text).out)
    assert (told["text"], len(told["changes"])) == ("'a" * 40, 40)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--simplify", "\u2019" + "x" * 100),
        ("--homoglyphs", "p\u0430ypal " + "x" * 100),
        ("--greek", "\u0391" * 100),
    ],
)
def test_each_way_of_writing_saves_a_fragment(voxsms: Run, option: str, text: str) -> None:
    """What the library can do is an option."""
    assert voxsms("count", text).out.startswith("UTF-16, 2 fragments")
    assert voxsms("count", option, text).out.startswith("GSM-7, 1 fragment")
