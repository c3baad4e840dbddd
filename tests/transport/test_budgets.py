"""Several limits at once: of a second and an hour, of a connection and its host, of one kind of
request and all, of frames' sizes, of connections at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Budget,
    ConnectionLost,
    Endpoint,
    GetServerTime,
    GetTrades,
    Limits,
    Outbound,
    Pool,
    RateLimited,
    Request,
    Subscription,
    Unsupported,
    trades,
)
from ccrs_core.transport.gate import gate
from ccrs_core.transport.limits import Places, Window, take_all
from ccrs_core.transport.memory import VirtualClock, run
from ccrs_core.transport.outbox import Outbox
from tests.scripted import BTC, TIME, Paged, Rest
from tests.sessions import opened, tape, top
from tests.toy import Toy, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, world

AMOUNTS = st.integers(1, 6)
SECONDS = st.sampled_from([0.5, 1.0, 7.0, 60.0])
SINGLE = st.builds(Budget, amount=AMOUNTS, seconds=SECONDS)
BUDGETS = st.builds(
    Budget, amount=AMOUNTS, seconds=SECONDS, also=st.lists(SINGLE, max_size=2).map(tuple)
)


def assert_within(times: list[float], budget: Budget) -> None:
    for limit in budget.all:
        for start in times:
            inside = [at for at in times if start <= at < start + limit.seconds * (1 - 1e-9)]
            assert len(inside) <= limit.amount, (limit, inside)


def fastest(budget: Budget, count: int) -> float:
    """When the last of so many may leave at the earliest, greedily."""
    times: list[float] = []
    for _ in range(count):
        at = times[-1] if times else 0.0
        for limit in budget.all:
            if len(times) >= limit.amount:
                at = max(at, times[-limit.amount] + limit.seconds)
        times.append(at)
    return times[-1]


@given(BUDGETS, st.integers(1, 25))
def test_each_of_several_limits_holds_and_nobody_waits_longer_than_they_ask(
    budget: Budget, callers: int
) -> None:
    times: list[float] = []

    async def main() -> None:
        clock = VirtualClock()
        window = Window(budget, clock)

        async def caller() -> None:
            await window.acquire()
            times.append(clock.monotonic())

        began = clock.monotonic()
        await asyncio.gather(*(caller() for _ in range(callers)))
        assert times[-1] - began == pytest.approx(fastest(budget, callers), abs=0.002 * callers)

    run(main())
    assert_within(times, budget)


def test_the_rate_in_the_long_run_is_that_of_the_strictest_limit() -> None:
    budget = Budget(amount=10, seconds=1.0, also=(Budget(amount=240, seconds=3600.0),))
    assert budget.rate == pytest.approx(240 / 3600)
    assert [each.amount for each in budget.all] == [10, 240]


def test_what_the_exchange_counts_corrects_the_first_limit_alone() -> None:
    clock = VirtualClock

    async def main() -> None:
        window = Window(
            Budget(amount=3, seconds=1.0, also=(Budget(amount=4, seconds=9.0),)), clock()
        )
        window.correct(3)
        assert window.take() > 0
        await asyncio.sleep(1.0)
        assert [window.take() for _ in range(3)] == [0.0, 0.0, 0.0]
        await asyncio.sleep(1.0)
        assert window.take() == 0.0  # the fourth of nine seconds
        assert window.take() > 1.0

    run(main())


# --- some endpoints, and all of them --------------------------------------------------------


@settings(max_examples=60)
@given(BUDGETS, BUDGETS, st.lists(st.booleans(), min_size=1, max_size=25))
def test_a_pool_and_its_address_are_both_kept_to(
    few: Budget, many: Budget, callers: list[bool]
) -> None:
    """Each caller either spends of the address alone, or of the pool too."""
    pooled: list[float] = []
    all_: list[float] = []

    async def main() -> None:
        clock = VirtualClock()
        own, common = Window(few, clock), Window(many, clock)

        async def caller(of_pool: bool) -> None:
            if of_pool:
                await gate().enter([(own, 1), (common, 1)])
                pooled.append(clock.monotonic())
            else:
                await gate().enter([(common, 1)])
            all_.append(clock.monotonic())

        await asyncio.gather(*map(caller, callers))

    run(main())
    assert len(all_) == len(callers)
    assert_within(pooled, few)
    assert_within(all_, many)


class Pooled(Paged):
    """Two kinds of question share a pool of two in a minute."""

    few = Pool("few", Budget(amount=2, seconds=60.0))
    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Paged.endpoints,
        GetTrades: attrs.evolve(
            Paged.endpoints[GetTrades], pool=few, decode=lambda *_: ccrs_core.Answer([])
        ),
        GetServerTime: Paged.endpoints[GetServerTime],
    }
    limits = Limits(requests=Budget(amount=100, seconds=1.0))


def test_who_waits_for_a_pool_keeps_nobody_else_from_asking() -> None:
    rest = Rest(TIME)
    rest.exchange = Pooled()

    async def use(client: ccrs_core.Client) -> None:
        began = rest.clock.monotonic()
        slow = [asyncio.ensure_future(client.request(GetTrades(BTC, 1))) for _ in range(4)]
        await asyncio.sleep(1.0)
        for _ in range(20):
            await client.get_server_time()
        assert rest.clock.monotonic() - began < 2.0
        assert sum(each.done() for each in slow) == 2
        await asyncio.gather(*slow)
        assert rest.clock.monotonic() - began >= 60.0
        with pytest.raises(RateLimited):
            await client._ready().once(GetTrades(BTC, 1), patience=1.0)

    rest.play(use)


# --- frames ---------------------------------------------------------------------------------


class Sink:
    """A connection that notes what is sent, and when."""

    last_heard = 0.0

    def __init__(self) -> None:
        self.sent: list[tuple[float, Outbound | None]] = []

    async def send(self, frame: Outbound) -> None:
        self.sent.append((asyncio.get_running_loop().time(), frame))

    async def ping(self) -> None:
        self.sent.append((asyncio.get_running_loop().time(), None))

    def abort(self) -> None: ...


def outbox(sink: Any, frames: list[Window], requests: list[Window], **how: Any) -> Outbox:
    calls: dict[str, Callable[..., Any]] = {
        "sign": lambda frame: frame,
        "sent": lambda request_id: None,
        "failed": pytest.fail,
        **how,
    }
    return Outbox(sink, frames, requests, 10.0, **calls)


@settings(max_examples=80)
@given(
    BUDGETS,
    BUDGETS,
    BUDGETS,
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 2.0, 30.0]), st.booleans()), min_size=1, max_size=20
    ),
)
def test_frames_of_two_connections_keep_to_each_ones_limits_and_to_their_hosts(
    own: Budget, requests: Budget, host: Budget, arrivals: list[tuple[float, bool]]
) -> None:
    """Requests, and what is urgent; all of it leaves in the end, each kind in its order."""
    sinks = Sink(), Sink()

    async def main() -> None:
        clock = VirtualClock()
        shared = Window(host, clock)
        boxes = [
            outbox(sink, [Window(own, clock), shared], [Window(requests, clock)]) for sink in sinks
        ]
        for number, (pause, request) in enumerate(arrivals):
            await asyncio.sleep(pause)
            for box in boxes:
                box.post(
                    f"{'r' if request else 'u'}{number}", str(number) if request else None, False
                )
        await asyncio.sleep(60.0 * 60)

    run(main())
    for sink in sinks:
        assert len(sink.sent) == len(arrivals)
        assert_within([at for at, _ in sink.sent], own)
        for kind in "ru":
            found = [(at, str(f)) for at, f in sink.sent if str(f).startswith(kind)]
            assert [int(f[1:]) for _, f in found] == sorted(int(f[1:]) for _, f in found)
            if kind == "r":
                assert_within([at for at, _ in found], requests)
    assert_within(sorted(at for sink in sinks for at, _ in sink.sent), host)


def test_what_is_urgent_waits_for_no_budget_of_requests() -> None:
    sink = Sink()

    async def main() -> None:
        clock = VirtualClock()
        box = outbox(sink, [], [Window(Budget(amount=1, seconds=3600.0), clock)])
        for number in range(3):
            box.post("request", str(number), False)
        await asyncio.sleep(60.0)
        box.post("ping", None, False)
        began = clock.monotonic()
        await asyncio.sleep(1.0)
        assert [frame for _, frame in sink.sent] == ["request", "ping"]
        assert sink.sent[-1][0] == began
        box.end()
        await asyncio.sleep(10_000.0)
        assert len(sink.sent) == 2

    run(main())


@attrs.define
class Frame:
    """A frame that is made when it leaves."""

    text: str
    void: bool = False
    unsaid: str = ""

    def make(self) -> Outbound | None:
        return self.text or None

    def unwritten(self, why: str) -> None:
        self.unsaid = why


@scenario
async def test_frames_that_are_made_leave_in_turn_but_for_those_that_arent_to() -> None:
    sink, clock = Sink(), VirtualClock()
    box = outbox(sink, [Window(Budget(amount=1, seconds=1.0), clock)], [])
    frames = [Frame("a"), Frame("b"), Frame(""), Frame("c")]
    for each in frames:
        box.post_made(each, False)
    frames[1].void = True
    box.post_made(Frame("urgent"), True)
    await asyncio.sleep(10.0)
    # What is void spends nothing; of what isn't made after all nobody knew in time.
    assert [frame for _, frame in sink.sent] == ["urgent", "a", "c"]
    assert [round(at) for at, _ in sink.sent] == [0, 1, 3]


@pytest.mark.parametrize("certain", [True, False])
def test_what_is_known_not_to_have_been_written_is_told(certain: bool) -> None:
    class Ended(Sink):
        async def send(self, frame: Outbound) -> None:
            error = ConnectionLost("can't send")
            error.nothing_sent = certain
            raise error

    async def main() -> None:
        failed: list[str] = []
        box, made = outbox(Ended(), [], [], failed=failed.append), Frame("a")
        box.post_made(made, False)
        await asyncio.sleep(1.0)
        assert bool(made.unsaid) is certain
        assert failed == ["can't send"]

    run(main())


@scenario
async def test_a_client_keeps_to_the_frames_that_a_host_takes_of_all_its_connections() -> None:
    class Narrow(Toy):
        limits = Limits(messages=Budget(amount=2, seconds=1.0))

    toy = Narrow(topics_per_request=1, topics_per_connection=1)
    interests = [trades(f"{native}/USD") for native in ToyServer.NATIVES]
    async with world(*interests, exchange=toy) as seen:
        await asyncio.sleep(60.0)
        times = [at for at, _, _ in seen.server.sent]
        assert_within(times, Budget(amount=2, seconds=1.0))
        assert len(seen.server.open) == len(interests)
        assert sum(len(each) for each in seen.server.subscribed()) == len(interests)


@scenario
async def test_limits_of_a_route_are_kept_to_together_and_heartbeats_come_in_time() -> None:
    """So many frames, of them so many requests, of so many bytes."""
    requests = Budget(amount=2, seconds=10.0, also=(Budget(amount=3, seconds=60.0),))
    toy = Toy(
        topics_per_request=3,
        messages=Budget(amount=3, seconds=5.0),
        requests=requests,
        request_bytes=50,
    )
    interests = [trades(f"{native}/USD") for native in ToyServer.NATIVES]
    async with world(*interests, exchange=toy) as seen:
        await asyncio.sleep(300.0)
        sent = [(at, message) for at, _, message in seen.server.sent]
        asked = [(at, message["sub"]) for at, message in sent if "sub" in message]
        assert_within([at for at, _ in asked], requests)
        assert {len(topics) for _, topics in asked} == {1, 2}
        pings = [at for at, message in sent if "ping" in message]
        assert len(pings) >= 14
        assert len(seen.server.attempts) == 1
        assert seen.server.subscribed() == [{f"trades.{native}" for native in ToyServer.NATIVES}]


# --- the size of a request ------------------------------------------------------------------

NATIVES = [f"N{i}" for i in range(12)]


@given(
    st.lists(st.sampled_from(NATIVES), unique=True, min_size=1, max_size=12),
    st.integers(1, 12),
    st.integers(20, 200),
)
def test_no_request_is_longer_than_the_route_allows_unless_it_names_one_topic_alone(
    natives: list[str], per_request: int, most: int
) -> None:
    wanted: list[Subscription] = [make(native) for native in natives for make in (tape, top)]
    venue = opened(*wanted, per_request=per_request, request_bytes=most)
    venue.do(venue.session.remove(wanted[::2]))
    for verb in ("sub", "unsub"):
        asked = venue.requests(verb)
        frames = [frame for _, frame in venue.sent if verb in frame]
        for frame in frames:
            assert len(orjson.dumps(frame)) <= most or len(frame[verb]) == 1
            assert len(frame[verb]) <= per_request
        named = [topic for topics in asked for topic in topics]
        assert sorted(named) == sorted(set(named))
    assert len({frame["id"] for _, frame in venue.sent if "id" in frame}) == len(
        [frame for _, frame in venue.sent if "id" in frame]
    )
    assert all(state.value == "active" for state in venue.session.topics.values())


# --- connections at a time ------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([0.5, 2.0, 100.0])),
        min_size=1,
        max_size=15,
    ),
)
def test_places_are_never_more_than_there_are_and_none_is_lost_by_who_gives_up(
    most: int, visits: list[tuple[float, float]]
) -> None:
    """Those who would stay for long give up after a while instead, waiting or not."""

    async def main() -> None:
        places = Places(most)
        inside = peak = 0

        async def visit(stay: float) -> None:
            nonlocal inside, peak
            await places.acquire()
            inside += 1
            peak = max(peak, inside)
            try:
                await asyncio.sleep(stay)
            finally:
                inside -= 1
                places.release()

        tasks = []
        for pause, stay in visits:
            await asyncio.sleep(pause)
            tasks.append(asyncio.ensure_future(visit(stay)))
            if stay == 100.0:
                asyncio.get_running_loop().call_later(1.0, tasks[-1].cancel)
        await asyncio.wait(tasks)
        assert peak <= most
        assert inside == 0
        # All places are free again.
        async with asyncio.timeout(1.0):
            for _ in range(most):
                await places.acquire()
        assert places.full

    run(main())


@pytest.mark.parametrize("rounds", range(4))
def test_who_gives_up_in_the_moment_of_its_turn_hands_it_on(rounds: int) -> None:
    async def main() -> None:
        places = Places(1)
        await places.acquire()
        first, second = [asyncio.ensure_future(places.acquire()) for _ in range(2)]
        await asyncio.sleep(1.0)
        places.release()
        for _ in range(rounds):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        if not first.cancelled():
            places.release()
        async with asyncio.timeout(1.0):
            await second

    run(main())


def test_places_are_handed_on_between_threads() -> None:
    places = Places(1)
    order: list[str] = []
    taken = threading.Event()

    def other() -> None:
        async def main() -> None:
            await places.acquire()
            order.append("other")
            taken.set()
            await asyncio.sleep(0.05)
            order.append("gives back")
            places.release()

        asyncio.run(main())

    async def main() -> None:
        async with asyncio.timeout(10.0):
            thread = threading.Thread(target=other)
            thread.start()
            await asyncio.to_thread(taken.wait, 5.0)
            await places.acquire()
            order.append("this")
            places.release()
            await asyncio.to_thread(thread.join, 5.0)

    asyncio.run(main())
    assert order == ["other", "gives back", "this"]


class Capped(Toy):
    limits = Limits(connections=3, subscriptions=5)


@scenario
async def test_no_more_connections_are_open_at_a_time_than_the_host_allows() -> None:
    """Then replacements wait for the exchange to end what is too old."""
    async with world(trades("BTC/USD"), exchange=Capped(max_age=60.0), connections=3) as seen:
        peak, born = 0, dict.fromkeys(seen.server.open, 0)
        for second in range(600):
            await asyncio.sleep(1.0)
            peak = max(peak, len(seen.server.open))
            for peer in seen.server.open:
                if second - born.setdefault(peer, second) > 60:
                    peer.drop()
        assert peak == 3
        await asyncio.sleep(5.0)
        assert len(seen.server.open) == 3
        assert len(seen.server.attempts) > 20
        assert seen.server.subscribed() == 3 * [{"trades.BTC"}]


def test_all_that_is_free_is_taken_together_or_nothing() -> None:
    clock = VirtualClock

    async def main() -> None:
        one = Window(Budget(amount=1, seconds=5.0), clock())
        two = Window(Budget(amount=2, seconds=9.0), clock())
        assert take_all([]) == 0.0
        assert take_all([one, two]) == 0.0
        assert take_all([one, two]) == pytest.approx(5.0)
        assert two.take() == 0.0  # that wasn't charged for
        assert take_all([two]) == pytest.approx(9.0)

    run(main())


@scenario
async def test_more_racing_connections_than_a_host_allows_are_refused() -> None:
    async with world(trades("BTC/USD"), exchange=Capped()) as seen:
        with pytest.raises(Unsupported, match="allows 3 connections"):
            async with seen.client.subscribe(TOP, connections=4):
                pass
        assert len(seen.server.attempts) == 1


@scenario
async def test_more_streams_than_a_host_allows_are_refused_together_and_leave_nothing_behind() -> (
    None
):
    async with world(trades("BTC/USD"), exchange=Capped(), connections=2) as seen:
        with pytest.raises(Unsupported, match="allows 5 streams"):
            await seen.feed.subscribe(trades("ETH/USD"), trades("SOL/USD"))
        assert seen.feed.interests == (trades("BTC/USD"),)
        await seen.feed.subscribe(trades("ETH/USD"))
        await seen.feed.subscribe(trades("ETH/USD"), trades("BTC/USD"))  # has them
        with pytest.raises(Unsupported):
            await seen.feed.subscribe(trades("SOL/USD"))
        await seen.feed.unsubscribe(trades("BTC/USD"))
        await seen.feed.subscribe(trades("SOL/USD"))
        await asyncio.sleep(5.0)
        assert seen.server.subscribed() == 2 * [{"trades.ETH", "trades.SOL"}]
        with pytest.raises(Unsupported):
            async with seen.client.subscribe(trades("XRP/USD"), trades("ADA/USD")):
                pass
        assert len(seen.server.open) == 2
