"""Property 2 of past trades: of a stretch of time all come, or an error that says why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import RESOLUTION_NS, clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.rest import GetTradeHistory
from ccrs_core.emulator import TapeTrade
from ccrs_core.errors import ExchangeError, Unsupported
from ccrs_core.model.events import Trade
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

_TRADES = 2300
"""So many have been made: more than most exchanges answer with at once, twice."""
_SURE = 20
"""So many of the latest every exchange tells."""
_LONGEST_NS = 6 * 3600 * NS_PER_SECOND

Span = tuple[int, int | None, int | None]


class TradeHistoryProperties:
    """Trades of a stretch of time."""

    @proves(2)
    def test_trades_of_a_stretch_all_come_or_an_error(self, subject: Subject) -> None:
        """Asked for a stretch of time, the exchange's trades come each once and in order, at the
        borders of pages and stretches, some at one time, or the whole is refused: never a part.
        The latest ones come in any case."""
        endpoint = subject.exchange.endpoints.get(GetTradeHistory)
        if endpoint is None:
            subject.undeclared("GetTradeHistory")
        for market in (m for m in Market if m in endpoint.markets):
            instrument = subject.instrument(market)
            line, trades = _lively(subject, instrument)
            for sure, span in _spans(trades, line.venue.now_ns):
                _ask(line, instrument, span, trades, sure=sure)


def _lively(subject: Subject, instrument: Instrument) -> tuple[Line, Sequence[TapeTrade]]:
    """A market in which much has been traded."""
    listing = subject.listings[instrument.market, instrument.native]
    line = subject.line(subject.venue(listings=[listing], rate=40.0))
    venue = line.venue
    market = venue.market(listing)
    begun_ns = venue.now_ns
    while market.tape.count < _TRADES and venue.now_ns < begun_ns + _LONGEST_NS:
        venue.advance(venue.now_ns + 10 * NS_PER_SECOND)
    trades = list(market.tape.trades)
    assert len(trades) > 2 * _SURE, f"the emulator trades too little in {instrument.symbol}"
    return line, trades


def _spans(trades: Sequence[TapeTrade], now_ns: int) -> Iterator[tuple[bool, Span]]:
    """Stretches, and whether every exchange can tell them."""

    def at(place: int) -> int:
        return trades[place].time_ns // NS_PER_MS * NS_PER_MS

    recent = at(-_SURE)
    yield True, (recent, None, None)
    yield True, (at(-5), at(-1), None)
    yield True, (at(-5) + 1, at(-1) + 1, None)
    yield True, (recent, now_ns + 3600 * NS_PER_SECOND, None)
    yield True, (recent, None, 3)
    yield True, (at(-1) + 10 * NS_PER_MS, None, None)
    yield True, (recent, recent, None)
    first, half = at(0) - NS_PER_MS, at(len(trades) // 2)
    yield False, (first, None, None)
    yield False, (first - 5000 * NS_PER_SECOND, half, None)
    yield False, (first, half, len(trades) // 3)
    yield False, (at(len(trades) // 3), half, None)
    yield False, (first, None, len(trades))


def _ask(
    line: Line, instrument: Instrument, span: Span, tape: Sequence[TapeTrade], *, sure: bool
) -> None:
    start_ns, end_ns, limit = span
    what = f"trades of {instrument.symbol} from {clock(start_ns)} on" + (
        "" if end_ns is None else f", before {clock(end_ns)}"
    )
    try:
        came: list[Trade] = line.ask(GetTradeHistory(instrument, start_ns, end_ns, limit))
    except (Unsupported, ExchangeError) as error:
        if not sure:
            return
        raise AssertionError(f"asked for {what}, it is refused: {error}") from error
    found = came if limit is None else came[:limit]
    market = next(iter(line.venue.listings.values()))
    rules = line.venue.market(market).rules
    # Exchanges tell times to the millisecond.
    told = [(each, each.time_ns // NS_PER_MS * NS_PER_MS) for each in tape]
    true = [each for each, ns in told if ns >= start_ns and (end_ns is None or ns < end_ns)][:limit]
    if len(found) != len(true):
        raise AssertionError(
            f"asked for {what}, {len(found)} come of {len(true)} that there are. A page that is "
            "short or empty isn't the end, one of exactly its size may not be; and of a stretch "
            "of which the exchange doesn't tell the beginning any more decode() must raise "
            "Unsupported"
        )
    for one, other in zip(found, true, strict=True):
        apart_ns = abs((one.exchange_time_ns or 0) - other.time_ns)
        told_so = one.price == rules.price.value(other.price) and one.side is other.side
        assert (told_so, apart_ns < RESOLUTION_NS) == (True, True), (
            f"asked for {what}, {one} comes where the trade of {clock(other.time_ns)} belongs: "
            "they must be oldest first, each once"
        )
    ids = {each.trade_id for each in found}
    assert len(ids) == len(found), f"asked for {what}, some come twice"


__all__ = ["TradeHistoryProperties"]
