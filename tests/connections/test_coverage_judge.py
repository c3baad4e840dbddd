"""What makes up for a lost connection, under any interleaving of what connections bring."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.events import AnyEvent, Gap, MarketData, Notice, Reason, Trade
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.topic import Topic
from tests.toy import Toy, instrument

NAME = "trades.BTC"


class Counting(Toy):
    """Counts its trades one by one."""

    def consecutive(self, subscription: Subscription) -> bool:
        return True


class Tap(Feed):
    """Takes what the stream delivers."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def put(self, events: Sequence[MarketData]) -> None:
        self.events += events

    def notify(self, notice: Notice) -> None:  # type: ignore[override]
        self.events.append(notice)


@attrs.define(eq=False)
class Line:
    """A connection: what is under way on it, and what the exchange sends."""

    runner: Runner
    under_way: deque[Callable[[], None]] = attrs.field(factory=deque)
    open: bool = True
    sent_to: bool = True
    """False once it is half open."""
    subscribed: bool = False
    acknowledged: bool = False
    asked_at: float = -1.0


class Connections(RuleBasedStateMachine):
    """Connections come, lag, die with and without a word, and lose frames; trades go on."""

    exchange: type[Toy] = Toy
    lines = Bundle("lines")

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.published = 0
        self.tap = Tap()
        self.open: list[Line] = []
        self.topic = Topic(
            NAME,
            [],
            live=lambda _: sum(line.acknowledged for line in self.open),
            resync=lambda *_: None,
            arm=lambda: None,
            exchange=self.exchange(),
        )
        self.stream = self.topic.stream(Subscription(Channel.TRADES, instrument("BTC"), None, None))
        self.topic.attach(self.stream, self.tap)
        self.judged = 0
        self.last: int | None = None
        self.gap = True

    # --- what happens ---

    @precondition(lambda self: len(self.open) < 3)
    @rule(target=lines, at_once=st.booleans())
    def opens(self, at_once: bool) -> Line:
        self._pass(0.001)
        line = Line(Runner(len(self.open), opened_at=self.now, apart={NAME}))
        self.open.append(line)
        if at_once:
            self.subscribes(line)
            self.arrives(line, 1)
        return line

    @rule(line=lines)
    def subscribes(self, line: Line) -> None:
        if line.open and line.sent_to and not line.subscribed:
            line.subscribed = True

            def acknowledge() -> None:
                line.acknowledged = True
                self.topic.acknowledged(line.runner, self.now, 0)

            line.under_way.append(acknowledge)

    @rule(count=st.integers(1, 3))
    def trades(self, count: int) -> None:
        # Nothing happens at the very moment of a question: clocks tell nanoseconds.
        self._pass(1e-6)
        for _ in range(count):
            self.published += 1
            number = self.published
            for line in self.open:
                if line.subscribed and line.sent_to:
                    line.under_way.append(self._trade(number, line))

    def _trade(self, number: int, line: Line) -> Callable[[], None]:
        one = Decimal(1)

        def bring() -> None:
            trade = Trade("toy", "BTC/USD", None, 0, number, f"T{number}", one, one, Side.BUY)
            line.acknowledged = True
            self.topic.deliver_all([Data(NAME, (trade,))], line.runner, self.now)

        return bring

    @rule(line=lines, count=st.integers(1, 4))
    def arrives(self, line: Line, count: int) -> None:
        for _ in range(min(count, len(line.under_way)) if line.open else 0):
            line.under_way.popleft()()
        self._ask()

    @rule()
    def everything_arrives(self) -> None:
        for _ in range(4):
            for line in self.open:
                self.arrives(line, len(line.under_way))

    @rule(line=lines)
    def a_frame_is_unreadable(self, line: Line) -> None:
        if line.open and line.acknowledged and line.under_way:
            self._pass(1e-6)
            line.under_way.popleft()
            self.topic.coverage.misses(line.runner, Reason.UNREADABLE, self.now)
            self._ask()

    @rule(line=lines)
    def is_pinged(self, line: Line) -> None:
        """As heartbeats do, whoever asks for a proof."""
        if line.open and line.sent_to:
            line.under_way.append(self._answer(line, self.now))

    @rule(line=lines)
    def half_opens(self, line: Line) -> None:
        line.sent_to = False

    @rule(line=consumes(lines))
    def is_lost(self, line: Line) -> None:
        line.open = line.sent_to = False
        self.open.remove(line)
        was, line.acknowledged = line.acknowledged, False
        if was and not any(other.acknowledged for other in self.open):
            self.topic.lost(Reason.DISCONNECTED, Reason.RECONNECTED, 0)
        self.topic.coverage.leaves(line.runner, Reason.RECONNECTED, self.now)
        self._ask()

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.9, 1.1, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)
        self._ask()

    def _pass(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.topic.wake_at) is not None and at <= end:
            self.now = max(at, self.now)
            self.topic.tick(self.now, 0)
        self.now = end

    def _ask(self) -> None:
        for runner, at in list(self.topic.coverage.unproved()):
            for line in self.open:
                if line.runner is runner and line.asked_at < at:
                    line.asked_at = self.now
                    if line.sent_to:
                        line.under_way.append(self._answer(line, self.now))

    def _answer(self, line: Line, asked_at: float) -> Callable[[], None]:
        return lambda: self.topic.coverage.answered(line.runner, asked_at, self.now)

    # --- what must hold ---

    @invariant()
    def each_comes_once_in_order_and_holes_are_told(self) -> None:
        events = self.tap.events
        for event in events[self.judged :]:
            if isinstance(event, Gap):
                self.gap = True
            elif isinstance(event, Trade):
                number = int(event.trade_id[1:])
                last = self.last
                assert last is None or number > last, f"{number} came after {last}"
                assert last is None or self.gap or number == last + 1, f"{number} after {last}"
                self.last, self.gap = number, False
        self.judged = len(events)

    @invariant()
    def nothing_waits_for_long(self) -> None:
        waiting = [a.since for a in self.topic.coverage.apart.values() if a.since is not None]
        assert all(self.now - since <= 1.0 + 1e-6 for since in waiting)

    def teardown(self) -> None:
        """Whatever has happened: one healthy connection brings all that comes from then on."""
        line = self.opens(True)
        for _ in range(3):
            self.everything_arrives()
            self._pass(1.1)
        for other in self.open[:]:
            if other is not line and not other.sent_to:
                self.is_lost(other)
        self.everything_arrives()
        self.trades(2)
        self.everything_arrives()
        self._pass(1.1)
        self.each_comes_once_in_order_and_holes_are_told()
        assert self.last == self.published


class CountedConnections(Connections):
    exchange = Counting


def _judge(machine: type[Connections]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=250, stateful_step_count=40, deadline=None)
    )


def test_what_connections_bring_is_merged_in_order_and_its_holes_are_told() -> None:
    _judge(Connections)


def test_the_same_where_trades_are_counted() -> None:
    _judge(CountedConnections)


@pytest.mark.parametrize("machine", [Connections, CountedConnections])
@pytest.mark.parametrize("half_open", [False, True])
def test_what_the_only_one_that_follows_on_lost_comes_from_no_other_out_of_order(
    machine: type[Connections], half_open: bool
) -> None:
    """A slower connection brings what is missing only after the gap: too late, and the hole that
    follows on it would be hidden."""
    state = machine()
    state.begin()
    follows, slower = state.opens(True), state.opens(True)
    state.trades(1)
    if half_open:
        state.half_opens(slower)
    state.trades(1)
    for _ in range(3 if half_open else 2):  # the answer to a ping, and trades
        state.a_frame_is_unreadable(follows)
    state.teardown()


@pytest.mark.parametrize("machine", [Connections, CountedConnections])
def test_what_was_delivered_before_all_were_lost_proves_nothing_of_what_came_meanwhile(
    machine: type[Connections],
) -> None:
    """A connection that has lagged all the time knows what was delivered before the loss, and
    brings what nobody else brought only after what is newer."""
    state = machine()
    state.begin()
    lags = state.opens(False)
    state.subscribes(lags)
    first = state.opens(True)
    state.trades(2)
    state.arrives(first, 1)
    state.is_lost(first)
    second = state.opens(True)
    state.trades(1)
    state.arrives(second, 1)
    state.teardown()


@pytest.mark.parametrize("machine", [Connections, CountedConnections])
def test_an_answer_from_before_all_were_lost_proves_nothing_of_what_follows(
    machine: type[Connections],
) -> None:
    """What a half-open connection still brings is older than what a new one begins with."""
    state = machine()
    state.begin()
    half_open = state.opens(False)
    state.subscribes(half_open)
    first = state.opens(True)
    state.trades(2)
    state.arrives(half_open, 2)
    state.a_frame_is_unreadable(half_open)
    state.a_frame_is_unreadable(first)
    state.time_passes(1.1)
    state.trades(1)
    state.is_lost(first)
    state.is_lost(state.opens(True))
    state.half_opens(half_open)
    state.time_passes(0.9)
    last = state.opens(False)
    state.trades(2)
    state.subscribes(last)
    state.arrives(last, 4)
    state.teardown()


@pytest.mark.parametrize("machine", [Connections, CountedConnections])
def test_frames_lost_over_and_over_do_not_put_off_that_somebody_goes_on(
    machine: type[Connections],
) -> None:
    """One connection is dead without a word; the other one loses a frame now and then."""
    state = machine()
    state.begin()
    dead, lives = state.opens(True), state.opens(True)
    state.half_opens(dead)
    dead.under_way.clear()
    for _ in range(4):
        state.trades(2)
        state.a_frame_is_unreadable(lives)
        state.arrives(lives, 4)
        state.time_passes(0.5)
        state.each_comes_once_in_order_and_holes_are_told()
    assert state.last is not None, "nothing was delivered for two seconds"


def test_a_replacement_that_takes_for_ever_puts_off_what_waits_for_a_bounded_time() -> None:
    """While the connection that is to be replaced still brings things, a proof has more time."""
    state = Connections()
    state.begin()
    state.topic.coverage._relieved = lambda: True
    state.opens(True)
    new = state.opens(True)
    state.trades(1)
    state.arrives(new, 1)
    since = state.now
    while state.last is None and state.now < since + 60.0:
        state.trades(1)
        state.arrives(new, 1)
        state._pass(0.1)
        state.each_comes_once_in_order_and_holes_are_told()
    waited = state.now - since
    assert Coverage.BOUND < waited <= Coverage.PLANNED + Coverage.AGAIN + 0.2
