"""Changes of one figure, or of one rule of an instrument, that go untold."""

from __future__ import annotations

import json
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.rest import GetInstruments, HttpRequest, HttpResponse
from ccrs_core.model.events import Candle, Funding, MarkPrice, Ticker, TopOfBook
from tests.mutants.around import Remembering, reading, rewritten, speaking
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

FIGURE = "test_a_change_of_any_figure_is_told"
CANDLE = "test_a_change_of_any_part_of_a_candle_is_told"
RULE = "test_a_change_of_any_rule_of_an_instrument_is_told"


# --- changes of one figure ------------------------------------------------------------------------
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


# --- rules of instruments -------------------------------------------------------------------------
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
