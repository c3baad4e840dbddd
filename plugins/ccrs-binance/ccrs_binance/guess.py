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

from ccrs_binance.codec import FULL_DEPTH, INTERVALS
from ccrs_binance.symbols import EXCHANGE
from ccrs_core.model import NS_PER_SECOND, Channel, Instrument, Market, Subscription, unified_symbol

QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "DAI", "EUR", "TRY", "BRL", "JPY"),
    *("BTC", "ETH", "BNB", "USD"),
)
"""Quote assets; one that ends like another comes first."""

_DEPTH = re.compile(r"depth(5|10|20)?(?:@\d+ms)?")
_DATED = re.compile(r"(\w+)_(\d{6})", re.ASCII)
_COIN_MARGINED = re.compile(r"\w+USD_(?:PERP|\d{6})", re.ASCII)

_CHANNELS = {
    "bookTicker": Channel.TOP_OF_BOOK,
    "trade": Channel.TRADES,
    "aggTrade": Channel.TRADES,
    "ticker": Channel.TICKER,
    "markPrice": Channel.MARK_PRICE,
    "markPrice@1s": Channel.MARK_PRICE,
    "forceOrder": Channel.LIQUIDATIONS,
}


def guess(frames: Iterable[bytes], market: Market | None) -> Sequence[Subscription]:
    """The subscriptions that frames belong to, in the order of their first appearance."""
    streams: dict[str, None] = {}
    votes: Counter[Market] = Counter()
    for frame in frames:
        message = _object(frame)
        stream, data = message.get("stream"), message.get("data")
        if isinstance(stream, str) and isinstance(data, dict):
            streams[stream] = None
            vote = _market(stream, data)
            if vote is not None:
                votes[vote] += 1
    usual = market or (votes.most_common(1)[0][0] if votes else Market.SPOT)
    found: dict[Subscription, None] = {}
    for stream in streams:
        native, _, kind = stream.partition("@")
        instrument = instrument_of(native.upper(), usual)
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
    """What one frame tells of its market; None where that is nothing."""
    native, _, kind = stream.partition("@")
    if _COIN_MARGINED.fullmatch(native.upper()):
        return None  # it is said by the symbol, and says nothing of others
    if "markPrice" in kind or "forceOrder" in kind or "pu" in data or "_" in native:
        return Market.LINEAR
    if kind.startswith("depth") or kind == "trade":
        return Market.SPOT
    if kind == "bookTicker":
        return Market.LINEAR if "T" in data else Market.SPOT
    return None


def _subscriptions(kind: str, instrument: Instrument) -> Iterable[Subscription]:
    depth = _DEPTH.fullmatch(kind)
    if depth is not None:
        levels = int(depth[1]) if depth[1] else FULL_DEPTH
        return (Subscription(Channel.BOOK, instrument, depth=levels),)
    if kind.startswith("kline_") and kind[6:] in INTERVALS:
        return (Subscription(Channel.CANDLES, instrument, interval=kind[6:]),)
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
