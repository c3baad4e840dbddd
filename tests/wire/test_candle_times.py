"""When candles may have opened that are open now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.conformance.judges.calendars import candle_at
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.wire.candle_times import later, open_since

TIMES = st.integers(31_536_000, 7_258_118_400).map(lambda seconds: seconds * 10**9)
"""From 1971 to 2200."""


@pytest.mark.parametrize("interval", INTERVALS)
@given(now_ns=TIMES)
def test_the_candle_that_is_open_has_not_opened_before_that_and_the_one_before_it_has(
    interval: str, now_ns: int
) -> None:
    opened_ns, _ = candle_at(interval, now_ns)
    former_ns, _ = candle_at(interval, opened_ns - 1)
    assert former_ns < open_since(now_ns, interval) <= opened_ns


@given(now_ns=TIMES)
def test_what_opened_an_interval_ago_has_been_closed(now_ns: int) -> None:
    for interval in INTERVALS:
        if interval != "1M":
            assert later(open_since(now_ns, interval) - 1, interval, 1) == now_ns
