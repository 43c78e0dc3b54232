"""`--install-completion`: commands and options that the shell completes."""

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.completion.detect import ShellDetectionError

from voxsms.cli import _io as io
from voxsms.cli._errors import Usage
from voxsms.cli.app import app


def install(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        Parameter(help="The shell; by default the one that you use."),
    ] = None,
) -> None:
    """Have your shell complete the commands and options of voxsms when you press Tab."""
    try:
        path = app.install_completion(shell=shell)
    except ShellDetectionError:
        raise Usage("your shell is not one that is known: name it with --shell bash") from None
    io.say(f"It is in {path}; a new shell has it.")
