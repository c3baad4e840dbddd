"""Dead streams of the emulated exchanges are found out, told of and revived, in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, ClassVar

import attrs
import pytest
from ccrs_binance.emulator import BinanceDialect
from ccrs_bybit import Bybit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Answer,
    BookInvalid,
    Budget,
    Channel,
    GetActivity,
    GetTrades,
    Interest,
    Limits,
    Request,
    Resumed,
    Route,
    Stale,
    Subscription,
    SubscriptionState,
    book,
    connect,
    liquidations,
    mark_price,
    trades,
)
from ccrs_core.connections.quiet import Life, Quiet
from ccrs_core.emulator import EmulatorTransport
from ccrs_core.model.events import Reason
from ccrs_core.topics.lookout import Lookout
from ccrs_core.transport.limits import HostLimits
from ccrs_core.transport.memory import VirtualClock, run
from tests.emulated import scenario, seen, until
from tests.toy import instrument

# --- where an exchange serves a stream is contested -----------------------------------------------


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("interest", [trades("BTC/USD:BTC"), book("BTC/USD:BTC", depth=5)])
@scenario
async def test_coin_margined_streams_come_whichever_way_binance_serves_them(
    routed: bool, interest: Interest
) -> None:
    dialect = BinanceDialect(coinm_routed=routed)
    async with seen("binance", interest, dialect=dialect) as it:
        await until(lambda: it.data > 10, 300.0)
        assert it.notices == (["Stale", "Gap", "Resumed"] if routed else [])
        assert it.client.status().address_changes == (1 if routed else 0)
        worked = it.url
        # What worked is what later connections dial first.
        it.venue.faults.add("drop")
        before = it.data
        await until(lambda: it.data > before + 10, 60.0)
        assert it.url == worked


@scenario
async def test_streams_with_a_cadence_go_to_the_next_address_too() -> None:
    dialect = BinanceDialect(coinm_routed=True)
    async with seen("binance", mark_price("BTC/USD:BTC"), dialect=dialect) as it:
        await until(lambda: it.data > 10, 120.0)
        assert it.client.status().address_changes == 1
        assert it.notices[0] == "Stale"


@scenario
async def test_an_address_that_does_not_exist_is_left_again() -> None:
    muted = "mute,path=/dstream/*"
    async with seen("binance", trades("BTC/USD:BTC"), before=muted) as it:
        # There is no other path here; the first one is silent meanwhile.
        await until(lambda: it.client.status().address_changes >= 2, 400.0)
        it.venue.faults.clear()
        await until(lambda: it.data > 0, 400.0)
        assert it.url.endswith("/dstream/stream")
        assert it.notices[-1] == "Resumed"


@scenario
async def test_an_address_that_hangs_up_at_once_is_left_again() -> None:
    dialect = BinanceDialect(coinm_routed=True)
    muted = "mute,path=/dstream/stream"
    async with seen("binance", trades("BTC/USD:BTC"), dialect=dialect, before=muted) as it:
        it.venue.faults.add("close,path=/dstream/market/*,every=0.01,code=1008")
        await until(lambda: it.client.status().address_changes >= 1, 400.0)
        await until(lambda: it.client.status().address_changes >= 2, 20.0)
        assert not it.data


@scenario
async def test_an_address_that_works_is_kept_though_a_dial_fails() -> None:
    dialect = BinanceDialect(coinm_routed=True)
    interest = trades("BTC/USD:BTC")
    async with seen("binance", interest, dialect=dialect) as it:
        await until(lambda: it.data > 10, 400.0)
        worked, changes = it.url, it.client.status().address_changes
        await asyncio.sleep(400.0)
        # A planned replacement, whose dials fail for a while.
        it.venue.faults.add("refuse,duration=20")
        it.venue.faults.add("shutdown_notice")
        await asyncio.sleep(60.0)
        assert it.client.status().rollovers >= 1
        assert (it.url, it.client.status().address_changes) == (worked, changes)


# --- one of several connections -------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["mute,target=1", "silence,target=1"])
@scenario
async def test_a_racing_connection_that_brings_nothing_is_asked_anew_unnoticed(fault: str) -> None:
    before, later = (fault, None) if fault.startswith("mute") else (None, fault)
    interest = trades("BTC/USDT")
    async with seen("bybit", interest, connections=3, before=before) as it:
        await until(lambda: it.data > 50, 60.0)
        if later is not None:
            it.venue.faults.add(later)
        it.venue.faults.active[0].cancel()
        await asyncio.sleep(100.0)
        assert not it.notices
        assert it.client.status().resubscriptions == 1
        assert it.client.status().subscriptions[0].carried_by == 3
        assert not it.venue.faults._muted


# --- what is known meanwhile ----------------------------------------------------------------------


@scenario
async def test_a_book_whose_stream_is_dead_is_invalid_until_the_stream_speaks() -> None:
    symbol = "BTC/USDT"
    async with seen("binance", book(symbol, depth=1000)) as it:
        await it.feed.ready()
        held = it.feed.book(symbol)
        it.venue.faults.add("mute")
        it.venue.faults.add("silence")
        await until(lambda: bool(it.of(Stale)), 120.0)
        await asyncio.sleep(2.0)
        assert it.client.status().subscriptions[0].carried_by == 0
        # Acknowledged again and again, it stays what it is: nobody keeps it up to date.
        for _ in range(60):
            await asyncio.sleep(2.0)
            assert not held.valid
            assert it.client.status().subscriptions[0].state is SubscriptionState.STALE
        with pytest.raises(BookInvalid):
            held.best_bid  # noqa: B018
        it.venue.faults.clear()
        await until(lambda: held.valid, 400.0)
        assert it.notices == ["Stale", "Gap", "Resumed"]
        assert it.of(Stale)[0].reason is Reason.SILENT


@scenario
async def test_what_was_found_dead_on_a_dying_connection_is_well_on_the_next_one() -> None:
    # A half-open line is found out by its heartbeat after half a minute, its streams before that.
    async with seen("okx", trades("BTC/USDT")) as it:
        await until(lambda: it.data > 10, 60.0)
        it.venue.faults.add("half_open")
        await until(lambda: it.client.status().found_dead == 1, 60.0)
        # Nothing happens any more, so that the stream has nothing to say.
        it.venue.faults.add("stall")
        await until(lambda: it.client.status().reconnects == 1, 60.0)
        await asyncio.sleep(2.0)
        assert it.client.status().subscriptions[0].state is SubscriptionState.ACTIVE
        assert it.notices == ["Stale", "Gap", "Resumed"]


@scenario
async def test_requests_that_fail_prove_nothing() -> None:
    async with seen("bybit", trades("BTC/USDT")) as it:
        await until(lambda: it.data > 0, 30.0)
        it.venue.faults.add("http,status=503")
        it.venue.faults.add("stall")
        await asyncio.sleep(1500.0)
        assert it.client.status().found_dead == 0
        assert it.client.status().request_errors > 3
        assert not it.notices
        it.venue.faults.clear()
        it.venue.faults.add("stall")
        # Asked ever more seldom meanwhile, but not never.
        await until(lambda: it.client.status().found_dead == 1, 2 * 600.0)


class AsksOneByOne(Bybit):
    """No answer tells of all instruments at once."""

    endpoints: ClassVar[Any] = {k: v for k, v in Bybit.endpoints.items() if k is not GetActivity}


@pytest.mark.parametrize("interest", [trades("BTC/USDT"), book("BTC/USDT", depth=50)])
@scenario
async def test_an_exchange_without_an_answer_for_all_is_asked_about_each(
    interest: Interest,
) -> None:
    async with seen(AsksOneByOne(), interest) as it:
        await until(lambda: it.data > 10, 60.0)
        it.venue.faults.add("silence")
        await until(lambda: bool(it.of(Resumed)), 120.0)
        assert it.notices == ["Stale", "Gap", "Resumed"]


@scenario
async def test_a_plugin_that_fails_to_say_what_to_ask_costs_nothing_but_the_answer() -> None:
    class Confused(Bybit):
        def activity(self, subscription: Subscription) -> Request[Any] | None:
            raise KeyError("which?")

    async with seen(Confused(), trades("BTC/USDT"), before="mute", rate=5.0) as it:
        await it.feed.ready()
        assert it.client.status().subscriptions[0].state is SubscriptionState.UNPROVED
        await asyncio.sleep(2000.0)
        assert it.client.status().rollovers == 1


@scenario
async def test_an_answer_of_another_kind_than_promised_ends_no_client() -> None:
    right = Bybit.endpoints[GetActivity]

    class Confused(Bybit):
        endpoints: ClassVar[Any] = {
            **Bybit.endpoints,
            GetActivity: attrs.evolve(right, decode=lambda *_: Answer([{"native": "BTCUSDT"}])),
        }

    async with seen(Confused(), trades("BTC/USDT")) as it:
        it.venue.faults.add("stall")
        await asyncio.sleep(120.0)
        it.venue.faults.clear()
        before = it.data
        await until(lambda: it.data > before, 30.0)
        assert it.client.status().found_dead == 0
        assert not it.notices


@scenario
async def test_no_more_than_a_twentieth_of_the_budget_is_spent_on_questions() -> None:
    class Tight(AsksOneByOne):
        limits = attrs.evolve(Bybit.limits, requests=attrs.evolve(Bybit.limits.requests, amount=5))

    exchange = Tight()
    symbols = [f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA")]
    async with seen(exchange, *map(trades, symbols), before="mute", rate=4.0) as it:
        begun = it.client.status().requests
        await asyncio.sleep(1200.0)
        budget = exchange.limits.requests
        allowed = 0.05 * budget.amount * 1200.0 / budget.seconds
        assert 20 < it.client.status().requests - begun <= allowed
        assert {s.state for s in it.client.status().subscriptions} == {SubscriptionState.STALE}


@scenario
async def test_clients_of_one_address_ask_no_more_together_than_one_may() -> None:
    class Tight(AsksOneByOne):
        limits = attrs.evolve(Bybit.limits, requests=attrs.evolve(Bybit.limits.requests, amount=5))

    symbols = [f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA")]
    async with seen(Tight(), *map(trades, symbols), before="mute", rate=4.0) as it:
        clock = it.client._clock
        transport = EmulatorTransport(it.venue, clock)
        other = connect(Tight(), base_url="http://emulator", transport=transport, clock=clock)
        async with other, other.subscribe(*map(trades, symbols)):
            begun = it.client.status().requests + other.status().requests
            await asyncio.sleep(1200.0)
            asked = it.client.status().requests + other.status().requests - begun
        budget = Tight.limits.requests
        assert 20 < asked <= 0.05 * budget.amount * 1200.0 / budget.seconds


@scenario
async def test_liquidations_of_which_nothing_can_be_asked_say_so() -> None:
    async with seen("binance", liquidations("BTC/USDT:USDT"), before="mute", rate=5.0) as it:
        await it.feed.ready()
        assert it.client.status().subscriptions[0].state is SubscriptionState.UNPROVED
        await asyncio.sleep(4000.0)
        assert it.client.status().rollovers == 2
        it.venue.faults.clear()
        await until(lambda: it.data > 0, 2400.0)
        assert it.client.status().subscriptions[0].state is SubscriptionState.ACTIVE
        assert not it.notices


# --- answers that are under way for long ----------------------------------------------------------


@attrs.define(eq=False)
class Named:
    """In the place of a topic."""

    name: str


class Told:
    """A shard with one stream that tells of all that happens at once, until it dies."""

    closed = False

    def __init__(self, happened: list[float], dies: float = math.inf) -> None:
        self.topics: dict[str, Any] = {"t": Named("t")}
        self.revival = self
        self.happened = happened
        self.dies = dies
        self.revived: list[float] = []

    def subscribed(self, topic: str) -> list[Subscription]:
        return [Subscription(Channel.TRADES, instrument("BTC"))]

    def life(self, topic: str) -> Life:
        now = asyncio.get_running_loop().time()
        told = [at for at in self.happened if at <= min(now, self.dies)]
        return Life(told[-1], True, True) if told else Life(0.0, False, False)

    def revive(self, dead: Mapping[str, Quiet]) -> None:
        self.revived.append(asyncio.get_running_loop().time())

    def compare(self, topic: str) -> None: ...
    def renew(self, topic: str, since: float) -> None: ...
    def speaks(self, route: Route, address: str) -> bool:
        return True


def _looked_out(shard: Told, ways: list[tuple[float, float]], seconds: float) -> int:
    """Watch a stream for a while; each question is under way for some seconds, and each answer.
    How often was asked."""
    asked = 0

    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = Budget(amount=10**6, seconds=1.0)
        clock = VirtualClock()
        limits = HostLimits(Limits(), budget, clock)

        async def ask(question: Request[Any]) -> list[Any]:
            nonlocal asked
            there, back = ways[asked % len(ways)]
            asked += 1
            await asyncio.sleep(there)
            count = sum(at <= loop.time() for at in shard.happened)
            await asyncio.sleep(back)
            return [SimpleNamespace(trade_id=str(count))]

        question = GetTrades(instrument("BTC"), 1)
        exchange: Any = SimpleNamespace(max_silence=lambda _: None, activity=lambda _: question)
        pace: Any = SimpleNamespace(later=loop.call_later)
        lookout = Lookout(
            exchange,
            clock,
            ask,
            lambda _: (limits, 1),
            lambda: [shard],  # type: ignore[list-item]
            asyncio.ensure_future,  # type: ignore[arg-type]
            pace,
            3600.0,
        )
        lookout.wake()
        await asyncio.sleep(seconds)
        lookout.end()
        await asyncio.sleep(0)

    run(main())
    return asked


_STEPS = st.lists(st.floats(0.5, 90.0), min_size=1, max_size=12)
_WAYS = st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 60.0)), min_size=1, max_size=6)


@given(_STEPS, _WAYS)
@example([16.0], [(0.0, 30.0), (0.0, 0.0)])
@example([3.0, 14.0], [(1.0, 28.0), (0.0, 0.1)])
def test_an_answer_is_as_old_as_its_question_whatever_was_told_since(
    steps: list[float], ways: list[tuple[float, float]]
) -> None:
    shard = Told(list(accumulate(steps)))
    assert _looked_out(shard, ways, sum(steps) + 400.0)
    assert shard.revived == []


@given(_WAYS, st.floats(0.0, 60.0), st.floats(0.5, 6.0))
@settings(max_examples=30)
def test_a_dead_stream_is_found_out_however_long_answers_are_under_way(
    ways: list[tuple[float, float]], dies: float, every: float
) -> None:
    shard = Told([every * number for number in range(1, 300)], dies)
    _looked_out(shard, ways, dies + 320.0)
    assert shard.revived
    assert shard.revived[0] > dies
