"""The histories of the sandbox: filters, pages, files, statuses that move on, bulk."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from voxsms.pricing import RateTable
from voxsms.sandbox import PRICES, Number, Sandbox, serve

Post = Callable[..., dict[str, Any]]
OWN, ONE, TWO = "447443332211", "447443332212", "447443332213"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"
at_noon = pytest.mark.voxsms_sandbox(
    start=NOON,
    numbers=[Number(number=OWN, sms_enabled=True)],
    outcomes={TWO: "FAILED", "447443332214": "REJECTED", "447443332215": "EXPIRED"},
)


def ids(answer: dict[str, Any]) -> list[int]:
    """Return the ids of a page."""
    return [row["message_id"] for row in answer["result"]]


def send(post: Post, *numbers: str, **fields: object) -> None:
    """Send one A2P text to numbers."""
    fields = {"src_number": "VOXSMS", "text": "Hi"} | fields
    assert post("A2PSendSms", dst_numbers=";".join(numbers), **fields)["failed"] == []


@at_noon
def test_a_row_of_a2p(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The fields of the contract's example, in the way they are documented."""
    send(post, ONE, text="\N{EURO SIGN} & \N{GRINNING FACE}", store_body="true")
    voxsms_sandbox.clock.advance(10)
    shown = json.loads((EXAMPLES / "a2p_get_sms_history.json").read_bytes())["result"][1]
    (row,) = post("A2PGetSmsHistory")["result"]
    assert row.keys() == shown.keys()
    assert {name: type(value) for name, value in row.items()} == {
        name: type(value) for name, value in shown.items()
    }
    assert row == {
        "message_id": 1,
        "source_number": "VOXSMS",
        "destination_number": ONE,
        "fragments": 1,
        "cost": 0.034,
        "status_id": "1",
        "processing_date": "2026-01-15 12:00:00",
        "transaction_id": 1000001,
        "delivery_status": "DELIVERED",
        "text": "\N{EURO SIGN} & \N{GRINNING FACE}",
    }


@at_noon
def test_rows_of_two_way_messages(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Sent and received ones stand in one history; only a stored text is shown."""
    post("SendSmsMessage", source=OWN, destination=ONE, sms_body="Hi")
    received = voxsms_sandbox.receive(source=ONE, destination=OWN, text="STOP")
    unstored = voxsms_sandbox.receive(source=ONE, destination=OWN, text="x" * 161, store_body=False)
    last, answer, first = post("GetSmsHistory")["result"]
    assert first == {
        "message_id": 1,
        "source_number": OWN,
        "destination_number": ONE,
        "direction": "OUT",
        "fragments": 1,
        "cost": 0.0355,
        "status_id": "3",
        "processed_date": "2026-01-15 12:00:00",
        "transaction_id": 1000001,
    }
    assert answer == first | {
        "message_id": received,
        "source_number": ONE,
        "destination_number": OWN,
        "direction": "IN",
        "cost": 0,
        "status_id": "1",
        "transaction_id": 1000002,
        "text": "STOP",
    }
    assert (last["message_id"], last["fragments"], "text" in last) == (unstored, 2, False)
    assert voxsms_sandbox.ledger.count == 1
    assert post("A2PGetSmsHistory") == {"result": [], "total_count": 0}


@at_noon
def test_receiving_needs_an_enabled_number(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A message can only arrive where SMS is enabled."""
    with pytest.raises(ValueError, match="destination: is not a number of the account"):
        voxsms_sandbox.receive(source=ONE, destination=TWO, text="Hi")
    post("ControlSms", phone_number=OWN, command="disable")
    with pytest.raises(ValueError, match="destination: is not a number of the account"):
        voxsms_sandbox.receive(source=ONE, destination=OWN, text="Hi")


@at_noon
def test_statuses_move_on_with_the_clock(voxsms_sandbox: Sandbox, post: Post) -> None:
    """QUEUED, a second later DISPATCHED, three seconds later how it ends for the number."""
    numbers = [ONE, TWO, "447443332214", "447443332215"]
    send(post, *numbers)

    def statuses() -> list[tuple[str, str, bool]]:
        rows = sorted(post("A2PGetSmsHistory")["result"], key=lambda row: row["message_id"])
        return [(r["delivery_status"], r["status_id"], "error_message" in r) for r in rows]

    assert statuses() == [("QUEUED", "3", False)] * 4
    voxsms_sandbox.clock.advance(0.999)
    assert statuses() == [("QUEUED", "3", False)] * 4
    voxsms_sandbox.clock.advance(timedelta(milliseconds=1))
    assert statuses() == [("DISPATCHED", "3", False)] * 4
    voxsms_sandbox.clock.advance(3)
    assert statuses() == [
        ("DELIVERED", "1", False),
        ("FAILED", "2", True),
        ("REJECTED", "2", True),
        ("EXPIRED", "2", True),
    ]
    voxsms_sandbox.clock.advance(-3600)  # what happened has happened
    assert statuses()[0] == ("DELIVERED", "1", False)


@at_noon
def test_a_leap_of_the_clock_passes_every_status(voxsms_sandbox: Sandbox, post: Post) -> None:
    """A long time later the message has come to its end, without a look in between."""
    send(post, TWO)
    voxsms_sandbox.clock.advance(timedelta(days=1))
    (row,) = post("A2PGetSmsHistory")["result"]
    assert row["delivery_status"] == "FAILED"
    assert row["error_message"] == f"Error send sms to {TWO} from VOXSMS Code = 1"


@pytest.mark.voxsms_sandbox(start=NOON, dispatch_after=0, deliver_after=0)
def test_a_pace_of_nothing(post: Post) -> None:
    """Delivered at once, where a test does not care."""
    send(post, ONE)
    assert post("A2PGetSmsHistory")["result"][0]["delivery_status"] == "DELIVERED"


@at_noon
def test_filters_of_two_way_messages(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Each filter of GetSmsHistory, alone and together."""
    post("SendSmsMessage", source=OWN, destination=ONE, sms_body="Hi")  # 1, at noon
    voxsms_sandbox.clock.advance(60)
    post("SendSmsMessage", source=OWN, destination=TWO, sms_body="Hi")  # 2
    voxsms_sandbox.clock.advance(60)
    voxsms_sandbox.receive(source=ONE, destination=OWN, text="Hi")  # 3
    expected: list[tuple[dict[str, object], list[int]]] = [
        ({}, [3, 2, 1]),
        ({"message_id": "1;3;99"}, [3, 1]),
        ({"message_id": 2}, [2]),
        ({"source_number": OWN}, [2, 1]),
        ({"source_number": "+44 7443 332212"}, [3]),
        ({"destination_number": TWO}, [2]),
        ({"direction": "IN"}, [3]),
        ({"direction": "out"}, [2, 1]),
        ({"from_date": "2026-01-15 12:01:00"}, [3, 2]),
        ({"to_date": "2026-01-15 12:01:00"}, [2, 1]),
        ({"from_date": "2026-01-15 12:01:00", "to_date": "2026-01-15 12:01:00"}, [2]),
        ({"from_date": "2026-01-15 12:02:01"}, []),
        ({"direction": "OUT", "destination_number": ONE, "to_date": "2026-01-15 12:00:59"}, [1]),
    ]
    for filters, found in expected:
        answer = post("GetSmsHistory", **filters)
        assert (ids(answer), answer["total_count"]) == (found, len(found)), filters


@at_noon
def test_a2p_by_delivery_status(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The numbers 1 to 8 of the reference, in its order."""
    send(post, ONE, TWO)
    voxsms_sandbox.clock.advance(10)
    send(post, ONE)
    found = {n: ids(post("A2PGetSmsHistory", delivery_status=n)) for n in range(1, 9)}
    assert found == {1: [3], 2: [], 3: [], 4: [], 5: [1], 6: [2], 7: [], 8: []}


@at_noon
def test_pages(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Pages by count and offset are the whole, once each, whatever was asked before them."""
    send(post, *[f"4474433330{n}" for n in range(10, 35)])
    everything = ids(post("A2PGetSmsHistory"))
    assert everything == list(range(25, 0, -1))
    pages = [post("A2PGetSmsHistory", count=10, offset=n) for n in (0, 10, 20, 30, 20)]
    assert [page["total_count"] for page in pages] == [25] * 5
    assert [ids(page) for page in pages] == [
        everything[:10],
        everything[10:20],
        everything[20:],
        [],
        everything[20:],
    ]
    voxsms_sandbox.clock.advance(1)
    send(post, ONE)  # the newest stands first: every offset means one row earlier
    page = post("A2PGetSmsHistory", count=10, offset=10)
    assert (ids(page), page["total_count"]) == (everything[9:19], 26)


@pytest.mark.voxsms_sandbox(max_rows=7, numbers=[str(14155550100 + n) for n in range(9)])
def test_pages_shorter_than_they_were_asked_for(voxsms_sandbox: Sandbox, post: Post) -> None:
    """`max_rows` makes short pages that are not the last ones."""
    voxsms_sandbox.fill_history("sms", 20)
    answer = post("GetSmsHistory", count=10)
    assert (len(answer["result"]), answer["total_count"]) == (7, 20)
    numbers = post("GetPhoneNumbers")
    assert (numbers["count"], numbers["total_count"]) == (7, 9)


@at_noon
def test_a_history_as_a_file(voxsms_sandbox: Sandbox, http: httpx.Client, post: Post) -> None:
    """`output=csv` is a file with the JSON field names as header; an error still is JSON."""
    send(post, ONE, text='say "a, b"\r\nand \N{GRINNING FACE}', store_body="true")
    send(post, TWO)
    voxsms_sandbox.clock.advance(10)
    key = voxsms_sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key, "output": "csv"}
    url = f"{voxsms_sandbox.url}/platform_api/A2PGetSmsHistory/"
    answer = http.post(url, data=form)
    assert answer.headers["content-type"] == "application/octet-stream"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    wanted = post("A2PGetSmsHistory")["result"]
    assert [{k: v for k, v in row.items() if v} for row in rows] == [
        {name: str(value) for name, value in row.items()} for row in wanted
    ]
    assert answer.content.startswith(b"message_id,source_number,destination_number,fragments,cost,")
    refused = http.post(url, data=form | {"count": "0"})
    assert refused.headers["content-type"] == "application/json"
    assert refused.json()["error"]["code"] == 497


@pytest.mark.parametrize(
    ("kind", "method"), [("sms", "GetSmsHistory"), ("a2p", "A2PGetSmsHistory")]
)
@pytest.mark.voxsms_sandbox(start=NOON)
def test_a_history_made_up(voxsms_sandbox: Sandbox, post: Post, kind: str, method: str) -> None:
    """Rows of every sort between two times; nothing is charged, delivered or still to come."""
    voxsms_sandbox.fill_history(kind, 2500)
    pages = [post(method, offset=offset) for offset in (0, 1000, 2000)]
    rows = [row for page in pages for row in page["result"]]
    assert {page["total_count"] for page in pages} == {2500}
    assert sorted(row["message_id"] for row in rows) == list(range(1, 2501))
    times = [row["processed_date" if kind == "sms" else "processing_date"] for row in rows]
    assert all(earlier >= later for earlier, later in pairwise(times))
    assert times[-1] == "2024-01-16 12:00:00"  # two years before
    assert times[0] < "2026-01-15 12:00:00"
    assert {row["status_id"] for row in rows} == {"1", "2"}
    assert {row["fragments"] for row in rows} == {0, 1, 2, 3}
    assert {"text" in row for row in rows} == {True, False}
    if kind == "sms":
        assert {row["direction"] for row in rows} == {"IN", "OUT"}
    else:
        settled = {"DELIVERED", "FAILED", "EXPIRED", "REJECTED", "ABORTED", "UNKNOWN"}
        assert {row["delivery_status"] for row in rows} == settled
    assert voxsms_sandbox.ledger.count == 0
    assert voxsms_sandbox.balance == 100


@pytest.mark.parametrize("kind", ["sms", "a2p"])
def test_a_made_up_history_costs_what_the_prices_say(
    voxsms_sandbox: Sandbox, post: Post, kind: str
) -> None:
    """Its messages go to several countries; what arrived or was rejected cost nothing."""
    voxsms_sandbox.fill_history(kind, 500)
    history, method = {
        "sms": ("GetSmsHistory", "SendSmsMessage"),
        "a2p": ("A2PGetSmsHistory", "A2PSendSms"),
    }[kind]
    rates = RateTable.from_resource_prices(PRICES, currency="USD", method=method)
    rows = post(history)["result"]
    sent = [row for row in rows if row.get("direction") != "IN"]
    assert {row["cost"] for row in rows if row not in sent} <= {0}
    for row in sent:
        cost = rates.rate_for(row["destination_number"]).cost(row["fragments"])
        assert Decimal(str(row["cost"])) == cost
    assert {row["destination_number"][:2] for row in sent} == {"44", "12", "14", "79", "74"}
    assert {row["source_number"] for row in sent} == {OWN if kind == "sms" else "VOXSMS"}


@pytest.mark.voxsms_sandbox(prices=PRICES[:1], numbers=[], sender_ids=[])
def test_a_history_of_what_has_no_price(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Costs nothing, and goes everywhere."""
    voxsms_sandbox.fill_history("a2p", 100)
    rows = post("A2PGetSmsHistory")["result"]
    assert {row["cost"] for row in rows} == {0}
    assert {row["destination_number"][:2] for row in rows} >= {"33", "49"}
    assert {row["source_number"] for row in rows} == {"447443332211"}


def test_the_same_seed_makes_the_same_history(post_to: Callable[[Sandbox], Post]) -> None:
    """Twice the same rows for the same times and seed, others for another seed."""

    def rows(seed: int) -> list[dict[str, object]]:
        with serve() as sandbox:
            end = NOON + timedelta(days=30)
            sandbox.fill_history("a2p", 50, start=NOON, end=end, seed=seed)
            found: list[dict[str, object]] = post_to(sandbox)("A2PGetSmsHistory")["result"]
            return found

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_a_history_is_added_to_what_is_there(voxsms_sandbox: Sandbox, post: Post) -> None:
    """Filling goes on after the last id, and is seen at once."""
    send(post, ONE)
    assert post("A2PGetSmsHistory")["total_count"] == 1
    voxsms_sandbox.fill_history("a2p", 3)
    assert sorted(ids(post("A2PGetSmsHistory"))) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("kind", "rows", "end", "said"),
    [
        ("mms", 1, NOON, "kind: 'mms' is neither sms nor a2p"),
        ("sms", 0, NOON, "1 to 10,000,000"),
        ("sms", 1, NOON - timedelta(days=2), "an end after its start"),
    ],
)
def test_a_history_that_cannot_be_made(
    voxsms_sandbox: Sandbox, kind: str, rows: int, end: datetime, said: str
) -> None:
    """A mistake is named."""
    with pytest.raises(ValueError, match=said):
        voxsms_sandbox.fill_history(kind, rows, start=NOON - timedelta(days=1), end=end)


def test_bookmarks_do_not_pile_up(voxsms_sandbox: Sandbox, post: Post) -> None:
    """What is remembered to read deep pages quickly is bounded."""
    voxsms_sandbox.fill_history("a2p", 20)
    history = voxsms_sandbox._running._history
    history._max_remembered = 5
    for offset in range(10):
        assert len(ids(post("A2PGetSmsHistory", count=1, offset=offset))) == 1
    assert len(history._bookmarks) + len(history._totals) <= 7


def test_two_sandboxes_on_one_database(tmp_path: Path, post_to: Callable[[Sandbox], Post]) -> None:
    """Each counts, and gives, what the other has sent or forgotten."""
    database = tmp_path / "account.sqlite"
    with serve(database=database) as one, serve(database=database) as other:
        posts = post_to(one), post_to(other)
        for sent, post in enumerate((*posts, *posts), 1):
            post("A2PSendSms", src_number="VOXSMS", dst_numbers="447443332212", text="Hi")
            for look in posts:
                page = look("A2PGetSmsHistory")
                assert (len(ids(page)), page["total_count"]) == (sent, sent)
        one.reset()
        assert [look("A2PGetSmsHistory")["total_count"] for look in posts] == [0, 0]
