"""Several exchanges behind one object: a client of each, and feeds that merge them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import attrs

from ccrs_core.client.client import Client, connect
from ccrs_core.client.following import Resolution, all_missing
from ccrs_core.client.keeping import Openable
from ccrs_core.client.status import ClientStatus
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.errors import SubscriptionRefused, UsageError
from ccrs_core.feeds.feed import Feed, MissingName
from ccrs_core.feeds.policy import Policy, PolicyName
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.orderbook import OrderBook
from ccrs_core.model.subscriptions import Interest
from ccrs_core.several.feed import MergedFeed
from ccrs_core.several.names import qualified, split
from ccrs_core.transport.base import (
    SYSTEM_CLOCK,
    Clock,
    Connection,
    Transport,
    TransportOptions,
    along,
)
from ccrs_core.transport.choice import make_transport
from ccrs_core.transport.options import Options


def connect_many(
    *exchanges: str | Exchange | Client,
    environment: str = "mainnet",
    options: Options | None = None,
    transport: Transport | str | None = None,
    clock: Clock | None = None,
    listeners: Iterable[object] = (),
    seed: int = 0,
    rate: float = 50.0,
) -> Clients:
    """Clients of several exchanges; use them in ``async with``. Nothing is dialled before that.

    :param exchanges: names of installed plugins or ``Exchange`` objects, to which the settings here
        apply; or clients made by :func:`connect` with settings of their own (credentials, another
        environment, an address) and not opened yet.
    :param transport: one for all but the clients that you made: your own, which is closed with
        them, or the name of one, as in :func:`connect`.
    :param environment: and all others as in :func:`connect`.
    :raises PluginError: where an exchange isn't installed or can't be loaded.
    :raises UsageError: where none is named, one is named twice, or one lacks the environment.
    """
    settings = Options() if options is None else options
    wanted = not all(isinstance(each, Client) for each in exchanges)
    shared = _SharedTransport(transport, settings, wanted)
    made: dict[str, Client] = {}
    listening = tuple(listeners)
    for each in exchanges:
        client = each
        if not isinstance(client, Client):
            client = connect(
                client,
                environment=environment,
                options=settings,
                transport=shared,
                clock=clock,
                listeners=listening,
                seed=seed,
                rate=rate,
            )
        name = client.exchange.name
        if name in made:
            raise UsageError(f"{name} is named twice; its events couldn't be told apart")
        made[name] = client
    if not made:
        raise UsageError("name at least one exchange")
    return Clients(made, shared, SYSTEM_CLOCK if clock is None else clock)


class Clients(Openable):
    """Several exchanges. Made by :func:`connect_many`; use it in ``async with``, in one task, or by
    :meth:`open` and :meth:`aclose`.

    ``clients["name"]`` is the :class:`Client` of one, for its requests and for feeds of its own;
    :meth:`subscribe` merges. What goes wrong for good at one exchange ends the ``async with`` block
    as that exchange's own client would, and closes the others.
    """

    def __init__(self, clients: dict[str, Client], shared: _SharedTransport, clock: Clock) -> None:
        self._clients = clients
        self._shared = shared
        self._clock = clock
        self._undo: contextlib.AsyncExitStack | None = None
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        """The exchanges, in the order in which they were given."""
        return tuple(self._clients)

    def __getitem__(self, exchange: str) -> Client:
        """The client of one exchange.

        :raises UsageError: where it isn't among them.
        """
        found = self._clients.get(exchange)
        if found is None:
            raise UsageError(f"{exchange!r} is none of {', '.join(self._clients)}")
        return found

    def __contains__(self, exchange: object) -> bool:
        return exchange in self._clients

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    # --- life ---

    async def __aenter__(self) -> Self:
        if self._undo is not None or self._closed:
            raise UsageError("clients are opened once; call connect_many() for others")
        async with contextlib.AsyncExitStack() as undo:
            await undo.enter_async_context(self._shared)
            for client in self._clients.values():
                await undo.enter_async_context(client)
            self._undo = undo.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._undo is not None
        if self._closed:
            return  # by aclose() within the block
        self._closed = True
        await self._undo.__aexit__(kind, error, traceback)

    async def _close(self) -> None:
        if self._undo is not None:
            await self.__aexit__(None, None, None)
        self._closed = True

    def __repr__(self) -> str:
        state = "closed" if self._closed else "not open" if self._undo is None else "open"
        return f"<Clients {', '.join(self._clients)}: {state}>"

    # --- streams ---

    def subscribe(
        self,
        *interests: Interest,
        connections: int = 1,
        policy: Policy | PolicyName = Policy.DROP_OLDEST,
        maxsize: int = 65_536,
        callback: Callable[[AnyEvent], object] | None = None,
        stale_after: float | None = None,
        missing: MissingName = "raise",
    ) -> MergedFeed:
        """One feed of several exchanges; it subscribes when entered with ``async with``.

        A symbol with an exchange in front means that one (``top_of_book("name:BTC/USDT")``), a
        plain symbol means every exchange; patterns do as in :meth:`Client.subscribe`. Events come
        in the order in which they arrive here.

        :param connections: and all others as in :meth:`Client.subscribe`, for each exchange.
        :raises UsageError: where an exchange is named that isn't among these.
        :raises Unsupported: (on entering) where an exchange doesn't offer it.
        :raises UnknownInstrument: (on entering) where an exchange lists no such symbol.
        """
        return MergedFeed(
            self,
            interests,
            connections=connections,
            policy=policy,
            maxsize=maxsize,
            callback=callback,
            stale_after=stale_after,
            missing=missing,
            clock=self._clock,
        )

    def qualify(self, interests: Iterable[Interest]) -> list[Interest]:
        """One interest for each exchange that is meant, its symbol with the exchange in front.

        :raises UsageError: where an exchange is named that isn't among these.
        """
        found: list[Interest] = []
        for interest in interests:
            exchange, symbol = split(interest.symbol)
            names = self.names if exchange is None else (self[exchange].exchange.name,)
            found += [attrs.evolve(interest, symbol=qualified(name, symbol)) for name in names]
        return found

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """For feeds: have every exchange resolve and place its interests; all or none."""
        shares = _shares(interests)
        resolved: dict[str, Resolution] = {}

        async def resolve(exchange: str, own: list[Interest]) -> None:
            resolved[exchange] = await self._clients[exchange].placement.resolve(feed, own)

        try:
            # Side by side: each may have to fetch its instruments first, or wait for its exchange.
            # None begins before all can: until then nobody reads the feed.
            async with asyncio.TaskGroup() as group:
                for exchange, own in shares.items():
                    group.create_task(resolve(exchange, own))
            missing = {
                qualified(exchange, each.symbol): error
                for exchange, found in resolved.items()
                for each, error in found.missing.items()
            }
            if missing and not feed.skips_missing:
                raise all_missing(" and ".join(dict.fromkeys(self._missed(missing))), missing)
            for exchange, found in resolved.items():
                self._clients[exchange].placement.place(feed, found)
        except BaseException as error:
            await self._stop(feed, shares)
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0] from None
            raise

    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
        """For feeds: take interests away; connections that nobody needs any more are closed."""
        await self._stop(feed, _shares(interests))

    async def _stop(self, feed: Feed, shares: dict[str, list[Interest]]) -> None:
        # A cancellation, or an error of one, mustn't leave the others subscribed.
        async with contextlib.AsyncExitStack() as all_of_them:
            for exchange, own in shares.items():
                all_of_them.push_async_callback(self._clients[exchange].placement.stop, feed, own)

    async def ready(self, feed: Feed, everywhere: bool) -> None:
        """For feeds: wait until none of their subscriptions is pending."""
        for client in self._clients.values():
            await client.placement.ready(feed, everywhere)

    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook:
        """For feeds: the live book of one of their subscriptions."""
        exchange, plain = split(symbol)
        if exchange is not None:
            return self[exchange].placement.book(feed, plain, depth)
        names = [split(i.symbol)[0] for i in feed.subscribed if split(i.symbol)[1] == symbol]
        several = list(dict.fromkeys(name for name in names if name is not None))
        if len(several) > 1:
            raise UsageError(f"whose book of {symbol}? Say {qualified(several[0], symbol)!r}")
        return self[several[0] if several else self.names[0]].placement.book(feed, symbol, depth)

    @staticmethod
    def _missed(symbols: Iterable[str]) -> Iterator[str]:
        return (split(symbol)[0] or "" for symbol in symbols)

    def subscribed(self, feed: Feed) -> tuple[Interest, ...]:
        """For feeds: what they are subscribed to, each with its exchange in front."""
        return tuple(
            attrs.evolve(each, symbol=qualified(name, each.symbol))
            for name, client in self._clients.items()
            for each in client.placement.subscribed(feed)
        )

    def missing(self, feed: Feed) -> dict[str, str]:
        """For feeds: why they don't have what they have asked for."""
        return {
            qualified(name, symbol): why
            for name, client in self._clients.items()
            for symbol, why in client.placement.missing(feed).items()
        }

    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool:
        """For feeds: whether they go on without what was refused."""
        return self._clients[refused.exchange].placement.goes_without(feed, refused)

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        """For feeds: tell an exchange's listeners of a loss."""
        self._clients[exchange].placement.overflowed(feed, exchange, lost)

    # --- figures ---

    def status(self) -> dict[str, ClientStatus]:
        """Each exchange's :meth:`Client.status`. A merged feed is in that of each of its own."""
        return {name: client.status() for name, client in self._clients.items()}


def _shares(interests: Iterable[Interest]) -> dict[str, list[Interest]]:
    """Qualified interests by exchange, with plain symbols."""
    found: dict[str, list[Interest]] = {}
    for interest in interests:
        exchange, symbol = split(interest.symbol)
        assert exchange is not None
        found.setdefault(exchange, []).append(attrs.evolve(interest, symbol=symbol))
    return found


class _SharedTransport:
    """One transport lent to several clients; it is closed once, after the last of them."""

    def __init__(self, chosen: Transport | str | None, options: Options, wanted: bool) -> None:
        self._chosen = chosen
        self._options = options
        self._wanted = wanted
        self._real: Transport | None = None

    async def __aenter__(self) -> Self:
        chosen = self._chosen
        if chosen is None or isinstance(chosen, str):
            if self._wanted:
                self._real = make_transport(chosen, self._options.transport)
        else:
            self._real = chosen
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._real is not None:
            await self._real.aclose()

    async def connect(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> Connection:
        assert self._real is not None
        return await self._real.connect(url, headers)

    async def request(self, base_url: str, request: HttpRequest) -> HttpResponse:
        assert self._real is not None
        return await self._real.request(base_url, request)

    def along(self, options: TransportOptions) -> Transport:
        return along(self._real, options)

    async def aclose(self) -> None:
        """Nothing: others may use it still."""
