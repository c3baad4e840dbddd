"""The live table: prices, connections, and what went wrong, redrawn a few times a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

import attrs
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ccrs_core.cli import form, panels, watch_latency
from ccrs_core.cli.figures import Board, Figures
from ccrs_core.cli.notices import parts
from ccrs_core.cli.panels import DIM
from ccrs_core.histogram import LatencySummary
from ccrs_core.qualified import qualified
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
    statuses = [] if status is None else [status]
    below = footer([board], statuses, width, height)
    room = max(height - 5 - below.lines, 6)
    above = panels.body(board, width - 4, levels, room)
    return framed([*above, *below.content], title, summary_line([board], statuses), width)


@attrs.frozen
class Footer:
    """What stands below the prices."""

    content: list[RenderableType]
    lines: int


def footer(
    boards: Sequence[Board], statuses: Sequence[ClientStatus], width: int, height: int
) -> Footer:
    """Connections, latencies, notices and warnings; of several exchanges with their names."""
    inner, several = width - 4, len(statuses) > 1
    content: list[RenderableType] = []
    lines = 1
    links = [(each.exchange if several else "", c) for each in statuses for c in each.connections]
    if links:
        content += [Text(), _connections(links, inner)]
        lines += min(len(links), _CONNECTIONS_SHOWN) + 3
    # A feed of several exchanges is in the status of each.
    latencies = dict.fromkeys(one for each in statuses for one in watch_latency.latencies(each))
    if latencies:
        content += [Text(), *(_within(latency, inner) for latency in latencies)]
        lines += len(latencies) + 1
    notes = _notices(boards, 4 if height >= 24 else 2, named=several)
    if notes:
        content += [Text(), *notes]
        lines += len(notes)
    for number, board in enumerate(boards):
        skew = board.skew()
        if skew is not None:
            whose = f"{statuses[number].exchange}'s" if several else "the exchange's"
            content.append(
                Text(
                    f"⚠ {whose} clock is at least {form.ms(skew)} ms ahead of this machine's: "
                    "latencies are relative",
                    style="yellow",
                )
            )
    return Footer(content, lines)


def framed(
    content: Sequence[RenderableType], title: str, subtitle: Text, width: int
) -> RenderableType:
    """The frame around everything."""
    return Panel(
        Group(*content),
        title=Text(title, style="bold cyan"),
        title_align="left",
        subtitle=subtitle,
        subtitle_align="right",
        border_style=DIM,
        box=box.ROUNDED,
        padding=(0, 1),
        width=width,
    )


def summary_line(boards: Sequence[Board], statuses: Sequence[ClientStatus]) -> Text:
    """Totals, for the frame's lower edge."""
    rows = [row for board in boards for row in board.rows.values()]
    gaps, stales = sum(row.gaps for row in rows), sum(row.stales for row in rows)
    began = min((board.started_at for board in boards), default=time.monotonic())
    pieces: list[tuple[str, str]] = [
        (form.span(time.monotonic() - began), DIM),
        (f"  {form.plural(sum(board.events for board in boards), 'event')}", ""),
        (f"  {form.plural(gaps, 'gap')}", "bold yellow" if gaps else "green"),
        (f"  {stales} stale", "bold yellow" if stales else "green"),
    ]
    if statuses:
        reconnects = sum(status.reconnects for status in statuses)
        # A feed of several exchanges is in the status of each.
        dropped = max(sum(feed.dropped for feed in status.feeds) for status in statuses)
        again = form.plural(reconnects, "reconnect")
        pieces.append((f"  {again}", "yellow" if reconnects else DIM))
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


def _connections(links: Sequence[tuple[str, ConnectionStatus]], width: int) -> RenderableType:
    """Each with its exchange's name, empty where there is but one."""
    wide = width >= 96
    columns = ["connection", "epoch", "frames", "wins", "share", "ahead", "behind", "late"]
    totals: Counter[str] = Counter()
    for exchange, link in links:
        totals[exchange] += link.wins
    room = 16 if wide else 8
    rows = []
    for exchange, link in links[:_CONNECTIONS_SHOWN]:
        mark, colour = _STATES[link.state]
        share = link.wins / (totals[exchange] or 1)
        name = f" {exchange} {link.number} " if exchange else f" {link.number} "
        cells: list[panels.Cell] = [
            Text.assemble((mark, colour), name, (link.state.value, DIM)),
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
    hidden = [link for _, link in links[_CONNECTIONS_SHOWN:]]
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


def _notices(boards: Sequence[Board], limit: int, *, named: bool) -> list[Text]:
    latest = sorted(
        (notice for board in boards for notice in board.notices), key=lambda n: n.received_time_ns
    )
    lines = []
    for notice in latest[-limit:]:
        at, word, what = parts(notice)
        if named:
            what = qualified(notice.exchange, what)
        style = _WORDS.get(word, "bold")
        lines.append(Text.assemble((at, DIM), " ", (f"{word:<7}", style), f" {what}"))
    return lines


class Redrawn:
    """Redraws in place, on a terminal."""

    def __init__(
        self,
        picture: Callable[[int, int], RenderableType],
        figures: Callable[[], Iterable[Figures]],
        *,
        console: Console | None = None,
    ) -> None:
        self._picture = picture
        self._figures = figures
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
            for row in self._figures():
                row.sample()
        size = self._console.size
        self._live.update(self._picture(min(size.width, 140), size.height), refresh=True)


class LiveView(Redrawn):
    """The table of one exchange."""

    def __init__(
        self,
        board: Board,
        status: Callable[[], ClientStatus | None],
        *,
        title: str,
        levels: int,
        console: Console | None = None,
    ) -> None:
        def picture(width: int, height: int) -> RenderableType:
            return draw(board, status(), title=title, width=width, height=height, levels=levels)

        super().__init__(picture, board.rows.values, console=console)


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
