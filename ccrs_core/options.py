"""The settings of a client, with defaults that suit most."""

from __future__ import annotations

import attrs

from ccrs_core.effects import Patience
from ccrs_core.transport.base import TransportOptions


@attrs.frozen(kw_only=True)
class Options:
    """How a client connects, heals and waits. All times are seconds."""

    transport: TransportOptions = attrs.field(factory=TransportOptions)
    patience: Patience = attrs.field(factory=Patience)

    backoff_initial: float = 0.5
    """The first reconnect waits a random time up to this; each further one up to twice as long."""
    backoff_max: float = 30.0
    stable_after: float = 10.0
    """A connection that brought data for so long resets the back-off."""
    max_failures: int | None = None
    """With so many failures in a row of one connection ``ReconnectsExhausted`` ends the client;
    None: try for ever."""

    max_connection_age: float | None = None
    """Replace connections at this age, or before the exchange's own limit where that is lower."""
    rollover_overlap: float = 1.0
    """Both connections of a planned replacement deliver for so long."""
    replace_losers: bool = False
    """Replace a racing connection that won less than ``loser_share`` of ``loser_window``."""
    loser_window: float = 60.0
    loser_share: float = 0.02

    send_timeout: float = 10.0
    request_attempts: int = 3
    """Tries of a REST read that fails for a passing reason."""
    request_patience: float = 10.0
    """A rate limit that lasts longer is raised at once instead of waited for."""
    instruments_max_age: float = 3600.0
    """Instrument lists older than this are fetched anew when they are needed."""
