"""Rows that several windows returned.

Usually there are none: a row has one time, which is in one window. If the time of a message changes
while its history is read, it may be in two windows: these are read again. A stray may be returned
with several windows: it is kept once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from voxsms.export._checkpoint import Saved

_AT_A_TIME = 500_000
"""Keys that are compared at a time: memory depends on this, not on the size of the history."""


@attrs.frozen
class Repeats:
    """What windows have in common."""

    shared: frozenset[int] = frozenset()
    """The indexes of the windows that have a placed row in common."""
    extra: int = 0
    """How many copies there are besides the first of each placed row or stray."""
    dropped: Mapping[int, frozenset[int]] = attrs.field(factory=dict[int, frozenset[int]])
    """The strays to leave out, by window, as indexes among its strays."""


def find_repeats(windows: Iterable[Saved], read_keys: Callable[[Saved], Sequence[int]]) -> Repeats:
    """Compare windows. Keys nearly always ascend with time, so few windows are compared."""
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
    """Yield groups of windows that can have keys in common."""
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
    """One share of all keys, window by window."""

    def __init__(self, share: int, shares: int) -> None:
        self.shared: set[int] = set()
        self.extra = 0
        self._share, self._shares = share, shares
        self._placed: dict[int, int] = {}
        """The first window that has a placed row."""
        self._strays: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        """The windows that have a stray, and where."""

    def add(self, saved: Saved, keys: Sequence[int]) -> None:
        """Add the keys of a window."""
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
        """Yield the strays to drop: all copies if the row is placed, otherwise all but one.

        Those of the first window are kept, unless a later one has more (identical rows without an
        id).
        """
        for key, windows in self._strays.items():
            stays = max(windows, key=lambda each: (len(each[1]), -each[0]))[0]
            for index, places in windows:
                if key in self._placed or index != stays:
                    yield index, places
