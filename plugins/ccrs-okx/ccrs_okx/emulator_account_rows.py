"""How the emulated OKX writes balances, positions and bills, in lists and in pushes.

https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and the pages beside it
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_core import MarginMode, Market, PositionSide, Side
from ccrs_core.emulator import (
    AssetStanding,
    DeskPosition,
    MoneyKind,
    MoneyRow,
    TradingAccount,
    entry_price,
    mark_price,
    trimmed,
)
from ccrs_okx.emulator_listings import OPTION, SPOT
from ccrs_okx.emulator_order_rows import POSITION_WORDS, mode, money, sized, sub_type
from ccrs_okx.emulator_wire import ms

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_NOTHING = Decimal(0)


def balance_row(
    trading: Trading, account: TradingAccount, now_ns: int, only: Container[str] | None = None
) -> dict[str, Any]:
    """What an account has; with ``only``, of some currencies."""
    standing = trading.desk.margins.standing(account)
    details = [
        _detail(trading, account, each)
        for each in standing.assets
        if (each.wallet or each.equity) and (only is None or each.asset in only)
    ]
    if only is not None:
        # One that was spent to nothing is told once more.
        known = {row["ccy"] for row in details}
        details += [
            _detail(trading, account, each)
            for each in standing.assets
            if each.asset in only and each.asset not in known
        ]
    spot = trading.level(account) == "1"
    kept = standing.maintenance
    return {
        "adjEq": "" if spot else money(standing.equity, 8),
        "availEq": "" if spot else money(standing.available, 8),
        "borrowFroz": "",
        "details": details,
        "imr": "" if spot else money(standing.initial, 8),
        "isoEq": money(sum((each.isolated * each.worth for each in standing.assets), _NOTHING), 8),
        "mgnRatio": "" if spot or not kept else money(standing.equity / kept, 8),
        "mmr": "" if spot else money(kept, 8),
        "notionalUsd": "",
        "notionalUsdForBorrow": "",
        "notionalUsdForFutures": "",
        "notionalUsdForOption": "",
        "notionalUsdForSwap": "",
        "ordFroz": "",
        "totalEq": money(standing.equity, 8),
        "uTime": ms(now_ns),
        "upl": "" if spot else money(standing.unrealised, 8),
    }


def _detail(trading: Trading, account: TradingAccount, each: AssetStanding) -> dict[str, Any]:
    frozen = each.locked + each.order_margin + each.initial
    free = max(each.wallet - frozen, _NOTHING)
    margin = max(each.equity - each.order_margin - each.initial - each.locked, _NOTHING)
    changed_ns = trading.changed_ns.get((account.name, each.asset), account.opened_ns)
    return {
        "accAvgPx": "",
        "availBal": money(free),
        "availEq": "" if trading.level(account) == "1" else money(margin),
        "borrowFroz": "",
        "cashBal": money(each.wallet),
        "ccy": each.asset,
        "clSpotInUseAmt": "",
        "coinUsdPrice": money(each.worth, 8),
        "collateralEnabled": False,
        "crossLiab": "",
        "disEq": money(each.equity * each.worth, 8),
        "eq": money(each.equity),
        "eqUsd": money(each.equity * each.worth, 8),
        "fixedBal": "0",
        "frozenBal": money(frozen),
        "imr": money(each.initial, 8),
        "interest": "",
        "isoEq": money(each.isolated),
        "isoLiab": "",
        "isoUpl": "0",
        "liab": "",
        "maxLoan": "",
        "mgnRatio": "",
        "mmr": money(each.maintenance, 8),
        "notionalLever": "0",
        "openAvgPx": "",
        "ordFrozen": money(each.locked + each.order_margin),
        "rewardBal": "0",
        "smtSyncEq": "0",
        "spotBal": "",
        "spotInUseAmt": "",
        "spotIsoBal": "0",
        "spotUpl": "",
        "spotUplRatio": "",
        "stgyEq": "0",
        "totalPnl": "",
        "totalPnlRatio": "",
        "twap": "0",
        "uTime": ms(changed_ns),
        "upl": money(each.unrealised),
        "uplLiab": "",
    }


def position_row(
    trading: Trading, account: TradingAccount, position: DeskPosition, now_ns: int
) -> dict[str, Any]:
    """A position as it is, in contracts: below zero of a short one, where there is one alone."""
    listing, size = position.listing, position.size
    margins, ids = trading.desk.margins, trading.ids
    market = trading.venue.quoted(listing)
    margin = margins.of_position(position)
    isolated = position.margin_mode is MarginMode.ISOLATED
    option, flat = listing.category == OPTION, not size
    shown = size if position.side is PositionSide.NET else abs(size)
    liquidation = None if flat else margins.liquidation_price(account, position)
    entry = entry_price(position)
    cost = abs(position.cost)
    last = market.rules.price.value(market.tape.last)
    worth = margins.worth(listing.settle or "")
    ratio = margin.unrealised * position.leverage / cost if cost else _NOTHING
    return {
        "adl": "" if flat else "1",
        "availPos": "" if position.side is PositionSide.NET else sized(listing, abs(size)),
        "avgPx": "" if entry is None else money(entry, 16),
        "baseBal": "",
        "bePx": "" if entry is None else money(entry, 8),
        "bizRefId": "",
        "bizRefType": "",
        "cTime": ms(position.created_ns),
        "ccy": listing.settle or "",
        "clSpotInUseAmt": "",
        "closeOrderAlgo": [],
        "deltaBS": "",
        "deltaPA": "",
        "fee": money(-position.entry_fees),
        "fundingFee": "0",
        "gammaBS": "",
        "gammaPA": "",
        "idxPx": money(market.rules.price.value(market.index) / 100, 8),
        "imr": "" if isolated or flat else money(margin.initial, 8),
        "instId": listing.symbol,
        "instType": listing.category,
        "interest": "",
        "last": trimmed(last),
        "lever": "" if option else money(position.leverage),
        "liab": "",
        "liabCcy": "",
        "liqPenalty": "0",
        "liqPx": "" if liquidation is None else money(liquidation, 8),
        "margin": money(position.isolated_margin, 8) if isolated else "",
        "markPx": money(mark_price(market), 8),
        "maxSpotInUseAmt": "",
        "mgnMode": position.margin_mode.value,
        "mgnRatio": "",
        "mmr": "" if flat else money(margin.maintenance, 8),
        "notionalUsd": "" if flat else money(margin.value * worth, 8),
        "optVal": money(margin.value if size > 0 else -margin.value, 8) if option else "",
        "pTime": ms(now_ns),
        "pendingCloseOrdLiabVal": "",
        "pnl": money(position.realised),
        "pos": sized(listing, shown),
        "posCcy": "",
        "posId": ids.position(account.name, listing, position.side),
        "posSide": POSITION_WORDS[position.side],
        "quoteBal": "",
        "realizedPnl": money(position.realised),
        "spotInUseAmt": "",
        "spotInUseCcy": "",
        "thetaBS": "",
        "thetaPA": "",
        "tradeId": trading.last_trade(account, position),
        "uTime": ms(position.updated_ns),
        "upl": "" if flat else money(margin.unrealised),
        "uplLastPx": "",
        "uplRatio": "" if flat else money(ratio, 8),
        "uplRatioLastPx": "",
        "usdPx": money(worth, 8),
        "vegaBS": "",
        "vegaPA": "",
    }


_TYPES: Mapping[MoneyKind, str] = {
    MoneyKind.TRADE: "2",
    MoneyKind.FUNDING: "8",
    MoneyKind.TRANSFER: "1",
    MoneyKind.LIQUIDATION: "5",
    MoneyKind.DELEVERAGING: "9",
    MoneyKind.DELIVERY: "3",
    MoneyKind.INSURANCE: "10",
}


def bill_type(row: MoneyRow) -> str:
    """https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-7-days"""
    return _TYPES[row.kind]


def _bill_sub_type(row: MoneyRow) -> str:
    match row.kind:
        case MoneyKind.TRANSFER:
            return "11" if row.change >= 0 else "12"
        case MoneyKind.FUNDING:
            return "174" if row.change >= 0 else "173"
        case MoneyKind.DELIVERY:
            if row.listing is not None and row.listing.market is Market.OPTION:
                if not row.change:
                    return "172"
                return "170" if row.change > 0 else "171"
            return "112" if row.side is Side.SELL else "113"
        case MoneyKind.INSURANCE:
            return "108"
    return "" if row.fill is None else sub_type(row.fill)


def bill_row(trading: Trading, row: MoneyRow) -> dict[str, Any]:
    """A change of a balance."""
    listing, fill, ids = row.listing, row.fill, trading.ids
    order = None if fill is None else fill.order
    spot = listing is not None and listing.category == SPOT
    traded = row.cash if spot else row.size
    size = "" if listing is None else trimmed(traded) if spot else sized(listing, row.size)
    own = order is not None and order.by is None and order.origin is None
    return {
        "bal": money(row.balance),
        "balChg": money(row.change),
        "billId": str(ids.bill(row)),
        "ccy": row.asset,
        "clOrdId": order.client_order_id if own and order is not None else "",
        "execType": "" if fill is None or order is None or order.by else _liquidity(fill.maker),
        "fee": money(-row.fee),
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillTime": "" if fill is None else ms(fill.time_ns),
        "from": "6" if row.kind is MoneyKind.TRANSFER and row.change >= 0 else "",
        "instId": "" if listing is None else listing.symbol,
        "instType": "" if listing is None else listing.category,
        "interest": "0",
        "mgnMode": "" if order is None else mode(order),
        "notes": "",
        "ordId": "" if order is None else ids.order(order.number),
        "pnl": money(
            row.funding if row.kind is MoneyKind.FUNDING else _NOTHING if spot else row.cash
        ),
        "posBal": "" if listing is None or spot else sized(listing, row.position_size),
        "posBalChg": "",
        "px": money(row.price, 8) if row.price else "",
        "subType": _bill_sub_type(row),
        "sz": money(row.change) if listing is None else size,
        "tag": "" if order is None else order.asked.labels.get("tag", ""),
        "to": "18" if row.kind is MoneyKind.TRANSFER and row.change >= 0 else "",
        "tradeId": "" if fill is None else ids.trade(fill),
        "ts": ms(row.time_ns),
        "type": bill_type(row),
    }


def _liquidity(maker: bool) -> str:
    return "M" if maker else "T"
