"""Events whose fields stay on the wire until they are read can't be told from others."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.model.constructors import PROBE, deferred_constructors
from ccrs_core.model.events import BookUpdate, TopOfBook
from ccrs_core.model.serialize import to_json

DEFERRED = ["exchange_time_ns", "bid_price", "bid_size", "ask_price", "ask_size"]
NUMBERS = st.decimals(0, 10**6, places=4)
READS: list[Callable[[Any], object]] = [
    lambda event: event.bid_price,
    lambda event: event.exchange_time_ns,
    lambda event: event.time,
    hash,
    repr,
    pickle.dumps,
    copy.copy,
    attrs.asdict,
    attrs.evolve,
    to_json,
    lambda event: event == event,
]
"""What makes a deferred event convert its fields."""


class Wire:
    """Converts texts, and counts how often."""

    def __init__(self) -> None:
        self.conversions = 0

    def convert(self, texts: tuple[str, ...]) -> tuple[Any, ...]:
        self.conversions += 1
        return int(texts[0]), *map(Decimal, texts[1:])


def texts_of(numbers: list[Decimal]) -> tuple[str, ...]:
    return "5000", *map(str, numbers)


def maker(wire: Wire) -> Callable[..., TopOfBook]:
    return deferred_constructors(TopOfBook, DEFERRED, wire.convert)()


@given(st.lists(NUMBERS, min_size=4, max_size=4), st.lists(st.sampled_from(READS), max_size=4))
def test_a_deferred_event_is_what_the_class_makes(
    numbers: list[Decimal], reads: list[Callable[[Any], object]]
) -> None:
    wire = Wire()
    event = maker(wire)("x", "A/B", 7, 3, texts_of(numbers))
    plain = TopOfBook("x", "A/B", 5000, 7, 3, *numbers)
    assert (event.exchange, event.symbol, event.received_time_ns, event.sequence) == (
        "x", "A/B", 7, 3,
    )  # fmt: skip
    assert wire.conversions == 0
    for read in reads:
        read(event)
        assert wire.conversions == 1
    assert type(event) is TopOfBook
    assert event == plain
    assert plain == event
    assert hash(event) == hash(plain)
    assert repr(event) == repr(plain)
    assert pickle.dumps(event) == pickle.dumps(plain)
    assert pickle.loads(pickle.dumps(event)) == plain
    assert copy.deepcopy(event) == plain
    assert attrs.asdict(event) == attrs.asdict(plain)
    assert attrs.evolve(event, sequence=9) == attrs.evolve(plain, sequence=9)
    assert to_json(event) == to_json(plain)
    assert wire.conversions == 1


def test_a_deferred_event_is_frozen_and_has_no_other_attributes() -> None:
    wire = Wire()
    event: Any = maker(wire)("x", "A/B", 7, 3, texts_of([Decimal(1)] * 4))
    for name in ("bid_price", "symbol"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(event, name, None)
    for name in ("bid", "__array__", "_nothing"):
        assert not hasattr(event, name)
        with pytest.raises(AttributeError, match=f"'TopOfBook' object has no attribute '{name}'"):
            getattr(event, name)
    assert not hasattr(event, "__dict__")
    assert wire.conversions == 0
    plain: Any = TopOfBook("x", "A/B", 5000, 7, 3, *[Decimal(1)] * 4)
    assert event == plain
    with pytest.raises(AttributeError, match="'TopOfBook' object has no attribute 'bid'"):
        plain.bid  # noqa: B018


def test_a_field_that_the_event_has_not_can_not_be_deferred() -> None:
    with pytest.raises(ValueError, match="TopOfBook has no field bid"):
        deferred_constructors(TopOfBook, ["bid"], Wire().convert)


def test_events_may_be_read_in_several_threads() -> None:
    make = maker(Wire())
    made = [make("x", "A/B", 7, n, texts_of([Decimal(n)] * 4)) for n in range(2000)]
    sums: list[Decimal] = []

    def read() -> None:
        sums.append(sum((event.ask_size or Decimal(0) for event in made), Decimal(0)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [Decimal(1999 * 1000)] * 4


def test_where_most_events_get_read_they_are_converted_at_once() -> None:
    wire = Wire()
    make = maker(wire)
    texts = texts_of([Decimal(1)] * 4)
    for _ in range(5000):
        assert make("x", "A/B", 7, 3, texts).bid_price == 1
    before = wire.conversions
    for _ in range(100 * PROBE):
        make("x", "A/B", 7, 3, texts)
    assert wire.conversions - before == 100 * (PROBE - 1)


def test_where_few_events_get_read_they_stay_on_the_wire() -> None:
    wire = Wire()
    make = maker(wire)
    texts = texts_of([Decimal(1)] * 4)
    for _ in range(5000):
        assert make("x", "A/B", 7, 3, texts).bid_price == 1
    for _ in range(3 * 1024 * PROBE):
        make("x", "A/B", 7, 3, texts)
    before = wire.conversions
    for number in range(5000):
        event = make("x", "A/B", 7, 3, texts)
        if number % 10 == 0:
            assert event.bid_price == 1
    assert wire.conversions - before == 500


def test_no_other_event_is_read_at_the_price_of_those_that_are_read_late() -> None:
    maker(Wire())
    assert hasattr(TopOfBook, "__getattr__")
    assert not hasattr(BookUpdate, "__getattr__")
