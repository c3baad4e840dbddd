"""The benchmarks' own arithmetic and frames; none of the peers is needed."""

from __future__ import annotations

import gc
import io
import math
import os
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.clients import BARE, BARE_ORJSON, CONTENDERS, OURS, Contender
from benchmarks.collector import Watch
from benchmarks.exchanges import wire
from benchmarks.frames import END, STAMP_MODULUS, Bursts, server_frame, stamp_of, stamp_text
from benchmarks.job import Collector, Job, Kind
from benchmarks.measure import Meter, cores, percentile
from benchmarks.plan import FULL, QUICK, jobs, one_round
from benchmarks.report import Key, delivered_rate, document, medians, ratios
from benchmarks.runner import cause, order_of, run, source
from benchmarks.source import client_frame, first_frame
from benchmarks.stages import bench, bursts, within
from benchmarks.tables import show
from benchmarks.worker import Arrivals

NOW_MS = 1_700_000_000_000


def unframed(data: bytes) -> list[bytes]:
    """Payloads of unmasked WebSocket text frames, read independently of what wrote them."""
    payloads = []
    while data:
        assert data[0] == 0x81
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= start + size
        payloads.append(data[start : start + size])
        data = data[start + size :]
    return payloads


def trade_bursts() -> Bursts:
    return Bursts(wire("bybit").channels["publicTrade"]("BTCUSDT"), NOW_MS)


# --- Frames -----------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=END))
def test_a_stamp_survives_as_decimal_as_float_and_as_text(stamp: int) -> None:
    text = stamp_text(stamp)
    assert stamp_of(text) == stamp_of(Decimal(text)) == stamp_of(float(text)) == stamp


def test_no_clock_stamp_is_the_closing_one() -> None:
    assert STAMP_MODULUS <= END


def test_bursts_of_any_length_share_their_frames_and_end_where_they_should() -> None:
    bursts = trade_bursts()
    long, short = bursts.blocks(1000), bursts.blocks(500)
    assert (len(long), len(short)) == (4, 2)
    assert long[0] == short[0]
    assert unframed(long[1])[:-1] == unframed(short[1])[:-1]
    assert unframed(long[1])[-1] != unframed(short[1])[-1]
    assert [b"9999.999999999" in frame for frame in unframed(b"".join(short))].index(True) == 499


@pytest.mark.parametrize("count", [0, 100, 251])
def test_a_burst_that_is_no_whole_number_of_blocks_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="multiples of 250"):
        trade_bursts().blocks(count)


@given(st.binary(max_size=200), st.sampled_from([0, 125, 126, 65_535, 65_536]))
def test_frames_of_every_length_are_told_apart(payload: bytes, size: int) -> None:
    padded = payload.ljust(size, b"x")
    block = server_frame(padded) + server_frame(b"next")
    assert unframed(block) == [padded, b"next"]
    assert first_frame(block) == server_frame(padded)


@given(st.binary(max_size=70_000), st.binary(min_size=4, max_size=4), st.binary(max_size=9))
def test_a_clients_frame_is_read_once_it_is_whole(payload: bytes, mask: bytes, rest: bytes) -> None:
    plain = server_frame(payload)
    header = plain[: len(plain) - len(payload)]
    header = bytes((header[0], header[1] | 0x80)) + header[2:]
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))
    whole = header + mask + masked
    assert client_frame(whole + rest) == (1, payload, len(whole))
    assert client_frame(whole[:-1]) is None


# --- Measuring --------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.floats(0, 1, exclude_min=True))
def test_a_percentile_is_the_least_value_that_covers_its_share(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    needed = math.ceil(share * len(values))
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_process_that_pins_itself_still_knows_the_clients_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores.cache_clear()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert cores() == (0, 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2})
    assert cores() == (0, 2)
    cores.cache_clear()


def test_a_meter_starts_after_the_warm_up_and_stops_with_the_last_frame() -> None:
    meter = Meter(frames=1000)
    assert not meter.woke(20, stamp_text(20))
    assert not meter.woke(10, stamp_text(30))
    assert not meter.woke(900, stamp_text(930))
    assert meter.woke(70, stamp_text(END))
    figures = meter.throughput()
    assert (figures["events"], figures["delivered"]) == (970, 970)


@pytest.mark.parametrize("kind", [str, float, Decimal])
def test_the_last_frame_is_known_in_every_clients_type(kind: type[str | float | Decimal]) -> None:
    meter = Meter(frames=3)
    assert not meter.woke(1, kind(stamp_text(1)))
    assert not meter.woke(1, kind(stamp_text(2)))
    assert meter.woke(1, kind(stamp_text(END)))


def test_a_merging_client_is_credited_with_all_frames_but_delivered_few() -> None:
    meter = Meter(frames=1000)
    meter.woke(1, stamp_text(100))
    meter.woke(1, stamp_text(END))
    figures = meter.throughput()
    assert (figures["events"], figures["delivered"]) == (900, 1)


def test_a_run_that_is_over_before_it_was_measured_is_no_measurement() -> None:
    meter = Meter(frames=1000)
    meter.woke(1, stamp_text(1))
    with pytest.raises(ValueError, match="over before"):
        meter.woke(1, stamp_text(END))


def test_a_watch_counts_collections_and_their_pauses() -> None:
    watch = Watch()
    watch.begin()
    gc.collect(0)
    gc.collect(2)
    watch.end()
    gc.collect(2)
    figures = watch.figures()
    assert figures["collections_0"] >= 1
    assert figures["collections_2"] == 1
    assert figures["longest_2_us"] / 1e6 > 0
    assert 0 < figures["collecting_share"] < 1


def test_a_connection_that_fell_silent_is_noticed() -> None:
    arrivals = Arrivals()
    arrivals("A", 1)
    arrivals("B", 1)
    arrivals.begin()
    assert arrivals.silent == 2
    arrivals("B", 2)
    assert arrivals.silent == 1


def test_lost_repeated_and_swapped_arrivals_are_noticed() -> None:
    for numbers, lost in (((1, 2, 3), 0), ((1, 3), 1), ((2, 3), 1), ((1, 1), 1), ((1, 3, 2), 3)):
        arrivals = Arrivals()
        for number in numbers:
            arrivals("S", number)
        assert arrivals.lost == lost, numbers


# --- Results ----------------------------------------------------------------------------------


def burst_of(
    client: str, case: str, rate: float, delivered: float = 1.0
) -> tuple[Key, dict[str, float]]:
    key = ("throughput", case, client, 1)
    return key, {
        "events": rate,
        "delivered": rate * delivered,
        "cpu_s": 1.0,
        "events_per_cpu_s": rate,
    }


def paced(client: str, case: str, micros: float, delivered: float) -> tuple[Key, dict[str, float]]:
    figures = {"p50_us": micros, "p99_us": 2 * micros, "p999_us": 3 * micros}
    return ("latency", case, client, 1), figures | {"delivered": delivered, "cpu_s": 1.0}


def test_ratios_are_ours_over_theirs_on_the_same_transport() -> None:
    found = dict(
        [
            burst_of("aiohttp", "trades", 200_000),
            burst_of("picows", "trades", 300_000),
            burst_of("ccxt", "trades", 40_000, delivered=0.01),
            burst_of("bare_attrs", "trades", 400_000),
            burst_of("bare_picows_attrs", "trades", 500_000),
            burst_of("bare_picows", "trades", 600_000),
            paced("aiohttp", "trades", 50, 30_000),
            paced("ccxt", "trades", 100, 10_000),
            paced("picows", "top_of_book", 50, 30_000),
            paced("bare_attrs", "top_of_book", 10, 30_000),
            paced("bare_picows_attrs", "top_of_book", 40, 30_000),
        ]
    )
    flat = ratios(found)
    assert flat["trades/aiohttp/handled/vs_ccxt"] == 5.0
    assert flat["trades/aiohttp/vs_ccxt"] == 20.0  # 200,000 delivered at best, and 10,000
    assert flat["trades/picows/vs_ccxt"] == 30.0
    assert flat["trades/aiohttp/vs_bare"] == 0.5
    assert flat["trades/picows/vs_bare"] == 0.6
    assert flat["trades/picows/vs_bare_orjson"] == 0.5
    assert flat["latency/trades/aiohttp/p99/vs_ccxt"] == 0.5
    assert flat["latency/picows/p50/vs_bare"] == 1.25
    assert "latency/aiohttp/p50/vs_bare" not in flat
    assert not [name for name in flat if "cryptofeed" in name]
    assert delivered_rate(found, "trades", "cryptofeed") is None


def test_conflation_and_reading_are_compared_with_the_loop_on_the_same_transport() -> None:
    found: dict[Key, dict[str, float]] = {
        (kind, "top_of_book", client, 1): {"events_per_cpu_s": rate, "delivered": 1, "cpu_s": 1}
        for kind, client, rate in (
            ("throughput", "bare_attrs", 100.0),
            ("throughput", "bare_picows_attrs", 200.0),
            ("conflate", "aiohttp", 300.0),
            ("conflate", "picows", 800.0),
            ("throughput_read", "picows", 50.0),
            ("throughput_read", "bare_picows_attrs", 100.0),
        )
    }
    flat = ratios(found)
    assert flat["top_of_book/conflate/vs_bare"] == 4.0
    assert flat["top_of_book/conflate_aiohttp/vs_bare"] == 3.0
    assert flat["top_of_book/picows/read/vs_bare"] == 0.5


def test_ratios_of_other_exchanges_begin_with_their_name() -> None:
    def measured(exchange: str, rate: float) -> list[tuple[Job, dict[str, float]]]:
        figures = {"aiohttp": rate, "ccxt": 100.0}
        return [
            (
                Job(kind="throughput", client=client, exchange=exchange, case="trades"),
                {"events": of, "delivered": of, "cpu_s": 1.0, "events_per_cpu_s": of},
            )
            for client, of in figures.items()
        ]

    written = document(QUICK, measured("bybit", 200.0) + measured("okx", 300.0), [], {})
    assert written["ratios"]["trades/aiohttp/vs_ccxt"] == 2.0
    assert written["ratios"]["okx/trades/aiohttp/vs_ccxt"] == 3.0
    assert {row["exchange"] for row in written["medians"]} == {"bybit", "okx"}
    console = Console(file=io.StringIO(), width=160)
    show(console, measured("okx", 300.0), [], {})
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "OKX, trades" in text
    assert "Bybit" not in text


def test_a_copys_cost_is_what_further_connections_add() -> None:
    found: dict[Key, dict[str, float]] = {
        ("racing", "top_of_book", "picows", 1): {"cpu_s": 1.0, "delivered": 1000},
        ("racing", "top_of_book", "picows", 5): {"cpu_s": 3.0, "delivered": 1000},
        ("racing_paced", "top_of_book", "aiohttp", 1): {"cpu_s": 1.0, "delivered": 1000},
        ("racing_paced", "top_of_book", "aiohttp", 5): {"cpu_s": 5.0, "delivered": 1000},
    }
    assert ratios(found) == {
        "racing/picows/duplicate_vs_event": 0.5,
        "racing/paced/aiohttp/duplicate_vs_event": 1.0,
    }


def test_of_both_transports_the_costlier_connections_are_reported() -> None:
    figures = {"cpu_us_per_event": 50.0, "cpu_s": 1.0}
    found: dict[Key, dict[str, float]] = {
        ("connections", "top_of_book", "aiohttp", 9): figures | {"kib_each": 24.0, "lost": 0},
        ("connections_busy", "top_of_book", "aiohttp", 9): figures | {"kib_each": 25.0, "lost": 0},
        ("connections_busy", "top_of_book", "picows", 9): figures | {"kib_each": 15.0, "lost": 3},
    }
    flat = ratios(found)
    assert (flat["connections/9/kib_each"], flat["connections/9/lost"]) == (25.0, 3)
    assert flat["connections/9/picows/kib_each"] == 15.0
    assert flat["connections/9/aiohttp/lost"] == 0


def test_what_any_repetition_lost_stays_visible() -> None:
    job = Job(kind="connections", client="aiohttp", connections=9)
    found = medians([(job, {"lost": lost}) for lost in (0, 0, 4)])
    assert list(found.values()) == [{"lost": 4}]


@pytest.mark.parametrize(
    "results", [[], ["throughput"], ["racing", "connections"], ["interleaved"]]
)
def test_tables_of_whatever_was_measured_can_be_shown(results: list[str]) -> None:
    figures = dict.fromkeys(
        (
            *("events", "delivered", "cpu_s", "wall_s", "events_per_cpu_s", "kib_each", "lost"),
            *("cpu_percent", "cpu_us_per_event", "ready_s"),
        ),
        1.0,
    )
    console = Console(file=io.StringIO(), width=160)
    measured = [(job, figures) for job in one_round(QUICK, CONTENDERS) if job.kind in results]
    show(
        console,
        measured,
        [(Job(kind="latency", client="ccxt"), "why")],
        {"bybit": {"ccxt": ["ccxt"]}},
    )
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "failed: latency bybit top_of_book ccxt (1): why" in text
    assert ("racing on 5" in text) == ("racing" in results)
    assert ("300 topics" in text) == ("interleaved" in results)
    assert ("not installed" in text) == ("throughput" in results)


def test_repetitions_are_reduced_to_their_median() -> None:
    job = Job(kind="throughput", client="aiohttp", case="trades")
    found = medians([(job, {"cpu_s": value}) for value in (3.0, 1.0, 100.0)])
    assert found == {("throughput", "trades", "aiohttp", 1): {"cpu_s": 3.0}}


def test_the_document_names_no_machine_and_no_path() -> None:
    job = Job(kind="throughput", client="aiohttp", case="trades", port=12345)
    _, figures = burst_of("aiohttp", "trades", 200_000)
    written = document(QUICK, [(job, figures)], [(job, "why")], {"bybit": {"ccxt": ["ccxt"]}})
    text = orjson.dumps(written).decode()
    assert "12345" not in text
    assert "/" not in orjson.dumps(written["environment"]).decode()
    assert written["failures"][0]["cause"] == "why"
    assert written["not_installed"] == {"ccxt": ["ccxt"]}


def test_rounds_are_interleaved_and_clients_alternate() -> None:
    planned = jobs(FULL, CONTENDERS)
    once = one_round(FULL, CONTENDERS)
    assert planned[: len(once)] == planned[len(once) : 2 * len(once)] == once
    assert [job.client for job in planned[: len(CONTENDERS)]] == list(CONTENDERS)
    assert FULL.repetitions >= 5
    streams = [job for job in planned if not job.kind.startswith("connections")]
    assert all(streams.count(job) == FULL.repetitions for job in streams)
    assert {job.connections for job in planned} == {1, 5, 50, 500, 2000}
    busy = [job for job in once if job.kind == "connections_busy"]
    assert {(job.client, job.connections, job.rate) for job in busy} >= {
        ("aiohttp", 2000, 10_000.0),
        ("picows", 2000, 10_000.0),
    }


def test_other_exchanges_are_measured_in_what_depends_on_them() -> None:
    planned = one_round(FULL, CONTENDERS, exchange="binance")
    assert {job.exchange for job in planned} == {"binance"}
    kinds = {"throughput", "throughput_read", "interleaved", "conflate", "latency"}
    assert {job.kind for job in planned} == kinds
    assert {job.case for job in planned} == {"top_of_book", "trades", "depth"}


def test_the_loop_is_that_of_this_library_and_of_the_bare_loops() -> None:
    loops = {job.client: job.loop for job in jobs(QUICK, CONTENDERS, "uvloop")}
    assert {client for client, loop in loops.items() if loop == "asyncio"} == {"ccxt", "cryptofeed"}
    assert {job.loop for job in jobs(QUICK, CONTENDERS)} == {"asyncio"}


def test_what_races_in_bursts_is_numbered_and_what_is_paced_is_clocked() -> None:
    racing = Job(kind="racing_bursts", client="picows", count=100, rate=20_000.0, connections=5)
    order = order_of(racing)
    assert (order.mode, order.rate, order.block) == ("burst", 20_000.0, Bursts.SMALL_BLOCK)
    assert order_of(attrs.evolve(racing, kind="racing_paced")).mode == "paced"
    saturated = order_of(attrs.evolve(racing, kind="racing", rate=None))
    assert (saturated.mode, saturated.rate, saturated.block) == ("burst", 0.0, Bursts.BLOCK)


def test_every_client_of_ours_is_compared_with_loops_on_its_own_transport() -> None:
    assert set(BARE) == set(BARE_ORJSON) == set(OURS)
    for client in OURS:
        transport = CONTENDERS[client].transport
        assert transport in CONTENDERS[BARE[client]].packages
        assert transport in CONTENDERS[BARE_ORJSON[client]].packages


def test_this_library_needs_the_exchanges_plugin() -> None:
    ours = Contender("none", "none", ("json",), 1, transport="aiohttp")
    assert ours.missing("nowhere") == ["ccrs_nowhere"]


def test_a_peer_that_is_not_installed_is_named() -> None:
    absent = Contender("none", "none", ("no_such_package", "json"), 1)
    assert absent.missing() == ["no_such_package"]


def test_the_cause_of_a_failure_is_found_within_an_exception_group() -> None:
    complaint = (
        "  + Exception Group Traceback (most recent call last):\n"
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)\n"
        "    | ccrs_core.errors.DecodeError: bad\n"
        "    +------------------------------------\n"
    )
    assert cause(complaint) == "ccrs_core.errors.DecodeError: bad"


def installed(*clients: str) -> list[Any]:
    """Clients as parameters; those that are not installed are skipped."""
    return [
        pytest.param(
            client,
            marks=pytest.mark.skipif(
                bool(CONTENDERS[client].missing()), reason=f"{client} is not installed"
            ),
        )
        for client in clients
    ]


@pytest.mark.sockets
@pytest.mark.parametrize("client", installed(*OURS, *BARE.values(), *BARE_ORJSON.values()))
@pytest.mark.parametrize("case", wire("bybit").cases)
def test_every_frame_of_a_burst_is_delivered_once(client: str, case: str) -> None:
    with source() as frames:
        figures = run(Job(kind="throughput", client=client, case=case, count=2000), frames)
    assert figures["events"] == figures["delivered"] > 0


@pytest.mark.sockets
@pytest.mark.parametrize("client", installed(*OURS, *BARE.values()))
def test_a_consumer_that_reads_every_field_gets_every_event(client: str) -> None:
    with source() as frames:
        figures = run(Job(kind="throughput_read", client=client, count=5000), frames)
    assert figures["events"] == figures["delivered"] > 0


@pytest.mark.sockets
@pytest.mark.parametrize("client", installed(*OURS))
def test_the_closing_frame_arrives_even_where_others_are_conflated(client: str) -> None:
    with source() as frames:
        figures = run(Job(kind="conflate", client=client, count=50_000), frames)
    assert 0 < figures["delivered"] < figures["events"]


@pytest.mark.sockets
@pytest.mark.parametrize("client", installed(*OURS))
@pytest.mark.parametrize(
    ("kind", "rate"), [("racing", None), ("racing_bursts", 20_000.0), ("racing_paced", 2000.0)]
)
def test_racing_connections_deliver_every_update_once(
    client: str, kind: Kind, rate: float | None
) -> None:
    # A second of frames: a busy machine may let the client wait for a good part of it.
    count = 50_000 if rate is None else round(rate)
    job = Job(kind=kind, client=client, count=count, rate=rate, connections=5, seconds=1.0)
    with source() as frames:
        figures = run(job, frames)
    due = job.count - 1 if job.clocked else figures["events"]  # from after the first one on
    assert figures["delivered"] == due > 0


@pytest.mark.sockets
@pytest.mark.parametrize("client", installed(*OURS))
@pytest.mark.parametrize("kind", ["connections", "connections_busy"])
def test_connections_bring_everything_and_their_memory_is_counted(client: str, kind: Kind) -> None:
    job = Job(kind=kind, client=client, connections=20, rate=400.0, seconds=0.2)
    with source() as frames:
        figures = run(job, frames)
    assert figures["lost"] == 0
    assert figures["events"] > 0
    assert figures["kib_each"] > 0


@pytest.mark.sockets
@pytest.mark.parametrize("collector", ["default", "frozen", "off"])
def test_the_collectors_work_is_counted_in_a_clients_run(collector: Collector) -> None:
    job = Job(kind="garbage", client="aiohttp", count=50_000, collector=collector)
    with source() as frames:
        figures = run(job, frames)
    assert figures["delivered"] > 0
    assert (figures["collections_0"] > 0) == (collector == "default")


def test_every_stage_within_the_library_takes_time_and_loses_no_event() -> None:
    found = within(bench(), bursts(1000))
    assert len(found) >= 4
    assert all(micros > 0 for micros in found.values())
