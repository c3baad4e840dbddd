"""``ccrs record``: raw frames on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.commands.watch import batches
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import ConnectFailed
from ccrs_core.model.subscriptions import Channel, Interest

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.feeds.feed import Feed
    from ccrs_core.recordings.files import RecordingWriter
    from ccrs_core.recordings.format import Header
    from ccrs_core.transport.base import Transport

_SHOW_SECONDS = 0.25


@click.command("record", short_help="Write raw frames to a file, in both directions.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument(
    "symbols",
    nargs=-1,
    required=True,
    metavar="SYMBOL...",
    shell_complete=completion.symbols,
)
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; an existing recording is continued.",
)
@click.option(
    "--channel",
    "channels",
    type=options.ChannelType(),
    multiple=True,
    default=(Channel.TOP_OF_BOOK.value.replace("_", "-"),),
    show_default=True,
    help="What to record; may be repeated.",
)
@options.streams
@options.bounds
@options.target
def command(
    exchange: str,
    symbols: Sequence[str],
    path: Path,
    channels: Sequence[Channel],
    connections: int,
    depth: int | None,
    interval: str,
    seconds: float | None,
    count: int | None,
    **where: Any,
) -> None:
    """Write the raw frames of SYMBOLs of EXCHANGE to a file, in both directions, until Ctrl-C.

    A SYMBOL may be a pattern, such as '*/USDT:USDT' (in quotes): all that are listed at the
    beginning.

    The file is complete up to the last frame at any moment, even if this is killed. Play it back
    with: ccrs replay EXCHANGE FILE. --count counts received frames.
    """
    from ccrs_core.recordings.files import RecordingWriter
    from ccrs_core.recordings.recorder import header_of
    from ccrs_core.recordings.transport import RecordingTransport

    interests = options.interests(symbols, channels, depth, interval)
    new = not path.exists()
    writer = RecordingWriter(path)

    def wrap(transport: Transport) -> Transport:
        return RecordingTransport(transport, writer)

    async def main() -> None:
        started_ns = time.time_ns()
        async with options.client(exchange, **where, wrap=wrap) as client:
            with progress(f"asking {exchange} for its instruments"):
                found = await options.spelled_out(client, interests)
                header = await header_of(client, found, started_ns, connections)
            await _record(client, found, writer, header, seconds, count)

    try:
        interrupts.run(main())
    finally:
        writer.close()
        if new and not writer.bytes and path.is_file():
            path.unlink()
        if writer.frames:
            note(f"{form.count(writer.frames)} frames, {form.file_size(writer.bytes)} in {path}")


async def _record(
    client: Client,
    interests: Sequence[Interest],
    writer: RecordingWriter,
    header: Header,
    seconds: float | None,
    count: int | None,
) -> None:
    # Only what the transport writes down matters: of the feed the newest will do.
    feed = client.subscribe(*interests, connections=header.connections, policy="conflate")
    limit = asyncio.timeout(seconds)
    try:
        async with feed, limit:
            writer.begin(header)  # not before: what can't be subscribed to leaves no trace
            # Ended before the feed is: unsubscribing and closing are not the recording's business.
            with writer, progress("recording") as spinner:
                await _follow(client, feed, writer, count, spinner)
    except TimeoutError:
        if not limit.expired():
            raise
    if not writer.frames:
        links = client.status().connections
        trouble = next((link.last_error for link in links if link.last_error), "no answer")
        raise ConnectFailed(f"no frame was received: {trouble}")


async def _follow(
    client: Client, feed: Feed, writer: RecordingWriter, count: int | None, spinner: Any
) -> None:
    started = shown = time.monotonic()
    async for _ in batches(feed):
        now = time.monotonic()
        if spinner is not None and now - shown > _SHOW_SECONDS:
            shown = now
            spinner.update(
                f"recording  {form.span(now - started)}  {form.count(writer.frames)} frames  "
                f"{form.file_size(writer.bytes)}  {len(client.status().connections)} connections"
            )
        if writer.failure is not None or (count is not None and writer.frames >= count):
            return
