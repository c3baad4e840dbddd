"""Recording and replaying as users do it: what is played back is what was delivered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ccrs_core import (
    AnyEvent,
    BookUpdate,
    Channel,
    ExtraNotInstalled,
    Interest,
    RecordingFailed,
    TopOfBook,
    UsageError,
    book,
    record,
    replay,
    top_of_book,
    trades,
)
from ccrs_core.emulator import EmulatedExchange, EmulatorTransport
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.extensions import extras
from ccrs_core.recordings import compressed
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import Header, Opened, Received
from ccrs_core.recordings.parts import Rotation, parts_of
from ccrs_core.transport.memory import START_NS, MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer

INTERESTS = (top_of_book("BTC/USD"), book("BTC/USD"), trades("BTC/USD"))
SUFFIXES = ("", ".gz", ".zst")
VERSIONS: dict[str, Any] = {
    "exchange_version": "1",
    "core_version": "1",
    "environment": "test",
    "subscriptions": (),
}


class StandingClock:
    def time_ns(self) -> int:
        return START_NS

    def monotonic(self) -> float:
        return 0.0


def recorded(
    path: Path, *, steps: int = 12, interests: Sequence[Interest] = INTERESTS, **how: Any
) -> list[AnyEvent]:
    """Record the toy exchange, with a connection that drops, and tell what was delivered."""
    live: list[AnyEvent] = []
    server = ToyServer()

    async def main() -> None:
        clock = VirtualClock()
        async with record(
            Toy(),
            *interests,
            to=path,
            policy="drop_oldest",
            transport=MemoryTransport(server),
            clock=clock,
            **how,
        ) as recording:
            await recording.feed.ready()
            for step in range(steps):
                if step == steps // 2:
                    server.open[0].drop()
                    await asyncio.sleep(5)
                for topic in ("top.BTC", "book.BTC", "trades.BTC"):
                    server.tick(topic)
                await asyncio.sleep(0.25)
            assert recording.frames > steps
            assert recording.bytes > 100
            assert recording.failure is None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    async for batch in recording.feed.batches():
                        live.extend(batch)

    run(main())
    return live


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("rotation", [{}, {"rotate_bytes": 900}, {"rotate_seconds": 1.1}])
def test_what_is_played_back_is_what_was_delivered(
    tmp_path: Path, suffix: str, rotation: dict[str, Any]
) -> None:
    path = tmp_path / f"day.jsonl{suffix}"
    live = recorded(path, **rotation)
    assert {event.type for event in live} >= {"top_of_book", "book", "trade", "stale", "gap"}
    assert list(replay(path, exchange=Toy())) == live
    files = parts_of(path) if rotation else [path]
    assert (len(files) > 2) == bool(rotation)
    assert list(replay(*reversed(files), exchange=Toy())) == live


def test_of_a_recording_that_was_gone_on_with_each_part_tells_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    tops = recorded(path, interests=[top_of_book("BTC/USD")])
    told = recorded(path, interests=[trades("BTC/USD")])
    assert list(replay(path, exchange=Toy(), channels={Channel.TOP_OF_BOOK})) == tops
    assert list(replay(path, exchange=Toy(), channels={Channel.TRADES})) == told
    with pytest.raises(UsageError, match="holds top_of_book, trades"):
        list(replay(path, exchange=Toy(), channels={Channel.BOOK}))


def test_whichever_book_was_asked_for_is_played_back(tmp_path: Path) -> None:
    plugin = plugins.load("bybit")()
    dialect = plugin.dialect()
    assert dialect is not None
    asked = {
        "plain": book("BTC/USDT"),
        "rpi": book("BTC/USDT", rpi=True),
        "few": book("BTC/USDT", 3),
    }
    for name, interest in asked.items():
        path, clock = tmp_path / f"{name}.jsonl", VirtualClock(START_NS)
        line = EmulatorTransport(EmulatedExchange(dialect, start_ns=START_NS), clock)

        async def main(path: Path, interest: Interest, line: Any, clock: VirtualClock) -> Any:
            named: Any = {"base_url": "http://emulator", "transport": line, "clock": clock}
            async with record(plugin, interest, to=path, **named) as recording:
                await recording.feed.ready()
                await asyncio.sleep(2)
                live = recording.feed.book("BTC/USDT")
                return live.sequence, live.bids(3), live.asks(3)

        sequence, bids, asks = run(main(path, interest, line, clock))
        playing = replay(path)
        assert len(list(playing)) > 5
        played = playing.book("BTC/USDT")
        assert (played.sequence, played.bids(3), played.asks(3)) == (sequence, bids, asks)


def test_files_of_one_recording_can_be_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    live = recorded(path, rotate_bytes=900)
    first, *_, last = parts_of(path)
    assert list(replay(first, exchange=Toy())) == live[: len(list(replay(first, exchange=Toy())))]
    records = list(read(last))
    heard = {each.connection for each in records if isinstance(each, Received)}
    assert {each.connection for each in records if isinstance(each, Opened)} == heard
    alone = list(replay(last, exchange=Toy()))
    assert {event.type for event in alone} >= {"top_of_book", "trade"}
    assert [event for event in alone if event.type == "trade"] == [
        event for event in live if event.type == "trade"
    ][-sum(event.type == "trade" for event in alone) :]


def test_rotating_goes_on_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl.zst"
    recorded(path, rotate_bytes=2_000)
    before = parts_of(path)
    contents = [each.read_bytes() for each in before]
    recorded(path, rotate_bytes=2_000)
    assert parts_of(path)[: len(before)] == before
    assert len(parts_of(path)) > len(before)
    assert [each.read_bytes() for each in before] == contents


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_breaks_off_is_played_up_to_there_and_the_log_says_so(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"day.jsonl{suffix}"
    live = recorded(path)
    content = path.read_bytes()
    lengths = []
    for cut in range(len(content) // 3, len(content), max(len(content) // 25, 1)):
        path.write_bytes(content[:cut])
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ccrs.recording"):
            found = []
            # Of what was compressed at once, nothing may be there yet.
            with contextlib.suppress(UsageError):
                found = list(replay(path, exchange=Toy()))
        assert found == live[: len(found)]
        lengths.append(len(found))
        if suffix == ".gz":
            assert "breaks off" in caplog.text
    assert lengths == sorted(lengths)
    assert suffix or lengths[-1] > len(live) // 2


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_came_is_in_a_compressed_file_a_second_later_though_nothing_follows(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"day.jsonl{suffix}"
    server, found = ToyServer(), []

    async def main() -> None:
        to = {"transport": MemoryTransport(server), "clock": VirtualClock()}
        async with record(Toy(), top_of_book("BTC/USD"), to=path, **to) as recording:
            await recording.feed.ready()
            for moment in (0.1, 0.5, 0.9):
                await asyncio.sleep(moment)
                server.tick("top.BTC")
                await asyncio.sleep(1.01)
                # As a kill would leave it.
                killed = path.with_name(f"{moment}.jsonl{suffix}")
                killed.write_bytes(path.read_bytes())
                found.append((len(list(replay(killed, exchange=Toy()))), recording.frames))

    run(main())
    counts = [events for events, _ in found]
    assert counts == [2, 3, 4], found


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("rotation", [None, Rotation(bytes=900)])
def test_a_disk_that_is_full_when_a_compressed_file_ends_fails_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, rotation: Rotation | None
) -> None:
    full = partial(open, "/dev/full", "wb")
    monkeypatch.setattr(compressed, "open", lambda *_: full(), raising=False)
    path = tmp_path / f"day.jsonl{suffix}"
    writer = RecordingWriter(path, rotation=rotation, clock=StandingClock())
    writer.begin(Header(ns=START_NS, exchange="toy", **VERSIONS))
    for number in range(10 if rotation else 1):
        writer.write(Received(START_NS + number, 1, b"x" * 200))
    assert (writer.failure is not None) == bool(rotation)
    with pytest.raises(RecordingFailed, match="No space left on device; what came until a second"):
        writer.close()
    writer.close()


def test_damage_is_told(tmp_path: Path) -> None:
    for suffix in (".gz", ".zst"):
        path = tmp_path / f"day.jsonl{suffix}"
        path.write_bytes(b"this was never compressed")
        with pytest.raises(UsageError, match="damaged"):
            replay(path, exchange=Toy())


def test_a_range_delivers_what_came_within_and_begins_with_the_books(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    live = recorded(path)
    moments = sorted({event.received_time_ns for event in live})
    start, end = moments[len(moments) // 3], moments[-3]
    playing = replay(path, exchange=Toy(), start=start, end=end)
    found = list(playing)
    first = found[0]
    assert isinstance(first, BookUpdate)
    assert first.snapshot
    before = [e for e in live if e.received_time_ns < start and isinstance(e, BookUpdate)]
    assert first.sequence == before[-1].sequence
    data = [e for e in live if e.channel is not None and start <= e.received_time_ns < end]
    assert [e for e in found[1:] if e.channel is not None] == data
    aware = datetime.fromtimestamp(end / 1e9 + 1, UTC)
    assert list(replay(path, exchange=Toy(), end=aware))[: len(live) // 2] == live[: len(live) // 2]
    with pytest.raises(UsageError, match="start must not be after end"):
        replay(path, start=end, end=start)


def test_several_recordings_are_merged_by_time_and_books_know_nothing_of_what_comes(
    tmp_path: Path,
) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz"
    lives = [
        recorded(one, interests=(book("BTC/USD"),)),
        recorded(two, interests=(top_of_book("BTC/USD"), trades("BTC/USD"))),
    ]
    playing = replay(one, two, exchange=Toy())
    times, sequence = [], None
    found = []
    for event in playing:
        found.append(event)
        times.append(playing.time_ns)
        if isinstance(event, BookUpdate):
            sequence = event.sequence
        if sequence is not None and playing.book("BTC/USD").valid:
            assert playing.book("BTC/USD", exchange="toy").sequence == sequence
    assert times == sorted(times)
    of_book = [e for e in found if getattr(e, "about", e.channel) == "book"]
    assert of_book == lives[0]
    assert [e for e in found if e not in of_book] == lives[1]
    assert playing.frames["data"] > 10
    assert not playing.dropped
    with pytest.raises(UsageError, match="no book of ETH/USD"):
        playing.book("ETH/USD")


def test_a_folder_stands_for_the_recordings_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    folder.mkdir()
    with pytest.raises(UsageError, match="holds no recordings"):
        replay(folder, exchange=Toy())
    live = recorded(folder / "toy.jsonl.gz", rotate_bytes=900)
    assert len(list(folder.iterdir())) > 2
    (folder / "notes.txt").write_text("a fine day")
    (folder / "empty.jsonl").touch()
    assert list(replay(folder, exchange=Toy())) == live
    assert list(replay(folder, folder / "toy.jsonl.gz", exchange=Toy())) == live


def test_a_replay_says_where_it_is_and_which_books_there_are(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    recorded(path, interests=[book("BTC/USD")])
    playing = replay(path, exchange=Toy())
    assert repr(playing) == "<Replayed day.jsonl: not begun>"
    last = list(playing)[-1]
    assert last.received_time_ns == playing.time_ns
    assert repr(playing).startswith("<Replayed day.jsonl: at 20")
    with pytest.raises(UsageError, match="there is exchange='toy' with depth="):
        playing.book("BTC/USD", 7)
    with pytest.raises(UsageError, match=r"say book\('BTC/USD', exchange='toy'\)"):
        playing.book("toy:BTC/USD")


def test_two_never_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    with RecordingWriter(path), pytest.raises(UsageError, match="being written by another"):
        RecordingWriter(path)
    RecordingWriter(path).close()
    recorded(packed := tmp_path / "day.jsonl.gz")
    with pytest.raises(UsageError, match="isn't continued"):
        RecordingWriter(packed)


def test_going_on_in_a_file_appends_to_it(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    recorded(path)
    size = path.stat().st_size
    recorded(path)
    assert path.stat().st_size > 1.5 * size
    assert sum(isinstance(each, Header) for each in read(path)) == 2
    tops = [e for e in replay(path, exchange=Toy()) if isinstance(e, TopOfBook)]
    assert tops


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_cannot_be_recorded_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"day.jsonl{suffix}"
    with pytest.raises(UsageError):
        recorded(path, interests=(book("BTC/USD", depth=7777),))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rotate_bytes": 0}, "rotate_bytes must be a number above zero"),
        ({"rotate_seconds": "1h"}, "rotate_seconds must be a number above zero"),
        ({"interests": ()}, "say what to record"),
        ({"interests": (trades("*/USD"),)}, "not of patterns"),
    ],
)
def test_arguments_that_cannot_work_are_refused(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        recorded(tmp_path / "day.jsonl", **arguments)


def test_what_cannot_be_played_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the recordings"):
        replay()
    with pytest.raises(UsageError, match="can't read"):
        replay(tmp_path / "nothing.jsonl")
    other = tmp_path / "other.jsonl"
    other.write_bytes(b'{"raw": "{}", "recv_ts": 1}\n')
    with pytest.raises(UsageError, match=r"exchange=… does"):
        replay(other)


def test_zstandard_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib, "import_module", _missing)
    with pytest.raises(ExtraNotInstalled, match=r"ccrs-core\[zstd\]"):
        RecordingWriter(tmp_path / "day.jsonl.zst")
    assert not list(tmp_path.iterdir())


def _missing(name: str) -> None:
    raise ImportError(name)
