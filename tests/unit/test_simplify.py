"""The same in fewer fragments: what is replaced, what never is, and when nothing is done."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxsms.errors import InvalidRequest, InvalidText
from voxsms.text import FOREIGN, Change, Message, Template, count_fragments
from voxsms.text._changes import apply_changes, chain_changes, trim_change
from voxsms.text._graphemes import find_atoms, may_join
from voxsms.text._gsm7 import ALPHABET, count_septets
from voxsms.text._replacements import remove_accents, replacements

VECTORS = Path(__file__).parents[1] / "vectors"
FIELD: dict[str, Any] = json.loads((VECTORS / "smart_encoding.json").read_text("utf-8"))
THE_SAME = {point: text for text, points in FIELD["the_same"].items() for point in points.split()}
OTHERWISE = {point: row["ours"] for point, row in FIELD["otherwise"].items()}

GSM7 = sorted(ALPHABET)
LINKS = [
    "https://example.com/caf\u00e9?a=\u2019b",
    "www.exa\u0301mple.org/\u2013x",
    "bit.ly/a\u2026b",
    "fran\u00e7ois@example.com",
]
PIECES = st.one_of(
    st.sampled_from(GSM7),
    st.sampled_from(sorted(replacements())),
    st.sampled_from(["\u0301", "\u0308", "\u030a", "\u0323", "\u0303", "\u0338", "\u20e3"]),
    st.sampled_from("\u00e1\u015f\u0142\u1ebf\u01d6\u00bd\u00be\u2260\u0131"),
    st.sampled_from("\u0430\u043e\u0439\u0436\u0410\u03bf\u03ac\u0391"),
    st.sampled_from("ΕΣΧΆΏΐς\u1f08"),
    st.sampled_from(
        ["\U0001f600", "\U0001f468\u200d\U0001f469", "\u2764\ufe0f", "\u1112\u1161\u11ab"]
    ),
    st.sampled_from([f" {link} " for link in LINKS]),
    st.sampled_from(["plain words ", "12 ", "1\u200b", "\r\n", "\r", "{a\r\n}"]),
)
TEXTS = st.lists(PIECES, max_size=30).flatmap(
    lambda pieces: st.integers(1, 12).map(lambda times: "".join(pieces) * times)
)
OPTIONS = st.fixed_dictionaries(
    {
        "accents": st.booleans(),
        "homoglyphs": st.booleans(),
        "greek": st.sampled_from([False, True, "capitals"]),
        "always": st.booleans(),
    }
)


def forced(
    text: str,
    *,
    accents: bool = False,
    homoglyphs: bool = False,
    greek: bool | Literal["capitals"] = False,
) -> str:
    """Simplify even where it saves nothing."""
    message = Message(text)
    return message.simplified(accents=accents, homoglyphs=homoglyphs, greek=greek, always=True).text


def test_a_users_case() -> None:
    """One curly apostrophe makes a 158-character text cost three fragments; it is named and gone.

    With a straight one the text takes a single fragment.
    """
    text = "Your parcel didn\u2019t fit the letter box. " + "It waits for you at the counter. " * 4
    text = text[:158]
    message = Message(text)
    assert len(text) == 158
    assert message.segmentation.fragments_count == 3
    (char,) = message.segmentation.forced_by
    assert (char.index, char.name, char.suggestion) == (16, "RIGHT SINGLE QUOTATION MARK", "'")
    simple = message.simplified()
    assert simple.segmentation.fragments_count == 1
    assert simple.changes == ((16, "\u2019", "'", "typographic single quote"),)
    assert simple.text == text.replace("\u2019", "'")


@pytest.mark.parametrize("point", sorted(THE_SAME))
def test_what_the_field_replaces_is_replaced_likewise(point: str) -> None:
    """Each character of the field's documented list comes out as documented, with a reason."""
    (change,) = Message(f"a {chr(int(point, 16))} b").simplified(always=True).changes
    assert change[:3] == (2, chr(int(point, 16)), THE_SAME[point])
    assert change.reason


@pytest.mark.parametrize("point", sorted(OTHERWISE))
def test_faults_of_the_field_are_not_copied(point: str) -> None:
    """No two spaces for one, no tilde for a mark on a letter, no comma for a quote."""
    char = chr(int(point, 16))
    ours = OTHERWISE[point]
    assert forced(f"a {char} b") == f"a {char if ours is None else ours} b"


@given(TEXTS, OPTIONS)
@example("\u200b" * 80, {"always": False})
@example("\r\r\n", {"always": True})
@example("e\u0323\u0301\u1d07\u0301" * 40, {"accents": True, "always": True})
def test_it_never_costs_more_and_is_done_once(text: str, options: dict[str, Any]) -> None:
    """It never takes more fragments, always something can be sent, and twice is as once."""
    simple = Message(text).simplified(**options)
    assert count_fragments(simple.text) <= count_fragments(text)
    assert bool(simple.text) == bool(text)
    assert simple.simplified(**options) is simple


@given(TEXTS, OPTIONS)
def test_the_changes_are_the_whole_truth(text: str, options: dict[str, Any]) -> None:
    """Made in the original, the changes give the text; each says what stood there and why."""
    simple = Message(text).simplified(**options)
    assert simple.original == text
    assert apply_changes(text, simple.changes) == simple.text
    for index, before, after, reason in simple.changes:
        assert text[index : index + len(before)] == before != after
        assert reason


@given(TEXTS, OPTIONS)
def test_what_gsm7_has_is_not_touched(text: str, options: dict[str, Any]) -> None:
    """Only characters outside GSM-7 change; a letter inside it only to take in its own accent.

    And CRLF becomes LF.
    """
    for change in Message(text).simplified(**options).changes:
        if "line end" in change.reason:
            # Perhaps only when what nobody sees between the two is gone.
            assert re.match(r"\r[\x00-\x1f]*\n", text[change.index :])
            continue
        assert FOREIGN.search(change.before)
        assert not re.search("[0-9]", change.before)
        if not ALPHABET.isdisjoint(change.before):
            assert "composed form" in change.reason


@given(TEXTS)
def test_it_acts_only_where_it_saves(text: str) -> None:
    """Unless told always, there is a change only if there is a fragment less."""
    simple = Message(text).simplified()
    assert (simple.text == text) == (count_fragments(simple.text) == count_fragments(text))


@given(st.text(GSM7), OPTIONS)
def test_a_text_in_gsm7_stays_itself(text: str, options: dict[str, Any]) -> None:
    """What is in GSM-7 already comes back as the very same message, but for CRLF."""
    message = Message(text.replace("\r\n", "\n"))
    assert message.simplified(**options) is message


@given(TEXTS, OPTIONS)
def test_links_stay_as_they_are(text: str, options: dict[str, Any]) -> None:
    """Each link and mail address is there as before, also if it holds a foreign character."""
    simple = Message(text).simplified(**options)
    for link in LINKS:
        assert simple.text.count(f" {link} ") == text.count(f" {link} ")


@given(TEXTS, st.booleans(), st.booleans())
def test_no_letter_is_swapped_silently(text: str, accents: bool, always: bool) -> None:
    """Without being asked it leaves every Cyrillic and Greek letter as it is."""
    simple = Message(text).simplified(accents=accents, always=always).text

    def others(text: str) -> list[str]:
        composed = unicodedata.normalize("NFC", text)
        return [char for char in composed if char in "\u0430\u043e\u0439\u0436\u0410\u03bf\u0391"]

    assert others(simple) == others(text)


@given(TEXTS, OPTIONS)
def test_emoji_stay_whole(text: str, options: dict[str, Any]) -> None:
    """In a message that stays in UTF-16 nothing is taken out that joins characters."""
    simple = Message(text).simplified(**options).text
    if count_septets(simple) is None:
        for joiner in "\u200d\ufe0f":
            assert simple.count(joiner) == text.count(joiner)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u00a0b", "a b"),
        ("a\tb", "a b"),
        ("wait\u2026", "wait..."),
        ("n\u0303o", "\u00f1o"),
        ("cafe\u0301", "caf\u00e9"),
        ("x\u0303", "x\u0303"),
        ("e\ufb01", "efi"),
        ("\u1d07\u0301", "\u00c9"),
        ("\uff28\uff12\uff2f", "H2O"),
        ("5\u2032 6\u2033", "5' 6\""),
        ("a\u200db\ufe0f", "ab"),
        ("1 \u2260 2", "1 \u2260 2"),
        ("\u00e5 \u212b", "\u00e5 \u00c5"),
        ("pre\u00admium", "premium"),
    ],
)
def test_examples_and_traps(text: str, expected: str) -> None:
    """Letters are composed, marks are no characters, one space is one space."""
    assert forced(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u00bd price", "1/2 price"),
        ("1\u00bd hours", "1 1/2 hours"),
        ("1\u200b\u00bd hours", "1 1/2 hours"),
        ("save \u00be.", "save 3/4."),
        ("\u215b of it", "1/8 of it"),
        ("\u00bd5", "\u00bd5"),
        ("1/\u00bd", "1/\u00bd"),
        ("\u00bd\u2044", "\u00bd/"),
        ("\u00bd\u00bd", "\u00bd\u00bd"),
        ("m\u00b2", "m\u00b2"),
    ],
)
def test_fractions_keep_their_value(text: str, expected: str) -> None:
    """A fraction is written out, but never so that it could be read as another number."""
    assert forced(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 156 + "\r\n" * 3, "a" * 156 + "\n" * 3),  # 162 septets, then 159
        ("a" * 156 + "\r\r\n" * 2, "a" * 156 + "\n" * 2),  # converted twice: 162 septets, then 158
        ("a" * 154 + "\r\n" * 3, None),  # 160 fit
        ("a" * 157 + "\r\n" * 3, "a" * 157 + "\n" * 3),
        ("a" * 158 + "\r\n" * 3, None),  # 161: a fragment more all the same
        ("a" * 159 + "\r\r", None),  # no line end of two characters
        ("\u2019" + "a" * 80 + "\r\n", "'" + "a" * 80 + "\r\n"),  # one fragment without it, too
        ("\u2019" + "a" * 158 + "\r\n", "'" + "a" * 158 + "\n"),
        ("\u0436" * 68 + "\r\n" * 1 + "\u0436", "\u0436" * 68 + "\n" + "\u0436"),
        ("{name\r\n}" + "a" * 153, None),  # in a placeholder nothing changes
    ],
)
def test_line_ends_of_two_characters(text: str, expected: str | None) -> None:
    """CRLF becomes LF only where that saves a fragment; always, if told so."""
    simple = Message(text).simplified()
    assert simple.text == (text if expected is None else expected)
    told = Message(text).simplified(always=True).text
    assert told.count("\r\n") == text.count("{name\r\n}")


def test_a_line_end_that_goes_is_told() -> None:
    """The carriage return is named as what was taken out, and why."""
    (change,) = Message("a" * 159 + "\r\n").simplified().changes
    assert change == (159, "\r", "", "line end of two characters")


def test_nothing_gets_longer_for_nothing() -> None:
    """In a message that stays in UTF-16 an ellipsis stays one, and so do a sign and a fraction."""
    text = "\u0436 \u2026 \u2122 \u00bd \u2019" * 20
    assert Message(text).simplified().text == text
    assert forced(text) == text.replace("\u2019", "'")
    many = "\u2026" * 70  # one fragment in UTF-16, two in GSM-7
    assert forced(many) == many


def test_a_message_that_stays_in_utf16_may_get_shorter() -> None:
    """Decomposed letters and invisible characters are taken out where that saves a fragment."""
    decomposed = "\u0438\u0306" * 40
    simple = Message(decomposed).simplified()
    assert simple.text == "\u0439" * 40
    assert simple.changes[0] == (0, "\u0438\u0306", "\u0439", "composed form (NFC)")
    assert Message("\u1112\u1161\u11ab" * 30).simplified().text == "\ud55c" * 30
    assert Message("\u0436\u00ad" * 40).simplified().text == "\u0436" * 40
    bold = "\U0001d400 \u0436 " * 15
    assert Message(bold).simplified().text == "A \u0436 " * 15


def test_the_cheaper_of_two_ways_is_gone() -> None:
    """GSM-7 may cost more than UTF-16 does without its invisible characters."""
    text = "\u2122\u200b" * 60  # 120 units; `(TM)` takes 240 septets
    assert Message(text).simplified().text == "\u2122" * 60


def test_accents_come_off_only_when_asked() -> None:
    """Accents that GSM-7 does not have are left off, those that it has stay."""
    text = "Ho\u015f geldiniz, \u0141ukasz! Voil\u00e0, x\u0323. " * 3
    assert Message(text).simplified().text == text
    simple = Message(text).simplified(accents=True)
    assert simple.text == "Hos geldiniz, Lukasz! Voil\u00e0, x. " * 3
    assert simple.changes[0] == (2, "\u015f", "s", "accent left off")


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("\u01d6", "\u00fc"),  # u with diaeresis and macron
        ("\u01fa", "\u00c5"),  # A with ring and acute
        ("\u1ebf", "e"),
        ("\u0142", "l"),
        ("\u0131", "i"),
        ("\u0130", "I"),
        ("\u038f", "\u03a9"),  # Omega with tonos
        ("\u2260", None),  # a stroke through a sign reverses its meaning
        ("\u0439", None),
        ("\u00f0", None),
        ("\u03ac", None),
    ],
)
def test_the_nearest_letter(char: str, expected: str | None) -> None:
    """Accents come off from outside in; other letters and signs are no accented Latin ones."""
    assert remove_accents(char) == expected


GREEK_MAILING = (
    "ΑΓΑΠΗΤΕ ΠΕΛΑΤΗ, Η ΠΑΡΑΓΓΕΛΙΑ ΣΑΣ ΕΙΝΑΙ ΕΤΟΙΜΗ ΚΑΙ ΣΑΣ ΠΕΡΙΜΕΝΕΙ ΣΤΟ ΚΑΤΑΣΤΗΜΑ. "
    "ΕΥΧΑΡΙΣΤΟΥΜΕ ΠΟΥ ΜΑΣ ΠΡΟΤΙΜΗΣΑΤΕ"
)


def test_a_greek_mailing_in_capitals_costs_half() -> None:
    """A mailing of 111 Greek capitals takes two fragments, and one by the shapes GSM-7 has."""
    message = Message(GREEK_MAILING)
    assert message.simplified() is message
    simple = message.simplified(greek=True)
    assert [message.segmentation.fragments_count, simple.segmentation.fragments_count] == [2, 1]
    assert simple.text.startswith("AΓAΠHTE ΠEΛATH, H ΠAPAΓΓEΛIA ΣAΣ EINAI ETOIMH")
    assert simple.changes[0] == (0, "Α", "A", "Greek capital of the same shape")
    assert message.segmentation.forced_by[0].suggestion == "A"


@pytest.mark.parametrize(
    ("text", "capitals", "all_in_capitals"),
    [
        ("ΆΈΉΊΌΎΏΪΫ", "AEHIOYΩIY", "AEHIOYΩIY"),
        ("\u0391\u0301 \u03a9\u0301", "A Ω", "A Ω"),  # the accent as a mark of its own
        ("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ", "ABΓΔEZHΘIKΛMNΞOΠPΣTYΦXΨΩ", "ABΓΔEZHΘIKΛMNΞOΠPΣTYΦXΨΩ"),
        ("Καλή σας ημέρα", "Καλή σας ημέρα", "KAΛH ΣAΣ HMEPA"),
        ("1ος ΐ ς", "1ος ΐ ς", "1OΣ I Σ"),
        ("\u1f08θῆναι", "\u1f08θῆναι", "AΘHNAI"),  # as it was written until 1982
        ("«ΝΑΙ» …", '"NAI" ...', '"NAI" ...'),
        ("Α\u20e3", "Α\u20e3", "Α\u20e3"),  # in a box: more than a letter
        ("ΝΑΙ Жук", "ΝΑΙ Жук", "ΝΑΙ Жук"),
        ("5 μg", "5 μg", "5 μg"),  # a letter in another alphabet's word is no Greek
        ("Α www.ΑΒ.gr/Α", "Α www.ΑΒ.gr/Α", "Α www.ΑΒ.gr/Α"),
    ],
)
def test_greek_in_capitals(text: str, capitals: str, all_in_capitals: str) -> None:
    """Capitals come out by shape and without accents; small letters only if capitals are asked."""
    assert forced(text, greek=True) == capitals
    assert forced(text, greek="capitals") == all_in_capitals


@given(st.text("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏΪΫ ,1", min_size=1, max_size=400))
def test_no_greek_capital_is_left_out(text: str) -> None:
    """Any text in Greek capitals comes to GSM-7, a character for a character, read as before."""
    simple = Message(text).simplified(greek=True, always=True).text
    assert len(simple) == len(text)
    assert count_septets(simple) == len(text)
    bare = unicodedata.normalize("NFD", text)
    latin = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", "\u0301\u0308")
    assert simple == bare.translate(latin)


def test_greek_from_a_template_costs_half() -> None:
    """A rendered message is brought to capitals as any other, and tells what it was."""
    message = Template("Γεια σου {name}! " * 5).render(name="Μαρία")
    simple = message.simplified(greek="capitals")
    assert simple.text == "ΓEIA ΣOY MAPIA! " * 5
    assert simple.original == message.text
    assert simple.changes[0] == (1, "ε", "E", "Greek in capitals")
    assert (12, "ί", "I", "Greek in capitals; accent left off") in simple.changes


def test_an_unknown_way_to_write_greek_is_refused() -> None:
    """A slip is told with the values that there are."""
    with pytest.raises(InvalidRequest, match="greek: is 'Capitals'; it must be True, False or"):
        Message("a").simplified(greek=cast("Any", "Capitals"))


def test_homoglyphs_are_reported() -> None:
    """A look-alike in a Latin word is named; it is swapped only for who asks."""
    text = "Your P\u0430yP\u0430l account, sir. " * 4
    message = Message(text)
    assert message.homoglyphs[0] == (6, "\u0430", "CYRILLIC SMALL LETTER A", "a")
    assert len(message.homoglyphs) == 8
    assert message.simplified() is message
    swapped = message.simplified(homoglyphs=True)
    assert swapped.text == "Your PayPal account, sir. " * 4
    assert swapped.changes[0] == (6, "\u0430", "a", "look-alike: CYRILLIC SMALL LETTER A")
    assert swapped.homoglyphs == ()


@pytest.mark.parametrize(
    "text",
    ["\u0430\u0437\u0431\u0443\u043a\u0430", "co\u043e\u0431\u0449", "\u043e", "a \u0430", "abc"],
)
def test_words_of_another_alphabet_are_no_homoglyphs(text: str) -> None:
    """A Cyrillic word is Cyrillic, also with one Latin letter in it."""
    assert Message(text).homoglyphs == ()


def test_look_alikes_stay_in_utf16_messages() -> None:
    """Where it saves nothing they are swapped only if both are asked for."""
    text = "p\u0430y \u0436"
    assert Message(text * 20).simplified(homoglyphs=True).text == text * 20
    assert forced(text, homoglyphs=True) == "pay \u0436"


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("see https://example.com/a, or", "https://example.com/a"),
        ("(https://example.com/a_(b)).", "https://example.com/a_(b)"),
        ("\u201chttps://example.com/a\u201d", "https://example.com/a"),
        ("https://example.com/a\u2019s-b \u2019", "https://example.com/a\u2019s-b"),
        ("https://example.com/a\u2026 more", "https://example.com/a"),
        ("\u8bf7\u8bbf\u95eehttps://example.com/a\uff0c\u8c22\u8c22", "https://example.com/a"),
        ("at www.example.com!", "www.example.com"),
        ("at Example.com", "Example.com"),
        ("bit.ly/2x?", "bit.ly/2x"),
        (
            "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/a",
            "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/a",
        ),
        ("write to a.b+c@example.co.uk.", "a.b+c@example.co.uk"),
        ("app-1://open?x=1 now", "app-1://open?x=1"),
    ],
)
def test_where_a_link_ends(text: str, link: str) -> None:
    """Punctuation and quotes after a link are not part of it, its own parentheses are."""
    (atom,) = find_atoms(text)
    assert (text[atom.start : atom.end], atom.is_link) == (link, True)


@pytest.mark.parametrize("text", ["3.14 and so on", "e.g. this", "End. Next", "a/b", "{", "12.30"])
def test_what_is_no_link(text: str) -> None:
    """Numbers and sentences are no links."""
    assert find_atoms(text) == []


def test_a_link_that_needs_utf16_keeps_the_message_there() -> None:
    """If a link cannot go in GSM-7 nothing else is replaced, as that would save nothing."""
    message = Message("\u201cok\u201d https://example.com/\u2013a " * 4)
    assert message.simplified() is message


def test_what_cannot_be_sent_is_refused() -> None:
    """A lone surrogate is refused here too, without the text."""
    with pytest.raises(InvalidText) as caught:
        Message("secret \ud83d").simplified()
    assert "secret" not in str(caught.value)


def test_what_shrinks_may_join() -> None:
    """Where nothing can join, nothing gets shorter either: such texts are done with at a look."""
    for char, (text, _) in replacements().items():
        if len(text.encode("utf-16-le")) < len(char.encode("utf-16-le")):
            assert may_join(f"{char}\u0436")


@st.composite
def edits(draw: st.DrawFn, text: str) -> tuple[Change, ...]:
    """Draw changes of a text, in order."""
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = zip(cuts[::2], cuts[1::2], strict=False)
    written = st.text("xyz", max_size=3)
    return tuple(Change(a, text[a:b], draw(written), draw(st.sampled_from("pq"))) for a, b in spans)


@given(st.data(), st.text("abcdefghij", max_size=20))
def test_two_rounds_of_changes_are_one(data: st.DataObject, text: str) -> None:
    """Changes of a changed text are told as changes of the first one, in order and apart."""
    first = data.draw(edits(text))
    then = data.draw(edits(apply_changes(text, first)))
    both = chain_changes(text, first, then)
    assert apply_changes(text, both) == apply_changes(apply_changes(text, first), then)
    done = 0
    for change in both:
        assert done <= change.index
        done = change.index + len(change.before)
        assert text[change.index : done] == change.before != change.after


@given(st.text("ab"), st.text("ab"))
def test_a_change_holds_only_what_differs(before: str, after: str) -> None:
    """What is the same at both ends is left out."""
    change = trim_change(5, before, after, "r")
    start = change.index - 5
    end = start + len(change.before)
    assert before[:start] + change.after + before[end:] == after
    for ends in (slice(1), slice(-1, None)):
        assert change.before[ends] != change.after[ends] or not change.before


def test_changes_of_two_steps_are_told_as_one() -> None:
    """A replacement of what was replaced names the first and the last, and both reasons."""
    first = (Change(0, "a", "bcd", "p"),)
    then = (Change(2, "dx", "", "q"), Change(5, "z", "y", "r"))
    assert chain_changes("axtz", first, then) == ((0, "ax", "bc", "p; q"), (3, "z", "y", "r"))
    assert chain_changes("ab", (Change(0, "a", "x", "p"),), (Change(0, "x", "a", "q"),)) == ()
    assert chain_changes("ab", (), ()) == ()


def test_a_message_tells_its_changes_from_the_first_text_on() -> None:
    """Simplified, then cut: both are changes of what was written."""
    message = Message("\u2019" * 90 + "x" * 80).simplified().fitted(max_fragments=1)
    assert message.original.startswith("\u2019")
    assert message.changes[0][:3] == (0, "\u2019", "'")
    assert message.changes[-1][:3] == (157, "x" * 13, "...")


def test_many_marks_on_one_letter_are_composed() -> None:
    """More than any real text has, in whatever order they stand (UAX 15)."""
    text = "\u0436e" + "\u0301\u0323" * 16
    simplified = Message(text).simplified(always=True)
    assert simplified.text == "\u0436\u1eb9" + "\u0323" * 15 + "\u0301" * 16


def test_what_is_removed_leaves_no_mark_to_the_letter_before_it() -> None:
    """An accent that stood on nothing would otherwise change the letter before."""
    text = "A\x00\u0301" + "\u2019" * 100
    assert Message(text).simplified(always=True).text.startswith("A\x00\u0301")
