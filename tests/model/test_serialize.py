"""Events as JSON: exact digits, one object per line, and back without loss."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    BookUpdate,
    Channel,
    Instrument,
    InstrumentStatus,
    Market,
    OptionKind,
    Side,
    UsageError,
)
from ccrs_core.model.events import Reason
from ccrs_core.model.serialize import EVENTS, converter, exact, from_json, to_json

DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, places=None)
TIMES = st.integers(min_value=0, max_value=2**62)
TEXTS = st.text(max_size=12)
LEVELS = st.lists(st.tuples(DIGITS, DIGITS), max_size=3).map(tuple)
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "int": TIMES,
    "str": TEXTS,
    "bool": st.booleans(),
    "Decimal": DIGITS,
    "Side": st.sampled_from(Side),
    "Channel": st.sampled_from(Channel),
    "Reason": st.sampled_from(Reason),
    "tuple[Level, ...]": LEVELS,
}


INSTRUMENTS = st.builds(
    Instrument,
    exchange=TEXTS,
    symbol=TEXTS,
    native=TEXTS,
    market=st.sampled_from(Market),
    base=TEXTS,
    quote=TEXTS,
    settle=st.none() | TEXTS,
    status=st.sampled_from(InstrumentStatus),
    tick_size=st.none() | DIGITS,
    lot_size=st.none() | DIGITS,
    expiry_ns=st.none() | TIMES,
    strike=st.none() | DIGITS,
    option_kind=st.none() | st.sampled_from(OptionKind),
)
OF_TYPE["Instrument"] = INSTRUMENTS


def _values(kind: type[Any]) -> st.SearchStrategy[Any]:
    fields = {}
    for field in attrs.fields(kind):
        name, _, optional = str(field.type).partition(" | ")
        strategy = OF_TYPE[name]
        fields[field.name] = st.none() | strategy if optional else strategy
    return st.builds(kind, **fields)


ANY_EVENT = st.one_of([_values(kind) for kind in EVENTS.values()])


@given(ANY_EVENT)
def test_an_event_comes_back_from_its_line_equal(event: Any) -> None:
    line = to_json(event)
    assert b"\n" not in line
    back = from_json(line)
    assert back == event
    assert type(back) is type(event)


@given(ANY_EVENT)
def test_a_line_tells_what_who_and_when(event: Any) -> None:
    content = json.loads(to_json(event))
    assert content["type"] == event.type
    for name in ("exchange", "symbol", "exchange_time_ns", "received_time_ns"):
        assert content[name] == getattr(event, name)
    if getattr(event, "sequence", None) is None:
        assert "sequence" not in content
    else:
        assert content["sequence"] == event.sequence


@given(DIGITS)
def test_numbers_are_plain_digits(number: Decimal) -> None:
    text = exact(number)
    assert "e" not in text.lower()
    assert Decimal(text) == number


@pytest.mark.parametrize("digits", ["0.00000000", "1.9530", "100", "0.1", "77140.50"])
def test_digits_stay_as_the_exchange_wrote_them(digits: str) -> None:
    assert exact(Decimal(digits)) == digits


def test_levels_are_pairs_of_strings() -> None:
    update = BookUpdate(
        "toy", "A/B", None, 1, 7, True, ((Decimal("1.50"), Decimal("2.0")),), (), None
    )
    assert json.loads(to_json(update))["bids"] == [["1.50", "2.0"]]


@given(st.binary(max_size=60) | ANY_EVENT.map(lambda event: to_json(event)[:-2]))
def test_anything_else_is_no_event(line: bytes) -> None:
    with pytest.raises(UsageError):
        from_json(line)


@pytest.mark.parametrize(
    "change", [{"price": 1.5}, {"price": "one"}, {"side": "up"}, {"trade_id": 7}, {"symbol": None}]
)
def test_a_field_of_the_wrong_kind_is_no_event(change: dict[str, Any]) -> None:
    trade = {
        "type": "trade",
        "exchange": "toy",
        "symbol": "A/B",
        "exchange_time_ns": 1,
        "received_time_ns": 2,
        "trade_id": "7",
        "price": "1.5",
        "size": "2",
        "side": "buy",
        "block": False,
    }
    from_json(json.dumps(trade))
    with pytest.raises(UsageError):
        from_json(json.dumps(trade | change))


def test_instruments_come_back_equal() -> None:
    instrument = Instrument(
        exchange="toy",
        symbol="A/B:B",
        native="AB",
        market=Market.LINEAR,
        base="A",
        quote="B",
        settle="B",
        tick_size=Decimal("0.10"),
        expiry_ns=1,
    )
    text = json.dumps(converter().unstructure(instrument))
    assert converter().structure(json.loads(text), Instrument) == instrument
