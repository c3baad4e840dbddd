"""Planned replacement: a connection that is to end is replaced first, so that nothing is missing.

The old connection goes on until the new one delivers and all that was under way on it has arrived.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ccrs_core.connections.link import Link, Parent
from ccrs_core.connections.states import LinkState
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.transport.context import Context

log = logging.getLogger("ccrs.rollover")

_POLL = 0.05
_SIGN_OF_LIFE = 5.0
"""Seconds in which a connection that is to be retired may answer a ping."""


class Owner(Parent, Protocol):
    """What a rollover asks of the shard whose connections it replaces."""

    context: Context
    links: list[Link]
    closed: bool

    def start(self, link: Link) -> None: ...
    def retire(self, link: Link) -> None: ...
    def later(self, delay: float, call: Callable[[], None]) -> None: ...


class Rollover:
    """Replaces a shard's connections: old ones, announced ends, and those that never win a race."""

    def __init__(self, shard: Owner) -> None:
        self.count = 0
        """Connections retired so far."""
        self._shard = shard
        self._score: dict[Link, int] = {}

    def replace(self, link: Link, reason: str) -> None:
        """Open a connection in place of another one, which goes on until the new one delivers."""
        shard = self._shard
        if link.successor is not None or link.retired or shard.closed:
            return
        if any(other.successor is link and not other.retired for other in shard.links):
            # It has not taken over yet: no third connection, this one is opened anew.
            log.info("connection %d is to end before it has taken over: %s", link.number, reason)
            link.fail(reason)
            return
        log.info("replacing connection %d: %s", link.number, reason)
        # Without global sequence numbers two deliveries can't be merged: the old connection ends
        # in the moment in which the new one subscribes.
        new = link.succeed(reason, waits=shard.route.sequence_scope is not SequenceScope.GLOBAL)
        shard.start(new)
        shard.later(_POLL, lambda: self._settle(link, new))

    def _settle(self, old: Link, new: Link) -> None:
        shard = self._shard
        if old not in shard.links:
            return
        if new not in shard.links:
            # Replaced in its turn before it took over, or gone altogether.
            successor = old.skip(new)
            if successor is not None:
                self._settle(old, successor)
            return
        session = new.session
        if session is None or new.state is not LinkState.OPEN:
            shard.later(_POLL, lambda: self._settle(old, new))
        elif new.waits_for_handover:
            self._switch(old, new)
        elif session.settled():
            shard.later(shard.context.options.rollover_overlap, lambda: self._relieve(old, new))
        else:
            shard.later(_POLL, lambda: self._settle(old, new))

    def _relieve(self, old: Link, new: Link, until: float | None = None) -> None:
        """Retire a connection once others are proved to bring all that it would.

        Without a proof it might have been dead when they began, or lag, and something be missing in
        between: that is told.
        """
        shard = self._shard
        now = shard.context.clock.monotonic()
        if old not in shard.links:
            return
        if new not in shard.links or new.session is None or not new.session.settled():
            self._settle(old, new)  # it was lost meanwhile, and begins anew
            return
        until = now + _SIGN_OF_LIFE if until is None else until
        needed = old.session is not None and not all(
            topic.coverage.makes_up(old.runner) for topic in shard.topics.values()
        )
        if needed and now < until:
            shard.later(_POLL, lambda: self._relieve(old, new, until))
            return
        self._retire(old)

    def _switch(self, old: Link, new: Link) -> None:
        self._retire(old)
        for topic in self._shard.topics.values():
            topic.moved()
        new.take_over()

    def _retire(self, link: Link) -> None:
        if link in self._shard.links:
            self.count += 1
            self._shard.retire(link)

    def replace_losers(self) -> None:
        """Now and then replace the connection that wins the fewest races, if it wins too few."""
        options = self._shard.context.options
        self._shard.later(options.loser_window, self._replace_loser)

    def _replace_loser(self) -> None:
        options, links = self._shard.context.options, self._shard.links
        wins = {link: link.runner.wins - self._score.get(link, 0) for link in links}
        total = sum(wins.values())
        if total >= 100 and len(wins) > 1:
            loser = min(wins, key=lambda link: wins[link])
            if wins[loser] < options.loser_share * total and loser.state is LinkState.OPEN:
                self.replace(loser, f"it won {wins[loser]} of the last {total} races")
        self._score = {link: link.runner.wins for link in links}
        self.replace_losers()
