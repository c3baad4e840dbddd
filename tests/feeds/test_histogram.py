"""The histogram counts everything, and its quantiles are right to 1/64."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core.feeds.histogram import Histogram, LatencySummary

RANGE = (1 << 42) - 1
DURATIONS = st.one_of(
    st.integers(0, 200),
    st.integers(0, 10**9),
    st.integers(0, RANGE),
    st.integers(6, 41).flatmap(lambda bit: st.integers((1 << bit) - 2, (1 << bit) + 2)),
)
PARTS = st.one_of(st.floats(0, 1), st.sampled_from((0.0, 0.07, 0.5, 0.9, 0.99, 0.999, 1.0)))


def of(durations: Sequence[int]) -> Histogram:
    made = Histogram()
    for ns in durations:
        made.record(ns)
    return made


def exact(durations: Sequence[int], q: float) -> int:
    """The smallest that at least a part q of them doesn't exceed, by sorting."""
    rank = math.ceil(Fraction(str(q)) * len(durations))
    return sorted(durations)[max(rank, 1) - 1]


# --- what it tells ---


@given(st.lists(DURATIONS, min_size=1), PARTS)
@example([*range(1, 101)], 0.07)
@example([63, 64, 127, 128, 129, 255, 256], 0.5)
def test_a_quantile_is_the_sorted_lists_or_at_most_a_64th_above(
    durations: list[int], q: float
) -> None:
    right = exact(durations, q)
    assert right <= of(durations).quantile(q) <= right + right // 64


@given(st.integers(0, RANGE))
def test_a_single_duration_is_every_quantile_the_least_the_most_and_the_mean(ns: int) -> None:
    one = of([ns])
    assert {one.min_ns, one.max_ns, one.mean_ns, *map(one.quantile, (0, 0.3, 1))} == {ns}


@given(st.lists(DURATIONS, min_size=1))
def test_the_ends_are_exact_and_the_mean_to_a_128th(durations: list[int]) -> None:
    made = of(durations)
    assert (made.count, made.min_ns, made.max_ns) == (
        len(durations),
        min(durations),
        max(durations),
    )
    mean = Fraction(sum(durations), len(durations))
    assert made.mean_ns is not None
    assert abs(made.mean_ns - mean) <= mean / 128 + Fraction(1, 2)


@given(st.lists(DURATIONS, min_size=1), st.lists(PARTS, min_size=2))
def test_quantiles_never_fall(durations: list[int], parts: list[float]) -> None:
    made = of(durations)
    found = [made.quantile(q) for q in (0, *sorted(parts), 1)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (made.min_ns, made.max_ns)


@given(st.lists(DURATIONS))
def test_every_duration_is_in_the_bucket_that_ends_next_above_it(durations: list[int]) -> None:
    filled = list(of(durations).buckets())
    uppers = [upper for upper, _ in filled]
    assert uppers == sorted(set(uppers))
    assert sum(times for _, times in filled) == len(durations)
    for upper, times in filled:
        # All that round up to the same bucket differ by less than a 64th of the smallest.
        within = [ns for ns in durations if upper - upper // 64 <= ns <= upper]
        assert len(within) >= times > 0


def test_an_empty_one_has_no_figures() -> None:
    empty = Histogram()
    assert (empty.count, empty.min_ns, empty.max_ns, empty.mean_ns) == (0, None, None, None)
    assert empty.summary() is None
    assert list(empty.buckets()) == []
    with pytest.raises(ValueError, match="nothing was recorded"):
        empty.quantile(0.5)


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_part_that_is_none_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="not from 0 to 1"):
        of([1]).quantile(q)


def test_a_summary_has_the_histograms_own_figures() -> None:
    made = of([*range(1_000, 2_001_000, 1_000)])
    assert made.summary() == LatencySummary(
        count=made.count,
        min_ns=1_000,
        p50_ns=made.quantile(0.5),
        p90_ns=made.quantile(0.9),
        p99_ns=made.quantile(0.99),
        p999_ns=made.quantile(0.999),
        max_ns=2_000_000,
        mean_ns=made.mean_ns or 0,
    )


# --- what it counts ---


@given(st.lists(DURATIONS), st.randoms(use_true_random=False))
def test_the_order_does_not_matter(durations: list[int], random: Random) -> None:
    shuffled = durations.copy()
    random.shuffle(shuffled)
    assert of(shuffled) == of(durations)


@given(st.lists(DURATIONS), DURATIONS, st.integers(0, 300))
def test_a_count_is_as_many_times_the_same(before: list[int], ns: int, count: int) -> None:
    made = of(before)
    made.record(ns, count)
    assert made == of([*before, *[ns] * count])


def test_a_negative_count_is_refused_and_changes_nothing() -> None:
    made = of([5])
    with pytest.raises(ValueError, match="can't be negative: -1"):
        made.record(5, -1)
    assert made == of([5])


@given(st.integers(max_value=0))
def test_a_negative_duration_counts_as_none_at_all(ns: int) -> None:
    assert of([7, ns]) == of([7, 0])


@given(st.integers(RANGE + 1, 1 << 70))
def test_one_above_the_range_is_in_the_last_bucket_and_is_the_exact_maximum(ns: int) -> None:
    made = of([1, ns, RANGE + 1])
    assert list(made.buckets()) == [(1, 1), (RANGE, 2)]
    assert made.max_ns == made.quantile(1) == ns
    assert made.quantile(0.5) == RANGE


def test_the_range_is_more_than_an_hour() -> None:
    hour = 3_600 * 10**9
    assert hour <= of([hour, 2 * hour]).quantile(0.5) <= hour + hour // 64


# --- several of them ---


@given(st.lists(DURATIONS), st.lists(DURATIONS))
def test_merging_is_recording_everything_in_one(first: list[int], second: list[int]) -> None:
    made, other = of(first), of(second)
    made.merge(other)
    assert made == of(first + second)
    assert made.summary() == of(first + second).summary()
    assert other == of(second)


@given(st.lists(DURATIONS))
def test_merged_with_itself_it_has_everything_twice(durations: list[int]) -> None:
    made = of(durations)
    made.merge(made)
    assert made == of(durations * 2)


@given(st.lists(DURATIONS), DURATIONS)
def test_a_copy_goes_its_own_way(durations: list[int], ns: int) -> None:
    made = of(durations)
    copy = made.copy()
    assert copy == made
    copy.record(ns)
    assert made == of(durations)
    assert copy == of([*durations, ns])


@given(st.lists(DURATIONS), st.lists(DURATIONS))
def test_after_a_reset_it_is_as_new(before: list[int], after: list[int]) -> None:
    made = of(before)
    made.reset()
    assert made == Histogram()
    for ns in after:
        made.record(ns)
    assert made == of(after)


def test_it_is_as_small_as_the_durations_are_alike() -> None:
    def size(made: Histogram) -> int:
        return sys.getsizeof(made) + sum(map(sys.getsizeof, made._octaves))

    made = of([*range(20_000, 2_000_000, 100)] * 3)  # 20 µs to 2 ms
    assert size(made) < 9_000
    made.record(30 * 10**9)  # an outlier costs one octave more, not all in between
    assert size(made) < 10_000
