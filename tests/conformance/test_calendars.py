"""The suite's calendar, by dates that were written down by hand."""

from __future__ import annotations

import time

import pytest

from ccrs_core.conformance.judges.calendars import (
    at,
    candle_at,
    elsewhere,
    opens_until,
    payment_after,
    payments_until,
)
from ccrs_core.model.subscriptions import INTERVALS


@pytest.mark.parametrize(
    ("interval", "time_", "opens", "closes"),
    [
        ("1m", "2024-02-29 23:59:59", "2024-02-29 23:59", "2024-03-01 00:00"),
        ("3m", "2024-02-29 23:59:59", "2024-02-29 23:57", "2024-03-01 00:00"),
        ("30m", "2025-12-31 23:45", "2025-12-31 23:30", "2026-01-01 00:00"),
        ("2h", "2025-06-30 13:00", "2025-06-30 12:00", "2025-06-30 14:00"),
        ("6h", "2025-06-30 13:00", "2025-06-30 12:00", "2025-06-30 18:00"),
        ("12h", "2025-06-30 12:00", "2025-06-30 12:00", "2025-07-01 00:00"),
        ("1d", "2024-02-28 12:00", "2024-02-28 00:00", "2024-02-29 00:00"),
        ("1d", "2025-02-28 12:00", "2025-02-28 00:00", "2025-03-01 00:00"),
        ("1w", "2024-01-01 00:00", "2024-01-01 00:00", "2024-01-08 00:00"),
        ("1w", "2023-12-31 23:59", "2023-12-25 00:00", "2024-01-01 00:00"),
        ("1w", "2026-01-01 00:00", "2025-12-29 00:00", "2026-01-05 00:00"),
        ("1M", "2024-02-29 23:59", "2024-02-01 00:00", "2024-03-01 00:00"),
        ("1M", "2025-02-28 23:59", "2025-02-01 00:00", "2025-03-01 00:00"),
        ("1M", "2025-04-30 23:59", "2025-04-01 00:00", "2025-05-01 00:00"),
        ("1M", "2025-12-31 23:59", "2025-12-01 00:00", "2026-01-01 00:00"),
    ],
)
def test_candles_of_known_dates(interval: str, time_: str, opens: str, closes: str) -> None:
    assert candle_at(interval, at(time_)) == (at(opens), at(closes))


def test_every_unified_interval_is_known() -> None:
    everything_ends = at("2024-01-01")
    for interval, seconds in INTERVALS.items():
        open_ns, close_ns = candle_at(interval, everything_ends - 1)
        assert close_ns == everything_ends, interval
        if interval != "1M":
            assert close_ns - open_ns == seconds * 10**9


def test_the_last_candles_of_months() -> None:
    found = opens_until("1M", at("2024-03-31 10:00"), 4)
    assert found == [at(f"{month}-01") for month in ("2023-12", "2024-01", "2024-02", "2024-03")]


def test_payments_of_known_times() -> None:
    assert payment_after(at("2024-02-29 16:00"), 8) == at("2024-03-01 00:00")
    assert payment_after(at("2024-02-29 15:59:59"), 8) == at("2024-02-29 16:00")
    assert payment_after(at("2025-12-31 23:30"), 1) == at("2026-01-01 00:00")
    assert payments_until(at("2024-03-01 04:00"), 4, 3) == [
        at("2024-02-29 20:00"),
        at("2024-03-01 00:00"),
        at("2024-03-01 04:00"),
    ]


def test_elsewhere_the_machine_has_another_time_zone_for_a_while() -> None:
    before = time.localtime(0).tm_gmtoff
    with elsewhere():
        assert time.localtime(0).tm_gmtoff == -(9 * 3600 + 45 * 60)
    assert time.localtime(0).tm_gmtoff == before
