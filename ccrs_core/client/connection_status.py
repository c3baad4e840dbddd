"""What one connection tells of itself."""

from __future__ import annotations

import attrs

from ccrs_core.connections.link import Link
from ccrs_core.connections.states import LinkState
from ccrs_core.model.instruments import Market


@attrs.frozen(kw_only=True)
class ConnectionStatus:
    """One supervised connection. Frame counters are of all its epochs and add up to ``frames``."""

    number: int
    """Its place in the client, from 1, kept over reconnects."""
    url: str
    way: str | None
    """Which of ``Options.ways`` it goes; None where there are none."""
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


def connection_of(link: Link, markets: tuple[Market, ...]) -> ConnectionStatus:
    """How a connection fares, of a shard of some markets."""
    runner = link.runner
    return ConnectionStatus(
        number=link.number,
        url=link.url,
        way=link.path.name,
        markets=markets,
        state=link.state,
        epoch=runner.epoch,
        topics=0 if link.session is None else len(link.session.topics),
        connects=link.connects,
        failures=link.failures,
        last_error=link.error,
        connected_at_ns=link.connected_at_ns,
        last_received_ns=link.last_received_ns,
        wins=runner.wins,
        repeats=runner.repeats,
        mean_ahead=runner.mean_ahead,
        mean_behind=runner.mean_behind,
        **attrs.asdict(link.counters()),
    )
