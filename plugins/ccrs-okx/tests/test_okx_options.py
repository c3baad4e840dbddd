"""Options: greeks of a family, shared out, and ticks by bands of prices."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest
from ccrs_okx import Okx
from ccrs_okx.codec import OkxCodec
from ccrs_okx.foreign import subscriptions_in
from hypothesis import given
from hypothesis import strategies as st
from okx_frames import OPTION, instrument

from ccrs_core import (
    Ack,
    Answer,
    Channel,
    Data,
    DecodeError,
    GetInstruments,
    Greeks,
    HttpResponse,
    Instrument,
    LeftOut,
    Market,
    Side,
    Subscription,
    TickBand,
    Unrecognised,
)

PUT, OTHER = "BTC-USD-261225-90000-P", "BTC-USD_UM-261225-100000-C"
TS = 1_794_000_123_100
ROW = {
    "instType": "OPTION", "uly": "BTC-USD", "delta": "0.46", "gamma": "2.9", "vega": "0.0011",
    "theta": "-0.0009", "lever": "15.9", "markVol": "0.51", "bidVol": "0.5", "askVol": "0.53",
    "realVol": "", "deltaBS": "0.502", "gammaBS": "0.00002", "thetaBS": "-71.3", "vegaBS": "112.4",
    "ts": str(TS), "fwdPx": "99870.1", "volLv": "0.5",
}  # fmt: skip


def row(native: str, **changes: Any) -> dict[str, Any]:
    return {**ROW, "instId": native, **changes}


def frame(*rows: Any, family: str = "BTC-USD") -> bytes:
    arg = {"channel": "opt-summary", "instFamily": family}
    return json.dumps({"arg": arg, "data": list(rows)}).encode()


def wanted(*natives: str) -> list[Subscription]:
    return [Subscription(Channel.GREEKS, instrument(native)) for native in natives]


def watching(*natives: str) -> OkxCodec:
    codec = OkxCodec()
    codec.subscribe(wanted(*natives), "1")
    return codec


def test_greeks_are_those_of_black_and_scholes_and_of_the_option_that_they_are_about() -> None:
    messages = watching(OPTION, PUT).decode(
        frame(row(PUT, deltaBS="-0.4", bidVol="0"), row("BTC-USD-270326-1-C"), row(OPTION)), 5
    )
    put, call = messages
    assert isinstance(put, Data)
    assert isinstance(call, Data)
    assert (put.topic, call.topic) == (f"opt-summary:{PUT}", f"opt-summary:{OPTION}")
    assert put.sequence == call.sequence == TS
    (greeks,) = call.events
    assert isinstance(greeks, Greeks)
    told = greeks.delta, greeks.gamma, greeks.vega, greeks.theta
    assert list(map(str, told)) == ["0.502", "0.00002", "112.4", "-71.3"]
    told = greeks.mark_iv, greeks.bid_iv, greeks.ask_iv, greeks.underlying_price
    assert list(map(str, told)) == ["0.51", "0.5", "0.53", "99870.1"]
    (greeks,) = put.events
    assert isinstance(greeks, Greeks)
    assert (greeks.delta, greeks.bid_iv) == (Decimal("-0.4"), None)


@given(st.sampled_from([name for name in ROW if name.endswith(("BS", "Vol", "Px", "ts"))]),
       st.sampled_from(["x", 7, "1e999999", "NaN"]))  # fmt: skip
def test_a_strange_row_takes_no_other_away(name: str, value: Any) -> None:
    if name == "realVol" or (name == "ts" and value == 7):
        return
    first, second = watching(OPTION, PUT).decode(frame(row(OPTION, **{name: value}), row(PUT)), 5)
    assert isinstance(first, LeftOut)
    assert first.topic == f"opt-summary:{OPTION}"
    assert isinstance(second, Data)


def test_what_says_nothing_is_no_event_and_what_is_no_row_is_malformed() -> None:
    codec = watching(OPTION)
    blank = {name: "" for name in ROW if name not in {"ts", "instType", "uly"}}
    for rows in ([row(OPTION, **blank)], [row(PUT)], []):
        (nothing,) = codec.decode(frame(*rows), 5)
        assert isinstance(nothing, Unrecognised)
    for wrong in (7, {}, None):
        with pytest.raises(DecodeError):
            codec.decode(frame(wrong), 5)


def test_a_family_is_asked_for_once_and_given_up_with_its_last_option() -> None:
    codec = OkxCodec()
    one, other = wanted(OPTION)[0], wanted(OTHER)[0]
    assert codec.request_kind(one) != codec.request_kind(other)
    assert codec.request_kind(one) == codec.request_kind(wanted(PUT)[0])
    arguments = json.loads(str(codec.subscribe(wanted(OPTION, PUT), "1")))["args"]
    argument = {"channel": "opt-summary", "instFamily": "BTC-USD"}
    assert arguments == [argument]
    ack = json.dumps({"id": "1", "event": "subscribe", "arg": argument, "connId": "c"}).encode()
    assert tuple(codec.decode(ack, 5)) == (Ack("1", None),)
    kept = json.loads(str(codec.unsubscribe(wanted(PUT), "2")))
    assert (kept["op"], kept["args"]) == ("subscribe", [argument])
    assert len(codec.decode(frame(row(PUT), row(OPTION)), 5)) == 1
    ended = json.loads(str(codec.unsubscribe([one], "3")))
    assert (ended["op"], ended["args"]) == ("unsubscribe", [argument])
    (late,) = codec.decode(frame(row(OPTION)), 5)
    assert isinstance(late, Unrecognised)
    codec.subscribe([other], "4")
    (data,) = codec.decode(frame(row(OTHER), family="BTC-USD_UM"), 5)
    assert isinstance(data, Data)


def test_recordings_of_others_hold_the_greeks_of_all_options_in_them() -> None:
    found = subscriptions_in([frame(row(OPTION), 7, row(PUT), row(OPTION))], None)
    assert [(s.channel, s.instrument.native) for s in found] == [
        (Channel.GREEKS, OPTION), (Channel.GREEKS, PUT)
    ]  # fmt: skip


# --- ticks ------------------------------------------------------------------------------------

BANDS = [{"minPx": "0", "maxPx": "0.005", "tickSz": "0.0001"},
         {"minPx": "0.005", "maxPx": "", "tickSz": "0.0005"}]  # fmt: skip


def ask(data: Any, cursor: str | None) -> Answer[list[Instrument]]:
    body = orjson.dumps({"code": "0", "msg": "", "data": data})
    decode = Okx.endpoints[GetInstruments].decode
    found: Answer[list[Instrument]] = decode(
        GetInstruments(Market.OPTION), HttpResponse(200, {}, body), 5, cursor
    )
    return found


def families(*bands: Any) -> list[Any]:
    names = (f"BTC-USD{'_UM' * place}" for place in range(len(bands)))
    return [
        {"instType": "OPTION", "instFamily": name, "tickBand": band}
        for name, band in zip(names, bands, strict=True)
    ]


def listed(tick: str) -> dict[str, Any]:
    return {
        "instType": "OPTION", "instId": OPTION, "instFamily": "BTC-USD", "uly": "BTC-USD",
        "baseCcy": "", "quoteCcy": "", "settleCcy": "BTC", "ctVal": "1", "ctMult": "0.01",
        "ctValCcy": "BTC", "ctType": "", "expTime": "1798185600000", "tickSz": tick, "lotSz": "1",
        "minSz": "1", "maxLmtSz": "9", "state": "live", "stk": "100000", "optType": "C",
    }  # fmt: skip


@pytest.mark.parametrize("bands", [BANDS, BANDS[::-1]])
@pytest.mark.parametrize("tick", ["0.0001", "0.0005"])
def test_an_options_ticks_are_those_of_its_family(bands: list[Any], tick: str) -> None:
    (option,) = ask([listed(tick)], ask(families(bands), None).cursor).value
    assert str(option.tick_size) == "0.0001", "the finest, whichever the row names"
    assert option.tick_bands == (
        TickBand(Decimal(0), Decimal("0.0001")), TickBand(Decimal("0.005"), Decimal("0.0005"))
    )  # fmt: skip
    assert str(option.quantise_price(Decimal("0.0034"), Side.BUY)) == "0.0034"
    assert str(option.quantise_price(Decimal("0.0534"), Side.BUY)) == "0.0530"


def test_a_tick_that_is_none_of_its_familys_counts_alone() -> None:
    (option,) = ask([listed("0.001")], ask(families(BANDS), None).cursor).value
    assert (str(option.tick_size), option.tick_bands) == ("0.001", ())
    (option,) = ask([listed("0.0005")], ask(families(BANDS[1:]), None).cursor).value
    assert (str(option.tick_size), option.tick_bands) == ("0.0005", ())


@pytest.mark.parametrize(
    "strange",
    [None, 7, [7], [{"minPx": "0"}], [{"minPx": 0, "tickSz": "1"}], [{"minPx": "x", "tickSz": "1"}],
     [{"minPx": "0", "tickSz": "0"}], [*BANDS, BANDS[0]]],
)  # fmt: skip
def test_a_family_whose_bands_cannot_be_read_is_listed_all_the_same(strange: Any) -> None:
    found = ask(families(strange, BANDS), None)
    assert found.left_out == 1
    first = ask([listed("0.0001")], found.cursor)
    assert [(str(each.tick_size), each.tick_bands) for each in first.value] == [("0.0001", ())]
    assert first.cursor is not None
    row = {**listed("0.0001"), "settleCcy": "USD", "instId": OTHER, "instFamily": "BTC-USD_UM"}
    second = ask([row], first.cursor)
    assert [len(each.tick_bands) for each in second.value] == [2]
    assert second.cursor is None
    assert attrs.asdict(second.value[0])["tick_bands"]
