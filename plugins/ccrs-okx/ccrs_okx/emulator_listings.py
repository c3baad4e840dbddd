"""What the emulated OKX lists: an invented choice of instruments, with plausible rules.

https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from ccrs_core import NS_PER_SECOND, InstrumentStatus, Market, OptionKind
from ccrs_core.emulator import BlackScholes, Listing, invented, quarters, utc_ns, years_until

SPOT, SWAP, FUTURES, OPTION = "SPOT", "SWAP", "FUTURES", "OPTION"
TYPES = (SPOT, SWAP, FUTURES, OPTION)

_HOUR_NS = 3600 * NS_PER_SECOND
_LAUNCH_NS = utc_ns(2023, 2, 6, 8)

# Coin, price, spot's tick and lot, contracts' tick and lot in base units, levels.
_COINS = (
    ("BTC", "104250.5", "0.1", "0.00000001", "0.1", "0.0001", 450),
    ("ETH", "3921.37", "0.01", "0.000001", "0.01", "0.001", 450),
    ("SOL", "187.42", "0.01", "0.000001", "0.01", "0.01", 200),
    ("XRP", "2.4113", "0.0001", "0.000001", "0.0001", "1", 200),
    ("DOGE", "0.23781", "0.00001", "0.000001", "0.00001", "10", 150),
    ("ADA", "0.8125", "0.0001", "0.0001", "0.0001", "1", 100),
    ("LTC", "112.45", "0.01", "0.000001", "0.01", "0.01", 100),
    ("LINK", "21.874", "0.001", "0.0001", "0.001", "0.01", 100),
    ("AVAX", "28.615", "0.001", "0.0001", "0.001", "0.01", 100),
    ("DOT", "4.1523", "0.0001", "0.0001", "0.0001", "0.01", 100),
)
_LIVELY = {"BTC": 1.0, "ETH": 0.8}
_INVENTED = 60


def contract_value(listing: Listing) -> Decimal:
    """What a contract is worth, in base units; of inverse ones in quote units."""
    if listing.market is Market.LINEAR:
        return listing.lot * 100
    return listing.lot if listing.market is Market.OPTION else listing.worth_of_one


def step(listing: Listing) -> Decimal:
    """The lot as OKX counts it: in contracts, of spot in base units."""
    if listing.market is Market.LINEAR:
        return Decimal("0.01")
    return Decimal(1) if listing.market is Market.OPTION else listing.lot


def family(listing: Listing) -> str:
    """``instFamily``: that of the unified margin has a name of its own; spot has none."""
    if listing.category == SPOT:
        return ""
    margin = "_UM" if listing.market is not Market.INVERSE and listing.settle == "USD" else ""
    return f"{listing.base}-{listing.quote}{margin}"


def is_x_perp(listing: Listing) -> bool:
    """Perpetuals that are listed as futures, whose expiry is a formality."""
    return "_XPERP-" in listing.symbol


@lru_cache(maxsize=4)
def listings(start_ns: int) -> tuple[Listing, ...]:
    """The instruments at a time; dated ones expire on the last Fridays of quarters after it."""
    found = [*_spot(), *_swaps(), *_futures(start_ns), *_options(start_ns)]
    return tuple(sorted(found, key=lambda listing: (TYPES.index(listing.category), listing.symbol)))


def _spot() -> Iterator[Listing]:
    for coin, price, tick, lot, _, _, levels in _COINS:
        # Deeper than any stream shows.
        deep = 120 if coin == "BTC" else 1_500
        for quote in ("USDT", "USDC") if coin in _LIVELY else ("USDT",):
            yield _pair(coin, quote, price, tick, lot, levels if quote == "USDT" else deep)
    yield _pair("ETH", "BTC", "0.03761", "0.00001", "0.000001", 120, level_value="0.2")
    status = InstrumentStatus.HALTED
    yield _pair("LUNA", "USDT", "0.1842", "0.0001", "0.0001", 60, status=status)
    status = InstrumentStatus.PRELAUNCH
    yield _pair("NOVA", "USDT", "1.25", "0.0001", "0.0001", 60, status=status)
    yield _pair("龙虾", "USDT", "0.0142", "0.00001", "0.01", 60, pace=0.1)
    for coin, about in islice(invented("okx/coins"), _INVENTED):
        yield _pair(coin, "USDT", about, "0.001", "0.01", 60, pace=0.2)


def _pair(
    coin: str, quote: str, price: str | Decimal, tick: str, lot: str, levels: int, **rest: Any
) -> Listing:
    values = {"level_value": 9_000, "pace": _LIVELY.get(coin, 0.3), **rest}
    return Listing(
        category=SPOT,
        symbol=f"{coin}-{quote}",
        market=Market.SPOT,
        base=coin,
        quote=quote,
        tick=tick,
        lot=lot,
        min_size=max(Decimal(lot), Decimal("0.00001")),
        max_size=9_999_999_999,
        price=price,
        levels=levels,
        launch_ns=_LAUNCH_NS,
        **values,
    )


def _swaps() -> Iterator[Listing]:
    for coin, price, _, _, tick, lot, levels in _COINS:
        yield _linear(coin, "USDT", price, tick, lot, levels)
    yield _linear("BTC", "USDC", "104247.9", "0.1", "0.0001", 120, pace=0.2)
    for coin, price, tick, levels in (
        ("BTC", "104250.5", "0.1", 450),
        ("ETH", "3921.37", "0.01", 200),
        *((coin, price, tick, 80) for coin, price, _, _, tick, _, _ in _COINS[2:]),
    ):
        yield _inverse(coin, price, tick, levels)


def _swap(coin: str, quote: str, tick: str, lot: str, levels: int, **rest: Any) -> Listing:
    values = {"category": SWAP, "symbol": f"{coin}-{quote}-SWAP", **rest}
    return Listing(
        base=coin,
        quote=quote,
        tick=tick,
        lot=lot,
        levels=levels,
        launch_ns=_LAUNCH_NS,
        funding_interval_ns=8 * _HOUR_NS,
        **values,
    )


def _linear(
    coin: str, quote: str, price: str, tick: str, lot: str, levels: int, **rest: Any
) -> Listing:
    values = {"level_value": 25_000, "pace": _LIVELY.get(coin, 0.1), **rest}
    values["contract"] = Decimal(lot) * 100
    return _swap(coin, quote, tick, lot, levels, price=price, market=Market.LINEAR, **values)


def _inverse(coin: str, price: str, tick: str, levels: int, **rest: Any) -> Listing:
    values = {
        "quote_per_contract": 100 if coin == "BTC" else 10,
        "max_size": 100_000_000,
        "level_value": 120_000,
        "pace": 0.6 if coin in _LIVELY else 0.1,
        **rest,
    }
    return _swap(coin, "USD", tick, "1", levels, price=price, market=Market.INVERSE, **values)


def _unified(coin: str, price: str, tick: str, lot: str, **rest: Any) -> Listing:
    """A linear contract of the unified margin, counted and settled in dollars."""
    return _linear(coin, "USD", price, tick, lot, 120, **{"pace": 0.2, **rest})


def _futures(start_ns: int) -> Iterator[Listing]:
    dates, listed = quarters(start_ns, 2), {"category": FUTURES}
    for day in dates:
        for coin, price, _, _, tick, lot, _ in _COINS[:2]:
            for each in (_unified(coin, price, tick, lot), _inverse(coin, price, tick, 120)):
                dearer = each.price * Decimal("1.012")
                symbol = f"{family(each)}-{day:%y%m%d}"
                yield each.dated(day, symbol, price=dearer, pace=0.05, **listed)
    coin, price, _, _, tick, lot, _ = _COINS[0]
    yield _unified(coin, price, tick, lot, symbol=f"{coin}-USD_UM_XPERP-310404", **listed)
    coin, price, _, _, tick, _, _ = _COINS[2]
    settling = _inverse(coin, price, tick, 60, status=InstrumentStatus.SETTLING, **listed)
    yield settling.dated(dates[0], f"{coin}-USD-{dates[0]:%y%m%d}")


_VOLATILITY = 0.5
# Coin, middle strike, distance of strikes, lot, margin.
_CHAINS = (
    ("BTC", 104_000, 4_000, "0.01", ""),
    ("ETH", 3_900, 200, "0.1", ""),
    ("SOL", 190, 10, "1", ""),
    ("BTC", 104_000, 4_000, "0.01", "_UM"),
)


def _worth(
    coin: str, strike: int, day: datetime, kind: OptionKind, dollars: bool, start_ns: int
) -> Decimal:
    """What an option is worth at first, as a multiple of all ticks of its family."""
    spot = next(float(price) for name, price, *_ in _COINS if name == coin)
    years = max(0.0, years_until(int(day.timestamp()) * NS_PER_SECOND, start_ns))
    value = BlackScholes.of(spot, strike, years, kind is OptionKind.CALL, _VOLATILITY).price
    tick = Decimal(10) if dollars else Decimal("0.0005")
    return max(1, round(Decimal(value if dollars else value / spot) / tick)) * tick


def _options(start_ns: int) -> Iterator[Listing]:
    for coin, middle, between, lot, margin in _CHAINS:
        dollars = bool(margin)
        for day in quarters(start_ns, 2):
            for offset in (-1, 0, 1):
                strike = middle + offset * between
                for kind in OptionKind:
                    worth = _worth(coin, strike, day, kind, dollars, start_ns)
                    code = f"{day:%y%m%d}-{strike}-{kind.value[0].upper()}"
                    option = Listing(
                        category=OPTION,
                        symbol="",
                        market=Market.OPTION,
                        base=coin,
                        quote="USD",
                        settle="USD" if dollars else coin,
                        tick=5 if dollars else "0.0001",
                        coarser=((200, 2),) if dollars else ((50, 5),),
                        underlying=(SWAP, f"{coin}-USD-SWAP"),
                        lot=lot,
                        contract=Decimal(lot),
                        max_size=Decimal(lot) * 1_000_000,
                        price=worth,
                        levels=40,
                        level_value=20_000 if dollars else Decimal("0.2"),
                        pace=0.05 if dollars else 0.5 if offset == 0 else 0.1,
                        launch_ns=_LAUNCH_NS,
                        strike=Decimal(strike),
                        option_kind=kind,
                    )
                    yield option.dated(day, f"{coin}-USD{margin}-{code}")
