"""The two sends: who may send, what it costs, and the moment of delivery.

Refusals and their codes are from the contract's section 4, which does not document the order of the
checks.
"""

from collections.abc import Sequence

from voxsms.errors import PriceUnknown
from voxsms.sandbox._account import Account, NewMessage
from voxsms.sandbox._calls import Refusal, Values
from voxsms.sandbox._ledger import Delivery, Ledger
from voxsms.sandbox._settings import HISTORIES, Number, Settings
from voxsms.text import count_fragments

_SENDING_ERROR = 385
_SMS_DISABLED = 386
_INVALID_SOURCE = 422
_NO_ROUTE = 506
_INVALID_SENDER = 507
_A2P_DISABLED = 509
_NOT_SUPPORTED = 528


def find_supporting(account: Account, digits: str, unknown: int) -> Number:
    """Return a number of the account that supports SMS, or refuse it."""
    number = account.number(digits)
    if number is None:
        raise Refusal(unknown)
    if not number.sms_supported:
        raise Refusal(_NOT_SUPPORTED)
    return number


class Sending:
    """Carries out the methods that charge."""

    def __init__(self, settings: Settings, account: Account, ledger: Ledger) -> None:
        self._settings = settings
        self._account = account
        self._ledger = ledger
        self._rates = settings.rates()

    def send_sms_message(self, values: Values) -> dict[str, object]:
        """Send one message between two numbers."""
        source = values["source"]
        if not find_supporting(self._account, source, unknown=_INVALID_SOURCE).sms_enabled:
            raise Refusal(_SMS_DISABLED)
        destination, text = values["destination"], values["sms_body"]
        message = self._price("SendSmsMessage", source, destination, text, values)
        (message_id,) = self._send("SendSmsMessage", [message], text)
        return {"result": 1, "message_id": message_id, "fragments_count": message.fragments}

    def a2p_send_sms(self, values: Values) -> dict[str, object]:
        """Send one text to many numbers; some may be refused."""
        sender, text = values["src_number"], values["text"]
        self._check_sender(sender)
        messages: list[NewMessage] = []
        failed: list[tuple[str, Refusal]] = []
        for destination in values["dst_numbers"]:
            try:
                messages.append(self._price("A2PSendSms", sender, destination, text, values))
            except Refusal as refusal:
                failed.append((destination, refusal))
        if not messages and all(refusal.code == _NO_ROUTE for _, refusal in failed):
            raise Refusal(_NO_ROUTE)
        ids = self._send("A2PSendSms", messages, text)
        return {
            "result": [_accepted(*each) for each in zip(ids, messages, strict=True)],
            "failed": [_failed(*each) for each in failed],
            "fragments_count": count_fragments(text),
        }

    def _check_sender(self, sender: str) -> None:
        """Refuse a sender other than an installed SenderID or enabled number (contract, 2)."""
        if not self._settings.a2p_enabled:
            raise Refusal(_A2P_DISABLED)
        if sender in self._settings.sender_ids:
            return
        number = self._account.number(sender)
        if number is None or not number.sms_enabled:
            raise Refusal(_INVALID_SENDER)

    def _price(
        self, method: str, source: str, destination: str, text: str, values: Values
    ) -> NewMessage:
        """Price a message, or refuse its destination."""
        code = self._settings.refused.get(destination)
        if code is not None:
            raise Refusal(code, "SMS failed to send." if code == _SENDING_ERROR else "")
        kind = HISTORIES[method]
        try:
            rate = self._rates[kind].rate_for(destination)
        except PriceUnknown:
            raise Refusal(_NO_ROUTE) from None
        fragments = count_fragments(text)
        return NewMessage(
            kind=kind,
            source=source,
            destination=destination,
            fragments=fragments,
            cost=rate.cost(fragments),
            text=text if values.get("store_body") else None,
        )

    def _send(self, method: str, messages: Sequence[NewMessage], text: str) -> list[int]:
        """Charge and send all of them, or none; after this they are delivered."""
        ids, at = self._account.record(messages)
        self._ledger.record(
            Delivery(
                method=method,
                source=message.source,
                destination=message.destination,
                text=text,
                fragments=message.fragments,
                cost=message.cost,
                message_id=message_id,
                at=at,
            )
            for message_id, message in zip(ids, messages, strict=True)
        )
        return ids


def _accepted(message_id: int, message: NewMessage) -> dict[str, object]:
    return {"message_id": message_id, "destination_number": message.destination}


def _failed(destination: str, refusal: Refusal) -> dict[str, object]:
    return {
        "destination_number": destination,
        "error_description": refusal.msg,
        "error_code": refusal.code,
    }
