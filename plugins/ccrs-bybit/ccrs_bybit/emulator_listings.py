"""What the emulated Bybit lists: an invented choice of instruments, with plausible rules.

https://bybit-exchange.github.io/docs/v5/market/instrument
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import attrs

from ccrs_core import NS_PER_SECOND, InstrumentStatus, Market, OptionKind
from ccrs_core.emulator import Greeks, Listing, quarters, years_until

SPOT, LINEAR, INVERSE, OPTION = "spot", "linear", "inverse", "option"
CATEGORIES = (SPOT, LINEAR, INVERSE, OPTION)
MARKETS = {
    SPOT: Market.SPOT,
    LINEAR: Market.LINEAR,
    INVERSE: Market.INVERSE,
    OPTION: Market.OPTION,
}

_HOUR_NS = 3600 * NS_PER_SECOND
_LAUNCH = datetime(2023, 3, 1, 8, tzinfo=UTC)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_QUARTER_LETTERS = {3: "H", 6: "M", 9: "U", 12: "Z"}
VOLATILITY = 0.55


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
_CONSONANTS, _VOWELS = "BDFGKLMNPRSTVZ", "AEIOU"


@lru_cache(maxsize=4)
def listings(start_ns: int) -> tuple[Listing, ...]:
    """The instruments at a time; dated ones expire on the Fridays after it."""
    found: list[Listing] = []
    found.extend(_spot())
    found.extend(_linear(start_ns))
    found.extend(_inverse(start_ns))
    found.extend(_options(start_ns))
    found.sort(key=lambda listing: (CATEGORIES.index(listing.category), listing.symbol))
    return tuple(found)


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * NS_PER_SECOND


def day_code(time: datetime) -> str:
    """How Bybit writes an expiry: ``27MAR26``, ``6FEB26``."""
    return f"{time.day}{_MONTHS[time.month - 1]}{time.year % 100:02d}"


def _spot() -> Iterator[Listing]:
    for coin in _COINS:
        for quote in ("USDT", "USDC"):
            if quote == "USDC" and coin.levels < 400:
                continue
            price, lot = Decimal(coin.price), Decimal(coin.spot_lot)
            yield Listing(
                category=SPOT,
                symbol=f"{coin.name}{quote}",
                market=Market.SPOT,
                base=coin.name,
                quote=quote,
                tick=Decimal(coin.spot_tick),
                lot=lot,
                min_size=_multiple(Decimal(1) / price, lot),
                max_size=_multiple(Decimal(8_000_000) / price, lot),
                min_notional=Decimal(5),
                price=price,
                levels=coin.levels if quote == "USDT" else 200,
                level_value=Decimal(9_000),
                launch_ns=_ns(_LAUNCH),
            )
    yield Listing(
        category=SPOT,
        symbol="ETHBTC",
        market=Market.SPOT,
        base="ETH",
        quote="BTC",
        tick=Decimal("0.000001"),
        lot=Decimal("0.0001"),
        min_size=Decimal("0.0001"),
        max_size=Decimal(2000),
        min_notional=Decimal("0.00005"),
        price=Decimal("0.037614"),
        level_value=Decimal("0.2"),
        pace=0.3,
        launch_ns=_ns(_LAUNCH),
    )
    yield Listing(
        category=SPOT,
        symbol="龙虾USDT",
        market=Market.SPOT,
        base="龙虾",
        quote="USDT",
        tick=Decimal("0.00001"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        max_size=Decimal(500_000),
        min_notional=Decimal(5),
        price=Decimal("0.0142"),
        pace=0.1,
        launch_ns=_ns(_LAUNCH),
    )


def _multiple(value: Decimal, step: Decimal) -> Decimal:
    return max(step, value // step * step)


def _linear(start_ns: int) -> Iterator[Listing]:
    for coin in _COINS:
        yield _perpetual(coin, f"{coin.name}USDT", "USDT", coin.levels)
        if coin.levels >= 1000:
            yield _perpetual(coin, f"{coin.name}PERP", "USDC", 300)
    for expiry in quarters(start_ns, 2):
        for coin in _COINS[:2]:
            for symbol, quote in (
                (f"{coin.name}USDT-{day_code(expiry)}", "USDT"),
                (f"{coin.name}-{day_code(expiry)}", "USDC"),
            ):
                perpetual = _perpetual(coin, symbol, quote, 150)
                years = years_until(_ns(expiry), start_ns)
                yield attrs.evolve(
                    perpetual,
                    price=perpetual.price * Decimal(1 + 0.06 * years),
                    expiry_ns=_ns(expiry),
                    funding_interval_ns=None,
                    pace=0.4,
                )
    # Delivered this morning, and gone from the lists that one gets without asking.
    coin, delivered = _COINS[0], _this_morning(start_ns)
    yield attrs.evolve(
        _perpetual(coin, f"{coin.name}USDT-{day_code(delivered)}", "USDT", 150),
        expiry_ns=_ns(delivered),
        funding_interval_ns=None,
        status=InstrumentStatus.SETTLING,
    )
    yield attrs.evolve(
        _perpetual(coin, "OLDUSDT", "USDT", 150), base="OLD", status=InstrumentStatus.CLOSED
    )
    yield from _invented()


def _this_morning(start_ns: int) -> datetime:
    """The last time at which dated contracts were delivered, 08:00 UTC."""
    now = datetime.fromtimestamp(start_ns // NS_PER_SECOND, UTC)
    morning = now.replace(hour=8, minute=0, second=0, microsecond=0)
    return morning if morning <= now else morning - timedelta(days=1)


def _perpetual(coin: _Coin, symbol: str, quote: str, levels: int) -> Listing:
    lot = Decimal(coin.lot)
    return Listing(
        category=LINEAR,
        symbol=symbol,
        market=Market.LINEAR,
        base=coin.name,
        quote=quote,
        settle=quote,
        tick=Decimal(coin.tick),
        lot=lot,
        min_size=lot,
        max_size=_multiple(Decimal(120_000_000) / Decimal(coin.price), lot),
        min_notional=Decimal(5),
        price=Decimal(coin.price),
        levels=levels,
        level_value=Decimal(25_000),
        launch_ns=_ns(_LAUNCH),
        funding_interval_ns=8 * _HOUR_NS,
    )


def _invented() -> Iterator[Listing]:
    """Small coins that don't exist: enough of them that lists need more than one page."""
    rng = random.Random("invented coins")
    names: set[str] = {coin.name for coin in _COINS}
    for number in range(_INVENTED):
        name = "BTC"
        while name in names:
            name = "".join(
                rng.choice(letters) for letters in (_CONSONANTS, _VOWELS, _CONSONANTS, _VOWELS)
            )
            name += rng.choice(("", "", "X", "N"))
        names.add(name)
        digits = rng.randrange(2, 7)
        price = Decimal(rng.randrange(1_000, 90_000)).scaleb(-digits)
        lot = Decimal(1) if price < 50 else Decimal("0.1")
        yield Listing(
            category=LINEAR,
            symbol=f"{name}USDT",
            market=Market.LINEAR,
            base=name,
            quote="USDT",
            settle="USDT",
            status=InstrumentStatus.PRELAUNCH if number % 260 == 259 else InstrumentStatus.TRADING,
            tick=Decimal(1).scaleb(-digits),
            lot=lot,
            min_size=lot,
            max_size=_multiple(Decimal(2_000_000) / price, lot),
            min_notional=Decimal(5),
            price=price,
            levels=120,
            level_value=Decimal(1_500),
            pace=0.2,
            launch_ns=_ns(_LAUNCH + timedelta(days=number)),
            funding_interval_ns=4 * _HOUR_NS,
        )


_INVERSE = (
    ("BTC", "104250.5", "0.50", 600),
    ("ETH", "3921.35", "0.05", 300),
    ("XRP", "2.4113", "0.0001", 200),
    ("SOL", "187.420", "0.010", 200),
)


def _inverse(start_ns: int) -> Iterator[Listing]:
    for base, price, tick, levels in _INVERSE:
        perpetual = Listing(
            category=INVERSE,
            symbol=f"{base}USD",
            market=Market.INVERSE,
            base=base,
            quote="USD",
            settle=base,
            tick=Decimal(tick),
            lot=Decimal(1),
            min_size=Decimal(1),
            max_size=Decimal(25_000_000),
            min_notional=Decimal(5),
            price=Decimal(price),
            levels=levels,
            level_value=Decimal(12_000),
            pace=0.6,
            launch_ns=_ns(_LAUNCH),
            funding_interval_ns=8 * _HOUR_NS,
        )
        yield perpetual
        if base in {"BTC", "ETH"}:
            for expiry in quarters(start_ns, 2):
                letter = _QUARTER_LETTERS[expiry.month]
                yield attrs.evolve(
                    perpetual,
                    symbol=f"{base}USD{letter}{expiry.year % 100:02d}",
                    levels=150,
                    pace=0.2,
                    expiry_ns=_ns(expiry),
                    funding_interval_ns=None,
                )


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
    for base, spot, tick, lot, step in _CHAINS:
        small = base not in {"BTC", "ETH"}
        middle = round(Decimal(spot) / step) * step
        for expiry in quarters(start_ns, 1 if small else 2):
            years = years_until(_ns(expiry), start_ns)
            for offset in (-1, 0, 1) if small else (-2, -1, 0, 1, 2):
                strike = Decimal(middle + offset * step)
                for kind in OptionKind:
                    yield _option(base, expiry, strike, kind, Decimal(tick), Decimal(lot), years)
        if not small:
            # In its last minutes nobody trades it; unlike contracts, it is listed all the same.
            gone = _option(
                base, delivered, Decimal(middle), OptionKind.CALL, Decimal(tick), Decimal(lot), 0.0
            )
            yield attrs.evolve(gone, status=InstrumentStatus.SETTLING)


def _option(
    base: str,
    expiry: datetime,
    strike: Decimal,
    kind: OptionKind,
    tick: Decimal,
    lot: Decimal,
    years: float,
) -> Listing:
    spot = next(float(price) for coin, price, *_ in _CHAINS if coin == base)
    value = Greeks.of(spot, float(strike), years, kind is OptionKind.CALL, VOLATILITY).price
    letter = "C" if kind is OptionKind.CALL else "P"
    return Listing(
        category=OPTION,
        symbol=f"{base}-{day_code(expiry)}-{strike:f}-{letter}-USDT",
        market=Market.OPTION,
        base=base,
        quote="USDT",
        settle="USDT",
        tick=tick,
        lot=lot,
        min_size=lot,
        max_size=lot * 50_000,
        price=max(tick, Decimal(str(round(value, 5))) // tick * tick),
        levels=110,
        level_value=Decimal(8_000),
        pace=0.1,
        launch_ns=_ns(_LAUNCH),
        expiry_ns=_ns(expiry),
        strike=strike,
        option_kind=kind,
    )
