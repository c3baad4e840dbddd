"""How long to wait for what."""

from __future__ import annotations

import attrs

from ccrs_core.model import checks


@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait for what, in seconds."""

    ack: float = attrs.field(default=5.0, validator=checks.positive_seconds)
    """For an acknowledgement, before the request is repeated."""
    ack_attempts: int = attrs.field(default=3, validator=checks.count)
    """Requests without acknowledgement after which a topic counts as refused."""
    login: float = attrs.field(default=10.0, validator=checks.positive_seconds)
    first: float = attrs.field(default=20.0, validator=checks.positive_seconds)
    """For the first acknowledgement of a subscription from the wish on, connected or not, before
    the feed is told. The wish is known once the feed is entered, for which its instruments are."""
    unproved: float = attrs.field(default=1800.0, validator=checks.positive_seconds)
    """Without any sign of life of a stream of which the exchange can't be asked whether anything
    has happened, before it is subscribed to anew on a fresh connection."""
    idle: float = attrs.field(default=60.0, validator=checks.positive_seconds)
    """For any frame at all, where the codec declares no heartbeat."""
