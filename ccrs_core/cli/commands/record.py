"""``ccrs record``: raw frames on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from ccrs_core.cli import completion, form, interrupts, options
from ccrs_core.cli.commands.watch import batches
from ccrs_core.cli.output import note, progress
from ccrs_core.errors import ConnectFailed, UsageError
from ccrs_core.model.subscriptions import Channel, Interest
from ccrs_core.several.names import is_qualified, split

if TYPE_CHECKING:
    from ccrs_core.client.client import Client
    from ccrs_core.feeds.feed import Feed
    from ccrs_core.recordings.files import RecordingWriter
    from ccrs_core.recordings.format import Header
    from ccrs_core.recordings.parts import Rotation
    from ccrs_core.transport.base import Transport

_SHOW_SECONDS = 0.25


@click.command("record", short_help="Write raw frames to a file, in both directions.")
@click.argument("exchange", shell_complete=completion.exchanges)
@click.argument("symbols", nargs=-1, metavar="SYMBOL...", shell_complete=completion.symbols)
@click.option(
    "-o",
    "--output",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="The file; an existing recording is continued. With .gz or .zst behind it is compressed, "
    "and must not exist. Of several exchanges a folder, with a file of each.",
)
@click.option(
    "--compress",
    type=click.Choice(["gz", "zst"]),
    help="The files of a folder.",
)
@click.option(
    "--rotate-bytes",
    type=click.IntRange(min=1),
    help="Go on in another file after so many, before they are compressed.",
)
@click.option(
    "--rotate-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Go on in another file after so many.",
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
    compress: str | None,
    rotate_bytes: int | None,
    rotate_seconds: float | None,
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

    Of several exchanges each has a file of a folder: ccrs record ONE:BTC/USDT OTHER:BTC/USDT -o
    DIR. What is written is complete up to the last frame at any moment (compressed: to the last
    second), even if this is killed. Play it back with: ccrs replay EXCHANGE FILE. --count counts
    received frames, of each exchange.
    """
    from ccrs_core.recordings.parts import Rotation

    exchanges, wanted = options.addressed(exchange, symbols)
    rotation = None
    if rotate_bytes is not None or rotate_seconds is not None:
        rotation = Rotation(rotate_bytes, rotate_seconds)
    several = is_qualified(exchange)
    paths = _paths(path, exchanges, compress, several)
    jobs: list[_Job] = []
    for name in exchanges:
        own = [each for each in wanted if not several or split(each)[0] == name]
        interests = options.interests([split(e)[1] for e in own], channels, depth, interval)
        jobs.append(_Job(name, interests, paths[name], rotation))

    async def main() -> None:
        with progress(f"asking {', '.join(exchanges)} for their instruments") as spinner:
            shown = asyncio.ensure_future(_show(jobs, spinner)) if spinner is not None else None
            try:
                async with asyncio.TaskGroup() as group:
                    for job in jobs:
                        group.create_task(job.run(connections, seconds, count, where))
            finally:
                if shown is not None:
                    shown.cancel()

    try:
        for job in jobs:
            job.open()
        interrupts.run(main())
    finally:
        for job in jobs:
            job.end()


def _paths(
    path: Path, exchanges: Sequence[str], compress: str | None, several: bool
) -> dict[str, Path]:
    """Where each exchange is recorded to.

    :raises UsageError: for a folder in place of a file, or the other way round.
    """
    if not several:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name a file in it")
        if compress is not None:
            raise UsageError(f"a file is compressed by its name: -o {path}.{compress}")
        return {exchanges[0]: path}
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: recordings of several exchanges go into a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"can't make the folder {path}: {error.strerror or error}") from None
    suffix = "" if compress is None else f".{compress}"
    return {name: path / f"{name}.jsonl{suffix}" for name in exchanges}


@attrs.define(eq=False)
class _Job:
    """The recording of one exchange."""

    exchange: str
    interests: Sequence[Interest]
    path: Path
    rotation: Rotation | None
    writer: RecordingWriter | None = None
    client: Client | None = None
    began: float | None = None

    def open(self) -> None:
        """:raises UsageError: where its file can't be written."""
        from ccrs_core.recordings.files import RecordingWriter

        self.writer = RecordingWriter(self.path, rotation=self.rotation)

    async def run(
        self, connections: int, seconds: float | None, count: int | None, where: dict[str, Any]
    ) -> None:
        from ccrs_core.recordings.recorder import header_of
        from ccrs_core.recordings.transport import RecordingTransport

        writer = self.writer
        assert writer is not None

        def wrap(transport: Transport) -> Transport:
            return RecordingTransport(transport, writer)

        started_ns = time.time_ns()
        async with options.client(self.exchange, **where, wrap=wrap) as client:
            self.client = client
            found = await options.spelled_out(client, self.interests)
            header = await header_of(client, found, started_ns, connections)
            self.began = time.monotonic()
            await _record(client, found, writer, header, seconds, count)

    def end(self) -> None:
        """Close what is open, and say what has been written."""
        writer = self.writer
        if writer is None:
            return
        try:
            writer.close()
        finally:
            writer.discard()
            if writer.frames:
                size = f"{form.count(writer.frames)} frames, {form.file_size(writer.bytes)}"
                more = f" and {len(writer.paths) - 1} more" if len(writer.paths) > 1 else ""
                note(f"{size} in {writer.paths[0]}{more}")


async def _show(jobs: Sequence[_Job], spinner: Any) -> None:
    while True:
        await asyncio.sleep(_SHOW_SECONDS)
        begun = [job.began for job in jobs if job.began is not None]
        if not begun:
            continue
        writers = [job.writer for job in jobs if job.writer is not None]
        links = sum(len(job.client.status().connections) for job in jobs if job.client is not None)
        spinner.update(
            f"recording  {form.span(time.monotonic() - min(begun))}  "
            f"{form.count(sum(w.frames for w in writers))} frames  "
            f"{form.file_size(sum(w.bytes for w in writers))}  {links} connections"
        )


async def _record(
    client: Client,
    interests: Sequence[Interest],
    writer: RecordingWriter,
    header: Header,
    seconds: float | None,
    count: int | None,
) -> None:
    from ccrs_core.recordings.recorder import handing_on

    # Only what the transport writes down matters: of the feed the newest will do.
    feed = client.subscribe(*interests, connections=header.connections, policy="conflate")
    limit = asyncio.timeout(seconds)
    try:
        async with feed, limit:
            writer.begin(header)  # not before: what can't be subscribed to leaves no trace
            # Ended before the feed is: unsubscribing and closing are not the recording's business.
            with writer:
                async with handing_on(writer):
                    await _follow(feed, writer, count)
    except TimeoutError:
        if not limit.expired():
            raise
    if not writer.frames:
        links = client.status().connections
        trouble = next((link.last_error for link in links if link.last_error), "no answer")
        raise ConnectFailed(f"no frame was received: {trouble}")


async def _follow(feed: Feed, writer: RecordingWriter, count: int | None) -> None:
    async for _ in batches(feed):
        if writer.failure is not None or (count is not None and writer.frames >= count):
            return
