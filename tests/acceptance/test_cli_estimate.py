"""`prices` and `estimate`: what a mailing will cost, from a line or a file of any size."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from conftest import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.pricing import RateTable
from voxsms.sandbox import PRICES, Sandbox

pytestmark = [pytest.mark.once, pytest.mark.slow]

BRITISH, AMERICAN, STRANGE = "447700900001", "14155550101", "998901234567"
RATES = RateTable.from_resource_prices(PRICES, currency="USD", method="a2p_send_sms")


@pytest.fixture
def rates(tmp_path: Path) -> str:
    """Give a file of A2P rates."""
    file = tmp_path / "rates.json"
    file.write_text(RATES.to_json())
    return str(file)


@pytest.fixture
def recipients(tmp_path: Path) -> Path:
    """Give the path of a CSV file, to be filled."""
    return tmp_path / "recipients.csv"


def _table(out: str, title: str) -> list[list[str]]:
    """Give the rows of a printed table, by its title."""
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title)) + 1
    end = next((i for i, line in enumerate(lines[start:], start) if not line.strip()), len(lines))
    return [line.rsplit(maxsplit=3) for line in lines[start:end]]


def test_prices(voxsms: Run, account: Sandbox) -> None:
    """The groups of one way to send, each with the price of one fragment and its prefixes."""
    ran = voxsms("prices")
    assert (ran.status, ran.err) == (0, "")
    head, *rows = ran.out.splitlines()
    assert "USD a fragment" in head
    assert len(rows) == 5
    (usa,) = (row.split() for row in rows if " USA " in row)
    assert usa == ["A2P_SMS_E212", "USA", "0.0085", "1", "1", "1876", "1809"]
    (mobile,) = (row.split() for row in rows if "Kingdom Mobile" in row)
    assert mobile[-3:] == ["0.0340", "1", "447"]
    assert account.ledger.requests == {"GetAccountInfo": 1, "GetResourcePrice": 1}


@pytest.mark.usefixtures("account")
def test_prices_are_kept(voxsms: Run, tmp_path: Path) -> None:
    """`--save` keeps rates that `estimate` and the library read, for either way to send."""
    file = tmp_path / "rates.json"
    assert f"saved in {file}" in voxsms("prices", "--save", str(file)).out
    assert RateTable.from_json(file.read_bytes()).prices == PRICES[1:]
    voxsms("prices", "--for", "send", "--save", str(file))
    kept = RateTable.from_json(file.read_bytes())
    assert kept.method == "send_sms_message"
    assert kept.rate_for(BRITISH).price == Decimal("0.0355")


@pytest.mark.usefixtures("account")
def test_prices_by_filter(voxsms: Run) -> None:
    """The filters are those of the method, and replace the types of the way to send."""
    ran = voxsms("prices", "--resource-type", "SMSOUT", "--price-group-name", "king", "--json")
    (found,) = map(json.loads, ran.out.splitlines())
    assert found["resource_type"] == "SMSOUT"
    assert [group["price"] for group in found["price_groups"]] == ["0.041", "3.55"]
    assert voxsms("prices", "--price-group-name", "nowhere") == (0, "no prices\n", "")
    assert voxsms("prices", "--resource-type", "NONSENSE").status == 1


def test_prices_that_would_drive_the_terminal(
    voxsms: Run, account: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the service calls them and wherever it stands, it is shown and not carried out."""
    assert account.url
    params = PriceGroupParams(("44\x1b[1A",), ("45\x1b[1A",))
    group = PriceGroup(1, "\x1b[2K", Decimal(1), params=params)

    async def get_resource_price(*_: object, **__: object) -> tuple[ResourcePrice, ...]:
        return (ResourcePrice("A2P\x1b[2J", (group,)),)

    monkeypatch.setattr("voxsms.client.Client.get_resource_price", get_resource_price)
    ran = voxsms("prices")
    assert ran.status == 0
    assert all(char.isprintable() or char == "\n" for char in ran.out)
    assert ran.out.count("<U+001B>") == 4


def test_estimate_names_short_codes(voxsms: Run, rates: str) -> None:
    """12345 begins like a number of the USA and is not priced as one."""
    ran = voxsms("estimate", "hello", "--to", AMERICAN, "12345", "--rates", rates)
    assert ran.status == 1
    assert "no price is known for 1 message, to 123... (1)" in ran.out
    assert "of these 1 goes to a short code, such as 12345: prices are those of phone" in ran.out


def test_estimate_of_one_text(voxsms: Run, rates: str) -> None:
    """One text to a few numbers: in all, by group, by fragments, and who has no price."""
    ran = voxsms("estimate", "hello", "--to", BRITISH, AMERICAN, STRANGE, "--rates", rates)
    words = "no price is known for 1 message: the total is only part of the cost"
    assert (ran.status, ran.err) == (1, f"voxsms: {words}\n")
    assert ran.out.startswith("at least 0.0425 USD for 3 messages of 3 fragments together\n")
    assert "no price is known for 1 message, to 998... (1)" in ran.out
    assert _table(ran.out, "price group") == [
        ["United Kingdom Mobile", "1", "1", "0.0340"],
        ["USA", "1", "1", "0.0085"],
    ]
    assert _table(ran.out, "fragments of a message") == [["1", "3", "3", "0.0425"]]


def test_estimate_with_the_services_own_rates(voxsms: Run, account: Sandbox) -> None:
    """Without a file the service is asked, for the way to send that is named."""
    words = ("estimate", "hello", "--to", BRITISH, "--json")
    assert json.loads(voxsms(*words).out)["cost"] == "0.034"
    assert json.loads(voxsms(*words, "--for", "send").out)["cost"] == "0.0355"
    assert account.ledger.requests["GetResourcePrice"] == 2


def test_a_character_that_costs(voxsms: Run, rates: str) -> None:
    """What makes messages longer is named, with what that costs."""
    text = "It\u2019s " + "x" * 120
    ran = voxsms("estimate", text, "--to", BRITISH, AMERICAN, "--rates", rates)
    assert _table(ran.out, "made longer by a character") == [
        ["\u2019  RIGHT SINGLE QUOTATION MARK", "2", "2", "0.0425"]
    ]


def test_a_text_that_may_be_cut_in_two_ways(voxsms: Run, rates: str) -> None:
    """Least and most are told where the service may count otherwise."""
    text = "x" * 61 + "\U0001f468\u200d\U0001f469\u200d\U0001f467" + "y" * 65
    ran = voxsms("estimate", text, "--to", AMERICAN, "--rates", rates)
    assert (
        "between 0.0170 and 0.0255: the service may cut 1 message in more than one way" in ran.out
    )


def test_a_template_over_a_file(voxsms: Run, rates: str, recipients: Path) -> None:
    """A template is filled in for each row; a field that makes a message longer is named."""
    long = "Bartholomew" * 15
    recipients.write_text(
        "name,city,phone\n"
        f"Ada,Rome,+44 7700 900001\n{long},Paris,{AMERICAN}\n\nEve,Oslo,14155550102\n"
    )
    ran = voxsms("estimate", "--template", "Hi {name}!", "--csv", str(recipients), "--rates", rates)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("0.0595 USD for 3 messages of 4 fragments together\n")
    assert _table(ran.out, "fragments of a message") == [
        ["1", "2", "2", "0.0425"],
        ["2", "1", "2", "0.0170"],
    ]
    assert _table(ran.out, "made longer by a field") == [["name", "1", "1", "0.0085"]]


def test_one_text_over_a_file(voxsms: Run, rates: str, recipients: Path) -> None:
    """A text without fields goes to every row as it is, braces and all."""
    recipients.write_text(f"tel;name\n{BRITISH};Ada\n{AMERICAN};Bob\n")
    words = ("--csv", str(recipients), "--number-column", "tel", "--delimiter", ";")
    ran = voxsms("estimate", "Hi {name}!", *words, "--rates", rates, "--json")
    found = json.loads(ran.out)
    assert (found["messages"], found["cost"]) == (2, "0.0425")
    assert found["by_fragments"] == {"1": {"messages": 2, "fragments": 2, "cost": "0.0425"}}


def test_a_file_from_standard_input(voxsms: Run, rates: str) -> None:
    """A file may come through a pipe, with the mark that Windows puts first."""
    octets = f"\ufeffphone\r\n{BRITISH}\r\n".encode()
    ran = voxsms("estimate", "hi", "--csv", "-", "--rates", rates, "--json", stdin=octets)
    assert json.loads(ran.out)["messages"] == 1


BAD = (
    b"phone,name\n"
    b"14155550101,Ada\n"
    b"Ada,Ada\n"
    b"14155550102\n"
    b'14155550103,"two\nlines"\n'
    b"14155550104,Ren\xe9\n"
    b"14155550105,a\x1bb\n"
    b"14155550106,more,columns\n"
    b"14155550107,Eve\n"
)


def test_bad_rows_are_told_and_left_out(voxsms: Run, rates: str, recipients: Path) -> None:
    """Each bad row is told with its line and reason; the rest is estimated."""
    recipients.write_bytes(BAD)
    words = ("estimate", "--template", "Hi {name}", "--csv", str(recipients), "--rates", rates)
    ran = voxsms(*words)
    assert ran.status == 0
    assert ran.out.startswith("0.0255 USD for 3 messages of 3 fragments together")
    assert ran.err.splitlines() == [
        "line 3: phone: '***' is not a phone number: only digits may remain",
        "line 4: has 1 column, and the first line 2",
        "line 7: is not UTF-8; --encoding cp1252 reads it",
        "line 8: U+001B at index 4 is a bare ESC; no message can carry it",
        "line 9: has 3 columns, and the first line 2",
        "5 rows left out",
    ]
    found = json.loads(voxsms(*words, "--json").out)
    assert (found["messages"], found["invalid"]) == (3, 5)
    assert found["bad_rows"][0] == {
        "line": 3,
        "reason": "phone: '***' is not a phone number: only digits may remain",
        "lines": 1,
    }


def test_strict(voxsms: Run, rates: str, recipients: Path) -> None:
    """`--strict` stops at the first bad row, whatever is wrong with it, with status 1."""
    words = ("estimate", "hi", "--strict", "--csv", str(recipients), "--rates", rates)
    recipients.write_bytes(BAD)
    assert voxsms(*words) == (
        1,
        "",
        "voxsms: line 3: phone: '***' is not a phone number: only digits may remain\n",
    )
    recipients.write_text("phone,name\n1\n")
    assert voxsms(*words).err == "voxsms: line 2: has 1 column, and the first line 2\n"


def test_very_many_bad_rows(voxsms: Run, rates: str, recipients: Path) -> None:
    """With a wrong column all rows are bad: the first ones are told, and how many there were."""
    recipients.write_text("phone\n" + "Ada\n" * 3000)
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    *told, column, left_out, last = ran.err.splitlines()
    assert len(told) == 20
    wrong = 'most of the column "phone" is not phone numbers: a wrong --number-column?'
    assert column == f"warning: {wrong}"
    assert left_out == "3,000 rows left out (2,980 of them not shown)"
    assert last.startswith("voxsms: no row could be priced: all were left out, such as line 2: ")
    assert (ran.status, ran.out) == (1, "")


def test_a_list_with_nobody_in_it(voxsms: Run, rates: str, recipients: Path) -> None:
    """It is no mailing that costs nothing."""
    recipients.write_text("phone\n")
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == ("voxsms: no row could be priced: there is none below the column names\n")


LOST_ZERO = (
    "were taken for Russia and Kazakhstan (+7), but have 10 digits; mobile numbers there have 11"
)
NAME_IT = "the country code or a 0 in front may be missing: name their country, such as --region GB"


def test_excel_dropped_the_zero_of_british_numbers(
    voxsms: Run, rates: str, recipients: Path
) -> None:
    """A marketer sees that they are priced as Russian, and which option reads them."""
    recipients.write_text(f"phone\n7700900124\n7700900125\n{BRITISH}\n")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    ran = voxsms(*words)
    assert ran.err.splitlines() == [
        f"warning: 2 numbers (lines 2, 3) {LOST_ZERO}",
        f"warning: {NAME_IT}; --strict-numbers refuses impossible numbers",
    ]
    warned = json.loads(voxsms(*words, "--json").out)["warnings"]
    assert warned[0] == f"2 numbers (lines 2, 3) {LOST_ZERO}"
    ran = voxsms(*words, "--region", "GB")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("0.1020 USD for 3 messages of 3 fragments together\n")
    ran = voxsms(*words, "--strict-numbers")
    assert ran.out.startswith("0.0340 USD for 1 message of 1 fragment together\n")
    assert "2 numbers lack the country code, it seems: name their country, such as" in ran.err


def test_rows_without_a_name(voxsms: Run, rates: str, recipients: Path) -> None:
    """Nobody is greeted with "Hi " unnoticed: how many would be, and the first of them."""
    recipients.write_text(f"phone,name\n{BRITISH},Ann\n447700900124, \n447700900125,\n")
    words = ("estimate", "--template", "Hi {name}", "--csv", str(recipients), "--rates", rates)
    ran = voxsms(*words, "--strict")
    told = "{name} is filled in with nothing in 2 rows, such as line 3"
    assert (ran.status, ran.err) == (0, f"warning: {told}\n")
    assert json.loads(voxsms(*words, "--json").out)["warnings"] == [told]


def test_all_british_numbers_had_lost_their_zero(voxsms: Run, rates: str, recipients: Path) -> None:
    """With `--strict-numbers` there is nobody left, which is a failure and no price of 0."""
    recipients.write_text("phone\n7700900124\n7700900125\n")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--strict-numbers")
    ran = voxsms(*words)
    assert (ran.status, ran.out) == (1, "")
    why = "phone: 770***124 is not a possible number: too short for the country code 7"
    assert ran.err.splitlines()[-1] == (
        f"voxsms: no row could be priced: all were left out, such as line 2: {why}"
    )
    ran = voxsms(*words, "--json")
    assert (ran.status, json.loads(ran.out)["invalid"]) == (1, 2)


def test_a_number_without_country_code_was_typed(voxsms: Run, rates: str) -> None:
    """What it was taken for is said before the price."""
    ran = voxsms("estimate", "hi", "--to", "7700900124", BRITISH, "--rates", rates)
    told = LOST_ZERO.replace("were", "was").replace("but have", "but has")
    assert ran.err.splitlines()[0] == f"warning: 1 number (--to value 1) {told}"
    ran = voxsms("estimate", "hi", "--to", "07700 900124", "--rates", rates)
    assert ran.err.endswith("\nOr name the country, such as --region GB.\n")


def test_a_quote_that_is_never_closed(voxsms: Run, rates: str, recipients: Path) -> None:
    """A field too long to be one is a bad row; what follows it is read."""
    swallowed = f"{AMERICAN}\n" * 15_000
    recipients.write_text(f'phone\n{BRITISH}\n"{swallowed}')
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    assert ran.status == 0
    assert ran.err.startswith(
        "line 3: a quote opened here takes in too much (field larger than field limit (131072)): "
        "lines 3 to 10,925 were read as one row and are left out\n"
    )
    found = json.loads(ran.out)
    assert (found["messages"], found["invalid"]) == (4078, 10923)


LIST = "phone,name\n447700900001,Ann\n"
STRAY = "were read as one row and are left out"


@pytest.mark.parametrize(
    ("rows", "told", "messages", "invalid"),
    [
        (
            '2,"Bob\n447700900003,Cy\n447700900004,Di\n',
            f"line 3: a quote opened here is never closed: lines 3 to 5 {STRAY}",
            1,
            3,
        ),
        (
            '447700900002,"Bob\n447700900003,Cy\n447700900004,"Di\n447700900005,Eve\n',
            f"line 3: a quote opened here is not closed there: lines 3 to 5 {STRAY}",
            2,
            3,
        ),
        (  # legal CSV, and not what was meant
            '447700900002,"Bob\n447700900003,Cy\n447700900004,Di"\n447700900005,Eve\n',
            f"line 3: a quote opened here takes in what looks like rows: lines 3 to 5 {STRAY}",
            2,
            3,
        ),
        (  # of a spreadsheet, in which the numbers are no numbers either
            '447700900002,"Bob\n"4,4744E+11",Cy"\n',
            f"line 3: a quote opened here is not closed there: lines 3 to 4 {STRAY}",
            1,
            2,
        ),
        (  # the value before it has several lines, too
            '"447700900002\n","Bob\n447700900003,Cy\n\n',
            f"line 4: a quote opened here is never closed: lines 3 to 6 {STRAY}",
            1,
            3,
        ),
        (
            '447700900002,"Bob\r\n447700900003,Cy\r\n"\r\n447700900005,Eve\r\n',
            f"line 3: a quote opened here takes in what looks like rows: lines 3 to 5 {STRAY}",
            2,
            3,
        ),
        (
            f'447700900002,"{"Bob" + chr(10) * 100}"\n447700900005,Eve\n',
            f"line 3: a quote opened here takes in more lines than a text: lines 3 to 103 {STRAY}",
            2,
            2,
        ),
        (
            f"447700900002,{'x' * 131_073}\n447700900005,Eve\n",
            "line 3: field larger than field limit (131072)",
            2,
            1,
        ),
    ],
)
def test_rows_that_a_quote_takes_in(
    voxsms: Run,
    rates: str,
    recipients: Path,
    rows: str,
    told: str,
    messages: int,
    invalid: int,
) -> None:
    """No row is lost without a word: where the quote is, which lines it took, and `--strict`."""
    recipients.write_text(LIST + rows, newline="")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    ran = voxsms(*words)
    found = json.loads(ran.out)
    assert ran.status == 0
    assert told in ran.err.splitlines()
    assert (found["messages"], found["invalid"]) == (messages, invalid)
    assert found["bad_rows"][0]["lines"] == invalid
    assert voxsms(*words, "--strict") == (1, "", f"voxsms: {told}\n")


@pytest.mark.parametrize("apart", [2_000, 20_000])
def test_two_quotes_far_apart(voxsms: Run, rates: str, recipients: Path, apart: int) -> None:
    """Every line of the file is a message, a bad row, or counted as left out."""
    numbers = [f"4477{n:08}" for n in range(apart)]
    rows = [f"{number},Ann" for number in numbers]
    rows[5] = f'{numbers[5]},"Bob'
    rows[-5] = f'{numbers[-5]},"Cy'
    recipients.write_text("\n".join(["phone,name", *rows]))
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    ran = voxsms(*words)
    found = json.loads(ran.out)
    assert found["messages"] + found["invalid"] == apart
    assert found["invalid"] > 5
    assert ran.err.startswith("line 7: a quote opened here ")
    assert voxsms(*words, "--strict").status == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            f'phone,"name\n{BRITISH},Ann\n{AMERICAN},Bob\n',
            "line 1: a quote opened here is never closed: lines 1 to 3",
        ),
        (f'"{"x" * 140_000}\n{BRITISH}', "line 1: field larger than field limit"),
    ],
)
def test_a_first_line_that_takes_in_others(
    voxsms: Run, rates: str, recipients: Path, content: str, problem: str
) -> None:
    """There is no list then: it is named, and nothing is estimated."""
    recipients.write_text(content)
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    assert (ran.status, ran.out) == (2, "")
    assert problem in ran.err


@pytest.mark.parametrize(
    "content",
    [
        f'phone,name\n"{BRITISH}","Anna\nMaria"\n{AMERICAN},"O""Neil, J."\n',
        f'phone,"the\nname"\n{BRITISH},"Dear Ann,\nyour order, 447,\nis here"\n{AMERICAN},\n',
        f'name,phone\n"1 Main St\nSpringfield, IL 62704",{BRITISH}\nBob,{AMERICAN}\n',
        f'phone,text,x\n{BRITISH},"Call\n020 7946 0000\nto book",\n\n{AMERICAN},"\n",\n',
        f'name,phone\n"Anna\nMaria",{BRITISH}\n"a\nb\nc",{AMERICAN}\n',
    ],
)
def test_values_of_several_lines(voxsms: Run, rates: str, recipients: Path, content: str) -> None:
    """A line end in quotes is legal, and such a row is one recipient."""
    recipients.write_text(content)
    ran = voxsms("estimate", "hi", "--strict", "--csv", str(recipients), "--rates", rates, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["messages"] == 2


@pytest.mark.parametrize(
    "rows",
    [
        f'"Bob,{BRITISH}\n",{AMERICAN}\n',
        f'"Bob,{BRITISH}\n",447700900"028\n',
        f'"Bob,{BRITISH}\nAnn","",{AMERICAN}\n',
    ],
)
def test_two_stray_quotes_in_neighbouring_lines(
    voxsms: Run, rates: str, recipients: Path, rows: str
) -> None:
    """The second ends what the first begins, and both lines are told as left out."""
    recipients.write_text(f"name,phone\n{rows}")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    found = json.loads(voxsms(*words, "--json").out)
    assert (found["messages"], found["invalid"]) == (0, 2)
    ran = voxsms(*words, "--strict")
    assert (ran.status, "lines 2 to 3 were read as one row" in ran.err) == (1, True)


def test_a_quote_that_is_doubled_in_the_next_line(
    voxsms: Run, rates: str, recipients: Path
) -> None:
    """The line looks like one of other columns, but its number is where numbers are: told."""
    recipients.write_text(f'phone,name\n{BRITISH},"Ada\n{AMERICAN},""Zoë, Ltd"\n')
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    found = json.loads(voxsms(*words).out)
    assert (found["messages"], found["invalid"]) == (0, 2)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.sampled_from(["4477009{}", '"4477009{}"', '"4477009{}', '4477009{}"']), max_size=9)
)
def test_whatever_the_quotes_no_line_is_lost(
    voxsms: Run, rates: str, recipients: Path, rows: list[str]
) -> None:
    """Messages and rows that are left out are as many as the file has lines."""
    lines = [row.format(f"{n:05}") for n, row in enumerate(rows)]
    recipients.write_text("\n".join(["phone", *lines]))
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    found = json.loads(ran.out)
    assert found["messages"] + found["invalid"] == len(lines)


def test_a_number_that_comes_again(voxsms: Run, rates: str, recipients: Path) -> None:
    """It is told with both lines, however it is written, and counted again."""
    recipients.write_text(f"phone\n{BRITISH}\n{AMERICAN}\nAda\n+44 7700-900001\n{BRITISH}\nAda\n")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    ran = voxsms(*words)
    assert ran.status == 0
    assert ran.err.splitlines()[-3:] == [
        "line 5: the same number as in line 2",
        "line 6: the same number as in line 2",
        "2 repeated numbers, each counted again",
    ]
    found = json.loads(voxsms(*words, "--json").out)
    assert (found["messages"], found["repeated"], found["invalid"]) == (4, 2, 2)
    ran = voxsms("estimate", "hi", "--to", BRITISH, AMERICAN, f"+{BRITISH}", "--rates", rates)
    assert ran.err == (
        "--to: number 3 is the same as number 1\n1 repeated number, each counted again\n"
    )


def test_very_many_numbers_that_come_again(voxsms: Run, rates: str, recipients: Path) -> None:
    """The first ones are told, and how many there are."""
    recipients.write_text("phone\n" + f"{BRITISH}\n{AMERICAN}\n" * 100)
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    *told, last = ran.err.splitlines()
    assert told[0] == "line 4: the same number as in line 2"
    assert len(told) == 20
    assert last == "198 repeated numbers, each counted again (178 of them not shown)"


@pytest.mark.parametrize(
    "number",
    [
        "447700900123.0",
        "+44 (0)7700 900123",
        "07700 900123",
        "011 44 7700 900123",
        "2026-11-22",
        "192.168.10.20",
        "1.234.567",
        "4.4744E+11",
    ],
)
def test_a_column_that_is_not_that_of_the_numbers(
    voxsms: Run, rates: str, recipients: Path, number: str
) -> None:
    """Decimals, dates, amounts and national numbers are bad rows, and the column is named."""
    recipients.write_text(f"number,name\n{BRITISH},Ann\n" + f"{number},Bob\n" * 3)
    column = ("--number-column", "number")
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json", *column)
    found = json.loads(ran.out)
    assert (found["messages"], found["invalid"]) == (1, 3)
    told = 'most of the column "number" is not phone numbers: a wrong --number-column?'
    if number.startswith("07"):
        told = "3 numbers lack the country code, it seems: name their country, such as --region"
    assert f"warning: {told}" in ran.err
    assert all(row["reason"].startswith("number: ") for row in found["bad_rows"])


@pytest.mark.parametrize(("method", "most"), [("a2p_send_sms", 1600), ("send_sms_message", 765)])
def test_a_text_that_a_send_would_refuse(
    voxsms: Run, recipients: Path, method: str, most: int
) -> None:
    """It has no estimate: a bad row if it comes of a row, otherwise a mistake of the call."""
    file = recipients.with_name("rates.json")
    table = RateTable.from_resource_prices(PRICES, currency="USD", method=method)
    file.write_text(table.to_json())
    recipients.write_text(f"phone,t\n{BRITISH},{'x' * most}\n{AMERICAN},{'x' * (most + 1)}\n")
    more = ("--csv", str(recipients), "--rates", str(file))
    ran = voxsms("estimate", "--template", "{t}", *more)
    (told, last) = ran.err.splitlines()
    assert told.startswith("line 3: ")
    assert str(most + 1) in told
    assert last == "1 row left out"
    ran = voxsms("estimate", "x" * (most + 1), *more)
    assert (ran.status, ran.out) == (2, "")
    assert str(most) in ran.err
    assert "line" not in ran.err


def test_a_list_that_excel_saved_in_russia(voxsms: Run, rates: str, recipients: Path) -> None:
    """Each thing that stops the person is said with the option that helps, until it is priced."""
    recipients.write_bytes("Имя;Телефон;Номер заказа\nАнна;79161234567;17\n".encode("cp1251"))
    words = ["estimate", "--template", "{Имя}, {Номер заказа}", "--csv", str(recipients)]
    words += ["--rates", rates]
    told = "is not UTF-8; --encoding cp1251 reads it"
    assert voxsms(*words) == (2, "", f"voxsms: {recipients}: {told}\n")
    words += ["--encoding", "cp1251"]
    columns = "the columns are Имя, Телефон, Номер заказа: --number-column Телефон"
    told = f'there is no column "phone"; {columns}'
    assert voxsms(*words) == (2, "", f"voxsms: {recipients}: {told}\n")
    ran = voxsms(*words, "--number-column", "Телефон", "--delimiter", "semicolon")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("0.0312 USD for 1 message of 1 fragment together\n")


def test_a_list_with_a_title(voxsms: Run, rates: str, recipients: Path) -> None:
    """The option that leaves it out is named."""
    recipients.write_text(f"Spring campaign\nphone\n{BRITISH}\n")
    words = ("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    ran = voxsms(*words)
    assert (ran.status, ran.out) == (2, "")
    assert "or leave the row out with --skip-rows 1 if it is a title" in ran.err
    assert voxsms(*words, "--skip-rows", "1").out.startswith("0.0340 USD for 1 message")


def test_a_workbook_with_national_numbers(voxsms: Run, rates: str, recipients: Path) -> None:
    """`--region` reads them, `--strict-numbers` refuses what is none; other sheets are named."""
    book = openpyxl.Workbook()
    assert book.active
    for row in ([" Phone", "Order no"], ["07443 332214", 17], [7443332215, 18], [12345, 19]):
        book.active.append(row)
    book.create_sheet("Old")
    file = recipients.with_suffix(".xlsx")
    book.save(file)
    words = ("estimate", "--template", "{Order no}", "--csv", str(file), "--rates", rates)
    ran = voxsms(*words, "--region", "GB", "--strict-numbers")
    assert ran.out.startswith("0.0680 USD for 2 messages of 2 fragments together\n")
    assert ran.err.splitlines() == [
        f'{file}: only the sheet "Sheet" is read, not Old',
        "line 4: Phone: 1***5 is a short code, not a phone number",
        "1 row left out",
    ]
    assert voxsms(*words, "--region", "UK").err.startswith("voxsms: --region: is 'UK'; it must")
    ran = voxsms("estimate", "hi", "--to", "07443 332214", "--rates", rates, "--region", "GB")
    assert ran.out.startswith("0.0340 USD for 1 message")


def test_an_extra_that_is_not_installed(
    voxsms: Run, rates: str, recipients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said, and nothing of Python."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    recipients.write_bytes(b"PK\x03\x04")
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    need = "Excel workbooks need openpyxl: pip install 'voxsms[xlsx]'"
    assert ran == (2, "", f"voxsms: {need}\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--template", "Hi {{name}}, {city}"],
            '{{name}} is sent as {name}: write {name} to fill in the column "name"',
        ),
        (
            ["--template", "Hi {{ Name }}"],
            '{{ Name }} is sent as { Name }: write {name} to fill in the column "name"',
        ),
        (["Hi {name}"], '{name} is sent as it is: --template fills in the column "name"'),
        (["Hi {{name}}"], '{{name}} is sent as it is: --template fills in the column "name"'),
    ],
)
def test_a_column_that_would_not_be_filled_in(
    voxsms: Run, rates: str, recipients: Path, words: list[str], told: str
) -> None:
    """Everybody would get the name of the column: it is told, and a mistake with `--strict`."""
    recipients.write_text(f"phone,name,city\n{BRITISH},Ann,Rome\n")
    more = ("--csv", str(recipients), "--rates", rates)
    ran = voxsms("estimate", *words, *more)
    assert (ran.status, ran.err) == (0, f"warning: {told}\n")
    assert voxsms("estimate", *words, *more, "--strict") == (1, "", f"voxsms: {told}\n")


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_no_column_has_the_name_that_a_text_has_in_braces(
    voxsms: Run, rates: str, recipients: Path, options: tuple[str, ...]
) -> None:
    """A text that goes to all as it is says so of each name, also of one that is misspelt."""
    recipients.write_text(f"phone,name\n{BRITISH},Ann\n")
    more = ("--csv", str(recipients), "--rates", rates, *options)
    ran = voxsms("estimate", "Hi {nmae}, {} {1} {nmae}", *more)
    told = "warning: {nmae} is sent as it is: there is no such column\n"
    assert (ran.status, ran.err) == (0, told)


@pytest.mark.parametrize("text", ["{{{name}}}", "{{}} {{town}} {name}", "{name}"])
def test_braces_that_are_meant(voxsms: Run, rates: str, recipients: Path, text: str) -> None:
    """Braces around what is no column, or around a value, are nothing to warn of."""
    recipients.write_text(f"phone,name\n{BRITISH},Ann\n")
    more = ("--csv", str(recipients), "--rates", rates, "--strict")
    ran = voxsms("estimate", "--template", text, *more)
    assert (ran.status, ran.err) == (0, "")


def test_a_bar_shows_how_far_it_is(
    voxsms: Run, rates: str, recipients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a bar moves while a file is read; bad rows are told above it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    recipients.write_text("phone\n" + f"{AMERICAN}\n" * 5000 + "Ada\n")
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    assert json.loads(ran.out)["messages"] == 5000
    assert "reading" in ran.err
    assert "line 5002" in ran.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["hi"], "give the recipients: their numbers with --to, or a file of them with --csv"),
        (["hi", "--to", BRITISH, "--csv", "FILE"], "give --to or --csv, not both"),
        (["--csv", "FILE"], "give one text"),
        (["hi", "--template", "Hi", "--csv", "FILE"], "--template replaces the text"),
        (["--template", "Hi", "--to", BRITISH], "filled in from a file: see --csv"),
        (["--template", "Hi {", "--csv", "FILE"], "a single { at index 3"),
        (
            ["--template", "Hi {town}", "--csv", "FILE"],
            'there is no column "town"; the columns are phone, x, x',
        ),
        (
            ["hi", "--csv", "FILE", "--number-column", "tel"],
            "the columns are phone, x, x: --number-column phone",
        ),
        (["--template", "{x}", "--csv", "FILE"], 'there are 2 columns "x": rename all but one'),
        (["hi", "--csv", "FILE", "--delimiter", ""], "--delimiter: is ''; it must be one char"),
        (["hi", "--csv", "EMPTY"], "empty.csv: is empty"),
        (["hi", "--csv", "/nowhere.csv"], "/nowhere.csv: No such file or directory"),
        (["hi", "--to", "Ada"], "--to, value 1: '***' is not a phone number"),
        (["", "--to", BRITISH], "TEXT: is empty"),
        (["hi", "--to", BRITISH, "--rates", "/nowhere"], "/nowhere: No such file or directory"),
        (["hi", "--to", BRITISH, "--rates", "FILE"], "recipients.csv: rates: is not JSON"),
    ],
)
def test_what_cannot_be_estimated(
    voxsms: Run, rates: str, recipients: Path, words: list[str], problem: str
) -> None:
    """Each mistake is named, with status 2, before anything is printed."""
    recipients.write_text(f"phone,x,x\n{BRITISH},1,2\n")
    (recipients.parent / "empty.csv").write_text("")
    names = {"FILE": str(recipients), "EMPTY": str(recipients.parent / "empty.csv")}
    given = [names.get(word, word) for word in words]
    more = [] if "--rates" in given else ["--rates", rates]
    ran = voxsms("estimate", *given, *more)
    assert ran.status == 2
    assert problem in ran.err
    assert ran.out == ""


def test_very_many_groups(voxsms: Run, tmp_path: Path) -> None:
    """Long tables show the dearest, and how many more there are; so do the prefixes."""
    groups = tuple(
        PriceGroup(n, f"Group {n}", Decimal(n), params=PriceGroupParams((f"{n}",)))
        for n in range(10, 30)
    )
    prices = [ResourcePrice("A2P_SMS_E212", groups)]
    table = RateTable.from_resource_prices(prices, currency="EUR", method="a2p_send_sms")
    file = tmp_path / "rates.json"
    file.write_text(table.to_json())
    numbers = [f"{n}{'0' * 8}" for n in [*range(10, 30), *range(300, 315)]]
    ran = voxsms("estimate", "hi", "--to", *numbers, "--rates", str(file))
    assert "Group 29" in ran.out
    assert "Group 10" not in ran.out
    assert "and 8 more" in ran.out
    assert ", ...\n" in ran.out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
@given(st.lists(st.sampled_from([BRITISH, AMERICAN, STRANGE, "Ada"]), max_size=20))
def test_a_file_costs_what_its_good_rows_cost(
    voxsms: Run, rates: str, recipients: Path, numbers: list[str]
) -> None:
    """The estimate of a file is the sum over its rows; nothing is lost and nothing made up."""
    recipients.write_text("\n".join(["phone", *numbers]))
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates, "--json")
    found = json.loads(ran.out)
    priced = [RATES.get(number) for number in numbers if number != "Ada"]
    assert Decimal(found["cost"]) == sum((rate.price for rate in priced if rate), Decimal(0))
    assert found["messages"] + found["invalid"] == len(numbers)
    assert found["unpriced"] == numbers.count(STRANGE)


def test_a_mailing_was_shortened_before_it_was_priced(
    voxsms: Run, rates: str, recipients: Path
) -> None:
    """A text, a text for a list and a template all cost half with `--accents`."""
    text = "Łukasz, " + "x" * 100
    words = ["--rates", rates, "--json"]
    one = ["estimate", text, "--to", "447443332212", *words]
    recipients.write_text(
        "phone,name\n447443332212,Łukasz\n447443332213,\ud83d\n", "utf-8", "replace"
    )
    every = ["estimate", text, "--csv", str(recipients), *words]
    filled = ["estimate", "--template", "{name}, " + "x" * 100, "--csv", str(recipients), *words]
    for command, before in ((one, 2), (every, 4), (filled, 3)):
        assert json.loads(voxsms(*command).out)["fragments"] == before
        ran = voxsms(*command, "--accents")
        assert json.loads(ran.out)["fragments"] == json.loads(ran.out)["messages"]


def test_a_text_that_shortening_left_as_it_is(voxsms: Run, rates: str) -> None:
    """It is said, as is a placeholder that is priced as it is written."""
    ran = voxsms("estimate", "--accents", "Łódź {name}", "--to", BRITISH, "--rates", rates)
    assert ran.err.splitlines() == [
        "voxsms: the text stays as it is: changing it would save no fragment",
        "voxsms: warning: {name} is priced as written: nothing is filled in",
    ]


def test_a_row_whose_text_cannot_be_cut(voxsms: Run, rates: str, recipients: Path) -> None:
    """`--fit` leaves it out and says which line, like any other bad row."""
    recipients.write_text(
        f"phone,name\n447443332212,Ann\n447443332213,https://a.test/{'b' * 200}\n"
    )
    words = ["--template", "{name}", "--csv", str(recipients), "--rates", rates, "--fit", "1"]
    ran = voxsms("estimate", *words)
    assert ran.out.startswith("0.0340 USD for 1 message")
    assert "line 3: takes 2 fragments" in ran.err
