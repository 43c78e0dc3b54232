"""How a range is cut into windows: all of it, nothing twice, few enough rows in each."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from histories import START
from hypothesis import given
from hypothesis import strategies as st

from voxsms.export import Window
from voxsms.export._plan import DAY, find_days, merge, pieces, split
from voxsms.export._source import SECOND, whole_second

spans = st.integers(1, 10**8)
rows = st.integers(0, 10**6)


def tiles(windows: list[Window], whole: Window) -> bool:
    """Tell if windows are a whole, in order, without a gap or an overlap."""
    ends = [windows[0].start, *(window.end for window in windows)]
    starts = [window.start for window in windows]
    return starts == ends[:-1] and (ends[0], ends[-1]) == (whole.start, whole.end)


@given(spans, rows, st.integers(1, 10**4))
def test_parts_are_the_whole(seconds: int, count: int, most: int) -> None:
    """A window is cut into whole seconds that follow each other; into one if it holds few rows."""
    whole = Window(START, START + timedelta(seconds=seconds), count)
    found = split(whole, most)
    assert tiles(found, whole)
    assert all(window.span and window.span % SECOND == timedelta(0) for window in found)
    assert len(found) <= (128 if count <= 128 * most else 16)  # the rest is for a second look
    assert (len(found) == 1) == (count <= most or seconds == 1)


def test_what_cannot_be_cut_stays() -> None:
    """An open start has no length to cut; a second is the least there is."""
    for window in (Window(None, START, 10**6), Window(START, START + SECOND, 10**6)):
        assert split(window, 10) == [window]
    assert list(pieces(Window(None, START), DAY)) == []


@given(spans, st.integers(1, 10**7))
def test_pieces_are_no_longer_than_asked(seconds: int, longest: int) -> None:
    """And together the whole."""
    whole = Window(START, START + timedelta(seconds=seconds))
    limit = timedelta(seconds=max(longest, seconds // 50))
    found = list(pieces(whole, limit))
    assert tiles(found, whole)
    assert all(window.span and window.span <= limit for window in found)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.none() | st.integers(1, 9))
def test_neighbours_are_joined_as_far_as_they_fit(counts: list[int], days: int | None) -> None:
    """They hold few enough rows, and none is lost; two that would fit are not left apart."""
    first = [Window(START + n * DAY, START + (n + 1) * DAY, rows) for n, rows in enumerate(counts)]
    longest = None if days is None else days * DAY
    found = merge(first, 20, longest)
    assert tiles(found, Window(START, first[-1].end))
    assert sum(window.rows for window in found) == sum(counts)
    assert all(window.rows <= 20 for window in found)
    if longest is None:
        pairs = pairwise(found)
        assert all(a.rows + b.rows > 20 for a, b in pairs)
    else:
        assert all(window.span and window.span <= longest for window in found)


def test_an_open_start_is_joined_only_where_any_length_is_taken() -> None:
    """A limit of days cannot be kept from the beginning of time."""
    two = [Window(None, START, 1), Window(START, START + DAY, 1)]
    assert merge(two, 10, None) == [Window(None, START + DAY, 2)]
    assert merge(two, 10, DAY) == two


@pytest.mark.parametrize(
    ("msg", "days"),
    [
        ("The date range must be within 30 days", 30),
        ("within 7-day limit: 45 requested", 7),
        ("Max range is 1 day.", 1),
        ("DATE_RANGE_LIMIT (31)", 31),
        ("range 2026 is limited to 90", 90),
        ("the date range is too long", None),
        ("0 days", None),
    ],
)
def test_days_are_read_from_a_refusal(msg: str, days: int | None) -> None:
    """By the word beside the figure, else by the last figure."""
    assert find_days(msg) == (None if days is None else days * DAY)


def test_a_window_is_plain_data() -> None:
    """It can be sent to another process, and says what it is to a person."""
    window = Window(START, START + DAY, 7)
    assert pickle.loads(pickle.dumps(window)) == window  # noqa: S301 - our own
    assert str(window) == "2026-03-01 00:00:00 to 2026-03-01 23:59:59 UTC"
    assert str(Window(None, START)) == "the beginning to 2026-02-28 23:59:59 UTC"


def test_a_window_is_asked_for_with_a_second_more() -> None:
    """At both ends, where there is one."""
    window = Window(START, START + DAY)
    assert (window.asked_from, window.asked_to) == (START - SECOND, START + DAY)
    assert Window(None, START).asked_from is None
    first = datetime.min.replace(tzinfo=UTC)
    assert Window(first, START).asked_from == first


def test_a_time_is_taken_to_the_second() -> None:
    """In UTC, whatever zone it was given in."""
    given_ = datetime(2026, 3, 1, 1, 30, 0, 999999, tzinfo=timezone(timedelta(hours=1)))
    assert whole_second(given_) == datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    assert whole_second(given_).tzinfo is UTC
