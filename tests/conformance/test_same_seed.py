"""The same seed goes the same way: what a seed has shown can be looked at again."""

from __future__ import annotations

import asyncio
import random

import pytest

from ccrs_core.conformance.themes.account_machine import AccountSchedule
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.transport.memory import run


def _course(exchange: str, seed: int) -> list[object]:
    """What happened in three random schedules, and when."""
    course: list[object] = []

    class Noted(AccountSchedule):
        subject = Subject(exchange, seed=seed)

        def teardown(self) -> None:
            try:
                super().teardown()
            finally:
                if self.begun:
                    tap = [
                        (at, url, each)
                        for life in self.world.lives
                        for at, url, each in life.tap.requests
                    ]
                    course.extend([*self.world.money, *tap])

    Noted.subject.check_machine(Noted, examples=3, steps=12)
    return course


@pytest.mark.parametrize("exchange", ["bybit", "okx"])
def test_random_schedules_go_the_same_way_twice(exchange: str) -> None:
    first = _course(exchange, 4)
    assert len(first) > 100
    # Objects that are elsewhere in memory the second time.
    held = [object() for _ in range(1009)]
    assert _course(exchange, 4) == first
    del held


def test_tasks_that_are_ended_together_end_in_the_same_order_every_time() -> None:
    def ended() -> list[int]:
        order: list[int] = []

        async def wait(number: int) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                order.append(number)

        async def main() -> None:
            tasks = {asyncio.ensure_future(wait(n)) for n in range(50)}
            await asyncio.sleep(1)
            for each in tasks:
                each.cancel()
            await asyncio.wait(tasks)

        run(main())
        return order

    first = ended()
    kept = [bytearray(random.Random(n).randint(1, 700)) for n in range(300)]
    assert ended() == first
    del kept
