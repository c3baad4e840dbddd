"""The live table of accounts: what they have and hold, what is open, what happened last."""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
from rich.console import RenderableType
from rich.text import Text

from ccrs_core.cli import form
from ccrs_core.cli.live import panels
from ccrs_core.cli.live.account_tables import BALANCES, DOUBTFUL, ORDERS, POSITIONS
from ccrs_core.cli.live.account_words import ALARMING, parts
from ccrs_core.cli.live.listing import Listing
from ccrs_core.cli.live.panels import DIM
from ccrs_core.cli.live.view import framed
from ccrs_core.model.accounts import Margin, Position
from ccrs_core.model.events import Balance, Event
from ccrs_core.model.orders import Order

_FRAME = 2
"""Lines of the frame."""
_FEWEST_HAPPENINGS, _ROOMY = 3, 10
"""Lines of what happened last where an account has so many lines; else there is one."""


@attrs.frozen(kw_only=True)
class AccountPicture:
    """An account at this moment."""

    name: str
    place: str = ""
    """Where it is, if the title doesn't say so for all."""
    synced: bool
    reason: str = ""
    """Why it isn't."""
    margin: Margin | None = None
    balances: Sequence[Balance] = ()
    positions: Sequence[Position] = ()
    orders: Sequence[Order] = ()
    """Those that are open, or may be."""


@attrs.define
class Happenings:
    """What happened last, and how much happened."""

    began: float = attrs.field(factory=time.monotonic)
    events: int = 0
    fills: int = 0
    latest: list[tuple[str, Event]] = attrs.field(factory=list)

    def add(self, name: str, event: Event, *, loud: bool) -> None:
        self.events += 1
        self.fills += event.type == "fill"
        if loud:
            self.latest.append((name, event))
            del self.latest[:-50]


def draw(
    pictures: Sequence[AccountPicture],
    happenings: Happenings,
    *,
    title: str,
    width: int,
    height: int,
) -> RenderableType:
    """Everything at this moment, ``width`` characters wide; no line is broken."""
    inner = width - 4
    column = max(len(each.name) for each in pictures) if len(pictures) > 1 else 0
    content: list[RenderableType] = []
    apart = len(pictures) - 1
    room = height - _FRAME - apart
    last = _FEWEST_HAPPENINGS if room > _ROOMY * len(pictures) else 1
    room -= 1 + last
    for number, picture in enumerate(pictures):
        # What the ones before didn't need is for those that follow.
        share = room // (len(pictures) - number)
        drawn, lines = _account(picture, inner, share)
        content += [*([Text()] if number else []), *drawn]
        room -= lines
    left = max(room, 0) + last
    content.append(Text())
    content += [
        _line(f"{name:<{column}}" if column else "", e, inner)
        for name, e in happenings.latest[-left:]
    ]
    return framed(content, title, _summary(pictures, happenings), width)


def _account(picture: AccountPicture, width: int, room: int) -> tuple[list[RenderableType], int]:
    """An account in so many lines, and how many it took: its head, then tables as far as there is
    room, and how much there is of what has none."""
    content: list[RenderableType] = [_head(picture, width)]
    if not picture.synced and picture.reason and room > 1:
        why = Text(f"  {form.printable(picture.reason)}", style="yellow")
        why.truncate(width, overflow="ellipsis")
        content.append(why)
    lines = len(content)
    orders = sorted(picture.orders, key=lambda order: order.state not in DOUBTFUL)
    tables: list[tuple[str, Listing[object], Sequence[object]]] = [
        ("order", ORDERS, orders),  # type: ignore[list-item]
        ("position", POSITIONS, picture.positions),  # type: ignore[list-item]
        ("balance", BALANCES, picture.balances),  # type: ignore[list-item]
    ]
    tables = [(what, listing, rows) for what, listing, rows in tables if rows]
    without: list[str] = []
    for number, (what, listing, rows) in enumerate(tables):
        others = len(tables) - number - 1
        rest = room - lines - (1 if without or others else 0)
        least = 1 + panels.HEAD + min(len(rows), 2)
        share = rest // (others + 1)
        share = share if share >= least else min(rest, least)
        if share < least:
            without.append(form.plural(len(rows), what))
            continue
        space = share - 1 - panels.HEAD
        shown = rows if len(rows) <= space else rows[: space - 1]
        content += [Text(), listing.table(shown, width)]
        lines += 1 + panels.HEAD + len(shown)
        if len(shown) < len(rows):
            content.append(Text(f"… and {len(rows) - len(shown)} more", style=DIM))
            lines += 1
    if without and lines < room:
        content.append(Text(f"  {', '.join(without)}", style=DIM))
        lines += 1
    return content, lines


def _head(picture: AccountPicture, width: int) -> Text:
    mark, colour, word = ("●", "green", "synced") if picture.synced else ("○", "yellow", "syncing")
    line = Text.assemble((f"{mark} ", colour), (picture.name, "bold"), (f"  {word}", colour))
    if picture.place:
        line.append("   at ", style=DIM).append(form.printable(picture.place))
    margin = picture.margin
    if margin is not None:
        for name, value in (("equity", margin.equity), ("available", margin.available)):
            if value is not None:
                line.append(f"   {name} ", style=DIM).append(f"{value:f} {margin.asset}")
        if margin.initial_rate is not None:
            line.append("   margin ", style=DIM).append(form.percent(margin.initial_rate))
    line.truncate(width, overflow="ellipsis")
    return line


def _line(name: str, event: Event, width: int) -> Text:
    at, word, what = parts(event)
    style = "bold red" if word in ALARMING else "bold green" if word == "fill" else "bold"
    whose = f" {name}" if name else ""
    text = Text.assemble(
        (at, DIM), whose, " ", (f"{form.printable(word):<8}", style), " ", form.printable(what)
    )
    text.truncate(width, overflow="ellipsis")
    return text


def _summary(pictures: Sequence[AccountPicture], happenings: Happenings) -> Text:
    uncertain = sum(order.state.value == "unknown" for each in pictures for order in each.orders)
    pieces: list[tuple[str, str]] = [
        (form.span(time.monotonic() - happenings.began), DIM),
        (f"  {form.plural(happenings.events, 'event')}", ""),
        (f"  {form.plural(happenings.fills, 'fill')}", "green" if happenings.fills else ""),
    ]
    if uncertain:
        pieces.append((f"  {uncertain} unknown", "bold yellow"))
    behind = sum(not each.synced for each in pictures)
    if behind:
        pieces.append((f"  {behind} not synced", "bold yellow"))
    return Text.assemble(*pieces)
