"""How the emulated Bybit writes positions and wallets, in lists and in pushes.

https://bybit-exchange.github.io/docs/v5/position and
https://bybit-exchange.github.io/docs/v5/account/wallet-balance
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from typing import Any

import attrs

from ccrs_bybit.emulator_listings import OPTION
from ccrs_bybit.emulator_order_rows import POSITION_INDEX, Spelled, number
from ccrs_bybit.emulator_push_rows import pushed_position
from ccrs_bybit.emulator_risk import tier_number, tiers
from ccrs_core import MarginMode
from ccrs_core.emulator import (
    AssetStanding,
    DeskPosition,
    PositionMargin,
    SimulatedMarket,
    Standing,
    TradingAccount,
    entry_price,
    milliseconds,
    trimmed,
)

_TAKER_FLOOR = Decimal("0.00055")


@attrs.frozen(kw_only=True)
class PositionView:
    """A position with what depends on prices of now."""

    position: DeskPosition
    margin: PositionMargin
    market: SimulatedMarket
    liquidation: Decimal | None
    taker_rate: Decimal
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Decimal | None


def position_row(view: PositionView, *, pushed: bool) -> dict[str, Any]:
    """A position as in lists, or as it is pushed; a flat one has no side."""
    position, margin = view.position, view.margin
    listing, size = position.listing, position.size
    spelled, option = Spelled(listing), listing.category == OPTION
    entry = entry_price(position)
    isolated = position.margin_mode is MarginMode.ISOLATED
    zero = "0" if pushed else ""
    liquidation = "" if view.liquidation is None else spelled.price(view.liquidation)
    none = spelled.price(None)
    tier = tier_number(listing, margin.value)
    row: dict[str, Any] = {
        "positionIdx": POSITION_INDEX[position.side],
        "riskId": tier,
        "riskLimitValue": trimmed(tiers(listing)[tier - 1].most_value) if tier else "",
        "symbol": listing.symbol,
        "side": ("Buy" if size > 0 else "Sell") if size else "",
        "size": spelled.size(abs(size)) if size else "0",
        "entryPrice" if pushed else "avgPrice": number(entry) if entry else "0",
        "positionValue": number(abs(position.cost)) if size else zero,
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if size else 0,
        "leverage": "" if option else number(position.leverage, 2),
        "breakEvenPrice": number(_break_even(view, entry)) if size and entry else "",
        "positionBalance": number(position.isolated_margin if isolated else margin.initial),
        "markPrice": spelled.price(view.market.rules.price.value(view.market.mark) / 100),
        "liqPrice": liquidation if size else "",
        "bustPrice": "",
        "positionMM": number(margin.maintenance) if size else zero,
        "positionMMByMp": number(margin.maintenance) if size else zero,
        "positionIM": number(margin.initial) if size else zero,
        "positionIMByMp": number(margin.initial) if size else zero,
        "tpslMode": "Full",
        "takeProfit": none if view.take_profit is None else spelled.price(view.take_profit),
        "stopLoss": none if view.stop_loss is None else spelled.price(view.stop_loss),
        "trailingStop": none if view.trailing_stop is None else spelled.price(view.trailing_stop),
        "unrealisedPnl": number(margin.unrealised) if size else zero,
        "curRealisedPnl": number(position.realised),
        "cumRealisedPnl": "" if option else number(position.realised_ever),
        "seq": position.sequence or -1,
        "isReduceOnly": False,
        "mmrSysUpdatedTime" if pushed else "mmrSysUpdateTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "0" if pushed else "",
        "openTime": milliseconds(position.created_ns),
        "createdTime": str(milliseconds(position.created_ns)),
        "updatedTime": str(milliseconds(position.updated_ns)),
    }
    if option:
        greeks = view.market.greeks()
        for name in ("delta", "gamma", "vega", "theta"):
            row[name] = f"{getattr(greeks, name) * float(size):.8f}"
    if pushed:
        row["category"] = listing.category
        return pushed_position(row)
    return row


def _break_even(view: PositionView, entry: Decimal | None) -> Decimal:
    position = view.position
    assert entry is not None
    if position.listing.category not in {"linear", "inverse"}:
        return entry
    size, rate = position.size, max(view.taker_rate, _TAKER_FLOOR)
    return (entry * size - position.realised) / (size - abs(size) * rate)


def wallet_row(
    account: TradingAccount, standing: Standing, coins: Container[str] | None = None
) -> dict[str, Any]:
    """The account as a whole, with its coins: all of them, or those that a push is about."""
    isolated = account.margin_mode is MarginMode.ISOLATED
    equity = standing.equity

    def dollars(value: Decimal) -> str:
        return "" if isolated else number(value)

    def rate(value: Decimal) -> str:
        return "" if isolated else number(value / equity, 4) if equity > 0 else "0"

    rows = [
        _coin_row(each, isolated)
        for each in standing.assets
        if coins is None or each.asset in coins
    ]
    return {
        "accountType": "UNIFIED",
        "accountIMRate": rate(standing.initial),
        "accountIMRateByMp": rate(standing.initial),
        "accountMMRate": rate(standing.maintenance),
        "accountMMRateByMp": rate(standing.maintenance),
        "accountLTV": "0",
        "totalEquity": number(equity),
        "totalWalletBalance": dollars(standing.wallet),
        "totalMarginBalance": dollars(standing.wallet + standing.unrealised),
        "totalAvailableBalance": dollars(standing.available),
        "totalPerpUPL": number(standing.unrealised),
        "totalInitialMargin": dollars(standing.initial),
        "totalInitialMarginByMp": dollars(standing.initial),
        "totalMaintenanceMargin": dollars(standing.maintenance),
        "totalMaintenanceMarginByMp": dollars(standing.maintenance),
        "coin": rows,
    }


def _coin_row(asset: AssetStanding, isolated: bool) -> dict[str, Any]:
    return {
        "coin": asset.asset,
        "equity": number(asset.equity),
        "usdValue": number(asset.equity * asset.worth),
        "walletBalance": number(asset.wallet, 12),
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": "0.000000000000000000",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "locked": number(asset.locked, 12),
        "totalOrderIM": number(asset.order_margin),
        "totalPositionIM": number(asset.initial),
        "totalPositionMM": number(asset.maintenance),
        "unrealisedPnl": number(asset.unrealised),
        "cumRealisedPnl": number(asset.realised),
        "bonus": "0",
        "collateralSwitch": asset.worth > 0,
        "marginCollateral": asset.worth > 0,
        "spotHedgingQty": "0",
        "colRes": "0",
    }
