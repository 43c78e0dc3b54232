"""Every block of code in the README, the documentation and the docstrings runs, on a sandbox.

A page is one story: its blocks share their names, a directory of their own, the environment of an
account, and `client`. In `python`, `await` may stand outside of functions, and a test that is shown
is run as a test; a block that begins with `# name.py` is a file of that name. In `console` each `$`
line is run, and what is shown below it must be printed; so must a `text` block that follows a block
which prints. `...` stands for anything. In `sh` only what installs, tests and builds is not run
here but by the gate; the extras that it names must exist. A `csv` block is the file `people.csv`.
"""

import ast
import asyncio
import doctest
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from sybil import Document, Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import pad
from sybil.integration.pytest import pytest_integration
from sybil.parsers.myst import CodeBlockParser as InMarkdown
from sybil.parsers.rest import CodeBlockParser as InDocstrings

import voxsms
from voxsms.cli import main

ROOT = Path(__file__).parents[1]
Namespace = dict[str, Any]
_PAGE = "_page"
_shows = re.compile(r"\.\.\s*[\w-]*code").search
"""Finds what precedes a block in a docstring: a module without it need not be parsed."""
_EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
_OF_THE_GATE = re.compile(r"(\S*/)?(python3 -m venv|pip install|pytest|sphinx-build|git clone)\b")


class Page:
    """What the blocks of a page share, from the first to the last; a list `people.csv`, too."""

    def __init__(self, namespace: Namespace) -> None:
        self.cleanup = ExitStack()
        self.printed = ""
        self.end_of_last = -1
        self.sandbox = self.cleanup.enter_context(voxsms.sandbox.serve())
        directory = Path(self.cleanup.enter_context(TemporaryDirectory()))
        credentials = self.sandbox.save_credentials(directory / "credentials.json")
        self.environment = {
            "VOXIMPLANT_CREDENTIALS": str(credentials),
            **self.sandbox.env,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.directory = directory
        (directory / "people.csv").write_text("phone,name\n447443332212,Ann\n")
        self.runner = self.cleanup.enter_context(asyncio.Runner())
        client = voxsms.Client(self.sandbox.auth, self.sandbox.url)
        self.cleanup.callback(lambda: self.runner.run(client.aclose()))
        namespace.update(voxsms=voxsms, client=client, sandbox=self.sandbox)

    def run(self, example: Example, work: Callable[[], object]) -> None:
        """Do what a block does, and keep what it prints."""
        printed = StringIO()
        with self.here(), redirect_stdout(printed):
            made = work()
            if inspect.iscoroutine(made):
                self.runner.run(made)
        self.printed, self.end_of_last = printed.getvalue(), example.region.end

    def here(self) -> ExitStack:
        """Return what makes the page's directory and environment the current ones."""
        stack = ExitStack()
        stack.enter_context(chdir(self.directory))
        stack.enter_context(patch.dict(os.environ, self.environment))
        return stack


def run_python(example: Example) -> None:
    """Run a block, then the tests in it, each with a sandbox of its own."""
    page: Page = example.namespace[_PAGE]
    names = example.namespace
    if file := re.match(r"# (\w+\.py)\b", example.parsed):
        (page.directory / file[1]).write_text(example.parsed)
        if file[1].startswith("test_"):
            alone = ["--noconftest", "-p", "voxsms", "-p", "no:cacheprovider", "-W", "error"]
            _run_shell(page, shlex.join([sys.executable, "-m", "pytest", *alone, file[1]]))
            return
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(source, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    page.run(example, lambda: eval(code, names))  # noqa: S307 - ours
    for name in re.findall(r"^(?:async )?def (test_\w+)", example.parsed, re.MULTILINE):
        test = names[name]
        with voxsms.sandbox.serve() as sandbox:
            fixtures = names | {"voxsms_sandbox": sandbox}
            needed = {each: fixtures[each] for each in inspect.signature(test).parameters}
            page.run(example, partial(test, **needed))


def check_printed(example: Example) -> None:
    """Compare a block with what the block right above it printed."""
    page: Page = example.namespace[_PAGE]
    between = example.document.text[page.end_of_last : example.region.start]
    if page.printed and not between.strip():
        _compare(example.parsed, page.printed)


def write_list(example: Example) -> None:
    """Write the list of a page."""
    page: Page = example.namespace[_PAGE]
    (page.directory / "people.csv").write_text(example.parsed)


def run_console(example: Example) -> None:
    """Run each line after a `$`, and compare what is shown below it with what it prints."""
    page: Page = example.namespace[_PAGE]
    parts = re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    for part in parts[1:]:
        command, _, shown = part.replace("\\\n", " ").partition("\n")
        printed = _run_command(page, command, may_fail="voxsms: " in shown)
        if shown.strip():
            _compare(shown, printed)


def run_shell(example: Example) -> None:
    """Run what the gate does not run, and check the extras of what it does."""
    page: Page = example.namespace[_PAGE]
    for command in example.parsed.replace("\\\n", " ").splitlines():
        if _OF_THE_GATE.match(command):
            for extras in re.findall(r"(?:voxsms|\.)\[([\w,]+)\]", command):
                assert set(extras.split(",")) <= set(_EXTRAS)
        elif command.strip() and not command.startswith("#"):
            _run_command(page, command)


def _run_command(page: Page, command: str, *, may_fail: bool = False) -> str:
    """Return what a command of ours prints at a terminal; one that fails shows why."""
    words = shlex.split(command, comments=True)
    if words[0] == "voxsms" and not {"|", ">", "&&"} & set(words):
        printed = StringIO()
        with page.here(), redirect_stdout(printed), redirect_stderr(printed):
            status = main(words[1:])
        assert status == 0 or may_fail, f"{command}\n{printed.getvalue()}"
        return printed.getvalue()
    return _run_shell(page, command)


def _run_shell(page: Page, command: str) -> str:
    shell = ["/bin/bash", "-euo", "pipefail", "-c", command]
    with page.here():
        ran = subprocess.run(shell, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert ran.returncode == 0, f"{command}\n{ran.stderr}"
    return ran.stdout


def _compare(shown: str, printed: str) -> None:
    like = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    alike = doctest.OutputChecker().check_output(
        f"{shown.rstrip()}\n", f"{printed.rstrip()}\n", like
    )
    assert alike, f"shown:\n{shown}\nprinted:\n{printed}"


def _begin(namespace: Namespace) -> None:
    namespace[_PAGE] = Page(namespace)


def _end(namespace: Namespace) -> None:
    namespace[_PAGE].cleanup.close()


def run_docstring(text: str) -> int:
    """Run the blocks of a docstring that a program made, and return how many there are."""
    document = Document(text, "a docstring")
    for region in InDocstrings("python", run_python)(document):
        document.add(region)
    _begin(document.namespace)
    try:
        examples = list(document)
        for example in examples:
            example.evaluate()
    finally:
        _end(document.namespace)
    return len(examples)


pages = Sybil(
    parsers=[
        InMarkdown("python", run_python),
        InMarkdown("console", run_console),
        InMarkdown("sh", run_shell),
        InMarkdown("text", check_printed),
        InMarkdown("csv", write_list),
    ],
    path=str(ROOT),
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    excludes=["docs/_generated/*", "docs/_build/*"],
    setup=_begin,
    teardown=_end,
)
_modules = ROOT / "voxsms"
docstrings = Sybil(
    parsers=[InDocstrings("python", run_python)],
    path=str(_modules),
    patterns=[
        str(m.relative_to(_modules)) for m in _modules.rglob("*.py") if _shows(m.read_text("utf-8"))
    ],
    document_types={".py": PythonDocStringDocument},
    setup=_begin,
    teardown=_end,
)
collect_file = pytest_integration(pages, docstrings)
