"""Tables hold what the events hold: every field, in exact digits where that is asked for."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    BookUpdate,
    Candle,
    Channel,
    ExtraNotInstalled,
    Gap,
    Instrument,
    Reason,
    Side,
    Trade,
    UsageError,
    to_arrow,
    to_pandas,
    to_polars,
)
from ccrs_core.frames.columns import CHUNK
from ccrs_core.model.order_requests import Trailing, Trigger
from ccrs_core.model.serialize import EVENTS, exact, to_plain
from tests.model.test_serialize import of_kind

few = settings(max_examples=15)
DIGITS = st.decimals(0, 10**15, allow_nan=False, places=9)


def some(kind: type[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(of_kind(kind, DIGITS), max_size=4)


def trade(number: int = 1, price: str = "1.50", **more: Any) -> Trade:
    return Trade(
        "toy", "A/B", number, 2, None, str(number), Decimal(price), Decimal(1), Side.BUY, **more
    )


def plain(value: Any) -> Any:
    """What a row of a table says, in the words of :func:`to_plain`."""
    match value:
        case Decimal():
            return exact(value.normalize())
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
    return value


def told(event: Any) -> dict[str, Any]:
    """What a table should say of an event, by its fields."""
    found: dict[str, Any] = {}
    for field in attrs.fields(type(event)):
        value, name = getattr(event, field.name), field.name
        if name in ("bids", "asks"):
            found[f"{name[:-1]}_prices"] = [plain(price) for price, _ in value]
            found[f"{name[:-1]}_sizes"] = [plain(size) for _, size in value]
        elif isinstance(value, dict) or name == "fees":
            found[name] = json.dumps(to_plain(value), ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, Trigger | Trailing):
            # One or the other: what the one hasn't is None.
            of_both = [*attrs.fields(Trigger), *attrs.fields(Trailing)]
            found[name] = dict.fromkeys(each.name for each in of_both) | told(value)
        elif attrs.has(type(value)):
            found[name] = told(value)
        elif name == "tick_bands":
            found[name] = [told(each) for each in value]
        elif name == "about":
            found["channel"] = value.value
        elif name.endswith("time_ns") or name == "expiry_ns":
            found[name[:-3]] = value
        else:
            found[name] = plain(value) if isinstance(value, Decimal) else to_plain(value)
    return found


def rows(table: pa.Table) -> list[dict[str, Any]]:
    def integers(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind):
            return pa.int64()
        if pa.types.is_struct(kind):
            return pa.struct([(each.name, integers(each.type)) for each in kind])
        if pa.types.is_list(kind):
            return pa.list_(integers(kind.value_type))
        return kind

    schema = pa.schema([(each.name, integers(each.type)) for each in table.schema])
    return [plain(row) for row in table.cast(schema).to_pylist()]


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_an_exact_table_says_all_that_the_events_say(kind: type[Any]) -> None:
    @few
    @given(some(kind))
    def holds(events: list[Any]) -> None:
        found = rows(to_arrow(events, kind=kind, decimals="exact"))
        for row, event in zip(found, events, strict=True):
            row.pop("time")
            assert row == told(event)

    holds()


@few
@given(st.lists(of_kind(Instrument), min_size=1, max_size=3))
def test_instruments_make_a_table_without_a_time(instruments: list[Any]) -> None:
    table = to_arrow(instruments, decimals="text")
    assert "time" not in table.column_names
    assert table.column("tick_size").to_pylist() == [
        None if each.tick_size is None else exact(each.tick_size) for each in instruments
    ]


@few
@given(some(BookUpdate), some(Candle))
def test_floats_are_the_nearest_to_the_digits(books: list[Any], candles: list[Any]) -> None:
    table = to_arrow(books, kind=BookUpdate)
    assert table.column("bid_prices").to_pylist() == [
        [float(price) for price, _ in each.bids] for each in books
    ]
    frame = to_pandas(candles, kind=Candle)
    assert list(frame["close"]) == [float(each.close) for each in candles]
    assert [t.value for t in frame.index] == [each.open_time_ns for each in candles]


@few
@given(some(Trade))
def test_pandas_keeps_the_exchanges_own_digits_and_whole_numbers(trades: list[Any]) -> None:
    frame = to_pandas(trades, kind="trade", decimals="exact")
    assert [exact(each) for each in frame["price"]] == [exact(each.price) for each in trades]
    assert [None if pd.isna(each) else int(each) for each in frame["sequence"]] == [
        each.sequence for each in trades
    ]
    assert frame.index.name == "time"
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"


@few
@given(some(Trade))
def test_polars_holds_exact_decimals(trades: list[Any]) -> None:
    frame = to_polars(trades, kind=Trade, decimals="exact")
    assert frame.schema["price"] == pl.Decimal(38, 18)
    assert frame["price"].to_list() == [each.price for each in trades]


def test_time_is_the_exchanges_and_the_local_one_where_there_is_none() -> None:
    untimed = attrs.evolve(trade(7), exchange_time_ns=None)
    assert to_arrow([trade(7), untimed]).column("time").cast("int64").to_pylist() == [7, 2]


def test_events_of_several_kinds_want_a_choice() -> None:
    events = [
        trade(),
        Gap("toy", "A/B", None, 3, Channel.TRADES, Reason.RESTART),
    ]
    with pytest.raises(UsageError, match=r"several kinds, Trade and Gap.*kind=Trade"):
        to_arrow(events)
    assert to_arrow(events, kind=Trade).num_rows == 1
    assert to_arrow(events, kind="gap").column("channel").to_pylist() == ["trades"]


def test_another_kind_is_noticed_however_late_it_comes() -> None:
    def events() -> Iterator[Any]:
        yield from (trade(n) for n in range(CHUNK + 1))
        yield Candle("toy", "A/B", 1, 2, "1m", 1, 2, *[Decimal(1)] * 5, None, True)

    with pytest.raises(UsageError, match="several kinds"):
        to_arrow(events())


def test_nothing_makes_an_empty_table_of_the_kind_and_no_table_without_one() -> None:
    assert to_arrow([], kind=Trade).schema == to_arrow([trade()]).schema
    assert to_arrow(iter([trade(n) for n in range(CHUNK + 7)])).num_rows == CHUNK + 7
    for make in (to_arrow, to_pandas, to_polars):
        assert len(make([], kind=Trade)) == 0  # type: ignore[operator]
        with pytest.raises(UsageError, match="say kind="):
            make([])  # type: ignore[operator]


@pytest.mark.parametrize(
    ("events", "options", "words"),
    [
        ([trade()], {"kind": "trades"}, "no event is of the type 'trades'"),
        ([trade()], {"decimals": "double"}, "float, exact or text"),
        ([1.5], {}, "not of <class 'float'>"),
        ("trades", {}, "not as 'trades'"),
        ([trade(price="1e-19")], {"decimals": "exact"}, 'column price.*decimals="text"'),
        ([trade(price="1e20")], {"decimals": "exact"}, "20 digits before the point"),
        ([trade(2**63)], {}, "doesn't fit in a column exchange_time"),
    ],
)
def test_what_makes_no_table_is_told_with_what_to_do(events: Any, options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        to_arrow(events, **options)


def test_text_holds_any_digits() -> None:
    table = to_arrow([trade(price="1e-30"), trade(price="1.50")], decimals="text")
    assert table.column("price").to_pylist() == ["0." + "0" * 29 + "1", "1.50"]


def test_a_missing_library_is_told_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, make in (("pyarrow", to_arrow), ("pandas", to_pandas), ("polars", to_polars)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ExtraNotInstalled, match=r"pip install 'ccrs-core\[") as caught:
                make([trade()])  # type: ignore[operator]
        assert caught.value.extra == name.removeprefix("py")


def test_not_a_number_is_nothing_that_an_exact_column_holds() -> None:
    with pytest.raises(UsageError):
        to_arrow([trade(price="NaN")], decimals="exact")
    assert math.isnan(to_arrow([trade(price="NaN")]).column("price").to_pylist()[0])
