"""`prices` and `estimate`: what a mailing will cost, from a line or a file of any size."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxsms.api.models import PriceGroup, PriceGroupParams, ResourcePrice
from voxsms.pricing import RateTable
from voxsms.sandbox import PRICES, Sandbox

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


def test_estimate_of_one_text(voxsms: Run, rates: str) -> None:
    """One text to a few numbers: in all, by group, by fragments, and who has no price."""
    ran = voxsms("estimate", "hello", "--to", BRITISH, AMERICAN, STRANGE, "--rates", rates)
    words = "no price is known for 1 message: the total is a part of the cost"
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
        "line 4: has 1 columns, and the first line 2",
        "line 7: is not UTF-8",
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
    assert voxsms(*words).err == "voxsms: line 2: has 1 columns, and the first line 2\n"


def test_very_many_bad_rows(voxsms: Run, rates: str, recipients: Path) -> None:
    """With a wrong column all rows are bad: the first ones are told, and how many there were."""
    recipients.write_text("phone\n" + "Ada\n" * 3000)
    ran = voxsms("estimate", "hi", "--csv", str(recipients), "--rates", rates)
    *told, column, last = ran.err.splitlines()
    assert len(told) == 20
    assert column == 'most of the column "phone" is no phone number: a wrong --number-column?'
    assert last == "3,000 rows left out (2,980 of them not shown)"
    assert ran.out == "0.0000 USD for 0 messages of 0 fragments together\n"


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
        (["hi", "--to", BRITISH, "--csv", "FILE"], "give the recipients"),
        (["--csv", "FILE"], "give one text"),
        (["hi", "--template", "Hi", "--csv", "FILE"], "--template stands for a text"),
        (["--template", "Hi", "--to", BRITISH], "filled in from a file: see --csv"),
        (["--template", "Hi {", "--csv", "FILE"], "a single { at index 3"),
        (["--template", "Hi {town}", "--csv", "FILE"], 'the file has no column "town"'),
        (["hi", "--csv", "FILE", "--number-column", "tel"], "its first line names phone, x, x"),
        (["--template", "{x}", "--csv", "FILE"], 'the file has two columns "x"'),
        (["hi", "--csv", "FILE", "--delimiter", "::"], "--delimiter: "),
        (["hi", "--csv", "EMPTY"], 'no column "phone"; its first line names none'),
        (["hi", "--csv", "/nowhere.csv"], "/nowhere.csv: No such file or directory"),
        (["hi", "--to", "Ada"], "destinations[0]: '***' is not a phone number"),
        (["", "--to", BRITISH], "text: is empty"),
        (["hi", "--to", BRITISH, "--rates", "/nowhere"], "/nowhere: No such file or directory"),
        (["hi", "--to", BRITISH, "--rates", "FILE"], "recipients.csv: rates: is not JSON"),
    ],
)
def test_what_can_not_be_estimated(
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
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
