"""`send`, `a2p`, `control`: the commands that change something at the service."""

from collections.abc import Iterable
from typing import Final

from voxsms.api import spec
from voxsms.api.codec import numbers_in_doubt
from voxsms.api.models import A2PSendSmsResult, FailedSms, SendSmsMessageResult, SmsCommand
from voxsms.cli import _io as io
from voxsms.cli._account import AS_ABROAD, FROM_ENVIRONMENT, OfAccount, OfNumbers
from voxsms.cli._errors import SENDS, Exit, InDoubt
from voxsms.cli._io import NO_TEXT, Json, OfText
from voxsms.cli._mirror import Given, mirror
from voxsms.cli._spending import NO_LIMIT, OfSpending, Yes, check, may_send

_AS_WRITTEN: Final = "is sent as written: nothing is filled in"


@mirror(spec.SEND_SMS_MESSAGE)
async def send(
    words: OfText = NO_TEXT,
    *,
    spending: OfSpending = NO_LIMIT,
    numbers: OfNumbers = AS_ABROAD,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one message from a number of yours to one person, who can answer.

    For conversations, and for codes and reminders to a single person. The number must be one that
    you rent (`voxsms numbers`) with SMS enabled (`voxsms control NUMBER enable`). A long text is
    cut into fragments, each charged as a message: `voxsms count TEXT` shows them.
    """
    text, sends, method = words.read(), SENDS.get(), spec.SEND_SMS_MESSAGE
    given["sms_body"] = text
    io.warn_of_placeholders(text, _AS_WRITTEN)
    async with account.client(on_outcome=sends.calls.append, **numbers.options) as client:
        to = check(client, method, given, numbers)
        if not await may_send(client, method, text, to, spending, json=json):
            return
        sent = await sends.watch(method, client.send_sms_message(**given))
        if json:
            io.print_json(sent)
            return
        name = "" if sent.message_id is None else f" {sent.message_id}"
        io.say(("sent", io.GOOD), f": message{name}, ", *fragments(sent))


@mirror(spec.A2P_SEND_SMS)
async def a2p(
    words: OfText = NO_TEXT,
    *,
    spending: OfSpending = NO_LIMIT,
    yes: Yes = False,
    numbers: OfNumbers = AS_ABROAD,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one text to up to 100 people in your company's name; they cannot answer.

    For announcements, offers, reminders and codes. The name, such as ACME, is a SenderID that
    Voximplant has installed for you. Each number is charged, for each fragment of a long text.
    You are asked before more than one message is charged; `--yes` sends without asking. For longer
    lists: `voxsms estimate --csv FILE` shows the price.
    """
    text, sends, method = words.read(before="--to"), SENDS.get(), spec.A2P_SEND_SMS
    given["text"] = text
    io.warn_of_placeholders(text, _AS_WRITTEN)
    async with account.client(on_outcome=sends.calls.append, **numbers.options) as client:
        to = check(client, method, given, numbers)
        if not await may_send(client, method, text, to, spending, asks=not yes, json=json):
            return
        sent = await sends.watch(method, client.a2p_send_sms(**given))
        doubts = len(numbers_in_doubt(sent, to))
        if doubts:
            sends.status = Exit.UNKNOWN
        if json:
            io.print_json(sent)
        else:
            _print_a2p(sent)
    if doubts:
        raise InDoubt(f"the answer does not say what became of {doubts} of {len(to)} numbers")
    sent.raise_if_failed()


def _print_a2p(sent: A2PSendSmsResult) -> None:
    io.say(("accepted", io.GOOD), f": {len(sent.result)}, each ", *fragments(sent))
    accepted = io.Rows("message", "to")
    for message in sent.result:
        accepted.add(str(message.message_id), message.destination_number)
    io.out().print(accepted)
    if sent.failed:
        io.say(("refused", io.BAD), f": {len(sent.failed)}")
        io.out().print(refusals(sent.failed))


def refusals(refused: Iterable[FailedSms]) -> io.Rows:
    """Return the numbers that were refused as a table, each with its reason."""
    table = io.Rows("to", "code", "reason")
    for failed in refused:
        table.add(failed.destination_number, str(failed.error_code), failed.error_description)
    return table


def fragments(sent: SendSmsMessageResult | A2PSendSmsResult) -> list[str | tuple[str, str]]:
    """Show how many fragments the service counted, and how many were predicted."""
    counted, predicted = sent.fragments_count, sent.predicted_fragments_count
    style = io.GOOD if counted == predicted else io.BAD
    return [io.number(counted, "fragment"), (f" (predicted: {predicted})", style)]


@mirror(spec.CONTROL_SMS)
async def control(
    *, json: Json = False, account: OfAccount = FROM_ENVIRONMENT, **given: Given
) -> None:
    """Enable or disable SMS for a number."""
    async with account.client() as client:
        done = await client.control_sms(**given)
    if json:
        io.print_json(done)
        return
    state = "enabled" if given["command"] is SmsCommand.ENABLE else "disabled"
    io.say("SMS is ", (state, io.GOOD), f" for {given['phone_number']}")
