"""Events as JSON: exact digits, one object per line, and back without loss."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    BookUpdate,
    Credentials,
    Instrument,
    Level,
    Market,
    Options,
    OrderRequest,
    TickBand,
    Trailing,
    TransportOptions,
    Trigger,
    UsageError,
    Way,
)
from ccrs_core.model.serialize import (
    EVENTS,
    converter,
    exact,
    from_dict,
    from_json,
    to_dict,
    to_json,
    to_plain,
)
from tests.orders import REQUESTS, TRAILING, TRIGGERS

DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, places=None)
TIMES = st.integers(min_value=0, max_value=2**62)
TEXTS = st.text(max_size=12)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: TIMES,
    str: TEXTS,
    bool: st.booleans(),
    tuple[str, ...]: st.lists(TEXTS, max_size=3).map(tuple),
    Mapping[str, str]: st.dictionaries(TEXTS, TEXTS, max_size=3),
    tuple[tuple[str, Decimal], ...]: st.lists(st.tuples(TEXTS, DIGITS), max_size=2).map(tuple),
    OrderRequest: REQUESTS,
    Trailing: TRAILING,
    Trigger: TRIGGERS,
}
BAND = TickBand(Decimal(0), Decimal("0.1"))
BANDS = st.sampled_from([(), (BAND,), (BAND, TickBand(Decimal(1), Decimal(2)))])


def of_kind(kind: type[Any], digits: st.SearchStrategy[Decimal] = DIGITS) -> st.SearchStrategy[Any]:
    """Values of a class, each field as its type allows."""
    fields = {}
    for name, hint in typing.get_type_hints(kind).items():
        if typing.get_origin(hint) is typing.ClassVar or name not in attrs.fields_dict(kind):
            continue
        among = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
        fields[name] = st.one_of([_of_type(each, digits) for each in among])
    return st.builds(kind, **fields)


def _of_type(hint: Any, digits: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Any]:
    if hint is Decimal:
        return digits
    if hint is NoneType:
        return st.none()
    if hint in OF_TYPE:
        return OF_TYPE[hint]
    if hint == tuple[Level, ...]:
        return st.lists(st.tuples(digits, digits), max_size=3).map(tuple)
    if hint == tuple[TickBand, ...]:
        return BANDS
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    return of_kind(hint, digits)


ANY_EVENT = st.one_of([of_kind(kind) for kind in EVENTS.values()])


@given(ANY_EVENT)
def test_an_event_comes_back_from_its_line_equal(event: Any) -> None:
    line = to_json(event)
    assert b"\n" not in line
    back = from_json(line)
    assert back == event
    assert type(back) is type(event)


@given(ANY_EVENT)
def test_plain_values_go_through_any_json_and_lead_back(event: Any) -> None:
    content = to_plain(event)
    assert content == json.loads(json.dumps(content)) == orjson.loads(to_json(event))
    back = from_dict(content)
    assert back == event
    assert from_dict(to_dict(event)) == event
    assert to_dict(event).keys() == content.keys()


@given(of_kind(Instrument))
def test_instruments_and_lists_of_events_are_plain_values_too(instrument: Any) -> None:
    content = to_plain([instrument])
    assert json.loads(json.dumps(content)) == content == [orjson.loads(to_json(instrument))]
    assert converter().structure(content[0], Instrument) == instrument


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", [object()]])
def test_what_json_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="JSON"):
        to_plain(value)
    with pytest.raises(UsageError, match="JSON"):
        to_json(value)


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


def test_secrets_are_left_out_of_whatever_is_written() -> None:
    options = Options(
        transport=TransportOptions(proxy="http://me:password@host:1"),
        ways=(Way(proxy="http://me:password@other:1"),),
    )
    for value in (Credentials("the key", "the secret", "the passphrase"), options):
        content = to_plain({"value": value, "several": [value]})
        assert content == orjson.loads(to_json({"value": value, "several": [value]}))
        for secret in ("the key", "the secret", "the passphrase", "password"):
            assert secret not in str(content)
    assert to_plain(options)["transport"]["connect_timeout"] == options.transport.connect_timeout
