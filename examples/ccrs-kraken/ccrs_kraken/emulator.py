"""Kraken's voice for the emulator, from https://docs.kraken.com/exchange/api-reference"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import ccrs_core as ccrs
from ccrs_core import emulator as emu

PAIRS = (("BTC", "USD", "0.1", "64000"), ("ETH", "USD", "0.01", "3100"),
         ("SOL", "USD", "0.01", "150"), ("DOGE", "USD", "0.0000001", "0.16"),
         ("ADA", "EUR", "0.000001", "0.41"), ("LUNA", "USD", "0.00000001", "0.0001"))  # fmt: skip
DEPTHS = {"ticker": (1,), "trade": (1,), "book": (10, 25, 100, 500, 1000)}


class KrakenStream(emu.Stream):
    """A channel of a pair, with so many levels of its book."""

    triggers = emu.Changed.BOOK | emu.Changed.TRADES

    def __init__(self, topic: str, market: emu.SimulatedMarket, depth: int) -> None:
        super().__init__(topic, [market])
        self.channel, self.symbol = topic.split(".")
        self.market, self.depth, self.view = market, depth, emu.BookView(market, depth, 0)
        self.price: Callable[[int], str] = lambda steps: f"~{market.rules.price.fixed(steps)}"
        self.size: Callable[[int], str] = lambda steps: f"~{market.rules.size.fixed(steps)}"

    def started(self, now_ns: int) -> None:
        self.view.refresh()
        self.printed = self.market.tape.count

    def first(self, now_ns: int) -> Iterable[emu.Frame]:
        if self.channel != "trade":
            yield self.quote("snapshot", self.view.bids, self.view.asks, now_ns)

    def update(self, now_ns: int) -> Iterable[emu.Frame]:
        trades, self.printed = self.market.tape.since(self.printed), self.market.tape.count
        changes, full = self.view.refresh(), self.depth - 1
        if self.channel == "trade" and trades:
            rows = [
                {"symbol": self.symbol, "side": trade.side, "price": self.price(trade.price),
                 "qty": self.size(trade.size), "ord_type": "limit", "trade_id": trade.number,
                 "timestamp": rfc3339(trade.time_ns)}
                for trade in trades
            ]  # fmt: skip
            yield frame(channel="trade", type="update", data=rows)
        elif self.channel != "trade" and changes is not None:
            # Nothing is said of levels that fall out of the depth.
            bid, ask = (side[full:] or [(end, 0)] for side, end in
                        ((self.view.bids, 0), (self.view.asks, 10**40)))  # fmt: skip
            bids = [level for level in changes[0] if level[1] or level[0] > bid[0][0]]
            asks = [level for level in changes[1] if level[1] or level[0] < ask[0][0]]
            yield self.quote("update", bids, asks, now_ns)

    def quote(self, kind: str, bids: Any, asks: Any, now_ns: int) -> emu.Frame:
        row: dict[str, Any] = {"symbol": self.symbol, "timestamp": rfc3339(now_ns)}
        best_bids, best_asks = self.view.bids, self.view.asks
        if self.channel == "ticker":
            for side, levels in (("bid", best_bids), ("ask", best_asks)):
                price, size = levels[0] if levels else (0, 0)
                row |= {side: self.price(price), f"{side}_qty": self.size(size)}
            row["last"] = self.price(self.market.tape.last)
        else:
            for name, levels in (("bids", bids), ("asks", asks)):
                row[name] = [{"price": self.price(p), "qty": self.size(s)} for p, s in levels]
            shown = [*best_asks[:10], *best_bids[:10]]
            texts = [text for p, s in shown for text in (self.price(p), self.size(s))]
            digits = "".join(re.sub("[~.]", "", text).lstrip("0") for text in texts)
            row["checksum"] = zlib.crc32(digits.encode())
        return frame(channel=self.channel, type=kind, data=[row])


class KrakenSession(emu.Session):
    """One connection."""

    idle_timeout = 60.0
    beating = False

    def opened(self, now_ns: int) -> None:
        self.say(channel="status", type="update", data=[{"system": "online", "api_version": "v2"}])

    def received(self, text: str | bytes, now_ns: int) -> None:
        times: dict[str, Any] = {"time_in": rfc3339(now_ns), "time_out": rfc3339(now_ns)}
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
        for symbol in symbols:
            error = act(channel, symbol)
            result = {"channel": channel, "symbol": symbol}
            told = {"error": error, "symbol": symbol} if error else {"result": result}
            self.say(method=method, success=not error, **told, **times)
            if method == "subscribe" and not error:
                self.begin(channel, symbol, depth, now_ns)

    def subscribe(self, channel: str, symbol: str) -> str | None:
        if ("spot", symbol) not in self.peer.venue.listings:
            return f"Currency pair not supported {symbol}"
        return "Already subscribed" if f"{channel}.{symbol}" in self.peer.subscriptions else None

    def unsubscribe(self, channel: str, symbol: str) -> str | None:
        return None if self.peer.unsubscribe(f"{channel}.{symbol}") else "Subscription Not Found"

    def begin(self, channel: str, symbol: str, depth: int, now_ns: int) -> None:
        venue, topic = self.peer.venue, f"{channel}.{symbol}"
        market = venue.market(venue.listings["spot", symbol])
        stream = venue.stream(str(depth), topic, lambda: KrakenStream(topic, market, depth))
        self.peer.subscribe(stream, now_ns)
        if not self.beating:
            self.beating = True
            venue.at(now_ns + 10**9, self.beat)

    def beat(self, now_ns: int) -> None:
        if self.peer.open:
            self.say(channel="heartbeat")
            self.peer.venue.at(now_ns + 10**9, self.beat)

    def say(self, **message: Any) -> None:
        self.peer.reply(frame(**message), ack="success" in message)


class KrakenDialect(emu.Dialect):
    """Kraken's public streams and market data."""

    name = "kraken"

    def listings(self, start_ns: int) -> Sequence[emu.Listing]:
        status = {"LUNA": ccrs.InstrumentStatus.HALTED}
        return [
            emu.Listing(
                category="spot", symbol=f"{base}/{quote}", market=ccrs.Market.SPOT, base=base,
                quote=quote, tick=Decimal(tick), lot=Decimal("1e-8"), min_size=Decimal("0.0001"),
                max_size=Decimal(10**9), price=Decimal(price),
                status=status.get(base, ccrs.InstrumentStatus.TRADING),
            )
            for base, quote, tick, price in PAIRS
        ]  # fmt: skip

    def open(
        self, path: str, query: Mapping[str, str], address: str
    ) -> emu.Session | emu.HttpRefusal:
        return KrakenSession() if path == "/v2" else emu.HttpRefusal(status=404)

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
            }  # fmt: skip
        return answer(200, result=rows)

    def failure(self, status: int, now_ns: int) -> ccrs.HttpResponse:
        return answer(
            status, f"E{'Service:Unavailable' if status >= 500 else 'General:Too many requests'}"
        )


def answer(status: int, *errors: str, **result: Any) -> ccrs.HttpResponse:
    body = frame(error=errors, **result).payload
    return ccrs.HttpResponse(status, {"content-type": "application/json"}, body)


def frame(**message: Any) -> emu.Frame:
    """A message; text that begins with ~ is a number, which keeps its digits."""
    return emu.Frame(re.sub(r'"~([^"]*)"', r"\1", json.dumps(message)).encode())


def rfc3339(time_ns: int) -> str:
    seconds = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{time_ns % 10**9 // 1000:06d}Z"
