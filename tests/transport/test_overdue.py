"""One timer for many calls, and deadlines of what mostly waits for nothing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.transport.memory import run
from ccrs_core.transport.pace import Overdue

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        st.integers(0, 3),
        st.sampled_from([None, 0.0, 0.25, 1.0, 2.0, 10.0]),
        st.booleans(),
    ),
    max_size=20,
)
"""A pause, a key, and in how many seconds it is to be called; None: it is dropped."""


@settings(max_examples=60)
@given(STEPS)
def test_each_key_is_called_when_its_newest_time_is_over_unless_it_was_dropped(
    steps: list[tuple[float, int, float | None, bool]],
) -> None:
    called: list[tuple[int, float]] = []
    expected: list[tuple[int, float]] = []

    async def main() -> None:
        loop, overdue = asyncio.get_running_loop(), Overdue()
        began, pending = loop.time(), dict[int, float]()

        def happened(now: float) -> None:
            for key, due in list(pending.items()):
                if due < now:
                    expected.append((key, due))
                    del pending[key]

        for pause, key, seconds, unhurried in steps:
            await asyncio.sleep(pause + 0.01)
            now = loop.time() - began
            happened(now)
            if seconds is None:
                overdue.drop(key)
                pending.pop(key, None)
            else:
                call = lambda key=key: called.append((key, loop.time() - began))  # noqa: E731
                overdue.set(key, seconds, call, unhurried=unhurried)
                pending[key] = now + seconds
        await asyncio.sleep(20.0)
        happened(loop.time())

    run(main())
    assert sorted(key for key, _ in called) == sorted(key for key, _ in expected)
    for (_, at), (_, due) in zip(sorted(called), sorted(expected), strict=True):
        assert at == pytest.approx(due, abs=0.001)


def test_nothing_is_called_after_the_end() -> None:
    called: list[int] = []

    async def main() -> None:
        overdue = Overdue()
        overdue.set(1, 1.0, lambda: called.append(1))
        overdue.end()
        await asyncio.sleep(5.0)

    run(main())
    assert called == []
