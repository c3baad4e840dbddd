"""What recordings made by other programs hold: their frames name streams, but no market.

Best effort, for replays only: assets are cut out of the native symbols, which can't be done for
certain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from ccrs_binance.channels import SPEEDS
from ccrs_binance.codec import FULL_DEPTH, INTERVALS
from ccrs_binance.symbols import EXCHANGE
from ccrs_core import NS_PER_SECOND, Channel, Instrument, Market, Subscription, unified_symbol

QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "EUR", "TRY", "BRL", "JPY"),
    *("BTC", "ETH", "BNB", "USD"),
)
"""Quote assets; one that ends like another comes first."""

_DEPTH = re.compile(rf"depth(5|10|20)?(?:@(?:{'|'.join(SPEEDS)}))?", re.ASCII)
_DATED = re.compile(r"(\w+)_(\d{6})", re.ASCII)
_COIN_MARGINED = re.compile(r"\w+USD_(?:PERP|\d{6})", re.ASCII)

_CHANNELS = {
    "bookTicker": Channel.TOP_OF_BOOK,
    "trade": Channel.TRADES,
    "aggTrade": Channel.TRADES,
    "ticker": Channel.TICKER,
    "forceOrder": Channel.LIQUIDATIONS,
}
_MARK_PRICES = frozenset({"markPrice", "markPrice@1s", "markPrice@3s"})
_OF_FUTURES = frozenset({"forceOrder", *_MARK_PRICES})


def subscriptions_in(frames: Iterable[bytes], market: Market | None) -> Sequence[Subscription]:
    """The subscriptions that frames belong to, in the order of their first appearance."""
    streams: dict[str, Counter[Market]] = {}
    votes: Counter[Market] = Counter()
    for frame in frames:
        message = _object(frame)
        stream, data = message.get("stream"), message.get("data")
        if isinstance(stream, str) and isinstance(data, dict):
            said = streams.setdefault(stream, Counter())
            vote = _market(stream, data)
            if vote is not None:
                votes[vote] += 1
                said[vote] += 1
    usual = votes.most_common(1)[0][0] if votes else Market.SPOT
    found: dict[Subscription, None] = {}
    for stream, said in streams.items():
        native, _, kind = stream.partition("@")
        likely = market or (said.most_common(1)[0][0] if said else usual)
        instrument = instrument_of(native.upper(), likely)
        if instrument is not None:
            found.update(dict.fromkeys(_subscriptions(kind, instrument)))
    return tuple(found)


def _object(frame: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(frame)
    except ValueError:
        return {}
    return message if type(message) is dict else {}


def _market(stream: str, data: dict[str, Any]) -> Market | None:
    """The market that one frame proves to be of; None where it proves none."""
    native, _, kind = stream.partition("@")
    if _COIN_MARGINED.fullmatch(native.upper()):
        return None  # it is said by the symbol, and says nothing of others
    if kind in _OF_FUTURES or "_" in native or not data.keys().isdisjoint(("pu", "X", "st", "ps")):
        return Market.LINEAR
    if kind in {"trade", "aggTrade"}:
        if "M" in data:
            return Market.SPOT
        return Market.LINEAR if kind == "aggTrade" and "p" in data else None
    if kind.startswith("depth"):
        return Market.SPOT
    if kind == "bookTicker":
        return Market.LINEAR if "T" in data else Market.SPOT
    if kind == "ticker" and "c" in data:
        return Market.SPOT if "b" in data else Market.LINEAR
    return None


def _subscriptions(kind: str, instrument: Instrument) -> Iterable[Subscription]:
    if kind in _OF_FUTURES and instrument.market is Market.SPOT:
        return ()
    depth = _DEPTH.fullmatch(kind)
    if depth is not None:
        levels = int(depth[1]) if depth[1] else FULL_DEPTH
        return (Subscription(Channel.BOOK, instrument, depth=levels),)
    if kind.startswith("kline_") and kind[6:] in INTERVALS:
        return (Subscription(Channel.CANDLES, instrument, interval=kind[6:]),)
    if kind in _MARK_PRICES:
        channels = [Channel.MARK_PRICE, Channel.INDEX_PRICE]
        if instrument.expiry_ns is None:
            channels.append(Channel.FUNDING)
        return [Subscription(channel, instrument) for channel in channels]
    channel = _CHANNELS.get(kind)
    return () if channel is None else (Subscription(channel, instrument),)


def instrument_of(native: str, market: Market) -> Instrument | None:
    """The instrument that a native symbol most likely names; None where it looks like none."""
    if _COIN_MARGINED.fullmatch(native):
        market = Market.INVERSE
    elif market is Market.INVERSE:
        return None  # no symbol of COIN-M looks like this
    dated = _DATED.fullmatch(native)
    name, expiry_ns = native, None
    if dated is not None:
        name = dated[1]
        try:
            day = datetime.strptime(dated[2], "%y%m%d").replace(hour=8, tzinfo=UTC)
        except ValueError:
            return None
        expiry_ns = int(day.timestamp()) * NS_PER_SECOND
    name = name.removesuffix("_PERP")
    quote = next((q for q in QUOTES if name.endswith(q) and len(name) > len(q)), None)
    if quote is None or (dated is not None and market is Market.SPOT):
        return None
    base = name[: -len(quote)]
    settle = {Market.SPOT: None, Market.INVERSE: base}.get(market, quote)
    return Instrument(
        exchange=EXCHANGE,
        symbol=unified_symbol(base, quote, settle, expiry_ns),
        native=native,
        market=market,
        base=base,
        quote=quote,
        settle=settle,
        expiry_ns=expiry_ns,
    )
