"""Tables on disk, written as their rows come: Parquet, CSV or lines of JSON."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import orjson

from ccrs_core.errors import CcrsError, RecordingFailed, UsageError
from ccrs_core.extensions.extras import library
from ccrs_core.frames.arrow import Arrow
from ccrs_core.frames.columns import (
    CHUNK,
    Column,
    Decimals,
    Holds,
    check_alike,
    columns_of,
    kind_named,
    values,
)
from ccrs_core.model.serialize import exact, to_json, to_plain
from ccrs_core.model.units import iso

PART = ".part"
"""What the name of a file ends with that isn't whole yet."""


class FrameWriter:
    """Writes events of one kind to a file as they come; memory holds one portion of them.

    The format is told by the name: ``.parquet``, ``.csv`` or ``.jsonl``. Columns are those of
    :func:`~ccrs_core.to_arrow`. Lines of JSON are what :func:`~ccrs_core.to_json` makes, for
    :func:`~ccrs_core.from_json` to read. CSV has times in ISO 8601 with nanoseconds, levels as
    JSON, and nothing where there is no value.

    Until :meth:`close` the file is called ``….part``: under its own name it is whole. Leaving
    ``with`` by an exception keeps no file, and one that was there before stays as it was. Where
    rows couldn't be written, for whatever reason, the file ends there: all that is called
    afterwards raises that error again, since a file without them would pass for whole.

    :param kind: the class of event, or its type; None: that of the first event. With a kind given
        others are left out, else they are refused.
    :param decimals: as of :func:`~ccrs_core.to_arrow`, for Parquet and CSV; a CSV's ``exact`` is
        the exchange's own digits. Lines of JSON always hold these.
    :raises UsageError: where the name tells no format, or the file can't be written.
    :raises ExtraNotInstalled: for Parquet, without ``ccrs-core[arrow]``.
    """

    def __init__(
        self,
        path: str | Path,
        kind: type[Any] | str | None = None,
        *,
        decimals: Decimals = "exact",
    ) -> None:
        self.path = Path(path)
        self.rows = 0
        """Rows written, or about to be."""
        self._kind = kind_named(kind)
        self._chosen = kind is not None
        self._decimals: Decimals = decimals
        self._waiting: list[Any] = []
        self._sink: _Sink | None = None
        self._failure: CcrsError | None = None
        """Why rows are missing."""
        self._part = self.path.with_name(self.path.name + PART)
        if decimals not in ("float", "exact", "text"):
            raise UsageError(f"decimals are float, exact or text, not {decimals!r}")
        made = _SINKS.get(self.path.suffix.lower())
        if made is None:
            raise UsageError(f"{path} must end in {', '.join(_SINKS)}: that tells the format")
        if made is _Parquet:
            library("pyarrow.parquet", "arrow", "a Parquet file")
        self._make = made
        try:
            self._file: IO[bytes] | None = open(self._part, "wb")  # noqa: SIM115 - close() does
        except OSError as error:
            raise UsageError(f"can't write {path}: {error.strerror or error}") from None

    def write(self, events: Iterable[Any]) -> None:
        """Add rows, in their order.

        :raises UsageError: where they are of another kind, or a number fits in no column.
        :raises RecordingFailed: where the file can't be written any more.
        """
        if self._failure is not None:
            raise self._failure
        if self._file is None:
            raise UsageError(f"{self.path} is closed: nothing can be added")
        for event in events:
            if self._kind is None:
                self._kind = type(event)
            if self._chosen and not isinstance(event, self._kind):
                continue
            self._waiting.append(event)
            self.rows += 1
            if len(self._waiting) >= CHUNK:
                self.flush()

    def flush(self) -> None:
        """Hand what waits to the operating system. (Parquet: as a group of rows of its own; many
        small ones make a large file.)

        :raises UsageError: where a row is of another kind, or doesn't fit.
        :raises RecordingFailed: where the file can't be written any more.
        """
        if self._failure is not None:
            raise self._failure
        rows, self._waiting = self._waiting, []
        if not rows or self._file is None or self._kind is None:
            return
        try:
            if not self._chosen:
                check_alike(self._kind, rows)
            self._begun(self._kind, self._file).write(rows)
            self._file.flush()
        except OSError as error:
            self._failure = self._failed(error)
            raise self._failure from error
        except CcrsError as error:
            self._failure = error
            raise

    def close(self) -> None:
        """Write the rest, and give the file its name. Idempotent.

        :raises UsageError: where nothing was written, and no ``kind`` tells the columns.
        :raises RecordingFailed: where it can't be written.
        :raises CcrsError: what an earlier call raised, where rows are missing. No file is kept
            then, nor in the cases above.
        """
        file = self._file
        if file is None:
            return
        try:
            self.flush()
            if self._kind is None:
                raise UsageError(f"no events came, and no kind tells the columns of {self.path}")
            self._begun(self._kind, file).end()
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._part.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Keep nothing of what was written. Does nothing once the file is closed."""
        file, self._file = self._file, None
        if file is None:
            return
        sink, self._sink, self._waiting = self._sink, None, []
        if sink is not None:
            with contextlib.suppress(Exception):  # it, too, may be at a loss by now
                sink.end()
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _begun(self, kind: type[Any], file: IO[bytes]) -> _Sink:
        if self._sink is None:
            self._sink = self._make(file, kind, self._decimals)
        return self._sink

    def _failed(self, error: OSError) -> RecordingFailed:
        return RecordingFailed(f"can't write {self.path}: {error.strerror or error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class _Sink(Protocol):
    """A file of one format."""

    def write(self, rows: list[Any]) -> None: ...

    def end(self) -> None: ...


class _Parquet:
    def __init__(self, file: IO[bytes], kind: Any, decimals: Decimals) -> None:
        self._arrow = Arrow(kind, decimals, "a Parquet file")
        parquet = library("pyarrow.parquet", "arrow", "a Parquet file")
        self._writer = parquet.ParquetWriter(file, self._arrow.schema, compression="zstd")

    def write(self, rows: list[Any]) -> None:
        self._writer.write_batch(self._arrow.batch(rows))

    def end(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, file: IO[bytes], kind: Any, decimals: Decimals) -> None:
        self._columns = columns_of(kind)
        self._number = _nearest if decimals == "float" else exact
        self._file = file
        self._writer = csv.writer(self)  # with CRLF, as RFC 4180 has it
        self._writer.writerow([each.name for each in self._columns])

    def write(self, rows: Any) -> None:
        if isinstance(rows, str):  # a line that the csv module has put together
            self._file.write(rows.encode())
            return
        cells = [self._cells(each, values(each, rows)) for each in self._columns]
        self._writer.writerows(zip(*cells, strict=True))

    def end(self) -> None:
        pass

    def _cells(self, column: Column, found: list[Any]) -> list[Any]:
        match column.holds:
            case Holds.TIME:
                return [None if each is None else iso(each) for each in found]
            case Holds.DECIMAL:
                return [None if each is None else self._number(each) for each in found]
            case Holds.LEVELS:
                place, number = column.place, self._number
                return [
                    orjson.dumps([number(level[place]) for level in each]).decode()
                    for each in found
                ]
            case Holds.FLAG:
                return [None if each is None else str(each).lower() for each in found]
            case Holds.NESTED | Holds.SEVERAL | Holds.TEXTS | Holds.JSON:
                return [
                    None if each is None else orjson.dumps(to_plain(each)).decode()
                    for each in found
                ]
            case _:
                return found


def _nearest(number: Decimal) -> str:
    """The nearest float's shortest digits."""
    return repr(float(number))


class _Lines:
    def __init__(self, file: IO[bytes], kind: Any, decimals: Decimals) -> None:
        if decimals == "float":
            raise UsageError("lines of JSON hold exact digits: leave decimals out")
        self._file = file

    def write(self, rows: list[Any]) -> None:
        self._file.write(b"".join([to_json(each) + b"\n" for each in rows]))

    def end(self) -> None:
        pass


_SINKS: Mapping[str, Any] = {".parquet": _Parquet, ".csv": _Csv, ".jsonl": _Lines}
