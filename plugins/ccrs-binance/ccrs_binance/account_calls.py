"""Calls about an account: its mode, positions, balances, fees, settings, income, listen keys.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
https://developers.binance.com/docs/derivatives/coin-margined-futures/account/rest-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from ccrs_binance import fields
from ccrs_binance.account_info import INFO_PATHS, joined_info, read_info, untold
from ccrs_binance.account_rows import futures_balance, income, position, spot_balance
from ccrs_binance.fields import Row
from ccrs_binance.order_calls import DAY_NS, call
from ccrs_binance.orders import plain
from ccrs_binance.rest import ALL, FUTURES
from ccrs_binance.symbols import EXCHANGE
from ccrs_binance.walks import end_ms, newest, within
from ccrs_core import (
    NS_PER_MS,
    AccountInfo,
    Answer,
    Balance,
    Endpoint,
    FeeRate,
    GetAccountInfo,
    GetFeeRates,
    GetIncome,
    GetPositions,
    GetWallet,
    HttpRequest,
    IncomeReport,
    MarginMode,
    Market,
    PositionMode,
    PositionReport,
    PositionSide,
    Request,
    SetDeadMan,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Token,
    Unsupported,
    Wallet,
)
from ccrs_core.wire import json_pages, read_rows, timed_pages

SHORTEST_PROTECTION, LONGEST_PROTECTION = 1.0, 3600.0
"""Seconds. Binance names no bounds: these are ours.

https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders
"""

KEY_CHECKED_AFTER = 60.0
"""Seconds after which a listen key is told to go on: it is good for an hour, and one that has been
closed by somebody else is found to be gone then.

https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

MARGIN_MODES = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}


# --- account ---------------------------------------------------------------------------------


def _info(request: GetAccountInfo, cursor: str | None) -> HttpRequest:
    part = int(cursor or 0)
    query = (("omitZeroBalances", "true"),) if part == 0 else ()
    return HttpRequest("GET", INFO_PATHS[part], query)


def _read_info(
    request: GetAccountInfo, body: Row, received_time_ns: int, cursor: str | None
) -> Answer[AccountInfo]:
    part = int(cursor or 0)
    return _info_part(part, read_info(part, body, request.account))


def _info_untold(request: GetAccountInfo, cursor: str | None) -> Answer[AccountInfo] | None:
    part = int(cursor or 0)
    found = untold(part, request.account)
    return None if found is None else _info_part(part, found)


def _info_part(part: int, found: AccountInfo) -> Answer[AccountInfo]:
    return Answer(found, str(part + 1) if part + 1 < len(INFO_PATHS) else None)


# --- positions and money ---------------------------------------------------------------------


def _positions(request: GetPositions, cursor: str | None) -> HttpRequest:
    if request.market is Market.LINEAR:
        query = () if request.instrument is None else (("symbol", request.instrument.native),)
        return HttpRequest("GET", "/fapi/v3/positionRisk", query)
    # Of COIN-M, by pair: those of several expiries.
    instrument = request.instrument
    about = () if instrument is None else (("pair", f"{instrument.base}{instrument.quote}"),)
    return call("GET", request.market, "positionRisk", *about)


def _read_positions(
    request: GetPositions, body: Any, received_time_ns: int, cursor: str | None
) -> Answer[list[PositionReport]]:
    def read(row: Row) -> PositionReport | None:
        found = position(row, request.market, received_time_ns)
        one = request.instrument
        return found if one is None or found.native == one.native else None

    return read_rows(body, read).answer()


WALLETS = (Market.SPOT, Market.LINEAR, Market.INVERSE)
_WALLET_PATHS = ("/api/v3/account", "/fapi/v3/balance", "/dapi/v1/balance")


def _wallet(request: GetWallet, cursor: str | None) -> HttpRequest:
    part = int(cursor or 0)
    query = (("omitZeroBalances", "true"),) if part == 0 else ()
    return HttpRequest("GET", _WALLET_PATHS[part], query)


def _read_wallet(
    request: GetWallet, body: Any, received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[Wallet]:
    part = int(cursor or 0)
    market, rows = WALLETS[part], body["balances"] if part == 0 else body

    def read(row: Row) -> Balance:
        if market is Market.SPOT:
            return spot_balance(row, request.account, time_ns, received_time_ns)
        told_ns = fields.time(row, "updateTime")
        return futures_balance(row, request.account, market, told_ns, received_time_ns)

    time_ns = fields.time(body, "updateTime") if part == 0 else None
    found = read_rows(rows, read)
    more = str(part + 1) if part + 1 < len(WALLETS) else None
    return Answer(Wallet(balances=tuple(found.values)), more, found.left_out, found.reason)


def _joined_wallet(parts: Sequence[Wallet]) -> Wallet:
    return Wallet(balances=tuple(each for part in parts for each in part.balances))


_WALLET_WEIGHTS = {"1": 5, "2": 1}


def _fee_rates(request: GetFeeRates, cursor: str | None) -> HttpRequest:
    if request.instrument is None:
        if request.market is Market.SPOT:
            return call("GET", request.market, "account", ("omitZeroBalances", "true"))
        raise Unsupported("binance tells fee rates of futures symbol by symbol")
    path = "account/commission" if request.market is Market.SPOT else "commissionRate"
    return call("GET", request.market, path, ("symbol", request.instrument.native))


def _read_fee_rates(
    request: GetFeeRates, body: Row, received_time_ns: int, cursor: str | None
) -> Answer[list[FeeRate]]:
    instrument = request.instrument
    if instrument is None:
        maker, taker = _rates(body["commissionRates"])
    elif request.market is Market.SPOT:
        # What is paid is all of these together.
        parts = [
            _rates(body[name])
            for name in ("standardCommission", "specialCommission", "taxCommission")
            if name in body
        ]
        maker = sum((each[0] for each in parts), Decimal(0))
        taker = sum((each[1] for each in parts), Decimal(0))
    else:
        maker = fields.needed_amount(body, "makerCommissionRate")
        taker = fields.needed_amount(body, "takerCommissionRate")
    if instrument is not None and body["symbol"] != instrument.native:
        raise ValueError("the rates of another symbol")
    rate = FeeRate(
        exchange=EXCHANGE,
        account=request.account,
        market=request.market,
        symbol="" if instrument is None else instrument.symbol,
        maker=maker,
        taker=taker,
        native="" if instrument is None else instrument.native,
    )
    return Answer([rate])


def _rates(row: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    return fields.needed_amount(row, "maker"), fields.needed_amount(row, "taker")


# --- income ----------------------------------------------------------------------------------
#
# Of both kinds of futures, one after the other; spot's comes by the stream alone. Pages go on at
# the time of the last row, whose fellows of one millisecond come once more and are left out then.

_INCOME = (Market.LINEAR, Market.INVERSE)
INCOME_PAGE = 1000
INCOME_SPAN_MS = 7 * 86_400_000
INCOME_KEPT_NS = 89 * DAY_NS


def _place(request: GetIncome, cursor: str | None) -> tuple[int, int | None]:
    """Which part it is, and from when on."""
    if cursor is None:
        start = request.start_ns
        return 0, None if start is None else -(-start // NS_PER_MS)
    part, since = cursor.split(":")
    return int(part), int(since) if since else None


def _income(request: GetIncome, cursor: str | None) -> HttpRequest:
    part, since = _place(request, cursor)
    query: list[tuple[str, object]] = []
    if since is not None:
        query += [("startTime", since), ("endTime", _until(request, since) - 1)]
    return call("GET", _INCOME[part], "income", *query, ("limit", INCOME_PAGE))


def _until(request: GetIncome, since: int) -> int:
    end = end_ms(request)
    until = since + INCOME_SPAN_MS
    return until if end is None else max(since + 1, min(until, end))


def _read_income(
    request: GetIncome, body: Any, received_time_ns: int, cursor: str | None, now_ns: int
) -> Answer[list[IncomeReport]]:
    part, since = _place(request, cursor)

    def read(row: Row) -> IncomeReport | None:
        found = income(row, _INCOME[part], received_time_ns)
        return found if within(request, found.exchange_time_ns) else None

    following = None
    if since is not None:
        until = _until(request, since)
        end = end_ms(request)
        if len(body) >= INCOME_PAGE:
            last = newest(body, "time")
            following = f"{part}:{last if last > since else last + 1}"
        elif until * NS_PER_MS <= now_ns and (end is None or until < end):
            following = f"{part}:{until}"
    if following is None and part + 1 < len(_INCOME):
        _, first = _place(request, None)
        following = f"{part + 1}:{'' if first is None else first}"
    return read_rows(body, read).answer(cursor=following)


def _joined_income(pages: Sequence[list[IncomeReport]]) -> list[IncomeReport]:
    """Each once, oldest first."""
    found = {
        (each.market, each.income_id, each.asset, each.native): each
        for page in pages
        for each in page
    }
    return sorted(found.values(), key=lambda each: each.exchange_time_ns)


# --- settings --------------------------------------------------------------------------------


def _leverage(request: SetLeverage, cursor: str | None) -> HttpRequest:
    if request.side is not PositionSide.NET:
        raise Unsupported("binance has one leverage for both positions of a symbol")
    if request.leverage != int(request.leverage):
        raise Unsupported("binance's leverage is a whole number")
    about = ("symbol", request.instrument.native)
    leverage = ("leverage", plain(Decimal(int(request.leverage))))
    return call("POST", request.market, "leverage", about, leverage)


def _margin_mode(request: SetMarginMode, cursor: str | None) -> HttpRequest:
    if request.instrument is None or request.instrument.market not in FUTURES:
        raise Unsupported("binance has a margin mode for each symbol of futures")
    if request.mode not in MARGIN_MODES:
        raise Unsupported("binance's symbols are of cross or isolated margin")
    about = ("symbol", request.instrument.native)
    return call(
        "POST", request.market, "marginType", about, ("marginType", MARGIN_MODES[request.mode])
    )


def _position_mode(request: SetPositionMode, cursor: str | None) -> HttpRequest:
    """Of USD-M and COIN-M together, whichever is asked."""
    if request.instrument is not None or request.settle:
        raise Unsupported("binance has one position mode for all futures of an account")
    hedge = "true" if request.mode is PositionMode.HEDGE else "false"
    return call("POST", request.market, "positionSide/dual", ("dualSidePosition", hedge))


def _set_dead_man(request: SetDeadMan, cursor: str | None) -> HttpRequest:
    """https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Auto-Cancel-All-Open-Orders"""
    if request.instrument is None:
        raise Unsupported("binance's timer is one of each symbol")
    ms = round(request.seconds * 1000)
    about = ("symbol", request.instrument.native)
    return call("POST", request.market, "countdownCancelAll", about, ("countdownTime", ms))


def _read_nothing(
    request: Request[None], body: Any, received_time_ns: int, cursor: str | None
) -> Answer[None]:
    return Answer(None)


# --- listen keys -----------------------------------------------------------------------------


@attrs.frozen
class GetListenKey(Request[Token]):
    """The key by which a stream of an account's is listened to, or, where one is ``held``, that it
    is to go on."""

    idempotent: ClassVar[bool] = True

    market: Market
    held: str = attrs.field(default="", repr=False)


def _listen_key(request: GetListenKey, cursor: str | None) -> HttpRequest:
    return call("PUT" if request.held else "POST", request.market, "listenKey")


def _read_listen_key(
    request: GetListenKey, body: Row, received_time_ns: int, cursor: str | None
) -> Answer[Token]:
    """A renewal may say nothing, or which key goes on: another one than was held is another one."""
    key = body["listenKey"] if not request.held else body.get("listenKey") or ""
    if type(key) is not str or (not key and not request.held):
        raise TypeError("no listen key")
    return Answer(Token(key, renew_after=KEY_CHECKED_AFTER))


# --- all of them -----------------------------------------------------------------------------


def _of_account(encode: Any, decode: Any, **more: Any) -> Endpoint[Any, Any]:
    markets = more.pop("markets", ALL)
    return Endpoint(encode=encode, decode=decode, markets=markets, signed=True, **more)


ACCOUNT_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetAccountInfo: _of_account(
        _info,
        json_pages(_read_info),
        weight=20,
        page_weight=lambda request, cursor: 5 if cursor == "1" else 1,
        join=joined_info,
        instead=_info_untold,
    ),
    GetPositions: _of_account(
        _positions,
        json_pages(_read_positions),
        markets=FUTURES,
        weight=lambda request: 5 if request.market is Market.LINEAR else 1,
    ),
    GetWallet: _of_account(
        _wallet,
        timed_pages(_read_wallet),
        weight=20,
        page_weight=lambda request, cursor: _WALLET_WEIGHTS[cursor],
        join=_joined_wallet,
    ),
    GetFeeRates: _of_account(_fee_rates, json_pages(_read_fee_rates), weight=20),
    GetIncome: _of_account(
        _income,
        timed_pages(_read_income),
        markets=FUTURES,
        weight=30,
        page_weight=lambda request, cursor: 30 if cursor[0] == "0" else 20,
        retention=INCOME_KEPT_NS,
        join=_joined_income,
    ),
    SetLeverage: _of_account(_leverage, json_pages(_read_nothing), markets=FUTURES),
    SetMarginMode: _of_account(_margin_mode, json_pages(_read_nothing), markets=FUTURES),
    SetPositionMode: _of_account(_position_mode, json_pages(_read_nothing), markets=FUTURES),
    SetDeadMan: _of_account(
        _set_dead_man, json_pages(_read_nothing), markets=FUTURES, weight=10, urgent=True
    ),
    GetListenKey: _of_account(_listen_key, json_pages(_read_listen_key), markets=FUTURES),
}
