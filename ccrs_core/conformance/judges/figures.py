"""Judges of candles, tickers, mark prices and funding rates by the truth of the emulated market."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.conformance.workbench.moments import RESOLUTION_NS, Moment, Print, clock
from ccrs_core.conformance.workbench.truth import History
from ccrs_core.emulator import Bar, Interval, Listing, SimulatedMarket
from ccrs_core.model.events import (
    Candle,
    Event,
    Funding,
    IndexPrice,
    MarkPrice,
    OpenInterest,
    Ticker,
)
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.units import NS_PER_SECOND

_ROUNDING = Decimal("0.001")
"""Exchanges round volumes and turnovers of a day; by no more than this, or a millionth part."""


def interval_of(name: str) -> Interval:
    """A unified candle interval as the emulator counts it."""
    return Interval(None if name == "1M" else INTERVALS[name] * NS_PER_SECOND)


# --- candles --------------------------------------------------------------------------------


def candle_is_true(history: History, market: SimulatedMarket, candle: Candle) -> None:
    """Fails unless a candle is what the tape's trades make: a closed one all of its interval's, an
    open one those up to some time before it was received."""
    interval, open_ns = interval_of(candle.interval), candle.open_time_ns
    close_ns = interval.next_open(interval.open_of(open_ns))
    if interval.open_of(open_ns) != open_ns or candle.close_time_ns != close_ns:
        history.fail(
            f"a {candle.interval} candle says that it opens at {clock(open_ns)} and closes at "
            f"{clock(candle.close_time_ns)} (the first nanosecond after it); candles of "
            f"{candle.interval} begin on whole intervals, this one at "
            f"{clock(interval.open_of(open_ns))}, and end at {clock(close_ns)}"
        )
    if candle.closed and close_ns > candle.received_time_ns:
        history.fail(
            f"the candle of {clock(open_ns)} is called closed at "
            f"{clock(candle.received_time_ns)}, before its end at {clock(close_ns)}"
        )
    prints = [
        each
        for each in history.trades
        if open_ns <= each.time_ns < close_ns and each.time_ns <= candle.received_time_ns
    ]
    if open_ns < history.begin_ns:
        # The market's invented past belongs to it: only the emulator's own tape knows that.
        _began_before(history, market, candle, interval, prints)
        return
    before = next((p.price for p in reversed(history.trades) if p.time_ns < open_ns), None)
    if before is None:
        lasts = (moment.last for moment in history.moments)
        before = next((last for last in lasts if last is not None), Decimal(0))
    told = _told(candle)
    states = list(_growing(prints, before, market.listing))
    true = [states[-1]] if candle.closed else states
    if not any(_equal(told, each) for each in true):
        last = states[-1]
        also = any(_equal(told, each) for each in states)
        why = (
            "it lacks the interval's last trades, so that it isn't the closed one"
            if also
            else "compare open, high, low, close, volume and turnover, in this order"
        )
        history.fail(
            f"the {'closed' if candle.closed else 'open'} {candle.interval} candle of "
            f"{clock(open_ns)} is {_spelled(told)}; the tape's {len(prints)} trades make "
            f"{_spelled(last)}: {why}"
        )


@attrs.frozen
class _Figures:
    """A candle's numbers. ``first`` is the first trade's price, which some exchanges open with
    where others open with the last price before it."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal | None
    first: _Figures | None = None


@attrs.frozen
class _Day:
    """What a day's figures are of."""

    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: Decimal
    turnover: Decimal | None


def _told(candle: Candle) -> _Figures:
    return _Figures(
        candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover
    )


def _growing(prints: Sequence[Print], before: Decimal, listing: Listing) -> Iterator[_Figures]:
    """The candle after each of its trades; the one without any first."""
    zero = Decimal(0)
    now = _Figures(before, before, before, before, zero, zero)
    yield now
    first: _Figures | None = None
    for each in prints:
        price, size = each.price, each.size
        amount = size * listing.worth_of_one
        value = amount / price if listing.market is Market.INVERSE else amount * price
        bare = first or _Figures(price, price, price, price, zero, zero)
        first = _add(bare, price, size, value)
        now = attrs.evolve(_add(now, price, size, value), first=first)
        yield now


def _add(to: _Figures, price: Decimal, size: Decimal, value: Decimal) -> _Figures:
    assert to.turnover is not None
    return _Figures(
        to.open,
        max(to.high, price),
        min(to.low, price),
        price,
        to.volume + size,
        to.turnover + value,
    )


def _equal(told: _Figures, true: _Figures) -> bool:
    prices = (told.open, told.high, told.low, told.close)
    fitting = prices == (true.open, true.high, true.low, true.close)
    if not fitting and true.first is not None:
        other = true.first
        fitting = prices == (other.open, other.high, other.low, other.close)
    return (
        fitting
        and told.volume == true.volume
        and (told.turnover is None or _about(told.turnover, true.turnover))
    )


def _spelled(figures: _Figures) -> str:
    each = (figures.open, figures.high, figures.low, figures.close, figures.volume)
    return " ".join(map(str, [*each, figures.turnover]))


def _began_before(
    history: History,
    market: SimulatedMarket,
    candle: Candle,
    interval: Interval,
    prints: Sequence[Print],
) -> None:
    bar, price = market.tape.candle(interval, candle.open_time_ns), market.rules.price.value
    volume = market.rules.size.value(bar.lots)
    closes = {history.moments[0].last, *(p.price for p in prints), price(bar.close)}
    told, true = _told(candle), _of_bar(market, bar)
    if candle.closed and attrs.evolve(told, turnover=true.turnover) != true:
        history.fail(
            f"the closed {candle.interval} candle of {clock(candle.open_time_ns)} is "
            f"{_spelled(told)}; the market's is {_spelled(true)}: compare open, high, low, close "
            "and volume"
        )
    # Of a candle that has grown since, only the limits are known.
    wrong = (
        "open"
        if candle.open != price(bar.open)
        else "high"
        if not candle.close <= candle.high <= price(bar.high)
        else "low"
        if not candle.close >= candle.low >= price(bar.low)
        else "close"
        if candle.close not in closes
        else "volume"
        if candle.volume > volume
        else None
    )
    if wrong is not None:
        history.fail(
            f"{wrong} of the {candle.interval} candle of {clock(candle.open_time_ns)} is "
            f"{getattr(candle, wrong)}; the market's candle is {_spelled(_of_bar(market, bar))}"
        )


def _of_bar(market: SimulatedMarket, bar: Bar) -> _Figures:
    price, size = market.rules.price.value, market.rules.size.value
    return _Figures(
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        size(bar.lots),
        turnover_of(market, bar.turnover),
    )


def turnover_of(market: SimulatedMarket, units: int) -> Decimal:
    """A turnover in the emulator's units as a decimal."""
    if market.listing.market is Market.INVERSE:
        return Decimal(units).scaleb(-8)
    return market.listing.tick * market.listing.lot * market.listing.worth_of_one * units


def past_candle_is_true(history: History, market: SimulatedMarket, candle: Candle) -> None:
    """Fails unless a candle of a history is the emulated market's, as it is now."""
    interval = interval_of(candle.interval)
    true = _of_bar(market, market.tape.candle(interval, candle.open_time_ns))
    told = _told(candle)
    # In the emulated past a candle may also open where the one before it closed.
    before = market.tape.candle(interval, interval.open_of(candle.open_time_ns - 1))
    open_ = market.rules.price.value(before.close)
    joined = attrs.evolve(true, open=open_, high=max(true.high, open_), low=min(true.low, open_))
    turnover = told.turnover
    if told not in [attrs.evolve(each, turnover=turnover) for each in (true, joined)]:
        history.fail(
            f"the {candle.interval} candle of {clock(candle.open_time_ns)} is {_spelled(told)}; "
            f"the market's is {_spelled(true)}: compare open, high, low, close, volume and turnover"
        )
    if told.turnover is not None and not _about(told.turnover, true.turnover):
        history.fail(
            f"turnover of the {candle.interval} candle of {clock(candle.open_time_ns)} is "
            f"{told.turnover}, the market's {true.turnover}"
        )
    closed = interval.next_open(candle.open_time_ns) <= market.now_ns
    if candle.closed and not closed:
        history.fail(f"the candle of {clock(candle.open_time_ns)} is called closed, and is not")


# --- tickers and reference prices -----------------------------------------------------------


def ticker_is_true(history: History, market: SimulatedMarket, ticker: Ticker) -> None:
    """Fails unless every stated figure of a ticker, just made, is the market's now."""
    moments = history.at(ticker.received_time_ns)
    day = _of_bar(market, market.tape.day(ticker.received_time_ns))
    stated = 0
    for field in attrs.fields(Ticker):
        value = getattr(ticker, field.name)
        if field.name in _HEAD or value is None:
            continue
        stated += 1
        true = [_figures_of(moment, day)[field.name] for moment in moments]
        fine = any(figure_fits(field.name, value, each, market) for each in true)
        if not fine:
            history.fail(
                f"{field.name} of the ticker of {clock(ticker.received_time_ns)} is {value}, the "
                f"market's {true[-1]}: is it read from the right field, and of the right frame?"
            )
    if not stated:
        history.fail(f"a ticker states nothing at all: {ticker}")
    now_is_true(history, ticker)


_UNTRADED = _Day(None, None, None, Decimal(0), Decimal(0))
"""The last 24 hours before the first trade."""
_HEAD = {field.name for field in attrs.fields(Event)} | {"sequence"}
_LAGGING = frozenset({"volume", "turnover"})
_OTHER_PRICE = Decimal("0.02")
_FINE = frozenset({"mark_price", "index_price"})


def figures_of(
    market: SimulatedMarket, moment: Moment, now_ns: int
) -> dict[str, Decimal | int | None]:
    """A market's figures at a moment, by the fields of a ticker."""
    return _figures_of(moment, _of_bar(market, market.tape.day(now_ns)))


def _figures_of(moment: Moment, day: _Figures | _Day) -> dict[str, Decimal | int | None]:
    bids, asks = moment.levels(1)
    if moment.last is None:
        day = _UNTRADED
    return {
        "last_price": moment.last,
        "bid_price": bids[0][0] if bids else None,
        "bid_size": bids[0][1] if bids else None,
        "ask_price": asks[0][0] if asks else None,
        "ask_size": asks[0][1] if asks else None,
        "open_price": day.open,
        "high_price": day.high,
        "low_price": day.low,
        "volume": day.volume,
        "turnover": day.turnover,
        "mark_price": moment.mark,
        "index_price": moment.index,
        "open_interest": moment.open_interest,
        "funding_rate": moment.funding_rate,
        "next_funding_time_ns": moment.next_funding_ns,
    }


def figure_fits(
    name: str, value: Decimal | int, true: Decimal | int | None, market: SimulatedMarket
) -> bool:
    """Whether a field's value is what is true, as finely as exchanges tell it."""
    if true is None:
        return False
    if name in _LAGGING:
        return _about(Decimal(value), Decimal(true))
    if name in _FINE:
        # The emulator knows hundredths of a tick, which an exchange rounds.
        return abs(Decimal(value) - Decimal(true)) < market.listing.tick
    if name == "value":
        # Exchanges say of no worth at which price it is: last, mark or index.
        return abs(Decimal(value) - true) <= abs(Decimal(true)) * _OTHER_PRICE
    if name in ("next_funding_time_ns", "funding_time_ns"):
        return abs(Decimal(value) - Decimal(true)) < RESOLUTION_NS
    return value == true


def held_value(market: SimulatedMarket, true: Mapping[str, Any]) -> Decimal | None:
    """What the open interest of a market's figures is worth in quote units, about."""
    held, price = true["open_interest"], true["mark_price"] or true["last_price"]
    if held is None or price is None:
        return None
    value = Decimal(held) * market.listing.worth_of_one
    return value if market.listing.market is Market.INVERSE else value * price


def _about(value: Decimal, true: Decimal | None) -> bool:
    return true is not None and abs(value - true) <= max(_ROUNDING, abs(true) / 10**6)


def reference_is_true(
    history: History, market: SimulatedMarket, mark: MarkPrice | IndexPrice
) -> None:
    """Fails unless a mark or index price, just made, is the market's now, and what it says of the
    other one too."""
    moments = history.at(mark.received_time_ns)
    for name in ("mark_price", "index_price"):
        value = getattr(mark, name, None)
        true = [each.mark if name == "mark_price" else each.index for each in moments]
        if value is not None and not any(figure_fits(name, value, each, market) for each in true):
            history.fail(
                f"{name} of {clock(mark.received_time_ns)} is {value}, the market's {true[-1]}: "
                "are mark and index price read from their own fields?"
            )
    now_is_true(history, mark)


def held_is_true(history: History, market: SimulatedMarket, held: OpenInterest) -> None:
    """Fails unless an open interest, just told, is the market's now, and its worth about that."""
    moments = history.at(held.received_time_ns)
    if not any(held.open_interest == each.open_interest for each in moments):
        history.fail(
            f"the open interest of {clock(held.received_time_ns)} is {held.open_interest}, the "
            f"market's {moments[-1].open_interest}: it counts one side, in the unit of sizes"
        )
    true = held_value(
        market,
        {
            "open_interest": moments[-1].open_interest,
            "mark_price": moments[-1].mark,
            "last_price": moments[-1].last,
        },
    )
    if held.value is not None and not figure_fits("value", held.value, true, market):
        history.fail(
            f"an open interest of {held.open_interest} is said to be worth {held.value}, which is "
            f"about {true}, in quote units"
        )
    now_is_true(history, held)


def funding_is_true(history: History, funding: Funding) -> None:
    """Fails unless a funding rate, just made, is the market's now, and so its time."""
    moments = history.at(funding.received_time_ns)
    if not any(funding.rate == each.funding_rate for each in moments):
        history.fail(
            f"the funding rate of {clock(funding.received_time_ns)} is {funding.rate}, the "
            f"market's {moments[-1].funding_rate} (a fraction: 0.0001 is a hundredth of a per cent)"
        )
    time_ns, due = funding.funding_time_ns, {each.next_funding_ns for each in moments}
    if time_ns is not None and not any(d and abs(time_ns - d) < RESOLUTION_NS for d in due):
        history.fail(
            f"the funding rate is said to be paid at {clock(time_ns)}, in the market it is at "
            + " or ".join(clock(each) for each in due if each)
        )
    now_is_true(history, funding)


def now_is_true(history: History, event: Event) -> None:
    """Fails unless the exchange time of an event, just made, is about now."""
    time_ns, now_ns = event.exchange_time_ns, event.received_time_ns
    if time_ns is not None and not now_ns - 10 * NS_PER_SECOND <= time_ns <= now_ns:
        history.fail(
            f"a {event.type} made at {clock(now_ns)} says exchange_time_ns={time_ns} "
            f"({clock(time_ns)}): is the unit right (ns_of_ms, ns_of_seconds, …)?"
        )
