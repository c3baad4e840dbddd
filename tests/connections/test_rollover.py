"""When connections are replaced as planned: each in its time, never all together, again and again.

In virtual time over several generations of connections and several windows of races.
"""

from __future__ import annotations

import asyncio
import random

import attrs
import pytest

import ccrs_core
from ccrs_core import Codec, Gap, Options, Patience, Route, Stale, trades
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, World, world

# --- planned ends ---------------------------------------------------------------------------------

AGE = 300.0


@attrs.define(eq=False)
class Life:
    opened: float
    closed: float | None = None


class Registry(ToyServer):
    """Notes when each connection was opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.lives: dict[Peer, Life] = {}

    def opened(self, peer: Peer) -> None:
        super().opened(peer)
        self.lives[peer] = Life(self.now())

    def closed(self, peer: Peer) -> None:
        super().closed(peer)
        self.lives[peer].closed = self.now()

    @property
    def ended(self) -> list[Life]:
        return [life for life in self.lives.values() if life.closed is not None]


async def _grow_old(
    connections: int,
    seconds: float,
    *,
    exchange: Toy | None = None,
    options: Options | None = None,
    drop_at: float | None = None,
) -> tuple[Registry, list[object], int, int]:
    """Let connections race for a while. What has ended, what was told, and how few and how many
    there were."""
    server = Registry()
    server.now = asyncio.get_running_loop().time
    told: list[object] = []
    client = ccrs_core.connect(
        Toy(max_age=AGE) if exchange is None else exchange,
        transport=MemoryTransport(server, latency=0.01),
        clock=VirtualClock(),
        options=options,
    )
    fewest = most = connections
    async with client:
        feed = client.subscribe(TOP, connections=connections, callback=told.append)
        async with feed:
            await feed.ready(everywhere=True)
            while server.now() < seconds:
                if drop_at is not None and server.now() >= drop_at:
                    server.open[0].drop()
                    drop_at = None
                server.tick("top.BTC")
                for _ in range(6):
                    await asyncio.sleep(0.5)
                    there = sum("top.BTC" in topics for topics in server.subscribed())
                    fewest, most = min(fewest, there), max(most, there)
            ended = {peer: life.closed for peer, life in server.lives.items()}
    for peer, closed in ended.items():
        server.lives[peer].closed = closed  # what the client's own end closed has not ended
    return server, told, fewest, most


@pytest.mark.parametrize("connections", [1, 2, 5])
@pytest.mark.parametrize("seed", [1, 2])
def test_over_generations_each_connection_ends_in_its_time_and_no_two_together(
    connections: int, seed: int
) -> None:
    random.seed(seed)
    generations = 5
    server, told, fewest, most = run(_grow_old(connections, generations * AGE))
    ends = server.ended
    assert len(ends) >= (generations - 1) * connections
    # None meets the exchange's own limit, and none is replaced long before.
    assert all(0.75 * AGE <= life.closed - life.opened <= AGE for life in ends)  # type: ignore[operator]
    assert fewest == connections
    assert not [event for event in told if isinstance(event, Gap | Stale)]
    # Had all of a generation ended at the same age, one fault would meet all of their successors.
    ages = [life.closed - life.opened for life in ends]  # type: ignore[operator]
    assert max(ages) - min(ages) > AGE / 25
    assert most <= connections + 1, "several were being replaced at a time"


def test_ages_are_spread_in_every_generation_not_in_the_first_alone() -> None:
    random.seed(3)
    server, *_ = run(_grow_old(4, 4 * AGE))
    lives = sorted(server.ended, key=lambda life: life.opened)
    for first in range(0, 12, 4):
        ages = [life.closed - life.opened for life in lives[first : first + 4]]  # type: ignore[operator]
        assert len({round(age) for age in ages}) > 1, f"generation {first // 4 + 1}: {ages}"


def test_the_users_limit_of_age_counts_where_it_is_lower_than_the_exchanges() -> None:
    random.seed(4)
    for lower, exchange, options in (
        (60.0, Toy(max_age=AGE), Options(max_connection_age=60.0)),
        (60.0, Toy(max_age=60.0), Options(max_connection_age=AGE)),
        (60.0, Toy(), Options(max_connection_age=60.0)),
    ):
        server, *_ = run(_grow_old(1, 400.0, exchange=exchange, options=options))
        ages = [life.closed - life.opened for life in server.ended]  # type: ignore[operator]
        assert len(ages) >= 6
        assert all(0.75 * lower <= age <= lower for age in ages)


def test_a_connection_that_was_lost_begins_a_full_age_anew() -> None:
    random.seed(5)
    server, *_ = run(_grow_old(1, 2 * AGE, drop_at=AGE / 2))
    lives = sorted(server.lives.values(), key=lambda life: life.opened)
    second = lives[1]
    assert second.closed is not None
    assert second.closed - second.opened >= 0.75 * AGE


def test_a_long_age_is_left_by_ten_minutes_at_most_whatever_it_is() -> None:
    random.seed(6)
    day = 86_400.0
    server, *_ = run(_grow_old(2, 2.5 * day / 24, exchange=Toy(max_age=day / 24)))
    assert len(server.ended) >= 4
    assert all(day / 24 - 610 <= life.closed - life.opened <= day / 24 for life in server.ended)  # type: ignore[operator]


class Wordless(ToyCodec):
    """Of an exchange that answers nothing in the order of what it is sent."""

    heartbeat = None

    def probe(self, request_id: str) -> str | None:
        return None


class WordlessToy(Toy):
    def codec(self, route: Route) -> Codec:
        return Wordless()


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("every", [None, 7.0])
def test_each_connection_ends_in_its_time_though_nothing_proves_that_another_carries_on(
    connections: int, every: float | None
) -> None:
    """On a market where nothing happens, and on one where something else does."""

    async def main() -> Registry:
        random.seed(7)
        server = Registry()
        server.now = asyncio.get_running_loop().time
        client = ccrs_core.connect(
            WordlessToy(max_age=AGE),
            transport=MemoryTransport(server, latency=0.01),
            clock=VirtualClock(),
            options=Options(patience=Patience(idle=1e9)),
        )
        async with client, client.subscribe(trades("BTC/USD"), TOP, connections=connections):
            while server.now() < 4 * AGE:
                await asyncio.sleep(every or 60.0)
                if every is not None:
                    server.tick("top.BTC")
                assert len(server.open) <= connections + 1
            assert client.status().reconnects == 0
            now, lives = server.now(), list(server.lives.values())
            assert all((life.closed or now) - life.opened <= AGE for life in lives)
            assert len(server.ended) >= 3 * connections
        return server

    run(main())


# --- connections that lose races ------------------------------------------------------------------

WINDOW = 20.0
EVERY = 0.1
LOSERS = Options(replace_losers=True, loser_window=WINDOW)


async def _run(seen: World, slow: set[Peer], until: float, every: float = EVERY) -> None:
    """Let the market move; the slow ones are told a little later, all others take turns."""
    turn = 0
    while seen.server.now() < until:
        there = list(seen.server.open)
        fast = [peer for peer in there if peer not in slow]
        turn += 1
        if fast:
            place = turn % len(fast)
            fast = fast[place:] + fast[:place]
        seen.server.tick("top.BTC", peers=fast[:1])
        await asyncio.sleep(every / 4)
        for peer in there:
            if peer not in fast[:1] and peer.open:
                seen.server.show(peer, "top.BTC")
        await asyncio.sleep(every * 3 / 4)


@scenario
async def test_who_begins_to_lose_is_replaced_after_that_window_whatever_it_won_before() -> None:
    async with world(TOP, options=LOSERS, connections=2) as seen:
        first, second = seen.server.open
        await _run(seen, set(), 5 * WINDOW + 0.5)
        assert seen.client.status().rollovers == 0
        await _run(seen, {second}, 6 * WINDOW + 3.0)
        assert first.open
        assert not second.open
        assert seen.client.status().rollovers == 1


@scenario
async def test_who_has_lost_and_then_wins_is_left_alone() -> None:
    async with world(TOP, options=LOSERS, connections=2) as seen:
        first, second = seen.server.open
        # It loses, but in no window so many that the window counts.
        await _run(seen, {second}, 3 * WINDOW + 0.5, every=0.5)
        await _run(seen, set(), 6 * WINDOW + 3.0)
        assert first.open
        assert second.open
        assert seen.client.status().rollovers == 0


@scenario
async def test_in_every_window_the_one_that_loses_is_replaced_once() -> None:
    async with world(TOP, options=LOSERS, connections=3) as seen:
        kept = seen.server.open[:2]
        for window in range(1, 6):
            until = window * WINDOW + 4.0
            while seen.server.now() < until:
                slow = {peer for peer in seen.server.open if peer not in kept}
                await _run(seen, slow, seen.server.now() + 1.0)
            assert seen.client.status().rollovers == window
            assert [peer.open for peer in kept] == [True, True]
            assert len(seen.server.open) == 3
        numbers = [number for number in seen.sequences() if number is not None]
        assert numbers == sorted(set(numbers))
        assert not seen.of(Gap)


@scenario
async def test_few_races_say_nothing_however_many_windows_they_add_up_over() -> None:
    async with world(TOP, options=LOSERS, connections=2) as seen:
        slow = seen.server.open[1]
        await _run(seen, {slow}, 8 * WINDOW, every=0.3)
        assert slow.open
        assert seen.client.status().rollovers == 0
