"""One topic as several connections bring it: however frames arrive, singly, in bursts or as
copies, what is delivered is the same, and nothing that could be delivered waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.model.events import (
    BookUpdate,
    Gap,
    Liquidation,
    MarketData,
    Reason,
    Resumed,
    Stale,
    TopOfBook,
    Trade,
)
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.counted import Counted
from ccrs_core.topics.race import Race
from ccrs_core.topics.topic import Topic
from tests.connections.test_coverage_judge import Counting, Tap
from tests.toy import Toy, instrument

NAME = "any.BTC"
ONE = Decimal(1)


class Desk:
    """A topic with its consumers, and the connections that have carried it from the beginning."""

    def __init__(
        self, *channels: Channel, connections: int = 2, exchange: Toy | None = None
    ) -> None:
        self.now = 1.0
        self.runners = [Runner(number) for number in range(connections)]
        self.tap = Tap()
        self.topic = Topic(
            NAME,
            self.runners,
            live=lambda _: len(self.runners),
            resync=lambda *_: None,
            arm=lambda: None,
            exchange=Toy() if exchange is None else exchange,
        )
        for channel in channels:
            stream = self.topic.stream(Subscription(channel, instrument("BTC"), None, None))
            self.topic.attach(stream, self.tap)
        for runner in self.runners:
            self.topic.acknowledged(runner, 0.0, 0)
            self.topic.coverage.answered(self.runners[0], 0.0, 0.0)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self.topic.wake_at) is not None and at <= end:
            self.now = max(at, self.now)
            self.topic.tick(self.now, 0)
        self.now = end

    def all_lost(self) -> None:
        """Every connection is lost; as many come back."""
        self.topic.lost(Reason.DISCONNECTED, Reason.RECONNECTED, 0)
        for place, runner in enumerate(self.runners[:]):
            self.topic.coverage.leaves(runner, Reason.RECONNECTED, self.now)
            self.runners[place] = Runner(runner.epoch + len(self.runners), opened_at=self.now)
        for runner in self.runners:
            self.topic.acknowledged(runner, self.now, 0)
            self.topic.coverage.answered(self.runners[0], self.now, self.now)

    @property
    def told(self) -> list[object]:
        """What the consumers were given, in order; of notices not when."""
        return [
            (type(each), getattr(each, "reason", None))
            if isinstance(each, Gap | Stale | Resumed)
            else each
            for each in self.tap.events
        ]

    @property
    def figures(self) -> list[object]:
        race = self.topic.race
        return [race.last, race.generation] + [
            (runner.wins, runner.late, runner.repeats) for runner in self.runners
        ]


def top(number: int, restart: bool = False) -> Data:
    price = Decimal(number + 100 * restart)  # another state under the same number
    event = TopOfBook("toy", "BTC/USD", None, number, number, price, ONE, price + 1, ONE)
    return Data(NAME, (event,), number, restart)


def trade(number: int, restart: bool = False) -> Data:
    event = Trade("toy", "BTC/USD", None, 0, number, f"T{number}", ONE, ONE, Side.BUY)
    return Data(NAME, (event,))


def liquidation(number: int, restart: bool = False) -> Data:
    event = Liquidation("toy", "BTC/USD", None, number, Side.SELL, ONE, ONE)
    return Data(NAME, (event,), b"%d" % number)


def book(number: int, restart: bool = False) -> Data:
    levels = ((Decimal(number % 7 + 1), ONE),)
    snapshot = number % 5 == 0
    before = None if snapshot else number - 1
    event = BookUpdate("toy", "BTC/USD", None, number, number, snapshot, levels, (), before)
    return Data(NAME, (event,), number, restart)


MAKERS: dict[Channel, Callable[[int, bool], Data]] = {
    Channel.TOP_OF_BOOK: top,
    Channel.TRADES: trade,
    Channel.LIQUIDATIONS: liquidation,
    Channel.BOOK: book,
}
KINDS = [
    ((Channel.TOP_OF_BOOK,), Toy),
    ((Channel.TRADES,), Toy),
    ((Channel.TRADES,), Counting),
    ((Channel.LIQUIDATIONS,), Toy),
    ((Channel.BOOK,), Toy),
    ((Channel.TOP_OF_BOOK, Channel.LIQUIDATIONS), Toy),
]
frames = st.tuples(st.integers(0, 3), st.integers(1, 12), st.sampled_from([False] * 5 + [True]))
bursts = st.tuples(
    st.integers(0, 1),
    st.lists(frames, min_size=1, max_size=6),
    st.sampled_from([0.0, 0.01, 0.7, 4.0]),
    st.sampled_from([False] * 6 + [True]),
)


@pytest.mark.parametrize(("channels", "exchange"), KINDS)
@given(st.lists(bursts, max_size=8))
def test_a_burst_gives_what_its_frames_give_one_by_one(
    channels: Sequence[Channel],
    exchange: type[Toy],
    story: list[tuple[int, list[tuple[int, int, bool]], float, bool]],
) -> None:
    """Whatever numbers repeat, fall or begin anew within it, on either connection."""
    together, singly = (Desk(*channels, exchange=exchange()) for _ in range(2))
    for who, burst, seconds, lost in story:
        made = [
            [
                MAKERS[channels[kind % len(channels)]](number, restart)
                for kind, number, restart in burst
            ]
            for _ in range(2)
        ]
        together.topic.deliver_all(made[0], together.runners[who], together.now)
        for data in made[1]:
            singly.topic.deliver(data, singly.runners[who], singly.now)
        for desk in (together, singly):
            desk.pass_time(seconds)
            if lost:
                desk.all_lost()
        assert together.told == singly.told
        assert together.figures == singly.figures


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_a_state_told_several_times_is_delivered_once(numbers: list[int]) -> None:
    desk = Desk(Channel.TOP_OF_BOOK)
    desk.topic.deliver_all([top(number) for number in sorted(numbers)], desk.runners[0], 1.0)
    assert [e.sequence for e in desk.tap.events] == sorted(set(numbers))  # type: ignore[union-attr]


@given(st.data())
def test_counted_trades_wait_for_what_is_missing_and_for_nothing_else(data: st.DataObject) -> None:
    """Each connection loses some: as soon as one has brought what is missing, all that waited for
    it is delivered; nothing is doubled, and no gap told that another one fills."""
    connections = data.draw(st.integers(2, 3))
    last = data.draw(st.integers(1, 12))
    desk = Desk(Channel.TRADES, connections=connections, exchange=Counting())
    lines = [
        [n for n in range(1, last + 1) if n == 1 or data.draw(st.integers(0, 3)) != 0]
        for _ in range(connections)
    ]
    brought: set[int] = set()
    order = data.draw(st.permutations([who for who, line in enumerate(lines) for _ in line]))
    for who in order:
        number = lines[who].pop(0)
        brought.add(number)
        desk.topic.deliver_all([trade(number)], desk.runners[who], desk.now)
        desk.pass_time(0.01)  # 36 frames at most: less than anything waits for
        whole = next(n for n in range(1, last + 2) if n not in brought) - 1
        assert [e.sequence for e in desk.tap.events] == list(range(1, whole + 1))  # type: ignore[union-attr]
    desk.pass_time(Counted.BOUND)
    events = desk.tap.events
    assert [e.sequence for e in events if isinstance(e, Trade)] == sorted(brought)
    holes = sum(b != a + 1 for a, b in zip(sorted(brought), sorted(brought)[1:], strict=False))
    assert sum(isinstance(e, Gap) for e in events) == holes


# --- the ways into a race -------------------------------------------------------------------------


@attrs.define(eq=False)
class Entry:
    """A race and one of the ways in which updates may enter it."""

    short: bool
    runners: list[Runner] = attrs.field(factory=lambda: [Runner(0), Runner(1), Runner(2)])
    race: Race = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.race = Race(NAME, self.runners)

    def bring(self, who: int, numbers: list[int], restart: bool, now: float) -> list[bool]:
        race, runner = self.race, self.runners[who]
        last = race.last
        if (
            self.short
            and len(numbers) > 1
            and race.plain
            and last is not None
            and numbers[0] > last
        ):
            race.advance(numbers, runner, now)
            return [True] * len(numbers)
        if self.short:
            return [race.take(number, restart, runner, now) for number in numbers]
        verdicts = []
        for number in numbers:
            news = not race.late(number, restart, runner, now)
            if news:
                race.won(number, restart, runner, now)
            verdicts.append(news)
        return verdicts

    @property
    def state(self) -> list[object]:
        race = self.race
        figures: list[object] = [race.last, race.generation, race.adrift, race.advanced_at]
        for runner in self.runners:
            figures += [runner.wins, runner.late, runner.repeats, dict(runner.tops)]
            figures += [runner.mean_ahead, runner.mean_behind, dict(runner.generations)]
        return figures


brings = st.tuples(
    st.integers(0, 2),
    st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True).map(sorted),
    st.sampled_from([False] * 6 + [True]),
    st.sampled_from([0.0, 0.01, 1.0, 4.0, 11.0]),
    st.sampled_from([None] * 6 + ["drift", "reset", "begin"]),
)


@given(st.lists(brings, max_size=25))
def test_shortcuts_into_a_race_do_all_that_the_long_way_does(
    story: list[tuple[int, list[int], bool, float, str | None]],
) -> None:
    """After losses of all connections, restarts and fresh starts, too."""
    ways = Entry(short=True), Entry(short=False)
    now = 0.0
    for who, numbers, restart, seconds, then in story:
        now += seconds
        told = numbers[:1] if restart else numbers
        assert ways[0].bring(who, told, restart, now) == ways[1].bring(who, told, restart, now)
        for way in ways:
            if then == "drift":
                way.race.uncarried()
            elif then == "reset":
                way.race.reset()
            elif then == "begin":
                way.race.begin(numbers[-1], now)
        assert ways[0].state == ways[1].state


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4))
def test_once_data_is_back_after_a_loss_of_all_late_copies_are_copies_again(
    before: int, after: int, times: int
) -> None:
    """However often all connections are lost."""
    desk, number = Desk(Channel.TOP_OF_BOOK), 0
    seen: list[MarketData] = []
    for _ in range(times):
        fast, slow = desk.runners
        for _ in range(before + after):
            number += 1
            desk.topic.deliver(top(number), fast, desk.now)
            desk.pass_time(0.01)
        for copy in range(number - after + 1, number + 1):
            desk.topic.deliver(top(copy), slow, desk.now)
        seen = [event for event in desk.tap.events if isinstance(event, TopOfBook)]
        assert [event.sequence for event in seen] == list(range(1, number + 1))
        desk.all_lost()


@pytest.mark.parametrize("stretches", [1, 2, 5])
def test_trades_told_again_after_several_losses_in_a_row_are_not_delivered_again(
    stretches: int,
) -> None:
    """An exchange that begins a subscription with its latest trades."""
    desk = Desk(Channel.TRADES)
    for number in range(1, 21):
        desk.topic.deliver_all([trade(number)], desk.runners[0], desk.now)
    for stretch in range(stretches):
        desk.pass_time(1.0)
        desk.all_lost()
        latest = 21 + stretch
        again = [trade(number) for number in range(1, latest + 1)]
        desk.topic.deliver_all(again, desk.runners[0], desk.now)
        seen = [event.sequence for event in desk.tap.events if isinstance(event, Trade)]
        assert seen == list(range(1, latest + 1))


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
)
def test_counted_trades_told_again_are_no_new_count(sizes: list[int], again: list[int]) -> None:
    """An exchange that repeats its latest trades on the connection that has brought them."""
    desk, number = Desk(Channel.TRADES, exchange=Counting()), 0
    for size in sizes:
        burst = [trade(number + place) for place in range(1, size + 1)]
        number += size
        desk.topic.deliver_all(burst, desk.runners[0], desk.now)
    for which in again:
        for runner in desk.runners:
            desk.topic.deliver_all([trade(which % number + 1)], runner, desk.now)
    desk.topic.deliver_all([trade(number + 1)], desk.runners[0], desk.now)
    assert [type(event) for event in desk.tap.events] == [Trade] * (number + 1)
    assert [e.sequence for e in desk.tap.events] == list(range(1, number + 2))  # type: ignore[union-attr]
