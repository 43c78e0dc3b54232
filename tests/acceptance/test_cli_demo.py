"""`demo`: a newcomer's first minute. What it prints is true, and it leaves nothing behind."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import Run

from voxsms.api.models import FailedSms
from voxsms.cli import demo
from voxsms.cli._errors import Failed, Usage
from voxsms.cli.demo import Figures, Leg
from voxsms.pricing import Tally

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "voxsms", "demo")
STUCK = (
    sys.executable,
    "-c",
    """
import sys
from voxsms.cli import main, demo
demo.SETUP = (*demo.SETUP, "--faults", "never@GetPhoneNumbers")
sys.exit(main(["demo"]))
""",
)


class Marked:
    """Environment that marks a program and whatever it starts, so that both can be found."""

    def __init__(self) -> None:
        self._mark = f"VOXSMS_TEST={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.environment: Mapping[str, str] = {**os.environ, name: value}

    def processes(self) -> list[int]:
        """Give the processes that carry the mark."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._has(path)]

    def _has(self, process: Path) -> bool:
        try:
            return self._mark.encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is somebody else's
            return False


@pytest.fixture
def marked() -> Iterator[Marked]:
    """Give a mark, and end whatever still carries it after the test."""
    mark = Marked()
    yield mark
    for pid in mark.processes():
        os.kill(pid, signal.SIGKILL)


def _figures(out: str) -> dict[str, list[str]]:
    """Give the last table's rows by their names."""
    lines = out.partition("7  The results\n")[2].splitlines()[1:]
    named = (line.split("  ", maxsplit=1) for line in lines if "  " in line)
    return {name: cells.replace(" USD", "").split() for name, cells in named}


def test_the_main_job(marked: Marked) -> None:
    """It ends in order with 0, says what it did, and leaves no process."""
    done = subprocess.run(  # noqa: S603 - this very program
        COMMAND, env=marked.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert _figures(done.stdout) == {
        "messages accepted": ["1", "248", "249"],
        "numbers refused": ["0", "2", "2"],
        "fragments predicted": ["1", "248", "249"],
        "fragments returned": ["1", "248", "249"],
        "messages in the history": ["1", "248", "249"],
        "cost": ["0.0355", "5.9330", "5.9685"],
        "balance before": ["100.0000"],
        "balance after": ["94.0315"],
    }
    for words in (
        "447443332211  GB       Mobile  enabled",
        "\u2019 RIGHT SINGLE QUOTATION MARK",
        "250/250",
        "12125550198  385   SMS failed to send.",
        "18765550142  506   No route for dst numbers",
        "two-way: 1; A2P: 248 DELIVERED",
        "Every figure agrees",
    ):
        assert words in done.stdout
    assert marked.processes() == []


@pytest.mark.once
def test_the_three_texts(voxsms: Run) -> None:
    """A plain text, the same with one curly quote at twice the price, and one with an emoji."""
    ran = voxsms("demo")
    assert (ran.status, ran.err) == (0, "")
    rows = [line.rsplit(maxsplit=3) for line in ran.out.splitlines() if "Your parcel" in line]
    assert [row[1:] for row in rows] == [
        ["GSM-7", "1", "5.9415"],
        ["UTF-16", "2", "11.8830"],
        ["UTF-16", "2", "11.8830"],
    ]
    assert rows[0][0] == rows[1][0].replace("\u2019", "'")
    assert rows[2][0] == f"{rows[0][0]} \U0001f4e6"


@pytest.mark.once
def test_as_json(voxsms: Run) -> None:
    """A program gets the figures, and no story."""
    ran = voxsms("demo", "--json")
    assert ran.status == 0
    found = json.loads(ran.out)
    assert found["a2p"]["history"] == {"messages": 248, "fragments": 248, "cost": "5.9330"}
    assert Decimal(found["before"]) - Decimal("5.9685") == Decimal(found["after"])
    assert found["delivered"]["messages"] == 249


def test_numbers_that_nobody_has() -> None:
    """The 250 recipients are all different, and two of them are to be refused."""
    assert len(set(demo.RECIPIENTS)) == 250
    assert set(demo.TO_REFUSE) < set(demo.RECIPIENTS)


@pytest.mark.once
def test_a_disagreement_is_told(voxsms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the figures do not agree the demo says which, and ends with 1."""
    setup = (*demo.SETUP, "--refuse", f"{demo.RECIPIENTS[5]}=385")
    monkeypatch.setattr(demo, "SETUP", setup)
    ran = voxsms("demo")
    assert ran.status == 1
    assert "the demo's figures do not agree; refused numbers: 3 and 2" in ran.err
    assert "Every figure agrees" not in ran.out


def _agreeing() -> Figures:
    """Give figures that all agree."""
    two_way = Leg("two-way", 1, 1, [], 1, 1, Decimal("0.5"), Tally(1, 1, Decimal("0.5")))
    refused = [FailedSms("2", "no", 385)]
    a2p = Leg("A2P", 3, 2, refused, 4, 4, Decimal(2), Tally(2, 4, Decimal(2)))
    prices = [Decimal(1), Decimal(2), Decimal(2)]
    delivered = Tally(3, 5, Decimal("2.5"))
    return Figures(two_way, a2p, ["2"], prices, "USD", Decimal(9), Decimal("6.5"), delivered)


def test_figures_that_agree() -> None:
    """Nothing is made up where all is well."""
    assert _agreeing().disagreements() == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: setattr(f.a2p, "asked", 4), "A2P: numbers asked for"),
        (
            lambda f: setattr(f.a2p, "predicted", 3),
            "A2P: fragments predicted and returned: 3 and 4",
        ),
        (lambda f: setattr(f.a2p, "estimated", Decimal(3)), "A2P: cost estimated"),
        (lambda f: setattr(f.two_way, "accepted", 2), "two-way: messages accepted"),
        (
            lambda f: setattr(f.two_way, "history", Tally(1, 2)),
            "two-way: fragments returned and in",
        ),
        (lambda f: setattr(f, "after", Decimal("6.5001")), "balance before less the cost"),
        (lambda f: setattr(f, "to_refuse", ["3"]), "which numbers: ['2'] and ['3']"),
        (lambda f: f.prices.__setitem__(1, Decimal(3)), "twice the price"),
        (
            lambda f: setattr(f, "delivered", Tally(3, 5)),
            "cost in the histories and really delivered",
        ),
        (
            lambda f: setattr(f, "delivered", Tally(4, 5, Decimal("2.5"))),
            "messages in the histories",
        ),
    ],
)
def test_figures_that_do_not_agree(spoil: Callable[[Figures], None], told: str) -> None:
    """Each figure that differs is found and named with both its values."""
    figures = _agreeing()
    spoil(figures)
    assert any(told in found for found in figures.disagreements())


@pytest.mark.once
def test_ctrl_c_leaves_nothing(marked: Marked) -> None:
    """An interrupted demo ends with 130, without a traceback and without a process."""
    with _started(STUCK, marked) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "voxsms: interrupted\n")
    assert marked.processes() == []


@pytest.mark.once
@pytest.mark.measured_programs
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_that_is_killed_leaves_nothing(marked: Marked, end: signal.Signals) -> None:
    """Even where it is killed on the spot, its sandbox ends by itself."""
    with _started(STUCK, marked) as process:
        (child,) = set(marked.processes()) - {process.pid}
        watched = os.pidfd_open(child)
        process.send_signal(end)
        assert select.select([watched], [], [], 30)[0] == [watched]
        os.close(watched)
    assert marked.processes() == []


def _started(command: tuple[str, ...], marked: Marked) -> "subprocess.Popen[str]":
    """Start a demo, and come back when its sandbox runs."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603 - this very program
        command, env=marked.environment, stdout=pipe, stderr=pipe, text=True
    )
    assert process.stdout is not None
    while "It listens on" not in (line := process.stdout.readline()):
        assert line
    return process


@pytest.mark.once
def test_a_sandbox_that_does_not_start(capfd: pytest.CaptureFixture[str]) -> None:
    """What it said is passed on, and so is whether it was called wrongly or failed."""
    with pytest.raises(Usage, match="the sandbox ended with exit status 2"):
        demo.SandboxProcess(["--balance", "much"]).__enter__()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(Failed, match="the sandbox ended with exit status 1"):
            demo.SandboxProcess(["--port", port]).__enter__()
    assert "balance: is not an amount" in capfd.readouterr().err


def test_a_sandbox_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not end in time is killed."""
    monkeypatch.setattr(demo, "_PATIENCE", 0)
    with demo.SandboxProcess([]) as sandbox:
        process = sandbox._process
    assert process.returncode is not None


def test_ctrl_c_while_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """An impatient second Ctrl-C kills it, and goes on its way."""
    sandbox = demo.SandboxProcess([]).__enter__()
    process = sandbox._process
    wait = process.wait

    def interrupted(timeout: float | None = None) -> int:
        if timeout is None:
            return wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sandbox.__exit__()
    assert process.returncode == -signal.SIGKILL
