"""Bars hold each trade once, exactly, and say where trades may be missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Bar,
    Channel,
    Gap,
    Reason,
    Resumed,
    Side,
    Stale,
    Trade,
    UsageError,
    tick_bars,
    time_bars,
    to_pandas,
    volume_bars,
)

SECOND = 10**9
MINUTE = 60 * SECOND
START = 1_767_225_600 * SECOND


def trade(at: float, price: str = "10", size: str = "1", **more: Any) -> Trade:
    ns = START + round(at * SECOND)
    arguments: dict[str, Any] = {"sequence": None, "trade_id": str(ns), "side": Side.BUY} | more
    return Trade(
        exchange="toy",
        symbol=arguments.pop("symbol", "A/B"),
        exchange_time_ns=ns,
        received_time_ns=ns + 5,
        price=Decimal(price),
        size=Decimal(size),
        **arguments,
    )


def notice(kind: Any, at: float, **more: Any) -> Any:
    ns = START + round(at * SECOND)
    of: dict[str, Any] = {} if kind is Resumed else {"reason": Reason.DISCONNECTED}
    about = more.pop("about", Channel.TRADES)
    return kind("toy", more.pop("symbol", "A/B"), None, ns, about=about, **of)


PRICES = st.decimals(1, 1000, places=2)
TRADES = st.lists(
    st.tuples(st.integers(0, 500), PRICES, PRICES, st.sampled_from(Side)), max_size=40
).map(
    lambda rows: [
        trade(at, str(price), str(size), side=side)
        for at, price, size, side in sorted(rows, key=lambda row: row[0])
    ]
)


@settings(max_examples=60)
@given(TRADES, st.sampled_from(["time", "empty", "volume", "ticks"]), st.integers(1, 7))
def test_each_trade_is_in_exactly_one_bar(trades: list[Trade], by: str, number: int) -> None:
    match by:
        case "time" | "empty":
            bars = list(time_bars(trades, timedelta(seconds=7 * number), empty=by == "empty"))
        case "volume":
            bars = list(volume_bars(trades, Decimal(100 * number)))
        case _:
            bars = list(tick_bars(trades, number))
    left = list(trades)
    for bar in bars:
        mine, left = left[: bar.trades], left[bar.trades :]
        assert bar.volume == sum(each.size for each in mine)
        assert bar.turnover == sum(each.size * each.price for each in mine)
        assert bar.buy_volume == sum(each.size for each in mine if each.side is Side.BUY)
        if mine:
            prices = [each.price for each in mine]
            assert (bar.open, bar.close) == (prices[0], prices[-1])
            assert (bar.high, bar.low) == (max(prices), min(prices))
            assert bar.low <= (bar.vwap or 0) <= bar.high
        if by in ("time", "empty"):
            assert bar.close_time_ns - bar.open_time_ns == 7 * number * SECOND
            assert bar.open_time_ns % (7 * number * SECOND) == 0
            times = [each.exchange_time_ns or 0 for each in mine]
            assert all(bar.open_time_ns <= each < bar.close_time_ns for each in times)
    assert not left
    if by == "empty":
        opens = [bar.open_time_ns for bar in bars]
        assert opens == list(range(opens[0], opens[-1] + 1, 7 * number * SECOND)) if opens else True
    if by == "volume":
        assert all(bar.volume >= 100 * number for bar in bars[:-1])
    if by == "ticks":
        assert all(bar.trades == number for bar in bars[:-1])


def test_the_first_and_the_last_by_time_are_not_whole_and_others_are() -> None:
    bars = list(time_bars([trade(30), trade(70), trade(130), trade(190)], "1m"))
    assert [bar.complete for bar in bars] == [False, True, True, False]
    assert [(bar.open_time_ns - START) // MINUTE for bar in bars] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [Gap, Stale])
def test_a_hole_makes_the_bars_that_it_is_in_incomplete(kind: Any) -> None:
    events = [
        trade(30),
        trade(70),
        trade(130),
        notice(kind, 140),
        trade(320),
        trade(380),
        trade(440),
    ]
    bars = list(time_bars(events, "1m", empty=True))
    told = {(bar.open_time_ns - START) // MINUTE: bar.complete for bar in bars}
    assert told == {0: False, 1: True, 2: False, 3: False, 4: False, 5: False, 6: True, 7: False}
    assert [bar.complete for bar in tick_bars(events, 2)] == [True, False, True]
    assert [bar.complete for bar in tick_bars([trade(1), notice(kind, 2), trade(3)], 1)] == [
        True,
        False,
    ]


def test_notices_of_others_and_of_other_channels_make_no_hole() -> None:
    events = [trade(30), trade(70), notice(Gap, 75, about=Channel.BOOK), trade(130)]
    events.insert(3, notice(Gap, 76, symbol="C/D"))
    events.insert(3, notice(Resumed, 77))
    assert [bar.complete for bar in time_bars(events, "1m")] == [False, True, False]


def test_empty_bars_stand_at_the_last_price_and_are_left_out_unless_wanted() -> None:
    events = [trade(1, "10"), trade(2, "12"), trade(190, "9")]
    assert len(list(time_bars(events, "1m"))) == 2
    bars = list(time_bars(events, "1m", empty=True))
    assert [(str(b.open), str(b.close), b.trades) for b in bars] == [
        ("10", "12", 2),
        ("12", "12", 0),
        ("12", "12", 0),
        ("9", "9", 1),
    ]
    assert bars[1].vwap is None


def test_a_late_trade_changes_no_bar_that_was_told_and_is_counted() -> None:
    bars = list(time_bars([trade(50), trade(70), trade(59, "99"), trade(130)], "1m"))
    assert [bar.late for bar in bars] == [0, 1, 0]
    assert max(bar.high for bar in bars) == 10


def test_instruments_are_kept_apart_and_blocks_are_left_out_unless_wanted() -> None:
    events = [trade(1), trade(2, "99", symbol="C/D"), trade(3, "50", block=True), trade(70)]
    assert [(bar.symbol, str(bar.high)) for bar in time_bars(events, "1m")] == [
        ("A/B", "10"),
        ("A/B", "10"),
        ("C/D", "99"),
    ]
    assert max(bar.high for bar in time_bars(events, "1m", blocks=True)) == 99


def test_weeks_begin_on_mondays() -> None:
    (bar,) = time_bars([trade(0)], "1w")
    assert datetime.fromtimestamp(bar.open_time_ns // SECOND, UTC).strftime("%a %T") == (
        "Mon 00:00:00"
    )


def test_bars_come_over_what_comes_asynchronously_as_over_a_list() -> None:
    events = [trade(30), trade(70), notice(Gap, 75), trade(130)]

    async def coming() -> AsyncIterator[Any]:
        for event in events:
            yield event

    async def main() -> list[Bar]:
        return [bar async for bar in time_bars(coming(), "1m")]

    assert asyncio.run(main()) == list(time_bars(events, "1m"))


def test_bars_make_a_table_by_the_time_at_which_they_open() -> None:
    bars = list(time_bars([trade(30), trade(70)], "1m"))
    frame = to_pandas(bars)
    assert [each.value for each in frame.index] == [bar.open_time_ns for bar in bars]
    assert list(frame["complete"]) == [False, False]


@pytest.mark.parametrize("interval", ["1M", "7s", timedelta(0), timedelta(seconds=-1), 60, None])
def test_what_is_no_interval_is_refused(interval: Any) -> None:
    with pytest.raises(UsageError, match="an interval is one of 1m,"):
        time_bars([], interval)


@pytest.mark.parametrize("volume", [0, 1.5, Decimal(0), Decimal(-1), Decimal("NaN")])
def test_what_is_no_volume_is_refused(volume: Any) -> None:
    with pytest.raises(UsageError, match="volume"):
        volume_bars([], volume)
    with pytest.raises(UsageError, match="trades"):
        tick_bars([], volume)
