"""Who joins late for who was there: streams that several share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message, Outbound, Unchanged
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import Funding, Liquidation, MarkPrice, Ticker
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

JOINS = "test_who_joins_a_shared_stream_hears_the_present_state"
LEAVES = "test_who_leaves_a_shared_stream_leaves_it_to_the_others"
BESIDE = "test_what_joins_a_connection_is_told_as_it_is_told_alone"


class _Anew(Through):
    """Begins a topic anew where another channel of it is subscribed to."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._wanted: dict[str, list[Subscription]] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        for each in subscriptions:
            wanted = self._wanted.setdefault(self.topic(each), [])
            if wanted and each not in wanted:
                self._codec.unsubscribe(wanted, request_id)
                self._codec.subscribe(wanted, request_id)
            wanted.append(each)
        return super().subscribe(subscriptions, request_id)


@caught_by(JOINS, LEAVES)
class BybitTickerBegunAnew(Bybit):
    """Who subscribes to a second channel of a ticker takes its fields from the first: changes come
    to nothing until there is a whole one, which nobody sends."""

    def codec(self, route: Route) -> Codec:
        return _Anew(super().codec(route))


class _AllOfATopic(Through):
    """Reads all channels of a topic, and tells those that are wanted, each state once."""

    channels = (Channel.TICKER, Channel.FUNDING, Channel.MARK_PRICE)

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._wanted: set[tuple[str, Channel]] = set()
        self._last: dict[tuple[str, Channel], Any] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._wanted |= {(s.symbol, s.channel) for s in subscriptions}
        for each in subscriptions:
            if each.channel in self.channels:
                for channel in self.channels[1:]:
                    other = attrs.evolve(each, channel=channel)
                    if self.topic(other) == self.topic(each):
                        self._codec.subscribe([other], request_id)
        return super().subscribe(subscriptions, request_id)

    def message(self, message: Message) -> Message | None:
        if not isinstance(message, Data) or not isinstance(message.events[0], Funding | MarkPrice):
            return message
        event = message.events[-1]
        assert event.channel is not None
        key = event.symbol, event.channel
        bare = attrs.evolve(event, exchange_time_ns=None, received_time_ns=0)
        known, self._last[key] = self._last.get(key), bare
        if key not in self._wanted or known == bare:
            return Unchanged(message.topic)
        return message


@caught_by(JOINS)
class BybitJoinersHearChangesAlone(Bybit):
    """What was told of a ticker before somebody wanted it isn't told again."""

    def codec(self, route: Route) -> Codec:
        return _AllOfATopic(super().codec(route))


@caught_by(JOINS)
class BinanceJoinersHearChangesAlone(Binance):
    """A funding rate that came before it was wanted is told when it changes."""

    def codec(self, route: Route) -> Codec:
        return _AllOfATopic(super().codec(route))


class _NotAgain(Through):
    """Tells a funding rate that hasn't changed to nobody who comes back."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._told: dict[str, Any] = {}

    def event(self, event: Any) -> Any:
        if not isinstance(event, Funding):
            return event
        known, self._told[event.symbol] = self._told.get(event.symbol), event.rate
        return None if known == event.rate else event


@caught_by(JOINS, LEAVES)
class BinanceComesBackToNothing(Binance):
    """Who subscribes to funding for the second time on a connection hears its next change."""

    def codec(self, route: Route) -> Codec:
        return _NotAgain(super().codec(route))


class _EndsForAll(Through):
    """Unsubscribes from a whole type's liquidations as one instrument's aren't wanted any more."""

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().unsubscribe(subscriptions, request_id)
        if subscriptions[0].channel is Channel.LIQUIDATIONS:
            return orjson.dumps({**orjson.loads(frame), "op": "unsubscribe"}).decode()
        return frame


@caught_by(LEAVES)
class OkxLiquidationsEndForAll(Okx):
    """Who leaves liquidations takes them from the other instruments, too."""

    def codec(self, route: Route) -> Codec:
        return _EndsForAll(super().codec(route))


class _EndsByInstrument(Through):
    """Unsubscribes from liquidations of an instrument, which OKX doesn't know."""

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().unsubscribe(subscriptions, request_id)
        if subscriptions[0].channel is not Channel.LIQUIDATIONS:
            return frame
        asked = orjson.loads(frame)
        args = [{**asked["args"][0], "instId": s.instrument.native} for s in subscriptions]
        return orjson.dumps({**asked, "op": "unsubscribe", "args": args}).decode()


class _TakesInstruments(SpeaksThrough):
    """An exchange that overlooks the instrument where it wants a type."""

    def asked(self, frame: str | bytes) -> str | bytes:
        if "liquidation" not in str(frame):
            return frame
        asked = orjson.loads(frame)
        for arg in asked["args"]:
            arg.pop("instId", None)
        return orjson.dumps(asked).decode()


@caught_by(LEAVES)
class OkxLiquidationsEndByInstrument(Okx):
    """Codec and emulator agree on unsubscribing by instrument, which ends the whole type's."""

    def codec(self, route: Route) -> Codec:
        return _EndsByInstrument(super().codec(route))

    def dialect(self) -> Dialect:
        return _TakesInstruments(super().dialect())


class _NeverEnds(Through):
    """Never ends a whole type's liquidations: somebody else might want them."""

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        frame = super().unsubscribe(subscriptions, request_id)
        if subscriptions[0].channel is Channel.LIQUIDATIONS:
            return orjson.dumps({**orjson.loads(frame), "op": "subscribe"}).decode()
        return frame


@caught_by(LEAVES)
class OkxLiquidationsNeverEnd(Okx):
    """The stream of liquidations stays subscribed to after the last has left it."""

    def codec(self, route: Route) -> Codec:
        return _NeverEnds(super().codec(route))


class _OfTheLast(Through):
    """Takes what isn't told by name for the instrument that was subscribed to last."""

    kinds: tuple[type[Any], ...] = ()

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last = ""

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._last = subscriptions[-1].symbol
        return super().subscribe(subscriptions, request_id)

    def event(self, event: Any) -> Any:
        return attrs.evolve(event, symbol=self._last) if isinstance(event, self.kinds) else event


class _TickersOfTheLast(_OfTheLast):
    kinds = (Ticker,)


class _LiquidationsOfTheLast(_OfTheLast):
    kinds = (Liquidation,)


@caught_by(BESIDE)
class BinanceTickersOfTheLast(Binance):
    """All tickers of a connection are taken for those of the symbol that joined last."""

    def codec(self, route: Route) -> Codec:
        return _TickersOfTheLast(super().codec(route))


@caught_by(JOINS)
class OkxLiquidationsOfTheLast(Okx):
    """All liquidations of a connection are taken for those of the instrument that joined last."""

    def codec(self, route: Route) -> Codec:
        return _LiquidationsOfTheLast(super().codec(route))


class _OneBase(Through):
    """Completes all tickers from the fields of one."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._open: Any = None

    def event(self, event: Any) -> Any:
        if not isinstance(event, Ticker):
            return event
        if self._open is None:
            self._open = event.open_price
        return attrs.evolve(event, open_price=self._open)


@caught_by(BESIDE)
class BybitTickersOfOneBase(Bybit):
    """What a change leaves out of a ticker is completed from the first one of the connection."""

    def codec(self, route: Route) -> Codec:
        return _OneBase(super().codec(route))
