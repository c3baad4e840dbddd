"""What has become of orders: looked for to the end, watched on, and claimed a second time, too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccrs_core import Market, OrderState
from ccrs_core.model.reports import OrderReport
from ccrs_core.trading.outcomes import Bounds, Outcomes
from tests.trading.books import said
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once, unknown
from tests.virtual import scenario

WINDOW = 5.0


def queries(seen: World) -> list[float]:
    return [at for at, path, _ in seen.server.calls if path == "/order"]


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        (Bounds(proved=30.0, presumed=None), (40.0, True)),
        (Bounds(proved=30.0, presumed=1.0), (40.0, True)),
        (Bounds(proved=None, presumed=60.0), (WINDOW + 10.0 + 60.0, False)),
        (Bounds(proved=None, presumed=None), (None, False)),
    ],
)
def test_a_denial_counts_after_what_the_exchange_says_and_a_margin(
    bounds: Bounds, found: Any
) -> None:
    @scenario
    async def play() -> None:
        async with world(Desk(receive_window=WINDOW)) as seen:
            outcomes = Outcomes(seen.account._parts.context, bounds, lambda why: None)
            assert outcomes._bound() == found

    play()


@scenario
async def test_it_takes_two_complete_denials_after_the_bound_some_seconds_apart() -> None:
    async with world(Desk(receive_window=WINDOW), presume_absent_after=1.0) as seen:
        seen.server.faults.append(once("/place", "drop"))
        began = seen.server.now()
        live = await unknown(seen)
        while live.state is OrderState.UNKNOWN:
            await asyncio.sleep(0.05)
            assert seen.server.now() < began + 200.0
        assert live.state is OrderState.PRESUMED_ABSENT
        after = [at for at in queries(seen) if at >= began + WINDOW + 11.0]
        assert max(after) - min(after) >= 9.0
        assert not seen.account._parts.outcomes._wanted


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_presumed_absent_is_watched_and_a_look_that_fails_is_not_the_last(
    fails: bool,
) -> None:
    """It had ended when it became visible: no list of open orders shows it."""

    @scenario
    async def play() -> None:
        async with world(Desk(receive_window=WINDOW), presume_absent_after=1.0) as seen:
            seen.server.list_lag = 400.0
            seen.server.push_of = lambda topic, row: []
            seen.server.faults.append(once("/place", "lose"))
            live = await unknown(seen)
            (identity,) = seen.server.book_of("key").orders
            seen.server.end("key", identity)
            await asyncio.sleep(60.0)
            assert live.state is OrderState.PRESUMED_ABSENT
            if fails:
                until = seen.server.now() + 200.0

                def busy(path: str, asked: dict[str, Any]) -> str | None:
                    return "busy" if path == "/order" and seen.server.now() < until else None

                seen.server.faults.append(busy)
            await asyncio.sleep(1200.0)
            assert live.state is OrderState.CANCELED

    play()


@scenario
async def test_nothing_is_left_of_what_was_found_out() -> None:
    async with world(presume_absent_after=None) as seen:
        for fault in ("lose", "drop", "lose"):
            seen.server.faults.append(once("/place", fault))
            await unknown(seen)
        await asyncio.sleep(30.0)
        assert len(seen.account._parts.outcomes.open) == 1  # the one that never arrived


@scenario
async def test_a_stream_that_owes_events_again_is_replaced_again() -> None:
    async with world() as seen:
        for time in range(1, 4):
            (peer,) = [each for each in seen.server.keys if each in seen.server.open]
            seen.server.stalled |= {(peer, "orders"), (peer, "fills")}
            live = await seen.account.place(buy())
            await asyncio.sleep(14.0)
            assert len(seen.server.attempts) == 1 + time
            assert live.state is OrderState.OPEN
            assert seen.account.synced
            await asyncio.sleep(30.0)


@scenario
async def test_of_what_streams_told_a_bounded_number_is_remembered_the_newest() -> None:
    async with world() as seen:
        outcomes = seen.account._parts.outcomes
        for n in range(5000):
            told: OrderReport = said(
                market=Market.SPOT, exchange_order_id=f"o{n}", client_order_id=f"c{n}"
            )
            outcomes.heard([told])
        assert len(outcomes._heard) <= 4096
        assert outcomes._told("c4999", 0.0)
        assert outcomes._told("o4999", 0.0)
        assert not outcomes._told("c4999", seen.account._parts.clock.monotonic() + 1.0)
