"""What recordings made by other programs hold: their frames name topics, but no market.

Best effort, for replays only: instruments are cut out of the native symbols, which can't be done
for certain (see :mod:`ccrs_bybit.symbols`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from ccrs_bybit.codec import INTERVALS
from ccrs_bybit.options import IN_TICKERS, PUBLIC_TRADE
from ccrs_bybit.symbols import EXCHANGE
from ccrs_core import (
    NS_PER_SECOND,
    Channel,
    Instrument,
    Market,
    OptionKind,
    Subscription,
    UsageError,
    market_of,
    unified_symbol,
)

QUOTES = (
    *("USDT", "USDC", "USDE", "USD1", "RLUSD", "DAI", "EUR", "GBP", "BRL", "TRY", "PLN", "MNT"),
    *("BTC", "ETH", "SOL", "USD"),
)
"""Quote coins; one that ends like another comes first."""

MONTHS = {code: month for month, code in enumerate("FGHJKMNQUVXZ", start=1)}
"""Delivery months of inverse futures, by the letters that all futures markets use."""

UNIFIED_INTERVALS = {native: unified for unified, native in INTERVALS.items()}

_DEPTH = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_OPTION = re.compile(r"(\w+)-(\d+[A-Z]{3}\d\d)-([\d.]+)-([CP])(?:-(\w+))?", re.ASCII)
_DATED = re.compile(r"(\w+)-(\d+[A-Z]{3}\d\d)", re.ASCII)
_INVERSE = re.compile(r"(\w+)USD(?:([FGHJKMNQUVXZ])(\d\d))?", re.ASCII)


def subscriptions_in(frames: Iterable[bytes], market: Market | None) -> Sequence[Subscription]:
    """The subscriptions that frames belong to, in the order of their first appearance."""
    topics: dict[tuple[str, str, str], None] = {}
    votes: dict[str, Counter[Market]] = {}
    everywhere: Counter[Market] = Counter()
    for frame in frames:
        message = _object(frame)
        named = _parts(message.get("topic"))
        if named is None:
            continue
        vote = market or _market(message, *named)
        for parts in _of_rows(message) if _is_of_coin(vote, named) else (named,):
            topics[parts] = None
            if vote is not None:
                votes.setdefault(parts[2], Counter())[vote] += 1
                everywhere[vote] += 1
    usual = market or (everywhere.most_common(1)[0][0] if everywhere else Market.SPOT)
    found: dict[Subscription, None] = {}
    for kind, detail, native in topics:
        likely = votes[native].most_common(1)[0][0] if native in votes else usual
        instrument = instrument_of(native, likely)
        if instrument is not None:
            found.update(dict.fromkeys(_subscriptions(kind, detail, instrument)))
    return tuple(found)


def _object(frame: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(frame)
    except ValueError:
        return {}
    return message if type(message) is dict else {}


def _parts(topic: object) -> tuple[str, str, str] | None:
    """A topic's kind, detail (depth or interval, where it has one) and native symbol."""
    if not isinstance(topic, str):
        return None
    kind, _, rest = topic.partition(".")
    if kind in {"orderbook", "kline"}:
        detail, _, native = rest.partition(".")
    elif kind in {"publicTrade", "tickers", "allLiquidation"}:
        detail, native = "", rest
    else:
        return None
    return (kind, detail, native) if native else None


def _is_of_coin(market: Market | None, parts: tuple[str, str, str]) -> bool:
    """Whether a topic's trades are of all options of a coin."""
    return market is Market.OPTION and parts[0] == PUBLIC_TRADE


def _of_rows(message: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The options that rows of trades are of: as the topics of others, each by itself."""
    rows = message.get("data")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("s"), str):
            yield PUBLIC_TRADE, "", row["s"]


def _subscriptions(kind: str, detail: str, instrument: Instrument) -> Iterable[Subscription]:
    """What the plugin reads of a topic; nothing where it reads none of it."""
    if instrument.market is Market.OPTION:
        if kind == "tickers":
            return tuple(Subscription(channel, instrument) for channel in IN_TICKERS)
        if kind == "orderbook" and detail in {"25", "100"}:
            return (Subscription(Channel.BOOK, instrument, depth=int(detail)),)
        return (Subscription(Channel.TRADES, instrument),) if kind == PUBLIC_TRADE else ()
    if kind == "orderbook" and detail == "1":
        return (Subscription(Channel.TOP_OF_BOOK, instrument),)
    if kind == "orderbook" and _DEPTH.fullmatch(detail):
        return (Subscription(Channel.BOOK, instrument, depth=int(detail)),)
    if kind == "kline" and detail in UNIFIED_INTERVALS:
        interval = UNIFIED_INTERVALS[detail]
        return (Subscription(Channel.CANDLES, instrument, interval=interval),)
    if kind == "publicTrade":
        return (Subscription(Channel.TRADES, instrument),)
    if kind == "tickers":
        # One topic, of which each channel takes its part.
        return tuple(Subscription(c, instrument) for c in _in_tickers(instrument))
    if kind == "allLiquidation" and instrument.market is not Market.SPOT:
        return (Subscription(Channel.LIQUIDATIONS, instrument),)
    return ()


def _in_tickers(instrument: Instrument) -> Iterable[Channel]:
    yield Channel.TICKER
    if instrument.market is not Market.SPOT:
        yield from (Channel.MARK_PRICE, Channel.INDEX_PRICE, Channel.OPEN_INTEREST)
        if instrument.expiry_ns is None:
            yield Channel.FUNDING


# --- Which market ---------------------------------------------------------------------------


def _market(message: dict[str, Any], kind: str, detail: str, native: str) -> Market | None:
    """What one frame tells about its market, by the look of its symbol, its fields, or the order
    of its keys; None where that is nothing."""
    if _OPTION.fullmatch(native) or (kind == "publicTrade" and "id" in message):
        return Market.OPTION
    if _DATED.fullmatch(native) or native.endswith("PERP"):
        return Market.LINEAR
    if _INVERSE.fullmatch(native) and not native.endswith(QUOTES[:-1]):
        return Market.INVERSE
    data = message.get("data")
    if kind == "publicTrade" and isinstance(data, list) and data and isinstance(data[0], dict):
        # Only futures say in which direction the price moved.
        return Market.LINEAR if "L" in data[0] else Market.SPOT
    if kind == "tickers" and isinstance(data, dict):
        if "usdIndexPrice" in data:
            return Market.SPOT
        return Market.LINEAR if message.get("type") == "delta" or "fundingRate" in data else None
    if kind == "allLiquidation":
        return Market.LINEAR
    keys = list(message)
    if kind == "orderbook" and "ts" in keys and "type" in keys:
        if keys.index("type") < keys.index("ts"):
            return Market.LINEAR
        # Level 1 begins with the time on all markets.
        return None if detail == "1" else Market.SPOT
    return None


# --- Which instrument -----------------------------------------------------------------------


def instrument_of(native: str, market: Market) -> Instrument | None:
    """The instrument that a native symbol most likely names; None where it looks like none."""
    try:
        fields = _FIELDS[market](native)
        if fields is None:
            return None
        symbol = unified_symbol(**fields)
        if market_of(symbol) is not market:
            return None
    except (UsageError, ValueError, InvalidOperation, OverflowError):
        return None
    return Instrument(exchange=EXCHANGE, symbol=symbol, native=native, market=market, **fields)


def _pair(text: str) -> tuple[str, str] | None:
    quote = next((q for q in QUOTES if text.endswith(q) and len(text) > len(q)), None)
    return None if quote is None else (text[: -len(quote)], quote)


def _delivery(text: str) -> int:
    """08:00 UTC on the date that a symbol names, such as 27MAR26."""
    day = datetime.strptime(text, "%d%b%y").replace(hour=8, tzinfo=UTC)
    return int(day.timestamp()) * NS_PER_SECOND


def _last_friday(year: int, month: int) -> int:
    """08:00 UTC on a month's last Friday, when inverse futures are delivered."""
    after = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
    day = after - timedelta(days=(after.weekday() - 5) % 7 + 1)
    return int(day.timestamp()) * NS_PER_SECOND


def _spot(native: str) -> dict[str, Any] | None:
    pair = _pair(native)
    return None if pair is None else {"base": pair[0], "quote": pair[1]}


def _linear(native: str) -> dict[str, Any] | None:
    if native.endswith("PERP"):
        return {"base": native[:-4], "quote": "USDC", "settle": "USDC"}
    dated = _DATED.fullmatch(native)
    name, expiry_ns = (native, None) if dated is None else (dated[1], _delivery(dated[2]))
    base, quote = name, "USDC"
    for candidate in ("USDT", "USDC"):
        if name.endswith(candidate) and len(name) > len(candidate):
            base, quote = name[: -len(candidate)], candidate
            break
    else:
        if dated is None:
            return None
    return {"base": base, "quote": quote, "settle": quote, "expiry_ns": expiry_ns}


def _inverse(native: str) -> dict[str, Any] | None:
    match = _INVERSE.fullmatch(native)
    if match is None:
        return None
    base, month, year = match.groups()
    expiry_ns = None if month is None else _last_friday(2000 + int(year), MONTHS[month])
    return {"base": base, "quote": "USD", "settle": base, "expiry_ns": expiry_ns}


def _option(native: str) -> dict[str, Any] | None:
    match = _OPTION.fullmatch(native)
    if match is None:
        return None
    base, date, strike, kind, quote = match.groups()
    # Without a suffix they are the older ones, quoted in USD and settled in USDC.
    return {
        "base": base,
        "quote": quote or "USD",
        "settle": quote or "USDC",
        "expiry_ns": _delivery(date),
        "strike": Decimal(strike),
        "option_kind": OptionKind.CALL if kind == "C" else OptionKind.PUT,
    }


_FIELDS: dict[Market, Callable[[str], dict[str, Any] | None]] = {
    Market.SPOT: _spot,
    Market.LINEAR: _linear,
    Market.INVERSE: _inverse,
    Market.OPTION: _option,
}
