"""A client without ``async``: each method waits for what the one of the same name brings."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from ccrs_core.client import client as asynchronous
from ccrs_core.client.client import Client as AsyncClient
from ccrs_core.client.status import ClientStatus
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import Request
from ccrs_core.errors import CcrsError, TimedOut, UsageError
from ccrs_core.feeds.feed import Feed, MissingName
from ccrs_core.feeds.policy import Policy, PolicyName
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.subscriptions import Interest
from ccrs_core.sync.background import Background
from ccrs_core.sync.likeness import shown_as
from ccrs_core.transport.options import Options

if TYPE_CHECKING:
    from ccrs_core.sync.account import Account
    from ccrs_core.trading.account import Account as AsyncAccount

P = ParamSpec("P")
T = TypeVar("T")


def _waiting(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    """The same method, which waits."""

    @functools.wraps(method)
    def call(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._background.call(lambda: method(client._client, *args, **kwargs))

    return shown_as(call, method)


def _iterating(
    method: Callable[Concatenate[AsyncClient, P], AsyncIterator[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    """The same method, whose items are waited for one by one."""

    @functools.wraps(method)
    def iterate(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return client._items(method(client._client, *args, **kwargs))

    return shown_as(iterate, method)


def _accounting(
    method: Callable[Concatenate[AsyncClient, P], AsyncAccount],
) -> Callable[Concatenate[Client, P], Account]:
    """The same account, for scripts."""

    @functools.wraps(method)
    def make(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> Account:
        from ccrs_core.sync.account import Account

        return Account(client._background, method(client._client, *args, **kwargs))

    return shown_as(make, method)


class Client:
    """One exchange, for scripts. Made by :func:`ccrs_core.sync.connect`; use it in ``with``, or by
    :meth:`open` and :meth:`close`. Any thread may call it.

    Methods are those of :class:`ccrs_core.Client`, with the same arguments, answers and errors;
    they wait, and Ctrl-C ends the wait and what was waited for. What goes wrong for good is raised
    by the next call, and by :meth:`close`. For more than short looks at streams there is the
    asynchronous client: here nothing happens between two calls but what they ask for. (An account
    keeps its ledger all the time.)
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._background = Background()

    # --- life ---

    def open(self) -> Self:
        """Open without a block.

        :raises UsageError: where it has been opened before.
        """
        self._background.start()
        try:
            self._background.call(self._client.open)
        except BaseException:
            self._background.stop()
            raise
        return self

    def close(self) -> None:
        """Close everything, and end the thread. Idempotent.

        :raises CcrsError: what had gone wrong for good meanwhile, once.
        """
        try:
            if self._background.running:
                self._background.call(self._client.aclose)
        finally:
            self._background.stop()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except CcrsError:
            if error is None:  # else it has been told, or something else is more urgent
                raise

    def __repr__(self) -> str:
        return repr(self._client).replace("<Client", "<sync.Client")

    # --- what it is ---

    @property
    def exchange(self) -> Exchange:
        """The exchange, as its plugin describes it."""
        return self._client.exchange

    @property
    def environment(self) -> str:
        """Its name, or the host that was given in place of all of its addresses."""
        return self._client.environment

    @property
    def addresses(self) -> Mapping[str, str]:
        """What is dialled, by name, without user, password and tokens."""
        return self._client.addresses

    @property
    def options(self) -> Options:
        """The settings in force."""
        return self._client.options

    def status(self) -> ClientStatus:
        """Connections, subscriptions, feeds and counters at this moment."""

        async def status() -> ClientStatus:
            return self._client.status()

        return self._background.call(status)

    # --- questions ---

    def request(self, request: Request[T]) -> T:
        """:meth:`ccrs_core.Client.request`."""
        return self._background.call(lambda: self._client.request(request))

    instrument = _waiting(AsyncClient.instrument)
    get_instruments = _waiting(AsyncClient.get_instruments)
    refresh_instruments = _waiting(AsyncClient.refresh_instruments)
    get_server_time = _waiting(AsyncClient.get_server_time)
    get_top_of_book = _waiting(AsyncClient.get_top_of_book)
    get_book = _waiting(AsyncClient.get_book)
    get_trades = _waiting(AsyncClient.get_trades)
    get_trade_history = _waiting(AsyncClient.get_trade_history)
    get_candles = _waiting(AsyncClient.get_candles)
    get_mark_candles = _waiting(AsyncClient.get_mark_candles)
    get_index_candles = _waiting(AsyncClient.get_index_candles)
    get_funding_history = _waiting(AsyncClient.get_funding_history)
    get_open_interest = _waiting(AsyncClient.get_open_interest)
    get_open_interest_history = _waiting(AsyncClient.get_open_interest_history)
    history = _iterating(AsyncClient.history)

    # --- accounts ---

    account = _accounting(AsyncClient.account)
    """An account, for scripts; use it in ``with``, inside the client's block. Arguments and errors
    are those of :meth:`ccrs_core.Client.account`."""

    # --- streams ---

    def watch(
        self,
        *interests: Interest,
        seconds: float | None = None,
        connections: int = 1,
        policy: Policy | PolicyName = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        stale_after: float | None = None,
        missing: MissingName = "raise",
    ) -> Iterator[AnyEvent]:
        """Events as they come, for so many ``seconds`` from the first step on (None: until you
        leave the loop). Then the subscriptions end.

        :param connections: and all others as in :meth:`ccrs_core.Client.subscribe`.
        :raises TimedOut: where nothing could be subscribed to within ``seconds``.
        :raises CcrsError: what the asynchronous feed raises.
        """
        feed = self._client.subscribe(
            *interests,
            connections=connections,
            policy=policy,
            maxsize=maxsize,
            stale_after=stale_after,
            missing=missing,
        )
        if seconds is not None and not 0 < seconds < math.inf:
            raise UsageError(f"seconds must be above zero, or None, not {seconds!r:.100}")
        return self._watched(feed, seconds)

    def _watched(self, feed: Feed, seconds: float | None) -> Iterator[AnyEvent]:
        call = self._background.call
        until: list[float | None] = [None]

        async def start() -> None:
            if seconds is not None:
                until[0] = asyncio.get_running_loop().time() + seconds
            try:
                async with asyncio.timeout_at(until[0]):
                    await feed.open()
            except TimeoutError:
                raise TimedOut(
                    f"{self._client.exchange.name}: nothing could be subscribed to within "
                    f"{seconds:g} seconds"
                ) from None

        async def some() -> list[AnyEvent]:
            # What waits already is read without a look at the time.
            if until[0] is not None and asyncio.get_running_loop().time() >= until[0]:
                return []
            try:
                async with asyncio.timeout_at(until[0]):
                    return await anext(aiter(feed.batches()), [])
            except TimeoutError:
                return []

        call(start)
        try:
            while batch := call(some):
                yield from batch
        finally:
            if self._background.running:
                call(feed.aclose)

    def _items(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def following() -> tuple[T] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        async def leave() -> None:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()

        try:
            while (item := self._background.call(following)) is not None:
                yield item[0]
        finally:
            if self._background.running:
                self._background.call(leave)


def _making(make: Callable[P, AsyncClient]) -> Callable[P, Client]:
    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Client:
        return Client(make(*args, **kwargs))

    return made


connect = _making(asynchronous.connect)
connect.__doc__ = (
    "A client for scripts; use it in ``with``. Nothing is dialled before that.\n\n"
    "Arguments and errors are those of :func:`ccrs_core.connect`."
)
