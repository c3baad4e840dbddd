"""The venue without I/O: shared streams, determinism, resting markets, recordings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import UsageError
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.emulator import (
    CloseAction,
    EmulatedExchange,
    EmulatorTransport,
    Frame,
    Handshake,
    HttpRefusal,
    Peer,
    PingAction,
    Rebroadcast,
    Visitor,
    read_recording,
)
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import run
from tests.emulator.plain import START_NS, PlainDialect, PlainVisitor

TOPIC = "book.AB"


def exchange(seed: int = 0, **settings: object) -> EmulatedExchange:
    return EmulatedExchange(PlainDialect(), seed=seed, start_ns=START_NS, **settings)  # type: ignore[arg-type]


def connect(venue: EmulatedExchange, path: str = "/ws") -> Peer:
    peer = venue.open(path, {}, venue.now_ns)
    assert isinstance(peer, Peer)
    return peer


def said(peer: Peer) -> list[str]:
    return [a.payload.decode() for a in peer.take() if isinstance(a, Frame)]


def rebuilt(frames: list[str]) -> tuple[dict[int, int], dict[int, int]]:
    """The book that a client makes of what it heard."""
    book: tuple[dict[int, int], dict[int, int]] = ({}, {})
    last = 0
    for frame in frames:
        if frame.startswith("ok"):
            continue
        _, number, kind, *sides = frame.split()
        assert kind == "first" or int(number) == last + 1
        last = int(number)
        for side, text in zip(book, sides, strict=True):
            if kind == "first":
                side.clear()
            for level in () if text == "-" else text.split(","):
                price, size = map(int, level.split(":"))
                if size:
                    side[price] = size
                else:
                    del side[price]
    return book


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    joins=st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=5),
)
def test_whoever_joins_whenever_rebuilds_the_engines_book(seed: int, joins: list[int]) -> None:
    venue = exchange(seed)
    peers = []
    for pause in joins:
        venue.advance(venue.now_ns + pause)
        peer = connect(venue)
        peer.received(f"+{TOPIC}", venue.now_ns)
        peers.append(peer)
    venue.advance(venue.now_ns + 2 * NS_PER_SECOND)
    late = connect(venue)
    late.received(f"+{TOPIC}", venue.now_ns)  # publishes what is pending to the others as well
    engine = venue.market(venue.listings["spot", "AB"]).engine
    truth = dict(engine.depth(Side.BUY, 10)), dict(engine.depth(Side.SELL, 10))
    for peer in [*peers, late]:
        assert rebuilt(said(peer)) == truth


def test_an_update_is_one_and_the_same_frame_for_all() -> None:
    venue = exchange()
    one, other = connect(venue), connect(venue)
    for peer in (one, other):
        peer.received(f"+{TOPIC}", venue.now_ns)
    one.take(), other.take()
    venue.advance(START_NS + NS_PER_SECOND)
    mine, theirs = one.take(), other.take()
    assert len(mine) > 30
    assert all(a is b for a, b in zip(mine, theirs, strict=True))


def test_the_same_calls_give_the_same_frames() -> None:
    def scene(seed: int) -> list[str]:
        venue = exchange(seed)
        peer = connect(venue)
        peer.received(f"+{TOPIC}", START_NS + 5)
        venue.advance(START_NS + 3 * NS_PER_SECOND)
        peer.received("+book.CD", venue.now_ns)
        venue.advance(START_NS + 5 * NS_PER_SECOND)
        return said(peer)

    assert scene(3) == scene(3)
    assert scene(3) != scene(4)


def test_after_an_unsubscribe_nothing_more_comes() -> None:
    venue = exchange()
    peer = connect(venue)
    peer.received(f"+{TOPIC}", venue.now_ns)
    venue.advance(START_NS + NS_PER_SECOND)
    peer.received(f"-{TOPIC}", venue.now_ns)
    assert said(peer)[-1] == f"ok -{TOPIC}"
    venue.advance(START_NS + 5 * NS_PER_SECOND)
    assert said(peer) == []


def test_a_market_that_nobody_watches_comes_to_rest_and_wakes_again() -> None:
    venue = exchange()
    peer = connect(venue)
    peer.received(f"+{TOPIC}", venue.now_ns)
    peer.gone()
    venue.advance(START_NS + 3600 * NS_PER_SECOND)
    assert venue.next_wake_ns is None
    peer = connect(venue)
    peer.received(f"+{TOPIC}", venue.now_ns)
    venue.advance(venue.now_ns + NS_PER_SECOND)
    assert len(said(peer)) > 30


def test_a_client_that_left_is_sent_nothing() -> None:
    venue = exchange()
    peer = connect(venue)
    peer.received(f"+{TOPIC}", venue.now_ns)
    peer.take()
    peer.gone()
    venue.advance(START_NS + NS_PER_SECOND)
    assert peer.take() == []
    assert not venue.peers


def test_a_close_follows_what_was_said_before() -> None:
    venue = exchange()
    peer = connect(venue)
    peer.received("?", venue.now_ns)
    peer.close(1001, "so long")
    peer.received("?", venue.now_ns)
    actions = peer.take()
    assert isinstance(actions[0], Frame)
    assert actions[1:] == [CloseAction(1001, "so long")]


class Pinging(PlainVisitor):
    idle_timeout = None
    ping_interval = 5.0
    pong_timeout = 12.0


class PingingDialect(PlainDialect):
    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        return Pinging(self)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["pong", "pong of the oldest", "another pong", "ping", "mute"])),
)
def test_a_connection_without_pongs_is_ended_when_the_timeout_is_over(turns: list[str]) -> None:
    venue = EmulatedExchange(PingingDialect(), start_ns=START_NS)
    peer = connect(venue)
    unanswered: list[tuple[int, bytes]] = []
    for turn in [*turns, "mute", "mute", "mute", "mute"]:
        venue.advance(venue.now_ns + 5 * NS_PER_SECOND)
        if unanswered and venue.now_ns - unanswered[0][0] >= 12 * NS_PER_SECOND:
            assert peer.take() == [CloseAction(1008, "no pong")]
            assert not peer.open
            return
        (ping,) = peer.take()
        assert isinstance(ping, PingAction)
        assert ping.payload not in {payload for _, payload in unanswered}
        unanswered.append((venue.now_ns, ping.payload))
        if turn == "pong":
            peer.ponged(ping.payload, venue.now_ns)
            unanswered.clear()
        elif turn == "pong of the oldest":
            peer.ponged(unanswered.pop(0)[1], venue.now_ns)
        elif turn == "another pong":
            peer.ponged(b"unsolicited", venue.now_ns)
        elif turn == "ping":
            peer.pinged(venue.now_ns)
    raise AssertionError("the connection was never ended")


def test_the_in_process_transport_answers_pings() -> None:
    async def main() -> None:
        venue = EmulatedExchange(PingingDialect(), start_ns=START_NS)
        transport = EmulatorTransport(venue)
        connection = await transport.connect("ws://x/ws")
        loop = asyncio.get_running_loop()
        await asyncio.sleep(51)
        assert [peer.open for peer in venue.peers] == [True]
        assert loop.time() - connection.last_heard == pytest.approx(1)
        await transport.aclose()

    run(main())


class Echo(PlainDialect):
    def http(self, request: HttpRequest, address: str, now_ns: int) -> HttpResponse:
        return HttpResponse(200, {}, request.path.encode())


def test_dialects_see_the_path_of_the_address_too() -> None:
    async def main() -> None:
        transport = EmulatorTransport(EmulatedExchange(Echo(), start_ns=START_NS))
        for base, path in (("http://x", "/time"), ("http://x/other/", "/other/time")):
            answer = await transport.request(base, HttpRequest("GET", "/time"))
            assert answer.body.decode() == path
        await transport.aclose()

    run(main())


def test_unknown_paths_are_refused_by_the_dialect() -> None:
    venue = exchange()
    assert venue.open("/nowhere", {}, START_NS) == HttpRefusal(status=404)


# --- recordings ---

LINES = [
    '{"recv_ts": 100.0, "raw": "book.AB 1 first 1:1 2:1"}',
    '{"recv_ts": 100.0, "raw": "ack"}',
    '{"recv_ts": 101.5, "raw": "book.CD 1 first 1:1 2:1"}',
    '{"recv_ts": 103.0, "raw": "book.AB 2 more 1:2 -"}',
]


@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_a_recording_is_played_at_its_pace_to_those_who_subscribed(speed: float) -> None:
    times: list[tuple[float, str]] = []

    async def main() -> None:
        replay = Rebroadcast(read_recording(LINES), speed=speed, delay=0.5)
        venue = exchange(rebroadcast=replay)
        assert replay.topics == {"book.AB", "book.CD"}
        transport = EmulatorTransport(venue)
        connection = await transport.connect("ws://x/ws")
        await connection.send("+book.XX")
        await connection.send(f"+{TOPIC}")
        loop = asyncio.get_running_loop()
        while len(times) < 4:
            frames = await connection.receive()
            times.extend((round(loop.time(), 3), frame.decode()) for frame in frames)
        await transport.aclose()

    run(main())
    assert times == [
        (0.0, "no +book.XX"),
        (0.0, f"ok +{TOPIC}"),
        (0.5, "book.AB 1 first 1:1 2:1"),
        (0.5 + 3 / speed, "book.AB 2 more 1:2 -"),
    ]


def test_bare_frames_are_a_recording_too(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_text('"book.AB 1"\n\n"book.AB 2"\n')
    assert [frame.raw for frame in read_recording(path.read_bytes().splitlines())] == [
        b'"book.AB 1"',
        b'"book.AB 2"',
    ]
    assert isinstance(Rebroadcast.of_file(path), Rebroadcast)


def test_a_recording_that_is_none_is_told_where() -> None:
    with pytest.raises(UsageError, match="line 2"):
        read_recording([LINES[0], "{broken"])
    with pytest.raises(UsageError, match="line 1"):
        read_recording(['{"recv_ts": "noon", "raw": "x"}'])
    with pytest.raises(UsageError, match="speed"):
        Rebroadcast([], speed=0)


def test_what_is_delisted_is_refused_to_who_comes_and_goes_on_for_who_has_it() -> None:
    venue = exchange()
    early, late = connect(venue), connect(venue)
    early.received(f"+{TOPIC}", venue.now_ns)
    venue.relist([each for each in venue.listings.values() if each.symbol != "AB"])
    late.received(f"+{TOPIC}", venue.now_ns)
    assert said(late) == [f"no +{TOPIC}"]
    early.take()
    venue.advance(venue.now_ns + NS_PER_SECOND)
    assert said(early)
    assert not said(late)
