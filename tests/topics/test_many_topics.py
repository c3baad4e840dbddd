"""Many topics on one connection: what a burst of them gives is what its frames give one by one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core.connections.bursts import deliver
from ccrs_core.connections.runner import Runner
from ccrs_core.contract.codec import Data
from ccrs_core.feeds.stream import Stream
from ccrs_core.model.events import Gap, MarkPrice, Reason, StreamData, TopOfBook
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.topics.topic import Topic
from tests.connections.test_coverage_judge import Counting, Tap
from tests.topics import test_bursts
from tests.topics.test_bursts import top
from tests.toy import Toy, instrument

LAYOUTS: list[tuple[tuple[Channel, ...], type[Toy]]] = [
    ((Channel.TOP_OF_BOOK,), Toy),
    ((Channel.TOP_OF_BOOK,), Toy),
    ((Channel.TRADES,), Toy),
    ((Channel.TRADES,), Counting),
    ((Channel.BOOK,), Toy),
    ((Channel.TOP_OF_BOOK, Channel.LIQUIDATIONS), Toy),
    ((Channel.TOP_OF_BOOK, Channel.MARK_PRICE), Toy),
]
"""The channels of each topic, and the exchange that it is of."""
CONSUMERS = 2


def mark_price(number: int, restart: bool = False) -> Data:
    event = MarkPrice("toy", "BTC/USD", None, number, Decimal(number + 100 * restart), None)
    return Data("", (event,), number, restart)


MAKERS = {**test_bursts.MAKERS, Channel.MARK_PRICE: mark_price}


class Hall:
    """Topics on the same connections, and consumers that each have some of their streams."""

    def __init__(self, connections: int, wanted: Sequence[set[int]]) -> None:
        self.now = 1.0
        self.runners = [Runner(number) for number in range(connections)]
        self.taps = [Tap() for _ in range(CONSUMERS)]
        self.topics: dict[str, Topic] = {}
        self.streams: list[Stream] = []
        self.numbers = [0] * len(LAYOUTS)
        for place, (channels, exchange) in enumerate(LAYOUTS):
            name = f"topic {place}"
            topic = self.topics[name] = Topic(
                name,
                self.runners,
                live=lambda _: len(self.runners),
                resync=lambda *_: None,
                arm=lambda: None,
                exchange=exchange(),
            )
            for channel in channels:
                stream = topic.stream(Subscription(channel, instrument("BTC"), None, None))
                self.streams.append(stream)
                for consumer in sorted(wanted[place]):
                    topic.attach(stream, self.taps[consumer])
        self._begin()

    def _begin(self) -> None:
        for topic in self.topics.values():
            for runner in self.runners:
                topic.acknowledged(runner, self.now, 0)
            for runner in self.runners:
                topic.coverage.answered(runner, self.now, self.now)

    def made(self, topic: int, kind: int, further: int, restart: bool) -> Data:
        """Of a topic, with a number so much above the highest that it had before."""
        channels, _ = LAYOUTS[topic]
        make = MAKERS[channels[kind % len(channels)]]
        number = max(1, self.numbers[topic] + further)
        if restart and further < 2:
            number = 1
        self.numbers[topic] = number if restart else max(number, self.numbers[topic])
        data = attrs.evolve(make(number, restart), topic=f"topic {topic}")
        if further > 2 and data.sequence is None:
            data.events = (*data.events, *make(number, False).events)
        return data

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for topic in self.topics.values():
            while (at := topic.wake_at) is not None and at <= self.now:
                topic.tick(self.now, 0)

    def all_lost(self) -> None:
        """Every connection is lost; as many come back."""
        for topic in self.topics.values():
            topic.lost(Reason.DISCONNECTED, Reason.RECONNECTED, 0)
        old = self.runners[:]
        for place, runner in enumerate(old):
            self.runners[place] = Runner(runner.epoch + len(old), opened_at=self.now)
        for topic in self.topics.values():
            for runner in old:
                topic.coverage.leaves(runner, Reason.RECONNECTED, self.now)
        self._begin()

    def one_lost(self, which: int) -> None:
        """A connection is replaced by one that isn't known to follow on."""
        place = which % len(self.runners)
        old, now = self.runners[place], self.now
        self.runners[place] = Runner(old.epoch + 10, opened_at=now, apart=set(self.topics))
        for topic in self.topics.values():
            topic.coverage.leaves(old, Reason.RECONNECTED, now)

    def acknowledged(self, which: int) -> None:
        for topic in self.topics.values():
            topic.acknowledged(self.runners[which % len(self.runners)], self.now, 0)

    def silent(self, which: int) -> None:
        """A stream is found silent."""
        self.streams[which % len(self.streams)].stale(Reason.SILENT, 0)

    def interrupted(self, which: int) -> None:
        """Something may be missing of a topic."""
        self.topics[f"topic {which % len(LAYOUTS)}"].interrupt(Reason.UNREADABLE)

    @property
    def state(self) -> object:
        """What each consumer was given, in order, and all that is counted or remembered."""
        told = [
            [(type(e), e.reason) if isinstance(e, Gap) else e for e in tap.events]
            for tap in self.taps
        ]
        scores = [
            (each.wins, each.late, each.repeats, sorted(each.tops.items())) for each in self.runners
        ]
        races = [
            (race.last, race.generation, race.advanced_at, race.adrift, race.restarted_by is None)
            for race in (topic.race for topic in self.topics.values())
        ]
        streams = [
            (each.delivered, each.gaps, each.last_sequence, each.last_received_ns, each.latest)
            for each in self.streams
        ]
        repeated = [topic.known.repeated for topic in self.topics.values()]
        return told, scores, races, streams, repeated


frames = st.tuples(
    st.integers(0, 2),
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([1] * 6 + [-3, -1, 0, 2, 3]),
        st.sampled_from([False] * 11 + [True]),
    ),
)
TROUBLE = ("all_lost", "one_lost", "acknowledged", "silent", "interrupted")
steps = st.tuples(
    st.integers(0, 1),
    st.lists(frames, min_size=1, max_size=20),
    st.sampled_from([0.0, 0.01, 0.7, 4.0]),
    st.sampled_from([None] * 5 + list(TROUBLE)),
    st.integers(0, 11),
)


ALL = [{0}] * len(LAYOUTS)
NEXT, BACK, COPY, ABOVE = ((0, n, False) for n in (1, -1, 0, 3))
RESTART = (0, 1, True)


@settings(max_examples=200)
@example(  # a neighbour of the same topic, which was silent, is heard of
    connections=1,
    chosen=[6, 0],
    wanted=ALL,
    story=[
        (0, [(0, NEXT), (0, (1, 1, False)), (1, NEXT)], 0.0, "silent", 8),
        (0, [(0, NEXT), (1, NEXT)], 0.0, None, 0),
    ],
)
@example(  # a trade from before a loss of all is told again
    connections=1,
    chosen=[2, 0],
    wanted=ALL,
    story=[
        (0, [(0, NEXT), (1, NEXT), (0, NEXT)], 0.0, "all_lost", 0),
        (0, [(0, NEXT), (1, NEXT)], 0.0, None, 0),
        (0, [(0, BACK), (1, NEXT)], 0.0, None, 0),
    ],
)
@example(  # the count from before a restart goes on, on the other connection
    connections=2,
    chosen=[0, 1],
    wanted=ALL,
    story=[
        (0, [(0, NEXT), (1, NEXT), (0, NEXT)], 0.0, None, 0),
        (1, [(0, COPY), (1, COPY)], 0.0, None, 0),
        (0, [(0, RESTART), (1, NEXT)], 0.0, None, 0),
        (1, [(0, ABOVE), (1, COPY)], 0.0, None, 0),
    ],
)
@given(
    st.integers(1, 2),
    st.permutations(range(len(LAYOUTS))),
    st.lists(
        st.sampled_from([{0}, {0}, {1}, {0, 1}, set[int]()]),
        min_size=len(LAYOUTS),
        max_size=len(LAYOUTS),
    ),
    st.lists(steps, min_size=1, max_size=8),
)
def test_a_burst_of_several_topics_gives_what_its_frames_give_one_by_one(
    connections: int,
    chosen: Sequence[int],
    wanted: list[set[int]],
    story: list[tuple[int, list[tuple[int, tuple[int, int, bool]]], float, str | None, int]],
) -> None:
    """Whoever consumes which of them, whatever repeats, falls, begins anew, is lost or silent."""
    together, singly = (Hall(connections, wanted) for _ in range(2))
    for who, burst, seconds, trouble, which in story:
        for hall in (together, singly):
            runner = hall.runners[who % connections]
            made = [hall.made(chosen[topic], *frame) for topic, frame in burst]
            if hall is together:
                deliver(hall.topics, made, runner, hall.now)
            else:
                for data in made:
                    hall.topics[data.topic].deliver(data, runner, hall.now)
            hall.pass_time(seconds)
            if trouble == "all_lost":
                hall.all_lost()
            elif trouble is not None:
                getattr(hall, trouble)(which)
        assert together.state == singly.state


class Puts(Tap):
    """Counts how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def put(self, events: Sequence[StreamData]) -> None:
        self.calls += 1
        self.events += events


@pytest.mark.parametrize("count", [2, 20])
def test_a_consumer_of_topics_that_take_turns_is_called_once_a_burst(count: int) -> None:
    tap, runner = Puts(), Runner(1)
    topics: dict[str, Topic] = {}
    for place in range(count):
        topic = topics[f"topic {place}"] = Topic(
            f"topic {place}",
            [runner],
            live=lambda _: 1,
            resync=lambda *_: None,
            arm=lambda: None,
            exchange=Toy(),
        )
        subscription = Subscription(Channel.TOP_OF_BOOK, instrument("BTC"), None, None)
        topic.attach(topic.stream(subscription), tap)
        topic.acknowledged(runner, 0.0, 0)

    def burst(numbers: Sequence[int]) -> list[Data]:
        return [attrs.evolve(top(n), topic=name) for n in numbers for name in topics]

    deliver(topics, burst([1]), runner, 0.0)  # with which each of them begins
    tap.events.clear()
    tap.calls = 0
    deliver(topics, burst([2, 3]), runner, 0.1)
    found = [event.sequence for event in tap.events if isinstance(event, TopOfBook)]
    assert found == [2] * count + [3] * count
    assert tap.calls == 1


def test_data_of_a_topic_that_nobody_has_any_more_goes_nowhere() -> None:
    hall = Hall(1, [{0}] * len(LAYOUTS))
    burst = [hall.made(0, 0, 1, False), hall.made(1, 0, 1, False), hall.made(0, 0, 2, False)]
    del hall.topics["topic 1"]
    deliver(hall.topics, burst, hall.runners[0], 0.0)
    assert hall.taps[0].events == [data.events[0] for data in burst[::2]]
