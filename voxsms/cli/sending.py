"""`send`, `a2p`, `control`: the commands that do something to the world."""

from collections.abc import Iterable

from cyclopts import App
from rich.table import Table

from voxsms.api import spec
from voxsms.api.models import A2PSendSmsResult, FailedSms, SendSmsMessageResult, SmsCommand
from voxsms.cli import show
from voxsms.cli.account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli.mirror import Given, mirror
from voxsms.cli.show import Json
from voxsms.cli.texts import NONE_YET, OfText


async def send(
    words: OfText = NONE_YET,
    *,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one message between two numbers."""
    text = words.read()
    async with account.client() as client:
        sent = await client.send_sms_message(sms_body=text, **given)
    if json:
        show.print_json(sent)
        return
    name = "" if sent.message_id is None else f" {sent.message_id}"
    show.say(("sent", show.GOOD), f": message{name}, ", *fragments(sent))


async def a2p(
    words: OfText = NONE_YET,
    *,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one text to many numbers."""
    text = words.read(before="--to")
    async with account.client() as client:
        sent = await client.a2p_send_sms(text=text, **given)
    if json:
        show.print_json(sent)
    else:
        _print_a2p(sent)
    sent.raise_if_failed()


def _print_a2p(sent: A2PSendSmsResult) -> None:
    show.say(("accepted", show.GOOD), f": {len(sent.result)}, each ", *fragments(sent))
    accepted = show.rows_of("message", "to")
    for message in sent.result:
        accepted.add_row(str(message.message_id), message.destination_number)
    show.out().print(accepted)
    if sent.failed:
        show.say(("refused", show.BAD), f": {len(sent.failed)}")
        show.out().print(refusals(sent.failed))


def refusals(refused: Iterable[FailedSms]) -> Table:
    """Give the numbers that were refused, each with its reason."""
    table = show.rows_of("to", "code", "reason")
    for failed in refused:
        reason = show.visible(failed.error_description)
        table.add_row(failed.destination_number, str(failed.error_code), reason)
    return table


def fragments(sent: SendSmsMessageResult | A2PSendSmsResult) -> list[str | tuple[str, str]]:
    """Say how many fragments the service made, beside how many were predicted."""
    counted, predicted = sent.fragments_count, sent.predicted_fragments_count
    style = show.GOOD if counted == predicted else show.BAD
    return [show.number(counted, "fragment"), (f" (predicted: {predicted})", style)]


async def control(
    *, json: Json = False, account: OfAccount = FROM_ENVIRONMENT, **given: Given
) -> None:
    """Enable or disable SMS for a number."""
    async with account.client() as client:
        done = await client.control_sms(**given)
    if json:
        show.print_json(done)
        return
    state = "enabled" if given["command"] is SmsCommand.ENABLE else "disabled"
    show.say("SMS is ", (state, show.GOOD), f" for {given['phone_number']}")


def add_to(app: App) -> None:
    """Add these commands to the program."""
    mirror(app, spec.SEND_SMS_MESSAGE, "send", send)
    mirror(app, spec.A2P_SEND_SMS, "a2p", a2p)
    mirror(app, spec.CONTROL_SMS, "control", control)
