"""The benchmarks of orders: their arithmetic, and short runs of what is installed."""

from __future__ import annotations

import io
from typing import Any

import attrs
import orjson
import pytest
from rich.console import Console

from benchmarks.orders.exchanges import NAMES, load
from benchmarks.orders.job import CONTENDERS, OURS, PEERS, Job, Kind, absent
from benchmarks.orders.meter import Meter, joined, quantiles
from benchmarks.orders.plan import FULL, KINDS, QUICK, jobs
from benchmarks.orders.report import Results, document, medians, ratios
from benchmarks.orders.runner import run
from benchmarks.orders.tables import show


def orders(cpu_us: float, place_us: float = 100.0) -> dict[str, float]:
    names = ("place_p50_us", "place_p99_us", "cancel_p50_us", "cancel_p99_us")
    return {"cpu_us": cpu_us, "per_cpu_s": 1e6 / cpu_us, **dict.fromkeys(names, place_us)}


def result(
    client: str, figures: dict[str, float], number: int = 0, kind: Kind = "single"
) -> tuple[int, Job, dict[str, float]]:
    return number, Job(kind=kind, client=client, count=1), figures


# --- Measuring -------------------------------------------------------------------------------


def test_a_pair_is_timed_from_call_to_answer_and_from_answer_to_answer() -> None:
    meter = Meter()
    meter.begin()
    meter.pair(1_000, 4_000, 9_000)
    meter.end()
    figures = meter.figures(1)
    assert (figures["place_p50_us"], figures["cancel_p99_us"]) == (3.0, 5.0)
    assert figures["cpu_us"] >= 0


def test_quantiles_are_of_all_times_in_microseconds() -> None:
    times = [1000 * each for each in range(100, 0, -1)]
    assert quantiles("fill", times) == {"fill_p50_us": 50.0, "fill_p99_us": 99.0}


def test_a_fills_way_begins_where_the_venue_writes_it_and_what_is_amiss_is_counted() -> None:
    stamps = {"a": 1_000, "b": 2_000, "c": 3_000, "d": 4_000}
    arrivals = [("a", 99_000), ("b", 5_000), ("c", 6_000), ("c", 6_000)]
    figures = joined({"cpu_us": 7.0, "arrivals": arrivals}, stamps, skip=1)
    assert figures == {"cpu_us": 7.0, "fill_p50_us": 3.0, "fill_p99_us": 3.0, "lost": 2}


# --- Reporting -------------------------------------------------------------------------------


def test_cpu_is_compared_within_a_round_and_by_the_least_of_each() -> None:
    results: Results = [
        result("memory", orders(100.0)),
        result("ccxt", orders(300.0)),
        result("memory", orders(200.0), 1),  # a round on a busy machine
        result("ccxt", orders(600.0), 1),
        result("memory", orders(100.0), 2),
        result("ccxt", orders(500.0), 2),
        result("memory", orders(1.0), 3),  # whose peer failed
    ]
    flat = ratios(results)
    assert flat["bybit/single/memory/cpu/vs_ccxt"] == 3.0
    assert flat["bybit/single/memory/cpu/vs_ccxt/least"] == 300.0
    assert not any("rest" in name for name in flat)


def test_exchanges_are_compared_within_each() -> None:
    def at(exchange: str, client: str, cpu_us: float) -> tuple[int, Job, dict[str, float]]:
        return 0, Job(kind="single", exchange=exchange, client=client, count=1), orders(cpu_us)

    results: Results = [
        at("bybit", "memory", 100.0),
        at("bybit", "ccxt", 200.0),
        at("okx", "memory", 100.0),
        at("okx", "ccxt", 50.0),
        at("binance", "memory", 100.0),  # where the peer wasn't measured
    ]
    flat = {name: value for name, value in ratios(results).items() if "least" not in name}
    assert flat == {"bybit/single/memory/cpu/vs_ccxt": 2.0, "okx/single/memory/cpu/vs_ccxt": 0.5}


def test_durability_is_what_it_adds_to_the_same_way_with_the_memory_store() -> None:
    results: Results = [
        result("memory", orders(1.0, 100.0)),
        result("full", orders(1.0, 2100.0)),
        result("rest_memory", orders(1.0, 300.0)),
        result("rest_normal", orders(1.0, 350.0)),
    ]
    added = {name: value for name, value in ratios(results).items() if "durability" in name}
    assert added == {
        "bybit/durability/single/full/added_us": 2000.0,
        "bybit/durability/single/rest_normal/added_us": 50.0,
    }


def test_what_was_lost_is_summed_over_the_rounds() -> None:
    fills = {"cpu_us": 2.0, "lost": 1.0}
    key = ("bybit", "fills", "memory")
    results: Results = [result("memory", fills, n, "fills") for n in range(3)]
    assert medians(results)[key] == {"cpu_us": 2.0, "lost": 3.0, "cpu_us_min": 2.0}


def test_rounds_are_whole_and_clients_alternate() -> None:
    clients = [("bybit", name) for name, each in CONTENDERS.items() if "bybit" in each.exchanges]
    planned = jobs(FULL, clients)
    once = len(planned) // FULL.rounds
    assert [job for _, job in planned[:once]] == [job for _, job in planned[once : 2 * once]]
    assert [("bybit", job.client) for _, job in planned[: len(clients)]] == clients
    assert {job.kind for _, job in planned} == set(KINDS)
    for _, job in planned:
        assert job.count % job.flights == job.warm_up % job.flights == 0
    assert len(jobs(QUICK, clients)) == once


def test_who_has_many_in_flight_takes_part_alone() -> None:
    everywhere = [(exchange, client) for exchange in NAMES for client in CONTENDERS]
    flying = {(job.exchange, job.client) for _, job in jobs(QUICK, everywhere, ["flight"])}
    theirs = {
        (at, client)
        for at, client in everywhere
        if at in CONTENDERS[client].exchanges and client != "pybit_rest"
    }
    assert flying == theirs
    assert {("binance", "python_binance"), ("bybit", "pybit"), ("okx", "ccxt")} <= theirs
    assert not {("okx", "pybit"), ("bybit", "python_binance")} & theirs
    told = {job.client for _, job in jobs(QUICK, everywhere, ["fills"])}
    assert told == {"memory", "normal", "full", "ccxt", "ccxt_streams", "pybit"}


def test_tables_and_document_tell_all_and_name_no_machine() -> None:
    fill = {"cpu_us": 5.0, "per_s": 9.0, "fill_p50_us": 1.0, "fill_p99_us": 2.0, "lost": 0.0}
    results: Results = [
        *(result(client, orders(100.0)) for client in ("memory", "normal", "ccxt", "rest_memory")),
        *(result(client, fill, kind="fills") for client in ("memory", "full")),
    ]
    job = Job(kind="flight", client="ccxt", count=1, port=12345, ledger="/somewhere")
    console = Console(file=io.StringIO(), width=160)
    show(console, results, [(job, "why")], {("bybit", "pybit"): ["pybit"]})
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "ccxt.pro, WebSocket: 1.00",
        "not installed",
        "durability",
        "failed: bybit flight ccxt",
    ):
        assert part in text
    written = orjson.dumps(
        document(QUICK, results, [(job, "why")], {("bybit", "pybit"): ["pybit"]})
    ).decode()
    assert "12345" not in written
    assert "somewhere" not in written


def test_a_peer_that_is_not_installed_is_named() -> None:
    absent = attrs.evolve(CONTENDERS["ccxt"], packages=("no_such_package", "json"))
    assert absent.missing == ["no_such_package"]


# --- Short runs ------------------------------------------------------------------------------


def installed(*clients: str, each: bool = False) -> list[Any]:
    """Exchanges and clients as parameters: each client at the first exchange that it knows, or at
    ``each``; those that are not installed are skipped."""
    places = [
        (exchange, client)
        for client in clients
        for exchange in CONTENDERS[client].exchanges[: None if each else 1]
    ]
    gone = absent(NAMES, clients)
    return [
        pytest.param(
            *place, marks=pytest.mark.skipif(place in gone, reason="/".join(place) + " isn't there")
        )
        for place in places
    ]


def test_what_a_push_tells_are_the_fills_in_it() -> None:
    pushes = {
        "bybit": {"data": [{"execId": "1"}, {"execId": "2"}]},
        "binance": {"data": {"e": "ORDER_TRADE_UPDATE", "o": {"x": "TRADE", "t": 7}}},
        "okx": {"data": [{"tradeId": "8"}, {"tradeId": ""}]},
    }
    told = {name: list(load(name).fills(push)) for name, push in pushes.items()}
    assert told == {"bybit": ["1", "2"], "binance": ["7"], "okx": ["8"]}
    opened = {"e": "ORDER_TRADE_UPDATE", "o": {"x": "NEW", "t": 0}}
    assert not list(load("binance").fills(opened))


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("exchange", "client"),
    [*installed(*OURS[1:], *PEERS), *installed("memory", each=True)],
)
def test_pairs_of_orders_are_placed_and_canceled(exchange: str, client: str) -> None:
    flights = 4 if CONTENDERS[client].flight else 1
    job = Job(kind="flight", exchange=exchange, client=client, count=8, flights=flights)
    figures = run(job)
    assert figures["place_p99_us"] >= figures["place_p50_us"] > 0
    assert figures["cancel_p50_us"] > 0
    assert figures["cpu_us"] > 0


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("exchange", "client"),
    [
        *installed(*(n for n, each in CONTENDERS.items() if each.fills and n != "memory")),
        *installed("memory", each=True),
    ],
)
@pytest.mark.parametrize("rate", [500.0, 0.0])
def test_every_fill_comes_once_and_after_it_was_written(
    exchange: str, client: str, rate: float
) -> None:
    kind: Kind = "fills" if rate else "fills_busy"
    figures = run(Job(kind=kind, exchange=exchange, client=client, count=40, rate=rate))
    assert figures["lost"] == 0
    assert figures["fill_p50_us"] > 0
