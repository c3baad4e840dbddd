"""What the connections of a client share, besides what they share with its requests."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ccrs_core.contract.access import Token
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.exchange import Route
from ccrs_core.transport.alternatives import Alternatives
from ccrs_core.transport.context import Context
from ccrs_core.transport.pace import Pace
from ccrs_core.transport.paths import Paths

if TYPE_CHECKING:
    import asyncio


class Lookout(Protocol):
    """Who looks out for streams that are dead without anybody saying so."""

    def wake(self) -> None:
        """There is something to watch."""

    def speaks(self, route: Route, address: str) -> bool:
        """Whether anything has come from an address lately, to whatever shard."""


@attrs.frozen(kw_only=True)
class Shared:
    """What the connections of a client share."""

    context: Context
    alternatives: Alternatives
    """Addresses of the streams, and which of them is dialled, where a connection's own way says
    nothing else."""
    paths: Paths
    pace: Pace
    lookout: Lookout
    token: Callable[[Account, Route], Awaitable[Token | None]]
    """The token that a private route's connections show, where the exchange has such.

    :raises CcrsError: where it can't be had.
    """
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts a task whose failure ends the client."""
    epochs: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
    numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1))
