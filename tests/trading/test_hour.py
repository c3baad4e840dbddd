"""An hour of steady quoting in virtual time leaves memory flat."""

from __future__ import annotations

from ccrs_core.conformance.workbench.subject import Subject
from tests.trading.hours import Quoting, grown, remembering


def test_an_hour_of_quoting_leaves_memory_flat() -> None:
    quoting = Quoting(Subject("bybit"))
    with remembering(60):
        ten, thirty, sixty = quoting.run(600, 1800, 3600)
    # Orders, fills, drops and lost answers there were.
    assert quoting.fills > 500
    assert quoting.calls > 6000
    assert not grown(ten, thirty, 60), (ten.total(), thirty.total())
    assert not grown(thirty, sixty, 60), (thirty.total(), sixty.total())
