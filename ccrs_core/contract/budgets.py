"""How much an exchange allows: of requests, frames, connections and streams, in what time."""

from __future__ import annotations

import attrs

from ccrs_core.errors import UsageError
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
    """A budget of some endpoints, beside that of their address: each request costs one of it, or
    what ``Endpoint.pool_weight`` says.

    Endpoints whose pools have one name share it: all that place orders, say, or one alone.

    :raises UsageError: where more is reserved than there is.
    """

    name: str
    budget: Budget = attrs.field(validator=checks.of(Budget))
    per_account: bool = attrs.field(default=False, kw_only=True, validator=checks.of(bool))
    """Whether the exchange counts it for each account, from wherever it is spent; else, as its
    budget of requests, for each address."""
    reserved: int = attrs.field(default=0, kw_only=True, validator=attrs.validators.ge(0))
    """How much of it is kept for what is ``Endpoint.urgent``, where such and others share it."""
    alone: bool = attrs.field(default=False, kw_only=True, validator=checks.of(bool))
    """Whether one endpoint has it to itself. Only where other endpoints' pools are callables need
    that be said."""

    def __attrs_post_init__(self) -> None:
        if self.reserved >= self.budget.amount and self.reserved:
            raise UsageError(f"of {self.name}, {self.reserved} can't be reserved: that is all")


@attrs.frozen(kw_only=True)
class PoolLeft:
    """What an exchange says with an answer of what is left of a pool."""

    left: int
    of: int | None = None
    """How much there is in all: what an account is allowed may be more than the documents say."""
    pool: str = ""
    """Empty: that of the request."""
    seconds: float | None = None
    """Of which of the pool's limits; None: of the first."""
    resets_ns: int | None = None
    """Where nothing is left: until when, by the exchange's clock, nanoseconds UTC."""


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
