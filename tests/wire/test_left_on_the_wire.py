"""What nobody reads is never converted: the path to a feed reads nothing that waits on the wire."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

import ccrs_core
from ccrs_core import AnyEvent, Market
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.model.constructors import Deferrable


def left(event: AnyEvent) -> bool:
    """Whether fields of an event wait on the wire to be read."""
    try:
        Deferrable.__dict__["_wire"].__get__(event)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("market", [Market.SPOT, Market.LINEAR])
@pytest.mark.parametrize("channel", ["top_of_book", "trades"])
def test_events_that_nobody_reads_stay_on_the_wire_on_their_way_to_a_feed(
    exchange: str, market: Market, channel: str
) -> None:
    subject = Subject(exchange)
    symbol = next(
        i.symbol for i in subject.instruments[market] if i.base == "BTC" and i.expiry_ns is None
    )
    seen: Counter[bool] = Counter()

    def take(event: AnyEvent) -> None:
        seen[left(event)] += 1

    async def scenario(world: World) -> None:
        interest = getattr(ccrs_core, channel)(symbol)
        async with world.client.subscribe(interest, callback=take):
            await asyncio.sleep(30.0)

    subject.world(rate=20.0).run(scenario)
    # Others are parsed: several in a frame, the first of their kind.
    assert seen[True] > 20
