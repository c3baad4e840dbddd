"""What a shell offers while a command is typed."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from ccrs_core import Instrument, Market
from ccrs_core.cli import completion, run
from ccrs_core.cli.group import cli
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def dial(*given: Any) -> None:
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", dial)
    return tmp_path


def offered(line: str) -> list[str]:
    *words, last = line.split(" ")
    shell = ShellComplete(cli, {}, "ccrs", "_CCRS_COMPLETE")
    return [each.value for each in shell.get_completions(words, last)]


def test_exchanges_environments_channels_and_commands_are_offered() -> None:
    assert {"bybit", "okx", "binance"} <= set(offered("watch "))
    assert offered("doctor by") == ["bybit"]
    assert offered("replay ok") == ["okx"]
    assert {"mainnet", "testnet", "emulator"} <= set(offered("watch bybit --environment "))
    assert offered("watch bybit --environment em") == ["emulator"]
    assert set(offered("watch nowhere --environment ")) == {"mainnet", "emulator"}
    assert offered("watch bybit --channel tra") == ["trades"]
    assert "watch" in offered("wa")


@pytest.mark.parametrize("command", ["watch", "record", "history"])
def test_symbols_are_the_emulators_until_the_exchange_has_told_its_own(
    command: str, cache: Path
) -> None:
    assert "BTC/USDT:USDT" in offered(f"{command} bybit BTC/")
    assert "BTC/USDT" in offered(f"{command} bybit btc/u")
    assert "BTC/USDT" not in offered(f"{command} bybit BTC/USDT BTC/")
    assert "bybit:ETH/USDT" in offered(f"{command} bybit:ETH")
    assert "okx:ETH/USDT" in offered(f"{command} bybit:ETH/USDT okx:ETH")
    assert offered(f"{command} nowhere BTC/") == []
    told = Instrument(
        exchange="bybit",
        symbol="NEW/USDT",
        native="N",
        market=Market.SPOT,
        base="NEW",
        quote="USDT",
    )
    completion.remember("bybit", "mainnet", [told])
    assert offered(f"{command} bybit N") == ["NEW/USDT"]
    assert "NEW/USDT" not in offered(f"{command} bybit --environment emulator N")
    (cache / "ccrs" / "bybit-mainnet.symbols").write_bytes(b"\xff")
    assert "BTC/USDT" in offered(f"{command} bybit BTC/")


def test_where_nothing_can_be_kept_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    completion.remember("bybit", "mainnet", [])


def test_what_an_exchange_lists_is_remembered(
    emulator: str, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert run(["instruments", "bybit", "--base-url", emulator, "--search", "BTC/USDT"]) == 0
    capsys.readouterr()
    (file,) = (cache / "ccrs").iterdir()
    assert "ETH/USDT" in file.read_text().split()


def test_a_shell_is_answered_by_the_command_itself(ccrs: Command) -> None:
    ccrs.environment |= {
        "_CCRS_COMPLETE": "bash_complete",
        "COMP_WORDS": "ccrs watch by",
        "COMP_CWORD": "2",
    }
    done = ccrs()
    assert (done.stdout, done.stderr) == (b"plain,bybit\n", b"")
