"""The reference has every public name, and what it renders is the program's own."""

import ast
import importlib.util
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from documents import run_docstring

import voxsms
from voxsms.api import fault_codes, spec
from voxsms.outbox import TRANSITIONS, State
from voxsms.sandbox import KINDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def render() -> ModuleType:
    """Return the module that renders the reference."""
    place = importlib.util.spec_from_file_location("render", DOCS / "render.py")
    assert place is not None
    assert place.loader is not None
    module = sys.modules["render"] = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference_once(render: ModuleType) -> None:
    """A user finds whatever can be imported, by the shortest name that it has."""
    shown = [name for names in render.documented().values() for name in names]
    assert len(shown) == len(set(shown))
    names = {f"voxsms.{name}" for name in voxsms.__all__ if name != "__version__"}
    assert names - set(shown) == set(), "docs/render.py has no page for these (PAGES)"
    short = {id(getattr(voxsms, name)) for name in voxsms.__all__}
    for door in render.DOORS:
        module = import_module(f"voxsms.{door}")
        own = {f"voxsms.{door}.{n}" for n in module.__all__ if id(getattr(module, n)) not in short}
        assert own - set(shown) == set(), "docs/render.py has no page for these (PAGES)"


@pytest.mark.slow
@pytest.mark.once
def test_each_rendered_part_is_on_a_page(render: ModuleType, tmp_path: Path) -> None:
    """Nothing is rendered that nobody can open, and no page includes what is not there."""
    render.write_all(tmp_path)
    written = [page for page in DOCS.rglob("*.md") if page.parent.name != "_generated"]
    pages = "".join(page.read_text("utf-8") for page in written)
    for part in tmp_path.iterdir():
        assert f"{{include}} ../_generated/{part.name}\n" in pages


def test_the_states_of_an_outbox_are_drawn_as_the_code_has_them(render: ModuleType) -> None:
    """Each state is a box within the drawing, each step an arrow, and all stands in words, too."""
    drawing = render.state_diagram()
    assert render.PLACES.keys() == {*State}
    told = drawing[drawing.index("<desc") : drawing.index("</desc>")]
    for event, (before, after) in TRANSITIONS.items():
        for state in before:
            assert f"{state} to {after}: " in told
        assert event.name.lower().replace("_", " ") in told
        assert f"| {event.name.lower()} | {event.value} | " in render.transition_table()
    steps = {(state, after) for before, after in TRANSITIONS.values() for state in before}
    assert drawing.count("marker-end") == len(steps)


@pytest.mark.unmeasured
@pytest.mark.slow
@pytest.mark.once
def test_what_is_rendered_names_every_row(render: ModuleType) -> None:
    """Each method, code, fault and command of the program is in the reference."""
    for method in spec.TABLE:
        assert f"`{method.cmd}`" in render.method_table()
    for code in fault_codes.CODES:
        assert f"| {code} |" in render.code_table()
    for kind in KINDS:
        assert f"`{kind}`" in render.fault_table()
    assert render.error_tree().count("──") == len(render.documented()["errors"]) - 2
    for command in ("a2p", "count", "estimate", "history", "mail", "outbox", "sandbox"):
        assert f"## {command}\n" in render.command_help()


def test_what_help_shows_of_each_call_runs() -> None:
    """Who copies the example from `help(client.a2p_send_sms)` has a call that works."""
    names = {name for name in dir(voxsms.Client) if re.search("sms|^get_", name)}
    assert len(names) == len(spec.TABLE) + 2  # the downloads
    order = sorted(names, key=lambda name: name != "control_sms")  # before a number can send
    shown = [inspect.getdoc(getattr(voxsms.Client, name)) or "" for name in order]
    assert run_docstring("\n\n".join(shown)) == len(names)


@pytest.mark.slow
@pytest.mark.once
def test_all_code_in_docstrings_is_marked() -> None:
    """An example that is only indented would be run by no test."""
    marked = 0
    for path in Path(voxsms.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                continue
            above = ""
            for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                if above == ".. code-block:: python":
                    marked += 1
                elif above and paragraph.startswith("    ") and not above.startswith("    "):
                    assert not _is_code(paragraph), f"{path.name}: {paragraph}"
                above = paragraph
    assert marked > 10


def _is_code(paragraph: str) -> bool:
    try:
        ast.parse("async def example():\n" + paragraph)
    except SyntaxError:
        return False
    return True
