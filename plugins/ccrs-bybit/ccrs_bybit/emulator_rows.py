"""How the emulated Bybit describes its instruments.

https://bybit-exchange.github.io/docs/v5/market/instrument
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ccrs_bybit.emulator_listings import INVERSE, OPTION, SPOT
from ccrs_bybit.emulator_wire import contract_type, status_name
from ccrs_core import NS_PER_SECOND, OptionKind
from ccrs_core.emulator import Listing, decimals, milliseconds, trimmed


def spot_row(listing: Listing) -> dict[str, Any]:
    """A spot pair."""
    return {
        "symbol": listing.symbol,
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "innovation": "0",
        "status": status_name(listing),
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": str(listing.lot),
            "quotePrecision": "0.0000001",
            "minOrderQty": trimmed(listing.min_size),
            "maxOrderQty": trimmed(listing.max_size),
            "minOrderAmt": trimmed(listing.min_notional),
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": trimmed(listing.max_size),
            "maxMarketOrderQty": trimmed(listing.max_size / 2),
            "postOnlyMaxLimitOrderSize": "60000",
        },
        "priceFilter": {"tickSize": str(listing.tick)},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }


def contract_row(listing: Listing) -> dict[str, Any]:
    """A perpetual or dated contract."""
    scale = decimals(listing.tick)
    lots = {
        "maxOrderQty": str(listing.max_size),
        "minOrderQty": str(listing.min_size),
        "qtyStep": str(listing.lot),
        "postOnlyMaxOrderQty": trimmed(listing.max_size * 10),
        "maxMktOrderQty": trimmed(listing.max_size / 2),
        "minNotionalValue": trimmed(listing.min_notional or Decimal(5)),
    }
    expiry = milliseconds(listing.expiry_ns) if listing.expiry_ns is not None else 0
    prelaunch = status_name(listing) == "PreLaunch"
    return {
        "symbol": listing.symbol,
        "contractType": contract_type(listing),
        "status": status_name(listing),
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "launchTime": str(milliseconds(listing.launch_ns)),
        "deliveryTime": str(expiry),
        "deliveryFeeRate": "0.0005" if expiry else "",
        "priceScale": str(scale),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": str(listing.tick),
            "maxPrice": f"{listing.price * 19 // listing.tick * listing.tick:f}",
            "tickSize": str(listing.tick),
        },
        "lotSizeFilter": lots,
        "unifiedMarginTrade": True,
        "fundingInterval": (listing.funding_interval_ns or 0) // (60 * NS_PER_SECOND),
        "settleCoin": listing.settle,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": prelaunch,
        "preListingInfo": _auction(listing) if prelaunch else None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
    }


def _auction(listing: Listing) -> dict[str, Any]:
    start = str(milliseconds(listing.launch_ns))
    phases = [{"phase": "CallAuction", "startTime": start, "endTime": ""}]
    return {
        "curAuctionPhase": "CallAuction",
        "phases": phases,
        "auctionFeeInfo": {
            "auctionFeeRate": "0",
            "takerFeeRate": "0.001",
            "makerFeeRate": "0.0004",
        },
    }


def option_row(listing: Listing) -> dict[str, Any]:
    """An option."""
    assert listing.expiry_ns is not None
    return {
        "symbol": listing.symbol,
        "status": status_name(listing),
        "baseCoin": listing.base,
        "quoteCoin": listing.quote,
        "settleCoin": listing.settle,
        "optionsType": "Call" if listing.option_kind is OptionKind.CALL else "Put",
        "launchTime": str(milliseconds(listing.launch_ns)),
        "deliveryTime": str(milliseconds(listing.expiry_ns)),
        "deliveryFeeRate": "0.00015",
        "priceFilter": {
            "minPrice": str(listing.tick),
            "maxPrice": "1110000",
            "tickSize": str(listing.tick),
        },
        "lotSizeFilter": {
            "maxOrderQty": str(listing.max_size),
            "minOrderQty": str(listing.min_size),
            "qtyStep": str(listing.lot),
        },
        "displayName": listing.symbol,
    }


UNTOLD = ("deliveryFeeRate", "settleCoin", "displayName", "launchTime", "copyTrading", "fullName")
"""What a row may leave blank."""
UNTOLD_SIZES = ("maxOrderQty", "maxMktOrderQty", "maxLimitOrderQty", "minNotionalValue")
"""What its sizes may leave out."""


def sparse(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that tells no more than it must."""
    lots = {k: "" if k in UNTOLD_SIZES else v for k, v in row["lotSizeFilter"].items()}
    blank = {name: "" for name in UNTOLD if name in row}
    return {**row, **blank, "lotSizeFilter": lots, "riskParameters": None}


def announced(category: str, template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of what is only announced, or being taken off: without a coin, filters or a date."""
    bare = {**template, "symbol": f"BARE-{template['symbol']}", "priceFilter": None}
    if category == OPTION:  # which are listed by their coin
        return [bare]
    nameless = {**template, "symbol": f"NEW{category.upper()}", "baseCoin": "", "quoteCoin": ""}
    rows = [nameless, {**bare, "baseCoin": "BARE"}]
    if category != SPOT:
        kind = "InverseFutures" if category == INVERSE else "LinearFutures"
        dateless = {"symbol": "NEXT-31DEC99", "contractType": kind, "deliveryTime": ""}
        rows.append({**template, **dateless, "baseCoin": "NEXT"})
    return rows
