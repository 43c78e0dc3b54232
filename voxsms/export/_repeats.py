"""Rows that came with more than one window.

Usually there are none: a row has one time, and one window holds it. A message that was given
another time while its history was read may stand in two windows: these are read again. A stray may
come with several windows: it stays once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from voxsms.export._checkpoint import Saved

_AT_A_TIME = 500_000
"""Keys that are compared at a time: memory depends on this and not on the size of the history."""


@attrs.frozen
class Repeats:
    """What windows have in common."""

    shared: frozenset[int] = frozenset()
    """The indexes of the windows in which the same placed row stands."""
    extra: int = 0
    """How many copies there are beside the first of each row that is placed, or of a stray."""
    dropped: Mapping[int, frozenset[int]] = attrs.field(factory=dict[int, frozenset[int]])
    """The strays to leave out, by window, as indexes among its strays."""


def find_repeats(windows: Iterable[Saved], read_keys: Callable[[Saved], Sequence[int]]) -> Repeats:
    """Compare windows. Nearly always keys ascend with time, and few windows are looked into."""
    shared: set[int] = set()
    dropped: dict[int, set[int]] = defaultdict(set)
    extra = 0
    for group in _overlapping(windows):
        shares = sum(saved.rows for saved in group) // _AT_A_TIME + 1
        for share in range(shares if len(group) > 1 else 0):
            found = _Share(share, shares)
            for saved in group:
                found.add(saved, read_keys(saved))
            shared |= found.shared
            extra += found.extra
            for index, strays in found.dropped():
                dropped[index].update(strays)
    extra += sum(map(len, dropped.values()))
    return Repeats(
        frozenset(shared), extra, {index: frozenset(strays) for index, strays in dropped.items()}
    )


def _overlapping(windows: Iterable[Saved]) -> Iterator[list[Saved]]:
    """Return the windows, several together, in which the same key can stand."""
    group: list[Saved] = []
    greatest = 0
    for saved in sorted((each for each in windows if each.rows), key=lambda each: each.least):
        if group and saved.least > greatest:
            yield group
            group = []
        greatest = max(greatest, saved.greatest) if group else saved.greatest
        group.append(saved)
    yield group


class _Share:
    """The keys of one share of all, window by window."""

    def __init__(self, share: int, shares: int) -> None:
        self.shared: set[int] = set()
        self.extra = 0
        self._share, self._shares = share, shares
        self._placed: dict[int, int] = {}
        """The first window that has a placed row."""
        self._strays: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        """The windows that have a stray, and where."""

    def add(self, saved: Saved, keys: Sequence[int]) -> None:
        """Take note of the keys of a window."""
        placed = saved.rows - saved.strays
        for key in keys[:placed]:
            if key % self._shares == self._share:
                first = self._placed.setdefault(key, saved.index)
                if first != saved.index:
                    self.extra += 1
                    self.shared |= {first, saved.index}
        places: dict[int, list[int]] = defaultdict(list)
        for place, key in enumerate(keys[placed:]):
            if key % self._shares == self._share:
                places[key].append(place)
        for key, found in places.items():
            self._strays[key].append((saved.index, found))

    def dropped(self) -> Iterator[tuple[int, list[int]]]:
        """Return the strays that do not stay: all of a row that is placed, else all but once.

        The first window's stay, unless a later one has more: equal rows without an id.
        """
        for key, windows in self._strays.items():
            stays = max(windows, key=lambda each: (len(each[1]), -each[0]))[0]
            for index, places in windows:
                if key in self._placed or index != stays:
                    yield index, places
