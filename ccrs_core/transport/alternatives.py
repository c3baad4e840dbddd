"""Which of a route's addresses is dialled: the one that last worked. Pure."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ccrs_core.contract.exchange import Route, address_of
from ccrs_core.transport.masking import shown_url

log = logging.getLogger("ccrs.alternatives")


class Alternatives:
    """The addresses of a client's routes, and what became of those that were tried."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.changes = 0
        """How often a route's next address was gone on to."""
        self._addresses = addresses
        self._at: dict[Route, int] = {}
        self._worked: set[tuple[Route, str]] = set()

    def url(self, route: Route) -> str:
        """The address to dial now."""
        templates = (route.url, *route.alternatives)
        return address_of(templates[self._at.get(route, 0)], self._addresses)

    def worked(self, route: Route, url: str) -> None:
        """Data has come from an address."""
        self._worked.add((route, url))

    def silent(self, route: Route, url: str) -> bool:
        """What was acknowledged by an address stays silent: go on to the next one, if there is one
        and nobody has done so yet. Whether it was gone on."""
        self._worked.discard((route, url))
        if not route.alternatives or url != self.url(route):
            return False
        self._next(route, "what is acknowledged there stays silent")
        return True

    def failed(self, route: Route, url: str) -> None:
        """An address can't be connected to, or has hung up before anything came. If that isn't the
        first of its route, nor one that has worked, it may not exist."""
        if url == self.url(route) and self._at.get(route, 0) and (route, url) not in self._worked:
            self._next(route, "nothing ever came from there")

    def _next(self, route: Route, why: str) -> None:
        before = self.url(route)
        self.changes += 1
        self._at[route] = (self._at.get(route, 0) + 1) % (1 + len(route.alternatives))
        log.warning(
            "%s: %s; trying %s from now on", shown_url(before), why, shown_url(self.url(route))
        )
