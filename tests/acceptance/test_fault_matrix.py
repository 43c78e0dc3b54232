"""Never send twice: every fault that a network and a server can make, against the ledger.

The calls are made once, over real sockets, with every logger at DEBUG; the tests look at what came
of them.
"""

import asyncio
import gc
from collections.abc import Iterator

import anyio
import pytest
from canary import Canary, Everything, listening, said_by, said_of
from fault_matrix import (
    END,
    OF_EACH_KIND,
    OF_THE_WIRE,
    PAGE,
    ROWS,
    SHOWN,
    START,
    TRANSPORTS,
    USERS,
    Cell,
    Matrix,
    run,
    shown,
    table,
)

from voxsms.api.fault_codes import Outcome
from voxsms.errors import (
    ApiError,
    ConnectionFailed,
    NotSent,
    OutcomeUnknown,
    ResponseInvalid,
    TimedOut,
)

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


@pytest.fixture(scope="module")
def log() -> Iterator[Everything]:
    """Hear every logger at its loudest."""
    with listening() as log:
        yield log


@pytest.fixture(scope="module")
def matrix(log: Everything) -> Matrix:
    """Make all calls of the matrix."""
    with asyncio.Runner() as runner:
        found = runner.run(run())
    assert log.lines
    return found


def sends(matrix: Matrix) -> list[Cell]:
    """Give the cells of calls that charge."""
    return [cell for cell in matrix.cells if cell.method.charges]


def readings(matrix: Matrix) -> list[Cell]:
    """Give the cells of calls that do not."""
    return [cell for cell in matrix.cells if not cell.method.charges]


def named(cells: list[Cell]) -> list[tuple[object, ...]]:
    """Say which cells, for the message of an assertion."""
    return [
        (c.row.words, c.method.name, c.transport, c.always, c.warm, c.ended, c.deliveries)
        for c in cells
    ]


def is_true(cell: Cell) -> bool:
    """Whether the outcome that a send reported is what the ledger says."""
    ended = cell.ended
    if isinstance(ended, OutcomeUnknown):
        return ended.sent == "maybe" and cell.deliveries <= 1
    if isinstance(ended, NotSent | ApiError):
        return ended.sent == "no" and cell.deliveries == 0
    return not isinstance(ended, BaseException) and cell.deliveries == 1


def test_the_matrix_is_whole(matrix: Matrix) -> None:
    """Every fault of the sandbox, every method and transport, on new connections and kept ones."""
    ways = {(c.row.words, c.method.name, c.transport, c.always, c.warm) for c in matrix.cells}
    assert len(ways) == len(matrix.cells) == len(ROWS) * len(SHOWN) * len(TRANSPORTS) * 2 * 2


def test_every_fault_was_met(matrix: Matrix) -> None:
    """No cell is good because its fault never came: once, or by every attempt."""
    asked = [cell for cell in matrix.cells if cell.row.kind not in {"ok", "refuse"}]
    assert named([c for c in asked if not c.always and c.met != 1]) == []
    assert named([c for c in asked if c.always and c.met != c.told.attempts]) == []
    refused = [cell for cell in matrix.cells if cell.row.kind == "refuse"]
    assert {cell.told.attempts for cell in refused if not cell.always} == {2}
    assert {cell.told.attempts for cell in refused if cell.always} == {4}


def test_no_send_is_delivered_twice(matrix: Matrix) -> None:
    """One call, at most one delivery."""
    assert named([cell for cell in sends(matrix) if cell.deliveries > 1]) == []


def test_what_a_send_reports_is_what_the_ledger_says(matrix: Matrix) -> None:
    """Success: one delivery. `NotSent` or a refusal: none. All else is `OutcomeUnknown`."""
    assert named([cell for cell in sends(matrix) if not is_true(cell)]) == []


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content:ResourceWarning")
def test_it_is_the_same_on_trio(matrix: Matrix) -> None:
    """Calls that httpx, httpx2 or a user's own transport carry end as they do on asyncio.

    A call of each kind meets whatever a transport can tell apart.
    """
    # What is filtered above is httpx's own: it leaves a request that can not be written half read.

    transports, methods = ["httpx", "httpx2", USERS], SHOWN[1:3]

    async def on_trio() -> Matrix:
        return await run([(True, False)], transports, OF_THE_WIRE, methods)

    with listening() as log:
        found = anyio.run(on_trio, backend="trio")
        gc.collect()
    assert Canary(found.secrets).heard(log.texts) == heard(found) == []
    assert len(found.cells) == len(OF_THE_WIRE) * len(methods) * len(transports)
    assert named([cell for cell in sends(found) if not is_true(cell)]) == []
    on_asyncio = {
        (cell.row.words, cell.method.name, cell.words) for cell in matrix.cells if not cell.always
    }
    ended = {(cell.row.words, cell.method.name, cell.words) for cell in found.cells}
    assert ended <= on_asyncio


def test_hooks_are_told_what_the_caller_is(matrix: Matrix) -> None:
    """The last word of the hooks is the call's end, and a doubt is given to them whole."""
    for cell in matrix.cells:
        ended = cell.ended if isinstance(cell.ended, BaseException) else None
        assert cell.told.error == (ended and type(ended).__name__)
        assert cell.told.doubt is (ended if isinstance(ended, OutcomeUnknown) else None)
        assert (cell.told.outcome is Outcome.ACCEPTED) == (ended is None)
        assert not cell.told.cancelled


def test_a_reading_ends_in_a_result_or_in_an_error_that_says_no(matrix: Matrix) -> None:
    """Nothing is in doubt, nothing was delivered."""
    kinds = (ConnectionFailed, TimedOut, ApiError, ResponseInvalid)
    errors = [cell for cell in readings(matrix) if isinstance(cell.ended, BaseException)]
    assert named([cell for cell in errors if not isinstance(cell.ended, kinds)]) == []
    assert {cell.ended.sent for cell in errors if isinstance(cell.ended, kinds)} == {"no"}
    assert {cell.deliveries for cell in readings(matrix)} == {0}


def test_a_reading_recovers_from_a_fault_that_passes(matrix: Matrix) -> None:
    """One bad attempt, then a good one: only a refusal or a deadline is raised at once."""
    lasting = {
        "code 101, a refusal",
        "done, code 515, done before",
        "done, codes 340 and 515 at once",
        "done, code 340 beside an id",
        "done, `result` is 0",
        "done, dripping beyond the deadline",
    }
    once = [cell for cell in readings(matrix) if not cell.always]
    failed = [cell for cell in once if isinstance(cell.ended, BaseException)]
    assert {cell.row.words for cell in failed} == lasting


def test_the_documented_table_is_what_was_found(matrix: Matrix) -> None:
    """It is refreshed by `python tests/fault_matrix.py --write`."""
    text = PAGE.read_text()
    assert START in text
    assert END in text.partition(START)[2]
    assert shown() == table(matrix.cells)


def test_what_must_not_be_seen_was_really_there(matrix: Matrix) -> None:
    """Keys, salts, texts, tokens and numbers crossed the wire, and would be recognised."""
    canary = Canary(matrix.secrets)
    assert len([secret for secret in matrix.secrets if secret.startswith("ey")]) >= len(ROWS) // 4
    assert all(canary.sings(f"...{secret}...") for secret in matrix.secrets)
    assert canary.sings("to 447400000012.")


def test_no_log_record_shows_a_secret_a_text_or_a_number(matrix: Matrix, log: Everything) -> None:
    """At DEBUG, of every logger: voxsms's, httpx's, httpcore's, aiohttp's, asyncio's."""
    assert {"voxsms", "httpcore.http11", "httpcore2.http11"} <= log.loggers
    assert Canary(matrix.secrets).heard(log.texts) == []


@pytest.mark.once
def test_nothing_is_shown_in_asyncios_debug_mode_either() -> None:
    """Which tells of slow steps and of what was not closed; nothing was not closed.

    A user's own httpx client is heard too, whose requests are logged by httpx itself.
    """
    with listening() as log, asyncio.Runner(debug=True) as runner:
        calls = run([(False, False)], [*TRANSPORTS, USERS], OF_THE_WIRE, OF_EACH_KIND)
        matrix = runner.run(calls)
    assert {"asyncio", "httpx"} <= log.loggers
    assert Canary(matrix.secrets).heard(log.texts) == []
    assert [line for line in log.texts if "nclosed" in line] == []
    assert heard(matrix) == []


def test_no_error_client_or_event_shows_a_secret_a_text_or_a_number(matrix: Matrix) -> None:
    """No text, `repr` or traceback of an error; no `repr` of a client or of a hook's argument."""
    assert heard(matrix) == []


def heard(matrix: Matrix) -> list[str]:
    """Give what is shown, of all that should not be, by what a caller gets and hooks are given."""
    shown = [text for cell in matrix.cells for text in shown_by(cell)]
    return Canary(matrix.secrets).heard(shown)


def shown_by(cell: Cell) -> list[str]:
    """Give all that can be seen of a call from outside."""
    errors = [said_by(cell.ended)] if isinstance(cell.ended, BaseException) else []
    return [*errors, cell.client, repr(cell.attempts), said_of(cell.told)]
