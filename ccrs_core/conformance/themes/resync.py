"""Books that are lost and asked for anew: soon, at little cost, and without disturbing others."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ccrs_core.conformance.judges.agreement import (
    Order,
    Watch,
    healing_time,
    topic_pattern,
    watching,
)
from ccrs_core.conformance.judges.judge import FRESH_NS
from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.generated import explore
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.model.events import BookUpdate, Gap, Resumed, Stale
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.transport.options import Options

_STEP = 0.1
"""Seconds between two looks at the books."""


class ResyncProperties:
    """Books under faults, through the client."""

    @proves(20)
    def test_under_any_faults_of_frames_a_book_is_right_or_unreadable(
        self, subject: Subject
    ) -> None:
        """While frames are lost, repeated, swapped and late, counts begin anew and connections are
        lost, a client's book equals a state of the market, never going back, or can't be read; and
        whoever rebuilds it from the feed gets the same."""
        subs = [case.subscription for case in subject.cases(Channel.BOOK)]
        menu = st.sampled_from(
            (
                "gap,probability=0.1,duration=2",
                "duplicate,probability=0.3,duration=2",
                "reorder,probability=0.1,duration=2",
                "delay,seconds=0.3,duration=1",
                "restart",
                "drop",
            )
        )

        def check(faults: list[str], seed: int) -> None:
            world = subject.world(seed=seed)
            books = _Books(world, subs)

            async def scenario(world: World) -> None:
                async with watching(world, *subs) as watch:
                    await subscribed(watch.feed)
                    for fault in faults:
                        world.fault(fault)
                        await books.look(watch, 1.5)
                    world.quieten()
                    await books.converge(watch, world)

            world.run(scenario)

        explore(
            subject, check, st.lists(menu, min_size=1, max_size=4), st.integers(0, 99), examples=6
        )

    @proves(23, quick=False)
    def test_the_resync_of_one_symbol_disturbs_no_other(self, subject: Subject) -> None:
        """While the book of one symbol is lost and asked for again and again, no other symbol's
        book is interrupted, and all of its updates come, in order."""
        for case in subject.cases(Channel.BOOK):
            instruments = subject.some_instruments(case.market, 3)
            if len(instruments) < 2:
                continue
            subs = [subject.subscription(Channel.BOOK, each) for each in instruments]
            self._alone(subject, subs)

    @staticmethod
    def _alone(subject: Subject, subs: Sequence[Subscription]) -> None:
        world = subject.world(seed=subject.seed)
        victim, others = subs[0], subs[1:]
        books = _Books(world, subs)

        async def scenario(world: World) -> None:
            async with watching(world, *subs) as watch:
                await subscribed(watch.feed)
                await books.look(watch, 1.0)
                hits = world.venue.faults.add(f"gap,every=1,topic={topic_pattern(subject, victim)}")
                await books.look(watch, 5.0)
                world.quieten()
                await books.converge(watch, world)
                notices = watch.notices(Gap, Stale, Resumed)
                assert not hits.hits or any(each.symbol == victim.symbol for each in notices), (
                    f"{hits.hits} frames of {victim} were lost and nothing says so"
                )
                for other in others:
                    disturbed = [each for each in notices if each.symbol == other.symbol]
                    assert not disturbed, (
                        f"only {victim} was asked for anew, but {other} was interrupted: "
                        f"{disturbed[0]}. Does Codec.unsubscribe end just the topics it is given?"
                    )
                    snapshots = [e for e in watch.of(other) if isinstance(e, BookUpdate)]
                    assert snapshots, f"nothing of {other} came"

        world.run(scenario)

    @proves(24)
    def test_books_are_right_again_soon_after_the_last_fault(self, subject: Subject) -> None:
        """Once faults stop, every book is valid and present within a bounded time, and no more
        requests were made for it than the exchange's REST budget allows."""
        subs = [
            subject.subscription(Channel.BOOK, instrument)
            for case in subject.cases(Channel.BOOK)
            for instrument in subject.some_instruments(case.market, 2)
        ]
        budget = subject.exchange.limits.requests

        def check(probability: float, seed: int) -> None:
            world = subject.world(seed=seed, rate=10.0)
            books = _Books(world, subs)

            async def scenario(world: World) -> None:
                async with watching(world, *subs) as watch:
                    await subscribed(watch.feed)
                    for kind in ("gap", "corrupt", "truncate", "reorder"):
                        world.fault(f"{kind},probability={probability}")
                    world.fault("restart,every=3")
                    await books.look(watch, 8.0)
                    world.quieten()
                    await books.converge(watch, world)

            world.run(scenario)
            times = [at for at, _, _ in world.tap.requests]
            for at in times:
                inside = sum(at <= other < at + budget.seconds for other in times)
                assert inside <= budget.amount, (
                    f"{inside} requests left in {budget.seconds:g} s, {budget.amount} are allowed"
                )

        explore(subject, check, st.sampled_from((0.02, 0.2)), st.integers(0, 99), examples=4)


class _Books:
    """The books of a world's client, held against the markets."""

    def __init__(self, world: World, subs: Sequence[Subscription]) -> None:
        self._world = world
        self._truth = Truth(world.venue, depth=max(sub.depth or 1 for sub in subs))
        self._subs = subs
        self._since = [0] * len(subs)
        self._order = Order(subs, world.exchange)

    async def look(self, watch: Watch, seconds: float) -> None:
        """Let time pass, and look at the books again and again."""
        loop = self._world.loop
        end = loop.time() + seconds
        while loop.time() < end:
            await settle(_STEP)
            self.judge(watch)

    def judge(self, watch: Watch) -> None:
        """Every book that can be read is right, and the feed can be followed."""
        self._order.take(watch.events)
        for at, sub in enumerate(self._subs):
            book = watch.feed.book(sub.symbol, sub.depth)
            if book.valid:
                history = self._truth.of(sub.instrument)
                self._since[at] = history.kept_is_true(book, sub.depth, since=self._since[at])

    async def converge(self, watch: Watch, world: World) -> None:
        """Fails unless all books are valid and present within the bound."""
        bound = healing_time(world.exchange, self._subs, Options()) + 2 * BookKeeper.PATIENCE
        loop = world.loop
        end = loop.time() + bound
        while loop.time() < end and self._behind(watch):
            await settle(1.0)
            self.judge(watch)
        behind = self._behind(watch)
        assert behind is None, f"{bound:g} s after the last fault, {behind}"

    def _behind(self, watch: Watch) -> str | None:
        """What is wrong with the first book that isn't valid and present."""
        for at, sub in enumerate(self._subs):
            book = watch.feed.book(sub.symbol, sub.depth)
            if not book.valid:
                return f"the book of {sub} is {book.state.value} ({book.reason})"
            history = self._truth.of(sub.instrument)
            fresh = history.moments[history.index_at(self._world.venue.now_ns - FRESH_NS) :]
            bids, asks = book.bids(), book.asks()
            if not any(each.levels(sub.depth) == (bids, asks) for each in fresh):
                return (
                    f"the book of {sub} is valid, but still that of the past "
                    f"(moment {self._since[at]} of {len(history.moments)})"
                )
        return None
