"""Parquet, by pyarrow (extra `parquet`): typed columns.

A window is kept as an Arrow stream, cheap to write and to read again. Groups of rows are cut when
the file is put together, at every 100,000 rows: the same rows give the same bytes, whatever the
windows were that brought them.
"""

from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import Any, BinaryIO

from voxsms.errors import ResponseInvalid
from voxsms.export.columns import TIME_LENGTH, Field, Kind, Layout, amount_texts
from voxsms.export.decoding import Decoded
from voxsms.export.masks import masked
from voxsms.export.parts import Part, Writer

Arrow = Any
"""The module, or what it makes: pyarrow has no types."""
GROUP_ROWS = 100_000
_FIGURES, _DECIMALS = 38, 24
"""Enough for the noise of a float: 0.0017 * 3 is 0.0050999999999999995 as it may come."""
_REPEATED = ("source_number", "error_message")
"""Texts that repeat so much that it pays to store each once; choices and amounts do, too."""


class Parquet:
    """Writes rows as typed columns. Raises `ModuleNotFoundError` where pyarrow is not installed."""

    joined = False

    def __init__(self, layout: Layout, *, mask: bool) -> None:
        pa = import_module("pyarrow")
        self._pa: Any = pa
        self.names = [field.name for field in layout.fields]
        self._layout = layout
        self._mask = mask
        self._types: Mapping[Kind, Any] = {
            Kind.INT: pa.int64(),
            Kind.TEXT: pa.string(),
            Kind.CHOICE: pa.string(),
            Kind.MONEY: pa.decimal128(_FIGURES, _DECIMALS),
            Kind.TIME: pa.timestamp("us", "UTC"),
        }
        self._schema = pa.schema([(each.name, self._types[each.kind]) for each in layout.fields])

    def encode(self, page: Decoded) -> Arrow:
        """Make rows a record batch."""
        columns = [self._array(each, page) for each in self._layout.fields]
        return self._pa.record_batch(columns, schema=self._schema)

    def pick(self, pages: Sequence[Arrow], order: Sequence[int]) -> Arrow:
        """Join rows, picked by their positions in all the pages."""
        table = self._pa.Table.from_batches(pages, self._schema)
        (batch,) = table.take(self._indexes(order)).combine_chunks().to_batches()
        return batch

    def _indexes(self, order: Sequence[int]) -> Arrow:
        return self._pa.array(order, self._pa.int64())

    def slice(self, page: Arrow, start: int, end: int) -> Arrow:
        """Give some rows that follow each other."""
        return page.slice(start, end - start)

    def parts(self, pages: Sequence[Arrow]) -> Sequence[Part]:
        """Write batches as an Arrow stream."""
        sink = self._pa.BufferOutputStream()
        with self._pa.ipc.new_stream(sink, self._schema) as stream:
            for page in pages:
                stream.write_batch(page)
        return [memoryview(sink.getvalue())]

    def without(self, part: Part, places: set[int]) -> Part:
        """Leave rows out of a stream."""
        batches = self._pa.ipc.open_stream(self._pa.py_buffer(part)).read_all().to_batches()
        rows = sum(batch.num_rows for batch in batches)
        kept = [place for place in range(rows) if place not in places]
        return self.parts([self.pick(batches, kept)])[0]

    def _array(self, field: Field, page: Decoded) -> Arrow:
        pa, type_, values = self._pa, self._types[field.kind], page.column(field.name)
        if self._mask:
            values = [masked(field.name, value) for value in values]
        try:
            if field.kind is Kind.TIME:
                texts = self._times(values) if page.whole_times else pa.array(values, pa.string())
                # As the column has it, a time has no zone; it is in UTC.
                return texts.cast(pa.timestamp("us")).cast(type_)
            if field.kind is Kind.CHOICE:
                return self._choices(field, pa.array(values, type_))
            if field.kind is Kind.MONEY:
                return self._amounts(values)
            if field.kind is Kind.INT:
                return self._figures(values)
            return pa.array(values, type_)
        except (ValueError, OverflowError) as error:
            problem = f"a value that does not fit into {type_}"
            raise ResponseInvalid(self._layout.cmd, f"result[].{field.name}", problem) from error

    # Arrow has texts in one piece, and figures as an array has them: where all are of one size, to
    # hand that over takes a fraction of what it takes to look at each.

    def _times(self, values: list[Any]) -> Arrow:
        """Make a column of texts, all of which are times to the second."""
        buffers = map(self._pa.py_buffer, (_ends_of_times(len(values)), "".join(values).encode()))
        return self._pa.StringArray.from_buffers(len(values), *buffers)

    def _figures(self, values: list[Any]) -> Arrow:
        try:
            figures = array("q", values)
        except TypeError:  # there is not one for each
            return self._pa.array(values, self._types[Kind.INT])
        buffers = [None, self._pa.py_buffer(figures)]
        return self._pa.Array.from_buffers(self._types[Kind.INT], len(values), buffers)

    def _choices(self, field: Field, texts: Arrow) -> Arrow:
        """Give choices in the case in which they are known; nearly always they are in it."""
        encoded = texts.dictionary_encode()
        different: list[str] = encoded.dictionary.to_pylist()
        known = [field.known_as(value) for value in different]
        if known == different:
            return texts
        return self._pa.array(known, texts.type).take(encoded.indices)

    def _amounts(self, values: list[Any]) -> Arrow:
        """Make a column of amounts, of which each is looked at once: prices repeat."""
        pa = self._pa
        try:
            encoded = pa.array(values, pa.float64()).dictionary_encode()
        except (ValueError, TypeError):  # some came as strings
            encoded = pa.array(amount_texts(values), pa.string()).dictionary_encode()
        texts = amount_texts(encoded.dictionary.to_pylist())
        tidy = [Decimal(text) for text in texts if text is not None]
        return pa.array(tidy, self._types[Kind.MONEY]).take(encoded.indices)

    def writer(self, file: BinaryIO) -> Writer:
        """Write a file."""
        return _Groups(self._pa, self._layout, self._schema, file)


@lru_cache(4)
def _ends_of_times(count: int) -> "array[int]":
    return array("i", range(0, TIME_LENGTH * count + 1, TIME_LENGTH))


class _Groups:
    """Joins Arrow streams to a Parquet file with groups of rows of one size."""

    def __init__(self, pa: Arrow, layout: Layout, schema: Arrow, file: BinaryIO) -> None:
        self._pa = pa
        few = pa.dictionary(pa.int32(), pa.string())
        kinds = {field.name: field.kind for field in layout.fields}
        self._choices = [name for name, kind in kinds.items() if kind is Kind.CHOICE]
        self._schema = pa.schema(
            [field.with_type(few) if field.name in self._choices else field for field in schema]
        )
        repeated = [n for n, kind in kinds.items() if kind in (Kind.CHOICE, Kind.MONEY)]
        parquet: Any = import_module("pyarrow.parquet")
        self._sink = _Sink(file)
        self._file = parquet.ParquetWriter(
            self._sink, self._schema, use_dictionary=[*repeated, *_REPEATED], compression="zstd"
        )
        self._waiting = schema.empty_table()

    def add(self, part: Part) -> None:
        """Take a part; write what fills a group."""
        pa = self._pa
        table = pa.ipc.open_stream(pa.py_buffer(part)).read_all()
        self._waiting = pa.concat_tables([self._waiting, table])
        while self._waiting.num_rows >= GROUP_ROWS:
            self._write(self._waiting.slice(0, GROUP_ROWS))
            self._waiting = self._waiting.slice(GROUP_ROWS)

    def _write(self, group: Arrow) -> None:
        # Encoded here and in one piece, or the order of a dictionary would depend on the parts.
        group = group.combine_chunks()
        for name in self._choices:
            index = group.schema.get_field_index(name)
            group = group.set_column(index, name, group.column(index).dictionary_encode())
        self._file.write_table(group.cast(self._schema), row_group_size=GROUP_ROWS)
        # What making a group took is given back: memory is not to grow with the history.
        self._pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Write the last group and the footer."""
        if self._waiting.num_rows:
            self._write(self._waiting)
        self._file.close()

    def abandon(self) -> None:
        """Write nothing more: pyarrow would add a footer when its writer is collected."""
        self._sink.cut()
        self._file.is_open = False


class _Sink:
    """A file, as pyarrow needs it, that can be cut off."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file

    def write(self, data: Part) -> int:
        """Write to the file, or nowhere."""
        return len(data) if self._file is None else self._file.write(data)

    def flush(self) -> None:
        """Leave it to the file's owner."""

    def cut(self) -> None:
        """Let nothing more through."""
        self._file = None
