"""The live table: prices, connections, and what went wrong, redrawn a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ccrs_core.cli import form, panels, watch_latency
from ccrs_core.cli.figures import Board
from ccrs_core.cli.notices import parts
from ccrs_core.cli.panels import DIM
from ccrs_core.histogram import LatencySummary
from ccrs_core.status import ClientStatus, ConnectionStatus, LinkState

_STATES = {
    LinkState.OPEN: ("●", "green"),
    LinkState.CONNECTING: ("◐", "yellow"),
    LinkState.WAITING: ("○", "yellow"),
    LinkState.CLOSED: ("✕", "red"),
}
_WORDS = {"gap": "bold yellow", "stale": "bold red", "resumed": "bold green"}
_CONNECTIONS_SHOWN = 10
REDRAWS_PER_SECOND = 8


def draw(
    board: Board,
    status: ClientStatus | None,
    *,
    title: str,
    width: int,
    height: int,
    levels: int = 10,
) -> RenderableType:
    """Everything at this moment, ``width`` characters wide."""
    inner = width - 4
    links = [] if status is None else list(status.connections)
    taken = 6 + (min(len(links), _CONNECTIONS_SHOWN) + 3 if links else 0)
    latencies = [] if status is None else watch_latency.latencies(status)
    taken += len(latencies) + 1 if latencies else 0
    notes = _notices(board, 4 if height >= 24 else 2)
    room = max(height - taken - len(notes), 6)
    content: list[RenderableType] = panels.body(board, inner, levels, room)
    if links:
        content += [Text(), _connections(links, inner)]
    if latencies:
        content += [Text(), *(_within(latency, inner) for latency in latencies)]
    if notes:
        content += [Text(), *notes]
    skew = board.skew()
    if skew is not None:
        content.append(
            Text(
                f"⚠ the exchange's clock is at least {form.ms(skew)} ms ahead of this machine's: "
                "latencies are relative",
                style="yellow",
            )
        )
    return Panel(
        Group(*content),
        title=Text(title, style="bold cyan"),
        title_align="left",
        subtitle=_summary(board, status),
        subtitle_align="right",
        border_style=DIM,
        box=box.ROUNDED,
        padding=(0, 1),
        width=width,
    )


def _summary(board: Board, status: ClientStatus | None) -> Text:
    gaps = sum(row.gaps for row in board.rows.values())
    stales = sum(row.stales for row in board.rows.values())
    pieces: list[tuple[str, str]] = [
        (form.span(time.monotonic() - board.started_at), DIM),
        (f"  {form.plural(board.events, 'event')}", ""),
        (f"  {form.plural(gaps, 'gap')}", "bold yellow" if gaps else "green"),
        (f"  {stales} stale", "bold yellow" if stales else "green"),
    ]
    if status is not None:
        dropped = sum(feed.dropped for feed in status.feeds)
        again = form.plural(status.reconnects, "reconnect")
        pieces.append((f"  {again}", "yellow" if status.reconnects else DIM))
        if dropped:
            pieces.append((f"  {form.count(dropped)} dropped", "bold red"))
    return Text.assemble(*pieces)


def _within(latency: LatencySummary, width: int) -> Text:
    """How long data take within this process, as much of it as fits into one line."""
    figures = watch_latency.pieces(latency)
    for left_out in ("", "p99.9", "p90"):
        figures = [piece for piece in figures if piece[0] != left_out]
        line = Text(watch_latency.HEAD, style=DIM)
        for name, value in figures:
            line.append(f"   {name} ").append(f"{value:>7}", style="cyan")
        if len(line) <= width:
            break
    count = f"   {form.plural(latency.count, 'sample')}"
    if len(line) + len(count) <= width:
        line.append(count)
    return line


def _connections(links: Sequence[ConnectionStatus], width: int) -> RenderableType:
    wide = width >= 96
    columns = ["connection", "epoch", "frames", "wins", "share", "ahead", "behind", "late"]
    total = sum(link.wins for link in links) or 1
    room = 16 if wide else 8
    rows = []
    for link in links[:_CONNECTIONS_SHOWN]:
        mark, colour = _STATES[link.state]
        share = link.wins / total
        cells: list[panels.Cell] = [
            Text.assemble((mark, colour), f" {link.number} ", (link.state.value, DIM)),
            str(link.epoch),
            form.count(link.frames),
            form.count(link.wins),
            Text.assemble((form.bar(share, room).ljust(room), "cyan"), f"{share:5.0%}"),
            _lead(link.mean_ahead),
            _lead(link.mean_behind),
            form.count(link.late + link.repeats),
        ]
        if wide:
            cells.append(Text(link.last_error or "", style=DIM))
        rows.append(cells)
    if wide:
        made = panels.laid_out([*columns, "last trouble"], rows, width, giving_way=len(columns))
    else:
        made = panels.laid_out(columns, rows, width)
    hidden = links[_CONNECTIONS_SHOWN:]
    if not hidden:
        return made
    states = ", ".join(
        f"{sum(link.state is state for link in hidden)} {state.value}"
        for state in LinkState
        if any(link.state is state for link in hidden)
    )
    return Group(made, Text(f"… and {len(hidden)} more: {states}", style=DIM))


def _lead(seconds: float | None) -> str:
    return form.NONE if seconds is None else watch_latency.duration(round(seconds * 10**9))


def _notices(board: Board, limit: int) -> list[Text]:
    lines = []
    for notice in list(board.notices)[-limit:]:
        at, word, what = parts(notice)
        lines.append(Text.assemble((at, DIM), " ", (f"{word:<7}", _WORDS[word]), f" {what}"))
    return lines


class LiveView:
    """Redraws in place, on a terminal."""

    def __init__(
        self,
        board: Board,
        status: Callable[[], ClientStatus | None],
        *,
        title: str,
        levels: int,
        console: Console | None = None,
    ) -> None:
        self._board = board
        self._status = status
        self._title = title
        self._levels = levels
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._samples = 0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def redraw(self) -> None:
        self._samples += 1
        if self._samples % 2 == 0:
            for row in self._board.rows.values():
                row.sample()
        size = self._console.size
        picture = draw(
            self._board,
            self._status(),
            title=self._title,
            width=min(size.width, 140),
            height=size.height,
            levels=self._levels,
        )
        self._live.update(picture, refresh=True)


def summary(rows: Sequence[tuple[str, ...]], *columns: str) -> Table:
    """A plain table for the end of a run."""
    made = panels.table()
    made.expand = False
    made.padding = (0, 1, 0, 0)
    for i, name in enumerate(columns):
        made.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made
