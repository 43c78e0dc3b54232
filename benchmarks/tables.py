"""The measured tables of the documentation: each stands on a page between a mark and an end."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PAGES = Path(__file__).parents[1] / "docs"
END = "<!-- end -->"


def put(name: str, table: str, size: str) -> None:
    """Put a table in the place of the one that stands there, with its size, date and machine."""
    start = f"<!-- {name} -->\n"
    (page,) = [page for page in PAGES.rglob("*.md") if start in page.read_text(encoding="utf-8")]
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    _, ended, after = rest.partition(END)
    assert ended, f"{page}: {name} has no end"
    where = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {size}, {machine()}."
    page.write_text(f"{before}{start}{table}\n\n{where}\n{END}{after}", encoding="utf-8")


def machine() -> str:
    """Return what a figure depends on."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"


def rows(lines: list[list[str]]) -> str:
    """Write a table; its first line is the head."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rest])
