"""What users rely on, through the client, on the toy exchange in virtual time."""

from __future__ import annotations

import asyncio
import logging

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Budget,
    ConnectFailed,
    Options,
    Policy,
    ReconnectsExhausted,
    SubscriptionRefused,
    SubscriptionState,
    TopOfBook,
    Unsupported,
    UsageError,
    book,
    candles,
    top_of_book,
    trades,
)
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyServer, instrument
from tests.virtual import scenario
from tests.watching import TOP, market, world

# --- subscriptions ----------------------------------------------------------------------------


@scenario
async def test_one_bad_symbol_fails_alone_with_the_exchange_s_text() -> None:
    natives = ("BTC", "ETH", "SOL", "XRP", "ADA")
    server_bad = "top.XRP"

    class Picky(ToyServer):
        def __init__(self) -> None:
            super().__init__()
            self.bad = {server_bad}

    server = Picky()
    client = ccrs_core.connect(Toy(), transport=MemoryTransport(server), clock=VirtualClock())
    async with client, client.subscribe(*(top_of_book(f"{n}/USD") for n in natives)) as feed:
        with pytest.raises(SubscriptionRefused, match=r"top_of_book of XRP/USD.*no such topic"):
            await feed.ready()
        await asyncio.sleep(1.0)
        states = {s.symbol: s.state for s in client.status().subscriptions}
        assert states.pop("XRP/USD") is SubscriptionState.REFUSED
        assert set(states.values()) == {SubscriptionState.ACTIVE}
        assert server.subscribed() == [{f"top.{n}" for n in natives} - {server_bad}]
        server.open[0].drop()
        await asyncio.sleep(5.0)
        asked = [m["sub"] for t, _, m in server.sent if "sub" in m and t > 1.5]
        assert not any(server_bad in topics for topics in asked)


@scenario
async def test_an_acknowledgement_that_never_comes_is_asked_for_again_then_told() -> None:
    async with world(TOP) as seen:
        seen.server.mute_acks = 100
        await seen.feed.subscribe(trades("ETH/USD"))
        await asyncio.sleep(14.0)
        assert not seen.refusals
        await asyncio.sleep(3.0)
        assert [r.symbol for r in seen.refusals] == ["ETH/USD"]
        assert "not acknowledged" in seen.refusals[0].text
        states = {s.symbol: s.state for s in seen.client.status().subscriptions}
        assert states["ETH/USD"] is SubscriptionState.REFUSED
        seen.server.mute_acks = 0
        await asyncio.sleep(6.0)
        states = {s.symbol: s.state for s in seen.client.status().subscriptions}
        # Acknowledged at last; of trades of this exchange nothing can be asked.
        assert states["ETH/USD"] is SubscriptionState.UNPROVED


@scenario
async def test_adding_and_removing_disturbs_nothing_else() -> None:
    async with world(TOP) as seen:
        peer = seen.server.open[0]
        await seen.feed.subscribe(top_of_book("ETH/USD"), book("ETH/USD"))
        await market(seen, "top.BTC", 3)
        await seen.feed.unsubscribe(top_of_book("ETH/USD"))
        count = len(seen.events)
        seen.server.tick("top.ETH")
        await market(seen, "top.BTC", 3)
        assert all(e.symbol == "BTC/USD" for e in seen.events[count:])
        assert seen.server.open == [peer]
        assert seen.server.subscribed() == [{"top.BTC", "book.ETH"}]
        btc = [e.sequence for e in seen.of(TopOfBook) if e.symbol == "BTC/USD"]
        assert btc == list(range(100, 107))


@scenario
async def test_a_subscription_is_counted_and_ends_with_its_last_feed() -> None:
    async with world(TOP) as seen:
        async with seen.client.subscribe(TOP) as other:
            batch = await anext(other.batches())
            # The second feed starts with the present state, though the market is quiet.
            assert [e.sequence for e in batch if isinstance(e, TopOfBook)] == [100]
            await seen.feed.unsubscribe(TOP)
            assert seen.server.subscribed() == [{"top.BTC"}]
        await asyncio.sleep(0.5)
        assert seen.server.open == []


@scenario
async def test_subscriptions_over_the_limit_of_a_connection_spill_to_further_ones() -> None:
    symbols = [top_of_book(f"{n}/USD") for n in ToyServer.NATIVES]
    async with world(*symbols, exchange=Toy(topics_per_connection=3)) as seen:
        assert sorted(map(len, seen.server.subscribed())) == [1, 3, 3]
        first, *_ = seen.server.open
        await seen.feed.unsubscribe(symbols[0])
        await seen.feed.subscribe(trades("BTC/USD"))
        await asyncio.sleep(0.5)
        assert first in seen.server.open
        assert sorted(map(len, seen.server.subscribed())) == [2, 2, 3]


@scenario
async def test_what_the_exchange_does_not_offer_is_refused_before_anything_is_sent() -> None:
    server = ToyServer()
    client = ccrs_core.connect(Toy(), transport=MemoryTransport(server), clock=VirtualClock())
    async with client:
        for wrong in (candles("BTC/USD"), book("BTC/USD", depth=11)):
            with pytest.raises(Unsupported):
                async with client.subscribe(wrong):
                    pass
        with pytest.raises(UsageError, match="connections"):
            client.subscribe(TOP, connections=0)
        with pytest.raises(UsageError, match="policy"):
            client.subscribe(TOP, policy="whatever")
    assert not server.attempts


# --- slow consumers -----------------------------------------------------------------------------


@scenario
async def test_a_blocked_feed_stops_reading_loses_nothing_and_keeps_its_heartbeats() -> None:
    server = ToyServer()
    server.now = asyncio.get_running_loop().time
    client = ccrs_core.connect(Toy(), transport=MemoryTransport(server), clock=VirtualClock())
    async with (
        client,
        client.subscribe(TOP, policy=Policy.BLOCK, maxsize=5) as slow,
        client.subscribe(TOP) as quick,
    ):
        await asyncio.sleep(1.0)
        for _ in range(60):
            for _ in range(3):
                server.tick("top.BTC")
            await asyncio.sleep(2.0)
        assert len(server.open) == 2
        assert len({id(p) for t, p, m in server.sent if "ping" in m and t > 60.0}) == 2
        assert quick.status().waiting == 181
        assert slow.status().waiting < 10
        got: list[int | None] = []
        async for event in slow:
            assert isinstance(event, TopOfBook), event
            got.append(event.sequence)
            if event.sequence == 280:
                break
        assert got == list(range(100, 281))


@scenario
async def test_a_consumer_that_raises_ends_the_block_with_its_own_error() -> None:
    with pytest.raises(ZeroDivisionError):
        async with world(TOP):
            _ = 1 // 0


# --- the end --------------------------------------------------------------------------------------


@given(
    moment=st.floats(0.0, 40.0),
    trouble=st.sampled_from(["none", "refused", "dead", "muted"]),
    cancel=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_closing_at_any_moment_leaves_nothing_behind(
    moment: float, trouble: str, cancel: bool
) -> None:
    async def play() -> None:
        server = ToyServer()
        server.refuse_connects = 10**6 if trouble == "refused" else 0
        server.mute_acks = 10**6 if trouble == "muted" else 0

        async def use() -> None:
            client = ccrs_core.connect(
                Toy(max_age=20.0),
                transport=MemoryTransport(server, latency=0.3),
                clock=VirtualClock(),
            )
            interests = (TOP, trades("ETH/USD"), book("SOL/USD"))
            async with client, client.subscribe(*interests, connections=3):
                await asyncio.sleep(moment)
                if trouble == "dead":
                    server.dead.update(server.open)
                    await asyncio.sleep(moment)
                if cancel:
                    await asyncio.sleep(1000.0)

        task = asyncio.ensure_future(use())
        if cancel:
            await asyncio.sleep(moment * 1.5)
            task.cancel()
        begun = asyncio.get_running_loop().time()
        await asyncio.wait([task])
        if cancel:
            assert task.cancelled() or task.exception() is None
            assert asyncio.get_running_loop().time() - begun < 5.0
        else:
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not server.open

    run(play())


@scenario
async def test_a_thousand_connections_in_one_process_deliver_and_close() -> None:
    exchange = Toy(topics_per_connection=1)
    server = ToyServer()
    server.NATIVES = tuple(f"C{i}" for i in range(1000))  # type: ignore[misc]
    exchange.limits = attrs.evolve(exchange.limits, connects=Budget(amount=1000, seconds=60.0))  # type: ignore[misc]
    client = ccrs_core.connect(exchange, transport=MemoryTransport(server), clock=VirtualClock())
    interests = [top_of_book(f"C{i}/USD") for i in range(1000)]
    async with client, client.subscribe(*interests) as feed:
        await feed.ready()
        assert len(server.open) == 1000
        for i in range(1000):
            server.tick(f"top.C{i}")
        await asyncio.sleep(0.1)
        status = feed.status()
        assert status.waiting == 2000
    assert not server.open


@scenario
async def test_a_client_and_a_feed_are_opened_once() -> None:
    async with world(TOP) as seen:
        with pytest.raises(ccrs_core.FeedClosed):
            async with seen.feed:
                pass
        with pytest.raises(UsageError):
            async with seen.client:
                pass


@scenario
async def test_what_is_asked_of_a_client_while_it_closes_is_refused_and_leaves_nothing() -> None:
    server = ToyServer()
    transport = MemoryTransport(server, latency=0.05)
    async with ccrs_core.connect(Toy(), transport=transport, clock=VirtualClock()) as client:
        # Its instruments are on their way when the client closes.
        entering = asyncio.ensure_future(client.subscribe(trades("BTC/USD")).__aenter__())
        await asyncio.sleep(0.01)
    with pytest.raises(UsageError, match="the client is closed"):
        await entering
    with pytest.raises(UsageError, match="the client is closed"):
        await client.get_server_time()
    assert not server.peers


class _Refusing(ToyServer):
    def opened(self, peer: Peer) -> None:
        raise ConnectFailed("refused")


def test_a_password_in_an_address_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    async def main() -> None:
        clock = VirtualClock()
        client = ccrs_core.connect(
            Toy(),
            base_url="http://me:hunter2@box.test",
            transport=MemoryTransport(_Refusing()),
            clock=clock,
            options=Options(max_failures=2),
            instruments=[instrument("BTC")],
        )
        async with client:
            texts.append(f"{client.addresses}")
            async with client.subscribe(top_of_book("BTC/USD")):
                await asyncio.sleep(5.0)
                texts.append(f"{client.status()}")
                await asyncio.sleep(1000.0)

    with pytest.raises(ReconnectsExhausted) as raised:
        run(main())
    with pytest.raises(UsageError) as refused:
        ccrs_core.connect(Toy(), base_url="ftp://me:hunter2@box.test")
    texts += [str(raised.value), str(refused.value), caplog.text]
    assert "hunter2" not in "".join(texts)
    assert all("box.test" in text for text in texts[:1])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "limit",
    [{"topics_per_connection": 2}, {"topic_chars_per_connection": len("top.BTC" + "trades.ETH")}],
)
def test_subscribing_and_unsubscribing_over_and_over_fills_no_connection(
    limit: dict[str, int], shared: bool
) -> None:
    """What is wanted no longer takes no room, whatever it was counted by."""

    async def main() -> None:
        exchange = Toy()
        exchange._route = attrs.evolve(exchange._route, **limit)
        async with world(TOP, exchange=exchange) as seen:
            more = [book("ETH/USD", depth=10), trades("ETH/USD"), top_of_book("SOL/USD")]
            for interest in more * 4:
                await seen.feed.subscribe(interest)
                if shared:
                    async with seen.client.subscribe(interest) as other:
                        await other.ready()
                assert len(seen.server.open) == 1
                await seen.feed.unsubscribe(interest)
                await asyncio.sleep(1.0)
            assert len(seen.server.attempts) == 1
            await seen.feed.subscribe(*more)
            await asyncio.sleep(1.0)
            assert len(seen.server.open) == 2

    run(main())
