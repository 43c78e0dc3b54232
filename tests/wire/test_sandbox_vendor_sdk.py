"""The vendor's own Python client, as it is, against a sandbox in another process."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

Sdk = Any  # it ships no types
client: Any = import_module("voximplant.apiclient.client")
OWN, ONE, TWO = "447443332211", "447443332212", "447443332213"
SERVER = """
import sys
from voxsms.sandbox import serve
with serve(refused={"447443332213": 385}, tls=True) as sandbox:
    sandbox.save_credentials(sys.argv[1])
    print(sandbox.url, sandbox.certificate, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Run a sandbox in a process of its own; give its address, certificate and credentials."""
    credentials = tmp_path_factory.mktemp("sdk") / "credentials.json"
    command = [sys.executable, "-c", SERVER, str(credentials)]
    with subprocess.Popen(  # noqa: S603 - our own text above
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, certificate = process.stdout.readline().split()
        yield url, certificate, credentials
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.fixture
def sdk(server: tuple[str, str, Path], monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """Return the vendor's client, which knows https alone."""
    url, certificate, credentials = server
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    return client.VoximplantAPI(str(credentials), endpoint=url.removeprefix("https://"))


def test_the_sdk_fails_controls_sends_and_reads(sdk: Sdk) -> None:
    """The main path, with the refusals on its way, as the vendor's users see it."""
    with pytest.raises(client.VoximplantException) as caught:
        sdk.send_sms_message(OWN, ONE, "Hi")
    assert caught.value.code == 386
    assert sdk.control_sms(OWN, "enable") == {"result": 1}
    sent = sdk.send_sms_message(OWN, ONE, "Grüße", store_body=True)
    assert (sent["result"], sent["fragments_count"]) == (1, 1)
    many = sdk.a2p_send_sms("VOXSMS", [ONE, TWO], "x" * 161, store_body=False)
    assert [each["destination_number"] for each in many["result"]] == [ONE]
    assert [each["error_code"] for each in many["failed"]] == [385]
    assert many["fragments_count"] == 2
    numbers = sdk.get_phone_numbers(phone_number=[OWN])["result"]
    assert [number["is_sms_enabled"] for number in numbers] == [True]
    file = sdk.get_sms_history(source_number=OWN, output="csv")
    assert "Grüße" in str(file)
    account = sdk.get_account_info()["result"]
    assert account["balance"] == pytest.approx(100 - 0.0355 - 2 * 0.0340)


def test_the_sdk_reads_prices(sdk: Sdk) -> None:
    """Lists joined with `;`, and the price groups of the contract."""
    found = sdk.get_resource_price(resource_type=["SMSOUT"], resource_param=["14155550101"])
    (price,) = found["result"]
    (group,) = price["price_groups"]
    assert (group["price_group_name"], group["price"]) == ("USA", 0.0079)
    assert group["params"]["requested"] == ["14155550101"]


def test_the_sdk_is_refused(sdk: Sdk) -> None:
    """Errors of the sandbox arrive as the SDK's own, with the documented codes."""
    with pytest.raises(client.VoximplantException) as caught:
        sdk.a2p_send_sms("NOBODY", [ONE], "Hi")
    assert caught.value.code == 507
    sdk.account_id = 1
    with pytest.raises(client.VoximplantException) as caught:
        sdk.get_account_info()
    assert caught.value.code == 115
