"""Feeds are told when what they have is older than their user wants it."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AnyEvent,
    Channel,
    Client,
    Codec,
    ConsolidatedBBO,
    Data,
    Feed,
    Funding,
    Gap,
    Interest,
    Market,
    MarkPrice,
    Message,
    Reason,
    Resumed,
    Route,
    Stale,
    Subscription,
    SubscriptionRefused,
    TopOfBook,
    Trade,
    Unchanged,
    Unrecognised,
    UsageError,
    book,
    connect_many,
    funding,
    mark_price,
    top_of_book,
    trades,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.feeding import Owner
from tests.several_exchanges import laid
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario

TOP, TAPE, BOOK = top_of_book("BTC/USD"), trades("BTC/USD"), book("BTC/USD")
EARLY, LATE = 0.01, 0.03


@attrs.define
class Seen:
    """A feed's events, and when they came."""

    feed: Feed
    log: list[tuple[float, AnyEvent]]

    def notices(self, about: Channel | None = None) -> list[tuple[float, str, Reason | None]]:
        """When, what and why; times are rounded up to a twentieth of a second."""
        return [
            (math.ceil((at - LATE) * 20) / 20, each.type, getattr(each, "reason", None))
            for at, each in self.log
            if isinstance(each, Stale | Resumed | Gap) and about in (None, each.about)
        ]

    @property
    def kinds(self) -> list[str]:
        return [each.type for _, each in self.log]


@asynccontextmanager
async def watched(client: Client, *interests: Interest, **how: Any) -> AsyncIterator[Seen]:
    loop = asyncio.get_running_loop()
    log: list[tuple[float, AnyEvent]] = []
    feed = client.subscribe(
        *interests, callback=lambda event: log.append((loop.time(), event)), **how
    )
    async with feed:
        yield Seen(feed, log)


def opened(exchange: Toy | None = None) -> tuple[ToyServer, Client]:
    server = ToyServer()
    server.now = asyncio.get_running_loop().time
    transport = MemoryTransport(server, latency=0.01)
    return server, ccrs_core.connect(exchange or Toy(), transport=transport, clock=VirtualClock())


async def until(moment: float) -> None:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())


# --- any schedule -------------------------------------------------------------------------------


def judge(seen: Seen, begun: float, ended: float, stale_after: float, *, late: float) -> None:
    """Hold what was told against what came."""
    heard, stale, resumed = begun, False, -1.0
    for at, event in [*seen.log, (ended, None)]:
        if not stale and at > resumed:
            assert at - heard <= stale_after + late, f"silence since {heard} isn't told at {at}"
        if isinstance(event, Stale):
            assert not stale, f"told twice that it is stale, at {at}"
            stale = True
            if event.reason is Reason.SILENT:
                assert at - heard >= stale_after - EARLY, f"called silent too early, at {at}"
        elif isinstance(event, Resumed):
            assert stale, f"resumed what wasn't stale, at {at}"
            stale, resumed = False, at
        elif isinstance(event, Trade):
            assert not stale, f"data at {at} though stale"
            heard = at


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["tick", "tick", "tick", "drop", "die", "nothing", "revive"]),
        st.floats(0.0, 4.0),
    ),
    max_size=40,
)


@given(
    steps=STEPS,
    spans=st.tuples(st.floats(0.1, 6.0), st.floats(0.1, 6.0)),
    connections=st.integers(1, 3),
    policy=st.sampled_from(["drop_oldest", "conflate", "block", "raise"]),
    jumps=st.booleans(),
)
@settings(max_examples=150, deadline=None)
@example([("tick", 1.0), ("die", 3.0), ("drop", 1.0), ("tick", 1.0)], (2.0, 0.5), 1, "block", False)
def test_under_any_schedule_silence_is_told_in_time_once_and_never_early(
    steps: list[tuple[str, float]],
    spans: tuple[float, float],
    connections: int,
    policy: Any,
    jumps: bool,
) -> None:
    async def main() -> None:
        server, client = opened()
        clock: Any = client._clock
        loop = asyncio.get_running_loop()
        how: dict[str, Any] = {"connections": connections, "policy": policy}
        async with (
            client,
            watched(client, TAPE, stale_after=spans[0], **how) as one,
            watched(client, TAPE, stale_after=spans[1], **how) as other,
            watched(client, TAPE, **how) as plain,
        ):
            begun = loop.time()
            for step, pause in steps:
                if step == "tick":
                    server.tick("trades.BTC")
                elif step == "drop" and server.open:
                    server.open[0].drop()
                elif step == "die":
                    server.dead.update(server.open[:1])
                elif step == "revive":
                    server.dead.clear()
                if jumps and step == "nothing":
                    clock.jump(3600.0 if pause > 2.0 else -3600.0)
                await asyncio.sleep(pause)
            ended = loop.time()
            for seen, span in zip((one, other), spans, strict=True):
                # A wall clock that is set may cost a look.
                judge(seen, begun, ended, span, late=LATE + (span if jumps else 0.0))
            assert not [e for _, e in plain.log if getattr(e, "reason", None) is Reason.SILENT]
            if policy != "block":  # which has connections of its own
                told, expected = (
                    [e for _, e in each.log if isinstance(e, Trade)] for each in (one, plain)
                )
                assert told == expected

    run(main())


# --- one by one ---------------------------------------------------------------------------------


@scenario
async def test_a_half_open_line_is_told_after_the_user_s_time_for_every_channel() -> None:
    server, client = opened()
    async with client, watched(client, TOP, TAPE, BOOK, stale_after=2.0) as seen:
        await seen.feed.ready()
        await until(1.0)
        for topic in ("top.BTC", "trades.BTC", "book.BTC"):
            server.tick(topic)
        server.dead.update(server.open)
        await until(8.0)
        expected = [(3.0, "stale", Reason.SILENT)]
        for channel in (Channel.TOP_OF_BOOK, Channel.TRADES, Channel.BOOK):
            assert seen.notices(channel) == expected
        silences = [e.silent_ns for _, e in seen.log if isinstance(e, Stale)]
        assert silences == [pytest.approx(2e9, abs=3e7)] * 3
        assert seen.feed.book("BTC/USD").valid
        assert len(server.attempts) == 1  # nothing is reconnected for it


@scenario
async def test_what_has_never_brought_anything_is_told_from_the_wish_on() -> None:
    server, client = opened()
    server.refuse_connects = 10**6
    async with client:
        await until(5.0)
        async with watched(client, TAPE, stale_after=3.0) as seen:
            await until(60.0)
            # Not once more when Patience.first is over, nor for each attempt.
            assert seen.notices() == [(8.0, "stale", Reason.SILENT)]


@scenario
async def test_across_reconnects_stale_and_resumed_are_told_once() -> None:
    server, client = opened()
    async with client, watched(client, TAPE, stale_after=2.0) as seen:
        await until(1.0)
        server.tick("trades.BTC")
        await until(2.0)
        server.refuse_connects = 3
        server.open[0].drop()  # stale, by the line; silent later, and lost and found again
        await until(20.0)
        server.open[0].drop()
        await until(30.0)
        server.tick("trades.BTC")
        await until(31.0)
        assert [each for each in seen.notices() if each[1] != "gap"] == [
            (2.0, "stale", Reason.DISCONNECTED),
            (30.0, "resumed", None),
        ]
        assert seen.kinds[-1] == "trade"


@scenario
async def test_an_acknowledgement_ends_a_broken_line_s_staleness_but_no_silence() -> None:
    server, client = opened()
    async with (
        client,
        watched(client, TAPE, stale_after=6.0) as seen,
        watched(client, TAPE) as plain,
    ):
        await until(1.0)
        server.tick("trades.BTC")
        await until(2.0)
        server.open[0].drop()
        await until(12.0)
        kinds = [kind for _, kind, _ in seen.notices()]
        assert kinds == ["stale", "gap", "resumed", "stale"]
        assert seen.notices()[-1] == (7.0, "stale", Reason.SILENT)
        server.open[0].drop()
        await until(18.0)
        assert [kind for _, kind, _ in seen.notices()].count("stale") == 2
        assert [kind for _, kind, _ in seen.notices()].count("resumed") == 1
        assert [kind for _, kind, _ in plain.notices()].count("resumed") == 2


@scenario
async def test_each_feed_has_its_own_idea_of_one_subscription() -> None:
    server, client = opened()
    async with (
        client,
        watched(client, TOP, stale_after=1.0) as quick,
        watched(client, TOP, stale_after=4.0) as slow,
        watched(client, TOP) as plain,
    ):
        await until(1.0)
        server.tick("top.BTC")
        await until(7.0)
        server.tick("top.BTC")
        await until(7.5)
        assert quick.notices() == [
            (2.0, "stale", Reason.SILENT),
            (7.0, "resumed", None),
        ]
        assert slow.notices() == [(5.0, "stale", Reason.SILENT), (7.0, "resumed", None)]
        assert plain.notices() == []
        assert len(server.open) == 1
        states = {s.state for s in client.status().subscriptions}
        assert states == {ccrs_core.SubscriptionState.ACTIVE}


@scenario
async def test_a_feed_that_joins_is_told_how_old_what_it_is_shown_is() -> None:
    server, client = opened()
    async with client, client.subscribe(TOP):
        await until(1.0)
        server.tick("top.BTC")
        await until(6.0)
        async with watched(client, TOP, stale_after=2.0) as late:
            await until(6.5)
            assert late.kinds == ["top_of_book", "stale"]
        async with watched(client, TOP, stale_after=9.0) as later:
            await until(9.5)
            assert later.kinds == ["top_of_book"]
            await until(10.1)
            assert later.kinds == ["top_of_book", "stale"]


@scenario
async def test_repeats_of_the_last_update_keep_it_fresh_and_make_it_fresh_again() -> None:
    server, client = opened()
    async with client, watched(client, TOP, stale_after=2.0) as seen:
        await until(0.5)
        for second in range(1, 9):
            await until(second)
            server.repeat_tops()
        assert seen.notices() == []
        await until(12.0)
        server.repeat_tops()
        await until(12.5)
        assert seen.notices() == [(10.0, "stale", Reason.SILENT), (12.0, "resumed", None)]
        assert [e.type for _, e in seen.log].count("top_of_book") == 1


@scenario
async def test_of_racing_connections_any_one_keeps_it_fresh() -> None:
    server, client = opened()
    async with client, watched(client, TAPE, stale_after=1.0, connections=3) as seen:
        await seen.feed.ready(everywhere=True)
        server.tick("trades.BTC")
        server.dead.update(server.open[:2])
        for _ in range(20):
            server.tick("trades.BTC")
            await asyncio.sleep(0.5)
        assert seen.notices() == []
        server.dead.update(server.open)
        await asyncio.sleep(1.0)
        assert [kind for _, kind, _ in seen.notices()] == ["stale"]


@scenario
async def test_a_refused_subscription_is_refused_and_not_stale() -> None:
    server, client = opened()
    server.bad = {"trades.BTC"}
    async with client, client.subscribe(TAPE, stale_after=1.0) as feed:
        with pytest.raises(SubscriptionRefused):
            await feed.ready()
        await until(30.0)
        assert feed.status().waiting == 0


@scenario
async def test_taking_away_and_adding_again_begins_anew_and_closing_leaves_nothing() -> None:
    _, client = opened()
    async with client, watched(client, TAPE, stale_after=2.0) as seen:
        await until(1.0)
        await seen.feed.unsubscribe(TAPE)
        await until(10.0)
        assert seen.notices() == []
        await seen.feed.subscribe(TAPE)
        await until(13.0)
        assert seen.notices() == [(12.0, "stale", Reason.SILENT)]
        freshness = seen.feed.freshness
    assert freshness is not None
    await until(30.0)
    assert len(seen.notices()) == 1
    assert not freshness._watches
    assert not freshness._due
    assert freshness._timer is None


# --- consumers that don't read ------------------------------------------------------------------


@scenario
async def test_a_blocked_feed_that_is_not_read_is_told_so_in_that_place() -> None:
    server, client = opened()
    how: Any = {"policy": "block", "maxsize": 5, "stale_after": 2.0}
    async with client, client.subscribe(TAPE, **how) as feed:
        await until(1.0)
        for _ in range(40):
            server.tick("trades.BTC")
            await asyncio.sleep(1.0)
        assert feed.full
        events: list[AnyEvent] = []
        reader = asyncio.ensure_future(_read(feed, events))
        await asyncio.sleep(1.0)
        place = [type(each) for each in events].index(Stale)
        assert isinstance(events[place + 1], Resumed)
        assert 5 <= place <= 7
        rest = events[:place] + events[place + 2 :]
        assert {type(each) for each in rest} == {Trade}
        assert len(rest) == 40  # it blocks, and loses nothing
        reader.cancel()
        await asyncio.wait([reader])


async def _read(feed: Feed, into: list[AnyEvent], pause: float = 0.0) -> None:
    async for event in feed:
        into.append(event)
        if pause:
            await asyncio.sleep(pause)


@scenario
async def test_a_silent_symbol_is_told_of_though_the_consumer_blocks_over_and_over() -> None:
    server, client = opened()
    interests = TAPE, trades("ETH/USD")
    how: Any = {"policy": "block", "maxsize": 2, "stale_after": 3.0}
    async with client, client.subscribe(*interests, **how) as feed:
        events: list[AnyEvent] = []
        reader = asyncio.ensure_future(_read(feed, events, 0.15))
        await feed.ready()
        blocked = 0
        for _ in range(50):
            for _ in range(4):
                server.tick("trades.ETH")
            await asyncio.sleep(0.01)
            blocked += feed.full
            await asyncio.sleep(0.8)
        assert blocked == 50
        stale = [e.symbol for e in events if isinstance(e, Stale)]
        assert stale == ["BTC/USD"]
        reader.cancel()
        await asyncio.wait([reader])


@scenario
async def test_conflated_the_notices_stand_before_the_newest_state() -> None:
    server, client = opened()
    async with client, client.subscribe(TOP, policy="conflate", stale_after=2.0) as feed:
        await until(5.0)
        server.tick("top.BTC")
        server.tick("top.BTC")
        await until(5.5)
        batch = await anext(feed.batches())
        assert [each.type for each in batch] == ["stale", "resumed", "top_of_book"]


class Pending(ToyCodec):
    """Of an exchange that at times has no price yet."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if b'"q":null' in frame:
            return (Unrecognised("no price yet"),)
        return super().decode(frame, received_time_ns)


@scenario
async def test_conflated_a_state_that_says_nothing_hides_none_before_it() -> None:
    server, client = opened(Toy(codec=Pending))
    async with client, client.subscribe(TOP, policy="conflate") as feed:
        await feed.ready()
        await anext(feed.batches())
        (peer,) = server.peers
        for number, quote in ((200, ["7", "8"]), (201, ["8", "9"]), (202, None)):
            peer.push(orjson.dumps({"t": "top.BTC", "n": number, "q": quote}))
        await asyncio.sleep(0.1)
        (event,) = await anext(feed.batches())
        assert isinstance(event, TopOfBook)
        assert event.sequence == 201
        assert sum(line.superseded for line in client.status().connections) == 1


# --- several channels in one topic --------------------------------------------------------------


class Together(ToyCodec):
    """Funding and mark price come together, each only where it has changed."""

    def topic(self, subscription: Subscription) -> str:
        return f"perp.{subscription.instrument.native}"

    def peek(self, frame: bytes) -> None:
        return None

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        topic, _, what = frame.decode().partition("|")
        if not topic.startswith("perp."):
            return super().decode(frame, received_time_ns)
        head = ("toy", self.known[topic], received_time_ns, received_time_ns)
        found: list[Message] = []
        if "f" in what:
            found.append(Data(topic, (Funding(*head, Decimal(1), None),)))
        if "m" in what:
            found.append(Data(topic, (MarkPrice(*head, Decimal(1), None),)))
        return found or [Unchanged(topic)]


class Perpetual(Toy):
    capabilities = attrs.evolve(
        Toy.capabilities,
        channels={
            Market.SPOT: frozenset({Channel.FUNDING, Channel.MARK_PRICE, Channel.TOP_OF_BOOK})
        },
    )

    def codec(self, route: Route) -> Codec:
        return Together()


@scenario
async def test_a_state_that_is_left_out_or_called_unchanged_is_as_fresh_as_its_topic() -> None:
    server, client = opened(Perpetual())
    interests = (funding("BTC/USD"), mark_price("BTC/USD"))
    async with client, watched(client, *interests, stale_after=2.0) as seen:
        await seen.feed.ready()
        for frame in ("fm", "m", "m", "", "", "m"):
            server.open[0].push(f"perp.BTC|{frame}")
            await asyncio.sleep(1.0)
        assert seen.notices() == []
        await asyncio.sleep(3.0)
        assert [kind for _, kind, _ in seen.notices()] == ["stale", "stale"]
        server.open[0].push("perp.BTC|m")
        await asyncio.sleep(0.1)
        assert [kind for _, kind, _ in seen.notices()] == ["stale"] * 2 + ["resumed"] * 2
        await asyncio.sleep(3.0)
        server.open[0].push("perp.BTC|")
        await asyncio.sleep(0.1)
        assert [kind for _, kind, _ in seen.notices()] == (["stale"] * 2 + ["resumed"] * 2) * 2


# --- several exchanges --------------------------------------------------------------------------


@scenario
async def test_of_several_exchanges_the_silent_one_alone_counts_for_nothing() -> None:
    internet, _, clients = laid(("ant", "bee"))
    best = ConsolidatedBBO("BTC/USD")
    async with clients, clients.subscribe(TOP, stale_after=2.0, callback=best.take):
        await until(1.0)
        for _ in range(10):
            internet.servers["ant"].tick("top.BTC")
            await asyncio.sleep(0.5)
        assert [(e.exchange, e.state.value) for e in best.exchanges] == [
            ("ant", "fresh"),
            ("bee", "stale"),
        ]
        # It says once more what it had said: that holds again.
        internet.servers["bee"].repeat_tops()
        await asyncio.sleep(0.1)
        assert {e.state.value for e in best.exchanges} == {"fresh"}


def test_times_that_cant_work_are_refused_at_once() -> None:
    wrong: Any
    for wrong in (0, -1.0, math.nan, math.inf, True, "2", [2], Decimal(2), 10**400):
        with pytest.raises(UsageError, match="stale_after must be a number of seconds above zero"):
            Feed(Owner(), [TOP], stale_after=wrong)
        with pytest.raises(UsageError, match="stale_after"):
            ccrs_core.connect(Toy()).subscribe(TOP, stale_after=wrong)
        with pytest.raises(UsageError, match="stale_after"):
            connect_many(Toy()).subscribe(TOP, stale_after=wrong)


def test_a_thousand_watched_subscriptions_have_one_timer() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        server, client = opened()
        server.NATIVES = tuple(f"C{i}" for i in range(1000))  # type: ignore[misc]
        interests = [trades(f"C{i}/USD") for i in range(1000)]
        async with client, client.subscribe(*interests, stale_after=1e6) as feed:
            await feed.ready()
            await asyncio.sleep(60.0)
            far = [t for t in loop._scheduled if not t.cancelled() and t.when() > 1e5]
            assert len(far) == 1
            for native in server.NATIVES:
                server.tick(f"trades.{native}")
            await asyncio.sleep(1.0)
            assert len([t for t in loop._scheduled if t.when() > 1e5 and not t.cancelled()]) == 1
        gc.collect()

    run(main())
