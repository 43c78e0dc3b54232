"""Parquet, by pyarrow (extra `parquet`): typed columns.

Amounts are decimals; in saved windows they have room for as many digits as may arrive. In a file,
and in all files of a directory, they have as many decimals as the longest amount needs: programs
assume the first file's type for the others, or refuse the directory.

A window is saved as an Arrow stream, cheap to write and to read again. Row groups are cut when the
windows are joined, at every 100,000 rows: the same rows produce the same bytes, however they were
split into windows.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from voxsms.errors import ResponseInvalid
from voxsms.export._rows import DATE_LENGTH, TIME_LENGTH, Column, Kind, amount_text
from voxsms.export._table import Table
from voxsms.export.formats._format import Format, Sink

Arrow = Any
"""The module or one of its objects: pyarrow has no types."""
GROUP_ROWS = 100_000
_FIGURES, _DECIMALS = 38, 24
"""Enough for float noise: 0.0017 * 3 may arrive as 0.0050999999999999995."""
_REPEATED = ("source_number", "fragments", "error_message")
"""Columns whose values repeat so often that storing each once pays, as for choices and amounts."""


class Parquet(Format):
    """Writes rows as typed columns. Raises `ModuleNotFoundError` if pyarrow is not installed."""

    header = None

    def __init__(self, table: Table) -> None:
        pa = import_module("pyarrow")
        self._pa: Any = pa
        self._table = table
        self._types: Mapping[Kind, Any] = {
            Kind.INT: pa.int64(),
            Kind.TEXT: pa.string(),
            Kind.CHOICE: pa.string(),
            Kind.MONEY: pa.decimal128(_FIGURES, _DECIMALS),
            Kind.TIME: pa.timestamp("us", "UTC"),
        }
        kinds = [column.kind for column in table.columns]
        types = [self._types[kind] for kind in kinds]
        self._schema = pa.schema(list(zip(table.names, types, strict=True)))
        named = dict(zip(table.names, kinds, strict=True))
        self._money, self._choices = (
            [name for name, kind in named.items() if kind is wanted]
            for wanted in (Kind.MONEY, Kind.CHOICE)
        )

    def encode(self, portions: Iterable[Sequence[Any]], /) -> bytes:
        """Return rows as an Arrow stream, each portion as a batch."""
        return self._stream(map(self._batch, portions))

    def _stream(self, batches: Iterable[Arrow]) -> bytes:
        sink = self._pa.BufferOutputStream()
        with self._pa.ipc.new_stream(sink, self._schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        return bytes(sink.getvalue())

    def _batch(self, contents: Sequence[Any]) -> Arrow:
        table = self._table
        arrays = [self._array(each, table.take(each, contents)) for each in table.columns]
        return self._pa.record_batch(arrays, schema=self._schema)

    def _array(self, column: Column, values: list[Any]) -> Arrow:
        pa, type_ = self._pa, self._types[column.kind]
        try:
            if column.kind is Kind.TIME:
                # The texts of times have no zone; they are in UTC.
                return self._times(values).cast(pa.timestamp("us")).cast(type_)
            if column.kind is Kind.CHOICE:
                return self._known(column, values)
            if column.kind is Kind.MONEY:
                return self._amounts(values)
            if column.kind is Kind.INT:
                return self._figures(values)
            return pa.array(values, type_)
        except (ValueError, OverflowError) as error:
            problem = f"a value that does not fit in {type_}"
            raise ResponseInvalid(
                self._table.layout.cmd, f"result[].{column.name}", problem
            ) from error

    # Arrow stores texts in one buffer, and integers like an array: if all values have one size,
    # passing a whole buffer takes a fraction of the time of converting each value.

    def _times(self, values: list[Any]) -> Arrow:
        count = len(values)
        try:
            joined = "".join(values)
        except TypeError:  # some are None
            joined = ""
        # A shorter or longer one would also move the blank of the next.
        if len(joined) != TIME_LENGTH * count or joined[DATE_LENGTH::TIME_LENGTH] != " " * count:
            return self._pa.array(values, self._pa.string())
        buffers = map(self._pa.py_buffer, (_ends_of_times(count), joined.encode()))
        return self._pa.StringArray.from_buffers(count, *buffers)

    def _figures(self, values: list[Any]) -> Arrow:
        try:
            figures = array("q", values)
        except TypeError:  # some are None
            return self._pa.array(values, self._types[Kind.INT])
        buffers = [None, self._pa.py_buffer(figures)]
        return self._pa.Array.from_buffers(self._types[Kind.INT], len(values), buffers)

    def _known(self, column: Column, values: list[Any]) -> Arrow:
        """Return choices in their known case, which they nearly always have."""
        known = {value: column.known.get(value, value) for value in {*values}}
        if len(known) == 1:
            return self._pa.repeat(self._pa.scalar(*known.values(), self._pa.string()), len(values))
        if any(value != text for value, text in known.items()):
            values = [known[value] for value in values]
        return self._pa.array(values, self._pa.string())

    def _amounts(self, values: list[Any]) -> Arrow:
        """Return a column of amounts, converting each value once: prices repeat."""
        pa = self._pa
        try:
            encoded = pa.array(values, pa.float64()).dictionary_encode()
        except (ValueError, TypeError):  # some are strings
            encoded = pa.array(list(map(amount_text, values)), pa.string()).dictionary_encode()
        texts = map(amount_text, encoded.dictionary.to_pylist())
        tidy = [Decimal(text) for text in texts if text is not None]
        return pa.array(tidy, self._types[Kind.MONEY]).take(encoded.indices)

    def _read(self, part: bytes) -> Arrow:
        return self._pa.ipc.open_stream(self._pa.py_buffer(part)).read_all()

    def drop(self, part: bytes, indexes: Collection[int], /) -> bytes:
        """Return a stream without some of its rows."""
        table = self._read(part)
        kept = [index for index in range(table.num_rows) if index not in indexes]
        return self._stream(table.take(self._pa.array(kept, self._pa.int64())).to_batches())

    def scale_of(self, part: bytes, /) -> int:
        """Return how many decimals the amounts of a stream have; few of them are different."""
        table = self._read(part)
        amounts = chain.from_iterable(table[name].unique().to_pylist() for name in self._money)
        texts = [f"{amount:f}".rstrip("0") for amount in amounts if amount is not None]
        return max((len(text.partition(".")[2]) for text in texts), default=0)

    def scale_in(self, path: Path, /) -> int:
        """Return how many decimals the amounts of a file have."""
        schema = import_module("pyarrow.parquet").read_schema(path)
        scales: list[int] = [schema.field(name).type.scale for name in self._money]
        return max(scales)

    def read(self, path: Path, /) -> Iterable[bytes]:
        """Yield the row groups of a file as streams."""
        with import_module("pyarrow.parquet").ParquetFile(path) as file:
            for index in range(file.num_row_groups):
                group = file.read_row_group(index).cast(self._schema)
                yield self._stream(group.to_batches())

    def write(self, file: BinaryIO, parts: Iterable[bytes], scale: int, /) -> None:
        """Write a Parquet file with row groups of one size."""
        pa, sink, choices = self._pa, Sink(file), self._choices
        parquet: Any = import_module("pyarrow.parquet")
        types = dict.fromkeys(choices, pa.dictionary(pa.int32(), pa.string()))
        types |= dict.fromkeys(self._money, pa.decimal128(_FIGURES, scale))
        schema = pa.schema([f.with_type(types.get(f.name, f.type)) for f in self._schema])
        repeated = [*choices, *self._money, *_REPEATED]
        writer = parquet.ParquetWriter(sink, schema, use_dictionary=repeated, compression="zstd")
        try:
            for group in self._groups(parts):
                writer.write_table(self._as_written(group, schema), row_group_size=GROUP_ROWS)
                # Free the memory of a group: memory must not grow with the history.
                del group  # before the next one is built
                pa.default_memory_pool().release_unused()
            writer.close()
        finally:
            # Otherwise pyarrow would add a footer when an unfinished writer is garbage-collected.
            sink.cut()
            writer.is_open = False

    def _as_written(self, group: Arrow, schema: Arrow) -> Arrow:
        """Return a group with the file's types; each choice is stored and each amount cast once."""
        columns = dict(zip(schema.names, group.columns, strict=True))
        for name in self._choices:
            columns[name] = columns[name].dictionary_encode()
        for name in self._money:
            (encoded,) = columns[name].dictionary_encode().chunks
            amounts = encoded.dictionary.cast(schema.field(name).type)
            columns[name] = amounts.take(encoded.indices)
        return self._pa.table(columns, schema)

    def _groups(self, parts: Iterable[bytes]) -> Iterator[Arrow]:
        """Yield tables of one size, each in one chunk, or the order in dictionaries would vary."""
        waiting = self._schema.empty_table()
        for part in parts:
            waiting = self._pa.concat_tables([waiting, self._read(part)])
            while waiting.num_rows >= GROUP_ROWS:
                yield waiting.slice(0, GROUP_ROWS).combine_chunks()
                waiting = waiting.slice(GROUP_ROWS)
        if waiting.num_rows:
            yield waiting.combine_chunks()


@lru_cache(4)
def _ends_of_times(count: int) -> "array[int]":
    return array("i", range(0, TIME_LENGTH * count + 1, TIME_LENGTH))
