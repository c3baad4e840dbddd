"""Many topics whose frames take turns on one connection: frames, plan, ratios, the way within."""

from __future__ import annotations

import asyncio
import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.clients import BARE, BARE_ORJSON, CONTENDERS, OURS
from benchmarks.exchanges import NAMES, wire
from benchmarks.frames import Frames, Interleaved
from benchmarks.interleaved import bursts, turns, whole
from benchmarks.interleaved import ratios as turn_by_turn
from benchmarks.job import Job
from benchmarks.plan import FULL, INTERLEAVED, QUICK, one_round
from benchmarks.report import Key, document, key_of, ratios
from benchmarks.runner import run, source

NOW_MS = 1_700_000_000_000


@given(st.integers(1, 5), st.integers(1, 20))
def test_frames_of_several_topics_take_turns_and_are_stamped_together(
    topics: int, count: int
) -> None:
    def named(number: int) -> Frames:
        return lambda now_ms, stamp: f"{number} {now_ms} {stamp}"

    make = Interleaved([named(number) for number in range(topics)])
    found = [make(NOW_MS + stamp, stamp) for stamp in range(count)]
    assert found == [f"{stamp % topics} {NOW_MS + stamp} {stamp}" for stamp in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_as_many_symbols_are_named_as_there_are_topics_and_the_measured_one_first(
    name: str,
) -> None:
    job = Job(kind="interleaved", client="bare", exchange=name, topics=300)
    said = wire(name)
    assert (job.natives[0], job.symbols[0]) == (said.native, said.symbol)
    assert len(set(job.natives)) == len(set(job.symbols)) == 300


def test_many_topics_are_measured_with_every_client_and_on_other_exchanges_with_ours() -> None:
    def planned(exchange: str) -> set[tuple[str, str, int]]:
        jobs = one_round(FULL, CONTENDERS, exchange=exchange)
        interleaved = [job for job in jobs if job.kind == "interleaved"]
        assert all(job.connections == 1 for job in interleaved)
        return {(job.client, job.case, job.topics) for job in interleaved}

    for exchange, clients in (("bybit", tuple(CONTENDERS)), ("okx", OURS)):
        wanted = itertools.product(clients, ("top_of_book", "trades"), (1, 20, 100, 300))
        assert planned(exchange) == set(wanted)


def test_many_topics_are_compared_with_one_and_with_the_others() -> None:
    found: dict[Key, dict[str, float]] = {
        ("interleaved", "trades", client, topics): {"events_per_cpu_s": rate}
        for client, topics, rate in (
            ("picows", 1, 300.0),
            ("picows", 100, 200.0),
            ("ccxt", 1, 50.0),
            ("ccxt", 100, 40.0),
        )
    }
    assert ratios(found) == {
        "interleaved/1/trades/picows/vs_ccxt": 6.0,
        "interleaved/100/trades/picows/vs_ccxt": 5.0,
        "interleaved/100/trades/picows/vs_one": 1.5,
        "interleaved/100/trades/ccxt/vs_one": 1.25,
    }


def test_topics_are_counted_apart_from_connections() -> None:
    many = Job(kind="interleaved", client="ccxt", topics=20)
    written = document(QUICK, [(many, {"events_per_cpu_s": 1.0})], [], {})
    assert [row["topics"] for row in written["medians"]] == [20]
    assert key_of(many) != key_of(attrs.evolve(many, topics=100))


@pytest.mark.sockets
@pytest.mark.parametrize(
    "client",
    [
        pytest.param(
            client,
            marks=pytest.mark.skipif(
                bool(CONTENDERS[client].missing()), reason=f"{client} is not installed"
            ),
        )
        for client in (*OURS, *BARE.values(), *BARE_ORJSON.values())
    ],
)
@pytest.mark.parametrize("case", INTERLEAVED)
def test_every_frame_of_topics_that_take_turns_is_delivered_once(client: str, case: str) -> None:
    job = Job(kind="interleaved", client=client, case=case, count=2000, topics=60)
    with source() as frames:
        figures = run(job, frames)
    assert figures["events"] == figures["delivered"] > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", INTERLEAVED)
def test_topics_that_take_turns_go_through_the_client_without_a_socket(
    name: str, case: str
) -> None:
    made = [
        Job(
            kind="interleaved", client="aiohttp", exchange=name, case=case, count=200, topics=topics
        )
        for topics in (1, 30)
    ]
    found = turns(made, 2, 25)
    assert len(found) == 3
    for values in found.values():
        assert list(map(len, values.values())) == [2, 2]
        assert all(micros > 0 for each in values.values() for micros in each)


def test_what_is_lost_on_the_way_through_the_client_is_no_measurement() -> None:
    job = Job(kind="interleaved", client="aiohttp", count=100, topics=4)
    material = bursts(job, 10)
    material[5][3] = b"{}"
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(whole(job, material), 1.0))


def test_ratios_are_taken_turn_by_turn() -> None:
    assert turn_by_turn({1: [1.0, 10.0, 2.0], 20: [2.0, 20.0, 5.0]}) == {1: 1.0, 20: 2.0}
