"""The trail tells exactly which frames were handed on, whatever is added, forgotten or cleared."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ccrs_core.connections.runner import Runner
from ccrs_core.connections.trail import Trail

FRAMES = st.integers(0, 40).map(lambda n: b"%d" % n)


class SmallTrail(Trail):
    LIMIT = 4
    LONGEST = 10


class Following(RuleBasedStateMachine):
    """Against a plain list of everything that was ever added."""

    @initialize()
    def begin(self) -> None:
        self.trail = SmallTrail()
        self.added: dict[int, bytes] = {}
        self.stamp = (0.0, Runner(1))

    @rule(frame=FRAMES)
    def add(self, frame: bytes) -> None:
        place = self.trail.end
        self.trail.add(frame, ("topic", place), self.stamp)
        assert self.trail.end == place + 1
        self.added[place] = frame

    @rule()
    def add_a_long_one(self) -> None:
        place = self.trail.end
        self.trail.add(b"x" * 11, ("topic", place), self.stamp)
        assert self.trail.end == place

    @rule()
    def clear(self) -> None:
        end = self.trail.end
        self.trail.clear()
        self.added.clear()
        assert self.trail.end > end

    @rule(frame=FRAMES)
    def find(self, frame: bytes) -> None:
        found = self.trail.find(frame)
        if found is None:
            places = range(self.trail.base, self.trail.end)
            assert frame not in [self.added[place] for place in places]
        else:
            assert self.added[found] == frame
            assert self.trail.steps[found - self.trail.base] == ("topic", found)

    @rule(back=st.integers(0, 12), count=st.integers(1, 12), other=st.booleans())
    def follow(self, back: int, count: int, other: bool) -> None:
        place = max(self.trail.end - back, 0)
        expected = [self.added.get(place + n) for n in range(count)]
        frames = [frame if frame is not None else b"new" for frame in expected]
        if other:
            frames[0] = b"other"
        taken = self.trail.follow(frames, place)
        there = 0 if place < self.trail.base or other else min(count, self.trail.end - place)
        assert taken == there

    @invariant()
    def it_stays_small(self) -> None:
        assert len(self.trail.frames) == len(self.trail.steps) == len(self.trail.stamps)
        assert len(self.trail.frames) < 2 * SmallTrail.LIMIT
        assert len(self.trail._index) + len(self.trail._index_before) <= 4 * SmallTrail.LIMIT


test_the_trail_is_followed_exactly = pytest.mark.filterwarnings("error")(Following.TestCase)
test_the_trail_is_followed_exactly.settings = settings(max_examples=60, stateful_step_count=40)
