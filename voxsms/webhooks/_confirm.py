"""Whether the service knows of a callback: its signature covers neither the body nor the time."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from voxsms.api.callbacks import A2PActivated, A2PDelivery, Callback, InboundSms
from voxsms.api.models import Direction
from voxsms.api.statuses import advance
from voxsms.errors import Fault, InvalidRequest

if TYPE_CHECKING:
    from voxsms.client import Client


async def confirm(
    client: "Client", callback: Callback, *, within: timedelta = timedelta(days=1)
) -> bool:
    """Return whether the service confirms what a callback says.

    Ask before something that costs money is done for it. An inbound message is confirmed by a row
    of the history between the same numbers, with the same text where it was stored; a delivery
    status by the message's own row, which is as far or further; the activation of A2P by the
    account.

    Args:
        client: the client of the account.
        callback: an `InboundSms`, an `A2PDelivery` or an `A2PActivated`.
        within: how far back the history is read for an inbound message.

    Raises:
        InvalidRequest: a callback of another kind, of which no method of the service tells.
        VoxSmsError: the service could not be asked.
    """
    match callback:
        case InboundSms():
            return await _confirm_inbound(client, callback, within)
        case A2PDelivery():
            page = await client.a2p_get_sms_history(message_id=[callback.id], count=1)
            known = page.result[0].delivery_status if page.result else None
            return known is not None and advance(callback.status, known) == known
        case A2PActivated():
            account = await client.get_account_info()
            return account.a2p_sms_enabled == callback.a2p_enabled
        case _:
            problem = f"is a {type(callback).__name__}, which the service cannot be asked about"
            raise InvalidRequest("confirm", (Fault("callback", problem),))


async def _confirm_inbound(client: "Client", callback: InboundSms, within: timedelta) -> bool:
    ask = partial(
        client.get_sms_history,
        source_number=callback.source_number,
        destination_number=callback.destination_number,
        direction=Direction.IN,
    )
    clock = client.session.service_clock
    if clock.now() is None:
        await ask(count=1)  # any answer tells the time; this machine's clock may hide the message
    start = datetime.fromtimestamp(clock.best(), UTC) - within
    async for row in ask(from_date=start):
        if row.text is None or row.text == callback.sms_body:
            return True
    return False
