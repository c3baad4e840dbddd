"""What random schedules have found, each by the few steps that show it."""

from __future__ import annotations

import pytest

from ccrs_core import Side, Unsupported
from ccrs_core.conformance.workbench.account_world import AccountWorld, Life
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.model.instruments import Market
from tests.trading.desk_world import world
from tests.virtual import scenario

BYBIT = Subject("bybit")


def test_an_account_that_is_opened_for_its_socket_enters_orders_there() -> None:
    there = AccountWorld(BYBIT, via="websocket")
    at = there.stall(Market.SPOT)

    async def place(life: Life) -> None:
        sent = len(life.tap.sent)
        await life.account.place(at.limit(Side.BUY, at.passive(Side.BUY)))
        assert len(life.tap.sent) == sent + 1
        assert not life.placements

    there.run(place)


@scenario
async def test_an_account_isnt_opened_for_a_socket_that_the_exchange_hasnt() -> None:
    with pytest.raises(Unsupported, match="WebSocket"):
        async with world(via="websocket"):
            pass
