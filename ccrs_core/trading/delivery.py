"""What users read an account from: each event of the ledger once, in the order of its numbers, from
the last one that was acknowledged on. Who is slow is served from the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, get_args

import attrs

from ccrs_core.errors import FeedClosed, UsageError
from ccrs_core.model.accounts import AccountEvent, Adjustment, Income, Synced
from ccrs_core.model.events import Gap, Resumed, Stale
from ccrs_core.model.orders import EarlyFill, Fill
from ccrs_core.trading.store import Entry

AccountNotice = Synced | Stale | Resumed | Gap
"""What tells of an interruption of an account's data."""
AnyAccountEvent = AccountEvent | AccountNotice
"""All that an account's feed delivers."""

_KINDS = frozenset(kind.type for kind in get_args(AccountEvent))

_WAITING = 10_000
"""Events that wait in memory for one reader, at most."""
_NOTICES = 100
_PAGE = 500
"""Entries that are read from the store at a time."""


class Source(Protocol):
    """What a feed asks of its account."""

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None
    ) -> list[Entry]:
        """What the store has after a number, oldest first."""

    def first_of(self, consumer: str) -> int:
        """The number up to which a consumer has acknowledged all."""

    def handed(self, consumer: str) -> int:
        """The highest number that may have been handed to a consumer."""

    def hand(self, consumer: str, number: int) -> None:
        """It is handed this one now."""

    def acknowledge(self, consumer: str, number: int) -> None:
        """It has dealt with all up to a number."""

    def join(self, feed: AccountFeed) -> None:
        """Let a feed have what is committed from now on."""

    def leave(self, feed: AccountFeed) -> None:
        """It is to have nothing any more."""


class AccountFeed:
    """Events of an account; use it in ``async with``, iterate it with ``async for``.

    Fills, updates of orders, positions, balances, income, adjustments and conflicts come in the
    order of their numbers; notices (:class:`~ccrs_core.Synced`, ``Stale``, ``Resumed``, ``Gap``)
    stand where they happened. Nothing is dropped, however slow the reader is; what waits beyond
    some thousand events is read from the store, and then without the notices but the last ones.
    What may have been delivered before has ``again`` set. One reader at a time.
    """

    def __init__(
        self,
        source: Source,
        consumer: str,
        since: int | None,
        kinds: frozenset[str] | None,
        *,
        exchange: str = "",
        account: str = "",
    ) -> None:
        self.exchange = exchange
        self.account = account
        """Whose events these are."""
        self.consumer = consumer
        """Under this name it is remembered what was acknowledged."""
        self._source = source
        self._since = since
        self._kinds = kinds
        self._stored: deque[AccountEvent] = deque()
        """Read from the store; they come first."""
        self._queue: deque[AnyAccountEvent] = deque()
        """What came since."""
        self._behind = True
        """Whether there is more in the store than in the queue."""
        self._fetching = False
        self._last = 0
        self._wake: asyncio.Future[None] | None = None
        self._errors: deque[BaseException] = deque()
        self._open = False
        self._closed = False

    # --- life ---

    async def __aenter__(self) -> Self:
        self._enter()
        return self

    def _enter(self) -> None:
        if self._open or self._closed:
            raise FeedClosed("a feed is opened once; call account.events() for another one")
        source = self._source
        self._last = source.first_of(self.consumer) if self._since is None else self._since
        self._open = True
        source.join(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Deliver nothing any more. What wasn't acknowledged comes again. Idempotent."""
        if self._open:
            self._source.leave(self)
        self.end()

    def end(self, error: BaseException | None = None) -> None:
        """The account has ended: what is there may still be read, then an error if one is given;
        for the account."""
        if error is not None:
            self._errors.append(error)
        self._closed = True
        self._notify()

    # --- what comes ---

    def put(self, events: Sequence[AnyAccountEvent]) -> None:
        """These were committed, or are notices."""
        wanted = self._kinds
        if wanted is not None:
            events = [e for e in events if e.type in wanted or isinstance(e, AccountNotice)]
        if not events:
            return
        if self._behind:
            # The reader gets entries from the store; notices have no place there.
            events = [event for event in events if isinstance(event, AccountNotice)]
        self._queue.extend(events)
        if len(self._queue) > (_NOTICES if self._behind else _WAITING):
            self._fall_behind()
        self._notify()

    def fail(self, error: BaseException) -> None:
        """The reader is told of this, once, after what is there; reading may go on."""
        self._errors.append(error)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # --- reading ---

    def __aiter__(self) -> AsyncIterator[AnyAccountEvent]:
        if not self._open and not self._closed:
            self._enter()
        return self

    async def __anext__(self) -> AnyAccountEvent:
        while True:
            if self.behind:
                await self.fetch()
            event = self.take()
            if event is not None:
                return event
            self.raise_error()
            if self._closed:
                raise StopAsyncIteration
            if not self._open:
                raise FeedClosed("open the feed first: async with account.events() as feed")
            if not self.behind:
                await self._wait()

    # --- reading, step by step: for who reads it together with others, too ---

    @property
    def behind(self) -> bool:
        """Whether what comes next has to be fetched from the store first."""
        return self._behind and not self._stored and not self._closed

    @property
    def head_ns(self) -> int | None:
        """When the next event arrived here, None where none waits."""
        waiting = self._waiting()
        return None if waiting is None else waiting[0].received_time_ns

    def take(self) -> AnyAccountEvent | None:
        """The next event, None where none waits."""
        waiting = self._waiting()
        if waiting is None:
            return None
        event: AnyAccountEvent = waiting.popleft()
        number = number_of(event)
        return event if number is None else self._handed(event, number)

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more."""
        return not (self._errors or self._fetching) and self._closed and self._waiting() is None

    def raise_error(self) -> None:
        """Raise what the reader is to know, once."""
        if self._errors:
            raise self._errors.popleft()

    def _waiting(self) -> deque[Any] | None:
        """Where the next event is the first; what was delivered before is passed over."""
        for waiting in (self._stored, self._queue):
            # What is being fetched is older than all that waits in the queue.
            if self._fetching or self.behind:
                return None
            while waiting:
                number = number_of(waiting[0])
                if number is None or number > self._last:
                    return waiting
                waiting.popleft()
        return None

    async def fetch(self) -> None:
        """Read the next entries from the store. What is committed from now on waits behind them,
        unless there are more of them."""
        self._behind, self._fetching = False, True
        whole = False
        try:
            entries = await self._source.entries_after(self._last, _PAGE, self._kinds)
            self._stored.extend(map(_numbered, entries))
            whole = len(entries) < _PAGE
        finally:
            self._fetching = False
            if not whole:
                self._fall_behind()

    def _fall_behind(self) -> None:
        """Go on from the store: notices alone, which aren't in it, wait in memory."""
        self._behind = True
        kept = [event for event in self._queue if isinstance(event, AccountNotice)]
        self._queue = deque(kept[-_NOTICES:])

    async def _wait(self) -> None:
        wake = asyncio.get_running_loop().create_future()
        self.wake_by(wake)
        try:
            await wake
        finally:
            self.forget(wake)

    def wake_by(self, wake: asyncio.Future[None]) -> None:
        """Let this be done as soon as there is something to read."""
        if self._wake is not None and not self._wake.done():
            raise UsageError("somebody reads this feed already; it has one reader at a time")
        self._wake = wake

    def forget(self, wake: asyncio.Future[None]) -> None:
        """It is awaited no more."""
        if self._wake is wake:
            self._wake = None

    def _handed(self, event: AnyAccountEvent, number: int) -> AnyAccountEvent:
        self._last = number
        if number <= self._source.handed(self.consumer):
            if isinstance(event, Fill | Income | Adjustment):
                event = attrs.evolve(event, again=True)
        else:
            self._source.hand(self.consumer, number)
        return event

    def acknowledge(self, event: AnyAccountEvent | int) -> None:
        """All up to this event is dealt with: it won't come again, after a restart either.

        :raises UsageError: of what hasn't been read yet, and of what is no event.
        """
        number: int | None
        if isinstance(event, AccountNotice):
            return
        if isinstance(event, AccountEvent):
            number = event.number
        elif type(event) is int:
            number = event
        else:
            raise UsageError(f"an event or its number can be acknowledged, not {event!r:.100}")
        if number > self._last:
            raise UsageError(f"{number} can't be acknowledged: {self._last} was read last")
        self._source.acknowledge(self.consumer, number)


def number_of(event: AnyAccountEvent) -> int | None:
    """The ledger's number of an event; None of a notice."""
    return getattr(event, "number", None)


def _numbered(entry: Entry) -> AccountEvent:
    """An event as it is stored, under its number; older files hold some without."""
    event = entry.event
    return event if event.number == entry.number else attrs.evolve(event, number=entry.number)


def checked(
    since: object, consumer: object, kinds: Collection[str] | None
) -> tuple[str, int | None, frozenset[str] | None]:
    """What a feed is asked for.

    :raises UsageError: where there is no such one.
    """
    if since is not None and not (
        isinstance(since, int) and not isinstance(since, bool) and 0 <= since < 2**63
    ):
        raise UsageError(f"since must be a number of the ledger, 0 or above, not {since!r:.100}")
    if not isinstance(consumer, str) or not consumer:
        raise UsageError(f"a consumer's name is a text, not {consumer!r:.100}")
    if kinds is None:
        return consumer, since, None
    unknown = (
        [kind for kind in kinds if kind not in _KINDS] if not isinstance(kinds, str) else kinds
    )
    if unknown:
        raise UsageError(f"kinds are some of {', '.join(sorted(_KINDS))}, not {kinds!r:.100}")
    return consumer, since, frozenset(kinds)


class EarlyFills:
    """Unconfirmed fills, ahead of those of the ledger; use it in ``async with``, iterate it with
    ``async for``. Lossy: the newest some thousand wait, older ones are dropped and counted."""

    def __init__(
        self, join: Callable[[EarlyFills], None], leave: Callable[[EarlyFills], None]
    ) -> None:
        self.dropped = 0
        self._join, self._leave = join, leave
        self._queue: deque[EarlyFill] = deque()
        self._wake = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._join(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Deliver nothing any more. Idempotent."""
        if not self._closed:
            self._leave(self)
            self.end()

    def end(self) -> None:
        """The account has ended; for the account."""
        self._closed = True
        self._wake.set()

    def put(self, fills: Sequence[EarlyFill]) -> None:
        """These were told."""
        self._queue.extend(fills)
        while len(self._queue) > _WAITING:
            self._queue.popleft()
            self.dropped += 1
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[EarlyFill]:
        return self

    async def __anext__(self) -> EarlyFill:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()


__all__ = [
    "AccountFeed",
    "AccountNotice",
    "AnyAccountEvent",
    "EarlyFills",
    "Source",
    "checked",
    "number_of",
]
