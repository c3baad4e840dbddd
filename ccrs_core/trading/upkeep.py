"""Whether an account's data is whole, and what keeps it so: the lists are read after each loss,
every minute, and on demand.

While it isn't whole somebody waits: lists are read after orders, but within half of the budgets.
Every minute they are read in the background. What was read before the streams were acknowledged
(again) proves nothing about what they missed: so a reading waits for them a moment, and one that
goes on then is given up for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ccrs_core.errors import UsageError
from ccrs_core.trading.reading import Reconciliation
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")

EVERY = 60.0
"""Seconds between two readings of the lists."""
_LONGEST_READING = 180.0
"""Seconds after which what was read last is too old to count as known."""
_STREAMS = 3.0
"""Seconds for which a reading waits for the streams."""
_APART = 1.0
"""Seconds between the beginnings of two readings that nobody has asked for, at least."""
_GIVEN_UP = 3
"""How many readings in a row are given up for a new one: what takes longer than connections last
is read all the same."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds before what couldn't be read is read again; each time twice as long."""


class Upkeep:
    """Reads the lists when it is time, and says whether all is known.

    :param read: reads them once, within what a priority may spend; it may be cancelled.
    :param told: called whenever ``synced`` has changed, with why.
    :param new: whether a reading is the first one of all, which isn't given up.
    """

    def __init__(
        self,
        read: Callable[[Priority], Coroutine[Any, Any, Reconciliation]],
        told: Callable[[bool, str], None],
        new: Callable[[], bool],
    ) -> None:
        self.synced = False
        """Whether what is known is whole and current."""
        self.reason = "it was just opened"
        self.passes = 0
        self._read = read
        self._told = told
        self._new = new
        self._troubles: dict[str, str] = {"lists": "the lists haven't been read yet"}
        """What keeps it from being synced, by what it is about."""
        self._losses = 0
        """How often something may have been missed."""
        self._wanted = asyncio.Event()
        self._asked = asyncio.Event()
        """Set while somebody waits for a reading to come."""
        self._ready = asyncio.Event()
        """Set while there is nothing to wait for before one: while the streams are whole, or
        somebody has asked for it."""
        self._under_way: tuple[asyncio.Task[Reconciliation], Priority, int] | None = None
        """What is being read, how, and since which loss."""
        self._given_up = 0
        """Readings in a row."""
        self._passed: list[asyncio.Future[Reconciliation]] = []
        self._ended: Exception | None = None
        """Why the lists aren't read any more."""

    # --- what may be missing ---

    def trouble(self, about: str, why: str) -> None:
        """Something keeps it from being whole, until :meth:`over`."""
        self._troubles[about] = why
        self._judge()

    def over(self, about: str) -> None:
        """That is over."""
        self._troubles.pop(about, None)
        self._judge()

    def missed(self, why: str) -> None:
        """Something may have been missed: read the lists."""
        self._losses += 1
        self._troubles["lists"] = why
        self._judge()
        self._wanted.set()
        if "streams" not in self._troubles:
            self._begin_anew()

    def restored(self, why: str) -> None:
        """The streams tell everything from now on; before, something may have been missed."""
        self._losses += 1
        self._troubles["lists"] = why
        self._wanted.set()
        self.over("streams")
        self._begin_anew()

    def _begin_anew(self) -> None:
        """What is being read was asked for before the last loss was over: a new reading takes its
        place."""
        if self._under_way is None or self._given_up >= _GIVEN_UP or self._new():
            return
        task, _, losses = self._under_way
        if losses != self._losses:
            task.cancel()

    def _judge(self) -> None:
        synced = not self._troubles
        reason = "; ".join(dict.fromkeys(self._troubles.values())) or "streams and lists are whole"
        changed = synced is not self.synced
        self.synced, self.reason = synced, reason
        self._look()
        if changed:
            self._told(synced, reason)

    def _look(self) -> None:
        if self._passed or "streams" not in self._troubles:
            self._ready.set()
        else:
            self._ready.clear()

    # --- reading ---

    async def reconcile(self) -> Reconciliation:
        """Read the lists now, and wait until they have been read.

        :raises UsageError: where the account is closed meanwhile.
        """
        if self._ended is not None:
            raise self._ended
        done: asyncio.Future[Reconciliation] = asyncio.get_running_loop().create_future()
        self._passed.append(done)
        self._wanted.set()
        self._asked.set()
        self._look()
        self._give_up_background()
        return await done

    def _give_up_background(self) -> None:
        """Somebody waits: what is read in the background would keep them waiting."""
        if self._under_way is not None and self._under_way[1] is Priority.BACKGROUND:
            self._under_way[0].cancel()

    async def run(self) -> None:
        """Read the lists whenever it is time, until cancelled."""
        try:
            await self._run()
        except BaseException as error:
            self._ended = UsageError("the account is closed")
            if isinstance(error, Exception):
                self._ended.__cause__ = error
            waiting, self._passed = self._passed, []
            for each in waiting:
                if not each.done():
                    each.set_exception(self._ended)
                    each.exception()  # who stopped waiting needn't hear of it
            raise

    async def _run(self) -> None:
        time = asyncio.get_running_loop().time
        pause, wait, began = _FIRST_PAUSE, 0.0, time() - _APART
        while True:
            await _until(self._wanted, wait)
            await _until(self._ready, _STREAMS)
            await _until(self._asked, began + _APART - time())
            began = time()
            done = await self._pass()
            if done is None:
                wait = 0.0
            elif done.whole:
                pause, wait = _FIRST_PAUSE, EVERY
            else:
                wait, pause = pause, min(2 * pause, _LONGEST_PAUSE)

    def _takes_long(self) -> None:
        self._troubles.setdefault(
            "lists", f"reading the lists takes more than {_LONGEST_READING:g} s"
        )
        self._judge()
        self._give_up_background()

    def _priority(self) -> Priority:
        if not self.passes:
            return Priority.NORMAL
        waits = self._passed or not self.synced
        return Priority.RECOVERY if waits else Priority.BACKGROUND

    async def _pass(self) -> Reconciliation | None:
        """Read all lists; None where that was given up."""
        priority, losses, streams = self._priority(), self._losses, "streams" in self._troubles
        waiting, self._passed = self._passed, []
        self._wanted.clear()
        self._asked.clear()
        self._look()
        loop = asyncio.get_running_loop()
        late = loop.call_later(_LONGEST_READING, self._takes_long)
        task = loop.create_task(self._read(priority))
        self._under_way = task, priority, losses
        done: Reconciliation | None = None
        try:
            await asyncio.wait([task])
            done = None if task.cancelled() else task.result()
        finally:
            self._under_way = None
            late.cancel()
            if done is None:
                task.cancel()
                await asyncio.wait([task])
                self._passed[:0] = waiting  # who is told by the end of it all
        if done is None:
            self._given_up += 1
            self._wanted.set()
            self._asked.set()
            self._look()
            return None
        self.passes += 1
        self._given_up = 0
        if not done.whole:
            self._troubles["lists"] = str(done)
        elif losses == self._losses and not streams:
            self._troubles.pop("lists", None)
        self._judge()
        for each in waiting:
            if not each.done():
                each.set_result(done)
        return done


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Wait for something, for so long at most."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


__all__ = ["EVERY", "Upkeep"]
