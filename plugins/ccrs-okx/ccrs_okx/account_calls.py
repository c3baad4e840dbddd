"""Calls about an account: its mode, positions, balances, fees, settings, bills.

https://www.okx.com/docs-v5/en/#trading-account-rest-api
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ccrs_core import (
    AccountInfo,
    Answer,
    Balance,
    Endpoint,
    FeeRate,
    GetAccountInfo,
    GetFeeRates,
    GetIncome,
    GetPositions,
    GetPriceBand,
    GetWallet,
    HttpRequest,
    IncomeReport,
    Market,
    PositionMode,
    PositionReport,
    PositionSide,
    PriceBand,
    Request,
    SetDeadMan,
    SetLeverage,
    SetPositionMode,
    Unsupported,
    Wallet,
)
from ccrs_core.wire import json_pages, ns_or_none, price_or_none, read_rows
from ccrs_okx import fields
from ccrs_okx.account_info import account_info
from ccrs_okx.account_rows import balance, bill, margin, position, together
from ccrs_okx.budgets import shared
from ccrs_okx.fields import family_of, is_of
from ccrs_okx.order_calls import FILLS_KEPT_NS, post
from ccrs_okx.orders import CONTRACTS, POSITIONS, TAG, plain
from ccrs_okx.parts import Place, before_end, by_time, times, wanted
from ccrs_okx.rest import ALL, data_of, get
from ccrs_okx.symbols import EXCHANGE, INSTRUMENT_TYPES, instrument_type

Row = Mapping[str, Any]

SHORTEST_PROTECTION, LONGEST_PROTECTION = 10, 120
"""https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-cancel-all-after"""

POSITION_MODES = {PositionMode.ONE_WAY: "net_mode", PositionMode.HEDGE: "long_short_mode"}


# --- account ---------------------------------------------------------------------------------


def _info(request: GetAccountInfo, cursor: str | None) -> HttpRequest:
    return get("account/config")


def _read_info(
    request: GetAccountInfo, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[AccountInfo]:
    (row,) = data
    return Answer(account_info(row, request.account))


# --- positions and money ---------------------------------------------------------------------


def _positions(request: GetPositions, cursor: str | None) -> HttpRequest:
    if request.instrument is not None:
        return get("account/positions", ("instId", request.instrument.native))
    # Of all types at once: what is asked for by one type isn't found under another.
    return get("account/positions")


def _read_positions(
    request: GetPositions, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[PositionReport]]:
    def read(row: Row) -> PositionReport | None:
        if not is_of(request.market, row):
            return None
        return position(row, received_time_ns)

    found = read_rows(data, read)
    return found.answer(together(found.values))


def _wallet(request: GetWallet, cursor: str | None) -> HttpRequest:
    return get("account/balance")


def _read_wallet(
    request: GetWallet, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[Wallet]:
    (row,) = data
    time_ns = fields.time(row, "uTime")

    def read(detail: Row) -> Balance:
        return balance(detail, request.account, time_ns, received_time_ns)

    found = read_rows(row["details"], read)
    wallet = Wallet(balances=tuple(found.values), margin=margin(row), exchange_time_ns=time_ns)
    return Answer(wallet, None, found.left_out, found.reason)


def _fee_rates(request: GetFeeRates, cursor: str | None) -> HttpRequest:
    instrument = request.instrument
    if instrument is None:
        types = INSTRUMENT_TYPES[request.market]
        return get("account/trade-fee", ("instType", types[int(cursor or 0)]))
    spot = instrument.market is Market.SPOT
    about = ("instId", instrument.native) if spot else ("instFamily", family_of(instrument))
    return get("account/trade-fee", ("instType", instrument_type(instrument)), about)


def _read_fee_rates(
    request: GetFeeRates, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[FeeRate]]:
    instrument, part = request.instrument, int(cursor or 0)
    groups = [(row, group) for row in data for group in row["feeGroup"]]

    def read(each: tuple[Row, Row]) -> FeeRate:
        row, group = each
        # OKX writes what is paid below zero.
        maker, taker = fields.paid(group, "maker"), fields.paid(group, "taker")
        if maker is None or taker is None:
            raise ValueError("a rate is blank")
        named = f"{fields.needed(row, 'instType')} group {fields.text(group, 'groupId')}"
        return FeeRate(
            exchange=EXCHANGE,
            account=request.account,
            market=request.market,
            symbol="" if instrument is None else instrument.symbol,
            maker=maker,
            taker=taker,
            native=named if instrument is None else instrument.native,
        )

    found = read_rows(groups, read)
    more = instrument is None and part + 1 < len(INSTRUMENT_TYPES[request.market])
    return found.answer(cursor=str(part + 1) if more else None)


def _price_band(request: GetPriceBand, cursor: str | None) -> HttpRequest:
    return get("public/price-limit", ("instId", request.instrument.native))


def _read_price_band(
    request: GetPriceBand, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[PriceBand]:
    (row,), instrument = data, request.instrument
    if row["instId"] != instrument.native:
        raise ValueError("the band of another instrument")
    return Answer(
        PriceBand(
            symbol=instrument.symbol,
            lowest=price_or_none(row["sellLmt"]),
            highest=price_or_none(row["buyLmt"]),
            exchange_time_ns=ns_or_none(row.get("ts")),
        )
    )


def _bills(request: GetIncome, cursor: str | None) -> HttpRequest:
    place = Place.of(cursor, wanted(request))
    return get("account/bills-archive", *times(request), *place.query)


def _read_bills(
    request: GetIncome, data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[list[IncomeReport]]:
    def read(row: Row) -> IncomeReport | None:
        found = bill(row, received_time_ns)
        return found if before_end(request, found.exchange_time_ns) else None

    found = read_rows(data, read)
    left = wanted(request)
    following = Place.of(cursor, left).following(data, "billId", 1, left, len(found.values))
    return found.answer(found.values[::-1], following)


# --- settings --------------------------------------------------------------------------------


def _leverage(request: SetLeverage, cursor: str | None) -> HttpRequest:
    """Of cross margin; of one side, of isolated positions, which alone have one for each."""
    body = {"instId": request.instrument.native, "lever": plain(request.leverage)}
    if request.side is PositionSide.NET:
        return post("account/set-leverage", {**body, "mgnMode": "cross"})
    side = POSITIONS[request.side]
    return post("account/set-leverage", {**body, "mgnMode": "isolated", "posSide": side})


def _position_mode(request: SetPositionMode, cursor: str | None) -> HttpRequest:
    if request.instrument is not None or request.settle:
        raise Unsupported("okx has one position mode for all contracts of an account")
    return post("account/set-position-mode", {"posMode": POSITION_MODES[request.mode]})


def _set_dead_man(request: SetDeadMan, cursor: str | None) -> HttpRequest:
    seconds = int(request.seconds)
    whole = seconds == request.seconds
    if not whole or not (seconds == 0 or SHORTEST_PROTECTION <= seconds <= LONGEST_PROTECTION):
        raise Unsupported(
            f"okx's timer runs for {SHORTEST_PROTECTION} to {LONGEST_PROTECTION} whole seconds, "
            f"or is off (0), not for {request.seconds:g}"
        )
    told = {"timeOut": str(seconds)}
    if not request.everything:
        told["tag"] = TAG
    return post("trade/cancel-all-after", told)


def _read_nothing(
    request: Request[None], data: list[Any], received_time_ns: int, cursor: str | None
) -> Answer[None]:
    return Answer(None)


# --- all of them -----------------------------------------------------------------------------


def _of_account(
    call: str, amount: int, encode: Any, decode: Any, seconds: float = 2.0, **more: Any
) -> Endpoint[Any, Any]:
    markets = more.pop("markets", ALL)
    return Endpoint(
        encode=encode,
        decode=json_pages(decode, data_of),
        markets=markets,
        signed=True,
        weight=0,
        pool=attrs.evolve(shared(call, amount, seconds), alone=True),
        **more,
    )


ACCOUNT_CALLS: dict[type[Request[Any]], Endpoint[Any, Any]] = {
    GetAccountInfo: _of_account("account/config", 5, _info, _read_info),
    GetPositions: _of_account("account/positions", 10, _positions, _read_positions),
    GetWallet: _of_account("account/balance", 10, _wallet, _read_wallet),
    GetFeeRates: _of_account("account/trade-fee", 5, _fee_rates, _read_fee_rates),
    GetIncome: _of_account(
        "account/bills-archive",
        5,
        _bills,
        _read_bills,
        newest_first=True,
        retention=FILLS_KEPT_NS,
        join=by_time(lambda each: each.exchange_time_ns),
    ),
    GetPriceBand: Endpoint(
        encode=_price_band,
        decode=json_pages(_read_price_band, data_of),
        markets=ALL,
        weight=2,
    ),
    SetLeverage: _of_account(
        "account/set-leverage", 20, _leverage, _read_nothing, markets=CONTRACTS
    ),
    SetPositionMode: _of_account(
        "account/set-position-mode", 5, _position_mode, _read_nothing, markets=CONTRACTS
    ),
    SetDeadMan: _of_account(
        "trade/cancel-all-after", 1, _set_dead_man, _read_nothing, seconds=1.0, urgent=True
    ),
}
