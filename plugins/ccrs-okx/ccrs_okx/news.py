"""News of instruments: one channel tells of all of a type.

https://www.okx.com/docs-v5/en/#public-data-websocket-instruments-channel
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ccrs_core import Data, InstrumentNews, Message
from ccrs_core.wire import Stream, StreamReader
from ccrs_okx.symbols import INSTRUMENT_TYPES

INSTRUMENTS = "instruments"


class NewsReader(StreamReader):
    """``instruments``: the whole list once, then those that have changed. What has changed is asked
    for again: rows are told by who is logged in, and lists are one for all."""

    joined: ClassVar[bool] = True

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = frame["data"]
        if type(rows) is not list:
            raise TypeError("data isn't a list")
        # Those that are only announced have no name yet.
        names = (row.get("instId") for row in rows)
        natives = " ".join(name for name in names if type(name) is str and name)
        head = self.exchange, self.symbol, None, received_time_ns
        return (Data(self.topic, (InstrumentNews(*head, natives),)),)


NEWS: Mapping[str, Stream] = {
    kind: Stream(f"{INSTRUMENTS}:{kind}", NewsReader)
    for kinds in INSTRUMENT_TYPES.values()
    for kind in kinds
}
"""News by type of instrument."""
