"""Mutants that only the exchange's documents know to be wrong: most of them make the same mistake
in the plugin and in its emulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect
from ccrs_bybit import Bybit
from ccrs_bybit.emulator import BybitDialect
from ccrs_kraken import Kraken
from ccrs_okx import Okx
from ccrs_okx.emulator import OkxDialect

from ccrs_core.codec import Codec, Heartbeat, Outbound
from ccrs_core.emulator import Dialect, HttpRefusal, Session
from ccrs_core.errors import AuthError, CcrsError, InvalidRequest, RateLimited
from ccrs_core.exchange import Budget, Environment, Exchange, Limits, Route
from ccrs_core.model import Channel, InstrumentStatus, Market, Subscription
from ccrs_core.rest import (
    Endpoint,
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Request,
)
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

ADDRESSES = "test_addresses_are_those_of_the_exchanges_documents"
STREAMS = "test_streams_are_asked_for_as_the_documents_say"
REQUESTS = "test_requests_are_made_as_the_documents_say"
LISTS = "test_all_that_the_documents_list_is_asked_for"
ERRORS = "test_errors_mean_what_the_documents_say"
SAID = "test_the_emulator_says_no_error_that_is_not_documented"
LIMITS = "test_declared_limits_are_within_the_documented_ones"
ALLOWED = "test_the_emulator_allows_what_the_documents_do"
CADENCE = "test_streams_are_called_silent_by_their_documented_cadence"
WORDS = "test_words_of_statuses_mean_what_the_documents_say"
CALENDAR = "test_long_candles_begin_when_the_documents_say"


def _with_address(exchange: type[Exchange], environment: str, **urls: str) -> Any:
    """An exchange's environments, some addresses of one of them other ones."""
    right = exchange.environments[environment]
    wrong = attrs.evolve(right, addresses={**right.addresses, **urls})
    return {**exchange.environments, environment: wrong}


def _asking(plugin: type[Exchange], kind: type[Request[Any]], change: Any) -> Any:
    """A plugin's endpoints, one of which asks otherwise: ``change(request, http)``."""
    right = plugin.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> HttpRequest:
        changed: HttpRequest = change(request, right.encode(request, cursor))
        return changed

    return {**plugin.endpoints, kind: attrs.evolve(right, encode=encode)}


class Renamed(Through):
    """Asks for streams by other words."""

    said: ClassVar[tuple[str, str]]

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._renamed(super().subscribe(subscriptions, request_id))

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._renamed(super().unsubscribe(subscriptions, request_id))

    def _renamed(self, frame: Outbound) -> Outbound:
        assert isinstance(frame, str)
        return frame.replace(*self.said)


class Understands(SpeaksThrough):
    """Understands other words, in requests on streams and by HTTP."""

    heard: ClassVar[tuple[str, str]]

    def asked(self, frame: str | bytes) -> str | bytes:
        return frame.replace(*self.heard) if isinstance(frame, str) else frame

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        path = request.path.replace(*self.heard)
        return super().http(attrs.evolve(request, path=path), address, now_ns)

    def open(self, path: str, query: Mapping[str, str], address: str) -> Session | HttpRefusal:
        return super().open(path.replace(*self.heard), query, address)


# --- addresses ------------------------------------------------------------------------------


@caught_by(ADDRESSES)
class StreamsOfTheTestNetworkAreReal(Bybit):
    """The test network's orders go by prices of the real market."""

    environments: ClassVar[Mapping[str, Environment]] = _with_address(
        Bybit, "testnet", public="wss://stream.bybit.com"
    )


@caught_by(ADDRESSES)
class RequestsOfTheTestNetworkAreReal(Binance):
    """What is asked of the test network of futures is answered by the real exchange."""

    environments: ClassVar[Mapping[str, Environment]] = _with_address(
        Binance, "testnet", rest_usdm="https://fapi.binance.com"
    )


@caught_by(ADDRESSES)
class HostMisspelt(Kraken):
    """Somebody else's host is dialled."""

    environments: ClassVar[Mapping[str, Environment]] = _with_address(
        Kraken, "mainnet", public="wss://ws.karken.com"
    )


@caught_by(ADDRESSES)
class SimulationNotTold(Okx):
    """Demo trading's requests lack the header that tells them from real ones."""

    environments: ClassVar[Mapping[str, Environment]] = {
        **Okx.environments,
        "demo": attrs.evolve(Okx.environments["demo"], headers={}),
    }


# --- streams --------------------------------------------------------------------------------


@caught_by(STREAMS)
class PathOfStreamsMistakenInBoth(Okx):
    """Candles and trades are dialled at a path that the emulator alone knows."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        return attrs.evolve(route, url=route.url.replace("/v5/business", "/v5/market"))

    def dialect(self) -> Dialect:
        class Mistaken(Understands):
            heard = ("/v5/market", "/v5/business")

            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                return SpeaksThrough.http(self, request, address, now_ns)

        return Mistaken(super().dialect())


@caught_by(STREAMS)
class ChannelMisspeltInBoth(Bybit):
    """Trades are asked for by the name that they had in the version before."""

    def codec(self, route: Route) -> Codec:
        class Mistaken(Renamed):
            said = ('"publicTrade.', '"trade.')

        return Mistaken(super().codec(route))

    def dialect(self) -> Dialect:
        class Mistaken(Understands):
            heard = ('"trade.', '"publicTrade.')

        return Mistaken(super().dialect())


@caught_by(STREAMS)
class IntervalMisspeltInBoth(Binance):
    """Candles of a month are asked for as those of a minute are spelled elsewhere."""

    def codec(self, route: Route) -> Codec:
        class Mistaken(Renamed):
            said = ("@kline_1M", "@kline_1mo")

        return Mistaken(super().codec(route))

    def dialect(self) -> Dialect:
        class Mistaken(Understands):
            heard = ("@kline_1mo", "@kline_1M")

        return Mistaken(super().dialect())


@caught_by(STREAMS)
class AnotherDepthInBoth(Kraken):
    """The best prices are asked for as they change with each trade alone."""

    def codec(self, route: Route) -> Codec:
        class Mistaken(Renamed):
            said = ('"event_trigger": "bbo"', '"event_trigger": "trades"')

        return Mistaken(super().codec(route))


# --- requests -------------------------------------------------------------------------------


@caught_by(REQUESTS)
class PathMistakenInBoth(Binance):
    """Funding rates are asked for at a path that the emulator alone knows."""

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = _asking(
        Binance,
        GetFundingHistory,
        lambda request, http: attrs.evolve(http, path=http.path.replace("Rate", "History")),
    )

    def dialect(self) -> Dialect:
        class Mistaken(Understands):
            heard = ("/v1/fundingHistory", "/v1/fundingRate")

        return Mistaken(super().dialect())


@caught_by(REQUESTS)
class PageTooLargeInBoth(Bybit):
    """A thousand trades of spot are asked for, of which Bybit gives sixty."""

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = _asking(
        Bybit,
        GetTrades,
        lambda request, http: attrs.evolve(
            http,
            query=tuple(
                (key, str(max(1, min(request.limit, 1000))) if key == "limit" else text)
                for key, text in http.query
            ),
        ),
    )

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                query = dict(request.query)
                if query.get("category") == "spot" and request.path.endswith("recent-trade"):
                    query["limit"] = str(min(60, int(query.get("limit", 60))))
                request = attrs.evolve(request, query=tuple(query.items()))
                return super().http(request, address, now_ns)

        return Mistaken(super().dialect())


@caught_by(REQUESTS, CALENDAR)
class DaysOfAnotherTimeZoneInBoth(Okx):
    """Candles of a day are asked for, and made, as those that begin at midnight in China."""

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **_asking(
            Okx,
            GetCandles,
            lambda request, http: attrs.evolve(
                http,
                query=tuple(
                    (key, text.removesuffix("utc") if key == "bar" else text)
                    for key, text in http.query
                ),
            ),
        )
    }
    endpoints = {
        **endpoints,
        GetCandles: attrs.evolve(
            endpoints[GetCandles],
            decode=answering(
                Okx,
                GetCandles,
                lambda request, candles: [
                    attrs.evolve(
                        each,
                        open_time_ns=each.open_time_ns + 16 * 3600 * 10**9,
                        close_time_ns=each.close_time_ns + 16 * 3600 * 10**9,
                    )
                    if request.interval in {"1d", "1w", "1M"}
                    else each
                    for each in candles
                ],
            )[GetCandles].decode,
        ),
    }

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                query = tuple(
                    (key, f"{text}utc" if key == "bar" and text[-1] in "DWM" else text)
                    for key, text in request.query
                )
                return super().http(attrs.evolve(request, query=query), address, now_ns)

        return Mistaken(super().dialect())


@caught_by(LISTS)
class CoinForgotten(Bybit):
    """Options of the coin that was listed last don't exist."""

    _right = Bybit.endpoints[GetInstruments]

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = CoinForgotten._right.decode(request, response, now_ns, cursor)
        over = "baseCoin=DOGE" in (answer.cursor or "")
        return attrs.evolve(answer, cursor=None if over else answer.cursor)

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Bybit.endpoints,
        GetInstruments: attrs.evolve(_right, decode=_decode),
    }


@caught_by(LISTS)
class TypeForgotten(Okx):
    """Contracts that expire don't exist."""

    _right = Okx.endpoints[GetInstruments]

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        answer = TypeForgotten._right.decode(request, response, now_ns, cursor)
        return attrs.evolve(answer, cursor=None if answer.cursor == "FUTURES" else answer.cursor)

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Okx.endpoints,
        GetInstruments: attrs.evolve(_right, decode=_decode),
    }


# --- limits ---------------------------------------------------------------------------------


@caught_by(LIMITS, ALLOWED)
class WindowMistakenInBoth(Bybit):
    """Six hundred requests are taken to be allowed in a second."""

    limits: ClassVar[Limits] = attrs.evolve(Bybit.limits, requests=Budget(amount=500, seconds=1.0))

    def dialect(self) -> Dialect:
        return BybitDialect(request_limit=3000)


@caught_by(LIMITS, ALLOWED)
class WeightsOfSpotInBoth(Binance):
    """Futures are taken to have the budget of spot."""

    def rest_budget(self, address: str) -> Budget:
        return self.limits.requests

    def dialect(self) -> Dialect:
        return BinanceDialect(weight_limits={"spot": 6000, "usdm": 6000})


@caught_by(LIMITS, ALLOWED)
class ConnectionsMistakenInBoth(Okx):
    """Thirty connections are opened in a second, where three may be."""

    limits: ClassVar[Limits] = attrs.evolve(Okx.limits, connects=Budget(amount=30, seconds=1.0))

    def dialect(self) -> Dialect:
        return OkxDialect(connect_limit=30)


@caught_by(LIMITS)
class DeepBooksWeighLittle(Binance):
    """A book of 5,000 levels is taken to weigh as much as one of 1,000."""

    _right = Binance.endpoints[GetBook]

    @staticmethod
    def _weight(request: GetBook) -> int:
        return min(50, DeepBooksWeighLittle._right.weight_of(request))

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Binance.endpoints,
        GetBook: attrs.evolve(_right, weight=_weight),
    }


@caught_by(LIMITS, ALLOWED)
class HeartbeatAfterTheEndInBoth(Okx):
    """A connection is taken to live a minute without a frame, and to need a ping every 40 s."""

    def codec(self, route: Route) -> Codec:
        codec = super().codec(route)
        codec.heartbeat = Heartbeat(interval=40.0, timeout=8.0)  # type: ignore[misc]
        return codec

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def open(
                self, path: str, query: Mapping[str, str], address: str
            ) -> Session | HttpRefusal:
                session = super().open(path, query, address)
                if isinstance(session, Session):
                    session.idle_timeout = 60.0  # type: ignore[misc]
                return session

        return Mistaken(super().dialect())


@caught_by(LIMITS)
class ConnectionsLiveForEver(Binance):
    """That connections end after a day isn't known."""

    def route(self, subscription: Subscription) -> Route:
        return attrs.evolve(super().route(subscription), max_age=None)


@caught_by(CADENCE)
class CalledSilentWithTheFirstLateOne(Okx):
    """Mark prices that come every ten seconds are called silent after twelve."""

    def max_silence(self, subscription: Subscription) -> float | None:
        silence = super().max_silence(subscription)
        return 12.0 if subscription.channel is Channel.MARK_PRICE and silence else silence


@caught_by(CADENCE)
class TradesHaveACadence(Kraken):
    """Trades that nobody makes for a minute are called silent."""

    def max_silence(self, subscription: Subscription) -> float | None:
        return 60.0 if subscription.channel is Channel.TRADES else None


# --- errors ---------------------------------------------------------------------------------


def _recoded(error: CcrsError | None, code: str, kind: Any) -> CcrsError | None:
    """An error, of another class if it has a code."""
    if error is None or getattr(error, "code", "") != code:
        return error
    made: CcrsError = kind(code, str(getattr(error, "text", "")))
    return made


@caught_by(ERRORS)
class BannedAddressTriesOn(Okx):
    """Too many requests of a sub-account are taken for a wrong request."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return _recoded(super().error_of(response), "50061", InvalidRequest)


@caught_by(ERRORS, SAID)
class CodeMistakenInBoth(Bybit):
    """Too many requests are taken to be told by 10060, by plugin and emulator."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = _recoded(super().error_of(response), "10006", AuthError)
        return _recoded(error, "10060", RateLimited)

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def failure(self, status: int, now_ns: int) -> HttpResponse:
                return self._recoded(super().failure(status, now_ns))

            def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
                return self._recoded(response)

            @staticmethod
            def _recoded(response: HttpResponse) -> HttpResponse:
                body = response.body.replace(b'"retCode":10006', b'"retCode":10060')
                body = body.replace(b'"retCode":10001', b'"retCode":10061')
                return attrs.evolve(response, body=body)

        return Mistaken(super().dialect())


@caught_by(ERRORS)
class CountryTakenForABreak(Binance):
    """Who may not trade from where he is tries again and again."""

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        error = super().error_of(response)
        return RateLimited("451", "") if response.status == 451 else error


@caught_by(SAID)
class ErrorMadeUpByTheEmulator(Kraken):
    """The emulator answers what it doesn't know with an error of its own making."""

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
                body = response.body.replace(b"EGeneral:Unknown method", b"EGeneral:No such method")
                return attrs.evolve(response, body=body)

        return Mistaken(super().dialect())


# --- instruments ----------------------------------------------------------------------------


@caught_by(WORDS)
class SuspendedTrades(Okx):
    """Instruments of which trading is suspended are taken to trade."""

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = answering(
        Okx,
        GetInstruments,
        lambda request, found: [
            attrs.evolve(each, status=InstrumentStatus.TRADING)
            if each.status is InstrumentStatus.HALTED and request.market is Market.SPOT
            else each
            for each in found
        ],
    )


@caught_by(WORDS)
class WordMistakenInBoth(Bybit):
    """What trades is taken to be called so in small letters, by plugin and emulator."""

    _right = Bybit.endpoints[GetInstruments]

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        body = response.body.replace(b'"status":"trading"', b'"status":"Trading"')
        changed = attrs.evolve(response, body=body)
        return WordMistakenInBoth._right.decode(request, changed, now_ns, cursor)

    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Bybit.endpoints,
        GetInstruments: attrs.evolve(_right, decode=_decode),
    }

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
                body = response.body.replace(b'"status":"Trading"', b'"status":"trading"')
                return attrs.evolve(response, body=body)

        return Mistaken(super().dialect())
