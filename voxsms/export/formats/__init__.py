"""The file formats of an export."""

from pathlib import Path
from typing import Literal, get_args

from voxsms.export._table import Table
from voxsms.export.formats._csv import Csv
from voxsms.export.formats._format import Format
from voxsms.export.formats._gzip import Gzip
from voxsms.export.formats._jsonl import Jsonl
from voxsms.export.formats._parquet import Parquet
from voxsms.export.formats._xlsx import Xlsx

__all__ = ["NAMES", "Format", "FormatName", "make_format"]

FormatName = Literal["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet", "xlsx"]
NAMES: tuple[str, ...] = get_args(FormatName)


def make_format(name: str, table: Table, temporary: Path, *, raw: bool, excel: bool) -> Format:
    """Return the writer of a table.

    Args:
        name: one of `NAMES`.
        table: the columns.
        temporary: a directory that a library may use for its own files.
        raw: whether texts in CSV stay as they are.
        excel: whether CSV is for Excel.
    """
    kind, _, packed = name.partition(".")
    if kind == "parquet":
        return Parquet(table)
    if kind == "xlsx":
        return Xlsx(table, temporary)
    lines = Jsonl(table) if kind == "jsonl" else Csv(table, raw=raw, excel=excel)
    return Gzip(lines) if packed else lines
