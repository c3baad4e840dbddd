"""One-way or hedge: no call of Bybit's tells, positions do; else its refusal says what to do."""

from __future__ import annotations

import attrs
import pytest

from ccrs_core import (
    InvalidOrder,
    InvalidRequest,
    Market,
    OrderRequest,
    PositionMode,
    PositionSide,
    Side,
)
from ccrs_core.conformance.workbench.account_world import NAME, AccountWorld, Life, SlowStore
from ccrs_core.conformance.workbench.subject import Subject

BYBIT = Subject("bybit")


def test_an_order_of_the_other_position_mode_is_refused_before_or_by_bybit_with_advice() -> None:
    """Before, where a position proves the mode, as it does from the login on."""
    there = AccountWorld(BYBIT)
    at = there.stall(Market.LINEAR)
    wrong: list[OrderRequest] = []

    async def refused(life: Life, request: OrderRequest) -> None:
        sent = life.placements
        with pytest.raises(InvalidOrder) as failure:
            await life.account.place(request)
        assert failure.value.rule == "position_side"
        assert at.instrument.symbol in str(failure.value)
        assert life.placements == sent

    async def first(life: Life) -> None:
        symbol = at.instrument.symbol
        plain = at.limit(Side.BUY, at.passive(Side.BUY))
        await life.account.set_position_mode(PositionMode.HEDGE, symbol=symbol)
        with pytest.raises(InvalidRequest, match="other mode: in hedge mode say position_side"):
            await life.account.place(plain)  # nothing is held yet
        long = attrs.evolve(plain, position_side=PositionSide.LONG)
        live = await life.account.place(long)
        await life.account.cancel(live)
        bought = await life.account.place(
            at.limit(Side.BUY, at.crossing(Side.BUY), position_side=PositionSide.LONG)
        )
        await bought.filled(timeout=10.0)
        await life.account.reconcile()
        await refused(life, plain)
        wrong.append(plain)

    async def second(life: Life) -> None:
        await refused(life, wrong[0])
        await life.account.place(attrs.evolve(wrong[0], position_side=PositionSide.LONG))

    try:
        for scenario in (first, second):
            life = there.live()
            there.do(scenario(life))
            there.do(life.stop())
            there.stores[NAME] = SlowStore()
    finally:
        there.close()
