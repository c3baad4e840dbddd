"""What rows of executions say: fills, funding, and what nobody knows how to book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ccrs_bybit.account_rows import income
from ccrs_bybit.fill_rows import KINDS, early_fill, fill
from trading_rows import NOW_NS, fill_row

from ccrs_core import (
    EarlyFillReport,
    FeeIn,
    FillKind,
    FillReport,
    IncomeKind,
    IncomeReport,
    Liquidity,
    Market,
    Side,
    StrangeReport,
)


def read(**changes: Any) -> FillReport:
    found = fill(fill_row(**changes), None, NOW_NS)
    assert isinstance(found, FillReport)
    return found


def test_a_trade_is_read_whole() -> None:
    assert read() == FillReport(
        market=Market.LINEAR,
        native="BTCUSDT",
        fill_id="7e57-01",
        exchange_order_id="0a1b",
        client_order_id="ccrs-1",
        side=Side.BUY,
        price=Decimal("98000.10"),
        size=Decimal("0.008"),
        value=Decimal("784.0008"),
        fee=Decimal("0.43120044"),
        fee_asset="USDT",
        liquidity=Liquidity.TAKER,
        exchange_time_ns=1794000300250000000,
        received_time_ns=NOW_NS,
        sequence=9_000_001,
        native_fields={
            "createType": "CreateByUser",
            "orderType": "Limit",
            "orderPrice": "98000.10",
            "orderQty": "0.020",
            "leavesQty": "0.012",
            "feeRate": "0.00055",
            "closedSize": "0.000",
            "markPrice": "98001.00",
        },
    )
    assert str(read().price) == "98000.10"


def test_all_kinds_of_the_documents_are_known_but_those_without_a_trade() -> None:
    assert set(KINDS) == {
        *("Trade", "AdlTrade", "BustTrade", "BlockTrade", "FutureSpread", "MovePosition"),
        *("Delivery", "Settle"),
    }
    for kind in ("CorporateAction", "UNKNOWN", "ANewWord"):
        found = fill(fill_row(execType=kind), None, NOW_NS)
        assert isinstance(found, StrangeReport)
        assert found.what == f"execType {kind}"
        assert found.native_fields["execQty"] == "0.008"


@pytest.mark.parametrize(
    ("kind", "expected", "by_exchange"),
    [
        ("Trade", FillKind.TRADE, False),
        ("AdlTrade", FillKind.DELEVERAGING, True),
        ("BustTrade", FillKind.LIQUIDATION, True),
        ("BlockTrade", FillKind.BLOCK, False),
        ("FutureSpread", FillKind.SPREAD, False),
        ("MovePosition", FillKind.TRANSFER, False),
        ("Delivery", FillKind.SETTLEMENT, True),
        ("Settle", FillKind.SETTLEMENT, True),
    ],
)
def test_fills_say_how_they_came_about(kind: str, expected: FillKind, by_exchange: bool) -> None:
    found = read(execType=kind, orderLinkId="")
    assert (found.kind, found.by_exchange) == (expected, by_exchange)


def test_an_option_that_expires_worthless_is_settled_at_nothing() -> None:
    found = read(execType="Delivery", execPrice="0", execValue="0", orderLinkId="")
    assert (found.kind, found.price, found.value) == (FillKind.SETTLEMENT, 0, 0)
    with pytest.raises(ValueError, match="price"):
        read(execType="Trade", execPrice="0")


def test_a_trade_of_an_order_that_the_exchange_made_is_the_exchanges() -> None:
    assert read(createType="CreateByLiq").by_exchange


# https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction
@pytest.mark.parametrize(
    ("side", "maker", "rate", "fee", "expected"),
    [
        ("Buy", False, "0.001", "0.0000080", FeeIn.BASE),
        ("Sell", False, "0.001", "0.78", FeeIn.QUOTE),
        ("Buy", True, "0.001", "0.0000080", FeeIn.BASE),
        ("Sell", True, "0.001", "0.78", FeeIn.QUOTE),
        ("Buy", True, "-0.0001", "-0.08", FeeIn.QUOTE),
        ("Sell", True, "-0.0001", "-0.0000008", FeeIn.BASE),
        ("Buy", True, "", "-0.08", FeeIn.QUOTE),
        ("Buy", None, "", "0.08", None),
    ],
)
def test_fees_of_spot_are_in_the_coin_of_the_rules_where_no_coin_is_named(
    side: str, maker: bool | None, rate: str, fee: str, expected: FeeIn | None
) -> None:
    changes = {"side": side, "isMaker": maker, "feeRate": rate, "execFee": fee}
    found = read(category="spot", feeCurrency="", **changes)
    assert (found.fee, found.fee_asset, found.fee_in) == (Decimal(fee), "", expected)
    named = read(category="spot", feeCurrency="MNT", **changes)
    assert (named.fee_asset, named.fee_in) == ("MNT", None)


@pytest.mark.parametrize("category", ["linear", "inverse", "option"])
def test_fees_of_contracts_are_in_what_they_are_settled_in(category: str) -> None:
    found = read(category=category, feeCurrency=None)
    assert (found.fee_asset, found.fee_in) == ("", FeeIn.SETTLE)


@pytest.mark.parametrize("fee", ["", None])
def test_a_fee_that_is_not_said_is_none(fee: str | None) -> None:
    found = read(execFee=fee, feeCurrency="")
    assert (found.fee, found.fee_asset, found.fee_in) == (None, "", None)


def test_the_spot_leg_of_a_spread_has_its_own_fee() -> None:
    leg = {"execType": "FutureSpread", "execFee": "1", "execFeeV2": "0.25"}
    assert read(category="spot", **leg).fee == Decimal("0.25")
    assert read(category="linear", **leg).fee == Decimal(1)


def test_rebates_are_below_zero_and_makers_are_told() -> None:
    found = read(execFee="-0.02", isMaker=True)
    assert (found.fee, found.liquidity) == (Decimal("-0.02"), Liquidity.MAKER)
    assert read(isMaker=None).liquidity is None


FUNDING = {
    "execType": "Funding",
    "execQty": "4.2",
    "execPrice": "2500.10",
    "execFee": "1.050042",
    "orderId": "1794000000-ETHUSDT-460579-Buy",
    "orderLinkId": "",
    "orderQty": "0.000",
    "orderType": "UNKNOWN",
    "symbol": "ETHUSDT",
    "execTime": "1794000000000",
}


def test_funding_is_money_and_no_fill() -> None:
    found = fill(fill_row(**FUNDING), None, NOW_NS)
    assert isinstance(found, IncomeReport)
    assert (found.kind, found.amount) == (IncomeKind.FUNDING, Decimal("-1.050042"))
    assert (found.market, found.native, found.asset) == (Market.LINEAR, "ETHUSDT", "USDT")
    unnamed = fill(fill_row(**FUNDING, feeCurrency=None), None, NOW_NS)
    assert isinstance(unnamed, IncomeReport)
    assert (unnamed.asset, unnamed.income_id) == ("", found.income_id)


def log_row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "592324_ETHUSDT_161440249321",
        "symbol": "ETHUSDT",
        "side": "Buy",
        "funding": "-1.050042",
        "orderLinkId": "",
        "orderId": "1794000000-8-592324-1-2",
        "fee": "0.00000000",
        "change": "-1.050042",
        "cashFlow": "0",
        "transactionTime": "1794000000000",
        "type": "SETTLEMENT",
        "feeRate": "0.0001",
        "size": "4.2",
        "qty": "4.2",
        "cashBalance": "5086.5",
        "currency": "USDT",
        "category": "linear",
        "tradePrice": "2500.10",
        "tradeId": "534c0003",
    } | changes


def test_funding_is_the_same_entry_wherever_it_is_listed() -> None:
    executed = fill(fill_row(**FUNDING), None, NOW_NS)
    (logged,) = income(log_row(), NOW_NS)
    assert isinstance(executed, IncomeReport)
    assert (logged.income_id, logged.amount) == (executed.income_id, executed.amount)
    assert logged.kind is executed.kind
    other = fill(fill_row(**FUNDING | {"side": "Sell"}), None, NOW_NS)
    assert isinstance(other, IncomeReport)
    assert other.income_id != executed.income_id


def test_what_a_settlement_pays_besides_funding_is_an_entry_of_its_own() -> None:
    found = income(log_row(change="3.25", cashFlow="4.300042"), NOW_NS)
    assert [(each.kind, each.amount) for each in found] == [
        (IncomeKind.FUNDING, Decimal("-1.050042")),
        (IncomeKind.OTHER, Decimal("4.300042")),
    ]
    assert len({each.income_id for each in found}) == 2


def test_rows_of_one_id_are_entries_of_their_own() -> None:
    # As an example of the documents has them.
    (trade,) = income(log_row(type="TRADE", funding="", change="-0.0190872"), NOW_NS)
    (more,) = income(log_row(type="TRADE", funding="", change="-0.1", tradeId="5184"), NOW_NS)
    (paid,) = income(log_row(), NOW_NS)
    assert len({trade.income_id, more.income_id, paid.income_id}) == 3
    assert (trade.kind, trade.amount) == (IncomeKind.TRADE, Decimal("-0.0190872"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("TRANSFER_IN", IncomeKind.TRANSFER),
        ("INTEREST", IncomeKind.INTEREST),
        ("DELIVERY", IncomeKind.DELIVERY),
        ("FEE_REFUND", IncomeKind.REBATE),
        ("AIRDROP", IncomeKind.BONUS),
        ("CURRENCY_SELL", IncomeKind.CONVERSION),
        ("LIQUIDATION", IncomeKind.TRADE),
        ("BORROW", IncomeKind.OTHER),
        ("A_NEW_WORD", IncomeKind.OTHER),
    ],
)
def test_money_says_what_it_came_for(word: str, kind: IncomeKind) -> None:
    row = log_row(type=word, category="", symbol="", funding="", change="12.5")
    (found,) = income(row, NOW_NS)
    assert (found.kind, found.amount, found.market) == (kind, Decimal("12.5"), None)
    assert found.native_fields["type"] == word


def test_an_early_word_of_a_fill_has_no_fee() -> None:
    row = fill_row(orderLinkId="")
    found = early_fill({name: row[name] for name in row if "Fee" not in name}, NOW_NS)
    assert found == EarlyFillReport(
        market=Market.LINEAR,
        native="BTCUSDT",
        fill_id="7e57-01",
        exchange_order_id="0a1b",
        client_order_id="",
        side=Side.BUY,
        price=Decimal("98000.10"),
        size=Decimal("0.008"),
        exchange_time_ns=1794000300250000000,
        received_time_ns=NOW_NS,
    )


def test_taxes_are_paid_like_the_fee_and_what_is_odd_about_them_takes_nothing_away() -> None:
    tax = {"feeCoin": "USDT", "feeType": "GST", "subFeeType": "IND_GST", "feeRate": "0.0001"}
    paid = [{**tax, "fee": "0.0046"}, {**tax, "fee": "0.0004"}]
    for extra, fee in (
        (paid, "0.4362"),
        ("", "0.4312"),
        (None, "0.4312"),
        ([{**tax, "feeCoin": "INR", "fee": "9"}, paid[0]], "0.4358"),
        ([7, {}, {**tax, "fee": 5}, {**tax, "fee": "x"}, {**tax, "fee": ""}], "0.4312"),
    ):
        found = fill(fill_row(execFee="0.4312", extraFees=extra), None, NOW_NS)
        assert isinstance(found, FillReport)
        assert found.fee == Decimal(fee), extra
    # Lists leave the coin of contracts' fees out: it is what they are settled in.
    found = fill(fill_row(execFee="0.4312", extraFees=paid, feeCurrency=""), None, NOW_NS)
    assert isinstance(found, FillReport)
    assert found.fee == Decimal("0.4362")


def test_a_liquidation_that_names_no_trade_is_told_by_no_fill() -> None:
    """The insurance fund made good what the account owed."""
    row = log_row(type="LIQUIDATION", funding="", change="5", tradeId="", orderId="")
    (paid,) = income(row, NOW_NS)
    (traded,) = income({**row, "tradeId": "77"}, NOW_NS)
    assert (paid.kind, paid.amount) == (IncomeKind.INSURANCE, Decimal(5))
    assert traded.kind is IncomeKind.TRADE
