"""Order entry over a WebSocket: requests that go out on a connection, and their answers.

Knows nothing of orders. One connection carries all; it is logged in, kept alive and healed as those
of streams are, and replaced before it ends: what is under way on the old one is answered there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from ccrs_core.connections.carried import Carried, Consumer
from ccrs_core.connections.effects import Silent, TopicRefused, Unreadable
from ccrs_core.connections.entries import Entry, OpenEntries
from ccrs_core.connections.entry_passage import Passage, Turns, read
from ccrs_core.connections.link import Link
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.session import Session
from ccrs_core.connections.shared import Shared
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.codec import EntryReply
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import Answer, Request
from ccrs_core.errors import (
    CcrsError,
    ClockRefused,
    NotSent,
    Unsupported,
)
from ccrs_core.model.orders import Times
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.transport.gate import Priority
from ccrs_core.transport.pace import Overdue

T = TypeVar("T")

log = logging.getLogger("ccrs.connections")

Late = Callable[[Request[Any], "Answer[Any] | CcrsError", Times], None]
"""Told of an answer that came after nobody waited for it any more: it proves the outcome."""


class TimeKeeper(Protocol):
    """Who keeps the exchange's clock."""

    async def ready(self) -> None: ...
    async def resync(self, generation: int) -> None: ...


class EntryLine:
    """A socket of ``Exchange.entry_route`` for one account. Starts connecting at once.

    :param route: where it goes, which the environment has.
    :param turns: the account's budgets, which count here as they do for REST.
    :param keeper: of the exchange's clock, by which requests are timed.
    :param late: see :data:`Late`.
    """

    def __init__(
        self,
        shared: Shared,
        account: Account,
        route: Route,
        turns: Turns,
        keeper: TimeKeeper | None = None,
        late: Late | None = None,
    ) -> None:
        context = shared.context
        trading = context.exchange.trading
        self.shared = shared
        self.route = route
        self.account: Account | None = account
        self.failure: CcrsError | None = None
        """What has ended it for good."""
        self.topics: dict[str, Carried] = {}
        """It carries none."""
        self.runners: list[Runner] = []
        self.replaceable: set[str] = set()
        self.trail = Trail()
        self._context = context
        self._by_socket = frozenset() if trading is None else trading.by_socket
        self._turns = turns
        self._keeper = keeper
        self._late = late
        self._links: list[Link] = []
        """The newest last."""
        self._tasks: dict[Link, asyncio.Task[None]] = {}
        self._open: dict[Link, OpenEntries] = {}
        self._waiting: dict[asyncio.Future[None], None] = {}
        """Of those who wait for a connection."""
        self._closed = False
        self.overdue = Overdue()
        """What is to end by itself where it isn't sent, or answered, in time."""
        self._start(Link(self, shared))

    # --- what it is asked ---

    @property
    def links(self) -> list[Link]:
        """Its connections, the newest last."""
        return list(self._links)

    @property
    def ready(self) -> bool:
        """Whether a request can leave now."""
        return self.usable() is not None

    def carries(self, request: Request[Any]) -> bool:
        """Whether it can take a request."""
        return type(request) in self._by_socket and self._context.exchange.enters(request)

    @property
    def trouble(self) -> str:
        """What keeps it from being ready."""
        errors = [link.error for link in self._links if link.error]
        return str(self.failure or (errors[-1] if errors else "it isn't connected yet"))

    async def ask(
        self,
        request: Request[T],
        *,
        patience: float | None = None,
        send_before: float | None = None,
        on_sent: Callable[[int], None] | None = None,
        priority: Priority | None = None,
    ) -> tuple[T, Times]:
        """The answer to a request, which is written once at most, and when it passed where.

        It waits for a connection and for its turn in the budgets up to ``patience`` seconds (None:
        the options' ``request_patience``), and leaves only before ``send_before``, a time of the
        client's monotonic clock. Its frame is written as it leaves; right before that ``on_sent``
        is called with the local time, which mustn't raise. Who is cancelled before that withdraws
        it.

        :raises NotSent: where nothing of it has left, and nothing will.
        :raises RateLimited: where the budgets let it not leave in time, or the exchange refused it
            for that.
        :raises ExchangeError: (or kin) where the exchange refused it.
        :raises OutcomeUnknown: where it was written and nothing tells what has become of it; of
            what is ``idempotent`` it is a ``TransportError``, or what the exchange says.
        :raises Unsupported: where it can't go this way.
        """
        if not self.carries(request):
            name = self._context.exchange.name
            raise Unsupported(f"{name} takes no {type(request).__name__} over WebSocket")
        if patience is None:
            patience = self._context.options.request_patience
        keeper, time = self._keeper, self._context.exchange_time
        passage = Passage(
            self, self._turns, self._context, request, patience, send_before, on_sent, priority
        )
        if keeper is not None:
            await keeper.ready()
        generation = time.generation
        try:
            return await passage.go()
        except ClockRefused:  # proves that it wasn't taken
            if keeper is None:
                raise
            await keeper.resync(generation)
        return await passage.go()

    async def aclose(self) -> None:
        """End it. What is unanswered has an unknown outcome, what waits isn't sent."""
        self.end()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def end(self) -> None:
        """Let it end; nothing can keep it from that any more."""
        if not self._closed:
            self._closed = True
            for link, task in self._tasks.items():
                link.stop_delivering()
                task.cancel()
            self._wake()

    # --- connections ---

    def _start(self, link: Link) -> None:
        self._links.append(link)
        task = self.shared.spawn(self._run(link))
        self._tasks[link] = task
        task.add_done_callback(lambda _: self._gone(link))

    async def _run(self, link: Link) -> None:
        try:
            await link.run()
        except CcrsError as error:
            # It is told to whoever asks; the account's streams go on, or end by themselves.
            log.warning("no order entry over WebSocket any more: %s", error)
            self.failure = self.failure or error
            self.end()

    def _gone(self, link: Link) -> None:
        self._tasks.pop(link, None)
        self._links.remove(link)
        if self._closed and not self._links:
            self.overdue.end()
        self._wake()

    def usable(self) -> Link | None:
        """The connection on which requests leave now."""
        for link in reversed(self._links):
            session = link.session
            if session is not None and session.ready and not link.retired:
                return link
        return None

    def _wake(self) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    def check_alive(self) -> None:
        """:raises NotSent: where nothing will leave here any more."""
        if self.failure is not None:
            raise NotSent(f"no order entry over WebSocket: {self.failure}") from self.failure
        if self._closed:
            raise NotSent("order entry over WebSocket is closed")

    async def connection(self, patience: float) -> Link:
        """One on which requests can leave.

        :raises NotSent: where there is none within so many seconds.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while (link := self.usable()) is None:
            self.check_alive()
            left = until - loop.time()
            if left <= 0:
                raise NotSent(f"no connection to send it on: {self.trouble}")
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting[turn] = None
            try:
                await asyncio.wait([turn], timeout=left)
            finally:
                self._waiting.pop(turn, None)
        self.check_alive()
        return link

    def post(self, link: Link, entry: Entry, request_id: str) -> None:
        """Let a request leave on a connection."""
        self._open[link].add(request_id, entry)
        link.post(entry, entry.urgent)

    def settle(self, link: Link, request_id: str) -> None:
        """Nobody waits for a request any more."""
        if link in self._open:
            self._open[link].settle(request_id)
        if len(self._links) > 1:
            self._relieve()

    def _relieve(self) -> None:
        """Retire connections that have been replaced, once nothing is under way on them."""
        newest = self.usable()
        for link in list(self._links):
            replaced = link.successor is not None and not link.retired and link is not newest
            if replaced and newest is not None and not self._open.get(link):
                link.stop_delivering()
                if not link.hang_up():
                    self._tasks[link].cancel()

    # --- what its connections tell ---

    def opened(self, link: Link) -> None:
        self._open[link] = OpenEntries()

    def begun(self, link: Link) -> None:
        if link.session is not None:
            link.session.useful(self._context.clock.monotonic())
        self._wake()
        self._relieve()

    def entered(self, link: Link, reply: EntryReply, now_ns: int) -> None:
        entry = self._open[link].take(reply, now_ns)
        if entry is not None:
            self._tell_late(link, entry)

    def _tell_late(self, link: Link, entry: Entry) -> None:
        assert entry.reply is not None
        log.info("connection %d: an answer came late: %s", link.number, entry.why)
        if self._late is None or link.session is None:
            return
        try:
            found: Answer[Any] | CcrsError = read(link.session.codec, entry)
        except CcrsError as error:
            found = error
        answered_ns = found.answered_ns if isinstance(found, Answer) else None
        times = Times(answered_ns=answered_ns, received_ns=entry.received_ns)
        self._late(entry.request, found, times)

    def lost(self, link: Link, session: Session) -> None:
        found = self._open.pop(link, None)
        if found is not None:
            found.end("the connection ended")

    def replacing(self) -> bool:
        return any(link.successor is not None and not link.retired for link in self._links)

    def replace(self, link: Link, reason: str) -> None:
        if link.successor is not None or link.retired or self._closed:
            return
        if any(other.successor is link and not other.retired for other in self._links):
            link.fail(reason)  # it has not taken over yet
            return
        log.info("replacing connection %d: %s", link.number, reason)
        self._start(link.succeed(reason, waits=False))

    def wanted(self) -> Sequence[Subscription]:
        return ()

    def full_consumer(self) -> Consumer | None:
        return None

    def acknowledged(self, link: Link, topic: str, now_ns: int) -> None:
        """It asks for no topics."""

    def refused(self, link: Link, effect: TopicRefused) -> None:
        """It asks for no topics."""

    def silent(self, link: Link, effect: Silent, now_ns: int) -> None:
        """It asks for no topics."""

    def unchanged(self, topic: str, now_ns: int) -> None:
        """It asks for no topics."""

    def unreadable(self, link: Link, effect: Unreadable, now_ns: int) -> None:
        """Told in the log; a request whose answer it was has an unknown outcome."""

    def answered(self, link: Link, asked_at: float) -> None:
        """Nothing has to be proved."""


__all__ = ["EntryLine", "Late"]
