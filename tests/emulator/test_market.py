"""The simulated crowd: lively, plausible, and the same every time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import Bar, Changed, Interval, Lifetime, Listing, SimulatedMarket
from ccrs_core.emulator.tape import DAY_NS, HOUR_NS, MINUTE_NS
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.units import NS_PER_SECOND

START_NS = 1_767_225_600_000_000_000 + 37 * NS_PER_SECOND


def listing(market: Market = Market.LINEAR, price: str = "100.00", **changes: object) -> Listing:
    values: dict[str, object] = {
        "category": market.value,
        "symbol": "ABUSDT",
        "market": market,
        "base": "AB",
        "quote": "USDT",
        "tick": Decimal("0.01"),
        "lot": Decimal("0.1"),
        "min_size": Decimal("0.1"),
        "max_size": Decimal(10_000),
        "min_notional": Decimal(5),
        "price": Decimal(price),
        "levels": 60,
        "funding_interval_ns": 8 * HOUR_NS,
    }
    return Listing(**(values | changes))  # type: ignore[arg-type]


def make(seed: int = 1, rate: float = 50.0, **changes: object) -> SimulatedMarket:
    return SimulatedMarket(listing(**changes), seed=seed, rate=rate, start_ns=START_NS)  # type: ignore[arg-type]


def state(market: SimulatedMarket) -> tuple[object, ...]:
    engine = market.engine
    return (
        engine.depth(Side.BUY, 1000),
        engine.depth(Side.SELL, 1000),
        list(market.tape.trades),
        list(market.liquidations),
        market.sequence,
        market.index,
        market.mark,
    )


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    pauses=st.lists(st.integers(1, 3 * NS_PER_SECOND), min_size=1, max_size=10),
)
def test_the_same_seed_makes_the_same_market_however_time_is_dealt_out(
    seed: int, pauses: list[int]
) -> None:
    one, other = make(seed), make(seed)
    now_ns = START_NS
    for pause in pauses:
        now_ns += pause
        one.advance(now_ns)
    other.advance(now_ns)
    assert state(one) == state(other)


def test_another_seed_makes_another_market() -> None:
    one, other = make(1), make(2)
    for market in (one, other):
        market.advance(START_NS + 5 * NS_PER_SECOND)
    assert state(one) != state(other)


@pytest.mark.parametrize("rate", [10.0, 50.0, 400.0])
def test_the_best_quotes_change_at_the_chosen_rate(rate: float) -> None:
    market = make(rate=rate)
    changes, before = 0, None
    while market.next_ns is not None and market.next_ns <= START_NS + 20 * NS_PER_SECOND:
        if market.step() & Changed.BOOK:
            best = (market.engine.depth(Side.BUY, 1), market.engine.depth(Side.SELL, 1))
            changes += best != before
            before = best
    assert changes / 20 == pytest.approx(rate, rel=0.1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), price=st.sampled_from(["0.37", "100.00", "104250.50"]))
@example(seed=36, price="0.37")
def test_the_book_is_never_crossed_or_empty_and_keeps_its_depth(seed: int, price: str) -> None:
    market = make(seed, rate=200.0, price=price)
    for _ in range(3000):
        market.step()
        bid, ask = market.engine.bids.best, market.engine.asks.best
        assert bid is not None
        assert ask is not None
        assert 0 < bid < ask
    assert len(market.engine.asks.keys) >= 40
    start = market.rules.price.nearest(Decimal(price))
    if start >= 1000:  # where a tick is a few per cent of the price, it may go anywhere
        assert start / 2 < market.tape.last < start * 2


def test_candles_are_what_the_tape_says() -> None:
    market = make(rate=20.0)
    trades = []
    seen = 0
    end_ns = START_NS + 4 * MINUTE_NS
    while market.next_ns is not None and market.next_ns <= end_ns:
        market.step()
        trades += market.tape.since(seen)
        seen = market.tape.count
    minute_ns = (START_NS // MINUTE_NS + 1) * MINUTE_NS
    bars = market.tape.candles(Interval(MINUTE_NS), minute_ns, 3, market.now_ns)
    last = [trade.price for trade in trades if trade.time_ns < minute_ns][-1]
    for bar in bars:
        inside = [t for t in trades if bar.open_ns <= t.time_ns < bar.open_ns + MINUTE_NS]
        prices = [trade.price for trade in inside]
        assert bar == Bar(
            bar.open_ns,
            last,
            max(last, *prices),
            min(last, *prices),
            prices[-1],
            sum(trade.size for trade in inside),
            sum(trade.price * trade.size for trade in inside),
        )
        last = bar.close
    assert len(bars) == 3


def test_a_longer_candle_is_made_of_its_shorter_ones() -> None:
    market = make(rate=5.0)
    market.advance(START_NS + 12 * MINUTE_NS)
    open_ns = (START_NS // (5 * MINUTE_NS) + 1) * 5 * MINUTE_NS
    tape = market.tape
    [long] = tape.candles(Interval(5 * MINUTE_NS), open_ns, 1, market.now_ns)
    short = tape.candles(Interval(MINUTE_NS), open_ns, 5, market.now_ns)
    assert (long.open, long.close) == (short[0].open, short[-1].close)
    assert long.high == max(bar.high for bar in short)
    assert long.low == min(bar.low for bar in short)
    assert long.lots == sum(bar.lots for bar in short)


def test_the_past_leads_up_to_the_present() -> None:
    market = make()
    market.advance(START_NS + NS_PER_SECOND)
    for interval in (MINUTE_NS, HOUR_NS, DAY_NS):
        first_ns = START_NS // interval * interval - 50 * interval
        bars = market.tape.candles(Interval(interval), first_ns, 100, market.now_ns)
        assert len(bars) == 51
        for earlier, later in pairwise(bars):
            assert later.open == earlier.close
        for bar in bars:
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert bars[-1].close == pytest.approx(market.tape.last, rel=0.01)


def test_months_and_weeks_open_when_the_calendar_says() -> None:
    new_year_ns = 1_767_225_600 * NS_PER_SECOND  # Thursday 2026-01-01
    month = Interval(None)
    assert month.open_of(new_year_ns + 40 * DAY_NS) == new_year_ns + 31 * DAY_NS
    assert month.next_open(new_year_ns) == new_year_ns + 31 * DAY_NS
    assert Interval(7 * DAY_NS).open_of(new_year_ns) == new_year_ns - 3 * DAY_NS


def test_an_order_of_somebody_takes_part_in_the_market() -> None:
    market = make(rate=200.0)
    bid = market.engine.bids.best
    assert bid is not None
    price = market.rules.price.value(bid + 1 if bid + 1 < (market.engine.asks.best or 0) else bid)
    order = market.submit(Side.BUY, Decimal("0.5"), price, owner="me").order
    for _ in range(5000):
        market.step()
        if order.remaining == 0:
            break
    assert order.remaining == 0
    taken = market.submit(Side.SELL, Decimal(1), owner="me", lifetime=Lifetime.IOC)
    assert sum(each.size for each in taken.executions) == 10
    assert market.tape.trades[-1].side is Side.SELL


def test_a_side_that_somebody_empties_fills_again() -> None:
    market = make()
    total = sum(size for _, size in market.engine.depth(Side.SELL, 1000))
    market.engine.submit(Side.BUY, total, lifetime=Lifetime.IOC)
    assert market.engine.asks.best is None
    market.advance(START_NS + 3 * NS_PER_SECOND)
    assert market.engine.asks.best is not None


def test_derivatives_have_liquidations_and_spot_has_none() -> None:
    linear, spot = make(rate=200.0), make(rate=200.0, market=Market.SPOT)
    for market in (linear, spot):
        market.advance(START_NS + 30 * NS_PER_SECOND)
    assert linear.liquidations
    assert not spot.liquidations


def test_a_listing_that_does_not_trade_stands_still() -> None:
    from ccrs_core.model.instruments import InstrumentStatus

    market = make(status=InstrumentStatus.PRELAUNCH)
    assert market.next_ns is None
    assert market.advance(START_NS + HOUR_NS) is Changed.NOTHING
    assert market.engine.depth(Side.BUY, 1) == []
