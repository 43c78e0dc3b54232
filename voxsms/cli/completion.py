"""`--install-completion`: completion of commands and options in the shell."""

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
        Parameter(help="The shell; by default yours."),
    ] = None,
) -> None:
    """Make your shell complete the commands and options of voxsms when you press Tab."""
    try:
        path = app.install_completion(shell=shell)
    except ShellDetectionError:
        raise Usage("your shell is not known: name it, such as --shell bash") from None
    io.say(f"Installed in {path}; start a new shell to use it.")
