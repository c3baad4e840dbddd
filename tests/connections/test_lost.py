"""What an exchange that counts a connection's messages shows to be lost: each of its streams says
so, and books are asked for anew, unless another connection makes up for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from ccrs_core import (
    Channel,
    DecodeError,
    Gap,
    Lost,
    Message,
    Reason,
    SequenceScope,
    Trade,
    book,
    trades,
)
from ccrs_core.transport.memory import Peer
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, market, world

TAPES = trades("BTC/USD"), trades("ETH/USD")


class Counting(ToyCodec):
    """Each message of the connection has a number one above that of the one before it."""

    def __init__(self) -> None:
        super().__init__()
        self._last: int | None = None

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None  # each frame has to be counted

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        number, _, rest = frame.partition(b"|")
        if not number.isdigit():
            raise DecodeError("no number", frame)
        last, self._last = self._last, int(number)
        found = super().decode(rest, received_time_ns)
        if last is not None and int(number) != last + 1:
            return (Lost(f"{int(number)} after {last}"), *found)
        return found


class CountingServer(ToyServer):
    """Numbers what it sends to each peer; what is to be dropped has a number, too."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = 0
        self.counts: dict[Peer, int] = {}

    def opened(self, peer: Peer) -> None:
        super().opened(peer)
        push = peer.push

        def numbered(*frames: bytes | str) -> None:
            for frame in frames:
                raw = frame.encode() if isinstance(frame, str) else frame
                self.counts[peer] = number = self.counts.get(peer, 0) + 1
                if self.drop:
                    self.drop -= 1
                else:
                    push(b"%d|%s" % (number, raw))

        peer.push = numbered  # type: ignore[method-assign]


def counting(scope: SequenceScope = SequenceScope.CONNECTION) -> Toy:
    return Toy(codec=Counting, scope=scope)


@scenario
async def test_every_stream_of_the_connection_is_told_a_gap_at_its_place() -> None:
    server = CountingServer()
    async with world(*TAPES, TOP, exchange=counting(), server=server) as seen:
        await market(seen, "trades.BTC", 2)
        await market(seen, "trades.ETH", 2)
        assert not seen.of(Gap)
        server.drop = 1
        await market(seen, "trades.ETH", 1)
        await market(seen, "trades.BTC", 2)
        await market(seen, "trades.ETH", 2)
        gaps = [event for event in seen.of(Gap) if event.about is Channel.TRADES]
        assert {gap.symbol for gap in gaps} == {"BTC/USD", "ETH/USD"}
        assert {gap.reason for gap in gaps} == {Reason.SEQUENCE}
        order = [e for e in seen.events if e.symbol == "BTC/USD" and isinstance(e, Trade | Gap)]
        kinds = [type(each).__name__ for each in order if getattr(each, "about", 0) != TOP.channel]
        assert kinds == ["Trade", "Trade", "Gap", "Trade", "Trade"]
        assert len(server.attempts) == 1


@scenario
async def test_a_book_is_invalid_at_once_and_asked_for_anew() -> None:
    server = CountingServer()
    async with world(book("BTC/USD"), *TAPES, exchange=counting(), server=server) as seen:
        await market(seen, "book.BTC", 3)
        kept = seen.feed.book("BTC/USD")
        valid = [kept.valid]
        server.drop = 1
        await market(seen, "book.BTC", 1)
        seen.server.mute_acks = 1  # so that the moment between can be looked at
        server.tick("trades.BTC")
        await asyncio.sleep(0.1)
        valid.append(kept.valid)
        await asyncio.sleep(10.0)
        await market(seen, "book.BTC", 2)
        valid.append(kept.valid)
        assert valid == [True, False, True]
        bids, _ = server.book("BTC")
        assert kept.best_bid is not None
        assert kept.best_bid[0] == max(bids)


@scenario
async def test_where_another_connection_brings_all_nothing_is_said() -> None:
    server = CountingServer()
    toy = counting(SequenceScope.GLOBAL)
    async with world(*TAPES, exchange=toy, server=server, connections=2) as seen:
        await market(seen, "trades.BTC", 2)
        await market(seen, "trades.ETH", 2)
        server.drop = 1  # of the first of the two
        await market(seen, "trades.BTC", 1)
        await market(seen, "trades.BTC", 3)
        await market(seen, "trades.ETH", 3)
        await asyncio.sleep(60.0)
        assert [t.trade_id for t in seen.of(Trade) if t.symbol == "BTC/USD"] == [
            f"BTC-{n}" for n in range(101, 107)
        ]
        assert not seen.of(Gap)


@pytest.mark.parametrize("named", [("trades.ETH",), ("trades.ETH", "unknown"), ("unknown",)])
def test_where_the_exchange_names_what_is_lost_only_that_is_told(named: tuple[str, ...]) -> None:
    class Naming(ToyCodec):
        def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
            if b"lost" in frame:
                return (Lost("as it says", tuple(orjson.loads(frame)["lost"])),)
            return super().decode(frame, received_time_ns)

    @scenario
    async def play() -> None:
        async with world(*TAPES, exchange=Toy(codec=Naming)) as seen:
            await market(seen, "trades.BTC", 2)
            await market(seen, "trades.ETH", 2)
            seen.server.open[0].push(orjson.dumps({"lost": named}))
            await market(seen, "trades.BTC", 2)
            await market(seen, "trades.ETH", 2)
            told = {gap.symbol for gap in seen.of(Gap)}
            assert told == ({"ETH/USD"} if "trades.ETH" in named else set())
            line = seen.client.status().connections[0]
            assert line.frames == line.data + line.control + line.unrecognised
            assert line.unreadable == 0

    play()


@scenario
async def test_losses_never_end_a_connection_however_many_there_are() -> None:
    server = CountingServer()
    async with world(*TAPES, exchange=counting(), server=server) as seen:
        for _ in range(20):
            server.drop = 1
            await market(seen, "trades.BTC", 2)
        assert len(server.attempts) == 1
        assert len([gap for gap in seen.of(Gap) if gap.symbol == "BTC/USD"]) == 20
