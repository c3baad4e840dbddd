"""The live table over several exchanges: who has the best prices, and who moves first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from ccrs_core.cli import form
from ccrs_core.cli.live import panels, watch_latency
from ccrs_core.cli.live.figures import Figures
from ccrs_core.cli.live.panels import DIM, DOWN, UP, Cell
from ccrs_core.cli.live.several import Boards
from ccrs_core.cli.live.view import footer, framed, room_above, summary_line
from ccrs_core.client.status import ClientStatus
from ccrs_core.model.subscriptions import Channel
from ccrs_core.several.best import BestPrice, ConsolidatedBBO, ExchangeQuote, QuoteState

BEST = "◆"
"""Beside the price that no other exchange betters."""

_FEW = 30
"""Samples below which a lead says little,"""
_FEWEST = 10
"""and nothing at all."""

Written = Callable[[Decimal | None], str]
"""How prices of one symbol are written."""

_COLUMNS = (
    *("market", "bid size", "bid", "ask", "ask size", "spread", "bps"),
    *("lead", "first", "age", "/s", "p50 ms", "quote"),
)
_NARROWER: tuple[tuple[int, frozenset[str]], ...] = tuple(
    (digits, frozenset(left_out.split()))
    for digits, left_out in (
        (10, ""),
        (8, ""),
        (6, ""),
        (6, "p50-ms"),
        (6, "p50-ms first"),
        (5, "p50-ms first spread"),
        (5, "p50-ms first spread /s"),
        (5, "p50-ms first spread /s bps"),
        (5, "p50-ms first spread /s bps bid-size ask-size"),
    )
)
"""What goes first where there isn't room for all: digits of sizes, then columns."""


def draw(
    boards: Boards,
    statuses: Sequence[ClientStatus],
    *,
    title: str,
    width: int,
    height: int,
    levels: int = 10,
) -> RenderableType:
    """Everything at this moment, ``width`` characters wide."""
    each = list(boards.boards.values())
    below = footer(each, statuses, width, height)
    room = room_above(below, height)
    above: list[RenderableType] = []
    if boards.best:
        above.append(best_prices(boards, width - 4, room))
    rest = boards.as_one()
    rest.rows = {key: r for key, r in rest.rows.items() if key[1] is not Channel.TOP_OF_BOOK}
    above += panels.body(rest, width - 4, levels, room)
    return framed([*above, *below.content], title, summary_line(each, statuses), width)


def best_prices(boards: Boards, width: int, room: int) -> RenderableType:
    """One table of all symbols: the best of each, and what its exchanges contribute."""
    now_ns = time.time_ns()
    columns: list[str] = []
    rows: list[list[Cell]] = []
    for digits, left_out in _NARROWER:
        columns = [name for name in _COLUMNS if name.replace(" ", "-") not in left_out]
        rows = [
            [cell for name, cell in zip(_COLUMNS, row, strict=True) if name in columns]
            for best in boards.best.values()
            for row in _rows(boards, best, digits, now_ns)
        ]
        if sum(panels.needed(columns, rows)) + len(columns) <= width:
            break
    shown = panels.some(rows, room - panels.HEAD)
    table = panels.laid_out(columns, shown, width)
    if len(shown) == len(rows):
        return table
    return Group(table, Text(f"… and {len(rows) - len(shown)} more", style=DIM))


def _rows(boards: Boards, best: ConsolidatedBBO, digits: int, now_ns: int) -> list[list[Cell]]:
    """A line of the best prices and one for each exchange; where there is but one, just that."""
    quotes, price_digits = best.exchanges, boards.digits(best.symbol)

    def price(value: Decimal | None) -> str:
        return form.NONE if value is None else f"{value:.{price_digits}f}"

    def line(quote: ExchangeQuote, name: Text) -> list[Cell]:
        row = boards.row(quote.exchange, best.symbol)
        return _quote(row, best, quote, name, price, digits, now_ns)

    if len(quotes) == 1:
        name = Text.assemble((best.symbol, "bold"), (f" {quotes[0].exchange}", DIM))
        return [line(quotes[0], name)]
    lines = [line(quote, Text(f"  {quote.exchange}")) for quote in quotes]
    return [_best(best, price, digits), *lines]


def _best(best: ConsolidatedBBO, price: Written, digits: int) -> list[Cell]:
    bid, ask, spread, mid = best.best_bid, best.best_ask, best.spread, best.mid
    note = Text("")
    if best.crossed:
        note = Text("CROSSED", style="bold magenta")
    elif best.locked:
        note = Text("LOCKED", style="bold yellow")
    elif bid is None and ask is None:
        note = Text("no quote", style=DIM)
    return [
        Text(best.symbol, style="bold"),
        _size(bid, digits, UP),
        Text(f"{price(bid.price if bid else None)} ", style=f"bold {UP}"),
        Text(f"{price(ask.price if ask else None)} ", style=f"bold {DOWN}"),
        _size(ask, digits, DOWN),
        Text(price(spread), style="bold"),
        Text(form.NONE if spread is None or mid is None else _bps(spread, mid), style="bold"),
        *[""] * 5,
        note,
    ]


def _size(best: BestPrice | None, digits: int, colour: str) -> Text:
    return Text(form.size(best.size if best else None, digits), style=f"bold {colour}")


def _bps(spread: Decimal, middle: Decimal) -> str:
    return f"-{form.bps(-spread, middle)}" if spread < 0 else form.bps(spread, middle)


def _quote(
    row: Figures,
    best: ConsolidatedBBO,
    at: ExchangeQuote,
    name: Text,
    price: Written,
    digits: int,
    now_ns: int,
) -> list[Cell]:
    fresh = at.state is QuoteState.FRESH
    quote, several = at.quote, len(best.exchanges) > 1
    bid, ask = (quote.bid_price, quote.ask_price) if quote else (None, None)
    sizes = (quote.bid_size, quote.ask_size) if quote else (None, None)
    marks = [
        BEST if several and side is not None and side.exchange == at.exchange else " "
        for side in (best.best_bid, best.best_ask)
    ]
    age = at.age_ns(now_ns)
    pace, (p50,) = row.rate(time.monotonic()), row.latency(0.5)
    spread = at.spread if fresh else None
    middle = (bid + ask) / 2 if bid is not None and ask is not None else None
    return [
        name,
        Text(form.size(sizes[0], digits), style=UP if fresh else DIM),
        _shown(price(bid), marks[0], UP, fresh),
        _shown(price(ask), marks[1], DOWN, fresh),
        Text(form.size(sizes[1], digits), style=DOWN if fresh else DIM),
        price(spread),
        form.NONE if spread is None or middle is None else _bps(spread, middle),
        _lead(at) if several else "",
        _first(at) if several else "",
        form.NONE if age is None else watch_latency.duration(age),
        form.rate(pace),
        form.ms(p50),
        _state(at),
    ]


def _shown(price: str, mark: str, colour: str, fresh: bool) -> Text:
    if not fresh:
        return Text.assemble((price, f"{DIM} strike"), " ")
    style = f"bold {colour}" if mark == BEST else ""
    return Text.assemble((price, style), (mark, style))


def _lead(at: ExchangeQuote) -> Text:
    """How far ahead of the others its price is, on average."""
    mean = at.lead.mean_ns
    if mean is None or at.lead.samples < _FEWEST:
        return Text(form.NONE, style=DIM)
    sign, colour = ("+", "green") if mean > 0 else ("-", "yellow") if mean < 0 else ("", "")
    if at.lead.samples < _FEW:
        colour = DIM
    return Text(f"{sign}{watch_latency.duration(round(abs(mean)))}", style=colour)


def _first(at: ExchangeQuote) -> str:
    """How often its price moved first."""
    share = at.lead.first
    return "" if share is None or at.lead.samples < _FEWEST else f"{share:.0%}"


def _state(at: ExchangeQuote) -> Text:
    colour = {QuoteState.FRESH: "green", QuoteState.STALE: "bold red"}.get(at.state, DIM)
    reason = "" if at.reason is None else f" {at.reason.value}"
    return Text(f"{at.state.value}{reason}", style=colour)
