"""The settings of a client, with defaults that suit most."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model import checks
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.patience import Patience
from ccrs_core.transport.ways import Way


def _ways(given: Iterable[Way]) -> tuple[Way, ...]:
    if isinstance(given, Way | str) or not isinstance(given, Iterable):
        raise UsageError(f"ways must be a list of Way, not {given!r:.100}")
    found = tuple(given)
    for each in found:
        if not isinstance(each, Way):
            raise UsageError(f"ways must be of the type Way, not {each!r:.100}")
    return found


@attrs.frozen(kw_only=True)
class Options:
    """How a client connects, heals and waits. All times are seconds."""

    transport: TransportOptions = attrs.field(
        factory=TransportOptions, validator=checks.of(TransportOptions)
    )
    ways: tuple[Way, ...] = attrs.field(default=(), converter=_ways)
    """The ways that connections of streams go, each the next one, round and round: with as many
    racing connections as ways each goes its own. Without any, all go as ``transport`` says, and
    requests do always."""
    patience: Patience = attrs.field(factory=Patience, validator=checks.of(Patience))

    backoff_initial: float = attrs.field(default=0.5, validator=checks.seconds)
    """The first reconnect waits a random time up to this; each further one up to twice as long."""
    backoff_max: float = attrs.field(default=30.0, validator=checks.positive_seconds)
    stable_after: float = attrs.field(default=10.0, validator=checks.seconds)
    """A connection that brought data for so long resets the back-off."""
    max_failures: int | None = attrs.field(default=None, validator=checks.count_if_any)
    """With so many failures in a row of one connection ``ReconnectsExhausted`` ends the client, of
    fetching the instruments for a feed it ends the entering of the feed; None: try for ever."""

    max_connection_age: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.positive_seconds)
    )
    """Replace connections at this age, or before the exchange's own limit where that is lower."""
    rollover_overlap: float = attrs.field(default=1.0, validator=checks.seconds)
    """Both connections of a planned replacement deliver for so long."""
    replace_losers: bool = attrs.field(default=False, validator=checks.of(bool))
    """Replace a racing connection that won less than ``loser_share`` of ``loser_window``."""
    loser_window: float = attrs.field(default=60.0, validator=checks.positive_seconds)
    loser_share: float = attrs.field(default=0.02, validator=checks.seconds)

    send_timeout: float = attrs.field(default=10.0, validator=checks.positive_seconds)
    request_attempts: int = attrs.field(default=3, validator=checks.count)
    """Tries of a REST read that fails for a passing reason."""
    request_patience: float = attrs.field(default=10.0, validator=checks.seconds)
    """A rate limit that lasts longer is raised at once instead of waited for."""
    instruments_max_age: float = attrs.field(default=3600.0, validator=checks.seconds)
    """Instrument lists older than this are fetched anew when they are needed."""
