"""``ccrs replay``: recordings, played back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel

if TYPE_CHECKING:
    from ccrs_core.cli.live.books import Books
    from ccrs_core.model.events import AnyEvent
    from ccrs_core.model.orderbook import OrderBook
    from ccrs_core.recordings.replay import Replay, Step

_CHUNK = 256
"""Steps written at once where nothing has to be waited for."""


@click.command("replay", short_help="Play a recording back through the same codecs and books.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--speed",
    default="max",
    show_default=True,
    metavar="X|max",
    help="1 is the speed of the recording.",
)
@options.market_option
@click.option(
    "--channel",
    "channels",
    type=options.ChannelType(),
    multiple=True,
    help="Only this; may be repeated.",
)
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Levels of books to show, per side.",
)
@click.option(
    "--snapshot",
    "snapshots",
    metavar="SYMBOL=FILE",
    multiple=True,
    help="The exchange's answer that a book starts from, where the recording lacks it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def command(
    exchange: str,
    path: Path,
    speed: str,
    market: str | None,
    channels: Sequence[Channel],
    levels: int,
    snapshots: Sequence[str],
    as_json: bool,
) -> None:
    """Play FILE, recorded from EXCHANGE, back through the same codecs, races and books.

    The output is the same every time, to the byte. FILE comes from ccrs record, or holds one raw
    frame per line, or lines of {"recv_ts": seconds, "raw": "frame"}; of those the kind of market is
    guessed unless --market tells it. What is not delivered is named at the end, stream by stream.
    """
    from ccrs_core.recordings.replay import Replay

    pace = _pace(speed)
    playing = Replay(
        exchange,
        path,
        market=None if market is None else Market(market),
        channels=channels or None,
        snapshots=_named(snapshots),
    )
    if playing.guessed and market is None:
        found = ", ".join(sorted({s.instrument.market.value for s in playing.guessed}))
        note(f"the file doesn't say what market it is of; taken for {found} (--market to change)")
    if as_json:
        interrupts.run(_json(playing, levels, pace))
    else:
        with interrupts.raising():
            _people(playing, levels, pace)
    if not playing.frames.total():
        note(f"{path} holds no received frames: it was cut off, or nothing came")


def _named(snapshots: Sequence[str]) -> dict[str, Path]:
    named = {}
    for each in snapshots:
        symbol, equals, path = each.partition("=")
        if not equals or not symbol or not path:
            raise UsageError(f"--snapshot is SYMBOL=FILE, such as BTC/USDT=depth.json, not {each}")
        named[symbol] = Path(path)
    return named


def _pace(speed: str) -> float | None:
    if speed == "max":
        return None
    try:
        pace = float(speed)
    except ValueError:
        pace = 0.0
    if not 0 < pace < float("inf"):
        raise UsageError(f"--speed must be a number above zero or max, not {speed}")
    return pace


def _books(playing: Replay) -> Books:
    from ccrs_core.cli.live.books import Books

    def find(symbol: str) -> OrderBook:
        return next(b for s, b in playing.books.items() if s.symbol == symbol)

    return Books(find)


def _paced(steps: Iterable[Step], pace: float) -> Iterator[tuple[float, Step]]:
    """Each step with the seconds to wait before it."""
    began = time.monotonic()
    first_ns: int | None = None
    for step in steps:
        if first_ns is None:
            first_ns = step.time_ns
        due = began + (step.time_ns - first_ns) / 1e9 / pace
        yield max(due - time.monotonic(), 0.0), step


async def _json(playing: Replay, levels: int, pace: float | None) -> None:
    from ccrs_core.cli.commands.watch import encoded
    from ccrs_core.cli.output import Output

    output, books = Output(), _books(playing)
    waiting: list[bytes] = []
    steps = ((0.0, step) for step in playing.steps())
    for delay, step in steps if pace is None else _paced(playing.steps(), pace):
        if delay:
            await asyncio.sleep(delay)
        waiting += encoded(books.follow(step.events), levels)
        if pace is not None or len(waiting) > _CHUNK:
            await output.write(b"".join(waiting))
            waiting.clear()
            await asyncio.sleep(0)  # for Ctrl-C: a file never makes it wait
    await output.write(b"".join(waiting))
    if playing.dropped:
        note(f"not delivered: {', '.join(f'{n:,} of {what}' for what, n in _dropped(playing))}")


def _dropped(playing: Replay) -> list[tuple[str, int]]:
    """The streams of which frames weren't delivered, those with the most first."""
    shown = Counter({form.printable(what): n for what, n in playing.dropped.items()})
    return shown.most_common()


def _people(playing: Replay, levels: int, pace: float | None) -> None:
    from ccrs_core.cli.live.figures import Board

    board, books = Board(), _books(playing)

    def take(events: Sequence[AnyEvent]) -> None:
        board.take(list(books.follow(events)))

    if pace is not None and sys.stdout.isatty():
        _show(playing, board, take, levels, pace)
    else:
        with progress(f"replaying {playing.path.name}") as spinner:
            paced = _paced(playing.steps(), pace or float("inf"))
            for frames, (delay, step) in enumerate(paced, start=1):
                if delay:
                    time.sleep(delay)
                take(step.events)
                if spinner is not None and frames % 1000 == 0:
                    spinner.update(f"[dim]replaying {playing.path.name}  {frames:,} frames")
    _summarise(playing, board.counts)


def _show(playing: Replay, board: Any, take: Any, levels: int, pace: float) -> None:
    from ccrs_core.cli.live.view import REDRAWS_PER_SECOND, LiveView

    title = f"{playing.exchange.name} · {playing.path.name} · x{pace:g}"
    with LiveView(board, lambda: None, title=title, levels=levels) as view:
        drawn = 0.0
        for delay, step in _paced(playing.steps(), pace):
            until = time.monotonic() + delay
            while (now := time.monotonic()) < until:
                if now - drawn >= 1 / REDRAWS_PER_SECOND:
                    drawn = now
                    view.redraw()
                time.sleep(max(min(until - time.monotonic(), 1 / REDRAWS_PER_SECOND), 0))
            take(step.events)
        view.redraw()


def _summarise(playing: Replay, counts: Counter[str]) -> None:
    from rich.console import Console

    from ccrs_core.cli.live.view import summary

    console = Console()
    frames = ", ".join(f"{count:,} {what}" for what, count in sorted(playing.frames.items()))
    console.print(f"[bold]{playing.path.name}[/]  frames: {frames or 'none'}", highlight=False)
    rows = [(kind, f"{count:,}") for kind, count in sorted(counts.items())]
    console.print(summary(rows, "event", "count"))
    if playing.dropped:
        console.print()
        lost = [(what, f"{n:,}") for what, n in _dropped(playing)]
        console.print(summary(lost, "not delivered", "frames"))
    books = playing.books
    if not books:
        return
    console.print()
    lines = []
    for subscription, book in books.items():
        state = (f"{subscription.symbol} {subscription.depth}", book.state.value)
        if not book.valid:
            lines.append((*state, *[form.NONE] * 4))
            continue
        bid, ask = book.best_bid or (None, None), book.best_ask or (None, None)
        lines.append(
            (
                *state,
                f"{form.price(bid[0])} x {form.price(bid[1])}",
                f"{form.price(ask[0])} x {form.price(ask[1])}",
                f"{len(book.bids())}/{len(book.asks())}",
                str(book.sequence),
            )
        )
    console.print(summary(lines, "book", "state", "best bid", "best ask", "levels", "sequence"))
