"""A directory with a file for each day, such as `day=2026-01-15/part-0.parquet`."""

from pathlib import Path

from voxsms.export.parts import Format, Part, open_private, sync, sync_directory

NO_DAY = "__HIVE_DEFAULT_PARTITION__"
"""What Hive, Spark, Arrow and DuckDB call the rows without a value."""


class Days:
    """Writes rows into the files of their days, in UTC."""

    def __init__(self, directory: Path, format_: Format, suffix: str) -> None:
        directory.mkdir(mode=0o700)
        self._directory = directory
        self._format = format_
        self._suffix = suffix
        self._open: _DayFile | None = None

    def add(self, day: str, part: Part) -> None:
        """Write the next rows, which are of one day."""
        if self._open is None or self._open.day != day:
            self.close()
            self._open = _DayFile(self._directory, day, self._format, self._suffix)
        self._open.writer.add(part)

    def close(self) -> None:
        """Finish the file of the last day."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def abandon(self) -> None:
        """Close what is open, unfinished."""
        if self._open is not None:
            self._open.writer.abandon()
            self._open.file.close()


class _DayFile:
    """A file of one day; a second one if the day comes again, with a row that has a date alone."""

    def __init__(self, directory: Path, day: str, format_: Format, suffix: str) -> None:
        self.day = day
        self._directory = directory / f"day={day}"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        number = sum(1 for _ in self._directory.iterdir())
        self.file = open_private(self._directory / f"part-{number}.{suffix}")
        self.writer = format_.writer(self.file)

    def close(self) -> None:
        """Bring it to the disk."""
        self.writer.close()
        sync(self.file)
        self.file.close()
        sync_directory(self._directory)
