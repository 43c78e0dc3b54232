"""How one text became another: each replacement, its position and its reason."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Change(NamedTuple):
    """One replacement in a text."""

    index: int  # type: ignore[assignment]  # the promised name; hides `tuple.index`, no loss here
    """Its position in the text before any changes, counted in code points."""
    before: str
    after: str
    reason: str


class _Span(NamedTuple):
    """A change as it appears in the text between two rounds of changes."""

    start: int
    end: int
    is_later: bool
    change: Change


def trim_change(index: int, before: str, after: str, reason: str) -> Change:
    """Return a change without the parts that are the same at its start and end."""
    start = _count_same(before, after)
    before, after = before[start:], after[start:]
    same = _count_same(before[::-1], after[::-1])
    return Change(index + start, before[: len(before) - same], after[: len(after) - same], reason)


def _count_same(one: str, other: str) -> int:
    """Count the characters at the start that both share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def apply_changes(text: str, changes: Sequence[Change]) -> str:
    """Return the text with the changes applied."""
    parts: list[str] = []
    done = 0
    for change in changes:
        parts += (text[done : change.index], change.after)
        done = change.index + len(change.before)
    return "".join((*parts, text[done:]))


def chain_changes(
    original: str, first: Sequence[Change], then: Sequence[Change]
) -> tuple[Change, ...]:
    """Return the changes that lead directly from a text to the result of two rounds of changes."""
    final = apply_changes(apply_changes(original, first), then)
    result: list[Change] = []
    grown = [0, 0]  # how far each round has shifted the text after it
    for group in _group_overlapping(sorted((*_earlier_spans(first), *_later_spans(then)))):
        start, end = group[0].start, max(span.end for span in group)
        old, new = start - grown[False], start + grown[True]
        for span in group:
            grown[span.is_later] += len(span.change.after) - len(span.change.before)
        before, after = original[old : end - grown[False]], final[new : end + grown[True]]
        if before != after:
            reasons = dict.fromkeys(span.change.reason for span in group)
            result.append(Change(old, before, after, "; ".join(reasons)))
    return tuple(result)


def _earlier_spans(changes: Sequence[Change]) -> Iterator[_Span]:
    grown = 0
    for change in changes:
        start = change.index + grown
        yield _Span(start, start + len(change.after), is_later=False, change=change)
        grown += len(change.after) - len(change.before)


def _later_spans(changes: Sequence[Change]) -> Iterator[_Span]:
    for change in changes:
        end = change.index + len(change.before)
        yield _Span(change.index, end, is_later=True, change=change)


def _group_overlapping(spans: Sequence[_Span]) -> Iterator[list[_Span]]:
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
