"""A replay gives what the live run gave where we gave a connection up, and over unlike parts."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import (
    AnyEvent,
    Channel,
    Codec,
    Gap,
    Interest,
    Message,
    Options,
    Outbound,
    Patience,
    Reason,
    Resumed,
    Stale,
    Trade,
    Unchanged,
    book,
    connect,
    top_of_book,
    trades,
)
from ccrs_core.contract.compression import Compression
from ccrs_core.contract.exchange import Route, resolve
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import Header
from ccrs_core.recordings.replay import Replay, events_of
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyCodec, ToyServer

STEP = 0.25
TOP, BOOK, TRADES = top_of_book("BTC/USD"), book("BTC/USD"), trades("BTC/USD")
ALL = (TOP, BOOK, TRADES)


def recorded(
    path: Path,
    server: ToyServer,
    script: Callable[[ToyServer, int], object],
    steps: int,
    interests: tuple[Interest, ...] = ALL,
    connections: int = 1,
    *,
    exchange: Toy | None = None,
    options: Options | None = None,
    version: str = "1",
    stream: str = "wss://ws.toy",
    start_ns: int = 1_767_225_600 * 10**9,
) -> list[AnyEvent]:
    """Record a session (append it to what is there); what was delivered live."""
    random.seed(1)  # back-off draws random numbers
    live: list[AnyEvent] = []
    exchange = Toy() if exchange is None else exchange

    async def main() -> None:
        clock = VirtualClock(start_ns)
        with RecordingWriter(path) as writer:
            transport = RecordingTransport(MemoryTransport(server), writer, clock=clock)
            async with connect(
                exchange,
                transport=transport,
                clock=clock,
                options=options,
                addresses={"stream": stream},
            ) as client:
                found = [
                    resolve(exchange, i.channel, await client.instrument(i.symbol), i.depth, None)
                    for i in interests
                ]
                writer.begin(
                    Header(
                        ns=clock.time_ns(),
                        exchange="toy",
                        exchange_version=version,
                        core_version="1",
                        environment="mainnet",
                        subscriptions=tuple(found),
                        connections=connections,
                        addresses=client.addresses,
                    )
                )
                feed = client.subscribe(*interests, connections=connections, callback=live.append)
                async with feed:
                    await feed.ready()
                    for step in range(steps):
                        script(server, step)
                        await asyncio.sleep(STEP)
                    server.repeat_tops()
                    await asyncio.sleep(5.0)
                    writer.close()

    run(main())
    return live


def going_on(server: ToyServer, step: int) -> None:
    """The market of all three."""
    server.tick(("top.BTC", "book.BTC", "trades.BTC")[step % 3])


# --- what we gave up ------------------------------------------------------------------------------


def half_open(server: ToyServer, step: int) -> None:
    if step == 40:
        server.dead.add(server.open[0])


def unreadable(server: ToyServer, step: int) -> None:
    if step in (40, 43, 46):
        server.open[0].push("gibberish")


def unreadable_for_ever(server: ToyServer, step: int) -> None:
    if step > 40 and step % 7 == 0 and server.open:
        server.open[0].push('{"t":"trades.BTC","ids":["BTC-1')


def silent(server: ToyServer, step: int) -> None:
    if step == 40:
        server.stalled.add((server.open[0], "top.BTC"))


def silent_and_back(server: ToyServer, step: int) -> None:
    silent(server, step)
    if step == 90:
        server.stalled.clear()


def all_half_open(server: ToyServer, step: int) -> None:
    if step == 40:
        server.dead.update(server.open)


def half_open_then_lost(server: ToyServer, step: int) -> None:
    half_open(server, step)
    if step == 80:
        server.open[-1].drop()


def half_open_while_replaced(server: ToyServer, step: int) -> None:
    if step == 40:
        server.open[-1].push('{"bye":"maintenance"}')
    if step == 41:
        server.dead.add(server.open[0])


FAULTS = [
    half_open,
    unreadable,
    unreadable_for_ever,
    silent,
    silent_and_back,
    all_half_open,
    half_open_then_lost,
    half_open_while_replaced,
]


def _lasting(channel: Channel, events: Sequence[AnyEvent], *, notices: bool) -> list[AnyEvent]:
    """What is told of a channel: its data and gaps, and, where no clock of ours has a say in
    them, the other notices. Where a timer and a frame fall into one instant, a gap may be told for
    either's reason."""
    kept: list[AnyEvent] = []
    for event in events:
        if channel not in (event.channel, getattr(event, "about", None)):
            continue
        if isinstance(event, Gap):
            kept.append(attrs.evolve(event, reason=Reason.SEQUENCE))
        elif notices or not isinstance(event, Stale | Resumed):
            kept.append(event)
    return kept


@pytest.mark.parametrize("connections", [1, 2, 3])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_where_we_gave_a_connection_up_a_replay_has_the_data_and_the_gaps_of_the_live_run(
    fault: Callable[[ToyServer, int], None], connections: int, tmp_path: Path
) -> None:
    server, path = ToyServer(), tmp_path / "r.jsonl"

    def script(server: ToyServer, step: int) -> None:
        going_on(server, step)
        fault(server, step)

    live = recorded(path, server, script, 260, connections=connections)
    assert any(record.kind == "close" for record in read(path)) == (fault is not silent_and_back)
    played = list(events_of(Toy(), path))
    plain = "silent" not in fault.__name__
    for channel in (Channel.TOP_OF_BOOK, Channel.BOOK, Channel.TRADES):
        expected = _lasting(channel, live, notices=plain)
        assert _lasting(channel, played, notices=plain) == expected
    if plain and connections == 1:
        reasons = [[e.reason for e in events if isinstance(e, Gap)] for events in (live, played)]
        assert reasons[0] == reasons[1]
    if connections == 1 and fault is not half_open_while_replaced:
        assert any(isinstance(event, Gap) for event in live)


@pytest.mark.parametrize("connections", [1, 2])
def test_where_a_quiet_stream_was_renewed_nothing_is_missing_in_the_replay_either(
    connections: int, tmp_path: Path
) -> None:
    server, path = ToyServer(), tmp_path / "r.jsonl"
    options = Options(patience=Patience(unproved=30.0))

    def script(server: ToyServer, step: int) -> None:
        if step % 8 == 0:
            server.repeat_tops()
        if step in (0, 1, 300, 301):
            server.tick("trades.BTC")

    live = recorded(path, server, script, 330, (TOP, TRADES), connections, options=options)
    assert sum(record.kind == "open" for record in read(path)) > connections
    played = list(events_of(Toy(), path))
    for channel in (Channel.TOP_OF_BOOK, Channel.TRADES):
        assert _lasting(channel, played, notices=True) == _lasting(channel, live, notices=True)
    assert len([event for event in played if isinstance(event, Trade)]) == 4


# --- parts of unlike shape ------------------------------------------------------------------------


class DeflatedCodec(ToyCodec):
    compression: ClassVar[Compression | None] = Compression.DEFLATE


class Mixed(Toy):
    """Trades are compressed, on a route of their own."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        if subscription.channel is Channel.TRADES:
            return attrs.evolve(route, url="{stream}/packed/v1")
        return route

    def codec(self, route: Route) -> Codec:
        return DeflatedCodec() if "packed" in route.url else ToyCodec()


class MixedServer(ToyServer):
    def opened(self, peer: Peer) -> None:
        super().opened(peer)
        if "packed" not in peer.url:
            return
        push = peer.push

        def packed(*frames: bytes | str) -> None:
            push(*(_deflated(f.encode() if isinstance(f, str) else f) for f in frames))

        peer.push = packed  # type: ignore[method-assign]

    def received(self, peer: Peer, frame: Outbound) -> None:
        super().received(peer, frame)


def _deflated(frame: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(frame) + packer.flush()


PARTS: list[tuple[tuple[Interest, ...], int, str]] = [
    ((TOP,), 1, "1"),
    ((TRADES,), 2, "2"),
    ((BOOK, TRADES), 1, "2"),
    ((TOP, BOOK, TRADES), 3, "3"),
    ((TRADES,), 1, "3"),
    ((TOP, TRADES), 2, "4"),
]


@pytest.mark.parametrize("ends", ["on purpose", "torn"])
@pytest.mark.parametrize("exchange", [Toy, Mixed])
def test_parts_of_other_versions_subscriptions_and_connections_play_one_after_the_other(
    exchange: type[Toy], ends: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    lives: list[list[AnyEvent]] = []
    server = MixedServer() if exchange is Mixed else ToyServer()
    start_ns = 1_767_225_600 * 10**9
    for place, (interests, connections, version) in enumerate(PARTS):
        server.peers.clear()
        server.topics.clear()
        lives.append(
            recorded(
                path,
                server,
                going_on,
                30,
                interests,
                connections,
                exchange=exchange(),
                version=version,
                stream=f"wss://host{place}.toy",
                start_ns=start_ns + place * 3600 * 10**9,
            )
        )
        if ends == "torn":
            with path.open("ab") as file:
                file.write(b'{"kind":"in","ns":17672')
        for topic in ("top.BTC", "book.BTC", "trades.BTC"):
            server.tick(topic)  # what nobody hears
    playing = Replay(exchange(), path)
    played: list[list[AnyEvent]] = [[] for _ in PARTS]
    for step in playing.steps():
        played[(step.time_ns - start_ns) // (3600 * 10**9)].extend(step.events)
    seen: set[Channel] = set()
    before: set[Channel] = set()
    for (interests, _, _), live, part in zip(PARTS, lives, played, strict=True):
        for interest in interests:
            channel = interest.channel
            data = [event for event in part if event.channel is channel]
            assert data == [event for event in live if event.channel is channel]
            gaps = [e for e in part if isinstance(e, Gap) and e.about is channel]
            # What was there before goes on after a gap; what is new doesn't.
            assert len(gaps) == (channel in seen)
            if channel in before:
                about = [e for e in part if channel in (e.channel, getattr(e, "about", None))]
                assert isinstance(about[0], Stale)
            seen.add(channel)
        before = wanted = {interest.channel for interest in interests}
        assert not [e for e in part if e.channel is not None and e.channel not in wanted]
    assert playing.frames["unreadable"] == 0
    assert not playing.dropped


# --- what still holds -----------------------------------------------------------------------------


class SayingSameCodec(ToyCodec):
    """``{"t": topic, "same": true}``: what is known still holds."""

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        if message.get("same") and message["t"] in self.known:
            return Unchanged(message["t"])
        return super()._read(message, now_ns)


class SayingSame(Toy):
    def codec(self, route: Route) -> Codec:
        return SayingSameCodec()


class SameServer(ToyServer):
    """Shows a state once; who subscribes again is told that it still holds."""

    def show(self, peer: Peer, topic: str) -> None:
        if topic in self.sequence:
            self._push(peer, topic, {"t": topic, "same": True})
        else:
            super().show(peer, topic)

    def repeat_tops(self) -> None: ...


def test_what_was_silent_and_still_holds_resumes_in_a_replay_as_it_did_live(tmp_path: Path) -> None:
    path, exchange = tmp_path / "recording.jsonl", SayingSame()
    live = recorded(path, SameServer(), lambda *_: None, 60, (TOP,), exchange=exchange)
    assert [e for e in live if isinstance(e, Resumed)]
    played = list(events_of(exchange, path))
    kinds = [type(each) for each in live]
    assert [type(each) for each in played] == kinds
    assert [e.received_time_ns for e in played] == [e.received_time_ns for e in live]
