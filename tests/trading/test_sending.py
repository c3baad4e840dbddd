"""What is withdrawn in the moment in which it leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccrs_core import NotSent, OutcomeUnknown
from ccrs_core.connections.entries import Entry
from ccrs_core.trading.sending import Sending
from tests.entering import Do, entering
from tests.virtual import scenario


@scenario
async def test_what_was_cancelled_is_not_written_before_its_caller_hears_of_it() -> None:
    async with entering() as world:
        held: list[Entry] = []
        world.line.post = lambda link, entry, request_id: held.append(entry)  # type: ignore[method-assign]
        tasks: list[asyncio.Task[Any]] = [world.start(Do(each)) for each in ("a", "b")]
        await asyncio.sleep(0.1)
        tasks[0].cancel()
        assert held[0].make() is None
        assert held[1].make() is not None
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)


@pytest.mark.parametrize("left", [False, True])
def test_what_has_left_is_never_called_unsent(left: bool) -> None:
    @scenario
    async def story() -> None:
        sending: Sending[int] = Sending()

        async def work() -> int:
            sending.check()
            await asyncio.sleep(1.0)
            return 1

        spawn: Any = asyncio.ensure_future
        task = asyncio.ensure_future(sending.run(work(), spawn))
        await asyncio.sleep(0.1)
        assert sending.withdraw("nobody wants it")
        if left:
            sending.sent(0.0)
        with pytest.raises(OutcomeUnknown if left else NotSent, match="nobody wants it"):
            await task

    story()
