"""``ccrs replay``: recordings, played back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.several.names import qualified

if TYPE_CHECKING:
    from ccrs_core.cli.live.books import Books
    from ccrs_core.cli.live.figures import Board
    from ccrs_core.model.events import AnyEvent
    from ccrs_core.model.orderbook import OrderBook
    from ccrs_core.recordings.replay import Replay, Step

    Played = tuple[Replay, Step]

_CHUNK = 256
"""Steps written at once where nothing has to be waited for."""


@click.command("replay", short_help="Play recordings back through the same codecs and books.")
@click.argument("exchange", metavar="[EXCHANGE]", shell_complete=completion.exchanges)
@click.argument("paths", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--from", "start", type=options.TimeType(), help="Show nothing before this time.")
@click.option("--to", "end", type=options.TimeType(), help="Nor from this one on.")
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
    paths: Sequence[Path],
    start: int | None,
    end: int | None,
    speed: str,
    market: str | None,
    channels: Sequence[Channel],
    levels: int,
    snapshots: Sequence[str],
    as_json: bool,
) -> None:
    """Play FILEs, recorded from EXCHANGE, back through the same codecs, races and books.

    Several are played in the order of their times; DIR stands for all recordings in it, and the
    name that was given to one that rotated for all its files. EXCHANGE may be left out where they
    tell: ccrs replay DIR.

    The output is the same every time, to the byte. FILE comes from ccrs record, or holds one raw
    frame per line, or lines of {"recv_ts": seconds, "raw": "frame"}; of those the kind of market is
    guessed unless --market tells it. What is not delivered is named at the end, stream by stream.
    With --from, what came earlier is played unseen, and each book is shown as it stands then.
    """
    from ccrs_core.recordings.replayed import merged, opened

    pace = _pace(speed)
    if start is not None and end is not None and start > end:
        raise UsageError("--from must not be after --to")
    name, files = _whose(exchange, paths)
    playing = opened(
        *files,
        exchange=name,
        market=None if market is None else Market(market),
        channels=channels or None,
        snapshots=_named(snapshots),
    )
    for each in playing:
        if name is not None and each.exchange.name != name:
            raise UsageError(f"{each.path} was recorded from {each.exchange.name}, not from {name}")
        if each.guessed and market is None:
            found = ", ".join(sorted({s.instrument.market.value for s in each.guessed}))
            what = "the file" if len(playing) == 1 else str(each.path)
            note(f"{what} doesn't say what market it is of; taken for {found} (--market to change)")
    steps = merged(playing, start, end)
    if as_json:
        interrupts.run(_json(playing, steps, levels, pace))
    else:
        with interrupts.raising():
            _people(playing, steps, levels, pace)
    for each in playing:
        if not each.frames.total() and end is None:
            note(f"{each.path} holds no received frames: it was cut off, or nothing came")


def _whose(exchange: str, paths: Sequence[Path]) -> tuple[str | None, Sequence[Path]]:
    """The exchange and the files of a call that may leave the exchange out."""
    from ccrs_core.extensions import exchanges as plugins
    from ccrs_core.recordings.parts import parts_of

    first = Path(exchange)
    there = first.exists() or bool(parts_of(first))
    if there and (not paths or all(exchange != info.name for info in plugins.installed())):
        return None, [first, *paths]
    if not paths:
        raise UsageError(f"name the files to replay: there is no file {exchange}")
    return exchange, paths


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


class _Books:
    """:class:`Books` of each recording."""

    def __init__(self) -> None:
        self._of: dict[int, Books] = {}

    def follow(self, step: Played) -> Iterator[tuple[AnyEvent, OrderBook | None]]:
        from ccrs_core.cli.live.books import Books

        playing, events = step[0], step[1].events
        books = self._of.get(id(playing))
        if books is None:

            def find(symbol: str) -> OrderBook:
                return next(b for s, b in playing.books.items() if s.symbol == symbol)

            books = self._of[id(playing)] = Books(find)
        return books.follow(events)


def _paced(steps: Iterable[Played], pace: float) -> Iterator[tuple[float, Played]]:
    """Each step with the seconds to wait before it."""
    began = time.monotonic()
    first_ns: int | None = None
    for each in steps:
        at_ns = each[1].time_ns
        if first_ns is None:
            first_ns = at_ns
        due = began + (at_ns - first_ns) / 1e9 / pace
        yield max(due - time.monotonic(), 0.0), each


async def _json(
    playing: Sequence[Replay], steps: Iterable[Played], levels: int, pace: float | None
) -> None:
    from ccrs_core.cli.commands.watch import encoded
    from ccrs_core.cli.output import Output

    output, books = Output(), _Books()
    waiting: list[bytes] = []
    at_once = ((0.0, step) for step in steps)
    for delay, step in at_once if pace is None else _paced(steps, pace):
        if delay:
            await asyncio.sleep(delay)
        waiting += encoded(books.follow(step), levels)
        if pace is not None or len(waiting) > _CHUNK:
            await output.write(b"".join(waiting))
            waiting.clear()
            await asyncio.sleep(0)  # for Ctrl-C: a file never makes it wait
    await output.write(b"".join(waiting))
    if any(each.dropped for each in playing):
        note(f"not delivered: {', '.join(f'{n:,} of {what}' for what, n in _dropped(playing))}")


def _dropped(playing: Sequence[Replay]) -> list[tuple[str, int]]:
    """The streams of which frames weren't delivered, those with the most first."""
    shown: Counter[str] = Counter()
    for each in playing:
        for what, n in each.dropped.items():
            shown[form.printable(what)] += n
    return shown.most_common()


def _exchanges(playing: Sequence[Replay]) -> list[str]:
    return sorted({each.exchange.name for each in playing})


def _file_names(playing: Sequence[Replay]) -> str:
    more = f" and {len(playing) - 1} more" if len(playing) > 1 else ""
    return f"{playing[0].path.name}{more}"


def _people(
    playing: Sequence[Replay], steps: Iterable[Played], levels: int, pace: float | None
) -> None:
    from ccrs_core.cli.live.figures import Board

    board, books = Board(), _Books()
    several = len(_exchanges(playing)) > 1

    def take(step: Played) -> None:
        followed = list(books.follow(step))
        if several:
            followed = [
                (attrs.evolve(event, symbol=qualified(event.exchange, event.symbol)), book)
                for event, book in followed
            ]
        board.take(followed)

    if pace is not None and sys.stdout.isatty():
        _show(playing, steps, board, take, levels, pace)
    else:
        what = f"replaying {_file_names(playing)}"
        with progress(what) as spinner:
            paced = _paced(steps, pace or float("inf"))
            for frames, (delay, step) in enumerate(paced, start=1):
                if delay:
                    time.sleep(delay)
                take(step)
                if spinner is not None and frames % 1000 == 0:
                    spinner.update(f"[dim]{what}  {frames:,} frames")
    _summarise(playing, board.counts)


def _show(
    playing: Sequence[Replay],
    steps: Iterable[Played],
    board: Board,
    take: Callable[[Played], None],
    levels: int,
    pace: float,
) -> None:
    from ccrs_core.cli.live.view import REDRAWS_PER_SECOND, LiveView

    title = f"{', '.join(_exchanges(playing))} · {_file_names(playing)} · x{pace:g}"
    with LiveView(board, lambda: None, title=title, levels=levels) as view:
        drawn = 0.0
        for delay, step in _paced(steps, pace):
            until = time.monotonic() + delay
            while (now := time.monotonic()) < until:
                if now - drawn >= 1 / REDRAWS_PER_SECOND:
                    drawn = now
                    view.redraw()
                time.sleep(max(min(until - time.monotonic(), 1 / REDRAWS_PER_SECOND), 0))
            take(step)
        view.redraw()


def _summarise(playing: Sequence[Replay], counts: Counter[str]) -> None:
    from rich.console import Console

    from ccrs_core.cli.live.view import summary

    console = Console()
    for each in playing:
        frames = ", ".join(f"{count:,} {what}" for what, count in sorted(each.frames.items()))
        console.print(f"[bold]{each.path.name}[/]  frames: {frames or 'none'}", highlight=False)
    rows = [(kind, f"{count:,}") for kind, count in sorted(counts.items())]
    console.print(summary(rows, "event", "count"))
    if any(each.dropped for each in playing):
        console.print()
        lost = [(what, f"{n:,}") for what, n in _dropped(playing)]
        console.print(summary(lost, "not delivered", "frames"))
    several = len(_exchanges(playing)) > 1
    books = [
        (qualified(each.exchange.name, s.symbol) if several else s.symbol, s.depth, book)
        for each in playing
        for s, book in each.books.items()
    ]
    if not books:
        return
    console.print()
    lines = []
    for symbol, depth, book in books:
        state = (f"{symbol} {depth}", book.state.value)
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
