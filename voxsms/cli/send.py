"""`send`, `a2p`, `control`: the commands that do something to the world."""

from collections.abc import Iterable

from voxsms.api import spec
from voxsms.api.codec import bare_numbers
from voxsms.api.models import A2PSendSmsResult, FailedSms, SendSmsMessageResult, SmsCommand
from voxsms.api.phone_numbers import to_digits
from voxsms.cli import _io as io
from voxsms.cli._account import FROM_ENVIRONMENT, OfAccount
from voxsms.cli._errors import SENDS, Exit, InDoubt
from voxsms.cli._io import NO_TEXT, Json, OfText
from voxsms.cli._mirror import Given, mirror
from voxsms.cli._spending import NO_LIMIT, OfSpending, Yes, may_send


@mirror(spec.SEND_SMS_MESSAGE)
async def send(
    words: OfText = NO_TEXT,
    *,
    spending: OfSpending = NO_LIMIT,
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one message from a number of yours to one person, who can answer.

    For conversations, and for codes and reminders to a single person. The number is one that you
    rent (`voxsms numbers`) with SMS enabled (`voxsms control NUMBER enable`). A long text is cut
    into fragments, each charged as a message: `voxsms count TEXT` shows them.
    """
    given["sms_body"], sends = words.read(), SENDS.get()
    to_pay = (given["sms_body"], [given["destination"]], spending)
    async with account.client(on_outcome=sends.calls.append) as client:
        if not await may_send(client, spec.SEND_SMS_MESSAGE, given, *to_pay, json=json):
            return
        sent = await sends.watch(client.send_sms_message(**given))
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
    json: Json = False,
    account: OfAccount = FROM_ENVIRONMENT,
    **given: Given,
) -> None:
    """Send one text to up to 100 people in your company's name; they cannot answer.

    For announcements, offers, reminders and codes. The name, such as ACME, is a SenderID that
    Voximplant has installed for you. Each number is charged, for each fragment of a long text.
    Before more than one message is charged you are asked; `--yes` sends without a question. For
    longer lists: `voxsms estimate --csv FILE` tells the price.
    """
    given["text"], sends = words.read(before="--to"), SENDS.get()
    to_pay = (given["text"], given["dst_numbers"], spending)
    async with account.client(on_outcome=sends.calls.append) as client:
        if not await may_send(client, spec.A2P_SEND_SMS, given, *to_pay, asks=not yes, json=json):
            return
        sent = await sends.watch(client.a2p_send_sms(**given))
        asked = set(map(to_digits, given["dst_numbers"]))
        missing = len(asked - bare_numbers((*sent.result, *sent.failed)))
        if missing:
            sends.status = Exit.UNKNOWN
        if json:
            io.print_json(sent)
        else:
            _print_a2p(sent)
    if missing:
        raise InDoubt(f"the answer says nothing of {missing} of {len(asked)} numbers")
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
    """Say how many fragments the service made, beside how many were predicted."""
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
