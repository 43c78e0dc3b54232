"""The options of every command that calls the service: credentials and URL."""

import os
import re
import shlex
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import Group, Parameter

from voxsms.api.country_codes import DoubtfulNumbers
from voxsms.calls.auth import ServiceAccount
from voxsms.client import BASE_URL, Client
from voxsms.errors import ConnectionFailed, NotSent

_GROUP = Group("Account", sort_key=10)
_PLAIN: Final = re.compile(r"[\w.,:+-]*")
_NOT_OF_THE_URL: Final = re.compile("prox(y|ies)|certificate", re.IGNORECASE)
"""Network problems that another URL does not solve."""


@attrs.frozen(kw_only=True)
class Account:
    """Which account, and where the service is."""

    credentials: Annotated[
        Path | None,
        Parameter(
            group=_GROUP,
            help="A service account's credentials file. Without it: $VOXIMPLANT_CREDENTIALS, or "
            "$VOXIMPLANT_ACCOUNT_ID and $VOXIMPLANT_API_KEY.",
        ),
    ] = None
    base_url: Annotated[
        str | None,
        Parameter(
            group=_GROUP,
            help="Where the service is, such as a sandbox. Without it: $VOXSMS_BASE_URL, or "
            f"{BASE_URL}.",
        ),
    ] = None

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client]:  # noqa: ANN401 - those of Client
        """Open a client; an error that the service cannot be reached names its URL."""
        if self.base_url is not None:
            options["base_url"] = self.base_url
        async with self._client(**options) as client:
            try:
                yield client
            except (ConnectionFailed, NotSent) as error:
                if not _NOT_OF_THE_URL.search(error.problem):
                    url = client.session.base_url
                    error.add_note(f"Looked for at {url}; --base-url changes that.")
                raise

    def _client(self, **options: Any) -> Client:  # noqa: ANN401 - those of Client
        if self.credentials is None:
            return Client.from_env(**options)
        options.setdefault("base_url", os.environ.get("VOXSMS_BASE_URL") or BASE_URL)
        return Client(ServiceAccount.from_file(self.credentials), **options)


@attrs.frozen(kw_only=True)
class Numbers:
    """How phone numbers are written, for commands that take numbers of people."""

    region: Annotated[
        str | None,
        Parameter(help="Accept national numbers of this country: two letters, such as GB."),
    ] = None
    strict_numbers: Annotated[
        bool,
        Parameter(negative=(), help="Refuse numbers that are not possible in their country."),
    ] = False

    @property
    def options(self) -> dict[str, Any]:
        """These options for a client, a list or an estimate."""
        return attrs.asdict(self)

    def find_doubtful(self, place: str) -> DoubtfulNumbers:
        """Return a finder of numbers that were read as numbers of another country."""
        return DoubtfulNumbers(place, spell_option, self.region, strict=self.strict_numbers)


def spell_option(option: str, given: str | int) -> str:
    """Write an option as it is typed."""
    value = str(given)
    name = f"--{option.replace('_', '-')}"
    plain = _PLAIN.fullmatch(value)  # `shlex` quotes everything that is not ASCII
    return f"{name} {value if plain else shlex.quote(value)}" if value else name


OfNumbers = Annotated[Numbers, Parameter(name="*")]
"""The parameters of a command that takes phone numbers of people."""

AS_ABROAD: Final = Numbers()

OfAccount = Annotated[Account, Parameter(name="*")]
"""The parameters of a command that calls the service."""

FROM_ENVIRONMENT: Final = Account()
