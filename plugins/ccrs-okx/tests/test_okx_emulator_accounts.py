"""What accounts of the emulated OKX have, what is told of them, and how long."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from okx_trader import (
    BTC,
    INVERSE,
    SWAP,
    Private,
    Trader,
    dialect,
    exchange,
    limit,
    listing,
    pass_time,
    still,
)

from ccrs_core.emulator import ApiKey, FeeRates

_HOUR, _DAY = 3600.0, 86_400.0


def held(trader: Trader) -> list[dict[str, Any]]:
    return trader.rows("account/positions")


def test_a_position_is_counted_in_contracts_with_its_sign() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    trader.does("trade/order", limit(side="sell", ordType="market", sz="2.5"))
    [row] = held(trader)
    assert (row["pos"], row["posSide"], row["mgnMode"], row["ccy"]) == (
        *("-2.5", "net", "cross"),
        "USDT",
    )
    assert Decimal(row["avgPx"]) == price - 104
    assert Decimal(row["notionalUsd"]) == Decimal("0.025") * price


def test_two_positions_of_an_instrument_have_sides_and_no_signs() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    assert trader.does("account/set-position-mode", {"posMode": "long_short_mode"}) == {
        "posMode": "long_short_mode"
    }
    assert trader.rows("account/config")[0]["posMode"] == "long_short_mode"
    assert trader.refused("trade/order", limit(ordType="market")) == "51000"
    for side, of in (("buy", "long"), ("sell", "short")):
        trader.does("trade/order", limit(side=side, ordType="market", sz="2", posSide=of))
    assert {row["posSide"]: row["pos"] for row in held(trader)} == {"long": "2", "short": "2"}
    assert trader.refused("account/set-position-mode", {"posMode": "net_mode"}) == "59000"
    trader.does("trade/order", limit(side="sell", ordType="market", sz="2", posSide="long"))
    assert [row["posSide"] for row in held(trader)] == ["short"]


def test_an_isolated_position_has_its_own_margin() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    trader.does("trade/order", limit(ordType="market", tdMode="isolated", sz="10"))
    [row] = held(trader)
    assert row["mgnMode"] == "isolated"
    assert Decimal(row["margin"]) == pytest.approx(price / 100, rel=Decimal("0.01"))
    # The emulator has one margin mode of an instrument at a time.
    assert trader.refused("trade/order", limit(ordType="market")) == "51010"
    trader.does("trade/order", limit(side="sell", ordType="market", tdMode="isolated", sz="10"))
    trader.does("trade/order", limit(ordType="market"))
    assert held(trader)[0]["mgnMode"] == "cross"


def test_leverage_is_told_as_it_was_set() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    body = {"instId": SWAP, "mgnMode": "cross", "lever": "7"}
    trader.does("account/set-leverage", body)
    trader.does("account/set-leverage", body)  # once more is no error
    [row] = trader.rows("account/leverage-info", instId=SWAP, mgnMode="cross")
    assert (row["lever"], row["posSide"]) == ("7", "net")
    assert trader.refused("account/set-leverage", {**body, "lever": "51"}) == "59102"
    assert trader.refused("account/set-leverage", {**body, "instId": BTC}) == "51010"


@pytest.mark.parametrize(
    ("level", "symbol", "mode", "fine"),
    [
        ("1", BTC, "cash", True),
        ("1", SWAP, "cross", False),
        ("2", BTC, "cross", False),
        ("3", BTC, "cross", True),
        ("3", BTC, "cash", False),
        ("3", SWAP, "cross", True),
    ],
)
def test_the_level_of_an_account_says_which_margin_there_is(
    level: str, symbol: str, mode: str, fine: bool
) -> None:
    venue = exchange()
    price, trader = still(venue, symbol), Trader(venue)
    trader.does("account/set-account-level", {"acctLv": level})
    assert trader.rows("account/config")[0]["acctLv"] == level
    answer = trader.post("trade/order", limit(symbol, tdMode=mode, px=f"{price - 500}"))
    assert answer["data"][0]["sCode"] == ("0" if fine else "51010")
    assert (trader.rows("account/balance")[0]["adjEq"] == "") is (level == "1")
    if fine:
        assert trader.refused("account/set-account-level", {"acctLv": "1"}) == "59000"


def test_what_is_paid_is_below_zero_and_a_rebate_comes_in_the_other_coin() -> None:
    venue = exchange()
    price, trader = still(venue, BTC), Trader(venue)
    account = venue.desk.accounts["emulator"]
    rates = FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.0005"))
    account.fee_rates["SPOT"] = rates
    [row] = trader.rows("account/trade-fee", instType="SPOT", instId=BTC)
    assert (row["maker"], row["taker"]) == ("0.0001", "-0.0005")
    assert row["feeGroup"][0]["maker"] == "0.0001"
    order = limit(BTC, side="sell", px=f"{price + 20}", sz="0.001")
    placed = trader.does("trade/order", order)
    other = venue.desk.open_account("other")
    from ccrs_core import Side
    from ccrs_core.emulator import NewOrder

    one = listing(venue, BTC)
    venue.desk.place(
        other, NewOrder(listing=one, side=Side.BUY, size=Decimal("0.001"), price=price + 20)
    )
    pass_time(venue, 0.1)
    now = trader.order(placed["ordId"], BTC)
    assert (now["state"], now["feeCcy"], now["rebateCcy"]) == ("filled", "USDT", "BTC")
    assert (now["fee"], now["rebate"]) == ("0", "0.0000001")
    [fill] = trader.rows("trade/fills", ordId=placed["ordId"])
    assert (fill["fee"], fill["feeCcy"], fill["execType"]) == ("0.0000001", "BTC", "M")


def test_balances_move_by_the_fees_that_rows_tell_to_the_last_digit() -> None:
    """A part of an order pays more digits than rows have."""
    from ccrs_core import Side
    from ccrs_core.emulator import NewOrder

    venue = exchange()
    price, trader = still(venue, BTC), Trader(venue)
    account = venue.desk.accounts["emulator"]
    rate = Decimal("0.000123456789")
    account.fee_rates["SPOT"] = FeeRates(maker=rate, taker=rate)

    def held() -> Decimal:
        [detail] = trader.rows("account/balance", ccy="USDT")[0]["details"]
        return Decimal(detail["cashBal"])

    before = held()
    order = limit(BTC, side="sell", px=f"{price + 20}", sz="0.001")
    placed = trader.does("trade/order", order)
    other = venue.desk.open_account("other")
    size, count = Decimal("0.00012345"), 8
    for _ in range(count):
        bought = NewOrder(listing=listing(venue, BTC), side=Side.BUY, size=size, price=price + 20)
        venue.desk.place(other, bought)
        pass_time(venue, 0.1)
    fills = trader.rows("trade/fills", ordId=placed["ordId"])
    assert len(fills) == count
    moved = sum(Decimal(e["fillPx"]) * Decimal(e["fillSz"]) + Decimal(e["fee"]) for e in fills)
    assert held() - before == moved


def test_streams_of_state_begin_with_it_and_tell_what_changes() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader, socket = Trader(venue), Private(venue)
    socket.log_in()
    quiet = '{"updateInterval":"0"}'
    socket.send(
        {
            "id": "1",
            "op": "subscribe",
            "args": [
                {"channel": "account", "extraParams": quiet},
                {"channel": "positions", "instType": "SWAP", "extraParams": quiet},
                {"channel": "balance_and_position"},
            ],
        }
    )
    kinds = [m.get("eventType") for m in socket.messages if m.get("data") is not None]
    assert kinds == ["snapshot", "snapshot", None]
    before = {row["ccy"] for row in socket.rows("account")[0]["details"]}
    assert before == {"USDT", "USDC", "BTC", "ETH"}
    assert socket.rows("positions") == []
    trader.does("trade/order", limit(ordType="market", sz="2"))
    pass_time(venue, 0.1)
    assert socket.rows("positions")[-1]["pos"] == "2"
    changed = [row for m in socket.rows("account")[1:] for row in m["details"]]
    assert {row["ccy"] for row in changed} == {"USDT"}
    together = socket.rows("balance_and_position")[-1]
    assert together["eventType"] == "filled"
    assert [row["pos"] for row in together["posData"]] == ["2"]
    assert len(together["trades"]) == 1
    trader.does("trade/order", limit(side="sell", ordType="market", sz="2"))
    pass_time(venue, 0.1)
    assert socket.rows("positions")[-1]["pos"] == "0"
    told = len(socket.messages)
    pass_time(venue, 20.0)
    socket.heard()
    assert len(socket.messages) == told


def test_states_are_repeated_where_nobody_asks_for_changes_alone() -> None:
    venue = exchange()
    socket = Private(venue)
    socket.log_in()
    socket.subscribe("account", ccy="USDT")
    pass_time(venue, 16.0)
    rows = socket.rows("account")
    assert len(rows) == 4
    assert all([each["ccy"] for each in row["details"]] == ["USDT"] for row in rows)


def test_unfilled_orders_are_forgotten_after_two_hours() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    unfilled = trader.does("trade/order", limit(px=f"{price - 500}"))
    trader.does("trade/cancel-order", {"instId": SWAP, "ordId": unfilled["ordId"]})
    filled = trader.does("trade/order", limit(ordType="market"))
    pass_time(venue, 1.9 * _HOUR)
    listed = trader.rows("trade/orders-history", instType="SWAP")
    assert {row["ordId"] for row in listed} == {unfilled["ordId"], filled["ordId"]}
    archived = trader.rows("trade/orders-history-archive", instType="SWAP")
    assert [row["ordId"] for row in archived] == [filled["ordId"]]
    pass_time(venue, 0.2 * _HOUR)
    gone = trader.get("trade/order", instId=SWAP, ordId=unfilled["ordId"])
    assert gone["code"] == "51603"
    listed = trader.rows("trade/orders-history", instType="SWAP")
    assert [row["ordId"] for row in listed] == [filled["ordId"]]


def test_lists_keep_what_is_past_so_long_as_each_does() -> None:
    venue = exchange()
    still(venue, BTC)
    trader = Trader(venue)
    placed = trader.does("trade/order", limit(BTC, ordType="market", sz="100"))

    def there() -> list[bool]:
        return [
            bool(trader.rows("trade/fills", instType="SPOT")),
            bool(trader.rows("trade/orders-history", instType="SPOT")),
            bool(trader.rows("account/bills", type="2")),
            bool(trader.rows("trade/fills-history", instType="SPOT")),
            bool(trader.rows("account/bills-archive", type="2")),
        ]

    assert there() == [True] * 5
    pass_time(venue, 3.1 * _DAY)
    assert there() == [False, True, True, True, True]
    pass_time(venue, 4 * _DAY)
    assert there() == [False, False, False, True, True]
    assert trader.order(placed["ordId"], BTC)["state"] == "filled"


def test_lists_are_paged_by_ids_newest_first() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    for _ in range(5):
        trader.does("trade/order", limit(ordType="market", sz="0.01"))
    bills = [row["billId"] for row in trader.rows("trade/fills-history", instType="SWAP")]
    assert bills == sorted(bills, key=int, reverse=True)
    assert len(bills) == 5
    terms = {"instType": "SWAP", "limit": "2"}
    first = trader.rows("trade/fills-history", **terms)
    second = trader.rows("trade/fills-history", **terms, after=first[-1]["billId"])
    assert [row["billId"] for row in (*first, *second)] == bills[:4]
    newer = trader.rows("trade/fills-history", instType="SWAP", before=bills[2])
    assert [row["billId"] for row in newer] == bills[:2]
    orders = [row["ordId"] for row in trader.rows("trade/orders-history", instType="SWAP")]
    later = trader.rows("trade/orders-history", instType="SWAP", after=orders[1])
    assert [row["ordId"] for row in later] == orders[2:]
    assert trader.get("trade/fills-history", limit="2")["code"] == "50014"
    assert trader.get("trade/fills", after="x")["code"] == "51000"


def test_bills_add_up_to_the_balance() -> None:
    venue = exchange()
    price = still(venue, SWAP)
    trader = Trader(venue)
    trader.does("trade/order", limit(ordType="market", sz="5"))
    due_ns = listing(venue, SWAP).funding_after(venue.now_ns)
    assert due_ns is not None
    venue.advance(due_ns)
    pass_time(venue, 1.0)
    bills = trader.rows("account/bills", ccy="USDT")
    assert [row["type"] for row in bills] == ["8", "2", "1"]
    assert bills[0]["subType"] in {"173", "174"}
    assert Decimal(bills[0]["pnl"]) == Decimal(bills[0]["balChg"]) != 0
    assert Decimal(bills[1]["balChg"]) == Decimal(bills[1]["fee"]) < 0
    [detail] = trader.rows("account/balance", ccy="USDT")[0]["details"]
    total = sum(Decimal(row["balChg"]) for row in bills)
    assert total == Decimal(detail["cashBal"]) == Decimal(bills[0]["bal"])
    assert price > 0


def test_a_forced_order_is_the_exchanges() -> None:
    venue = exchange()
    still(venue, INVERSE)
    trader, socket = Trader(venue), Private(venue)
    socket.log_in()
    socket.subscribe("orders", "balance_and_position")
    trader.does("trade/order", limit(INVERSE, ordType="market", sz="3", clOrdId="mine"))
    desk = venue.desk
    desk.liquidate(desk.accounts["emulator"], listing(venue, INVERSE))
    pass_time(venue, 0.1)
    row = socket.rows("orders")[-1]
    assert (row["category"], row["clOrdId"], row["tradeId"]) == ("full_liquidation", "", "0")
    fill = trader.rows("trade/fills", instType="SWAP")[0]
    assert (int(fill["tradeId"]) < 0, fill["subType"], fill["clOrdId"]) == (True, "104", "")
    assert "execType" not in fill
    assert socket.rows("balance_and_position")[-1]["eventType"] == "liquidation"
    assert held(trader) == []


@pytest.mark.parametrize("tag", ["mine", ""])
def test_a_timer_cancels_what_it_is_about_unless_it_is_renewed(tag: str) -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    tagged = trader.does("trade/order", limit(px=f"{price - 500}", tag="mine"))
    other = trader.does("trade/order", limit(px=f"{price - 500}"))
    set_ = {"timeOut": "10", **({"tag": tag} if tag else {})}
    first = trader.does("trade/cancel-all-after", set_)
    assert int(first["triggerTime"]) - int(first["ts"]) == 10_000
    pass_time(venue, 8.0)
    trader.does("trade/cancel-all-after", set_)
    pass_time(venue, 8.0)
    assert trader.order(tagged["ordId"])["state"] == "live"
    pass_time(venue, 3.0)
    ended = trader.order(tagged["ordId"])
    assert (ended["state"], ended["cancelSource"]) == ("canceled", "20")
    assert trader.order(other["ordId"])["state"] == ("live" if tag else "canceled")


def test_timers_have_bounds_and_can_be_turned_off() -> None:
    venue = exchange()
    price, trader = still(venue, SWAP), Trader(venue)
    placed = trader.does("trade/order", limit(px=f"{price - 500}"))
    for seconds in ("9", "121", "x", "-1"):
        assert trader.refused("trade/cancel-all-after", {"timeOut": seconds}) == "51000"
    trader.does("trade/cancel-all-after", {"timeOut": "10"})
    off = trader.does("trade/cancel-all-after", {"timeOut": "0"})
    assert off["triggerTime"] == "0"
    pass_time(venue, 20.0)
    assert trader.order(placed["ordId"])["state"] == "live"
    for n in range(20):
        trader.does("trade/cancel-all-after", {"timeOut": "60", "tag": f"t{n}"}, 0.0)
    body = {"timeOut": "60", "tag": "one more"}
    assert trader.refused("trade/cancel-all-after", {**body, "tag": "t20"}) == "51071"
    trader.does("trade/cancel-all-after", {"timeOut": "60", "tag": "t3"})


def test_the_price_limit_is_told_and_kept_to() -> None:
    venue = exchange()
    still(venue, SWAP)
    trader = Trader(venue)
    [row] = trader.rows("public/price-limit", instId=SWAP)
    assert trader.refused("trade/order", limit(px=f"{Decimal(row['buyLmt']) + 1}")) == "51006"
    selling = limit(side="sell", px=f"{Decimal(row['sellLmt']) - 1}")
    assert trader.refused("trade/order", selling) == "51006"
    assert dialect(venue).name == "okx"


def test_who_is_near_liquidation_is_warned_and_then_liquidated() -> None:
    venue = exchange()
    price = still(venue, SWAP)
    venue.desk.open_account("poor", money={"USDT": Decimal(1000)})
    venue.desk.add_key(ApiKey(key="poor", secret="poor", account="poor"))
    trader, socket = Trader(venue, "poor"), Private(venue)
    socket.log_in("poor")
    socket.subscribe("liquidation-warning", "orders")
    trader.does("account/set-leverage", {"instId": SWAP, "mgnMode": "cross", "lever": "50"})
    trader.does("trade/order", limit(ordType="market", sz="38"))

    def marked(share: str) -> None:
        at = (price * Decimal(share)) // 1
        venue.steer(listing(venue, SWAP), mark_price=at, index_price=at)
        pass_time(venue, 0.5)

    marked("0.99")
    assert socket.rows("liquidation-warning") == []
    marked("0.9822")
    assert {row["pos"] for row in socket.rows("liquidation-warning")} == {"38"}
    assert held(trader)[0]["pos"] == "38"
    marked("0.97")
    assert held(trader) == []
    assert socket.rows("orders")[-1]["category"] == "full_liquidation"


def test_what_the_insurance_fund_made_good_is_a_bill_of_no_fill() -> None:
    """Those of fills are counted by the fills; this one has none."""
    venue = exchange()
    price, desk = still(venue, SWAP), venue.desk
    desk.open_account("poor", money={"USDT": Decimal(400)})
    desk.add_key(ApiKey(key="poor", secret="poor", account="poor"))
    trader = Trader(venue, "poor")
    trader.does("trade/order", limit(side="sell", ordType="market", sz="2"))
    venue.steer(listing(venue, SWAP), mark_price=price * 2, index_price=price * 2)
    pass_time(venue, 1.0)
    [row] = trader.rows("account/bills", type="10")
    assert (row["subType"], row["ordId"]) == ("108", "")
    assert Decimal(row["balChg"]) > 0
