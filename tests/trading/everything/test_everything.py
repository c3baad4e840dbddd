"""Three exchanges, six accounts, everything at once: the ledgers are the exchanges' truth."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.trading.everything.conductor import Conductor
from tests.trading.everything.hour import Hour
from tests.trading.hours import grown, remembering


@pytest.mark.sockets
@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL to send")
def test_a_program_on_three_exchanges_that_is_killed_knows_each_order_and_fill_once(
    tmp_path: Path,
) -> None:
    conductor = Conductor(tmp_path, 5, longest=2.0)
    report = asyncio.run(conductor.run(kills=2))
    assert report.kills.total() == 2
    assert sum(each.fills for each in report.accounts) > 0, str(report)
    assert not report.wrong, str(report)


def test_an_hour_on_three_exchanges_ends_with_what_the_tapes_say_and_flat_memory(
    tmp_path: Path,
) -> None:
    with remembering(60):
        outcome = Hour(tmp_path, 1).run(600, 1800, 3600)
    ten, thirty, sixty = outcome.objects
    assert not outcome.wrong, str(outcome)
    # Orders, fills and faults there were, at each.
    assert all(each.fills > 100 for each in outcome.accounts), str(outcome)
    assert outcome.faults.total() > 100
    # An account remembers so many orders, a little more where they end while it looks.
    assert not grown(ten, thirty, 120), (ten.total(), thirty.total())
    assert not grown(thirty, sixty, 120), (thirty.total(), sixty.total())
