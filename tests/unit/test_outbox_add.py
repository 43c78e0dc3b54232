"""What may be added to an outbox, how it is put together, and what is said of the rest."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from doubles import NOW
from hypothesis import given
from hypothesis import strategies as st
from outboxes import NUMBERS, SOURCE, rows, scripted, states

from voxsms import InvalidRequest, Message, Outbox, Template


def chunks(path: Path) -> list[tuple[str, int]]:
    """Give text and number of recipients of each chunk."""
    with closing(sqlite3.connect(path / "outbox.db")) as db, db:
        return db.execute(
            "SELECT c.text, count(*) FROM voxsms_chunks c JOIN voxsms_intents i ON i.chunk = c.id"
            " GROUP BY c.id ORDER BY c.id"
        ).fetchall()


async def test_equal_texts_go_together_in_chunks(tmp_path: Path) -> None:
    """As many calls as are needed and no more, also where texts alternate."""
    async with scripted(tmp_path) as (outbox, *_):
        alternating = [(("A", "B")[n % 2], number) for n, number in enumerate(NUMBERS[:10])]
        added = await outbox.add(alternating, source=SOURCE, chunk_size=3)
        assert (added.accepted, added.repeated, added.refused) == (10, 0, ())
        assert chunks(tmp_path) == [("A", 3), ("B", 3), ("A", 2), ("B", 2)]
        intents = [intent async for intent in outbox.intents("pending")]
        assert [intent.position for intent in intents] == [*range(10)]
        assert {(intent.source, intent.key, intent.message_id) for intent in intents} == {
            (SOURCE, None, None)
        }


async def test_a_number_that_stands_twice_is_two_intents_in_two_chunks(tmp_path: Path) -> None:
    """The service takes no number twice in a call."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        twice = [("Hi", NUMBERS[0]), ("Hi", NUMBERS[1]), ("Hi", f"+{NUMBERS[0]}")]
        assert (await outbox.add(twice, source=SOURCE)).accepted == 3
        assert (await outbox.run(client)).sent == 3
        assert service.calls == [[NUMBERS[0], NUMBERS[1]], [NUMBERS[0]]]


async def test_a_key_that_is_there_is_the_intent_that_it_was(tmp_path: Path) -> None:
    """Added again after a crash nothing is there twice, in one `add` or in several."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        await outbox.add(rows(3), source=SOURCE)
        again = await outbox.add([*rows(5), *rows(4)], source=SOURCE)
        assert (again.accepted, again.repeated) == (2, 7)
        assert (await outbox.run(client)).sent == 5
        assert sorted(service.sent) == NUMBERS[:5]
        empty = await outbox.add(rows(5), source=SOURCE)
        assert (empty.accepted, empty.repeated) == (0, 5)
        assert len(chunks(tmp_path)) == 2


async def test_a_name_for_an_add_makes_keys_of_the_positions(tmp_path: Path) -> None:
    """The same rows under the same name are added once."""
    async with scripted(tmp_path) as (outbox, *_):
        plain = [(text, number) for text, number, _ in rows(3)]
        assert (await outbox.add(plain, source=SOURCE, key="november")).accepted == 3
        assert (await outbox.add(plain, source=SOURCE, key="november")).repeated == 3
        assert (await outbox.add(plain, source=SOURCE, key="december")).accepted == 3
        by_row = await outbox.add(plain, source=SOURCE, key=lambda row: f"to {row[1]}")
        assert by_row.accepted == 3
        keys = [intent.key async for intent in outbox.intents()]
        assert keys[:3] == ["november", "november:1", "november:2"]
        assert keys[6] == f"to {NUMBERS[0]}"


async def test_what_cannot_be_sent_is_refused_with_its_position(tmp_path: Path) -> None:
    """The rest goes in; a refused row is stored, and taken under its key when it is right."""
    bad: list[Any] = [
        ("Hi", "07700 900123", "a"),
        ("Hi", NUMBERS[1], "b"),
        ("", NUMBERS[2], "c"),
        ("Hi", None, "d"),
        ("x" * 1601, NUMBERS[4], "e"),
        ("half \ud83d", NUMBERS[5], "f"),
    ]
    async with scripted(tmp_path) as (outbox, client, service, _):
        added = await outbox.add(bad, source=SOURCE)
        assert (added.accepted, [position for position, _ in added.refused]) == (1, [0, 2, 3, 4, 5])
        assert [fault.field for _, fault in added.refused][:2] == [
            "rows[0].destination",
            "rows[2].text",
        ]
        assert "07700" not in str(added.refused[0][1])
        refused = [intent async for intent in outbox.intents("refused")]
        assert [intent.destination for intent in refused][:3] == [
            "07700 900123",
            NUMBERS[2],
            "None",
        ]
        assert refused[0].error is not None
        assert refused[0].at is not None
        fixed = await outbox.add([("Hi", NUMBERS[0], "a"), ("Hi", "x", "b")], source=SOURCE)
        assert (fixed.accepted, len(fixed.refused)) == (1, 1)
        assert (await outbox.run(client)).sent == 2
        assert sorted(service.sent) == NUMBERS[:2]


async def test_a_key_in_one_add_may_be_wrong_first_and_right_later(tmp_path: Path) -> None:
    """The later row is the one that is sent."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        added = await outbox.add([("Hi", "x", "a"), ("Hi", NUMBERS[0], "a")], source=SOURCE)
        assert (added.accepted, added.repeated, len(added.refused)) == (1, 0, 1)
        assert (await outbox.run(client)).sent == 1
        assert service.sent == [NUMBERS[0]]


async def test_a_template_is_filled_in_from_mappings(tmp_path: Path) -> None:
    """A row may hold more than the fields; one that lacks a field is refused."""
    people: list[Any] = [
        ({"name": "Ada", "town": "London"}, NUMBERS[0]),
        ({"town": "Paris"}, NUMBERS[1]),
        ("Ada", NUMBERS[2]),
        ({"name": "Ada"}, NUMBERS[3]),
    ]
    async with scripted(tmp_path) as (outbox, *_):
        added = await outbox.add(people, source=SOURCE, template=Template("Hi {name}"))
        assert added.accepted == 2
        assert ["name" in fault.problem for _, fault in added.refused] == [True, False]
        assert chunks(tmp_path) == [("Hi Ada", 2)]


async def test_rows_may_come_slowly(tmp_path: Path) -> None:
    """An async iterable is read; if it fails, nothing of it was added."""

    async def slow(*, fails: bool) -> AsyncIterator[tuple[Message, str]]:
        for number in NUMBERS * 11:
            yield Message("Hi"), number
        if fails:
            raise RuntimeError("the source broke")

    async with scripted(tmp_path) as (outbox, *_):
        with pytest.raises(RuntimeError, match="the source broke"):
            await outbox.add(slow(fails=True), source=SOURCE)
        assert await states(outbox) == []
        assert (await outbox.add(slow(fails=False), source=SOURCE)).accepted == 5500


@pytest.mark.parametrize("slowly", [False, True])
async def test_a_long_list_goes_in_by_batches(tmp_path: Path, *, slowly: bool) -> None:
    """More than a batch holds, with more texts than are kept open."""
    many = [(f"No. {n % 1500}", number) for n, number in enumerate(NUMBERS * 24)]

    async def come() -> AsyncIterator[tuple[str, str]]:
        for row in many:
            yield row

    async with scripted(tmp_path) as (outbox, *_):
        given = come() if slowly else many
        added = await outbox.add(given, source=SOURCE, store_body=True)
        assert added.accepted == len(many)
        assert (await outbox.summary()).pending == len(many)
        assert sum(count for _, count in chunks(tmp_path)) == len(many)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"method": "ControlSms"}, "method"),
        ({"source": ""}, "source"),
        ({"source": 5}, "source"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk_size": 101}, "chunk_size"),
        ({"chunk_size": True}, "chunk_size"),
        ({"priority": "high"}, "priority"),
        ({"send_at": datetime(2026, 1, 1)}, "send_at"),  # noqa: DTZ001 - it is refused
        ({"store_body": "yes"}, "store_body"),
        ({"region": "XX"}, "region"),
        ({"rows": ["Hi"]}, "rows[0]"),
        ({"rows": [("Hi",)]}, "rows[0]"),
        ({"rows": [("Hi", NUMBERS[0], "k", 4)]}, "rows[0]"),
        ({"rows": [("Hi", NUMBERS[0]), ("Hi", NUMBERS[0], 7)]}, "rows[1].key"),
    ],
)
async def test_what_is_wrong_with_the_call_is_an_error(
    tmp_path: Path, arguments: dict[str, Any], field: str
) -> None:
    """Nothing is added then."""
    async with scripted(tmp_path) as (outbox, *_):
        with pytest.raises(InvalidRequest) as found:
            await outbox.add(**{"rows": rows(1), "source": SOURCE} | arguments)
        assert found.value.faults[0].field == field
        assert await states(outbox) == []


async def test_a_two_way_message_goes_to_one_number(tmp_path: Path) -> None:
    """`send_sms_message` takes one, whatever `chunk_size` says, and a shorter text."""
    async with scripted(tmp_path) as (outbox, client, service, _):
        source = "+44 7443 332211"
        added = await outbox.add(
            [*rows(2), ("x" * 766, NUMBERS[3])], source=source, method="send_sms_message"
        )
        assert (added.accepted, len(added.refused)) == (2, 1)
        assert (await outbox.run(client)).sent == 2
        assert service.calls == [[NUMBERS[0]], [NUMBERS[1]]]
        assert service.forms[0]["source"] == "447443332211"


async def test_a_login_code_goes_before_a_mailing(tmp_path: Path) -> None:
    """Priority first, then the order of adding; what has a time waits for it."""
    async with scripted(tmp_path) as (outbox, client, service, clock):
        await outbox.add([("later", NUMBERS[0])], source=SOURCE, send_at=NOW + timedelta(hours=1))
        await outbox.add([("mailing", NUMBERS[1])], source=SOURCE)
        await outbox.add([("code", NUMBERS[2])], source=SOURCE, priority=5)
        summary = await outbox.run(client)
        assert [form["text"] for form in service.forms] == ["code", "mailing"]
        assert (summary.pending, summary.stopped) == (1, "what is left is not due yet")
        clock.passed += 3600
        assert (await outbox.run(client)).stopped is None
        assert service.forms[-1]["text"] == "later"


@given(
    given=st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from(NUMBERS[:6]), st.integers(0, 9)),
        max_size=40,
    ),
    size=st.integers(1, 5),
)
async def test_every_row_ends_in_one_chunk_of_its_text(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[str, str, int]], size: int
) -> None:
    """No chunk has two texts, a number twice, or more than it may; no row is lost or doubled."""
    path = tmp_path_factory.mktemp("add")
    keyed = [(text, number, f"k{key}") for text, number, key in given]
    first = {key: (text, number) for text, number, key in reversed(keyed)}
    async with scripted(path) as (outbox, *_):
        added = await outbox.add(keyed, source=SOURCE, chunk_size=size)
        assert (added.accepted, added.repeated) == (len(first), len(keyed) - len(first))
        with closing(sqlite3.connect(path / "outbox.db")) as db, db:
            stored = db.execute(
                "SELECT i.key, c.text, i.destination, c.id FROM voxsms_intents i"
                " JOIN voxsms_chunks c ON c.id = i.chunk"
            ).fetchall()
        assert {key: (text, number) for key, text, number, _ in stored} == first
        assert len({(chunk, number) for *_, number, chunk in stored}) == len(stored)
        assert all(count <= size for _, count in chunks(path))


async def test_an_outbox_that_is_not_open_says_so() -> None:
    """Before `async with`, and after it."""
    outbox = Outbox.open("somewhere.db")
    with pytest.raises(InvalidRequest, match="is not open"):
        await outbox.add(rows(1), source=SOURCE)
    assert repr(outbox) == "<Outbox somewhere.db>"
    await outbox.aclose()
