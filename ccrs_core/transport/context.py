"""What all connections of a client share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange
from ccrs_core.topics.lookout import Lookout
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.transport.alternatives import Alternatives
from ccrs_core.transport.base import Clock, Transport
from ccrs_core.transport.limits import HostLimits
from ccrs_core.transport.options import Options
from ccrs_core.transport.pace import Pace

if TYPE_CHECKING:
    import asyncio


@attrs.frozen(kw_only=True)
class Context:
    """What all connections of a client share."""

    exchange: Exchange
    transport: Transport
    clock: Clock
    options: Options
    credentials: Credentials | None
    alternatives: Alternatives
    """Addresses of the streams."""
    host_limits: Callable[[str], HostLimits]
    rest: Callable[[str], tuple[str, HostLimits]]
    """Address and budgets of REST, by the name that ``Exchange.rest_address`` gives it."""
    snapshots: SnapshotQueue
    lookout: Lookout
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    hook: Callable[..., None]
    pace: Pace
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Of every request (``Environment.headers``)."""
    epochs: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
