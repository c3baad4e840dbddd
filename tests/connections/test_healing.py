"""Connections that are lost, lag, fall silent or are replaced, through the client."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

import ccrs_core
from ccrs_core import (
    AuthError,
    BookUpdate,
    Budget,
    Channel,
    ConnectFailed,
    Credentials,
    Gap,
    LinkState,
    Options,
    Patience,
    Reason,
    ReconnectsExhausted,
    Resumed,
    SequenceScope,
    Stale,
    SubscriptionState,
    TopOfBook,
    Trade,
    Unsupported,
    book,
    top_of_book,
    trades,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer
from tests.virtual import follow, scenario
from tests.watching import TOP, market, world

# --- racing and replacement --------------------------------------------------------------------


@scenario
async def test_killing_all_but_one_of_five_connections_causes_neither_gap_nor_repeat() -> None:
    async with world(TOP, trades("BTC/USD"), book("BTC/USD"), connections=5) as seen:
        for _ in range(4):
            await market(seen, "top.BTC", 3)
            await market(seen, "trades.BTC", 3)
            await market(seen, "book.BTC", 3)
            seen.server.open[0].drop()
        await market(seen, "top.BTC", 3)
        assert not seen.of(Gap)
        assert not seen.of(Stale)
        assert seen.sequences() == list(range(100, 100 + 16))
        assert [t.trade_id for t in seen.of(Trade)] == [f"BTC-{n}" for n in range(101, 113)]
        assert [b.sequence for b in seen.of(BookUpdate)] == list(range(100, 113))


@scenario
async def test_every_update_is_delivered_once_from_whichever_connection_brings_it_first() -> None:
    async with world(TOP, connections=3) as seen:
        await market(seen, "top.BTC", 50)
        assert seen.sequences() == list(range(100, 151))
        lines = seen.client.status().connections
        # The first snapshot, too, was delivered once.
        assert sum(c.wins for c in lines) == 51
        # Those are decoded, to find where a connection that joins goes on from.
        assert sum(c.late for c in lines) == 100
        assert all(c.frames == c.data + c.late + c.control for c in lines)


@scenario
async def test_replacement_before_the_age_limit_misses_and_repeats_no_number() -> None:
    topics = (TOP, trades("BTC/USD"), book("BTC/USD"))
    async with world(*topics, exchange=Toy(max_age=60.0)) as seen:
        for _ in range(1300):
            for topic in ("top.BTC", "trades.BTC", "book.BTC"):
                seen.server.tick(topic)
            await asyncio.sleep(0.1)
        assert seen.client.status().rollovers >= 2
        assert seen.sequences() == list(range(100, 1401))
        assert [b.sequence for b in seen.of(BookUpdate)] == list(range(100, 1401))
        assert [t.trade_id for t in seen.of(Trade)] == [f"BTC-{n}" for n in range(101, 1401)]
        assert not seen.of(Gap)
        assert not seen.of(Stale)


@scenario
async def test_a_shutdown_notice_leads_to_replacement_not_to_a_cold_reconnect() -> None:
    async with world(TOP) as seen:
        first = seen.server.open[0]
        first.push('{"bye":"maintenance"}')
        await market(seen, "top.BTC", 40)
        assert not first.open
        assert len(seen.server.open) == 1
        assert seen.sequences() == list(range(100, 141))
        assert not seen.of(Gap)
        assert seen.client.status().reconnects == 0


@scenario
async def test_a_replacement_that_is_replaced_in_its_turn_leaves_one_connection() -> None:
    async with world(TOP) as seen:
        seen.server.mute_acks = 1
        seen.server.open[0].push('{"bye":"maintenance"}')
        await asyncio.sleep(0.2)
        seen.server.open[1].push('{"bye":"again"}')
        await market(seen, "top.BTC", 200)
        assert len(seen.server.open) == 1
        assert seen.sequences() == list(range(100, 301))


@scenario
async def test_ends_announced_over_and_over_are_followed_as_slowly_as_losses() -> None:
    async with world(TOP) as seen:
        most = 0
        for _ in range(1200):
            for peer in seen.server.open:
                peer.push('{"bye":"maintenance"}')
            await asyncio.sleep(0.1)
            most = max(most, len(seen.server.open))
            seen.server.tick("top.BTC")
        assert most == 2
        assert 4 <= len(seen.server.attempts) <= 40
        assert not seen.of(Gap)


@scenario
async def test_ends_announced_over_and_over_exhaust_the_limit_of_failures() -> None:
    with pytest.raises(ReconnectsExhausted, match="4 failures in a row"):  # noqa: PT012
        async with world(TOP, options=Options(max_failures=4)) as seen:
            for _ in range(1200):
                for peer in seen.server.open:
                    peer.push('{"bye":"maintenance"}')
                await asyncio.sleep(0.1)


@scenario
async def test_a_joining_connection_that_is_ahead_takes_no_step_from_the_one_behind() -> None:
    async with world(book("BTC/USD")) as seen:
        await market(seen, "book.BTC", 3)
        old = seen.server.open[0]
        old.push('{"bye":"maintenance"}')
        # The old connection is a little behind: the new one joins two updates ahead of it.
        late: list[bytes] = []
        push, old.push = old.push, lambda *frames: late.extend(frames)  # type: ignore[method-assign,assignment]
        seen.server.tick("book.BTC")
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.3)
        assert len(seen.server.open) == 2
        old.push = push  # type: ignore[method-assign]
        old.push(*late)
        await market(seen, "book.BTC", 20)
        assert [b.sequence for b in seen.of(BookUpdate)] == list(range(100, 126))
        assert not seen.of(Gap)
        assert len(seen.server.open) == 1


@scenario
async def test_where_the_old_connection_ends_first_the_joining_one_s_state_is_taken() -> None:
    async with world(book("BTC/USD")) as seen:
        await market(seen, "book.BTC", 3)
        old = seen.server.open[0]
        old.push('{"bye":"maintenance"}')
        seen.server.topics[old].clear()
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.3)
        assert len(seen.server.open) == 2
        old.drop()
        await asyncio.sleep(0.01)
        assert seen.feed.book("BTC/USD").sequence == 104
        await market(seen, "book.BTC", 3)
        assert seen.feed.book("BTC/USD").sequence == 107


@scenario
async def test_where_numbers_count_per_connection_a_replacement_tells_of_a_gap() -> None:
    exchange = Toy(scope=SequenceScope.CONNECTION)
    async with world(TOP, exchange=exchange) as seen:
        await market(seen, "top.BTC", 3)
        seen.server.open[0].push('{"bye":"maintenance"}')
        await asyncio.sleep(2.0)
        await market(seen, "top.BTC", 3)
        assert [gap.reason for gap in seen.of(Gap)] == [Reason.ROLLOVER]
        assert seen.sequences()[-1] == 106
        assert len(seen.server.open) == 1


@scenario
async def test_frames_of_a_retired_connection_are_dropped_and_counted() -> None:
    async with world(TOP) as seen:
        (shard,) = (each.shard for each in seen.client.placement.deliveries)
        (link,) = shard.links
        seen.server.tick("top.BTC")
        link.stop_delivering()
        link.hang_up()
        await asyncio.sleep(0.5)
        assert seen.sequences() == [100]
        assert link.counters().retired == 1


@scenario
async def test_racing_is_refused_where_copies_cannot_be_recognised() -> None:
    with pytest.raises(Unsupported, match="connections must be 1"):
        async with world(TOP, exchange=Toy(scope=SequenceScope.CONNECTION), connections=2):
            pass


@scenario
async def test_a_connection_that_loses_nearly_every_race_is_replaced_where_that_is_wanted() -> None:
    options = Options(replace_losers=True, loser_window=30.0)
    async with world(TOP, options=options, connections=2) as seen:
        slow = seen.server.open[1]
        for _ in range(400):
            number = seen.server.tick(
                "top.BTC", peers=[p for p in seen.server.open if p is not slow]
            )
            await asyncio.sleep(0.01)
            seen.server.show(slow, "top.BTC")
            await asyncio.sleep(0.09)
        assert not slow.open
        assert len(seen.server.open) == 2
        assert seen.sequences()[-1] == number
        assert seen.sequences() == list(range(100, number + 1))


# --- healing --------------------------------------------------------------------------------------


@scenario
async def test_a_lost_connection_is_told_at_once_and_resumes_with_a_gap() -> None:
    async with world(TOP) as seen:
        await market(seen, "top.BTC", 2)
        seen.server.open[0].drop()
        await asyncio.sleep(0.001)
        assert isinstance(seen.events[-1], Stale)
        assert seen.events[-1].reason is Reason.DISCONNECTED
        seen.server.sequence["top.BTC"] += 5
        await asyncio.sleep(5.0)
        stale, gap, resumed, data = seen.events[-4:]
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.last_sequence, gap.next_sequence) == (
            Reason.RECONNECTED,
            102,
            107,
        )
        assert isinstance(resumed, Resumed)
        assert isinstance(data, TopOfBook)
        assert isinstance(stale, Stale)


@scenario
async def test_a_peer_that_vanishes_is_noticed_within_heartbeat_interval_and_timeout() -> None:
    async with world(trades("BTC/USD")) as seen:
        seen.server.dead.add(seen.server.open[0])
        before = len(seen.server.attempts)
        await asyncio.sleep(31.0)
        assert len(seen.server.attempts) > before
        assert isinstance(seen.events[-1], Stale | Resumed)


@scenario
async def test_what_was_lost_while_the_other_connection_was_secretly_dead_is_confessed() -> None:
    async with world(trades("BTC/USD"), connections=2) as seen:
        await market(seen, "trades.BTC", 3)
        first, second = seen.server.open
        seen.server.dead.add(second)
        await asyncio.sleep(0.1)
        first.drop()
        seen.server.tick("trades.BTC")
        await asyncio.sleep(2.0)
        assert first not in seen.server.open
        await market(seen, "trades.BTC", 3)
        # The second connection might have brought the fourth trade, and is asked for it in vain.
        assert not seen.of(Gap)
        await asyncio.sleep(1.0)
        assert [type(event) for event in seen.events] == [*[Trade] * 3, Gap, *[Trade] * 3]
        await asyncio.sleep(40.0)
        await market(seen, "trades.BTC", 1)
        assert [g.reason for g in seen.of(Gap)] == [Reason.RECONNECTED]
        assert [t.trade_id[-3:] for t in seen.of(Trade)] == ["101", "102", "103", "105", "106",
                                                             "107", "108"]  # fmt: skip


@scenario
async def test_an_unreadable_frame_is_confessed_unless_another_connection_brings_its_copy() -> None:
    for connections, confessed in ((1, [Reason.UNREADABLE]), (2, [])):
        async with world(trades("BTC/USD"), connections=connections) as seen:
            await market(seen, "trades.BTC", 3)
            garbled, *others = seen.server.open
            seen.server.tick("trades.BTC", peers=others)
            garbled.push(b'{"t":"trades.BTC","ids":["BTC-1')
            await market(seen, "trades.BTC", 3)
            assert [g.reason for g in seen.of(Gap)] == confessed
            assert garbled.open


@scenario
async def test_a_topics_strange_values_are_told_of_that_topic_and_leave_the_others_alone() -> None:
    async with world(trades("BTC/USD"), trades("ETH/USD"), TOP) as seen:
        for topic in ("trades.BTC", "trades.ETH", "top.BTC"):
            await market(seen, topic, 1)
        for _ in range(7):
            seen.server.open[0].push(b'{"t":"top.BTC","n":7000,"q":["x","2"]}')
            await asyncio.sleep(1.0)
        await market(seen, "trades.ETH", 1)
        assert len(seen.server.attempts) == 1
        assert [(s.reason, s.symbol, s.about) for s in seen.of(Stale)] == [
            (Reason.UNREADABLE, "BTC/USD", Channel.TOP_OF_BOOK)
        ]
        assert not seen.of(Gap)
        await market(seen, "top.BTC", 1)
        assert [type(event) for event in seen.events[-2:]] == [Resumed, TopOfBook]
        await market(seen, "trades.BTC", 1)
        assert {gap.symbol for gap in seen.of(Gap) if gap.about is Channel.TRADES} == set()


@scenario
async def test_an_unnumbered_book_is_asked_for_anew_after_an_unreadable_frame() -> None:
    for scope, resyncs in ((SequenceScope.CONNECTION, 1), (SequenceScope.GLOBAL, 0)):
        async with world(book("BTC/USD"), exchange=Toy(scope=scope)) as seen:
            await market(seen, "book.BTC", 3)
            seen.server.open[0].push(b'{"t":"book.BTC","n":')
            await asyncio.sleep(0.1)
            assert seen.client.status().subscriptions[0].resyncs == resyncs
            assert [s.reason for s in seen.of(Stale)] == [Reason.UNREADABLE] * resyncs
            await market(seen, "book.BTC", 3)
            assert seen.feed.book("BTC/USD").valid


@scenario
async def test_a_connection_lost_before_anything_came_is_a_gap_once_it_was_acknowledged() -> None:
    async with world(trades("BTC/USD")) as seen:
        seen.server.open[0].drop()
        seen.server.tick("trades.BTC")
        await asyncio.sleep(3.0)
        await market(seen, "trades.BTC", 1)
        assert [type(event) for event in seen.events] == [Stale, Gap, Resumed, Trade]
        assert seen.of(Gap)[0].last_sequence is None


@pytest.mark.parametrize("kind", ["top", "book"])
def test_two_restarts_with_the_same_number_are_told_apart_by_what_they_say(kind: str) -> None:
    async def main() -> None:
        interest = top_of_book("BTC/USD") if kind == "top" else book("BTC/USD")
        topic = f"{kind}.BTC"
        for connections in (1, 2):
            async with world(interest, connections=connections) as seen:
                await market(seen, topic, 3)
                seen.server.tick(topic, restart=True)
                await asyncio.sleep(0.1)
                seen.server.book("BTC")[0][Decimal(98)] = Decimal(77)
                seen.server.tick(topic, restart=True)
                await asyncio.sleep(0.1)
                if kind == "book":
                    assert dict(seen.feed.book("BTC/USD").bids())[Decimal(98)] == 77
                    await market(seen, topic, 2)
                    assert dict(seen.feed.book("BTC/USD").bids()) == seen.server.book("BTC")[0]
                    assert [g.reason for g in seen.of(Gap)] == [Reason.RESTART] * 2
                else:
                    # The toy's top of book follows from its number: the second says the same.
                    assert [g.reason for g in seen.of(Gap)] == [Reason.RESTART]

    run(main())


@scenario
async def test_a_cancelled_unsubscribe_leaves_no_connection_running() -> None:
    for rounds in range(8):
        async with world(trades("BTC/USD")) as seen:
            task = asyncio.ensure_future(seen.feed.unsubscribe(trades("BTC/USD")))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await seen.feed.unsubscribe(trades("BTC/USD"))
            await asyncio.sleep(1.0)
            assert not seen.server.open


@scenario
async def test_a_planned_replacement_on_a_silent_market_makes_no_gap() -> None:
    options = Options(max_connection_age=30.0)
    async with world(trades("BTC/USD"), options=options) as seen:
        seen.server.tick("trades.BTC")
        await asyncio.sleep(100.0)
        await market(seen, "trades.BTC", 2)
        assert seen.client.status().rollovers >= 2
        assert [type(event) for event in seen.events] == [Trade] * 3


@scenario
async def test_a_silent_subscription_turns_stale_is_asked_for_anew_and_then_reconnected() -> None:
    async with world(TOP, top_of_book("ETH/USD")) as seen:
        peer = seen.server.open[0]
        seen.server.stalled.add((peer, "top.BTC"))
        for _ in range(4):
            await asyncio.sleep(3.0)
            seen.server.tick("top.ETH")
        assert [s.symbol for s in seen.of(Stale)] == ["BTC/USD"]
        assert seen.client.status().resubscriptions == 1
        assert peer.open
        for _ in range(4):
            await asyncio.sleep(3.0)
            seen.server.tick("top.ETH")
        assert not peer.open
        assert "stayed silent" in str(seen.client.status().connections[0].last_error)
        await asyncio.sleep(1.0)
        assert {r.symbol for r in seen.of(Resumed)} == {"BTC/USD", "ETH/USD"}


@scenario
async def test_a_quiet_stream_of_which_nothing_can_be_asked_is_subscribed_to_anew_unnoticed() -> (
    None
):
    async with world(trades("BTC/USD")) as seen:
        await asyncio.sleep(3600.0)
        dialled = seen.server.attempts
        assert len(dialled) == 2
        assert 1800.0 <= dialled[1] - dialled[0] <= 1810.0
        assert not seen.events
        pings = [m for _, _, m in seen.server.sent if "ping" in m]
        assert 170 <= len(pings) <= 181


@scenario
async def test_back_off_is_jittered_capped_and_reset_only_by_stable_data() -> None:
    async with world(TOP, options=Options(backoff_max=8.0)) as seen:
        seen.server.refuse_connects = 40
        seen.server.open[0].drop()
        await asyncio.sleep(300.0)
        attempts = seen.server.attempts
        waits = [b - a for a, b in pairwise(attempts[1:])]
        assert max(waits) <= 8.1
        assert len({round(w, 3) for w in waits}) > 10
        link = seen.client.status().connections[0]
        assert link.state is LinkState.OPEN
        assert link.failures > 30
        # Fifteen seconds of data are stable: the next loss starts from the bottom.
        for _ in range(5):
            await asyncio.sleep(3.0)
            seen.server.repeat_tops()
        before = seen.server.now()
        seen.server.open[0].drop()
        await asyncio.sleep(2.0)
        assert seen.server.attempts[-1] - before <= 0.6


@scenario
async def test_a_limit_of_failures_that_is_reached_raises_out_of_the_client() -> None:
    with pytest.raises(ReconnectsExhausted, match="3 failures in a row"):  # noqa: PT012
        async with world(TOP, options=Options(max_failures=3)) as seen:
            seen.server.refuse_connects = 100
            seen.server.open[0].drop()
            await asyncio.sleep(1000.0)


@scenario
async def test_a_refused_login_is_terminal_and_told_once() -> None:
    server = ToyServer()
    server.accept_login = False
    client = ccrs_core.connect(
        Toy(private=True),
        transport=MemoryTransport(server),
        clock=VirtualClock(),
        credentials=Credentials("key", "secret"),
    )
    with pytest.raises(AuthError, match="bad key"):
        async with client, client.subscribe(TOP):
            await asyncio.sleep(1000.0)
    assert len(server.attempts) == 1


@scenario
async def test_an_accepted_login_comes_before_the_subscriptions() -> None:
    async with world(
        TOP, exchange=Toy(private=True), credentials=Credentials("key", "secret")
    ) as seen:
        kinds = [next(iter(message)) for _, _, message in seen.server.sent]
        assert kinds == ["login", "sub"]
        assert seen.sequences() == [100]


@scenario
async def test_attempts_to_connect_keep_to_the_budget_that_all_connections_share() -> None:
    async with world(TOP, connections=20) as seen:
        seen.server.refuse_connects = 500
        for peer in list(seen.server.open):
            peer.drop()
        await asyncio.sleep(300.0)
        attempts = seen.server.attempts
        assert len(attempts) > 200
        for i in range(len(attempts) - 50):
            assert attempts[i + 50] - attempts[i] >= 59.999


@scenario
async def test_mass_resubscription_keeps_to_the_message_budget_and_heartbeats_go_first() -> None:
    exchange = Toy(topics_per_request=1, messages=Budget(amount=2, seconds=10.0))
    everything = [kind(f"{native}/USD") for native in ToyServer.NATIVES for kind in (book, trades)]
    options = Options(patience=Patience(ack=60.0))
    async with world(*everything, exchange=exchange, options=options) as seen:
        await asyncio.sleep(100.0)
        seen.server.open[0].drop()
        await asyncio.sleep(200.0)
        peers = {id(peer): peer for _, peer, _ in seen.server.sent}
        for peer in peers.values():
            times = [t for t, p, _ in seen.server.sent if p is peer]
            for i in range(len(times) - 2):
                assert times[i + 2] - times[i] >= 9.999
        assert any("ping" in m for _, _, m in seen.server.sent)


# --- subscriptions that nothing was ever heard of ---------------------------------------------


@scenario
async def test_a_subscription_that_is_never_connected_is_told_of_and_heals() -> None:
    server = ToyServer()
    server.now = asyncio.get_running_loop().time
    server.refuse_connects = 10**6
    client = ccrs_core.connect(Toy(), transport=MemoryTransport(server), clock=VirtualClock())
    async with client, client.subscribe(TOP, trades("BTC/USD")) as feed:
        told: list[Any] = []
        reader = asyncio.ensure_future(follow(feed, told, []))
        with pytest.raises(ConnectFailed, match="refused"):
            await feed.ready()
        await asyncio.sleep(100.0)
        assert [(type(e), e.about) for e in told] == [
            (Stale, Channel.TOP_OF_BOOK),
            (Stale, Channel.TRADES),
        ]
        states = {s.channel: s.state for s in client.status().subscriptions}
        assert set(states.values()) == {SubscriptionState.STALE}
        server.refuse_connects = 0
        await asyncio.sleep(40.0)
        await feed.ready()
        server.tick("top:BTC")
        await asyncio.sleep(1.0)
        assert {type(e) for e in told[2:]} >= {Resumed, TopOfBook}
        assert not [e for e in told if isinstance(e, Gap)]
        reader.cancel()
        await asyncio.wait([reader])


@scenario
async def test_a_connection_that_comes_in_time_is_nothing_to_tell() -> None:
    async with world(TOP) as seen:
        await seen.feed.ready(everywhere=True)
        await market(seen, "top:BTC", 3)
        await asyncio.sleep(1.0)
        assert not seen.of(Stale)
