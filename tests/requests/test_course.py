"""A long history in parts: whatever there is, each row comes once and in order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Candle, Funding, GetFundingHistory, GetTradeHistory, Side, Trade, UsageError
from ccrs_core.model.histories import Bookmark, Series
from ccrs_core.requests.course import Course
from tests.scripted import BTC

SECOND = 10**9
NEVER = 10**19
ONE = Decimal(1)


def trade(at_ns: int, number: int) -> Trade:
    return Trade("toy", BTC.symbol, at_ns, 0, number, str(number), ONE, ONE, Side.BUY)


def funding(at_ns: int, number: int) -> Funding:
    return Funding("toy", BTC.symbol, at_ns, 0, Decimal(number), at_ns)


def place(series: Series, start_ns: int, end_ns: int, until_ns: int = NEVER) -> Bookmark:
    interval = "1m" if series.by_interval else None
    return Bookmark("toy", series, BTC.symbol, interval, start_ns, end_ns, start_ns, until_ns)


def bring(course: Course, rows: list[Any], *, by_time: bool, parts: int = 10**6) -> list[Any]:
    """What so many parts bring of an exchange that has these rows."""
    found: list[Any] = []
    while not course.complete and parts:
        parts -= 1
        asked: Any = course.question(by_time=by_time)
        assert asked.start_ns < asked.end_ns
        inside = [r for r in rows if asked.start_ns <= r.exchange_time_ns < asked.end_ns]
        found += course.take(inside[: asked.limit])
    return found


GAPS = st.lists(st.sampled_from([0, 0, 0, 1, SECOND, 70 * SECOND, 10**6 * SECOND]), max_size=60)


@given(
    gaps=GAPS,
    series=st.sampled_from([Series.TRADES, Series.FUNDING]),
    by_time=st.booleans(),
    broken=st.integers(0, 12),
    size=st.integers(2, 9),
    span=st.tuples(st.integers(0, 40), st.integers(0, 70)),
)
def test_a_history_in_parts_brings_each_row_once_wherever_it_is_broken_off(
    gaps: list[int],
    series: Series,
    by_time: bool,
    broken: int,
    size: int,
    span: tuple[int, int],
) -> None:
    at, rows = 10**18, []
    for number, gap in enumerate(gaps):
        at += gap
        rows.append((trade if series is Series.TRADES else funding)(at, number))
    times = [10**18, *(row.exchange_time_ns or 0 for row in rows), at + 1]
    first, last = sorted(times[min(each, len(times) - 1)] for each in span)
    course = Course(place(series, first, last), BTC, rows=size)
    found = bring(course, rows, by_time=by_time, parts=broken)
    again = Course(Bookmark.read(str(course.place)), BTC, rows=size + 1)
    found += bring(again, rows, by_time=by_time)
    assert found == [r for r in rows if first <= (r.exchange_time_ns or 0) < last]
    assert again.place.progress == 1


def test_stretches_of_time_grow_over_holes_and_shrink_where_much_happens() -> None:
    day = 86_400 * SECOND
    course = Course(place(Series.TRADES, 0, 2000 * day), BTC, rows=10)
    quiet = 0
    while course.place.at_ns < 1000 * day:
        asked: Any = course.question(by_time=True)
        course.take([])
        quiet += 1
    assert quiet < 25
    rows = [trade(course.place.at_ns + n * SECOND, n) for n in range(4000)]
    found = bring(course, rows, by_time=True, parts=1)
    assert found == rows  # the first busy stretch was long
    asked = course.question(by_time=True)
    assert asked.end_ns - asked.start_ns < 8 * day


@given(
    silence=st.integers(0, 10**7),
    every=st.sampled_from([10**6, SECOND, 60 * SECOND]),
    count=st.integers(1, 3000),
    end=st.integers(0, 10**7),
)
def test_after_a_silence_of_any_length_no_part_is_larger_than_there_is_room_for(
    silence: int, every: int, count: int, end: int
) -> None:
    rows = [trade(silence * SECOND + n * every, n) for n in range(count)]
    last_ns = rows[-1].exchange_time_ns or 0
    course = Course(place(Series.TRADES, 0, last_ns + 1 + end * SECOND), BTC, rows=10)
    found: list[Any] = []
    asked_for = in_vain = 0
    while not course.complete:
        asked: Any = course.question(by_time=True)
        inside = [r for r in rows if asked.start_ns <= (r.exchange_time_ns or 0) < asked.end_ns]
        asked_for += 1
        if course.most is not None and len(inside) > course.most:
            in_vain += 1
            course.narrow()
            continue
        assert len(inside) <= 40 or asked.end_ns - asked.start_ns <= SECOND
        found += course.take(inside)
    assert found == rows
    assert asked_for < 200 + count
    assert in_vain < 20 + count // 20


def test_rows_that_could_not_be_read_are_not_the_end() -> None:
    rows = [funding(at * SECOND, 0) for at in range(1, 40)]
    course = Course(place(Series.FUNDING, 0, 100 * SECOND), BTC, rows=10)
    found: list[Any] = []
    while not course.complete:
        asked: Any = course.question(by_time=False)
        inside = [r for r in rows if asked.start_ns <= (r.exchange_time_ns or 0) < asked.end_ns]
        found += course.take([r for r in inside[:10] if r.exchange_time_ns != 5 * SECOND])
    assert [r.exchange_time_ns for r in found] == [n * SECOND for n in range(1, 40) if n != 5]


def test_a_candle_that_was_open_when_the_download_began_is_not_part_of_it() -> None:
    def candle(minute: int, *, closed: bool) -> Candle:
        opened = minute * 60 * SECOND
        closing = opened + 60 * SECOND
        times = opened, closing
        return Candle(
            "toy", BTC.symbol, None, 0, "1m", *times, ONE, ONE, ONE, ONE, ONE, None, closed
        )

    # While it is asked for, minute 3 ends.
    begun = place(Series.CANDLES, 0, 210 * SECOND, until_ns=210 * SECOND)
    course = Course(begun, BTC, rows=3)
    asked: list[Any] = []
    found: list[Any] = []
    while not course.complete:
        asked.append(course.question(by_time=False))
        first = -(-asked[-1].start_ns // (60 * SECOND))
        found += course.take([candle(n, closed=True) for n in range(first, 4)][:3])
    assert [row.open_time_ns // (60 * SECOND) for row in found] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "{}", "[1]", '{"series":"candles"}', "null"),
        str(place(Series.TRADES, 5, 9)).replace('"start_ns":5', '"start_ns":7'),
        str(place(Series.TRADES, 5, 9)).replace('"at_ns":5', '"at_ns":"5"'),
    ],
)
def test_what_is_no_place_in_a_history_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no place in a history"):
        Bookmark.read(text)


def test_a_place_of_another_history_is_refused() -> None:
    told = place(Series.TRADES, 5, 9)
    told.check(symbol=BTC.symbol, start_ns=5, interval=None)
    with pytest.raises(UsageError, match="its symbol is"):
        told.check(symbol="ETH/USD")
    with pytest.raises(UsageError, match="its start is 1970"):
        told.check(start_ns=6)


def test_a_question_without_a_limit_asks_for_all() -> None:
    assert GetTradeHistory(BTC, 5).limit == GetFundingHistory(BTC).limit
    assert attrs.evolve(GetTradeHistory(BTC, 5, limit=3), limit=None).limit > 10**18
