"""What the service's error codes mean and what to do, for readers who do not know the codes.

Source: shared contract, section 4. The outcome of each code is in `voxsms.api.fault_codes`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """One code in words."""

    meaning: str
    advice: str


_FAILED: Final = "The service itself failed"
_IF_IT_LASTS: Final = "If it lasts, tell Voximplant's support the time of the call."
_ASK: Final = f"Try again later. {_IF_IT_LASTS}"
_LOOK_OR_ASK: Final = (
    f"Try again later; repeat a send only if the history does not have it. {_IF_IT_LASTS}"
)
_WAIT: Final = "Wait and try again; voxsms did so by itself, as long as its deadline allows."
_SLOWER: Final = "Send more slowly; voxsms waited and tried again, as long as its deadline allows."
_LOOK: Final = "Check the history; send the message again only if it is not there."
_READ: Final = "The service's own text says which one; `--help` explains each option."
_DATES: Final = "Write dates as 2026-11-25, the earlier one first."
_KEY: Final = "Download the service account's credentials file again."
_CLOCK: Final = "Set the clock of this machine; voxsms tried once more with a new token."
_ROLE: Final = "Give the service account a role that allows it: `voxsms methods --json` lists them."
_CREDENTIALS: Final = (
    "Check the account id and the API key, or the credentials file; for A2P a service account "
    "needs a role, too: `voxsms methods --json` lists them."
)
_SENDER: Final = "Send from a number that `voxsms numbers` lists, or a SenderID installed for you."
_NUMBER: Final = "Check the number: the country code first, nothing left out."
_REACHED: Final = f"{_NUMBER} `voxsms prices` shows which numbers it reaches."
_LISTED: Final = "Use one that `voxsms prices` shows."

EXPLANATIONS: Final[Mapping[int, Explanation]] = MappingProxyType(
    {
        code: Explanation(meaning, advice)
        for code, meaning, advice in (
            (1, f"{_FAILED}.", _LOOK_OR_ASK),
            (2, f"{_FAILED}.", _LOOK_OR_ASK),
            (4, f"{_FAILED}: its database.", _LOOK_OR_ASK),
            (5, f"{_FAILED}: its billing.", _LOOK_OR_ASK),
            (14, f"{_FAILED}: its connection to the mobile networks.", _LOOK_OR_ASK),
            (100, "The credentials are wrong, or (for A2P) a role is missing.", _CREDENTIALS),
            (101, "Something in the request is wrong.", _READ),
            (103, "There is no such method.", "Check --base-url: is it Voximplant's?"),
            (104, "The credentials are valid, but do not allow this.", _ROLE),
            (105, "The service does not write that kind of file.", "Ask for csv or xls."),
            (111, "A date is not in the service's format.", _DATES),
            (115, "There is no account with this id.", "Check the account id."),
            (121, "The phone number is wrong, or not one of the account.", _SENDER),
            (123, "A range of dates is wrong.", _DATES),
            (127, "The balance is too low.", "Top up the account; see `voxsms balance`."),
            (131, "The account is not active.", "Activate it in Voximplant's control panel."),
            (134, "A required value was empty.", _READ),
            (162, "The service is busy and did nothing.", _WAIT),
            (190, "The number to send to is wrong.", _NUMBER),
            (191, "The number to send from is wrong.", _SENDER),
            (314, "Too many requests at once; this one was not carried out.", _SLOWER),
            (340, "Too many requests in a short time; this one was not carried out.", _SLOWER),
            (385, "This message could not be sent.", _ASK),
            (386, "SMS is not enabled for the number.", "Enable it: voxsms control NUMBER enable"),
            (416, "The service is busy and did nothing; it said how long to wait.", _WAIT),
            (422, "The number to send from is wrong.", _SENDER),
            (423, "The number to send to is wrong.", _NUMBER),
            (429, "There is no such type of resource.", _LISTED),
            (430, "There is no price group of that name.", _LISTED),
            (447, "The token of the service account cannot be read.", _KEY),
            (454, "The token of the service account lives too long.", _KEY),
            (455, "The token of the service account is from the future.", _CLOCK),
            (456, "The token of the service account is too old.", _CLOCK),
            (470, "The direction is neither IN nor OUT.", _READ),
            (484, "The service took it for an automatic repetition of an earlier request.", _LOOK),
            (485, "A parameter is missing.", _READ),
            (496, "A parameter is wrong.", _READ),
            (497, "A parameter is too large or too small.", _READ),
            (499, "A parameter is too long.", _READ),
            (506, "The service has no route to this number.", _REACHED),
            (507, "The service does not accept this sender.", _SENDER),
            (508, "The service does not accept this text.", "See what is in it: voxsms count TEXT"),
            (509, "A2P messages are not enabled.", "Ask Voximplant's support to enable them."),
            (515, "The same request was made just now, and may have been carried out.", _LOOK),
            (528, "The number cannot carry SMS.", "Use one that `voxsms numbers` shows with SMS."),
            (569, "The range of dates is too long.", "Ask for fewer days, or use `voxsms export`."),
        )
    }
)
