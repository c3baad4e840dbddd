"""Mutants of what is Bybit's own: lists in pages, numbers made of states, fields that moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_bybit.channels import TOP_OF_BOOK, TRADES
from ccrs_bybit.codec import BybitCodec

from ccrs_core.contract.codec import Data, Message, Outbound
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.errors import DecodeError
from ccrs_core.model.events import Greeks, Ticker, Trade
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.wire import Head, Stream
from ccrs_core.wire.patterns import taker
from tests.mutants.mutant import Misread, Tampered, caught_by, changed, endpoint, original

LISTED = "test_instruments_say_what_the_exchange_lists"
SAMPLED = "test_every_sample_frame_says_what_is_expected_of_it"
BLANK = "test_optional_fields_may_be_blank"
MARKET = "test_what_streams_bring_is_what_happened_in_the_market"
SHORT = "test_a_shortcut_takes_frames_as_the_exchange_spells_them"
WRAPS = "test_numbers_do_not_wrap_while_nothing_is_traded"

_LIST = original(GetInstruments)


@caught_by(LISTED)
class StrangestRowTakesAll:
    """A contract without filters makes the whole list unreadable."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        for row in orjson.loads(response.body)["result"]["list"]:
            if not row["priceFilter"]:
                raise DecodeError("no priceFilter", response.body)
        return _LIST.decode(request, response, now_ns, cursor)

    endpoints: ClassVar[Any] = endpoint(GetInstruments, decode=_decode)


@caught_by(LISTED)
class EmptyPageEndsTheList:
    """A coin without options is taken for the last one."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _LIST.decode(request, response, now_ns, cursor)
        empty = not orjson.loads(response.body)["result"]["list"]
        return attrs.evolve(answer, cursor=None if empty else answer.cursor)

    endpoints: ClassVar[Any] = endpoint(GetInstruments, decode=_decode)


@caught_by(LISTED)
class OptionsOfTheFirstCoin:
    """Options are asked for without naming a coin, and so come those of BTC."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _LIST.decode(request, response, now_ns, cursor)
        coin = request.market is Market.OPTION and "cursor=" not in (answer.cursor or "")
        return attrs.evolve(answer, cursor=None if coin else answer.cursor)

    endpoints: ClassVar[Any] = endpoint(GetInstruments, decode=_decode)


@caught_by(LISTED)
class NothingAtDelivery:
    """Contracts that are being delivered are never asked for."""

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = _LIST.decode(request, response, now_ns, cursor)
        over = answer.cursor == "status=Delivering"
        return attrs.evolve(answer, cursor=None if over else answer.cursor)

    endpoints: ClassVar[Any] = endpoint(GetInstruments, decode=_decode)


@caught_by(MARKET)
class OpenInterestOfBothSides(Tampered):
    """Open interest is what Bybit calls so since 2026-06: that of both sides."""

    def tamper(self, frame: dict[str, Any]) -> None:
        if frame["topic"].startswith("tickers."):
            frame["data"].pop("singleOpenInterest", None)


@caught_by(SAMPLED)
class RetailTradesUnmarked(Misread):
    """Trades inside the spread of the book look like any others."""

    def event(self, event: Any) -> Any:
        return changed(event, rpi=False) if isinstance(event, Trade) else event


@caught_by(MARKET)
class VolatilityInPerCent(Misread):
    """Implied volatilities are told as they are spoken of."""

    def event(self, event: Any) -> Any:
        if not isinstance(event, Greeks) or event.mark_iv is None:
            return event
        return changed(event, mark_iv=event.mark_iv * 100)


@caught_by(MARKET)
class VegaTakenForTheta(Misread):
    """Vega stands where theta belongs."""

    def event(self, event: Any) -> Any:
        return changed(event, theta=event.vega) if isinstance(event, Greeks) else event


@caught_by(BLANK)
class PricesAlwaysExpected(BybitCodec):
    """A mark price that is blank before launch makes the frame unreadable."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if b'"markPrice":""' in frame:
            raise DecodeError("markPrice is no number", frame)
        return super().decode(frame, received_time_ns)


@caught_by(WRAPS)
class TickersToldByFewBitsOfTime(BybitCodec):
    """While the engine stands still tickers are told by the time, of which 21 bits are kept."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        for message in messages:
            if isinstance(message, Data) and isinstance(message.events[0], Ticker):
                event = message.events[0]
                time = (event.exchange_time_ns or 0) // (10 * NS_PER_MS) & 0x1FFFFF
                message.sequence = (event.sequence or 0) << 23 | time << 2
        return messages


@caught_by(SHORT)
class ShortWayOfContractsAlone(BybitCodec):
    """The short way of spot's trades has the fields in the order that contracts have."""

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().subscribe(subscriptions, request_id)
        for topic, lanes in self._readers.items():
            if topic.startswith("publicTrade."):
                for lane in lanes:
                    lane.takers = lane.takers[:1]
                    lane.shape = attrs.evolve(TRADES, usual=TRADES.usual[:1])
                    lane.learn = _nothing_learned  # type: ignore[method-assign]
        return frame


def _nothing_learned(frame: bytes, messages: Sequence[Message], received_time_ns: int) -> None:
    """In place of ``Lane.learn``."""


@caught_by("test_a_shapes_own_usual_frames_go_the_short_way")
class UsualFrameThatIsUnusual(BybitCodec):
    """The usual frames of trades have a number zero, as no pattern takes it."""

    def stream(self, subscription: Subscription) -> Stream:
        stream = super().stream(subscription)
        option = subscription.market is Market.OPTION
        if subscription.channel is not Channel.TRADES or option:
            return stream
        usual = [text.replace('"seq":1783284617', '"seq":0') for text in TRADES.usual]
        return Stream(stream.name, attrs.evolve(TRADES, usual=usual))


@caught_by("test_short_ways_judge_broken_frames_as_the_general_decoder_does")
class ShortWayOfAnyType(BybitCodec):
    """The short way of best prices doesn't look at the type of a frame."""

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().subscribe(subscriptions, request_id)
        for subscription in subscriptions:
            for lane in self._readers.get(self.topic(subscription), ()):
                if lane.shape is TOP_OF_BOOK:
                    lane.takers = [
                        taker(
                            attrs.evolve(TOP_OF_BOOK, only={}),
                            text,
                            Head("topic").end(text),
                            lane.topic,
                            subscription,
                        )
                        for text in TOP_OF_BOOK.usual
                    ]
        return frame


@caught_by(SHORT)
class ShortWaySaysOtherwise(BybitCodec):
    """The short way forgets the number by which repeats are recognised."""

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        short = super().shortcut(topic)
        if short is None:
            return None

        def unnumbered(frame: bytes, received_time_ns: int) -> Sequence[Message] | None:
            messages = short(frame, received_time_ns)
            return messages and [Data(m.topic, m.events) for m in messages if isinstance(m, Data)]

        return unnumbered
