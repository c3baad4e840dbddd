"""Cases at the emulated Binance; :mod:`tests.account_cases` says what every case ends in.

A case is of one market unless it says more: its account is listened to and reconciled of those
alone, which is quick.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from itertools import count
from typing import Any, ClassVar

import attrs
from binance_trader import Trader
from ccrs_binance import Binance
from ccrs_binance.emulator import BinanceDialect
from ccrs_binance.rest import PATHS
from ccrs_binance.trading import CHANNELS, TRADING

from ccrs_core import (
    NS_PER_MS,
    Capabilities,
    Fill,
    HttpRequest,
    HttpResponse,
    Market,
    Origin,
    Trading,
)
from ccrs_core.conformance.workbench.account_world import NAME
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.emulator import Frame, Listing
from ccrs_core.transport.departure import leaves_now
from tests import account_cases
from tests.account_cases import AccountCase, Said, told

__all__ = ["COINM", "SPOT", "USDM", "Case", "Said", "play", "refusal", "told"]

SPOT, USDM, COINM = Market.SPOT, Market.LINEAR, Market.INVERSE

PLACING = frozenset({"order", "cancelReplace", "algoOrder", "batchOrders", "oco", "oto", "otoco"})


@cache
def subject(markets: tuple[Market, ...]) -> Subject:
    """Binance, of some markets."""

    class Some(Binance):
        trading: ClassVar[Trading | None] = attrs.evolve(
            TRADING,
            features={each: TRADING.features[each] for each in markets},
            streams={each: CHANNELS[each] for each in markets},
        )
        capabilities: ClassVar[Capabilities] = attrs.evolve(
            Binance.capabilities,
            account_channels=frozenset().union(*(CHANNELS[each] for each in markets)),
        )

    return Subject(Some)


class Case(AccountCase):
    """One case: the exchange, and a client's account there. ``life`` is the process of now."""

    purses: ClassVar = {NAME: "spot", f"{NAME}/usdm": "usdm", f"{NAME}/coinm": "coinm"}

    def __init__(self, *markets: Market, **settings: Any) -> None:
        self.market = markets[0]
        super().__init__(subject(markets), **settings)
        self.unheard = frozenset(self.purses.values()) - {self.purse_of(each) for each in markets}

    def places(self, request: HttpRequest) -> bool:
        return request.method == "POST" and request.path.rpartition("/")[2] in PLACING

    def named(self, fill: Fill) -> Fill:
        # Lists of fills name orders by Binance's id alone.
        if fill.client_order_id or fill.origin is not Origin.OTHER:
            return fill
        [listing] = [each for each in self.venue.listings.values() if self.is_of(each, fill)]
        number = self.emulated.ids.number(listing.key, int(fill.exchange_order_id))
        order = self.desk.find(self.trader_of(fill.market), number=number)
        assert order is not None
        assert order.client_order_id.startswith(self.others), "an own one"
        return attrs.evolve(fill, client_order_id=order.client_order_id)

    def is_of(self, listing: Listing, fill: Fill) -> bool:
        instruments = self.subject.instruments[fill.market]
        [native] = [each.native for each in instruments if each.symbol == fill.symbol]
        return (listing.market, listing.symbol) == (fill.market, native)

    @property
    def hand(self) -> Trader:
        """Somebody who has the account's key, and speaks Binance's language without the plugin."""
        return Trader(self.venue, f"{NAME}Key", f"{NAME}Secret")

    @property
    def emulated(self) -> Any:
        """What is behind the emulated Binance's accounts."""
        dialect = self.venue.dialect
        assert isinstance(dialect, BinanceDialect)
        return dialect.trading

    # --- what the exchange says ---

    def feed(self, market: Market | None = None) -> Any:
        """What is told of the account of one market."""
        where = market or self.market
        category = {SPOT: "spot", USDM: "usdm", COINM: "coinm"}[where]
        return self.emulated.feed(self.trader_of(where).name, category)

    def say(self, *events: Mapping[str, Any], market: Market | None = None) -> None:
        """Tell these, now, on all connections that listen."""
        now_ms = self.world.clock.time_ns() // NS_PER_MS
        for event in events:
            for stream in tuple(self.feed(market).streams):
                stream.write({**event, "E": now_ms})
        self.life.tap.poke()

    def say_raw(self, frame: Mapping[str, Any], market: Market | None = None) -> None:
        """Tell a frame as it is, now."""
        for stream in tuple(self.feed(market).streams):
            for subscriber in tuple(stream.subscribers):
                subscriber.send(Frame.json(frame), stream.topic)
        self.life.tap.poke()

    def overhear(
        self, *kinds: str, lost: bool = False, market: Market | None = None
    ) -> list[dict[str, Any]]:
        """The events of some kinds that are told from now on; where they are ``lost``, nobody else
        hears them."""
        feed, found = self.feed(market), []
        tell = feed.tell

        def heard(event: dict[str, Any], now_ns: int, lane: str = "") -> bool:
            if event["e"] not in kinds:
                return bool(tell(event, now_ns, lane))
            found.append(event)
            return True if lost else bool(tell(event, now_ns, lane))

        feed.tell = heard
        return found

    def slow(self, *kinds: str, seconds: float, market: Market | None = None) -> None:
        """Events of some kinds are told so much later."""
        feed = self.feed(market)
        tell = feed.tell

        def later(event: dict[str, Any], now_ns: int, lane: str = "") -> bool:
            if event["e"] in kinds:
                self.venue.at(now_ns + round(seconds * 1e9), lambda ns: tell(event, ns, lane))
                return True
            return bool(tell(event, now_ns, lane))

        feed.tell = later

    def answers(
        self,
        method: str,
        path: str,
        response: HttpResponse,
        *,
        after: float = 0.0,
        times: int = 1,
        done: bool = True,
    ) -> None:
        """Requests of a path are answered otherwise, so many seconds later, whether or not they
        are carried out (``done``)."""
        tap, left = self.life.tap, count(1)
        plain = tap.request

        async def request(base_url: str, asked: HttpRequest) -> HttpResponse:
            if (asked.method, asked.path) != (method, path) or next(left) > times:
                return await plain(base_url, asked)
            if done:
                await plain(base_url, asked)
            else:
                leaves_now()
                tap.requests.append((0, base_url, asked))
            await asyncio.sleep(after)
            return response

        tap.request = request  # type: ignore[method-assign]

    def asked(self, method: str, path: str) -> list[HttpRequest]:
        """The requests of a kind that have left."""
        return [each for each in self.sent(path) if each.method == method]

    def path(self, name: str, market: Market | None = None) -> str:
        """Where a call of a market is."""
        return f"{PATHS[market or self.market]}/{name}"


def refusal(status: int, code: int, text: str, **headers: str) -> HttpResponse:
    """An answer that says no."""
    body = json.dumps({"code": code, "msg": text}).encode()
    told = {name.lower(): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "application/json", **told}, body)


Scenario = Callable[[Case], Awaitable[None]]


def play(scenario: Scenario, *markets: Market, **settings: Any) -> None:
    """One case from the start of its client to the checks."""
    account_cases.play(Case(*markets, **settings), scenario)
