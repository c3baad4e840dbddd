"""Addresses, streams and requests that the documents of an exchange know otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.contract.exchange import Environment, Exchange, Route
from ccrs_core.contract.rest import (
    Endpoint,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Request,
)
from ccrs_core.emulator import Dialect, Handshake, HttpRefusal, Visitor
from ccrs_core.model.subscriptions import Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

ADDRESSES = "test_addresses_are_those_of_the_exchanges_documents"
STREAMS = "test_streams_are_asked_for_as_the_documents_say"
REQUESTS = "test_requests_are_made_as_the_documents_say"
LISTS = "test_all_that_the_documents_list_is_asked_for"
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

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        path = handshake.path.replace(*self.heard)
        return super().open(attrs.evolve(handshake, path=path))


# --- addresses ------------------------------------------------------------------------------------
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


# --- streams --------------------------------------------------------------------------------------
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


# --- requests -------------------------------------------------------------------------------------
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
