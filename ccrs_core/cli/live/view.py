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

from ccrs_core.cli import form
from ccrs_core.cli.live import panels, watch_latency
from ccrs_core.cli.live.figures import Board, Figures
from ccrs_core.cli.live.notices import parts
from ccrs_core.cli.live.panels import DIM
from ccrs_core.client.connection_status import ConnectionStatus
from ccrs_core.client.status import ClientStatus
from ccrs_core.connections.states import LinkState
from ccrs_core.feeds.histogram import LatencySummary
from ccrs_core.several.names import qualified

_STATES = {
    LinkState.OPEN: ("●", "green"),
    LinkState.CONNECTING: ("◐", "yellow"),
    LinkState.WAITING: ("○", "yellow"),
    LinkState.CLOSED: ("✕", "red"),
}
_WORDS = {"gap": "bold yellow", "stale": "bold red", "resumed": "bold green"}
_MOST_CONNECTIONS = 10
_REST = 10
"""Lines that the footer needs besides those of connections, when all goes well or nearly so."""
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
    above = panels.body(board, width - 4, levels, room_above(below, height))
    return framed([*above, *below.content], title, summary_line([board], statuses), width)


@attrs.frozen
class Footer:
    """What stands below the prices."""

    content: list[RenderableType]
    lines: int


def room_above(below: Footer, height: int) -> int:
    """Lines that are left for the prices: without the frame, and one that stays free, so that
    nothing scrolls."""
    return height - 3 - below.lines


def footer(
    boards: Sequence[Board], statuses: Sequence[ClientStatus], width: int, height: int
) -> Footer:
    """Connections, latencies, notices and warnings; of several exchanges with their names."""
    inner, several = width - 4, len(statuses) > 1
    content: list[RenderableType] = []
    lines = 0
    links = [(each.exchange if several else "", c) for each in statuses for c in each.connections]
    if links:
        # What the prices don't need, and a fifth of the screen in any case.
        prices = panels.HEAD + sum(len(board.rows) for board in boards)
        spare = height - 3 - prices - _REST
        shown = panels.some(links, min(_MOST_CONNECTIONS, max(height // 5, spare)))
        content += [Text(), _connections(links, len(shown), inner)]
        lines += 1 + panels.HEAD + len(shown) + (len(shown) < len(links))
    # A feed of several exchanges is in the status of each.
    latencies = dict.fromkeys(one for each in statuses for one in watch_latency.latencies(each))
    if latencies:
        content += [Text(), *(_within(latency, inner) for latency in latencies)]
        lines += 1 + len(latencies)
    notes = _notices(boards, 4 if height >= 24 else 2, named=several)
    if notes:
        for note in notes:
            note.truncate(inner, overflow="ellipsis")
        content += [Text(), *notes]
        lines += 1 + len(notes)
    for number, board in enumerate(boards):
        skew = board.skew()
        if skew is not None:
            whose = f"{statuses[number].exchange}'s" if several else "the exchange's"
            warning = Text(
                f"⚠ {whose} clock is at least {form.ms(skew)} ms ahead of this machine's: "
                "latencies are relative",
                style="yellow",
            )
            content.append(warning)
            lines += len(warning.wrap(_MEASURE, inner))
    return Footer(content, lines)


_MEASURE = Console()


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


def _connections(
    links: Sequence[tuple[str, ConnectionStatus]], most: int, width: int
) -> RenderableType:
    """Each with its exchange's name, empty where there is but one; its market where there are
    several; and how it races, where any has somebody to race."""
    groups: Counter[tuple[str, str]] = Counter()
    for exchange, link in links:
        groups[exchange, _market(link)] += link.wins
    several = len({market for _, market in groups}) > 1
    racing = any(link.late or link.mean_ahead is not None for _, link in links)
    columns = ["connection", *(["market"] if several else []), "epoch", "frames"]
    if racing:
        columns += ["wins", "share", "ahead", "behind", "late"]
    columns.append("last trouble")
    bars = 16 if width >= 96 else 8
    rows = []
    for exchange, link in links[:most]:
        mark, colour = _STATES[link.state]
        name = f" {exchange} {link.number} " if exchange else f" {link.number} "
        cells: list[panels.Cell] = [Text.assemble((mark, colour), name, (link.state.value, DIM))]
        if several:
            cells.append(_market(link))
        cells += [str(link.epoch), form.count(link.frames)]
        if racing:
            share = link.wins / (groups[exchange, _market(link)] or 1)
            cells += [
                form.count(link.wins),
                Text.assemble((form.bar(share, bars).ljust(bars), "cyan"), f"{share:5.0%}"),
                _lead(link.mean_ahead),
                _lead(link.mean_behind),
                form.count(link.late + link.repeats),
            ]
        cells.append(Text(form.printable(link.last_error or ""), style=DIM))
        rows.append(cells)
    if not any(link.last_error for _, link in links):
        columns.pop()
        rows = [row[:-1] for row in rows]
    made = panels.laid_out(
        columns,
        rows,
        width,
        giving_way=len(columns) - 1 if columns[-1] == "last trouble" else 0,
        left_out=("epoch", "late", "frames", "share", "behind"),
    )
    hidden = [link for _, link in links[most:]]
    if not hidden:
        return made
    states = ", ".join(
        f"{sum(link.state is state for link in hidden)} {state.value}"
        for state in LinkState
        if any(link.state is state for link in hidden)
    )
    return Group(made, Text(f"… and {len(hidden)} more: {states}", style=DIM))


def _market(link: ConnectionStatus) -> str:
    return " ".join(market.value for market in link.markets)


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
