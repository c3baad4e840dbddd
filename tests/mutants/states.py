"""Values that become empty and come back, flags in each of their values, changes of one figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.codec import Codec, Data, Message
from ccrs_core.emulator import Dialect
from ccrs_core.events import (
    BookUpdate,
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.exchange import Route
from ccrs_core.model import Instrument, InstrumentStatus, Side
from ccrs_core.rest import GetInstruments, GetTopOfBook, GetTrades, HttpRequest, HttpResponse
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

LACKS = "test_what_a_market_lacks_is_none_and_comes_back"
BLANK = "test_blank_fields_are_none_and_not_what_they_were"
SIDES = "test_a_book_without_a_side_is_one_and_fills_again"
FLAGS = "test_each_side_and_flag_of_trades_is_told"
LIQUIDATED = "test_each_side_of_liquidations_is_told"
STATUSES = "test_each_status_of_an_instrument_is_told"
NEW_FLAG = "test_a_new_side_or_flag_is_taken_for_no_known_one"
NEW_SIDE = "test_a_new_side_in_an_answer_is_taken_for_no_known_one"
NEW_KIND = "test_an_instrument_of_a_new_kind_or_status_does_not_trade"
FIGURE = "test_a_change_of_any_figure_is_told"
CANDLE = "test_a_change_of_any_part_of_a_candle_is_told"
RULE = "test_a_change_of_any_rule_of_an_instrument_is_told"


class Remembering(Through):
    """Knows the last event of each kind and symbol."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self.last: dict[tuple[type[Any], str], Any] = {}

    def event(self, event: Any) -> Any:
        key = type(event), event.symbol
        found = self.after(self.last.get(key), event)
        if found is not None:
            self.last[key] = found
        return found

    def after(self, before: Any, event: Any) -> Any:
        """What is delivered instead of an event that follows another one."""
        return event


def reading(base: Any, through: Callable[[Codec], Codec]) -> Any:
    """A plugin's ``codec`` with something around it."""

    def codec(self: Any, route: Route) -> Codec:
        return through(base.codec(self, route))

    return codec


def speaking(base: Any, through: Callable[[Dialect], Dialect]) -> Any:
    """A plugin's ``dialect`` with something around it."""

    def dialect(self: Any) -> Dialect:
        return through(base.dialect(self))

    return dialect


def rewritten(payload: bytes, change: Callable[[Any], Any]) -> bytes:
    """A frame or body with each of its objects changed; what isn't JSON as it was."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload

    def each(value: Any) -> Any:
        if isinstance(value, dict):
            return change({key: each(item) for key, item in value.items()})
        return [each(item) for item in value] if isinstance(value, list) else value

    return json.dumps(each(value), separators=(",", ":")).encode()


def never(name: str, kind: type[Any]) -> type[Remembering]:
    """What a field was before stands for what is None."""

    class Kept(Remembering):
        def after(self, before: Any, event: Any) -> Any:
            if type(event) is kind and before is not None and getattr(event, name) is None:
                return attrs.evolve(event, **{name: getattr(before, name)})
            return event

    return Kept


def told(kind: type[Any], **changes: Callable[[Any], Any]) -> type[Through]:
    """Changes fields of a kind of event."""

    class Told(Through):
        def event(self, event: Any) -> Any:
            if not isinstance(event, kind):
                return event
            return attrs.evolve(event, **{name: act(event) for name, act in changes.items()})

    return Told


# --- what becomes empty --------------------------------------------------------------------------


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


# --- flags ---------------------------------------------------------------------------------------


@caught_by(FLAGS)
class NoTradeIsABlock(Bybit):
    """The codec doesn't read whether a trade was negotiated."""

    codec = reading(Bybit, told(Trade, block=lambda _: False))


class NoBlocks(SpeaksThrough):
    """Writes no trade as negotiated."""

    def said(self, payload: bytes) -> bytes:
        return payload.replace(b'"BT":true', b'"BT":false')

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        body = response.body.replace(b'"isBlockTrade":true', b'"isBlockTrade":false')
        return attrs.evolve(response, body=body)


@caught_by(FLAGS)
class NobodyKnowsOfBlocks(Bybit):
    """Neither emulator nor codec knows of negotiated trades."""

    dialect = speaking(Bybit, NoBlocks)
    codec = reading(Bybit, told(Trade, block=lambda _: False))
    endpoints = answering(
        Bybit, GetTrades, lambda _, found: [attrs.evolve(each, block=False) for each in found]
    )


@caught_by(FLAGS)
class BlocksOfAnswersAreUntold(Bybit):
    """Requests don't read whether a trade was negotiated, streams do."""

    endpoints = answering(
        Bybit, GetTrades, lambda _, found: [attrs.evolve(each, block=False) for each in found]
    )


@caught_by(FLAGS)
class RetailIsReadUpsideDown(Okx):
    """Trades of retail price improvement are told as the others, and the others as those."""

    codec = reading(Okx, told(Trade, rpi=lambda e: None if e.rpi is None else not e.rpi))


@caught_by(FLAGS)
class RetailIsNeverTold(Binance):
    """No trade is told to have improved a retail price."""

    codec = reading(Binance, told(Trade, rpi=lambda e: None if e.rpi is None else False))


class BuysOnly(SpeaksThrough):
    """Writes each trade as one whose taker bought."""

    def said(self, payload: bytes) -> bytes:
        return payload.replace(b'"side":"sell"', b'"side":"buy"')


@caught_by(FLAGS)
class EverybodyBuys(Okx):
    """Emulator and codec know takers that buy, and no others."""

    dialect = speaking(Okx, BuysOnly)


@caught_by(LIQUIDATED)
class OnlyLongsAreLiquidated(Binance):
    """Each liquidation is told as one of a long position."""

    codec = reading(Binance, told(Liquidation, side=lambda _: Side.BUY))


@caught_by(LIQUIDATED)
class LiquidationsOfTheOrder(Okx):
    """A liquidation's side is that of the order that closes the position."""

    codec = reading(
        Okx,
        told(Liquidation, side=lambda e: Side.SELL if e.side is Side.BUY else Side.BUY),
    )


def status_of(
    change: Callable[[Instrument], InstrumentStatus],
) -> Callable[[Any, Any], Any]:
    """Reads other statuses of instruments."""
    return lambda _, found: [attrs.evolve(each, status=change(each)) for each in found]


@caught_by(STATUSES)
class SettlingStillTrades(Bybit):
    """An instrument that is being settled is called trading."""

    endpoints = answering(
        Bybit,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.TRADING
                if each.status is InstrumentStatus.SETTLING
                else each.status
            )
        ),
    )


@caught_by(STATUSES)
class HaltedStillTrades(Okx):
    """A suspended instrument is called trading."""

    endpoints = answering(
        Okx,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.TRADING if each.status is InstrumentStatus.HALTED else each.status
            )
        ),
    )


@caught_by(STATUSES)
class ToComeIsHalted(Binance):
    """What is to come is called halted."""

    endpoints = answering(
        Binance,
        GetInstruments,
        status_of(
            lambda each: (
                InstrumentStatus.HALTED
                if each.status is InstrumentStatus.PRELAUNCH
                else each.status
            )
        ),
    )


class NothingIsHalted(SpeaksThrough):
    """Writes no instrument as suspended."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return attrs.evolve(
            response, body=response.body.replace(b'"state":"suspend"', b'"state":"live"')
        )


@caught_by(STATUSES)
class NobodyKnowsOfHalts(Okx):
    """Neither emulator nor plugin knows of instruments that are suspended."""

    dialect = speaking(Okx, NothingIsHalted)


# --- made-up values ------------------------------------------------------------------------------


def known(fields: Mapping[str, Mapping[Any, Any]], default: Mapping[str, Any]) -> Any:
    """Takes values of some fields that aren't known for the default."""

    def change(obj: dict[str, Any]) -> dict[str, Any]:
        return {
            key: default[key]
            if key in fields and not isinstance(value, dict | list) and value not in fields[key]
            else value
            for key, value in obj.items()
        }

    return change


def defaulting(key: str, values: tuple[Any, ...], default: Any) -> type[Through]:
    """A codec for which a new value of a field is its default."""
    change = known({key: dict.fromkeys(values)}, {key: default})

    class Defaulting(Through):
        def frame(self, frame: bytes) -> bytes:
            return rewritten(frame, change)

    return Defaulting


@caught_by(NEW_FLAG)
class ANewSideSells(Bybit):
    """A taker that doesn't buy sells, whatever else is said."""

    codec = reading(Bybit, defaulting("S", ("Buy", "Sell"), "Sell"))


@caught_by(NEW_FLAG)
class ANewSideBuys(Okx):
    """A taker that doesn't sell buys, whatever else is said."""

    codec = reading(Okx, defaulting("side", ("buy", "sell"), "buy"))


@caught_by(NEW_FLAG)
class WhatIsNotFalseIsTrue(Binance):
    """A maker's flag that is neither true nor false is taken for true."""

    codec = reading(Binance, defaulting("m", (True, False), True))


@caught_by(NEW_FLAG)
class ANewConfirmCloses(Binance):
    """A candle that doesn't say whether it is closed is called closed."""

    codec = reading(Binance, defaulting("x", (True, False), True))


class ConfirmedUnlessOpen(Through):
    """Takes each candle that isn't said to be open for a closed one."""

    def frame(self, frame: bytes) -> bytes:
        if b'"candle' not in frame:
            return frame
        try:
            value = json.loads(frame)
            for row in value["data"]:
                row[8] = "0" if row[8] == "0" else "1"
        except (ValueError, KeyError, IndexError, TypeError):
            return frame
        return json.dumps(value, separators=(",", ":")).encode()


@caught_by(NEW_FLAG)
class UnconfirmedIsClosed(Okx):
    """A candle whose confirmation is new is called closed."""

    codec = reading(Okx, ConfirmedUnlessOpen)


@caught_by(NEW_FLAG)
class ANewActionReplacesTheBook(Okx):
    """A frame of a book whose action is new replaces the book."""

    codec = reading(Okx, defaulting("action", ("snapshot", "update"), "snapshot"))


@caught_by(NEW_FLAG)
class ANewTypeChangesTheBook(Bybit):
    """A frame of a book whose type is new is applied as a change."""

    codec = reading(Bybit, defaulting("type", ("snapshot", "delta", "COMMAND_RESP"), "delta"))


class Silently(Through):
    """Leaves out what it doesn't know without a word."""

    def message(self, message: Message) -> Message | None:
        return message if type(message).__name__ != "Unrecognised" else None


@caught_by(NEW_FLAG)
class ANewSideIsLostInSilence(Bybit):
    """A trade of a new side is left out, and nobody is told."""

    codec = reading(Bybit, Silently)


class AnswersThrough:
    """Endpoints that read other bodies."""

    @staticmethod
    def of(base: Any, kind: Any, change: Callable[[Any], Any]) -> Any:
        right = base.endpoints[kind]

        def decode(request: Any, response: HttpResponse, now_ns: int, cursor: Any) -> Any:
            body = rewritten(response.body, change)
            return right.decode(request, attrs.evolve(response, body=body), now_ns, cursor)

        return {**base.endpoints, kind: attrs.evolve(right, decode=decode)}


@caught_by(NEW_SIDE)
class ANewSideOfAnAnswerSells(Bybit):
    """A trade of an answer whose side is new is a sale."""

    endpoints = AnswersThrough.of(
        Bybit, GetTrades, known({"side": {"Buy": 0, "Sell": 0}}, {"side": "Sell"})
    )


@caught_by(NEW_SIDE)
class ANewSideOfAnAnswerBuys(Okx):
    """A trade of an answer whose side is new is a purchase."""

    endpoints = AnswersThrough.of(
        Okx, GetTrades, known({"side": {"buy": 0, "sell": 0}}, {"side": "buy"})
    )


@caught_by(NEW_KIND)
class ANewStatusTrades(Binance):
    """An instrument whose status is new trades."""

    endpoints = AnswersThrough.of(
        Binance,
        GetInstruments,
        known(
            {"status": dict.fromkeys(("TRADING", "BREAK", "HALT", "PENDING_TRADING"))},
            {"status": "TRADING"},
        ),
    )


@caught_by(NEW_KIND)
class ANewStateTrades(Okx):
    """An instrument whose state is new trades."""

    endpoints = AnswersThrough.of(
        Okx,
        GetInstruments,
        known(
            {"state": dict.fromkeys(("live", "suspend", "preopen", "settling", "expired"))},
            {"state": "live"},
        ),
    )


@caught_by(NEW_KIND)
class ANewContractIsPerpetual(Bybit):
    """A contract of a new type never expires."""

    endpoints = AnswersThrough.of(
        Bybit,
        GetInstruments,
        known(
            {"contractType": dict.fromkeys(("InverseFutures", "LinearFutures", "LinearPerpetual"))},
            {"contractType": "InversePerpetual"},
        ),
    )


@caught_by(NEW_KIND)
class ANewOptionIsAPut(Okx):
    """An option that isn't a call is a put."""

    endpoints = AnswersThrough.of(
        Okx,
        GetInstruments,
        known({"optType": dict.fromkeys(("C", "P", ""))}, {"optType": "P"}),
    )


# --- changes of one figure -----------------------------------------------------------------------


def unless(kind: type[Any], *names: str) -> type[Remembering]:
    """Delivers an event of a kind only where one of these fields has changed."""

    class Comparing(Remembering):
        def after(self, before: Any, event: Any) -> Any:
            if not isinstance(event, kind) or before is None:
                return event
            same = all(getattr(before, name) == getattr(event, name) for name in names)
            return None if same else event

    return Comparing


@caught_by(FIGURE)
class QuotesOfPrices(Bybit):
    """A top of book whose prices are as they were is taken for a repeat."""

    codec = reading(Bybit, unless(TopOfBook, "bid_price", "ask_price"))


@caught_by(FIGURE)
class TickersOfTrades(Okx):
    """A ticker is delivered where the last price has changed."""

    codec = reading(Okx, unless(Ticker, "last_price", "volume"))


@caught_by(FIGURE)
class RatesWithoutTimes(Binance):
    """A funding rate that is paid at another time is taken for a repeat."""

    codec = reading(Binance, unless(Funding, "rate"))


@caught_by(FIGURE)
class MarksWithoutIndexes(Binance):
    """A mark price whose index has changed is taken for a repeat."""

    codec = reading(Binance, unless(MarkPrice, "mark_price"))


@caught_by(CANDLE)
class CandlesOfCloses(Okx):
    """A candle whose close is as it was is taken for a repeat."""

    codec = reading(Okx, unless(Candle, "close", "closed"))


@caught_by(CANDLE)
class CandlesNeverClose(Binance):
    """A candle's last state is the one in which nothing has been traded since."""

    codec = reading(Binance, unless(Candle, "open_time_ns", "volume"))


def identified(kind: type[Any], *names: str) -> type[Through]:
    """Tells copies of an event by some of its fields."""

    class Identified(Through):
        def message(self, message: Message) -> Message | None:
            if not isinstance(message, Data) or type(message.events[0]) is not kind:
                return message
            event = message.events[0]
            said = " ".join(str(getattr(event, name)) for name in names)
            return attrs.evolve(message, sequence=said.encode())

    return Identified


@caught_by(FIGURE)
class TickersKnownByPrices(Bybit):
    """What tells tickers apart is made of their prices alone."""

    codec = reading(Bybit, identified(Ticker, "last_price", "mark_price", "index_price"))


@caught_by(FIGURE)
class MarksThatComeBack(Okx):
    """A mark price that comes back is taken for the copy of the first one."""

    codec = reading(Okx, identified(MarkPrice, "mark_price"))


@caught_by(FIGURE)
class QuotesThatComeBack(Binance):
    """A best bid and ask that come back are taken for copies of the first ones."""

    codec = reading(
        Binance, identified(TopOfBook, "bid_price", "bid_size", "ask_price", "ask_size")
    )


class ForgetsAfterSnapshots(Through):
    """Completes deltas from nothing once a second snapshot has come."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self.snapshots: dict[bytes, int] = {}

    def frame(self, frame: bytes) -> bytes:
        if b'"topic":"tickers.' not in frame:
            return frame
        topic = frame[: frame.index(b'","')]
        if b'"type":"snapshot"' in frame:
            self.snapshots[topic] = self.snapshots.get(topic, 0) + 1
        if self.snapshots.get(topic, 0) > 1:
            return frame.replace(b'"type":"delta"', b'"type":"snapshot"')
        return frame


@caught_by(FIGURE)
class ASecondSnapshotIsForgotten(Bybit):
    """After a second snapshot, deltas are all that is known."""

    codec = reading(Bybit, ForgetsAfterSnapshots)


class OnlyWithTrades(SpeaksThrough):
    """Repeats the ticker until another last price comes."""

    def __init__(self, dialect: Any) -> None:
        super().__init__(dialect)
        self.before: dict[str, tuple[str, bytes]] = {}

    def said(self, payload: bytes) -> bytes:
        if b'"channel":"tickers"' not in payload or b'"last"' not in payload:
            return payload
        (row,) = json.loads(payload)["data"]
        last, told = self.before.get(row["instId"], ("", b""))
        if row["last"] != last:
            self.before[row["instId"]] = row["last"], payload
            return payload
        return told


@caught_by(FIGURE)
class NobodyTellsOfQuotes(Okx):
    """Emulator and codec tell a ticker where something was traded, and no other."""

    dialect = speaking(Okx, OnlyWithTrades)


# --- rules of instruments ------------------------------------------------------------------------


@caught_by(RULE)
class LotsAreSmallestOrders(Bybit):
    """The lot is read from the smallest order."""

    endpoints = answering(
        Bybit,
        GetInstruments,
        lambda _, found: [attrs.evolve(each, lot_size=each.min_size) for each in found],
    )


class _First:
    def __init__(self, *names: str) -> None:
        self.names = names
        self.known: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(self, request: Any, found: Any) -> Any:
        rules = [
            self.known.setdefault(
                (each.market, each.native), {name: getattr(each, name) for name in self.names}
            )
            for each in found
        ]
        return [attrs.evolve(each, **rule) for each, rule in zip(found, rules, strict=True)]


@caught_by(RULE)
class TheLeastValueStays(Binance):
    """The least value of an order is what it was when the instrument was first seen."""

    endpoints = answering(Binance, GetInstruments, _First("min_notional"))


@caught_by(RULE)
class TheLargestOrderStays(Okx):
    """The largest order is the one that was first seen."""

    endpoints = answering(Okx, GetInstruments, _First("max_size"))


class MinimumsAreLots(SpeaksThrough):
    """Writes the lot for the smallest order."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        def change(obj: dict[str, Any]) -> dict[str, Any]:
            return {**obj, "minQty": obj["stepSize"]} if "stepSize" in obj else obj

        return attrs.evolve(response, body=rewritten(response.body, change))


@caught_by(RULE)
class NobodyKnowsTheSmallestOrder(Binance):
    """Emulator and plugin take the lot for the smallest order."""

    dialect = speaking(Binance, MinimumsAreLots)
