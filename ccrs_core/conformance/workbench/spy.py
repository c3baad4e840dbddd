"""The exchange under test with a note of what the core asks of it, and with other limits."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping, Sequence

import attrs

from ccrs_core.contract.access import Access, Token
from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.codec import Codec, Heartbeat, Message, Outbound
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.contract.rest import GetBook, HttpRequest, HttpResponse, Request
from ccrs_core.emulator import Dialect
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import Checksum
from ccrs_core.model.subscriptions import Subscription


@attrs.frozen
class Asked:
    """A request that a codec was asked to write."""

    codec: int
    """The how manieth codec it was, from 1."""
    subscribe: bool
    topics: tuple[str, ...]
    frame: Outbound


class SpiedCodec(Codec):
    """Passes everything on to the plugin's codec, and notes requests and what is read."""

    def __init__(self, spy: SpiedExchange, number: int, codec: Codec) -> None:
        self._spy = spy
        self._number = number
        self._codec = codec
        self.heartbeat = spy.heartbeat or codec.heartbeat  # type: ignore[misc]
        self.compression = codec.compression  # type: ignore[misc]
        self.once = codec.once  # type: ignore[misc]

    def topic(self, subscription: Subscription) -> str:
        return self._codec.topic(subscription)

    def request_kind(self, subscription: Subscription) -> Hashable:
        return self._codec.request_kind(subscription)

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        return self._codec.shortcut(topic)

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return self._codec.peek(frame)

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        return self._codec.newest(frames, replaceable)

    def ask_once(self, name: str, request_id: str) -> Outbound:
        return self._codec.ask_once(name, request_id)

    def ping(self, request_id: str) -> Outbound | None:
        return self._codec.ping(request_id)

    def probe(self, request_id: str) -> Outbound | None:
        return self._codec.probe(request_id)

    def login(self, access: Access, request_id: str) -> Outbound | None:
        return self._codec.login(access, request_id)

    def sign(self, frame: Outbound, access: Access) -> Outbound:
        return self._codec.sign(frame, access)

    def _note(self, subscribe: bool, subs: Sequence[Subscription], frame: Outbound) -> Outbound:
        topics = tuple(dict.fromkeys(map(self._codec.topic, subs)))
        self._spy.asked.append(Asked(self._number, subscribe, topics, frame))
        return frame

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._note(True, subscriptions, self._codec.subscribe(subscriptions, request_id))

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        return self._note(False, subscriptions, self._codec.unsubscribe(subscriptions, request_id))

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        messages = self._codec.decode(frame, received_time_ns)
        self._spy.read.extend(m for m in messages if m.__class__ in self._spy.of_interest)
        return messages


class SpiedExchange(Exchange):
    """An exchange that behaves as the plugin's, but for what is given here.

    :param reroute: what to make of each route, to try out lower limits.
    :param limits: instead of the plugin's.
    :param heartbeat: instead of that of the plugin's codecs.
    :param of_interest: the kinds of message to note in ``read``.
    """

    def __init__(
        self,
        inner: Exchange,
        *,
        reroute: Callable[[Route], Route] = lambda route: route,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        of_interest: tuple[type[object], ...] = (),
    ) -> None:
        self._inner = inner
        self._reroute = reroute
        self._routes: dict[Route, Route] = {}
        self._codecs = 0
        self.heartbeat = heartbeat
        self.of_interest = frozenset(of_interest)
        self.asked: list[Asked] = []
        self.read: list[Message] = []
        self.name = inner.name  # type: ignore[misc]
        self.contract = inner.contract  # type: ignore[misc]
        self.title = inner.title  # type: ignore[misc]
        self.capabilities = inner.capabilities  # type: ignore[misc]
        self.environments = inner.environments  # type: ignore[misc]
        self.endpoints = inner.endpoints  # type: ignore[misc]
        self.base_url_paths = inner.base_url_paths  # type: ignore[misc]
        self.limits = limits or inner.limits  # type: ignore[misc]

    def route(self, subscription: Subscription) -> Route:
        route = self._inner.route(subscription)
        changed = self._reroute(route)
        self._routes[changed] = route
        return changed

    def codec(self, route: Route) -> Codec:
        self._codecs += 1
        return SpiedCodec(self, self._codecs, self._inner.codec(self._routes.get(route, route)))

    def error_of(self, response: HttpResponse) -> CcrsError | None:
        return self._inner.error_of(response)

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        return self._inner.sign(request, access)

    def token(self, route: Route, held: str = "") -> Request[Token] | None:
        return self._inner.token(self._routes.get(route, route), held)

    def checksum(self, subscription: Subscription) -> Checksum | None:
        return self._inner.checksum(subscription)

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        return self._inner.book_snapshot(subscription)

    def wider_snapshot(self, subscription: Subscription) -> GetBook | None:
        return self._inner.wider_snapshot(subscription)

    def book_depth(self, subscription: Subscription) -> int | None:
        return self._inner.book_depth(subscription)

    def rest_address(self, request: HttpRequest) -> str:
        return self._inner.rest_address(request)

    def rest_pool(self, address: str) -> str:
        return self._inner.rest_pool(address)

    def rest_budget(self, address: str) -> Budget:
        return self._inner.rest_budget(address)

    def weight_used(self, response: HttpResponse) -> int | None:
        return self._inner.weight_used(response)

    def max_silence(self, subscription: Subscription) -> float | None:
        return self._inner.max_silence(subscription)

    def consecutive(self, subscription: Subscription) -> bool:
        return self._inner.consecutive(subscription)

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        return self._inner.subscriptions_in(frames, market)

    def dialect(self) -> Dialect | None:
        return self._inner.dialect()
