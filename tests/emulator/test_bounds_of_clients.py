"""What an exchange bounds: handshakes without a header, connections and topics of an address, bytes
of a frame, and how often something may be done."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from ccrs_core.emulator import (
    Allowance,
    CloseAction,
    EmulatedExchange,
    EmulatorServer,
    EmulatorTransport,
    Frame,
    Handshake,
    HttpRefusal,
    Occupancy,
    Peer,
    Visitor,
)
from ccrs_core.errors import ConnectFailed
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport import HttpTransport
from ccrs_core.transport.memory import run
from tests.emulator.plain import START_NS, PlainDialect, PlainVisitor

ADDRESSES = ("10.0.0.1", "10.0.0.2")
CONNECTIONS, SUBSCRIPTIONS, BYTES = 2, 3, 40


class BoundedVisitor(PlainVisitor):
    """Counts its address's subscriptions among those of its other connections."""

    largest_frame: ClassVar[int | None] = BYTES

    def received(self, frame: str | bytes, now_ns: int) -> None:
        topics, known = self._dialect.subscriptions, self.peer.subscriptions  # type: ignore[attr-defined]
        text = str(frame)
        if text[:1] == "+" and text[1:] not in known and not topics.enter(self.peer.address):
            self.peer.reply(Frame(f"no {text}".encode()), ack=True)
            return
        before = len(known)
        super().received(frame, now_ns)
        if text[:1] == "-" and len(known) < before:
            topics.leave(self.peer.address)

    def closed(self, now_ns: int) -> None:
        self._dialect.connections.leave(self.peer.address)  # type: ignore[attr-defined]
        self._dialect.subscriptions.leave(self.peer.address, len(self.peer.subscriptions))  # type: ignore[attr-defined]


class BoundedDialect(PlainDialect):
    """Lets in who names a size, two connections of an address, with three topics between them."""

    def __init__(self) -> None:
        self.connections = Occupancy(CONNECTIONS)
        self.subscriptions = Occupancy(SUBSCRIPTIONS)

    def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
        if "x-size" not in handshake.headers:
            return HttpRefusal(status=400)
        if not self.connections.enter(handshake.address):
            return HttpRefusal(status=429)
        return BoundedVisitor(self)


def exchange() -> EmulatedExchange:
    return EmulatedExchange(BoundedDialect(), start_ns=START_NS)


def opened(venue: EmulatedExchange, address: str = ADDRESSES[0]) -> Peer | HttpRefusal:
    return venue.open("/ws", {}, venue.now_ns, address, [("X-Size", "1")])


class ClientsOfTwoAddresses(RuleBasedStateMachine):
    """Connections come and go, topics too: what the exchange grants is what its bounds leave."""

    peers = Bundle("peers")

    def __init__(self) -> None:
        super().__init__()
        self.venue = exchange()
        self.topics: dict[Peer, set[str]] = {}

    def of(self, address: str) -> list[Peer]:
        return [peer for peer in self.topics if peer.address == address]

    @rule(target=peers, address=st.sampled_from(ADDRESSES))
    def connect(self, address: str) -> Peer | None:
        found = opened(self.venue, address)
        if len(self.of(address)) == CONNECTIONS:
            assert found == HttpRefusal(status=429)
            return None
        assert isinstance(found, Peer)
        self.topics[found] = set()
        return found

    @rule(peer=peers, topic=st.sampled_from(["book.AB", "book.CD"]), leaves=st.booleans())
    def ask(self, peer: Peer | None, topic: str, leaves: bool) -> None:
        if peer is None or peer not in self.topics:
            return
        held = sum(len(self.topics[each]) for each in self.of(peer.address))
        refused = not leaves and topic not in self.topics[peer] and held == SUBSCRIPTIONS
        text = f"{'-' if leaves else '+'}{topic}"
        peer.received(text, self.venue.now_ns)
        answer = next(
            each for each in peer.take() if isinstance(each, Frame) and each.payload[:1] in b"no"
        )
        assert answer.payload == f"{'no' if refused else 'ok'} {text}".encode()
        if leaves:
            self.topics[peer].discard(topic)
        elif not refused:
            self.topics[peer].add(topic)

    @rule(peer=peers, how=st.sampled_from(["gone", "aborted", "closed", "talkative"]))
    def end(self, peer: Peer | None, how: str) -> None:
        if peer is None or self.topics.pop(peer, None) is None:
            return
        match how:
            case "gone":
                peer.gone()
                peer.gone()  # whoever drives it may say so twice
            case "aborted":
                peer.abort()
            case "closed":
                peer.close()
            case _:
                peer.received("+" + "x" * BYTES, self.venue.now_ns)

    @invariant()
    def who_is_connected_is_subscribed_to_what_was_granted(self) -> None:
        assert {peer: set(peer.subscriptions) for peer in self.venue.peers} == self.topics


TestClientsOfTwoAddresses = ClientsOfTwoAddresses.TestCase
TestClientsOfTwoAddresses.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)


@given(st.text(max_size=60), st.booleans())
def test_a_frame_is_measured_in_bytes_and_a_larger_one_ends_the_connection(
    text: str, binary: bool
) -> None:
    heard: list[str | bytes] = []

    class Hearing(BoundedVisitor):
        def received(self, frame: str | bytes, now_ns: int) -> None:
            heard.append(frame)

    class HearingDialect(BoundedDialect):
        def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
            return Hearing(self)

    venue = EmulatedExchange(HearingDialect(), start_ns=START_NS)
    peer = opened(venue)
    assert isinstance(peer, Peer)
    raw = text.encode()
    peer.received(raw if binary else text, venue.now_ns)
    fits = len(raw) <= BYTES
    assert peer.take() == ([] if fits else [CloseAction(1009, "message too big")])
    assert heard == ([raw if binary else text] if fits else [])
    assert peer.open is fits


@pytest.mark.parametrize("served", [False, True], ids=["in process", "over sockets"])
def test_a_dialect_hears_the_headers_of_a_handshake_by_small_names(served: bool) -> None:
    heard: list[Handshake] = []

    class Listening(BoundedDialect):
        def open(self, handshake: Handshake) -> Visitor | HttpRefusal:
            heard.append(handshake)
            return super().open(handshake)

    async def connect(transport: Any, url: str) -> None:
        with pytest.raises(ConnectFailed):
            await transport.connect(url)
        connection = await transport.connect(url, [("X-SIZE", "20"), ("X-Other", "Ab")])
        connection.abort()
        await transport.aclose()

    async def main() -> None:
        venue = EmulatedExchange(Listening(), start_ns=START_NS)
        if not served:
            await connect(EmulatorTransport(venue), "ws://emulator/ws?a=b")
            return
        async with EmulatorServer(venue) as server:
            await connect(HttpTransport(), f"{server.ws_url}/ws?a=b")

    asyncio.run(main()) if served else run(main())
    bare, full = heard
    assert "x-size" not in bare.headers
    assert (full.headers["x-size"], full.headers["x-other"]) == ("20", "Ab")
    assert (full.path, full.query, full.address) == ("/ws", {"a": "b"}, "127.0.0.1")


entries = st.lists(st.tuples(st.sampled_from(ADDRESSES), st.integers(0, 6)), max_size=60)


@given(st.integers(1, 5), entries)
def test_no_stretch_of_time_sees_more_than_is_allowed_and_nothing_less_is_refused(
    limit: int, entries: list[tuple[str, int]]
) -> None:
    allowance, now_ns, length_ns = Allowance(limit, 2.0), START_NS, 2 * NS_PER_SECOND
    granted: dict[str, list[int]] = {address: [] for address in ADDRESSES}
    for address, halves in entries:
        now_ns += halves * NS_PER_SECOND // 2
        recent = [at_ns for at_ns in granted[address] if at_ns > now_ns - length_ns]
        entered = allowance.enter(address, now_ns)
        assert entered == (len(recent) < limit)
        if entered:
            recent.append(now_ns)
            granted[address].append(now_ns)
        assert allowance.left(address) == limit - len(recent)
        assert allowance.reset_ns(address, now_ns) == recent[0] + length_ns


@given(st.integers(0, 6), st.lists(st.tuples(st.sampled_from(ADDRESSES), st.integers(1, 4))))
def test_who_asks_for_more_than_is_left_gets_nothing_of_it(
    limit: int, asked: list[tuple[str, int]]
) -> None:
    bounded, boundless, held = Occupancy(limit), Occupancy(None), Counter[str]()
    for address, count in asked:
        fits = held[address] + count <= limit
        assert bounded.enter(address, count) == fits
        assert boundless.enter(address, count)
        held[address] += count if fits else 0
    for address in ADDRESSES:
        bounded.leave(address, held[address])
        assert bounded.enter(address, limit)
        assert not bounded.enter(address)
