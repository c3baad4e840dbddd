"""Pages of candles bring exactly what was asked for, wherever holes are."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccrs_core.contract.rest import GetCandles
from ccrs_core.model.events import Candle
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.wire.candle_times import later
from ccrs_core.wire.paging import candle_page, candles_of_page, goes_back, within
from tests.toy import instrument

MINUTE = 60 * NS_PER_SECOND
FIRST = 1_700_000_040 * NS_PER_SECOND
MOST = 7
LONGEST = 2**40


def candle(open_ns: int) -> Candle:
    one = Decimal(1)
    close_ns = open_ns + MINUTE
    return Candle(
        *("toy", "A/USD", None, 0, "1m", open_ns, close_ns), one, one, one, one, one, None, True
    )


def paged(
    request: GetCandles, listed: list[int], now_ns: int, longest: int = LONGEST
) -> tuple[list[int], int]:
    """What is brought by an exchange that answers with the newest of a stretch; and its pages."""
    pages: list[list[int]] = []
    cursor: str | None = None
    while len(pages) < 2000:
        page = candle_page(request, cursor, MOST, longest)
        assert 0 < page.count <= MOST
        since, before = page.since_ms or 0, page.before_ms
        fitting = [
            at for at in listed if since <= at // 10**6 and (before is None or at < before * 10**6)
        ]
        rows = list(map(candle, fitting[-page.count :]))
        wanted, cursor = candles_of_page(
            request, cursor, MOST, rows, now_ns, rows=len(rows), longest=longest
        )
        pages.append([each.open_time_ns for each in wanted])
        if cursor is None:
            ordered = pages[::-1] if goes_back(request) else pages
            return [at for page in ordered for at in page], len(pages)
    raise AssertionError("it goes on asking")


@st.composite
def histories(draw: st.DrawFn) -> list[int]:
    """Candles in runs, with halts of any length between them."""
    opens, at = [], 0
    for _ in range(draw(st.integers(0, 4))):
        at += draw(st.sampled_from([0, 1, 6, 7, 8, 50, 1000, 43_200, 600_000]))
        for _ in range(draw(st.integers(1, 20))):
            opens.append(FIRST + at * MINUTE)
            at += 1
    return opens


@given(
    histories(),
    st.none() | st.integers(-50_000, 50_000),
    st.none() | st.integers(-5, 700_000),
    st.integers(1, 40),
    st.sampled_from([0, 1, MINUTE // 2]),
    st.sampled_from([LONGEST, 3, 500]),
)
@settings(deadline=None)
@example([FIRST + n * MINUTE for n in range(20)], -10_000, None, 15, 0, LONGEST)
@example(
    [FIRST + n * MINUTE for n in (*range(100), *range(43_300, 43_800))], 0, None, 40, 0, LONGEST
)
def test_pages_bring_exactly_what_was_asked_for(
    opens: list[int],
    start: int | None,
    end: int | None,
    limit: int,
    aside_ns: int,
    longest: int,
) -> None:
    start_ns = None if start is None else FIRST + start * MINUTE - aside_ns
    end_ns = None if end is None else FIRST + end * MINUTE + aside_ns
    request = GetCandles(instrument("A"), "1m", start_ns, end_ns, limit)
    now_ns = max([FIRST, *opens]) + MINUTE
    wanted = [at for at in opens if within(request, at)]
    if longest < 1000 and (now_ns - min(FIRST, start_ns or FIRST)) > 2000 * MINUTE:
        longest = LONGEST  # an exchange of short stretches has long histories asked for at length
    found, pages = paged(request, opens, now_ns, longest)
    if start_ns is None:
        assert found == wanted[-limit:]
    else:
        # The client cuts what the last page brings too many.
        assert found[:limit] == wanted[:limit]
    if longest == LONGEST:
        assert pages <= 2 * limit + 200


@given(st.integers(0, 40), st.integers(0, 60), st.integers(1, 40), st.integers(0, 200))
@settings(deadline=None)
def test_months_are_paged_as_well(listed: int, start: int, limit: int, listed_after: int) -> None:
    january = 1_004_572_800 * NS_PER_SECOND
    opens = [later(january, "1M", listed_after + n) for n in range(listed)]
    start_ns = later(january, "1M", start)
    request = GetCandles(instrument("A"), "1M", start_ns, None, limit)
    found, _ = paged(request, opens, later(january, "1M", 250))
    assert found[:limit] == [at for at in opens if at >= start_ns][:limit]


def test_before_now_nothing_is_asked_for_again_and_again() -> None:
    request = GetCandles(instrument("A"), "1m", FIRST, None, 200)
    found, pages = paged(request, [], FIRST + 5 * 365 * 1440 * MINUTE)
    assert found == []
    assert pages < 12
