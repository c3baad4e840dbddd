"""The ways of a client's connections, ready to be taken: a transport and addresses each."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import attrs

from ccrs_core.transport.addresses import Reachable
from ccrs_core.transport.alternatives import Alternatives
from ccrs_core.transport.base import Transport, TransportOptions, along
from ccrs_core.transport.ways import Way


@attrs.frozen(eq=False)
class Path:
    """One way, ready to be taken."""

    transport: Transport
    alternatives: Alternatives
    """The addresses that are dialled there."""
    exit: str = ""
    """See :meth:`Way.exit`."""
    name: str | None = None
    """For people; None where there are no ways to choose from."""


class Paths:
    """The ways of a client's connections, taken in turn.

    :raises UsageError: where the transport can't go them.
    """

    def __init__(
        self,
        ways: Iterable[Way],
        transport: Transport,
        usual: TransportOptions,
        addresses: Reachable,
        alternatives: Alternatives,
    ) -> None:
        self.made: list[Transport] = []
        """Transports that are theirs alone, to be closed by who made this."""
        by_exit: dict[str, Transport] = {"": transport}
        self._paths = [Path(transport, alternatives)]
        paths = []
        for way in ways:
            own, leaves = way.options(usual), way.exit(usual)
            if leaves not in by_exit:
                by_exit[leaves] = along(transport, own)
                self.made.append(by_exit[leaves])
            at = Alternatives(addresses.but(way.addresses)) if way.addresses else alternatives
            paths.append(Path(by_exit[leaves], at, leaves, str(way)))
        self._paths = paths or self._paths
        self._turns = itertools.cycle(self._paths)

    def next(self) -> Path:
        """The way of the next connection; what takes a connection's place goes the same way."""
        return next(self._turns)

    def shared(self, connections: int) -> int:
        """How many of so many connections, opened one after the other, have one exit at most."""
        exits = [path.exit for path in self._paths]
        return max(
            max(Counter(exits[(at + i) % len(exits)] for i in range(connections)).values())
            for at in range(len(exits))
        )

    @property
    def exits(self) -> int:
        """How many addresses an exchange knows them by."""
        return len({path.exit for path in self._paths})

    @property
    def changes(self) -> int:
        """How often a route's next address was gone on to."""
        return sum(each.changes for each in {path.alternatives for path in self._paths})
