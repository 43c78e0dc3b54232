"""Which rows are a window's own, and where those go that cannot be placed."""

from array import array
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from histories import START, FakeHistory, Message, ids, lines, small_pages, spread
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export import _repeats, export_history
from voxsms.export._checkpoint import Saved
from voxsms.export._plan import Window
from voxsms.export._prove import _place
from voxsms.export._repeats import Repeats, find_repeats
from voxsms.export._rows import Rows, are_whole_times

WINDOW = Window(START, START + timedelta(minutes=1))
Row = tuple[str, int]


def place(window: Window, *rows: Row) -> tuple[list[int], list[int]]:
    """Place rows given by time and key; return the keys of its own rows, and of the strays."""
    times, keys = [time for time, _ in rows], [key for _, key in rows]
    contents = [f"{time} {key}" for time, key in rows]
    all_timed = are_whole_times([time or None for time in times])
    found, slowly = (
        _place(window, Rows([*times], [*keys], [*contents]), len(rows), all_timed=how)
        for how in (all_timed, False)
    )
    assert found == slowly
    for some in (found.rows, found.strays):
        told = zip(some.times, some.keys, strict=True)
        assert some.contents == [f"{time} {key}" for time, key in told]
    return found.rows.keys, found.strays.keys


def at(seconds: float) -> str:
    """Give a time after the start of the window as it is on the wire."""
    return (START + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(" ")


def test_the_interval_is_half_open() -> None:
    """The first second of a window is its own, the one after its last is its neighbour's."""
    rows: list[Row] = [(at(-1), 1), (at(0), 2), (at(59), 3), (at(60), 4)]
    assert place(WINDOW, *rows) == ([2, 3], [])
    assert place(WINDOW, *rows[::3]) == ([], [])
    assert place(Window(None, WINDOW.end), (at(-(10**8)), 1), (at(60), 2)) == ([1], [])
    assert place(WINDOW, (at(59.5), 1), (at(60), 2)) == ([1], [])
    assert place(WINDOW) == ([], [])
    assert place(WINDOW, (at(60.5), 1)) == ([], [])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=30), st.booleans())
def test_rows_are_sorted_by_time_then_by_key(rows: list[tuple[int, int]], fine: bool) -> None:
    """Whatever order they came in."""
    given_ = [(at(n / 2 if fine else n), key) for n, key in rows]
    assert place(WINDOW, *given_) == ([key for _, key in sorted(given_)], [])


@pytest.mark.parametrize("count", [0, 1, 2500, 2501, 10_000, 12_345])
def test_rows_are_encoded_in_order_a_portion_at_a_time(count: int) -> None:
    """However many there are; and those that were encoded are no longer held."""
    rows = Rows([""] * count, [*range(count)], [*range(count)])
    seen: list[int] = []
    for portion in rows.portions():
        assert len(portion) <= 2500
        seen += portion
        assert rows == Rows([], [], [*range(len(seen), count)])
    assert seen == [*range(count)]


def test_a_row_that_cannot_be_placed_is_set_apart() -> None:
    """One without a time, one with a date alone, one whose time was not asked for."""
    day = START.strftime("%Y-%m-%d")
    rows: list[Row] = [(at(5), 1), ("", 2), (day, 3), (at(7200), 4), (at(-1), 5), (at(61), 6)]
    assert place(WINDOW, *rows) == ([1], [2, 3, 6, 4])
    assert place(WINDOW, (at(5), 1), (at(7200), 4), (at(-9), 5), (at(61), 6)) == ([1], [5, 6, 4])


def repeats(*windows: tuple[list[int], list[int]]) -> Repeats:
    """Find the repeats in windows given by the keys of their rows and of their strays."""
    keys = [array("q", placed + strays) for placed, strays in windows]

    def read(saved: Saved) -> Sequence[int]:
        return keys[saved.index]

    saved = [
        Saved(n, len(every), len(strays), 0, min(every, default=0), max(every, default=0), 0, 0, 0)
        for n, (every, (_, strays)) in enumerate(zip(keys, windows, strict=True))
    ]
    return find_repeats(saved, read)


def test_a_stray_stays_in_the_first_window_that_has_it() -> None:
    """Unless its time places it in one; equal rows without an id are as many as one window has."""
    assert repeats(([2], [1]), ([3], [1])).dropped == {1: {0}}
    assert repeats(([2], [1]), ([1, 3], [])).dropped == {0: {0}}
    three = repeats(([5], [7, 7]), ([], [7, 7, 7]), ([], [7]))
    assert three == Repeats(dropped={0: frozenset({0, 1}), 2: frozenset({0})}, extra=3)
    assert repeats(([], [1, 1]), ([2], [])) == Repeats()


def test_rows_of_a_long_history_are_compared_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the same result as all at once."""
    monkeypatch.setattr(_repeats, "_AT_A_TIME", 2)
    found = repeats(([5, 2], [7, 7]), ([2], [7, 7, 7]), ([], [7, 4]), ([4], []))
    dropped = {0: frozenset({0, 1}), 2: frozenset({0, 1})}
    assert found == Repeats(frozenset({0, 1}), 5, dropped)


def test_windows_that_share_a_row_are_told() -> None:
    """They are read again: its time was changed, and one of them is out of date."""
    assert repeats(([1, 2], []), ([3, 2], []), ([], [4])) == Repeats(frozenset({0, 1}), 1)
    assert repeats(([1], []), ([9], []), ([1], []), ([1], [])) == Repeats(frozenset({0, 2, 3}), 2)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 30), max_size=12, unique=True),
            st.lists(st.integers(0, 30), max_size=4, unique=True),
        ),
        max_size=6,
    )
)
def test_every_row_is_counted_once(windows: list[tuple[list[int], list[int]]]) -> None:
    """However many are compared at a time."""
    windows = [(placed, [key for key in strays if key not in placed]) for placed, strays in windows]
    found = repeats(*windows)
    every = [key for placed, strays in windows for key in placed + strays]
    assert len(every) - found.extra == len({*every})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_repeats, "_AT_A_TIME", 7)
        assert repeats(*windows) == found


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
