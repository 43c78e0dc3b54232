"""Where credentials come from: a file, the environment; and what is said when they are wrong."""

import base64
import json
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxsms.calls.auth import ApiKey, ServiceAccount, from_env
from voxsms.errors import CredentialsInvalid

SECRET = "c4n4ry"
PEM = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
GOOD: dict[str, Any] = {"account_id": 12345, "key_id": "key-1", "private_key": PEM}

json_values = st.fixed_dictionaries(
    {},
    optional={
        "account_id": st.integers() | st.text("0123456789") | st.none() | st.floats(),
        "key_id": st.text() | st.lists(st.none()),
        "private_key": st.text() | st.booleans(),
    },
)
"""Files that are nearly right."""


def written(folder: Path, content: object) -> Path:
    """Write a credentials file; what is not bytes is written as JSON."""
    path = folder / "credentials.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def everything_of(error: BaseException) -> str:
    """Tell all that could be logged: texts, chain, attributes, pickle, variables of our frames."""
    own = error.__traceback__ and error.__traceback__.tb_next  # without the test's own frame
    story = traceback.TracebackException(type(error), error, own, capture_locals=True)
    texts = [*story.format(), str(pickle.dumps(error))]
    link: BaseException | None = error
    while link:
        texts += [
            repr(link),
            *(repr(getattr(link, name, None)) for name in dir(link) if name[0] != "_"),
        ]
        assert link.__context__ is link.__cause__, "a hidden context keeps what it quotes"
        link = link.__cause__
    return "".join(texts)


def problem_of(path: str | Path) -> str:
    """Read a file that is wrong, check that nothing of it is shown, and give the message."""
    with pytest.raises(CredentialsInvalid) as caught:
        ServiceAccount.from_file(path)
    assert SECRET not in everything_of(caught.value)
    assert caught.value.sent == "no"
    return str(caught.value)


def test_file_as_the_service_gives_it_out(tmp_path: Path) -> None:
    """The file of a service account is read as it is; further fields are no trouble."""
    path = written(tmp_path, {**GOOD, "user_id": 9, "description": None})
    account = ServiceAccount.from_file(path)
    assert account == ServiceAccount(12345, "key-1", PEM)
    assert account.path == path
    assert ServiceAccount.from_file(str(path)) == account
    assert str(path) not in repr(account)


@pytest.mark.parametrize("account_id", ["12345", " 12345\n"])
def test_account_id_may_be_written_as_a_text(tmp_path: Path, account_id: str) -> None:
    """An account id in quotes is read as the number that it is."""
    account = ServiceAccount.from_file(written(tmp_path, {**GOOD, "account_id": account_id}))
    assert account.account_id == 12345


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_file_saved_by_any_editor(tmp_path: Path, encoding: str) -> None:
    """A byte order mark, as some editors put it in, is no trouble."""
    content = json.dumps(GOOD).encode(encoding)
    assert ServiceAccount.from_file(written(tmp_path, content)).key_id == "key-1"


NO_NUMBER = "account_id must be a whole number above 0"
NO_TEXT = "must be a text that is not empty"
TOO_LARGE = "is larger than 65536 bytes, which no credentials file is"
CUT_OFF = json.dumps(GOOD).encode()[:-1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({**GOOD, "account_id": f"{SECRET}1"}, NO_NUMBER),
        ({**GOOD, "account_id": ""}, NO_NUMBER),
        ({**GOOD, "account_id": "0"}, NO_NUMBER),
        ({**GOOD, "account_id": "١٢٣"}, NO_NUMBER),
        ({**GOOD, "account_id": "9" * 19}, NO_NUMBER),
        ({**GOOD, "account_id": 0}, NO_NUMBER),
        ({**GOOD, "account_id": -1}, NO_NUMBER),
        ({**GOOD, "account_id": True}, NO_NUMBER),
        ({**GOOD, "account_id": 1.0}, NO_NUMBER),
        ({**GOOD, "account_id": [SECRET]}, NO_NUMBER),
        ({**GOOD, "account_id": None}, "account_id is missing"),
        ({**GOOD, "key_id": ""}, f"key_id {NO_TEXT}"),
        ({**GOOD, "key_id": 7}, f"key_id {NO_TEXT}"),
        ({**GOOD, "key_id": PEM}, "key_id must be the id of the key, not the key"),
        ({**GOOD, "private_key": " \n"}, f"private_key {NO_TEXT}"),
        ({**GOOD, "private_key": {"pem": PEM}}, f"private_key {NO_TEXT}"),
        ({"private_key": PEM}, "account_id is missing; key_id is missing"),
        ({"account_id": 1, "key_id": "k"}, "private_key is missing"),
        ({}, "account_id is missing; key_id is missing; private_key is missing"),
        ([SECRET], "must hold a JSON object"),
        (SECRET, "must hold a JSON object"),
        (None, "must hold a JSON object"),
        (b"", "is not JSON (line 1, column 1)"),
        (PEM.encode(), "is not JSON (line 1, column 1)"),
        (CUT_OFF, f"is not JSON (line 1, column {len(CUT_OFF) + 1})"),
        (f'{{\n "private_key": {SECRET}}}'.encode(), "is not JSON (line 2, column 17)"),
        (f'"{SECRET}\xff"'.encode("latin-1"), "is not JSON"),
        (b'{"account_id": ' + b"9" * 5000 + b"}", "is not JSON"),
        (f'"{SECRET}'.encode() + b" " * 70_000, TOO_LARGE),
        (b"[" * 60_000, "is not JSON"),
    ],
)
def test_wrong_file_is_told_by_file_and_field(
    tmp_path: Path, content: object, problem: str
) -> None:
    """What is wrong is said with the file and every wrong field, never with what stands in it."""
    path = written(tmp_path, content)
    assert problem_of(path) == f"credentials file {str(path)!r}: {problem}"


def test_file_that_can_not_be_opened(tmp_path: Path) -> None:
    """A path where nothing stands, or a folder, is named with the system's reason as cause."""
    path = tmp_path / "nothing.json"
    assert problem_of(path) == (
        f"credentials file {str(path)!r}: cannot be read: No such file or directory"
    )
    assert problem_of(tmp_path).endswith("cannot be read: Is a directory")
    with pytest.raises(CredentialsInvalid) as caught:
        ServiceAccount.from_file(path)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


CONTENTS = [
    json.dumps(GOOD),
    json.dumps(GOOD, indent=1),
    PEM,
    base64.b64encode(json.dumps({**GOOD, "private_key": SECRET * 200}).encode()).decode(),
    f"{SECRET}\0",
    f"key_id: {SECRET}\nand more",
    f'\ufeff {{"api_key": "{SECRET}"}}',
]


@pytest.mark.parametrize(
    "contents", CONTENTS, ids=["JSON", "lines", "PEM", "base64", "NUL", "no JSON", "small"]
)
def test_contents_in_place_of_the_path(contents: str) -> None:
    """Credentials given where their path belongs are not repeated as "no such file"."""
    for read in (ServiceAccount.from_file, from_env_with_path):
        with pytest.raises(CredentialsInvalid) as caught:
            read(contents)
        problem = "must be the path of a credentials file, not its contents"
        assert str(caught.value).removeprefix("VOXIMPLANT_CREDENTIALS: ") == problem
        told = "".join(traceback.format_exception(caught.value))
        assert SECRET not in told
        assert contents[-20:] not in told


def from_env_with_path(path: str) -> ServiceAccount | ApiKey:
    """Read the environment of one who set the variable of the path."""
    return from_env({"VOXIMPLANT_CREDENTIALS": path})


@settings(deadline=None)  # it reads a file
@given(st.binary() | st.text().map(str.encode) | json_values.map(json.dumps).map(str.encode))
def test_no_file_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever stands in a file, it is either credentials or `CredentialsInvalid`."""
    path = written(tmp_path_factory.getbasetemp(), content)
    told, account = outcome_of(path)
    if account is None:
        assert told.startswith(f"credentials file {str(path)!r}: ")
    else:
        given = json.loads(content)
        assert account.account_id == int(given["account_id"])
        assert account.key_id == given["key_id"].strip()
        assert account.private_key == given["private_key"]


def outcome_of(path: Path) -> tuple[str, ServiceAccount | None]:
    """Read a file: give the credentials, or what is said against it."""
    try:
        return "", ServiceAccount.from_file(path)
    except CredentialsInvalid as error:
        return str(error), None


class Folder:
    """A path that is no `str`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        """Give the path."""
        return str(self.path)


def test_environment_names_a_file(tmp_path: Path) -> None:
    """`VOXIMPLANT_CREDENTIALS` comes first; blanks around the path do not matter."""
    path = written(tmp_path, GOOD)
    environ = {
        "VOXIMPLANT_CREDENTIALS": f"{path}\n",
        "VOXIMPLANT_ACCOUNT_ID": "9",
        "VOXIMPLANT_API_KEY": SECRET,
    }
    assert from_env(environ) == ServiceAccount(12345, "key-1", PEM)
    assert from_env(environ) == ServiceAccount.from_file(Folder(path))


@pytest.mark.parametrize("unset", [{}, {"VOXIMPLANT_CREDENTIALS": " "}])
def test_environment_names_a_key(unset: dict[str, str]) -> None:
    """Without a file the account id and the API key are taken, without blanks around them."""
    key = {"VOXIMPLANT_ACCOUNT_ID": " 12345", "VOXIMPLANT_API_KEY": f"{SECRET}\n"}
    assert from_env(unset | key) == ApiKey(12345, SECRET)


@pytest.mark.parametrize("around", ["{}", '"{}"', "'{}'", ' "{} "\r\n', "\ufeff{}"])
def test_what_stands_around_a_value_is_dropped(tmp_path: Path, around: str) -> None:
    """`docker --env-file` keeps the quotes and blanks of its file, editors put in marks."""
    key = {"VOXIMPLANT_ACCOUNT_ID": "12345", "VOXIMPLANT_API_KEY": SECRET}
    path = {"VOXIMPLANT_CREDENTIALS": str(written(tmp_path, GOOD))}
    for environ, found in (
        (key, ApiKey(12345, SECRET)),
        (path, ServiceAccount(12345, "key-1", PEM)),
    ):
        assert from_env({name: around.format(value) for name, value in environ.items()}) == found


NOTHING_SET = (
    "no credentials: set VOXIMPLANT_CREDENTIALS (the path of a credentials file) or "
    "VOXIMPLANT_ACCOUNT_ID and VOXIMPLANT_API_KEY"
)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, NOTHING_SET),
        (
            {"VOXIMPLANT_ACCOUNT_ID": "12345", "VOXIMPLANT_API_KEY": " "},
            "VOXIMPLANT_API_KEY is not set (nor is VOXIMPLANT_CREDENTIALS)",
        ),
        (
            {"VOXIMPLANT_API_KEY": SECRET},
            "VOXIMPLANT_ACCOUNT_ID is not set (nor is VOXIMPLANT_CREDENTIALS)",
        ),
        (
            {"VOXIMPLANT_ACCOUNT_ID": SECRET, "VOXIMPLANT_API_KEY": "12345"},
            "VOXIMPLANT_ACCOUNT_ID must be a whole number above 0",
        ),
        (
            {"VOXIMPLANT_ACCOUNT_ID": "0", "VOXIMPLANT_API_KEY": SECRET},
            "VOXIMPLANT_ACCOUNT_ID must be a whole number above 0",
        ),
    ],
)
def test_environment_that_is_incomplete(environ: dict[str, str], problem: str) -> None:
    """The variable that is missing or wrong is named, without its value."""
    with pytest.raises(CredentialsInvalid) as caught:
        from_env(environ)
    assert str(caught.value) == problem
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_environment_names_a_wrong_file(tmp_path: Path) -> None:
    """The message says which variable led to the file, which file, and which field."""
    path = written(tmp_path, {**GOOD, "key_id": None})
    with pytest.raises(CredentialsInvalid) as caught:
        from_env_with_path(str(path))
    said = f"VOXIMPLANT_CREDENTIALS: credentials file {str(path)!r}: key_id is missing"
    assert str(caught.value) == said
    assert SECRET not in everything_of(caught.value)


async def test_key_that_can_not_sign_is_told_by_its_file(tmp_path: Path) -> None:
    """A key is parsed late, but the file that it came from is named even then."""
    path = written(tmp_path, GOOD)
    signer = ServiceAccount.from_file(path).signer()
    with pytest.raises(CredentialsInvalid) as caught:
        await signer.sign(1_790_000_000)
    assert str(caught.value) == (
        f"credentials file {str(path)!r}: private_key (of key_id 'key-1') "
        "cannot be read as a private key in PEM form"
    )
    assert SECRET not in everything_of(caught.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"account_id": "12345"}, "ServiceAccount: account_id must be a whole number above 0"),
        ({"key_id": PEM}, "ServiceAccount: key_id must be the id of the key, not the key"),
        (
            {"private_key": PEM.encode()},
            "ServiceAccount: private_key must be a text that is not empty",
        ),
    ],
)
def test_wrong_value_is_told_by_field(given: dict[str, Any], problem: str) -> None:
    """Credentials made by hand are checked too: types, and the two keys in each other's place."""
    with pytest.raises(CredentialsInvalid) as caught:
        ServiceAccount(**{**GOOD, **given})
    assert str(caught.value) == problem
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_wrong_api_key_is_told_by_field() -> None:
    """An empty API key is refused before it is sent."""
    with pytest.raises(CredentialsInvalid, match=f"ApiKey: api_key {NO_TEXT}"):
        ApiKey(1, "")
