"""Kraken's voice for the emulator, from https://docs.kraken.com/exchange/api-reference"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ccrs_core import HttpRequest, HttpResponse, InstrumentStatus, Market
from ccrs_core.emulator import BookView, Changed, Dialect, Frame, HttpRefusal, Listing
from ccrs_core.emulator import Session, SimulatedMarket, Stream

PAIRS = {"BTC/USD": ("0.1", 64000), "ETH/USD": ("0.01", 3100), "SOL/USD": ("0.01", 150),
         "ADA/EUR": ("0.000001", "0.41"), "ETH/BTC": ("0.00001", "0.04843"),
         "DOGE/USD": ("0.0000001", "0.16"), "LUNA/USD": ("0.00000001", "0.0001")}  # fmt: skip
HALTED = ("LUNA/USD",)
DEPTHS = {"ticker": (1,), "trade": (1,), "book": (10, 25, 100, 500, 1000)}


class KrakenStream(Stream):
    """A channel of a pair; ``depth`` levels of its book."""

    def __init__(self, topic: str, market: SimulatedMarket, depth: int) -> None:
        super().__init__(topic, [market])
        self.channel, self.symbol = topic.split(".")
        self.triggers = Changed.TRADES if self.channel == "trade" else Changed.BOOK
        self.market, self.view, self.depth = market, BookView(market, depth, 0), depth
        self.price, self.size = market.rules.price.fixed, market.rules.size.fixed
        self.trades = market.tape.count

    def started(self, now_ns: int) -> None:
        self.view.refresh()
        self.trades = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[Frame]:
        if self.channel == "trade":
            return ()
        return (self.frame("snapshot", self.row(self.view.bids, self.view.asks, now_ns)),)

    def update(self, now_ns: int) -> Iterable[Frame]:
        if self.channel == "trade":
            new, self.trades = self.market.tape.since(self.trades), self.market.tape.count
            rows = ",".join(
                f'{{"symbol":"{self.symbol}","side":"{trade.side}","price":{self.price(trade.price)},'
                f'"qty":{self.size(trade.size)},"ord_type":"limit","trade_id":{trade.number},'
                f'"timestamp":"{rfc3339(trade.time_ns)}"}}'
                for trade in new
            )
            return (self.frame("update", rows),) if rows else ()
        changes = self.view.refresh()
        if changes is None:
            return ()
        # Nothing is said of levels that fall out of the depth.
        worst = [side[self.depth - 1 :] for side in (self.view.bids, self.view.asks)]
        bids = [lvl for lvl in changes[0] if lvl[1] or not worst[0] or lvl > worst[0][0]]
        asks = [lvl for lvl in changes[1] if lvl[1] or not worst[1] or lvl[0] < worst[1][0][0]]
        return (self.frame("update", self.row(bids, asks, now_ns)),)

    def frame(self, kind: str, rows: str) -> Frame:
        return Frame(f'{{"channel":"{self.channel}","type":"{kind}","data":[{rows}]}}'.encode())

    def row(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]], now_ns: int) -> str:
        time = f'"timestamp":"{rfc3339(now_ns)}"'
        if self.channel == "ticker":
            (bid, bid_qty), (ask, ask_qty) = (
                (self.price(side[0][0]), self.size(side[0][1])) if side else ("0", "0")
                for side in (self.view.bids, self.view.asks)
            )
            last = self.price(self.market.tape.last)
            return (
                f'{{"symbol":"{self.symbol}","bid":{bid},"bid_qty":{bid_qty},"ask":{ask},'
                f'"ask_qty":{ask_qty},"last":{last},{time}}}'
            )
        best = [*self.view.asks[:10], *self.view.bids[:10]]
        shown = ((self.price(price), self.size(size)) for price, size in best)
        text = "".join(str(int(n.replace(".", ""))) for level in shown for n in level)
        sides = (
            ",".join(f'{{"price":{self.price(p)},"qty":{self.size(s)}}}' for p, s in side)
            for side in (bids, asks)
        )
        return '{{"symbol":"{}","bids":[{}],"asks":[{}],"checksum":{},{}}}'.format(
            self.symbol, *sides, zlib.crc32(text.encode()), time
        )


class KrakenSession(Session):
    """One connection."""

    def opened(self, now_ns: int) -> None:
        self.beats = False
        self.say(channel="status", type="update", data=[{"system": "online", "api_version": "v2"}])

    def received(self, frame: str | bytes, now_ns: int) -> None:
        try:
            request = json.loads(frame)
            method, params = request["method"], request.get("params", {})
            number = {} if "req_id" not in request else {"req_id": request["req_id"]}
            times = {"time_in": rfc3339(now_ns), "time_out": rfc3339(now_ns), **number}
            if any(type(value) is not int for value in number.values()):
                raise ValueError
            if method == "ping":
                return self.say(method="pong", **times)
            channel, symbols = params["channel"], params["symbol"]
            depth = params.get("depth", 10) if channel == "book" else 1
            trigger = params.get("event_trigger", "trades")
            if method not in ("subscribe", "unsubscribe") or type(symbols) is not list:
                raise ValueError
            if depth not in DEPTHS[channel] or trigger not in ("bbo", "trades"):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            return self.say(error="Malformed request", success=False)
        for symbol in symbols:
            self.serve(method, channel, symbol, depth, times, now_ns)

    def serve(
        self, method: str, channel: str, symbol: str, depth: int, times: Any, now_ns: int
    ) -> None:
        venue, peer, topic = self.peer.venue, self.peer, f"{channel}.{symbol}"
        listing = venue.listings.get(("spot", symbol))
        error = None
        if listing is None:
            error = f"Currency pair not supported {symbol}"
        elif method == "subscribe" and topic in peer.subscriptions:
            error = "Already subscribed"
        elif method == "unsubscribe" and not peer.unsubscribe(topic):
            error = "Subscription Not Found"
        if error is not None:
            return self.say(error=error, method=method, success=False, symbol=symbol, **times)
        result = {"channel": channel, "symbol": symbol}
        self.say(method=method, result=result, success=True, **times)
        if method == "subscribe":
            market = venue.market(listing)
            make = lambda: KrakenStream(topic, market, depth)  # noqa: E731
            peer.subscribe(venue.stream(f"{depth}", topic, make), now_ns)
            self.beats or venue.at(now_ns + 10**9, self.beat)
            self.beats = True

    def beat(self, now_ns: int) -> None:
        if self.peer.open:
            self.say(channel="heartbeat")
            self.peer.venue.at(now_ns + 10**9, self.beat)

    def say(self, **message: Any) -> None:
        self.peer.reply(Frame(json.dumps(message).encode()), ack="success" in message)


class KrakenDialect(Dialect):
    """Kraken's public streams and market data."""

    name = "kraken"

    def listings(self, start_ns: int) -> Sequence[Listing]:
        return [
            Listing(
                category="spot",
                symbol=symbol,
                market=Market.SPOT,
                base=symbol.split("/")[0],
                quote=symbol.split("/")[1],
                tick=Decimal(tick),
                lot=Decimal("1e-8"),
                min_size=Decimal("0.0001"),
                max_size=Decimal(10**9),
                price=Decimal(price),
                status=InstrumentStatus.HALTED if symbol in HALTED else InstrumentStatus.TRADING,
            )
            for symbol, (tick, price) in PAIRS.items()
        ]

    def open(self, path: str, query: Mapping[str, str], address: str) -> Session | HttpRefusal:
        return KrakenSession() if path == "/v2" else HttpRefusal(status=404)

    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        try:
            return answer(200, result=self.result(request.path, dict(request.query), now_ns))
        except LookupError as error:
            return answer(200, error.args[0])

    def result(self, path: str, query: Mapping[str, str], now_ns: int) -> dict[str, Any]:
        """What a REST call answers; raises the error in Kraken's words."""
        method = path.removeprefix("/0/public/")
        if method == "Time":
            return {"unixtime": now_ns // 10**9}
        if method == "AssetPairs":
            return {rest_name(each): asset_pair(each) for each in self.venue.listings.values()}
        if method not in ("Depth", "Trades"):
            raise LookupError("EGeneral:Unknown method")
        named = {rest_name(each): each for each in self.venue.listings.values()}
        count, most = query.get("count", "100"), 500 if method == "Depth" else 1000
        if not count.isdecimal() or not 1 <= int(count) <= most:
            raise LookupError("EGeneral:Invalid arguments")
        if query.get("pair") not in named:
            raise LookupError("EQuery:Unknown asset pair")
        market = self.venue.market(named[query["pair"]])
        price, size = market.rules.price.fixed, market.rules.size.fixed
        if method == "Depth":
            sides = {"bids": market.engine.bids, "asks": market.engine.asks}
            book = {
                name: [(price(p), size(s), now_ns // 10**9) for p, s in side.top(int(count))]
                for name, side in sides.items()
            }
            return {query["pair"]: book}
        trades = market.tape.since(0)[-int(count) :]
        rows = [
            (price(t.price), size(t.size), t.time_ns / 10**9, t.side[0], "l", "", t.number)
            for t in trades
        ]
        return {query["pair"]: rows, "last": str(now_ns)}

    def failure(self, status: int, now_ns: int) -> HttpResponse:
        return answer(
            status, "EService:Unavailable" if status >= 500 else "EGeneral:Too many requests"
        )


def answer(status: int, *errors: str, **result: Any) -> HttpResponse:
    body = json.dumps({"error": errors, **result})
    return HttpResponse(status, {"content-type": "application/json"}, body.encode())


def rfc3339(time_ns: int) -> str:
    seconds = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{time_ns % 10**9 // 1000:06d}Z"


def rest_name(listing: Listing) -> str:
    coins = ({"BTC": "XBT", "DOGE": "XDG"}.get(c, c) for c in (listing.base, listing.quote))
    return "".join(coins)


def asset_pair(listing: Listing) -> dict[str, Any]:
    old = {"BTC": "XBT", "DOGE": "XDG"}
    return {
        "wsname": f"{old.get(listing.base, listing.base)}/{old.get(listing.quote, listing.quote)}",
        "lot_decimals": 8,
        "tick_size": f"{listing.tick:f}",
        "ordermin": f"{listing.min_size:f}",
        "status": "online" if listing.status is InstrumentStatus.TRADING else "cancel_only",
    }
