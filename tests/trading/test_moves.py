"""Entries of a figure: what is asked of them is as if each were looked at, and isn't."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.trading.moves import Move, Moves, Told, within

TIMES = st.integers(0, 6)
NUMBERED = st.integers(0, 6)
SEQUENCES = st.one_of(st.just(-1), NUMBERED)
AMOUNTS = st.decimals(-100, 100, places=2)


def moves(sequences: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.builds(Move, TIMES, sequences, st.integers(1, 50), AMOUNTS)


STEPS = st.sampled_from([SEQUENCES, NUMBERED, st.just(-1)]).flatmap(
    lambda sequences: st.lists(
        st.one_of(
            moves(sequences),
            st.builds(Told, AMOUNTS, TIMES, SEQUENCES),
            st.integers(0, 5),  # how many are dropped
        ),
        max_size=30,
    )
)


@given(STEPS)
def test_any_question_is_answered_as_if_each_entry_were_looked_at(steps: list[Any]) -> None:
    found, entries = Moves(), list[Move]()
    for step in steps:
        match step:
            case Move():
                found.add(step)
                entries = sorted([*entries, step])
            case int():
                count = min(step, len(entries))
                found.drop(count)
                entries = entries[count:]
            case _:
                assert found.before(step) == sum(within(each, step) for each in entries)
                assert found.until(step.time_ns) == sum(
                    each.time_ns <= step.time_ns for each in entries
                )
        assert list(found) == entries
        for count in (len(entries) // 2, len(entries)):
            whole = sum((each.amount for each in entries[:count]), Decimal(0))
            assert found.total(count) == whole
    again = Moves(found)
    told = Told(Decimal(0), 3, 3)
    assert again.before(told) == found.before(told)


class Counted(Move):
    """Counts how often its amount or its sequence is read."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("read by place")

    @property
    def amount(self) -> Decimal:  # type: ignore[override]
        Counted.reads += 1
        return super().amount

    @property
    def sequence(self) -> int:  # type: ignore[override]
        Counted.reads += 1
        return super().sequence


def numbered(count: int) -> Iterator[Move]:
    for number in range(count):
        yield Counted(number, number, number, Decimal(1))


def test_what_waits_to_be_explained_is_not_looked_at_again_with_each_that_comes() -> None:
    found = Moves()
    told = Told(Decimal(1), 1, 1)
    for number, move in enumerate(numbered(1000)):
        found.add(move)
        latest = Told(Decimal(0), number, number)
        assert (found.before(latest), found.before(told)) == (number + 1, min(number + 1, 2))
        assert found.total(number + 1) == number + 1
    assert Counted.reads < 1000 * 40
