"""Judges of answers to requests by the truth of the emulated market."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from ccrs_core.conformance.judges.figures import held_is_true, interval_of, past_candle_is_true
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import RESOLUTION_NS, clock
from ccrs_core.conformance.workbench.truth import History
from ccrs_core.contract.rest import (
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetOpenInterest,
    GetTopOfBook,
    GetTrades,
)
from ccrs_core.emulator import Listing
from ccrs_core.errors import Unsupported
from ccrs_core.model.events import Candle, Funding
from ccrs_core.model.instruments import Instrument

T = TypeVar("T")

USUAL = 20
"""So many items every exchange gives at once; of more, its answers may be bounded."""


def top_of_book_is_true(line: Line, history: History, instrument: Instrument) -> None:
    """Fails unless the best bid and ask are the present ones."""
    top = line.ask(GetTopOfBook(instrument))
    history.top_is_true(top, since=len(history.moments) - 1)


def open_interest_is_true(
    line: Line, history: History, listing: Listing, asked: Instrument
) -> None:
    """Fails unless the open interest is the present one."""
    held = line.ask(GetOpenInterest(asked))
    if held.symbol != asked.symbol:
        history.fail(f"GetOpenInterest of {asked.symbol} answers with {held.symbol}'s")
    held_is_true(history, line.venue.market(listing), held)


def book_is_true(line: Line, history: History, instrument: Instrument, count: int) -> None:
    """Fails unless the book is the present one, as deep as asked for."""
    book = line.ask(GetBook(instrument, count))
    if not book.snapshot:
        history.fail("GetBook answers with a book that is no snapshot; it replaces what is known")
    deep = max(len(book.bids), len(book.asks))
    if deep > count:
        history.fail(f"GetBook of {count} levels answers with {deep}")
    depth = count if deep < USUAL else deep
    now = len(history.moments) - 1
    history.time_is_true(book, history.book_is_true(book.bids, book.asks, depth, since=now))


def trades_are_true(line: Line, history: History, instrument: Instrument, count: int) -> None:
    """Fails unless the trades are the tape's last ones, as many as asked for."""
    trades = line.ask(GetTrades(instrument, count))
    history.trades_are_true(trades, until_ns=line.venue.now_ns)
    there = min(count, len(history.trades))
    if len(trades) != there and not (there > len(trades) >= USUAL):
        history.fail(f"GetTrades of {count} answers with {len(trades)}; the tape has {there}")
    if len({trade.trade_id for trade in trades}) != len(trades):
        history.fail("GetTrades answers with several trades of one trade_id")


def candles_are_true(
    line: Line,
    history: History,
    listing: Listing,
    instrument: Instrument,
    name: str,
    count: int,
) -> None:
    """Fails unless the candles of an interval are the market's, without holes: the last ones, and
    those of a span of time."""
    interval, market = interval_of(name), line.venue.market(listing)
    now_ns = line.venue.now_ns
    opens = [interval.open_of(now_ns)]
    while len(opens) < count + 5 and opens[-1] > interval.open_of(listing.launch_ns):
        opens.append(interval.open_of(opens[-1] - 1))
    opens.reverse()

    def ask(start_ns: int | None, end_ns: int | None, limit: int) -> Sequence[Candle]:
        found = line.ask(GetCandles(instrument, name, start_ns, end_ns, limit))
        return _cut(found, start_ns, limit)

    what = f"{name} candles"
    for candle in _last(history, what, ask, opens[-count:], _opening):
        past_candle_is_true(history, market, candle)
        if not candle.closed and candle.close_time_ns <= now_ns:
            history.fail(f"the candle of {clock(candle.open_time_ns)} has closed, but isn't called")
    _span(history, what, ask, opens, _opening)


def funding_is_true(
    line: Line, history: History, listing: Listing, instrument: Instrument, count: int
) -> None:
    """Fails unless the funding rates are those that were paid, without holes: the last ones, and
    those of a span of time."""
    step, market = listing.funding_interval_ns, line.venue.market(listing)

    def ask(start_ns: int | None, end_ns: int | None, limit: int) -> Sequence[Funding]:
        found = line.ask(GetFundingHistory(instrument, start_ns, end_ns, limit))
        return _cut(found, start_ns, limit)

    if step is None:
        if ask(None, None, count):
            history.fail("it pays no funding, but GetFundingHistory answers with rates")
        return
    last = line.venue.now_ns // step * step
    times = list(range(last, max(last - (count + 5) * step, listing.launch_ns), -step))[::-1]
    for funding in _last(history, "funding rates", ask, times[-count:], _paid):
        rate = market.funding_at(_paid(funding))
        if funding.rate.scaleb(6) != rate:
            history.fail(
                f"the rate of {clock(_paid(funding))} is {funding.rate}, the market's 0.{rate:06}"
            )
    _span(history, "funding rates", ask, times, _paid)


def _cut(found: Sequence[T], start_ns: int | None, limit: int) -> Sequence[T]:
    """As many as asked for, as the client cuts what pages bring."""
    return found[-limit:] if start_ns is None else found[:limit]


def _opening(candle: Candle) -> int:
    return candle.open_time_ns


def _paid(funding: Funding) -> int:
    assert funding.funding_time_ns is not None, "a past funding rate must say when it was paid"
    return funding.funding_time_ns


def _last(
    history: History,
    what: str,
    ask: Callable[[int | None, int | None, int], Sequence[T]],
    expected: Sequence[int],
    time_of: Callable[[T], int],
) -> Sequence[T]:
    """Ask for the last ones, and compare their times."""
    found = ask(None, None, len(expected))
    times = [time_of(each) for each in found]
    if len(times) < len(expected):
        # Exchanges may keep fewer; but then there are none further back.
        further: Sequence[T] = []
        if times:
            with suppress(Unsupported):
                further = ask(None, times[0], len(expected) - len(times))
        if further or len(times) < min(USUAL, len(expected)):
            more = f"; asked for those before them it gives {len(further)} more" if further else ""
            history.fail(
                f"{len(times)} of the last {len(expected)} {what} came{more}. Where an answer "
                "holds fewer than asked for, decode() must return a cursor for the next page"
            )
        expected = expected[len(expected) - len(times) :]
    _compare(history, f"the last {len(expected)} {what}", times, expected)
    return found


def _span(
    history: History,
    what: str,
    ask: Callable[[int | None, int | None, int], Sequence[T]],
    times: Sequence[int],
    time_of: Callable[[T], int],
) -> None:
    """Ask for those of a span, with both ends where some are."""
    recent = times[-12:]
    if len(recent) < 5:
        return
    start, end = recent[1], recent[-2]
    inside = recent[1:-2]
    _compare(
        history,
        f"{what} from {clock(start)} on, before {clock(end)}",
        [time_of(each) for each in ask(start, end, 100)],
        inside,
    )
    _compare(
        history,
        f"the first 2 {what} from {clock(start)} on",
        [time_of(each) for each in ask(start, None, 2)],
        inside[:2],
    )
    _compare(
        history,
        f"the last 2 {what} before {clock(end)}",
        [time_of(each) for each in ask(None, end, 2)],
        inside[-2:],
    )


def _compare(history: History, what: str, times: Sequence[int], expected: Sequence[int]) -> None:
    if len(times) == len(expected) and all(
        abs(a - b) < RESOLUTION_NS for a, b in zip(times, expected, strict=True)
    ):
        return
    wrong = next(
        (at for at, pair in enumerate(zip(times, expected, strict=False)) if pair[0] != pair[1]),
        min(len(times), len(expected)),
    )

    def at(each: Sequence[int]) -> str:
        return clock(each[wrong]) if wrong < len(each) else "none"

    history.fail(
        f"asked for {what}, {len(times)} came, expected were {len(expected)}; number {wrong} is of "
        f"{at(times)} instead of {at(expected)}. They must be oldest first, the start inclusive, "
        "the end exclusive"
    )
