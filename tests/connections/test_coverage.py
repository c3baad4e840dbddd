"""Several connections under faults: every trade once, in order, or a gap at its place.

In virtual time, against the emulated exchanges and what really happened in their markets.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from ccrs_core import AnyEvent, Channel, Gap, Options, Trade, connect, trades
from ccrs_core.conformance.workbench.truth import History, Truth
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.transport.memory import START_NS, VirtualClock, run

EXCHANGES = ("binance", "bybit", "okx")
QUICK = Options(backoff_initial=0.2, backoff_max=3.0, stable_after=2.0)

Script = Sequence[tuple[float, str]]
"""Faults, and when they strike."""


def followed(
    exchange: str,
    connections: int,
    script: Script,
    *,
    seconds: float,
    rate: float,
    seed: int = 0,
    options: Options = QUICK,
    symbol: str = "BTC/USDT",
) -> tuple[list[AnyEvent], History]:
    """All that a feed of trades delivers, and what happened in the market."""

    async def main() -> tuple[list[AnyEvent], History]:
        random.seed(seed)  # back-off draws random numbers
        plugin = plugins.load(exchange)()
        dialect = plugin.dialect()
        assert dialect is not None
        venue = EmulatedExchange(dialect, seed=seed, rate=rate, start_ns=START_NS)
        truth, clock, events = Truth(venue, depth=1), VirtualClock(START_NS), []
        transport, now = EmulatorTransport(venue, clock), asyncio.get_running_loop().time
        async with connect(
            plugin, base_url="http://emulator", transport=transport, clock=clock, options=options
        ) as client:
            feed = client.subscribe(trades(symbol), connections=connections, callback=events.append)
            async with feed:
                history = truth.of(await client.instrument(symbol))
                for at, fault in script:
                    await asyncio.sleep(max(at - now(), 0.0))
                    venue.faults.add(fault)
                await asyncio.sleep(seconds - now())
        return events, history

    return run(main())


def _gaps(events: Sequence[AnyEvent]) -> list[Gap]:
    return [e for e in events if isinstance(e, Gap) and e.about is Channel.TRADES]


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("connections", [2, 3, 5])
def test_a_gap_stands_where_all_but_the_lost_connection_were_half_open(
    exchange: str, connections: int
) -> None:
    script = [(10.0 + 0.001 * n, "half_open,target=1") for n in range(connections - 1)]
    script += [(14.0, "refuse,duration=3"), (14.01, "drop")]
    events, history = followed(exchange, connections, script, seconds=60.0, rate=20.0)
    history.trades_are_true(events, until_ns=START_NS + 58 * 10**9)
    assert _gaps(events)


def test_a_gap_stands_where_a_connection_was_half_open_while_it_was_replaced() -> None:
    script = [
        (9.0, "refuse,duration=8"),
        (10.0, "shutdown_notice"),
        (10.5, "half_open,target=1"),
    ]
    events, history = followed("okx", 1, script, seconds=90.0, rate=6.0)
    history.trades_are_true(events, until_ns=START_NS + 85 * 10**9)
    assert _gaps(events)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("lag", [0.05, 0.2, 1.0])
def test_trades_stay_in_order_where_one_connection_lags_and_the_other_one_returns(
    exchange: str, lag: float
) -> None:
    script = [(5.0, f"delay,target=1,seconds={lag},duration=1000")]
    script += [(10.0 + 6 * n, "drop,target=2") for n in range(4)]
    events, history = followed(exchange, 2, script, seconds=40.0, rate=60.0, options=Options())
    history.trades_are_true(events, until_ns=START_NS + 36 * 10**9)
    if lag < 0.5:
        assert not _gaps(events)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("fault", ["drop", "close", "half_open"])
def test_the_loss_of_one_of_five_healthy_connections_costs_no_gap(
    exchange: str, fault: str
) -> None:
    script = [(5.0 + 12 * n, f"{fault},target={n % 5 + 1}") for n in range(5)]
    events, history = followed(exchange, 5, script, seconds=100.0, rate=2.0)
    history.trades_are_true(events, until_ns=START_NS + 95 * 10**9)
    assert not _gaps(events)


def test_a_reconnect_without_loss_costs_no_gap_where_trades_are_counted() -> None:
    # Hardly anything happens: a connection is back before the next trade.
    script = [(20.0 + 15 * n, "drop") for n in range(8)]
    events, history = followed("binance", 1, script, seconds=160.0, rate=2.0)
    numbers = [event.sequence for event in events if isinstance(event, Trade)]
    history.trades_are_true(events)
    assert len(numbers) > 5
    holes = sum(b != a + 1 for a, b in pairwise(numbers) if a and b)
    assert len(_gaps(events)) == holes < 8


def test_a_hole_in_counted_trades_is_a_gap_though_the_connection_is_healthy() -> None:
    events, history = followed("binance", 1, [(10.0, "gap,count=3")], seconds=40.0, rate=3.0)
    (gap,) = _gaps(events)
    assert gap.last_sequence is not None
    assert gap.next_sequence is not None
    assert gap.next_sequence - gap.last_sequence == 4
    history.trades_are_true(events, until_ns=START_NS + 38 * 10**9)
