"""Property 53: a batch has one outcome for each item."""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_core.conformance.workbench.account_world import AccountWorld, Life
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader, trading_of
from ccrs_core.contract.trading import Feature
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    Placed,
    PlaceOrder,
    PlaceOrders,
)
from ccrs_core.errors import (
    InvalidRequest,
    OrderNotFound,
    OrderRejected,
)
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.orders import Order
from ccrs_core.trading.canceling import CancelOutcome
from ccrs_core.trading.checks import Amendment
from ccrs_core.trading.live_order import LiveOrder


class BatchProperties:
    """Property 53."""

    @proves(53)
    def test_batches_answer_for_each_item_in_order(self, subject: Subject) -> None:
        """A batch of orders of which some break a rule, and cancels and amendments of some that
        aren't open: one outcome for each, of that one, in order; the others take effect."""
        batches = trading_of(subject).batch
        if not batches:
            subject.undeclared("batch of orders")
        for market, most in batches.items():
            trader = Trader(subject)
            at = trader.stall(market)
            _placed_batch(trader, at, most)

    @proves(53)
    def test_what_is_more_than_an_account_may_send_at_once_leaves_in_portions(
        self, subject: Subject
    ) -> None:
        """A client places, amends and cancels twice as many orders as a batch has: none is refused
        for the exchange's limits, each has its outcome in order, and none leaves twice; over the
        socket, too, where it takes batches."""
        trading = trading_of(subject)
        offered = [m for m in trading.batch if Feature.AMEND in trading.features.get(m, ())]
        if not offered:
            subject.undeclared("batch of orders that can be amended")
        ways = ["rest"] + ["websocket"] * (PlaceOrders in trading.by_socket)
        for via in ways:
            market = max(offered, key=lambda each: trading.batch[each])
            _in_portions(AccountWorld(subject, via=via), market, 2 * trading.batch[market])


def _in_portions(world: AccountWorld, market: Market, count: int) -> None:
    at = world.stall(market)
    orders = [at.limit(Side.BUY, at.bid(30 + n)) for n in range(count)]
    amended = at.bid(29)
    mine = world.wallets().of(market)

    async def scenario(life: Life) -> None:
        placed = await life.account.place_many(orders)
        for order, live in zip(orders, placed, strict=True):
            assert isinstance(live, LiveOrder), f"an order of many has the outcome {live!r}"
            assert live.now.asked is not None
            assert live.now.asked.price == order.price, "outcomes of many orders are mixed up"
        lives = [each for each in placed if isinstance(each, LiveOrder)]
        changed = await life.account.amend_many([(e, Amendment(price=amended)) for e in lives])
        for live, outcome in zip(lives, changed, strict=True):
            assert isinstance(outcome, Order), f"an amendment of many has the outcome {outcome!r}"
            assert outcome.client_order_id == live.id, "outcomes of amendments are mixed up"
        canceled = await life.account.cancel_many(lives)
        for live, ended in zip(lives, canceled, strict=True):
            assert isinstance(ended, CancelOutcome), f"a cancel of many has the outcome {ended!r}"
            assert ended.order.client_order_id == live.id, "outcomes of cancels are mixed up"
        for live in lives:
            await live.ended(timeout=10.0)
            known = world.desk.find(mine, client_order_id=live.id)
            assert known is not None
            assert known.stage.ended
            assert known.price == amended, "an amendment of many did not take effect"

    world.run(scenario)


def _placed_batch(trader: Trader, at: Stall, most: int) -> None:
    instrument = at.instrument
    good = at.limit(Side.BUY, at.passive(Side.BUY))
    # What is checked here must reach the exchange: a plugin doesn't look at rules.
    bad = attrs.evolve(good, price=at.bid(2) + at.listing.tick / 2)
    wanted = [good if n % 3 != 1 else bad for n in range(min(most, 8))]
    items = [PlaceOrder(instrument, each, trader.new_id()) for each in wanted]
    done = trader.ask(PlaceOrders(tuple(items)))
    trader.pause()
    assert len(done) == len(items), f"{len(items)} orders have {len(done)} outcomes"
    for item, outcome in zip(items, done, strict=True):
        known = trader.find(item.client_order_id)
        if item.order is bad:
            assert isinstance(outcome, OrderRejected | InvalidRequest), (
                f"an order of a batch that breaks a rule has the outcome {outcome!r}"
            )
            assert known is None
            continue
        assert isinstance(outcome, Placed), f"a good order of a batch has the outcome {outcome!r}"
        assert known is not None, "an order of a batch was answered, and isn't there"
        word = trader.word(at, known)
        assert word is not None
        assert word.exchange_order_id == outcome.exchange_order_id, (
            f"outcomes of a batch are mixed up: {item.client_order_id} is "
            f"{word.exchange_order_id}, its outcome says {outcome.exchange_order_id}"
        )
    placed = [item for item in items if item.order is good]
    if trader.answers(AmendOrders, instrument.market):
        _amended_batch(trader, at, placed)
    if trader.answers(CancelOrders, instrument.market):
        never = CancelOrder(instrument=instrument, client_order_id=trader.new_id())
        cancels = [
            CancelOrder(instrument=instrument, client_order_id=item.client_order_id)
            for item in placed
        ]
        asked = [*cancels[:1], never, *cancels[1:]]
        done = trader.ask(CancelOrders(tuple(asked)))
        trader.pause()
        _each(asked, done, never)
        for item in placed:
            assert trader.desk_order(item.client_order_id).stage.ended, "it wasn't canceled"


def _amended_batch(trader: Trader, at: Stall, placed: list[PlaceOrder]) -> None:
    price = at.bid(3)
    amends = [
        AmendOrder(
            instrument=at.instrument,
            client_order_id=item.client_order_id,
            price=price,
            known=trader.known(at, trader.desk_order(item.client_order_id)),
        )
        for item in placed
    ]
    never = attrs.evolve(amends[0], client_order_id=trader.new_id())
    asked = [*amends[:1], never, *amends[1:]]
    done = trader.ask(AmendOrders(tuple(asked)))
    trader.pause()
    _each(asked, done, never)
    for item in placed:
        assert trader.desk_order(item.client_order_id).price == price, "it wasn't amended"


def _each(asked: list[Any], done: Any, never: Any) -> None:
    assert len(done) == len(asked), f"{len(asked)} items have {len(done)} outcomes"
    for item, outcome in zip(asked, done, strict=True):
        what = type(item).__name__
        if item is never:
            assert isinstance(outcome, OrderNotFound | OrderRejected), (
                f"{what} of an order that never was has in a batch the outcome {outcome!r}"
            )
        else:
            assert isinstance(outcome, Placed), f"{what} has in a batch the outcome {outcome!r}"
