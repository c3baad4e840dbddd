"""The exchange's clock is never taken to be later than it is, whatever clocks and networks do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Budget,
    Client,
    ClockRefused,
    Credentials,
    Endpoint,
    ExchangeError,
    HttpRequest,
    HttpResponse,
    Limits,
    Request,
    TimedOut,
)
from ccrs_core.contract.accounts import Account
from ccrs_core.requests.exchange_clock import EVERY, ExchangeClock
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.exchange_time import DRIFT, ExchangeTime
from ccrs_core.transport.memory import VirtualClock, run
from tests.requests.test_once import Look, Orders, Place
from tests.scripted import BTC, Paged, Rest
from tests.virtual import scenario

KEY = Credentials("key", "secret")
MS = 1_000_000


@attrs.define
class Abroad:
    """A clock that is off, runs fast or slow, and tells whole milliseconds."""

    clock: VirtualClock
    off: float
    drift: float

    def now_ns(self) -> int:
        monotonic = self.clock.monotonic()
        return 1_700_000_000_000_000_000 + round((self.off + monotonic * (1 + self.drift)) * 1e9)

    def told_ns(self) -> int:
        return self.now_ns() // MS * MS


DELAYS = st.floats(0.0, 3.0)
LOOKS = st.lists(
    st.tuples(st.floats(0.0, 60.0), DELAYS, DELAYS, st.sampled_from((0.0, 0.0, 3600.0, -3600.0))),
    min_size=1,
    max_size=12,
)


@given(st.floats(-1e5, 1e5), st.floats(-DRIFT, DRIFT), LOOKS)
def test_it_is_never_ahead_and_errs_by_less_than_the_quickest_answer_was_under_way(
    off: float, drift: float, looks: list[tuple[float, float, float, float]]
) -> None:
    async def main() -> None:
        clock = VirtualClock()
        there, time = Abroad(clock, off, drift), ExchangeTime()
        assert time.now_ns(clock) == clock.time_ns()
        samples: list[tuple[float, float]] = []
        for pause, out, back, jump in looks:
            await asyncio.sleep(pause)
            if samples:
                behind = there.now_ns() - time.now_ns(clock)
                now = clock.monotonic()
                assert behind >= 0
                # Besides that, what clocks may drift, and the millisecond that isn't told.
                bound = min(under_way + 2.1 * DRIFT * (now - at) for at, under_way in samples)
                assert behind <= bound * 1e9 + 2 * MS
                offset = time.offset(clock)
                assert offset is not None
                true_ns = there.now_ns() - clock.time_ns()
                assert 0 <= true_ns - offset.offset_ns <= offset.uncertainty_ns + 2 * MS
            clock.jump(jump)
            if jump and samples:
                assert time.jumped(clock)
                assert there.now_ns() >= time.now_ns(clock)
                samples.clear()
            asked_at = clock.monotonic()
            await asyncio.sleep(out)
            told_ns = there.told_ns()
            await asyncio.sleep(back)
            time.heard(told_ns, asked_at, clock)
            assert not time.jumped(clock)
            samples.append((clock.monotonic(), back))

    run(main())


@attrs.frozen
class _Window:
    """How much a signed request may be behind and ahead, as exchanges have it."""

    behind: float = 5.0
    ahead: float = 1.0


class Strict(Orders):
    """Refuses what isn't timed right, by a clock of its own."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = {
        **Paged.endpoints,
        Place: attrs.evolve(Orders.endpoints[Place], signed=True),
        Look: attrs.evolve(Orders.endpoints[Look], signed=True),
    }

    limits = Limits(requests=Budget(amount=100, seconds=1.0))

    def sign(self, request: HttpRequest, access: Any) -> HttpRequest:
        return attrs.evolve(request, headers={"X-TIME": str(access.now_ms)})

    def error_of(self, response: HttpResponse) -> ExchangeError | None:
        if response.body == b"clock":
            return ClockRefused("10002", "check your timestamp")
        return super().error_of(response)


class World:
    """An account at an exchange whose clock isn't ours."""

    def __init__(self, off: float, latency: Callable[[], float] = lambda: 0.01) -> None:
        self.rest = Rest(b"")
        self.rest.exchange = Strict()
        self.rest.server.respond = self._respond
        self.off = off
        self.refused = 0
        self.placed: list[HttpRequest] = []
        self.times = 0
        self.dumb = False
        self._latency = latency

    def now_ns(self) -> int:
        start = 1_767_225_600_000_000_000
        return start + round((self.rest.clock.monotonic() + self.off) * 1e9)

    def _respond(self, request: HttpRequest) -> HttpResponse:
        self.rest.transport.latency = self._latency()
        if request.path == "/time":
            self.times += 1
            if self.dumb:
                raise TimedOut("no answer")
            return HttpResponse(200, {}, str(self.now_ns() // MS * MS).encode())
        ahead = int(request.headers["X-TIME"]) * MS - self.now_ns()
        if not -5e9 <= ahead < 1e9:
            self.refused += 1
            return HttpResponse(200, {}, b"clock")
        self.placed.append(request)
        return HttpResponse(200, {}, b'{"id":"17"}')

    def play(self, use: Callable[[Requester, ExchangeClock], Any], *, keep: bool = True) -> None:
        async def main() -> None:
            async with self.rest.client(credentials=KEY) as client:
                await self._use(client, use, keep)

        run(main())

    async def _use(self, client: Client, use: Any, keep: bool) -> None:
        context = client._opened().context
        requester = Requester(context, Account("default", KEY))
        clock = requester.clock = ExchangeClock(requester, context)
        kept = asyncio.ensure_future(clock.keep()) if keep else None
        await asyncio.sleep(0.0)
        try:
            await use(requester, clock)
        finally:
            if kept is not None:
                kept.cancel()
                await asyncio.wait([kept])


OFFS = [0.0, 1.5, -1.5, 3600.0, -3600.0]


@pytest.mark.parametrize("off", OFFS)
def test_the_first_request_is_right_however_far_the_local_clock_is_off(off: float) -> None:
    world = World(off)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        assert await requester.once(Place(BTC)) == "17"
        offset = clock.offset
        assert offset is not None
        assert offset.offset_ns == pytest.approx(off * 1e9, abs=20 * MS)

    world.play(use)
    assert (world.refused, len(world.placed)) == (0, 1)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@pytest.mark.parametrize("after", [0.0, EVERY / 2, 200.0])
def test_a_jump_of_the_local_clock_costs_no_request(jump: float, after: float) -> None:
    world = World(1.5)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        for _ in range(3):
            _, times = await requester.timed(Place(BTC))
            assert times.sent_ns is not None
            await asyncio.sleep(after)
            world.rest.clock.jump(jump)
            assert await requester.once(Look()) == "17"

    world.play(use)
    assert (world.refused, len(world.placed)) == (0, 6)


def test_a_machine_that_slept_asks_before_its_first_request() -> None:
    """Monotonic time stood still meanwhile."""
    world = World(1.5)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        await requester.once(Place(BTC))
        world.off += 3600.0
        world.rest.clock.jump(3600.0)
        await requester.once(Place(BTC))

    world.play(use)
    assert (world.refused, len(world.placed)) == (0, 2)


def test_what_has_no_clock_to_be_put_right_by_is_told_at_once() -> None:
    world = World(-30.0)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        requester.clock = None
        with pytest.raises(ClockRefused):
            await requester.once(Place(BTC))

    world.play(use, keep=False)
    assert (world.refused, world.times) == (1, 0)


def test_a_jump_of_the_exchanges_clock_is_asked_after_once_for_all_that_are_refused() -> None:
    world = World(0.0)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        await requester.once(Place(BTC))
        before = world.times
        world.off = -30.0
        assert await asyncio.gather(*(requester.once(Place(BTC)) for _ in range(5))) == ["17"] * 5
        assert world.times == before + 1
        await asyncio.sleep(10 * EVERY)
        assert await requester.once(Place(BTC)) == "17"

    world.play(use)
    assert (world.refused, len(world.placed)) == (5, 7)


def test_what_is_refused_again_is_told_and_leaves_no_third_time() -> None:
    world = World(0.0)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        await requester.once(Place(BTC))
        world.off, world.dumb = -30.0, True
        with pytest.raises(ClockRefused):
            await requester.once(Place(BTC))

    world.play(use)
    assert (world.refused, len(world.placed)) == (2, 1)


@pytest.mark.parametrize("off", OFFS)
def test_without_anybody_who_keeps_it_a_refusal_alone_makes_it_known(off: float) -> None:
    world = World(off)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        assert await requester.once(Place(BTC)) == "17"
        assert await requester.once(Place(BTC)) == "17"

    world.play(use, keep=False)
    off_too_much = not -5.0 <= -off < 1.0
    assert (world.refused, world.times) == (int(off_too_much),) * 2


def test_an_exchange_that_doesnt_tell_its_time_is_timed_by_the_local_clock_without_delay() -> None:
    world = World(0.0)
    world.dumb = True

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        for _ in range(20):
            await requester.once(Place(BTC), patience=100.0)
        assert clock.offset is None
        assert world.times < 30

    world.play(use)
    assert len(world.placed) == 20


@scenario
async def test_who_is_cancelled_while_it_is_asked_leaves_the_question_to_the_next() -> None:
    world = World(30.0, latency=lambda: 1.0)

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        world.rest.clock.jump(100.0)
        first = asyncio.ensure_future(requester.once(Place(BTC)))
        second = asyncio.ensure_future(requester.once(Place(BTC)))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == "17"

    async with world.rest.client(credentials=KEY) as client:
        await world._use(client, use, True)
    assert (world.refused, len(world.placed)) == (0, 1)


@given(st.integers(0, 2**32), st.floats(-100.0, 100.0))
def test_slow_and_uneven_networks_never_make_a_request_too_early(seed: int, off: float) -> None:
    dice = random.Random(seed)
    world = World(off, latency=lambda: dice.choice((0.001, 0.05, 0.4, 2.0)))

    async def use(requester: Requester, clock: ExchangeClock) -> None:
        for _ in range(8):
            assert await requester.once(Place(BTC), patience=100.0) == "17"
            assert clock.now_ns <= world.now_ns()
            await asyncio.sleep(dice.choice((0.0, 7.0, 100.0)))

    world.play(use)
    assert (world.refused, len(world.placed)) == (0, 8)
