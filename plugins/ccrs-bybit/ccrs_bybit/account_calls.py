"""Calls about an account: its mode and permissions, positions, wallet, fees, settings, income.

https://bybit-exchange.github.io/docs/v5/account/wallet-balance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ccrs_bybit import fields
from ccrs_bybit.account_info import INFO_PATHS, joined_info, read_info, untold
from ccrs_bybit.account_rows import UNIFIED, balance, income, margin, position
from ccrs_bybit.budgets import shared
from ccrs_bybit.order_calls import post
from ccrs_bybit.orders import CONTRACTS, plain
from ccrs_bybit.rest import ALL, get
from ccrs_bybit.symbols import EXCHANGE
from ccrs_bybit.windows import KEPT_MS, Window, further
from ccrs_core import (
    NS_PER_MS,
    AccountInfo,
    Answer,
    Balance,
    Endpoint,
    FeeRate,
    GetAccountInfo,
    GetDeadMan,
    GetFeeRates,
    GetIncome,
    GetPositions,
    GetPriceBand,
    GetWallet,
    HttpRequest,
    IncomeReport,
    MarginMode,
    Market,
    PositionMode,
    PositionReport,
    PositionSide,
    PriceBand,
    Request,
    SetDeadMan,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Unsupported,
    Wallet,
)
from ccrs_core.wire import json_pages, ns_of_ms, ns_or_none, price_or_none, read_rows

Body = Mapping[str, Any]

POSITIONS_LIMIT = 200
LOG_LIMIT = 50
LOG_MS = 86_400_000
"""How far back the log reaches where no times are asked for.

https://bybit-exchange.github.io/docs/v5/account/transaction-log
"""

MARGIN_MODES = {
    MarginMode.ISOLATED: "ISOLATED_MARGIN",
    MarginMode.CROSS: "REGULAR_MARGIN",
    MarginMode.PORTFOLIO: "PORTFOLIO_MARGIN",
}
POSITION_MODES = {PositionMode.ONE_WAY: 0, PositionMode.HEDGE: 3}
PRODUCTS = {
    Market.LINEAR: "DERIVATIVES",
    Market.INVERSE: "DERIVATIVES",
    Market.SPOT: "SPOT",
    Market.OPTION: "OPTIONS",
}
"""What disconnect protection is set for. https://bybit-exchange.github.io/docs/v5/order/dcp"""
SHORTEST_PROTECTION, LONGEST_PROTECTION = 3, 300


# --- account ---------------------------------------------------------------------------------


def _info(request: GetAccountInfo, cursor: str | None) -> HttpRequest:
    return get(INFO_PATHS[int(cursor or 0)])


def _read_info(
    request: GetAccountInfo, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[AccountInfo]:
    part = int(cursor or 0)
    return _info_part(part, read_info(part, body["result"], request.account))


def _info_untold(request: GetAccountInfo, cursor: str | None) -> Answer[AccountInfo] | None:
    part = int(cursor or 0)
    found = untold(part, request.account)
    return None if found is None else _info_part(part, found)


def _info_part(part: int, found: AccountInfo) -> Answer[AccountInfo]:
    return Answer(found, str(part + 1) if part + 1 < len(INFO_PATHS) else None)


# --- positions and money ---------------------------------------------------------------------


def _positions(request: GetPositions, cursor: str | None) -> HttpRequest:
    query: list[tuple[str, object]] = [("category", request.market.value)]
    if request.instrument is not None:
        query.append(("symbol", request.instrument.native))
    elif request.settle:
        query.append(("settleCoin", request.settle))
    elif request.market is Market.LINEAR:
        raise Unsupported("positions of linear contracts: say an instrument, or the asset")
    query.append(("limit", POSITIONS_LIMIT))
    if cursor is not None:
        query += Window(cursor=cursor).query
    return get("/v5/position/list", *query)


def _read_positions(
    request: GetPositions, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[PositionReport]]:
    result = body["result"]
    found = read_rows(result["list"], lambda row: position(row, request.market, received_time_ns))
    return found.answer(cursor=further(result, cursor or "") or None)


def _wallet(request: GetWallet, cursor: str | None) -> HttpRequest:
    return get("/v5/account/wallet-balance", ("accountType", UNIFIED))


def _read_wallet(
    request: GetWallet, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[Wallet]:
    rows, time_ns = body["result"]["list"], ns_of_ms(body["time"])
    own = [row for row in rows if row.get("accountType", UNIFIED) == UNIFIED]
    if len(own) > 1:
        raise ValueError("several wallets of one kind")
    if not own:
        return Answer(Wallet(balances=(), exchange_time_ns=time_ns))
    (row,) = own

    def read(coin: Body) -> Balance:
        return balance(coin, request.account, time_ns, received_time_ns)

    found = read_rows(row["coin"], read)
    wallet = Wallet(balances=tuple(found.values), margin=margin(row), exchange_time_ns=time_ns)
    return Answer(wallet, None, found.left_out, found.reason)


def _fee_rates(request: GetFeeRates, cursor: str | None) -> HttpRequest:
    query = [("category", request.market.value)]
    if request.instrument is not None:
        coin = request.market is Market.OPTION
        instrument = request.instrument
        query.append(("baseCoin", instrument.base) if coin else ("symbol", instrument.native))
    return get("/v5/account/fee-rate", *query)


def _read_fee_rates(
    request: GetFeeRates, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[FeeRate]]:
    instrument = request.instrument

    def read(row: Body) -> FeeRate | None:
        native = fields.text(row, "symbol") or fields.text(row, "baseCoin")
        if instrument is not None and native not in (instrument.native, instrument.base):
            return None
        return FeeRate(
            exchange=EXCHANGE,
            account=request.account,
            market=request.market,
            symbol="" if instrument is None else instrument.symbol,
            maker=fields.needed_amount(row, "makerFeeRate"),
            taker=fields.needed_amount(row, "takerFeeRate"),
            native=native,
        )

    return read_rows(body["result"]["list"], read).answer()


def _price_band(request: GetPriceBand, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    return get(
        "/v5/market/price-limit",
        ("category", instrument.market.value),
        ("symbol", instrument.native),
    )


def _read_price_band(
    request: GetPriceBand, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[PriceBand]:
    row, instrument = body["result"], request.instrument
    if row["symbol"] != instrument.native:
        raise ValueError("the band of another instrument")
    band = PriceBand(
        symbol=instrument.symbol,
        lowest=price_or_none(row["sellLmt"]),
        highest=price_or_none(row["buyLmt"]),
        exchange_time_ns=ns_or_none(row.get("ts")),
    )
    return Answer(band)


def _income(request: GetIncome, cursor: str | None) -> HttpRequest:
    query = ("accountType", UNIFIED), ("limit", LOG_LIMIT)
    return get("/v5/account/transaction-log", *query, *Window.of(request, cursor).query)


def _read_income(
    request: GetIncome, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[list[IncomeReport]]:
    result, now_ms = body["result"], ns_of_ms(body["time"]) // NS_PER_MS
    window = Window.of(request, cursor).began(now_ms, LOG_MS)
    found = read_rows(result["list"], lambda row: income(row, received_time_ns))
    rows = [each for several in found.values[::-1] for each in several]
    oldest = min((each.exchange_time_ns for each in rows), default=None)
    start_ns = request.start_ns
    wanted = [
        each
        for each in rows
        if window.has(each.exchange_time_ns)
        and (start_ns is None or each.exchange_time_ns >= start_ns)
    ]
    following = window.following(request, result, now_ms, oldest, len(wanted))
    return Answer(wanted, following, found.left_out, found.reason)


# --- settings --------------------------------------------------------------------------------


def _leverage(request: SetLeverage, cursor: str | None) -> HttpRequest:
    if request.side is not PositionSide.NET:
        raise Unsupported("bybit sets the leverage of both sides at once: leave the side out")
    instrument, leverage = request.instrument, plain(request.leverage)
    return post(
        "/v5/position/set-leverage",
        {
            "category": instrument.market.value,
            "symbol": instrument.native,
            "buyLeverage": leverage,
            "sellLeverage": leverage,
        },
    )


def _margin_mode(request: SetMarginMode, cursor: str | None) -> HttpRequest:
    if request.instrument is not None:
        raise Unsupported("bybit has one margin mode for the whole account")
    return post("/v5/account/set-margin-mode", {"setMarginMode": MARGIN_MODES[request.mode]})


def _position_mode(request: SetPositionMode, cursor: str | None) -> HttpRequest:
    asked: dict[str, Any] = {"category": request.market.value}
    if request.instrument is not None:
        asked["symbol"] = request.instrument.native
    elif request.settle:
        asked["coin"] = request.settle
    else:
        raise Unsupported(
            'bybit sets it of a symbol, or of what is settled alike: say settle="USDT"'
        )
    return post("/v5/position/switch-mode", {**asked, "mode": POSITION_MODES[request.mode]})


def _set_dead_man(request: SetDeadMan, cursor: str | None) -> HttpRequest:
    seconds = int(request.seconds)
    if seconds != request.seconds or not SHORTEST_PROTECTION <= seconds <= LONGEST_PROTECTION:
        raise Unsupported(
            f"bybit's protection waits for {SHORTEST_PROTECTION} to {LONGEST_PROTECTION} whole "
            f"seconds, not for {request.seconds:g}; only Bybit itself switches it off"
        )
    if request.market is None:
        raise Unsupported("bybit's protection is of one product at a time: say a market")
    return post(
        "/v5/order/disconnected-cancel-all",
        {"product": PRODUCTS[request.market], "timeWindow": seconds},
    )


def _read_nothing(
    request: Request[None], body: Body, received_time_ns: int, cursor: str | None
) -> Answer[None]:
    return Answer(None)


def _dead_man(request: GetDeadMan, cursor: str | None) -> HttpRequest:
    return get("/v5/account/query-dcp-info")


def _read_dead_man(
    request: GetDeadMan, body: Body, received_time_ns: int, cursor: str | None
) -> Answer[int | None]:
    result = body.get("result") or {}
    for row in result.get("dcpInfos") or []:
        if row["product"] == PRODUCTS[request.market]:
            seconds = fields.needed_amount(row, "timeWindow")
            if seconds <= 0 or seconds != int(seconds):
                raise ValueError(f"a window of {seconds} seconds")
            return Answer(int(seconds) if row["dcpStatus"] == "ON" else None)
    return Answer(None)


# --- all of them -----------------------------------------------------------------------------


def _of_account(
    call: str, amount: int, encode: Any, decode: Any, **more: Any
) -> Endpoint[Any, Any]:
    markets = more.pop("markets", ALL)
    return Endpoint(
        encode=encode,
        decode=json_pages(decode),
        markets=markets,
        signed=True,
        pool=shared(call, amount),
        **more,
    )


def _join_income(pages: Sequence[list[IncomeReport]]) -> list[IncomeReport]:
    rows = [each for page in pages[::-1] for each in page]
    return sorted(rows, key=lambda each: each.exchange_time_ns)


ACCOUNT_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetAccountInfo: _of_account(
        "account/info", 10, _info, _read_info, join=joined_info, instead=_info_untold
    ),
    GetPositions: _of_account(
        "position/list", 50, _positions, _read_positions, markets=ALL - {Market.SPOT}
    ),
    GetWallet: _of_account("account/wallet-balance", 50, _wallet, _read_wallet),
    GetFeeRates: _of_account("account/fee-rate", 5, _fee_rates, _read_fee_rates),
    GetIncome: _of_account(
        "account/transaction-log",
        25,
        _income,
        _read_income,
        newest_first=True,
        retention=KEPT_MS * NS_PER_MS,
        join=_join_income,
    ),
    GetPriceBand: Endpoint(
        encode=_price_band, decode=json_pages(_read_price_band), markets=ALL - {Market.OPTION}
    ),
    SetLeverage: _of_account(
        "position/set-leverage", 10, _leverage, _read_nothing, markets=CONTRACTS
    ),
    SetMarginMode: _of_account("account/set-margin-mode", 5, _margin_mode, _read_nothing),
    SetPositionMode: _of_account(
        "position/switch-mode",
        10,
        _position_mode,
        _read_nothing,
        markets=frozenset({Market.LINEAR}),
    ),
    SetDeadMan: _of_account("order/disconnected-cancel-all", 5, _set_dead_man, _read_nothing),
    GetDeadMan: _of_account("account/query-dcp-info", 5, _dead_man, _read_dead_man),
}
