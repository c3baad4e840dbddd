"""How much Python a frame takes: the same each time, and no more than it did."""

from __future__ import annotations

import sys

import pytest

from benchmarks.exchanges import NAMES
from benchmarks.instructions import CASES, per_frame

MOST = {"top_of_book": 270.0, "trades": 440.0}
"""Instructions: a tenth above what Python 3.11 takes."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_a_frame_that_is_not_read_takes_no_more_than_it_did(name: str, case: str) -> None:
    if sys.version_info[:2] != (3, 11):
        pytest.skip("versions of Python differ in their instructions")
    assert per_frame(name, case, 1, frames=500)[0] <= MOST[case]


def test_the_tally_is_the_same_each_time() -> None:
    first, second = (per_frame("bybit", "top_of_book", 20, frames=500) for _ in range(2))
    assert first == pytest.approx(second, rel=0.02)
