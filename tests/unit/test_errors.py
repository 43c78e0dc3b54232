"""What the errors promise: the tree, what each says of the message, and what none shows."""

import copy
import inspect
import pickle
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs
import pytest
from doubles import least_time
from hypothesis import given, settings
from hypothesis import strategies as st

from voxsms import errors
from voxsms.api.models import A2PSendSmsResult, FailedSms, SmsTransaction
from voxsms.errors import (
    ApiError,
    CredentialsInvalid,
    Fault,
    InvalidRequest,
    InvalidText,
    OutcomeUnknown,
    PartlyFailed,
    ResponseInvalid,
    Sent,
    TimedOut,
    VoxSmsError,
)

AT = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
NUMBERS = ("447700900212", "14155550100")
FAULTS = (Fault("dst_numbers[3]", "447***212 stands there twice"), Fault("text", "is empty"))
RESULT = A2PSendSmsResult(
    result=(SmsTransaction(message_id=1, destination_number=NUMBERS[0]),),
    fragments_count=1,
    failed=(
        FailedSms(NUMBERS[1], f"no route to {NUMBERS[1]}", 506),
        FailedSms("12025550101", "not served", 506),
        FailedSms("12025550102", "refused", 423),
    ),
)

PUBLIC: Mapping[str, type[VoxSmsError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, VoxSmsError) and not name.startswith("_")
}


def an_error(kind: type[VoxSmsError]) -> VoxSmsError:
    """Make an error of a kind, with everything that it can carry."""
    if issubclass(kind, InvalidRequest):
        return kind("a2p_send_sms", FAULTS)
    if issubclass(kind, ApiError):
        return kind(340, "RATE_LIMIT_EXCEED", f"slow down, {NUMBERS[0]}", "a2p_send_sms", 2.5)
    if issubclass(kind, OutcomeUnknown):
        return kind("a2p_send_sms", "no answer within 30 s", AT, "body sent", NUMBERS)
    if issubclass(kind, ResponseInvalid):
        return kind("get_sms_history", "result[3].cost", "is no number")
    if issubclass(kind, PartlyFailed):
        return kind(RESULT)
    words = ("get_sms_history", "no answer") if issubclass(kind, errors._CallError) else ("why",)
    return kind(*words)


every_error = pytest.mark.parametrize("kind", PUBLIC.values(), ids=PUBLIC)


def test_tree_is_as_drawn() -> None:
    """The tree in the docstring names every public error below the one that it derives from."""
    drawn: dict[str, str] = {}
    branch: list[str] = []
    tree = re.compile(r"^    ([│ ├└─]*)(\w+)(?: {2,}(\S.*))?$", re.MULTILINE)
    for indent, name, said in tree.findall(errors.__doc__ or ""):
        depth = len(indent) // 4
        branch[depth:] = [name]
        assert said or depth == 0, f"{name} is not explained"
        if depth:
            drawn[name] = branch[depth - 1]
    real = {
        name: next(base.__name__ for base in kind.__mro__[1:] if base.__name__ in PUBLIC)
        for name, kind in PUBLIC.items()
        if kind is not VoxSmsError
    }
    assert drawn == real


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("InvalidRequest", ValueError),
        ("InvalidText", ValueError),
        ("CredentialsInvalid", ValueError),
        ("TemplateError", ValueError),
        ("CallbackInvalid", ValueError),
        ("PriceUnknown", LookupError),
        ("TimedOut", TimeoutError),
    ],
)
def test_errors_are_also_what_python_calls_them(name: str, also: type[Exception]) -> None:
    """A caller who knows nothing of voxsms catches the usual mistakes by Python's own names."""
    assert issubclass(PUBLIC[name], also)


SENT: Mapping[str, Sent] = {"OutcomeUnknown": "maybe", "PartlyFailed": "yes"}


@every_error
def test_error_says_what_became_of_the_message(kind: type[VoxSmsError]) -> None:
    """`.sent` is "no" on every error but the one of a doubt and the one of an accepted send."""
    assert an_error(kind).sent == SENT.get(kind.__name__, "no")


@every_error
def test_error_is_told_in_words(kind: type[VoxSmsError]) -> None:
    """Each error has something to say, and its repr says the same with its name."""
    error = an_error(kind)
    assert len(str(error)) > 2
    assert repr(error) == f"<{kind.__name__}: {error}>"


@every_error
def test_error_survives_pickling_and_copying(kind: type[VoxSmsError]) -> None:
    """An error that crosses a process, or is copied, arrives with all that it carried."""
    error = an_error(kind)
    error.add_note("seen by the worker")
    pickled = [pickle.loads(pickle.dumps(error, way)) for way in range(pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301 - our own
    for twin in (*pickled, copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert twin.args == error.args
        assert vars(twin) == vars(error)
        assert (str(twin), twin.sent) == (str(error), error.sent)


DOUBT = "may have been sent and charged: check the history before sending it again."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            InvalidRequest("a2p_send_sms", FAULTS),
            f"a2p_send_sms: {FAULTS[0]}; text: is empty. Nothing was sent.",
        ),
        (
            InvalidText("text", (Fault("text", "a bare ESC at 3"),)),
            "text: text: a bare ESC at 3. Nothing was sent.",
        ),
        (CredentialsInvalid("key_id is missing"), "key_id is missing"),
        (TimedOut("get_sms_history", "no answer in 30 s"), "get_sms_history: no answer in 30 s"),
        (FAULTS[0], "dst_numbers[3]: 447***212 stands there twice"),
        (
            an_error(OutcomeUnknown),
            f"a2p_send_sms: no answer within 30 s (body sent). The message to 2 numbers {DOUBT}",
        ),
        (
            OutcomeUnknown("send_sms_message", "the connection broke", AT, "sending", NUMBERS[:1]),
            f"send_sms_message: the connection broke (sending). The message to 1 number {DOUBT}",
        ),
        (
            an_error(ResponseInvalid),
            "get_sms_history: the answer cannot be read at result[3].cost: is no number",
        ),
        (
            an_error(ApiError),
            "a2p_send_sms: 340 RATE_LIMIT_EXCEED: slow down, 447***212",
        ),
        (
            ApiError(0, "HTTP_502", "Bad Gateway", "get_account_info"),
            "get_account_info: HTTP_502: Bad Gateway",
        ),
        (
            PartlyFailed(RESULT),
            "3 of 4 numbers were not accepted: 1 with code 423, 2 with code 506",
        ),
    ],
)
def test_message_of_each_error(error: VoxSmsError | Fault, said: str) -> None:
    """The words that users and their logs see."""
    assert str(error) == said


def test_a_send_in_which_nobody_was_accepted_was_not_sent() -> None:
    """`PartlyFailed` with an empty `result` says "no"; also after it was pickled."""
    nobody = PartlyFailed(attrs.evolve(RESULT, result=()))
    assert nobody.sent == "no"
    assert pickle.loads(pickle.dumps(nobody)).sent == "no"  # noqa: S301 - our own
    assert PartlyFailed(RESULT).sent == "yes"


def test_a_huge_message_of_the_service_is_kept_and_shown_in_part() -> None:
    """Two megabytes are cut before they are masked: no deadline waits for that."""
    msg = f"slow down, {NUMBERS[0]} " * 80_000

    def make() -> ApiError:
        error = ApiError(340, "RATE_LIMIT_EXCEED", msg, "a2p_send_sms")
        error.hide([*NUMBERS, "slow down"])
        return error

    assert len(str(make())) < 1100
    assert least_time(lambda: str(make())) < 0.25
    assert make().msg == msg


def test_data_of_an_error_is_whole() -> None:
    """What is masked in the words is whole on the attributes."""
    unknown, refused = an_error(OutcomeUnknown), an_error(ApiError)
    assert isinstance(unknown, OutcomeUnknown)
    assert (unknown.numbers, unknown.at, unknown.phase) == (NUMBERS, AT, "body sent")
    assert isinstance(refused, ApiError)
    assert (refused.msg, refused.retry_after) == (f"slow down, {NUMBERS[0]}", 2.5)
    assert ApiError(101, "INVALID_ARGUMENTS", "", "control_sms").retry_after is None


phone_numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)


@settings(deadline=None)  # formatting tracebacks reads source files
@given(st.lists(phone_numbers, min_size=1), st.text("abc +.,-()"))
def test_no_error_shows_a_whole_number(numbers: list[str], words: str) -> None:
    """Neither the text, the repr nor the traceback, causes included, shows a number."""
    refused = ApiError(423, "INVALID_DESTINATION", f" {words} ".join(numbers), "a2p_send_sms")
    unknown = OutcomeUnknown("a2p_send_sms", "no answer", AT, "body sent", tuple(numbers))
    failed = tuple(FailedSms(number, f"no route to {number}", 506) for number in numbers)
    partly = PartlyFailed(A2PSendSmsResult(result=(), fragments_count=1, failed=failed))
    for error in (refused, unknown, partly):
        error.__cause__ = None if error is refused else refused
        shown = f"{error} {error!r} {[error]} " + "".join(traceback.format_exception(error))
        assert not [number for number in numbers if number in shown]
