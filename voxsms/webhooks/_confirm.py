"""Ask the service about a callback: its signature covers neither the body nor the time."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from voxsms.api.callbacks import A2PActivated, A2PDelivery, Callback, InboundSms
from voxsms.api.models import Direction
from voxsms.api.phone_numbers import digits_or_text
from voxsms.api.statuses import advance
from voxsms.errors import Fault, InvalidRequest

if TYPE_CHECKING:
    from voxsms.client import Client


async def confirm(
    client: "Client", callback: Callback, *, within: timedelta = timedelta(days=1)
) -> bool:
    """Return whether the service confirms what a callback says.

    Ask before a callback makes you do something that costs money. An inbound message is confirmed
    by a history row between the same numbers, with the same text if it was stored; a delivery by
    the message's own row with the same source and destination and a status at least as far; the
    activation of A2P by the account.

    Args:
        client: a client for the account.
        callback: an `InboundSms`, an `A2PDelivery` or an `A2PActivated`.
        within: how far back the history is read for an inbound message.

    Raises:
        InvalidRequest: a callback of another kind, which no method of the service covers.
        VoxSmsError: the service could not be asked.
    """
    match callback:
        case InboundSms():
            asked = _confirm_inbound(client, callback, within)
        case A2PDelivery():
            asked = _confirm_delivery(client, callback)
        case A2PActivated():
            asked = _confirm_activation(client, callback)
        case _:
            problem = f"is a {type(callback).__name__}, which the service cannot be asked about"
            raise InvalidRequest("confirm", (Fault("callback", problem),))
    try:
        return await asked
    except InvalidRequest:
        return False  # the service has no such number and no such id


async def _confirm_activation(client: "Client", callback: A2PActivated) -> bool:
    account = await client.get_account_info()
    return account.a2p_sms_enabled == callback.a2p_enabled


async def _confirm_delivery(client: "Client", callback: A2PDelivery) -> bool:
    page = await client.a2p_get_sms_history(message_id=[callback.id])
    known = {
        digits_or_text(row.destination_number): row.delivery_status
        for row in page.result
        if digits_or_text(row.source_number) == digits_or_text(callback.source_number)
    }
    # A callback may name no destination (contract, section 5).
    told = {digits_or_text(number) for number in callback.destination_numbers} or known.keys()
    statuses = [known.get(number) for number in told]
    return bool(statuses) and all(
        status is not None and advance(callback.status, status) == status for status in statuses
    )


async def _confirm_inbound(client: "Client", callback: InboundSms, within: timedelta) -> bool:
    ask = partial(
        client.get_sms_history,
        source_number=callback.source_number,
        destination_number=callback.destination_number,
        direction=Direction.IN,
    )
    clock = client.session.service_clock
    if clock.now() is None:
        await ask(count=1)  # any answer gives the time; this machine's clock may hide the message
    start = datetime.fromtimestamp(clock.best(), UTC) - within
    async for row in ask(from_date=start):
        if row.text is None or row.text == callback.sms_body:
            return True
    return False
