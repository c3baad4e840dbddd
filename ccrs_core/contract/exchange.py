"""The contract of an exchange plugin: an exchange described as data plus a few pure functions."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ccrs_core.contract.budgets import Budget, Limits, PoolLeft
from ccrs_core.contract.codec import Codec
from ccrs_core.contract.rest import GetActivity, GetBook, GetTopOfBook, GetTrades
from ccrs_core.errors import Unsupported
from ccrs_core.model import checks
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import LEDGER_CHANNELS, MARKET_CHANNELS, Channel, Subscription

if TYPE_CHECKING:
    from ccrs_core.contract.access import Access, Token
    from ccrs_core.contract.rest import Endpoint, HttpRequest, HttpResponse, Request
    from ccrs_core.contract.trading import Trading
    from ccrs_core.emulator.dialect import Dialect
    from ccrs_core.errors import CcrsError
    from ccrs_core.model.orderbook import Checksum

CONTRACT = 2
"""Version of this contract. Plugins written for another one are refused at load time."""


class SequenceScope(enum.StrEnum):
    """Where an exchange's sequence numbers mean the same thing."""

    GLOBAL = "global"
    """The same update has the same number on every connection: racing is possible."""
    CONNECTION = "connection"
    """Each connection counts for itself (or there are no numbers): racing is not possible."""


@attrs.frozen(kw_only=True)
class Route:
    """The socket that carries a subscription, with the exchange's limits on it.

    Subscriptions with equal routes share connections. ``url`` is a template of the environment's
    addresses: ``{public}/v5/public/spot``; ``{token}`` stands for what ``Exchange.token`` gets.

    :raises UsageError: where a limit is below 1, or an age not above zero.
    """

    url: str
    name: str = ""
    """Tells routes of one address apart, where subscriptions must not share a connection: two
    depths of a book, say, whose frames don't tell which is which."""
    private: bool = False
    sequence_scope: SequenceScope = SequenceScope.CONNECTION
    topics_per_connection: int | None = attrs.field(default=None, validator=checks.count_if_any)
    topic_chars_per_connection: int | None = attrs.field(
        default=None, validator=checks.count_if_any
    )
    headers: tuple[tuple[str, str], ...] = ()
    """HTTP headers of the handshake: names and values."""
    topics_per_request: int = attrs.field(default=10, validator=checks.count)
    messages: Budget | None = None
    """Frames that may be sent on one connection, heartbeats included."""
    requests: Budget | None = None
    """Requests among them: to subscribe, to unsubscribe."""
    request_bytes: int | None = attrs.field(default=None, validator=checks.count_if_any)
    """How long a request may be, before it is signed: leave room for that."""
    max_age: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.positive_seconds)
    )
    """Seconds after which the exchange ends a connection."""
    alternatives: tuple[str, ...] = ()
    """Templates of other addresses that may serve the same streams, where the exchange's word on
    it is contested or has changed: tried in turn where what was acknowledged stays silent."""

    def at(self, addresses: Mapping[str, str]) -> str:
        """The URL among these addresses, with ``{token}`` as it is."""
        return address_of(self.url, addresses)


def address_of(template: str, addresses: Mapping[str, str]) -> str:
    """A URL of a route among these addresses, with ``{token}`` as it is."""
    return template.replace("{token}", "{{token}}").format_map(addresses)


@attrs.frozen(kw_only=True)
class Environment:
    """Addresses by name: ``rest`` and those that route templates mention. No trailing slashes."""

    addresses: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """HTTP headers of every request, where the environment is told by those."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a plugin offers; anything else is refused with ``Unsupported`` before any I/O."""

    channels: Mapping[Market, frozenset[Channel]] = attrs.field(factory=dict)
    book_depths: Mapping[Market, tuple[int, ...]] = attrs.field(factory=dict)
    """Depths of the streams of books, ascending. Who wants another number of levels is given the
    best of the next deeper stream."""
    rpi_book_depths: Mapping[Market, tuple[int, ...]] = attrs.field(factory=dict)
    """Those of the streams of books that hold orders of retail price improvement, too."""
    intervals: tuple[str, ...] = ()
    """Candle intervals by their unified names."""
    open_interest_intervals: tuple[str, ...] = ()
    """Those of past open interest."""
    instrument_news: frozenset[Market] = frozenset()
    """Markets of which ``Channel.INSTRUMENTS`` tells that their instruments have changed: listings,
    rules, statuses. Of others fresh lists are asked for from time to time."""
    account_channels: frozenset[Channel] = frozenset()
    """Channels of an account; their routes are private."""


class Exchange(ABC):
    """An exchange: implement the abstract methods; holds no connection and no state."""

    name: ClassVar[str]
    """Equals the entry point's name."""
    contract: ClassVar[int]
    """Version of the contract that the plugin was written for, spelled out as a number."""
    title: ClassVar[str] = ""
    """For people; ``name`` where empty."""
    capabilities: ClassVar[Capabilities]
    environments: ClassVar[Mapping[str, Environment]]
    """By name; ``mainnet`` is always there, ``testnet`` and ``demo`` where they exist."""
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {}
    limits: ClassVar[Limits] = Limits()
    trading: ClassVar[Trading | None] = None
    """What it offers of orders and accounts; None: nothing."""
    base_url_paths: ClassVar[Mapping[str, str]] = {}
    """Paths, such as ``/inverse``, by the names of addresses: where a ``base_url`` (the emulator, a
    relay) serves these, because they have paths in common with others."""

    @abstractmethod
    def route(self, subscription: Subscription) -> Route:
        """The socket that carries a subscription (one that the capabilities allow)."""

    @abstractmethod
    def codec(self, route: Route) -> Codec:
        """A fresh codec; called once per connection."""

    @abstractmethod
    def error_of(self, response: HttpResponse) -> CcrsError | None:
        """The typed error that a response stands for, or None where it is an answer.

        :raises DecodeError: where the body can't be read at all.
        """

    def sign(self, request: HttpRequest, access: Access) -> HttpRequest:
        """The request with whatever proves who sends it; sign exactly the bytes that are sent, and
        the host that they go to (``access.host``) where the exchange wants that.

        :raises Unsupported: where the plugin has no signed requests.
        """
        raise Unsupported(f"{self.name} has no signed requests")

    def entry_route(self, market: Market) -> Route | None:
        """The private route of the sockets over which a market's orders are entered, which may be
        that of other markets as well; None where there are none. The environment may lack its
        address: then there are none there."""
        return None

    def enters(self, request: Request[Any]) -> bool:
        """Whether a request of ``Trading.by_socket`` can go over the socket of ``entry_route``: not
        where that needs something which isn't known of its instrument, say. It goes by REST then.
        """
        return True

    def token(self, route: Route, held: str = "") -> Request[Token] | None:
        """The question for the token that connections of a private route show: in their URL
        (``{token}``) or in what they send (``Access.token``); None where there is none.

        It is asked before the first of them connects, and when ``Token.renew_after`` is over: then
        for the one to renew, which is ``held``. Where that is refused, a new one is asked for; and
        who has the old one in the URL is replaced. An idempotent question, signed if need be.
        """
        return None

    def checksum(self, subscription: Subscription) -> Checksum | None:
        """How the exchange computes the ``checksum`` of a book's updates; None where it has none.

        It is called after each update that carries one; a book that fails it is asked for anew.
        """
        return None

    def book_snapshot(self, subscription: Subscription) -> GetBook | None:
        """The request that a book starts from, where its stream may bring changes alone; None where
        the stream always begins with the whole book.

        It is asked once changes arrive that no snapshot precedes, and again after a gap; the
        changes wait meanwhile. The answer's ``sequence`` must be of the stream's count: the first
        change applied is the one whose numbers enclose it, as told at :class:`BookUpdate`.
        """
        return None

    def wider_snapshot(self, subscription: Subscription) -> GetBook | None:
        """The request by which a running book that starts from one is made to know more, before the
        market leaves the levels that it knows: ``book_snapshot`` unless a deeper one is worth its
        weight. Only of books with ``book_depth`` None; an answer with fewer levels in a side than
        the request's ``depth`` holds all that there are."""
        return self.book_snapshot(subscription)

    def book_depth(self, subscription: Subscription) -> int | None:
        """How many levels a side of a book the exchange keeps up to date: what lies beyond is
        dropped, since nothing tells when it changes. None where the stream tells the changes of all
        levels, however far from the best: the book keeps more than it shows, and shows the
        subscription's ``depth``."""
        return subscription.depth

    def push_interval(self, subscription: Subscription) -> float | None:
        """Seconds between two updates of a stream in a lively market, as the exchange's documents
        say: 0.0 where each change is told at once; None where they don't say."""
        return None

    def rest_address(self, request: HttpRequest) -> str:
        """The name of the environment's address that a request goes to."""
        return "rest"

    def rest_pool(self, address: str) -> str:
        """The name of the address whose budget, and whose pauses, requests to an address share: its
        own, unless the exchange counts several hosts together."""
        return address

    def rest_budget(self, address: str) -> Budget:
        """What may be asked of an address, as summed weight of requests; of those that share one,
        it is that of ``rest_pool``."""
        return self.limits.requests

    def weight_used(self, response: HttpResponse) -> int | None:
        """How much of ``Limits.requests`` is spent already, as far as the exchange says so with its
        answers; None where it doesn't."""
        return None

    def pools_left(self, request: Request[Any], headers: Mapping[str, str]) -> Sequence[PoolLeft]:
        """What the answer to a request says of what is left of pools: the exchange's count is the
        truth, which this account's other programs are in. ``headers`` are those of the HTTP
        response, or of an ``EntryReply``; names in lower case."""
        return ()

    def max_silence(self, subscription: Subscription) -> float | None:
        """Seconds for which a healthy stream of this kind may say nothing; None where it has no
        cadence (trades of an illiquid instrument), so that silence proves nothing."""
        return None

    def activity(self, subscription: Subscription) -> Request[Any] | None:
        """The question whose answer tells whether something has happened that a stream without
        cadence (``max_silence`` None) must have told of; None where nothing can be asked.

        While such a stream is quiet, the question is asked now and then, within a twentieth of the
        request budget. Answers are compared with one another alone: a ``GetActivity``, one answer
        for all instruments of a market, is the best; else the last trade (``GetTrades``) or the
        best prices (``GetTopOfBook``, ``GetBook``) of the instrument do. By default the first of
        these that the exchange answers.
        """
        instrument = subscription.instrument
        asked: list[Request[Any]] = []
        match subscription.channel:
            case Channel.TRADES | Channel.CANDLES | Channel.TICKER:
                asked = [GetActivity(instrument.market, Channel.TRADES), GetTrades(instrument, 1)]
            case Channel.BOOK | Channel.TOP_OF_BOOK:
                asked = [
                    GetActivity(instrument.market, Channel.BOOK),
                    GetTopOfBook(instrument),
                    GetBook(instrument, 1),
                ]
        return next((each for each in asked if self._answers(each, instrument.market)), None)

    def _answers(self, request: Request[Any], market: Market) -> bool:
        endpoint = self.endpoints.get(type(request))
        return endpoint is not None and market in endpoint.markets and not endpoint.signed

    def consecutive(self, subscription: Subscription) -> bool:
        """Whether the exchange counts the trades of a subscription one by one: each
        ``Trade.trade_id`` is a number, one above that of the trade before it. Then a hole is a gap,
        and a number that follows proves that nothing is missing. Only where the exchange says so.
        """
        return False

    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> Sequence[Subscription]:
        """The subscriptions that recorded frames belong to, for replaying recordings made by other
        programs, which don't say. ``market`` is the user's word, where given."""
        return ()

    def dialect(self) -> Dialect | None:
        """How the emulator speaks this exchange's protocol; None where the plugin ships none."""
        return None


def unsupported_reason(exchange: Exchange, subscription: Subscription) -> str | None:
    """Why an exchange's declared capabilities rule a subscription out, or None."""
    capabilities = exchange.capabilities
    if subscription.account is not None:
        if subscription.channel in LEDGER_CHANNELS:
            return f"{subscription} is no feed: read it from client.account().events()"
        if subscription.channel in capabilities.account_channels:
            return None
        offered = ", ".join(sorted(c.value for c in capabilities.account_channels)) or "nothing"
        return (
            f"{exchange.name} offers no {subscription.channel.value} of accounts; it offers "
            f"{offered}"
        )
    instrument = subscription.instrument
    if subscription.channel in MARKET_CHANNELS:
        if instrument.market in capabilities.instrument_news:
            return None
        return f"{exchange.name} doesn't tell of changes of {instrument.market.value} instruments"
    channels = capabilities.channels.get(instrument.market, frozenset())
    if subscription.channel not in channels:
        offered = ", ".join(sorted(c.value for c in channels)) or "nothing"
        return (
            f"{exchange.name} offers no {subscription.channel.value} for {instrument.market.value} "
            f"instruments such as {instrument.symbol}; it offers {offered}"
        )
    if subscription.channel is Channel.BOOK:
        depths = capabilities.book_depths.get(instrument.market, ())
        if subscription.rpi:
            depths = capabilities.rpi_book_depths.get(instrument.market, ())
            if not depths:
                return (
                    f"{exchange.name} offers no {instrument.market.value} book with orders of "
                    "retail price improvement"
                )
        if subscription.depth not in depths:
            deepest = max(depths, default=0)
            return (
                f"{exchange.name} offers no {instrument.market.value} book with "
                f"{subscription.depth} levels; it offers {', '.join(map(str, depths))}"
                + ("" if (subscription.depth or 0) > deepest else ", or the best of these")
                + f", {deepest} at most"
            )
    if subscription.channel is Channel.CANDLES and (
        subscription.interval not in capabilities.intervals
    ):
        return (
            f"{exchange.name} offers no candles of {subscription.interval}; "
            f"it offers {', '.join(capabilities.intervals)}"
        )
    return None


def resolve(
    exchange: Exchange,
    channel: Channel,
    instrument: Instrument,
    depth: int | None,
    interval: str | None,
    exact: bool = False,
    rpi: bool = False,
) -> Subscription:
    """An interest as a subscription: of books to the shallowest that has ``depth`` levels, unless
    it must be ``exact``, or to the shallowest of all where no depth is asked for."""
    if channel is Channel.BOOK and not exact:
        offered = exchange.capabilities
        by_market = offered.rpi_book_depths if rpi else offered.book_depths
        depths = by_market.get(instrument.market, ())
        enough = (each for each in sorted(depths) if depth is None or each >= depth > 0)
        depth = next(enough, depth or 0)
    return Subscription(channel, instrument, depth, interval, rpi=rpi)
