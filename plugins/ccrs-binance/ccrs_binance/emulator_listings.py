"""What the emulated Binance lists: an invented choice of instruments, with plausible rules.

https://developers.binance.com/docs/binance-spot-api-docs/filters
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ccrs_core import NS_PER_SECOND, InstrumentStatus, Market
from ccrs_core.emulator import Listing, quarters

SPOT, USDM, COINM = "spot", "usdm", "coinm"
MARKETS = {SPOT: Market.SPOT, USDM: Market.LINEAR, COINM: Market.INVERSE}

_HOUR_NS = 3600 * NS_PER_SECOND
_LAUNCH_NS = int(datetime(2022, 9, 5, 8, tzinfo=UTC).timestamp()) * NS_PER_SECOND

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
_DEEP: dict[str, Any] = {"levels": 3000, "pace": 0.02}
_CONSONANTS, _VOWELS = "BDFGKLMNPRSTVZ", "AEIOU"


@lru_cache(maxsize=4)
def listings(start_ns: int) -> tuple[Listing, ...]:
    """The instruments at a time; dated ones expire on the last Fridays of the quarters after it."""
    found = [*_spot(), *_perpetuals(), *_dated(start_ns), *_coin_margined(start_ns)]
    return tuple(sorted(found, key=lambda listing: listing.key))


def _listing(
    category: str, coin: str, quote: str, price: Decimal, tick: str, lot: str, **rest: object
) -> Listing:
    step = Decimal(lot)
    futures = category != SPOT
    values: dict[str, object] = {
        "category": category,
        "symbol": f"{coin}{quote}",
        "market": MARKETS[category],
        "base": coin,
        "quote": quote,
        "settle": quote if futures else None,
        "tick": Decimal(tick),
        "lot": step,
        "min_size": step,
        "max_size": step * 10_000_000,
        "min_notional": Decimal(5),
        "price": price,
        "levels": 200,
        "launch_ns": _LAUNCH_NS,
        "funding_interval_ns": 8 * _HOUR_NS if futures else None,
        **rest,
    }
    return Listing(**values)  # type: ignore[arg-type]


def _invented() -> Iterator[tuple[str, Decimal]]:
    """Coins that don't exist, so that hundreds of books can be asked for."""
    rng = random.Random("binance/coins")
    names: set[str] = set()
    while len(names) < _INVENTED:
        letters = (_CONSONANTS, _VOWELS, _CONSONANTS, _VOWELS, _CONSONANTS)
        name = "".join(rng.choice(each) for each in letters)
        if name not in names:
            names.add(name)
            yield name, Decimal(rng.randrange(1000, 90000)).scaleb(-3)


def _spot() -> Iterator[Listing]:
    for coin, price, tick, lot, _, _ in _COINS:
        for quote in ("USDT", "FDUSD") if coin in {"BTC", "ETH"} else ("USDT",):
            yield _listing(SPOT, coin, quote, Decimal(price), tick, lot)
    yield _listing(SPOT, "ETH", "BTC", Decimal("0.03761"), "0.00001000", "0.00010000")
    yield _listing(
        *(SPOT, "LUNA", "USDT", Decimal("0.1842"), "0.00010000", "0.01000000"),
        status=InstrumentStatus.HALTED,
    )
    yield _listing(
        *(SPOT, "BCC", "BTC", Decimal("0.0813"), "0.00000100", "0.00100000"),
        status=InstrumentStatus.CLOSED,
    )
    yield _listing(
        *(SPOT, "PEPE", "USDT", Decimal("0.08412345"), "0.00000001", "1.00000000"), **_DEEP
    )
    for coin, about in _invented():
        pace = {"levels": 60, "pace": 0.2}
        yield _listing(SPOT, coin, "USDT", about, "0.00100000", "0.10000000", **pace)


def _perpetuals() -> Iterator[Listing]:
    for coin, price, _, _, tick, lot in _COINS:
        yield _listing(USDM, coin, "USDT", Decimal(price), tick, lot)
    yield _listing(USDM, "BTC", "USDC", Decimal("104247.9"), "0.1", "0.001")
    hourly = {"funding_interval_ns": 4 * _HOUR_NS, "levels": 80, "pace": 0.5}
    yield _listing(USDM, "MEGADROP", "USDT", Decimal("0.0512"), "0.00001", "1", **hourly)
    yield _listing(
        *(USDM, "SETTLED", "USDT", Decimal("1.5"), "0.0001", "1"),
        status=InstrumentStatus.SETTLING,
    )
    yield _listing(
        *(USDM, "OMG", "USDT", Decimal("0.2412"), "0.0001", "0.1"), status=InstrumentStatus.CLOSED
    )
    yield _listing(
        *(USDM, "SOON", "USDT", Decimal("3.1"), "0.0001", "0.1"), status=InstrumentStatus.PRELAUNCH
    )
    yield _listing(USDM, "1000PEPE", "USDT", Decimal("84.1234567"), "0.0000001", "1", **_DEEP)
    yield _listing(USDM, "币安人生", "USDT", Decimal("0.1532"), "0.00001", "1", pace=0.5)
    for coin, about in _invented():
        pace = {"levels": 60, "pace": 0.2}
        yield _listing(USDM, coin, "USDT", about, "0.0010", "0.1", **pace)


def _dated(start_ns: int) -> Iterator[Listing]:
    for day in quarters(start_ns, 2):
        for coin, price, tick in (("BTC", "105312.4", "0.1"), ("ETH", "3961.22", "0.01")):
            yield _listing(
                *(USDM, coin, "USDT", Decimal(price), tick, "0.001"),
                symbol=f"{coin}USDT_{day:%y%m%d}",
                expiry_ns=int(day.timestamp()) * NS_PER_SECOND,
                funding_interval_ns=None,
                pace=0.5,
            )


def _coin_margined(start_ns: int) -> Iterator[Listing]:
    for coin, price, tick in (("BTC", "104238.7", "0.1"), ("ETH", "3920.88", "0.01")):
        rules: dict[str, Any] = {
            "settle": coin,
            "contract_size": Decimal(100 if coin == "BTC" else 10),
            "max_size": Decimal(1_000_000),
            "min_notional": Decimal(0),
        }
        head = (COINM, coin, "USD", Decimal(price), tick, "1")
        yield _listing(*head, symbol=f"{coin}USD_PERP", **rules)
        for day in quarters(start_ns, 2):
            yield _listing(
                *head,
                symbol=f"{coin}USD_{day:%y%m%d}",
                expiry_ns=int(day.timestamp()) * NS_PER_SECOND,
                pace=0.5,
                **{**rules, "funding_interval_ns": None},
            )
