"""Events as tables of Arrow, pandas and polars."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_core.extensions.extras import library
from ccrs_core.frames.arrow import Arrow
from ccrs_core.frames.columns import Column, Decimals, Holds, chunks

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def to_arrow(
    events: Iterable[Any], *, kind: type[Any] | str | None = None, decimals: Decimals = "float"
) -> pa.Table:
    """Events of one kind, or instruments, as an Arrow table: one row each, in their order.

    Columns have the fields' names. Times are nanoseconds UTC and lose their ``_ns``; the first
    column, ``time``, is the exchange's time, the local one where there is none, and of candles the
    time at which they open. Levels of books are two lists each: ``bid_prices`` and ``bid_sizes``,
    ``ask_prices`` and ``ask_sizes``. Every table of a kind has the same columns and types.

    :param events: a list, a batch, a history, or any other iterable, which is read in portions.
    :param kind: the class of event (``Trade``), or its type (``"trade"``): others are left out.
        Needed where there may be several kinds, or none at all.
    :param decimals: how prices and sizes are held. ``float``: rounded to the nearest 64-bit float;
        ``exact``: a decimal of 20 digits before and 18 after the point; ``text``: the exchange's
        own digits.
    :raises UsageError: where the events are of several kinds, where there is none and no ``kind``,
        and where a number doesn't fit.
    :raises ExtraNotInstalled: without ``ccrs-core[arrow]``.
    """
    found, portions = chunks(events, kind)
    arrow = Arrow(found, decimals, "to_arrow")
    return _table(arrow, map(arrow.batch, portions))


def _table(arrow: Arrow, batches: Iterable[Any]) -> Any:
    return library("pyarrow", "arrow", "a table").Table.from_batches(batches, schema=arrow.schema)


def to_polars(
    events: Iterable[Any], *, kind: type[Any] | str | None = None, decimals: Decimals = "float"
) -> pl.DataFrame:
    """Events of one kind, or instruments, as a polars frame; see :func:`to_arrow`.

    :raises UsageError: as :func:`to_arrow` does.
    :raises ExtraNotInstalled: without ``ccrs-core[polars]``.
    """
    frames = library("polars", "polars", "to_polars")
    found, portions = chunks(events, kind)
    arrow = Arrow(found, decimals, "to_polars")
    made: pl.DataFrame = frames.from_arrow(_table(arrow, map(arrow.batch, portions)))
    return made


def to_pandas(
    events: Iterable[Any], *, kind: type[Any] | str | None = None, decimals: Decimals = "float"
) -> pd.DataFrame:
    """Events of one kind, or instruments, as a pandas frame whose index is ``time``; see
    :func:`to_arrow`.

    Whole numbers stay whole where some are missing (``Int64``). With ``decimals="exact"`` numbers
    are objects, ``Decimal`` with the exchange's own digits: slow, and right.

    :raises UsageError: as :func:`to_arrow` does.
    :raises ExtraNotInstalled: without ``ccrs-core[pandas]``.
    """
    frames = library("pandas", "pandas", "to_pandas")
    types = library("pyarrow", "pandas", "to_pandas")
    found, portions = chunks(events, kind)
    digits = decimals == "exact"
    arrow = Arrow(found, "text" if digits else decimals, "to_pandas")
    table = _table(arrow, map(arrow.batch, portions))
    nullable = {
        types.int64(): frames.Int64Dtype(),
        types.bool_(): frames.BooleanDtype(),
    }
    frame = table.to_pandas(types_mapper=nullable.get)
    if digits:
        for column in arrow.columns:
            if column.holds in (Holds.DECIMAL, Holds.LEVELS):
                exact = [_digits(column, each) for each in table.column(column.name).to_pylist()]
                frame[column.name] = frames.Series(exact, index=frame.index, dtype=object)
    if arrow.columns[0].name == "time":
        frame = frame.set_index("time")
    return frame


def _digits(column: Column, value: Any) -> Any:
    if column.holds is Holds.LEVELS:
        return [Decimal(each) for each in value]
    return None if value is None else Decimal(value)
