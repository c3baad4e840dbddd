"""Fields that an emulator always tells alike, so that a codec may read the wrong one; rows of an
answer that look alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import (
    GetBook,
    GetFundingHistory,
    GetInstruments,
    HttpRequest,
    HttpResponse,
)
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import Funding, Ticker
from tests.mutants import around
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

STREAM = "test_no_field_of_a_stream_has_a_twin"
ANSWER = "test_no_field_of_an_answer_has_a_twin"
TIMES = "test_times_of_streams_are_those_of_what_happened"
ZERO = "test_zero_is_a_value_and_so_is_less"
FIGURE = "test_a_change_of_any_figure_is_told"
LISTED = "test_instruments_say_what_the_exchange_lists"


def _rows(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within JSON."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _rows(item)
    elif isinstance(value, list):
        for item in value:
            yield from _rows(item)


def alike(payload: bytes, to: str, of: str, where: str = "") -> bytes:
    """JSON in which one field has another's value: of the same object, or of the outermost."""
    try:
        top = json.loads(payload, parse_float=Decimal)
    except ValueError:
        return payload
    changed = False
    for row in _rows(top) if isinstance(top, dict | list) else ():
        source = row if of in row else top if isinstance(top, dict) else {}
        if to in row and of in source and where in json.dumps(row, default=str):
            row[to] = source[of]
            changed = True
    return json.dumps(top, default=str).encode() if changed else payload


def speaking(base: Any, to: str, of: str, where: str = "") -> Any:
    """A plugin's ``dialect`` in which one field is always as another one is."""

    class Speaks(SpeaksThrough):
        def said(self, payload: bytes) -> bytes | None:
            return alike(payload, to, of, where)

        def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
            return attrs.evolve(response, body=alike(response.body, to, of, where))

    def dialect(self: Any) -> Dialect:
        return Speaks(base.dialect(self))

    return dialect


def reading(base: Any, to: str, of: str, where: str = "") -> Any:
    """A plugin's ``codec`` that reads one field in the place of another one."""

    class Reads(Through):
        def frame(self, frame: bytes) -> bytes:
            return alike(frame, to, of, where)

    def codec(self: Any, route: Route) -> Codec:
        return Reads(base.codec(self, route))

    return codec


def answers(base: Any, kind: Any, change: Callable[[bytes], bytes]) -> Mapping[Any, Any]:
    """A plugin's endpoints, one of which reads a changed answer."""
    right = base.endpoints[kind]

    def decode(request: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Any:
        changed = attrs.evolve(response, body=change(response.body))
        return right.decode(request, changed, now_ns, cursor)

    return {**base.endpoints, kind: attrs.evolve(right, decode=decode)}


# --- in the codec and the emulator at once -------------------------------------------------------


@caught_by(STREAM)
class SettlementPriceForIndex(Binance):
    """Reads the estimated settlement price as the index price, which its emulator tells alike."""

    codec = reading(Binance, "i", "P", "markPriceUpdate")
    dialect = speaking(Binance, "P", "i", "markPriceUpdate")


@caught_by(STREAM)
class StartOfDayForDay(Okx):
    """Reads the UTC day's first price as that of 24 hours ago; its emulator tells both alike."""

    codec = reading(Okx, "open24h", "sodUtc0")
    dialect = speaking(Okx, "sodUtc0", "open24h")


@caught_by(STREAM)
class PushedForTraded(Bybit):
    """Reads when a frame was sent as when the trade was made; its emulator tells both alike."""

    codec = reading(Bybit, "T", "ts")
    dialect = speaking(Bybit, "T", "ts")


@caught_by(STREAM)
class AveragePriceForOrderPrice(Binance):
    """Reads a liquidation's average price as its order's; its emulator tells both alike."""

    codec = reading(Binance, "p", "ap", "FILLED")
    dialect = speaking(Binance, "ap", "p", "FILLED")


@caught_by(STREAM)
class SettledForPresentRate(Okx):
    """Reads the rate that was settled last as the present one; its emulator tells both alike."""

    codec = reading(Okx, "fundingRate", "settFundingRate")
    dialect = speaking(Okx, "settFundingRate", "fundingRate")


@caught_by(ANSWER)
class ForetoldForPaidRate(Okx):
    """Reads the foretold rate as what was paid; its emulator tells both alike."""

    endpoints = answers(Okx, GetFundingHistory, lambda b: alike(b, "realizedRate", "fundingRate"))
    dialect = speaking(Okx, "fundingRate", "realizedRate")


@caught_by(ANSWER)
class AnsweredForMatched(Bybit):
    """Reads when a book was answered as when it last changed; its emulator tells both alike."""

    endpoints = answers(Bybit, GetBook, lambda b: alike(b, "cts", "ts"))
    dialect = speaking(Bybit, "ts", "cts")


@caught_by(ANSWER)
class MarketForLimitSizes(Okx):
    """Reads the most that a market order may be for as a limit order's; both are told alike."""

    endpoints = answers(Okx, GetInstruments, lambda b: alike(b, "maxLmtSz", "maxMktSz"))
    dialect = speaking(Okx, "maxMktSz", "maxLmtSz")


# --- in the codec alone ---------------------------------------------------------------------------


@caught_by(FIGURE)
class SettlementPriceIsRead(Binance):
    """Reads the estimated settlement price as the index price."""

    codec = reading(Binance, "i", "P", "markPriceUpdate")


@caught_by(FIGURE)
class AverageMarkPriceIsRead(Binance):
    """Reads the average of the mark price as the mark price."""

    codec = reading(Binance, "p", "ap", "markPriceUpdate")


@caught_by(FIGURE)
class StartOfDayIsRead(Okx):
    """Reads the first price of the day in Hong Kong as that of 24 hours ago."""

    codec = reading(Okx, "open24h", "sodUtc8")


@caught_by(FIGURE)
class PremiumIsRead(Okx):
    """Reads the premium as the funding rate."""

    codec = reading(Okx, "fundingRate", "premium")


@caught_by(TIMES)
class SentIsRead(Bybit):
    """Reads when a frame was sent as when the matching engine did what it tells."""

    codec = reading(Bybit, "cts", "ts")


@caught_by(TIMES)
class EventTimeIsRead(Binance):
    """Reads when a frame was sent as when the trade was made."""

    codec = reading(Binance, "T", "E", '"t"')


@caught_by(TIMES)
class BooksOfWhenSent(Binance):
    """Reads when a futures' best prices were sent as when they changed."""

    codec = reading(Binance, "T", "E", '"bookTicker"')


# --- rows that look alike ------------------------------------------------------------------------


def _last_sizes(body: bytes) -> bytes:
    return body.replace(b'"LOT_SIZE"', b'"NO_SIZE"').replace(b'"MARKET_LOT_SIZE"', b'"LOT_SIZE"')


@caught_by(LISTED)
class LastFilter(Binance):
    """Reads the bounds of sizes from the last filter that has any, which is of market orders."""

    endpoints = answers(Binance, GetInstruments, _last_sizes)


@caught_by(LISTED)
class LowestPriceForTick(Binance):
    """Reads the lowest price that may be asked for as the step of prices."""

    endpoints = answers(Binance, GetInstruments, lambda b: alike(b, "tickSize", "minPrice"))


@caught_by(LISTED)
class MarketOrdersSizes(Bybit):
    """Reads the most that a market order of a contract may be for as a limit order's."""

    endpoints = answers(Bybit, GetInstruments, lambda b: alike(b, "maxOrderQty", "maxMktOrderQty"))


@caught_by(LISTED)
class StopOrdersSizes(Okx):
    """Reads the most that a stop order may be for as a limit order's."""

    endpoints = answers(Okx, GetInstruments, lambda b: alike(b, "maxLmtSz", "maxStopSz"))


# --- zero ----------------------------------------------------------------------------------------


class RatesOfZeroAreNone(around.Remembering):
    """Takes a rate of zero for none: it keeps the one before."""

    def after(self, before: Any, event: Any) -> Any:
        if isinstance(event, Funding) and event.rate == 0:
            return before and attrs.evolve(event, rate=before.rate)
        return event


class NoEventForZero(Through):
    """Tells only rates that are something."""

    def event(self, event: Any) -> Any:
        return None if isinstance(event, Funding) and not event.rate else event


@caught_by(ZERO)
class RatesOfZeroKeepTheFormer(Bybit):
    """A funding rate of zero leaves the rate as it was."""

    codec = around.reading(Bybit, RatesOfZeroAreNone)


@caught_by(ZERO)
class ZeroIsNotTold(Okx):
    """A funding rate of zero is told to nobody."""

    codec = around.reading(Okx, NoEventForZero)


@caught_by(ZERO)
class RatesOfZeroAreNotTold(Binance):
    """A funding rate of zero is told to nobody."""

    codec = around.reading(Binance, NoEventForZero)


@caught_by(ZERO)
class NoInterestIsNone(Bybit):
    """An open interest of zero is None, as if the exchange had told none."""

    codec = around.reading(
        Bybit, around.told(Ticker, open_interest=lambda e: e.open_interest or None)
    )


@caught_by(ZERO)
class NoRateIsNone(Bybit):
    """A ticker's funding rate of zero is None."""

    codec = around.reading(
        Bybit, around.told(Ticker, funding_rate=lambda e: e.funding_rate or None)
    )


@caught_by(ZERO)
class RatesWithoutSign(Okx):
    """A funding rate below zero is told without its sign: who receives is told to pay."""

    codec = around.reading(Okx, around.told(Funding, rate=lambda e: abs(e.rate)))


class SaysNoZero(SpeaksThrough):
    """Says nothing where the rate is zero, as an author thinks that there is none then."""

    def said(self, payload: bytes) -> bytes | None:
        return payload.replace(b'"fundingRate":"0.0000000000000000"', b'"fundingRate":""')


@caught_by(ZERO)
class NobodyKnowsZero(Okx):
    """Emulator and codec take a rate of zero for none."""

    codec = around.reading(Okx, NoEventForZero)
    dialect = around.speaking(Okx, SaysNoZero)
