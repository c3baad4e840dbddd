"""Plugins that mistake the shape of what they get: silence for death, one row for all, who joins
late for who was there, and what nobody asked for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.codec import Codec, Data, Message, Outbound, Unchanged
from ccrs_core.emulator import Dialect
from ccrs_core.errors import DecodeError
from ccrs_core.events import Funding, Liquidation, MarkPrice, Ticker, TopOfBook
from ccrs_core.exchange import Exchange, Route
from ccrs_core.model import Channel, Subscription
from ccrs_core.rest import (
    Answer,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpResponse,
    Request,
)
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

# --- alone --------------------------------------------------------------------------------------

ALONE = "test_a_stream_that_lives_alone_is_never_called_silent"
HOURS = "test_a_stream_whose_state_stays_the_same_is_healthy_for_hours"


class _OnlyNews(Through):
    """Says nothing of frames that tell again what was told last."""

    kinds: tuple[type[Any], ...] = (Funding, MarkPrice, TopOfBook)

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last: dict[tuple[str, type[Any]], Any] = {}

    def event(self, event: Any) -> Any:
        if not isinstance(event, self.kinds):
            return event
        key = event.symbol, type(event)
        bare = attrs.evolve(event, exchange_time_ns=None, received_time_ns=0)
        if self._last.get(key) == bare:
            return None
        self._last[key] = bare
        return event


@caught_by(ALONE, HOURS)
class OkxTellsNewsAlone(Okx):
    """A mark price that is told again as it was is taken for nothing at all."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))


@caught_by(ALONE, HOURS)
class BybitTellsNewsAlone(Bybit):
    """The best quotes that come again every three seconds are dropped without a word."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))


@caught_by(HOURS)
class BinanceCandlesEveryMinute(Binance):
    """Candles of all intervals are expected every minute, as the shortest close."""

    def max_silence(self, subscription: Subscription) -> float | None:
        usual = super().max_silence(subscription)
        return 90.0 if subscription.channel is Channel.CANDLES else usual


@caught_by(HOURS)
class OkxCandlesAsLongAsTheirInterval(Okx):
    """Candles are expected once in their interval, though they come with trades and the close."""

    def max_silence(self, subscription: Subscription) -> float | None:
        if subscription.channel is Channel.CANDLES and subscription.interval != "1m":
            return 300.0
        return super().max_silence(subscription)


@caught_by(HOURS)
class OkxBooksAllKeptAlive(Okx):
    """Every depth is expected once a minute, though only the deepest is sent without change."""

    def max_silence(self, subscription: Subscription) -> float | None:
        return 150.0 if subscription.channel is Channel.BOOK else super().max_silence(subscription)


@caught_by(HOURS)
class BybitTradesEveryQuarter(Bybit):
    """Something is taken to be traded within a quarter of an hour."""

    def max_silence(self, subscription: Subscription) -> float | None:
        usual = super().max_silence(subscription)
        return 900.0 if subscription.channel is Channel.TRADES else usual


class _UnchangedElsewhere(Through):
    """Names another topic where nothing is new."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Unchanged):
            return Unchanged(message.topic.replace("markPrice@1s", "markPrice"))
        return super().message(message)


@caught_by(ALONE, HOURS)
class BinanceUnchangedElsewhere(Binance):
    """That nothing is new is told of a topic by the name that recordings have for it."""

    def codec(self, route: Route) -> Codec:
        return _UnchangedElsewhere(super().codec(route))


class _NeverRepeats(SpeaksThrough):
    """An exchange that doesn't repeat a best quote which nobody has changed."""

    def __init__(self, dialect: Dialect | None) -> None:
        super().__init__(dialect)
        self._said: dict[bytes, bytes] = {}

    def said(self, payload: bytes) -> bytes | None:
        head, mark, rest = payload.partition(b'"u":')
        if not mark or b'"orderbook.1.' not in head:
            return payload
        topic, number = head[: head.find(b",")], rest.partition(b",")[0]
        known, self._said[topic] = self._said.get(topic), number
        return None if known == number else payload


@caught_by(ALONE, HOURS)
class BybitNeitherRepeatsNorWaits(Bybit):
    """Neither does the emulator repeat the best quotes, nor does the plugin know that it would."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))

    def dialect(self) -> Dialect:
        return _NeverRepeats(super().dialect())


# --- joining and leaving ------------------------------------------------------------------------

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


# --- lists in frames ----------------------------------------------------------------------------

ROWS = "test_rows_of_several_frames_in_one_say_the_same"


class _Rows(Through):
    """Changes the list of rows in frames that have one."""

    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        """The rows that are read instead."""
        return rows

    def frame(self, frame: bytes) -> bytes:
        try:
            message = orjson.loads(frame)
            rows = message["data"]
            if type(rows) is list and rows:
                changed = self.rows(rows, message)
                return orjson.dumps({**message, "data": changed}) if changed != rows else frame
        except (TypeError, ValueError, KeyError):
            pass
        return frame


class _FirstRow(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        return rows[:1]


class _LastRow(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        return rows[-1:] if "liquidation" in frame.get("topic", "").lower() else rows


class _NamedByTheFirst(_Rows):
    """Takes what names the instrument in the first row for all of them."""

    names = ("symbol", "instId")

    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        first = {name: rows[0][name] for name in self.names if name in rows[0]}
        return [{**row, **first} for row in rows]


class _TimedByTheFirst(_Rows):
    def rows(self, rows: list[Any], frame: dict[str, Any]) -> list[Any]:
        first = {name: rows[0][name] for name in ("T", "ts") if name in rows[0]}
        return [{**row, **first} for row in rows]


@caught_by(ROWS)
class OkxReadsTheFirstRow(Okx):
    """Of a list that usually has one row the first is read, as the emulator sends it."""

    def codec(self, route: Route) -> Codec:
        return _FirstRow(super().codec(route))


@caught_by(ROWS)
class BybitReadsTheLastLiquidation(Bybit):
    """Of the liquidations of half a second the last is read."""

    def codec(self, route: Route) -> Codec:
        return _LastRow(super().codec(route))


@caught_by(ROWS)
class KrakenNamesAllByTheFirst(Kraken):
    """All rows of a frame are taken to be of the first one's symbol."""

    def codec(self, route: Route) -> Codec:
        return _NamedByTheFirst(super().codec(route))


@caught_by(ROWS)
class OkxNamesAllByTheFirst(Okx):
    """All liquidations of a frame are taken to be of the first one's instrument."""

    def codec(self, route: Route) -> Codec:
        return _NamedByTheFirst(super().codec(route))


@caught_by(ROWS)
class BybitTimesAllByTheFirst(Bybit):
    """The first trade's time is taken for that of all in the frame."""

    def codec(self, route: Route) -> Codec:
        return _TimedByTheFirst(super().codec(route))


class _NumberedByTheFirst(Through):
    """Gives all that a frame says the number of its first row."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = super().decode(frame, received_time_ns)
        first = next((m.sequence for m in messages if isinstance(m, Data)), None)
        return [attrs.evolve(m, sequence=first) if isinstance(m, Data) else m for m in messages]


@caught_by(ROWS)
class OkxNumbersAllByTheFirst(Okx):
    """All states in a frame share the number of the first."""

    def codec(self, route: Route) -> Codec:
        return _NumberedByTheFirst(super().codec(route))


class _PeeksAtTheFirst(Through):
    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        found = re.search(rb'"seqId":(\d+)', frame)
        told = [m for m in self._codec.decode(frame, 0) if isinstance(m, Data)]
        if found is None or not told or not isinstance(told[0].sequence, int):
            return self._codec.peek(frame)
        return told[0].topic, int(found[1]), told[0].restart


@caught_by(ROWS)
class OkxPeeksAtTheFirst(Okx):
    """The number that is seen at a glance is that of the first row."""

    def codec(self, route: Route) -> Codec:
        return _PeeksAtTheFirst(super().codec(route))


# --- lists in answers ---------------------------------------------------------------------------

ANSWERS = "test_lists_in_answers_may_be_short_and_in_any_order"

Change = Callable[[Any, list[Any], Answer[Any]], Answer[Any]]


def listing(
    plugin: type[Exchange],
    kind: type[Request[Any]],
    rows: Callable[[Any], list[Any]],
    change: Change,
) -> dict[type[Request[Any]], Any]:
    """A plugin's endpoints, one of which makes something else of the rows of its answer."""
    right = plugin.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: Any) -> Any:
        answer = right.decode(request, response, now_ns, cursor)
        return change(request, rows(orjson.loads(response.body)), answer)

    return {**plugin.endpoints, kind: attrs.evolve(right, decode=decode)}


def _of_bybit(body: Any) -> list[Any]:
    found: list[Any] = body["result"]["list"]
    return found


def _of_okx(body: Any) -> list[Any]:
    found: list[Any] = body["data"]
    return found


def _as_listed(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if int(rows[0]["time"]) > int(rows[-1]["time"]):
        return attrs.evolve(answer, value=answer.value[::-1])
    return answer


def _never_empty(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if not rows:
        raise DecodeError("no candles", b"")
    return answer


def _not_one(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    return answer if len(rows) > 1 else attrs.evolve(answer, value=[])


def _after_the_last(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    if answer.cursor is None:
        return answer
    return attrs.evolve(answer, cursor=rows[-1]["fundingRateTimestamp"])


def _without_the_first(request: Any, rows: list[Any], answer: Answer[Any]) -> Answer[Any]:
    """A header is expected where there is none once the list is turned round."""
    turned = len(rows) > 1 and rows[0]["symbol"] > rows[-1]["symbol"]
    return attrs.evolve(answer, value=answer.value[1:]) if turned else answer


def _of_binance(body: Any) -> list[Any]:
    return [{"time": row.get("time", row.get("T"))} for row in body]


@caught_by(ANSWERS)
class BinanceTradesAsListed(Binance):
    """Trades are handed on in the order in which they are listed."""

    endpoints: ClassVar[Any] = listing(
        Binance,
        GetTrades,
        lambda b: b if "time" in b[0] else [{"time": r["T"]} for r in b],
        _as_listed,
    )


@caught_by(ANSWERS)
class OkxCandlesNeverEmpty(Okx):
    """An answer without candles is taken for none at all."""

    endpoints: ClassVar[Any] = listing(Okx, GetCandles, _of_okx, _never_empty)


@caught_by(ANSWERS)
class OkxOneFundingRateIsNone(Okx):
    """A single row of a history is taken for the present one, which isn't history yet."""

    endpoints: ClassVar[Any] = listing(Okx, GetFundingHistory, _of_okx, _not_one)


@caught_by(ANSWERS)
class BybitPagesFollowTheLastRow(Bybit):
    """The next page is asked for from the last row on, whichever that is."""

    endpoints: ClassVar[Any] = listing(Bybit, GetFundingHistory, _of_bybit, _after_the_last)


@caught_by(ANSWERS)
class BybitListLosesOneTurnedRound(Bybit):
    """Which row isn't an instrument is told by its place in the list."""

    endpoints: ClassVar[Any] = listing(Bybit, GetInstruments, _of_bybit, _without_the_first)


# --- numbers ------------------------------------------------------------------------------------

SPELLED = "test_numbers_with_exponents_are_read_exactly_or_refused"

_EXPONENT = re.compile(rb"(\d)[eE][+-]?\d+")
_MINUS_ZERO = re.compile(rb'("|:)-0(?:\.0+)?(?=[",}\]])')


class _MantissasAlone(Through):
    """Reads numbers up to their exponent."""

    def frame(self, frame: bytes) -> bytes:
        return _EXPONENT.sub(rb"\1", frame)


class _NoExponents(Through):
    """Refuses numbers with exponents."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if _EXPONENT.search(frame):
            raise DecodeError("not a plain number", frame)
        return super().decode(frame, received_time_ns)


class _SignOfZero(Through):
    """Stumbles over a minus before a zero."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if _MINUS_ZERO.search(frame):
            raise ZeroDivisionError("-0")
        return super().decode(frame, received_time_ns)


@caught_by(SPELLED)
class BybitReadsMantissas(Bybit):
    """What follows the digits of a number is dropped, whatever it is."""

    def codec(self, route: Route) -> Codec:
        return _MantissasAlone(super().codec(route))


@caught_by(SPELLED)
class OkxReadsMantissas(Okx):
    """What follows the digits of a number is dropped, whatever it is."""

    def codec(self, route: Route) -> Codec:
        return _MantissasAlone(super().codec(route))


@caught_by(SPELLED)
class KrakenRefusesExponents(Kraken):
    """Numbers of JSON with exponents are taken for malformed."""

    def codec(self, route: Route) -> Codec:
        return _NoExponents(super().codec(route))


@caught_by(SPELLED)
class BinanceStumblesOverMinusZero(Binance):
    """A minus before a zero isn't expected."""

    def codec(self, route: Route) -> Codec:
        return _SignOfZero(super().codec(route))


# --- what is shared -----------------------------------------------------------------------------

SHARED = "test_nothing_is_kept_in_classes_or_modules"


class _CountsInTheClass(Through):
    """Counts in its class what all connections have read."""

    read = 0

    def frame(self, frame: bytes) -> bytes:
        type(self).read += 1
        return frame


class _KeepsInTheClass(Through):
    """Keeps in its class the last price of each symbol."""

    last: ClassVar[dict[str, Decimal]] = {}

    def event(self, event: Any) -> Any:
        if isinstance(event, Ticker | TopOfBook):
            self.last[event.symbol] = event.bid_price or Decimal(0)
        return event


_RECENT: deque[bytes] = deque(maxlen=8)


class _KeepsInItsModule(Through):
    """Keeps the last frames of all connections in its module."""

    def frame(self, frame: bytes) -> bytes:
        _RECENT.append(frame[:60])
        return frame


class _KeepsInADefault(Through):
    """Keeps in the default of an argument what it has seen."""

    def event(self, event: Any, seen: list[Any] = []) -> Any:  # noqa: B006
        seen.append(event.symbol)
        return event


class _CountsForAllEmulators(SpeaksThrough):
    """Numbers frames over all emulators of the process."""

    said_so_far: ClassVar[list[int]] = [0]

    def said(self, payload: bytes) -> bytes | None:
        self.said_so_far[0] += 1
        return payload


@caught_by(SHARED)
class BybitCountsInTheClass(Bybit):
    """A number of the codec's class rises with every frame of any connection."""

    def codec(self, route: Route) -> Codec:
        return _CountsInTheClass(super().codec(route))


@caught_by(SHARED)
class OkxKeepsInTheClass(Okx):
    """The last prices are kept in the codec's class."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInTheClass(super().codec(route))


@caught_by(SHARED)
class BinanceKeepsInItsModule(Binance):
    """The last frames are kept in the codec's module."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInItsModule(super().codec(route))


@caught_by(SHARED)
class KrakenKeepsInADefault(Kraken):
    """What was seen is kept in a default argument, of which there is one."""

    def codec(self, route: Route) -> Codec:
        return _KeepsInADefault(super().codec(route))


@caught_by(SHARED)
class OkxCountsForAllEmulators(Okx):
    """The dialect counts in its class."""

    def dialect(self) -> Dialect:
        return _CountsForAllEmulators(super().dialect())


@caught_by(SHARED)
class BybitRemembersItsCodecs(Bybit):
    """The exchange remembers what it was asked for."""

    def __init__(self) -> None:
        self._routes: list[str] = []

    def codec(self, route: Route) -> Codec:
        self._routes.append(route.url)
        return super().codec(route)
