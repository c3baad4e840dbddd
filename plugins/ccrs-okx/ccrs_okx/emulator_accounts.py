"""The emulated OKX's accounts: positions, money, settings, rates, as asked and as set.

https://www.okx.com/docs-v5/en/#trading-account-rest-api
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from ccrs_core import PositionMode, PositionSide
from ccrs_core.emulator import (
    ApiKey,
    BadRequest,
    DeskPosition,
    Listing,
    MoneyRow,
    Query,
    Refused,
    TradingAccount,
)
from ccrs_okx.emulator_account_rows import balance_row, position_row
from ccrs_okx.emulator_codes import UNKNOWN, empty, parameter
from ccrs_okx.emulator_limits import SUB_ACCOUNT
from ccrs_okx.emulator_listings import FUTURES, OPTION, SPOT, SWAP, TYPES, family
from ccrs_okx.emulator_order_rows import POSITION_WORDS, money
from ccrs_okx.emulator_tickets import POSITION_SIDES, PREVENTIONS, Fields
from ccrs_okx.emulator_wire import instrument, ms

if TYPE_CHECKING:
    from ccrs_okx.emulator_trading import Trading

_MODES = {"net_mode": PositionMode.ONE_WAY, "long_short_mode": PositionMode.HEDGE}
_BLOCKED = BadRequest(
    59000, "Setting failed. Cancel any open orders, close positions, and stop trading bots first."
)
_SETTLED = {SWAP, FUTURES}


class Accounts:
    """Answers questions about accounts, and changes their settings; one for all."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # --- questions ---

    def config(self, key: ApiKey, account: TradingAccount, now_ns: int) -> list[Any]:
        """``account/config``: levels, modes, and what the key may do."""
        hedged = PositionMode.HEDGE in account.hedged.values()
        may = {"read": "read_only", "trade": "trade", "withdraw": "withdraw"}
        uid = self._trading.uid(account)
        return [
            {
                "uid": uid,
                "mainUid": uid,
                "acctLv": self._trading.level(account),
                "acctStpMode": account.settings.get("acctStpMode", "cancel_maker"),
                "posMode": "long_short_mode" if hedged else "net_mode",
                "autoLoan": False,
                "greeksType": "PA",
                "level": "Lv1",
                "levelTmp": "",
                "ctIsoMode": "automatic",
                "mgnIsoMode": "automatic",
                "spotOffsetType": "",
                "roleType": "0",
                "spotRoleType": "0",
                "spotTraderInsts": [],
                "traderInsts": [],
                "opAuth": "1",
                "kycLv": "3",
                "label": account.name,
                "ip": ",".join(sorted(key.addresses)),
                "perm": ",".join(word for name, word in may.items() if name in key.may),
                "enableSpotBorrow": False,
                "spotBorrowAutoRepay": False,
                "liquidationGear": "-1",
                "type": "0",
                "settleCcy": "USDC",
                "settleCcyList": ["USD", "USDC"],
            }
        ]

    def balance(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/balance``."""
        asked = query.text("ccy")
        only = frozenset(asked.split(",")) if asked else None
        return [self.balance_of(account, now_ns, only)]

    def balance_of(
        self, account: TradingAccount, now_ns: int, only: Container[str] | None
    ) -> dict[str, Any]:
        return balance_row(self._trading, account, now_ns, only)

    def positions(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/positions``: what is held."""
        category = query.choice("instType", (*TYPES, "MARGIN", ""), "")
        symbols = query.text("instId").split(",") if query.text("instId") else None
        if symbols is not None and len(symbols) > 10:
            raise parameter("instId")
        for symbol in symbols or ():
            if self._trading.listing(symbol) is None:
                raise UNKNOWN
        asked = query.text("posId")
        rows = [
            self.position_of(account, each, now_ns)
            for each in account.positions.values()
            if each.size
            and category in {"", each.listing.category}
            and (symbols is None or each.listing.symbol in symbols)
        ]
        return [row for row in rows if not asked or row["posId"] in asked.split(",")]

    def position_of(
        self, account: TradingAccount, position: DeskPosition, now_ns: int
    ) -> dict[str, Any]:
        return position_row(self._trading, account, position, now_ns)

    def risk(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/account-position-risk``: balances and positions of one moment."""
        balance = self.balance_of(account, now_ns, None)
        names = ("ccy", "eq", "disEq")
        return [
            {
                "adjEq": balance["adjEq"],
                "balData": [{name: each[name] for name in names} for each in balance["details"]],
                "posData": [
                    self.position_of(account, each, now_ns)
                    for each in account.positions.values()
                    if each.size
                ],
                "ts": ms(now_ns),
            }
        ]

    def together(
        self, account: TradingAccount, now_ns: int, of: MoneyRow | None = None
    ) -> dict[str, Any]:
        """``balance_and_position``: all there is; or what one change of money is about."""
        balance = self.balance_of(account, now_ns, None if of is None else {of.asset})
        about = None if of is None or of.listing is None else of.listing.key
        held = [
            position_row(self._trading, account, each, now_ns)
            for each in account.positions.values()
            if (each.size if of is None else each.listing.key == about)
        ]
        fill = None if of is None else of.fill
        trades = (
            []
            if fill is None
            else [{"instId": fill.listing.symbol, "tradeId": self._trading.ids.trade(fill)}]
        )
        return {
            "pTime": ms(now_ns),
            "eventType": "snapshot",
            "balData": [
                {"ccy": each["ccy"], "cashBal": each["cashBal"], "uTime": each["uTime"]}
                for each in balance["details"]
            ],
            "posData": [{name: row[name] for name in _OF_POSITION} for row in held],
            "trades": trades,
        }

    def fee_rates(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/trade-fee``: what is paid is below zero."""
        category = query.choice("instType", TYPES)
        symbol, wanted = query.text("instId"), query.text("instFamily")
        listed = [
            each
            for each in self._trading.venue.listed(category)
            if symbol in {"", each.symbol} and wanted in {"", family(each)}
        ]
        if not listed:
            raise UNKNOWN
        rates = self._trading.rates(account, listed[0])
        told = {"maker": money(-rates.maker), "taker": money(-rates.taker)}
        spot = category == SPOT
        return [
            {
                "category": "1",
                "delivery": "" if spot else "0.0001" if category in {FUTURES, OPTION} else "",
                "exercise": "0.0002" if category == OPTION else "",
                "feeGroup": [{"groupId": "1" if spot else "4", **told, "elpMaker": ""}],
                "fiat": [],
                "instType": category,
                "level": "Lv1",
                **told,
                "makerU": "" if spot else told["maker"],
                "takerU": "" if spot else told["taker"],
                "makerUSDC": "",
                "takerUSDC": "",
                "ruleType": "normal",
                "ts": ms(now_ns),
            }
        ]

    def leverage(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/leverage-info``: of each position that there may be."""
        mode = query.choice("mgnMode", ("cross", "isolated"))
        symbols = query.text("instId")
        if not symbols:
            raise empty("instId")
        rows = []
        for symbol in symbols.split(","):
            listing = self._trading.listing(symbol)
            if listing is None:
                raise UNKNOWN
            for side in sides(account, listing):
                value = self._trading.leverage(account, listing, side)
                rows.append(
                    {
                        "ccy": "",
                        "instId": symbol,
                        "lever": money(value),
                        "mgnMode": mode,
                        "posSide": POSITION_WORDS[side],
                    }
                )
        return rows

    def instruments(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``account/instruments``: those that the account may trade."""
        category = query.choice("instType", TYPES)
        symbol, wanted = query.text("instId"), query.text("instFamily")
        if category == OPTION and not wanted:
            raise empty("instFamily")
        trading = self._trading
        return [
            {**instrument(each, trading.code(each)), "rpi": "0"}
            for each in trading.venue.listed(category)
            if symbol in {"", each.symbol} and wanted in {"", family(each)}
        ]

    def order_limit(self, account: TradingAccount, query: Query, now_ns: int) -> list[Any]:
        """``trade/account-rate-limit``."""
        limit = str(SUB_ACCOUNT)
        return [
            {
                "accRateLimit": limit,
                "fillRatio": "0",
                "mainFillRatio": "0",
                "nextAccRateLimit": limit,
                "ts": ms(now_ns),
            }
        ]

    # --- settings ---

    def set_leverage(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> list[Any]:
        """``account/set-leverage``: of cross margin both sides alike; of isolated positions of two
        sides each by itself."""
        trading, fields = self._trading, Fields(values)
        mode = fields.word("mgnMode", ("cross", "isolated"))
        if not mode:
            raise empty("mgnMode")
        listing = self._contract(fields)
        lever = fields.number("lever")
        if not lever or lever < 1 or lever != round(lever, 2):
            raise BadRequest(59103, "Leverage is too low.")
        side = POSITION_SIDES.get(fields.text("posSide"))
        hedged = account.position_mode(listing) is PositionMode.HEDGE
        if side is None or (hedged and mode == "isolated" and side is PositionSide.NET):
            raise parameter("posSide")
        most = trading.desk.settings.most_leverage(account, listing, PositionSide.NET)
        if lever > most:
            raise BadRequest(
                59102, "Leverage exceeds the maximum limit. Please lower the leverage."
            )
        both = dict.fromkeys(PositionSide, lever)
        if hedged and mode == "isolated":
            for each in PositionSide:
                both[each] = trading.leverage(account, listing, each)
            both[side] = lever
        buys, sells = (
            both[PositionSide.LONG if hedged else PositionSide.NET],
            both[PositionSide.SHORT],
        )
        known = {each: trading.leverage(account, listing, each) for each in PositionSide}
        if known != both:
            try:
                trading.desk.settings.leverage(account, listing, buys, sells)
            except Refused as refused:
                if refused.why.value == "balance":
                    raise BadRequest(
                        59108, "Low leverage and insufficient margin, please adjust leverage."
                    ) from None
                if refused.why.value != "nothing_changes":
                    raise parameter("lever") from None
        told = {"instId": listing.symbol, "lever": money(lever), "mgnMode": mode}
        return [{**told, "posSide": POSITION_WORDS[side]}]

    def set_position_mode(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> list[Any]:
        """``account/set-position-mode``: of all contracts of the account."""
        said = Fields(values).text("posMode")
        wanted = _MODES.get(said)
        if wanted is None:
            raise parameter("posMode")
        settings = self._trading.desk.settings
        before = dict(account.hedged)
        try:
            # Where one was set by itself, the whole account's takes its place.
            for about in ({*before} | _SETTLED) if before else _SETTLED:
                listing = (
                    about if isinstance(about, str) else self._trading.venue.listings.get(about)
                )
                if listing is None:
                    continue
                known = account.hedged.get(about, PositionMode.ONE_WAY)
                if known is not wanted:
                    settings.position_mode(account, listing, wanted)
        except Refused as refused:
            if refused.why.value == "nothing_changes":
                return [{"posMode": said}]
            account.hedged.clear()
            account.hedged.update(before)
            raise _BLOCKED from None
        return [{"posMode": said}]

    def set_level(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> list[Any]:
        """``account/set-account-level``: nobody has what portfolio margin takes."""
        level = Fields(values).word("acctLv", ("1", "2", "3", "4"))
        if not level:
            raise empty("acctLv")
        if level == "4":
            raise BadRequest(
                51199, "Value is invalid, the account doesn't meet what portfolio margin takes."
            )
        if account.orders or any(each.size for each in account.positions.values()):
            raise _BLOCKED
        account.settings["acctLv"] = level
        return [{"acctLv": level}]

    def set_prevention(
        self, account: TradingAccount, values: Mapping[str, Any], now_ns: int
    ) -> list[Any]:
        """``account/set-account-stp-mode``: what holds of orders that say nothing."""
        said = Fields(values).word("acctStpMode", PREVENTIONS)
        if not said:
            raise empty("acctStpMode")
        account.settings["acctStpMode"] = said
        return [{"acctStpMode": said}]

    def _contract(self, fields: Fields) -> Listing:
        symbol = fields.text("instId")
        if not symbol:
            raise empty("instId")
        listing = self._trading.listing(symbol)
        if listing is None:
            raise UNKNOWN
        if listing.category in {SPOT, OPTION}:
            raise BadRequest(51010, "Leverage can't be set for this instrument here.")
        return listing


_OF_POSITION = (
    *("posId", "tradeId", "instId", "instType", "mgnMode", "posSide", "pos", "baseBal"),
    *("quoteBal", "posCcy", "ccy", "avgPx", "uTime"),
)


def sides(account: TradingAccount, listing: Listing) -> tuple[PositionSide, ...]:
    """The positions that an account may have of a listing."""
    if account.position_mode(listing) is PositionMode.HEDGE:
        return PositionSide.LONG, PositionSide.SHORT
    return (PositionSide.NET,)
