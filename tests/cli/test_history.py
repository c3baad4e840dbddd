"""``ccrs history``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ccrs_core.cli import run
from ccrs_core.client.history import History
from ccrs_core.errors import ConnectionLost
from ccrs_core.frames.staged import STAGE
from ccrs_core.requests import course
from tests.cli.conftest import Command

SPAN = ("--from", "2026-01-01", "--to", "2026-01-02")
EMULATED = ("--environment", "emulator")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_exchanges_are_named_once_for_all_or_with_each_symbol(
    ccrs: Command, tmp_path: Path
) -> None:
    path = tmp_path / "candles.csv"
    done = ccrs("history", "okx", "BTC/USDT", "bybit:ETH/USDT", *SPAN, *EMULATED, "-o", str(path))
    assert done.returncode == 2, done.stderr
    assert b"each with its own: okx:BTC/USDT bybit:ETH/USDT" in done.stderr
    assert not list(tmp_path.iterdir())


def test_histories_of_several_exchanges_become_one_file(ccrs: Command, tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    symbols = ("bybit:BTC/USDT", "okx:ETH/USDT", "binance:ETH/USDT:USDT")
    done = ccrs("history", *symbols, "--interval", "1h", *SPAN, *EMULATED, "-o", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert done.stderr.startswith(b"72 rows in ")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(row["exchange"], row["symbol"]) for row in rows]
    assert found == [
        *[("bybit", "BTC/USDT")] * 24,
        *[("okx", "ETH/USDT")] * 24,
        *[("binance", "ETH/USDT:USDT")] * 24,
    ]
    opened = [row["open_time"] for row in rows[:24]]
    assert opened == sorted(set(opened))
    assert opened[0].startswith("2026-01-01T00:00:00")
    assert list(tmp_path.iterdir()) == [path]


def test_a_download_that_was_broken_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "candles.jsonl"
    command = ["history", "bybit", "BTC/USDT", "ETH/USDT", *EMULATED, "-o", str(path)]
    command += ["--interval", "5m", "--from", "2025-12-28", "--to", "2026-01-02"]
    monkeypatch.setattr(course, "ROWS", 600)
    real, calls = History.__anext__, 0
    breaking: set[int] = set()

    async def breaks(self: History) -> Any:
        nonlocal calls
        calls += 1
        if calls in breaking:
            raise ConnectionLost("the line has broken")
        return await real(self)

    monkeypatch.setattr(History, "__anext__", breaks)
    for at in ({1}, {2, 3}, {2}):
        breaking, calls = at, 0
        assert run(command) == 1
        assert not path.exists()
    assert "the same command goes on from there" in capsys.readouterr().err
    other = [*command[:-1], "2026-01-03"]
    assert run(other) == 2  # asks for something else
    assert "beginning of something else" in capsys.readouterr().err
    breaking = set()
    assert run(command) == 0
    rows = _lines(path)
    for symbol in ("BTC/USDT", "ETH/USDT"):
        opened = [row["open_time_ns"] for row in rows if row["symbol"] == symbol]
        assert len(opened) == 5 * 288
        assert opened == sorted(set(opened))
    assert not path.with_name(path.name + STAGE).exists()
    assert run(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert run([*command, "--force"]) == 0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (["--from", "yesterday"], "is no time"),
        (["--from", "1767225600000"], "looks like milliseconds"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "is later than end"),
        (["--from", "2026-01-01", "--channel", "candels"], "did you mean candles?"),
        (["--from", "2026-01-01", "--channel", "trades", "--interval", "1m"], "have no interval"),
        (["--from", "2026-01-01", "--interval", "1w", "-o", "x.txt"], "must end in"),
    ],
)
def test_what_cannot_be_fetched_is_told_and_leaves_no_trace(
    wrong: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["history", "bybit", "BTC/USDT", "-o", "x.jsonl", *EMULATED, *wrong]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
