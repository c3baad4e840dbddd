"""Property 53, of orders that go together: each of two has its outcome."""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import Stall, Trader
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import (
    CancelOrder,
    Placed,
    PlaceEither,
    PlaceOrder,
    Replaced,
    ReplaceOrder,
)
from ccrs_core.emulator import Stage
from ccrs_core.errors import CcrsError, OrderRejected
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import Trigger


class LinkedProperties:
    """Property 53."""

    @proves(53)
    def test_of_a_pair_one_ends_the_other_and_half_of_one_is_never_placed(
        self, subject: Subject
    ) -> None:
        """Two orders of which one ends the other are both there, each by its own ids; once one is
        canceled so is the other. Where the exchange refuses one neither is there."""
        for market in _offered(subject, PlaceEither, "pairs of orders"):
            trader = Trader(subject)
            at = trader.stall(market)
            first, second = _pair(trader, at, passive=True)
            done = trader.ask(PlaceEither((first, second)))
            trader.pause()
            assert len(done) == 2, f"two orders have {len(done)} outcomes"
            for item, outcome in zip((first, second), done, strict=True):
                assert isinstance(outcome, Placed), f"one of a pair has the outcome {outcome!r}"
                word = trader.word(at, trader.desk_order(item.client_order_id))
                assert word is not None
                assert word.exchange_order_id == outcome.exchange_order_id, "they are mixed up"
            trader.cancel(at, trader.desk_order(first.client_order_id))
            trader.pause()
            for item in (first, second):
                assert trader.desk_order(item.client_order_id).stage.ended
            taking = _pair(trader, at, passive=False)
            try:
                found = trader.ask(PlaceEither(taking))
            except CcrsError as error:
                found = [error, error]
            trader.pause()
            for item, outcome in zip(taking, found, strict=True):
                assert isinstance(outcome, OrderRejected), f"a refused pair ends in {outcome!r}"
                known = trader.find(item.client_order_id)
                assert known is None or known.stage.ended, "half of a refused pair is there"

    @proves(53)
    def test_a_replacement_tells_of_both_orders_what_became_of_them(self, subject: Subject) -> None:
        """An untouched order is canceled and another one placed. Where nothing is there to cancel,
        or a part of it is filled, nothing is placed. Where the new one is refused, that is told of
        it, and the cancel is told as done."""
        for market in _offered(subject, ReplaceOrder, "replacements by one request"):
            trader = Trader(subject)
            at = trader.stall(market)
            _, old = trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY)))
            new = PlaceOrder(
                at.instrument, at.limit(Side.BUY, at.passive(Side.BUY, 2)), trader.new_id()
            )
            found = _replaced(trader, at, old.client_order_id, new)
            assert isinstance(found.canceled, Placed), f"the cancel is told as {found.canceled!r}"
            assert isinstance(found.placed, Placed), f"the new one is told as {found.placed!r}"
            assert trader.desk_order(old.client_order_id).stage.ended
            assert trader.desk_order(new.client_order_id).stage is Stage.OPEN
            # Of another one a part is filled.
            at = trader.prepare(at.instrument)
            touched = at.limit(Side.BUY, at.crossing(Side.BUY), 40)
            _, old = trader.place(at, touched)
            assert old.filled
            assert not old.stage.ended
            for gone in (old.client_order_id, trader.new_id()):
                never = attrs.evolve(new, client_order_id=trader.new_id())
                found = _replaced(trader, at, gone, never)
                assert isinstance(found.canceled, CcrsError)
                assert found.placed is None, f"{found.placed!r}, though nothing was canceled"
                assert trader.find(never.client_order_id) is None
            trader.cancel(at, trader.desk_order(old.client_order_id))
            # What the exchange refuses for itself.
            at = trader.prepare(at.instrument)
            _, old = trader.place(at, at.limit(Side.BUY, at.passive(Side.BUY)))
            takes = at.limit(Side.BUY, at.crossing(Side.BUY), post_only=True)
            never = PlaceOrder(at.instrument, takes, trader.new_id())
            found = _replaced(trader, at, old.client_order_id, never)
            assert isinstance(found.canceled, Placed)
            assert isinstance(found.placed, OrderRejected), f"it is told as {found.placed!r}"
            assert trader.desk_order(old.client_order_id).stage.ended


def _offered(subject: Subject, kind: type[Request[Any]], what: str) -> list[Market]:
    endpoint = subject.exchange.endpoints.get(kind)
    if endpoint is None:
        subject.undeclared(what)
    return sorted(endpoint.markets)


def _pair(trader: Trader, at: Stall, *, passive: bool) -> tuple[PlaceOrder, PlaceOrder]:
    price = at.ask(3) if passive else at.crossing(Side.SELL)
    rests = at.limit(Side.SELL, price, post_only=True)
    waits = at.market(Side.SELL, trigger=Trigger(price=at.bid(4), rises=False))
    first, second = (PlaceOrder(at.instrument, each, trader.new_id()) for each in (rests, waits))
    return first, second


def _replaced(trader: Trader, at: Stall, old: str, new: PlaceOrder) -> Replaced:
    cancel = CancelOrder(instrument=at.instrument, client_order_id=old)
    found = trader.ask(ReplaceOrder(at.instrument, cancel, new))
    trader.pause()
    return found
