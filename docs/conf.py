"""Configuration of the site: `sphinx-build -n -W docs docs/_build`, without a network.

`render.py` renders parts of pages from the code, so that they cannot fall behind.
"""

import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils.nodes import Element, Node
from pygments.lexers.special import TextLexer
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import voxsms

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
render: ModuleType = import_module("render")

project = "voxsms"
author = "the voxsms contributors"
project_copyright = author
version = release = voxsms.__version__
html_title = f"voxsms {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_show_sourcelink = False
html_use_index = html_domain_indices = False  # nothing links to them; there is a search
default_role = "py:obj"  # backticked names are linked if they are public
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated", "examples"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
suppress_warnings = ["ref.python"]  # `result` in backticks may be a field of several records
nitpick_ignore_regex = [
    # There are no inventories of other projects: names outside voxsms cannot be linked.
    (r"py:.*", r"(?!voxsms\.).*"),
    (r"py:obj", r".*"),
    # Internal names in signatures, which nobody imports: type variables, bases and parameters.
    (r"py:class", r"voxsms\..*\.(R|Row|E|P|T)"),
    (r"py:class", r"voxsms\..*\._\w+(\.\w+)?"),
    (r"py:class", r"voxsms\.(api|calls)\..*\.(Answer|AsyncWriter|Auth|MethodSpec|Record|Signer)"),
    (r"py:class", r"voxsms\.(errors\.(PartialResult|Refusal)|client\.ClientOptions)"),
]
PUBLIC = ("voxsms", *(f"voxsms.{door}" for door in render.DOORS))
"""The doors, in the order in which a name is looked up."""


def public_name(target: str) -> str | None:
    """Return the documented name of an object that a signature names by its module."""
    name = target.rpartition(".")[2]
    for door in PUBLIC:
        module = import_module(door)
        if name in module.__all__:
            return f"{module.__name__}.{name}"
    return None


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: Element) -> Node | None:
    """Link a name of a private module to the public one."""
    name = public_name(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or name is None or name == node["reftarget"]:
        return None
    domain: Any = env.domains["py"]
    found: Node | None = domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", name, node, text
    )
    return found


def protect(plain: dict[str, list[str]], _: Sphinx, kind: str, name: str, *given: object) -> None:
    """Keep an attribute's docstring whole if napoleon would read it as `type: description`."""
    *_others, lines = given
    if kind in {"attribute", "data", "property"} and isinstance(lines, list):
        lines[:] = plain.setdefault(name, [*lines])


def setup(app: Sphinx) -> None:
    """Render the generated parts, and link public names."""
    render.write_all(HERE / "_generated")
    protecting = partial(protect, {})
    for priority in (400, 600):  # before napoleon, and after
        app.connect("autodoc-process-docstring", protecting, priority=priority)
    app.connect("missing-reference", resolve)
    app.add_lexer("csv", TextLexer)
