"""What is uploaded for a release: its contents, its page on PyPI, its version."""

import re
import subprocess
import sys
import tarfile
import tomllib
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

import voxsms

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def build(source: Path, kind: str, target: Path) -> Path:
    """Build the wheel or the sdist of a tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)  # noqa: S603 - ours
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the source distribution."""
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Give what a package index is told."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    """No tests and no documentation are installed; types, command and pytest plugin are."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = f"voxsms-{voxsms.__version__}.dist-info"
        entry_points = archive.read(f"{about}/entry_points.txt").decode()
    package = {name for name in names if name.startswith("voxsms/")}
    files = (path for path in (ROOT / "voxsms").rglob("*") if path.is_file())
    assert package == {
        str(path.relative_to(ROOT)) for path in files if path.parent.name != "__pycache__"
    }
    assert "voxsms/py.typed" in package
    assert not [name for name in package if "test" in name and name != "voxsms/testing.py"]
    rest = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert names - package == {f"{about}/{name}" for name in rest}
    assert "[console_scripts]\nvoxsms = voxsms.cli:main" in entry_points
    assert "[pytest11]\nvoxsms = voxsms.testing" in entry_points


def test_the_source_distribution_builds_the_same_wheel(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    """Who builds from source has the bytes that are uploaded, and the tests and pages beside."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert build(source, "wheel", tmp_path / "built").read_bytes() == wheel.read_bytes()
    tops = {path.name for path in source.iterdir()} - {".gitignore", "PKG-INFO"}
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert tops == {"pyproject.toml", *named["targets"]["sdist"]["include"]}
    assert not [path for path in source.rglob("*") if path.name in ("_build", "_generated")]


def test_a_package_index_takes_and_shows_it(sdist: Path, wheel: Path, metadata: Message) -> None:
    """The README renders there, and what it links to is not looked for beside it."""
    check = [sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)]
    ran = subprocess.run(check, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    assert ran.returncode == 0, ran.stdout + ran.stderr
    targets = re.findall(r"\]\(([^)]+)\)", str(metadata.get_payload()))
    assert len(targets) == len(re.findall(r"\]\(", (ROOT / "README.md").read_text("utf-8")))
    assert not [target for target in targets if not target.startswith("https://")]
    source = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))["Source"]
    of_project = [target for target in targets if "github" in target]
    raw = source.replace("//github.com", "//raw.githubusercontent.com")
    assert all(target.startswith((f"{source}/", f"{raw}/")) for target in of_project)


def test_the_newest_version_in_the_changelog_is_this_one() -> None:
    """A release cannot be cut whose changes are not written down, with their day."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(voxsms.__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])
