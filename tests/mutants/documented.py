"""Limits, errors and words of instruments that the documents know otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect
from ccrs_bybit import Bybit
from ccrs_bybit.emulator import BybitDialect
from ccrs_kraken import Kraken
from ccrs_okx import Okx
from ccrs_okx.emulator import OkxDialect

from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.codec import Codec, Heartbeat
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import (
    Endpoint,
    GetBook,
    GetInstruments,
    HttpRequest,
    HttpResponse,
    Request,
)
from ccrs_core.emulator import Dialect, Handshake, HttpRefusal, Visitor
from ccrs_core.errors import AuthError, CcrsError, InvalidRequest, RateLimited
from ccrs_core.model.instruments import InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, answering

ERRORS = "test_errors_mean_what_the_documents_say"
SAID = "test_the_emulator_says_no_error_that_is_not_documented"
LIMITS = "test_declared_limits_are_within_the_documented_ones"
ALLOWED = "test_the_emulator_allows_what_the_documents_do"
CADENCE = "test_streams_are_called_silent_by_their_documented_cadence"
WORDS = "test_words_of_statuses_mean_what_the_documents_say"


# --- limits ---------------------------------------------------------------------------------------
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
            def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
                session = super().open(handshake)
                if isinstance(session, Visitor):
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


# --- errors ---------------------------------------------------------------------------------------
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


# --- instruments ----------------------------------------------------------------------------------
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
