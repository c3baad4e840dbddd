"""Which loop ``ccrs watch`` runs on, and how it words what was measured."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccrs_core import Histogram, UsageError, busy_loop
from ccrs_core.cli.live import watch_latency
from ccrs_core.cli.live.watch_loop import factory


def test_the_loop_is_asyncios_own_unless_asked_for() -> None:
    assert factory("asyncio", busy=False) is None
    assert factory("asyncio", busy=True) is busy_loop


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("uvloop")
    module.__dict__["new_event_loop"] = asyncio.SelectorEventLoop
    monkeypatch.setitem(sys.modules, "uvloop", module)
    assert factory("uvloop", busy=False) is asyncio.SelectorEventLoop


def test_uvloop_that_is_not_installed_is_said_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(UsageError, match="isn't installed: pip install uvloop"):
        factory("uvloop", busy=False)


def test_uvloop_can_not_be_busy() -> None:
    with pytest.raises(UsageError, match="--busy is for asyncio's loop"):
        factory("uvloop", busy=True)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (9_994, "9.99 µs"),
        (9_996, "10.0 µs"),
        (44_300, "44.3 µs"),
        (99_960, "100 µs"),
        (999_400, "999 µs"),
        (999_600, "1.00 ms"),
        (12_345_678, "12.3 ms"),
        (999_999_999, "1.00 s"),
        (73 * 60 * 10**9, "4,380 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(ns: int, text: str) -> None:
    assert watch_latency.duration(ns) == text


@given(st.integers(0, 10**13))
@example(999_500)
def test_a_duration_reads_as_what_it_is(ns: int) -> None:
    number, unit = watch_latency.duration(ns).split()
    size = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9}[unit]
    assert float(number.replace(",", "")) * size == pytest.approx(ns, rel=0.006)
    assert unit == "s" or len(number) <= 4


def test_a_sentence_has_the_figures_of_the_summary() -> None:
    made = Histogram()
    made.record(44_000, 99)
    made.record(2_000_000)
    summary = made.summary()
    assert summary is not None
    assert watch_latency.sentence(summary) == (
        "socket to here  p50 44.0 µs  p90 44.0 µs  p99 44.0 µs  p99.9 2.00 ms  max 2.00 ms"
        "  100 samples"
    )
