"""Every sample that ships with the plugin decodes to the values that were made up with it."""

from __future__ import annotations

import enum
import importlib.resources
import json
from decimal import Decimal
from typing import Any

import attrs
import pytest
from ccrs_bybit import Bybit
from ccrs_bybit.guess import instrument_of

from ccrs_core import errors, rest
from ccrs_core.codec import Data
from ccrs_core.exchange import unsupported_reason
from ccrs_core.model import Channel, Market, Subscription

SAMPLES = importlib.resources.files("ccrs_bybit") / "samples"
RECEIVED = 1_794_000_500_000_000_000


def names(prefix: str) -> list[str]:
    found = [path.name for path in (SAMPLES / "expected").iterdir()]
    return sorted(n[len(prefix) : -5] for n in found if n.startswith(prefix))


def expected(name: str) -> Any:
    return json.loads((SAMPLES / "expected" / f"{name}.json").read_text())


def plain(value: Any) -> Any:
    """A decoded value as JSON would have it, with decimals as their exact digits."""
    if attrs.has(type(value)):
        fields = {f.name: plain(getattr(value, f.name)) for f in attrs.fields(type(value))}
        return {"type": value.type, **fields} if hasattr(type(value), "type") else fields
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def event(value: Any, symbol: str) -> dict[str, Any]:
    fields = plain(value)
    assert fields.pop("exchange") == "bybit"
    assert fields.pop("symbol") == symbol
    assert fields.pop("received_time_ns") == RECEIVED
    fields.pop("checksum", None)
    return fields  # type: ignore[no-any-return]


def same(message: Any, want: dict[str, Any], symbols: dict[str, str]) -> None:
    assert type(message).__name__ == want["message"]
    if isinstance(message, Data):
        assert message.topic == want["topic"]
        assert message.sequence == want["sequence"]
        assert message.restart is want["restart"]
        assert [event(e, symbols[message.topic]) for e in message.events] == want["events"]
    else:
        fields = plain(message)
        assert {k: fields[k] for k in want if k != "message"} == {
            k: v for k, v in want.items() if k != "message"
        }


def subscriptions(wanted: dict[str, Any]) -> list[Subscription]:
    market = Market(wanted["market"])
    found = []
    for sub in wanted["subscriptions"]:
        instrument = instrument_of(sub["native"], market)
        assert instrument is not None
        assert instrument.symbol == sub["symbol"]
        found.append(
            Subscription(Channel(sub["channel"]), instrument, sub["depth"], sub["interval"])
        )
    return found


@pytest.mark.parametrize("name", names("ws-"))
def test_sample_frames_say_what_they_were_made_from(name: str) -> None:
    want = expected(f"ws-{name}")
    exchange = Bybit()
    subs = subscriptions(want)
    codec = exchange.codec(exchange.route(subs[0]) if subs else exchange.route(anything()))
    for sub, entry in zip(subs, want["subscriptions"], strict=True):
        assert unsupported_reason(exchange, sub) is None
        assert codec.topic(sub) == entry["topic"]
    if subs:
        codec.subscribe(subs, "1")
    symbols = {entry["topic"]: entry["symbol"] for entry in want["subscriptions"]}
    frames = (SAMPLES / "ws" / f"{name}.jsonl").read_bytes().splitlines()
    assert len(frames) == len(want["frames"])
    for frame, messages in zip(frames, want["frames"], strict=True):
        decoded = codec.decode(frame, RECEIVED)
        assert len(decoded) == len(messages), frame
        for message, wanted in zip(decoded, messages, strict=True):
            same(message, wanted, symbols)


def anything() -> Subscription:
    instrument = instrument_of("BTCUSDT", Market.SPOT)
    assert instrument is not None
    return Subscription(Channel.TRADES, instrument)


def request_of(want: dict[str, Any]) -> rest.Request[Any]:
    fields = dict(want["request"])
    kind = getattr(rest, fields.pop("type"))
    if want["native"] is not None:
        fields["instrument"] = instrument_of(want["native"], Market(want["market"]))
    elif "market" in fields:
        fields["market"] = Market(fields["market"])
    return kind(**fields)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", names("rest-"))
def test_sample_answers_say_what_they_were_made_from(name: str) -> None:
    want = expected(f"rest-{name}")
    response = rest.HttpResponse(200, {}, (SAMPLES / "rest" / f"{name}.json").read_bytes())
    error = Bybit().error_of(response)
    if "error" in want:
        assert isinstance(error, errors.ExchangeError)
        assert (type(error).__name__, error.code) == (want["error"], want["code"])
        return
    assert error is None
    request = request_of(want)
    answer = Bybit.endpoints[type(request)].decode(request, response, RECEIVED)
    value = answer.value
    if want["native"] is None:
        assert plain(value) == want["value"]
    else:
        instrument = request.instrument  # type: ignore[attr-defined]
        events = value if isinstance(value, list) else [value]
        wanted = want["value"] if isinstance(want["value"], list) else [want["value"]]
        assert [event(e, instrument.symbol) for e in events] == wanted
    assert answer.cursor == want["cursor"]


def test_every_sample_has_its_expectation_and_every_channel_a_sample() -> None:
    for kind, suffix in (("ws", ".jsonl"), ("rest", ".json")):
        files = {path.name.removesuffix(suffix) for path in (SAMPLES / kind).iterdir()}
        assert files == set(names(f"{kind}-"))
    shown = {
        (expected(f"ws-{name}")["market"], sub["channel"])
        for name in names("ws-")
        for sub in expected(f"ws-{name}")["subscriptions"]
    }
    declared = {(m.value, c.value) for m, cs in Bybit.capabilities.channels.items() for c in cs}
    assert shown == declared
    assert {
        expected(f"rest-{n}")["request"]["type"] for n in names("rest-") if "error" not in n
    } == {kind.__name__ for kind in Bybit.endpoints}
