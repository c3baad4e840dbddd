"""Events are plain frozen values, however they were made."""

from __future__ import annotations

import copy
import enum
import pickle
import types
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import AnyEvent, Channel, Gap, Reason, Resumed, Stale
from ccrs_core.feeds.stream import EVENT_OF
from ccrs_core.model import events
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.events import Event, InstrumentChanged, Notice, StreamData
from ccrs_core.model.subscriptions import LEDGER_CHANNELS
from ccrs_core.model.ticks import TickBand

KINDS: tuple[type[Any], ...] = (
    *get_args(StreamData),
    *get_args(Notice),
    InstrumentChanged,
)
NS = st.integers(0, 4_000_000_000 * 10**9)
LEVELS = st.lists(st.tuples(st.decimals(0, 10), st.decimals(0, 10)), max_size=3).map(tuple)

BANDS = st.sampled_from(
    [(), (TickBand(Decimal(0), Decimal("0.5")), TickBand(Decimal(50), Decimal(5)))]
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    if isinstance(hint, types.UnionType):
        return st.one_of([values(part) for part in get_args(hint)])
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if attrs.has(hint):
        return st.builds(hint, **{name: values(part) for name, part in fields_of(hint).items()})
    if hint is Decimal:
        return st.decimals(allow_nan=False, allow_infinity=False)
    if hint is int:
        return st.integers(0, 2**63)
    if getattr(hint, "__origin__", None) is tuple:
        return BANDS if get_args(hint)[0] is TickBand else LEVELS
    return {str: st.text(), bool: st.booleans(), type(None): st.none()}[hint]


def fields_of(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in attrs.fields(kind)}


@st.composite
def made(draw: st.DrawFn, *, defaults: bool = False) -> tuple[type[Any], list[Any]]:
    """A kind of event and arguments for it, with or without those that have defaults."""
    kind = draw(st.sampled_from(KINDS))
    optional = sum(field.default is not attrs.NOTHING for field in attrs.fields(kind))
    given_optional = draw(st.integers(0, optional)) if defaults else optional
    hints = list(fields_of(kind).values())
    return kind, [draw(values(h)) for h in hints[: len(hints) - optional + given_optional]]


def test_every_kind_of_event_is_known_here() -> None:
    defined = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert set(KINDS) == set(get_args(AnyEvent)) == defined


@given(made(), st.data())
def test_events_are_frozen_hashable_equal_picklable_values(
    sample: tuple[type[Any], list[Any]], data: st.DataObject
) -> None:
    kind, arguments = sample
    event, twin = kind(*arguments), kind(*arguments)
    assert event == twin
    assert hash(event) == hash(twin)
    assert event is not twin
    for other in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event), copy.copy(event)):
        assert (other, type(other), hash(other)) == (event, kind, hash(event))
        assert attrs.astuple(other) == attrs.astuple(event)
    name = data.draw(st.sampled_from(list(fields_of(kind))))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, name, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(event, name)
    with pytest.raises(AttributeError):
        event.something_new = 1
    assert not hasattr(event, "__dict__")
    changed = attrs.evolve(event, symbol=event.symbol + "x")
    assert changed != event
    assert len({event, twin, changed}) == 2


@given(made(defaults=True))
def test_the_fast_constructor_makes_what_the_class_makes(
    sample: tuple[type[Any], list[Any]],
) -> None:
    kind, arguments = sample
    fast = fast_constructor(kind)
    slow, quick = kind(*arguments), fast(*arguments)
    named = fast(**dict(zip(fields_of(kind), arguments, strict=False)))
    for event in (quick, named):
        assert type(event) is kind
        assert event == slow
        assert slow == event
        assert hash(event) == hash(slow)
        assert repr(event) == repr(slow)
        assert attrs.asdict(event) == attrs.asdict(slow)
        assert pickle.dumps(event) == pickle.dumps(slow)
        assert pickle.loads(pickle.dumps(event)) == slow
        assert copy.deepcopy(event) == slow
        assert attrs.evolve(event) == slow
        assert isinstance(event, Event)
        for field in attrs.fields(kind):
            assert getattr(event, field.name) is getattr(slow, field.name)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.symbol = "other"
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            del event.symbol


@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_constructor_asks_for_the_same_arguments(kind: type[Any]) -> None:
    required = [f.name for f in attrs.fields(kind) if f.default is attrs.NOTHING]
    fast = fast_constructor(kind)
    for make in (kind, fast):
        make(*range(len(required)))
        with pytest.raises(TypeError, match=required[-1]):
            make(*range(len(required) - 1))
        with pytest.raises(TypeError, match="unknown"):
            make(*range(len(required)), unknown=1)
        with pytest.raises(TypeError, match="positional"):
            make(*range(len(attrs.fields(kind)) + 1))


@given(NS, st.one_of(st.none(), NS))
def test_the_time_of_an_event_is_exact_to_the_microsecond_in_utc(
    received: int, exchanged: int | None
) -> None:
    event = Stale("toy", "A/B", exchanged, received, Channel.BOOK, Reason.SILENT)
    ns = received if exchanged is None else exchanged
    assert event.time.tzinfo is UTC
    assert event.time - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(microseconds=ns // 1000)


def test_market_data_has_its_channel_and_notices_say_what_they_are_about() -> None:
    assert {kind.channel: kind for kind in get_args(StreamData)} == EVENT_OF
    assert set(EVENT_OF) == set(Channel) - LEDGER_CHANNELS
    for kind in (Gap, Stale, Resumed):
        assert kind.channel is None
        assert "about" in fields_of(kind)
    assert len({kind.type for kind in KINDS}) == len(KINDS)


def test_no_field_of_an_event_is_a_float() -> None:
    assert not [
        (kind, name)
        for kind in KINDS
        for name, hint in fields_of(kind).items()
        if "float" in str(hint)
    ]
