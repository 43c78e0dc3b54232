"""Which price group a number belongs to, by its leading digits.

The rule (shared contract, section 3) and how it is read here:

- A number belongs to the group with the longest `allowed` prefix that it starts with, unless a
  `forbidden` prefix of that group also matches it. It then belongs to no group of that resource
  type: nothing says that the next shorter prefix takes over, and a price is never guessed.
- Resource types are tried in order; the first in which the number belongs to a group prices it.
- Two groups with the same longest prefix leave a number without a price: no later resource type is
  tried.

Only the prefixes that a number starts with matter. If `p` is the longest named prefix that a number
starts with, then it starts with another named prefix exactly if `p` does. So each named prefix is
decided once, and a number takes the decision of its longest one.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

import attrs

Belonging = TypeVar("Belonging")
_HEAD = 4  # digits after which most numbers are decided
_WITHIN_HEAD = tuple(range(_HEAD, 0, -1))


@attrs.frozen
class NoPrice:
    """Why a number has no price, without showing the number."""

    reason: str


@attrs.frozen
class Territory(Generic[Belonging]):
    """The numbers of one group, and what belongs to them."""

    name: str
    allowed: frozenset[str]
    forbidden: frozenset[str]
    belonging: Belonging | NoPrice

    def forbids(self, number: str) -> bool:
        """Return whether a forbidden prefix matches a number."""
        return any(number[:length] in self.forbidden for length in range(len(number) + 1))


class _Rule(Generic[Belonging]):
    """The rule above, applied to one number; slow, so run once for each named prefix."""

    def __init__(self, layers: list[list[Territory[Belonging]]]) -> None:
        self._layers = [_index_by_prefix(layer) for layer in layers]

    def decide(self, number: str) -> Belonging | NoPrice:
        """Return what a number belongs to, or why it belongs to nothing."""
        excluded: list[str] = []
        for layer in self._layers:
            found = _find_longest(layer, number)
            if len(found) > 1:
                names = ", ".join(sorted(territory.name for territory in found))
                return NoPrice(f"several groups have its longest prefix ({names})")
            if found and not found[0].forbids(number):
                return found[0].belonging
            excluded += [territory.name for territory in found]
        forbidden_by = ", ".join(excluded)
        return NoPrice(f"{forbidden_by} forbids it" if excluded else "no group has a prefix of it")


def _index_by_prefix(layer: list[Territory[Belonging]]) -> dict[str, list[Territory[Belonging]]]:
    by_prefix: dict[str, list[Territory[Belonging]]] = {}
    for territory in layer:
        for prefix in territory.allowed:
            by_prefix.setdefault(prefix, []).append(territory)
    return by_prefix


def _find_longest(
    layer: dict[str, list[Territory[Belonging]]], number: str
) -> list[Territory[Belonging]]:
    """Return the groups that have the longest allowed prefix of a number."""
    for length in range(len(number), -1, -1):
        if found := layer.get(number[:length]):
            return found
    return []


class PrefixIndex(Generic[Belonging]):
    """The decision for each named prefix, looked up by a number's longest one."""

    def __init__(self, layers: Iterable[Iterable[Territory[Belonging]]]) -> None:
        groups = [list(layer) for layer in layers]
        rule = _Rule(groups)
        named = {
            prefix
            for layer in groups
            for territory in layer
            for prefix in territory.allowed | territory.forbidden
        }
        self._decisions = {prefix: rule.decide(prefix) for prefix in named | {""}}
        self._deeper = _find_lengths(named)
        self._settled: dict[str, Belonging | NoPrice] = {}  # by head: at most 10,000 entries

    def find(self, digits: str) -> Belonging | NoPrice:
        """Return what a number, ASCII digits only, belongs to, or why it belongs to nothing."""
        head = digits[:_HEAD]
        found = self._settled.get(head)
        if found is not None:
            return found
        if head in self._deeper:
            return self._find_longest(digits, self._deeper[head])
        return self._settled.setdefault(head, self._find_longest(head, _WITHIN_HEAD))

    def _find_longest(self, digits: str, lengths: tuple[int, ...]) -> Belonging | NoPrice:
        for length in lengths:
            found = self._decisions.get(digits[:length])
            if found is not None:
                return found
        return self._decisions[""]


def _find_lengths(named: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the lengths to try, longest first, for the heads of prefixes longer than a head."""
    lengths: dict[str, set[int]] = {}
    for prefix in named:
        if len(prefix) > _HEAD:
            lengths.setdefault(prefix[:_HEAD], set()).add(len(prefix))
    return {head: (*sorted(deep, reverse=True), *_WITHIN_HEAD) for head, deep in lengths.items()}
