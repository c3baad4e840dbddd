"""Sequences of trades, numbers and candles as a client delivers them, whatever befalls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from ccrs_core.conformance.judges.agreement import (
    Watch,
    about,
    healing_time,
    topic_pattern,
    watching,
)
from ccrs_core.conformance.judges.figures import candle_is_true, interval_of
from ccrs_core.conformance.judges.judge import FRESH_NS
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.generated import explore
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.model.events import (
    AnyEvent,
    BookUpdate,
    Candle,
    Gap,
    Stale,
    Ticker,
    TopOfBook,
    Trade,
)
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.options import Options


class SequenceProperties:
    """What is delivered of a channel, as a whole."""

    # --- trades ---

    @proves(26)
    def test_each_trade_is_delivered_once(self, subject: Subject) -> None:
        """Each trade of the tape is delivered once and in order, with a trade_id of its own: under
        repeated frames, through planned replacements of connections, and from racing ones."""
        cases = subject.cases(Channel.TRADES)
        self._once(subject, cases, 1, Options(), "duplicate,probability=0.5")
        self._once(subject, cases, 1, Options(max_connection_age=4.0))
        racing = [case for case in cases if _global(subject, case)]
        if racing:
            self._once(subject, racing, 2, Options(), "delay,target=1,seconds=0.2,duration=5")
            self._once(subject, racing, 2, Options(max_connection_age=4.0), "duplicate,duration=9")

    @staticmethod
    def _once(
        subject: Subject, cases: Sequence[Case], connections: int, options: Options, *faults: str
    ) -> None:
        subscriptions = [case.subscription for case in cases]
        world = subject.world(options=options, seed=subject.seed)
        truth = Truth(world.venue, depth=1)

        async def scenario(world: World) -> None:
            async with watching(world, *subscriptions, connections=connections) as watch:
                await subscribed(watch.feed)
                begin_ns = world.venue.now_ns
                world.fault(*faults)
                await settle(12.0)
                world.quieten()
                await settle(2.0)
                for sub in subscriptions:
                    _tape_is_delivered(truth, watch, sub, begin_ns)
                    if options.max_connection_age is None:
                        gaps = [e for e in watch.of(sub) if isinstance(e, Gap)]
                        assert not gaps, f"nothing was lost of {sub}, but there is {gaps[0]}"

        world.run(scenario)

    @proves(29)
    def test_delivered_trades_and_gaps_make_up_the_tape(self, subject: Subject) -> None:
        """However often connections are lost, the delivered trades and the ranges that Gaps report
        make up the exchange's tape exactly: in order, none twice, none missing unreported."""
        subscriptions = [case.subscription for case in subject.cases(Channel.TRADES)]
        lost = st.lists(
            st.sampled_from(
                ("drop", "close", "drop,target=random", "refuse,duration=2", "half_open")
            )
            | st.floats(0.1, 4.0),
            min_size=1,
            max_size=6,
        )

        def check(script: list[str | float], seed: int) -> None:
            world = subject.world(seed=seed, rate=10.0)
            truth = Truth(world.venue, depth=1)

            async def scenario(world: World) -> None:
                async with watching(world, *subscriptions) as watch:
                    await subscribed(watch.feed)
                    begin_ns = world.venue.now_ns
                    await settle(2.0)
                    for step in script:
                        if isinstance(step, str):
                            world.fault(step)
                        else:
                            await settle(step)
                    world.quieten()
                    await settle(healing_time(world.exchange, subscriptions, Options()))
                    for sub in subscriptions:
                        _tape_is_delivered(truth, watch, sub, begin_ns)

            world.run(scenario)

        explore(subject, check, lost, st.integers(0, 99), examples=5)

    # --- numbers ---

    @proves(27)
    def test_sequences_rise_between_gaps(self, subject: Subject) -> None:
        """The sequence of each channel of each symbol rises from item to item, unless a Gap lies
        between them, under repeated, lost and late frames, lost connections and restarted counts,
        and from racing connections."""
        cases = subject.cases()
        racing = [case for case in cases if _global(subject, case)]

        def check(faults: list[str], race: bool, seed: int) -> None:
            chosen, connections = (racing, 2) if race and racing else (cases, 1)
            subscriptions = [case.subscription for case in chosen]
            world = subject.world(seed=seed)

            async def scenario(world: World) -> None:
                async with watching(world, *subscriptions, connections=connections) as watch:
                    await subscribed(watch.feed)
                    for fault in faults:
                        world.fault(fault)
                        await settle(1.5)
                    world.quieten()
                    await settle(3.0)
                    for sub in subscriptions:
                        # A trade that the faster of two connections has lost comes late.
                        if connections == 1 or sub.channel is not Channel.TRADES:
                            numbers_rise(watch.of(sub), sub)

            world.run(scenario)

        menu = st.sampled_from(
            (
                "duplicate,probability=0.3,duration=3",
                "gap,probability=0.1,duration=2",
                "delay,target=1,seconds=0.3,duration=2",
                "drop,target=random",
                "restart",
            )
        )
        explore(
            subject,
            check,
            st.lists(menu, min_size=1, max_size=4),
            st.booleans(),
            st.integers(0, 99),
            examples=5,
        )

    @proves(28)
    def test_a_hole_in_a_books_sequence_is_told_before_what_follows(self, subject: Subject) -> None:
        """Where updates of a book are lost, a Gap says so before the next item, and bounds the
        missing range: the last sequence delivered before it, the first one after it."""
        subscriptions = [case.subscription for case in subject.cases(Channel.BOOK)]
        world = subject.world(seed=subject.seed, rate=8.0)

        async def scenario(world: World) -> None:
            async with watching(world, *subscriptions) as watch:
                await subscribed(watch.feed)
                await settle(1.0)
                hits = [
                    world.venue.faults.add(f"gap,every=2,topic={topic_pattern(subject, sub)}")
                    for sub in subscriptions
                ]
                await settle(9.0)
                world.quieten()
                await settle(healing_time(world.exchange, subscriptions, Options()))
                for sub, hit in zip(subscriptions, hits, strict=True):
                    gaps = _gaps_bound(watch.of(sub), sub)
                    assert gaps or not hit.hits, (
                        f"{hit.hits} frames of {sub} were lost, and no Gap says so: does "
                        "BookUpdate.previous_sequence name the update before it?"
                    )

        world.run(scenario)

    @proves(28)
    def test_a_lost_connection_is_told_before_what_follows(self, subject: Subject) -> None:
        """Where a connection is lost, a Gap comes before the next trade and the next update of a
        book, and bounds what may be missing; but where the exchange counts trades one by one and
        the number says that none is."""
        channels = (Channel.BOOK, Channel.TRADES)
        subscriptions = [case.subscription for case in subject.cases(*channels)]
        world = subject.world(seed=subject.seed, rate=8.0)

        async def scenario(world: World) -> None:
            async with watching(world, *subscriptions) as watch:
                await subscribed(watch.feed)
                await settle(3.0)
                before = len(watch.events)
                world.fault("drop")
                await settle(healing_time(world.exchange, subscriptions, Options()))
                for sub in subscriptions:
                    events = watch.of(sub)
                    later = [e for e in watch.events[before:] if about(e, sub)]
                    if not any(e.channel for e in later):
                        continue
                    known = [e for e in watch.events[:before] if about(e, sub) and e.channel]
                    if known:
                        first = next(e for e in later if e.channel or isinstance(e, Gap))
                        if world.exchange.consecutive(sub) and _next(known[-1], first):
                            continue
                        assert isinstance(first, Gap), (
                            f"the connection was lost, and the first of {sub} after it is {first} "
                            "instead of a Gap"
                        )
                    if sub.channel is Channel.BOOK:
                        _gaps_bound(events, sub)

        world.run(scenario)

    @proves(28)
    def test_trades_that_are_counted_are_complete_or_their_hole_is_told(
        self, subject: Subject
    ) -> None:
        """Where ``Exchange.consecutive`` says that the exchange counts trades one by one, so it
        does; a frame that an undisturbed connection leaves out is a Gap, and a connection lost and
        back before the next trade is none."""
        counted = [
            case.subscription
            for case in subject.cases(Channel.TRADES)
            if subject.exchange.consecutive(case.subscription)
        ]
        if not counted:
            subject.undeclared("count of trades one by one (Exchange.consecutive)")

        async def scenario(world: World) -> None:
            async with watching(world, *counted) as watch:
                await subscribed(watch.feed)
                await settle(6.0)
                watch.no_notices("six undisturbed seconds: are trades really numbered one by one?")
                world.fault("gap,count=1")
                await settle(6.0)
                world.quieten()
                world.fault("drop")
                await settle(healing_time(world.exchange, counted, Options()))
                for sub in counted:
                    _holes_are_told(watch.of(sub), sub)

        subject.world(seed=subject.seed, rate=2.0).run(scenario)

    # --- candles ---

    @proves(30, quick=False)
    def test_each_candle_closes_once_with_the_tapes_figures(self, subject: Subject) -> None:
        """Each interval of a candle channel has exactly one closed candle, in order, and its open,
        high, low, close and volume are those of the tape's trades; also where the connection is
        lost within an interval."""
        cases = subject.cases(Channel.CANDLES)
        for faults in ((), ("drop,after=90",), ("duplicate,probability=0.5,duration=200",)):
            self._candles(subject, [case.subscription for case in cases], faults)
        racing = [case.subscription for case in cases if _global(subject, case)]
        if racing:
            self._candles(subject, racing, ("delay,target=1,seconds=0.5,duration=200",), 2)

    @staticmethod
    def _candles(
        subject: Subject,
        subscriptions: Sequence[Subscription],
        faults: Sequence[str],
        connections: int = 1,
    ) -> None:
        world = subject.world(seed=subject.seed, rate=3.0)
        truth = Truth(world.venue, depth=1)

        async def scenario(world: World) -> None:
            async with watching(world, *subscriptions, connections=connections) as watch:
                await subscribed(watch.feed)
                begin_ns = world.venue.now_ns
                interval = interval_of(subscriptions[0].interval or "1m")
                length = (interval.ns or 0) / NS_PER_SECOND
                world.fault(*faults)
                await settle(3.2 * length + 10.0)
                end_ns = world.venue.now_ns - 10 * NS_PER_SECOND
                for sub in subscriptions:
                    due, open_ns = [], interval.open_of(begin_ns)
                    while interval.next_open(open_ns) <= end_ns:
                        due.append(open_ns)
                        open_ns = interval.next_open(open_ns)
                    _closed_once(world, truth, sub, watch.of(sub), due)

        world.run(scenario)

    @proves(30)
    def test_candles_of_every_interval_are_of_that_interval(self, subject: Subject) -> None:
        """Candles of every declared interval open and close on that interval's bounds, with the
        figures of the tape's trades."""
        intervals = subject.exchange.capabilities.intervals
        for case in subject.cases(Channel.CANDLES):
            wanted = [attrs.evolve(case.subscription, interval=name) for name in intervals]
            world = subject.world(seed=subject.seed, rate=2.0)
            truth = Truth(world.venue, depth=1)

            async def scenario(
                world: World, wanted: Sequence[Subscription] = wanted, truth: Truth = truth
            ) -> None:
                async with watching(world, *wanted) as watch:
                    await settle(_CANDLES_COME)
                    for sub in wanted:
                        history = truth.of(sub.instrument)
                        market = world.venue.market(truth.listing(sub.instrument))
                        candles = [e for e in watch.of(sub) if isinstance(e, Candle)]
                        assert candles, f"no candle of {sub} came in {_CANDLES_COME:g} s"
                        for candle in (candles[0], candles[-1]):
                            candle_is_true(history, market, candle)

            world.run(scenario)


_CANDLES_COME = 30.0
"""Virtual seconds within which each candle is told of, while its market trades."""


def _global(subject: Subject, case: Case) -> bool:
    route = subject.exchange.route(case.subscription)
    return route.sequence_scope is SequenceScope.GLOBAL


def _tape_is_delivered(truth: Truth, watch: Watch, sub: Subscription, begin_ns: int) -> None:
    """Trades are the tape's, and each has an id of its own."""
    history, events = truth.of(sub.instrument), watch.of(sub)
    until_ns = truth.venue.now_ns - FRESH_NS
    first = next((e for e in events if isinstance(e, Trade | Stale)), None)
    # There is no Gap before the first trade; that it may be missing, Stale says.
    after_ns = None if isinstance(first, Stale) else begin_ns
    history.trades_are_true(events, after_ns=after_ns, until_ns=until_ns)
    seen: set[str] = set()
    for event in events:
        if isinstance(event, Trade):
            assert event.trade_id not in seen, (
                f"two trades of {sub} have the trade_id {event.trade_id}: {event}; it must be the "
                "exchange's own id of the trade"
            )
            seen.add(event.trade_id)
    assert seen or not history.trades, f"the market traded, and no trade of {sub} was delivered"


# Several trades of one order, and tickers of one state of the matching engine, share a number.
_MAY_REPEAT = (Trade, Ticker)


def numbers_rise(events: Sequence[AnyEvent], sub: Subscription) -> None:
    """Fails where the sequence of a subscription's events falls or repeats without a Gap."""
    last: Any = None
    for event in events:
        if isinstance(event, Gap):
            last = None
            continue
        number = getattr(event, "sequence", None)
        if number is None:
            continue
        # A change may say itself that it begins a new count where the former one ended.
        chained = last is not None and getattr(event, "previous_sequence", None) == last.sequence
        if last is not None and (
            (number < last.sequence and not chained)
            or (number == last.sequence and not isinstance(event, _MAY_REPEAT))
        ):
            raise AssertionError(
                f"the sequence of {sub} went from {last.sequence} to {number} without a Gap: does "
                "Data.sequence let the core recognise repeats, and Data.restart say where the "
                f"exchange begins to count anew? {last} was followed by {event}"[:900]
            )
        last = event


def _gaps_bound(events: Sequence[AnyEvent], sub: Subscription) -> int:
    """How many Gaps there are; each must bound what is missing of a book."""
    last: int | None = None
    gap: Gap | None = None
    count = 0
    for event in events:
        if isinstance(event, Gap):
            gap, count = event, count + 1
            assert gap.last_sequence == last, (
                f"{gap} of {sub}: the last sequence delivered before it is {last}"
            )
        elif isinstance(event, BookUpdate | TopOfBook):
            if gap is not None:
                assert gap.next_sequence in (None, event.sequence), (
                    f"{gap} of {sub}: the first sequence delivered after it is {event.sequence}"
                )
            last, gap = event.sequence, None
    return count


def _closed_once(
    world: World, truth: Truth, sub: Subscription, events: Sequence[AnyEvent], due: Sequence[int]
) -> None:
    history = truth.of(sub.instrument)
    market = world.venue.market(truth.listing(sub.instrument))
    closed: list[int] = []
    for event in events:
        if isinstance(event, Candle):
            candle_is_true(history, market, event)
            assert not closed or event.open_time_ns > closed[-1], (
                f"after the candle of {clock(closed[-1])} had closed, {sub} brought {event}; "
                "closed candles never change again"
            )
            if event.closed:
                closed.append(event.open_time_ns)
    found = [open_ns for open_ns in closed if open_ns <= due[-1]]
    assert found == list(due), (
        f"of {sub}, the candles of {', '.join(map(clock, due))} ended, closed were those of "
        f"{', '.join(map(clock, found)) or 'none'}: each must come once more as it closes, with "
        "Candle.closed True"
    )


def _next(one: AnyEvent, other: AnyEvent) -> bool:
    """Whether a trade is the one after another by its number."""
    return (
        isinstance(one, Trade)
        and isinstance(other, Trade)
        and one.sequence is not None
        and other.sequence == one.sequence + 1
    )


def _holes_are_told(events: Sequence[AnyEvent], sub: Subscription) -> None:
    last: AnyEvent | None = None
    told = False
    for event in events:
        if isinstance(event, Gap):
            told = True
        if not isinstance(event, Trade):
            continue
        if last is not None:
            follows = _next(last, event)
            assert follows or told, (
                f"{sub}: {event} came after {last}, with others missing between them, and no Gap"
            )
            assert not (follows and told), f"{sub}: a Gap was told before {event}, after {last}"
        last, told = event, False
