"""What is done for dead streams helps them, and costs those that live nothing; in virtual time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from ccrs_binance.emulator import BinanceDialect
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Gap,
    Interest,
    Resumed,
    Stale,
    SubscriptionState,
    book,
    ticker,
    top_of_book,
    trades,
)
from ccrs_core.connections.quiet import GONE, Life
from ccrs_core.connections.revival import Revival
from ccrs_core.model.events import Reason
from ccrs_core.transport.memory import START_NS
from tests.connections.test_coverage import followed
from tests.topics.test_lookout import scenario, seen, until

# --- those that live ------------------------------------------------------------------------------


@pytest.mark.parametrize("connections", [2, 3])
@pytest.mark.parametrize(
    ("exchange", "interest"),
    [
        ("bybit", book("BTC/USDT", depth=50)),
        ("okx", book("BTC/USDT", depth=5)),
        ("okx", top_of_book("BTC/USDT")),
        ("okx", ticker("BTC/USDT")),
    ],
)
@scenario
async def test_what_a_connection_begins_with_is_not_missing_on_the_others(
    exchange: str, interest: Interest, connections: int
) -> None:
    # In a market that stands still, one connection has begun later than the others.
    async with seen(exchange, interest, connections=connections, rate=2.0, pace=1 / 5000) as it:
        await it.feed.ready(everywhere=True)
        await asyncio.sleep(20.0)
        it.venue.faults.add("drop,target=1")
        await asyncio.sleep(3600.0)
        status = it.client.status()
        assert status.reconnects == 1
        assert (status.resubscriptions, status.rollovers) == (0, 0)
        assert not it.notices


@scenario
async def test_one_dead_stream_takes_no_others_to_an_address_at_which_they_may_be_dead() -> None:
    dialect, symbols = BinanceDialect(coinm_routed=True), ("BTC/USD:BTC", "ETH/USD:ETH")
    async with seen("binance", *map(trades, symbols), dialect=dialect) as it:
        await until(lambda: {e.symbol for e in it.of(Resumed)} == set(symbols), 300.0)
        await asyncio.sleep(10.0)
        works, begun = it.url, len(it.events)
        it.venue.faults.add("mute,topic=*btc*")
        it.venue.faults.add("silence,topic=*btc*")
        await asyncio.sleep(900.0)
        status = it.client.status()
        assert it.url == works
        assert status.rollovers > 2  # all else is tried
        later = [e for e in it.events[begun:] if isinstance(e, Stale | Gap | Resumed)]
        assert [type(e).__name__ for e in later if e.symbol == symbols[0]] == ["Stale"]
        assert not [e for e in later if e.symbol == symbols[1]]


# --- those that are dead --------------------------------------------------------------------------


@scenario
async def test_a_book_that_dies_while_it_is_asked_for_anew_is_taken_to_a_fresh_connection() -> None:
    async with seen("bybit", book("BTC/USDT", depth=50)) as it:
        await it.feed.ready()
        it.venue.faults.add("mute,target=1")  # on this connection, whatever is done
        it.venue.faults.add("gap,count=1")
        await until(lambda: bool(it.of(Stale)), 60.0)
        await until(lambda: bool(it.of(Resumed)), 300.0)
        await until(lambda: it.client.status().rollovers == 1, 30.0)
        assert it.notices == ["Stale", "Gap", "Resumed"]


@pytest.mark.parametrize(
    ("exchange", "interest"),
    [("bybit", book("BTC/USDT", depth=50)), ("okx", top_of_book("BTC/USDT"))],
)
@scenario
async def test_a_stream_that_shows_where_it_begins_and_no_more_is_taken_to_a_fresh_connection(
    exchange: str, interest: Interest
) -> None:
    async with seen(exchange, interest) as it:
        await it.feed.ready()
        it.venue.faults.add("silence,every=2")
        await until(lambda: it.client.status().found_dead == 2, 200.0)
        await until(lambda: it.client.status().rollovers == 1, 30.0)
        it.venue.faults.clear()
        await asyncio.sleep(10.0)
        before = it.data
        await asyncio.sleep(10.0)
        assert it.data > before
        changes = [notice for notice in it.notices if notice != "Gap"]
        assert changes == ["Stale", "Resumed"] * 2


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
@scenario
async def test_a_stream_that_was_never_acknowledged_is_found_dead_too(exchange: str) -> None:
    async with seen(exchange, trades("BTC/USDT"), before="no_ack") as it:
        await until(lambda: it.data > 10, 60.0)
        assert it.client.status().subscriptions[0].state is SubscriptionState.PENDING
        it.venue.faults.add("silence")
        await until(lambda: bool(it.of(Resumed)), 120.0)
        assert it.notices == ["Stale", "Gap", "Resumed"]


@pytest.mark.parametrize("exchange", ["bybit", "okx"])
@pytest.mark.parametrize("connections", [2, 3])
def test_a_connection_that_brings_nothing_makes_up_for_none_that_is_lost(
    exchange: str, connections: int
) -> None:
    script = [(10.0, f"silence,target={n + 1}") for n in range(connections - 1)]
    script += [(20.0, "refuse,duration=4"), (20.01, f"drop,target={connections}")]
    events, history = followed(exchange, connections, script, seconds=60.0, rate=20.0)
    history.trades_are_true(events, until_ns=START_NS + 55 * 10**9)
    assert any(isinstance(event, Gap) for event in events)


@pytest.mark.parametrize("exchange", ["bybit", "okx"])
def test_what_was_lost_while_all_were_silent_is_confessed_once_one_of_them_is_known_to_have_been(
    exchange: str,
) -> None:
    # Nothing can be asked, and one of them begins anew before anybody knows.
    script = [(9.0, "http,status=503"), (10.0, "silence")]
    script += [(20.0, "refuse,duration=3"), (20.01, "drop,target=1")]
    events, _ = followed(exchange, 2, script, seconds=120.0, rate=20.0)
    gaps = [event for event in events if isinstance(event, Gap)]
    assert [gap.reason for gap in gaps] == [Reason.SILENT]
    assert not any(isinstance(event, Stale) for event in events)


@pytest.mark.parametrize("stale_after", [None, 30.0])
@scenario
async def test_a_feed_that_joins_a_stale_stream_is_told_so(stale_after: float | None) -> None:
    async with seen("bybit", trades("BTC/USDT"), before="mute") as it:
        await until(lambda: bool(it.of(Stale)), 120.0)
        events: list[AnyEvent] = []
        joined = it.client.subscribe(
            trades("BTC/USDT"), callback=events.append, stale_after=stale_after
        )
        async with joined:
            await asyncio.sleep(5.0)
            assert [type(event) for event in events] == [Stale]
            await asyncio.sleep(60.0)
            it.venue.faults.clear()
            await until(lambda: it.data > 0, 600.0)
            told = [type(e) for e in events if isinstance(e, Stale | Gap | Resumed)]
            assert told == [Stale, Gap, Resumed]


# --- what those that are gone had brought ---------------------------------------------------------


@attrs.define(eq=False)
class Session:
    """Of a connection that last brought something at a time, and what it was made to ask anew."""

    at: float | None
    anew: list[str] = attrs.field(factory=list)

    def life(self, topic: str) -> Life | None:
        return None if self.at is None else Life(self.at, True, True)

    def found_silent(self, names: list[str], now: float) -> list[Any]:
        self.anew += names
        return []


@attrs.define(eq=False)
class Named:
    """In the place of a topic."""

    name: str


@attrs.define(eq=False)
class Connection:
    session: Session
    number: int = 1

    def apply(self, effects: list[Any]) -> None: ...


@given(
    st.lists(st.none() | st.floats(0.0, 100.0), max_size=5),
    st.floats(0.0, 100.0),
    st.sampled_from([[], ["trades"]]),
)
def test_one_that_is_left_lacks_what_any_of_those_that_are_gone_had_brought(
    gone: list[float | None], left: float, others: list[str]
) -> None:
    """Whichever of them ended last: the one that had brought the most counts."""
    shard: Any = SimpleNamespace(
        topics={name: Named(name) for name in [*others, "top"]},
        context=SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: 200.0)),
    )
    revival = Revival(shard)
    for at in gone:
        revival.lost(Session(at))  # type: ignore[arg-type]
    most = max((at for at in gone if at is not None), default=None)
    link = Connection(Session(left))
    for _ in range(2):
        lacks = most is not None and left < most - GONE
        assert revival.lacks(link, "top") is lacks  # type: ignore[arg-type]
    assert link.session.anew == ["top"] * 2 * lacks
    fresh = Connection(Session(None))
    assert not revival.lacks(fresh, "top")  # type: ignore[arg-type]
