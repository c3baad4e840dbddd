"""``ccrs watch``: market data, live."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from ccrs_core.cli import completion, interrupts, options
from ccrs_core.cli.live import watch_loop
from ccrs_core.cli.live.sink import Sink, Statuses
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import ConnectFailed, SubscriptionRefused, UsageError
from ccrs_core.model.events import AnyEvent
from ccrs_core.model.subscriptions import Channel
from ccrs_core.several.names import is_qualified, split

if TYPE_CHECKING:
    from ccrs_core.cli.live.books import Books
    from ccrs_core.cli.live.several import SeveralBooks
    from ccrs_core.cli.output import Output
    from ccrs_core.client.status import ClientStatus
    from ccrs_core.feeds.feed import Feed
    from ccrs_core.model.orderbook import OrderBook

_UNEASY_SECONDS = 5.0
_PLAIN_SECONDS = 1.0
_LAST_WORDS_SECONDS = 1.0
"""For a reader that has stopped to take what is said at the end."""


@click.command("watch", short_help="Market data, live: a table for people, or JSON lines.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("symbols", nargs=-1, metavar="SYMBOL...", shell_complete=completion.symbols)
@click.option(
    "--channel",
    type=options.ChannelType(),
    default=Channel.TOP_OF_BOOK.value.replace("_", "-"),
    show_default=True,
    help="What to watch.",
)
@options.streams
@click.option(
    "--stale-after",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Call stale what says nothing for so long.",
)
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Levels of the book to show, per side.",
)
@options.bounds
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@click.option("--status", is_flag=True, help="With --json, a last object: counters and latencies.")
@watch_loop.option
@options.target
def command(
    exchange: str,
    symbols: Sequence[str],
    channel: Channel,
    connections: int,
    depth: int | None,
    interval: str,
    stale_after: float | None,
    levels: int,
    seconds: float | None,
    count: int | None,
    as_json: bool,
    status: bool,
    loop: str,
    busy: bool,
    **where: Any,
) -> None:
    """Market data of one or more SYMBOLs of EXCHANGE, live, until Ctrl-C.

    A SYMBOL may be a pattern, such as '*/USDT:USDT' (in quotes): all that are listed, and those
    that will be.

    For several exchanges at once, write each symbol with its exchange in front, and no EXCHANGE:
    ccrs watch ONE:BTC/USDT OTHER:BTC/USDT. Best prices are then compared, and who moves first.

    On a terminal a table, elsewhere a line per second; with --json one object per event. --count
    counts market data, not notices.

    "p50 ms" and "p99 ms" are percentiles of the time from the exchange's own time of an event to
    the arrival of its frame, in milliseconds; "socket to here" is the time from that arrival to the
    taking of the event out of the feed.
    """
    if status and not as_json:
        raise UsageError("--status goes with --json; the table has it anyway")
    exchanges, wanted = options.addressed(exchange, symbols)
    loop_factory = watch_loop.factory(loop, busy=busy)
    interests = options.interests(wanted, [channel], depth, interval)
    how: dict[str, Any] = {"connections": connections, "stale_after": stale_after}
    several = is_qualified(exchange)
    title = f"{', '.join(exchanges)} · {options.place(exchanges[0], **where)} · {channel.value}"
    sink: Sink
    if as_json:
        sink = JsonLines(levels, with_status=status)
    elif several:
        from ccrs_core.cli.live import watch_several

        sink = watch_several.sink(title, levels)
    elif sys.stdout.isatty():
        sink = Screen(title, levels)
    else:
        sink = PlainLines()

    async def one() -> None:
        client = options.client(exchange, **where)
        async with client:
            with progress(f"asking {exchange} for its instruments"):
                # People are told at once; entering a feed would wait.
                await options.spelled_out(client, interests)
            async with client.subscribe(*interests, **how) as feed:
                await consume(lambda: [client.status()], feed, sink, seconds=seconds, count=count)

    async def many() -> None:
        clients = options.clients(exchanges, **where)
        async with clients, contextlib.AsyncExitStack() as opened:
            with progress(f"asking {', '.join(exchanges)} for their instruments"):
                for each in interests:
                    name, symbol = split(each.symbol)
                    own = attrs.evolve(each, symbol=symbol)
                    await options.spelled_out(clients[name or ""], [own])
                feed = clients.subscribe(*interests, **how)
                await opened.enter_async_context(feed)
            await consume(
                lambda: list(clients.status().values()), feed, sink, seconds=seconds, count=count
            )

    interrupts.run(many() if several else one(), loop_factory)


async def consume(
    statuses: Statuses, feed: Feed, sink: Sink, *, seconds: float | None, count: int | None
) -> None:
    """Show a feed's events until there were enough, or the time is over.

    :raises SubscriptionRefused: where nothing (more) is subscribed.
    :raises ConnectFailed: where the time passed without any connection.
    """
    await sink.start(statuses, feed)
    seen = 0
    limit = asyncio.timeout(seconds)
    try:
        async with limit, asyncio.TaskGroup() as group:
            ticker = group.create_task(_tick(statuses, sink))
            try:
                async for waiting in batches(feed, statuses):
                    batch = waiting if count is None else _first(waiting, count - seen)
                    seen += sum(event.channel is not None for event in batch)
                    await sink.take(batch)
                    if seen == count:
                        break
            finally:
                ticker.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await sink.finish()
    if not seen:
        _explain(statuses(), seconds)


def _first(batch: list[AnyEvent], wanted: int) -> list[AnyEvent]:
    """The part of a batch up to so many market data."""
    for place, event in enumerate(batch, start=1):
        wanted -= event.channel is not None
        if wanted == 0:
            return batch[:place]
    return batch


async def batches(feed: Feed, statuses: Statuses | None = None) -> AsyncIterator[list[AnyEvent]]:
    """A feed's batches; subscriptions that are refused are told of, and the others go on."""
    left = len(feed.subscribed)
    while True:
        try:
            async for batch in feed.batches():
                yield batch
        except SubscriptionRefused as error:
            left -= 1
            if left == 0:
                raise
            note(f"Error: {_whose(error, statuses)}{error}")
        else:
            return


def _whose(error: SubscriptionRefused, statuses: Statuses | None) -> str:
    """The exchange that refused, where there are several."""
    known = [] if statuses is None else statuses()
    for status in known:
        if len(known) > 1 and any(s.refusal == str(error) for s in status.subscriptions):
            return f"{status.exchange}: "
    return ""


async def _tick(statuses: Statuses, sink: Sink) -> None:
    pause = sink.pause
    waited = 0.0
    step = pause or 1.0
    while True:
        await asyncio.sleep(step)
        waited += step
        if pause is not None:
            await sink.idle()
        elif _UNEASY_SECONDS <= waited < _UNEASY_SECONDS + step:
            for status in (present := statuses()):
                links = status.connections
                if links and not any(link.connects for link in links):
                    whom = f" to {status.exchange}" if len(present) > 1 else ""
                    note(f"no connection{whom} yet, trying on: {_trouble([status])}")


def _trouble(statuses: Sequence[ClientStatus]) -> str:
    links = [link for status in statuses for link in status.connections]
    return next((link.last_error for link in links if link.last_error), "no answer")


def _explain(statuses: Sequence[ClientStatus], seconds: float | None) -> None:
    links = [link for status in statuses for link in status.connections]
    if links and not any(link.connects for link in links):
        raise ConnectFailed(f"no connection in {seconds:g} s: {_trouble(statuses)}")
    note(f"nothing was received in {seconds:g} s" if seconds else "nothing was received")


def books_of(feed: Feed) -> Books | SeveralBooks:
    """The books of a feed, of one exchange or of several."""
    from ccrs_core.cli.live.books import Books
    from ccrs_core.cli.live.several import SeveralBooks
    from ccrs_core.several.feed import MergedFeed

    return SeveralBooks(feed) if isinstance(feed, MergedFeed) else Books(feed.book)


class JsonLines:
    """One JSON object per event on standard output, handed over batch by batch."""

    pause: float | None = None

    def __init__(self, levels: int, *, with_status: bool = False) -> None:
        self._levels = levels
        self._with_status = with_status
        self._output: Output
        self._books: Books | SeveralBooks
        self._whole = True

    async def start(self, statuses: Statuses, feed: Feed) -> None:
        from ccrs_core.cli.output import Output

        self._statuses = statuses
        self._output = Output()
        self._books = books_of(feed)

    async def take(self, batch: Sequence[AnyEvent]) -> None:
        lines = encoded(self._books.follow(batch), self._levels)
        if lines:
            self._whole = False
            await self._output.write(b"".join(lines))
            self._whole = True

    async def idle(self) -> None:
        pass

    async def finish(self) -> None:
        if self._with_status and self._whole:  # not after half a line
            await self._output.write(b"".join(map(status_line, self._statuses())))


def encoded(followed: Any, levels: int) -> list[bytes]:
    """Events, books with their state after the event, as lines of JSON."""
    from ccrs_core.model.serialize import book_to_dict, to_json

    lines: list[bytes] = []
    for event, book in followed:
        content = event if book is None else book_to_dict(book, event, levels)
        lines += (to_json(content), b"\n")
    return lines


def status_line(status: ClientStatus) -> bytes:
    """A client's status as a line of JSON, told from events by its type."""
    import attrs

    from ccrs_core.model.serialize import to_json

    return to_json({"type": "status", **attrs.asdict(status)}) + b"\n"


class Screen:
    """The live table."""

    def __init__(self, title: str, levels: int) -> None:
        self._title = title
        self._levels = levels

    @property
    def pause(self) -> float | None:
        from ccrs_core.cli.live.view import REDRAWS_PER_SECOND

        return 1 / REDRAWS_PER_SECOND

    async def start(self, statuses: Statuses, feed: Feed) -> None:
        from ccrs_core.cli.live.books import Books
        from ccrs_core.cli.live.figures import Board
        from ccrs_core.cli.live.view import LiveView

        self._board = Board()
        for interest in feed.subscribed:
            self._board.expect(interest.symbol, interest.channel)
        self._books = Books(feed.book)
        self._view = LiveView(
            self._board, lambda: statuses()[0], title=self._title, levels=self._levels
        ).__enter__()
        self._view.redraw()

    async def take(self, batch: Sequence[AnyEvent]) -> None:
        self._board.take(list(self._books.follow(batch)))

    async def idle(self) -> None:
        self._view.redraw()

    async def finish(self) -> None:
        self._view.redraw()
        self._view.__exit__(None, None, None)


class PlainLines:
    """Text without control codes: each symbol once a second, notices as they come."""

    pause: float | None = _PLAIN_SECONDS

    async def start(self, statuses: Statuses, feed: Feed) -> None:
        from ccrs_core.cli.live.books import Books
        from ccrs_core.cli.live.figures import Board
        from ccrs_core.cli.output import Output

        self._statuses = statuses
        self._board = Board()
        self._told = 0
        self._output = Output()
        self._books = Books(feed.book)

    async def take(self, batch: Sequence[AnyEvent]) -> None:
        from ccrs_core.cli.live.notices import describe

        followed: list[tuple[AnyEvent, OrderBook | None]] = list(self._books.follow(batch))
        self._board.take(followed)
        said = [describe(event) for event in batch if event.channel is None]
        if said:
            await self._print(said)

    async def idle(self) -> None:
        from ccrs_core.cli.live import text as plain

        await self._print(list(plain.lines(self._board)))
        self._told = self._board.events

    async def _print(self, lines: list[str]) -> None:
        await self._output.write("".join(f"{line}\n" for line in lines).encode())

    async def finish(self) -> None:
        from ccrs_core.cli.live import watch_latency

        if self._told != self._board.events:
            await self.idle()  # what came since the last second
        found = watch_latency.latencies(self._statuses()[0])
        await self._print([watch_latency.sentence(latency) for latency in found])
