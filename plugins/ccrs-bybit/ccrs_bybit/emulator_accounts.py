"""The emulated Bybit's accounts: positions, money, settings, keys, as asked and as set.

https://bybit-exchange.github.io/docs/v5/account/wallet-balance and the pages beside it
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ccrs_bybit.emulator_account_rows import position_row, wallet_row
from ccrs_bybit.emulator_codes import PARAMETER, Complaint, refuse, wrong
from ccrs_bybit.emulator_fitting import band, tradable
from ccrs_bybit.emulator_listings import CATEGORIES, INVERSE, LINEAR, OPTION, SPOT
from ccrs_bybit.emulator_order_rows import Spelled, number
from ccrs_bybit.emulator_orders import INDEXED_SIDES, MISMATCH
from ccrs_bybit.emulator_records import about, paged
from ccrs_bybit.emulator_tickets import Fields, category_of
from ccrs_core import NS_PER_SECOND, MarginMode, PositionMode, PositionSide
from ccrs_core.emulator import (
    ApiKey,
    BadRequest,
    Listing,
    Query,
    Refusal,
    Refused,
    TradingAccount,
    milliseconds,
)

if TYPE_CHECKING:
    from ccrs_bybit.emulator_trading import Trading

_MODES = {
    "REGULAR_MARGIN": MarginMode.CROSS,
    "ISOLATED_MARGIN": MarginMode.ISOLATED,
    "PORTFOLIO_MARGIN": MarginMode.PORTFOLIO,
}
_MODE_NAMES = {mode: name for name, mode in _MODES.items()}
_PRODUCTS = ("OPTIONS", "DERIVATIVES", "SPOT")
_DAY_NS = 86_400 * NS_PER_SECOND
_PORTFOLIO_EQUITY = 1000
_APPLIED = frozenset({"BTC", "ETH", "USDT", "USDC"})


_MARGIN_ADDED = (
    *("symbol", "positionIdx", "riskId", "riskLimitValue", "size", "positionValue", "avgPrice"),
    *("liqPrice", "bustPrice", "markPrice", "leverage", "autoAddMargin", "positionStatus"),
    *("positionIM", "positionMM", "unrealisedPnl", "cumRealisedPnl", "stopLoss", "takeProfit"),
    *("trailingStop", "createdTime", "updatedTime"),
)


class Accounts:
    """Answers questions about accounts, and changes their settings; one for all."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- questions ---

    def positions(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``position/list``: by symbol flat ones too, otherwise what is held."""
        category = query.choice("category", (LINEAR, INVERSE, OPTION))
        symbol, base, settle = (query.text(n) for n in ("symbol", "baseCoin", "settleCoin"))
        limit = query.number("limit", 20, 200)
        if category == LINEAR and not symbol and not settle:
            raise BadRequest(
                PARAMETER, "Missing some parameters that must be filled in, symbol or settleCoin"
            )
        trading = self._trading
        if symbol:
            listing = trading.listing(category, symbol)
            if listing is None:
                raise refuse(category, Complaint.SYMBOL)
            found = [trading.position(account, listing, side) for side in sides(account, listing)]
            if category == OPTION:
                found = [each for each in found if each.size]
        else:
            found = [
                each
                for each in account.positions.values()
                if each.size
                and each.listing.category == category
                and about(each.listing, "", base if category == OPTION else "", settle)
            ]
        found.sort(key=lambda each: (each.listing.symbol, each.side.value), reverse=True)
        order = {each.key: len(found) - index for index, each in enumerate(found)}
        page, cursor = paged(found, limit, query.text("cursor"), lambda each: (order[each.key],))
        rows = [position_row(trading.view(account, each), pushed=False) for each in page]
        return {"list": rows, "nextPageCursor": cursor, "category": category}

    def wallet(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/wallet-balance``."""
        if query.text("accountType") != "UNIFIED":
            raise BadRequest(PARAMETER, "accountType only support UNIFIED.")
        asked = query.text("coin")
        coins = frozenset(asked.split(",")) if asked else None
        standing = self._trading.desk.margins.standing(account)
        return {"list": [wallet_row(account, standing, coins)]}

    def info(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/info``: 5 is the unified account of today."""
        return {
            "marginMode": _MODE_NAMES[account.margin_mode],
            "updatedTime": str(milliseconds(account.opened_ns)),
            "unifiedMarginStatus": 5,
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def fee_rates(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/fee-rate``: of options by coin, of the others by symbol."""
        category = query.choice("category", CATEGORIES)
        symbol, base = query.text("symbol"), query.text("baseCoin")
        listed = [
            each
            for each in self._trading.venue.listed(category)
            if symbol in {"", each.symbol} and base in {"", each.base}
        ]
        if symbol and not listed and category != OPTION:
            raise refuse(category, Complaint.SYMBOL)
        if category == OPTION:
            by_coin = {each.base: each for each in listed}
            rows = [self._rates(account, each, "", coin) for coin, each in by_coin.items()]
            return {"category": category, "list": rows}
        rows = [self._rates(account, each, each.symbol, "") for each in listed]
        return {"category": category, "list": rows} if category == SPOT else {"list": rows}

    def _rates(
        self, account: TradingAccount, listing: Listing, symbol: str, coin: str
    ) -> dict[str, Any]:
        rates = self._trading.rates(account, listing)
        told = {"takerFeeRate": number(rates.taker), "makerFeeRate": number(rates.maker)}
        return {"symbol": symbol, **({"baseCoin": coin} if coin else {}), **told}

    def smp_group(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/smp-group``: 0 is none."""
        group = account.group
        return {"smpGroup": 0 if group is None else self._trading.group_number(group)}

    def settings(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/user-setting-config``: of spot, true moves prices into the band; of contracts,
        true refuses them."""
        return {
            "lpaSpot": self._trading.moves_prices(account, SPOT),
            "lpaPerp": not self._trading.moves_prices(account, LINEAR),
            "deltaEnable": False,
            "smsef": False,
            "fmsef": False,
        }

    def protection(self, account: TradingAccount, query: Query, now_ns: int) -> dict[str, Any]:
        """``account/query-dcp-info``: the products whose disconnect protection is on."""
        windows = self._trading.protection.windows(account, now_ns)
        rows = [
            {"product": product, "dcpStatus": "ON", "timeWindow": str(seconds)}
            for product, seconds in windows.items()
        ]
        return {"dcpInfos": rows}

    def key(self, key: ApiKey, account: TradingAccount, now_ns: int) -> dict[str, Any]:
        """``user/query-api``: what a key may do, where from, and until when."""
        writes = "trade" in key.may
        expires = key.expires_ns
        until = datetime.fromtimestamp((expires or 0) // NS_PER_SECOND, UTC)
        created = datetime.fromtimestamp(key.created_ns // NS_PER_SECOND, UTC)
        moves = {"transfer": ["AccountTransfer"], "withdraw": ["Withdraw"]}
        wallet = [word for may, words in moves.items() if may in key.may for word in words]
        rsa = key.secret.lstrip().startswith("-----BEGIN")
        days = -2 if expires is None else max(0, (expires - now_ns) // _DAY_NS)
        return {
            "id": str(2_208_000 + account.number),
            "note": account.name,
            "apiKey": key.key,
            "readOnly": 0 if writes else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if writes else [],
                "Spot": ["SpotTrade"] if writes else [],
                "Wallet": wallet,
                "Options": ["OptionsTrade"] if writes else [],
                "Derivatives": ["DerivativesTrade"] if writes else [],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
                "Earn": [],
                "FiatP2P": [],
                "FiatBitPay": [],
                "FiatConvertBroker": [],
                "BitCard": [],
                "ByXPost": [],
            },
            "ips": sorted(key.addresses) or ["*"],
            "type": 1,
            "deadlineDay": days,
            "expiredAt": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "createdAt": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "unified": 0,
            "uta": 1,
            "userID": self._trading.uid(account),
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": key.secret if rsa else "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }

    # --- settings ---

    def set_leverage(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``position/set-leverage``: both sides alike, but for isolated positions of two sides."""
        listing = self._contract(values)
        fields = Fields(values)
        buy, sell = fields.number("buyLeverage"), fields.number("sellLeverage")
        if buy is None or sell is None:
            raise wrong("buyLeverage" if buy is None else "sellLeverage")
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if buy != sell and not (hedged and account.margin_mode is MarginMode.ISOLATED):
            raise BadRequest(PARAMETER, "buy leverage is not equal to sell leverage")
        wanted = dict(zip(sides(account, listing), (buy, sell), strict=False))
        trading = self._trading
        for side, value in wanted.items():
            if value < 1 or value != round(value, 2):
                raise BadRequest(PARAMETER, "leverage invalid")
            most = trading.desk.settings.most_leverage(account, listing, side)
            if value > most:  # in hundredths
                shown = f"[{value * 100:.0f}] gt maxLeverage [{most * 100:.0f}]"
                raise BadRequest(110013, f"cannot set leverage {shown} by risk limit")
        if all(trading.leverage(account, listing, s) == value for s, value in wanted.items()):
            raise BadRequest(110043, "leverage not modified")
        try:
            trading.desk.settings.leverage(account, listing, buy, sell)
        except Refused as refused:
            raise _blocked(refused) from None
        return {}

    def add_margin(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``position/add-margin``: to an isolated position; below zero: take away what its
        leverage doesn't need.

        https://bybit-exchange.github.io/docs/v5/position/manual-add-margin
        """
        listing = self._contract(values)
        fields = Fields(values)
        text = fields.text("margin")
        sign, amount = (-1, text[1:]) if text.startswith("-") else (1, text)
        value = Fields({"margin": amount}).number("margin")
        if not value or value != round(value, 4):
            raise wrong("margin")
        side = INDEXED_SIDES[fields.whole("positionIdx", (0, 1, 2), 0)]
        if side not in sides(account, listing):
            raise MISMATCH
        trading = self._trading
        position = trading.position(account, listing, side)
        if account.margin_mode is not MarginMode.ISOLATED:
            raise BadRequest(110015, "The position is in cross margin mode.")
        if not position.size:
            raise BadRequest(110033, "You can't set margin without an open position")
        try:
            trading.desk.settings.margin(account, position, sign * value)
        except Refused as refused:
            if refused.why is Refusal.BALANCE:
                raise BadRequest(
                    110014, "Insufficient available balance to add additional margin."
                ) from None
            raise BadRequest(110078, "Added margin more than max can reduce margin") from None
        row = position_row(
            trading.view(account, trading.position(account, listing, side)), pushed=False
        )
        return {"category": listing.category} | {name: row[name] for name in _MARGIN_ADDED}

    def switch_mode(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``position/switch-mode``: of a symbol, or of all perpetuals settled in a coin that
        nothing stands in the way of."""
        category = category_of(values)
        fields = Fields(values)
        mode = {0: PositionMode.ONE_WAY, 3: PositionMode.HEDGE}[fields.whole("mode", (0, 3), -1)]
        symbol, coin = fields.text("symbol"), fields.text("coin")
        if category not in {LINEAR, INVERSE} or not (symbol or coin):
            raise wrong("symbol" if category in {LINEAR, INVERSE} else "category")
        desk = self._trading.desk
        if symbol:
            listing = self._trading.listing(category, symbol)
            if listing is None:
                raise refuse(category, Complaint.SYMBOL)
            if mode is PositionMode.HEDGE and not _may_hedge(listing):
                raise BadRequest(110029, "Hedge mode is not supported for this symbol.")
            if account.position_mode(listing) is mode:
                raise BadRequest(110025, "Position mode is not modified")
            try:
                desk.settings.position_mode(account, listing, mode)
            except Refused:
                held = bool(account.positions_of(listing))
                code = 110024 if held else 110028
                what = "position" if held else "open orders"
                raise BadRequest(
                    code,
                    f"You have an existing {what}, so the position mode cannot be switched.",
                ) from None
            return {}
        found = [
            each
            for each in self._trading.venue.listed(category)
            if each.settle == coin and _may_hedge(each)
        ]
        if not found:
            raise BadRequest(110050, "Invalid coin")
        for listing in found:
            if account.position_mode(listing) is mode:
                continue
            try:
                desk.settings.position_mode(account, listing, mode)
            except Refused:
                continue  # those with positions or orders stay as they are
        return {}

    def set_margin_mode(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``account/set-margin-mode``: of the whole account."""
        mode = _MODES.get(Fields(values).text("setMarginMode"))
        if mode is None:
            raise wrong("setMarginMode")
        if account.margin_mode is mode:
            return {"reasons": []}
        why = None
        if mode is MarginMode.PORTFOLIO:
            # https://bybit-exchange.github.io/docs/v5/account/set-margin-mode,
            # https://bybit-exchange.github.io/docs/v5/error: nobody has what it takes.
            equity = self._trading.desk.margins.standing(account).equity
            poor = {
                "reasonCode": "3400000",
                "reasonMsg": "Equity needs to be equal to or greater than 1000 USDC",
            }
            other = {"reasonCode": "3400071", "reasonMsg": "The net asset is not satisfied"}
            why = poor if equity < _PORTFOLIO_EQUITY else other
        try:
            if why is None:
                self._trading.desk.settings.margin_mode(account, mode)
        except Refused:
            why = {
                "reasonCode": "3400054",
                "reasonMsg": "You have uncancelled USDT perpetual orders",
            }
        if why is not None:
            raise BadRequest(3400045, "Set margin mode failed", result={"reasons": [why]})
        return {"reasons": []}

    def set_price_action(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``account/set-limit-px-action``: whether prices beyond the band are moved into it."""
        category = category_of(values)
        if category == OPTION or not isinstance(values.get("modifyEnable"), bool):
            raise wrong("category" if category == OPTION else "modifyEnable")
        self._trading.move_prices(account, category, Fields(values).flag("modifyEnable"))
        return {}

    def set_protection(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``order/disconnected-cancel-all``: how long after the last connection is lost."""
        fields = Fields(values)
        product = fields.word("product", _PRODUCTS, "OPTIONS")
        seconds = fields.whole("timeWindow", range(3, 301), -1)
        if not account.institutional:
            raise BadRequest(10005, "Permission denied, please check your API key permissions.")
        self._trading.protection.set(account, product, seconds, now_ns)
        return {}

    def apply_money(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> dict[str, Any]:
        """``account/demo-apply-money``: play money, added or (``adjustType`` 1) taken away."""
        fields = Fields(values)
        sign = -1 if fields.whole("adjustType", (0, 1), 0) else 1
        asked = values.get("utaDemoApplyMoney")
        if not isinstance(asked, list) or not asked:
            raise wrong("utaDemoApplyMoney")
        amounts = []
        for each in asked:
            one = Fields(each if isinstance(each, Mapping) else {})
            coin, amount = one.text("coin"), one.number("amountStr")
            if coin not in _APPLIED or not amount:
                raise wrong("utaDemoApplyMoney")
            amounts.append((coin, sign * amount))
        for coin, amount in amounts:
            try:
                self._trading.desk.transfer(account, coin, amount)
            except Refused:
                raise BadRequest(PARAMETER, f"{coin}: not enough to take away") from None
        return {}

    # --- of a market, though only traders ask ---

    def price_limit(self, query: Query, now_ns: int) -> dict[str, Any]:
        """``market/price-limit``."""
        category = query.choice("category", (SPOT, LINEAR, INVERSE), LINEAR)
        listing = self._trading.listing(category, query.text("symbol"))
        if listing is None:
            raise BadRequest(PARAMETER, "params error: symbol invalid")
        tradable(listing, category, listing.symbol)
        lowest, highest = band(self._trading.venue.market(listing))
        spelled = Spelled(listing)
        return {
            "symbol": listing.symbol,
            "buyLmt": spelled.price(highest),
            "sellLmt": spelled.price(lowest),
            "ts": str(milliseconds(now_ns)),
        }

    def _contract(self, values: Mapping[str, Any]) -> Listing:
        category = category_of(values)
        if category not in {LINEAR, INVERSE}:
            raise BadRequest(PARAMETER, "Illegal category")
        listing = self._trading.listing(category, values.get("symbol"))
        if listing is None:
            raise refuse(category, Complaint.SYMBOL)
        return listing


def sides(account: TradingAccount, listing: Listing) -> tuple[PositionSide, ...]:
    """The positions that an account may have of a listing."""
    if account.position_mode(listing) is PositionMode.HEDGE:
        return PositionSide.LONG, PositionSide.SHORT
    return (PositionSide.NET,)


def _may_hedge(listing: Listing) -> bool:
    return listing.category == LINEAR and listing.settle == "USDT" and listing.expiry_ns is None


def _blocked(refused: Refused) -> BadRequest:
    if refused.why is Refusal.BALANCE:
        return BadRequest(110044, "Available margin is insufficient.")
    return BadRequest(PARAMETER, f"leverage invalid: {refused}")
