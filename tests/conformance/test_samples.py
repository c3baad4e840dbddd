"""Samples are read into values, from wheels too, and what is wrong with them is said."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ccrs_core.conformance.workbench.reading import RECEIVED_NS, SampleError, differences
from ccrs_core.conformance.workbench.samples import Samples
from ccrs_core.contract.codec import Ack, Data
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.rest import GetInstruments, GetTrades, HttpRequest
from ccrs_core.errors import RateLimited
from ccrs_core.model.events import Trade
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.subscriptions import Channel, Subscription

INSTRUMENT = {
    "symbol": "AAA/BBB", "native": "AAABBB", "market": "spot", "base": "AAA", "quote": "BBB",
    "tick_size": "0.10",
}  # fmt: skip
TRADE = {
    "type": "trade", "exchange_time_ns": 5, "sequence": None, "trade_id": "7", "price": "1.50",
    "size": "2", "side": "buy",
}  # fmt: skip
STREAM: dict[str, Any] = {
    "source": "https://example.com/docs",
    "instruments": [INSTRUMENT],
    "subscriptions": [{"channel": "trades", "symbol": "AAA/BBB", "topic": "t.AAABBB"}],
    "frames": [
        [{"message": "Ack", "request_id": "7"}],
        [{"message": "Data", "topic": "t.AAABBB", "sequence": {"hex": "0aff"}, "events": [TRADE]}],
        [],
    ],
}
REQUEST: dict[str, Any] = {
    "source": "https://example.com/docs",
    "instruments": [INSTRUMENT],
    "request": {"type": "GetTrades", "symbol": "AAA/BBB", "limit": 3},
    "http": {"method": "GET", "path": "/t", "query": [["s", "AAABBB"], ["n", "3"]]},
    "status": 200,
    "headers": {"X-Limit": "4"},
    "value": [TRADE],
    "next_cursor": "p2",
}
ERRORS: list[Any] = [
    {"status": 429, "headers": {"Retry-After": "2"}, "body": "slow", "error": "RateLimited",
     "code": "429", "retry_after": 2.0, "source": "https://example.com"},
    {"status": 200, "headers": {}, "body": "ok", "error": None, "code": "", "retry_after": None,
     "source": "https://example.com"},
]  # fmt: skip
SIGNATURES: list[Any] = [
    {"source": "s", "now_ms": 1, "credentials": {"key": "k", "secret": "x"},
     "request": {"method": "GET", "path": "/p", "query": [["a", "b"]]},
     "signed": {"headers": {"Sign": "s"}, "query": [["a", "b"], ["sig", "c"]]}},
    {"source": "s", "now_ms": 1, "credentials": {"key": "k", "secret": "x", "passphrase": "p"},
     "login": "{}"},
]  # fmt: skip

Files = Mapping[str, Any]

GOOD: dict[str, Any] = {
    "streams/all.jsonl": b'{"a":1}\n{"b":2}\n{"c":3}\n',
    "streams/all.expected.json": STREAM,
    "requests/trades.json": REQUEST,
    "requests/trades.body": b"[1]",
    "errors.json": ERRORS,
    "symbols.json": [{"native": "AAABBB", "market": "spot", "symbol": "AAA/BBB"}],
    "signatures.json": SIGNATURES,
}


def content(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def written(folder: Path, files: Files) -> Samples:
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(value))
    return Samples(folder, "toy")


def zipped(folder: Path, files: Files) -> Samples:
    path = folder / "wheel.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in files.items():
            archive.writestr(f"toy/samples/{name}", content(value))
    return Samples(zipfile.Path(path, "toy/samples/"), "toy")


@pytest.mark.parametrize("pack", [written, zipped])
def test_samples_become_values(tmp_path: Path, pack: Any) -> None:
    samples = pack(tmp_path, GOOD)
    (stream,) = samples.streams
    instrument = Instrument(
        exchange="toy", symbol="AAA/BBB", native="AAABBB", market=Market.SPOT, base="AAA",
        quote="BBB", tick_size=Decimal("0.10"),
    )  # fmt: skip
    trade = Trade(
        "toy", "AAA/BBB", 5, RECEIVED_NS, None, "7", Decimal("1.50"), Decimal(2), Side.BUY
    )
    assert stream.instruments == {"AAA/BBB": instrument}
    assert stream.subscriptions == [Subscription(Channel.TRADES, instrument)]
    assert stream.frames == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert [[m.kind for m in frame] for frame in stream.expected] == [["Ack"], ["Data"], []]
    assert stream.expected[0][0].fields == {"request_id": "7"}
    assert stream.expected[1][0].fields["sequence"] == b"\x0a\xff"
    assert stream.expected[1][0].fields["events"] == [trade]
    assert stream.where(1) == "streams/all.jsonl:2"

    (request,) = samples.requests
    assert request.request == GetTrades(instrument, 3)
    assert request.http == HttpRequest("GET", "/t", (("s", "AAABBB"), ("n", "3")))
    assert (request.response.status, request.response.body) == (200, b"[1]")
    assert request.response.headers == {"x-limit": "4"}
    assert (request.value, request.cursor, request.next_cursor) == ([trade], None, "p2")

    limited, fine = samples.errors
    assert (limited.error, limited.code, limited.retry_after) == (RateLimited, "429", 2.0)
    assert (limited.response.headers, limited.response.body) == ({"retry-after": "2"}, b"slow")
    assert fine.error is None
    (pair,) = samples.symbols
    assert (pair.native, pair.market, pair.symbol) == ("AAABBB", Market.SPOT, "AAA/BBB")
    signed, login = samples.signatures
    assert signed.request == HttpRequest("GET", "/p", (("a", "b"),))
    assert (signed.headers, signed.query) == ({"Sign": "s"}, [("a", "b"), ("sig", "c")])
    assert (login.login, login.credentials) == ("{}", Credentials("k", "x", "p"))


def test_answers_are_read_by_what_the_question_asks_for(tmp_path: Path) -> None:
    question = {**REQUEST, "request": {"type": "GetInstruments", "market": "spot"}}
    files = {"requests/a.json": {**question, "value": [INSTRUMENT]}, "requests/a.body": b""}
    time = {**REQUEST, "request": {"type": "GetServerTime"}, "value": 17}
    files |= {"requests/b.json": time, "requests/b.body": b""}
    instruments, now = written(tmp_path, files).requests
    assert instruments.request == GetInstruments(Market.SPOT)
    assert [i.tick_size for i in instruments.value] == [Decimal("0.10")]
    assert now.value == 17


def test_where_there_are_no_samples_there_are_none(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "none", "toy")
    parts = (samples.streams, samples.requests, samples.errors, samples.symbols)
    assert not any([*parts, samples.signatures])


def everything(samples: Samples) -> None:
    for part in ("streams", "requests", "errors", "symbols", "signatures"):
        getattr(samples, part)


def stream(**changes: Any) -> Files:
    return {"streams/all.expected.json": {**STREAM, **changes}}


def one_trade(**changes: Any) -> Files:
    trade = {name: value for name, value in {**TRADE, **changes}.items() if value is not ...}
    message = {"message": "Data", "topic": "t.AAABBB", "events": [trade]}
    return stream(frames=[[], [message], []])


EVENT = "streams/all.expected.json: frames[1][0].events[0]"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"streams/all.expected.json": b"[\n1,\n}"}, "streams/all.expected.json:3:1: "),
        ({"streams/all.expected.json": b"\xff"}, "streams/all.expected.json: not UTF-8 at byte 0"),
        ({"streams/all.expected.json": []}, "must be an object {…}, not []"),
        ({"streams/all.jsonl": b"{}\n\n{}\n"}, "streams/all.jsonl:2: an empty line"),
        ({"streams/all.jsonl": b"{}\n"}, "frames: 3 lists of messages for the 1 frames of"),
        ({"streams/x.jsonl": b"{}\n"}, "streams/x.jsonl: there is no streams/x.expected.json"),
        ({"streams/x.expected.json": {}}, "x.expected.json: there is no streams/x.jsonl: write"),
        (stream(instruments=[]), "subscriptions[0].symbol: no 'AAA/BBB' in instruments; there is"),
        (stream(instruments=[{**INSTRUMENT, "tick_size": 0.1}]), "instruments[0].tick_size: a "),
        (stream(instruments=[{"symbol": "A"}]), "instruments[0].native: missing: write a str"),
        (stream(subscriptions=[{"channel": "tape"}]), "subscriptions[0].channel: no 'tape'; write"),
        (stream(frames=[[], {}, []]), "frames[1]: must be a list […], not {}"),
        (stream(frames=[[{"message": "Nack"}], [], []]), "[0].message: no 'Nack' in ccrs_core.con"),
        (stream(frames=[[{"message": "Ack", "id": "7"}], [], []]), "id: Ack has no such field; it"),
        (stream(frames=[[{"message": "Data", "topic": "t"}], [], []]), "events: missing: list the"),
        (stream(source=5), "streams/all.expected.json: source: must be a text, not 5"),
        (one_trade(price=1.5), f"{EVENT}.price: a number's digits must be text, not 1.5: write a "),
        (one_trade(price="1,5"), f"{EVENT}.price: not a number: '1,5': write a decimal.Decimal"),
        (one_trade(size=...), f"{EVENT}.size: missing: write a decimal.Decimal (decimals as text)"),
        (one_trade(side="long"), f"{EVENT}.side: 'long' is not a valid Side: write a "),
        (one_trade(amount="2"), f"{EVENT}.amount: Trade has no such field; it has exchange, "),
        (
            one_trade(type="tick"),
            f"{EVENT}.type: no 'tick' in ccrs_core.model.events; there is top_of_",
        ),
        (one_trade(symbol="X/Y"), "frames[1][0].events: X/Y is not among the instruments"),
        ({"requests/trades.json": {**REQUEST, "http": {}}}, "http.method: missing: write it"),
        ({"requests/trades.json": {**REQUEST, "value": 5}}, "value: must be a list […], not 5"),
        (
            {"requests/trades.json": {**REQUEST, "request": {"type": "GetTape"}}},
            "requests/trades.json: request.type: no 'GetTape' in ccrs_core.contract.rest; ",
        ),
        (
            {"requests/trades.json": {**REQUEST, "http": {**REQUEST["http"], "query": [["s"]]}}},
            """http.query[0]: must be a pair ["name", "value"], not ['s']""",
        ),
        ({"requests/other.json": REQUEST}, "requests/other.json: there is no requests/other.body"),
        ({"errors.json": [{**ERRORS[0], "error": "Slow"}]}, "errors.json: [0].error: no 'Slow' in"),
        ({"errors.json": [{**ERRORS[0], "status": "429"}]}, "[0].status: must be a whole number"),
        ({"errors.json": {}}, "errors.json: must be a list […], not {}"),
        ({"symbols.json": [{"native": "A", "market": "moon"}]}, "[0].market: no 'moon'; write one"),
        ({"signatures.json": [{**SIGNATURES[0], "signed": 1}]}, "[0].signed: must be an object {…"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, files: Files, message: str) -> None:
    with pytest.raises(SampleError, match=re.escape(message)):
        everything(written(tmp_path, {**GOOD, **files}))


def test_an_event_of_a_topic_of_several_symbols_must_name_its_own(tmp_path: Path) -> None:
    other = {**INSTRUMENT, "symbol": "CCC/BBB", "native": "CCCBBB", "base": "CCC"}
    both = [{**STREAM["subscriptions"][0], "symbol": i["symbol"]} for i in (INSTRUMENT, other)]
    files = {**GOOD, **stream(instruments=[INSTRUMENT, other], subscriptions=both)}
    with pytest.raises(SampleError, match=re.escape("events[0].symbol: missing: the topic")):
        everything(written(tmp_path, files))


def test_differences_are_told_digit_by_digit_and_type_by_type() -> None:
    trade = Trade("toy", "A/B", 5, 6, None, "7", Decimal("1.50"), Decimal(2), Side.BUY)
    other = Trade("toy", "A/B", 5, 6, None, "7", Decimal("1.5"), Decimal(2), Side.SELL)
    assert list(differences([trade], [other], "x")) == [
        "x[0].price: Decimal('1.50') expected, Decimal('1.5') decoded",
        "x[0].side: <Side.BUY: 'buy'> expected, <Side.SELL: 'sell'> decoded",
    ]
    assert list(differences((trade,), [trade, other], "x")) == ["x: 1 expected, 2 decoded"]
    assert list(differences(1, True, "x")) == ["x: 1 expected, True decoded"]
    assert list(differences(Decimal(1), 1.0, "x")) == ["x: Decimal('1') expected, 1.0 decoded"]
    assert list(differences(Data("t", []), Ack("1"), "x"))
    assert not list(differences([trade], (trade,), "x"))
