"""`receive`: send a message to a number of a running sandbox, as a person would."""

import json as json_
import os
import re
from http.client import HTTPException
from typing import Annotated, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from cyclopts import Parameter

from voxsms.cli import _io as io
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import NO_TEXT, Json, OfText

_PATIENCE: Final = 30
"""Seconds that a sandbox may take."""
_SANDBOX: Final = re.compile(r"https?://(?![^/]*voximplant\.com)")
_HOW: Final = "`voxsms sandbox` runs one, and prints its URL for VOXSMS_BASE_URL or --base-url"


def receive(
    source: Annotated[str, Parameter(name="FROM", help="The number that sends it.")],
    destination: Annotated[
        str, Parameter(name="TO", help="The number of the sandbox that receives it.")
    ],
    /,
    words: OfText = NO_TEXT,
    *,
    base_url: Annotated[
        str | None, Parameter(help="Where the sandbox is. Without it: $VOXSMS_BASE_URL.")
    ] = None,
    json: Json = False,
) -> None:
    """Send a message to a number of a sandbox, which posts it to its --callback-url."""
    url = (base_url or os.environ.get("VOXSMS_BASE_URL", "")).rstrip("/")
    if not _SANDBOX.match(url):
        raise Usage(f"no sandbox URL is given: {_HOW}")
    form = {"source": source, "destination": destination, "text": words.read()}
    answer = _post(f"{url}/sandbox/receive", urlencode(form).encode())
    if json:
        io.print_json(answer)
    elif answer["callback_url"]:
        io.say(
            ("arrived", io.GOOD),
            f": message {answer['message_id']}, to be posted to ",
            answer["callback_url"],
        )
    else:
        io.say(("recorded", io.GOOD), f": message {answer['message_id']}")
        io.complain("nothing was posted: the sandbox was started without --callback-url")


def _post(url: str, body: bytes) -> dict[str, Any]:
    opener = build_opener(ProxyHandler({}))  # a sandbox is on this machine or the next one
    try:
        with opener.open(url, body, _PATIENCE) as answer:
            found: dict[str, Any] = json_.load(answer)
            return found
    except HTTPError as error:
        problem = _problem_in(error.read())
        if problem is None:
            raise Failed(f"{url} answers HTTP {error.code}: is it a sandbox? {_HOW}") from None
        raise Usage(problem) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Failed(
            f"{url} cannot be reached ({getattr(error, 'reason', error)}): {_HOW}"
        ) from None


def _problem_in(body: bytes) -> str | None:
    try:
        return str(json_.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        return None
