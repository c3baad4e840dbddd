"""What the emulated Bybit lists: an invented choice of instruments, with plausible rules.

https://bybit-exchange.github.io/docs/v5/market/instrument
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

import attrs

from ccrs_core import NS_PER_SECOND, InstrumentStatus, Market, OptionKind
from ccrs_core.emulator import BlackScholes, Listing, invented, quarters, utc_ns, years_until

SPOT, LINEAR, INVERSE, OPTION = "spot", "linear", "inverse", "option"
CATEGORIES = (SPOT, LINEAR, INVERSE, OPTION)
MARKETS = {
    SPOT: Market.SPOT,
    LINEAR: Market.LINEAR,
    INVERSE: Market.INVERSE,
    OPTION: Market.OPTION,
}

_HOUR_NS = 3600 * NS_PER_SECOND
_LAUNCH_NS, _DAY_NS = utc_ns(2023, 3, 1, 8), 24 * _HOUR_NS
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_QUARTER_LETTERS = {3: "H", 6: "M", 9: "U", 12: "Z"}
VOLATILITY = 0.5


@attrs.frozen
class _Coin:
    """A well-known coin: its price and the steps of its instruments."""

    name: str
    price: str
    spot_tick: str
    spot_lot: str
    tick: str
    lot: str
    levels: int


_COINS = (
    _Coin("BTC", "104250.5", "0.1", "0.000001", "0.10", "0.001", 1100),
    _Coin("ETH", "3921.37", "0.01", "0.00001", "0.01", "0.01", 1100),
    _Coin("SOL", "187.42", "0.01", "0.001", "0.010", "0.1", 1050),
    _Coin("XRP", "2.4113", "0.0001", "0.01", "0.0001", "0.1", 1050),
    _Coin("DOGE", "0.23781", "0.00001", "0.1", "0.00001", "1", 400),
    _Coin("BNB", "968.3", "0.1", "0.0001", "0.10", "0.01", 400),
    _Coin("ADA", "0.8125", "0.0001", "0.01", "0.0001", "1", 400),
    _Coin("LTC", "112.45", "0.01", "0.00001", "0.01", "0.1", 250),
    _Coin("LINK", "21.874", "0.001", "0.001", "0.001", "0.1", 250),
    _Coin("AVAX", "28.615", "0.001", "0.001", "0.001", "0.1", 250),
    _Coin("DOT", "4.1523", "0.0001", "0.001", "0.0001", "0.1", 250),
    _Coin("TRX", "0.32412", "0.00001", "0.01", "0.00001", "1", 250),
)
_INVENTED = 520


@lru_cache(maxsize=4)
def listings(start_ns: int) -> tuple[Listing, ...]:
    """The instruments at a time; dated ones expire on the Fridays after it."""
    found = [*_spot(), *_linear(start_ns), *_inverse(start_ns), *_options(start_ns)]
    found.sort(key=lambda listing: (CATEGORIES.index(listing.category), listing.symbol))
    return tuple(found)


def _listing(category: str, symbol: str, base: str, quote: str, **rest: Any) -> Listing:
    values = {
        "launch_ns": _LAUNCH_NS,
        "funding_interval_ns": 8 * _HOUR_NS if category in {LINEAR, INVERSE} else None,
        "min_notional": 0 if category == OPTION else 5,
        **rest,
    }
    return Listing(
        category=category, symbol=symbol, market=MARKETS[category], base=base, quote=quote, **values
    )


def day_code(time: datetime) -> str:
    """How Bybit writes an expiry: ``27MAR26``, ``6FEB26``."""
    return f"{time.day}{_MONTHS[time.month - 1]}{time.year % 100:02d}"


def _multiple(value: Decimal, step: str) -> Decimal:
    return max(Decimal(step), value // Decimal(step) * Decimal(step))


def _spot() -> Iterator[Listing]:
    for coin in _COINS:
        for quote in ("USDT", "USDC") if coin.levels >= 400 else ("USDT",):
            yield _listing(
                *(SPOT, f"{coin.name}{quote}", coin.name, quote),
                price=coin.price,
                tick=coin.spot_tick,
                lot=coin.spot_lot,
                min_size=_multiple(1 / Decimal(coin.price), coin.spot_lot),
                max_size=_multiple(8_000_000 / Decimal(coin.price), coin.spot_lot),
                levels=coin.levels if quote == "USDT" else 200,
                level_value=9_000,
            )
    numbers = {"price": "0.037614", "tick": "0.000001", "lot": "0.0001", "max_size": 2000}
    quoted = {"min_notional": "0.00005", "level_value": "0.2", "pace": 0.3}
    yield _listing(SPOT, "ETHBTC", "ETH", "BTC", **numbers, **quoted)
    numbers = {"price": "0.0142", "tick": "0.00001", "lot": "0.01", "max_size": 500_000}
    yield _listing(SPOT, "龙虾USDT", "龙虾", "USDT", **numbers, pace=0.1)


def _linear(start_ns: int) -> Iterator[Listing]:
    for coin in _COINS:
        yield _perpetual(coin, f"{coin.name}USDT", "USDT", coin.levels)
        if coin.levels >= 1000:
            yield _perpetual(coin, f"{coin.name}PERP", "USDC", 300)
    for expiry in quarters(start_ns, 2):
        for coin in _COINS[:2]:
            for symbol, quote in ((f"{coin.name}USDT", "USDT"), (coin.name, "USDC")):
                dated = _perpetual(coin, "", quote, 150).dated(
                    expiry, f"{symbol}-{day_code(expiry)}", pace=0.4
                )
                years = years_until(dated.expiry_ns or 0, start_ns)
                yield attrs.evolve(dated, price=dated.price * Decimal(1 + 0.06 * years))
    # Delivered this morning, and gone from the lists that one gets without asking.
    coin, delivered, status = _COINS[0], _this_morning(start_ns), InstrumentStatus.SETTLING
    gone = _perpetual(coin, "", "USDT", 150, status=status)
    yield gone.dated(delivered, f"{coin.name}USDT-{day_code(delivered)}")
    yield _perpetual(coin, "OLDUSDT", "USDT", 150, base="OLD", status=InstrumentStatus.CLOSED)
    yield from _small()


def _this_morning(start_ns: int) -> datetime:
    """The last time at which dated contracts were delivered, 08:00 UTC."""
    now = datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC)
    morning = now.replace(hour=8, minute=0, second=0, microsecond=0)
    return morning if morning <= now else morning - timedelta(days=1)


def _perpetual(coin: _Coin, symbol: str, quote: str, levels: int, **rest: Any) -> Listing:
    values = {
        "base": coin.name,
        "price": coin.price,
        "tick": coin.tick,
        "lot": coin.lot,
        "max_size": _multiple(120_000_000 / Decimal(coin.price), coin.lot),
        "levels": levels,
        "level_value": 25_000,
        **rest,
    }
    return _listing(LINEAR, symbol, quote=quote, **values)


def _small() -> Iterator[Listing]:
    """Coins that don't exist: enough of them that lists need more than one page."""
    for number, (name, about) in enumerate(islice(invented("bybit/coins"), _INVENTED)):
        digits = 2 + number % 5
        price = about.scaleb(3 - digits)
        lot = "1" if price < 50 else "0.1"
        soon = number % 260 == 259
        yield _listing(
            *(LINEAR, f"{name}USDT", name, "USDT"),
            status=InstrumentStatus.PRELAUNCH if soon else InstrumentStatus.TRADING,
            price=price,
            tick=Decimal(1).scaleb(-digits),
            lot=lot,
            max_size=_multiple(2_000_000 / price, lot),
            levels=120,
            level_value=1_500,
            pace=0.2,
            launch_ns=_LAUNCH_NS + number * _DAY_NS,
            funding_interval_ns=4 * _HOUR_NS,
        )


_INVERSE = (
    ("BTC", "104250.5", "0.50", 600),
    ("ETH", "3921.35", "0.05", 300),
    ("XRP", "2.4113", "0.0001", 200),
    ("SOL", "187.420", "0.010", 200),
)


def _inverse(start_ns: int) -> Iterator[Listing]:
    sizes = {"lot": 1, "max_size": 25_000_000, "level_value": 12_000}
    for base, price, tick, levels in _INVERSE:
        steps = {"price": price, "tick": tick, "levels": levels, "pace": 0.6}
        perpetual = _listing(INVERSE, f"{base}USD", base, "USD", **sizes, **steps)
        yield perpetual
        for expiry in quarters(start_ns, 2) if base in {"BTC", "ETH"} else ():
            code = f"{_QUARTER_LETTERS[expiry.month]}{expiry.year % 100:02d}"
            yield perpetual.dated(expiry, f"{base}USD{code}", levels=150, pace=0.2)


# Coin, price, tick, lot, distance of strikes. (MNT has options now and then.)
_CHAINS = (
    ("BTC", "104250.5", "5", "0.01", 5_000),
    ("ETH", "3921.37", "0.1", "0.1", 250),
    ("SOL", "187.42", "0.01", "1", 10),
    ("XRP", "2.4113", "0.0001", "100", Decimal("0.1")),
    ("DOGE", "0.23781", "0.00001", "1000", Decimal("0.01")),
)


def _options(start_ns: int) -> Iterator[Listing]:
    delivered = _this_morning(start_ns)
    for chain in _CHAINS:
        base, spot, _, _, step = chain
        small = base not in {"BTC", "ETH"}
        middle = round(Decimal(spot) / step) * step
        for expiry in quarters(start_ns, 1 if small else 2):
            for offset in (-1, 0, 1) if small else (-2, -1, 0, 1, 2):
                for kind in OptionKind:
                    yield _option(chain, expiry, Decimal(middle + offset * step), kind, start_ns)
        if not small:
            # In its last minutes nobody trades it; unlike contracts, it is listed all the same.
            gone = _option(chain, delivered, Decimal(middle), OptionKind.CALL, start_ns)
            yield attrs.evolve(gone, status=InstrumentStatus.SETTLING)


def _option(
    chain: tuple[str, str, str, str, Any],
    expiry: datetime,
    strike: Decimal,
    kind: OptionKind,
    start_ns: int,
) -> Listing:
    base, spot, tick, lot, _ = chain
    years = max(0.0, years_until(int(expiry.timestamp()) * NS_PER_SECOND, start_ns))
    call = kind is OptionKind.CALL
    value = BlackScholes.of(float(spot), float(strike), years, call, VOLATILITY).price
    option = _listing(
        *(OPTION, "", base, "USDT"),
        tick=tick,
        lot=lot,
        max_size=Decimal(lot) * 50_000,
        price=max(Decimal(tick), Decimal(str(round(value, 5))) // Decimal(tick) * Decimal(tick)),
        levels=110,
        level_value=8_000,
        pace=0.1,
        strike=strike,
        option_kind=kind,
        underlying=(LINEAR, f"{base}USDT"),
    )
    symbol = f"{base}-{day_code(expiry)}-{strike:f}-{'C' if call else 'P'}-USDT"
    return option.dated(expiry, symbol)
