"""The eight methods, and the checks before each: method, credentials, rate, parameters.

Money is written as exact JSON numbers.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from voxsms.api import codec
from voxsms.api.models import Output, PriceGroup, ResourcePrice, SmsCommand
from voxsms.api.spec import METHODS
from voxsms.sandbox._account import Account
from voxsms.sandbox._callbacks import Poster
from voxsms.sandbox._calls import (
    ACCOUNT_NAMES,
    FILE,
    Call,
    Refusal,
    Reply,
    Values,
    exact_number,
    shown_balance,
)
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._faults import FaultScript, InjectedFault
from voxsms.sandbox._history import History
from voxsms.sandbox._identity import Identity
from voxsms.sandbox._ledger import Ledger
from voxsms.sandbox._log import LOG, describe_answer, log_request
from voxsms.sandbox._sending import Sending, find_supporting
from voxsms.sandbox._settings import Number, Settings

_UNKNOWN_COMMAND = 103
_OUTPUT_NOT_SUPPORTED = 105
_INVALID_PHONE_NUMBER = 121
_RATE_LIMIT = 340
_INVALID_RESOURCE_TYPE = 429

_FIRST_PHONE_ID = 11
_TYPES = re.compile(
    "SMSOUT|SMSOUT_INTERNATIONAL|SMSOUT_RU_INTERNATIONAL|A2P_SMS_E212|SMSINPUT|SMS_IN_MOB_[A-Z]{2}"
)
_BY_NUMBER = "resource_param"


class Service:
    """One account as seen on the wire; it needs no server, and a server could have several."""

    def __init__(
        self, settings: Settings, clock: SandboxClock, ledger: Ledger, faults: FaultScript
    ) -> None:
        self.clock = clock
        self.ledger = ledger
        self.faults = faults
        self.account = Account(settings, clock)
        self.identity = Identity(clock, settings, self.account)
        self.poster = Poster(settings, self.account, clock, faults, self.identity.callback_secret)
        self.url = ""
        """The URL of its server."""
        self._settings = settings
        self._history = History(self.account, settings.max_rows)
        self._recent: deque[float] = deque()
        sending = Sending(settings, self.account, ledger)
        self._methods: Mapping[str, Callable[[Values], Reply]] = {
            "SendSmsMessage": lambda values: Reply.json(sending.send_sms_message(values)),
            "A2PSendSms": lambda values: Reply.json(sending.a2p_send_sms(values)),
            "ControlSms": self._control_sms,
            "GetSmsHistory": lambda values: self._page("sms", values),
            "A2PGetSmsHistory": lambda values: self._page("a2p", values),
            "GetPhoneNumbers": self._get_phone_numbers,
            "GetResourcePrice": self._get_resource_price,
            "GetAccountInfo": self._get_account_info,
        }

    def admit(self, call: Call) -> None:
        """Raise `Refusal` if the method is unknown or the credentials are wrong."""
        if call.method not in self._methods:
            raise Refusal(_UNKNOWN_COMMAND)
        self.identity.check(call.authorization, call.form)

    def answer(self, call: Call, fault: InjectedFault) -> Reply:
        """Carry an admitted call out, or refuse it."""
        count = self.ledger.count
        try:
            reply = self._carry_out(call)
        except Refusal as refusal:
            reply = refusal.reply()
        if LOG.isEnabledFor(logging.INFO):
            sent = self.ledger.since(count)
            log_request(call, describe_answer(reply, sent, self._settings.currency), fault)
        return reply

    def _carry_out(self, call: Call) -> Reply:
        self._limit_rate()
        values, faults = codec.read_request(METHODS[call.method], call.form)
        if faults:
            raise Refusal.of_parameter(faults[0])
        return self._methods[call.method](values)

    def _limit_rate(self) -> None:
        if self._settings.rate_limit is None:
            return
        now = self.clock.time()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self._settings.rate_limit:
            raise Refusal(_RATE_LIMIT, "Rate limit exceed")
        self._recent.append(now)

    def _control_sms(self, values: Values) -> Reply:
        digits = values["phone_number"]
        find_supporting(self.account, digits, unknown=_INVALID_PHONE_NUMBER)
        self.account.enable(digits, enabled=values["command"] is SmsCommand.ENABLE)
        return Reply.json({"result": 1})

    def _page(self, kind: str, values: Values) -> Reply:
        output = values.get("output", Output.JSON)
        if output is Output.XLS:
            raise Refusal(_OUTPUT_NOT_SUPPORTED)
        page = self._history.page(kind, values)
        return Reply(page.csv(kind), FILE) if output is Output.CSV else Reply(page.json())

    def _get_phone_numbers(self, values: Values) -> Reply:
        wanted, supported = values.get("phone_number"), values.get("sms_supported")
        found = [
            _phone(phone_id, number)
            for phone_id, number in enumerate(self.account.numbers(), _FIRST_PHONE_ID)
            if (wanted is None or number.number in wanted)
            and supported in (None, number.sms_supported)
        ]
        offset = values.get("offset", 0)
        count = min(values.get("count", self._settings.max_rows), self._settings.max_rows)
        page = found[offset : offset + count]
        return Reply.json({"result": page, "total_count": len(found), "count": len(page)})

    def _get_resource_price(self, values: Values) -> Reply:
        return Reply.json({"result": _select_prices(self._settings.prices, values)})

    def _get_account_info(self, _: Values) -> Reply:
        account = {
            "account_id": self.identity.account_id,
            **ACCOUNT_NAMES,
            "api_key": self.identity.api_key.api_key,
            "created": "2020-01-01 00:00:00",
            "active": True,
            "frozen": False,
            "balance": exact_number(shown_balance(self.account.balance)),
            "credit_limit": 0,
            "currency": self._settings.currency,
            "a2p_sms_enabled": self._settings.a2p_enabled,
            "callback_salt": self.identity.callback_salt,
        }
        if self.poster.url is not None:
            account["callback_url"] = self.poster.url
        return Reply.json({"result": account, "api_address": self.url.partition("://")[2]})


def _phone(phone_id: int, number: Number) -> dict[str, object]:
    """Write a number as in the contract's example."""
    phone: dict[str, object] = {
        "phone_id": phone_id,
        "phone_number": number.number,
        "phone_price": 1.0,
        "phone_country_code": number.country,
        "phone_region_name": "Mobile",
        "phone_next_renewal": "2035-12-01",
        "phone_purchase_date": "2020-01-15 09:30:00",
        "category_name": "MOBILE",
        "deactivated": False,
        "canceled": False,
        "auto_charge": True,
        "can_be_used": True,
        "is_sms_supported": number.sms_supported,
        "is_sms_enabled": number.sms_enabled,
    }
    if number.callback_url is not None:
        phone["incoming_sms_callback_url"] = number.callback_url
    return phone


def _select_prices(prices: Iterable[ResourcePrice], values: Values) -> list[dict[str, object]]:
    """Return the prices that a request asks for, as JSON."""
    types = values.get("resource_type")
    for name in types or ():
        if not _TYPES.fullmatch(name):
            raise Refusal(_INVALID_RESOURCE_TYPE)
    wanted = [price for price in prices if types is None or price.resource_type in types]
    found = [(price.resource_type, list(_groups(price.price_groups, values))) for price in wanted]
    return [{"resource_type": name, "price_groups": groups} for name, groups in found if groups]


def _groups(groups: Sequence[PriceGroup], values: Values) -> Iterator[dict[str, object]]:
    ids, name = values.get("price_group_id"), values.get("price_group_name", "")
    asked = _requested(groups, values.get(_BY_NUMBER, ()))
    for group in groups:
        requested = asked.get(group.price_group_id, [])
        if (
            (ids is None or group.price_group_id in ids)
            and name.lower() in group.price_group_name.lower()
            and (requested or _BY_NUMBER not in values)
        ):
            yield _group(group, requested)


def _requested(groups: Sequence[PriceGroup], numbers: Iterable[str]) -> dict[int, list[str]]:
    """Group numbers by the id of their price group."""
    found: dict[int, list[str]] = {}
    for each in numbers:
        group = max(groups, key=lambda group: _match(group, each), default=None)
        if group and _match(group, each) and not each.startswith(group.params.forbidden):
            found.setdefault(group.price_group_id, []).append(each)
    return found


def _match(group: PriceGroup, digits: str) -> int:
    """Return the length of a group's longest allowed prefix of a number; 0 if there is none."""
    return max((len(p) for p in group.params.allowed if digits.startswith(p)), default=0)


def _group(group: PriceGroup, requested: Sequence[str]) -> dict[str, object]:
    params = {"forbidden": group.params.forbidden, "requested": requested}
    return {
        "price_group_id": group.price_group_id,
        "price_group_name": group.price_group_name,
        "price": exact_number(group.price),
        "num_resources_per_price": group.num_resources_per_price,
        "quantum": group.quantum,
        "params": {"allowed": group.params.allowed} | {k: v for k, v in params.items() if v},
    }
