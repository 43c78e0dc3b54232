"""Export the whole history to a file: every row once, or an error.

.. code-block:: python

    summary = await voxsms.export_history(client, "sms", "history.parquet")

The range of time is frozen and cut into windows with few enough rows each. Every window is read
until arithmetic proves it complete (`_prove.py`); then it is encoded once and saved in a directory
beside the target (`_checkpoint.py`), so that a run that was stopped, however and at any moment, is
resumed when it is called again. In the end the windows are joined in order, and the file appears
under its name (`_target.py`).

Its two halves can be used alone: `make_plan` (`_plan.py`) returns frozen windows that can be
pickled, and `read_window` (`_prove.py`) returns the rows of one of them, proven complete.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal, cast

from voxsms.api.models import DeliveryStatus, Direction
from voxsms.client import Client
from voxsms.errors import Fault, InvalidRequest
from voxsms.export._days import check_update
from voxsms.export._plan import Window
from voxsms.export._progress import ExportProgress, ExportSummary
from voxsms.export._query import check_query
from voxsms.export._run import Export, Job
from voxsms.export._target import Destination, check_phonenumbers, check_target
from voxsms.export.formats import FormatName

__all__ = ["ExportProgress", "ExportSummary", "Window", "export_history"]

_MAX_IN_FLIGHT = 32
_LOOK_BACK = timedelta(days=3)


async def export_history(
    client: Client,
    kind: Literal["sms", "a2p"],
    path: Destination,
    *,
    from_date: datetime | None = None,
    to_date: datetime | None = None,
    direction: Direction | Literal["IN", "OUT", "in", "out"] | None = None,
    delivery_status: DeliveryStatus | int | None = None,
    source_number: str | None = None,
    destination_number: str | None = None,
    message_id: Iterable[int] | None = None,
    format: FormatName | None = None,  # noqa: A002 - the word for it
    by_day: bool = False,
    update: bool = False,
    look_back: timedelta | None = None,
    with_rates: bool = False,
    excel: bool = False,
    windows_in_flight: int = 4,
    mask: bool = False,
    raw: bool = False,
    restart: bool = False,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportSummary:
    """Write every matching row of a history to a file.

    Rows are sorted by time, within a second by id; rows without a time to the second are last. An
    impossible time, such as `0000-00-00 00:00:00`, is no time: JSON Lines have it as received, CSV
    and Parquet have no value, like the typed rows, and the logger `voxsms` warns once.

    JSON Lines have each row as received. The other formats have the columns of the typed rows, with
    `processed_date` as the name of the time in both histories, and with `currency`, which is read
    from the account.

    A run that was stopped resumes when it is called again with the same arguments; its range ends
    where it ended the first time, and the logger warns if that is more than an hour ago. An
    existing file is replaced when the new one is complete, and not touched before; so is a
    directory, if it holds only files of an export by day.

    Args:
        client: the client to read with.
        kind: `sms` for two-way messages, `a2p` for those of an application.
        path: where to write; the suffix selects the format: `.jsonl` (rows as received), `.csv`,
            `.jsonl.gz`, `.csv.gz`, `.parquet`, or `.xlsx`, whose sheet has room for 1,048,575
            messages. With `/` at the end it is a directory with a file for each day. `-` is
            standard output. May also be a file open for writing bytes.
        from_date: only messages of this time and later; by default from the beginning.
        to_date: only messages of this time and earlier; by default now, by the service's clock (if
            that is not known, up to the last row).
        direction: only sent or only received messages (`sms`).
        delivery_status: only messages that have this status when they are read (`a2p`).
        source_number: only messages from this number or SenderID.
        destination_number: only messages to this number.
        message_id: only the messages with these ids.
        format: one of the suffixes, without its first dot, if the path has none.
        by_day: write a directory with a file for each day.
        update: bring a directory by day up to date: read its last days again, as statuses change,
            and the days since; replace the files of these days, one by one, and keep the others. A
            directory that does not exist yet is written as a whole. Whole days are read:
            `from_date` must be the first second of a day in UTC, and `to_date` the last.
        look_back: how long before the directory's last day an update begins; 3 days by default.
        with_rates: add the columns `country` (two letters) and `price_group` of the destination,
            from the account's current prices; in JSON Lines `currency`, too. Needs phonenumbers
            (extra `phone`).
        excel: write CSV for Excel: with a byte order mark, and phone numbers and ids as texts.
        windows_in_flight: how many windows are read at a time, each with up to four requests; fewer
            while the service reports too many requests.
        mask: hide numbers and texts.
        raw: do not escape CSV texts that a spreadsheet would run as formulas; the other formats
            never escape texts.
        restart: start over, and discard what an earlier run left.
        on_progress: called with an `ExportProgress` after each page.

    Raises:
        InvalidRequest: an argument is not valid; nothing was requested or written.
        CheckpointMismatch: the checkpoint beside the target belongs to another export.
        Incomplete: the service returned fewer rows than it counts.
    """
    filters = {
        "direction": direction,
        "delivery_status": delivery_status,
        "source_number": source_number,
        "destination_number": destination_number,
        "message_id": message_id,
    }
    query, faults = check_query(kind, from_date, to_date, filters)
    del filters, source_number, destination_number  # error trackers record the variables of frames
    target, more = check_target(path, format, by_day=by_day)
    faults += more
    if update and query is not None and target is not None:
        look_back = _LOOK_BACK if look_back is None else look_back
        faults += check_update(query, look_back, by_day=target.by_day)
    elif look_back is not None and not update:
        faults.append(Fault("look_back", "is only for an update: it needs update=True (--update)"))
    if target is not None and not target.format.startswith("csv"):
        if excel:
            faults.append(Fault("excel", f"is for CSV, and the format is {target.format}"))
        if raw:
            problem = f"is for CSV; leave it out: texts in {target.format} are as they are"
            faults.append(Fault("raw", problem))
    if with_rates:
        faults += check_phonenumbers()
    if client.session.is_closed:
        faults.append(Fault("client", "is closed"))
    if type(cast("object", windows_in_flight)) is not int or not (
        1 <= windows_in_flight <= _MAX_IN_FLIGHT
    ):
        problem = f"must be a whole number from 1 to {_MAX_IN_FLIGHT}"
        faults.append(Fault("windows_in_flight", problem))
    if query is None or target is None or faults:
        raise InvalidRequest("export_history", tuple(faults))
    job = Job(
        query,
        target,
        windows_in_flight=windows_in_flight,
        mask=mask,
        raw=raw,
        excel=excel,
        with_rates=with_rates,
        look_back=look_back,
        restart=restart,
        on_progress=on_progress,
    )
    return await Export(client.session, job).run()
