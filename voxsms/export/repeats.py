"""Rows that stand in more than one window: which copy stays.

Usually there are none: a row has one time, and one window holds it. But a stray may be shown by
several windows, and a message may be given another time while its history is read.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import attrs

from voxsms.export.windowlog import Kept, read_names

_AT_A_TIME = 500_000
"""Names that are compared at a time: memory depends on this and not on the size of the history."""


@attrs.frozen
class Names:
    """What the rows of a window are known by, in order, and the places of its strays."""

    window: int
    names: Sequence[int]
    strays: frozenset[int]


@attrs.frozen
class _Copies:
    """The rows of one window that are known by one name."""

    window: int
    places: tuple[int, ...]
    placed: bool

    @property
    def worth(self) -> tuple[bool, int, int]:
        """Tell which copies stay: those placed by their time, of these the last.

        Of strays the first, unless a later window has more: equal rows without an id.
        """
        if self.placed:
            return True, 0, self.window
        return False, len(self.places), -self.window


def repeats_among(windows: Iterable[Kept]) -> dict[int, set[int]]:
    """Find the repeats among windows that were read, as `find_repeats` does.

    Nearly always the names ascend with time, and windows whose names lie apart are not looked into.
    """
    out: dict[int, set[int]] = {}
    for group in _that_can_share(windows):
        if len(group) > 1:
            out |= find_repeats(partial(_names, group), sum(each.rows for each in group))
    return out


def _that_can_share(windows: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Give the windows, several together, in which the same name can stand."""
    group: list[Kept] = []
    greatest = 0
    for kept in sorted((each for each in windows if each.rows), key=lambda each: each.least):
        if group and kept.least > greatest:
            yield group
            group = []
        greatest = max(greatest, kept.greatest) if group else kept.greatest
        group.append(kept)
    yield group


def _names(windows: Iterable[Kept]) -> Iterator[Names]:
    for kept in windows:
        yield Names(kept.index, *read_names(kept))


def find_repeats(read: Callable[[], Iterable[Names]], rows: int) -> dict[int, set[int]]:
    """Give the places of the rows to leave out, by window; the windows are read several times.

    Those of which every copy stays are named, too: it may be this copy that is out of date.
    """
    out: dict[int, set[int]] = defaultdict(set)
    shares = rows // _AT_A_TIME + 1
    for share in range(shares):
        for copies in _copies(read, _in_several(read, share, shares)):
            stays = max(copies, key=lambda each: each.worth)
            for each in copies:
                out[each.window].update(() if each is stays else each.places)
    return dict(out)


def _in_several(read: Callable[[], Iterable[Names]], share: int, shares: int) -> set[int]:
    """Give the names, of one share of all, that several windows have."""
    seen: set[int] = set()
    several: set[int] = set()
    for window in read():
        every = {*window.names}
        here = every if shares == 1 else {name for name in every if name % shares == share}
        several |= here & seen
        seen |= here
    return several


def _copies(read: Callable[[], Iterable[Names]], names: set[int]) -> Iterable[list[_Copies]]:
    if not names:
        return ()
    found: dict[int, list[_Copies]] = defaultdict(list)
    for window in read():
        places: dict[int, list[int]] = defaultdict(list)
        for place, name in enumerate(window.names):
            if name in names:
                places[name].append(place)
        for name, its_places in places.items():
            placed = window.strays.isdisjoint(its_places)
            found[name].append(_Copies(window.window, tuple(its_places), placed))
    return found.values()
