"""The whole client under any schedule of faults, against what really happened in the markets.

The plugin's codec talks to its own dialect through the core's supervisor while hypothesis lets
faults strike, time pass and the user change his mind. The reference model is small: what is wanted,
and the truth of the emulated markets. Whatever is delivered must be true, complete or confessed;
once the faults stop, all must be well again in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ccrs_core.client.client import Client
from ccrs_core.conformance.judges.agreement import (
    Order,
    Watch,
    about,
    disagreement,
    healing_time,
    interest_of,
    world_of,
)
from ccrs_core.conformance.workbench.moments import sides
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.conformance.workbench.world import Tap
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.emulator import EmulatedExchange
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.model.events import BookUpdate, TopOfBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.options import Options

_LOSSY = frozenset({"gap", "stall", "stall_all", "reorder", "corrupt"})
"""Faults after which events may be missing or out of order without anyone being able to know, but
where the exchange counts them one by one."""

_TOP = Channel.TOP_OF_BOOK

OPTIONS = Options(backoff_initial=0.2, backoff_max=3.0, stable_after=2.0)


class SteppedWorld(Protocol):
    """An exchange and a client of it, step by step."""

    venue: EmulatedExchange
    client: Client
    tap: Tap

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def start(self) -> None: ...
    def do(self, work: Any) -> Any: ...
    def pass_time(self, seconds: float) -> None: ...
    def stop(self) -> None: ...
    def fault(self, *texts: str) -> None: ...
    def quieten(self) -> None: ...


class FaultMachine(RuleBasedStateMachine):
    """Faults strike at any moment; see the module."""

    subject: ClassVar[Subject]
    routes: ClassVar[Mapping[Route, Sequence[Subscription]]]
    counts: ClassVar[Sequence[int]] = (1,)
    """How many connections race: one of these."""
    times: ClassVar[Sequence[float]] = (0.02, 0.3, 1.0, 4.0, 10.0, 25.0)
    """Steps of time, in seconds."""
    moments: ClassVar[Sequence[str]] = ("drop", "close", "half_open")
    spells: ClassVar[Sequence[str]] = (
        "stall", "stall_all", "delay", "no_ack", "slow_ack", "refuse", "slow_handshake",
    )  # fmt: skip
    frames: ClassVar[Sequence[str]] = ("duplicate", "reorder", "truncate", "corrupt", "gap")
    rate: ClassVar[float] = 2.0
    options: ClassVar[Options] = OPTIONS

    world: SteppedWorld | None = None
    connections: int = 1

    # --- the beginning ---

    def make_world(self, seed: int) -> SteppedWorld:
        """An exchange and a client."""
        return world_of(self.subject, seed=seed, rate=self.rate, options=self.options)

    @initialize(data=st.data(), seed=st.integers(0, 1000))
    def begin(self, data: st.DataObject, seed: int) -> None:
        routes = self.routes
        self.route = data.draw(st.sampled_from(sorted(routes, key=lambda r: r.url)), "route")
        self.all = routes[self.route]
        self.wanted = list(self.all)
        self.struck: set[str] = set()
        self.unproven = False
        self.connections = data.draw(st.sampled_from(self.counts), "connections")
        world = self.make_world(seed + 1000 * self.subject.seed)
        depths = [sub.depth or 1 for sub in self.all]
        truth = Truth(world.venue, depth=max(depths))
        self.histories = {sub.instrument: truth.of(sub.instrument) for sub in self.all}
        self.since: dict[Subscription, int] = {}
        self.judged = 0
        world.start()
        interests = map(interest_of, self.all)
        feed = world.client.subscribe(*interests, connections=self.connections, maxsize=10**6)
        world.do(feed.__aenter__())
        self.watch = Watch(feed)
        self.order = Order(self.all, self.subject.exchange)
        self.reader = world.loop.create_task(self.watch.read())
        self.world = world
        world.pass_time(self.times[2])

    def _world(self) -> SteppedWorld:
        assert self.world is not None
        return self.world

    # --- time and faults ---

    @rule(step=st.integers(0, 5))
    def time_passes(self, step: int) -> None:
        self._world().pass_time(self.times[step])

    def _strike(self, text: str) -> None:
        name = text.partition(",")[0]
        self.struck.add(name)
        if self.unproven and name in _LOSSY:
            # Nothing in such books could show that an update is missing.
            self.struck.add("corrupt")
        self._world().fault(text)
        self._world().pass_time(0.001)

    @rule(kind=st.integers(0, 9), whom=st.sampled_from(["all", "random", "1", "2", "3"]))
    def strike(self, kind: int, whom: str) -> None:
        kinds = list(self.moments)
        if self._world().venue.dialect.announces_shutdown:
            kinds.append("shutdown_notice")
        self._strike(f"{kinds[kind % len(kinds)]},target={whom}")

    @rule(
        kind=st.integers(0, 9),
        whom=st.sampled_from(["all", "random", "1", "2"]),
        seconds=st.integers(1, 3),
        duration=st.integers(2, 5),
    )
    def strike_for_a_while(self, kind: int, whom: str, seconds: int, duration: int) -> None:
        name = self.spells[kind % len(self.spells)]
        lasting, late = self.times[duration], self.times[seconds]
        self._strike(f"{name},target={whom},duration={lasting},seconds={late}")

    @rule(
        kind=st.integers(0, 9),
        whom=st.sampled_from(["all", "random", "1", "2"]),
        count=st.integers(1, 3),
    )
    def strike_frames(self, kind: int, whom: str, count: int) -> None:
        self._strike(f"{self.frames[kind % len(self.frames)]},target={whom},count={count}")

    @rule()
    def numbers_begin_anew(self) -> None:
        self._strike("restart")

    @rule()
    def faults_end(self) -> None:
        self._world().quieten()

    # --- the user ---

    @precondition(lambda self: len(self.wanted) > 1)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        sub = data.draw(st.sampled_from(self.wanted), "subscription")
        self._world().do(self.watch.feed.unsubscribe(interest_of(sub)))
        self.order.take(self.watch.events)
        self.wanted.remove(sub)
        self.watch.events[:] = [e for e in self.watch.events if not about(e, sub)]
        self.order.forget(sub)
        self.order.seen = self.judged = len(self.watch.events)
        self.since.pop(sub, None)

    @precondition(lambda self: len(self.wanted) < len(self.all))
    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        missing = [sub for sub in self.all if sub not in self.wanted]
        sub = data.draw(st.sampled_from(missing), "subscription")
        self.wanted.append(sub)
        self._world().do(self.watch.feed.subscribe(interest_of(sub)))

    # --- what must hold at any moment ---

    @invariant()
    def what_is_delivered_is_in_order_and_true(self) -> None:
        if self.world is None:
            return
        self.order.take(self.watch.events)
        events = self.watch.events
        new, self.judged = events[self.judged :], len(events)
        self.unproven |= any(
            isinstance(e, BookUpdate)
            and not (e.snapshot or e.previous_sequence or e.checksum is not None)
            for e in new
        )
        if "corrupt" in self.struck:
            return  # a changed text may be well-formed, and a lie
        by_symbol = {sub.symbol: sub.instrument for sub in self.all}
        for event in new:
            if isinstance(event, TopOfBook):
                history = self.histories[by_symbol[event.symbol]]
                # As old as a connection that is dead without anyone knowing.
                recent = history.index_at(event.received_time_ns - 60 * NS_PER_SECOND)
                history.top_is_true(event, since=recent)

    @invariant()
    def a_valid_book_is_a_true_one(self) -> None:
        if self.world is None or "corrupt" in self.struck:
            return
        for sub in self.wanted:
            if sub.channel is Channel.BOOK:
                book = self.watch.feed.book(sub.symbol, sub.depth)
                if book.valid:
                    history = self.histories[sub.instrument]
                    since = self.since.get(sub, 0)
                    self.since[sub] = history.kept_is_true(book, sub.depth, since=since)

    @invariant()
    def nothing_comes_after_unsubscribe(self) -> None:
        if self.world is None:
            return
        for sub in set(self.all) - set(self.wanted):
            late = self.watch.of(sub)
            assert not late, f"{late[0]} came after {sub} was unsubscribed"

    @invariant()
    def counters_add_up(self) -> None:
        if self.world is None:
            return
        status = self.world.client.status()
        for c in status.connections:
            parts = c.data + c.late + c.control + c.unrecognised + c.unwanted + c.unreadable
            assert c.frames == parts + c.retired, f"the counters don't add up: {c}"
            if not self.struck & {"truncate", "corrupt"}:
                assert c.unreadable == 0, f"{c.unreadable} frames were unreadable: {c.last_error}"
        for f in status.feeds:
            told = f.delivered + f.waiting + f.conflated + f.dropped + f.discarded
            assert f.offered == told, f"the counters don't add up: {f}"

    @invariant()
    def connection_attempts_keep_to_the_budget(self) -> None:
        if self.world is None:
            return
        budget = self.subject.exchange.limits.connects
        times = [at for at, _ in self.world.tap.attempts]
        for limit in budget.all:
            for first, last in zip(times, times[limit.amount :], strict=False):
                assert last - first >= limit.seconds - 1e-3, "connection attempts exceed the budget"

    @invariant()
    def only_missing_acknowledgements_count_as_refusals(self) -> None:
        for _, error in self.watch.errors if self.world is not None else ():
            assert isinstance(error, SubscriptionRefused), error
            assert "not acknowledged" in error.text, (
                f"{error}, though only what the exchange offers was subscribed to"
            )

    # --- and once the faults stop ---

    def teardown(self) -> None:
        world = self.world
        if world is None:
            return
        try:
            self.heals()
        finally:
            self.reader.cancel()
            world.do(asyncio.wait([self.reader]))
            world.do(self.watch.feed.aclose())
            world.stop()

    def heals(self) -> None:
        """All faults end: within the bound all is as wanted, and as the market is."""
        world = self._world()
        world.quieten()
        exchange = self.subject.exchange
        bound = healing_time(exchange, self.all, self.options)
        reason: str | None = ""
        waited = 0.0
        while reason is not None:
            assert waited <= bound, f"{waited:.0f} s after all faults have stopped: {reason}"
            step = self.times[2]
            world.pass_time(step)
            waited += step
            reason = disagreement(
                world, self.subject, self.watch.feed, self.wanted, self.connections
            )
        silence = exchange.max_silence
        cadence = max((silence(s) or 0.0 for s in self.wanted if s.channel is _TOP), default=0.0)
        self.settled = max(self.times[3], min(cadence, 2 * self.times[4]))
        world.pass_time(self.settled)
        self.what_is_delivered_is_in_order_and_true()
        self.a_valid_book_is_a_true_one()
        self._present()
        self._complete()

    def _present(self) -> None:
        """What was delivered last is the present state, but for what is just being published."""
        if "corrupt" in self.struck:
            return
        now_ns = self._world().venue.now_ns
        for sub in self.wanted:
            history = self.histories[sub.instrument]
            recent = history.index_at(now_ns - 2 * NS_PER_SECOND)
            if sub.channel is Channel.BOOK:
                book = self.watch.feed.book(sub.symbol, sub.depth)
                assert book.valid, f"the book of {sub.symbol} is {book.state.value} again"
                history.kept_is_true(book, sub.depth, since=recent)
            elif sub.channel is Channel.TOP_OF_BOOK:
                tops = [e for e in self.watch.of(sub) if isinstance(e, TopOfBook)]
                assert tops, f"{sub} brought nothing"
                cadence = self.subject.exchange.max_silence(sub)
                if self.struck & _LOSSY and (
                    tops[-1].sequence is None or cadence is None or cadence > self.settled
                ):
                    continue  # the last change may have been lost, and isn't told again
                bids, asks = sides(tops[-1])
                history.book_is_true(bids, asks, 1, since=recent)

    def _complete(self) -> None:
        """Trades and liquidations are the tape's, in its order, or a Gap tells that some are
        missing: whatever else has struck."""
        for sub in self.wanted:
            counted = self.subject.exchange.consecutive(sub)
            if self.struck & (frozenset({"corrupt"}) if counted else _LOSSY):
                continue
            history = self.histories[sub.instrument]
            if sub.channel is Channel.TRADES:
                history.trades_are_true(self.watch.of(sub))
            elif sub.channel is Channel.LIQUIDATIONS and "duplicate" not in self.struck:
                # Nobody numbers them: what is sent twice may have happened twice.
                history.liquidations_are_true(self.watch.of(sub))


class CompletenessMachine(FaultMachine):
    """Faults after which somebody can know whether anything is missing, and much to miss."""

    counts = (1, 2, 3, 5)
    times = (0.02, 0.3, 1.0, 2.0, 5.0, 25.0)
    spells = ("delay", "no_ack", "slow_ack", "refuse", "slow_handshake")
    frames = ("duplicate", "truncate")
    rate = 12.0


def machine(
    subject: Subject,
    base: type[FaultMachine] = FaultMachine,
    channels: Container[Channel] = tuple(Channel),
    **settings: Any,
) -> type[FaultMachine]:
    """The machine for one exchange, with other class attributes where given.

    Skips the test where no route fits.
    """
    routes: dict[Route, list[Subscription]] = {}
    for market, declared in subject.channels.items():
        for instrument in subject.some_instruments(market, 2):
            for channel in Channel:
                if channel in declared and channel in channels:
                    sub = subject.subscription(channel, instrument)
                    route = subject.exchange.route(sub)
                    routes.setdefault(route, []).append(sub)
    counts: Sequence[int] = settings.get("counts", base.counts)
    public = {route: subs for route, subs in routes.items() if not route.private}
    fitting = {
        route: subs
        for route, subs in public.items()
        if route.sequence_scope is SequenceScope.GLOBAL or max(counts) == 1
    }
    if public and not fitting and 1 in counts:
        fitting, settings["counts"] = public, (1,)
    racing = max(counts) > 1
    if not fitting:
        subject.undeclared("public route" + " with the same numbers everywhere" * racing)
    attributes = {"subject": subject, "routes": fitting, **settings}
    return type(base.__name__, (base,), attributes)
