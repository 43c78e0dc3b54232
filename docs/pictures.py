"""Rebuild the README's pictures, each from a real run: `python docs/pictures.py`."""

import os
import re
import subprocess
import sys
import termios
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).parent / "_static"
COMMANDS = (
    (90, "count", "Don’t forget: the doctor expects you on Monday at 9 am, Station Road 12"),
    (100, "demo"),
)
"""The columns of each picture, and the command."""


def main() -> None:
    """Run each command, and save its output."""
    for width, *words in COMMANDS:
        shown = run_in_terminal(width, [sys.executable, "-m", "voxsms", *map(str, words)])
        console = Console(record=True, width=width, file=StringIO())
        console.print(Text.from_ansi(shown.strip()))
        console.save_svg(str(TARGET / f"{words[0]}.svg"), title=f"voxsms {words[0]}")


def run_in_terminal(width: int, command: list[str]) -> str:
    """Run a command in a terminal, and return what it shows at the end."""
    terminal, its_side = os.openpty()
    termios.tcsetwinsize(its_side, (100, width))
    environment = os.environ | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, env=environment, stdin=its_side, stdout=its_side) as process:  # noqa: S603 - our own
        os.close(its_side)
        shown = b""
        with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as output:  # EIO is the end
            while part := output.read(65536):
                shown += part
    assert process.returncode == 0
    text = re.sub(r"\x1b\[\?\d+[hl]", "", shown.decode())  # the cursor, hidden and shown
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\r\x1b[2K")[2] for line in lines)  # a bar is redrawn often


if __name__ == "__main__":
    main()
