"""How the emulated OKX spells numbers, and what it says of a market.

Written from OKX's documents and recorded frames, on purpose without the plugin's codec.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ccrs_core import Market, Side
from ccrs_core.emulator import (
    Bar,
    Figure,
    ForcedClose,
    Levels,
    Listing,
    SimulatedMarket,
    SpelledLevel,
    Speller,
    Steps,
    TapeTrade,
    milliseconds,
    trimmed,
)
from ccrs_okx.emulator_listings import OPTION, SPOT, contract_value, family, is_x_perp, step

SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
STATES = {"prelaunch": "preopen", "halted": "suspend", "settling": "settling", "closed": "expired"}
_CHECKED = 25
_X_PERP_EXPIRY = "1933056000000"  # 2031-04-04 08:00 UTC


def ms(time_ns: int) -> str:
    """A time as OKX writes it: milliseconds, as text."""
    return str(milliseconds(time_ns))


def source(trade: TapeTrade) -> str:
    """Whose order traded: "1" where it was one of the retail price improvement programme."""
    return "1" if trade.rpi else "0"


class OkxSpeller(Speller):
    """A market's numbers as OKX writes them: sizes in contracts, nothing with trailing zeros."""

    def __init__(self, market: SimulatedMarket) -> None:
        super().__init__(market)
        self.price = market.rules.price.trimmed
        self.size = Steps(step(market.listing)).trimmed
        rng = random.Random(f"okx/trades/{market.listing.symbol}")
        self._ids = rng.randrange(10**7, 10**9)

    def trade_id(self, trade: TapeTrade) -> str:
        return str(self._ids + trade.number)

    def levels(self, levels: Levels, side: Side) -> list[SpelledLevel]:
        """Levels of a side, best first; those that are gone have size 0."""
        engine = self.market.engine
        ladder = engine.bids if side is Side.BUY else engine.asks
        found: list[SpelledLevel] = []
        for price, size in levels:
            level = ladder.levels.get(price * ladder.sign) if size else None
            orders = len(level.orders) if level is not None else 0
            found.append([self.price(price), self.size(size), "0", str(orders)])
        return found

    def turnover(self, lots: int, units: int) -> tuple[str, str]:
        """What was traded: in the base currency (spot: the quote currency), and in the quote
        currency."""
        listing = self.listing
        value = listing.tick * listing.lot * units
        if listing.market is Market.INVERSE:
            return trimmed(Decimal(units).scaleb(-8)), trimmed(
                listing.lot * lots * listing.worth_of_one
            )
        if listing.category == SPOT:
            return trimmed(value), trimmed(value)
        return trimmed(listing.lot * lots), trimmed(value)

    def candle(self, bar: Bar, closed: bool) -> list[str]:
        prices = (self.price(price) for price in (bar.open, bar.high, bar.low, bar.close))
        volumes = self.size(bar.lots), *self.turnover(bar.lots, bar.turnover)
        return [ms(bar.open_ns), *prices, *volumes, "1" if closed else "0"]


class RetailSpeller(OkxSpeller):
    """Levels of which a part is orders of retail price improvement: price, all, all others."""

    def levels(self, levels: Levels, side: Side) -> list[SpelledLevel]:
        found: list[SpelledLevel] = []
        rows = super().levels(levels, side)
        for (at, total, _, orders), (price, size) in zip(rows, levels, strict=True):
            others = self.size(size - (size // 4 if price % 3 == 0 else 0))
            found.append([at, total, others, orders])
        return found


def checksum(bids: Sequence[SpelledLevel], asks: Sequence[SpelledLevel]) -> int:
    """The CRC-32 of a book's best levels, as OKX computed it until 2026."""
    parts: list[str] = []
    for place in range(_CHECKED):
        for side in (bids, asks):
            if len(side) > place:
                parts += side[place][:2]
    value = zlib.crc32(":".join(parts).encode("ascii"))
    return value if value < 1 << 31 else value - (1 << 32)


def ticker(speller: OkxSpeller, now_ns: int) -> dict[str, str]:
    """https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-ticker"""
    market, listing = speller.market, speller.listing
    tape = market.tape
    day = tape.day(now_ns)
    ask, bid = (speller.best(side) or ("", "") for side in (Side.SELL, Side.BUY))
    # Before the first trade there are no prices, and volumes of nothing.
    traded = market.has(Figure.LAST_PRICE)
    untold = dict.fromkeys(_OF_TRADES, "") | dict.fromkeys(("vol24h", "volCcy24h"), "0")
    return {
        "instType": listing.category,
        "instId": listing.symbol,
        "last": speller.price(tape.last),
        "lastSz": speller.size(tape.trades[-1].size if tape.trades else 1),
        "askPx": ask[0],
        "askSz": ask[1],
        "bidPx": bid[0],
        "bidSz": bid[1],
        "open24h": speller.price(day.open),
        "high24h": speller.price(day.high),
        "low24h": speller.price(day.low),
        # The first prices of the day in two time zones aren't those of 24 hours ago.
        "sodUtc0": speller.price(day.open + 2),
        "sodUtc8": speller.price(day.open + 5),
        "volCcy24h": speller.turnover(day.lots, day.turnover)[0],
        "vol24h": speller.size(day.lots),
        "ts": ms(now_ns),
        **({} if traded else untold),
    }


_OF_TRADES = ("last", "lastSz", "open24h", "high24h", "low24h", "sodUtc0", "sodUtc8")


def funding(market: SimulatedMarket, now_ns: int) -> dict[str, str]:
    """https://www.okx.com/docs-v5/en/#public-data-rest-api-get-funding-rate"""
    due_ns = market.next_funding_ns
    rated = market.has(Figure.FUNDING_RATE)
    rate = f"{Decimal(market.funding_rate).scaleb(-6):.16f}" if rated else ""
    premium = f"{Decimal(market.funding_rate - 173).scaleb(-6):.16f}" if rated else ""
    settled_ns = market.now_ns - (market.listing.funding_interval_ns or 0)
    settled = f"{Decimal(market.funding_at(settled_ns)).scaleb(-6):.16f}"
    return {
        "formulaType": "noRate",
        "fundingRate": rate,
        "fundingTime": "" if due_ns is None else ms(due_ns),
        "impactValue": "20000.0000000000000000",
        "instId": market.listing.symbol,
        "instType": market.listing.category,
        "interestRate": "0.0001000000000000",
        "maxFundingRate": "0.015",
        "method": "current_period",
        "minFundingRate": "-0.015",
        "nextFundingRate": "",
        "nextFundingTime": "" if due_ns is None else ms(market.listing.funding_after(due_ns) or 0),
        "premium": premium,
        "settFundingRate": settled,
        "settState": "settled",
        "ts": ms(now_ns),
    }


def index_ticker(speller: OkxSpeller, now_ns: int) -> dict[str, str]:
    """What a market's index is. Its day is that of the market, which it is near.

    https://www.okx.com/docs-v5/en/#public-data-websocket-index-tickers-channel
    """
    market, listing = speller.market, speller.listing
    day = market.tape.day(now_ns)
    return {
        "instId": f"{listing.base}-{listing.quote}",
        "idxPx": speller.fine(market.index) if market.has(Figure.INDEX_PRICE) else "",
        "high24h": speller.price(day.high),
        "low24h": speller.price(day.low),
        "open24h": speller.price(day.open),
        "sodUtc0": speller.price(day.open),
        "sodUtc8": speller.price(day.open + 1),
        "ts": ms(now_ns),
    }


def held(speller: OkxSpeller, now_ns: int) -> dict[str, str]:
    """How many contracts of a market are held open, and what they are worth.

    https://www.okx.com/docs-v5/en/#public-data-rest-api-get-open-interest
    """
    market, listing = speller.market, speller.listing
    amount = listing.lot * market.open_interest
    price = market.rules.price.value(market.mark) / 100
    if listing.market is Market.INVERSE:
        dollars = amount * listing.worth_of_one
        coins = dollars / price
    else:
        coins, dollars = amount, amount * price
    told = market.has(Figure.OPEN_INTEREST)
    return {
        "instId": listing.symbol,
        "instType": listing.category,
        "oi": speller.size(market.open_interest) if told else "",
        "oiCcy": f"{coins:.8f}" if told else "",
        "oiUsd": f"{dollars:.8f}" if told else "",
        "ts": ms(now_ns),
    }


def instrument(listing: Listing, code: int) -> dict[str, Any]:
    """A row of the instrument list."""
    spot, inverse = listing.category == SPOT, listing.market is Market.INVERSE
    option = listing.category == OPTION
    value = contract_value(listing)
    x_perp = is_x_perp(listing)
    expiry = (
        _X_PERP_EXPIRY if x_perp else "" if listing.expiry_ns is None else ms(listing.expiry_ns)
    )
    contracts = Decimal(1) if spot else value if not inverse else Decimal(1)

    def size(amount: Decimal) -> str:
        return trimmed(amount / contracts)

    kind = listing.option_kind
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": listing.base if spot else "",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "" if spot else trimmed(value) if option else "1",
        "ctType": "" if spot or option else listing.market.value,
        "ctVal": "" if spot else "1" if option else trimmed(value),
        "ctValCcy": "" if spot else listing.quote if inverse else listing.base,
        "expTime": _X_PERP_EXPIRY if x_perp else expiry,
        "futureSettlement": False,
        "groupId": "1" if spot else "4",
        "instFamily": family(listing),
        "instId": listing.symbol,
        "instIdCode": code,
        "instType": listing.category,
        "lever": "" if option else "50",
        "listTime": ms(listing.launch_ns),
        "lotSz": trimmed(step(listing)),
        "maxIcebergSz": size(listing.max_size),
        "maxLmtAmt": "20000000",
        "maxLmtSz": f"{size(listing.max_size)}",
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": size(listing.max_size // 8),
        "maxStopSz": size(listing.max_size // 8),
        "maxTriggerSz": size(listing.max_size),
        "maxTwapSz": size(listing.max_size),
        "minSz": size(listing.min_size),
        "openType": "fix_price" if spot else "",
        "optType": "" if kind is None else kind.value[0].upper(),
        "quoteCcy": listing.quote if spot else "",
        "ruleType": "xperp" if x_perp else "normal",
        "settleCcy": "" if spot else listing.settle,
        "state": STATES.get(listing.status.value, "live"),
        "stk": "" if listing.strike is None else trimmed(listing.strike),
        "tickSz": str(listing.tick),
        "tradeQuoteCcyList": [listing.quote] if spot else [],
        "uly": "" if spot else f"{listing.base}-{listing.quote}",
        "upcChg": [],
    }


def placeholders(kind: str) -> list[dict[str, Any]]:
    """What stands for instruments that are only announced, as was seen since June 2026: rows
    without a name, or with little else."""
    row = instrument(_ANNOUNCED, 0)
    coming = {
        **{name: "" if isinstance(value, str) else value for name, value in row.items()},
        "instType": kind,
        "instFamily": "" if kind == SPOT else "ADA-USD_UM",
        "instIdCode": None,
        "state": "preopen",
    }
    return [coming, {"instType": kind, "instId": "NEW-USD_UM-261225"}]


_ANNOUNCED = Listing(
    category=SPOT,
    symbol="",
    market=Market.SPOT,
    base="",
    quote="",
    tick=Decimal(1),
    lot=Decimal(1),
    min_size=Decimal(1),
    max_size=Decimal(1),
    price=Decimal(1),
)


def blanked(row: Mapping[str, str], kept: Container[str]) -> dict[str, str]:
    """A row whose text is blank but for what is always there."""
    return {name: value if name in kept else "" for name, value in row.items()}


def liquidated(speller: Speller, liquidations: Iterable[ForcedClose]) -> list[dict[str, str]]:
    """Liquidations, in their order."""
    return [
        {
            "bkLoss": "0",
            "bkPx": speller.price(each.price),
            "ccy": "",
            "posSide": "long" if each.side is Side.BUY else "short",
            # The order that closes a long position sells.
            "side": "sell" if each.side is Side.BUY else "buy",
            "sz": speller.size(each.size),
            "ts": ms(each.time_ns),
        }
        for each in liquidations
    ]
