"""No message goes to a number that was not meant: what is taken for one, and what is refused.

Examples: `shared/field`, from public bug reports; numbers from the ranges reserved for fiction.
"""

import re
import sys
from datetime import date
from decimal import Decimal

import phonenumbers
import pytest
from doubles import A2P_SENT, KEY, SENT, Scripted, answer
from hypothesis import assume, given
from hypothesis import strategies as st

import voxsms
from voxsms.api.country_codes import find_country_code
from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.api.phone_numbers import (
    digits_or_text,
    import_phonenumbers,
    read_phone_number,
    to_digits,
)

NUMBER = "447700900123"
ACCEPTED = [
    NUMBER,
    "+447700900123",
    "+44 7700 900123",
    "+ 44 7700 900123",
    "44-7700-900123",
    "44.7700.900123",
    "+44.7700900123",  # RFC 5733
    "+44 (7700) 900.123",
    "(+44) 7700 900123",
    "+(44) 7700 900123",
    "(44)7700-900123",
    "447 700 900 123",
    "447.700.900.123",
    "+44 - 7700 - 900123",
    *(f"44{dash}7700{dash}900123" for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"),
    *(f"+44{space}7700{space}900123" for space in "\u00a0\u2007\u2009\u202f\u3000"),
    *(f"{mark}+44 7700 900123{mark}" for mark in " \t\r\n\u00ad\u200b\u200c\u200d\u200e\u200f"),
    *(f"{mark}{NUMBER}{mark}" for mark in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
    *(f"{mark}{NUMBER}{mark}" for mark in "\u2060\ufe0e\ufe0f\ufeff\u2028\u2029\u0085\u00a0"),
    f"\u202a\u200e {NUMBER} \u202c\r\n",
]
OTHERS = [
    ("+1 (212) 555-0100", "12125550100"),
    ("1-212-555-0100", "12125550100"),
    ("+1.212.555.0100", "12125550100"),
    ("+33.1.23.45.67.00", "33123456700"),
    ("+20 10 2012 3456", "201020123456"),
    ("+2026-11-2700", "2026112700"),
    ("+225 07 12 34 56 78", "2250712345678"),  # where numbers begin with a zero
    ("+39 06 1234567", "39061234567"),
    ("+298 212 345", "298212345"),
    ("+7 (912) 345-67-89", "79123456789"),
    ("7 912 345-67-89", "79123456789"),
    ("86 138 1234 5678", "8613812345678"),
    ("+683 4002", "6834002"),
    ("+49 15123456789", "4915123456789"),
    ("+49 30 12345678-90", "49301234567890"),
    ("12345", "12345"),
    ("20261127", "20261127"),
]


@pytest.mark.parametrize(
    ("written", "digits"), [*((each, NUMBER) for each in ACCEPTED), *OTHERS], ids=ascii
)
def test_a_number_is_its_digits_however_it_is_spaced_out(written: str, digits: str) -> None:
    """Separators between digits, a leading plus, and what nobody sees around are all that goes."""
    assert read_phone_number(written) == digits


DECIMAL = "is a spreadsheet's decimal; format the column as text"
SCIENTIFIC = "is in scientific notation; format the column as text"
LOST = "and lost its last digits: format the column as text"
DATE = "looks like a date or a time, not like a phone number"
ADDRESS = "looks like an IP address, not like a phone number"
AMOUNT = "looks like an amount; write a phone number with a leading + or as digits alone"
ZERO = "goes in some countries and stays in others"
NATIONAL = "is written as inside one country; add the country code and a leading +"
CARD = "looks like a postal code, an identity or a card number, not like a phone number"
PLACE = "looks like geographic coordinates, not like a phone number"
BEHIND = "has something after a complete number; give the number alone"
EXTENSION = "has an extension, which no message can be sent to"
SEVERAL = "has more than one number in it; give each by itself"
OTHER = "is not a phone number: only digits may remain"

REFUSED = [
    *((each, DECIMAL) for each in (
        "447700900123.0", "+447700900123.0", "447700900123.00", "447700900123,0",
        "447 700 900 123.0", "12.00", "447700900123 .0", " 447700900123.0\u200e\n",
    )),
    *((each, f"turned it into {each} {LOST}") for each in (
        "4.474E+11", "4,47443E+11", "4.47443e11", "4E+11",
    )),
    *((each, SCIENTIFIC) for each in ("4.47443332212E+11", "447443332212E-3")),
    *((each, DATE) for each in (
        "2026-11-27", "2026.11.27", "2026/11/27", "2026 11 27", "27.11.2026", "27-11-2026",
        "27/11/2026", "11/27/2026", "27 11 2026", "1.2.2026", "27.11.26", "11-27-26", "2026-11",
        "11.2026", "2026-11-27 10:20:30", "27.11.2026 10.20", "2026-11-27T10:20:30.5+03:00",
        "10:20", "10:20:30", "10.20.30", "2026\u201311\u201327", "2026-11-27-10-20",
        "2026-11-27 10-20-30",
    )),
    *((each, ADDRESS) for each in ("192.168.100.200", "10.0.0.1:8080", "255.255.255.255")),
    *((each, AMOUNT) for each in (
        "12.50", "12,50", "1,234.56", "1.234,56", "1 234 567,89", "1'234.50", "1234567.5", "5.",
        "44.7700900123", "1.234.567", "1.234.567.890", "10,000", "12 500", "1\u202f234\u202f567",
        "1,234,567", "+12.50",
        "-1234.56",
    )),
    *((each, ZERO) for each in (
        "+44 (0)7700 900123", "+44(0)7700900123", "44 ( 0 ) 7700 900123", "+44 (07700) 900123",
        "+44 0 7700 900123", "(+44) 0 7700 900123", "+44-0-7700-900123", "0044 (0)7700 900123",
    )),
    *((each, "has a zero after the country code; leave it out") for each in (
        "+44 07700 900123", "+4407700900123", "(+44) 07700 900123", "+49-0151-23456789",
        "+91.098765.43210", "44 07700 900123", "(44) 07700 900123",
        "49 0151 23456789",
    )),
    *((each, CARD) for each in (
        "12345-6789", "12345-678", "123-45-6789", "3700 000000 00002", "12-34-56",
        "12-34-56 12345678",
    )),
    *((each, NATIONAL) for each in (
        "(212) 555-0100", "212-555-0100", "212.555.0100", "212 555 0100", "138 1234 5678",
        "98765 43210", "(11) 91234-5678", "8 (912) 345-67-89", "8-912-345-67-89", "8(912)3456789",
        "555-0100", "555 0100", "212-5550100", "212 5550100",
    )),
    *((each, "starts with 0, as inside one country") for each in (
        "07700 900123", "07700900123", "(07700) 900123", "(0)7700 900123", "+07700 900123",
    )),
    *((each, "starts with 00; write the country code without a prefix") for each in (
        "00447700900123", "00 44 7700 900123",
    )),
    ("011 44 7700 900123", "starts with 011, North America's prefix"),
    *((each, EXTENSION) for each in (
        "+447700900123 x123", "+447700900123x123", "447700900123 ext. 5", "447700900123 EXT 5",
        "+447700900123;ext=5", "447700900123#5", "447700900123, extension 5",
    )),
    *((each, SEVERAL) for each in (
        "447700900123 / 447700900124", "447700900123; 447700900124", "447700900123,447700900124",
        "+447700900123 +447700900124", "447700900123\n447700900124", "447700900123\t447700900124",
        "+44 7700 900123 | +44 7700 900124", "447700900123\u2028447700900124",
    )),
    *((each, PLACE) for each in (
        "51.5074 -0.1278", "51.5074 0.1278", "-33.8688 151.2093",
    )),
    *((each, BEHIND) for each in (
        "447700900123 (2)", "+447700900123 ( 2 )", "447700900123-99", "+447700900123 - 5",
        "447700900123 2", "+447700900123 2026",
    )),
    *((each, f"{OTHER}, and only 0 to 9") for each in (
        "\u0664\u0664\u0667\u0667\u0660\u0660\u0669\u0660\u0660\u0661\u0662\u0663",
        "\uff14\uff14\uff17\uff17\uff10\uff10\uff19\uff10\uff10\uff11\uff12\uff13",
        "44770090012\u00b3",
    )),
    *((each, OTHER) for each in (
        "", "+", "ACME", "-447700900123", "447700900123-", "44) 7700 900123",
        "(44 7700 900123", "44\n7700 900123", "44\t7700900123", "++447700900123", "4+47700900123",
        "44\u200b7700900123", "447700900123\x00", "tel:+447700900123", "'447700900123",
        "44 7700 900123" + " 1" * 40, "44_7700_900123", "50%", "44~7700900123",
    )),
    *((each, "a phone number has 5 to 15") for each in ("1234", "1" * 16, "1" * 5000, "+1 23")),
]  # fmt: skip


@pytest.mark.parametrize(("written", "reason"), REFUSED, ids=ascii)
def test_what_could_mean_something_else_is_refused_with_the_reason(
    written: str, reason: str
) -> None:
    """The words say what was met and what helps; no number stands whole in them."""
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        read_phone_number(written)
    assert not re.search(r"\d{7}", str(caught.value))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "written", ["447700900123.0", "+44 (0)7700 900123", "2026-11-27", "07700 900123"]
)
@pytest.mark.parametrize(
    ("method", "given", "field"),
    [
        ("send_sms_message", {"source": "ACME", "sms_body": "Hi"}, "destination"),
        ("a2p_send_sms", {"src_number": "ACME", "text": "Hi"}, "dst_numbers"),
        ("control_sms", {"command": "enable"}, "phone_number"),
        ("get_sms_history", {}, "destination_number"),
        ("a2p_get_sms_history", {}, "destination_number"),
        ("get_phone_numbers", {}, "phone_number"),
        ("get_resource_price", {}, "resource_param"),
    ],
)
async def test_every_call_that_takes_a_number_refuses_it_before_sending(
    written: str, method: str, given: dict[str, object], field: str
) -> None:
    """Nothing leaves the machine, and the error names the field; nothing listens there anyway."""
    listed = ("dst_numbers", "phone_number", "resource_param")
    value = [written] if field in listed else written
    value = written if method == "control_sms" else value
    async with voxsms.Client(voxsms.ApiKey(1, "invented"), "http://127.0.0.1:9") as client:
        with pytest.raises(voxsms.InvalidRequest) as caught:
            await getattr(client, method)(**given, **{field: value})
    assert caught.value.sent == "no"
    assert [fault.field.partition("[")[0] for fault in caught.value.faults] == [field]


@pytest.mark.parametrize("written", [each for each, _ in REFUSED])
def test_a_refused_number_has_no_price(written: str) -> None:
    """Wherever a number is taken the same rule holds: rates are asked for what can be sent to."""
    table = voxsms.RateTable.from_resource_prices(
        [
            ResourcePrice(
                "SMSOUT", (PriceGroup(1, "all", Decimal(1), params=PriceGroupParams(("",))),)
            )
        ],
        currency="USD",
        method="send_sms_message",
    )
    with pytest.raises(voxsms.InvalidRequest):
        table.rate_for(written)
    estimate = voxsms.estimate_many([("Hi", written)], table, on_bad=lambda *_: None)
    assert (estimate.messages, estimate.invalid) == (0, 1)


@pytest.mark.parametrize(
    "sender",
    ["ACME", "7-11", "24/7", "1.5", "+", "123", "2026-11-27", "447700900123.0", "", " A 1 ",
     "+44 (0)7700 900123", "4.474E+11", "192.168.100.200"],
)  # fmt: skip
def test_a_sender_that_is_no_number_stays_as_it_is(sender: str) -> None:
    """A SenderID goes out as it was given, and so does what only resembles a number."""
    assert digits_or_text(sender) == sender


def test_a_sender_that_is_a_number_is_its_digits() -> None:
    """A rented number can be given as it is written on paper."""
    assert digits_or_text("+44 7700-900123\u200e") == NUMBER
    assert digits_or_text("07700 900123") == "07700900123"  # some are rented inside one country


_DIGITS = st.text("0123456789", min_size=1, max_size=18)
_MARKS = st.text(" .-()+/,;:xeE#\t\n\u00a0\u2013\u200e\ufe0f\u0664", max_size=3)


@given(st.lists(st.tuples(_MARKS, _DIGITS), min_size=1, max_size=6), _MARKS)
def test_the_digits_of_a_number_are_those_given_in_their_order(
    parts: list[tuple[str, str]], end: str
) -> None:
    """Whatever is taken for a number, no digit was added, dropped or moved on the way."""
    written = "".join(mark + digits for mark, digits in parts) + end
    try:
        found = to_digits(written)
    except ValueError:
        return
    assert found == "".join(filter(str.isdigit, written))
    assert found.isascii()
    assert not set(written) & set("/,;:xeE#")
    begin = next(index for index, char in enumerate(written) if char.isdigit())
    assert "+" not in written[begin:]
    assert written.count("+") <= 1
    assert to_digits(found) == found


@given(
    st.from_regex(r"[1-9][0-9]{10,14}", fullmatch=True),
    st.sampled_from(" .-\u00a0\u2011"),
    st.integers(2, 4),
)
def test_groups_of_a_whole_number_with_a_plus_are_always_taken(
    digits: str, separator: str, size: int
) -> None:
    """Nobody is refused who writes a number with its country code and in even groups."""
    groups = [digits[at : at + size] for at in range(0, len(digits), size)]
    code = find_country_code(digits)
    if groups[1:2] != ["0"] and not (
        code and code.drops_zero and digits.startswith(f"{code.digits}0")
    ):
        assert read_phone_number("+" + separator.join(groups)) == digits


@given(st.dates(), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%y"]))
def test_no_date_is_a_number(day: date, form: str) -> None:
    """A column of dates in place of the numbers reaches nobody."""
    with pytest.raises(ValueError, match=r"looks like|may remain|starts with"):
        read_phone_number(
            day.replace(year=1900 + day.year % 200, day=min(day.day, 28)).strftime(form)
        )


@given(st.ip_addresses(v=4).map(str))
def test_no_address_is_a_number(address: str) -> None:
    """A column of IP addresses in place of the numbers reaches nobody."""
    with pytest.raises(ValueError, match="looks like"):
        read_phone_number(address)


@given(st.decimals(0, 10**14, places=2), st.sampled_from(["{}", "{:,}", "{:.1f}", "{:E}"]))
def test_no_amount_is_a_number(amount: Decimal, form: str) -> None:
    """A column of amounts in place of the numbers reaches nobody."""
    with pytest.raises(ValueError, match=r"looks like|decimal|scientific|spreadsheet"):
        read_phone_number(form.format(amount))


# --- National numbers and possible ones: the extra `phone` ----------------------------------------


@pytest.mark.parametrize(
    ("written", "region", "digits"),
    [
        ("07700 900123", "GB", "447700900123"),
        ("(020) 7946 0018", "gb", "442079460018"),
        ("00 44 7700 900123", "GB", "447700900123"),
        ("011 44 7700 900123", "US", "447700900123"),
        ("(212) 555-0100", "US", "12125550100"),
        ("2125550100", "US", "12125550100"),
        ("212.555.0100", "US", "12125550100"),
        ("8 (912) 345-67-89", "RU", "79123456789"),
        ("89123456789", "RU", "79123456789"),
        ("138 1234 5678", "CN", "8613812345678"),
        ("98765 43210", "IN", "919876543210"),
        ("06 12 34 56 78", "IT", "390612345678"),  # Italy keeps its zero
        ("501 234 567", "PL", "48501234567"),
        ("600 123 456", "ES", "34600123456"),
        ("447700900123", "GB", "447700900123"),
        ("447700900123", "US", "447700900123"),  # none of the USA, so it has its country code
        ("+44 7700 900123", "US", "447700900123"),
        ("12345", "GB", "12345"),  # a short code stays one
        ("44 07700 900123", "GB", "447700900123"),
        ("33 06 12 34", "DK", "4533061234"),  # begins like one of France
        ("297 560 1750", "GB", "2975601750"),  # of Aruba, and none of the UK
        ("(267) 240-1203", "US", "12672401203"),  # and not of Botswana
    ],
)
def test_a_national_number_is_read_by_its_region(written: str, region: str, digits: str) -> None:
    """A list as people write it in one country goes out with the country code."""
    assert read_phone_number(written, region) == digits


@pytest.mark.parametrize(
    ("written", "region", "reason"),
    [
        ("555-0100", "US", "is not a possible number of US"),
        ("5550100", "US", "is not a possible number of US"),
        ("07700 90", "GB", "is not a possible number of GB"),
        ("0", "GB", "is not a possible number of GB"),
        ("3612345678", "US", "could be a number of US or one with its country code"),
        ("1 234,56", "PL", "looks like an amount"),
        ("1.234.567", "PL", "looks like an amount"),
        ("2026-11-27", "GB", "looks like a date"),
        ("+44 (0)7700 900123", "GB", "cannot be guessed"),
        ("07700 900123.0", "GB", "a spreadsheet's decimal"),
        ("07700 900123", "UK", "is 'UK'; it must be a country's two letters, such as US, or GB"),
        ("07700 900123", "", "is ''; it must be"),
    ],
)
def test_a_region_makes_nothing_else_a_number(written: str, region: str, reason: str) -> None:
    """What could be two numbers is refused, and so is what is none in any country."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        read_phone_number(written, region)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("12345", "is a short code, not a phone number"),
        ("1415555010", "is not a possible number: too short for the country code 1"),
        ("44770090012345", "is not a possible number: too long for the country code 44"),
        ("99912345678", "is not a possible number: no country has this code"),
        ("447700900", None),
        ("+1 415 555 0100", None),
    ],
)
def test_strict_numbers_are_possible_ones(written: str, reason: str | None) -> None:
    """The length must be one that the country has; whether anybody has the number is not asked."""
    if reason is None:
        assert read_phone_number(written, strict=True) == re.sub(r"\D", "", written)
    else:
        with pytest.raises(ValueError, match=reason) as caught:
            read_phone_number(written, strict=True)
        assert not re.search(r"\d{7}", str(caught.value))


@given(st.sampled_from(["GB", "US", "DE", "RU", "PL", "IT", "BR"]), st.data())
def test_a_number_reads_the_same_at_home_and_from_abroad(region: str, data: st.DataObject) -> None:
    """Any valid number written as inside its country comes out as its international digits."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    assert example.national_number is not None
    example.national_number += data.draw(st.integers(-50, 50))
    assume(phonenumbers.is_valid_number(example))
    national, e164 = (
        phonenumbers.format_number(example, form)
        for form in (
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.E164,
        )
    )
    assert f"+{read_phone_number(national, region)}" == e164
    assert f"+{read_phone_number(e164, 'FR', strict=True)}" == e164


async def test_a_client_reads_numbers_by_its_region() -> None:
    """An option of a client and of its views, for every number that something is sent to."""
    script = Scripted(answer(A2P_SENT), answer(SENT), answer({"result": [], "total_count": 0}))
    client = voxsms.Client(KEY, transport=script, region="GB")
    await client.a2p_send_sms(src_number="ACME", dst_numbers=["07443 332212"], text="Hi")
    strict = client.with_options(strict_numbers=True).with_options(timeout=5)
    await strict.send_sms_message(source="1 2", destination="(07443) 332212", sms_body="Hi")
    await strict.get_sms_history(destination_number="07443 332212")
    sent = [form.get("dst_numbers") or form.get("destination") for form in script.forms[:2]]
    assert [*sent, script.forms[2]["destination_number"]] == ["447443332212"] * 3
    with pytest.raises(voxsms.InvalidRequest, match=r"dst_numbers\[1\]: 1\*\*\*5 is a short code"):
        await strict.a2p_send_sms(
            src_number="ACME", dst_numbers=["07443 332212", "12345"], text="Hi"
        )
    with pytest.raises(voxsms.InvalidRequest, match="is not a possible number of US"):
        await client.with_options(region="US").send_sms_message(
            source="1", destination="555-0100", sms_body="Hi"
        )
    assert len(script.forms) == 3


def test_a_region_that_is_none_is_refused_at_once() -> None:
    """`UK` is a common slip."""
    with pytest.raises(voxsms.InvalidRequest, match=r"region: is 'UK'; .* or GB for the UK"):
        voxsms.Client(KEY, region="UK")
    with pytest.raises(voxsms.InvalidRequest, match="region: is 'UK'"):
        voxsms.estimate("Hi", [], RATES, region="UK")


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And numbers with their country code need no extra."""
    import_phonenumbers.cache_clear()
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    for make in (
        lambda: voxsms.Client(KEY, region="GB"),
        lambda: voxsms.Client(KEY, strict_numbers=True),
        lambda: read_phone_number(NUMBER, strict=True),
    ):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'voxsms\[phone\]'"):
            make()
    assert read_phone_number(NUMBER) == NUMBER


RATES = voxsms.RateTable.from_resource_prices(
    [
        ResourcePrice(
            "A2P_SMS_E212",
            (
                PriceGroup(1, "USA", Decimal("0.1"), params=PriceGroupParams(("1",))),
                PriceGroup(2, "UK", Decimal("0.2"), params=PriceGroupParams(("44",))),
            ),
        )
    ],
    currency="USD",
    method="a2p_send_sms",
)


def test_an_estimate_reads_numbers_as_the_client_will() -> None:
    """The same options; a bad number is told by its position."""
    numbers = ["07700 900123", "+1 212 555 0100"]
    assert voxsms.estimate("Hi", numbers, RATES, region="GB").cost == Decimal("0.3")
    pairs = [("Hi", number) for number in numbers]
    assert voxsms.estimate_many(pairs, RATES, region="GB").cost == Decimal("0.3")
    with pytest.raises(voxsms.InvalidRequest, match=r"destinations\[1\]: .* is a short code"):
        voxsms.estimate("Hi", [NUMBER, "12345"], RATES, strict_numbers=True)
    bad: list[int] = []
    found = voxsms.estimate_many(
        [("Hi", "1415555"), ("Hi", NUMBER)],
        RATES,
        strict_numbers=True,
        on_bad=lambda position, _: bad.append(position),
    )
    assert (bad, found.messages, found.invalid) == ([0], 1, 1)


def test_a_short_code_is_not_priced_as_a_phone() -> None:
    """12345 begins as numbers of the USA do and is none: it is named and costs nothing known."""
    found = voxsms.estimate("Hi", ["12345", "123456", "1234567", "12125550100"], RATES)
    assert (found.unpriced, found.short_codes, found.cost) == (2, 2, Decimal("0.2"))
    assert RATES.get("12345") is None
    with pytest.raises(voxsms.PriceUnknown, match="it is a short code"):
        RATES.rate_for("12345")
    assert voxsms.estimate_many([("Hi", "12345"), ("Hi", "99912345678")], RATES).short_codes == 1
