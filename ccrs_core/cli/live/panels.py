"""What each channel looks like in the live table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise, takewhile
from typing import TypeVar

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ccrs_core.cli import form
from ccrs_core.cli.live.figures import Board, Figures
from ccrs_core.model.events import (
    Candle,
    Funding,
    Greeks,
    IndexPrice,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Ticker,
    Trade,
)
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel

T = TypeVar("T")

UP, DOWN, DIM = "green", "red", "bright_black"
_FLASH_SECONDS = 0.6


_LEFT = frozenset(
    {
        "symbol",
        "native",
        "status",
        "side",
        "trend",
        "time",
        "connection",
        "share",
        "last trouble",
        "market",
        "quote",
        "asset",
        "kind",
        "type",
        "reason",
        "id",
        "as",
        "margin",
    }
)
_LEAST = 10
"""Characters that a column keeps that gives way to the others."""

LAG = ("p50 ms", "p99 ms")
"""Percentiles of the time from the exchange's own time to the arrival here."""

Cell = str | Text


def table() -> Table:
    """The look that all tables share."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,  # the box sets columns one character apart; expanding does the rest
        header_style=DIM,
        border_style=DIM,
        expand=True,
    )


def laid_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    width: int,
    giving_way: int = 0,
    left_out: Sequence[str] = (),
    *,
    whole: bool = False,
) -> Table:
    """A table in which one column is cut where there isn't room for all; the others are whole.

    Before it is cut to less than what it must keep, or so that its rows look alike, those of
    ``left_out`` go, in this order; if it is to be ``whole``, before it is cut at all.
    """
    names, cut = list(columns), columns[giving_way]
    lines = [list(row) for row in rows]
    least_of_cut = max(_telling([str(row[giving_way]) for row in rows]), _LEAST)
    for name in (*left_out, ""):
        widths = needed(names, lines)
        at = names.index(cut)
        room = width - sum(widths) - len(names) + widths[at]
        least = widths[at] if whole else min(widths[at], least_of_cut)
        if room >= least or not name:
            break
        if name in names:
            gone = names.index(name)
            del names[gone]
            for line in lines:
                del line[gone]
    widths[at] = min(widths[at], max(room, _LEAST))
    made = table()
    for name, least in zip(names, widths, strict=True):
        made.add_column(
            name,
            justify="left" if name in _LEFT else "right",
            no_wrap=True,
            min_width=least,
            overflow="ellipsis",
        )
    for row in lines:
        cells = [Text(cell) if isinstance(cell, str) else cell.copy() for cell in row]
        cells[at].truncate(widths[at], overflow="ellipsis")
        made.add_row(*cells)
    return made


def _telling(texts: Sequence[str]) -> int:
    """How many characters of texts tell them apart, with that which says that they are cut. An
    arrow before them, which comes and goes, tells nothing."""
    arrow = max((len(text) - len(text.lstrip("▲▼·✕ ")) for text in texts), default=0)
    ordered = sorted({text.lstrip("▲▼·✕ ") for text in texts})
    alike = [sum(1 for _ in takewhile(len, map(_same, *pair))) for pair in pairwise(ordered)]
    return arrow + max(alike, default=-2) + 2


def _same(one: str, other: str) -> str:
    return one if one == other else ""


def needed(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[int]:
    """Widths of the columns, nothing cut."""
    return [
        max(len(name), *(len(row[i]) for row in rows)) if rows else len(name)
        for i, name in enumerate(columns)
    ]


def moving(row: Figures, text: str) -> Text:
    """A price, green or red by its last move, bright while that is fresh."""
    if row.stale:
        return Text(text, style=f"{DIM} strike")
    colour = {1: UP, -1: DOWN}.get(row.move, "")
    fresh = time.monotonic() - row.moved_at < _FLASH_SECONDS
    return Text(text, style=f"bold {colour}" if fresh else colour)


def _name(row: Figures) -> Text:
    arrow = {1: ("▲", UP), -1: ("▼", DOWN)}.get(row.move, ("·", DIM))
    if row.stale:
        arrow = ("✕", "bold yellow")
    return Text.assemble((arrow[0], arrow[1]), " ", (row.symbol, "bold"))


def _pace(row: Figures) -> tuple[str, str, str]:
    p50, p99 = row.latency(0.5, 0.99)
    return form.rate(row.rate(time.monotonic())), form.ms(p50), form.ms(p99)


def _spread(bid: Decimal | None, ask: Decimal | None) -> tuple[str, str]:
    if bid is None or ask is None:
        return form.NONE, form.NONE
    return form.price(ask - bid), form.bps(ask - bid, (ask + bid) / 2)


def quotes(rows: Sequence[Figures], width: int) -> Table:
    """Best bid and ask per symbol, with as many digits of the sizes as there is room for."""
    columns = ["symbol", "bid size", "bid", "ask", "ask size", "spread", "bps", "/s", *LAG]
    for digits in (10, 8, 6, 5):
        cells = [_quote(row, digits) for row in rows]
        room = width - sum(needed(columns, cells)) - len(columns)
        if room >= 0:
            break
    if room > _LEAST + 6:
        columns.append("trend")
        for row, line in zip(rows, cells, strict=True):
            line.append(Text(form.sparkline(row.prices, min(room - 6, 48)), style="cyan"))
    # bps tell what the spread does; sizes go before prices.
    left_out = ("spread", LAG[1], LAG[0], "/s", "bps", "bid size", "ask size")
    return laid_out(columns, cells, width, left_out=left_out)


def _quote(row: Figures, digits: int) -> list[Cell]:
    bid, bid_size, ask, ask_size = row.quote()
    return [
        _name(row),
        Text(form.size(bid_size, digits), style=DIM if row.stale else UP),
        moving(row, form.price(bid)),
        moving(row, form.price(ask)),
        Text(form.size(ask_size, digits), style=DIM if row.stale else DOWN),
        *_spread(bid, ask),
        *_pace(row),
    ]


def ladder(row: Figures, levels: int, width: int) -> RenderableType:
    """A book by level: bids left, asks right, sizes as bars."""
    made = Table(
        box=None, expand=True, show_header=False, pad_edge=False, padding=(0, 1, 0, 0), width=width
    )
    for justify in ("right", "right", "right", "left", "right", "left"):
        made.add_column(justify=justify, no_wrap=True)
    book = row.book
    if book is None or not book.valid:
        state = "syncing" if book is None else book.state.value
        return Text(f"  {row.symbol}: the book is {state}", style="yellow")
    bids, asks = book.bids(levels), book.asks(levels)
    largest = max((size for _, size in [*bids, *asks]), default=Decimal(1))
    prices = form.aligned([price for price, _ in [*bids, *asks]])
    sizes = form.aligned([size for _, size in [*bids, *asks]], 9)
    # Whatever the figures leave is for the bars.
    used = 2 * (len(prices[0]) + len(sizes[0])) + 6 if prices else 0
    room = max((width - used) // 2, 0)
    for i in range(max(len(bids), len(asks))):
        cells: list[Text] = []
        if i < len(bids):
            share = float(bids[i][1] / largest)
            cells += [
                Text(form.bar(share, room, mirrored=True), style=UP),
                Text(sizes[i]),
                Text(prices[i], style=f"bold {UP}" if i == 0 else UP),
            ]
        else:
            cells += [Text("")] * 3
        if i < len(asks):
            share, at = float(asks[i][1] / largest), len(bids) + i
            cells += [
                Text(prices[at], style=f"bold {DOWN}" if i == 0 else DOWN),
                Text(sizes[at]),
                Text(form.bar(share, room), style=DOWN),
            ]
        made.add_row(*cells)
    title = Text.assemble(
        (f"{row.symbol}", "bold"),
        (f"  sequence {book.sequence}  {len(book.bids())}/{len(book.asks())} levels", DIM),
    )
    title.truncate(width, overflow="ellipsis")
    return Group(title, made)


def trades(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "price", "size", "side", "/s", *LAG, "trend"]
    cells: list[list[Cell]] = []
    for row in rows:
        event = row.latest if isinstance(row.latest, Trade | Liquidation) else None
        cells.append(
            [
                _name(row),
                moving(row, form.price(event.price if event else None)),
                form.size(event.size if event else None),
                _side(event.side) if event else "",
                *_pace(row),
                Text(form.sparkline(row.prices, max(width - 66, 6)), style="cyan"),
            ]
        )
    return laid_out(columns, cells, width, left_out=("trend", LAG[1], LAG[0], "/s"))


def _side(side: Side) -> Text:
    return Text(side.value, style=UP if side is Side.BUY else DOWN)


def tape(board: Board, lines: int) -> RenderableType:
    """The last trades, newest first."""
    several = len({event.symbol for event in board.tape}) > 1
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify in ("left", "left", "right", "right"):
        made.add_column(justify=justify, no_wrap=True)
    for event in list(board.tape)[: -lines - 1 : -1]:
        colour = UP if event.side is Side.BUY else DOWN
        made.add_row(
            Text(form.clock(event.exchange_time_ns or event.received_time_ns), style=DIM),
            Text((f"{event.symbol} " if several else "") + event.side.value, style=colour),
            Text(form.price(event.price), style=colour),
            form.size(event.size, 12),
        )
    return made


def tickers(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "last", "24 h", "high", "low", "volume"]
    extra = ["mark", "funding", "open int."]
    cells = [_ticker(row) for row in rows]
    left_out = ("open int.", "mark", "funding", LAG[0], "volume", "/s", "low", "high")
    return laid_out([*columns, *extra, "/s", LAG[0]], cells, width, left_out=left_out)


def _ticker(row: Figures) -> list[Cell]:
    t = row.latest if isinstance(row.latest, Ticker) else None
    change = Text(form.NONE)
    if t is not None and t.last_price is not None and t.open_price:
        part = (t.last_price / t.open_price - 1) * 100
        change = Text(f"{part:+.2f}%", style=UP if part >= 0 else DOWN)
    return [
        _name(row),
        moving(row, form.price(t.last_price if t else None)),
        change,
        form.price(t.high_price if t else None),
        form.price(t.low_price if t else None),
        form.size(t.volume if t else None, 9),
        form.price(t.mark_price if t else None),
        _percent(t.funding_rate if t else None),
        form.size(t.open_interest if t else None, 9),
        *_pace(row)[:2],
    ]


def _percent(value: Decimal | None) -> str:
    return form.NONE if value is None else f"{value * 100:.4f}%"


def candles(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "time", "open", "high", "low", "close", "volume", "state"]
    cells = [_candle(row) for row in rows]
    return laid_out(columns, cells, width, left_out=("volume", "open", "high", "low"))


def _candle(row: Figures) -> list[Cell]:
    c = row.latest
    if not isinstance(c, Candle):
        return [_name(row), *[form.NONE] * 7]
    return [
        _name(row),
        f"{form.clock(c.open_time_ns, 0)} {c.interval}",
        form.price(c.open),
        form.price(c.high),
        form.price(c.low),
        moving(row, form.price(c.close)),
        form.size(c.volume),
        Text("closed", style=DIM) if c.closed else Text("open", style="cyan"),
    ]


def marks(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "mark", "index", "basis bps", "/s", *LAG]
    cells = [_mark(row) for row in rows]
    return laid_out(columns, cells, width, left_out=(LAG[1], LAG[0], "/s", "basis bps"))


def _mark(row: Figures) -> list[Cell]:
    event = row.latest
    mark = event.mark_price if isinstance(event, MarkPrice) else None
    index = event.index_price if isinstance(event, MarkPrice) else None
    basis = form.bps(mark - index, index) if mark is not None and index is not None else form.NONE
    return [_name(row), moving(row, form.price(mark)), form.price(index), basis, *_pace(row)]


def greeks(rows: Sequence[Figures], width: int) -> Table:
    volatilities = ["iv", "bid iv", "ask iv"]
    columns = ["symbol", *volatilities, "delta", "gamma", "vega", "theta", "underlying", "/s", *LAG]
    left_out = (LAG[1], LAG[0], "/s", "underlying", "gamma", "vega", "theta", "ask iv", "bid iv")
    return laid_out(columns, [_greeks(row) for row in rows], width, left_out=left_out)


def _greeks(row: Figures) -> list[Cell]:
    g = row.latest if isinstance(row.latest, Greeks) else None
    if g is None:
        return [_name(row), *[form.NONE] * 8, *_pace(row)]
    return [
        _name(row),
        moving(row, form.percent(g.mark_iv)),
        form.percent(g.bid_iv),
        form.percent(g.ask_iv),
        *(form.rough(value) for value in (g.delta, g.gamma, g.vega, g.theta)),
        form.size(g.underlying_price, 10),
        *_pace(row),
    ]


def indices(rows: Sequence[Figures], width: int) -> Table:
    cells: list[list[Cell]] = []
    for row in rows:
        index = row.latest.index_price if isinstance(row.latest, IndexPrice) else None
        cells.append([_name(row), moving(row, form.price(index)), *_pace(row)])
    return laid_out(["symbol", "index", "/s", *LAG], cells, width, left_out=(LAG[1], LAG[0], "/s"))


def interests(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "open int.", "value", "/s", *LAG]
    cells: list[list[Cell]] = []
    for row in rows:
        held = row.latest if isinstance(row.latest, OpenInterest) else None
        size = moving(row, form.size(held.open_interest if held else None, 9))
        value = form.size(held.value if held else None, 9)
        cells.append([_name(row), size, value, *_pace(row)])
    return laid_out(columns, cells, width, left_out=(LAG[1], LAG[0], "/s", "value"))


def fundings(rows: Sequence[Figures], width: int) -> Table:
    columns = ["symbol", "rate", "paid at (UTC)", "/s"]
    cells: list[list[Cell]] = []
    for row in rows:
        f = row.latest if isinstance(row.latest, Funding) else None
        at = form.clock(f.funding_time_ns, 0) if f and f.funding_time_ns is not None else form.NONE
        rate = moving(row, _percent(f.rate if f else None))
        cells.append([_name(row), rate, at, _pace(row)[0]])
    return laid_out(columns, cells, width)


PANELS: dict[Channel, Callable[[Sequence[Figures], int], Table]] = {
    Channel.TOP_OF_BOOK: quotes,
    Channel.BOOK: quotes,
    Channel.TRADES: trades,
    Channel.LIQUIDATIONS: trades,
    Channel.TICKER: tickers,
    Channel.CANDLES: candles,
    Channel.MARK_PRICE: marks,
    Channel.GREEKS: greeks,
    Channel.INDEX_PRICE: indices,
    Channel.OPEN_INTEREST: interests,
    Channel.FUNDING: fundings,
}


HEAD = 2
"""Lines of a table above its rows."""


def body(board: Board, width: int, levels: int, room: int) -> list[RenderableType]:
    """All channels that a board has, one under the other, in ``room`` lines if it can be done."""
    parts: list[RenderableType] = []
    left = room
    for channel in Channel:
        rows = board.of(channel)
        if not rows:
            continue
        shown = some(rows, left - HEAD)
        parts.append(PANELS[channel](shown, width))
        left -= HEAD + len(shown)
        if len(shown) < len(rows):
            parts.append(Text(f"… and {len(rows) - len(shown)} more", style=DIM))
            left -= 1
        if channel is Channel.BOOK:
            depth = min(levels, left - 2)  # below a blank line and a title
            if len(rows) == 1:
                parts += [Text(), ladder(rows[0], max(depth, 1), width)]
                left -= depth + 2
            elif width >= 100 and depth >= 3:
                half = (width - 2) // 2
                parts += [
                    Text(),
                    Columns([ladder(r, depth, half) for r in rows[:2]], padding=(0, 1)),
                ]
                left -= depth + 2
        elif channel in {Channel.TRADES, Channel.LIQUIDATIONS} and left > 3:
            lines = min(12, left - 1)
            parts += [Text(), tape(board, lines)]
            left -= lines + 1
    return parts


def some(rows: Sequence[T], lines: int) -> Sequence[T]:
    """The rows for which there are lines, at least three; where not for all, a line less, since
    another one tells how many are missing."""
    return rows if len(rows) <= max(lines, 3) else rows[: max(lines - 1, 3)]
