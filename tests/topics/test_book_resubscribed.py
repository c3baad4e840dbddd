"""Books of all levels that no request brings: where the market leaves what is known of one, the
stream is asked for it anew. Through the client, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from random import Random

import orjson
import pytest

from ccrs_core import (
    BookInvalid,
    BookUpdate,
    Capabilities,
    Gap,
    Level,
    Market,
    OrderBook,
    Stale,
    Subscription,
    book,
)
from ccrs_core.model.orderbook import Applied
from tests.toy import CHANNELS, Toy, ToyServer
from tests.virtual import scenario
from tests.watching import World, world

DEPTH, MOST, LEVELS = 4, 16, 40
TOPIC = "book.BTC"
State = tuple[list[Level], list[Level]]


class Deep(Toy):
    """Its books begin with all levels, and changes of all are told."""

    capabilities = Capabilities(
        channels={Market.SPOT: frozenset(CHANNELS)}, book_depths={Market.SPOT: (DEPTH,)}
    )

    def book_depth(self, subscription: Subscription) -> int | None:
        return None


class DeepMarket:
    """The exchange's side of one book, with what it was at every number."""

    def __init__(self, server: ToyServer) -> None:
        self.server, self.best = server, 1000
        server.books["BTC"] = (
            {Decimal(1000 - n): Decimal(1 + n % 3) for n in range(LEVELS)},
            {Decimal(1001 + n): Decimal(1 + n % 3) for n in range(LEVELS)},
        )
        self.number = server.sequence[TOPIC] = 100
        self.states = {100: self.state()}

    def state(self) -> State:
        bids, asks = self.server.books["BTC"]
        return sorted(bids.items(), reverse=True), sorted(asks.items())

    def move(self, steps: int, far: int) -> None:
        """Move the best prices, change a level far behind each."""
        bids, asks = self.server.books["BTC"]
        self.best += steps
        changed: list[dict[Decimal, Decimal]] = [
            {price: Decimal(0) for price in bids if price > self.best},
            {price: Decimal(0) for price in asks if price <= self.best},
        ]
        for n in range(3):
            changed[0].setdefault(Decimal(self.best - n), Decimal(1 + n))
            changed[1].setdefault(Decimal(self.best + 1 + n), Decimal(1 + n))
        changed[0][Decimal(self.best - 5 - far)] = Decimal(7)
        changed[1][Decimal(self.best + 6 + far)] = Decimal(7)
        for side, changes in ((bids, changed[0]), (asks, changed[1])):
            side.update(changes)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        self.number += 1
        self.server.sequence[TOPIC] = self.number
        self.states[self.number] = self.state()
        b, a = ([[str(p), str(s)] for p, s in each.items()] for each in changed)
        frame = orjson.dumps(
            {"t": TOPIC, "n": self.number, "p": self.number - 1, "snap": False, "b": b, "a": a}
        )
        for peer in self.server.open:
            if TOPIC in self.server.topics[peer]:
                peer.push(frame)

    def is_told(self, held: OrderBook) -> None:
        bids, asks = self.states[held.sequence or 0]
        assert held.bids() == bids[:DEPTH]
        assert held.asks() == asks[:DEPTH]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books keep few levels, so that a market soon leaves them."""
    monkeypatch.setattr(OrderBook, "MOST", MOST)


def played(
    walk: Callable[[int], int], *, connections: int, latency: float = 0.01, seconds: float = 60.0
) -> tuple[World, OrderBook, DeepMarket]:
    """Let a market walk, and look at its book all the while."""
    found: list[tuple[World, OrderBook, DeepMarket]] = []

    @scenario
    async def play() -> None:
        async with world(exchange=Deep(), connections=connections, latency=latency) as seen:
            market = DeepMarket(seen.server)
            await seen.feed.subscribe(book("BTC/USD"))
            await seen.feed.ready()
            held = seen.feed.book("BTC/USD")
            for turn in range(round(seconds / 0.1)):
                market.move(walk(turn), turn % 30)
                await asyncio.sleep(0.1)
                if held.valid:
                    market.is_told(held)
                else:
                    with pytest.raises(BookInvalid):
                        held.bids()
            await asyncio.sleep(2.0)
            assert held.valid
            assert held.sequence == market.number
            market.is_told(held)
            follower = held.twin()
            for event in seen.of(BookUpdate):
                assert follower.apply(event) is Applied.APPLIED
                assert follower.valid
                market.is_told(follower)
            found.append((seen, held, market))

    play()
    return found[0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("connections", [1, 2, 5])
@pytest.mark.parametrize(("step", "latency"), [(1, 0.01), (-1, 0.01), (1, 0.23)])
def test_a_book_stays_the_markets_wherever_that_goes(
    step: int, latency: float, connections: int
) -> None:
    # A level every half second: there is time to ask before the edge is reached.
    seen, _, market = played(
        lambda turn: step * (turn % 5 == 0), connections=connections, latency=latency
    )
    assert abs(market.best - 1000) > 5 * MOST
    assert not seen.of(Gap)
    assert not seen.of(Stale)
    resubscribed = [m for _, _, m in seen.server.sent if TOPIC in m.get("unsub", ())]
    assert len(resubscribed) >= 5, "the market has not left what was known: nothing is proved"
    assert len(resubscribed) <= 60, "it is asked for over and over"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_market_that_leaps_leaves_a_right_book_or_an_unreadable_one(
    seed: int, connections: int
) -> None:
    rng = Random(seed)
    played(lambda turn: rng.choice([0, 0, 0, 1, -1, 5, -5, 3 * MOST]), connections=connections)
