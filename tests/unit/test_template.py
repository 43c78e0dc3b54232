"""Template: fields filled in strictly, kept within fragments, and room told exactly."""

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxsms.errors import InvalidRequest, InvalidText, TemplateError
from voxsms.text import Encoding, Message, RenderedMessage, Template, count_fragments
from voxsms.text._changes import apply_changes

LITERALS = st.text("ab {}%\u20ac\u00e9\n", max_size=90)
FOREIGN_LITERALS = LITERALS | st.text("\u0436\U0001f600 ", max_size=40)
VALUES = st.one_of(
    st.text("abc \u20ac\u00e9%{}", max_size=60),
    st.text("abc \u0436\U0001f600", max_size=60),
    st.sampled_from(
        ["https://example.com/a?b=1", "Anna Maria Christina", "\U0001f468\u200d\U0001f469"]
    ),
)


def escaped(literal: str) -> str:
    """Write a text so that a template takes it as it is."""
    return literal.replace("{", "{{").replace("}", "}}")


@given(LITERALS, VALUES, LITERALS, VALUES, LITERALS)
def test_rendering_fills_in_and_nothing_else(
    first: str, name: str, second: str, code: str, third: str
) -> None:
    """The text is the template's with the values in their places, whatever is in either."""
    template = Template(
        f"{escaped(first)}{{name}}{escaped(second)}{{code}}{escaped(third)}{{name}}"
    )
    expected = f"{first}{name}{second}{code}{third}{name}"
    assert template.render(name=name, code=code).text == expected
    assert template.fill({"name": name, "code": code, "phone": "447700900123"}) == expected


def test_a_template_names_its_fields() -> None:
    """Each once, in the order of their first appearance; equal templates are equal."""
    template = Template("{b} {a} {{c}} {b}")
    assert template.fields == ("b", "a")
    assert template == Template("{b} {a} {{c}} {b}") != Template("{b}")
    assert repr(template) == "<Template: b, a>"
    assert repr(Template("secret")) == "<Template: no fields>"


@pytest.mark.parametrize("text", ["no field", "one {a}", "{a} and {b}"])
def test_a_template_can_be_copied_and_pickled(text: str) -> None:
    """Copies work as the first does, also after it was used."""
    template = Template(text)
    first = template.render(**dict.fromkeys(template.fields, "x"))
    for twin in (copy.deepcopy(template), pickle.loads(pickle.dumps(template))):  # noqa: S301 - our own bytes
        assert twin == template
        assert twin.render(**dict.fromkeys(template.fields, "x")) == first
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - our own bytes


def test_a_field_may_have_the_name_of_a_column() -> None:
    """Headers of a list are words with blanks or hyphens between them, in any language."""
    template = Template("{Order no}, {E-mail}, {Имя клиента}, {नाम और}")
    assert template.fields == ("Order no", "E-mail", "Имя клиента", "नाम और")
    assert template.render(**dict.fromkeys(template.fields, "x")).text == "x, x, x, x"


def test_whole_numbers_are_values_too() -> None:
    """A code may be a number; what else to write for a float or None is for the user to say."""
    template = Template("{code} for {name}")
    assert template.render(code=1234, name="Ada").text == "1234 for Ada"
    assert template.fill({"code": 1234, "name": "Ada"}) == "1234 for Ada"
    assert Template("{code}").fill({"code": 7}) == "7"
    calls: tuple[Callable[..., object], ...] = (
        template.render,
        lambda **values: template.fill(values),
    )
    for call in calls:
        with pytest.raises(TemplateError) as caught:
            call(code=12.5, name=None)
        assert str(caught.value) == (
            "template: the value of {code} is of type float; it must be a str or an int; "
            "the value of {name} is of type NoneType; it must be a str or an int"
        )
    with pytest.raises(TemplateError, match="type bool"):
        template.render(code=True, name="Ada")


def test_all_wrong_names_are_named_in_one_error() -> None:
    """Missing and unknown names together, with the name that may have been meant."""
    template = Template("{name} {code} {day}")
    with pytest.raises(TemplateError) as caught:
        template.render(nmae="Ada", day="Monday", x="y")
    assert str(caught.value) == (
        "template: no value for {name}, {code}; "
        "no field {nmae} (did you mean {name}?); no field {x}"
    )
    with pytest.raises(TemplateError, match=r"no value for {name}, {day}$"):
        template.fill({"code": "1", "x": "y"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a.b}", "{a.b} at index 0 is not a valid field"),
        ("x {0}", "{0} at index 2 is not a valid field"),
        ("{x!r}", "{x!r} at index 0 is not a valid field"),
        ("{x:>5}", "a placeholder at index 0 is not a valid field"),
        ("{x[0]}", "{x[0]} at index 0 is not a valid field"),
        ("{}", "{} at index 0 is not a valid field"),
        ("{ name }", "{ name } at index 0 is not a valid field"),
        ("{my, secret, text}", "a placeholder at index 0 is not a valid field"),
        ("{Order  no}", "a placeholder at index 0 is not a valid field"),
        ("{Order no }", "a placeholder at index 0 is not a valid field"),
        ("{name", "a single { at index 0"),
        ("name}", "a single } at index 4"),
        ("{{name}", "a single } at index 6"),
        ("{shrink}", "{shrink} at index 0 is taken: render_fitted has a parameter of that name"),
        ("{a.b} {", "{a.b} at index 0 is not a valid field; a single { at index 6"),
    ],
)
def test_there_is_nothing_but_plain_names(text: str, problem: str) -> None:
    """Attributes, positions, formats and lone braces are refused, with the rule, all at once."""
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert str(caught.value) == (
        f"template: {problem}. A field is a plain name in braces, {{name}} or {{Order no}}: no "
        "spaces around, no digit in front, no attribute (.), format (:) or conversion (!). Write "
        "{{ and }} for the braces themselves."
    )


def test_what_cannot_be_sent_is_refused_by_its_place() -> None:
    """A bare ESC in a template or in a value, or something that is no text, is named."""
    with pytest.raises(InvalidText, match=r"template: text: U\+001B at index 1"):
        Template("a\x1b")
    with pytest.raises(InvalidRequest, match="template: text: is a value of type bytes"):
        Template(b"a")  # type: ignore[arg-type]
    template = Template("{name} {code}")
    with pytest.raises(InvalidText, match=r"template: code: U\+D83D at index 2"):
        template.render_fitted(max_fragments=1, shrink=[], name="a", code="ab\ud83d")
    with pytest.raises(InvalidText, match=r"template: code: U\+001B at index 0"):
        template.room("name", max_fragments=1, code="\x1b")


def test_a_rendered_message_is_a_message() -> None:
    """It is taken wherever a message is, and knows where it comes from."""
    template = Template("Hi {name}")
    message = template.render(name="Ada")
    assert isinstance(message, Message)
    assert message == Message("Hi Ada")
    assert (message.template, message.values) == (template, {"name": "Ada"})
    assert repr(message) == "<RenderedMessage: 6 characters, GSM-7, 1 fragment>"
    assert message.fitted(max_fragments=1) is message
    assert template.render(name="\u201cA\u201d").simplified(always=True) == Message('Hi "A"')


def test_the_field_that_switched_the_encoding_is_named() -> None:
    """The fields whose values force UTF-16, with the characters and where they stand."""
    template = Template("{day}: hi {name}, {code}. Bye {name}")
    message = template.render(day="Mo", name="Jos\u00e9 \u0141.", code="\U0001f600")
    (name, code) = message.forced_by_fields
    assert name.field == "name"
    assert [(one.index, one.char) for one in name.characters] == [(12, "\u0141"), (28, "\u0141")]
    assert (code.field, [one.name for one in code.characters]) == ("code", ["GRINNING FACE"])
    assert message.text[12] == message.text[28] == "\u0141"
    assert template.render(day="Mo", name="Ada", code=1).forced_by_fields == ()


def test_no_field_is_blamed_for_the_template() -> None:
    """If the template's own text forces UTF-16 no value switched it."""
    assert Template("\u0436 {name}").render(name="\u0436").forced_by_fields == ()


@given(
    FOREIGN_LITERALS,
    VALUES.filter(str.strip),
    VALUES,
    st.integers(1, 3),
    st.sampled_from(["", "..."]),
)
@example("a" * 150 + " ", "Anna Maria Christina", "1234", 1, "")
@example("a" * 60 + " ", "Jo \U0001f600", "1234", 1, "")
def test_every_other_field_stays_whole(
    literal: str, name: str, code: str, limit: int, ellipsis: str
) -> None:
    """Only the named field is shortened, only if it has to be, and then to a beginning of it."""
    template = Template(f"{escaped(literal)}{{name}}, {{code}}; {{name}}")
    whole = template.render(name=name, code=code)
    try:
        message = template.render_fitted(
            max_fragments=limit, shrink=["name"], ellipsis=ellipsis, name=name, code=code
        )
    except TemplateError:
        if name[0].isalnum() and not name.startswith("https:"):
            least = template.fill({"name": name[0] + ellipsis, "code": code})
            assert count_fragments(least) > limit
        return
    kept = message.values["name"]
    assert message.text == f"{literal}{kept}, {code}; {kept}"
    assert message.segmentation.fragments_count <= limit
    assert message.original == whole.text
    assert apply_changes(whole.text, message.changes) == message.text
    if whole.segmentation.fragments_count <= limit:
        assert (message, message.changes) == (whole, ())
    else:
        assert kept != name
        assert kept.endswith(ellipsis)
        assert name.startswith((kept.removesuffix(ellipsis), kept.removesuffix(f" {ellipsis}")))


@given(LITERALS, st.text("ab\u0436", min_size=2, max_size=9))
def test_no_more_is_cut_than_needed(literal: str, letters: str) -> None:
    """One more character of the shortened field would not fit."""
    template = Template(escaped(literal) + "{name}")
    name = letters * 200
    limit = count_fragments(literal + letters[0])
    kept = template.render_fitted(max_fragments=limit, shrink=["name"], name=name).values["name"]
    assert name.startswith(kept)
    assert count_fragments(literal + name[: len(kept) + 1]) > limit


def test_a_link_in_a_value_is_not_cut() -> None:
    """A value that is a link stays whole or the message is refused."""
    template = Template("{text} " + "x" * 140)
    text = "see https://example.com/a"
    message = template.render_fitted(max_fragments=1, shrink=["text"], text=text)
    assert message.values == {"text": "see"}
    with pytest.raises(TemplateError):
        template.render_fitted(max_fragments=1, shrink=["text"], text=text[4:])


def test_fields_are_shortened_in_order() -> None:
    """The second field is only touched if the least of the first is not enough."""
    template = Template("{note} {name} " + "x" * 140)
    values = {"note": "see you soon", "name": "Christopher"}
    one = template.render_fitted(max_fragments=1, shrink=["note", "name"], **values)
    assert one.text == "see you Christopher " + "x" * 140
    (change,) = one.changes
    assert change == (7, " soon", "", "{note} shortened to fit 1 fragment")
    template = Template("{note} {name} " + "x" * 150)
    both = template.render_fitted(max_fragments=1, shrink=["note", "name", "note"], **values)
    assert both.values == {"note": "s", "name": "Christo"}
    assert [change.index for change in both.changes] == [1, 20]


def test_a_value_that_cutting_makes_no_shorter_stays_whole() -> None:
    """With an ellipsis a short name would get longer, so the next field is shortened."""
    template = Template("{name} {note} " + "x" * 148)
    message = template.render_fitted(
        max_fragments=1, shrink=["name", "note"], ellipsis="...", name="Jo", note="wait for me"
    )
    assert message.values == {"name": "Jo", "note": "wait..."}


def test_the_only_emoji_goes_first() -> None:
    """A name that loses its emoji brings the message back to GSM-7; no letter of it is lost."""
    template = Template("Hi {name}, " + "x" * 100)
    message = template.render_fitted(max_fragments=1, shrink=["name"], name="Ada Byron \U0001f600")
    assert message.values["name"] == "Ada Byron"
    assert message.segmentation.encoding is Encoding.GSM7


def test_it_refuses_where_shortening_does_not_help() -> None:
    """It says how many fragments the message takes with the least of the fields."""
    template = Template("{name} {code}")
    values = {"name": "Ada", "code": "x" * 200}
    with pytest.raises(TemplateError) as caught:
        template.render_fitted(max_fragments=1, shrink=["name"], **values)
    assert str(caught.value) == (
        "template: the message takes 2 fragments with the least of {name}; max_fragments is 1"
    )
    with pytest.raises(TemplateError, match="the message takes 2 fragments; max_fragments is 1"):
        template.render_fitted(max_fragments=1, shrink=[], **values)
    with pytest.raises(TemplateError, match=r"2 fragments with the least of {name}"):
        template.render_fitted(max_fragments=1, shrink=["name"], name="", code="x" * 200)


def test_what_to_shrink_is_checked_with_the_names() -> None:
    """A field to shrink that is none is named beside what else is wrong; a str is no list."""
    template = Template("{name} {code}")
    with pytest.raises(
        TemplateError, match=r"no value for {code}; no field {nam} \(did you mean {name}\?\)$"
    ):
        template.render_fitted(max_fragments=1, shrink=["nam"], name="Ada")
    with pytest.raises(TemplateError, match="shrink is a str; it must be a list of names"):
        template.render_fitted(max_fragments=1, shrink="name", name="Ada", code="1")
    with pytest.raises(InvalidRequest, match="template: max_fragments: is 0"):
        template.render_fitted(max_fragments=0, shrink=[], name="Ada", code="1")


def worst_gsm7(units: int, pad: int) -> str:
    """Return a GSM-7 value of that many septets, with escape pairs from the first or second on."""
    pad = min(pad, units)
    pairs, rest = divmod(units - pad, 2)
    return "a" * pad + "\u20ac" * pairs + "a" * rest


def worst_utf16(units: int, pad: int) -> str:
    """Return a value in UTF-16 of that many code units, with surrogate pairs likewise."""
    pad = min(pad, units)
    pairs, rest = divmod(units - pad, 2)
    return "\u0436" * pad + "\U0001f600" * pairs + "\u0436" * rest


@given(LITERALS, LITERALS, st.integers(1, 4), st.integers(0, 1), st.integers(0, 3))
def test_room_is_what_every_value_has(
    before: str, after: str, limit: int, pad: int, less: int
) -> None:
    """Any value of that length fits, the worst too; a longer one of the worst kind does not."""
    template = Template(f"{escaped(before)}{{name}}{escaped(after)}{{code}}")
    gsm7, utf16 = template.room("name", max_fragments=limit, code="12")

    def count(value: str) -> int:
        return count_fragments(template.fill({"name": value, "code": "12"}))

    if gsm7:
        assert count(worst_gsm7(max(gsm7 - less, 0), pad)) <= limit
        assert count("a" * gsm7) <= limit
    if utf16 > less:
        assert count(worst_utf16(utf16 - less, pad)) <= limit
    assert max(count(worst_gsm7(gsm7 + 1, pad)) for pad in (0, 1)) > limit
    assert max(count(worst_utf16(utf16 + 1, pad)) for pad in (0, 1)) > limit


def test_room_by_hand() -> None:
    """160 septets or 70 code units less what the others take, for each place of the field."""
    template = Template("Hi {name}, code {code}")
    assert template.room("name", max_fragments=1, code="1234") == (146, 56)
    assert template.room("name", max_fragments=1, code="\u0436") == (59, 59)
    assert template.room("code", max_fragments=1, name="") == (150, 60)
    room = Template("{a}-{a}").room("a", max_fragments=1)
    assert (room.gsm7, room.utf16) == (79, 34)
    assert Template("{a}" + "x" * 100).room("a", max_fragments=1) == (60, 0)
    assert Template("{a}" + "x" * 161).room("a", max_fragments=1) == (0, 0)
    assert Template("{a}").room("a", max_fragments=2) == (
        305,
        133,
    )  # a pair may stand at the border


def test_room_wants_the_values_of_the_others() -> None:
    """The field in question has no value yet; wrong names are named in one error."""
    template = Template("{name} {code}")
    with pytest.raises(TemplateError, match=r"no value for {code}; a value for {name}, which is"):
        template.room("name", max_fragments=1, name="Ada")
    with pytest.raises(
        TemplateError, match=r"no value for {name}; no field {cod} \(did you mean {code}\?\)$"
    ):
        template.room("cod", max_fragments=1, code="1")
    with pytest.raises(InvalidRequest, match="max_fragments: is float"):
        template.room("name", max_fragments=1.0, code="1")  # type: ignore[arg-type]


@given(LITERALS, st.integers(0, 400), st.integers(0, 20), st.integers(0, 1))
def test_no_value_is_worse_than_the_worst(literal: str, name: int, code: int, pad: int) -> None:
    """No message with values of these lengths takes more fragments than was said."""
    template = Template(f"{escaped(literal)}{{name}}{{code}}")
    worst = template.worst_case(name=name, code=code)
    gsm7 = {"name": worst_gsm7(name, pad), "code": worst_gsm7(code, pad)}
    assert count_fragments(template.fill(gsm7)) <= worst.gsm7
    utf16 = {"name": worst_utf16(name, pad), "code": worst_utf16(code, pad)}
    assert count_fragments(template.fill(utf16)) <= worst.utf16


def test_the_worst_case_by_hand() -> None:
    """As many fragments as the longest values may take, in either encoding."""
    template = Template("Hi {name}, code {code}")
    assert template.worst_case(name=20, code=6) == (1, 1)
    assert template.worst_case(name=60, code=6) == (1, 2)
    assert template.worst_case(name=0, code=0) == (1, 1)
    assert Template("x" * 80 + "{a}").worst_case(a=0) == (1, 1)
    assert Template("\u0436" * 60 + "{a}").worst_case(a=10) == (1, 1)
    assert Template("\u0436" * 60 + "{a}").worst_case(a=11) == (2, 2)


@pytest.mark.parametrize("length", [-1, "20", 1.5, True])
def test_lengths_are_whole_numbers(length: object) -> None:
    """A length that is none is named, beside wrong names."""
    with pytest.raises(
        TemplateError, match=r"no value for {code}; the length of {name} must be a whole number"
    ):
        Template("{name} {code}").worst_case(name=length)  # type: ignore[arg-type]


def test_room_and_worst_case_agree() -> None:
    """A value that uses up its room is within the limit, one more unit is not."""
    template = Template("Hello {name}, " + "welcome " * 20)
    for limit in (2, 3):
        room = template.room("name", max_fragments=limit)
        assert template.worst_case(name=room.gsm7).gsm7 == limit
        assert template.worst_case(name=room.gsm7 + 1).gsm7 == limit + 1
        assert template.worst_case(name=room.utf16).utf16 == limit
        assert template.worst_case(name=room.utf16 + 1).utf16 == limit + 1


def test_a_field_may_be_called_self_or_values() -> None:
    """Names that a method might use itself are free for fields."""
    template = Template("{self} {values} {field} {row}")
    values = dict.fromkeys(template.fields, "x")
    assert isinstance(template.render(**values), RenderedMessage)
    assert template.render_fitted(max_fragments=1, shrink=["self"], **values).text == "x x x x"
    assert template.worst_case(**dict.fromkeys(template.fields, 1)) == (1, 1)
    del values["field"]
    assert template.room("field", max_fragments=1, **values).gsm7 == 154
