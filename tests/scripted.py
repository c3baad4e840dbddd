"""An exchange that answers requests by a script, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import attrs
import orjson

import ccrs_core
from ccrs_core import (
    Access,
    Answer,
    AuthError,
    Budget,
    Client,
    DecodeError,
    Endpoint,
    ExchangeError,
    ExchangeUnavailable,
    GetCandles,
    GetFundingHistory,
    GetInstruments,
    GetTrades,
    HttpRequest,
    HttpResponse,
    Limits,
    Market,
    RateLimited,
    Request,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer, instrument

TIME = b"1700000000000000000"
BTC = instrument("BTC")


def _page(_: Any, response: HttpResponse, now_ns: int, cursor: str | None) -> Answer[Any]:
    try:
        page = orjson.loads(response.body)
        return Answer(page["items"], page["next"])
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError(str(error), response.body) from error


def _encode(path: str) -> Callable[[Any, str | None], HttpRequest]:
    def encode(_: Any, cursor: str | None) -> HttpRequest:
        return HttpRequest("GET", path, () if cursor is None else (("cursor", cursor),))

    return encode


def _error_of(response: HttpResponse) -> ExchangeError | None:
    match response.status:
        case 429 | 403:
            after = response.headers.get("retry-after")
            return RateLimited("429", "slow down", None if after is None else float(after))
        case 503:
            return ExchangeUnavailable("503", "maintenance")
        case 401:
            return AuthError("401", "bad key")
        case 200:
            return None
        case other:
            return ExchangeError(str(other), "failed")


class Paged(Toy):
    """The toy exchange with pages of trades (newest first) and candles, and a signed endpoint."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Toy.endpoints,
        GetInstruments: attrs.evolve(
            Toy.endpoints[GetInstruments], encode=_encode("/instruments"), decode=_page
        ),
        GetTrades: Endpoint(
            encode=_encode("/trades"),
            decode=_page,
            markets=frozenset({Market.SPOT}),
            newest_first=True,
        ),
        GetCandles: Endpoint(
            encode=_encode("/candles"), decode=_page, markets=frozenset({Market.SPOT})
        ),
        GetFundingHistory: Endpoint(
            encode=_encode("/private"), decode=_page, markets=frozenset(Market), signed=True
        ),
    }
    limits = Limits(requests=Budget(amount=10, seconds=1.0))

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[tuple[str, int]] = []

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        return _error_of(response)

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        self.signed.append((access.credentials.key, access.now_ms))
        return attrs.evolve(request, headers={"X-SIGN": "mac"})


class Rest:
    """A scripted exchange: what it answers in turn, and when it was asked what."""

    def __init__(self, *answers: HttpResponse | Exception | bytes) -> None:
        self.server = ToyServer()
        self.server.respond = self.respond
        self.answers = list(answers)
        self.asked: list[tuple[float, HttpRequest]] = []
        self.clock = VirtualClock()
        self.exchange = Paged()
        self.transport = MemoryTransport(self.server, latency=0.01)

    def respond(self, request: HttpRequest) -> HttpResponse:
        self.asked.append((self.clock.monotonic(), request))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return HttpResponse(200, {}, answer) if isinstance(answer, bytes) else answer

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.asked]

    def client(self, **settings: Any) -> Client:
        given: dict[str, Any] = {"instruments": [BTC], "transport": self.transport}
        return ccrs_core.connect(self.exchange, clock=self.clock, **given | settings)

    def play(self, use: Callable[[Client], Awaitable[None]], **settings: Any) -> None:
        async def main() -> None:
            async with self.client(**settings) as client:
                await use(client)

        run(main())


def status(code: int, **headers: str) -> HttpResponse:
    return HttpResponse(code, {k.replace("_", "-"): v for k, v in headers.items()}, b"")


def page(items: list[Any], cursor: str | None = None) -> bytes:
    return orjson.dumps({"items": items, "next": cursor})
