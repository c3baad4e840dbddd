"""Rows into Arrow's columns, a portion at a time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate, chain
from typing import Any

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.extensions.extras import library
from ccrs_core.frames.columns import Column, Decimals, Holds, columns_of, values
from ccrs_core.model.serialize import exact, to_json

PRECISION, SCALE = 38, 18
"""Digits of an exact column, and how many of them after the point: the same of every table, so that
tables fit together."""

BLOCK = 1_024
"""Rows that are taken apart at once: so many that they stay in a processor's cache from one column
to the next."""


class Arrow:
    """What makes record batches of one kind of value.

    :raises UsageError: where the kind has no columns.
    :raises ExtraNotInstalled: without pyarrow.
    """

    def __init__(self, kind: Any, decimals: Decimals, what: str) -> None:
        if decimals not in ("float", "exact", "text"):
            raise UsageError(f"decimals are float, exact or text, not {decimals!r}")
        self._pa = library("pyarrow", "arrow", what)
        self._decimals = decimals
        self.columns: tuple[Column, ...] = columns_of(kind)
        self._timed = self.columns[0].name == "time"
        fields = [self._pa.field(each.name, self._type(each)) for each in self.columns]
        about = {"ccrs.kind": str(getattr(kind, "type", kind.__name__))}
        self.schema = self._pa.schema(fields, metadata=about)

    def batch(self, rows: list[Any]) -> Any:
        """A ``RecordBatch`` of rows.

        :raises UsageError: where a value fits in no column of its kind.
        """
        blocks = [self._block(rows[at : at + BLOCK]) for at in range(0, len(rows), BLOCK)]
        if len(blocks) == 1:
            return blocks[0]
        whole = self._pa.Table.from_batches(blocks, schema=self.schema).combine_chunks()
        return next(iter(whole.to_batches()), None) or self._block([])

    def _block(self, rows: list[Any]) -> Any:
        arrays = [self._array(each, values(each, rows)) for each in self.columns[self._timed :]]
        if self._timed:
            arrays.insert(0, self._time(arrays, rows))
        return self._pa.record_batch(arrays, schema=self.schema)

    def _time(self, arrays: list[Any], rows: list[Any]) -> Any:
        """The first column: mostly it is another one."""
        time, *others = self.columns
        place = next(at for at, each in enumerate(others) if each.fields == time.fields[:1])
        if arrays[place].null_count:
            return self._array(time, values(time, rows))
        return arrays[place]

    # --- types ---

    def _number(self) -> Any:
        if self._decimals == "exact":
            return self._pa.decimal128(PRECISION, SCALE)
        return self._pa.float64() if self._decimals == "float" else self._pa.string()

    def _type(self, column: Column) -> Any:
        pa = self._pa
        match column.holds:
            case Holds.TEXT | Holds.JSON:
                return pa.string()
            case Holds.TEXTS:
                return pa.list_(pa.string())
            case Holds.INTEGER:
                return pa.int64()
            case Holds.FLAG:
                return pa.bool_()
            case Holds.FLOAT:
                return pa.float64()
            case Holds.TIME:
                return pa.timestamp("ns", tz="UTC")
            case Holds.DECIMAL:
                return self._number()
            case Holds.LEVELS:
                return pa.list_(self._number())
            case Holds.NESTED:
                return pa.struct([(each.name, self._type(each)) for each in column.nested])
            case Holds.SEVERAL:
                return pa.list_(self._type(attrs.evolve(column, holds=Holds.NESTED)))

    # --- values ---

    def _array(self, column: Column, found: list[Any]) -> Any:
        if column.holds is Holds.DECIMAL:
            return self._numbers(column.name, found)
        if column.holds is Holds.LEVELS:
            place = column.place
            flat = [level[place] for levels in found for level in levels]
            return self._lists(found, self._numbers(column.name, flat))
        if column.holds is Holds.SEVERAL:
            return self._lists(found, self._nested(column, list(chain.from_iterable(found))))
        if column.holds is Holds.NESTED:
            return self._nested(column, found)
        if column.holds is Holds.JSON:
            found = [to_json(each).decode() for each in found]
        return self._made(column.name, found, self._type(column))

    def _lists(self, found: list[Any], flat: Any) -> Any:
        ends = self._pa.array(accumulate(map(len, found), initial=0), self._pa.int32())
        return self._pa.ListArray.from_arrays(ends, flat)

    def _nested(self, column: Column, found: list[Any]) -> Any:
        there = [each for each in found if each is not None]
        taken = iter(range(len(there)))
        places = self._pa.array([None if each is None else next(taken) for each in found], "int64")
        arrays = [self._array(each, values(each, there)).take(places) for each in column.nested]
        absent = self._pa.array([each is None for each in found], self._pa.bool_())
        fields = [self._pa.field(each.name, self._type(each)) for each in column.nested]
        return self._pa.StructArray.from_arrays(arrays, fields=fields, mask=absent)

    def _numbers(self, name: str, found: list[Decimal | None]) -> Any:
        if self._decimals != "exact":
            convert: Callable[[Any], Any] = float if self._decimals == "float" else exact
            try:  # looking for None first costs more than converting does
                found = list(map(convert, found))
            except TypeError:
                found = [None if each is None else convert(each) for each in found]
        return self._made(name, found, self._number())

    def _made(self, name: str, found: list[Any], kind: Any) -> Any:
        try:
            return self._pa.array(found, kind)
        except (ValueError, OverflowError, TypeError) as error:
            misfit = next((each for each in found if not self._fits(each, kind)), found)
            hint = ""
            if isinstance(misfit, Decimal):
                hint = (
                    f", which has {PRECISION - SCALE} digits before the point and {SCALE} after "
                    'it: decimals="text" holds any, decimals="float" is near enough for most'
                )
            raise UsageError(
                f"{misfit!r:.100} doesn't fit in a column {name} of {kind}{hint}"
            ) from error

    def _fits(self, value: Any, kind: Any) -> bool:
        try:
            self._pa.array([value], kind)
        except (ValueError, OverflowError, TypeError):
            return False
        return True
