"""Where connections and subscriptions stand."""

from __future__ import annotations

import enum


class LinkState(enum.StrEnum):
    """Where a supervised connection stands."""

    WAITING = "waiting"
    """Backing off, or waiting for the connection-attempt budget."""
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


class SubscriptionState(enum.StrEnum):
    """Where a subscription stands, over all of its connections."""

    PENDING = "pending"
    ACTIVE = "active"
    UNPROVED = "unproved"
    """Acknowledged, but nothing has come of it for long, or ever, and the exchange can't be asked
    whether anything should have."""
    STALE = "stale"
    REFUSED = "refused"

    @property
    def acknowledged(self) -> bool:
        """Whether the exchange has accepted it, and nothing is known to interrupt it."""
        return self in (SubscriptionState.ACTIVE, SubscriptionState.UNPROVED)
