"""Racing connections deliver what one alone would: everything once, in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.connections.runner import Runner
from ccrs_core.topics.race import Race

Number = int | bytes


@attrs.define(eq=False)
class Course:
    """A race of k connections on one topic, and what it let through."""

    runners: list[Runner]
    race: Race
    delivered: list[Number] = attrs.field(factory=list)
    frames: dict[int, int] = attrs.field(factory=dict)

    def bring(self, who: int, number: Number, now: float, *, restart: bool = False) -> bool:
        """A connection brings a copy; whether it was delivered."""
        runner = self.runners[who]
        self.frames[who] = self.frames.get(who, 0) + 1
        if self.race.late(number, restart, runner, now):
            return False
        self.race.won(number, restart, runner, now)
        self.delivered.append(number)
        return True

    def adds_up(self) -> None:
        for who, runner in enumerate(self.runners):
            assert runner.wins + runner.late + runner.repeats == self.frames.get(who, 0)
        assert sum(runner.wins for runner in self.runners) == len(self.delivered)


def course(connections: int) -> Course:
    runners = [Runner(epoch) for epoch in range(connections)]
    return Course(runners, Race("top.BTC", runners))


@st.composite
def interleavings(draw: st.DrawFn, *, least: int = 1) -> tuple[int, list[int], list[int]]:
    """Connections, the numbers that each of them brings, and who brings its next one when."""
    connections = draw(st.integers(least, 4))
    steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    first = draw(st.integers(0, 10**9))
    numbers = [first + sum(steps[:i]) for i in range(len(steps))]
    order = draw(st.permutations([c for c in range(connections) for _ in numbers]))
    return connections, numbers, list(order)


@given(interleavings(), st.floats(0, 0.2))
def test_copies_in_any_interleaving_are_delivered_once_and_in_order(
    plan: tuple[int, list[int], list[int]], step: float
) -> None:
    connections, numbers, order = plan
    track = course(connections)
    at = [0] * connections
    now = 0.0
    for who in order:
        fresh = all(at[other] <= at[who] for other in range(connections) if other != who)
        delivered = track.bring(who, numbers[at[who]], now)
        # Nothing is later than the fastest connection brings it.
        assert delivered == (fresh and numbers[at[who]] not in track.delivered[:-1])
        at[who] += 1
        now += step
    assert track.delivered == numbers
    track.adds_up()
    assert sum(r.late for r in track.runners) == len(numbers) * (connections - 1) - sum(
        r.repeats for r in track.runners
    )


@given(interleavings(least=2), st.data())
def test_connections_that_begin_late_or_end_early_change_nothing(
    plan: tuple[int, list[int], list[int]], data: st.DataObject
) -> None:
    connections, numbers, order = plan
    track = course(connections)
    begins = [0, *(data.draw(st.integers(0, len(numbers))) for _ in range(connections - 1))]
    at = [0] * connections
    joined: set[int] = set()
    for now, who in enumerate(order):
        index, at[who] = at[who], at[who] + 1
        # What a connection starts with is the present state, or lags behind it.
        if index >= begins[who] and (not who or index <= len(track.delivered)):
            joined.add(who)
        if who in joined:
            track.bring(who, numbers[index], now * 0.01)
    start = numbers.index(int(track.delivered[0]))
    assert track.delivered == numbers[start:]
    track.adds_up()


@given(st.integers(1, 3), st.lists(st.floats(0, 60), max_size=20))
def test_a_state_repeated_on_a_quiet_market_is_delivered_once(
    connections: int, waits: list[float]
) -> None:
    track = course(connections)
    now = 0.0
    assert track.bring(0, 100, now)
    for at, wait in enumerate(waits):
        now += wait
        assert not track.bring(at % connections, 100, now)
    assert track.bring(0, 101, now)
    track.adds_up()


@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 3), min_size=1, max_size=6),
    st.integers(1, 6),
    st.data(),
)
def test_a_restart_seen_at_different_times_delivers_the_new_count_once(
    connections: int, steps: list[int], after: int, data: st.DataObject
) -> None:
    old = [500 + sum(steps[:i]) for i in range(len(steps))]
    new = list(range(1, after + 1))
    script = [(n, False) for n in old] + [(n, n == 1) for n in new]
    order = data.draw(st.permutations([c for c in range(connections) for _ in script]))
    track = course(connections)
    at = [0] * connections
    for step, who in enumerate(order):
        number, restart = script[at[who]]
        track.bring(who, number, step * 0.01, restart=restart)
        at[who] += 1
    split = track.delivered.index(1)
    # The old count stops where the first connection restarts; nothing of it comes after that.
    assert track.delivered[:split] == old[:split]
    assert track.delivered[split:] == new
    assert split == len(old)
    track.adds_up()


@given(st.integers(2, 3), st.integers(1, 5), st.integers(1, 5), st.data())
def test_several_restarts_deliver_each_count_once(
    connections: int, length: int, times: int, data: st.DataObject
) -> None:
    script = [(n, n == 1) for _ in range(times) for n in range(1, length + 2)]
    track = course(connections)
    now = 0.0
    # Each connection lags by less than a whole count, as they do within one exchange.
    lags = [data.draw(st.integers(0, length)) for _ in range(connections)]
    lags[0] = 0
    for moment in range(len(script) + length):
        for who in range(connections):
            index = moment - lags[who]
            if 0 <= index < len(script):
                number, restart = script[index]
                track.bring(who, number, now, restart=restart)
        now += 0.01
    assert track.delivered == [number for number, _ in script]
    track.adds_up()


@given(st.integers(1, 3), st.integers(10**6, 2**63), st.integers(0, 20), st.floats(0.05, 1.0))
def test_a_corrupted_huge_number_heals_once_nothing_new_came_for_a_while(
    connections: int, huge: int, before: int, step: float
) -> None:
    track = course(connections)
    now, numbers = 0.0, count(100)
    for _ in range(before + 1):
        number = next(numbers)
        for who in range(connections):
            track.bring(who, number, now)
        now += step
    track.bring(0, huge, now)
    struck = now
    while now < struck + Race.STUCK + 2 * step + 1e-6:
        now += step
        number = next(numbers)
        for who in range(connections):
            track.bring(who, number, now)
    assert track.delivered[-1] == number
    healed = track.delivered.index(huge) + 1
    rest = track.delivered[healed:]
    assert rest == list(range(int(rest[0]), number + 1))
    for _ in range(5):
        number = next(numbers)
        assert [track.bring(who, number, now) for who in range(connections)] == [
            True,
            *[False] * (connections - 1),
        ]
    track.adds_up()


@given(st.integers(1, 4), st.lists(st.binary(min_size=1, max_size=3), unique=True), st.data())
def test_identities_are_delivered_once_in_the_order_of_their_first_arrival(
    connections: int, names: list[bytes], data: st.DataObject
) -> None:
    track = course(connections)
    order = data.draw(st.permutations([c for c in range(connections) for _ in names]))
    at = [0] * connections
    for step, who in enumerate(order):
        track.bring(who, names[at[who]], step * 0.01)
        at[who] += 1
    assert track.delivered == names
    track.adds_up()


@pytest.mark.parametrize("connections", [2, 3])
def test_what_is_remembered_is_bounded(connections: int) -> None:
    track = course(connections)
    for number in range(3 * Race.WINDOW):
        track.bring(0, number, number * 0.001)
        track.bring(0, b"%d" % number, number * 0.001)
    assert len(track.race._recent) + len(track.race._older) <= 2 * Race.WINDOW
    assert not track.bring(1, b"%d" % (3 * Race.WINDOW - 1), 4.0)
    # Beyond the window an identity is forgotten; the trades' own ids still tell it.
    assert track.bring(1, b"0", 4.0)


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=20))
def test_leads_and_lags_are_measured_in_seconds(lags: list[float]) -> None:
    track = course(2)
    expected, now = 0.0, 0.0
    for number, lag in enumerate(lags):
        track.bring(0, number, now)
        track.bring(1, number, now + lag)
        # The state that a connection starts with says nothing about its speed.
        expected += lag if number else 0.0
        now += 2.0
    fast, slow = track.runners
    assert fast.mean_ahead == pytest.approx(expected / (len(lags) - 1))
    assert slow.mean_behind == pytest.approx(expected / (len(lags) - 1))
    assert (fast.mean_behind, slow.mean_ahead) == (None, None)
    track.adds_up()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_after_a_reset_whatever_comes_is_new(numbers: Sequence[int]) -> None:
    track = course(2)
    for number in numbers:
        track.bring(0, number, 0.0)
    track.race.reset()
    assert track.bring(1, min(numbers), 0.0)
