"""Mutants that ask or read REST wrongly, or mistake what an error means."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

import attrs
from ccrs_bybit import Bybit

from ccrs_core.contract.access import Access
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.rest import (
    Answer,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Request,
)
from ccrs_core.errors import CcrsError, DecodeError, ExchangeError, InvalidRequest, RateLimited
from ccrs_core.model.instruments import Market
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND
from tests.mutants.mutant import caught_by, endpoint, original

HOLES = "test_a_history_from_a_start_goes_over_holes"
CLOSED = "test_candles_are_closed_by_the_exchanges_clock"
ANSWERS = "test_every_sample_request_is_asked_and_answered_as_expected"


def answering(
    kind: type[Request[Any]], change: Callable[[Any, Any], Any]
) -> dict[type[Request[Any]], Any]:
    """An endpoint whose value is changed, given the request and the value."""

    def decode(
        request: Any, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[Any]:
        answer = original(kind).decode(request, response, received_time_ns, cursor)
        return Answer(change(request, answer.value), answer.cursor)

    return endpoint(kind, decode=decode)


def each(kind: type[Request[Any]], change: Callable[[Any], Any]) -> dict[type[Request[Any]], Any]:
    """An endpoint whose items are changed."""
    return answering(kind, lambda _, items: [change(item) for item in items])


def _one_page(kind: type[Request[Any]]) -> dict[type[Request[Any]], Any]:
    def decode(
        request: Any, response: HttpResponse, received_time_ns: int, cursor: str | None
    ) -> Answer[Any]:
        return Answer(original(kind).decode(request, response, received_time_ns, cursor).value)

    return endpoint(kind, decode=decode)


# --- pages ----------------------------------------------------------------------------------


@caught_by(
    "test_every_sample_request_is_asked_and_answered_as_expected",
    "test_instruments_say_what_the_exchange_lists",
)
class InstrumentsStopAfterTheFirstPage:
    """Only the first page of instruments is read."""

    endpoints = _one_page(GetInstruments)


@caught_by("test_histories_span_pages")
class CandlesStopAfterTheFirstPage:
    """Only the first page of candles is read."""

    endpoints = _one_page(GetCandles)


@caught_by("test_histories_span_pages")
class FundingStopsAfterTheFirstPage:
    """Only the first page of funding rates is read."""

    endpoints = _one_page(GetFundingHistory)


@caught_by("test_histories_span_pages")
class PagesInTheWrongOrder:
    """Pages that go back in time are joined as if they went forward."""

    endpoints = endpoint(GetCandles, newest_first=False)


def _cut(kind: type[Request[Any]], step_ns: int) -> dict[type[Request[Any]], Any]:
    def cut(request: Any) -> Any:
        if request.start_ns is None:
            return request
        end_ns = request.start_ns + request.limit * step_ns
        return attrs.evolve(request, end_ns=min(end_ns, request.end_ns or end_ns))

    real = original(kind)
    return endpoint(
        kind,
        encode=lambda request, cursor: real.encode(cut(request), cursor),
        decode=lambda request, *rest: real.decode(cut(request), *rest),
    )


@caught_by(HOLES)
class CandlesEndWhereTheyWouldWithoutHoles:
    """The end of candles from a start is taken for the start and so many intervals."""

    endpoints = _cut(GetCandles, 60 * NS_PER_SECOND)


@caught_by(HOLES)
class FundingEndsWhereItWouldWithoutHoles:
    """The end of funding rates from a start is taken for the start and so many intervals."""

    endpoints = _cut(GetFundingHistory, 8 * 3600 * NS_PER_SECOND)


@caught_by(HOLES)
class CandlesEndAtAnEmptyPage:
    """A page without candles is taken for the end of the history."""

    @staticmethod
    def _decode(request: Any, response: Any, ns: int, cursor: str | None) -> Answer[Any]:
        answer = original(GetCandles).decode(request, response, ns, cursor)
        rows = json.loads(response.body)["result"]["list"]
        return answer if rows else attrs.evolve(answer, cursor=None)

    endpoints: ClassVar[Any] = endpoint(GetCandles, decode=_decode)


@caught_by(HOLES)
class StretchesOverlap:
    """Each page of a history from a start begins with the last candle of the one before."""

    @staticmethod
    def _decode(request: Any, response: Any, ns: int, cursor: str | None) -> Answer[Any]:
        answer = original(GetCandles).decode(request, response, ns, cursor)
        if answer.cursor is None or request.start_ns is None or not answer.value:
            return answer
        _, width, left = answer.cursor.split(":")
        since_ms = answer.value[-1].open_time_ns // NS_PER_MS
        return attrs.evolve(answer, cursor=f"{since_ms}:{width}:{left}")

    endpoints: ClassVar[Any] = endpoint(GetCandles, decode=_decode)


@caught_by(ANSWERS, "test_what_requests_answer_is_what_the_market_holds")
class NewestTradeFirst:
    """Trades come in the exchange's order, newest first."""

    endpoints = answering(GetTrades, lambda _, trades: trades[::-1])


@caught_by(ANSWERS, "test_what_requests_answer_is_what_the_market_holds")
class NewestCandleFirst:
    """Candles come in the exchange's order, newest first."""

    endpoints = answering(GetCandles, lambda _, candles: candles[::-1])


# --- values ---------------------------------------------------------------------------------


@caught_by(ANSWERS, "test_times_of_answers_are_plausible")
class ServerTimeInMilliseconds:
    """The exchange's clock is given in milliseconds."""

    endpoints = answering(GetServerTime, lambda _, time_ns: time_ns // 10**6)


@caught_by(ANSWERS, "test_what_requests_answer_is_what_the_market_holds")
class RestBidAndAskSwapped:
    """Best bid and ask of the REST answer are swapped."""

    endpoints = answering(
        GetTopOfBook,
        lambda _, top: attrs.evolve(
            top,
            bid_price=top.ask_price,
            bid_size=top.ask_size,
            ask_price=top.bid_price,
            ask_size=top.bid_size,
        ),
    )


@caught_by(ANSWERS, "test_answers_keep_every_digit")
class RestZerosLost:
    """The digits of a REST answer are normalised."""

    endpoints = each(GetTrades, lambda trade: attrs.evolve(trade, size=trade.size.normalize()))


@caught_by(ANSWERS, "test_no_value_of_the_public_surface_is_a_float")
class RestFloat:
    """Numbers of a REST answer are floats."""

    endpoints = each(GetCandles, lambda candle: attrs.evolve(candle, volume=float(candle.volume)))


@caught_by(CLOSED)
class CandlesClosedByOurClock:
    """A candle that was asked for is closed once it is over by the local clock."""

    endpoints = each(
        GetCandles, lambda c: attrs.evolve(c, closed=c.close_time_ns <= c.received_time_ns)
    )


@caught_by(CLOSED)
class HistoryEndsByOurClock:
    """Candles that have not begun by the local clock are left out."""

    endpoints = answering(
        GetCandles, lambda _, candles: [c for c in candles if c.open_time_ns <= c.received_time_ns]
    )


@caught_by("test_what_requests_answer_is_what_the_market_holds")
class OpenCandleCalledClosed:
    """The candle that is still open is said to be closed."""

    endpoints = each(GetCandles, lambda candle: attrs.evolve(candle, closed=True))


@caught_by("test_what_requests_answer_is_what_the_market_holds")
class BookDeeperThanAsked:
    """The limit on a book's levels isn't passed on."""

    endpoints = endpoint(
        GetBook,
        encode=lambda request, cursor: original(GetBook).encode(
            attrs.evolve(request, depth=200), cursor
        ),
        decode=lambda request, response, at, cursor: original(GetBook).decode(
            attrs.evolve(request, depth=200), response, at, cursor
        ),
    )


# --- instruments ----------------------------------------------------------------------------


@caught_by("test_unified_and_native_symbols_map_one_to_one")
class SymbolsCollide:
    """A perpetual is given the unified symbol of the spot pair."""

    endpoints = each(
        GetInstruments,
        lambda i: (
            attrs.evolve(i, symbol=i.symbol.partition(":")[0]) if i.market is Market.LINEAR else i
        ),
    )


@caught_by("test_unified_and_native_symbols_map_one_to_one")
class TwoInstrumentsOfOneName:
    """Dated contracts are named like the perpetual."""

    endpoints = each(
        GetInstruments,
        lambda i: (
            attrs.evolve(i, symbol=i.symbol.partition("-")[0]) if i.market is Market.LINEAR else i
        ),
    )


@caught_by(ANSWERS, "test_instruments_say_what_the_exchange_lists")
class TickTakenForLot:
    """The step of prices is read as that of sizes."""

    endpoints = each(GetInstruments, lambda i: attrs.evolve(i, lot_size=i.tick_size))


@caught_by(ANSWERS, "test_instruments_say_what_the_exchange_lists")
class ContractSizeTen:
    """A contract is said to be worth ten times what it is."""

    endpoints = each(GetInstruments, lambda i: attrs.evolve(i, quote_per_contract=Decimal(10)))


@caught_by(ANSWERS, "test_instruments_say_what_the_exchange_lists")
class ExpiryInMilliseconds:
    """Expiries are given in milliseconds."""

    endpoints = each(
        GetInstruments,
        lambda i: attrs.evolve(i, expiry_ns=i.expiry_ns and i.expiry_ns // 10**6),
    )


@caught_by(ANSWERS, "test_instruments_say_what_the_exchange_lists")
class PrelaunchTakenForTrading:
    """Contracts that can't be traded yet are said to trade."""

    endpoints = each(GetInstruments, lambda i: attrs.evolve(i, status=type(i.status)("trading")))


# --- requests -------------------------------------------------------------------------------


def _encoded_twice(request: Any, cursor: str | None) -> HttpRequest:
    built = original(GetTrades).encode(request, cursor)
    return attrs.evolve(built, query=tuple((k, quote(v, safe="")) for k, v in built.query))


@caught_by("test_symbols_of_any_characters_survive_the_encoding_of_requests")
class QueryEncodedTwice:
    """The query is percent-encoded by the plugin, and then once more when it is sent."""

    endpoints = endpoint(GetTrades, encode=_encoded_twice)


def _query_in_the_path(request: Any, cursor: str | None) -> HttpRequest:
    built = original(GetTrades).encode(request, cursor)
    pairs = "&".join(f"{k}={v}" for k, v in built.query)
    return attrs.evolve(built, path=f"{built.path}?{pairs}", query=())


@caught_by("test_symbols_of_any_characters_survive_the_encoding_of_requests")
class QueryInThePath:
    """The query is put into the path as it is, without percent-encoding."""

    endpoints = endpoint(GetTrades, encode=_query_in_the_path)


@caught_by("test_signatures_equal_the_published_vectors")
class QueryNotSigned(Bybit):
    """What is signed leaves out the query."""

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        signed = super().sign(attrs.evolve(request, query=()), access)
        return attrs.evolve(signed, query=request.query)


@caught_by("test_signed_requests_and_logins_show_no_secret")
class SecretInTheQuery(Bybit):
    """The secret is sent along, where every log of addresses shows it."""

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        signed = super().sign(request, access)
        return attrs.evolve(signed, query=(*signed.query, ("secret", access.credentials.secret)))


class _Remembering(Bybit):
    """Keeps what it signs with."""

    credentials: Credentials | None = None


@caught_by("test_signed_requests_and_logins_show_no_secret")
class SecretInRepr(_Remembering):
    """The exchange keeps the credentials and shows them."""

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        self.credentials = access.credentials
        return super().sign(request, access)

    def __repr__(self) -> str:
        shown = self.credentials
        return f"Bybit(key={shown and shown.key}, secret={shown and shown.secret})"


# --- errors ---------------------------------------------------------------------------------


@caught_by(
    "test_every_documented_error_has_its_typed_error", "test_errors_mean_what_the_documents_say"
)
class ErrorOfTheWrongClass(Bybit):
    """A rate limit is told as a wrong request, which nobody repeats."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        if isinstance(error, RateLimited):
            return InvalidRequest(error.code, error.text)
        return error


@caught_by(
    "test_every_documented_error_has_its_typed_error", "test_errors_mean_what_the_documents_say"
)
class ErrorsUntyped(Bybit):
    """All errors are of the same class."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        if isinstance(error, ExchangeError) and not isinstance(error, RateLimited):
            return ExchangeError(error.code, error.text)
        return error


@caught_by(
    "test_every_documented_error_has_its_typed_error", "test_errors_mean_what_the_documents_say"
)
class ErrorsInTheBodyIgnored(Bybit):
    """Only the HTTP status is looked at, though errors come with 200."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return super().error_of(response) if response.status >= 400 else None


@caught_by(
    "test_every_documented_error_has_its_typed_error",
    "test_a_rate_limit_that_states_a_time_is_kept",
)
class RateLimitNotHonoured(Bybit):
    """How long the exchange wants to be left alone isn't read."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        return RateLimited(error.code, error.text) if isinstance(error, RateLimited) else error


@caught_by("test_damaged_answers_are_read_or_refused")
class ErrorOfRaisesAnything(Bybit):
    """An answer without the expected field raises KeyError."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        try:
            return super().error_of(response)
        except CcrsError as error:
            raise KeyError("retCode") from error


def _raising(
    request: Any, response: HttpResponse, received_time_ns: int, cursor: str | None
) -> Answer[Any]:
    try:
        return original(GetTrades).decode(request, response, received_time_ns, cursor)
    except CcrsError as error:
        raise (error.__cause__ or error) from None


@caught_by("test_damaged_answers_are_read_or_refused")
class MalformedAnswerRaisesAnything:
    """What reading a malformed answer raises isn't turned into DecodeError."""

    endpoints = endpoint(GetTrades, decode=_raising)


@caught_by("test_what_comes_instead_of_answers_is_asked_for_again")
class PagesTakenForRefusals(Bybit):
    """What isn't JSON is taken for what the exchange refuses, once and for all."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        try:
            return super().error_of(response)
        except DecodeError:
            return InvalidRequest(str(response.status), response.body[:80].decode(errors="replace"))


@caught_by("test_what_comes_instead_of_answers_is_asked_for_again")
class NothingTakenForAnAnswer(Bybit):
    """An empty answer is taken for one that says nothing."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return super().error_of(response) if response.body else None

    endpoints: ClassVar[Any] = {
        **Bybit.endpoints,
        **endpoint(
            GetTrades,
            decode=lambda request, response, ns, cursor: (
                original(GetTrades).decode(request, response, ns, cursor)
                if response.body
                else Answer([])
            ),
        ),
    }
