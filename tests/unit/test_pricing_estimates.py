"""What a mailing costs before it is sent: one text to many, a text each, streamed."""

import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.errors import InvalidRequest, InvalidText
from voxsms.pricing import Estimate, RateTable, Tally, estimate, estimate_many
from voxsms.text import Message, Template, count_fragments, segment

USA, UK, MOBILE, NOWHERE = "14155550100", "442071838750", "447700900212", "99912345678"
QUOTE = "\u2019"


def _group(group_id: int, name: str, price: str, prefix: str, per: int = 1) -> PriceGroup:
    return PriceGroup(group_id, name, Decimal(price), per, 1, PriceGroupParams((prefix,)))


RATES = RateTable.from_resource_prices(
    [
        ResourcePrice(
            "SMSOUT",
            (
                _group(101, "USA", "0.0079", "1"),
                _group(102, "United Kingdom", "0.0410", "44"),
                _group(103, "United Kingdom Mobile", "3.55", "447", 100),
            ),
        )
    ],
    currency="USD",
    method="send_sms_message",
)


def test_one_text_to_many_numbers() -> None:
    """An estimate says fragments, messages, cost and currency, whole and by price group."""
    found = estimate("Hello", [USA, "+44 20 7183 8750", MOBILE, MOBILE], RATES)
    assert (found.fragments_count, found.messages, found.fragments) == (1, 4, 4)
    assert (found.cost, found.currency) == (Decimal("0.1199"), "USD")
    assert list(found.by_group.items()) == [
        ("United Kingdom Mobile", Tally(2, 2, Decimal("0.071"))),
        ("United Kingdom", Tally(1, 1, Decimal("0.041"))),
        ("USA", Tally(1, 1, Decimal("0.0079"))),
    ]
    assert found.by_fragments == {1: Tally(4, 4, Decimal("0.1199"))}
    assert (found.unpriced, found.unpriced_prefixes, found.invalid) == (0, {}, 0)
    assert (found.least_cost, found.most_cost, found.unsure) == (found.cost, found.cost, 0)


def test_one_curly_apostrophe_to_ten_thousand() -> None:
    """The user's case: 158 characters, one of them curly, cost three times what they need to."""
    text = f"You{QUOTE}ll" + "x" * 152
    assert len(text) == 158
    found = estimate(text, [MOBILE] * 10_000, RATES)
    assert (found.fragments_count, found.cost) == (3, Decimal(1065))
    assert found.pushed_by_character == {QUOTE: Tally(10_000, 20_000, Decimal(710))}
    plain = estimate(text.replace(QUOTE, "'"), [MOBILE] * 10_000, RATES)
    assert (plain.fragments_count, plain.cost) == (1, Decimal(355))
    assert plain.pushed_by_character == {}


def test_numbers_without_a_price_are_counted_and_not_free() -> None:
    """They are in the messages, in no cost, and told by their first three digits alone."""
    found = estimate("Hello", [USA, NOWHERE, "+999 555 0101", "5551234567"], RATES)
    assert (found.messages, found.unpriced, found.cost) == (4, 3, Decimal("0.0079"))
    assert list(found.unpriced_prefixes.items()) == [("999", 2), ("555", 1)]
    assert sum(tally.messages for tally in found.by_group.values()) == 1
    assert found.by_fragments[1].messages == 4


def test_nobody_to_send_to() -> None:
    """No destinations cost nothing; what the text takes is still told."""
    found = estimate("x" * 161, [], RATES)
    assert (found.fragments_count, found.messages, found.cost) == (2, 0, Decimal(0))
    assert estimate_many([], RATES).fragments_count is None


def test_a_message_is_accepted_for_a_text() -> None:
    """`Message` and `str` are estimated alike."""
    assert estimate(Message("Hello"), [USA], RATES) == estimate("Hello", [USA], RATES)


def test_bad_numbers_are_named_by_position_and_masked() -> None:
    """Every fault is in one error, and no number is shown whole."""
    with pytest.raises(InvalidRequest) as caught:
        estimate("Hello", [USA, "4477", MOBILE, "call 447700900212 now"], RATES)
    assert [fault.field for fault in caught.value.faults] == ["destinations[1]", "destinations[3]"]
    assert "has 4 digits" in str(caught.value)
    assert "447700900212" not in str(caught.value)


def test_a_list_of_bad_numbers_is_not_repeated_whole() -> None:
    """Of a million bad numbers twenty are named and the rest counted."""
    with pytest.raises(InvalidRequest, match="destinations: and 80 more") as caught:
        estimate("Hello", ["x"] * 100, RATES)
    assert len(caught.value.faults) == 21
    with pytest.raises(InvalidRequest) as caught:
        estimate("Hello", ["x"] * 20, RATES)
    assert len(caught.value.faults) == 20


@pytest.mark.parametrize("numbers", [USA, f"{USA};{UK}"])
def test_a_string_of_numbers_is_refused(numbers: str) -> None:
    """A `str` where a list is meant would otherwise be taken letter by letter."""
    with pytest.raises(InvalidRequest, match="destinations: is a str; it must be a list"):
        estimate("Hello", numbers, RATES)


def test_what_cannot_be_sent_has_no_estimate() -> None:
    """An empty text, half a character and a text of another type are refused."""
    with pytest.raises(InvalidRequest, match="text: is empty"):
        estimate("", [USA], RATES)
    with pytest.raises(InvalidText):
        estimate("a\ud800", [USA], RATES)
    with pytest.raises(InvalidRequest, match="text: is a value of type bytes; it must be a str"):
        estimate(cast("str", b"Hello"), [USA], RATES)  # what an untyped program does


_LIMITS = [
    ("send_sms_message", 765),
    ("a2p_send_sms", 1600),
]


def _everywhere(method: str) -> RateTable:
    prices = [ResourcePrice("ANY", (_group(1, "all", "1", ""),))]
    return RateTable.from_resource_prices(
        prices, currency="USD", method=method, resource_types=["ANY"]
    )


@pytest.mark.parametrize(("method", "limit"), _LIMITS)
@pytest.mark.parametrize("char", ["x", "\u0436", "\U0001f600"])
def test_what_the_send_would_refuse_has_no_estimate(method: str, limit: int, char: str) -> None:
    """A text longer than the method takes is refused here as it is there, with the limit."""
    rates, units = _everywhere(method), len(char.encode("utf-16-le")) // 2
    longest = char * (limit // units)
    assert estimate(longest, [USA], rates).messages == 1
    assert estimate_many([(Message(longest), USA)], rates).messages == 1
    with pytest.raises(InvalidRequest) as caught:
        estimate(longest + char, [USA], rates)
    (fault,) = caught.value.faults
    taken = len((longest + char).encode("utf-16-le")) // 2
    assert fault.field == "text"
    assert fault.problem == f"has {taken} UTF-16 code units; at most {limit} are allowed"


@pytest.mark.parametrize(("method", "limit"), _LIMITS)
def test_a_text_that_is_too_long_is_a_bad_pair(method: str, limit: int) -> None:
    """Among many it is told by its position and left out, however it was made."""
    rates, template = _everywhere(method), Template("{name}")
    long, short = "x" * (limit + 1), "x" * limit
    told: list[str] = []

    def on_bad(_: int, error: InvalidRequest) -> None:
        told.extend(map(str, error.faults))

    rendered = [(template.render(name=text), USA) for text in (short, long)]
    rows = [({"name": text}, USA) for text in (short, long)]
    found = [
        estimate_many([(short, USA), (long, USA)], rates, on_bad=on_bad),
        estimate_many(rendered, rates, on_bad=on_bad),
        estimate_many(rows, rates, template=template, on_bad=on_bad),
    ]
    assert [(one.messages, one.invalid) for one in found] == [(1, 1)] * 3
    assert set(told) == {
        f"pairs[1].text: has {limit + 1} UTF-16 code units; at most {limit} are allowed"
    }
    assert len(told) == 3
    with pytest.raises(InvalidRequest, match=f"at most {limit} are allowed"):
        estimate_many([(long, USA)], rates)


def test_a_text_each() -> None:
    """Different texts are added up, by group and by number of fragments."""
    found = estimate_many([("x", USA), ("x" * 161, USA), ("x" * 161, MOBILE)], RATES)
    assert found.fragments_count is None
    assert (found.messages, found.fragments, found.cost) == (3, 5, Decimal("0.0947"))
    assert found.by_fragments == {
        1: Tally(1, 1, Decimal("0.0079")),
        2: Tally(2, 4, Decimal("0.0868")),
    }


async def test_pairs_may_be_awaited() -> None:
    """An async iterable gives an estimate that is awaited, and the same one."""
    pairs = [("x", USA), ("x" * 161, NOWHERE)]

    async def source() -> AsyncIterator[tuple[str, str]]:
        for pair in pairs:
            yield pair

    assert await estimate_many(source(), RATES) == estimate_many(pairs, RATES)


@pytest.mark.parametrize(
    ("pair", "fault"),
    [
        (("x", "4477"), r"pairs\[1\].destination: 4\*\*\*7 has 4 digits"),
        (("", USA), r"pairs\[1\].text: is empty"),
        (("\ud800", USA), r"pairs\[1\].text: U\+D800"),
        ((None, USA), r"pairs\[1\].text: is None; it must be a str"),
        (("x", None), r"pairs\[1\].destination: is None"),
    ],
)
def test_a_bad_pair_is_told_by_its_position(pair: tuple[str, str], fault: str) -> None:
    """It is raised, or given to `on_bad` and left out of an estimate that goes on."""
    pairs = [("x", USA), pair, ("x", UK)]
    with pytest.raises(InvalidRequest, match=fault):
        estimate_many(pairs, RATES)
    told: list[tuple[int, str]] = []
    found = estimate_many(pairs, RATES, on_bad=lambda at, error: told.append((at, str(error))))
    assert [at for at, _ in told] == [1]
    assert (found.invalid, found.messages) == (1, 2)
    assert found.by_group == estimate("x", [USA, UK], RATES).by_group


def test_on_bad_may_end_the_estimate() -> None:
    """What `on_bad` raises goes through to the caller."""

    def strict(position: int, error: InvalidRequest) -> None:
        raise LookupError(position) from error

    with pytest.raises(LookupError):
        estimate_many([("x", "4477")], RATES, on_bad=strict)


@pytest.mark.parametrize(
    ("text", "pushed"),
    [
        ("x" * 160, {}),
        ("x" * 161, {}),  # long, but no single character is to blame
        ("x" * 159 + "\u20ac", {"\u20ac": 1}),  # two septets
        ("x" * 160 + "\u20ac", {}),  # long without it, too
        ("x" * 160 + "\r\n", {}),
        ("x" * 70 + QUOTE, {QUOTE: 1}),
        ("x" * 69 + QUOTE, {}),
        ("x" * 69 + QUOTE + "\u2013", {QUOTE: 1, "\u2013": 1}),
        ("x" * 159 + QUOTE + "\u20ac", {QUOTE: 1}),  # of UTF-16 the euro sign is not the cause
        ("\u0416" * 80, {}),  # another script
        ("\u0416" * 80 + "x" * 81, {"\u0416": 1}),
    ],
)
def test_characters_that_push_a_message_further(text: str, pushed: dict[str, int]) -> None:
    """Only characters but for which the message would take fewer fragments are named."""
    found = estimate(text, [USA], RATES)
    assert {name: tally.messages for name, tally in found.pushed_by_character.items()} == pushed
    for tally in found.pushed_by_character.values():
        assert tally.cost == Decimal("0.0079") * tally.fragments
        assert 0 < tally.fragments < found.fragments


_GREETING = Template("x" * 140 + "Hi {name}, {code}")


def _row(name: str, code: str = "1234") -> tuple[Mapping[str, str], str]:
    return {"name": name, "code": code, "phone": USA}, USA


def test_fields_that_push_a_message_further() -> None:
    """A template tells which field did it: but for its value the message takes fewer fragments."""
    rows = [_row("Ann"), _row("Maximiliana Rose"), _row("\u0141ukasz"), _row("y" * 8, "z" * 8)]
    found = estimate_many(rows, RATES, template=_GREETING)
    assert found.by_fragments.keys() == {1, 2, 3}
    assert found.pushed_by_field == {
        "name": Tally(3, 4, Decimal("0.0316")),
        "code": Tally(1, 1, Decimal("0.0079")),
    }
    assert found.pushed_by_character == {"\u0141": Tally(1, 2, Decimal("0.0158"))}


def test_rendered_messages_know_their_fields() -> None:
    """Pairs of rendered messages are estimated like rows for their template."""
    rows = [_row("Ann"), _row("Maximiliana Rose"), _row("\u0141ukasz")]
    messages = [
        (_GREETING.render(name=row["name"], code=row["code"]), number) for row, number in rows
    ]
    assert estimate_many(messages, RATES) == estimate_many(rows, RATES, template=_GREETING)
    one = estimate(_GREETING.render(name="Maximiliana Rose", code="1234"), [USA, UK], RATES)
    assert one.pushed_by_field == {"name": Tally(2, 2, Decimal("0.0489"))}


def test_a_field_that_is_not_to_blame_is_not_named() -> None:
    """It might be, as one of the characters takes two places; counted without it, it is not."""
    template = Template("\u20ac" + "x" * 173 + "{name}")
    found = estimate_many([({"name": "y" * 25}, USA)], RATES, template=template)
    assert (found.fragments, found.pushed_by_field) == (2, {})


_VALUES = st.text(st.sampled_from("ab1`\u20ac{\r\n\u2019\u0416\u0142\U0001f600\u0301"), max_size=90)


@given(
    st.sampled_from(
        [
            "{a}",
            "{a} and {b}",
            "x" * 100 + "{a}{b}{a}",
            "\u0416" * 60 + "{a}{b}",
            "\u20ac" * 70 + "{b}{a}",
            "\U0001f600" * 30 + "{a}{a}{a}{b}",
            "\u2019" + "x" * 140 + "{a}, {b}",
        ]
    ).map(Template),
    st.tuples(_VALUES, _VALUES),
)
def test_fields_are_blamed_as_if_each_were_left_out(
    template: Template, values: tuple[str, str]
) -> None:
    """Whatever is filled in, the quick way finds what rendering without each value finds."""
    row = dict(zip("ab", values, strict=True))
    text = template.fill(row)
    assume(text)
    found = estimate_many([(row, USA)], RATES, template=template)
    further = {
        field: count_fragments(text) - count_fragments(template.fill({**row, field: ""}))
        for field in template.fields
    }
    assert {field: tally.fragments for field, tally in found.pushed_by_field.items()} == {
        field: more for field, more in further.items() if more > 0 and found.fragments > 1
    }


async def test_rows_for_a_template_may_be_awaited_and_bad() -> None:
    """A row without a field's value is left out like a bad number, with the template's words."""

    async def source() -> AsyncIterator[tuple[Mapping[str, str], str]]:
        yield {"name": "Ann"}, USA
        yield _row("Ann")

    told: list[str] = []
    found = await estimate_many(
        source(), RATES, template=_GREETING, on_bad=lambda _, error: told.append(str(error))
    )
    assert told == ["estimate_many: pairs[0]: template: no value for {code}. Nothing was sent."]
    assert (found.invalid, found.messages, found.fragments_count) == (1, 1, 1)


def test_costs_between_two_bounds() -> None:
    """Where the service may cut in two ways both prices are given, not one of them promised."""
    text = "x" * 152 + "\u20ac" + "x" * 152
    bounds = segment(text).bounds
    assert bounds == (2, 3)
    found = estimate(text, [USA, USA, NOWHERE], RATES)
    assert found.least_cost == 2 * 2 * Decimal("0.0079")
    assert found.most_cost == 2 * 3 * Decimal("0.0079")
    assert found.cost == 2 * count_fragments(text) * Decimal("0.0079")
    assert found.unsure == 3
    assert estimate_many([(text, USA)] * 2, RATES).most_cost == found.most_cost


@given(
    st.text(
        st.sampled_from("ab\u20ac{\r\n\u2019\u0416\U0001f600\u0301\u200d"),
        min_size=1,
        max_size=380,  # the send takes 765 code units
    )
)
def test_bounds_are_those_of_the_segmenter(text: str) -> None:
    """The quick way to them comes to the same, wherever pairs and clusters lie."""
    least, most = segment(text).bounds
    found = estimate(text, [USA], RATES)
    assert found.least_cost == least * Decimal("0.0079")
    assert found.most_cost == most * Decimal("0.0079")
    assert found.unsure == (least != most)


_TEXTS = st.one_of(
    st.sampled_from(["x", "x" * 161, QUOTE * 71, "x" * 150 + QUOTE, "x" * 159 + "\u20ac"]),
    st.text(st.sampled_from("ab\u20ac{\u2019\u0416\U0001f600\u0301"), min_size=1, max_size=400),
)
_NUMBERS = st.sampled_from([USA, UK, MOBILE, NOWHERE, "+1 (415) 555-0101"])
_PAIRS = st.lists(st.tuples(_TEXTS, _NUMBERS), max_size=12)


@given(_PAIRS)
def test_many_are_the_sum_of_single_estimates(pairs: list[tuple[str, str]]) -> None:
    """Whatever is mailed, an estimate of all adds up to those of each, to the last decimal."""
    whole = estimate_many(pairs, RATES)
    single = [estimate(text, [number], RATES) for text, number in pairs]
    for name in ("messages", "fragments", "cost", "least_cost", "most_cost", "unsure", "unpriced"):
        assert getattr(whole, name) == sum(getattr(one, name) for one in single), name
    for name in ("by_group", "by_fragments", "pushed_by_character", "pushed_by_field"):
        assert getattr(whole, name) == _added(single, name), name


def _added(estimates: list[Estimate], name: str) -> dict[object, Tally]:
    added: dict[object, Tally] = {}
    for one in estimates:
        for key, tally in getattr(one, name).items():
            added[key] = added.get(key, Tally()) + tally
    return added


@given(_PAIRS)
def test_groups_add_up_to_the_cost(pairs: list[tuple[str, str]]) -> None:
    """No cent is lost between the parts and the whole, and every message is somewhere."""
    found = estimate_many(pairs, RATES)
    assert sum(tally.cost for tally in found.by_group.values()) == found.cost
    assert sum(tally.cost for tally in found.by_fragments.values()) == found.cost
    assert sum(tally.messages for tally in found.by_group.values()) == len(pairs) - found.unpriced
    assert sum(n * tally.messages for n, tally in found.by_fragments.items()) == found.fragments
    assert found.least_cost <= found.cost <= found.most_cost


def test_estimates_are_exact_in_any_decimal_context() -> None:
    """Sums of a mailing are not rounded to what the program's context holds."""
    exact = estimate("x", [USA] * 12_345 + [MOBILE], RATES)
    with localcontext() as context:
        context.prec = 2
        rounded = estimate("x", [USA] * 12_345 + [MOBILE], RATES)
    assert exact.cost == rounded.cost == Decimal("97.561")


def test_many_causes_are_added_up() -> None:
    """Thousands of different characters are all told, each with its messages."""
    pairs = [("x" * 70 + chr(0x4E00 + index % 5_500), USA) for index in range(11_000)]
    found = estimate_many(pairs, RATES)
    assert len(found.pushed_by_character) == 5_500
    assert set(found.pushed_by_character.values()) == {Tally(2, 2, Decimal("0.0158"))}


@pytest.mark.unmeasured
@pytest.mark.slow
def test_memory_does_not_grow_with_the_mailing() -> None:
    """A hundred times the recipients, each with a text and a number of their own, take no more."""

    def pairs(count: int) -> Iterator[tuple[str, str]]:
        for index in range(count):
            yield f"Hi {index}, " + "x" * (index % 170), f"{1 + index % 9}{index:09}"

    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        found = estimate_many(pairs(count), RATES)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.messages == count
        return most

    small = peak(500)
    assert peak(50_000) < small + 100_000
