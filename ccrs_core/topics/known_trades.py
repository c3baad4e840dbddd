"""Trades that were delivered lately, by their ids: each is delivered once. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from ccrs_core.model.events import StreamData, Trade
from ccrs_core.topics.recent import followed


class KnownTrades:
    """The ids of the latest trades of one topic, those from before the last gap apart."""

    WINDOW: ClassVar[int] = 8192
    """Trades that are remembered."""

    __slots__ = ("former", "ids", "repeated")

    def __init__(self) -> None:
        self.ids: OrderedDict[str, None] = OrderedDict()
        self.former: OrderedDict[str, None] = OrderedDict()
        """The latest of those from before the last gap between connections."""
        self.repeated = 0
        """Trades that were brought again."""

    def adds(self, event: StreamData) -> bool:
        """Whether a trade wasn't delivered yet; if so, it now is."""
        assert isinstance(event, Trade)
        known, former, trade_id = self.ids, self.former, event.trade_id
        if trade_id in known or (former and trade_id in former):
            return False
        known[trade_id] = None
        if len(known) > self.WINDOW:
            known.popitem(last=False)
        return True

    def new(self, events: Sequence[StreamData]) -> Sequence[StreamData]:
        """Those of some trades that weren't delivered yet, which they now are."""
        known, former = self.ids, self.former
        new = []
        for event in events:
            assert isinstance(event, Trade)
            trade_id = event.trade_id
            if trade_id in known or (former and trade_id in former):
                self.repeated += 1
                continue
            known[trade_id] = None
            new.append(event)
        while len(known) > self.WINDOW:
            known.popitem(last=False)
        return new

    def met(self, events: Sequence[StreamData]) -> int | None:
        """How many of these, from the first on, are known since the last gap, or are older than one
        that is; None where none is."""
        known = self.ids
        for place in range(len(events) - 1, -1, -1):
            event = events[place]
            assert isinstance(event, Trade)
            if event.trade_id in known:
                return place + 1
        return None

    def begin_stretch(self) -> None:
        """What is known so far is from before a gap."""
        self.former = followed(self.former, self.ids, self.WINDOW)
        self.ids = OrderedDict()
