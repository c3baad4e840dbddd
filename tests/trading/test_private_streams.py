"""Private streams and lists: nothing is lost, nothing comes twice, and what isn't whole says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest

from ccrs_core import (
    AuthError,
    Channel,
    Credentials,
    Fill,
    Gap,
    MemoryStore,
    OrderState,
    OrderUpdate,
    OutcomeUnknown,
    Reason,
    Resumed,
    Stale,
    Synced,
)
from ccrs_core.model.orders import Origin
from ccrs_core.trading.upkeep import EVERY
from ccrs_core.transport.memory import VirtualClock
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import KEY, World, client_of, new_server, world
from tests.trading.test_canceling import other
from tests.trading.test_placing import buy, once
from tests.virtual import scenario


def sizes(seen: World) -> list[Decimal]:
    return [fill.size for fill in seen.of(Fill)]


def drop(seen: World) -> None:
    """The private connection breaks."""
    for peer in seen.server.open:
        if peer in seen.server.keys:
            peer.drop()


def asked(seen: World, path: str) -> int:
    return len(seen.server.sent_of(path))


@scenario
async def test_it_subscribes_after_the_login_and_before_it_reads_the_lists() -> None:
    """F6, decision 8."""
    async with world() as seen:
        order = [next(iter(message)) for _, _, message in seen.server.sent]
        assert order[0] == "login"
        assert "sub" in order[1:]
        acked_at = max(at for at, _, message in seen.server.sent if "sub" in message)
        assert min(at for at, path, _ in seen.server.calls if path == "/open") >= acked_at
        assert seen.account.synced
        (connection,) = seen.client.status().connections
        assert connection.url.endswith("/private")


@scenario
async def test_what_happens_between_subscription_and_lists_comes_once() -> None:
    """F6: in the stream and in the snapshot."""
    server = new_server()
    row = {"market": "spot", "native": "BTCUSD", "link": "x", "side": "buy", "type": "limit"}
    server.place("key", row | {"size": "1", "price": "100"})
    read = server._done

    def meanwhile(path: str, key: str, body: dict[str, Any]) -> Any:
        if path == "/fills" and not server.book_of("key").fills and body["market"] == "spot":
            server.fill("key", "x", "0.4")
        return read(path, key, body)

    server._done = meanwhile  # type: ignore[method-assign]
    async with world(server=server) as seen:
        await asyncio.sleep(1.0)
        assert sizes(seen) == [Decimal("0.4")]
        (order,) = seen.account.open_orders()
        assert (order.filled_size, order.fills_complete) == (Decimal("0.4"), True)
        assert order.origin is Origin.OTHER


@scenario
async def test_after_a_loss_everything_that_was_missed_comes_once_and_in_order() -> None:
    """P50, M5: one notice each way, cancels work meanwhile."""
    async with world() as seen:
        first = await seen.account.place(buy())
        second = await seen.account.place(buy(price="99"))
        await asyncio.sleep(0.1)
        seen.server.refuse_connects = 2
        drop(seen)
        seen.server.fill("key", first.id, "0.2")
        seen.server.fill("key", first.id, "0.3")
        await asyncio.sleep(0.01)
        assert not seen.account.synced
        assert (await seen.account.cancel(second)).result == "accepted"
        await asyncio.sleep(10.0)
        assert seen.account.synced
        assert sizes(seen) == [Decimal("0.2"), Decimal("0.3")]
        assert all(fill.backfilled for fill in seen.of(Fill))
        assert (second.state, first.filled_size) == (OrderState.CANCELED, Decimal("0.5"))
        told = [event.synced for event in seen.of(Synced)]
        assert told[-2:] == [False, True]
        assert {event.about for event in seen.of(Stale)} == {
            *(Channel.ORDERS, Channel.FILLS, Channel.POSITIONS, Channel.BALANCES)
        }
        assert len(seen.of(Stale)) == len(seen.of(Resumed)) == 4
        assert all(event.account == "default" for event in seen.of(Stale))


@scenario
async def test_one_lost_frame_is_found_by_the_jump_or_within_a_minute() -> None:
    """F5: no reconnect."""
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        lost = ["fills"]
        seen.server.push_of = lambda topic, row: (
            [] if topic in lost and (lost.remove(topic) or True) else [0.0]
        )
        seen.server.fill("key", live.id, "0.1")
        await asyncio.sleep(0.1)
        assert (live.filled_size, live.fills_complete) == (Decimal("0.1"), False)
        await asyncio.sleep(3.0)
        assert live.fills_complete
        lost += ["fills", "orders"]
        seen.server.fill("key", live.id, "0.2")
        await asyncio.sleep(EVERY + 1.0)
        assert sizes(seen) == [Decimal("0.1"), Decimal("0.2")]
        assert live.fills_complete
        assert len(seen.server.attempts) == 1


@scenario
async def test_a_stream_that_owes_an_event_is_replaced_and_silence_alone_is_no_alarm() -> None:
    """F4."""
    async with world() as seen:
        await asyncio.sleep(7200.0)
        assert len(seen.server.attempts) == 1
        (peer,) = seen.server.keys
        seen.server.stalled |= {(peer, "orders"), (peer, "fills")}
        live = await seen.account.place(buy())
        seen.server.fill("key", live.id, "0.4")
        await asyncio.sleep(12.0)
        assert len(seen.server.attempts) == 2
        assert live.state is OrderState.OPEN
        assert sizes(seen) == [Decimal("0.4")]
        assert seen.account.synced
        assert seen.of(Stale)


@scenario
async def test_a_stream_that_has_begun_anew_owes_nothing_of_before() -> None:
    """Not even what was waited for already: its reading of the lists tells of that."""
    async with world() as seen:
        seen.server.refuse_connects = 2
        drop(seen)
        await asyncio.sleep(0.01)
        live = await seen.account.place(buy())
        await asyncio.sleep(30.0)
        assert live.state is OrderState.OPEN
        assert len(seen.server.attempts) == 4  # the first, two that were refused, and one that held


@scenario
async def test_what_a_stream_owed_when_it_is_replaced_is_claimed_no_further() -> None:
    """One question proves that it is silent."""
    async with world() as seen:
        (peer,) = seen.server.keys
        seen.server.stalled |= {(peer, "orders"), (peer, "fills")}
        before = len([path for _, path, _ in seen.server.calls if path == "/order"])
        for price in range(90, 100):
            await seen.account.place(buy(price=str(price)))
        await asyncio.sleep(30.0)
        asked = len([path for _, path, _ in seen.server.calls if path == "/order"])
        assert len(seen.server.attempts) == 2
        assert asked - before == 1


@scenario
async def test_a_stream_that_begins_anew_while_it_is_asked_about_is_left_alone() -> None:
    async with world() as seen:
        (peer,) = seen.server.keys
        seen.server.stalled |= {(peer, "orders"), (peer, "fills")}
        await seen.account.place(buy())
        seen.transport.answer_after = lambda path: 3.0 if path == "/order" else 0.0
        await asyncio.sleep(6.0)  # it is asked for by now
        drop(seen)
        await asyncio.sleep(30.0)
        assert len(seen.server.attempts) == 2


@scenario
async def test_a_topic_that_has_lost_something_and_goes_on_is_whole_and_one_that_moved_isnt() -> (
    None
):
    async with world() as seen:
        streams = seen.account._parts.streams
        topic = next(each for each in streams.topics if each.needed)
        topic.interrupt(Reason.UNREADABLE)
        assert streams.whole
        assert not seen.account.synced  # until the lists are read
        await asyncio.sleep(5.0)
        assert seen.account.synced
        for goes in (topic.moved, lambda: topic.lost(Reason.SILENT, Reason.RECONNECTED, 0)):
            topic.live = True
            streams._whole = True
            goes()
            assert not streams.whole
        await asyncio.sleep(5.0)
        assert not seen.account.synced  # until it is acknowledged, too
        (runner,) = topic.coverage.following
        topic.acknowledged(runner, 0.0, 0)
        assert streams.whole
        await asyncio.sleep(5.0)
        assert seen.account.synced


@scenario
async def test_who_listens_is_told_once_that_all_is_acknowledged() -> None:
    async with world() as seen:
        parts = seen.account._parts
        told: list[str] = []
        restored = parts.restored

        def noting() -> None:
            told.append("restored")
            restored()

        parts.restored = noting  # type: ignore[method-assign]
        drop(seen)
        await asyncio.sleep(5.0)
        assert told == ["restored"]
        topic = next(each for each in parts.streams.topics if each.needed)
        (runner,) = topic.coverage.following
        topic.acknowledged(runner, 0.0, 0)  # once more, of what there is
        assert told == ["restored"]


@scenario
async def test_events_that_come_before_their_answer_are_not_owed() -> None:
    async with world() as seen:
        seen.transport.answer_after = lambda path: 2.0 if path == "/place" else 0.0
        await seen.account.place(buy())
        await asyncio.sleep(30.0)
        assert len(seen.server.attempts) == 1


@scenario
async def test_a_fill_after_the_end_is_taken_and_the_state_stays() -> None:
    """C3."""
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        drop(seen)
        seen.server.list_lag = 45.0
        book = seen.server.book_of("key")
        seen.server.fill("key", live.id, "0.4")
        book.orders[live.exchange_order_id].visible_at = 0.0
        seen.server.list_lag = 0.0
        seen.server.end("key", live.id)
        await asyncio.sleep(5.0)
        now = live.now
        assert (now.state, now.filled_size) == (OrderState.CANCELED, Decimal("0.4"))
        assert not now.fills_complete
        await asyncio.sleep(65.0)
        assert live.fills_complete
        assert live.state is OrderState.CANCELED
        assert sizes(seen) == [Decimal("0.4")]


@scenario
async def test_half_of_the_queries_failing_moves_only_the_cursors_of_the_other_half() -> None:
    """G2."""
    async with world() as seen:
        live = await seen.account.place(buy())
        ledger = seen.account._parts.ledger
        before = {m: ledger.cursor(f"fills {m}") for m in ("spot", "linear")}

        def fails(path: str, body: dict[str, Any]) -> str | None:
            return "502" if path == "/fills" and body["market"] == "spot" else None

        seen.server.faults.append(fails)
        seen.server.push_of = lambda topic, row: []
        seen.server.fill("key", live.id, "0.4")
        await asyncio.sleep(EVERY + 30.0)
        assert not seen.account.synced
        assert ledger.cursor("fills spot") == before["spot"]
        assert ledger.cursor("fills linear") != before["linear"]
        seen.server.faults.clear()
        await asyncio.sleep(EVERY)
        assert seen.account.synced
        assert sizes(seen) == [Decimal("0.4")]


@scenario
async def test_what_is_visible_late_comes_with_a_later_reading() -> None:
    """G3: by the overlap, marked as backfilled."""
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.server.push_of = lambda topic, row: []
        seen.server.list_lag = 9.0
        seen.server.fill("key", live.id, "0.4")
        seen.server.list_lag = 0.0
        seen.server.fill("key", live.id, "0.1")
        await seen.account.reconcile()
        await asyncio.sleep(0.1)
        assert Decimal("0.1") in sizes(seen)
        await asyncio.sleep(EVERY + 5.0)
        assert sorted(sizes(seen)) == [Decimal("0.1"), Decimal("0.4")]
        assert all(fill.backfilled for fill in seen.of(Fill))


@scenario
async def test_a_list_that_flickers_is_no_event() -> None:
    """G6: the missing are asked for by id."""
    async with world() as seen:
        a, b = [await seen.account.place(buy(price=str(price))) for price in (98, 97)]
        await asyncio.sleep(0.1)
        seen.server.push_of = lambda topic, row: []
        seen.server.fill("key", b.id, "1")
        read = seen.server._done
        seen.server._done = (  # type: ignore[method-assign]
            lambda path, key, body: [] if path == "/open" else read(path, key, body)
        )
        before = asked(seen, "/order")
        await seen.account.reconcile()
        assert (a.state, b.state) == (OrderState.OPEN, OrderState.FILLED)
        assert asked(seen, "/order") - before <= 4


@scenario
async def test_an_open_order_that_is_nowhere_any_more_has_ended_and_not_where_reading_fails() -> (
    None
):
    """G5."""
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.book_of("key").orders.clear()
        seen.server.faults.append(lambda path, body: "502" if path == "/fills" else None)
        await asyncio.sleep(6 * EVERY)
        assert live.state is OrderState.OPEN
        assert not seen.account.synced
        seen.server.faults.clear()
        await seen.account.reconcile()
        assert live.state is OrderState.OPEN
        await asyncio.sleep(4 * EVERY)
        assert live.state is OrderState.CANCELED
        assert "gone without fills" in live.now.reason_text


@scenario
async def test_what_was_held_before_the_ledger_began_is_told_before_the_first_fills() -> None:
    """J6: an opening, then the fills; none is made up."""
    server = new_server()
    server.wall_ns = VirtualClock().time_ns
    row = {"market": "linear", "native": "BTCUSD", "link": "", "side": "sell", "type": "limit"}
    server.book_of("key").positions["BTCUSD"] = Decimal(-75)
    placed = server.place("key", row | {"size": "20", "price": "100"})
    server.fill("key", placed["id"], "20")
    bought = server.place("key", row | {"side": "buy", "size": "30", "price": "100"})
    server.fill("key", bought["id"], "30")
    await asyncio.sleep(60.0)
    async with world(server=server) as seen:
        (position,) = seen.account.positions()
        assert position.size == -65
        kinds = [
            (event.type, getattr(event, "amount", None))
            for event in seen.events
            if event.type in ("adjustment", "fill") and event.symbol
        ]
        assert kinds == [("adjustment", Decimal(-75)), ("fill", None), ("fill", None)]
        numbers = [event.number for event in seen.events if hasattr(event, "number")]
        assert numbers == sorted(numbers)
        await seen.account.reconcile()
        assert len([event for event in seen.events if event.type == "adjustment"]) <= 2


@scenario
async def test_errors_of_lists_and_queries_leave_an_order_as_it_was() -> None:
    """G7."""
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.faults.append(lambda path, body: "502")
        await asyncio.sleep(600.0)
        assert live.state is OrderState.OPEN
        assert not seen.account.synced
        seen.server.faults.clear()
        await asyncio.sleep(60.0)
        assert seen.account.synced


@scenario
async def test_the_start_of_an_account_that_was_away_for_days_reads_what_it_missed() -> None:
    """G4: all, in time order before live ones, by a bounded number of requests; what the exchange
    keeps no more is told."""
    store, server = MemoryStore(), new_server()
    async with world(server=server, store=store) as seen:
        live = await seen.account.place(buy(size="100"))
        await asyncio.sleep(1.0)
    for number in range(60):
        await asyncio.sleep(8640.0)
        server.fill("key", live.id, "0.01" if number % 2 else "0.02")
    calls = len(server.calls)
    async with world(server=server, store=store) as seen:
        clock = seen.clock
        await asyncio.sleep(1.0)
        fills = seen.of(Fill)
        assert len(fills) == 60
        times = [fill.exchange_time_ns for fill in fills]
        assert times == sorted(times)
        assert len(server.calls) - calls < 40
        assert clock.monotonic() > 6 * 86_400
        (order,) = seen.account.open_orders()
        assert (order.filled_size, order.fills_complete) == (Decimal("0.9"), True)
    await asyncio.sleep(9 * 86_400.0)
    async with world(server=server, store=store) as seen:
        await asyncio.sleep(1.0)
        feed = seen.account.events(0)
        assert seen.account.synced
        await feed.aclose()


@scenario
async def test_a_stretch_that_the_exchange_keeps_no_more_is_a_gap() -> None:
    store, server = MemoryStore(), new_server()
    async with world(server=server, store=store):
        await asyncio.sleep(1.0)
    await asyncio.sleep(9 * 86_400.0)
    told: list[Any] = []
    async with client_of(server) as (client, _, clock):
        clock.jump(0.0)
        account = client.account(store=store)
        async with account:
            parts = account._parts
            notice, parts.hub.notice = parts.hub.notice, told.append  # type: ignore[method-assign]
            ledger = parts.ledger
            old = ledger.cursor("fills spot")
            assert old is not None
            parts.journal.add(ledger.move_cursor("fills spot", old - 10 * 86_400 * 10**9))
            await account.reconcile()
            parts.hub.notice = notice  # type: ignore[method-assign]
    gaps = [event for event in told if isinstance(event, Gap)]
    assert [(gap.about, gap.reason) for gap in gaps] == [(Channel.FILLS, "range")]


@scenario
async def test_reading_keeps_within_its_tenth_and_cancels_do_not_wait_for_it() -> None:
    """L3, decision 9."""
    async with world() as seen:
        live = await seen.account.place(buy())
        readings = [asyncio.ensure_future(seen.account.reconcile()) for _ in range(20)]
        before = seen.server.now()
        await seen.account.cancel(live)
        assert seen.server.now() - before < 0.1
        await asyncio.gather(*readings)


@scenario
async def test_a_refused_login_is_terminal_and_told_once() -> None:
    """P44: no loop, and the client with its other accounts goes on."""
    server = new_server()
    server.accept_login = False
    async with client_of(server) as (client, _, _):
        with pytest.raises(AuthError):
            await client.account(store="memory").__aenter__()
        await asyncio.sleep(600.0)
        assert len(server.attempts) == 1
        server.accept_login = True
        async with client.account(store="memory") as account:
            assert account.synced
            server.accept_login = False
            errors: list[BaseException] = []

            async def follow() -> None:
                feed = account.events()
                while True:
                    try:
                        async for _ in feed:
                            pass
                        return
                    except AuthError as error:
                        errors.append(error)

            reader = asyncio.ensure_future(follow())
            await asyncio.sleep(1.0)
            for peer in server.open:
                peer.drop()
            await asyncio.sleep(600.0)
            assert len(errors) == 1
            assert not account.synced
            with pytest.raises(AuthError):
                await account.place(buy())
            attempts = len(server.attempts)
            await asyncio.sleep(600.0)
            assert len(server.attempts) == attempts
        await reader


@asynccontextmanager
async def two_accounts() -> AsyncIterator[tuple[World, World]]:
    server = new_server()
    async with client_of(server) as (client, transport, clock):
        a = client.account("a", credentials=KEY, store="memory")
        b = client.account("b", credentials=Credentials("other", "secret"), store="memory")
        async with a, b:
            yield (
                World(server, transport, clock, client, a, []),
                World(server, transport, clock, client, b, []),
            )


@scenario
async def test_two_accounts_share_nothing() -> None:
    """J7, P58: one client id, one fill id each, two ledgers."""
    async with two_accounts() as (a, b):
        mine = await a.account.place(buy(client_order_id="m1"))
        theirs = await b.account.place(buy(client_order_id="m1"))
        a.server.fill("key", "m1", "0.1")
        await asyncio.sleep(0.5)
        assert (mine.filled_size, theirs.filled_size) == (Decimal("0.1"), 0)
        assert a.account.balances()["USD"].total != b.account.balances()["USD"].total
        assert {order.account for order in b.account.orders()} == {"b"}
        # One loses its key, the other goes on.
        a.server.accept_login = False
        for peer in a.server.open:
            if a.server.keys.get(peer) == "key":
                peer.drop()
        await asyncio.sleep(30.0)
        a.server.accept_login = True
        assert not a.account.synced
        assert b.account.synced
        a.server.fill("other", "m1", "0.2")
        await asyncio.sleep(0.5)
        assert theirs.filled_size == Decimal("0.2")
        assert mine.filled_size == Decimal("0.1")


@scenario
async def test_the_client_ends_what_was_left_open() -> None:
    server = new_server()
    async with client_of(server) as (client, _, _):
        account = await client.account(store="memory").__aenter__()
        with pytest.raises(ValueError, match="open already"):
            await client.account(store="memory").__aenter__()
    assert not account.open
    with pytest.raises(ValueError, match="opened once"):
        await account.__aenter__()


@scenario
async def test_orders_of_the_exchange_and_of_others_are_taken_in() -> None:
    async with world() as seen:
        other(seen, link="")
        await asyncio.sleep(0.1)
        (order,) = seen.account.open_orders()
        assert (order.origin, order.client_order_id, order.asked) == (Origin.OTHER, "", None)
        seen.server.fill("key", order.exchange_order_id, "1")
        await asyncio.sleep(0.1)
        (fill,) = seen.of(Fill)
        assert fill.origin is Origin.OTHER


@scenario
async def test_a_strange_frame_takes_no_other_away_and_the_lists_are_read() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        passes = seen.account._parts.upkeep.passes
        (peer,) = seen.server.keys
        peer.push(orjson.dumps({"t": "fills", "rows": [{"fill": 1}]}))
        seen.server.fill("key", live.id, "0.1")
        await asyncio.sleep(5.0)
        assert sizes(seen) == [Decimal("0.1")]
        assert seen.account._parts.upkeep.passes > passes
        assert seen.account.synced
        assert len(seen.server.attempts) == 1


@scenario
async def test_what_is_of_no_known_instrument_waits_for_a_list_that_has_it() -> None:
    from tests.trading import desk_toy

    listed = desk_toy.instruments
    new = attrs.evolve(listed(desk_toy.SPOT)[0], symbol="NEW/USD", native="NEWUSD", base="NEW")
    async with world() as seen:
        row = {"market": "spot", "native": "NEWUSD", "link": "", "side": "buy", "type": "limit"}
        seen.server.place("key", row | {"size": "1", "price": "100"})
        await asyncio.sleep(1.0)
        assert not seen.account.orders()
        assert seen.of(Gap)
        try:
            desk_toy.instruments = lambda market: [*listed(market), new]  # type: ignore[assignment]
            await seen.client.refresh_instruments("spot")
            await seen.account.reconcile()
        finally:
            desk_toy.instruments = listed  # type: ignore[assignment]
        assert [order.symbol for order in seen.account.orders()] == ["NEW/USD"]


@scenario
async def test_positions_and_balances_are_the_exchanges() -> None:
    from ccrs_core import Side, limit

    async with world() as seen:
        live = await seen.account.place(limit("BTC/USD:USD", Side.BUY, price="100", size="2"))
        seen.server.fill("key", live.id, "1.5")
        await asyncio.sleep(0.1)
        (position,) = seen.account.positions()
        assert (position.symbol, position.size) == ("BTC/USD:USD", Decimal("1.5"))
        exposure = seen.account.exposure("BTC/USD:USD")
        assert (exposure.position, exposure.open_buys) == (Decimal("1.5"), Decimal("0.5"))
        assert (exposure.most, exposure.least) == (2, Decimal("1.5"))
        seen.server.faults.append(once("/place", "drop"))
        with pytest.raises(OutcomeUnknown):
            await seen.account.place(limit("BTC/USD:USD", Side.SELL, price="100", size="2"))
        exposure = seen.account.exposure("BTC/USD:USD")
        assert (exposure.unknown_sells, exposure.least) == (2, Decimal("-0.5"))
        # J3 (i): what a whole list doesn't have is flat; (ii) what can't be read is unverified.
        seen.server.faults.append(lambda path, body: "502" if path == "/positions" else None)
        await seen.account.reconcile()
        assert [p.verified for p in seen.account.positions()] == [False]
        seen.server.faults.clear()
        seen.server.book_of("key").positions.clear()
        await asyncio.sleep(1.0)
        await seen.account.reconcile()
        assert not seen.account.positions()
        assert seen.account.balances()["USD"].total == seen.server.book_of("key").usd


@scenario
async def test_updates_of_one_order_come_in_the_order_of_their_numbers() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        for _ in range(5):
            seen.server.fill("key", live.id, "0.1")
        await asyncio.sleep(0.1)
        numbers = [e.number for e in seen.events if isinstance(e, OrderUpdate | Fill)]
        assert numbers == sorted(set(numbers))


def test_a_desk_without_streams_is_read_by_lists_alone() -> None:
    class Silent(Desk):
        capabilities = attrs.evolve(Desk.capabilities, account_channels=frozenset())

    @scenario
    async def play() -> None:
        async with world(Silent()) as seen:
            assert seen.account.synced
            live = await seen.account.place(buy())
            seen.server.fill("key", live.id, "0.3")
            await asyncio.sleep(EVERY + 5.0)
            assert live.filled_size == Decimal("0.3")

    play()
