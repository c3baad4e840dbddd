"""What ``ccrs watch`` shows of several exchanges, on a terminal and elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ccrs_core.cli.live import text as plain
from ccrs_core.cli.live import watch_latency
from ccrs_core.cli.live.notices import parts
from ccrs_core.cli.live.several import Boards
from ccrs_core.cli.output import Output
from ccrs_core.several.feed import MergedFeed
from ccrs_core.several.names import qualified

if TYPE_CHECKING:
    from ccrs_core.cli.live.sink import Sink, Statuses
    from ccrs_core.feeds.feed import Feed
    from ccrs_core.model.events import AnyEvent

_PLAIN_SECONDS = 1.0


def sink(title: str, levels: int) -> Sink:
    """What suits standard output."""
    return SeveralScreen(title, levels) if sys.stdout.isatty() else SeveralLines()


class SeveralScreen:
    """The live table."""

    def __init__(self, title: str, levels: int) -> None:
        self._title = title
        self._levels = levels

    @property
    def pause(self) -> float | None:
        from ccrs_core.cli.live.view import REDRAWS_PER_SECOND

        return 1 / REDRAWS_PER_SECOND

    async def start(self, statuses: Statuses, feed: Feed) -> None:
        from rich.console import RenderableType

        from ccrs_core.cli.live.several_view import draw
        from ccrs_core.cli.live.view import Redrawn

        assert isinstance(feed, MergedFeed)
        self._boards = boards = Boards(feed)
        title, levels = self._title, self._levels

        def picture(width: int, height: int) -> RenderableType:
            return draw(boards, statuses(), title=title, width=width, height=height, levels=levels)

        self._view = Redrawn(picture, boards.figures).__enter__()
        self._view.redraw()

    async def take(self, batch: Sequence[AnyEvent]) -> None:
        self._boards.take(batch)

    async def idle(self) -> None:
        self._view.redraw()

    async def finish(self) -> None:
        self._view.redraw()
        self._view.__exit__(None, None, None)


class SeveralLines:
    """Text without control codes: each exchange's symbols and the best prices of all once a second,
    notices as they come."""

    pause: float | None = _PLAIN_SECONDS

    async def start(self, statuses: Statuses, feed: Feed) -> None:
        assert isinstance(feed, MergedFeed)
        self._statuses = statuses
        self._boards = Boards(feed)
        self._told = 0
        self._output = Output()

    async def take(self, batch: Sequence[AnyEvent]) -> None:
        self._boards.take(batch)
        said = [_described(event) for event in batch if event.channel is None]
        if said:
            await self._print(said)

    async def idle(self) -> None:
        await self._print(list(self._lines()))
        self._told = self._events()

    def _events(self) -> int:
        return sum(board.events for board in self._boards.boards.values())

    def _lines(self) -> Iterator[str]:
        for exchange, board in self._boards.boards.items():
            yield from plain.lines(board, exchange)
        for best in self._boards.best.values():
            if len(best.exchanges) > 1:
                yield plain.best_line(best)

    async def _print(self, lines: Sequence[str]) -> None:
        await self._output.write("".join(f"{line}\n" for line in lines).encode())

    async def finish(self) -> None:
        if self._told != self._events():
            await self.idle()  # what came since the last second
        # The feed is in the status of each exchange.
        found = (one for status in self._statuses() for one in watch_latency.latencies(status))
        await self._print([watch_latency.sentence(one) for one in dict.fromkeys(found)])


def _described(notice: AnyEvent) -> str:
    at, word, what = parts(notice)
    return f"{at} {word.upper()} {qualified(notice.exchange, what)}"
