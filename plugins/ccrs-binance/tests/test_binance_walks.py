"""Lists that are told in windows of time and, within these, in pages by ids: each row once."""

from __future__ import annotations

import attrs
from ccrs_binance.walks import Walk, within
from hypothesis import example, given
from hypothesis import strategies as st

SPAN, PAGE = 10, 3
WALK = Walk(span_ms=SPAN, page=PAGE, asks="fromId", id="id", first=1)
NOW_MS = 60
NS_PER_MS = 10**6


@attrs.frozen
class Asked:
    """A stretch of time."""

    start_ns: int | None
    end_ns: int | None
    limit: int = 2**62


Row = dict[str, int]


def told(rows: list[Row], query: dict[str, object]) -> list[Row]:
    """What Binance answers: both bounds count, and the oldest rows come."""
    first, last = int(str(query.get("startTime", 0))), int(str(query.get("endTime", 10**9)))
    least = int(str(query.get("fromId", 0)))
    assert not ("fromId" in query and {"startTime", "endTime"} & query.keys())
    assert last - first < SPAN or "startTime" not in query
    found = [row for row in rows if first <= row["time"] <= last and row["id"] >= least]
    return found[: int(str(query["limit"]))]


def walked(request: Asked, rows: list[Row]) -> tuple[list[int], int]:
    """The ids of all rows that are read and wanted, and in how many pages."""
    found: list[int] = []
    cursor: str | None = None
    for page in range(1, 60):
        answer = told(rows, dict(WALK.query(request, cursor)))
        found += [row["id"] for row in answer if within(request, row["time"] * NS_PER_MS)]
        cursor = WALK.following(request, cursor, answer, NOW_MS)
        if cursor is None:
            return found, page
    raise AssertionError("it never ends")


@given(
    times=st.lists(st.integers(0, NOW_MS), max_size=25),
    start=st.none() | st.integers(0, NOW_MS * NS_PER_MS),
    length=st.none() | st.integers(0, NOW_MS * NS_PER_MS),
)
@example(times=[10, 20, 30], start=0, length=None)  # the first of the second window, and so on
@example(times=[9, 19, 29], start=0, length=30 * NS_PER_MS)
@example(times=[5] * PAGE, start=0, length=None)
@example(times=[5, 5, 10, 10, 10, 10], start=5 * NS_PER_MS, length=5 * NS_PER_MS)
def test_each_row_of_a_stretch_is_read_once_wherever_windows_and_pages_end(
    times: list[int], start: int | None, length: int | None
) -> None:
    rows = [{"id": 7 + n, "time": each} for n, each in enumerate(sorted(times))]
    end = None if start is None or length is None else start + length
    found, pages = walked(Asked(start, end), rows)
    expected = [
        row["id"]
        for row in rows
        if (start is None or row["time"] * NS_PER_MS >= start)
        and (end is None or row["time"] * NS_PER_MS < end)
    ]
    assert found == expected
    assert pages <= NOW_MS // SPAN + 2 + len(rows) // PAGE
