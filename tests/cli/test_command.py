"""The command as such: what it imports, its errors and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pluggy
import pytest

from ccrs_core.cli import run
from ccrs_core.cli.group import Commands, cli
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.extensions.hooks import Specs, hookimpl
from tests.cli.conftest import Command
from tests.installing import Site

IMPORTS = """
import sys
from ccrs_core.cli import run
code = run({arguments!r})
print(*sorted(sys.modules), file=sys.stderr)
raise SystemExit(code)
"""


def _imported(*arguments: str) -> set[str]:
    code = IMPORTS.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(done.stderr.decode().split())


@pytest.mark.parametrize("arguments", [["--help"], ["exchanges"], ["watch", "--help"]])
def test_help_and_lists_import_nothing_heavy(arguments: list[str]) -> None:
    imported = _imported(*arguments)
    assert not {"aiohttp", "cattrs", "tenacity"} & imported
    assert "ccrs_core.client.client" not in imported


def test_json_needs_no_tables() -> None:
    assert "rich" not in _imported("exchanges", "--json")


def test_help_imports_no_command_and_no_plugin() -> None:
    imported = _imported("--help")
    assert not {f"ccrs_core.cli.{name}" for name in ("watch", "record", "doctor")} & imported
    assert "ccrs_bybit" not in imported


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["watch", "bibyt", "BTC/USDT"], "did you mean bybit?"),
        (["watch", "bybit", "BTCUSDT"], "not a unified symbol"),
        (["watch", "bybit", "BTC/USDX", "--environment", "emulator"], "did you mean BTC/USDT"),
        (["watch", "bybit", "BTC/USDT", "--environment", "moon"], "no environment 'moon'"),
        (["watch", "bybit", "BTC/USDT", "--channel", "trade"], "did you mean trades?"),
        (["watch", "bybit", "BTC/USDT", "--conections", "2"], "--connections"),
        (["watch", "bybit", "BTC/USDT", "--connections", "0"], "--connections"),
        (["watch", "BTC/USDT"], "BTC/USDT is no exchange: its name stands first"),
        (["watch", "BTC/USDT", "ETH/USDT"], "BTC/USDT is no exchange"),
        (["record", "BTC/USDT", "ETH/USDT", "-o", "/dev/null"], "BTC/USDT is no exchange"),
        (["watch", "bybit", "BTC/USDT", "--base-url", "http://a:99999"], "base_url must look"),
        (["watch", "bybit", "BTC/USDT", "--rate", "nan", "--environment", "emulator"], "--rate"),
        (["emulator", "bybit", "--rate", "nan"], "rate must be a number above zero"),
        (["watch", "bybit", "BTC/USDT", "--rate", "-1", "--environment", "emulator"], "--rate"),
        (
            ["watch", "bybit", "BTC/USDT", "--channel", "funding", "--environment", "emulator"],
            "offers no funding",
        ),
        (["watch", "bybit", "BTC/USDT", "--proxy", "carrier://pigeon:1"], "the proxy must"),
        (["watch", "bybit"], "SYMBOL"),
        (["wacth", "bybit"], "Did you mean 'watch'?"),
        (["replay", "bybit", "/no/such/file"], "can't read /no/such/file"),
        (["replay", "bybit", "/no/such/file", "--speed", "fast"], "--speed"),
        (["record", "bybit", "BTC/USDT", "-o", "/no/such/folder/f"], "can't write"),
        (["emulator", "bybit", "--fault", "earthquake"], "no fault 'earthquake'"),
        (["emulator", "bybit", "--account", "k"], "--account is KEY:SECRET"),
    ],
)
def test_a_wrong_call_is_one_line_and_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize("command", ["watch", "record"])
def test_no_network_is_one_line_and_code_1(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    arguments = [command, "bybit", "BTC/USDT", "--base-url", "http://127.0.0.1:1"]
    if command == "record":
        arguments += ["-o", str(tmp_path / "r.jsonl")]
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "127.0.0.1:1" in err


def test_a_bug_is_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "load", lambda name: 1 // 0)
    assert run(["watch", "bybit", "BTC/USDT"]) == 1
    assert capsys.readouterr().err == (
        "Error: unexpected ZeroDivisionError: integer division or modulo by zero "
        "(a bug? CCRS_DEBUG=1 shows more)\n"
    )


# --- exchanges ------------------------------------------------------------------------------


def test_exchanges_tells_what_each_market_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exchanges", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (bybit,) = (row for row in rows if row["name"] == "bybit")
    assert bybit["distribution"] == "ccrs-bybit"
    assert bybit["version"]
    assert "top_of_book" in bybit["markets"]["spot"]["channels"]
    assert bybit["markets"]["linear"]["book_depths"] == [50, 200, 1000]
    assert run(["exchanges"]) == 0
    shown = capsys.readouterr().out
    for word in ("bybit", "ccrs-bybit", "top of book", "50 200 1000", "spot", "emulator"):
        assert word in shown


def test_a_broken_plugin_is_named_with_its_cause_and_stops_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Site(tmp_path).install("ccrs-acme", exchanges="acme = no_such_module:Acme")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run(["exchanges", "--json"]) == 0
    rows = {r["name"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert "markets" in rows["bybit"]
    assert "No module named 'no_such_module'" in rows["acme"]["error"]
    assert rows["acme"]["distribution"] == "ccrs-acme"
    assert run(["exchanges"]) == 0
    assert "no_such_module" in capsys.readouterr().out
    assert run(["watch", "acme", "A/B"]) == 1
    assert "no_such_module" in capsys.readouterr().err


def test_plugins_add_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plugin:
        @hookimpl
        def ccrs_add_command(self, group: click.Group) -> None:
            @group.command("wave", help="Wave at somebody.")
            def wave() -> None:
                click.echo("o/")

    manager = pluggy.PluginManager("ccrs")
    manager.add_hookspecs(Specs)
    manager.register(Plugin())
    monkeypatch.setattr(plugins, "hook_manager", lambda: manager)
    monkeypatch.setattr(cli, "_extended", False)
    monkeypatch.setattr(cli, "commands", {})
    assert isinstance(cli, Commands)
    assert run(["wave"]) == 0
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "o/" in out
    assert "Wave at somebody." in out
    assert "watch" in out


def test_characters_that_the_terminal_lacks_are_no_error(ccrs: Command) -> None:
    ccrs.environment["PYTHONIOENCODING"] = "cp1252"
    for arguments in (
        ("exchanges",),
        ("doctor", "bybit", "--environment", "emulator"),
        ("watch", "bybit", "BTC/USDT", "--environment", "emulator", "--seconds", "1"),
    ):
        done = ccrs(*arguments)
        assert done.returncode == 0, done.stderr
        assert b"Unicode" not in done.stderr


def test_a_network_that_fails_is_told_in_words_with_what_to_do(ccrs: Command) -> None:
    done = ccrs("instruments", "bybit", "--base-url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert b"connection refused (ccrs doctor EXCHANGE, with the same options" in done.stderr
    assert b"ssl:default" not in done.stderr


def test_one_count_in_a_pipe_prints_its_quote(ccrs: Command) -> None:
    done = ccrs("watch", "bybit", "BTC/USDT", "--environment", "emulator", "--count", "1")
    assert b"BTC/USDT top-of-book bid " in done.stdout
