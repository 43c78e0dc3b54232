"""Two type checkers infer every result and refuse every slip."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACCEPTED, REJECTED = (ROOT / "tests" / "typing" / f"{n}.py" for n in ("accepted", "rejected"))


def run(*arguments: str) -> str:
    """Run a module of this Python from the project's root; what it finds is in its output."""
    done = subprocess.run(  # noqa: S603 - this Python, our arguments
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def mypy(path: Path, _: Path) -> set[int]:
    """Give the lines in which mypy finds errors."""
    output = run("mypy", "--strict", "--show-absolute-path", str(path))
    assert "(checked 1 source file)" in output or "in 1 source file" in output, output
    found = re.findall(rf"^{re.escape(str(path))}:(\d+): error: ", output, re.MULTILINE)
    assert len(found) == output.count(": error: "), output
    return set(map(int, found))


def basedpyright(path: Path, place: Path) -> set[int]:
    """Give the lines in which basedpyright finds errors."""
    mode = "strict" if path == ACCEPTED else "standard"  # the latter names each slip once
    config = place / "pyrightconfig.json"
    settings = {"include": [str(path)], "extraPaths": [str(ROOT)], "typeCheckingMode": mode}
    config.write_text(json.dumps(settings))
    arguments = ("--project", str(config), "--pythonpath", sys.executable, "--outputjson")
    output = json.loads(run("basedpyright", *arguments))
    assert output["summary"]["filesAnalyzed"] == 1
    found = [each for each in output["generalDiagnostics"] if each["severity"] == "error"]
    assert {each["file"] for each in found} <= {str(path)}
    return {each["range"]["start"]["line"] + 1 for each in found}


def marked(path: Path) -> set[int]:
    """Give the lines that are marked as rejected."""
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# rejected")}


Checker = Callable[[Path, Path], set[int]]


@pytest.mark.parametrize("errors_in", [mypy, basedpyright])
def test_the_results_and_rows_of_every_method_are_inferred(
    errors_in: Checker, tmp_path: Path
) -> None:
    """Each `assert_type` holds: results, rows, their fields."""
    assert errors_in(ACCEPTED, tmp_path) == set()


@pytest.mark.parametrize("errors_in", [mypy, basedpyright])
def test_a_misspelt_a_wrong_and_a_missing_argument_of_each_method_are_refused(
    errors_in: Checker, tmp_path: Path
) -> None:
    """Each marked line has an error, and no other has one."""
    expected = marked(REJECTED)
    assert len(expected) > 40
    assert errors_in(REJECTED, tmp_path) == expected
