"""Revives streams that are dead: asks for them anew, then on fresh connections, then elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

from ccrs_core.connections.carried import Carried
from ccrs_core.connections.link import Link
from ccrs_core.connections.quiet import GONE, Life, Quiet
from ccrs_core.connections.rollover import Owner
from ccrs_core.connections.session import Session
from ccrs_core.connections.shared import Shared
from ccrs_core.contract.exchange import Route, SequenceScope
from ccrs_core.model.events import Reason

log = logging.getLogger("ccrs.revival")


class Patient(Owner, Protocol):
    """What a revival asks of the shard whose topics it revives."""

    connections: int
    shared: Shared

    def resubscribe(self, name: str) -> None: ...


class Revival:
    """Knows which topics of a shard give signs of life, and does something for those that don't."""

    BEHIND = 30.0
    """Seconds after which one of several connections must have brought what another one has."""
    LAG = 10.0
    """Seconds by which a connection may lag behind the others before it brings nothing."""
    SPOKEN = 60.0
    """An address at which something was heard within so many seconds works."""

    def __init__(self, shard: Patient) -> None:
        self._shard = shard
        self._heard: WeakKeyDictionary[Carried, tuple[float, float]] = WeakKeyDictionary()
        """When a topic was looked at, and when it had last been heard of by then."""
        self._behind: WeakKeyDictionary[Carried, Link] = WeakKeyDictionary()
        """The connection that was last found to bring nothing of it."""
        self._brought: WeakKeyDictionary[Carried, float] = WeakKeyDictionary()
        """When connections that are gone had last brought something of a topic."""

    def life(self, topic: str) -> Life | None:
        """A topic's last sign of life on any connection; None where it isn't acknowledged, or
        nothing is read at present."""
        found: Life | None = None
        for link in self._shard.links:
            session = link.session
            if session is None or link.retired:
                continue
            if session.paused:
                return None
            life = session.life(topic)
            if life is not None:
                found = life if found is None else max(life, found)
        return found

    @staticmethod
    def _news(session: Session | None, topic: str) -> float | None:
        """When a connection last brought what others must have brought as well: not the state that
        a subscription begins with."""
        life = None if session is None else session.life(topic)
        return life.at if life is not None and life.goes_on else None

    def compare(self, topic: str) -> None:
        """Where one of several connections brings nothing of a topic that another one brings, the
        topic lives, but not all of its connections count: ask for it anew there."""
        shard = self._shard
        about = shard.topics.get(topic)
        if about is None or len(shard.links) < 2:
            return
        now = shard.context.clock.monotonic()
        lives = {
            link: life
            for link in shard.links
            if not link.retired and link.session is not None
            for life in [link.session.life(topic)]
            if life is not None
        }
        news = [at for at in (self._news(link.session, topic) for link in lives) if at is not None]
        if not news or len(lives) < 2:
            self._heard.pop(about, None)
            return
        heard = max(news)
        looked, known = self._heard.setdefault(about, (now, heard))
        if now - looked < self.BEHIND:
            return
        self._heard[about] = now, heard
        for link, life in lives.items():
            # What was known then has arrived everywhere by now.
            if life.at < known - self.LAG and link.successor is None:
                again = self._behind.get(about) is link
                self._behind[about] = link
                what = f"{topic} comes on other connections, not on {link.number}"
                if again:
                    shard.replace(link, what)
                elif link.session is not None:
                    log.warning("%s; subscribing anew", what)
                    link.apply(link.session.found_silent([topic], now))

    def lost(self, session: Session) -> None:
        """A connection has ended: what it has brought, the others must have brought."""
        for name, topic in self._shard.topics.items():
            at = self._news(session, name)
            if at is not None:
                self._brought[topic] = max(at, self._brought.get(topic, at))

    def lacks(self, link: Link, topic: str) -> bool:
        """Whether a connection has not brought what one that is gone had brought, though all has
        arrived that was sent to it by now; if so, it is asked for the topic anew."""
        session, brought = link.session, self._brought.get(self._shard.topics[topic])
        life = None if session is None else session.life(topic)
        if session is None or brought is None or life is None or life.at >= brought - GONE:
            return False
        log.warning("%s came on a connection that is gone, not on %d", topic, link.number)
        link.apply(session.found_silent([topic], self._shard.context.clock.monotonic()))
        return True

    def speaks(self, route: Route, address: str) -> bool:
        """Whether something has come from an address lately, on a connection that is there."""
        shard = self._shard
        if shard.route != route:
            return False
        lately = shard.context.clock.monotonic() - self.SPOKEN
        return any(
            life is not None and life.told and life.at >= lately
            for link in shard.links
            if link.session is not None and not link.retired and link.address == address
            for life in map(link.session.life, shard.topics)
        )

    def revive(self, dead: Mapping[str, Quiet]) -> None:
        """These topics say nothing although something has happened, and were found so
        ``Quiet.deaths`` times in a row."""
        shard = self._shard
        # Subscribe anew, connect anew, try the next address; and so on from the beginning. From an
        # address at which others speak, these would be taken to one at which nobody may.
        count = 3 if shard.route.alternatives and not self._works() else 2
        steps: dict[int, list[str]] = {}
        for name, quiet in dead.items():
            if name in shard.topics:
                steps.setdefault((quiet.deaths - 1) % count, []).append(name)
        for step, names in sorted(steps.items()):
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            what = f"{names[0]}{more}"
            if step == 0:
                log.warning("%s: silent although something happened; subscribing anew", what)
                self._subscribe_anew(names)
                continue
            since = min(dead[name].heard for name in names)
            # What had shown the state that a subscription begins with, and no more, isn't stale.
            self._subscribe_anew([name for name in names if not shard.topics[name].stale])
            if step == 1:
                log.warning("%s: still silent; connecting anew", what)
            else:
                log.warning("%s: still silent; trying the next address", what)
                for link in tuple(shard.links):
                    link.path.alternatives.silent(shard.route, link.address)
            self._connect_anew(f"{what} stayed silent", since)

    def _works(self) -> bool:
        """Whether anything comes from the address that is dialled, to whatever shard."""
        lookout, route = self._shard.shared.lookout, self._shard.route
        dialled = {link.path.alternatives.url(route) for link in self._shard.links}
        return any(lookout.speaks(route, each) for each in dialled)

    def explained(self) -> None:
        """A connection has ended by itself. Where it was the only one, what was found dead died
        with it, and the next acknowledgement is as good as any."""
        shard = self._shard
        if all(link.session is None for link in shard.links):
            for topic in shard.topics.values():
                topic.excused()

    def renew(self, topic: str, since: float) -> None:
        """Nothing was heard since a time of a topic of which nothing can be known: subscribe to it
        anew, at the price of nothing that is sent meanwhile."""
        shard = self._shard
        found = shard.topics.get(topic)
        if found is None or any(link.successor is not None for link in shard.links):
            return
        if shard.route.sequence_scope is SequenceScope.GLOBAL:
            patience = shard.context.options.patience.unproved
            self._connect_anew(f"{topic} was quiet for {patience:g} s", since, one=True)
            return
        # Connections of which each counts for itself can't bring the same for a while.
        found.interrupt(Reason.RESUBSCRIBED)
        shard.resubscribe(topic)

    def _subscribe_anew(self, names: list[str]) -> None:
        shard = self._shard
        now = shard.context.clock.monotonic()
        for name in names:
            shard.topics[name].found_dead()
        for link in tuple(shard.links):
            if link.session is not None and not link.retired:
                link.apply(link.session.found_silent(names, now))

    def _connect_anew(self, reason: str, since: float, *, one: bool = False) -> None:
        """Replace the connections that were there at a time already, one or all of them; none that
        works is given up before the new one has taken over."""
        shard = self._shard
        for link in tuple(shard.links):
            old = link.session is not None and link.runner.opened_at <= since
            if old and not link.retired and link.successor is None:
                shard.replace(link, reason)
                if one:
                    return
