"""Recording as users do it: a client of its own, whose frames go to disk while its feed is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ccrs_core.client.client import Client, connect
from ccrs_core.contract.exchange import Exchange, resolve
from ccrs_core.errors import RecordingFailed, UsageError
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import Policy, PolicyName
from ccrs_core.model.subscriptions import Interest
from ccrs_core.model.symbol_patterns import is_pattern
from ccrs_core.recordings.compressed import ASKED
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.parts import Rotation
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.base import SYSTEM_CLOCK, Clock, Transport
from ccrs_core.transport.choice import make_transport
from ccrs_core.transport.options import Options


class Recording:
    """A recording in progress; made by :func:`record`."""

    def __init__(self, client: Client, feed: Feed, writer: RecordingWriter) -> None:
        self.client = client
        """The client that is recorded."""
        self.feed = feed
        """What is recorded, as it comes; it needn't be read."""
        self._writer = writer

    @property
    def paths(self) -> list[Path]:
        """The files, in the order in which they were begun."""
        return list(self._writer.paths)

    @property
    def frames(self) -> int:
        """Frames received and written."""
        return self._writer.frames

    @property
    def bytes(self) -> int:
        """Bytes written, before they are compressed."""
        return self._writer.bytes

    @property
    def failure(self) -> RecordingFailed | None:
        """Why recording ended early, the disk being full, say; None where it goes on."""
        return self._writer.failure


def record(
    exchange: str | Exchange,
    *interests: Interest,
    to: str | Path,
    connections: int = 1,
    rotate_bytes: int | None = None,
    rotate_seconds: float | None = None,
    policy: Policy | PolicyName = Policy.CONFLATE,
    **options: Any,
) -> AbstractAsyncContextManager[Recording]:
    """Write all frames of a feed to disk, both ways, while the ``async with`` block runs.

    What is written is what was said on the wire, for :func:`replay` to play back; a kill loses at
    most the last record (compressed: the last second). Secrets are never written. Each
    recording is of one exchange; several run side by side.

    :param to: the file, such as ``day.jsonl``; an existing one is continued. With ``.gz`` or
        ``.zst`` behind it is compressed, and must not exist.
    :param rotate_bytes: go on in another file after so many bytes (before they are compressed),
    :param rotate_seconds: or so many seconds. Files are called ``day.0001.jsonl`` and so on, behind
        those that exist.
    :param policy: of the feed, which you may read or not.
    :param options: what :func:`~ccrs_core.connect` takes: ``environment``, ``options`` and others.
    :raises UsageError: where the arguments can't work, or the file can't be written, or somebody
        else writes to it.
    :raises ExtraNotInstalled: for ``.zst``, without ``ccrs-core[zstd]``.
    :raises RecordingFailed: at the end, where the file couldn't be written any more.
    """
    if not interests:
        raise UsageError("say what to record, such as trades('BTC/USDT')")
    patterns = [each.symbol for each in interests if is_pattern(each.symbol)]
    if patterns:
        raise UsageError(
            f"a recording is of symbols, not of patterns such as {patterns[0]}: name them "
            "(client.get_instruments lists them)"
        )
    rotation: Rotation | None = Rotation(rotate_bytes, rotate_seconds)
    if rotate_bytes is None and rotate_seconds is None:
        rotation = None
    return _recording(exchange, interests, to, connections, rotation, policy, options)


@asynccontextmanager
async def _recording(
    exchange: str | Exchange,
    interests: tuple[Interest, ...],
    to: str | Path,
    connections: int,
    rotation: Rotation | None,
    policy: Policy | PolicyName,
    options: dict[str, Any],
) -> AsyncIterator[Recording]:
    clock: Clock = options.get("clock") or SYSTEM_CLOCK
    writer = RecordingWriter(
        to,
        credentials=options.get("credentials"),
        rotation=rotation,
        clock=clock,
    )
    inner: Transport | str | None = options.pop("transport", None)
    try:
        if inner is None or isinstance(inner, str):
            settings: Options = options.get("options") or Options()
            inner = make_transport(inner, settings.transport)
        outer = RecordingTransport(inner, writer, clock=clock)
        started_ns = clock.time_ns()
        async with connect(exchange, transport=outer, **options) as client:
            header = await header_of(client, interests, started_ns, connections)
            feed = client.subscribe(*interests, connections=connections, policy=policy)
            async with feed:
                writer.begin(header)  # not before: what can't be subscribed to leaves no trace
                # Ended before the feed is: unsubscribing is not the recording's business.
                with writer:
                    async with handing_on(writer):
                        yield Recording(client, feed, writer)
    finally:
        writer.discard()


@asynccontextmanager
async def handing_on(writer: RecordingWriter) -> AsyncIterator[None]:
    """See that what came is in the file a second later, though nothing follows it."""

    async def again_and_again() -> None:
        while True:
            await asyncio.sleep(ASKED)
            writer.flush()

    task = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        task.cancel()


async def header_of(
    client: Client, interests: Sequence[Interest], started_ns: int, connections: int
) -> Header:
    """What a recording of a client says first.

    :raises CcrsError: as :meth:`Client.instrument` does.
    """
    exchange = client.exchange
    found = [
        resolve(
            exchange,
            i.channel,
            await client.instrument(i.symbol),
            i.depth,
            i.interval,
            i.exact,
            i.rpi,
        )
        for i in interests
    ]
    versions = {info.name: info.version for info in plugins.installed()}
    elsewhere = {name for way in client.options.ways for name in way.addresses}
    return Header(
        ns=started_ns,
        exchange=exchange.name,
        exchange_version=versions.get(exchange.name, "unknown"),
        core_version=version("ccrs-core"),
        environment=client.environment,
        subscriptions=tuple(found),
        connections=connections,
        # Of what is elsewhere on some way, a replay takes any host for the right one.
        addresses={n: url for n, url in client.addresses.items() if n not in elsewhere},
    )
