"""Properties 68 to 70: what was recorded can be replayed, and counters add up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core import __version__
from ccrs_core.client.client import Client, connect
from ccrs_core.client.connection_status import ConnectionStatus
from ccrs_core.conformance.judges.agreement import interest_of, topic_pattern, watching
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import HOST, World, settle
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.emulator import EmulatedExchange
from ccrs_core.errors import CcrsError
from ccrs_core.feeds.feed import Feed
from ccrs_core.feeds.policy import FeedStatus, Policy
from ccrs_core.model.events import AnyEvent, Gap, Reason, Stale
from ccrs_core.model.serialize import to_json
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import End, Header
from ccrs_core.recordings.replay import Replay, events_of
from ccrs_core.recordings.transport import RecordingTransport

_RATE = 4.0

_SHARES = (*("data", "late", "control", "unrecognised", "unwanted", "unreadable", "retired"),)
"""What the frames of a connection are divided into."""


class TapeProperties:
    """Properties 68 to 70."""

    @proves(68, against=Against.NOTHING)
    def test_a_replay_gives_what_the_live_run_delivered_to_the_byte(self, subject: Subject) -> None:
        """A recording with a lost connection in it, replayed twice, gives the same output to the
        byte, and all the data that the live run delivered."""
        for connections in _numbers_of_connections(subject):
            with _taped(subject, connections) as tape:
                outputs = [_played(subject, tape.path) for _ in range(2)]
                assert outputs[0] == outputs[1], "two replays of one recording differ"
                _same_data(tape.events, list(events_of(subject.make(), tape.path)))

    @proves(69, against=Against.NOTHING, quick=False)
    def test_a_cut_recording_loses_at_most_its_last_record(self, subject: Subject) -> None:
        """A recording cut at any byte reads as its whole records up to there, replays as the
        beginning of what it was, and can be continued."""
        with _taped(subject, 1, seconds=2.0) as tape, _folder() as folder:
            content = tape.path.read_bytes()
            # What comes first matters as much as what comes last; the middle is alike.
            records = list(read(tape.path))
            played = [to_json(e) for e in events_of(subject.make(), tape.path)]
            ends = [at + 1 for at, byte in enumerate(content) if byte == 0x0A]
            header = ends[0]
            cut = folder / "cut"

            def check(size: int) -> None:
                cut.write_bytes(content[:size])
                whole = sum(end <= size for end in ends)
                found = list(read(cut))
                assert found == records[: len(found)], "records before the cut are changed"
                assert len(found) >= whole, f"of {whole} whole records {len(found)} are read"
                if size < header:
                    return
                output = [to_json(e) for e in events_of(subject.make(), cut)]
                assert output == played[: len(output)], "a cut recording replays otherwise"
                with RecordingWriter(cut) as writer:
                    assert isinstance(records[0], Header)
                    writer.begin(records[0])
                continued = list(read(cut))
                assert continued[: len(found)] == found, (
                    "what is appended to a cut recording changes what it held"
                )
                assert continued[len(found)] == records[0], "what is appended isn't read"
                assert isinstance(continued[-1], End), "a recording that was continued has no end"

            for size in (0, 1, header - 1, header, header + 1, len(content) - 1, len(content)):
                check(size)
            subject.check(check, st.integers(0, len(content)), examples=60)

    @proves(70, against=Against.NOTHING)
    def test_counters_of_connections_and_feeds_add_up(self, subject: Subject) -> None:
        """After losses, repeats and unreadable frames every frame of every connection is counted
        once for what became of it, and every event of every feed for where it went."""
        subscriptions = _subscriptions(subject)
        topic = topic_pattern(subject, subscriptions[0])

        async def scenario(world: World) -> None:
            interests = list(map(interest_of, subscriptions))
            client = world.client
            slow = [
                client.subscribe(*interests, policy=policy, maxsize=20)
                for policy in (Policy.DROP_OLDEST, Policy.CONFLATE)
            ]
            async with watching(world, *subscriptions) as watch, slow[0], slow[1]:
                await settle(3.0)
                world.fault(
                    f"duplicate,topic={topic},probability=0.2",
                    f"gap,topic={topic},probability=0.1",
                    "truncate,probability=0.05",
                )
                await settle(4.0)
                world.fault("drop")
                await settle(8.0)
                world.quieten()
                await settle(8.0)
                status = client.status()
                for link in status.connections:
                    _adds_up(link)
                assert sum(link.frames for link in status.connections) > 0, "no frame is counted"
                received = sum(each.frames for each in world.received.values())  # type: ignore[attr-defined]
                counted = sum(link.frames for link in status.connections)
                assert counted == received, (
                    f"{received} frames came in, {counted} are counted by client.status()"
                )
                for each in status.feeds:
                    _feed_adds_up(each)
                own = watch.feed.status()
                assert own.delivered == len(watch.events), (
                    f"{own.delivered} events are counted, {len(watch.events)} were delivered"
                )
                told = sum(s.delivered for s in status.subscriptions)
                data = sum(event.channel is not None for event in watch.events)
                assert told == data, f"{told} events are counted, {data} were delivered"
                read_now = await _everything(slow[0])
                after = slow[0].status()
                assert after.delivered == len(read_now), (
                    f"{after.delivered} events are counted, {len(read_now)} were delivered"
                )
                gaps = [e for e in read_now if isinstance(e, Gap) and e.reason is Reason.OVERFLOW]
                assert sum(gap.lost or 0 for gap in gaps) == after.dropped, (
                    f"{after.dropped} lost events are counted, the gaps tell of others"
                )
            for feed in (watch.feed, *slow):
                _feed_adds_up(feed.status())

        _Counted(subject.make(), subject.venue(rate=_RATE)).run(scenario)


# --- recording ---


@attrs.frozen
class _Tape:
    path: Path
    events: Sequence[AnyEvent]
    """What the live run delivered."""


class _Recorded(World):
    """A world whose frames are written down."""

    def __init__(self, *arguments: Any, path: Path) -> None:
        super().__init__(*arguments)
        self.writer = RecordingWriter(path)

    def _connect(self) -> Client:
        transport = RecordingTransport(self.tap, self.writer, clock=self.clock)
        return connect(self.exchange, base_url=HOST, transport=transport, clock=self.clock)


@contextmanager
def _taped(subject: Subject, connections: int, seconds: float = 8.0) -> Iterator[_Tape]:
    """A recording of all channels, with a lost connection in the middle."""
    with _folder() as folder:
        venue = subject.venue(rate=_RATE)
        yield _record(subject, venue, folder / "recording", connections, seconds)


def _record(
    subject: Subject,
    venue: EmulatedExchange,
    path: Path,
    connections: int = 1,
    seconds: float = 8.0,
    *,
    script: Sequence[tuple[float, str]] = (),
    wanted: Sequence[Subscription] | None = None,
) -> _Tape:
    """A recording in the middle of which a connection is lost, or of what faults do (``script``),
    each after some seconds; an empty one ends all that went before."""
    subscriptions = _subscriptions(subject) if wanted is None else list(wanted)
    venue.start_ns = venue.now_ns
    world = _Recorded(subject.make(), venue, path=path)

    async def scenario(world: World) -> Sequence[AnyEvent]:
        assert isinstance(world, _Recorded)
        world.writer.begin(
            Header(
                ns=world.clock.time_ns(),
                exchange=subject.name,
                exchange_version="0",
                core_version=__version__,
                environment="emulator",
                subscriptions=tuple(subscriptions),
                connections=connections,
                addresses=world.client.addresses,
            )
        )
        async with watching(world, *subscriptions, connections=connections) as watch:
            for pause, fault in script or [(seconds / 2, "drop,target=random")]:
                await settle(pause)
                if fault:
                    world.fault(fault)
                else:
                    world.quieten()
            await settle(seconds)
            world.writer.close()
            return list(watch.events)

    try:
        return _Tape(path, world.run(scenario))
    finally:
        world.writer.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ccrs-conformance-") as name:
        yield Path(name)


def _subscriptions(subject: Subject) -> list[Subscription]:
    return [case.subscription for case in subject.cases()]


def _numbers_of_connections(subject: Subject) -> Sequence[int]:
    routes = map(subject.exchange.route, _subscriptions(subject))
    can_race = all(route.sequence_scope is SequenceScope.GLOBAL for route in routes)
    return (1, 2) if can_race else (1,)


def _played(subject: Subject, path: Path) -> bytes:
    playing = Replay(subject.make(), path)
    return b"\n".join(to_json(event) for step in playing.steps() for event in step.events)


def _key(event: AnyEvent) -> tuple[str, str]:
    channel = event.channel or getattr(event, "about", None)
    return event.symbol, str(channel)


def _same_data(events: Sequence[AnyEvent], played: Sequence[AnyEvent]) -> None:
    """The same data in the same order, with the same interruptions before it."""
    live, again = _by_key(events), _by_key(played)
    for key in live.keys() | again.keys():
        lines = [each.get(key, []) for each in (live, again)]
        at = next(
            (n for n, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]),
            min(map(len, lines)),
        )
        shown = [each[at].decode()[:300] if at < len(each) else "nothing" for each in lines]
        assert lines[0] == lines[1], (
            f"event {at} of {' '.join(key)} was {shown[0]} and is replayed as {shown[1]}: decode() "
            "must read frames by what subscribe() was called with, and nothing else"
        )


def _by_key(events: Iterable[AnyEvent]) -> Mapping[tuple[str, str], list[bytes]]:
    """Data by what it is of, in bytes, with the interruptions before it. Not what clocks or
    acknowledgements led to: it isn't replayed."""
    found: dict[tuple[str, str], list[bytes]] = {}
    waiting: dict[tuple[str, str], list[bytes]] = {}
    for event in events:
        key = _key(event)
        if event.channel is not None:
            found.setdefault(key, []).extend([*waiting.pop(key, ()), to_json(event)])
        elif isinstance(event, Gap) or (
            isinstance(event, Stale) and event.reason is not Reason.SILENT
        ):
            waiting.setdefault(key, []).append(f"{event.type} {event.reason.value}".encode())
    return found


# --- counters ---


@attrs.define
class _Received:
    frames: int = 0


class _Counted(World):
    """A world that counts the frames that come in."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.received: dict[int, _Received] = {}
        dial = self.tap.connect

        async def connect_counted(url: str, headers: Any = ()) -> Any:
            connection = await dial(url, headers)
            count = self.received[len(self.received)] = _Received()
            receive = connection.receive

            async def receive_counted() -> Sequence[bytes]:
                frames = await receive()
                count.frames += len(frames)
                return frames

            connection.receive = receive_counted
            return connection

        self.tap.connect = connect_counted  # type: ignore[method-assign]


def _adds_up(link: ConnectionStatus) -> None:
    shares = {name: getattr(link, name) for name in _SHARES}
    assert link.frames == sum(shares.values()), (
        f"connection {link.number} received {link.frames} frames, but accounts for "
        f"{sum(shares.values())}: {shares}"
    )


def _feed_adds_up(status: FeedStatus) -> None:
    went = {
        name: getattr(status, name)
        for name in ("delivered", "waiting", "conflated", "dropped", "discarded")
    }
    assert status.offered == sum(went.values()), (
        f"a feed ({status.policy.value}) was offered {status.offered} events, but accounts for "
        f"{sum(went.values())}: {went}"
    )


async def _everything(feed: Feed) -> list[AnyEvent]:
    """All that waits in a feed."""
    found: list[AnyEvent] = []
    while feed.waiting:
        try:
            async for batch in feed.batches():
                found += batch
                break
        except CcrsError as error:
            pytest.fail(f"reading a feed with the policy drop_oldest raised {error!r}")
    return found
