"""Margin, liquidation, funding, options and deliveries: what money does by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core.conformance.judges.accountant import Accountant
from ccrs_core.emulator import (
    HOUSE,
    Ending,
    FeeRates,
    Filled,
    MarginCalled,
    MoneyKind,
    MoneyMoved,
    OrderChanged,
    Refusal,
    Refused,
    Stage,
    entry_price,
)
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType
from ccrs_core.model.orders import FillKind
from tests.emulator.trading_floor import (
    INVERSE,
    LINEAR,
    OPTION,
    SPOT,
    D,
    Exchange,
    frozen,
)

MARKET: dict[str, Any] = {"type": OrderType.MARKET}
FREE = FeeRates(maker=D(0), taker=D(0))


def quiet(*, mark: str = "60000", **more: Any) -> Exchange:
    """Markets that stand still at 60000, without fees."""
    it = Exchange(frozen(maker_rate=lambda _: D(0), taker_rate=lambda _: D(0), **more))
    for listing, size in ((LINEAR, "1000"), (INVERSE, "9000000")):
        it.book(listing, bids=[("60000", size)], asks=[("60001", size)])
        move(it, listing, mark)
    return it


def move(it: Exchange, listing: Any, price: str) -> None:
    it.venue.steer(listing, mark_price=D(price), index_price=D(price))


def broke(it: Exchange, money: str, asset: str = "USDT") -> Any:
    return it.desk.open_account("eve", money={asset: D(money)})


def test_a_long_position_gains_with_the_price_and_its_profit_is_realised_by_average_cost() -> None:
    it = quiet()
    ann = it.ann
    it.book(LINEAR, bids=[("60000", "9")], asks=[("60001", "1"), ("60101", "9")])
    it.place(ann, LINEAR, Side.BUY, "2", **MARKET)
    held = it.desk.position(ann, LINEAR)
    assert (held.size, entry_price(held)) == (2, D(60051))
    assert it.desk.margins.of_position(held).unrealised == 2 * (60000 - 60051)
    it.place(ann, LINEAR, Side.SELL, "5", **MARKET)
    after = it.desk.position(ann, LINEAR)
    [closing] = [each.fill for each in it.of(Filled) if each.fill.side is Side.SELL]
    assert (closing.closed, closing.profit) == (2, 2 * (60000 - 60051))
    assert (after.size, entry_price(after)) == (-3, 60000)
    assert ann.wallet["USDT"].total == 1_000_000 - 102


def test_an_inverse_position_gains_coins() -> None:
    it = quiet()
    it.place(it.ann, INVERSE, Side.SELL, "60000", **MARKET)
    assert it.desk.position(it.ann, INVERSE).cost == -1
    it.book(INVERSE, bids=[("49999", "90000")], asks=[("50000", "90000")])
    it.place(it.ann, INVERSE, Side.BUY, "60000", **MARKET)
    assert it.ann.wallet["BTC"].total == 20 + D("1.2") - 1


def test_an_order_needs_margin_by_its_leverage_and_none_to_close() -> None:
    it = quiet()
    eve = broke(it, "7000")
    with pytest.raises(Refused) as refused:
        it.place(eve, LINEAR, Side.BUY, "2", price=D(60000))
    assert refused.value.why is Refusal.BALANCE
    it.desk.settings.leverage(eve, LINEAR, D(20), D(20))
    it.place(eve, LINEAR, Side.BUY, "2", **MARKET)
    assert it.desk.margins.standing(eve).available == 7000 - 2 - D(6000)
    it.place(eve, LINEAR, Side.SELL, "2", price=D(70000))
    assert eve.wallet["USDT"].order_margin == 0


def test_all_assets_of_an_account_stand_for_crossed_margin_and_none_but_its_own_for_isolated() -> (
    None
):
    it = quiet()
    eve = broke(it, "1", "BTC")
    it.place(eve, LINEAR, Side.BUY, "1", **MARKET)
    it.place(eve, LINEAR, Side.SELL, "1", **MARKET)
    it.desk.settings.margin_mode(eve, MarginMode.ISOLATED)
    with pytest.raises(Refused) as refused:
        it.place(eve, LINEAR, Side.BUY, "1", **MARKET)
    assert refused.value.why is Refusal.BALANCE


def test_an_isolated_position_is_liquidated_alone_at_its_bankruptcy_price() -> None:
    it = quiet()
    eve = broke(it, "100000")
    it.desk.settings.margin_mode(eve, MarginMode.ISOLATED)
    it.book(LINEAR, bids=[("60000", "9")], asks=[("60000.1", "9")])
    it.place(eve, LINEAR, Side.SELL, "1", **MARKET)
    resting = it.place(eve, LINEAR, Side.SELL, "1", price=D(70000))
    held = it.desk.position(eve, LINEAR)
    assert held.isolated_margin == 6000
    due = it.desk.margins.liquidation_price(eve, held)
    assert due == pytest.approx(D(66000) - 300, abs=3)
    move(it, LINEAR, "65600")
    assert it.desk.position(eve, LINEAR).size == -1
    it.told.clear()
    move(it, LINEAR, "65700")
    assert it.desk.position(eve, LINEAR).size == 0
    assert it.desk.find(eve, number=resting.number).ending is Ending.LIQUIDATION  # type: ignore[union-attr]
    [fill] = [each.fill for each in it.of(Filled) if each.fill.account == "eve"]
    assert (fill.kind, fill.price, fill.order.by) == (
        *(FillKind.LIQUIDATION, D(66000), Ending.LIQUIDATION),
    )
    assert eve.wallet["USDT"].total == 100_000 - 6000
    # The house bought it back in the market, at 60000.1, for what it took over at 66000.
    assert it.desk.house.wallet["USDT"].total == 66000 - D("60000.1")
    [public] = it.market(LINEAR).liquidations
    assert public.side is Side.SELL


def test_a_crossed_account_is_warned_and_loses_its_positions_to_the_house() -> None:
    it = quiet()
    eve = broke(it, "10000")
    it.desk.settings.leverage(eve, LINEAR, D(100), D(100))
    it.place(eve, LINEAR, Side.BUY, "1", **MARKET)
    move(it, LINEAR, "50310")
    [warning] = it.of(MarginCalled)
    assert (warning.account, warning.rate < 1) == ("eve", True)
    it.venue.steer(LINEAR, bids=[(D(40000), D(9))], asks=[(D(50000), D(9))])
    move(it, LINEAR, "49000")
    assert it.desk.position(eve, LINEAR).size == 0
    assert eve.wallet["USDT"].total == pytest.approx(D(0), abs=D("0.1"))
    assert it.desk.house.wallet["USDT"].total < -9000  # it sold at 40000 what it took over at 50001
    books = Accountant()
    it.desk.tape.copy_to(lambda each: books.read([each]))
    assert books.of("eve").agrees(books.of("eve").balances["USDT"], eve.wallet["USDT"].total)
    kinds = [each.row.kind for each in it.of(MoneyMoved) if each.row.account == "eve"]
    assert MoneyKind.LIQUIDATION in kinds
    assert books.books[HOUSE].positions() == {}


def test_what_an_account_owes_once_it_is_liquidated_is_the_houses_loss() -> None:
    it = quiet()
    eve = broke(it, "10000")
    eve.fee_rates["linear"] = FeeRates(maker=D(0), taker=D("0.001"))
    it.desk.settings.leverage(eve, LINEAR, D(100), D(100))
    it.place(eve, LINEAR, Side.BUY, "1", **MARKET)
    move(it, LINEAR, "49000")
    assert eve.wallet["USDT"].total == 0
    insured = {r.account: r.cash for e in it.of(MoneyMoved) if (r := e.row).kind == "insurance"}
    assert insured["eve"] == -insured[HOUSE] > 40


def test_a_part_of_a_position_is_deleveraged_and_the_orders_are_canceled_first() -> None:
    it = quiet()
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    closing = it.place(it.ann, LINEAR, Side.SELL, "1", price=D(61000), reduce_only=True)
    it.told.clear()
    order = it.desk.deleverage(it.ann, LINEAR, D("0.7"), D(60500))
    assert it.desk.position(it.ann, LINEAR).size == D("0.3")
    canceled, *_ = it.of(OrderChanged)
    assert (canceled.order.number, canceled.order.ending) == (closing.number, Ending.DELEVERAGING)
    [fill] = [each.fill for each in it.of(Filled)]
    assert (fill.kind, fill.order.number, fill.order.client_order_id, fill.profit) == (
        *(FillKind.DELEVERAGING, order.number, "", D("0.7") * 499),
    )
    assert fill.order.stage is Stage.FILLED


@pytest.mark.parametrize("listing", [LINEAR, INVERSE], ids=["linear", "inverse"])
def test_funding_is_paid_once_at_its_time_by_the_rate_that_is_told(listing: Any) -> None:
    it = quiet()
    size = "2" if listing is LINEAR else "120000"
    it.place(it.ann, listing, Side.BUY, size, **MARKET)
    it.place(it.bob, listing, Side.SELL, size, **MARKET)
    before = {a.name: a.wallet[listing.settle].total for a in (it.ann, it.bob)}
    market = it.market(listing)
    due_ns = market.next_funding_ns
    assert due_ns is not None
    rate = D(market.funding_at(due_ns)).scaleb(-6)
    it.told.clear()
    it.venue.advance(due_ns + 1)
    value = 120_000 if listing is LINEAR else 2
    for account, sign in ((it.ann, -1), (it.bob, 1)):
        paid = account.wallet[listing.settle].total - before[account.name]
        assert paid == sign * value * rate
    rows = [each.row for each in it.of(MoneyMoved)]
    assert [(r.kind, r.time_ns, r.size) for r in rows] == 2 * [(MoneyKind.FUNDING, due_ns, D(size))]
    page = it.desk.histories.executions("ann").page(it.venue.now_ns, limit=1)
    assert page.rows == (rows[0],)
    it.venue.advance(due_ns + 60 * 10**9)
    assert len(it.of(MoneyMoved)) == 2


def test_an_options_premium_is_paid_at_once_and_its_worth_at_expiry() -> None:
    it = quiet()
    it.book(OPTION, bids=[("1990", "5")], asks=[("2000", "5")])
    it.place(it.ann, OPTION, Side.BUY, "1", **MARKET)
    assert it.ann.wallet["USDT"].total == 1_000_000 - 2000
    standing = it.desk.margins.of_asset(it.ann, "USDT")
    assert standing.option_value > 0
    it.place(it.bob, OPTION, Side.SELL, "1", **MARKET)
    assert it.bob.wallet["USDT"].total == 1_000_000 + 1990
    resting = it.place(it.bob, OPTION, Side.SELL, "1", price=D(9000))
    it.venue.steer(OPTION, index_price=D(61000))
    assert OPTION.expiry_ns is not None
    it.venue.advance(OPTION.expiry_ns + 1)
    assert it.ann.wallet["USDT"].total == 1_000_000 - 2000 + 1000
    assert it.bob.wallet["USDT"].total == 1_000_000 + 1990 - 1000
    assert not it.ann.positions_of(OPTION)
    assert it.now(it.bob, resting).ending is Ending.SETTLEMENT
    with pytest.raises(Refused) as refused:
        it.place(it.ann, OPTION, Side.BUY, "1", price=D(100))
    assert refused.value.why is Refusal.MARKET_STATE
    books = Accountant()
    it.desk.tape.copy_to(lambda each: books.read([each]))
    for account in (it.ann, it.bob):
        mine = books.of(account.name)
        assert mine.agrees(mine.balances["USDT"], account.wallet["USDT"].total)


def test_a_rebate_is_received_and_each_account_has_its_own_rates() -> None:
    it = quiet()
    it.bob.fee_rates["spot"] = FeeRates(maker=D("-0.0001"), taker=D("0.001"))
    it.book(SPOT, bids=[], asks=[])
    it.place(it.bob, SPOT, Side.SELL, "1", price=D(60000))
    it.place(it.ann, SPOT, Side.BUY, "1", price=D(60000))
    fees = {each.fill.account: (each.fill.fee, each.fill.fee_asset) for each in it.of(Filled)}
    assert fees == {"ann": (0, "BTC"), "bob": (-6, "USDT")}
    assert it.bob.wallet["USDT"].total == 1_000_000 + 60_006


def test_money_comes_from_outside_and_leaves_as_far_as_it_is_free() -> None:
    it = quiet()
    it.desk.transfer(it.ann, "XYZ", D(5))
    it.place(it.ann, SPOT, Side.SELL, "20", price=D(90000))
    with pytest.raises(Refused) as refused:
        it.desk.transfer(it.ann, "BTC", D(-1))
    assert refused.value.why is Refusal.BALANCE
    it.desk.transfer(it.ann, "XYZ", D(-5))
    assert it.ann.wallet["XYZ"].total == 0


def test_the_same_seed_and_requests_make_the_same_happenings() -> None:
    def story() -> list[str]:
        it = Exchange(attrs.evolve(frozen(), at_once=0.4), seed=5)
        for step in range(60):
            account = (it.ann, it.bob)[step % 2]
            side = (Side.BUY, Side.SELL)[step % 3 == 0]
            price = it.best(LINEAR, side) + Decimal(step % 5 - 2) / 10
            it.place(account, LINEAR, side, "0.5", price=price)
            it.wait(0.2)
        return [repr(each) for each in it.told]

    first = story()
    assert len(first) > 300
    assert first == story()


def test_what_becomes_of_an_account_is_seen_while_nobody_asks_for_its_market() -> None:
    it = Exchange(seed=3)
    it.place(it.ann, SPOT, Side.BUY, "0.01", price=it.best(SPOT, Side.BUY))
    it.wait(300, step=1.0)
    assert it.of(Filled), "the market went to sleep with an order in it"
    market = it.market(SPOT)
    it.wait(100, step=1.0)
    count = market.tape.count
    it.wait(100, step=1.0)
    assert market.tape.count == count, "it runs on though nothing depends on it"
