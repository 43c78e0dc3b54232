"""The eight methods, and what stands before each: is it known, who asks, how often, with what."""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from voxsms.api import codec
from voxsms.api.models import Output, SmsCommand
from voxsms.api.spec import METHODS
from voxsms.pricing import EXACT
from voxsms.sandbox import prices
from voxsms.sandbox.books import Books
from voxsms.sandbox.calls import FILE, Call, Reply, Values
from voxsms.sandbox.clock import Clock
from voxsms.sandbox.history import History
from voxsms.sandbox.identity import Identity
from voxsms.sandbox.ledger import Ledger
from voxsms.sandbox.refusal import Refusal, of_parameter
from voxsms.sandbox.sending import Sending, supporting
from voxsms.sandbox.settings import Number, Settings

_UNKNOWN_COMMAND = 103
_OUTPUT_NOT_SUPPORTED = 105
_INVALID_PHONE_NUMBER = 121
_RATE_LIMIT = 340

_FIRST_PHONE_ID = 11
_BALANCE_SHOWN = Decimal("0.0001")


class Service:
    """The account behind the wire: gives each call its reply."""

    def __init__(self, settings: Settings, clock: Clock, ledger: Ledger) -> None:
        self.identity = Identity(clock)
        self.books = Books(settings, clock)
        self.address = ""
        """Where it listens, for `GetAccountInfo`."""
        self._settings = settings
        self._clock = clock
        self._history = History(self.books, settings.most_rows)
        self._recent: deque[float] = deque()
        sending = Sending(settings, self.books, ledger)
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
        """Raise `Refusal` if nobody knows the method or the credentials are not good."""
        if call.method not in METHODS:
            raise Refusal(_UNKNOWN_COMMAND)
        self.identity.check(call.authorization, call.form)

    def answer(self, call: Call) -> Reply:
        """Carry an admitted call out, or refuse it."""
        try:
            return self._carry_out(call)
        except Refusal as refusal:
            return Reply.json(refusal.body())

    def _carry_out(self, call: Call) -> Reply:
        self._limit_rate()
        values, faults = codec.read_request(METHODS[call.method], call.form)
        if faults:
            raise of_parameter(faults[0])
        return self._methods[call.method](values)

    def _limit_rate(self) -> None:
        if self._settings.rate_limit is None:
            return
        now = self._clock.time()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self._settings.rate_limit:
            raise Refusal(_RATE_LIMIT, "Rate limit exceed")
        self._recent.append(now)

    def _control_sms(self, values: Values) -> Reply:
        digits = values["phone_number"]
        supporting(self.books, digits, unknown=_INVALID_PHONE_NUMBER)
        self.books.enable(digits, enabled=values["command"] is SmsCommand.ENABLE)
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
            for phone_id, number in enumerate(self.books.numbers(), _FIRST_PHONE_ID)
            if (wanted is None or number.number in wanted)
            and supported in (None, number.sms_supported)
        ]
        offset = values.get("offset", 0)
        count = min(values.get("count", self._settings.most_rows), self._settings.most_rows)
        page = found[offset : offset + count]
        return Reply.json({"result": page, "total_count": len(found), "count": len(page)})

    def _get_resource_price(self, values: Values) -> Reply:
        return Reply.json({"result": prices.select(self._settings.prices, values)})

    def _get_account_info(self, _: Values) -> Reply:
        balance = self.books.balance.quantize(_BALANCE_SHOWN, context=EXACT)
        account = {
            "account_id": self.identity.account_id,
            "account_name": "sandbox",
            "account_email": "sandbox@voxsms.example",
            "api_key": self.identity.api_key.api_key,
            "created": "2020-01-01 00:00:00",
            "active": True,
            "frozen": False,
            "balance": prices.number(balance),
            "credit_limit": 0,
            "currency": self._settings.currency,
            "a2p_sms_enabled": self._settings.a2p_enabled,
            "callback_salt": self.identity.callback_salt,
        }
        return Reply.json({"result": account, "api_address": self.address})


def _phone(phone_id: int, number: Number) -> dict[str, object]:
    """Write a number as the contract's example has it."""
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
