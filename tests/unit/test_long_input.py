"""Long answers and long cells take no longer than it takes to look at them once."""

import io
import sys

import pytest

from voxsms import recipients
from voxsms.api.decode import Unreadable, read
from voxsms.api.models import A2PSmsHistory, HistoryPage, PhoneNumber, ResourcePrice
from voxsms.recipients import BadRow, Recipient

GOOD = {"phone_id": 1, "phone_number": "447443332211"}


@pytest.mark.parametrize("row", [{}, [], 1, None, {"message_id": "x"}])
@pytest.mark.parametrize("record", [A2PSmsHistory, PhoneNumber, ResourcePrice])
def test_an_answer_is_read_up_to_what_cannot_be_read(record: type, row: object) -> None:
    """An answer of 300 kB held up the event loop for 20 s; the calls of few rows take none."""
    kind = HistoryPage[record]  # type: ignore[valid-type]
    calls: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: calls.append(event))
    try:
        with pytest.raises(Unreadable) as refused:
            read(kind, {"result": [row] * 100_000, "total_count": 1})
    finally:
        sys.setprofile(before)
    assert len(calls) < 50_000
    assert refused.value.path.startswith("result[0]")


def test_the_row_that_cannot_be_read_is_named() -> None:
    """By its place, after those that can, and by its field."""
    kind = HistoryPage[PhoneNumber]
    rows = [GOOD, GOOD, GOOD | {"phone_id": "x"}, {}]
    with pytest.raises(Unreadable, match="whole number") as refused:
        read(kind, {"result": rows, "total_count": 4})
    assert refused.value.path == "result[2].phone_id"


@pytest.mark.parametrize("after", [b"", b"["])
def test_a_long_cell_of_a_list_in_an_old_encoding(after: bytes) -> None:
    """A cell without blanks is looked through once for its encoding, which took minutes."""
    cell = b"a" * 120_000 + after + b"\xe9"
    octets = b"phone,name\n" + b"".join(b"447700900123,%b\n" % cell for _ in range(4))
    with recipients.read(io.BytesIO(octets)) as people:
        found = [*people]
    assert [type(row) for row in found] == [BadRow] * 4
    with recipients.read(io.BytesIO(octets), encoding="cp1252") as people:
        assert {type(row) for row in people} == {Recipient}
