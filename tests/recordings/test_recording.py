"""Recordings: to the byte, safe against being cut, and without secrets."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import Credentials, HttpRequest, UsageError, top_of_book
from ccrs_core.client.client import connect
from ccrs_core.errors import ConnectionLost, RecordingFailed
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import (
    Closed,
    End,
    Header,
    Http,
    Opened,
    Received,
    Record,
    Sent,
    decode,
    encode,
)
from ccrs_core.recordings.transport import RecordingTransport
from ccrs_core.transport.masking import shown_url
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer, instrument

HEADER = Header(
    ns=1,
    exchange="toy",
    exchange_version="1.2",
    core_version="0.1.0",
    environment="mainnet",
    subscriptions=(Subscription(Channel.BOOK, instrument("BTC"), 10),),
)
FRAMES = st.binary(max_size=80) | st.text(max_size=40).map(str.encode)
NS = st.integers(0, 2**62)
NUMBER = st.integers(1, 5)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(Opened, NS, NUMBER, st.text(max_size=20)),
    st.builds(Received, NS, NUMBER, FRAMES),
    st.builds(Sent, NS, NUMBER, FRAMES, st.booleans()),
    st.builds(Closed, NS, NUMBER, st.text(max_size=20), st.none() | st.integers(1000, 4999)),
    st.builds(Http, NS, st.just("GET"), st.text(max_size=20), st.integers(100, 599), FRAMES),
    st.builds(End, NS),
)


needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")


def _written(path: Path, *records: Record) -> None:
    writer = RecordingWriter(path)
    writer.begin(HEADER)
    writer.write(*records)
    writer.close()


@given(RECORDS)
def test_a_record_comes_back_from_its_line_to_the_byte(record: Record) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1
    assert decode(line) == record


def test_a_header_comes_back_with_its_instruments() -> None:
    assert decode(encode(HEADER)) == HEADER


def test_a_header_keeps_addresses_without_what_is_secret_in_them() -> None:
    addresses = {"rest": "http://me:secret@box.test/api", "stream": "ws://box.test?apiKey=secret"}
    header = attrs.evolve(HEADER, addresses=addresses)
    line = encode(header)
    assert b"secret" not in line
    assert decode(line) == header
    assert header.addresses["rest"] == "http://box.test/api"


def test_a_cut_at_any_byte_loses_at_most_the_last_record(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    records = (Opened(1, 1, "wss://x"), Received(2, 1, "{…}".encode()), Received(3, 1, b"\xff{}"))
    _written(path, *records)
    whole, content = list(read(path)), path.read_bytes()
    assert whole[:-1] == [HEADER, *records]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        complete = content[:cut].count(b"\n")
        found = list(read(path))
        assert found == whole[: len(found)]
        assert len(found) in {complete, complete + 1}


def test_appending_after_a_cut_at_any_byte_goes_on_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    _written(path, Opened(1, 1, "wss://x"), Received(2, 1, b"one"))
    whole, content = list(read(path)), path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        before = list(read(path))
        _written(path, Received(9, 1, b"two"))
        found = list(read(path))
        assert before == whole[: len(before)]
        assert found[:-1] == [*before, HEADER, Received(9, 1, b"two")]


BLOCK = 65_536
"""What is read of a file's end in one go."""


@pytest.mark.parametrize("size", [BLOCK // 2, BLOCK - 64, BLOCK, 2 * BLOCK + 7, 5 * BLOCK])
@pytest.mark.parametrize("cut", [1, 2, 40, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("before", [0, 1])
def test_appending_after_a_long_record_was_cut_off_goes_on_cleanly(
    tmp_path: Path, size: int, cut: int, before: int
) -> None:
    """A snapshot of a big book may be far longer than what is read in one go."""
    path = tmp_path / "r.jsonl"
    long = b" ".join(b"%d" % number for number in range(size // 5))
    _written(path, *[Received(1, 1, long[::-1])] * before)
    complete, records = path.read_bytes(), list(read(path))
    line = encode(Received(2, 1, long))
    path.write_bytes(complete + line[: max(len(line) - cut, 0)])
    kept = [*records, Received(2, 1, long)] if cut == 1 else records
    _written(path, Received(9, 1, b"two"))
    assert list(read(path))[:-1] == [*kept, HEADER, Received(9, 1, b"two")]


@pytest.mark.parametrize("content", ["my thesis", '{"kind":"thesis"}\n', "\n\n", '{"raw": ""}\n'])
def test_a_file_that_is_no_recording_is_refused_and_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text(content)
    with pytest.raises(UsageError, match="stays as it is"):
        RecordingWriter(path)
    assert path.read_text() == content


@pytest.mark.parametrize("torn", ["", '{"kind":"in","ns":3,"conn'])
def test_a_recording_of_another_exchange_is_refused_and_stays_readable(
    tmp_path: Path, torn: str
) -> None:
    path = tmp_path / "r.jsonl"
    _written(path, Opened(1, 1, "wss://x"), Received(2, 1, b"one"))
    before = path.read_bytes()
    path.write_bytes(before + torn.encode())
    writer = RecordingWriter(path)
    writer.write(Received(9, 1, b"early"))
    with pytest.raises(UsageError, match=r"is a recording of .* record other into a file"):
        writer.begin(attrs.evolve(HEADER, exchange="other"))
    writer.write(Received(9, 1, b"late"))
    writer.close()
    assert path.read_bytes() == before


def test_a_line_in_the_middle_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(encode(HEADER) + b"what?\n" + encode(End(2)))
    with pytest.raises(UsageError, match=r"r\.jsonl:2"):
        list(read(path))


def test_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(encode(HEADER).replace(b'"format":1', b'"format":2'))
    with pytest.raises(UsageError, match="format 2"):
        list(read(path))


def test_unwritable_and_missing_files_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't write"):
        RecordingWriter(tmp_path / "no" / "such" / "folder")
    with pytest.raises(UsageError, match="can't read"):
        list(read(tmp_path / "nothing"))


# --- The transport --------------------------------------------------------------------------


def test_everything_that_passes_is_written_in_order(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    server = ToyServer()

    async def main() -> None:
        clock = VirtualClock()
        writer = RecordingWriter(path)
        transport = RecordingTransport(MemoryTransport(server), writer, clock=clock)
        async with connect(Toy(), transport=transport, clock=clock) as client:
            await client.instrument("BTC/USD")
            writer.begin(HEADER)
            async with client.subscribe(top_of_book("BTC/USD")) as feed:
                await feed.ready()
                server.tick("top.BTC")
                server.open[0].drop(1006, "gone")
                async for event in feed:
                    if event.type == "resumed":
                        break
                writer.close()

    run(main())
    header, *records = read(path)
    assert header == HEADER
    assert [r.kind for r in records[:6]] == ["http", "open", "out", "in", "in", "in"]
    http, opened, sent, *rest = records
    assert isinstance(http, Http)
    assert http.url == "https://rest.toy/instruments"
    assert isinstance(opened, Opened)
    assert opened.url == "wss://ws.toy/v1"
    assert isinstance(sent, Sent)
    assert b'"top.BTC"' in sent.frame
    closed = next(r for r in rest if isinstance(r, Closed))
    assert (closed.reason, closed.code) == ("gone", 1006)
    assert isinstance(records[-1], End)
    assert [r.connection for r in records if isinstance(r, Opened)] == [1, 2]
    # What the client does at its end is not the recording's business.
    assert sum(isinstance(r, Closed) for r in records) == 1


SECRETS = Credentials("the-key-0123", "the-secret-4567", "the-phrase-89")


class _Echo:
    """A transport whose connection answers with what it was sent."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = frames

    async def connect(self, url: str, headers: object = ()) -> _Echo:
        return self

    async def receive(self) -> tuple[bytes, ...]:
        if not self.frames:
            raise ConnectionLost("over")
        frames, self.frames = self.frames, ()
        return frames

    async def send(self, frame: str | bytes) -> None: ...
    async def ping(self) -> None: ...
    async def close(self, code: int = 1000) -> None: ...
    def abort(self) -> None: ...
    async def aclose(self) -> None: ...

    async def request(self, base_url: str, request: HttpRequest):  # type: ignore[no-untyped-def]
        from ccrs_core import HttpResponse

        return HttpResponse(200, {}, b'{"echo":"' + request.query_string.encode() + b'"}')


@pytest.mark.parametrize("credentials", [SECRETS, None])
@pytest.mark.parametrize(
    "login",
    [
        '{"req_id":"1","op":"auth","args":["the-key-0123",1,"a0b1c2"]}',
        '{"op": "login", "args": [{"apiKey":"the-key-0123","sign":"a0b1c2"}]}',
        '{"method":"session.logon","params":{"apiKey":"the-key-0123","signature":"a0b1c2"}}',
    ],
)
def test_a_login_frame_is_masked_whole(
    tmp_path: Path, login: str, credentials: Credentials | None
) -> None:
    path = tmp_path / "r.jsonl"

    async def main() -> None:
        with RecordingWriter(path, credentials=credentials) as writer:
            writer.begin(HEADER)
            connection = await RecordingTransport(_Echo(), writer).connect("wss://x/y?token=abc")
            await connection.send(login)
            await connection.send('{"op":"subscribe"}')

    run(main())
    text = path.read_text()
    assert "the-key" not in text
    assert "a0b1c2" not in text
    assert "token=abc" not in text
    masked, plain = (r for r in read(path) if isinstance(r, Sent))
    assert masked.masked
    assert plain == Sent(plain.ns, 1, b'{"op":"subscribe"}')


def test_a_secret_that_the_exchange_repeats_is_crossed_out(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"

    async def main() -> None:
        with RecordingWriter(path, credentials=SECRETS) as writer:
            writer.begin(HEADER)
            transport = RecordingTransport(_Echo(b'{"apiKey":"the-key-0123"}'), writer)
            connection = await transport.connect("wss://user:password@x/y")
            assert await connection.receive() == (b'{"apiKey":"the-key-0123"}',)
            for name in ("the-key-0123", "the-secret-4567"):
                await transport.request("https://x", HttpRequest("GET", "/a", (("k", name),)))
            signed = HttpRequest("GET", "/b", (("sum", "1"),), {"X-KEY": "the-key-0123"})
            await transport.request("https://x", signed)
            await transport.request("https://x", HttpRequest("GET", "/c", (("sum", "2"),)))

    run(main())
    text = path.read_text()
    assert "the-" not in text
    assert "password" not in text
    assert "sum=1" not in text
    assert "https://x/c?sum=2" in text
    received = next(r for r in read(path) if isinstance(r, Received))
    assert received.frame == b'{"apiKey":"XXXXXXXXXXXX"}'


@pytest.mark.parametrize(
    "secret",
    ['pass"phrase \\ 1', "gr\u00fc\u00df Gott \u20ac", "a+b/c=d&e", "100%~(x)", "sl/ash\n\t2"],
)
def test_a_secret_is_hidden_however_it_is_spelled(tmp_path: Path, secret: str) -> None:
    credentials = Credentials("the-key-0123", "the-secret-4567", secret)
    spelled = [
        json.dumps({"p": secret}),
        json.dumps({"p": secret}, ensure_ascii=False),
        json.dumps({"p": secret}).replace("/", "\\/"),
        f"p={quote(secret, safe='')}",
        f"p={quote(secret)}",
        f"p={quote_plus(secret)}",
        "p=" + re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        urlencode({"p": secret}),
        HttpRequest("GET", "/", (("p", secret),)).query_string,
        secret,
    ]
    with RecordingWriter(tmp_path / "r", credentials=credentials) as writer:
        for text in spelled:
            raw = text.encode()
            assert writer.holds_secret(raw), text
            cleaned = writer.cleaned(raw)
            assert len(cleaned) == len(raw)
            assert not writer.holds_secret(cleaned), text


@pytest.mark.parametrize(
    "url",
    [
        "wss://x.test/y?auth=SECRET",
        "wss://x.test/y?a=1&jwt=SECRET&b=2",
        "wss://x.test/y?access-token=SECRET",
        "wss://x.test/y?X-Amz-Signature=SECRET",
        "wss://x.test/y?passphrase=SECRET",
        "wss://x.test/y#apiKey=SECRET",
        "https://user:SECRET@x.test/y",
        "https://user:SE@SECRET@x.test/y",
        "https://SECRET@x.test",
    ],
)
def test_addresses_are_shown_without_what_is_secret_in_them(url: str) -> None:
    assert "SECRET" not in shown_url(url)
    assert "x.test" in shown_url(url)


@needs_full
def test_a_full_disk_ends_the_recording_with_one_warning_and_the_feed_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = ToyServer()
    writer = RecordingWriter("/dev/full")

    async def main() -> None:
        clock = VirtualClock()
        transport = RecordingTransport(MemoryTransport(server), writer, clock=clock)
        async with (
            connect(Toy(), transport=transport, clock=clock) as client,
            client.subscribe(top_of_book("BTC/USD")) as feed,
        ):
            await feed.ready()
            writer.begin(HEADER)
            reader = aiter(feed)
            for _ in range(3):
                server.tick("top.BTC")
                assert (await anext(reader)).type == "top_of_book"

    run(main())
    assert isinstance(writer.failure, RecordingFailed)
    assert "can't write /dev/full any more: No space left" in str(writer.failure)
    assert "0 frames are safe" in str(writer.failure)
    told = [r for r in caplog.records if r.name == "ccrs.recording"]
    assert [record.levelname for record in told] == ["WARNING"]
    with pytest.raises(RecordingFailed):
        writer.close()
    writer.close()  # it was told


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":["in"]}',
        '{"kind":{}}',
        '{"kind":null}',
        "[1]",
        "3",
        '{"kind":"in","ns":"A","connection":1,"raw":"x"}',
        '{"kind":"in","ns":1.5,"connection":1,"raw":"x"}',
        '{"kind":"in","ns":true,"connection":1,"raw":"x"}',
        '{"kind":"in","ns":99999999999999999999,"connection":1,"raw":"x"}',
        '{"kind":"in","ns":18446744073709551615,"connection":1,"raw":"x"}',
        '{"kind":"in","ns":1,"connection":{},"raw":"x"}',
        '{"kind":"in","ns":1,"connection":1,"raw":[]}',
        '{"kind":"in","ns":1,"connection":1,"base64":[]}',
        '{"kind":"in","ns":1,"connection":1,"base64":"\\u00e9"}',
        '{"kind":"open","ns":1,"connection":1,"url":{}}',
        '{"kind":"close","ns":1,"connection":1,"reason":1}',
        '{"kind":"close","ns":1,"connection":1,"reason":"x","code":"1000"}',
        '{"kind":"http","ns":1,"method":1,"url":"x","status":200,"body":""}',
        '{"kind":"http","ns":1,"method":"GET","url":[],"status":200,"body":""}',
        '{"kind":"http","ns":1,"method":"GET","url":"x","status":"200","body":""}',
        '{"kind":"out","ns":1,"connection":1,"raw":"x","masked":"no"}',
        '{"kind":"header"}',
        '{"kind":"header","format":1,"ns":"A"}',
    ],
)
def test_a_malformed_record_is_named_with_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r"
    path.write_bytes(encode(HEADER) + line.encode() + b"\n" + encode(End(1)))
    with pytest.raises(UsageError, match=":2: "):
        list(read(path))


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(RECORDS, st.data())
def test_a_record_with_any_field_replaced_is_read_or_refused(
    record: Record, data: st.DataObject
) -> None:
    content = json.loads(encode(record))
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(JSONS)
    with contextlib.suppress(ValueError):
        assert decode(encode(decode(json.dumps(content).encode())))
