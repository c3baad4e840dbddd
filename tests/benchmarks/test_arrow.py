"""Events go into Arrow several times as fast as row by row, on a machine however busy."""

from __future__ import annotations

import pytest

from benchmarks.arrow import BY_ROWS, KINDS, main, measured


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_made_several_times_as_fast_as_rows(kind: str) -> None:
    took = measured(kind, 20_000)
    # Five times and more; half of it where others use the processor's caches.
    assert took[BY_ROWS] > 3 * took["to_arrow"]


def test_it_says_how_many_times_as_fast(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--events", "500", "--rounds", "1"])
    assert "to_arrow, exact" in capsys.readouterr().out
