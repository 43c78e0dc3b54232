"""What somebody who knows Python and not voxsms tries first, and what they are told."""

from inspect import signature

import pytest
from doubles import A2P, KEY, Scripted, answer

from voxsms import Client
from voxsms.client import ClientOptions

_HISTORY = "[message_id=], [source_number=], [destination_number=], [direction=], [count=]"


@pytest.fixture
def client() -> Client:
    """Give a client whose service answers anything."""
    return Client(KEY, transport=Scripted(answer()))


async def test_somebody_guessed_a_keyword(client: Client) -> None:
    """The error names the method that was called, the slip, and what the method takes."""
    with pytest.raises(TypeError) as caught:
        await client.a2p_send_sms(to="447443332212", **A2P)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "Client.a2p_send_sms() got an unexpected keyword argument 'to'; "
        "it takes src_number=, dst_numbers=, text=, [store_body=]"
    )
    with pytest.raises(TypeError, match=r"Client\.get_sms_history\(\) got an unexpected") as caught:
        client.get_sms_history(since="yesterday")  # type: ignore[call-arg]
    assert f"; it takes {_HISTORY}" in str(caught.value)


async def test_somebody_left_something_out(client: Client) -> None:
    """What is missing is named."""
    with pytest.raises(TypeError) as caught:
        await client.download_sms_history(path="all.csv")  # type: ignore[call-arg]
    assert str(caught.value).startswith(
        "Client.download_sms_history() missing 1 required keyword-only argument: 'output'; it takes"
    )


async def test_somebody_gave_no_names(client: Client) -> None:
    """Which of two numbers is the sender is not guessed by their order."""
    with pytest.raises(TypeError) as caught:
        await client.send_sms_message("447443332211", "447443332212", "Hi")  # type: ignore[call-arg]
    assert str(caught.value) == (
        "Client.send_sms_message() takes keyword arguments only; "
        "it takes source=, destination=, sms_body=, [store_body=]"
    )


def test_somebody_forgot_async_before_for(client: Client) -> None:
    """Python would only say that it cannot be iterated."""
    with pytest.raises(TypeError, match=r"use `async for row in \.\.\.`, or `await` it"):
        list(client.get_sms_history())  # type: ignore[call-overload]


def test_an_editor_completes_the_options_of_from_env() -> None:
    """Its options are those of `Client`, each with its type."""
    assert list(ClientOptions.__annotations__) == list(signature(Client).parameters)[1:]
