"""What share of frames goes a codec's short way is measured, of recordings, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from ccrs_bybit import Bybit

from ccrs_core.cli import main
from ccrs_core.conformance import ConformanceSuite, Profile, Subject

USUAL = (
    '{"topic":"publicTrade.BTCUSDT","ts":1794000000001,"type":"snapshot","data":[{"i":"%d",'
    '"T":1794000000000,"p":"100000.1","v":"0.5","S":"Buy","seq":7,"s":"BTCUSDT","BT":false,'
    '"RPI":false}]}'
)
OTHER = USUAL.replace(',"seq":7', "")
UNREADABLE = USUAL.replace('"100000.1"', '"dear"')


def measured(path: Path) -> dict[str, str] | None:
    subject = Subject(Bybit, profile=Profile.QUICK, recordings=[path])
    ConformanceSuite().test_a_shortcut_takes_frames_as_the_exchange_spells_them(subject)
    assert set(subject.figures["short way, of the emulator's data frames"]) == {
        market.value for market in subject.channels
    }
    return subject.figures.get("short way, of recorded data frames")


def test_of_a_recording_each_data_frame_counts_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    lines = [USUAL % 1, USUAL % 2, OTHER % 3, USUAL % 4, UNREADABLE % 5, '{"op":"pong"}']
    path.write_text("\n".join(lines) + "\n")
    assert measured(path) == {"spot": "75 % of 4 (trades 75 %)"}


def test_a_recording_without_data_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_text('{"op":"pong"}\n')
    assert measured(path) is None


def test_a_recording_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.jsonl"
    with pytest.raises(SystemExit) as ended:
        main(["conformance", "bybit", "--recorded", str(missing)])
    assert ended.value.code == 2
    assert "missing.jsonl" in capsys.readouterr().err
