"""How much an exchange allows: of requests, frames, connections and streams, in what time."""

from __future__ import annotations

import attrs

from ccrs_core.model import checks


@attrs.frozen(kw_only=True)
class Budget:
    """At most ``amount`` in any ``seconds``, and no more than each of ``also`` allows.

    :raises UsageError: where the amount is below 1, or there is no time: that allows nothing.
    """

    amount: int = attrs.field(validator=checks.count)
    seconds: float = attrs.field(validator=checks.positive_seconds)
    also: tuple[Budget, ...] = attrs.field(default=(), validator=checks.of(tuple))
    """Further limits on the same: of an hour, say, beside that of a second."""

    @property
    def all(self) -> tuple[Budget, ...]:
        """Each limit by itself."""
        return self, *(each for further in self.also for each in further.all)

    @property
    def rate(self) -> float:
        """What may be spent a second in the long run."""
        return min(each.amount / each.seconds for each in self.all)


@attrs.frozen
class Pool:
    """A budget of some endpoints, beside that of their address: each request costs one of it.

    Endpoints whose pools have one name share it: all that place orders, say, or one alone.
    """

    name: str
    budget: Budget = attrs.field(validator=checks.of(Budget))


@attrs.frozen(kw_only=True)
class Limits:
    """What the exchange allows per IP address.

    :raises UsageError: where something is allowed less than once.
    """

    connects: Budget = Budget(amount=100, seconds=60.0)
    """WebSocket connection attempts per host."""
    requests: Budget = Budget(amount=100, seconds=10.0)
    """Summed weight of REST requests per host (but see ``Exchange.rest_budget``, and
    ``Endpoint.pool`` for what only some of them may spend)."""
    messages: Budget | None = None
    """Frames sent to a host, on all connections together (beside ``Route.messages``)."""
    connections: int | None = attrs.field(default=None, validator=checks.count_if_any)
    """WebSocket connections to a host that may be open at a time."""
    subscriptions: int | None = attrs.field(default=None, validator=checks.count_if_any)
    """Streams that may be subscribed to at a host, on all connections together."""
