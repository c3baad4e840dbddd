"""What a client tells of itself: states, counters and last-seen times, as one frozen value."""

from __future__ import annotations

import attrs

from ccrs_core.connections.states import LinkState, SubscriptionState
from ccrs_core.feeds.policy import FeedStatus
from ccrs_core.model.instruments import Market
from ccrs_core.model.orderbook import BookState
from ccrs_core.model.subscriptions import Channel


@attrs.frozen(kw_only=True)
class ConnectionStatus:
    """One supervised connection. Frame counters are of all its epochs and add up to ``frames``."""

    number: int
    """Its place in the client, from 1, kept over reconnects."""
    url: str
    markets: tuple[Market, ...]
    """Those of the instruments that it is subscribed to."""
    state: LinkState
    epoch: int
    """Rises with every connection opened by the client."""
    topics: int
    connects: int
    failures: int
    """Consecutive failed attempts."""
    last_error: str | None
    connected_at_ns: int | None
    last_received_ns: int | None
    frames: int
    data: int
    late: int
    superseded: int
    """Not decoded: a later frame of the burst told more, and only the newest is wanted."""
    control: int
    unrecognised: int
    unwanted: int
    unreadable: int
    retired: int
    rows_left_out: int
    """Rows that couldn't be read, of frames whose other rows were delivered."""
    wins: int
    repeats: int
    mean_ahead: float | None
    """Mean lead (s) of its wins over the runner-up; None without a race."""
    mean_behind: float | None
    """Mean lag (s) of its late copies behind the winner."""


@attrs.frozen(kw_only=True)
class SubscriptionStatus:
    """One subscription, over all of its connections."""

    symbol: str
    channel: Channel
    state: SubscriptionState
    refusal: str | None
    connections: int
    carried_by: int
    """Connections that bring it now."""
    delivered: int
    gaps: int
    stales: int
    last_sequence: int | None
    last_exchange_time_ns: int | None
    last_received_ns: int | None
    book: BookState | None
    resyncs: int


@attrs.frozen(kw_only=True)
class ClientStatus:
    """Everything at one moment."""

    exchange: str
    environment: str
    connections: tuple[ConnectionStatus, ...]
    subscriptions: tuple[SubscriptionStatus, ...]
    feeds: tuple[FeedStatus, ...]
    rollovers: int
    resubscriptions: int
    reconnects: int
    found_dead: int
    """How often a stream was found to be silent although something had happened."""
    address_changes: int
    """How often a route's next address was tried."""
    requests: int
    request_errors: int
    rows_left_out: int
    """Rows of answers that couldn't be read: each kind is told in the log."""
    host_paused: float
    """Seconds for which no REST request will leave, because the exchange said so."""
