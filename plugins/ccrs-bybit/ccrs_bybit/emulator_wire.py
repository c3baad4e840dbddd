"""How the emulated Bybit spells numbers and identifiers, and what its tickers say.

Written from Bybit's documents and recorded frames, on purpose without the plugin's codec.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from ccrs_bybit.emulator_listings import INVERSE, SPOT
from ccrs_core import NS_PER_SECOND, Side
from ccrs_core.emulator import (
    Bar,
    Figure,
    Levels,
    Listing,
    SimulatedMarket,
    SpelledLevel,
    Speller,
    TapeTrade,
    milliseconds,
    trimmed,
    years_until,
)

SIDES = {Side.BUY: "Buy", Side.SELL: "Sell"}
# Spot's trade ids are numbers of this length, the others' are UUIDs.
_SPOT_TRADE_ID = 2_100_000_000_000_000_000
_DIRECTIONS = {
    (True, False): "PlusTick",
    (True, True): "ZeroPlusTick",
    (False, False): "MinusTick",
    (False, True): "ZeroMinusTick",
}


class BybitSpeller(Speller):
    """A market's numbers as Bybit writes them: spot without trailing zeros, the others with."""

    def __init__(self, market: SimulatedMarket) -> None:
        super().__init__(market)
        listing = self.listing
        if listing.category == SPOT:
            self.price, self.size = market.rules.price.trimmed, market.rules.size.trimmed
        self._unit = listing.tick * listing.lot
        self._ids = random.Random(f"ids/{listing.symbol}").randrange(10**7, 10**8)

    def levels(self, levels: Levels, side: Side) -> list[SpelledLevel]:
        price, size = self.price, self.size
        return [(price(ticks), size(lots) if lots else "0") for ticks, lots in levels]

    def trade_id(self, trade: TapeTrade) -> str:
        if self.listing.category == SPOT:
            return str(_SPOT_TRADE_ID + self._ids * 100 + trade.number)
        return str(UUID(int=trade.nonce, version=5))

    def direction(self, rising: bool, repeated: bool) -> str:
        return _DIRECTIONS[rising, repeated]

    def turnover(self, units: int, digits: int) -> str:
        value = Decimal(units).scaleb(-8) if self._inverse else self._unit * units
        return f"{value:.{digits}f}"

    @property
    def _inverse(self) -> bool:
        return self.listing.category == INVERSE

    def bar(self, bar: Bar) -> tuple[str, str, str, str, str, str]:
        """Open, high, low, close, volume, turnover."""
        prices = (self.price(price) for price in (bar.open, bar.high, bar.low, bar.close))
        open_, high, low, close = prices
        return open_, high, low, close, self.size(bar.lots), self._plain_turnover(bar.turnover)

    def _plain_turnover(self, units: int) -> str:
        if self._inverse:
            return self.turnover(units, 8)
        return trimmed(self._unit * units)


def _share(value: int, of: int, digits: int) -> str:
    return f"{(Decimal(value) / Decimal(max(1, of))):.{digits}f}"


def _iso(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def best(speller: BybitSpeller) -> tuple[tuple[str, str], tuple[str, str]]:
    """Best bid and ask, price and size; empty texts where a side has none."""
    return speller.best(Side.BUY) or ("", ""), speller.best(Side.SELL) or ("", "")


def spot_ticker(speller: BybitSpeller, now_ns: int) -> dict[str, str]:
    """https://bybit-exchange.github.io/docs/v5/websocket/public/ticker"""
    market = speller.market
    day = market.tape.day(now_ns)
    fields = {
        "symbol": speller.listing.symbol,
        "lastPrice": speller.price(market.tape.last),
        "highPrice24h": speller.price(day.high),
        "lowPrice24h": speller.price(day.low),
        "prevPrice24h": speller.price(day.open),
        "volume24h": speller.size(day.lots),
        "turnover24h": speller.turnover(day.turnover, 8),
        "price24hPcnt": _share(market.tape.last - day.open, day.open, 4),
        "usdIndexPrice": speller.fine(market.index),
    }
    return {**fields, **_none_of(market, untold_of_spot(fields))}


_FIGURES: Mapping[Figure, tuple[str, ...]] = {
    Figure.LAST_PRICE: (
        *("lastPrice", "highPrice24h", "lowPrice24h", "prevPrice24h", "prevPrice1h"),
        *("volume24h", "turnover24h"),
    ),
    Figure.MARK_PRICE: ("markPrice",),
    Figure.INDEX_PRICE: ("indexPrice", "usdIndexPrice"),
    Figure.OPEN_INTEREST: ("openInterest", "singleOpenInterest", "openInterestValue"),
    Figure.FUNDING_RATE: ("fundingRate",),
    Figure.NEXT_FUNDING_TIME: ("nextFundingTime",),
}


def _none_of(market: SimulatedMarket, untold: Mapping[str, str]) -> dict[str, str]:
    """How those fields are written whose figure a market has none of."""
    names = [name for figure in market.lacks for name in _FIGURES[figure]]
    return {name: untold[name] for name in names if name in untold}


def contract_ticker(speller: BybitSpeller, now_ns: int) -> dict[str, str]:
    """The ticker of a perpetual or dated contract, linear or inverse."""
    market, listing = speller.market, speller.listing
    tape = market.tape
    day = tape.day(now_ns)
    bid, ask = best(speller)
    value = market.tape.turnover(max(1, market.mark // 100), market.open_interest)
    rising, repeated = tape.tick_direction
    fields = {
        "symbol": listing.symbol,
        "tickDirection": speller.direction(rising, repeated),
        "price24hPcnt": _share(tape.last - day.open, day.open, 6),
        "lastPrice": speller.price(tape.last),
        "prevPrice24h": speller.price(day.open),
        "highPrice24h": speller.price(day.high),
        "lowPrice24h": speller.price(day.low),
        "prevPrice1h": speller.price(tape.hour_ago(now_ns)),
        "markPrice": speller.fine(market.mark),
        "indexPrice": speller.fine(market.index),
        # Both sides of each contract since June 2026, and what others call open interest.
        "openInterest": speller.size(2 * market.open_interest),
        "openInterestValue": speller.turnover(2 * value, 2),
        "singleOpenInterest": speller.size(market.open_interest),
        "turnover24h": speller.turnover(day.turnover, 4),
        "volume24h": f"{listing.lot * day.lots:.4f}",
    }
    if listing.expiry_ns is None:
        interval = listing.funding_interval_at(now_ns) or 1
        fields |= {
            "fundingIntervalHour": str(interval // (3600 * NS_PER_SECOND)),
            "fundingCap": "0.005",
            "nextFundingTime": str(milliseconds(market.next_funding_ns or 0)),
            "fundingRate": f"{Decimal(market.funding_rate).scaleb(-6):f}",
        }
    else:
        years = years_until(listing.expiry_ns, now_ns)
        basis = Decimal(tape.last * 100 - market.index) / Decimal(market.index)
        fields |= {
            "deliveryTime": _iso(listing.expiry_ns),
            "basisRate": f"{basis:.8f}",
            "deliveryFeeRate": "0.0005",
            "predictedDeliveryPrice": speller.price(0),
            "basis": speller.fine(tape.last * 100 - market.index),
            "basisRateYear": f"{basis / Decimal(max(years, 1e-6)):.8f}",
            "nextFundingTime": "",
            "fundingRate": "",
        }
    fields |= {
        "bid1Price": bid[0],
        "bid1Size": bid[1],
        "ask1Price": ask[0],
        "ask1Size": ask[1],
    }
    return {**fields, **_none_of(market, untold_of_contracts(fields))}


def option_ticker(speller: BybitSpeller, now_ns: int) -> dict[str, str]:
    """The ticker of an option: its greeks are of one unit, per hundredth of volatility, per day."""
    market, listing = speller.market, speller.listing
    tape = market.tape
    day = tape.day(now_ns)
    bid, ask = best(speller)
    greeks, volatility = market.greeks(), market.volatility
    mark, underlying = (
        market.rules.price.value(each) / 100 for each in (market.mark, market.index)
    )
    # The worth of what was traded: of what the options are on, not what was paid for them.
    worth = listing.lot * day.lots * underlying
    total_size, total_value = day.lots * 20, worth * 20
    fields = {
        "symbol": listing.symbol,
        "bidPrice": bid[0] or "0",
        "bidSize": bid[1] or "0",
        "bidIv": f"{volatility - 0.01:.4f}" if bid[0] else "0",
        "askPrice": ask[0] or "0",
        "askSize": ask[1] or "0",
        "askIv": f"{volatility + 0.01:.4f}" if ask[0] else "0",
        "lastPrice": speller.price(tape.last),
        "highPrice24h": speller.price(day.high),
        "lowPrice24h": speller.price(day.low),
        "markPrice": f"{mark:.8f}",
        "indexPrice": f"{underlying:.8f}".rstrip("0").rstrip("."),
        "markPriceIv": f"{volatility:.4f}",
        "underlyingPrice": f"{market.forward:.8f}",
        "openInterest": speller.size(market.open_interest),
        "turnover24h": f"{worth:.7f}",
        "volume24h": speller.size(day.lots),
        "totalVolume": speller.size(total_size),
        "totalTurnover": f"{total_value:.0f}",
        "delta": f"{greeks.delta:.8f}",
        "gamma": f"{greeks.gamma:.8f}",
        "vega": f"{greeks.vega:.8f}",
        "theta": f"{greeks.theta:.8f}",
        "predictedDeliveryPrice": "0",
        "change24h": _share(tape.last - day.open, day.open, 8),
    }
    return {**fields, **_none_of(market, untold_of_options(fields))}


def untold_of_spot(fields: Mapping[str, str]) -> dict[str, str]:
    """What a pair's ticker says before its first trade."""
    prices = dict.fromkeys(("lastPrice", "highPrice24h", "lowPrice24h", "prevPrice24h"), "0")
    return {**prices, "volume24h": "0", "turnover24h": "0", "usdIndexPrice": ""}


def untold_of_contracts(fields: Mapping[str, str]) -> dict[str, str]:
    """What a contract's ticker says before its market opens, and where a side has no orders."""
    zeros = ("lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h", "prevPrice1h")
    blanks = (
        *("markPrice", "indexPrice", "fundingRate", "nextFundingTime", "openInterest"),
        *("singleOpenInterest", "openInterestValue", "bid1Price", "bid1Size"),
    )
    added = ("preOpenPrice", "preQty", "curPreListingPhase")
    nothing = {"volume24h": "0.0000", "turnover24h": "0.0000"}
    return {**dict.fromkeys(zeros, "0"), **nothing, **dict.fromkeys((*blanks, *added), "")}


def untold_of_options(fields: Mapping[str, str]) -> dict[str, str]:
    """What the ticker of an option says in which nobody has an interest."""
    return {name: "0" for name in fields if name.startswith("bid")} | {
        "lastPrice": "0",
        "highPrice24h": "",
        "lowPrice24h": "",
        "volume24h": "0",
        "turnover24h": "0",
        "markPrice": "",
        "indexPrice": "",
        "openInterest": "",
        "predictedDeliveryPrice": "",
    }


def status_name(listing: Listing) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#status"""
    return {"prelaunch": "PreLaunch", "settling": "Delivering", "closed": "Closed"}.get(
        listing.status.value, "Trading"
    )


def contract_type(listing: Listing) -> str:
    """https://bybit-exchange.github.io/docs/v5/enum#contracttype"""
    kind = "Inverse" if listing.category == INVERSE else "Linear"
    return kind + ("Perpetual" if listing.expiry_ns is None else "Futures")
