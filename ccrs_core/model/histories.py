"""What has a history, and a page of one."""

from __future__ import annotations

import enum
from typing import Generic, TypeVar

import attrs
import orjson

from ccrs_core.errors import UsageError
from ccrs_core.model.times import shown

R = TypeVar("R")


class Series(enum.StrEnum):
    """Kind of rows that a history has."""

    CANDLES = "candles"
    MARK_CANDLES = "mark_candles"
    """Candles of the mark price."""
    INDEX_CANDLES = "index_candles"
    """Candles of the index."""
    TRADES = "trades"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"

    @property
    def by_interval(self) -> bool:
        """Whether its rows are of an interval of time, which has to be said."""
        return self not in (Series.TRADES, Series.FUNDING)


@attrs.frozen
class HistoryPage(Generic[R]):
    """A part of a history: the next rows of it, oldest first."""

    rows: list[R]
    progress: float
    """How much of the stretch of time lies behind, up to 1."""
    resume: str
    """Where the history goes on behind this page: plain text, for ``Client.history(resume=…)``,
    in this program or another one."""


@attrs.frozen
class Bookmark:
    """A place in a history, from which another download can go on."""

    exchange: str
    series: Series
    symbol: str
    interval: str | None
    start_ns: int
    end_ns: int
    at_ns: int
    """What begins before this has been brought."""
    until_ns: int
    """The exchange's time when the download began: what was incomplete then isn't part of it."""

    def __str__(self) -> str:
        return orjson.dumps(attrs.asdict(self)).decode()

    @classmethod
    def read(cls, text: str) -> Bookmark:
        """That of a page's ``resume``.

        :raises UsageError: where it is none.
        """
        try:
            said = orjson.loads(text)
            found = cls(**{**said, "series": Series(said["series"])})
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"resume is no place in a history: {text!r:.100}") from error
        times = found.start_ns, found.at_ns, found.end_ns, found.until_ns
        if not all(type(each) is int for each in times) or not times[0] <= times[1] <= times[2]:
            raise UsageError(f"resume is no place in a history: {text!r:.100}")
        return found

    def check(self, **asked: object) -> None:
        """:raises UsageError: where it isn't of the history that is asked for (None: whichever)."""
        for name, wanted in asked.items():
            told = getattr(self, name)
            if wanted is not None and wanted != told:
                words = [shown(each) if isinstance(each, int) else each for each in (told, wanted)]
                raise UsageError(
                    f"resume is of another history: its {name.removesuffix('_ns')} is {words[0]}, "
                    f"not {words[1]}"
                )

    @property
    def progress(self) -> float:
        """How much of the stretch lies behind."""
        span = self.end_ns - self.start_ns
        return 1.0 if span <= 0 else (self.at_ns - self.start_ns) / span
