"""The program: its commands, and what happens around each of them."""

import os
import sys
from collections.abc import Sequence
from typing import cast

from cyclopts import App, Group

from voxsms._version import __version__
from voxsms.cli import (
    counting,
    demo,
    estimating,
    exporting,
    history,
    looking,
    prices,
    sandbox,
    sending,
    show,
    streams,
)
from voxsms.cli.endings import Exit, ending_of

_HELP = """Voximplant's SMS API, with the price told first and no message sent twice.

`voxsms demo` shows it all, without an account. `voxsms COMMAND --help` tells more of a command.

Exit status: 0 done, 1 refused or failed, 2 called wrongly (nothing was sent), 3 a message may have
been sent and no answer told.
"""

app = App(
    name="voxsms",
    help=_HELP,
    version=__version__,
    group_commands=Group("About", sort_key=3),
    suppress_keyboard_interrupt=False,  # cyclopts would end the program without a word
)
for room in (demo, counting, estimating, sending, history, exporting, looking, prices, sandbox):
    room.add_to(app)


def run(tokens: Sequence[str]) -> int:
    """Run a command and give its exit status."""
    with streams.ready():
        try:
            return _status_of(tokens)
        except BrokenPipeError:
            # What is still in the buffer would make Python complain once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.NOBODY_READS


def _status_of(tokens: Sequence[str]) -> int:
    try:
        status = app(
            tokens,
            exit_on_error=False,
            print_error=False,
            verbose=False,
            result_action="return_value",
        )
        sys.stdout.flush()
        return cast("int | None", status) or Exit.DONE
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        ending = ending_of(error)
        if ending is None:
            raise
        show.complain(ending.words(error), ending.advice(error))
        return ending.status
