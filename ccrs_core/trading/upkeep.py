"""Whether an account's data is whole, and what keeps it so: the lists are read after each loss,
every minute, and on demand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ccrs_core.errors import UsageError
from ccrs_core.trading.reconcile import Reconciliation

log = logging.getLogger("ccrs.account")

EVERY = 60.0
"""Seconds between two readings of the lists."""
_LONGEST_READING = 180.0
"""Seconds after which what was read last is too old to count as known."""
_STREAMS = 3.0
"""Seconds for which the first reading waits for the streams."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds before what couldn't be read is read again; each time twice as long."""


class Upkeep:
    """Reads the lists when it is time, and says whether all is known.

    :param read: reads them once.
    :param told: called whenever ``synced`` has changed, with why.
    """

    def __init__(
        self, read: Callable[[], Awaitable[Reconciliation]], told: Callable[[bool, str], None]
    ) -> None:
        self.synced = False
        """Whether what is known is whole and current."""
        self.reason = "it was just opened"
        self.passes = 0
        self._read = read
        self._told = told
        self._troubles: dict[str, str] = {"lists": "the lists haven't been read yet"}
        """What keeps it from being synced, by what it is about."""
        self._losses = 0
        """How often something may have been missed."""
        self._wanted = asyncio.Event()
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

    def _judge(self) -> None:
        synced = not self._troubles
        reason = "; ".join(dict.fromkeys(self._troubles.values())) or "streams and lists are whole"
        changed = synced is not self.synced
        self.synced, self.reason = synced, reason
        if changed:
            self._told(synced, reason)

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
        return await done

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
        pause = _FIRST_PAUSE
        wait = _STREAMS
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            whole = await self._pass()
            if whole:
                pause, wait = _FIRST_PAUSE, EVERY
            else:
                wait, pause = pause, min(2 * pause, _LONGEST_PAUSE)

    def _takes_long(self) -> None:
        self._troubles.setdefault(
            "lists", f"reading the lists takes more than {_LONGEST_READING:g} s"
        )
        self._judge()

    async def _pass(self) -> bool:
        waiting, self._passed = self._passed, []
        losses, streams = self._losses, "streams" in self._troubles
        loop = asyncio.get_running_loop()
        late = loop.call_later(_LONGEST_READING, self._takes_long)
        try:
            done = await self._read()
        except BaseException:
            self._passed[:0] = waiting  # who is told by the end of it all
            raise
        finally:
            late.cancel()
        self.passes += 1
        if not done.whole:
            self._troubles["lists"] = str(done)
        elif losses == self._losses and not streams:
            self._troubles.pop("lists", None)
        self._judge()
        for each in waiting:
            if not each.done():
                each.set_result(done)
        return done.whole
