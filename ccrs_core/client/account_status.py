"""What an account tells of itself within its client's status: lines, streams, budgets, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ccrs_core.client.connection_status import ConnectionStatus, connection_of
from ccrs_core.model.accounts import BudgetLeft
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.transport.exchange_time import ClockOffset

if TYPE_CHECKING:
    from ccrs_core.trading.account import Account


@attrs.frozen(kw_only=True)
class PrivateStreamStatus:
    """One private topic of an account."""

    topic: str
    """As the exchange names it."""
    channels: tuple[Channel, ...]
    """What it brings."""
    live: bool
    """Whether a connection has it acknowledged."""
    delivered: int
    """Rows that it has brought."""


@attrs.frozen(kw_only=True)
class EntryStatus:
    """One of an account's sockets for orders."""

    markets: tuple[Market, ...]
    """Whose orders go there."""
    ready: bool
    """Whether a request can leave on it now; else it goes by REST."""
    trouble: str
    """What keeps it from that; empty: nothing."""
    connections: tuple[ConnectionStatus, ...]


@attrs.frozen(kw_only=True)
class AccountStatus:
    """One open account at this moment."""

    name: str
    synced: bool
    reason: str
    """Why it is synced or not, for people."""
    number: int
    """Of its ledger's last event."""
    open_orders: int
    """Those that may be filled, unknown ones among them."""
    unknown_orders: int
    """Those of which it isn't known whether the exchange has them."""
    streams: tuple[PrivateStreamStatus, ...]
    stream_trouble: str
    """What keeps its streams from being whole; empty: nothing."""
    entries: tuple[EntryStatus, ...]
    """Its sockets for orders; empty: none was opened."""
    budgets: tuple[BudgetLeft, ...]
    """What is left of each that was spent from."""
    clock: ClockOffset | None
    """How the exchange's clock stands to the local one; None: it hasn't told its time yet."""
    store_trouble: str
    """What keeps the ledger from being stored; empty: nothing."""


def status_of(account: Account) -> AccountStatus | None:
    """How an account fares; None of one that isn't open."""
    parts = account._open
    if parts is None or not account.open:
        return None
    streams = parts.streams
    failed = parts.journal.failed
    follows = parts.settings.follow
    return AccountStatus(
        name=account.name,
        synced=account.synced,
        reason=account.reason,
        number=account.number,
        open_orders=len(account.open_orders()),
        unknown_orders=len(account.unknown_orders()),
        streams=tuple(
            PrivateStreamStatus(
                topic=each.name, channels=each.channels, live=each.live, delivered=each.delivered
            )
            for each in streams.topics
        ),
        stream_trouble="" if streams.whole or not follows else streams.trouble,
        entries=tuple(
            EntryStatus(
                markets=each.markets,
                ready=each.line.ready,
                trouble="" if each.line.ready else each.line.trouble,
                connections=tuple(connection_of(link, ()) for link in each.line.links),
            )
            for each in parts.lines.open
        ),
        budgets=tuple(account.budget()),
        clock=None if account.clock is None else account.clock.offset,
        store_trouble="" if failed is None else str(failed),
    )
