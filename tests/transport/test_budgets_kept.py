"""A process that is killed and started again never asks more than one that lives, and keeps to the
pauses that were asked for; all in virtual time, with real files."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.transport import budgets_kept
from ccrs_core.transport.budgets_kept import KeptBudgets
from ccrs_core.transport.limits import HostLimits, host_limits, keep_budgets, let_go
from ccrs_core.transport.memory import VirtualClock, run
from tests.transport.test_limits import most_in_a_window
from tests.virtual import scenario

FEW = Budget(amount=6, seconds=5.0, also=(Budget(amount=10, seconds=30.0),))
LIMITS = Limits(connects=Budget(amount=2, seconds=300.0), requests=FEW)


def life(path: Path, clock: VirtualClock) -> tuple[HostLimits, KeptBudgets]:
    """What a new process knows of a host."""
    limits, kept = HostLimits(LIMITS, FEW, clock), KeptBudgets(path, clock)
    limits.keep(kept, "host rest")
    return limits, kept


@given(
    lives=st.lists(st.tuples(st.integers(0, 8), st.sampled_from((0.0, 0.2, 1.5, 6.0))), max_size=7)
)
def test_lives_together_ask_no_more_than_one_may(lives: list[tuple[int, float]]) -> None:
    granted: list[tuple[float, int]] = []

    async def main() -> None:
        clock = VirtualClock()
        for asks, pause in lives:
            limits, kept = life(Path(folder) / "kept", clock)
            for weight in [1 + n % 3 for n in range(asks)]:
                await limits.requests.acquire(weight)
                granted.append((clock.monotonic(), weight))
            kept.close()  # as the system does for who is killed
            await asyncio.sleep(pause)

    with tempfile.TemporaryDirectory() as folder:
        run(main())
    for budget in FEW.all:
        assert most_in_a_window(granted, budget.seconds) <= budget.amount


@scenario
async def test_what_is_over_keeps_nobody_waiting() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = VirtualClock()
        limits, kept = life(Path(folder) / "kept", clock)
        for _ in range(2):
            assert limits.requests.take(3) == 0.0
        kept.close()
        await asyncio.sleep(2.0)
        limits, kept = life(Path(folder) / "kept", clock)
        assert limits.requests.wait(1) == pytest.approx(3.0)
        kept.close()
        await asyncio.sleep(30.0)
        limits, kept = life(Path(folder) / "kept", clock)
        assert limits.requests.wait(6) == 0.0
        kept.close()


@scenario
async def test_dials_and_pools_of_an_address_are_counted_on() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, pool = VirtualClock(), Pool("few", Budget(amount=1, seconds=10.0))
        limits, kept = life(Path(folder) / "kept", clock)
        limits.connects.take(2)
        limits.pool(pool).take()
        kept.close()
        limits, kept = life(Path(folder) / "kept", clock)
        assert limits.connects.wait() == pytest.approx(300.0)
        assert limits.pool(pool).wait() == pytest.approx(10.0)
        assert limits.requests.wait() == 0.0
        kept.close()


@scenario
async def test_a_pause_outlives_who_was_told_of_it_and_ends_when_it_should() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = VirtualClock()
        limits, kept = life(Path(folder) / "kept", clock)
        limits.pause(600.0)
        kept.close()
        await asyncio.sleep(100.0)
        limits, kept = life(Path(folder) / "kept", clock)
        assert limits.paused == pytest.approx(500.0)
        kept.close()
        await asyncio.sleep(500.0)
        limits, kept = life(Path(folder) / "kept", clock)
        assert limits.paused == 0.0
        kept.close()


@scenario
async def test_a_clock_that_was_set_back_makes_nothing_last_longer() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, path = VirtualClock(), Path(folder) / "kept"
        for ahead, paused, wait in ((30, 600.0, 5.0), (10**6, 0.0, 0.0)):
            ahead_ns = clock.time_ns() + ahead * 10**9
            path.write_text(
                f"{ahead_ns}\tg\tother\t6\thost rest requests\n"
                f"{ahead_ns}\tp\t-\t600000000000\thost rest\n"
            )
            limits, kept = life(path, clock)
            assert limits.paused == pytest.approx(paused)
            assert limits.requests.wait() == pytest.approx(wait)
            kept.close()


@scenario
async def test_a_torn_line_takes_nothing_else_away() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, path = VirtualClock(), Path(folder) / "kept"
        limits, kept = life(path, clock)
        limits.requests.take(2)
        kept.close()
        path.write_bytes(b"\xff\n1\tg\n" + path.read_bytes() + b"17960664\tg\tab")
        limits, kept = life(path, clock)
        limits.requests.take(4)
        kept.close()
        limits, kept = life(path, clock)
        assert limits.requests.wait() == pytest.approx(5.0)
        kept.close()


@scenario
async def test_the_file_stays_small_and_forgets_nothing_that_counts() -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgets_kept, "_SMALLEST", 2000)
        clock, path = VirtualClock(), Path(folder) / "kept"
        limits, kept = life(path, clock)
        limits.pause(100_000.0)
        for _ in range(200):
            await asyncio.sleep(30.0)
            assert limits.requests.take(6) == 0.0
            assert path.stat().st_size < 2200
        kept.close()
        limits, kept = life(path, clock)
        assert limits.requests.wait() == pytest.approx(5.0)
        assert limits.paused == pytest.approx(94_000.0)
        kept.close()


@scenario
async def test_two_ledgers_of_a_process_count_once_what_it_asks() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, url = VirtualClock(), "http://somebody:secret@host/"
        paths = [Path(folder) / name for name in ("one", "other")]

        def both() -> tuple[HostLimits, list[KeptBudgets]]:
            kept = [KeptBudgets(path, clock) for path in paths]
            keep_budgets(kept[0], [url], clock)
            found = host_limits("somebody:secret@host", LIMITS, FEW, clock, "rest")
            keep_budgets(kept[1], [url], clock)
            return found, kept

        limits, kept = both()
        limits.requests.take(3)
        for each in kept:
            let_go(each)
        assert "secret" not in paths[0].read_text() + paths[1].read_text()
        # The same process opens them again: it knows.
        limits, kept = both()
        assert limits.requests.wait(3) == 0.0
        for each in kept:
            let_go(each)
        # Another process: what both files tell of is the same.
        clock = VirtualClock()
        limits, kept = both()
        assert limits.requests.wait(3) == 0.0
        assert limits.requests.wait(4) > 0.0
        for each in kept:
            let_go(each)


@scenario
async def test_what_left_before_there_was_a_file_is_noted_too() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, path = VirtualClock(), Path(folder) / "kept"
        early = HostLimits(LIMITS, FEW, clock)
        early.requests.take(6)
        kept = KeptBudgets(path, clock)
        early.keep(kept, "host rest")
        kept.close()
        limits, kept = life(path, clock)
        assert limits.requests.wait() == pytest.approx(5.0)
        kept.close()


@scenario
async def test_where_no_file_can_be_it_is_said_and_asked_all_the_same() -> None:
    with tempfile.TemporaryDirectory() as folder:
        said: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("ccrs.requests")
        logger.addHandler(handler)
        try:
            limits, kept = life(Path(folder), VirtualClock())
        finally:
            logger.removeHandler(handler)
        assert ["isn't remembered" in each for each in said] == [True]
        assert limits.requests.take(6) == 0.0
        kept.close()
