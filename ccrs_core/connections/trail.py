"""What the racing connections of a shard have brought lately, byte for byte and in order.

Exchanges tend to serialise an update once for all connections, and each connection brings the
updates in the same order. So each keeps a place in the trail that whoever is ahead leaves behind,
and a burst of late copies is recognised by one comparison, without reading any of them. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ccrs_core.connections.runner import Number, Runner

Step = tuple[str, "Number"]
"""The topic and the number of a frame on the trail."""


class Trail:
    """Frames that were decoded and handed on, with what they were found to be.

    Frames that follow on from earlier ones of their connection don't belong here: their copies must
    be decoded. :meth:`clear` whenever copies of what was handed on may be news again.
    """

    LIMIT: ClassVar[int] = 2048
    """Frames that are remembered at least."""
    LONGEST: ClassVar[int] = 1024
    """Longer frames are not remembered."""

    __slots__ = ("_index", "_index_before", "base", "frames", "stamps", "steps")

    def __init__(self) -> None:
        self.base = 0
        """The place of the first frame remembered; places rise for ever."""
        self.frames: list[bytes] = []
        self.steps: list[Step] = []
        self.stamps: list[tuple[float, Runner | None]] = []
        """When each was brought, and by whom; None once its lead has been told."""
        self._index: dict[bytes, int] = {}
        self._index_before: dict[bytes, int] = {}

    @property
    def end(self) -> int:
        """The place of the next frame to come."""
        return self.base + len(self.frames)

    def add(self, frame: bytes, step: Step, stamp: tuple[float, Runner | None]) -> None:
        """Remember a frame that is being handed on."""
        if len(frame) > self.LONGEST:
            return
        self._index[frame] = self.base + len(self.frames)
        self.frames.append(frame)
        self.steps.append(step)
        self.stamps.append(stamp)
        if len(self.frames) >= 2 * self.LIMIT:
            self._cut()

    def _cut(self) -> None:
        limit = self.LIMIT
        self.base += limit
        del self.frames[:limit], self.steps[:limit], self.stamps[:limit]
        # Two generations, swapped: removing one by one would cost more than it saves.
        self._index_before, self._index = self._index, {}

    def find(self, frame: bytes) -> int | None:
        """The place of a frame, None where it isn't remembered."""
        place = self._index.get(frame)
        if place is None:
            place = self._index_before.get(frame)
        return place if place is not None and place >= self.base else None

    def follow(self, frames: Sequence[bytes], place: int) -> int:
        """How many of some frames are those from a place on: all that the trail has, or none."""
        start = place - self.base
        if start < 0:
            return 0
        ahead = self.frames[start : start + len(frames)]
        if len(ahead) == len(frames):
            return len(ahead) if ahead == frames else 0
        return len(ahead) if ahead == frames[: len(ahead)] else 0

    def clear(self) -> None:
        """Forget all: every frame may be news."""
        self.base += len(self.frames) + 1  # so that no place from before is the end
        self.frames.clear()
        self.steps.clear()
        self.stamps.clear()
        self._index.clear()
        self._index_before.clear()
