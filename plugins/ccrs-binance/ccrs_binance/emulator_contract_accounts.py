"""What the emulated Binance tells of an account of contracts, and what can be set of it: balances,
positions, leverage, margin and position modes.

https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api and
https://developers.binance.com/docs/derivatives/coin-margined-futures/account/rest-api
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ccrs_binance.emulator_calls import listed
from ccrs_binance.emulator_contract_rows import POSITION_SIDES, Spelled, pair, plain
from ccrs_binance.emulator_listings import COINM, USDM
from ccrs_binance.emulator_params import Params, missing
from ccrs_core import MarginMode, PositionMode, PositionSide
from ccrs_core.emulator import (
    AssetStanding,
    BadRequest,
    DeskPosition,
    Listing,
    Refusal,
    Refused,
    TradingAccount,
    entry_price,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_binance.emulator_trading import Trading

_NOTHING = Decimal(0)
_BLOCKED = BadRequest(-4068, "Position side cannot be changed if there exists position.", 400)
_ORDERED = BadRequest(-4067, "Position side cannot be changed if there exists open orders.", 400)
_SUCCESS = {"code": 200, "msg": "success"}
_MARGINS = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}
_HEDGED = (PositionSide.LONG, PositionSide.SHORT)


class ContractAccounts:
    """Answers and settings of accounts of USD-M or COIN-M."""

    def __init__(self, trading: Trading, category: str) -> None:
        self._trading = trading
        self._category = category

    # --- balances ---

    def balance(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``balance``."""
        account, coinm = params.account, self._category == COINM
        rows = []
        for each in self._assets(account):
            row = {
                "accountAlias": self._trading.alias(account.name),
                "asset": each.asset,
                "balance": plain(each.wallet),
                "crossWalletBalance": plain(each.wallet - each.isolated),
                "crossUnPnl": plain(each.unrealised),
                "availableBalance": plain(self._available(account, each.asset)),
                "updateTime": milliseconds(now_ns),
            }
            if coinm:
                row["withdrawAvailable"] = row["availableBalance"]
            else:
                row["maxWithdrawAmount"] = row["availableBalance"]
                row["marginAvailable"] = True
            rows.append(row)
        return rows

    def _assets(self, account: TradingAccount) -> tuple[AssetStanding, ...]:
        margins = self._trading.desk.margins
        names = sorted(account.wallet.assets)
        return tuple(margins.of_asset(account, name) for name in names)

    def _available(self, account: TradingAccount, asset: str) -> Decimal:
        return self._trading.desk.margins.available(account, asset)

    def account(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``account``, whose positions are those that aren't flat."""
        account, margins = params.account, self._trading.desk.margins
        assets = [self._asset_row(account, each, now_ns) for each in self._assets(account)]
        found: dict[str, Any] = {"assets": assets}
        found["positions"] = [
            self._account_row(position) for position in account.positions.values() if position.size
        ]
        if self._category == COINM:
            flags = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True}
            return {**flags, **found, "updateTime": milliseconds(now_ns)}
        standing = margins.standing(account)
        return {
            "totalInitialMargin": plain(standing.initial),
            "totalMaintMargin": plain(standing.maintenance),
            "totalWalletBalance": plain(standing.wallet),
            "totalUnrealizedProfit": plain(standing.unrealised),
            "totalMarginBalance": plain(standing.equity),
            "totalCrossWalletBalance": plain(standing.wallet),
            "totalCrossUnPnl": plain(standing.unrealised),
            "availableBalance": plain(standing.available),
            "maxWithdrawAmount": plain(standing.available),
            **found,
        }

    def _asset_row(
        self, account: TradingAccount, each: AssetStanding, now_ns: int
    ) -> dict[str, Any]:
        available = plain(self._available(account, each.asset))
        return {
            "asset": each.asset,
            "walletBalance": plain(each.wallet),
            "unrealizedProfit": plain(each.unrealised),
            "marginBalance": plain(each.equity),
            "maintMargin": plain(each.maintenance),
            "initialMargin": plain(each.initial + each.order_margin),
            "positionInitialMargin": plain(each.initial),
            "openOrderInitialMargin": plain(each.order_margin),
            "crossWalletBalance": plain(each.wallet - each.isolated),
            "crossUnPnl": plain(each.unrealised),
            "availableBalance": available,
            "maxWithdrawAmount": available,
            "updateTime": milliseconds(now_ns),
        }

    def _account_row(self, position: DeskPosition) -> dict[str, Any]:
        margin = self._trading.desk.margins.of_position(position)
        return {
            "symbol": position.listing.symbol,
            "positionSide": POSITION_SIDES[position.side],
            "positionAmt": Spelled(position.listing).size(position.size),
            "unrealizedProfit": plain(margin.unrealised),
            "isolatedMargin": plain(position.isolated_margin),
            "isolatedWallet": plain(position.isolated_margin),
            "notional": plain(margin.value if position.size > 0 else -margin.value),
            "initialMargin": plain(margin.initial),
            "maintMargin": plain(margin.maintenance),
            "updateTime": milliseconds(position.updated_ns),
        }

    # --- positions ---

    def risks(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``/fapi/v3/positionRisk``: of what has a position or open orders alone."""
        account, symbol = params.account, params.text("symbol")
        busy = {each.listing.key for each in account.orders.values()}
        busy |= {key[:2] for key, each in account.positions.items() if each.size}
        hedged = self._hedged(account)
        return [
            self._new_row(position)
            for listing in self._trading.venue.listed(self._category)
            if listing.key in busy and symbol in {"", listing.symbol}
            for position in self._held(account, listing)
            if position.size or not hedged
        ]

    def all_risks(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``positionRisk`` before that, and of COIN-M: flat ones too."""
        account, symbol = params.account, params.text("symbol")
        asset, named = params.text("marginAsset"), params.text("pair")
        return [
            self._old_row(account, position)
            for listing in self._trading.venue.listed(self._category)
            if symbol in {"", listing.symbol}
            and asset in {"", listing.settle}
            and named in {"", pair(listing)}
            for position in self._held(account, listing)
        ]

    def _hedged(self, account: TradingAccount) -> bool:
        return account.hedged.get(self._category) is PositionMode.HEDGE

    def _held(self, account: TradingAccount, listing: Listing) -> Iterable[DeskPosition]:
        sides: tuple[PositionSide, ...] = (PositionSide.NET,)
        if self._hedged(account):
            sides = (PositionSide.NET, *_HEDGED) if self._category == COINM else _HEDGED
        return [self._trading.desk.position(account, listing, side) for side in sides]

    def _common(self, position: DeskPosition) -> dict[str, Any]:
        listing, margins = position.listing, self._trading.desk.margins
        account = self._trading.desk.accounts[position.account]
        entry = entry_price(position) if position.size else None
        end = margins.liquidation_price(account, position) if position.size else None
        gain = margins.of_position(position).unrealised if position.size else _NOTHING
        isolated = position.isolated_margin if position.size else _NOTHING
        return {
            "symbol": listing.symbol,
            "positionAmt": Spelled(listing).size(position.size),
            "entryPrice": plain(entry or _NOTHING),
            "breakEvenPrice": plain(entry or _NOTHING),
            "markPrice": plain(self._trading.mark_price(listing)),
            "unRealizedProfit": plain(gain),
            "liquidationPrice": plain(end or _NOTHING),
            "isolatedMargin": plain(isolated),
            "isolatedWallet": plain(isolated),
            "positionSide": POSITION_SIDES[position.side],
            "updateTime": milliseconds(position.updated_ns),
        }

    def _new_row(self, position: DeskPosition) -> dict[str, Any]:
        margin = self._trading.desk.margins.of_position(position)
        return {
            **self._common(position),
            "notional": plain(margin.value if position.size >= 0 else -margin.value),
            "marginAsset": position.listing.settle,
            "initialMargin": plain(margin.initial),
            "maintMargin": plain(margin.maintenance),
            "positionInitialMargin": plain(margin.initial),
            "openOrderInitialMargin": plain(_NOTHING),
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
        }

    def _old_row(self, account: TradingAccount, position: DeskPosition) -> dict[str, Any]:
        margin = self._trading.desk.margins.of_position(position) if position.size else None
        value = _NOTHING if margin is None else margin.value
        isolated = account.margin_mode_of(position.listing) is MarginMode.ISOLATED
        row = {
            **self._common(position),
            "leverage": f"{position.leverage:f}",
            "marginType": "isolated" if isolated else "cross",
            "isAutoAddMargin": "false",
        }
        signed = value if position.size >= 0 else -value
        if self._category == COINM:
            return {**row, "maxQty": "1000000", "notionalValue": plain(signed)}
        return {**row, "maxNotionalValue": "1000000000", "notional": plain(signed)}

    # --- what is set ---

    def config(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``accountConfig``."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self._hedged(params.account),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def symbol_config(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``symbolConfig``."""
        account, symbol = params.account, params.text("symbol")
        rows = []
        for listing in self._trading.venue.listed(self._category):
            if symbol not in {"", listing.symbol}:
                continue
            isolated = account.margin_mode_of(listing) is MarginMode.ISOLATED
            rows.append(
                {
                    "symbol": listing.symbol,
                    "marginType": "ISOLATED" if isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": int(self._leverage(account, listing)),
                    "maxNotionalValue": "1000000000",
                }
            )
        return rows

    def _leverage(self, account: TradingAccount, listing: Listing) -> Decimal:
        side = PositionSide.LONG if self._hedged(account) else PositionSide.NET
        return self._trading.desk.position(account, listing, side).leverage

    def set_leverage(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``leverage``; the same again is fine, and told as well."""
        trading, account = self._trading, params.account
        listing = listed(trading, self._category, params)
        wanted = params.whole("leverage")
        if wanted is None:
            raise missing("leverage")
        try:
            value = Decimal(wanted)
            trading.desk.settings.leverage(account, listing, value, value)
        except Refused as refused:
            if refused.why is Refusal.LEVERAGE:
                raise BadRequest(-4028, f"Leverage {wanted} is not valid", 400) from None
            if refused.why is Refusal.BALANCE:
                raise BadRequest(-2019, "Margin is insufficient.", 400) from None
            if refused.why is not Refusal.NOTHING_CHANGES:
                raise BadRequest(-4028, f"Leverage {wanted} is not valid", 400) from None
        about = {"ac": {"s": listing.symbol, "l": wanted}}
        tell = trading.contract_pushes.tell
        tell(account.name, self._category, "ACCOUNT_CONFIG_UPDATE", about, now_ns)
        most = "maxQty" if self._category == COINM else "maxNotionalValue"
        return {"symbol": listing.symbol, "leverage": wanted, most: "1000000"}

    def set_margin_type(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``marginType``, of one symbol."""
        account = params.account
        listing = listed(self._trading, self._category, params)
        mode = params.word("marginType", _MARGINS, params.needed("marginType"))
        try:
            self._trading.desk.settings.margin_mode(account, _MARGINS[mode], listing)
        except Refused as refused:
            if refused.why is Refusal.NOTHING_CHANGES:
                raise BadRequest(-4046, "No need to change margin type.", 400) from None
            if account.positions_of(listing):
                text = "Margin type cannot be changed if there exists position."
                raise BadRequest(-4048, text, 400) from None
            text = "Margin type cannot be changed if there exists open orders."
            raise BadRequest(-4047, text, 400) from None
        return dict(_SUCCESS)

    def dual(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET positionSide/dual``."""
        return {"dualSidePosition": self._hedged(params.account)}

    def set_dual(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``POST positionSide/dual``: of USD-M and COIN-M at once."""
        trading = self._trading
        params.needed("dualSidePosition")
        mode = PositionMode.HEDGE if params.flag("dualSidePosition") else PositionMode.ONE_WAY
        if (mode is PositionMode.HEDGE) is self._hedged(params.account):
            raise BadRequest(-4059, "No need to change position side.", 400)
        both = trading.both(params.account)
        if any(each.size for account, _ in both for each in account.positions.values()):
            raise _BLOCKED
        if any(
            order.listing.category == category
            for account, category in both
            for order in account.orders.values()
        ):
            raise _ORDERED
        for account, category in both:
            trading.desk.settings.position_mode(account, category, mode)
        return dict(_SUCCESS)

    def multi_assets(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``GET multiAssetsMargin``: never."""
        return {"multiAssetsMargin": False}

    def add_margin(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``positionMargin``: more (1) or less (2) of an isolated position's."""
        trading, account = self._trading, params.account
        listing = listed(trading, self._category, params)
        amount = params.number("amount")
        if not amount:
            raise missing("amount")
        kind = params.word("type", ("1", "2"), params.needed("type"))
        held = list(account.positions_of(listing))
        wanted = params.text("positionSide", "BOTH")
        found = [each for each in held if POSITION_SIDES[each.side] == wanted]
        try:
            if not found:
                raise Refused(Refusal.MODE)
            signed = amount if kind == "1" else -amount
            trading.desk.settings.margin(account, found[0], signed)
        except Refused as refused:
            if refused.why is Refusal.BALANCE:
                raise BadRequest(-2019, "Margin is insufficient.", 400) from None
            if refused.why is Refusal.IN_USE:
                text = "Margin to remove is too large."
                raise BadRequest(-4051, text, 400) from None
            text = "Add margin only support for isolated position."
            raise BadRequest(-4049, text, 400) from None
        return {**_SUCCESS, "amount": f"{amount:f}", "type": int(kind)}

    # --- what trading costs ---

    def commission(self, params: Params, now_ns: int) -> dict[str, Any]:
        """``commissionRate``."""
        listing = listed(self._trading, self._category, params)
        rates = self._trading.rates(params.account, listing)
        found = {
            "symbol": listing.symbol,
            "makerCommissionRate": f"{rates.maker:.6f}",
            "takerCommissionRate": f"{rates.taker:.6f}",
        }
        return found if self._category == COINM else {**found, "rpiCommissionRate": "0.000050"}

    def brackets(self, params: Params, now_ns: int) -> Any:
        """``leverageBracket``: one bracket of each symbol."""
        symbol = params.text("symbol")
        names = ("notionalCap", "notionalFloor")
        if self._category == COINM:
            names = ("qtyCap", "qtyFloor")
        bracket: dict[str, Any] = {
            "bracket": 1,
            "initialLeverage": 125,
            names[0]: 1_000_000_000,
            names[1]: 0,
        }
        bracket |= {"maintMarginRatio": 0.005, "cum": 0.0}
        return [
            {"symbol": listing.symbol, "notionalCoef": 1.0, "brackets": [bracket]}
            for listing in self._trading.venue.listed(self._category)
            if symbol in {"", listing.symbol}
        ]

    def order_counts(self, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """``rateLimit/order``."""
        return self._trading.counts[USDM].rows(self._trading.user(params.account))
