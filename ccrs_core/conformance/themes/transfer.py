"""Properties 3 and 6: cut into pieces or compressed on the way, frames say the same."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

import pytest

from ccrs_core.conformance.themes.subscribing import subscribed
from ccrs_core.conformance.workbench.line import events_of
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.relay import Relay, messages_in
from ccrs_core.conformance.workbench.subject import Case, Subject, requests_of
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.codec import Data
from ccrs_core.contract.compression import LARGEST, Compression, inflate
from ccrs_core.contract.rest import GetInstruments, Request
from ccrs_core.emulator import EmulatorServer, Frame
from ccrs_core.emulator.fault_menu import GARBLED
from ccrs_core.errors import CcrsError, DecodeError
from ccrs_core.transport.addresses import everything_at
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.http import HttpTransport

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds after which a connection on the loopback interface is given up."""


class TransferProperties:
    """Properties 3 and 6."""

    @proves(3, against=Against.NOTHING)
    def test_frames_cut_at_any_byte_boundary_arrive_whole(self, subject: Subject) -> None:
        """However the stream of bytes is cut into pieces, the same frames arrive."""
        case = _liveliest(subject)
        for seed in range(subject.profile.examples(4)):
            rng = Random(f"{subject.seed}/{seed}")
            sent, received = _run(_exchange_frames(subject, case, rng, compression=False, count=40))
            _same(subject, case, sent, received)

    @proves(3, against=Against.NOTHING)
    def test_answers_cut_at_any_byte_boundary_arrive_whole(self, subject: Subject) -> None:
        """However a REST answer is cut into pieces, it says the same."""
        endpoint = subject.exchange.endpoints.get(GetInstruments)
        if endpoint is None:
            subject.undeclared("list of instruments")
        request = GetInstruments(subject.markets[0])

        async def main() -> list[Any]:
            exchange = subject.make()
            async with (
                EmulatorServer(subject.venue()) as server,
                Relay(server.url, Random(subject.seed)) as relay,
            ):
                transport = HttpTransport()
                found = []
                try:
                    for base in (server.url, f"http://{relay.netloc}"):
                        response = await transport.request(base, endpoint.encode(request, None))
                        error = exchange.error_of(response)
                        assert error is None, f"the emulator answers with {error!r}"
                        found.append(endpoint.decode(request, response, RECEIVED_NS, None))
                finally:
                    await transport.aclose()
                assert relay.answers, "nothing went through the relay"
                return found

        direct, relayed = _run(main())
        assert relayed == direct, f"cut into single bytes the answers say {relayed}, whole {direct}"

    @proves(3, against=Against.NOTHING)
    def test_what_comes_instead_of_answers_is_asked_for_again(self, subject: Subject) -> None:
        """Where something before the exchange answers in its place or spoils its answers (nothing,
        a page of HTML, a redirect, half of an answer), the request is made again, and answered."""
        if not any(
            True for m in subject.markets for _ in requests_of(subject, subject.instrument(m))
        ):
            subject.undeclared("request")

        async def scenario(world: World) -> None:
            for market in subject.markets:
                for request in requests_of(subject, subject.instrument(market)):
                    for how in sorted(GARBLED):
                        await _asked_again(world, request, how)

        subject.world().run(scenario)

    # --- 6 ---

    @proves(6, against=Against.NOTHING)
    def test_frames_that_permessage_deflate_compresses_say_the_same(self, subject: Subject) -> None:
        """With the WebSocket's own compression the same frames arrive as without."""
        case = _liveliest(subject)
        rng = Random(subject.seed)
        sent, received = _run(_exchange_frames(subject, case, rng, compression=True, count=40))
        _same(subject, case, sent, received)

    @proves(6)
    def test_frames_are_compressed_as_declared(self, subject: Subject) -> None:
        """Frames that the exchange compresses itself are inflated by the core; others are plain."""
        for case in subject.cases():
            wire = subject.line().open(subject.exchange.route(case.subscription))
            declared = wire.codec.compression
            wire.subscribe(case.subscription)
            wire.run(3.0)
            for frame in wire.frames:
                found = _compression_of(frame)
                if declared is None and found is not None:
                    pytest.fail(
                        f"a frame of {case} is compressed ({frame[:8].hex()}…), but the codec "
                        f"declares no compression: set `compression = Compression.{found.name}`"
                    )
                if declared is not None:
                    inflate(frame, declared)

    @proves(6, against=Against.NOTHING)
    def test_a_decompression_bomb_is_refused_and_survived(self, subject: Subject) -> None:
        """A compressed frame that is cut short, damaged, or inflates beyond the bound is unreadable
        and nothing worse: it is counted, and the connection goes on."""
        case = subject.cases()[0]
        route = subject.exchange.route(case.subscription)
        declared = subject.exchange.codec(route).compression
        if declared is None:
            subject.undeclared("compression of frames by the exchange")
        small = _compressed(b'{"zz":1}' * 100, declared)
        bad = [_compressed(b" " * (LARGEST + 1), declared), small[:-12], small[:20] + b"\xff" * 20]
        for frame in bad:
            with pytest.raises(DecodeError):
                inflate(frame, declared)

        async def scenario(world: World) -> None:
            async with world.client.subscribe(case.interest) as feed:
                await subscribed(feed)
                await settle(1.0)
                before = world.client.status().connections[0]
                for number, frame in enumerate(bad, start=1):
                    for peer in world.venue.peers:
                        peer.put(Frame(frame, text=False))
                    await settle(60.0)
                    (after,) = world.client.status().connections
                    assert after.unreadable == before.unreadable + number, (
                        f"{case}: {number} unreadable frames came; counted are "
                        f"{after.unreadable - before.unreadable}"
                    )
                    assert after.epoch == before.epoch, (
                        f"{case}: single unreadable frames, a minute apart, ended the connection"
                    )
                assert after.data > before.data, f"{case}: no data came after unreadable frames"

        subject.world().run(scenario)


async def _asked_again(world: World, request: Request[Any], how: str) -> None:
    """Fails unless a request is made again whose first answer is garbled."""
    what = f"{type(request).__name__}, first answered with {how!r}"
    before = world.client.status().request_errors
    world.venue.faults.add(f"garble,how={how},count=1")
    try:
        answer = await world.client.request(request)
    except CcrsError as error:
        raise AssertionError(
            f"{what}, fails: {error!r}. What isn't JSON is no answer of the exchange: error_of and "
            "decode raise DecodeError for it, and the client asks again"
        ) from error
    world.venue.faults.clear()
    assert world.client.status().request_errors == before + 1, f"{what}, is answered with {answer}"


def _liveliest(subject: Subject) -> Case:
    """The case whose stream brings most, so that it needs little time."""
    cases = subject.cases()

    def pace(case: Case) -> int:
        wire = subject.line().open(subject.exchange.route(case.subscription))
        wire.subscribe(case.subscription)
        wire.run(2.0)
        return len(wire.frames)

    return max(cases, key=pace)


async def _exchange_frames(
    subject: Subject, case: Case, rng: Random, *, compression: bool, count: int
) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """So many frames as a server sent them, and as they arrived behind a relay."""
    exchange = subject.make()
    route = exchange.route(case.subscription)
    codec = exchange.codec(route)
    async with (
        EmulatorServer(subject.venue(rate=200.0)) as server,
        Relay(server.url, rng) as relay,
    ):
        url = route.at(everything_at(f"http://{relay.netloc}", exchange))
        transport = HttpTransport(TransportOptions(compression=compression))
        try:
            connection = await transport.connect(url)
            await connection.send(codec.subscribe([case.subscription], "1"))
            received: list[bytes] = []
            while len(received) < count:
                received += await connection.receive()
            connection.abort()
        finally:
            await transport.aclose()
        (stream,) = relay.answers
        if compression:
            head = bytes(stream[: stream.index(b"\r\n\r\n")]).lower()
            assert b"permessage-deflate" in head, "compression was not agreed on"
        return list(messages_in(bytes(stream)))[: len(received)], received


def _same(subject: Subject, case: Case, sent: Sequence[bytes], received: Sequence[bytes]) -> None:
    assert list(received) == list(sent), f"frames of {case} arrive otherwise than they were sent"
    codec = subject.make().codec(subject.exchange.route(case.subscription))
    codec.subscribe([case.subscription], "1")
    method = codec.compression
    frames = [f if method is None else inflate(f, method) for f in received]
    messages = [m for frame in frames for m in codec.decode(frame, RECEIVED_NS)]
    assert any(isinstance(m, Data) for m in messages), f"{case} brings no data over real sockets"
    assert events_of(messages), f"{case} brings no events over real sockets"


def _run(main: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(_PATIENCE):
            return await main

    return asyncio.run(bounded())


def _compression_of(frame: bytes) -> Compression | None:
    """How a frame looks to be compressed."""
    if frame.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    try:
        frame.decode()
    except UnicodeDecodeError:
        try:
            return Compression.DEFLATE if zlib.decompressobj(-15).decompress(frame, 64) else None
        except zlib.error:
            return None
    return None


def _compressed(content: bytes, method: Compression) -> bytes:
    if method is Compression.GZIP:
        return gzip.compress(content)
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(content) + machine.flush()
