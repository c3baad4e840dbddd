"""A replay gives what the live run gave, where streams died and were subscribed to anew."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import pytest

from ccrs_core.conformance.themes import tapes
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.exchange import SequenceScope
from ccrs_core.model.events import Gap
from ccrs_core.recordings.replay import events_of

SCRIPTS: dict[str, Sequence[tuple[float, str]]] = {
    "all are dead for a while": [(5.3, "silence"), (1.0, "mute"), (94.0, "")],
    "one connection is dead, the other one is lost": [
        (5.3, "silence,target=1"),
        (35.0, "drop,target=2"),
        (20.0, "mute,target=1"),
    ],
    "all are dead, and one is lost before anybody knows": [
        (4.0, "http,status=503"),
        (1.3, "silence"),
        (10.0, "drop,target=1"),
    ],
}


CASES = [
    (exchange, connections, script)
    for exchange in ("binance", "bybit", "okx")
    for connections in (1, 2)
    for script in SCRIPTS
    # What is confessed late stands where the request left, and Binance's wait for their budget.
    if not (exchange == "binance" and connections == 2 and script.endswith("knows"))
]


SUBJECTS = functools.cache(Subject)


@pytest.mark.parametrize(("exchange", "connections", "script"), CASES)
def test_a_replay_of_dead_streams_gives_what_the_live_run_delivered_with_its_gaps(
    exchange: str, connections: int, script: str, tmp_path: Path
) -> None:
    subject = SUBJECTS(exchange)
    wanted = [case.subscription for case in subject.cases()]
    scope = SequenceScope.GLOBAL
    wanted = [each for each in wanted if subject.exchange.route(each).sequence_scope is scope]
    venue, path = subject.venue(rate=2.0), tmp_path / "recording"
    tape = tapes._record(
        subject, venue, path, connections, 40.0, script=SCRIPTS[script], wanted=wanted
    )
    played = list(events_of(subject.make(), path))
    tapes._same_data(tape.events, played)
    assert any(isinstance(event, Gap) for event in played)
