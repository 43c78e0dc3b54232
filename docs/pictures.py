"""Make the pictures of the README again, each from a real run: `python docs/pictures.py`."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).parent / "_static"
COMMANDS = (
    (90, "count", "Don’t forget: the doctor expects you on Monday at 9 am, Station Road 12"),
    (140, "demo"),
)
"""The columns of each picture, and the command."""


def main() -> None:
    """Run each command in colour, and save what it prints."""
    for width, *words in COMMANDS:
        environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(width)}
        command = [sys.executable, "-m", "voxsms", *map(str, words)]
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
        console = Console(record=True, width=width, file=StringIO())
        console.print(Text.from_ansi(ran.stdout.decode()))
        console.save_svg(str(TARGET / f"{words[0]}.svg"), title=f"voxsms {words[0]}")


if __name__ == "__main__":
    main()
