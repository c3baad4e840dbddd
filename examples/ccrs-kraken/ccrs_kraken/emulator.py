"""Kraken's voice for the emulator, from https://docs.kraken.com/exchange/api-reference"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import ccrs_core as ccrs
from ccrs_core import emulator as emu

PAIRS = (("BTC", "USD", "0.1", "64000"), ("ETH", "USD", "0.01", "3100"),
         ("SOL", "USD", "0.01", "150"), ("DOGE", "USD", "0.0000001", "0.16"),
         ("ADA", "EUR", "0.000001", "0.41"), ("LUNA", "USD", "0.00000001", "0.0001"))  # fmt: skip
DEPTHS = {"ticker": (1,), "trade": (1,), "book": (10, 25, 100, 500, 1000)}


def ticker(feed: emu.TopFeed, snapshot: bool, bid: Any, ask: Any, now_ns: int) -> emu.Frame:
    row = {"last": Decimal(feed.price(feed.market.tape.last))}
    for side, best in (("bid", bid), ("ask", ask)):
        row[side], row[f"{side}_qty"] = map(Decimal, best or (0, 0))
    return push(feed, snapshot, {"timestamp": emu.rfc3339(now_ns), **row})


def trades(feed: emu.TradeFeed, trades: Sequence[emu.TapeTrade], now_ns: int) -> emu.Frame:
    rows = [
        {"side": each.side, "price": Decimal(feed.price(each.price)), "ord_type": "limit",
         "qty": Decimal(feed.size(each.size)), "trade_id": each.number,
         "timestamp": emu.rfc3339(each.time_ns)}
        for each in trades
    ]  # fmt: skip
    return push(feed, False, *rows)


def book(feed: emu.BookFeed, snapshot: bool, bids: Any, asks: Any, now_ns: int) -> emu.Frame:
    row: dict[str, Any] = {"timestamp": emu.rfc3339(now_ns)}
    for side, levels in (("bids", bids), ("asks", asks)):
        row[side] = [{"price": Decimal(price), "qty": Decimal(qty)} for price, qty in levels]
    all_bids, all_asks = feed.spelled()
    best = all_asks[:10] + all_bids[:10]
    digits = "".join(text.replace(".", "").lstrip("0") for level in best for text in level)
    return push(feed, snapshot, {**row, "checksum": zlib.crc32(digits.encode())})


def push(feed: emu.MarketFeed, snapshot: bool, *rows: dict[str, Any]) -> emu.Frame:
    channel, symbol = feed.topic.split(".")
    data = [{"symbol": symbol, **row} for row in rows]
    return frame(channel=channel, type="snapshot" if snapshot else "update", data=data)


class KrakenVisitor(emu.Visitor):
    """One connection."""

    idle_timeout = 60.0
    beating = False

    def opened(self, now_ns: int) -> None:
        self.say(channel="status", type="update", data=[{"system": "online", "api_version": "v2"}])

    def received(self, text: str | bytes, now_ns: int) -> None:
        times: dict[str, Any] = dict.fromkeys(("time_in", "time_out"), emu.rfc3339(now_ns))
        try:
            request = json.loads(text)
            method, params = request["method"], request.get("params", {})
            if "req_id" in request:
                times["req_id"] = request["req_id"] + 0
            if method == "ping":
                self.say(method="pong", **times)
                return
            channel, symbols = params["channel"], params["symbol"]
            depth = params.get("depth", 10) if channel == "book" else 1
            fine = params.get("event_trigger", "trades") in ("bbo", "trades")
            if not fine or depth not in DEPTHS[channel] or type(symbols) is not list:
                raise ValueError
            act = {"subscribe": self.subscribe, "unsubscribe": self.unsubscribe}[method]
        except (KeyError, TypeError, ValueError, AttributeError):
            self.say(error="Malformed request", success=False, **times)
            return
        for symbol in map(str, symbols):
            error = act(f"{channel}.{symbol}", symbol)
            told = {"symbol": symbol, "channel": channel}
            outcome = {"error": error, "symbol": symbol} if error else {"result": told}
            self.say(method=method, success=not error, **outcome, **times)
            if method == "subscribe" and not error:
                self.begin(channel, symbol, depth, now_ns)

    def subscribe(self, topic: str, symbol: str) -> str:
        if ("spot", symbol) not in self.peer.venue.listings:
            return f"Currency pair not supported {symbol}"
        return "Already subscribed" if topic in self.peer.subscriptions else ""

    def unsubscribe(self, topic: str, symbol: str) -> str:
        return "" if self.peer.unsubscribe(topic) else "Subscription Not Found"

    def begin(self, channel: str, symbol: str, depth: int, now_ns: int) -> None:
        venue, topic = self.peer.venue, f"{channel}.{symbol}"
        market = venue.market(venue.listings["spot", symbol])
        make: dict[str, Callable[[], emu.Broadcast]] = {
            "ticker": lambda: emu.TopFeed(topic, market, ticker),
            "trade": lambda: emu.TradeFeed(topic, market, trades),
            "book": lambda: emu.BookFeed(topic, market, depth, book, tells_pushed_out=False),
        }
        self.peer.subscribe(venue.simulated(str(depth), topic, make[channel]), now_ns)
        if not self.beating:
            self.beating = True
            emu.heartbeats(self.peer, frame(channel="heartbeat"), 1.0, now_ns)

    def say(self, **message: Any) -> None:
        self.peer.reply(frame(**message), ack="success" in message)


class KrakenDialect(emu.Dialect):
    """Kraken's public streams and market data."""

    name = "kraken"
    # https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs
    lacks: ClassVar[Mapping[emu.Oddity, str]] = {
        emu.Oddity.PRELAUNCH: "AssetPairs knows no status of pairs that are to come",
        emu.Oddity.NON_ASCII: "assets are named in capital letters and digits",
        # https://docs.kraken.com/api/docs/websocket-v2/trade
        emu.Oddity.BLOCK_TRADE: "the trade channel is of the book's, and has no such flag",
        emu.Oddity.RPI_TRADE: "there is no programme of retail price improvement",
    }

    def listings(self, start_ns: int) -> Sequence[emu.Listing]:
        status = {"LUNA": ccrs.InstrumentStatus.HALTED}
        return [
            emu.Listing(
                category="spot", symbol=f"{base}/{quote}", market=ccrs.Market.SPOT, base=base,
                quote=quote, tick=Decimal(tick), lot=Decimal("1e-8"), min_size=Decimal("0.0001"),
                max_size=Decimal(10**9), min_notional=Decimal("0.5"), price=Decimal(price),
                status=status.get(base, ccrs.InstrumentStatus.TRADING),
                levels=1200 if base == "ADA" else 150,
            )
            for base, quote, tick, price in PAIRS
        ]  # fmt: skip

    def open(self, handshake: emu.Handshake) -> emu.Visitor | emu.HttpRefusal:
        return KrakenVisitor() if handshake.path == "/v2" else emu.HttpRefusal(status=404)

    def http(self, request: ccrs.HttpRequest, address: str, now_ns: int) -> ccrs.HttpResponse:
        if request.path == "/0/public/Time":
            return answer(200, result={"unixtime": now_ns // 10**9})
        if request.path != "/0/public/AssetPairs":
            return answer(200, "EGeneral:Unknown method")
        rows = {}
        for each in self.venue.listings.values():
            name = each.symbol.replace("BTC", "XBT").replace("DOGE", "XDG")
            status = "online" if each.status.value == "trading" else "cancel_only"
            rows[name.replace("/", "")] = {
                "wsname": name, "lot_decimals": emu.decimals(each.lot), "status": status,
                "tick_size": f"{each.tick:f}", "ordermin": f"{each.min_size:f}",
                "costmin": f"{each.min_notional:f}",
            }  # fmt: skip
            if self.venue.blank(request.path):
                del rows[name.replace("/", "")]["ordermin"]
        # A pair of which little more than its name is known yet, and one of a dark pool.
        rows |= {"SOONUSD": {"wsname": "SOON/USD", "status": "online"}, "XBTUSD.d": {}}
        return answer(200, result=rows)

    def busy(self, peer: emu.Peer, request: str | bytes, now_ns: int) -> emu.Frame | None:
        # https://docs.kraken.com/api/docs/guides/spot-ratelimits
        asked = json.loads(request)
        if asked.get("method") not in ("subscribe", "unsubscribe"):
            return None
        told = {"method": asked["method"], "success": False, "error": "Exceeded msg rate"}
        return frame(**told, req_id=asked.get("req_id"))

    def failure(self, status: int, now_ns: int) -> ccrs.HttpResponse:
        code = "EService:Unavailable" if status >= 500 else "EGeneral:Too many requests"
        return answer(status, code)


def answer(status: int, *errors: str, **result: Any) -> ccrs.HttpResponse:
    body = emu.exact_json({"error": errors, **result})
    return ccrs.HttpResponse(status, {"content-type": "application/json"}, body)


def frame(**message: Any) -> emu.Frame:
    return emu.Frame(emu.exact_json(message))
