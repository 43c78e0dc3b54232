"""The options of every command that calls the service: with which credentials, and where."""

import os
from asyncio import CancelledError
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
from cyclopts import Group, Parameter

from voxsms.calls.auth import ServiceAccount
from voxsms.calls.hooks import CallEvent
from voxsms.client import BASE_URL, Client
from voxsms.errors import ConnectionFailed, NotSent

_GROUP = Group("Account", sort_key=10)


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
    async def client(self) -> AsyncGenerator[Client]:
        """Give a client; an interruption that leaves a message in doubt ends in that doubt."""
        ended: list[CallEvent] = []
        async with self._client(on_outcome=ended.append) as client:
            try:
                yield client
            except (ConnectionFailed, NotSent) as error:
                error.add_note(f"Looked for at {client.session.base_url}; --base-url changes that.")
                raise
            except CancelledError:
                # Ctrl-C. That a message may have been sent is the greater news.
                for event in ended:
                    if event.doubt:
                        raise event.doubt from None
                raise

    def _client(self, **options: Any) -> Client:  # noqa: ANN401 - those of Client
        if self.base_url is not None:
            options["base_url"] = self.base_url
        if self.credentials is None:
            return Client.from_env(**options)
        options.setdefault("base_url", os.environ.get("VOXSMS_BASE_URL") or BASE_URL)
        return Client(ServiceAccount.from_file(self.credentials), **options)


OfAccount = Annotated[Account, Parameter(name="*")]
"""The parameters of a command that calls the service."""

FROM_ENVIRONMENT: Final = Account()
