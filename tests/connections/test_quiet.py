"""Quiet streams are told from dead ones, whatever the exchange's answers lag behind."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core.connections.quiet import Quiet, Verdict

_TICK = 5.0
"""Seconds between looks at what was heard, unless told otherwise."""


def _simulated(
    happened: list[float],
    told: list[float],
    ages: list[float],
    *,
    until: float,
    tick: float = _TICK,
    eager: bool = False,
) -> list[tuple[float, Verdict]]:
    """What is found of a stream that tells at certain times of what has happened; the exchange's
    answers are some seconds old. ``eager``: others ask, too, and their answers are used."""
    quiet, found, now, asked = Quiet(0.0), [], 0.0, 0
    told = sorted(told)
    while now < until:
        now += tick
        heard = bisect_right(told, now)
        if heard:
            quiet.hears(told[heard - 1])
        if quiet.due <= now or (eager and quiet.soon(now)):
            age = ages[asked % len(ages)]
            asked += 1
            mark = str(bisect_right(happened, now - age))
            verdict = quiet.answered(mark, now, now)
            found.append((now, verdict))
            if verdict is Verdict.DEAD:
                quiet.begins(now)
    return found


_STEPS = st.lists(st.floats(0.1, 120.0), max_size=30)
_AGES = st.lists(st.floats(0.0, Quiet.CACHE - 0.1), min_size=1, max_size=7)


@given(
    _STEPS,
    st.lists(st.floats(0.0, Quiet.GRACE - 0.1), min_size=30, max_size=30),
    _AGES,
    st.sampled_from([1.0, _TICK]),
    st.booleans(),
)
@example([1.0] * 20, [0.0] * 20, [9.0], 1.0, True)
@example([24.5], [4.8], [0.0], 1.0, True)
def test_a_stream_that_tells_of_everything_is_never_called_dead(
    steps: list[float], delays: list[float], ages: list[float], tick: float, eager: bool
) -> None:
    happened = list(accumulate(steps))
    told = [at + delay for at, delay in zip(happened, delays, strict=False)]
    found = _simulated(happened, told, ages, until=2000.0, tick=tick, eager=eager)
    assert Verdict.DEAD not in {verdict for _, verdict in found}


@given(st.lists(st.floats(0.1, 5.0), min_size=400, max_size=400), st.floats(0.0, 300.0), _AGES)
def test_a_stream_that_dies_in_a_lively_market_is_found_out_within_a_minute(
    steps: list[float], dies: float, ages: list[float]
) -> None:
    happened = list(accumulate(steps, initial=0.0))
    happened += [happened[-1] + 4.0 * n for n in range(1, 200)]
    told = [at for at in happened if at <= dies]
    found = _simulated(happened, told, ages, until=dies + 60.0)
    assert any(verdict is Verdict.DEAD for _, verdict in found)


def test_after_each_word_of_a_stream_questions_are_spread_out_anew() -> None:
    quiet, mark = Quiet(0.0), "1"
    spread: list[list[float]] = []
    for word in range(4):
        waits = []
        for _ in range(8):
            asked = quiet.due
            assert quiet.answered(mark, asked, asked) is not Verdict.DEAD
            waits.append(quiet.due - asked)
        spread.append(waits)
        mark = str(word)
        quiet.begins(asked + 1.0)
        assert quiet.due == asked + 1.0 + Quiet.FIRST
    assert spread == [spread[0]] * 4
    assert spread[0][0] == Quiet.FIRST


@given(_AGES, st.floats(0.0, 500.0))
def test_what_happened_once_is_enough(ages: list[float], when: float) -> None:
    found = _simulated([when], [], ages, until=3000.0)
    dead = [at for at, verdict in found if verdict is Verdict.DEAD]
    # Nothing can be told of what happened before the first look.
    assert len(dead) == 1 or when <= Quiet.FIRST + _TICK


def test_questions_about_a_stream_that_stays_quiet_are_spread_out_to_ten_minutes() -> None:
    asked = [at for at, _ in _simulated([], [], [0.0], until=7200.0)]
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == Quiet.FIRST
    assert gaps == sorted(gaps)
    assert gaps[-1] == Quiet.LONGEST
    assert len(asked) < 20


def test_a_stream_of_a_slow_rhythm_is_not_asked_about_in_every_pause() -> None:
    happened = [30.0 * n for n in range(1, 100)]
    asked = [at for at, _ in _simulated(happened, happened, [0.0], until=3000.0)]
    assert [at for at in asked if at > 60.0] == []


def test_what_is_dead_whatever_is_done_is_given_more_and_more_time() -> None:
    happened = [1.0 * n for n in range(20_000)]
    found = _simulated(happened, [], [0.0], until=20_000.0)
    dead = [at for at, verdict in found if verdict is Verdict.DEAD]
    gaps = [later - earlier for earlier, later in pairwise(dead)]
    assert gaps[0] < 40.0
    assert gaps == sorted(gaps)
    assert gaps[-1] >= Quiet.LONGEST


def test_an_answer_that_does_not_tell_of_it_proves_nothing() -> None:
    quiet = Quiet(0.0)
    assert quiet.answered("1", 20.0, 20.0) is Verdict.NOTHING
    assert quiet.answered("2", 40.0, 40.0) is Verdict.NOTHING
    assert quiet.answered(None, 50.0, 50.0) is Verdict.NOTHING
    assert not quiet.provable
    assert quiet.answered("2", 60.0, 60.0) is Verdict.NOTHING
    assert quiet.provable
