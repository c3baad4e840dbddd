"""What recordings made by other programs hold: their frames name channels and instruments.

Best effort, for replays only: instruments are cut out of their names, and what a contract is worth
isn't told by frames, so that sizes of contracts stay in contracts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from ccrs_core import (
    NS_PER_SECOND,
    Channel,
    Instrument,
    Market,
    OptionKind,
    SizeUnit,
    Subscription,
    UsageError,
    market_of,
    unified_symbol,
)
from ccrs_core.wire import Stream
from ccrs_okx.channels import BOOKS, CHANNELS
from ccrs_okx.codec import INTERVALS
from ccrs_okx.exchange import Okx
from ccrs_okx.options import SUMMARY
from ccrs_okx.symbols import EXCHANGE
from ccrs_okx.unnumbered import LIQUIDATIONS


def _names(stream: Stream) -> list[str]:
    return [name.partition(":")[0] for name, _ in ((stream.name, stream.reads), *stream.also)]


UNIFIED = {
    **{name: channel for channel, stream in CHANNELS.items() for name in _names(stream)},
    LIQUIDATIONS: Channel.LIQUIDATIONS,
    SUMMARY: Channel.GREEKS,
}
DEPTHS = {name: depth for depth, stream in BOOKS.items() for name in _names(stream)}
UNIFIED_INTERVALS = {native: unified for unified, native in INTERVALS.items()}

_NATIVE = re.compile(
    r"(?P<base>[^-]+)-(?P<quote>[^-_]+)(?P<unified>_UM(?P<perpetual>_XPERP)?)?"
    r"(?:-(?:SWAP|(?P<day>\d{6})(?:-(?P<strike>[\d.]+)-(?P<kind>[CP]))?))?",
    re.ASCII,
)


def subscriptions_in(frames: Iterable[bytes], market: Market | None) -> Sequence[Subscription]:
    """The subscriptions that frames belong to, in the order of their first appearance."""
    found: dict[Subscription, None] = {}
    for frame in frames:
        for channel, native in _named(frame):
            instrument = instrument_of(native)
            if instrument is None or (market is not None and instrument.market is not market):
                continue
            subscription = _subscription(channel, instrument)
            if subscription is not None:
                found[subscription] = None
    return tuple(found)


def _named(frame: bytes) -> Iterable[tuple[str, str]]:
    """The channel and the instruments that a data frame is about."""
    try:
        message = orjson.loads(frame)
    except ValueError:
        return
    arg = message.get("arg") if type(message) is dict else None
    if type(arg) is not dict or "data" not in message or type(arg.get("channel")) is not str:
        return
    if type(arg.get("instId")) is str:
        yield arg["channel"], arg["instId"]
    elif arg["channel"] in {LIQUIDATIONS, SUMMARY} and type(message["data"]) is list:
        for row in message["data"]:
            if type(row) is dict and type(row.get("instId")) is str:
                yield arg["channel"], row["instId"]


def _subscription(name: str, instrument: Instrument) -> Subscription | None:
    found = _named_subscription(name, instrument)
    # What can't be subscribed to, such as liquidations of spot margin, has no route either.
    offered = Okx.capabilities.channels[instrument.market]
    return found if found is not None and found.channel in offered else None


def _named_subscription(name: str, instrument: Instrument) -> Subscription | None:
    if name.startswith("candle"):
        # Those that begin at midnight in Hong Kong are other candles than the unified ones.
        interval = UNIFIED_INTERVALS.get(name.removeprefix("candle"))
        if interval is None:
            return None
        return Subscription(Channel.CANDLES, instrument, interval=interval)
    if name in DEPTHS:
        return Subscription(Channel.BOOK, instrument, depth=DEPTHS[name])
    return Subscription(UNIFIED[name], instrument) if name in UNIFIED else None


def instrument_of(native: str) -> Instrument | None:
    """The instrument that a native symbol most likely names; None where it looks like none."""
    match = _NATIVE.fullmatch(native)
    if match is None:
        return None
    base, quote = match["base"], match["quote"]
    fields: dict[str, Any] = {"base": base, "quote": quote}
    dated, strike = match["day"], match["strike"]
    try:
        if dated or native.endswith("-SWAP"):
            # Contracts in dollars are settled in the coin, those of the unified margin in dollars.
            fields["settle"] = base if quote == "USD" and not match["unified"] else quote
        if dated and not match["perpetual"]:
            fields["expiry_ns"] = _expiry_ns(dated)
        if strike:
            fields["strike"] = Decimal(strike)
            fields["option_kind"] = OptionKind.CALL if match["kind"] == "C" else OptionKind.PUT
        if match["unified"] and "settle" not in fields:
            return None
        symbol = unified_symbol(**fields)
        market = market_of(symbol)
    except (UsageError, ValueError, InvalidOperation, OverflowError):
        return None
    if market is not Market.SPOT:
        fields["size_unit"] = SizeUnit.CONTRACTS
    return Instrument(exchange=EXCHANGE, symbol=symbol, native=native, market=market, **fields)


def _expiry_ns(day: str) -> int:
    """08:00 UTC on a day such as 260327."""
    moment = datetime.strptime(day, "%y%m%d").replace(hour=8, tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_SECOND


__all__ = ["instrument_of", "subscriptions_in"]
