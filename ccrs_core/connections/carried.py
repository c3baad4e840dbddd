"""What connections ask of what they bring: a topic of market data, or of an account.

Connections know neither books nor races nor feeds; whoever implements this does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Number, Runner
from ccrs_core.contract.codec import Data
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.model.events import Reason, StreamData
from ccrs_core.model.subscriptions import Subscription


class Carried(Protocol):
    """One topic, as several connections bring it. Nothing here waits.

    ``now`` is monotonic seconds, ``now_ns`` the wall clock's nanoseconds UTC.
    """

    name: str
    coverage: Coverage
    """Which of the connections follow on from what was delivered."""

    @property
    def replaceable(self) -> bool:
        """Whether of several updates that arrive together only the last is of use to anybody."""

    @property
    def wake_at(self) -> float | None:
        """When :meth:`tick` should be called, None for never."""

    @property
    def stale(self) -> bool:
        """Whether everybody who has it was told that it may be out of date."""

    # --- what they bring ---

    def late(self, number: Number, restart: bool, runner: Runner, now: float, now_ns: int) -> bool:
        """Whether an update of this number, which nobody has decoded, was delivered already."""

    def copied(self, number: Number, runner: Runner, now_ns: int) -> None:
        """A connection has brought copies, up to this one, of what was handed on."""

    def take(self, data: Data, runner: Runner, now: float) -> Outlet | None:
        """Where nothing about this is special and one outlet alone is to have it: that one, and all
        else is noted; the caller puts the events into it, at once or together with what follows.
        None where it isn't so: then nothing was done, and it is to be delivered."""

    def deliver_all(self, run: Sequence[Data], runner: Runner, now: float) -> None:
        """A connection has brought these, one after the other."""

    def superseded(self, count: int) -> None:
        """So many updates were replaced by a later one before they were decoded."""

    def unchanged(self, now_ns: int) -> None:
        """The exchange says that what is known still holds."""

    # --- what the exchange says to being asked for it ---

    def acknowledged(self, runner: Runner, now: float, now_ns: int) -> None:
        """It has accepted the subscription on a connection."""

    def refused(self, subscription: Subscription, error: SubscriptionRefused) -> None:
        """It gives this part of the topic on no connection."""

    # --- trouble ---

    def lost(
        self, reason: Reason, missing: Reason, now_ns: int, silent_ns: int | None = None
    ) -> None:
        """No connection brings it any more, for a reason; because of ``missing`` updates may be
        missing before the next one. ``silent_ns``: for how long it said nothing."""

    def interrupt(self, reason: Reason) -> None:
        """Updates may be missing before the next one."""

    def missed(
        self, runner: Runner, reason: Reason, now: float, now_ns: int, numbered: bool
    ) -> None:
        """A connection has lost an update, and goes on. ``numbered``: the exchange's numbers show
        what was missed to whoever needs all of them."""

    def garbled(self, now_ns: int) -> None:
        """What comes of it can't be read, over and over, and nobody else brings it."""

    def narrowed(self, now: float) -> None:
        """A connection that brought it has gone."""

    def moved(self) -> None:
        """It begins anew on another connection, in the moment in which the one before ends."""

    def found_dead(self) -> None:
        """It said nothing although something had happened: an acknowledgement alone proves no life
        of it from now on."""

    def excused(self) -> None:
        """What it was found dead on is gone, and explains it."""

    def tick(self, now: float, now_ns: int) -> None:
        """What was waited for didn't come in time."""


class Outlet(Protocol):
    """Who is given events."""

    def put(self, events: Sequence[StreamData]) -> None: ...


class Consumer(Protocol):
    """Who may be too slow for a connection that is there for nobody else."""

    @property
    def full(self) -> bool:
        """Whether nothing should be read for it."""

    async def space(self) -> None:
        """Wait until it isn't full any more."""
