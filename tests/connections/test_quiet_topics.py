"""Hundreds of topics on which nothing happens: what becomes of connections costs no gap on them,
and proving that stays within what the exchange allows. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from ccrs_core import Budget, Gap, Options, Stale, Trade, trades
from ccrs_core.transport.memory import Peer
from tests.toy import Toy, ToyServer
from tests.virtual import scenario
from tests.watching import World, world

NATIVES = tuple(f"Q{number:03}" for number in range(500))
CONNECTIONS = 5
MESSAGES = Budget(amount=5, seconds=1.0)
GRAIN = 1e-6
HEALED = 40.0


@asynccontextmanager
async def quiet(monkeypatch: pytest.MonkeyPatch, per_request: int = 10) -> AsyncIterator[World]:
    """A feed of 500 topics on five connections, all of which are acknowledged everywhere."""
    monkeypatch.setattr(ToyServer, "NATIVES", NATIVES)
    async with world(
        *(trades(f"{native}/USD") for native in NATIVES),
        exchange=Toy(topics_per_request=per_request, messages=MESSAGES),
        connections=CONNECTIONS,
        options=Options(rollover_overlap=0.5),
    ) as seen:
        await seen.feed.ready(everywhere=True)
        await asyncio.sleep(HEALED)
        yield seen


async def is_healed(seen: World) -> None:
    """All connections carry all topics, nothing was told, and nobody was asked too often."""
    # A gap is told at its place: before what comes next.
    for native in NATIVES:
        seen.server.tick(f"trades.{native}")
    await asyncio.sleep(1.0)
    assert {trade.symbol for trade in seen.of(Trade)} == {f"{native}/USD" for native in NATIVES}
    everything = {f"trades.{native}" for native in NATIVES}
    assert seen.server.subscribed() == [everything] * CONNECTIONS
    assert not seen.of(Gap)
    assert not seen.of(Stale)
    by_peer: dict[Peer, list[float]] = {}
    for at, peer, _ in seen.server.sent:
        by_peer.setdefault(peer, []).append(at)
    for times in by_peer.values():
        for first, beyond in zip(times, times[MESSAGES.amount :], strict=False):
            assert beyond - first >= MESSAGES.seconds - GRAIN


def loses(seen: World, which: int) -> None:
    seen.server.open[which].drop()


def is_replaced(seen: World, which: int) -> None:
    seen.server.open[which].push('{"bye":"maintenance"}')


@pytest.mark.parametrize("which", [0, 2, -1])
@pytest.mark.parametrize("happens", [loses, is_replaced])
def test_the_end_of_one_of_five_connections_costs_no_gap_on_500_quiet_topics(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[World, int], None], which: int
) -> None:
    @scenario
    async def play() -> None:
        async with quiet(monkeypatch) as seen:
            before = len(seen.server.attempts)
            happens(seen, which)
            await asyncio.sleep(HEALED)
            assert len(seen.server.attempts) == before + 1
            await is_healed(seen)

    play()


def test_one_after_another_they_may_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @scenario
    async def play() -> None:
        async with quiet(monkeypatch) as seen:
            for number in range(2 * CONNECTIONS):
                (loses if number % 2 else is_replaced)(seen, 0)
                await asyncio.sleep(HEALED)
            await is_healed(seen)

    play()


@pytest.mark.parametrize("happens", [loses, is_replaced])
def test_what_happens_meanwhile_on_some_of_them_comes_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[World, int], None]
) -> None:
    @scenario
    async def play() -> None:
        async with quiet(monkeypatch) as seen:
            happens(seen, 0)
            lively = NATIVES[::50]
            for _ in range(40):
                for native in lively:
                    seen.server.tick(f"trades.{native}")
                await asyncio.sleep(HEALED / 40)
            await is_healed(seen)
            for native in lively:
                ids = [int(t.trade_id[5:]) for t in seen.of(Trade) if t.symbol == f"{native}/USD"]
                assert len(ids) == 41
                assert all(b == a + 1 for a, b in pairwise(ids))

    play()


def test_with_nobody_left_each_topic_has_its_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence isn't taken for proof."""

    @scenario
    async def play() -> None:
        async with quiet(monkeypatch) as seen:
            for peer in seen.server.open:
                peer.drop()
            await asyncio.sleep(HEALED)
            for native in NATIVES[:3]:
                seen.server.tick(f"trades.{native}")
            await asyncio.sleep(1.0)
            assert {gap.symbol for gap in seen.of(Gap)} >= {f"{n}/USD" for n in NATIVES[:3]}

    play()
