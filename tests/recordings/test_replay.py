"""Replays: the same events as live, and the same bytes every time."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import attrs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Channel,
    Codec,
    Gap,
    Interest,
    Market,
    Message,
    Reason,
    TopOfBook,
    Trade,
    UsageError,
    book,
    top_of_book,
    trades,
)
from ccrs_core.client.client import connect
from ccrs_core.contract.exchange import Environment, Route, resolve
from ccrs_core.model.serialize import to_json
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header, Opened, Received
from ccrs_core.recordings.replay import Replay, events_of, received_frames
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyCodec, ToyServer, instrument

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(os.environ.get("CCRS_FIXTURES", ROOT.parent / "shared" / "fixtures"))
BYBIT = FIXTURES / "bybit" / "ws"


class FailingCodec(ToyCodec):
    """Raises what no codec should."""

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        if frame == b"zero":
            raise ZeroDivisionError("one by none")
        return super().decode(frame, received_time_ns)


class Failing(Toy):
    def codec(self, route: Route) -> Codec:
        return FailingCodec()


def _record(
    path: Path,
    script: Callable[[ToyServer, int], object],
    steps: int,
    interests: tuple[Interest, ...],
    connections: int,
) -> list[AnyEvent]:
    """Record a session of the toy exchange, and tell what was delivered live."""
    server = ToyServer()
    random.seed(1)  # back-off draws random numbers
    live: list[AnyEvent] = []

    async def main() -> None:
        import asyncio

        clock = VirtualClock()
        with RecordingWriter(path) as writer:
            transport = RecordingTransport(MemoryTransport(server), writer, clock=clock)
            async with connect(Failing(), transport=transport, clock=clock) as client:
                found = [
                    resolve(
                        client.exchange, i.channel, await client.instrument(i.symbol), i.depth, None
                    )
                    for i in interests
                ]
                writer.begin(
                    Header(
                        ns=clock.time_ns(),
                        exchange="toy",
                        exchange_version="1",
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
                        await asyncio.sleep(0.25)
                    server.repeat_tops()
                    await asyncio.sleep(5.0)
                    writer.close()

    run(main())
    return live


TOPICS = ("top.BTC", "book.BTC", "trades.BTC")
INTERESTS = (top_of_book("BTC/USD"), book("BTC/USD"), trades("BTC/USD"))
FAULTS = ("drop", "some", "last", "vanish", "lag", "bye", "garble", "zero", "wait")
# Shorter than a stream may be silent: what a client makes of that is in no recording.
ACTIONS = st.lists(st.sampled_from([*TOPICS * 2, *FAULTS]), min_size=1, max_size=18)


@given(actions=ACTIONS, connections=st.integers(1, 3))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_replay_delivers_what_was_delivered_live(
    actions: list[str], connections: int, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    path.unlink(missing_ok=True)

    def script(server: ToyServer, step: int) -> None:
        action, there = actions[step], server.open
        if action in TOPICS:
            server.tick(action)
        elif action in ("some", "last"):
            # Just one of the connections brings it.
            server.tick("trades.BTC", peers=there[:1] if action == "some" else there[-1:])
        for peer in there[:1]:
            match action:
                case "drop":
                    peer.drop()
                case "vanish":
                    server.dead.add(peer)
                case "lag":
                    peer.lag = 0.7
                case "bye":
                    peer.push('{"bye":"maintenance"}')
                case "garble":
                    peer.push('{"t":"trades.BTC","ids":["BTC-1')
                case "zero":
                    peer.push("zero")

    live = _record(path, script, len(actions), INTERESTS, connections)
    played = list(events_of(Failing(), path))
    for channel in (Channel.TOP_OF_BOOK, Channel.BOOK, Channel.TRADES):
        assert _about(channel, played) == _about(channel, live)


def _about(channel: Channel, events: Sequence[AnyEvent]) -> list[AnyEvent]:
    """The events and notices of a channel. Where a timer and a frame fall into one instant, a gap
    may be told for either's reason."""
    found = [e for e in events if channel in (e.channel, getattr(e, "about", None))]
    return [attrs.evolve(e, reason=Reason.SEQUENCE) if isinstance(e, Gap) else e for e in found]


def test_what_never_met_is_a_gap_in_a_replay_as_it_was_live(tmp_path: Path) -> None:
    """Two racing connections whose trades have never met: the first is lost."""
    path = tmp_path / "r.jsonl"

    def script(server: ToyServer, step: int) -> None:
        match step:
            case 0 | 1 | 2:
                server.tick("trades.BTC", peers=server.open[:1])
            case 3:
                server.dead.add(server.open[1])
                server.open[0].drop()
            case 9:
                server.tick("trades.BTC")

    live = _record(path, script, 30, (trades("BTC/USD"),), 2)
    assert [type(event) for event in live] == [Trade, Trade, Trade, Gap, Trade]
    assert list(events_of(Failing(), path)) == live


def test_a_codec_that_fails_costs_a_frame_in_a_replay_as_it_did_live(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"

    def script(server: ToyServer, step: int) -> None:
        if step == 1:
            server.open[0].push("zero")
        else:
            server.tick("trades.BTC")

    live = _record(path, script, 3, (trades("BTC/USD"),), 1)
    assert [type(event) for event in live] == [Trade, Gap, Trade]
    playing = Replay(Failing(), path)
    assert [e for step in playing.steps() for e in step.events] == live
    assert playing.frames["unreadable"] == 1


def test_two_replays_are_equal_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _record(path, lambda server, i: server.tick(TOPICS[i % 3]), 30, INTERESTS, 2)
    first, second = (b"".join(map(to_json, events_of(Toy(), path))) for _ in range(2))
    assert first
    assert first == second


def test_copies_of_racing_connections_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _record(path, lambda server, i: server.tick("top.BTC"), 20, INTERESTS[:1], 3)
    playing = Replay(Toy(), path)
    events = [e for step in playing.steps() for e in step.events]
    sequences = [e.sequence or 0 for e in events if isinstance(e, TopOfBook)]
    assert sequences == sorted(set(sequences))
    assert playing.frames["late"] >= 40
    assert sum(1 for _ in received_frames(path)) < sum(playing.frames.values()) / 2


class Forked(Toy):
    """What is quoted in euros comes from another host, by the same names."""

    environments: ClassVar = {
        "mainnet": Environment(
            addresses={"rest": "https://rest.toy", "stream": "wss://a.toy", "euro": "wss://b.toy"}
        )
    }
    euro_url = "{euro}/v1"

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        euro = subscription.instrument.quote == "EUR"
        return attrs.evolve(route, url=self.euro_url) if euro else route


def _forked(folder: Path, *urls: str, addresses: dict[str, str] | None = None) -> Path:
    """A recording of connections that have one frame each."""
    dollar = instrument("BTC")
    euro = attrs.evolve(dollar, symbol="BTC/EUR", quote="EUR")
    header = Header(
        ns=1,
        exchange="toy",
        exchange_version="1",
        core_version="1",
        environment="mainnet",
        subscriptions=tuple(Subscription(Channel.TOP_OF_BOOK, each) for each in (dollar, euro)),
        addresses=addresses or {},
    )
    with RecordingWriter(folder / "r.jsonl") as writer:
        writer.begin(header)
        for number, url in enumerate(urls, start=1):
            writer.write(Opened(2, number, url))
            writer.write(Received(3, number, _top(number).encode()))
    return folder / "r.jsonl"


def test_hosts_tell_connections_apart_whose_paths_and_topics_are_alike(tmp_path: Path) -> None:
    addresses = {"rest": "http://x", "stream": "ws://me:secret@one.test", "euro": "ws://two.test"}
    urls = ("ws://two.test/v1?token=***", "ws://one.test/v1", "ws://two.test/v1")
    path = _forked(tmp_path, *urls, addresses=addresses)
    symbols = [event.symbol for event in events_of(Forked(), path) if event.channel is not None]
    assert symbols == ["BTC/EUR", "BTC/USD", "BTC/EUR"]


def test_where_hosts_are_not_told_the_most_telling_path_counts(tmp_path: Path) -> None:
    exchange = Forked()
    exchange.euro_url = "{euro}/euro/v1"
    path = _forked(tmp_path, "ws://x.test/euro/v1", "ws://x.test/v1")
    symbols = [event.symbol for event in events_of(exchange, path) if event.channel is not None]
    assert symbols == ["BTC/EUR", "BTC/USD"]


def test_channels_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _record(path, lambda server, i: server.tick(TOPICS[i % 3]), 9, INTERESTS, 1)
    assert {e.type for e in events_of(Toy(), path, channels={Channel.TRADES})} == {"trade"}
    with pytest.raises(UsageError, match="it holds book, top_of_book, trades"):
        list(events_of(Toy(), path, channels={Channel.CANDLES}))


def test_a_second_part_of_a_recording_starts_with_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for _ in range(2):
        _record(path, lambda server, i: server.tick("top.BTC"), 3, INTERESTS[:1], 1)
    counts = Counter(e.type for e in events_of(Toy(), path))
    assert counts["gap"] == counts["stale"] == counts["resumed"] == 1


def test_books_end_valid_where_recording_ended_on_purpose(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _record(path, lambda server, i: server.tick("book.BTC"), 7, INTERESTS[1:2], 1)
    playing = Replay(Toy(), path)
    list(playing.steps())
    (found,) = playing.books.values()
    assert found.valid
    assert found.sequence == 107


# --- Recordings of other make ---------------------------------------------------------------


class GuessingToy(Toy):
    def subscriptions_in(self, frames: Any, market: Market | None) -> tuple[Subscription, ...]:
        natives = {orjson.loads(f)["t"].partition(".")[2] for f in frames if b'"t"' in f}
        return tuple(Subscription(Channel.TOP_OF_BOOK, instrument(n)) for n in sorted(natives))


def _top(number: int) -> str:
    return orjson.dumps({"t": "top.BTC", "n": number, "q": ["1.10", "1.20"]}).decode()


@given(st.integers(0, 2**62))
def test_receive_times_keep_every_digit(ns: int) -> None:
    import tempfile

    seconds = f"{ns // 10**9}.{ns % 10**9:09d}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.jsonl"
        path.write_text(f'{{"recv_ts": {seconds}, "raw": {orjson.dumps(_top(7)).decode()}}}\n')
        (event,) = events_of(GuessingToy(), path)
    assert event.received_time_ns == ns


def test_plain_frames_are_a_recording_too(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("".join(f"{_top(n)}\n" for n in (7, 8, 8, 9)))
    playing = Replay(GuessingToy(), path)
    assert [str(s) for s in playing.guessed] == ["top_of_book of BTC/USD"]
    found = [e for step in playing.steps() for e in step.events]
    assert [e.sequence for e in found if isinstance(e, TopOfBook)] == [7, 8, 9]
    # Nobody wrote down when they came: the exchange's time stands in.
    assert all(e.received_time_ns == e.exchange_time_ns for e in found)


def test_what_is_no_recording_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for content, why in [
        ("", "empty"),
        ("thesis\nthesis\n", "not JSON"),
        ('{"recv_ts": "now", "raw": "{}"}\n', "recv_ts"),
        ("{}\n", "no frame of a stream"),
    ]:
        path.write_text(content)
        with pytest.raises(UsageError, match=why):
            list(events_of(GuessingToy(), path))
    with pytest.raises(UsageError, match="can't read"):
        events_of(Toy(), tmp_path / "nothing").__next__()


def test_a_recording_of_another_exchange_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _record(path, lambda server, i: None, 1, INTERESTS[:1], 1)
    path.write_bytes(path.read_bytes().replace(b'"exchange":"toy"', b'"exchange":"other"', 1))
    with pytest.raises(UsageError, match="recorded from other"):
        list(events_of(Toy(), path))


# --- Real recordings ------------------------------------------------------------------------

needs_fixtures = pytest.mark.skipif(not BYBIT.is_dir(), reason="no shared recordings here")


@needs_fixtures
@pytest.mark.parametrize(
    ("file", "depth", "sequence", "bid", "ask", "levels"),
    [
        (
            "recording-orderbook500-linear-XRPUSDT-2024.jsonl",
            500,
            20254902,
            ("1.9535", "9324"),
            ("1.9536", "3654"),
            500,
        ),
        (
            "session-spot-testnet-2026-09.jsonl",
            50,
            3734376,
            ("77140.5", "0.236197"),
            ("77140.7", "0.240076"),
            50,
        ),
    ],
)
def test_real_books_end_as_the_exchange_had_them(
    file: str, depth: int, sequence: int, bid: Any, ask: Any, levels: int
) -> None:
    playing = Replay("bybit", BYBIT / file)
    list(playing.steps())
    found = {s.depth: b for s, b in playing.books.items()}[depth]
    assert found.sequence == sequence
    assert found.best_bid == tuple(map(Decimal, bid))
    assert found.best_ask == tuple(map(Decimal, ask))
    assert len(found.bids()) == len(found.asks()) == levels


@needs_fixtures
def test_a_real_session_has_no_gap_and_no_repeat() -> None:
    events = list(events_of("bybit", BYBIT / "session-spot-testnet-2026-09.jsonl"))
    assert Counter(e.type for e in events) == {"book": 19, "top_of_book": 12, "trade": 8}
    tops = [e.sequence for e in events if isinstance(e, TopOfBook)]
    assert tops == list(range(1980705, 1980717))
