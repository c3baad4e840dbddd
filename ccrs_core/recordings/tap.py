"""In the place of a feed: takes what a replay's streams deliver. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ccrs_core.feeds.feed import Feed
from ccrs_core.model.events import AnyEvent, InstrumentChanged, Notice, StreamData


class Tap(Feed):
    """Takes what streams deliver, in order."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def put(self, events: Sequence[StreamData]) -> None:
        self.events.extend(events)

    def notify(self, notice: Notice | InstrumentChanged) -> None:
        self.events.append(notice)

    def taken(self) -> list[AnyEvent]:
        taken, self.events = self.events, []
        return taken
