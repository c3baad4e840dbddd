"""What becomes empty and comes back, read wrongly: kept, taken for zero, or never told."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.rest import GetInstruments, GetTopOfBook
from ccrs_core.model.events import BookUpdate, Candle, Funding, MarkPrice, Ticker, TopOfBook, Trade
from tests.mutants.around import Remembering, never, reading, rewritten, speaking, told
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

LACKS = "test_what_a_market_lacks_is_none_and_comes_back"
BLANK = "test_blank_fields_are_none_and_not_what_they_were"
SIDES = "test_a_book_without_a_side_is_one_and_fills_again"


@caught_by(LACKS)
class TickersKeepWhatWasThere(Bybit):
    """A field that has become empty keeps the value that it had before."""

    codec = reading(Bybit, never("open_interest", Ticker))


@caught_by(LACKS)
class IndexesKeepWhatWasThere(Bybit):
    """A mark price without an index price comes with the index price of before."""

    codec = reading(Bybit, never("index_price", MarkPrice))


@caught_by(LACKS)
class FundingTimesKeptByOkx(Okx):
    """A rate of which the time isn't known yet has the time of the rate before."""

    codec = reading(Okx, never("funding_time_ns", Funding))


@caught_by(LACKS)
class IndexesKeptByBinance(Binance):
    """A mark price without an index price comes with the index price of before."""

    codec = reading(Binance, never("index_price", MarkPrice))


class NothingIsZero(Through):
    """Reads what isn't there as zero."""

    def event(self, event: Any) -> Any:
        if isinstance(event, Ticker) and event.last_price is None:
            return attrs.evolve(event, last_price=0 * (event.volume or 0))
        return event


@caught_by(LACKS)
class NoLastPriceIsZero(Okx):
    """The last price before the first trade is zero."""

    codec = reading(Okx, NothingIsZero)


@caught_by(LACKS)
class NoLastPriceIsZeroEither(Binance):
    """The last price before the first trade is zero."""

    codec = reading(Binance, NothingIsZero)


class KeepsSides(Remembering):
    """Takes a side that isn't in a top of book for one without change."""

    def after(self, before: Any, event: Any) -> Any:
        if isinstance(event, TopOfBook) and before is not None:
            if event.bid_price is None:
                event = attrs.evolve(event, bid_price=before.bid_price, bid_size=before.bid_size)
            if event.ask_price is None:
                event = attrs.evolve(event, ask_price=before.ask_price, ask_size=before.ask_size)
        return event


@caught_by(LACKS)
class QuotesKeptByOkx(Okx):
    """A side without orders keeps its last quote."""

    codec = reading(Okx, KeepsSides)


@caught_by(LACKS)
class QuotesKept(Bybit):
    """A side without orders keeps its last quote."""

    codec = reading(Bybit, KeepsSides)


class OnceEmpty(Remembering):
    """Stands the first emptiness, and keeps the value at the next."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self.times = 0

    def after(self, before: Any, event: Any) -> Any:
        if not isinstance(event, Ticker) or before is None:
            return event
        if event.last_price is None and before.last_price is not None:
            self.times += 1
            if self.times > 1:
                return attrs.evolve(event, last_price=before.last_price)
        return event


@caught_by(LACKS)
class TheSecondEmptinessIsKept(Okx):
    """A price that is gone for the second time is kept."""

    codec = reading(Okx, OnceEmpty)


class DeltasWithoutBlanks(SpeaksThrough):
    """Leaves out of a ticker's delta what has become blank, as if it hadn't changed."""

    def said(self, payload: bytes) -> bytes:
        if b'"type":"delta"' not in payload or b'"topic":"tickers.' not in payload:
            return payload
        return rewritten(payload, lambda obj: {k: v for k, v in obj.items() if v != ""})


@caught_by(LACKS)
class BlanksAreLeftOut(Bybit):
    """The emulator doesn't tell that a field has become blank, so that the codec needn't know."""

    dialect = speaking(Bybit, DeltasWithoutBlanks)


class RatesAreZero(SpeaksThrough):
    """Writes a rate that isn't set yet as zero."""

    def said(self, payload: bytes) -> bytes:
        return payload.replace(b'"r":""', b'"r":"0.00000000"')


@caught_by(LACKS)
class RatesThatArentSetAreZero(Binance):
    """Emulator and codec agree that no rate is a rate of zero."""

    dialect = speaking(Binance, RatesAreZero)


class NeverUntold(SpeaksThrough):
    """Writes on what it wrote last of a topic while a field is blank."""

    def __init__(self, dialect: Any) -> None:
        super().__init__(dialect)
        self.before: dict[bytes, bytes] = {}

    def said(self, payload: bytes) -> bytes:
        head = payload[:90]
        if b'"markPx":""' in payload:
            return self.before.get(head, payload)
        self.before[head] = payload
        return payload


@caught_by(LACKS)
class MarkPricesAreNeverUntold(Okx):
    """The emulator writes the last mark price where there is none, the codec delivers it."""

    dialect = speaking(Okx, NeverUntold)


class EmptySideKept(Remembering):
    """Takes an empty side of a whole book for one that is as it was."""

    def after(self, before: Any, event: Any) -> Any:
        if isinstance(event, BookUpdate) and event.snapshot and before is not None:
            return attrs.evolve(
                event, bids=event.bids or before.bids, asks=event.asks or before.asks
            )
        return event


@caught_by(SIDES)
class WholeBooksKeepASide(Binance):
    """A whole book without bids keeps the bids of the one before."""

    codec = reading(Binance, EmptySideKept)


@caught_by(SIDES)
class WholeBooksKeepASideToo(Okx):
    """A whole book without bids keeps the bids of the one before."""

    codec = reading(Okx, EmptySideKept)


def _best_kept() -> Callable[[Any, Any], Any]:
    known: dict[str, Any] = {}

    def change(request: Any, top: Any) -> Any:
        before = known.get(top.symbol, top)
        if top.bid_price is None:
            top = attrs.evolve(top, bid_price=before.bid_price, bid_size=before.bid_size)
        known[top.symbol] = top
        return top

    return change


@caught_by(SIDES)
class AnswersKeepABid(Bybit):
    """The best bid of an answer without one is that of the answer before."""

    endpoints = answering(Bybit, GetTopOfBook, _best_kept())


@caught_by(SIDES)
class NoBestAskIsZero(Okx):
    """Where there is no ask, one of zero is answered."""

    endpoints = answering(
        Okx,
        GetTopOfBook,
        lambda _, top: (
            attrs.evolve(top, ask_price=Decimal(0), ask_size=Decimal(0))
            if top.ask_price is None
            else top
        ),
    )


@caught_by(BLANK)
class BlankTurnoversAreKept(Okx):
    """A candle whose turnover is blank has the turnover of before."""

    codec = reading(Okx, never("turnover", Candle))


@caught_by(BLANK)
class BlankSourcesAreRetail(Bybit):
    """A trade that doesn't say whose order made it is told to be one that improved a price."""

    codec = reading(Bybit, told(Trade, rpi=lambda e: True if e.rpi is None else e.rpi))


class NoEmptySides(Through):
    """Takes a book that loses its last level for a mistake, and leaves that level."""

    def event(self, event: Any) -> Any:
        if isinstance(event, BookUpdate) and not event.snapshot:
            gone = [level for level in event.bids if not level[1]]
            if len(gone) == len(event.bids) and len(gone) > 1:
                return attrs.evolve(event, bids=tuple(level for level in gone[1:]))
        return event


@caught_by(SIDES)
class TheLastLevelStays(Bybit):
    """Of a side all of whose levels go the best one stays."""

    codec = reading(Bybit, NoEmptySides)


@caught_by(BLANK)
class BlankRatesAreKept(Bybit):
    """A ticker whose fields are blank has the funding rate of before."""

    codec = reading(Bybit, never("funding_rate", Ticker))


@caught_by(BLANK)
class BlankQuotesAreKept(Okx):
    """A ticker whose fields are blank has the best bid of before."""

    codec = reading(Okx, never("bid_price", Ticker))


@caught_by(BLANK)
class BlankLimitsAreZero(Bybit):
    """Where no largest order is stated it is zero."""

    endpoints = answering(
        Bybit,
        GetInstruments,
        lambda _, found: [
            attrs.evolve(each, max_size=each.max_size or Decimal(0)) for each in found
        ],
    )


@caught_by(BLANK)
class BlankStepsAreGuessed(Binance):
    """Where no tick is stated a cent is one."""

    endpoints = answering(
        Binance,
        GetInstruments,
        lambda _, found: [
            attrs.evolve(each, tick_size=each.tick_size or Decimal("0.001")) for each in found
        ],
    )
