"""The table: its index, what is rendered from it, and the rules that each method of it keeps."""

from collections.abc import Iterable, Iterator
from inspect import Parameter
from typing import Annotated, Any, get_args

import attrs
import pytest

from voxsms.api import spec, wire
from voxsms.api.models import HistoryPage, PhoneNumber, SmsHistory
from voxsms.api.spec import AnyMethod, MethodSpec, Param, Sending


def lint(table: tuple[AnyMethod, ...] = spec.TABLE) -> list[str]:
    """Return what is wrong with a table; nothing, for the one that is shipped."""
    found = [
        f"{method.cmd}: named twice"
        for method in table
        if [each.cmd for each in table].count(method.cmd) > 1
    ]
    for method in table:
        found += [f"{method.cmd}: {problem}" for problem in _problems(method)]
    return found


def _problems(method: AnyMethod) -> Iterator[str]:
    if not method.summary or method.summary.endswith("."):
        yield "the summary is missing or ends with a full stop"
    known, fields = (
        spec.parameters(spec.widest(method)),
        attrs.fields_dict(spec.widest(method)).keys(),
    )
    yield from (f"{name} has no documentation" for name, param in known.items() if not param.doc)
    for name in sorted(fields - known.keys() - _STAYS_HERE):
        yield f"{name} has no wire type, so it would never be sent"
    for part, name in _names_of_parameters(method):
        if name not in known:
            yield f"{name} is named by `{part}` but is no parameter"
    if method.paged and not {"count", "offset"} <= known.keys():
        yield "a paged method needs count and offset"
    if method.paged and method.row_key not in attrs.fields_dict(get_args(method.reply)[0]):
        yield f"{method.row_key} is named by `row_key` but is no field of a row"
    if method.download is not None and not {"output", "path"} <= fields:
        yield "a download needs output and path"


_STAYS_HERE = {"path"}
"""The parameter that says where a download goes."""


def _names_of_parameters(method: AnyMethod) -> Iterator[tuple[str, str]]:
    """Yield what a method names its parameters by, and each name."""
    if method.sending is not None:
        yield from (("sending", name) for name in attrs.astuple(method.sending))
    yield from (("span", name) for name in method.span or ())


@attrs.frozen(kw_only=True)
class Ask:
    """A request with one parameter of each kind that lint looks at."""

    word: Annotated[str, Param(wire.StringType(), "A word.")]
    count: Annotated[int | None, Param(wire.IntType(), "Rows.")] = None
    offset: Annotated[int | None, Param(wire.IntType(), "Rows to skip.")] = None


@attrs.frozen(kw_only=True)
class AskUndocumented:
    """A request whose parameter says nothing of itself."""

    word: Annotated[str, Param(wire.StringType(), "")]


@attrs.frozen(kw_only=True)
class AskWithoutWireType:
    """A request with a parameter that was given no wire type."""

    word: Annotated[str, Param(wire.StringType(), "A word.")]
    forgotten: str | None = None
    noted: Annotated[str | None, "no wire type"] = None


@attrs.frozen(kw_only=True)
class AskForFile(Ask):
    """A request for a file that does not say where it goes."""

    output: spec.OutputFormat


def row(**changes: object) -> MethodSpec[..., object]:
    """Make a row in which nothing is wrong but the changes."""
    make: Any = MethodSpec
    good = {"cmd": "Ask", "request": Ask, "reply": SmsHistory, "summary": "Ask for a word"}
    made: MethodSpec[..., object] = make(**{**good, **changes})
    return made


def test_the_shipped_table_is_clean() -> None:
    """Nothing is wrong with the table that ships."""
    assert lint() == []


def test_a_good_row_is_clean() -> None:
    """Lint does not complain of what is right."""
    page = row(reply=HistoryPage[SmsHistory], span=("count", "offset"))
    sending = Sending(sender="word", to="word", text="word")
    assert lint((page, row(cmd="Send", sending=sending))) == []


BROKEN: list[tuple[dict[str, object], list[str]]] = [
    ({"summary": ""}, ["the summary is missing or ends with a full stop"]),
    ({"summary": "Ask for a word."}, ["the summary is missing or ends with a full stop"]),
    ({"request": AskUndocumented}, ["word has no documentation"]),
    (
        {"request": AskWithoutWireType},
        [
            "forgotten has no wire type, so it would never be sent",
            "noted has no wire type, so it would never be sent",
        ],
    ),
    (
        {"sending": Sending(sender="who", to="word", text="what")},
        [
            "who is named by `sending` but is no parameter",
            "what is named by `sending` but is no parameter",
        ],
    ),
    ({"span": ("count", "until")}, ["until is named by `span` but is no parameter"]),
    (
        {"reply": HistoryPage[SmsHistory], "request": AskUndocumented},
        ["word has no documentation", "a paged method needs count and offset"],
    ),
    (
        {"reply": HistoryPage[PhoneNumber]},
        ["message_id is named by `row_key` but is no field of a row"],
    ),
    ({"download": AskForFile}, ["a download needs output and path"]),
]


@pytest.mark.parametrize(("changes", "problems"), BROKEN)
def test_lint_finds_what_is_broken(changes: dict[str, object], problems: list[str]) -> None:
    """Each rule of the table is held against a row that breaks it."""
    assert lint((row(**changes),)) == [f"Ask: {problem}" for problem in problems]


def test_lint_finds_a_name_said_twice() -> None:
    """Two rows of one name would hide one another in the index."""
    assert lint((row(), row(), row(cmd="Other"))) == ["Ask: named twice"] * 2


def test_the_index_has_the_eight_methods_and_cannot_be_changed() -> None:
    """Five SMS methods and three neighbours, by their case-sensitive names."""
    assert list(spec.METHODS) == [
        "SendSmsMessage",
        "A2PSendSms",
        "ControlSms",
        "GetSmsHistory",
        "A2PGetSmsHistory",
        "GetPhoneNumbers",
        "GetResourcePrice",
        "GetAccountInfo",
    ]
    methods: Any = spec.METHODS
    with pytest.raises(TypeError):
        methods["Other"] = row()


@pytest.mark.parametrize(
    ("cmd", "name"),
    [
        ("SendSmsMessage", "send_sms_message"),
        ("A2PSendSms", "a2p_send_sms"),
        ("ControlSms", "control_sms"),
        ("GetSmsHistory", "get_sms_history"),
        ("A2PGetSmsHistory", "a2p_get_sms_history"),
        ("GetPhoneNumbers", "get_phone_numbers"),
        ("GetResourcePrice", "get_resource_price"),
        ("GetAccountInfo", "get_account_info"),
    ],
)
def test_a_method_has_its_promised_name(cmd: str, name: str) -> None:
    """The client's names are those promised to users."""
    assert spec.python_name(cmd) == name


def test_parameters_are_those_that_cross_the_wire_in_order() -> None:
    """What has no wire type stays on this machine: the path of a download."""
    download = spec.widest(spec.GET_SMS_HISTORY)
    parameters = spec.parameters(download)
    assert list(parameters) == [
        "message_id",
        "source_number",
        "destination_number",
        "direction",
        "count",
        "offset",
        "from_date",
        "to_date",
        "output",
    ]
    assert spec.required(download) == {"output"}
    assert isinstance(parameters["count"].wire_type, wire.IntType)


def test_a_request_class_is_the_signature_of_its_call() -> None:
    """`help()` and an editor show the real parameters and what comes back."""
    shown = spec.call_signature(spec.widest(spec.SEND_SMS_MESSAGE), returns=int)
    assert list(shown.parameters) == ["source", "destination", "sms_body", "store_body"]
    assert {each.kind for each in shown.parameters.values()} == {Parameter.KEYWORD_ONLY}
    assert shown.parameters["source"].default is Parameter.empty
    assert shown.parameters["store_body"].default is None
    assert shown.return_annotation is int


@pytest.mark.parametrize("cmd", sorted(spec.METHODS))
def test_the_documentation_names_every_parameter(cmd: str) -> None:
    """`help()` says what each parameter means and which roles may call."""
    method = spec.METHODS[cmd]
    text = spec.documentation(method, spec.request_class(method))
    for name, param in spec.parameters(spec.request_class(method)).items():
        assert f"    {name}: {param.doc}" in text.splitlines()
    assert text.endswith(f"Roles: {', '.join(method.roles)}.") == bool(method.roles)


def test_the_documentation_reads_as_a_docstring() -> None:
    """`help()` shows what a call does, how it is made, what it takes and raises, and for whom."""
    method = spec.METHODS["ControlSms"]
    assert spec.documentation(method, spec.request_class(method)) == (
        "Enable or disable sending and receiving SMS for a number that supports it.\n\n"
        ".. code-block:: python\n\n"
        '    await client.control_sms(phone_number="447443332211", command="enable")\n\n'
        "Args:\n"
        "    phone_number: A rented number with SMS support.\n"
        "    command: `enable` or `disable`.\n\n"
        "Raises:\n"
        "    InvalidRequest: An argument is invalid; every fault is named.\n"
        "    CredentialsInvalid: The credentials cannot be used.\n"
        "    ConnectionFailed, TimedOut: No answer came, even after several attempts.\n"
        "    ApiError: The service refused it; the class and `code` say why.\n"
        "    ResponseInvalid: The answer cannot be read.\n\n"
        "Roles: Owner, Admin, Developer."
    )


def test_the_widest_request_has_what_a_download_adds() -> None:
    """The sandbox reads `output` of a history and nothing more of any other method."""
    assert spec.widest(spec.GET_SMS_HISTORY).__name__ == "DownloadSmsHistory"
    assert spec.widest(spec.A2P_GET_SMS_HISTORY).__name__ == "DownloadA2PSmsHistory"
    assert spec.widest(spec.CONTROL_SMS).__name__ == "ControlSms"


def test_a_row_takes_a_class_for_its_request() -> None:
    """A function in its place is told to whoever writes the table."""

    def ask(words: Iterable[str]) -> attrs.AttrsInstance:
        return Ask(word=";".join(words))

    with pytest.raises(TypeError, match="Ask: the request of a method is a class"):
        spec.request_class(row(request=ask))


def test_help_shows_that_a_send_may_be_refused_in_part() -> None:
    """The first thing after a send to many is `raise_if_failed`: `result` may be empty."""
    shown = spec.documentation(spec.A2P_SEND_SMS, spec.A2PSendSms)
    assert shown.index("sent.raise_if_failed()") < shown.index("sent.result[0]")


def test_somebody_read_help_and_awaited_the_send() -> None:
    """`help()` shows the `await`, and every error with what became of the message."""
    for method in (spec.SEND_SMS_MESSAGE, spec.A2P_SEND_SMS):
        shown = spec.documentation(method, spec.request_class(method))
        assert f"await client.{spec.python_name(method.cmd)}(" in shown
        for error in ("InvalidRequest", "BudgetExceeded", "NotSent", "ApiError", "OutcomeUnknown"):
            assert f"    {error}" in shown


def test_somebody_read_help_and_knew_both_ways_to_read_a_history() -> None:
    """A page is awaited, rows are iterated; a download is one request that takes a path."""
    shown = spec.documentation(spec.GET_SMS_HISTORY, spec.GetSmsHistory)
    assert "page = await client.get_sms_history()" in shown
    assert "async for row in client.get_sms_history():" in shown
    shown = spec.documentation(spec.GET_SMS_HISTORY, spec.DownloadSmsHistory)
    assert 'await client.download_sms_history(output="csv", path="history.csv")' in shown
    assert "    path: Where the file goes" in shown
    assert "async for" not in shown
