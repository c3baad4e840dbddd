"""What answers say of an account: mode, permissions, positions, money, settings."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.account_rows import balance, position
from trading_rows import NOW_MS, NOW_NS, coin_row, instrument, order_row, position_row

from ccrs_core import (
    AccountInfo,
    GetAccountInfo,
    GetDeadMan,
    GetFeeRates,
    GetOpenOrders,
    GetOrder,
    GetPositions,
    GetPriceBand,
    GetWallet,
    HttpResponse,
    MarginMode,
    Market,
    OrderState,
    PositionMode,
    PositionReport,
    PositionSide,
    Request,
    SetDeadMan,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Unsupported,
    Wallet,
    errors,
)

LINEAR = instrument()


def encoded(request: Request[Any], cursor: str | None = None) -> Any:
    http = Bybit.endpoints[type(request)].encode(request, cursor)
    return json.loads(http.body) if http.method == "POST" else dict(http.query)


def answered(request: Request[Any], result: Any, cursor: str | None = None) -> Any:
    body = json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS}).encode()
    return Bybit.endpoints[type(request)].decode(
        request, HttpResponse(200, {}, body), NOW_NS, cursor
    )


# --- mode and permissions ----------------------------------------------------------------------

MODE = {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 5, "spotHedgingStatus": "OFF"}
KEY = {
    "readOnly": 0,
    "permissions": {
        "ContractTrade": ["Order", "Position"],
        "Spot": ["SpotTrade"],
        "Wallet": ["AccountTransfer"],
        "Options": [],
        "Derivatives": [],
        "NFT": None,
    },
    "ips": ["192.0.2.7"],
    "expiredAt": "2027-02-03T04:05:06Z",
    "userID": 1448939,
    "vipLevel": "No VIP",
}
PRICES = {"lpaSpot": False, "lpaPerp": False}


def info(
    mode: dict[str, Any] = MODE, key: dict[str, Any] | None = KEY, prices: Any = PRICES
) -> AccountInfo:
    request, endpoint = GetAccountInfo("main"), Bybit.endpoints[GetAccountInfo]
    assert endpoint.join is not None
    assert endpoint.instead is not None
    parts, cursor = [], None
    for result in (mode, key, prices):
        answer = (
            endpoint.instead(request, cursor)
            if result is None
            else answered(request, result, cursor)
        )
        assert answer is not None
        parts.append(answer.value)
        cursor = answer.cursor
    assert cursor is None
    found = endpoint.join(parts)
    assert isinstance(found, AccountInfo)
    return found


def test_an_account_says_its_mode_and_what_its_key_may_do() -> None:
    paths = [
        Bybit.endpoints[GetAccountInfo].encode(GetAccountInfo(), cursor).path
        for cursor in (None, "1", "2")
    ]
    assert paths == ["/v5/account/info", "/v5/user/query-api", "/v5/account/user-setting-config"]
    found = info()
    assert (found.exchange, found.account, found.user_id) == ("bybit", "main", "1448939")
    assert (found.kind, found.margin_mode, found.refused) == ("unified", MarginMode.CROSS, "")
    permissions = found.permissions
    assert permissions is not None
    assert permissions.trade == {Market.LINEAR, Market.INVERSE, Market.SPOT}
    assert (permissions.withdraw, permissions.transfer) == (False, True)
    assert permissions.addresses == ("192.0.2.7",)
    assert permissions.expires_ns == 1801627506000000000


def test_prices_beyond_the_band_are_moved_by_default_of_contracts_and_never_of_spot() -> None:
    """The two settings mean the contrary of each other."""
    assert info().moves_prices == {Market.SPOT: False, Market.LINEAR: True, Market.INVERSE: True}
    other = info(prices={"lpaSpot": True, "lpaPerp": True})
    assert other.moves_prices == {Market.SPOT: True, Market.LINEAR: False, Market.INVERSE: False}


def test_a_key_that_only_reads_places_nothing() -> None:
    permissions = info(key={**KEY, "readOnly": 1, "ips": ["*"]}).permissions
    assert permissions is not None
    assert (permissions.trade, permissions.transfer) == (frozenset(), False)
    assert permissions.addresses == ()


def test_a_key_without_an_end_has_none() -> None:
    for never in ("1970-01-01T00:00:00Z", "", None):
        permissions = info(key={**KEY, "expiredAt": never}).permissions
        assert permissions is not None
        assert permissions.expires_ns is None


@pytest.mark.parametrize(
    ("status", "refused"), [(1, True), (3, False), (4, False), (5, False), (6, False), (9, True)]
)
def test_only_unified_accounts_place_orders(status: int, refused: bool) -> None:
    assert bool(info(mode={**MODE, "unifiedMarginStatus": status}).refused) == refused


def test_demo_accounts_say_less_and_are_accounts_all_the_same() -> None:
    found = info(key=None, prices=None)
    assert (found.kind, found.permissions) == ("unified", None)
    assert found.moves_prices[Market.LINEAR]
    instead = Bybit.endpoints[GetAccountInfo].instead
    assert instead is not None
    assert instead(GetAccountInfo(), None) is None


# --- positions ---------------------------------------------------------------------------------


def of(**changes: Any) -> PositionReport:
    return position(position_row(**changes), None, NOW_NS)


def test_a_position_is_read_whole() -> None:
    found = of()
    assert (found.market, found.native, found.side) == (Market.LINEAR, "BTCUSDT", PositionSide.NET)
    assert (found.size, found.entry_price) == (Decimal("0.008"), Decimal("98000.10"))
    assert (found.leverage, found.liquidation_price) == (Decimal(10), None)
    assert found.realised_profit == Decimal("-0.43120044")
    assert (found.sequence, found.exchange_time_ns) == (9_000_001, 1794000300260000000)
    assert found.native_fields["cumRealisedPnl"] == "-12.5"


@pytest.mark.parametrize(
    ("changes", "side", "size"),
    [
        ({"side": "Sell"}, PositionSide.NET, "-0.008"),
        ({"side": "Buy", "positionIdx": 1}, PositionSide.LONG, "0.008"),
        ({"side": "Sell", "positionIdx": 2}, PositionSide.SHORT, "-0.008"),
        ({"side": "", "positionIdx": 2, "size": "0"}, PositionSide.SHORT, "0"),
        ({"side": "", "size": "0"}, PositionSide.NET, "0"),
        ({"side": "None", "size": "0.000"}, PositionSide.NET, "0.000"),
    ],
    ids=str,
)
def test_sizes_have_the_sign_of_their_side(changes: Any, side: PositionSide, size: str) -> None:
    found = of(**changes)
    assert (found.side, str(found.size)) == (side, size)


def test_the_stream_calls_the_entry_price_otherwise() -> None:
    row = position_row(avgPrice=None, entryPrice="98000.5")
    assert position(row, None, NOW_NS).entry_price == Decimal("98000.5")


def test_a_symbol_that_was_never_traded_has_no_sequence() -> None:
    assert of(seq=-1).sequence is of(seq="-1").sequence is None


def test_a_position_without_a_side_is_unreadable() -> None:
    with pytest.raises(ValueError, match="side"):
        of(side="")


def test_positions_are_asked_for_by_asset_where_bybit_wants_that() -> None:
    assert encoded(GetPositions(market=Market.LINEAR, settle="USDT")) == {
        "category": "linear",
        "settleCoin": "USDT",
        "limit": "200",
    }
    assert encoded(GetPositions(market=Market.INVERSE))["category"] == "inverse"
    with pytest.raises(Unsupported):
        encoded(GetPositions(market=Market.LINEAR))
    assert Bybit.trading is not None
    assert Bybit.trading.settles == {Market.LINEAR: ("USDT", "USDC")}


# --- wallets -----------------------------------------------------------------------------------


def test_a_coin_is_its_equity_and_the_wallet_is_beside_it() -> None:
    found = balance(coin_row(), "main", NOW_NS, NOW_NS)
    assert (found.asset, found.total, found.wallet) == ("USDT", Decimal(950), Decimal(1000))
    assert found.available == Decimal(1000) - Decimal("78.40008") - Decimal("30.5") - 20


def test_what_is_borrowed_is_not_owned() -> None:
    found = balance(coin_row(spotBorrow="300", equity="650"), "main", NOW_NS, NOW_NS)
    assert (found.total, found.wallet) == (Decimal(650), Decimal(700))


def test_what_is_blank_is_not_known() -> None:
    """As of isolated and portfolio margin."""
    found = balance(coin_row(totalOrderIM="", equity=""), "main", NOW_NS, NOW_NS)
    assert (found.total, found.available) == (Decimal(1000), None)


def test_a_wallet_is_of_the_unified_account_alone() -> None:
    wallets = [
        {"accountType": "CONTRACT", "coin": [coin_row(walletBalance="7")]},
        {"accountType": "UNIFIED", "totalEquity": "949.9", "coin": [coin_row(), {"coin": "X"}]},
    ]
    answer = answered(GetWallet("main"), {"list": wallets})
    wallet: Wallet = answer.value
    assert [each.total for each in wallet.balances] == [Decimal(950)]
    assert answer.left_out == 1
    assert wallet.margin is not None
    assert (wallet.margin.equity, wallet.margin.available) == (Decimal("949.9"), None)
    assert wallet.exchange_time_ns == NOW_NS


# --- fees, bands, settings ---------------------------------------------------------------------


def test_fee_rates_are_of_the_instrument_that_was_asked_for() -> None:
    rows = [
        {"symbol": "BTCUSDT", "takerFeeRate": "0.00055", "makerFeeRate": "-0.0001"},
        {"symbol": "ETHUSDT", "takerFeeRate": "0.0006", "makerFeeRate": "0.0001"},
    ]
    (own,) = answered(GetFeeRates(market=Market.LINEAR, instrument=LINEAR), {"list": rows}).value
    assert (own.symbol, own.native, own.maker) == ("BTC/USDT:USDT", "BTCUSDT", Decimal("-0.0001"))
    each = answered(GetFeeRates(market=Market.LINEAR), {"list": rows}).value
    assert [rate.native for rate in each] == ["BTCUSDT", "ETHUSDT"]
    option = instrument(Market.OPTION, "BTC-X-C-USDT")
    asked = encoded(GetFeeRates(market=Market.OPTION, instrument=option))
    assert asked == {"category": "option", "baseCoin": "BTC"}


def test_a_band_is_of_the_instrument_that_was_asked_for() -> None:
    row = {"symbol": "BTCUSDT", "buyLmt": "99678.10", "sellLmt": "", "ts": str(NOW_MS)}
    found = answered(GetPriceBand(LINEAR), row).value
    assert (found.lowest, found.highest) == (None, Decimal("99678.10"))
    with pytest.raises(errors.DecodeError):
        answered(GetPriceBand(LINEAR), {**row, "symbol": "ETHUSDT"})


def test_settings_are_sent_as_bybit_has_them() -> None:
    assert encoded(SetLeverage(LINEAR, Decimal("12.5"))) == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "buyLeverage": "12.5",
        "sellLeverage": "12.5",
    }
    assert encoded(SetMarginMode(mode=MarginMode.CROSS)) == {"setMarginMode": "REGULAR_MARGIN"}
    asked = SetPositionMode(mode=PositionMode.HEDGE, market=Market.LINEAR, settle="USDT")
    assert encoded(asked) == {"category": "linear", "coin": "USDT", "mode": 3}
    assert encoded(SetDeadMan(market=Market.INVERSE, seconds=40)) == {
        "product": "DERIVATIVES",
        "timeWindow": 40,
    }
    for done in (asked, SetLeverage(LINEAR, Decimal(2)), SetMarginMode(mode=MarginMode.CROSS)):
        assert answered(done, {}).value is None


@pytest.mark.parametrize(
    "request_",
    [
        SetLeverage(LINEAR, Decimal(2), PositionSide.LONG),
        SetMarginMode(mode=MarginMode.CROSS, instrument=LINEAR),
        SetPositionMode(mode=PositionMode.HEDGE, market=Market.LINEAR),
        SetDeadMan(market=Market.SPOT, seconds=0),
        SetDeadMan(market=Market.SPOT, seconds=301),
        SetDeadMan(market=Market.SPOT, seconds=4.5),
    ],
    ids=str,
)
def test_settings_that_bybit_has_not_are_refused(request_: Request[Any]) -> None:
    with pytest.raises(Unsupported):
        encoded(request_)


@pytest.mark.parametrize(
    ("infos", "seconds"),
    [
        ([], None),
        ([{"product": "SPOT", "dcpStatus": "ON", "timeWindow": "10"}], None),
        ([{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "40"}], 40.0),
        ([{"product": "DERIVATIVES", "dcpStatus": "OFF", "timeWindow": "10"}], None),
        (None, None),
    ],
    ids=str,
)
def test_protection_is_claimed_where_bybit_says_that_it_is_on(infos: Any, seconds: Any) -> None:
    assert answered(GetDeadMan(Market.LINEAR), {"dcpInfos": infos}).value == seconds


# --- one order ---------------------------------------------------------------------------------


def test_an_order_is_found_by_either_id_and_denied_by_an_empty_list_alone() -> None:
    by_client = GetOrder(instrument=LINEAR, client_order_id="ccrs-1")
    assert encoded(by_client) == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "orderLinkId": "ccrs-1",
    }
    both = GetOrder(instrument=LINEAR, client_order_id="ccrs-1", exchange_order_id="0a1b")
    assert "orderLinkId" not in encoded(both)
    found = answered(by_client, {"list": [order_row(orderStatus="Filled")]}).value
    assert found.state is OrderState.FILLED
    assert answered(by_client, {"list": []}).value is None


@pytest.mark.parametrize(
    "row",
    [
        order_row(orderLinkId="another"),
        order_row(orderStatus="Frozen"),
        order_row(cumExecQty="many"),
        {},
        None,
    ],
    ids=["another", "strange", "odd", "empty", "null"],
)
def test_what_cannot_be_read_denies_nothing(row: Any) -> None:
    request = GetOrder(instrument=LINEAR, client_order_id="ccrs-1")
    with pytest.raises(errors.DecodeError):
        answered(request, {"list": [row]})


def test_open_orders_come_page_by_page_until_one_is_empty() -> None:
    request = GetOpenOrders(market=Market.LINEAR, settle="USDT")
    assert encoded(request) == {"category": "linear", "settleCoin": "USDT", "limit": "50"}
    page = answered(request, {"list": [order_row()], "nextPageCursor": "p%3D1%26"})
    assert (len(page.value), page.cursor) == (1, "p%3D1%26")
    assert encoded(request, page.cursor)["cursor"] == "p=1&"
    for last in ("", None, "p%3D1%26"):
        body = {"list": [order_row()], "nextPageCursor": last}
        assert answered(request, body, "p%3D1%26").cursor is None
    assert answered(request, {"list": [], "nextPageCursor": "more"}).cursor is None
