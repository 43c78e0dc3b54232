"""The table's index, its lint and what is rendered from it."""

from collections.abc import Iterable
from inspect import Parameter
from typing import Annotated, Any

import attrs
import pytest

from voxsms.api import registry, spec, wire
from voxsms.api.models import HistoryPage, PhoneNumber, SmsHistory
from voxsms.api.spec import Method, Param, Sending


@attrs.frozen(kw_only=True)
class Ask:
    """A request with one parameter of each kind that lint looks at."""

    word: Annotated[str, Param(wire.WordForm(), "A word.")]
    count: Annotated[int | None, Param(wire.IntForm(), "Rows.")] = None
    offset: Annotated[int | None, Param(wire.IntForm(), "Rows to skip.")] = None


@attrs.frozen(kw_only=True)
class AskUndocumented:
    """A request whose parameter says nothing of itself."""

    word: Annotated[str, Param(wire.WordForm(), "")]


@attrs.frozen(kw_only=True)
class AskWithoutForm:
    """A request with a parameter that was given no form."""

    word: Annotated[str, Param(wire.WordForm(), "A word.")]
    forgotten: str | None = None
    noted: Annotated[str | None, "no form"] = None


@attrs.frozen(kw_only=True)
class AskForFile(Ask):
    """A request for a file that does not say where it goes."""

    output: spec.OutputFormat


def row(**changes: object) -> Method[..., object]:
    """Make a row in which nothing is wrong but the changes."""
    make: Any = Method
    good = {"cmd": "Ask", "request": Ask, "reply": SmsHistory, "summary": "Ask for a word"}
    made: Method[..., object] = make(**{**good, **changes})
    return made


def test_the_shipped_table_is_clean() -> None:
    """Nothing is wrong with the table that ships."""
    assert registry.lint() == []


def test_a_good_row_is_clean() -> None:
    """Lint does not complain of what is right."""
    page = row(reply=HistoryPage[SmsHistory], span=("count", "offset"))
    sending = Sending(sender="word", to="word", text="word")
    assert registry.lint((page, row(cmd="Send", sending=sending))) == []


BROKEN: list[tuple[dict[str, object], list[str]]] = [
    ({"summary": ""}, ["the summary is missing or ends with a full stop"]),
    ({"summary": "Ask for a word."}, ["the summary is missing or ends with a full stop"]),
    ({"request": AskUndocumented}, ["word has no documentation"]),
    (
        {"request": AskWithoutForm},
        [
            "forgotten has no form, so it would never be sent",
            "noted has no form, so it would never be sent",
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
        ["message_id is named by `row_id` but is no field of a row"],
    ),
    ({"download": AskForFile}, ["a download needs output and path"]),
]


@pytest.mark.parametrize(("changes", "problems"), BROKEN)
def test_lint_finds_what_is_broken(changes: dict[str, object], problems: list[str]) -> None:
    """Each rule of the table is held against a row that breaks it."""
    assert registry.lint((row(**changes),)) == [f"Ask: {problem}" for problem in problems]


def test_lint_finds_a_name_said_twice() -> None:
    """Two rows of one name would hide one another in the index."""
    assert registry.lint((row(), row(), row(cmd="Other"))) == ["Ask: named twice"] * 2


def test_the_index_has_the_eight_methods_and_can_not_be_changed() -> None:
    """Five SMS methods and three neighbours, by their case-sensitive names."""
    assert list(registry.METHODS) == [
        "SendSmsMessage",
        "A2PSendSms",
        "ControlSms",
        "GetSmsHistory",
        "A2PGetSmsHistory",
        "GetPhoneNumbers",
        "GetResourcePrice",
        "GetAccountInfo",
    ]
    methods: Any = registry.METHODS
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
    assert registry.python_name(cmd) == name


def test_the_method_table_has_a_line_for_each_row() -> None:
    """What stands in the README names every call, its parameters and whether it charges."""
    lines = registry.method_table().splitlines()
    assert lines[0] == "| call | on the wire | what it does | charges | pages |"
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert len(lines[2:]) == 8
    assert lines[2] == (
        "| `send_sms_message(source=, destination=, sms_body=, [store_body=])` "
        "| `SendSmsMessage` | Send one SMS between two numbers | yes | no |"
    )
    assert [line.split(" | ")[1].strip("`") for line in lines[2:]] == list(registry.METHODS)
    assert [line.split(" | ")[3:] for line in lines[2:]] == [
        ["yes", "no |"],
        ["yes", "no |"],
        ["no", "no |"],
        ["no", "yes |"],
        ["no", "yes |"],
        ["no", "yes |"],
        ["no", "no |"],
        ["no", "no |"],
    ]


def test_parameters_are_those_that_cross_the_wire_in_order() -> None:
    """What has no form stays on this machine: the path of a download."""
    download = registry.widest(spec.GET_SMS_HISTORY)
    parameters = registry.parameters(download)
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
    assert registry.required(download) == {"output"}
    assert isinstance(parameters["count"].form, wire.IntForm)


def test_a_request_class_is_the_signature_of_its_call() -> None:
    """`help()` and an editor show the real parameters and what comes back."""
    shown = registry.call_signature(registry.widest(spec.SEND_SMS_MESSAGE), returns=int)
    assert list(shown.parameters) == ["source", "destination", "sms_body", "store_body"]
    assert {each.kind for each in shown.parameters.values()} == {Parameter.KEYWORD_ONLY}
    assert shown.parameters["source"].default is Parameter.empty
    assert shown.parameters["store_body"].default is None
    assert shown.return_annotation is int


@pytest.mark.parametrize("cmd", sorted(registry.METHODS))
def test_the_documentation_names_every_parameter(cmd: str) -> None:
    """`help()` says what each parameter means and which roles may call."""
    method = registry.METHODS[cmd]
    text = registry.documentation(method, registry.request_class(method))
    for name, param in registry.parameters(registry.request_class(method)).items():
        assert f"    {name}: {param.doc}" in text.splitlines()
    assert text.endswith(f"Roles: {', '.join(method.roles)}.") == bool(method.roles)


def test_the_documentation_reads_as_a_docstring() -> None:
    """`help()` shows what a call does, then its arguments, then its roles."""
    method = registry.METHODS["ControlSms"]
    assert registry.documentation(method, registry.request_class(method)) == (
        "Enable or disable sending and receiving SMS for a number that supports it.\n\n"
        "Args:\n"
        "    phone_number: A rented number with SMS support.\n"
        "    command: `enable` or `disable`.\n\n"
        "Roles: Owner, Admin, Developer."
    )


def test_the_widest_request_has_what_a_download_adds() -> None:
    """The sandbox reads `output` of a history and nothing more of any other method."""
    assert registry.widest(spec.GET_SMS_HISTORY).__name__ == "DownloadSmsHistory"
    assert registry.widest(spec.A2P_GET_SMS_HISTORY).__name__ == "DownloadA2PSmsHistory"
    assert registry.widest(spec.CONTROL_SMS).__name__ == "ControlSms"


def test_a_row_takes_a_class_for_its_request() -> None:
    """A function in its place is told to whoever writes the table."""

    def ask(words: Iterable[str]) -> attrs.AttrsInstance:
        return Ask(word=";".join(words))

    with pytest.raises(TypeError, match="Ask: the request of a row is a class"):
        registry.request_class(row(request=ask))
