"""Property 18, of orders: rules that have changed are those that orders are checked by."""

from __future__ import annotations

import attrs

from ccrs_core.conformance.workbench.account_world import AccountWorld, Life
from ccrs_core.conformance.workbench.coined import another_step
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.trader import markets_of
from ccrs_core.errors import CcrsError, InvalidOrder
from ccrs_core.model.instruments import Market, Side
from ccrs_core.trading.live_order import LiveOrder


class OrderRuleProperties:
    """Property 18, of orders."""

    @proves(18)
    def test_an_order_that_changed_rules_forbid_is_refused_before_it_is_sent(
        self, subject: Subject
    ) -> None:
        """The tick of an instrument becomes ten times as coarse: a price between two new ones is
        refused by the exchange once at most, by whatever error; from then on without being sent,
        while one on the new tick is placed."""
        _coarser(AccountWorld(subject), markets_of(subject)[0])


def _coarser(world: AccountWorld, market: Market) -> None:
    at = world.stall(market)
    tick = at.instrument.tick_size
    assert tick is not None
    coarse = another_step(tick)
    if coarse < tick:
        coarse, tick = tick, coarse
        world.venue.change(at.listing, tick=tick)
    fine = at.bid(8) - at.bid(8) % coarse
    asked = at.limit(Side.BUY, fine)
    between = attrs.evolve(asked, price=fine + tick)

    async def scenario(life: Life) -> None:
        placed = await life.account.place(between)
        await life.account.cancel(placed)
        world.venue.change(at.listing, tick=coarse)
        try:
            await life.account.place(between)
        except CcrsError:
            pass
        else:
            raise AssertionError("the emulated exchange takes a price off its new tick")
        sent = life.placements
        try:
            await life.account.place(between)
        except InvalidOrder:
            pass
        except CcrsError as error:
            raise AssertionError(
                f"a price off the new tick was sent again, and refused with {error!r}: "
                "Exchange.error_of must say of such refusals that they are of the order's rules "
                "(InvalidRequest, or OrderRejected with SIZE, PRICE_LIMIT, MARKET_STATE or INVALID)"
            ) from error
        assert life.placements == sent, "a price off the new tick was sent again, and taken"
        assert isinstance(await life.account.place(asked), LiveOrder)

    world.run(scenario)
