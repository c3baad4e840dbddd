"""Minutes of steady quoting leave memory flat; an hour of it is in ``test_hour``."""

from __future__ import annotations

from ccrs_core.conformance.workbench.subject import Subject
from tests.trading.hours import Quoting, grown, remembering


def test_minutes_of_quoting_leave_memory_flat() -> None:
    quoting = Quoting(Subject("bybit"))
    with remembering(10):
        before, after = quoting.run(60, 120)
    assert quoting.fills > 10
    assert not grown(before, after, 20)
