"""What a feed does about a consumer that is too slow, and what it tells of itself."""

from __future__ import annotations

import difflib
import enum
from typing import Literal

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.feeds.histogram import LatencySummary

PolicyName = Literal["drop_oldest", "conflate", "block", "raise"]
"""The names of the policies, which do for them."""


class Policy(enum.StrEnum):
    """What happens when a consumer is slower than the market for ``maxsize`` events."""

    DROP_OLDEST = "drop_oldest"
    """The oldest events are dropped; before the next one of the same subscription a ``Gap`` says
    how many."""
    CONFLATE = "conflate"
    """At any time only the newest event per instrument and channel waits: always fresh."""
    BLOCK = "block"
    """Nothing is lost here: the feed has connections of its own, which stop reading. An exchange
    may cut a connection that isn't read for long; then a ``Gap`` tells."""
    RAISE = "raise"
    """``FeedOverflow`` is raised at the place of the loss, once; reading may go on after it. What
    comes until it is raised is lost, too, and counted in it."""

    @classmethod
    def named(cls, name: str) -> Policy:
        """The policy of a name.

        :raises UsageError: where there is none.
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(policy.value for policy in cls)
            near = difflib.get_close_matches(str(name), [p.value for p in cls], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"no policy {name!r}; known: {known}{hint}") from None


@attrs.frozen(kw_only=True)
class FeedStatus:
    """Counters of a feed; offered = delivered + waiting + conflated + dropped + discarded."""

    policy: Policy
    maxsize: int
    waiting: int
    offered: int
    delivered: int
    conflated: int
    dropped: int
    discarded: int
    """Removed unread by an unsubscribe or by closing the feed."""
    error: str | None
    latency: LatencySummary | None = None
    """From the arrival of a frame to the consumer's line of code that got its event: of each event
    that the consumer had waited for, and of samples while it lags behind."""
