"""Pages of candles that go back in time bring exactly what was asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.candle_times import later
from ccrs_core.model import NS_PER_SECOND
from ccrs_core.paging import candle_page, earlier_candles, within
from ccrs_core.rest import GetCandles
from tests.toy import instrument

MINUTE = 60 * NS_PER_SECOND
FIRST = 1_700_000_040 * NS_PER_SECOND
LONGEST_PAGE = 7


def paged(request: GetCandles, listed: list[int]) -> tuple[list[int], int]:
    """What an exchange's answers bring, that lists the newest before a time; and how many."""
    found: list[int] = []
    cursor: str | None = None
    for pages in range(1, 100):
        page = candle_page(request, cursor)
        assert page.count > 0
        before_ms = page.before_ms
        fitting = [at for at in listed if before_ms is None or at < before_ms * 10**6]
        rows = fitting[-min(page.count, LONGEST_PAGE) :]
        found = [at for at in rows if within(request, at)] + found
        cursor = earlier_candles(request, cursor, rows[0] if rows else None, len(rows))
        if cursor is None:
            return found, pages
    raise AssertionError("it goes on asking")


@given(
    st.integers(0, 60),
    st.none() | st.integers(-5, 65),
    st.none() | st.integers(-5, 65),
    st.integers(1, 40),
    st.sampled_from([0, 1, MINUTE // 2]),
)
def test_pages_bring_exactly_what_was_asked_for(
    listed: int, start: int | None, end: int | None, limit: int, aside_ns: int
) -> None:
    opens = [FIRST + n * MINUTE for n in range(listed)]
    start_ns = None if start is None else FIRST + start * MINUTE - aside_ns
    end_ns = None if end is None else FIRST + end * MINUTE + aside_ns
    request = GetCandles(instrument("A"), "1m", start_ns, end_ns, limit)
    wanted = [at for at in opens if within(request, at)]
    if start_ns is not None:
        # Before an instrument was listed there is nothing; its intervals count nevertheless.
        wanted = [at for at in wanted if at < start_ns + limit * MINUTE]
    found, pages = paged(request, opens)
    assert found == wanted[-limit:]
    assert pages <= limit // LONGEST_PAGE + 2


@given(st.integers(0, 40), st.integers(0, 30), st.integers(1, 40))
def test_months_are_paged_as_well(listed: int, start: int, limit: int) -> None:
    january = 1_704_067_200 * NS_PER_SECOND
    opens = [later(january, "1M", n) for n in range(listed)]
    start_ns = later(january, "1M", start)
    request = GetCandles(instrument("A"), "1M", start_ns, None, limit)
    found, _ = paged(request, opens)
    assert found[:limit] == [at for at in opens if at >= start_ns][:limit]


@given(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(1, 40))
def test_candles_that_an_exchange_leaves_out_lose_no_others(
    listed: set[int], start: int, limit: int
) -> None:
    opens = [FIRST + n * MINUTE for n in sorted(listed)]
    start_ns = FIRST + start * MINUTE
    request = GetCandles(instrument("A"), "1m", start_ns, None, limit)
    found, _ = paged(request, opens)
    span = [at for at in opens if start_ns <= at < start_ns + limit * MINUTE]
    assert found == span
