"""How one text became another: what was replaced by what, where, and why."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Change(NamedTuple):
    """One replacement in a text."""

    index: int  # type: ignore[assignment]  # the promised name; hides `tuple.index`, no loss here
    """Its position in the text before all changes, counted in code points."""
    before: str
    after: str
    reason: str


class _Span(NamedTuple):
    """A change as seen in the text between two rounds of changes."""

    start: int
    end: int
    is_later: bool
    change: Change


def least_change(index: int, before: str, after: str, reason: str) -> Change:
    """Leave out of a change what is the same at its start and its end."""
    start, most = 0, min(len(before), len(after))
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    inner = slice(start, -end or None)
    return Change(index + start, before[inner], after[inner], reason)


def changed(text: str, changes: Sequence[Change]) -> str:
    """Make the changes in a text."""
    parts: list[str] = []
    done = 0
    for change in changes:
        parts += (text[done : change.index], change.after)
        done = change.index + len(change.before)
    return "".join((*parts, text[done:]))


def chained(original: str, first: Sequence[Change], then: Sequence[Change]) -> tuple[Change, ...]:
    """Give the changes that lead from a text straight to where two rounds of them lead."""
    final = changed(changed(original, first), then)
    result: list[Change] = []
    grown = [0, 0]  # by how much each round has moved what follows
    for group in _touching(sorted((*_earlier(first), *_later(then)))):
        start, end = group[0].start, max(span.end for span in group)
        old, new = start - grown[False], start + grown[True]
        for span in group:
            grown[span.is_later] += len(span.change.after) - len(span.change.before)
        before, after = original[old : end - grown[False]], final[new : end + grown[True]]
        if before != after:
            reasons = dict.fromkeys(span.change.reason for span in group)
            result.append(Change(old, before, after, "; ".join(reasons)))
    return tuple(result)


def _earlier(changes: Sequence[Change]) -> Iterator[_Span]:
    grown = 0
    for change in changes:
        start = change.index + grown
        yield _Span(start, start + len(change.after), is_later=False, change=change)
        grown += len(change.after) - len(change.before)


def _later(changes: Sequence[Change]) -> Iterator[_Span]:
    for change in changes:
        end = change.index + len(change.before)
        yield _Span(change.index, end, is_later=True, change=change)


def _touching(spans: Sequence[_Span]) -> Iterator[list[_Span]]:
    """Put spans together that share characters."""
    group: list[_Span] = []
    end = 0
    for span in spans:
        if group and span.start >= end:
            yield group
            group = []
        group.append(span)
        end = max(end, span.end)
    if group:
        yield group
