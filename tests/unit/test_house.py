"""The order of the house: imports go down the floors only, each library stays in its room."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

import voxsms

pytestmark = pytest.mark.once

ROOT = Path(str(voxsms.__file__)).parent

# Each room and the floor it stands on; a room may use those of its own floor and those below.
FLOORS = {
    "_credentials": 0,
    "_sqlite": 0,
    "_version": 0,
    "clock": 0,
    "errors": 0,
    "masking": 0,
    "text": 0,
    "api": 1,
    "pricing": 1,
    "recipients": 2,
    "webhooks": 2,
    "calls": 3,
    "transport": 3,
    "client": 4,
    "sandbox": 4,
    "export": 5,
    "outbox": 5,
    "testing": 5,
    "cli": 6,
    "__main__": 7,
    "": 7,  # the package itself
}
STRANGERS = [
    ("client", "sandbox"),  # the two sides of the wire never see each other
    ("sandbox", "client"),
    ("sandbox", "calls.session"),
    ("sandbox", "calls.loop"),
    ("sandbox", "calls.hooks"),
    ("sandbox", "calls.download"),
    ("sandbox", "calls.paging"),
    ("sandbox", "calls.service_clock"),
    ("sandbox", "transport"),
]
"""Rooms that could use each other by their floors and must not."""

# Where each library may be imported; `*` is everywhere.
LIBRARIES: dict[str, set[str]] = {
    "aiohttp": {"transport._aiohttp"},
    "anyio": {"*"},
    "attrs": {"*"},
    "cattrs": {"api.decode"},
    "cryptography": {"calls.auth", "sandbox"},
    "cyclopts": {"cli"},
    "httpx": {"transport", "client"},  # the client's, for the type of a user's own
    "jwt": {"calls.auth", "sandbox"},
    "msgspec": {"api.fast_decode", "export"},
    "multidict": {"transport._aiohttp"},
    "openpyxl": {"recipients._excel"},
    "orjson": {"*"},
    "phonenumbers": {"api.phone_numbers", "outbox._guards"},
    "procrastinate": {"outbox"},
    "psycopg": {"outbox"},
    "pyarrow": {"export"},
    "pytest": {"testing"},
    "regex": {"text"},
    "rich": {"cli"},
    "starlette": {"sandbox", "webhooks"},
    "uvicorn": {"sandbox", "cli", "testing"},
    "xlsxwriter": {"export"},
    "yarl": {"transport._aiohttp"},
}
PURE = ("text", "api", "pricing", "errors", "masking")
IMPURE = {"socket", "asyncio", "random", "time", "threading", "subprocess", "anyio", "httpx"}


@attrs.frozen
class Import:
    """One import: from which module, of what, and whether only type checkers see it."""

    module: str
    name: str
    for_types: bool

    @property
    def room(self) -> str:
        """The part of voxsms it stands in."""
        return self.module.split(".")[0]

    @property
    def inside(self) -> str | None:
        """The module of voxsms that is imported; None if it is a library's."""
        if self.name == "voxsms" or self.name.startswith("voxsms."):
            return self.name.removeprefix("voxsms").removeprefix(".")
        return None


def name_of(path: Path) -> str:
    """Give a file's module, without `voxsms.`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def found_in(node: ast.AST, *, for_types: bool = False) -> Iterator[tuple[str, bool]]:
    """Walk a tree and give the name of each import."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for part in node.body:
            yield from found_in(part, for_types="not " not in ast.unparse(node.test))
        for part in node.orelse:
            yield from found_in(part, for_types=for_types)
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, for_types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        assert node.module is not None
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            is_module = whole.removeprefix("voxsms.") in MODULES
            yield (whole if is_module else node.module), for_types
    for child in ast.iter_child_nodes(node):
        yield from found_in(child, for_types=for_types)


@cache
def imports() -> list[Import]:
    """Give all imports of the package."""
    return [
        Import(module, name, for_types)
        for module, path in MODULES.items()
        for name, for_types in found_in(ast.parse(path.read_text()))
    ]


def at_run_time() -> list[Import]:
    """Give the imports that not only type checkers see."""
    return [found for found in imports() if not found.for_types]


def test_every_room_has_a_floor() -> None:
    """A new part of the package is given its place here."""
    assert {module.split(".")[0] for module in MODULES} <= FLOORS.keys()
    assert len(at_run_time()) > 300


def test_the_floors_are_those_that_a_newcomer_reads() -> None:
    """The map in CONTRIBUTING.md shows each room with its floor."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
    shown: dict[str, int] = {}
    rooms: list[str] = []
    for line in text.partition("voxsms/\n")[2].partition("```")[0].splitlines():
        names = re.match(r"  ((?:\w+(?:/|\.py) +)+)", line)
        rooms += [] if names is None else re.findall(r"(\w+)(?:/|\.py)", names[1])
        if floor := re.search(r"floor (\d)$", line):
            shown |= dict.fromkeys(rooms, int(floor[1]))
            rooms = []
    assert shown == {room: FLOORS[room] for room in FLOORS.keys() - {"", "__main__", "_version"}}


def test_imports_go_down() -> None:
    """No room uses one above it; what only type checkers see is not counted."""
    upward = [
        f"{found.module} imports {found.name}"
        for found in at_run_time()
        if found.inside is not None and FLOORS[found.inside.split(".")[0]] > FLOORS[found.room]
    ]
    assert upward == []


@pytest.mark.parametrize(("room", "stranger"), STRANGERS)
def test_some_rooms_never_see_each_other(room: str, stranger: str) -> None:
    """Not even for types."""
    seen = [
        f"{found.module} imports {found.name}"
        for found in imports()
        if found.room == room and found.inside is not None and found.inside.startswith(stranger)
    ]
    assert seen == []


def test_there_are_no_circles() -> None:
    """Of no two modules does each need the other, at whatever time."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in at_run_time():
        if found.inside is not None and found.inside != found.module:
            graph[found.module].add(found.inside)
    try:
        order = [*TopologicalSorter(graph).static_order()]
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))
    assert len(order) == len(MODULES)


def test_nothing_inside_is_taken_from_the_public_surface() -> None:
    """Code of the package imports from where a thing stands, never from `voxsms` itself."""
    taken = [f.module for f in imports() if f.inside == "" and f.module != ""]
    assert taken == []


def library_of(found: Import) -> str | None:
    """Give the third-party library of an import."""
    top = found.name.split(".")[0]
    return None if found.inside is not None or top in sys.stdlib_module_names else top


def test_each_library_stays_in_its_room() -> None:
    """So that each could be replaced by changing one place."""
    astray = [
        f"{found.module} imports {found.name}"
        for found in imports()
        if (library := library_of(found))
        and not any(
            room == "*" or f"{found.module}.".startswith(f"{room}.")
            for room in LIBRARIES.get(library, ())
        )
    ]
    assert astray == []


def test_what_is_pure_stays_pure() -> None:
    """No clock, socket, randomness or await in text, api, pricing and the errors."""
    impure = [
        f"{found.module} imports {found.name}"
        for found in at_run_time()
        if found.room in PURE and found.name.split(".")[0] in IMPURE
    ]
    # A budget is shared by threads: a lock reads no clock and asks nobody.
    assert impure == ["pricing._budget imports threading"]


ONE_STORY = {"calls.loop", "client", "outbox._chunks"}
"""What is longer than others, as it is read from top to bottom."""


@pytest.mark.parametrize("module", MODULES)
def test_every_file_can_be_read(module: str) -> None:
    """It says what it is in its first line, and is not too long to be read."""
    path = MODULES[module]
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"
    assert path.stat().st_size <= (24_000 if module in ONE_STORY else 18_000)
