"""What rows of orders, fills, positions and money say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from account_rows import (
    NOW_NS,
    account,
    algo_row,
    detail_row,
    fill_row,
    order_row,
    position_row,
    traded,
)
from ccrs_okx.account_rows import balance, bill, margin, position, together
from ccrs_okx.algo_rows import algo
from ccrs_okx.fill_rows import KINDS, fill, pushed_fill
from ccrs_okx.order_rows import order
from ccrs_okx.order_states import CANCEL_SOURCES, STATES, TYPES

from ccrs_core import (
    EndReason,
    FillKind,
    FillReport,
    IncomeKind,
    Liquidity,
    MarginMode,
    Market,
    OrderReport,
    OrderState,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    StrangeReport,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)
from ccrs_core.wire import MALFORMED

D = Decimal


def told(**changes: Any) -> OrderReport:
    found = order(order_row(**changes), NOW_NS)
    assert isinstance(found, OrderReport)
    return found


# --- orders ---


def test_an_order_that_rests_is_told_as_it_is_in_contracts() -> None:
    found = told()
    assert (found.market, found.native) == (Market.LINEAR, "BTC-USDT-SWAP")
    assert (found.exchange_order_id, found.client_order_id) == ("3967", "ccrs1")
    assert (found.state, found.side, found.type) == (OrderState.OPEN, Side.BUY, OrderType.LIMIT)
    assert (found.size, found.price, found.filled_size) == (D(5), D("98000.10"), D(0))
    assert (found.average_price, found.reason, found.reason_text) == (None, None, "")
    assert (found.time_in_force, found.post_only) == (TimeInForce.GTC, False)
    assert (found.reduce_only, found.position_side) == (False, PositionSide.NET)
    assert found.created_ns == 1_794_000_300_000_000_000
    assert found.exchange_time_ns == 1_794_000_300_250_000_000
    assert not found.by_exchange


@pytest.mark.parametrize(
    ("kind", "native", "market"),
    [
        ("SPOT", "BTC-USDT", Market.SPOT),
        ("MARGIN", "BTC-USDT", Market.SPOT),
        ("SWAP", "BTC-USDT-SWAP", Market.LINEAR),
        ("SWAP", "BTC-USDC-SWAP", Market.LINEAR),
        ("SWAP", "BTC-USD-SWAP", Market.INVERSE),
        ("FUTURES", "BTC-USD-261225", Market.INVERSE),
        ("FUTURES", "BTC-USD_UM-261030", Market.LINEAR),
        ("FUTURES", "BTC-USD_UM_XPERP-310404", Market.LINEAR),
        ("OPTION", "BTC-USD-261225-100000-C", Market.OPTION),
        ("OPTION", "BTC-USD_UM-260928-79000-C", Market.OPTION),
    ],
)
def test_a_row_is_of_the_market_that_its_name_tells(kind: str, native: str, market: Market) -> None:
    assert told(instType=kind, instId=native).market is market


@pytest.mark.parametrize("word", sorted(STATES))
def test_each_state_has_its_meaning(word: str) -> None:
    assert told(state=word, cancelSource="1").state is STATES[word]


@pytest.mark.parametrize("source", sorted(CANCEL_SOURCES, key=int))
@pytest.mark.parametrize("filled", ["0", "2"])
def test_each_source_of_an_end_has_its_reason(source: str, filled: str) -> None:
    state, reason = CANCEL_SOURCES[source]
    found = told(state="canceled", cancelSource=source, accFillSz=filled)
    assert found.reason is reason
    assert found.filled_size == D(filled)
    assert found.reason_text == f"cancelSource {source}"
    # What has fills was in the book.
    fell = state is OrderState.REJECTED and filled != "0"
    assert found.state is (OrderState.CANCELED if fell else state)


def test_post_only_that_would_take_is_rejected_and_what_isnt_filled_at_once_expires() -> None:
    rejected = told(ordType="post_only", state="canceled", cancelSource="31")
    assert (rejected.state, rejected.reason) == (OrderState.REJECTED, EndReason.POST_ONLY)
    rest = told(ordType="ioc", state="canceled", cancelSource="14", accFillSz="3")
    assert (rest.state, rest.reason, rest.filled_size) == (
        *(OrderState.EXPIRED, EndReason.NO_LIQUIDITY),
        D(3),
    )
    for kind in ("ioc", "fok", "market"):
        untold = told(ordType=kind, state="canceled", cancelSource="")
        assert (untold.state, untold.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
    assert told(state="canceled", cancelSource="").reason is None
    unheard = told(state="canceled", cancelSource="99")
    assert (unheard.state, unheard.reason) == (OrderState.CANCELED, EndReason.OTHER)
    guard = told(state="canceled", cancelSource="20")
    assert (guard.state, guard.reason) == (OrderState.CANCELED, EndReason.DEAD_MAN)


@pytest.mark.parametrize("word", sorted(TYPES))
def test_each_kind_of_order_is_priced_and_waits_as_it_does(word: str) -> None:
    found = told(ordType=word)
    assert (found.type, found.time_in_force, found.post_only) == TYPES[word]


def test_kinds_that_nobody_knows_are_told_without_one() -> None:
    found = told(ordType="tomorrow")
    assert (found.type, found.time_in_force, found.post_only) == (None, None, None)
    assert found.native_fields["ordType"] == "tomorrow"


@pytest.mark.parametrize(
    ("changes", "in_quote"),
    [
        ({"side": "buy", "tgtCcy": "quote_ccy"}, True),
        ({"side": "buy", "tgtCcy": "base_ccy"}, False),
        ({"side": "sell", "tgtCcy": "quote_ccy"}, True),
        ({"side": "buy", "tgtCcy": ""}, True),
        ({"side": "sell", "tgtCcy": ""}, False),
        ({"side": "buy", "tgtCcy": "", "instType": "MARGIN"}, True),
        ({"side": "buy", "tgtCcy": "", "ordType": "limit"}, False),
        ({"side": "buy", "tgtCcy": "", "instType": "SWAP", "instId": "BTC-USDT-SWAP"}, False),
    ],
)
def test_the_unit_of_a_size_is_told(changes: dict[str, Any], in_quote: bool) -> None:
    spot = {"instType": "SPOT", "instId": "BTC-USDT", "ordType": "market", "sz": "10"}
    found = told(**{**spot, **changes})
    sizes = (None, D(10)) if in_quote else (D(10), None)
    assert (found.size, found.quote_size) == sizes


def test_what_a_trigger_has_placed_names_the_order_that_waited() -> None:
    found = told(clOrdId="", algoId="7001", algoClOrdId="ccrst1", source="7")
    assert (found.client_order_id, found.parent_id) == ("ccrst1", "ccrst1")
    assert found.fired_by == "7001"
    assert told(clOrdId="", algoId="7001").parent_id == "7001"


@pytest.mark.parametrize("category", ["full_liquidation", "partial_liquidation", "adl", "delivery"])
def test_orders_that_okx_makes_are_its_own(category: str) -> None:
    assert told(category=category, clOrdId="").by_exchange


def test_states_and_types_that_nobody_knows_are_kept_and_told() -> None:
    strange = order(order_row(state="paused"), NOW_NS)
    assert isinstance(strange, StrangeReport)
    assert strange.what == "state paused"
    assert strange.native_fields["ordId"] == "3967"
    event = order(order_row(instType="EVENTS", instId="X-1"), NOW_NS)
    assert isinstance(event, StrangeReport)
    assert (event.market, event.what) == (None, "order of EVENTS")


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("ordId", "instId", "instType", "side", "state")),
        *({"sz": "NaN"}, {"px": "x"}, {"accFillSz": "-1"}, {"posSide": "both"}, {"uTime": "7"}),
        *({"reduceOnly": "yes"}, {"ordId": ""}, {"instId": "BTC"}, {"clOrdId": 7}),
    ],
)
def test_rows_that_cant_be_read_say_so(changes: dict[str, Any]) -> None:
    with pytest.raises(MALFORMED):
        order(order_row(**changes), NOW_NS)


# --- orders that wait ---


@pytest.mark.parametrize(
    ("changes", "trigger", "price"),
    [
        ({}, Trigger(price="95000", rises=False, by=TriggerBy.MARK), None),
        ({"side": "buy"}, Trigger(price="95000", rises=True, by=TriggerBy.MARK), None),
        (
            {"slTriggerPx": "", "tpTriggerPx": "99000", "tpOrdPx": "98990"},
            Trigger(price="99000", rises=True),
            D(98990),
        ),
        (
            {"slTriggerPx": "", "tpTriggerPx": "90000", "tpOrdPx": "-1", "side": "buy"},
            Trigger(price="90000", rises=False),
            None,
        ),
        (
            {"ordType": "trigger", "slTriggerPx": "", "triggerPx": "99000", "ordPx": "99001"},
            Trigger(price="99000", rises=True),
            D(99001),
        ),
        ({"ordType": "oco", "tpTriggerPx": "99000"}, None, None),
        ({"ordType": "move_order_stop", "slTriggerPx": ""}, None, None),
        (
            {"ordType": "move_order_stop", "slTriggerPx": "", "callbackRatio": "0.05"},
            Trailing(share="0.05"),
            None,
        ),
        (
            {
                "ordType": "move_order_stop",
                "slTriggerPx": "",
                "callbackRatio": "",
                "callbackSpread": "120",
                "activePx": "98000",
            },
            Trailing(distance=120, activation=98000),
            None,
        ),
    ],
)
def test_the_condition_of_an_order_that_waits(
    changes: dict[str, Any], trigger: Trigger | Trailing | None, price: Decimal | None
) -> None:
    found = algo(algo_row(**changes), NOW_NS)
    assert isinstance(found, OrderReport)
    assert found.state is OrderState.WAITING
    assert (found.trigger, found.price) == (trigger, price)
    assert found.type is (OrderType.MARKET if price is None else OrderType.LIMIT)
    assert (found.exchange_order_id, found.client_order_id) == ("7001", "ccrst1")


def test_how_an_order_that_waited_has_ended() -> None:
    fired = algo(algo_row(state="effective", ordIdList=["3968"]), NOW_NS)
    assert isinstance(fired, OrderReport)
    assert (fired.state, fired.fired, fired.children) == (OrderState.WAITING, True, ("3968",))
    assert "3968" in fired.reason_text
    several = algo(algo_row(state="effective", ordId="1", ordIdList=["1", "2"]), NOW_NS)
    assert isinstance(several, OrderReport)
    assert several.children == ("1", "2")
    failed = algo(algo_row(state="order_failed", failCode="51008"), NOW_NS)
    assert isinstance(failed, OrderReport)
    assert (failed.state, failed.reason) == (OrderState.REJECTED, EndReason.BALANCE)
    canceled = algo(algo_row(state="canceled"), NOW_NS)
    assert isinstance(canceled, OrderReport)
    assert (canceled.state, canceled.reason) == (OrderState.CANCELED, None)
    assert isinstance(algo(algo_row(state="asleep"), NOW_NS), StrangeReport)


# --- fills ---


def listed(**changes: Any) -> FillReport:
    found = fill(fill_row(**changes), NOW_NS)
    assert isinstance(found, FillReport)
    return found


def test_a_fill_costs_above_zero_and_a_rebate_is_below() -> None:
    """Taker fees, maker rebates in another asset: by the sign that all exchanges have here."""
    taker = listed(instType="SPOT", instId="BTC-USDT", fee="-0.0001", feeCcy="BTC")
    assert (taker.fee, taker.fee_asset, taker.liquidity) == (D("0.0001"), "BTC", Liquidity.TAKER)
    maker = listed(side="sell", fee="0.000005", feeCcy="BTC", execType="M")
    assert (maker.fee, maker.liquidity) == (D("-0.000005"), Liquidity.MAKER)
    free = listed(fee="0")
    assert free.fee == 0
    assert not free.fee.is_signed()
    assert listed(fee="").fee is None
    found = listed()
    assert (found.fill_id, found.exchange_order_id, found.client_order_id) == (
        "881",
        "3967",
        "ccrs1",
    )
    assert (found.price, found.size, found.kind) == (D("98000.10"), D(3), FillKind.TRADE)
    assert found.exchange_time_ns == 1_794_000_301_000_000_000


@pytest.mark.parametrize("word", sorted(KINDS, key=int))
def test_each_kind_of_fill_is_what_it_is(word: str) -> None:
    kind = KINDS[word]
    found = listed(subType=word)
    assert found.kind is kind
    exchange = {FillKind.LIQUIDATION, FillKind.DELEVERAGING, FillKind.SETTLEMENT}
    assert found.by_exchange == (kind in exchange)


@pytest.mark.parametrize("word", ["118", "212", "236", "376", "410", "9999"])
def test_what_is_listed_beside_fills_and_is_none_is_kept_and_told(word: str) -> None:
    found = fill(fill_row(subType=word), NOW_NS)
    assert isinstance(found, StrangeReport)
    assert word in found.what
    assert found.native_fields["billId"] == "900001"


def test_ids_of_liquidations_are_below_zero_and_where_there_is_none_the_bills_counts() -> None:
    assert listed(tradeId="-77", subType="104", clOrdId="", execType="").fill_id == "-77"
    for none in ("", "0", None):
        assert listed(tradeId=none).fill_id == "bill900001"
    block = listed(ordId="", clOrdId="", subType="204")
    assert (block.exchange_order_id, block.kind) == ("", FillKind.BLOCK)
    with pytest.raises(MALFORMED):
        fill(fill_row(tradeId="", billId=""), NOW_NS)


def test_a_push_and_a_list_tell_of_one_fill_alike() -> None:
    row = traded("881", "3", "3", fillFee="-1.47", execType="T", fillPx="98000.10")
    pushed, asked = pushed_fill(row, NOW_NS), listed()
    assert pushed is not None
    for name in ("market", "native", "fill_id", "exchange_order_id", "client_order_id", "side"):
        assert getattr(pushed, name) == getattr(asked, name), name
    for name in ("price", "size", "fee", "fee_asset", "liquidity", "position_side", "kind"):
        assert getattr(pushed, name) == getattr(asked, name), name
    assert pushed.exchange_time_ns == asked.exchange_time_ns


@pytest.mark.parametrize(
    "row",
    [
        order_row(),
        traded("", "0", "3", "filled", fillPx="", fillTime=""),
        traded("", "3", "3"),
        traded("881", "0", "3", "filled"),
        traded("0", "3", "3", "filled", category="full_liquidation"),
        traded("882", "3", "3", "filled", category="adl"),
        traded("882", "3", "3", instType="EVENTS"),
    ],
)
def test_a_push_without_a_trade_of_its_own_makes_no_fill(row: dict[str, Any]) -> None:
    assert pushed_fill(row, NOW_NS) is None


# --- positions ---


def test_a_position_counts_contracts_and_its_side_is_its_sign() -> None:
    found = position(position_row(), NOW_NS)
    assert (found.market, found.side, found.size) == (Market.LINEAR, PositionSide.NET, D("5.5"))
    assert (found.entry_price, found.leverage) == (D("98000.1"), D(5))
    assert found.margin_mode is MarginMode.CROSS
    assert position(position_row(pos="-5.5"), NOW_NS).size == D("-5.5")
    short = position(position_row(posSide="short", pos="2"), NOW_NS)
    assert (short.side, short.size) == (PositionSide.SHORT, D(-2))
    long = position(position_row(posSide="long", pos="2"), NOW_NS)
    assert (long.side, long.size) == (PositionSide.LONG, D(2))
    flat = position(position_row(posSide="short", pos="0"), NOW_NS)
    assert flat.size == 0
    assert not flat.size.is_signed()


def test_what_is_held_of_spot_on_margin_is_found_with_its_sign() -> None:
    spot = {"instType": "MARGIN", "instId": "BTC-USDT", "pos": "0.5", "posCcy": "BTC"}
    assert position(position_row(**spot), NOW_NS).size == D("0.5")
    owed = {**spot, "posCcy": "USDT", "pos": "120", "liab": "-0.0012", "liabCcy": "BTC"}
    assert position(position_row(**owed), NOW_NS).size == D("-0.0012")
    with pytest.raises(MALFORMED):
        position(position_row(**{**owed, "liabCcy": ""}), NOW_NS)


def test_positions_of_both_margins_of_one_instrument_add_up() -> None:
    cross = position(position_row(pos="5"), NOW_NS)
    isolated = position(position_row(pos="-2", mgnMode="isolated", uTime="1794000301009"), NOW_NS)
    other = position(position_row(instId="ETH-USDT-SWAP"), NOW_NS)
    both, alone = together([cross, isolated, other])
    assert (both.size, both.margin_mode, both.entry_price) == (D(3), None, None)
    assert both.exchange_time_ns == 1_794_000_301_009_000_000
    assert alone == other
    empty = position(position_row(pos="0", mgnMode="isolated"), NOW_NS)
    assert together([cross, empty]) == [cross]


# --- money ---


def test_equity_is_all_that_there_is_and_cash_what_isnt_profit() -> None:
    found = balance(detail_row(), "main", NOW_NS, NOW_NS)
    assert (found.asset, found.total, found.available, found.wallet) == (
        *("USDT", D(950), D(700)),
        D(1000),
    )
    assert balance(detail_row(eq=""), "main", None, NOW_NS).total == 1000
    assert balance(detail_row(cashBal="-3"), "main", None, NOW_NS).wallet == -3
    whole = margin({"totalEq": "950.5", "imr": "", "mmr": "21.5", "availEq": "", "upl": "-50"})
    assert (whole.equity, whole.initial_margin, whole.maintenance_margin) == (
        D("950.5"),
        None,
        D("21.5"),
    )


@pytest.mark.parametrize(
    ("kind", "further", "told_as"),
    [
        ("8", "173", IncomeKind.FUNDING),
        ("1", "11", IncomeKind.TRANSFER),
        ("2", "1", IncomeKind.TRADE),
        ("5", "104", IncomeKind.TRADE),
        ("5", "109", IncomeKind.FEE),
        ("10", "108", IncomeKind.INSURANCE),
        ("3", "112", IncomeKind.TRADE),
        ("3", "170", IncomeKind.EXERCISE),
        ("3", "172", IncomeKind.EXERCISE),
        ("7", "9", IncomeKind.INTEREST),
        ("9999", "1", IncomeKind.OTHER),
    ],
)
def test_bills_say_what_money_came_for(kind: str, further: str, told_as: IncomeKind) -> None:
    row = {"billId": "5", "type": kind, "subType": further, "ccy": "USDT", "balChg": "-8.118"}
    found = bill({**row, "ts": "1794000301003", "instId": "", "instType": ""}, NOW_NS)
    assert (found.kind, found.amount, found.income_id) == (told_as, D("-8.118"), "5")
    of = bill({**row, "ts": "1794000301003", "instId": "BTC-USD-SWAP", "instType": "SWAP"}, NOW_NS)
    assert (of.market, of.native) == (Market.INVERSE, "BTC-USD-SWAP")


def test_funding_of_an_isolated_position_is_what_its_own_balance_lost() -> None:
    """A row that OKX sent in March 2026: https://github.com/ccxt/ccxt/issues/28103"""
    row = {
        "billId": "3373589486042734612",
        "type": "8",
        "subType": "173",
        "ccy": "USDT",
        "bal": "22.8625531207008386",
        "balChg": "0.0000000000000000",
        "mgnMode": "isolated",
        "posBal": "2.7428167586502568",
        "posBalChg": "-0.2540832413497432",
        "tradeId": "0",
        "instId": "SAHARA-USDT-SWAP",
        "instType": "SWAP",
        "pnl": "-0.2540832413497432",
        "ts": "1773043201466",
        "fillTime": "1773043201466",
        "sz": "115",
        "px": "0.02606",
    }
    found = bill(row, NOW_NS)
    assert (found.kind, found.amount) == (IncomeKind.FUNDING, D("-0.2540832413497432"))
    # What goes to a position's margin leaves the account.
    moved = bill({**row, "type": "6", "subType": "160", "balChg": "-5", "posBalChg": "5"}, NOW_NS)
    assert moved.amount == -5
    for nothing in ("", "0", None):
        assert bill({**row, "posBalChg": nothing}, NOW_NS).amount == 0


# --- the account ---


@pytest.mark.parametrize(
    ("level", "options", "markets"),
    [
        ("1", "0", {Market.SPOT}),
        ("1", "1", {Market.SPOT, Market.OPTION}),
        ("2", "0", set(Market) - {Market.OPTION}),
        ("3", "1", set(Market)),
        ("4", None, set(Market)),
    ],
)
def test_what_may_be_traded_follows_from_level_and_key(
    level: str, options: str | None, markets: set[Market]
) -> None:
    more = {"perm": "read_only,trade", "ip": "203.0.113.7"}
    found = account(level, **more, **({} if options is None else {"opAuth": options}))
    assert found.permissions is not None
    assert found.permissions.trade == markets
    assert not found.permissions.withdraw
    assert found.permissions.addresses == ("203.0.113.7",)
    assert found.refused == ""
    assert not any(found.moves_prices.values())
    reads = account(level, perm="read_only,withdraw").permissions
    assert reads is not None
    assert (reads.trade, reads.withdraw) == (frozenset(), True)


def test_position_modes_are_of_contracts_and_levels_of_tomorrow_are_refused() -> None:
    found = account("2", "long_short_mode")
    assert found.position_modes == dict.fromkeys(
        (Market.LINEAR, Market.INVERSE), PositionMode.HEDGE
    )
    assert account("4").margin_mode is MarginMode.PORTFOLIO
    assert account("1").margin_mode is None
    assert "acctLv 9" in account("9").refused
