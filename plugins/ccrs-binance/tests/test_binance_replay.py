"""Replays of books that start from a request, wherever it went."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ccrs_binance import Binance
from ccrs_binance.foreign import instrument_of

from ccrs_core import Channel, Market, Subscription
from ccrs_core.recordings.files import RecordingWriter
from ccrs_core.recordings.format import Header, Http, Opened, Received
from ccrs_core.recordings.replay import Replay


@pytest.mark.parametrize(
    ("addresses", "asked", "valid"),
    [
        ({}, "https://api.binance.com", True),
        ({"rest": "https://proxy.test/binance"}, "https://proxy.test/binance", True),
        ({"rest": "https://proxy.test/binance"}, "https://other.test/binance", False),
    ],
)
def test_the_snapshot_is_known_by_where_it_was_asked_for(
    tmp_path: Path, addresses: dict[str, str], asked: str, valid: bool
) -> None:
    instrument = instrument_of("BTCUSDT", Market.SPOT)
    assert instrument is not None
    subscription = Subscription(Channel.BOOK, instrument, depth=1000)
    header = Header(
        ns=1,
        exchange="binance",
        exchange_version="1",
        core_version="1",
        environment="mainnet",
        subscriptions=(subscription,),
        addresses=addresses,
    )
    change = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 8, "u": 9, "b": [], "a": []}
    frame = json.dumps({"stream": "btcusdt@depth@100ms", "data": change}).encode()
    book = {"lastUpdateId": 8, "bids": [["1", "2"]], "asks": [["3", "4"]]}
    url = f"{asked}/api/v3/depth?symbol=BTCUSDT&limit=1000"
    with RecordingWriter(tmp_path / "r.jsonl") as writer:
        writer.begin(header)
        writer.write(Opened(2, 1, "wss://stream.binance.com:9443/stream"))
        writer.write(Received(3, 1, frame))
        writer.write(Http(4, "GET", url, 200, json.dumps(book).encode()))
    playing = Replay(Binance(), tmp_path / "r.jsonl")
    seen = [playing.books[subscription].valid for _ in playing.steps()]
    assert any(seen) is valid
