"""Parquet, by pyarrow (extra `parquet`): typed columns.

A window is kept as an Arrow stream, cheap to write and to read again. Groups of rows are cut when
the file is put together, at every 100,000 rows: the same rows give the same bytes, whatever the
windows were that brought them.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import Any, BinaryIO

from voxsms.errors import ResponseInvalid
from voxsms.export import _files as files
from voxsms.export._masks import mask_value
from voxsms.export._rows import TIME_LENGTH, Column, Kind, Layout, Row, amount_text, take

Arrow = Any
"""The module, or what it makes: pyarrow has no types."""
GROUP_ROWS = 100_000
_AT_A_TIME = 1000
_FIGURES, _DECIMALS = 38, 24
"""Enough for the noise of a float: 0.0017 * 3 is 0.0050999999999999995 as it may come."""
_REPEATED = ("source_number", "error_message")
"""Texts that repeat so much that it pays to store each once; choices and amounts do, too."""


class Parquet:
    """Writes rows as typed columns. Raises `ModuleNotFoundError` where pyarrow is not installed."""

    as_json = False
    header = None

    def __init__(self, layout: Layout, *, mask: bool) -> None:
        pa = import_module("pyarrow")
        self._pa: Any = pa
        self._layout = layout
        self._mask = mask
        self._types: Mapping[Kind, Any] = {
            Kind.INT: pa.int64(),
            Kind.TEXT: pa.string(),
            Kind.CHOICE: pa.string(),
            Kind.MONEY: pa.decimal128(_FIGURES, _DECIMALS),
            Kind.TIME: pa.timestamp("us", "UTC"),
        }
        self._schema = pa.schema([(each.name, self._types[each.kind]) for each in layout.columns])

    def encode(self, rows: Sequence[Row], /) -> bytes:
        """Return rows as an Arrow stream, a few in a batch: the processor's cache holds these."""
        contents = take(rows, "content")
        starts = range(0, len(contents), _AT_A_TIME)
        return self._stream([self._batch(contents[n : n + _AT_A_TIME]) for n in starts])

    def _stream(self, batches: Iterable[Arrow]) -> bytes:
        sink = self._pa.BufferOutputStream()
        with self._pa.ipc.new_stream(sink, self._schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        return bytes(sink.getvalue())

    def _batch(self, contents: Sequence[Any]) -> Arrow:
        arrays = [self._array(each, take(contents, each.name)) for each in self._layout.columns]
        return self._pa.record_batch(arrays, schema=self._schema)

    def _array(self, column: Column, values: list[Any]) -> Arrow:
        pa, type_ = self._pa, self._types[column.kind]
        if self._mask:
            values = [mask_value(column.name, value) for value in values]
        try:
            if column.kind is Kind.TIME:
                # As the column has it, a time has no zone; it is in UTC.
                return self._times(values).cast(pa.timestamp("us")).cast(type_)
            if column.kind is Kind.CHOICE:
                return self._choices(column, values)
            if column.kind is Kind.MONEY:
                return self._amounts(values)
            if column.kind is Kind.INT:
                return self._figures(values)
            return pa.array(values, type_)
        except (ValueError, OverflowError) as error:
            problem = f"a value that does not fit into {type_}"
            raise ResponseInvalid(self._layout.cmd, f"result[].{column.name}", problem) from error

    # Arrow has texts in one piece, and figures as an array has them: where all are of one size, to
    # hand that over takes a fraction of what it takes to look at each.

    def _times(self, values: list[Any]) -> Arrow:
        if None in values or {*map(len, values)} != {TIME_LENGTH}:
            return self._pa.array(values, self._pa.string())
        buffers = map(self._pa.py_buffer, (_ends_of_times(len(values)), "".join(values).encode()))
        return self._pa.StringArray.from_buffers(len(values), *buffers)

    def _figures(self, values: list[Any]) -> Arrow:
        try:
            figures = array("q", values)
        except TypeError:  # there is not one for each
            return self._pa.array(values, self._types[Kind.INT])
        buffers = [None, self._pa.py_buffer(figures)]
        return self._pa.Array.from_buffers(self._types[Kind.INT], len(values), buffers)

    def _choices(self, column: Column, values: list[Any]) -> Arrow:
        """Return choices in the case in which they are known; nearly always they are in it."""
        known = {value: column.known.get(value, value) for value in {*values}}
        if any(value != text for value, text in known.items()):
            values = [known[value] for value in values]
        return self._pa.array(values, self._pa.string())

    def _amounts(self, values: list[Any]) -> Arrow:
        """Return a column of amounts, of which each is looked at once: prices repeat."""
        pa = self._pa
        try:
            encoded = pa.array(values, pa.float64()).dictionary_encode()
        except (ValueError, TypeError):  # some came as strings
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

    def write(self, file: BinaryIO, parts: Iterable[bytes], /) -> None:
        """Write a Parquet file with groups of rows of one size."""
        pa, sink = self._pa, _Sink(file)
        parquet: Any = import_module("pyarrow.parquet")
        columns = self._layout.columns
        choices = [column.name for column in columns if column.kind is Kind.CHOICE]
        repeated = [c.name for c in columns if c.kind in (Kind.CHOICE, Kind.MONEY)]
        few = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema([f.with_type(few) if f.name in choices else f for f in self._schema])
        writer = parquet.ParquetWriter(
            sink, schema, use_dictionary=[*repeated, *_REPEATED], compression="zstd"
        )
        try:
            for group in self._groups(parts):
                for name in choices:
                    index = schema.get_field_index(name)
                    encoded = group.column(index).dictionary_encode()
                    group = group.set_column(index, name, encoded)  # noqa: PLW2901 - the same rows
                writer.write_table(group.cast(schema), row_group_size=GROUP_ROWS)
                # What a group took is given back: memory is not to grow with the history.
                pa.default_memory_pool().release_unused()
            writer.close()
        finally:
            # Without this pyarrow would add a footer when an unfinished writer is collected.
            sink.cut()
            writer.is_open = False

    def _groups(self, parts: Iterable[bytes]) -> Iterator[Arrow]:
        """Return tables of one size, each in one piece, or a dictionary's order would vary."""
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


class _Sink:
    """A file, as pyarrow needs it, that can be cut off."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file

    def write(self, data: bytes) -> int:
        """Write to the file, or nowhere."""
        if self._file is not None:
            files.append(self._file, [data])
        return len(data)

    def flush(self) -> None:
        """Leave it to the file's owner."""

    def cut(self) -> None:
        """Let nothing more through."""
        self._file = None
