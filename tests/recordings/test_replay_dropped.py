"""What a replay doesn't deliver it names, stream by stream; and whose a connection is."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import orjson
import pytest

from ccrs_core.cli import run
from ccrs_core.contract.codec import Codec
from ccrs_core.contract.compression import Compression, inflate
from ccrs_core.contract.exchange import Route
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Market
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.recordings import playback
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header, Opened, Received
from ccrs_core.recordings.replay import OTHERS, Replay
from tests.toy import Toy, ToyCodec, instrument

FIXTURES = Path(os.environ.get("CCRS_FIXTURES", Path(__file__).parents[3] / "shared" / "fixtures"))
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="no shared recordings here")

TOP = Subscription(Channel.TOP_OF_BOOK, instrument("BTC"))
TRADES = Subscription(Channel.TRADES, instrument("BTC"))


class Guessing(Toy):
    def subscriptions_in(
        self, frames: Sequence[bytes], market: Market | None
    ) -> tuple[Subscription, ...]:
        return (TOP,)


def top(native: str, number: int) -> bytes:
    return orjson.dumps({"t": f"top.{native}", "n": number, "q": ["1.10", "1.20"]})


def trades(*ids: int) -> bytes:
    return orjson.dumps({"t": "trades.BTC", "ids": ids})


def played(exchange: Toy, path: Path, frames: Sequence[bytes], **how: Any) -> Replay:
    path.write_bytes(b"".join(frame + b"\n" for frame in frames))
    playing = Replay(exchange, path, **how)
    for _ in playing.steps():
        pass
    return playing


def recorded(path: Path, subscriptions: Sequence[Subscription], frames: Sequence[bytes]) -> Path:
    """A recording of our own make, of one connection."""
    with RecordingWriter(path) as writer:
        writer.begin(
            Header(
                ns=1,
                exchange="toy",
                exchange_version="1",
                core_version="1",
                environment="mainnet",
                subscriptions=tuple(subscriptions),
                addresses={"rest": "https://rest.toy", "stream": "wss://ws.toy"},
            )
        )
        writer.write(Opened(2, 1, "wss://ws.toy/v1"))
        writer.write(*(Received(ns, 1, frame) for ns, frame in enumerate(frames, start=3)))
    return path


# --- what is not delivered ---


def test_frames_of_streams_that_are_not_delivered_are_named_and_counted(tmp_path: Path) -> None:
    frames = [top("BTC", 1), top("ETH", 1), trades(1), top("ETH", 2), b'{"ok":"1"}', b'{"pong":1}']
    playing = played(Guessing(), tmp_path / "r", frames)
    assert playing.dropped == {"top.ETH": 2, "trades.BTC": 1}
    assert playing.frames == {"data": 1, "other": 5}


def test_what_is_delivered_or_late_is_not_named(tmp_path: Path) -> None:
    playing = played(Guessing(), tmp_path / "r", [top("BTC", 1), top("BTC", 1), top("BTC", 2)])
    assert playing.dropped == {}
    assert playing.frames == {"data": 3}


def test_frames_that_cannot_be_read_are_named_where_they_say_whose_they_are(
    tmp_path: Path,
) -> None:
    frames = [top("BTC", 1), top("BTC", 2).replace(b"1.10", b"x")]
    playing = played(Guessing(), tmp_path / "r", frames)
    assert playing.frames == {"data": 1, "unreadable": 1}
    assert playing.dropped == {"top.BTC": 1}


def test_channels_that_are_not_chosen_are_named_too(tmp_path: Path) -> None:
    path = recorded(tmp_path / "r", [TOP, TRADES], [top("BTC", 1), trades(1), trades(2)])
    for chosen, dropped in (
        (None, {}),
        ({Channel.TOP_OF_BOOK}, {"trades.BTC": 2}),
        ({Channel.TRADES}, {"top.BTC": 1}),
    ):
        playing = Replay(Toy(), path, channels=chosen)
        list(playing.steps())
        assert playing.dropped == dropped


def test_names_are_bounded(tmp_path: Path) -> None:
    frames = [top("BTC", 1), *(top(f"X{n}", 1) for n in range(250))]
    playing = played(Guessing(), tmp_path / "r", frames)
    assert len(playing.dropped) == 101
    assert playing.dropped[OTHERS] == 150


STRANGE = b'{"topic":"lt.BTC\\u001b[2J","type":"snapshot","ts":1,"data":{}}'
TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":'
    b'1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50","i":"20f43950-d8dd-5b31","BT"'
    b":false}]}"
)


@pytest.mark.parametrize("json", [False, True])
def test_the_command_names_what_it_does_not_deliver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    path = tmp_path / "r"
    path.write_bytes(TRADE + b"\n" + STRANGE + b"\n" + STRANGE + b"\n")
    assert run(["replay", "bybit", str(path), *(["--json"] if json else [])]) == 0
    out, err = capsys.readouterr()
    assert "\x1b[2J" not in out + err
    if json:
        assert "not delivered: 2 of topic lt.BTC" in err
        assert len(out.splitlines()) == 1
    else:
        assert "not delivered" in out
        assert "topic lt.BTC" in out


def _names_a_stream(frame: dict[str, Any]) -> bool:
    return "stream" in frame or "topic" in frame or ("arg" in frame and "data" in frame)


@needs_fixtures
@pytest.mark.parametrize(
    ("exchange", "folder"),
    [
        ("binance", "binance-spot"),
        ("binance", "binance-usdm"),
        ("bybit", "bybit"),
        ("okx", "okx"),
    ],
)
def test_no_real_frame_of_a_stream_is_lost_without_being_named(exchange: str, folder: str) -> None:
    read = 0
    for path in sorted((FIXTURES / folder / "ws").glob("*.jsonl")):
        try:
            playing = Replay(exchange, path)
        except CcrsError:
            continue  # nothing of a known stream
        for _ in playing.steps():
            pass
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        frames = [orjson.loads(each["raw"]) if "raw" in each else each for each in lines]
        named = sum(isinstance(each, dict) and _names_a_stream(each) for each in frames)
        told = playing.frames["data"] + playing.frames["late"] + playing.dropped.total()
        assert told >= named, path.name
        read += playing.frames["data"]
    assert read


# --- whose a connection is ---


class DeflatedCodec(ToyCodec):
    compression: ClassVar[Compression | None] = Compression.DEFLATE


class TwoRoutes(Toy):
    """Compresses each frame, and serves trades and the rest at one address, on routes apart."""

    def route(self, subscription: Subscription) -> Route:
        route = super().route(subscription)
        if subscription.channel is Channel.TRADES:
            return attrs.evolve(route, topics_per_request=2)
        return route

    def codec(self, route: Route) -> Codec:
        return DeflatedCodec()


def deflated(frame: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(frame) + packer.flush()


def test_a_compressed_frame_is_inflated_once_for_each_route_that_it_may_be_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated: list[bytes] = []

    def counted(frame: bytes, compression: Compression) -> bytes:
        inflated.append(frame)
        return inflate(frame, compression)

    monkeypatch.setattr(playback, "inflate", counted)
    frame = deflated(trades(7))
    playing = Replay(TwoRoutes(), recorded(tmp_path / "r", [TOP, TRADES], [frame]))
    (step,) = playing.steps()
    assert [event.type for event in step.events] == ["trade"]
    # By the first route, by the second, which it is of, and then to be delivered.
    assert inflated == [frame, frame, frame]
