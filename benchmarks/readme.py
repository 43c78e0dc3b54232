"""The tables of the README that a benchmark measures: each stands between a mark and an end."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
END = "<!-- end -->"


def put(name: str, table: str) -> None:
    """Put a table in the place of the one that stands there."""
    text, start = README.read_text(encoding="utf-8"), f"<!-- {name} -->\n"
    before, found, rest = text.partition(start)
    _, ended, after = rest.partition(END)
    assert found, f"the README has no place for {name}"
    assert ended, f"the README's {name} has no end"
    README.write_text(f"{before}{start}{table}\n{END}{after}", encoding="utf-8")


def rows(lines: list[list[str]]) -> str:
    """Write a table; its first line is the head."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rest])
