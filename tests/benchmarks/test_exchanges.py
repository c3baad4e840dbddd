"""The frames of each measured exchange, how the source talks, and a short run of each client."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.clients import CONTENDERS, OURS
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import Bursts, Ladder, stamp_of
from benchmarks.job import Job
from benchmarks.runner import ROOT, order_of, run, source

NOW_MS = 1_700_000_000_000
CHANNELS = [(name, channel) for name in NAMES for channel in wire(name).channels]
CASES = [(name, case) for name in NAMES for case in wire(name).cases]


def frames_of(name: str, channel: str, count: int) -> list[Any]:
    """The first frames of a channel, parsed."""
    make = wire(name).channels[channel](wire(name).native)
    return [orjson.loads(make(NOW_MS + number, number)) for number in range(1, count + 1)]


def numbers_of(name: str, frame: Any) -> tuple[int, ...]:
    """What only rises from frame to frame, as each exchange's documents name it."""
    data = frame.get("data", frame)
    row = data[0] if isinstance(data, list) else data
    names = {"bybit": ("u", "seq"), "okx": ("seqId", "tradeId", "ts")}
    binance = ("a",) if row.get("e") == "aggTrade" else ("u", "t")
    return tuple(int(row[each]) for each in names.get(name, binance) if each in row)


@pytest.mark.parametrize(("name", "channel"), CHANNELS)
def test_frames_are_json_whose_numbers_only_rise(name: str, channel: str) -> None:
    numbers = [numbers_of(name, frame) for frame in frames_of(name, channel, 500)]
    assert numbers[0]
    for before, after in itertools.pairwise(numbers):
        assert all(a < b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("name", "channel"), CHANNELS)
def test_bursts_of_every_channel_end_with_the_closing_stamp(name: str, channel: str) -> None:
    bursts = Bursts(wire(name).channels[channel](wire(name).native), NOW_MS, block=25)
    wire_form = b"".join(bursts.blocks(50))
    assert wire_form.count(b'"9999.999999999"') == 1
    assert wire_form.index(b'"9999.999999999"') > wire_form.index(b'"0.000000049"')


@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_hand_written_loops_find_the_stamp_of_every_frame(name: str, case: str) -> None:
    values = pytest.importorskip("benchmarks.clients.values")
    frames = frames_of(name, wire(name).cases[case], 50)
    for kind in ("throughput", "throughput_read"):
        build = values.builder(Job(kind=kind, client="bare_attrs", exchange=name, case=case))
        assert [stamp_of(build(frame)) for frame in frames] == list(range(1, 51))
    size_of = values.SIZES[name][case]
    assert [stamp_of(size_of(frame)) for frame in frames] == list(range(1, 51))
    assert all(wire(name).data_key in frame for frame in frames)


@given(st.integers(0), st.integers(1, 200))
def test_a_ladder_keeps_its_levels_and_is_never_crossed(seed: int, count: int) -> None:
    depth = 50
    ladder = Ladder(depth, seed=seed)
    whole = ladder.whole(1, ladder.dice())
    sides = [dict(levels) for levels in whole]
    for number in range(2, count + 2):
        for levels, changes in zip(sides, ladder.changes(number, ladder.dice()), strict=True):
            assert len({price for price, _ in changes}) == len(changes)
            for price, size in changes:
                if Decimal(size):
                    levels[price] = size
                else:
                    del levels[price]  # only what is there is deleted
            assert len(levels) == depth
        bids, asks = sides
        assert max(bids) < min(asks)
        assert stamp_of(bids[max(bids)]) == number


def test_levels_of_a_ladder_that_come_and_go_leave_it_uncrossed() -> None:
    ladder = Ladder(400, 5)
    sides = [dict(levels) for levels in ladder.whole(1, ladder.dice())]
    gone = changed = 0
    for number in range(2, 5000):
        for levels, changes in zip(sides, ladder.changes(number, ladder.dice()), strict=True):
            assert len({price for price, _ in changes}) == len(changes)
            changed += len(changes)
            for price, size in changes:
                if Decimal(size):
                    levels[price] = size
                else:
                    gone += 1
                    levels.pop(price, None)
            assert 300 < len(levels) <= 400
        bids, asks = sides
        assert max(bids) < min(asks)
        assert stamp_of(bids[max(bids)]) == number
    assert 0.3 < gone / changed < 0.4


def test_binances_book_is_what_its_changes_follow_on() -> None:
    said = wire("binance")
    book: Any = said.answer("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "1000"}, 1)
    first, second, *later = (frame["data"] for frame in frames_of("binance", "depth@100ms", 200))
    assert book["lastUpdateId"] == first["u"] == second["U"] - 1
    sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
    assert [len(levels) for levels in sides.values()] == [1000, 1000]
    for frame in (second, *later):
        for side, levels in sides.items():
            for price, size in frame[side]:
                if Decimal(size):
                    levels[price] = size
                else:
                    levels.pop(price, None)
    assert max(map(Decimal, sides["b"])) < min(map(Decimal, sides["a"]))


def test_okxs_changes_name_the_one_before() -> None:
    rows = [frame["data"][0] for frame in frames_of("okx", "books", 100)]
    assert rows[0]["prevSeqId"] == -1
    for before, after in itertools.pairwise(rows):
        assert after["prevSeqId"] == before["seqId"]


# --- The source -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_offered_is_refused(name: str) -> None:
    said = wire(name)
    offered, other = said.cases["trades"], said.cases["top_of_book"]
    accepted = said.heard(said.stream_path, said.subscription(offered, [said.native]), offered)
    assert list(accepted.topics) == [(offered, said.native)]
    refused = said.heard(said.stream_path, said.subscription(other, [said.native]), offered)
    assert not refused.topics
    assert refused.replies != accepted.replies


def test_binances_streams_are_raw_at_one_address_and_combined_at_the_other() -> None:
    said = wire("binance")
    assert said.opened("/stream?streams=btcusdt@trade/ethusdt@depth@100ms") == [
        ("trade", "BTCUSDT"),
        ("depth@100ms", "ETHUSDT"),
    ]
    text = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 7})
    heard = said.heard("/stream/ws/0", text, "raw:trade")
    assert list(heard.topics) == [("raw:trade", "BTCUSDT")]
    assert [json.loads(reply) for reply in heard.replies] == [{"result": None, "id": 7}]


def test_what_is_asked_on_okxs_streams_is_answered() -> None:
    said = wire("okx")
    assert list(said.heard("/ws/v5/public", "ping", "books").replies) == ["pong"]
    text = json.dumps({"id": "4", "op": "subscribe", "args": [{"channel": "books", "instId": "X"}]})
    (reply,) = said.heard("/ws/v5/public", text, "books").replies
    assert json.loads(reply)["event"] == "subscribe"
    assert json.loads(reply)["id"] == "4"


@pytest.mark.parametrize("name", NAMES)
def test_every_symbol_is_listed(name: str) -> None:
    said = wire(name)
    (first, base), (second, _) = said.symbols(2)
    assert (first, base) == (said.native, "BTC")
    path, query = {
        "bybit": ("/v5/market/instruments-info", {"category": "linear"}),
        "binance": ("/api/v3/exchangeInfo", {}),
        "okx": ("/api/v5/public/instruments", {"instType": "SPOT"}),
    }[name]
    text = json.dumps(said.answer(path, query, 2))
    assert f'"{first}"' in text
    assert f'"{second}"' in text
    assert said.answer("/elsewhere", {}, 1) is None


@pytest.mark.sockets
def test_what_the_source_does_not_have_is_not_found() -> None:
    with source() as frames:
        at = f"http://127.0.0.1:{frames.port}"
        with urlopen(f"{at}/v5/market/time") as response:
            assert json.load(response)["retCode"] == 0
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{at}/elsewhere")


# --- Clients ----------------------------------------------------------------------------------


def runs(*clients: str, names: tuple[str, ...] = NAMES) -> list[Any]:
    """Exchange, case and client; those that are not installed are skipped."""
    return [
        pytest.param(
            name,
            case,
            client,
            marks=pytest.mark.skipif(
                bool(CONTENDERS[client].missing(name)), reason=f"{client} is not installed"
            ),
        )
        for name in names
        for case in wire(name).cases
        for client in clients
    ]


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("name", "case", "client"),
    runs(*OURS, names=NAMES[1:]) + runs("cryptofeed"),
)
def test_every_frame_is_delivered_once(name: str, case: str, client: str) -> None:
    with source() as frames:
        job = Job(kind="throughput", client=client, exchange=name, case=case, count=2000)
        figures = run(job, frames)
    assert figures["events"] == figures["delivered"] > 0


@pytest.mark.sockets
@pytest.mark.parametrize(("name", "case", "client"), runs("ccxt"))
def test_a_merging_client_sees_the_last_frame(name: str, case: str, client: str) -> None:
    with source() as frames:
        job = Job(kind="throughput", client=client, exchange=name, case=case, count=5000)
        figures = run(job, frames)
    assert 0 < figures["delivered"] <= figures["events"]


@pytest.mark.sockets
@pytest.mark.parametrize("client", ["aiohttp", "bare_attrs"])
@pytest.mark.parametrize("name", NAMES[1:])
def test_paced_frames_of_a_book_arrive_with_their_times(name: str, client: str) -> None:
    if missing := CONTENDERS[client].missing(name):
        pytest.skip(f"not installed: {missing}")
    job = Job(kind="latency", client=client, exchange=name, case="depth", count=500, rate=5000.0)
    with source() as frames:
        figures = run(job, frames)
    assert figures["delivered"] == job.count - 1
    assert 0 < figures["p50_us"] < 1e6


@pytest.mark.sockets
@pytest.mark.skipif(
    bool(CONTENDERS["aiohttp"].missing("binance")), reason="ccrs_binance is not installed"
)
def test_the_command_measures_the_exchange_that_is_asked_for(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--exchange", "binance", "--quick"]
    command += ["--only", "aiohttp", "bare_attrs", "--kinds", "throughput", "--json", str(written)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Binance, diff-depth book" in done.stdout
    ratios = json.loads(written.read_text())["ratios"]
    assert set(ratios) == {
        f"binance/{case}/aiohttp/vs_bare" for case in ("top_of_book", "trades", "depth")
    }


def test_a_book_is_held_back_for_who_keeps_one() -> None:
    def held_back(client: str, exchange: str) -> bool:
        case = "book50" if exchange == "bybit" else "depth"
        job = Job(kind="throughput", client=client, exchange=exchange, case=case, count=250)
        return order_of(job).held_back

    assert held_back("aiohttp", "binance")
    assert held_back("ccxt", "binance")
    assert not held_back("bare", "binance")
    assert not held_back("aiohttp", "okx")
    assert not held_back("aiohttp", "bybit")
