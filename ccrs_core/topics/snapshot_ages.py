"""Whether a snapshot of a book is older than what was shown of it before. Pure."""

from __future__ import annotations

from ccrs_core.model.events import BookUpdate


class SnapshotAges:
    """What is known of a book's counts, where the exchange may begin to count anew."""

    FORMER = 60.0
    """Seconds after a count has begun in which snapshots of the former one may still come."""
    PATIENCE = 10.0
    """Seconds in which all snapshots are older after which the exchange must count anew."""

    def __init__(self) -> None:
        self._former = 0, 0.0
        """The last number of the count before this one, and until when it may be met again."""
        self._older_since: float | None = None
        """Since when snapshots are older than what was shown before."""

    def goes_back(self, number: int, known: int | None, now: float) -> bool:
        """Whether a snapshot is older than what was shown before, up to ``known``. If all are for
        long, the exchange counts anew, and nobody heard of it."""
        former, until = self._former
        if known is None:
            return False
        former_count = now < until and 2 * number > known + former
        if number >= known and not former_count:
            self._older_since = None
            return False
        if self._older_since is None:
            self._older_since = now
        return now - self._older_since < self.PATIENCE

    def counts_anew(self, update: BookUpdate, now: float) -> None:
        """A new count has begun with this."""
        if not update.snapshot:
            self._former = update.previous_sequence or 0, now + self.FORMER

    def forget(self) -> None:
        """A snapshot has come that isn't older, or none is waited for."""
        self._older_since = None
