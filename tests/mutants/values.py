"""Mutants that read frames wrongly: fields, units, digits, items."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
from ccrs_bybit.codec import INTERVALS, BybitCodec

from ccrs_core.contract.codec import Message
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import (
    BookUpdate,
    Candle,
    Funding,
    Liquidation,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.instruments import Market, Side, market_of
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_MS
from tests.mutants.mutant import Misread, Tampered, caught_by, changed

SAMPLES = "test_every_sample_frame_says_what_is_expected_of_it"
MARKET = "test_what_streams_bring_is_what_happened_in_the_market"
CANDLES = "test_each_candle_closes_once_with_the_tapes_figures"


@caught_by(SAMPLES, MARKET)
class BidAndAskSwapped(Misread):
    """Best bid and best ask are read from each other's fields."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, TopOfBook):
            return event
        return changed(
            event,
            bid_price=event.ask_price,
            bid_size=event.ask_size,
            ask_price=event.bid_price,
            ask_size=event.bid_size,
        )


@caught_by(SAMPLES, MARKET)
class BookSidesSwapped(Misread):
    """A book's bids are read as asks."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate):
            return event
        return changed(event, bids=event.asks, asks=event.bids)


@caught_by(SAMPLES, MARKET)
class PriceAndSizeSwapped(Misread):
    """A trade's price is read as its size."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Trade):
            return event
        return changed(event, price=event.size, size=event.price)


@caught_by(SAMPLES, MARKET)
class LevelsPriceAndSizeSwapped(Misread):
    """The two numbers of a book's level are read in the wrong order."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, BookUpdate):
            return event
        return changed(
            event,
            bids=tuple((size, price) for price, size in event.bids),
            asks=tuple((size, price) for price, size in event.asks),
        )


_OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


@caught_by(SAMPLES, MARKET)
class TakerSideInverted(Misread):
    """The maker's side of a trade is given for the taker's."""

    def event(self, event: Any) -> Any:
        return changed(event, side=_OTHER[event.side]) if isinstance(event, Trade) else event


@caught_by(SAMPLES, "test_liquidations_are_those_of_the_market")
class LiquidatedSideInverted(Misread):
    """The side of the order that closes a position is given for the position's."""

    def event(self, event: Any) -> Any:
        return changed(event, side=_OTHER[event.side]) if isinstance(event, Liquidation) else event


@caught_by(SAMPLES, "test_times_of_streams_are_of_the_present_and_in_order")
class MillisecondsTakenForSeconds(Misread):
    """Times in milliseconds are read as seconds."""

    def event(self, event: Any) -> Any:
        if event.exchange_time_ns is None:
            return event
        return changed(event, exchange_time_ns=event.exchange_time_ns * 1000)


@caught_by(SAMPLES, "test_the_exchanges_time_is_told_where_it_is_stated")
class ExchangeTimeLeftOut(Misread):
    """The exchange's time, which every frame states, isn't read."""

    def event(self, event: Any) -> Any:
        return changed(event, exchange_time_ns=None)


@caught_by(SAMPLES, "test_the_exchanges_time_is_told_where_it_is_stated")
class ReceiptTakenForExchangeTime(Misread):
    """The time of receipt is given for the exchange's."""

    def event(self, event: Any) -> Any:
        return changed(event, exchange_time_ns=event.received_time_ns)


@caught_by("test_the_codec_is_pure")
class ClockReadInTheCodec(Misread):
    """The codec reads the clock instead of taking the time that it is given."""

    def event(self, event: Any) -> Any:
        return changed(event, received_time_ns=time.time_ns())


@caught_by(SAMPLES, "test_no_value_of_the_public_surface_is_a_float")
class FloatOnTheSurface(Misread):
    """A trade's price is a float."""

    def event(self, event: Any) -> Any:
        return changed(event, price=float(event.price)) if isinstance(event, Trade) else event


@caught_by(SAMPLES, "test_streamed_decimals_are_the_exact_text_of_the_wire")
class FloatOnThePath(Misread):
    """Decimals are made of floats, so that their digits differ from those on the wire."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Trade):
            return event
        return changed(event, price=Decimal(float(event.price)), size=Decimal(float(event.size)))


@caught_by(SAMPLES, "test_streamed_decimals_are_the_exact_text_of_the_wire")
class TrailingZerosLost(Misread):
    """Decimals are normalised: 30050.10 becomes 30050.1."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, TopOfBook) or event.bid_price is None:
            return event
        return changed(event, bid_price=event.bid_price.normalize())


@caught_by(SAMPLES, "test_a_side_without_orders_has_no_price")
class EmptySideTakenForZero(Misread):
    """A side without orders has price and size 0 instead of None."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, TopOfBook):
            return event
        zero = Decimal(0)
        return changed(
            event,
            bid_price=event.bid_price or zero,
            bid_size=event.bid_size or zero,
            ask_price=event.ask_price or zero,
            ask_size=event.ask_size or zero,
        )


@caught_by(MARKET)
class OnlyTheFirstItem(Tampered):
    """Of a frame with several trades only the first is read."""

    def tamper(self, frame: dict[str, Any]) -> None:
        if frame["topic"].startswith("publicTrade"):
            frame["data"] = frame["data"][:1]


@caught_by(MARKET)
class TradesReversed(Tampered):
    """The trades of one frame come newest first."""

    def tamper(self, frame: dict[str, Any]) -> None:
        if frame["topic"].startswith("publicTrade"):
            frame["data"] = frame["data"][::-1]


@caught_by(SAMPLES, CANDLES)
class CandlesNeverClosed(Tampered):
    """The frame that closes a candle is read as one more of the open candle."""

    def tamper(self, frame: dict[str, Any]) -> None:
        if frame["topic"].startswith("kline"):
            for row in frame["data"]:
                row["confirm"] = False


@caught_by(SAMPLES, CANDLES)
class CandlesAlwaysClosed(Tampered):
    """Each state of an open candle is read as closed."""

    def tamper(self, frame: dict[str, Any]) -> None:
        if frame["topic"].startswith("kline"):
            for row in frame["data"]:
                row["confirm"] = True


@caught_by("test_candles_are_closed_by_the_exchanges_clock")
class StreamedCandlesClosedByOurClock(Misread):
    """A candle of a stream is closed once it is over by the local clock."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Candle):
            return event
        return changed(event, closed=event.close_time_ns <= event.received_time_ns)


@caught_by(SAMPLES, CANDLES)
class CandleEndsTooEarly(Misread):
    """A candle's last millisecond is taken for the end that is no longer in it."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Candle):
            return event
        return changed(event, close_time_ns=event.close_time_ns - NS_PER_MS)


@caught_by(SAMPLES, CANDLES)
class TurnoverTakenForVolume(Misread):
    """A candle's volume is given in the quote currency."""

    def event(self, event: Any) -> Any:
        return changed(event, volume=event.turnover) if isinstance(event, Candle) else event


@caught_by(SAMPLES, MARKET)
class InverseContractSizeIgnored(Misread):
    """Sizes of inverse contracts, worth a quote unit each, are turned into the base currency."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Trade) or market_of(event.symbol) is not Market.INVERSE:
            return event
        return changed(event, size=event.size / event.price)


@caught_by(SAMPLES, MARKET)
class FundingRateAsPercentage(Misread):
    """Funding rates are multiplied by 100."""

    def event(self, event: Any) -> Any:
        return changed(event, rate=event.rate * 100) if isinstance(event, Funding) else event


@caught_by("test_what_a_ticker_has_told_it_goes_on_telling")
class TickerFieldsForgotten(Misread):
    """What a ticker's delta doesn't repeat is None instead of what it was."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Ticker) or market_of(event.symbol) is Market.SPOT:
            return event
        told = vars(self).setdefault("told", set())
        if event.symbol in told:
            return changed(event, turnover=None, open_interest=None)
        told.add(event.symbol)
        return event


@caught_by(SAMPLES, "test_no_value_of_the_public_surface_is_a_float")
class IdsAsNumbers(Misread):
    """Trade ids are numbers instead of text."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Trade):
            return event
        return changed(event, trade_id=int(event.trade_id.replace("-", ""), 36))


@caught_by(
    SAMPLES, "test_each_trade_is_delivered_once", "test_delivered_trades_and_gaps_make_up_the_tape"
)
class TradeIdsReused(Misread):
    """A number that several trades share is given for their id, so that trades seem repeated."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Trade):
            return event
        return changed(event, trade_id=str(event.received_time_ns // 10**9))


@caught_by(SAMPLES, MARKET)
class SymbolAsTheExchangeSpellsIt(Misread):
    """Events carry the exchange's own symbol instead of the unified one."""

    def event(self, event: Any) -> Any:
        return changed(event, symbol=event.symbol.replace("/", "").partition(":")[0])


@caught_by(MARKET)
class WrongDepthTopic(Misread):
    """A book of one depth is subscribed to as another one."""

    def named(self, name: str, subscription: Subscription) -> str:
        if subscription.channel is Channel.BOOK and subscription.depth == 50:
            subscription = attrs.evolve(subscription, depth=200)
        return super().named(name, subscription)


@caught_by("test_candles_of_every_interval_are_of_that_interval")
class WrongInterval(Misread):
    """Candles of one hour are subscribed to as those of two."""

    def topic(self, subscription: Subscription) -> str:
        if subscription.channel is Channel.CANDLES and subscription.interval == "1h":
            return f"kline.{INTERVALS['2h']}.{subscription.instrument.native}"
        return super().topic(subscription)


@caught_by("test_strange_values_name_the_topic_that_they_are_of")
class StrangeValuesOfNoTopic(BybitCodec):
    """What can't be read is told without the topic that it is of: every topic of the connection is
    doubted, and the third such frame ends it."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        try:
            return super().decode(frame, received_time_ns)
        except DecodeError as error:
            raise DecodeError(str(error), error.frame) from error
