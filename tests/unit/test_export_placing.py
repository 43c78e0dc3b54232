"""Which rows are a window's own, and where those go that can not be placed."""

from array import array
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from histories import START, FakeHistory, Message, ids, lines, small_pages, spread
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export import export_history
from voxsms.export.columns import are_whole_times
from voxsms.export.encoding import Rows, sort
from voxsms.export.placing import place
from voxsms.export.plan import Window
from voxsms.export.reading import Reading
from voxsms.export.repeats import Names, find_repeats
from voxsms.export.source import Page

WINDOW = Window(START, START + timedelta(minutes=1))


class Numbers:
    """A format whose rows are numbers."""

    def pick(self, pages: list[list[int]], order: list[int]) -> list[int]:
        """Join rows."""
        rows = [row for page in pages for row in page]
        return [rows[n] for n in order]


FORMAT: Any = Numbers()
Row = tuple[str | None, int]


def read(*pages: list[Row]) -> Reading:
    """Make a reading of pages of rows given by time and name."""
    made: list[Page] = []
    for page in pages:
        order = sort([name for _, name in page], [time for time, _ in page])
        times, names = [page[n][0] for n in order], [page[n][1] for n in order]
        rows = Rows.of(array("q", names), times, names, whole=are_whole_times(times))
        made.append(Page(0, rows, 0))
    return Reading(made, 0)


def placed(window: Window, reading: Reading) -> tuple[list[int], set[int]]:
    """Place rows; give what they are known by, which is also their content, and the strays."""
    found = place(FORMAT, window, reading)
    names = [name for each in found.slices for name in each.rows.names[each.start : each.end]]
    cells = [cell for each in found.slices for cell in each.rows.cells[each.start : each.end]]
    assert cells == names
    assert len(found) == len(names)
    return names, set(found.strays)


def at(seconds: float) -> str:
    """Give a time after the start of the window as it is on the wire."""
    return (START + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(" ")


def test_the_interval_is_half_open() -> None:
    """The first second of a window is its own, the one after its last is its neighbour's."""
    rows: list[Row] = [(at(-1), 1), (at(0), 2), (at(59), 3), (at(60), 4)]
    assert placed(WINDOW, read(rows)) == ([2, 3], set())
    assert placed(WINDOW, read(rows[:2], rows[2:])) == ([2, 3], set())
    assert placed(WINDOW, read(rows[:1], rows[3:])) == ([], set())
    assert placed(Window(None, WINDOW.end), read([(at(-(10**8)), 1), (at(60), 2)])) == ([1], set())
    assert placed(WINDOW, read([(at(59.5), 1), (at(60), 2)])) == ([1], set())
    assert placed(WINDOW, read([])) == ([], set())
    assert placed(WINDOW, read([(at(60.5), 1)])) == ([], set())


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=9), max_size=4),
    st.booleans(),
)
def test_rows_are_sorted_by_time_then_by_id(rows: list[list[tuple[int, int]]], fine: bool) -> None:
    """Whatever order they and their pages came in."""
    pages: list[list[Row]] = [
        [(at(n / 2 if fine else n), name) for n, name in page] for page in rows
    ]
    every = [row for page in pages for row in page]
    wanted = [name for _, name in sorted(every, key=lambda row: (row[0] or "", row[1]))]
    assert placed(WINDOW, read(*pages)) == (wanted, set())


@pytest.mark.parametrize("step", [1, -1])
def test_rows_that_came_sorted_stay_so(step: int) -> None:
    """Both the oldest first and the newest first."""
    rows: list[Row] = [(at(n // 3), n) for n in range(30)]
    assert placed(WINDOW, read(rows[::step]))[0] == list(range(30))
    assert placed(WINDOW, read(rows[20:][::step], rows[:20][::step]))[0] == list(range(30))


def test_a_row_that_can_not_be_placed_is_kept_and_marked() -> None:
    """One without a time, one with a date alone, one whose time was not asked for."""
    day = START.strftime("%Y-%m-%d")
    rows: list[Row] = [(at(5), 1), (None, 2), (day, 3), (at(7200), 4), (at(-1), 5), (at(61), 6)]
    assert placed(WINDOW, read(rows)) == ([2, 3, 1, 6, 4], {0, 1, 3, 4})


def repeats(*windows: tuple[list[int], set[int]]) -> dict[int, set[int]]:
    """Find the repeats in windows given by names and the places of their strays."""
    made = [Names(n, names, frozenset(strays)) for n, (names, strays) in enumerate(windows)]
    return find_repeats(lambda: made, 0)


def test_a_stray_stays_in_the_first_window_that_has_it() -> None:
    """Unless its time places it in one; equal rows without an id are as many as one window has."""
    assert repeats(([1, 2], {0}), ([3, 1], {1})) == {0: set(), 1: {1}}
    assert repeats(([1, 2], {0}), ([1, 3], set())) == {0: {0}, 1: set()}
    three = ([7, 7, 5], {0, 1}), ([7, 7, 7], {0, 1, 2}), ([7], {0})
    assert repeats(*three) == {0: {0, 1}, 1: set(), 2: {0}}
    assert repeats(([1, 1], {0, 1}), ([2], set())) == {}


def test_a_row_whose_time_was_changed_stays_where_it_was_read_last() -> None:
    """It is the newer one."""
    assert repeats(([1, 2], set()), ([3, 2], set()), ([4], {0})) == {0: {1}, 1: set()}


@given(st.lists(st.lists(st.integers(0, 30), max_size=12, unique=True), max_size=6))
def test_every_name_stays_once(windows: list[list[int]]) -> None:
    """However many are compared at a time."""
    made = [Names(n, names, frozenset()) for n, names in enumerate(windows)]
    out = find_repeats(lambda: made, 0)
    kept = [
        x for n, names in enumerate(windows) for i, x in enumerate(names) if i not in out.get(n, ())
    ]
    assert sorted(kept) == sorted({name for names in windows for name in names})
    assert find_repeats(lambda: made, 10**7) == out


def messages_with_strays() -> list[Message]:
    """Make a history in which every seventh row has no time, and every fifth only a date."""
    messages = spread(240, seconds=600)
    for n, message in enumerate(messages):
        shown = message.row["processed_date"]
        message.row["processed_date"] = "" if n % 7 == 0 else shown[:10] if n % 5 == 0 else shown
    return messages


@pytest.mark.parametrize("options", [{}, {"from_date": START}])
async def test_strays_are_neither_lost_nor_doubled(tmp_path: Path, options: Any) -> None:  # noqa: ANN401
    """They are found by what the service knows of their time, whatever it shows."""
    with small_pages(20, 60):
        async with FakeHistory(messages_with_strays()).client() as client:
            await export_history(client, "sms", tmp_path / "all.jsonl", **options)
    assert sorted(ids(lines(tmp_path / "all.jsonl"))) == list(range(1, 241))
