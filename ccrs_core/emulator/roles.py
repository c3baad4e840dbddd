"""What the emulator's parts ask of each other, where naming each other would make a circle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.market import Changed, SimulatedMarket


class Listener(Protocol):
    """Who hears broadcasts."""

    def send(self, frame: Frame, topic: str) -> None:
        """Send data of a topic."""


class Watcher(Protocol):
    """Who is told of the changes of markets."""

    @property
    def markets(self) -> Sequence[SimulatedMarket]:
        """Those that it watches, which run meanwhile."""

    @property
    def triggers(self) -> Changed:
        """Which changes it is told of."""

    def touch(self, now_ns: int) -> None:
        """Such a change has happened."""


class Timetable(Protocol):
    """Where one asks to be called later."""

    def at(self, time_ns: int, act: Callable[[int], None]) -> None:
        """Call ``act(now_ns)`` once it is a certain time."""


class Floor(Timetable, Protocol):
    """Where markets run for those who watch them."""

    def watch(self, watcher: Watcher) -> None:
        """Keep a watcher's markets running, and tell it of their changes."""

    def unwatch(self, watcher: Watcher) -> None:
        """Stop telling it."""
