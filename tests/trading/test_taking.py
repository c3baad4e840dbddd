"""Reports on their way into the ledger: the store is asked until all is taken, and what is of no
known instrument waits in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from ccrs_core.trading.change import NOTHING, Change
from ccrs_core.trading.store import Known, Wanted
from ccrs_core.trading.taking import Taking
from ccrs_core.transport.memory import VirtualClock
from tests.trading.books import Book, fill, find
from tests.virtual import scenario


@attrs.define
class Asking:
    """A ledger that asks the store so often before it takes something."""

    rounds: int
    last: dict[str, Any] = attrs.field(factory=dict)
    taken: list[Any] = attrs.field(factory=list)

    def take(self, reports: Sequence[Any], now_ns: int, **more: Any) -> Change:
        if self.rounds:
            self.rounds -= 1
            return Change(doubtful=tuple(reports), wanted=Wanted(frozenset({f"k{self.rounds}"})))
        self.taken += reports
        return Change(**self.last)


class Around:
    """Journal, store and instruments of no consequence."""

    def __init__(self) -> None:
        self.asked: list[Wanted] = []
        self.told: list[str] = []

    def add(self, change: Change) -> None: ...

    async def look_up(self, wanted: Wanted) -> Known:
        self.asked.append(wanted)
        return Known(wanted)

    async def market(self, market: Any, max_age: float) -> None: ...


def taking(ledger: Any, around: Any) -> Taking:
    clock = VirtualClock()
    return Taking(
        *(ledger, around, around, around, clock, clock.time_ns, asyncio.ensure_future),  # type: ignore[arg-type]
        *(lambda fills: None, around.told.append, find),
    )


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5])
def test_what_the_store_tells_may_lead_to_another_question_and_nothing_is_lost(rounds: int) -> None:
    @scenario
    async def play() -> None:
        ledger, around = Asking(rounds), Around()
        report = fill("f", "1")
        assert await taking(ledger, around).take([report])
        assert ledger.taken == [report]
        assert [each.keys for each in around.asked] == [
            frozenset({f"k{n}"}) for n in reversed(range(rounds))
        ]

    play()


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("unplaced", [False, True])
def test_what_waits_for_the_word_on_whose_it_is_keeps_the_cursor(
    unplaced: bool, rounds: int
) -> None:
    @scenario
    async def play() -> None:
        ledger = Asking(rounds, {"nameless": (fill("f", "1"),)})
        if unplaced:
            other = fill("g", "1", native="NEWUSDT")
            ledger.last["unplaced"] = (other,)
            take = ledger.take

            def listed(reports: Sequence[Any], now_ns: int, **more: Any) -> Change:
                """By now that instrument is."""
                return NOTHING if list(reports) == [other] else take(reports, now_ns, **more)

            assert not await taking(_With(ledger, listed), Around()).take([fill("f", "1"), other])
        else:
            assert not await taking(ledger, Around()).take([fill("f", "1")])

    play()


@attrs.define
class _With:
    """A ledger of which one method is another."""

    ledger: Any
    take: Any


@scenario
async def test_what_is_of_no_known_instrument_waits_in_bounded_memory_and_each_is_told_once() -> (
    None
):
    book, around = Book(), Around()
    there = taking(book.ledger, around)
    for n in range(1200):
        assert not await there.take([fill("f", "1", native=f"N{n}")])
        assert not await there.take([fill("f", "1", native=f"N{n}")])
    assert len(there._unplaced) == 1000
    assert any("N1199" in str(each) for each in there._unplaced)
    assert len(around.told) == 1200
