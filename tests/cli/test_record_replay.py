"""``ccrs record`` and ``ccrs replay``."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ccrs_core.cli import run
from ccrs_core.recordings.files import RecordingWriter, read
from ccrs_core.recordings.format import Header
from tests.cli.conftest import ROOT, SECONDS, Command

BYBIT = Path(os.environ.get("CCRS_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "bybit" / "ws"
needs_fixtures = pytest.mark.skipif(not BYBIT.is_dir(), reason="no shared recordings here")


def _record(ccrs: Command, emulator: str, path: Path, *more: str) -> None:
    done = ccrs(
        *("record", "bybit", "BTC/USDT", "--base-url", emulator, "-o", str(path)),
        *("--channel", "book", "--channel", "trades", "--channel", "top-of-book", *more),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""


def test_a_recording_replays_the_same_bytes_every_time(
    ccrs: Command, emulator: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    _record(ccrs, emulator, path, "--count", "150", "--connections", "3")
    first, second = (ccrs("replay", "bybit", str(path), "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stderr == b""
    assert first.stdout == second.stdout
    events = [json.loads(line) for line in first.stdout.splitlines()]
    for kind in ("book", "top_of_book"):
        sequences = [e["sequence"] for e in events if e["type"] == kind]
        assert sequences
        assert sequences == sorted(set(sequences))
    assert {e.get("state") for e in events} <= {None, "valid"}


def test_recording_goes_on_in_the_same_file(ccrs: Command, emulator: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for _ in range(2):
        _record(ccrs, emulator, path, "--count", "30")
    headers = [record for record in read(path) if isinstance(record, Header)]
    assert len(headers) == 2
    assert headers[0].exchange_version
    assert headers[0].environment == emulator.removeprefix("http://")
    assert run(["replay", "bybit", str(path)]) == 0


def test_what_cant_be_recorded_leaves_a_recording_as_it_is(
    ccrs: Command, emulator: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    _record(ccrs, emulator, path, "--count", "30")
    before = path.read_bytes()
    there = ("-o", str(path), "--base-url", emulator)
    done = ccrs("record", "bybit", "BTC/USDT", "--channel", "book", "--depth", "7777", *there)
    assert done.returncode == 2
    assert b"7777" in done.stderr
    done = ccrs("record", "binance", "BTC/USDT", "--environment", "emulator", *there[:2])
    assert done.returncode == 2
    assert b"is a recording of bybit, and stays as it is" in done.stderr
    assert path.read_bytes() == before


def test_what_never_began_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    where = ["-o", str(path), "--environment", "emulator"]
    assert run(["record", "bybit", "BCT/USDT", *where]) == 2
    assert not path.exists()
    path.touch()
    assert run(["record", "bybit", "BCT/USDT", *where]) == 2
    assert path.exists()  # it was there before


def test_a_recording_that_holds_nothing_is_told_as_such(
    ccrs: Command, emulator: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    _record(ccrs, emulator, path, "--count", "1")
    path.write_bytes(path.read_bytes().partition(b'{"kind":"in"')[0])
    for more in ([], ["--json"]):
        done = ccrs("replay", "bybit", str(path), *more)
        assert done.returncode == 0
        assert b"holds no received frames" in done.stderr


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_however_it_ends_the_file_is_good(
    ccrs: Command, emulator: str, tmp_path: Path, how: int, code: int
) -> None:
    path = tmp_path / "r.jsonl"
    with ccrs.start(
        "record", "bybit", "BTC/USDT", "--base-url", emulator, "-o", str(path)
    ) as process:
        until = time.monotonic() + SECONDS
        while not path.exists() or path.read_bytes().count(b'"kind":"in"') < 20:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(how)
        process.communicate(timeout=SECONDS)
    assert process.returncode == code
    done = ccrs("replay", "bybit", str(path), "--json")
    assert done.returncode == 0
    assert done.stdout.count(b'"top_of_book"') >= 10


def test_a_file_of_something_else_is_left_alone(ccrs: Command, tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("all of it")
    assert run(["record", "bybit", "BTC/USDT", "-o", str(path)]) == 2
    assert path.read_text() == "all of it"


def test_replays_keep_the_pace_that_is_asked_for(
    ccrs: Command, emulator: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    _record(ccrs, emulator, path, "--seconds", "1")
    whole = ccrs("replay", "bybit", str(path), "--json").stdout
    began = time.monotonic()
    paced = ccrs("replay", "bybit", str(path), "--json", "--speed", "1")
    assert time.monotonic() - began > 0.5
    assert paced.stdout == whole


def test_a_reader_that_goes_away_ends_a_replay_quietly(
    ccrs: Command, emulator: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    _record(ccrs, emulator, path, "--count", "100")
    with ccrs.start("replay", "bybit", str(path), "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == b""


@needs_fixtures
@pytest.mark.parametrize(
    ("file", "sequence", "best"),
    [
        (
            "recording-orderbook500-linear-XRPUSDT-2024.jsonl",
            20254902,
            ["1.9535", "9324", "1.9536", "3654"],
        ),
        (
            "session-spot-testnet-2026-09.jsonl",
            3734376,
            ["77140.5", "0.236197", "77140.7", "0.240076"],
        ),
    ],
)
def test_real_recordings_end_with_the_right_book(
    file: str, sequence: int, best: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    outputs = []
    for _ in range(2):
        assert run(["replay", "bybit", str(BYBIT / file), "--channel", "book", "--json"]) == 0
        out, err = capsysbinary.readouterr()
        assert b"--market" in err
        outputs.append(out)
    assert outputs[0] == outputs[1]
    last = json.loads(outputs[0].splitlines()[-1])
    assert last["sequence"] == sequence
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    assert [last[name] for name in names] == best


@needs_fixtures
def test_a_replay_for_people_ends_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    file = BYBIT / "session-spot-testnet-2026-09.jsonl"
    assert run(["replay", "bybit", str(file), "--market", "spot"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for word in ("valid", "77140.5 x 0.236197", "77140.7 x 0.240076", "50/50", "book", "trade"):
        assert word in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
def test_a_full_disk_is_named_in_one_line_with_the_frames_that_are_safe(
    ccrs: Command, emulator: str
) -> None:
    done = ccrs("record", "bybit", "BTC/USDT", "--base-url", emulator, "-o", "/dev/full")
    assert done.returncode == 1
    error = done.stderr.decode().splitlines()[-1]
    assert error.startswith("Error: can't write /dev/full any more: No space left on device; 0 ")
    assert "bug" not in done.stderr.decode()


def test_several_exchanges_are_recorded_into_one_folder_and_played_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "day"
    arguments = ["record", "bybit:BTC/USDT", "okx:ETH/USDT", "bybit:ETH/USDT", "--count", "20"]
    arguments += ["--environment", "emulator"]
    assert run([*arguments, "-o", str(folder), "--compress", "gz"]) == 0
    told = capsys.readouterr().err
    shown: dict[str, list[dict[str, Any]]] = {}
    for name in ("bybit", "okx"):
        path = folder / f"{name}.jsonl.gz"
        assert path.read_bytes()[:2] == b"\x1f\x8b", "it is compressed really"
        assert f"in {path}" in " ".join(told.split()) or path.name in told
        assert run(["replay", name, str(path), "--json"]) == 0
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        symbols = {"bybit": {"BTC/USDT", "ETH/USDT"}, "okx": {"ETH/USDT"}}[name]
        assert {event["symbol"] for event in events} == symbols
        shown[name] = events
    (folder / "notes.txt").write_text("a fine day")
    (folder / "broken-off.jsonl").write_text("")
    assert run(["replay", str(folder), "--json"]) == 0
    out = capsys.readouterr().out
    merged = [json.loads(line) for line in out.splitlines()]
    times = [event["received_time_ns"] for event in merged]
    assert times == sorted(times)
    for name, events in shown.items():
        assert [event for event in merged if event["exchange"] == name] == events
    middle = times[len(times) // 2]
    bounds = ["--from", str(middle), "--to", str(times[-1])]
    assert run(["replay", str(folder), "--json", *bounds]) == 0
    part = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert part == [e for e in merged if middle <= e["received_time_ns"] < times[-1]]
    assert run(["replay", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "bybit.jsonl.gz" in out
    assert "okx.jsonl.gz" in out
    for wrong, said in (
        (["replay", "bybit", str(folder)], "was recorded from okx, not from bybit"),
        (["replay", "bybit"], "name the files to replay"),
        (["replay", str(folder), "--from", "2026-01-02", "--to", "2026-01-01"], "--from must not"),
    ):
        assert run(wrong) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert run([*arguments, "-o", str(folder), "--compress", "gz"]) == 2
    assert "exists" in capsys.readouterr().err
    for wrong, said in (
        (["record", "bybit", "BTC/USDT", "-o", str(folder)], "is a folder: name a file"),
        ([*arguments, "-o", str(folder / "okx.jsonl.gz")], "go into a folder"),
        (["record", "bybit", "BTC/USDT", "-o", "x", "--compress", "gz"], "-o x.gz"),
        (["record", "bybit:BTC/USDT", "ETH/USDT", "-o", str(folder)], "whose ETH/USDT?"),
    ):
        assert run(wrong) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_two_recorders_dont_write_into_one_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    with RecordingWriter(path):
        arguments = ["record", "bybit", "BTC/USDT", "--environment", "emulator", "-o", str(path)]
        assert run([*arguments, "--count", "1"]) == 2
    assert "another recorder" in capsys.readouterr().err
    assert path.read_bytes() == b""
