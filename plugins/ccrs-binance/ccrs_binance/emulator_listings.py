"""What the emulated Binance lists: an invented choice of instruments, with plausible rules.

https://developers.binance.com/docs/binance-spot-api-docs/filters
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from ccrs_core import NS_PER_SECOND, InstrumentStatus, Market
from ccrs_core.emulator import Listing, invented, quarters, utc_ns

SPOT, USDM, COINM = "spot", "usdm", "coinm"
MARKETS = {SPOT: Market.SPOT, USDM: Market.LINEAR, COINM: Market.INVERSE}
CATEGORIES = {market: category for category, market in MARKETS.items()}

_HOUR_NS = 3600 * NS_PER_SECOND
_LAUNCH_NS = utc_ns(2022, 9, 5, 8)

# Coin, price, spot's tick and lot, futures' tick and lot.
_COINS = (
    ("BTC", "104250.51", "0.01000000", "0.00001000", "0.10", "0.001"),
    ("ETH", "3921.37", "0.01000000", "0.00010000", "0.01", "0.001"),
    ("SOL", "187.42", "0.01000000", "0.00100000", "0.0100", "0.01"),
    ("XRP", "2.4113", "0.00010000", "0.10000000", "0.0001", "0.1"),
    ("DOGE", "0.23781", "0.00001000", "1.00000000", "0.000010", "1"),
    ("BNB", "968.3", "0.01000000", "0.00100000", "0.010", "0.01"),
    ("ADA", "0.8125", "0.00010000", "0.10000000", "0.00010", "1"),
    ("LTC", "112.45", "0.01000000", "0.00100000", "0.01", "0.001"),
    ("LINK", "21.874", "0.00100000", "0.01000000", "0.001", "0.01"),
    ("AVAX", "28.615", "0.00100000", "0.01000000", "0.0010", "1"),
)
_INVENTED = 330
_SMALL: dict[str, Any] = {"levels": 60, "pace": 0.2}
_DEEP: dict[str, Any] = {"levels": 3000, "pace": 0.02}


@lru_cache(maxsize=4)
def listings(start_ns: int) -> tuple[Listing, ...]:
    """The instruments at a time; dated ones expire on the last Fridays of the quarters after it."""
    found = [*_spot(), *_perpetuals(), *_dated(start_ns), *_coin_margined(start_ns)]
    return tuple(sorted(found, key=lambda listing: listing.key))


def _listing(
    category: str, coin: str, quote: str, price: str | Decimal, tick: str, lot: str, **rest: Any
) -> Listing:
    values = {
        "symbol": f"{coin}{quote}",
        "min_notional": 5,
        "levels": 200,
        "funding_interval_ns": None if category == SPOT else 8 * _HOUR_NS,
        **rest,
    }
    return Listing(
        category=category,
        market=MARKETS[category],
        base=coin,
        quote=quote,
        price=price,
        tick=tick,
        lot=lot,
        launch_ns=_LAUNCH_NS,
        **values,
    )


def _spot() -> Iterator[Listing]:
    for coin, price, tick, lot, _, _ in _COINS:
        for quote in ("USDT", "FDUSD") if coin in {"BTC", "ETH"} else ("USDT",):
            yield _listing(SPOT, coin, quote, price, tick, lot)
    yield _listing(SPOT, "ETH", "BTC", "0.03761", "0.00001000", "0.00010000")
    status = InstrumentStatus.HALTED
    yield _listing(SPOT, "LUNA", "USDT", "0.1842", "0.00010000", "0.01000000", status=status)
    status = InstrumentStatus.CLOSED
    yield _listing(SPOT, "BCC", "BTC", "0.0813", "0.00000100", "0.00100000", status=status)
    yield _listing(SPOT, "PEPE", "USDT", "0.08412345", "0.00000001", "1.00000000", **_DEEP)
    for coin, about in islice(invented("binance/coins"), _INVENTED):
        yield _listing(SPOT, coin, "USDT", about, "0.00100000", "0.10000000", **_SMALL)


def _perpetuals() -> Iterator[Listing]:
    for coin, price, _, _, tick, lot in _COINS:
        yield _listing(USDM, coin, "USDT", price, tick, lot)
    yield _listing(USDM, "BTC", "USDC", "104247.9", "0.1", "0.001")
    hourly = {"funding_interval_ns": 4 * _HOUR_NS, "levels": 80, "pace": 0.5}
    yield _listing(USDM, "MEGADROP", "USDT", "0.0512", "0.00001", "1", **hourly)
    for coin, price, tick, lot, status in (
        ("SETTLED", "1.5", "0.0001", "1", InstrumentStatus.SETTLING),
        ("OMG", "0.2412", "0.0001", "0.1", InstrumentStatus.CLOSED),
        ("SOON", "3.1", "0.0001", "0.1", InstrumentStatus.PRELAUNCH),
    ):
        yield _listing(USDM, coin, "USDT", price, tick, lot, status=status)
    yield _listing(USDM, "1000PEPE", "USDT", "84.1234567", "0.0000001", "1", **_DEEP)
    yield _listing(USDM, "币安人生", "USDT", "0.1532", "0.00001", "1", pace=0.5)
    for coin, about in islice(invented("binance/coins"), _INVENTED):
        yield _listing(USDM, coin, "USDT", about, "0.0010", "0.1", **_SMALL)


def _dated(start_ns: int) -> Iterator[Listing]:
    for day in quarters(start_ns, 2):
        for coin, price, tick in (("BTC", "105312.4", "0.1"), ("ETH", "3961.22", "0.01")):
            contract = _listing(USDM, coin, "USDT", price, tick, "0.001", pace=0.5)
            yield contract.dated(day, f"{coin}USDT_{day:%y%m%d}")


def _coin_margined(start_ns: int) -> Iterator[Listing]:
    for coin, price, tick, dollars in (
        ("BTC", "104238.7", "0.1", 100),
        ("ETH", "3920.88", "0.01", 10),
    ):
        rules = {"quote_per_contract": dollars, "max_size": 1_000_000, "min_notional": 0}
        symbol = f"{coin}USD_PERP"
        perpetual = _listing(COINM, coin, "USD", price, tick, "1", symbol=symbol, **rules)
        yield perpetual
        for day in quarters(start_ns, 2):
            yield perpetual.dated(day, f"{coin}USD_{day:%y%m%d}", pace=0.5)
