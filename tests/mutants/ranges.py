"""Mutants that take the bounds of histories otherwise than the exchange: in the plugin and in its
emulator at once, so that both agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetCandles, GetFundingHistory, HttpRequest, HttpResponse
from ccrs_core.emulator import Dialect
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough

RANGES = "test_bounds_of_histories_are_what_the_documents_say"
LIMITS = "test_declared_limits_are_within_the_documented_ones"
ALLOWED = "test_the_emulator_allows_what_the_documents_do"

Change = Callable[[str, str], tuple[str, str]]
"""Another parameter for one."""


def _changed(http: HttpRequest, *paths: str, change: Change) -> HttpRequest:
    """A request with other parameters, where it asks for one of these."""
    if not http.path.endswith(paths):
        return http
    return attrs.evolve(http, query=tuple(change(key, text) for key, text in http.query))


def _later(by: int, *names: str) -> Change:
    """Times of these parameters so many milliseconds later."""
    return lambda key, text: (key, str(int(text) + by) if key in names else text)


def _asking(plugin: type[Exchange], kind: Any, change: Change) -> Any:
    """A plugin's endpoints, one of which asks otherwise."""
    right = plugin.endpoints[kind]

    def encode(request: Any, cursor: str | None) -> HttpRequest:
        return _changed(right.encode(request, cursor), "", change=change)

    return {**plugin.endpoints, kind: attrs.evolve(right, encode=encode)}


def _understanding(dialect: Dialect | None, change: Change, *paths: str) -> Dialect:
    """A dialect that understands requests for these otherwise."""

    class Mistaken(SpeaksThrough):
        def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
            return super().http(_changed(request, *paths, change=change), address, now_ns)

    return Mistaken(dialect)


@caught_by(RANGES)
class OlderMeansNotNewerInBoth(Okx):
    """OKX's "after" is taken to hold the candle of that time, too: each page's last one is lost."""

    endpoints: ClassVar[Any] = _asking(Okx, GetCandles, _later(-1, "after"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(1, "after"), "candles")


@caught_by(RANGES)
class NewerMeansNotOlderInBoth(Okx):
    """OKX's "before" is taken to hold the candle of that time, so that the first one is lost."""

    endpoints: ClassVar[Any] = _asking(Okx, GetCandles, _later(1, "before"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(-1, "before"), "candles")


@caught_by(RANGES)
class BeforeAndAfterSwappedInBoth(Okx):
    """OKX's "before" is taken for what lies before a time, and "after" for what lies after it."""

    _SWAPPED: ClassVar[dict[str, str]] = {"before": "after", "after": "before"}
    endpoints: ClassVar[Any] = _asking(
        Okx,
        GetCandles,
        lambda key, text: (BeforeAndAfterSwappedInBoth._SWAPPED.get(key, key), text),
    )

    def dialect(self) -> Dialect:
        swapped = self._SWAPPED
        return _understanding(
            super().dialect(), lambda key, text: (swapped.get(key, key), text), "candles"
        )


@caught_by(RANGES)
class RatesUntilThenInBoth(Okx):
    """OKX's "after" of funding rates is taken to be the newest that comes."""

    endpoints: ClassVar[Any] = _asking(Okx, GetFundingHistory, _later(-1, "after"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(1, "after"), "funding-rate-history")


@caught_by(RANGES)
class AdjacentCandlesComeFirst(Okx):
    """The emulator answers "before" alone with the candles right after it; OKX with the newest."""

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                query = dict(request.query)
                if "candles" in request.path and "before" in query and "after" not in query:
                    until = int(query["before"]) + (int(query["limit"]) + 1) * 60_000
                    query["after"] = str(until)
                request = attrs.evolve(request, query=tuple(query.items()))
                return super().http(request, address, now_ns)

        return Mistaken(super().dialect())


@caught_by(RANGES)
class EndTimeExclusiveInBoth(Binance):
    """endTime is taken to be the first candle that doesn't come."""

    endpoints: ClassVar[Any] = _asking(Binance, GetCandles, _later(1, "endTime"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(-1, "endTime"), "/klines")


@caught_by(RANGES)
class RatesSinceExclusiveInBoth(Binance):
    """startTime of funding rates is taken to be the last one that doesn't come."""

    endpoints: ClassVar[Any] = _asking(Binance, GetFundingHistory, _later(-1, "startTime"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(1, "startTime"), "/fundingRate")


@caught_by(RANGES)
class CoinCandlesLikeTheOthers(Binance):
    """COIN-M's emulator gives the first candles of a stretch; COIN-M gives the newest."""

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                query = dict(request.query)
                if "/dapi/v1/klines" in request.path and {"startTime", "endTime"} <= set(query):
                    last = int(query["startTime"]) + (int(query["limit"]) - 1) * 60_000
                    query["endTime"] = str(min(last, int(query["endTime"])))
                request = attrs.evolve(request, query=tuple(query.items()))
                return super().http(request, address, now_ns)

        return Mistaken(super().dialect())


@caught_by(RANGES)
class EndExclusiveInBoth(Bybit):
    """The end of candles is taken to be exclusive."""

    endpoints: ClassVar[Any] = _asking(Bybit, GetCandles, _later(1, "end"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(-1, "end"), "/kline")


@caught_by(RANGES)
class RatesUntilExclusiveInBoth(Bybit):
    """The end of funding rates is taken to be exclusive."""

    endpoints: ClassVar[Any] = _asking(Bybit, GetFundingHistory, _later(1, "endTime"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(-1, "endTime"), "/funding/history")


@caught_by(RANGES)
class EndOfTheCloseInBoth(Binance):
    """endTime is taken for the time at which the last candle closes, not opens."""

    endpoints: ClassVar[Any] = _asking(Binance, GetCandles, _later(60_000, "endTime"))

    def dialect(self) -> Dialect:
        return _understanding(super().dialect(), _later(-60_000, "endTime"), "/klines")


@caught_by(RANGES)
class SecondsInBoth(Bybit):
    """Bounds are taken to be told in seconds."""

    @staticmethod
    def _seconds(key: str, text: str) -> tuple[str, str]:
        return key, str(-(-int(text) // 1000)) if key in {"start", "end"} else text

    endpoints: ClassVar[Any] = _asking(Bybit, GetCandles, _seconds)

    def dialect(self) -> Dialect:
        def understood(key: str, text: str) -> tuple[str, str]:
            return key, str(int(text) * 1000) if key in {"start", "end"} else text

        return _understanding(super().dialect(), understood, "/kline")


@caught_by(RANGES)
class OldestFirstInBoth(Bybit):
    """Candles are taken to come oldest first."""

    _right = Bybit.endpoints[GetCandles]

    @staticmethod
    def _reversed(response: HttpResponse) -> HttpResponse:
        body = orjson.loads(response.body)
        result = body.get("result") or {}
        if "list" in result:
            result["list"].reverse()
        return attrs.evolve(response, body=orjson.dumps(body))

    @staticmethod
    def _decode(request: Any, response: Any, now_ns: int, cursor: Any) -> Any:
        response = OldestFirstInBoth._reversed(response)
        return OldestFirstInBoth._right.decode(request, response, now_ns, cursor)

    endpoints: ClassVar[Any] = {
        **Bybit.endpoints,
        GetCandles: attrs.evolve(_right, decode=_decode),
    }

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
                kline = request.path.endswith("/kline") and response.status == 200
                return OldestFirstInBoth._reversed(response) if kline else response

        return Mistaken(super().dialect())


@caught_by(ALLOWED)
class PastCandlesAsOftenInBoth(Okx):
    """Past candles are taken to be allowed as often as the recent ones."""

    endpoints: ClassVar[Any] = {
        **Okx.endpoints,
        GetCandles: attrs.evolve(Okx.endpoints[GetCandles], weight=1, page_weight=None),
    }

    def dialect(self) -> Dialect:
        class Mistaken(SpeaksThrough):
            def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
                # Every other one is counted for somebody else.
                self.count = getattr(self, "count", 0) + 1
                if request.path.endswith("history-candles") and self.count % 2:
                    address += "b"
                return super().http(request, address, now_ns)

        return Mistaken(super().dialect())
