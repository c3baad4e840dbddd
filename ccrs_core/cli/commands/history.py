"""``ccrs history``: histories into a file."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import UsageError
from ccrs_core.model.histories import Series
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.times import shown, stretch
from ccrs_core.several.names import qualified, split

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.client.history import History
    from ccrs_core.frames.staged import StagedWriter

_KEEP_ROWS = 20_000
_KEEP_SECONDS = 5.0
"""So often what has come is kept for good."""


class SeriesType(click.ParamType[Series]):
    """What a history is of, by name; underscores will do as well."""

    name = "channel"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Series:
        from ccrs_core.client.history import series_of

        try:
            return series_of(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[" + "|".join(each.value.replace("_", "-") for each in Series) + "]"


@click.command("history", short_help="Fetch histories into a file: Parquet, CSV or JSON lines.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("symbols", nargs=-1, metavar="SYMBOL...", shell_complete=completion.symbols)
@click.option(
    "--channel",
    "series",
    type=SeriesType(),
    default=Series.CANDLES.value,
    show_default=True,
    help="What to fetch.",
)
@click.option(
    "--interval",
    type=click.Choice(list(INTERVALS)),
    help="Of candles (1m unless told) and open interest (1h).",
)
@click.option(
    "--from", "start", type=options.TimeType(), required=True, help="2026-01-01[T12:30], UTC."
)
@click.option("--to", "end", type=options.TimeType(), help="The end, which isn't included; now.")
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file: .parquet, .csv or .jsonl.",
)
@click.option(
    "--decimals",
    type=click.Choice(["exact", "float", "text"]),
    default="exact",
    show_default=True,
    help="What numbers become in columns.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="The part of an exchange's request budget to use.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@options.target
def command(
    exchange: str,
    symbols: Sequence[str],
    series: Series,
    interval: str | None,
    start: int,
    end: int | None,
    path: Path,
    decimals: str,
    share: float,
    force: bool,
    **where: Any,
) -> None:
    """Fetch histories of SYMBOLS of EXCHANGE, or of EXCHANGE:SYMBOL..., into one file.

    It can be broken off at any time, by Ctrl-C, kill or a line that is down: the same command goes
    on where it was. Until all is there, what has come is in a folder beside the file, whose name
    ends in .parts.
    """
    # Arrow's own memory keeps what is freed, a fifth of all that a download takes.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from ccrs_core.frames.staged import STAGE, StagedWriter

    exchanges, wanted = options.addressed(exchange, symbols)
    names = [split(each) for each in wanted]
    targets = [(name or exchanges[0], symbol) for name, symbol in names]
    stretch(start, end, None)
    going_on = path.with_name(path.name + STAGE).exists()
    if path.exists() and not force and not going_on:
        raise UsageError(f"{path} is there already: choose another name, or add --force")
    question = {
        "symbols": [qualified(*each) for each in targets],
        "place": " ".join(dict.fromkeys(options.place(each, **where) for each in exchanges)),
        "channel": series.value,
        "interval": interval,
        "from": shown(start),
        "to": None if end is None else shown(end),
    }
    with StagedWriter(
        path,
        _KINDS[series],
        question=question,
        decimals=decimals,  # type: ignore[arg-type]
    ) as writer:
        download = _Download(writer, targets, series, interval, (start, end), share)
        if writer.rows:
            note(f"going on behind {form.plural(writer.rows, 'row')}")
        try:
            interrupts.run(download.run(exchanges, where))
        except BaseException:
            if writer.rows:
                note(f"kept {form.plural(writer.rows, 'row')}; the same command goes on from there")
            raise
        rows = writer.rows
        writer.finish()
    note(f"{form.plural(rows, 'row')} in {path}, {form.file_size(path.stat().st_size)}")
    if not rows:
        note("nothing is told of that stretch (an emulator has no trades of before its start)")


_KINDS = {
    Series.CANDLES: "candle",
    Series.MARK_CANDLES: "candle",
    Series.INDEX_CANDLES: "candle",
    Series.TRADES: "trade",
    Series.FUNDING: "funding",
    Series.OPEN_INTEREST: "open_interest",
}
"""The type of events that each kind of history is made of."""


class _Download:
    """One history after another, into one file."""

    def __init__(
        self,
        writer: StagedWriter,
        targets: Sequence[tuple[str, str]],
        series: Series,
        interval: str | None,
        span: tuple[int, int | None],
        share: float,
    ) -> None:
        self._writer = writer
        self._targets = targets
        self._series = series
        self._interval = interval
        self._start, self._end = span
        self._share = share
        state = writer.state or {"done": 0, "resume": None, "end": self._end or time.time_ns()}
        self._done: int = state["done"]
        """Histories that are whole."""
        self._resume: str | None = state["resume"]
        self._now: int = state["end"]
        """Where all end that end now."""
        self._uncommitted = 0
        self._committed = time.monotonic()

    async def run(self, exchanges: Sequence[str], where: dict[str, Any]) -> None:
        """Fetch what isn't there yet."""
        async with contextlib.AsyncExitStack() as opened:
            clients = {}
            if where["base_url"] is not None and len(exchanges) > 1:
                raise UsageError("--base-url is the address of one exchange")
            for name in exchanges:
                clients[name] = await opened.enter_async_context(options.client(name, **where))
            with progress(f"asking {', '.join(exchanges)} for instruments"):
                histories = [await self._history(clients, *target) for target in self._targets]
            try:
                with _bars(len(self._targets)) as bars:
                    for number in range(self._done, len(histories)):
                        await self._fetch(histories[number], number, bars)
            finally:
                # Also where it is broken off.
                self._keep()

    async def _history(
        self, clients: dict[str, Client], exchange: str, symbol: str
    ) -> tuple[Client, str]:
        client = clients[exchange]
        self._begun(client, symbol, None)  # tells what isn't offered
        await client.instrument(symbol)
        return client, symbol

    def _begun(self, client: Client, symbol: str, resume: str | None) -> History:
        return client.history(
            symbol,
            self._series,
            interval=self._interval,
            start=self._start,
            end=self._now,
            resume=resume,
            share=self._share,
        )

    async def _fetch(self, of: tuple[Client, str], number: int, bars: _Bars) -> None:
        client, symbol = of
        history = self._begun(client, symbol, self._resume)
        bars.begin(qualified(client.exchange.name, symbol), number)
        async for page in history:
            self._writer.write(page.rows)
            self._resume = page.resume
            self._uncommitted += len(page.rows)
            bars.show(page.progress, self._writer.rows)
            passed = time.monotonic() - self._committed
            if self._uncommitted >= _KEEP_ROWS or passed >= _KEEP_SECONDS:
                self._keep()
        self._done, self._resume = number + 1, None

    def _keep(self) -> None:
        """Keep what has come, and from where on the next run goes on."""
        self._writer.commit({"done": self._done, "resume": self._resume, "end": self._now})
        self._uncommitted, self._committed = 0, time.monotonic()


class _Bars:
    """How far it is, on a terminal."""

    def __init__(self, bars: Any, count: int) -> None:
        self._bars = bars
        self._count = count
        self._task: Any = None

    def begin(self, name: str, number: int) -> None:
        if self._bars is not None:
            if self._task is not None:
                self._bars.remove_task(self._task)
            title = name if self._count == 1 else f"{name} ({number + 1} of {self._count})"
            self._task = self._bars.add_task(title, total=1.0, rows="")

    def show(self, share: float, rows: int) -> None:
        if self._bars is not None:
            self._bars.update(self._task, completed=share, rows=form.plural(rows, "row"))


@contextlib.contextmanager
def _bars(count: int) -> Iterator[_Bars]:
    if not sys.stderr.isatty():
        yield _Bars(None, count)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("[dim]{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars, count)
