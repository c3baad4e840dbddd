"""What a lagging connection still has under way when another one takes over is not lost untold."""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core import AnyEvent, Gap, Trade, connect, trades
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer

TOPIC = "trades.BTC"


async def _followed(
    lag: float, pauses: list[float], at: int, ending: str, more: float
) -> tuple[list[AnyEvent], int]:
    """All that a consumer gets while the market trades, the first connection lags, and another one
    comes to take its place."""
    server, events = ToyServer(), []
    server.now = asyncio.get_running_loop().time
    client = connect(Toy(), transport=MemoryTransport(server, latency=0.02), clock=VirtualClock())
    connections = 2 if ending == "drop" else 1
    async with client, client.subscribe(trades("BTC/USD"), connections=connections) as feed:
        await feed.ready()

        async def read() -> None:
            async for batch in feed.batches():
                events.extend(batch)

        reader = asyncio.ensure_future(read())
        old = server.open[0]
        old.lag = lag
        for place, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            server.tick(TOPIC)
            if place != at:
                continue
            if ending == "notice":
                old.push('{"bye":"maintenance"}')
            else:
                # The second one comes back while the first one lags, which then ends in its turn.
                server.open[1].drop()
                asyncio.get_running_loop().call_later(more, old.drop)
        for _ in range(8):
            await asyncio.sleep(3.0)
            server.tick(TOPIC)
        await asyncio.sleep(10.0)
        reader.cancel()
        await asyncio.wait([reader])
    return events, server.sequence[TOPIC]


def _number(trade: Trade) -> int:
    return int(trade.trade_id.split("-")[1])


@settings(max_examples=120, deadline=None)
@given(
    lag=st.sampled_from([0.0, 0.3, 1.2, 2.5, 4.0, 9.0]),
    pauses=st.lists(st.sampled_from([0.01, 0.2, 0.7, 1.5, 4.0]), min_size=6, max_size=30),
    at=st.integers(0, 10),
    ending=st.sampled_from(["notice", "drop"]),
    more=st.sampled_from([0.2, 1.0, 2.0, 5.0]),
)
@example(2.5, [0.01, 0.01, 0.01, 0.01, 0.7, 0.01], 4, "drop", 2.0)
def test_every_trade_is_delivered_once_or_its_absence_told(
    lag: float, pauses: list[float], at: int, ending: str, more: float
) -> None:
    events, last = run(_followed(lag, pauses, min(at, len(pauses) - 1), ending, more))
    told: list[int | None] = []
    for event in events:
        if isinstance(event, Trade):
            told.append(_number(event))
        elif isinstance(event, Gap):
            told.append(None)
    numbers = [number for number in told if number is not None]
    assert len(numbers) == len(set(numbers))
    missing = set(range(101, last + 1)) - set(numbers)
    for number in missing:
        # A hole that shows only later is told after the fact.
        hole = told.index(max(n for n in numbers if n < number))
        assert None in told[hole:]
    if lag <= 0.3 and ending == "notice":
        assert not missing
        assert None not in told


def test_a_replacement_waits_until_the_old_connection_has_brought_all_that_was_under_way() -> None:
    events, last = run(_followed(3.0, [0.2] * 60, 20, "notice", 0.0))
    assert sorted(_number(e) for e in events if isinstance(e, Trade)) == list(range(101, last + 1))
    assert not any(isinstance(event, Gap) for event in events)
