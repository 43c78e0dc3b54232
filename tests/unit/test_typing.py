"""Two type checkers infer every result and refuse every slip."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]
BOTH = ACCEPTED, REJECTED = [
    ROOT / "tests" / "typing" / f"{n}.py" for n in ("accepted", "rejected")
]
STRICT = {"typeCheckingMode": "strict"}
Slip = tuple[Path, int]
"""A line with an error."""


def run(*arguments: str) -> str:
    """Run a module of this Python from the project's root; what it finds is in its output."""
    done = subprocess.run(  # noqa: S603 - this Python, our arguments
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def mypy(_: Path) -> set[Slip]:
    """Return where mypy finds errors."""
    output = run("mypy", "--strict", "--show-absolute-path", *map(str, BOTH))
    assert "in 2 source files" in output or "(checked 2 source files)" in output, output
    found = re.findall(r"^(.+):(\d+): error: ", output, re.MULTILINE)
    assert len(found) == output.count(": error: "), output
    return {(Path(path), int(line)) for path, line in found}


def basedpyright(place: Path) -> set[Slip]:
    """Return where basedpyright finds errors."""
    config = place / "pyrightconfig.json"
    include = [*map(str, BOTH)]
    config.write_text(json.dumps({"include": include, "extraPaths": [str(ROOT)]} | STRICT))
    arguments = ("--project", str(config), "--pythonpath", sys.executable, "--outputjson")
    output = json.loads(run("basedpyright", *arguments))
    assert output["summary"]["filesAnalyzed"] == 2
    found = [each for each in output["generalDiagnostics"] if each["severity"] == "error"]
    return {(Path(each["file"]), each["range"]["start"]["line"] + 1) for each in found}


def marked(path: Path) -> set[int]:
    """Give the lines that are marked as rejected."""
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# rejected")}


@pytest.mark.parametrize("errors_by", [mypy, basedpyright])
def test_every_result_is_inferred_and_every_slip_refused(
    errors_by: Callable[[Path], set[Slip]], tmp_path: Path
) -> None:
    """Each `assert_type` of one file holds: results, rows, their fields, of every method.

    Each marked line of the other, with a misspelt, a wrong or a missing argument, has an error;
    no other line has one.
    """
    expected = marked(REJECTED)
    assert len(expected) > 40
    assert errors_by(tmp_path) == {(REJECTED, line) for line in expected}
