"""The command line takes what it isn't told from variables and a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrs_core.cli import run


def test_what_the_command_isnt_told_comes_from_variables_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('environment = "moon"\n[exchanges.bybit]\nenvironment = "emulator"')
    monkeypatch.setenv("CCRS_CONFIG", str(file))
    arguments = ["instruments", "bybit", "--market", "spot", "--search", "BTC"]
    assert run(arguments) == 0
    assert "BTC/USDT" in capsys.readouterr().out
    assert run(["watch", "bybit", "BTC/USDT", "--environment", "sun"]) == 2
    assert "no environment 'sun'" in capsys.readouterr().err
    monkeypatch.setenv("CCRS_ENVIRONMENT", "pluto")
    assert run(arguments) == 2
    assert "no environment 'pluto'" in capsys.readouterr().err
    monkeypatch.setenv("CCRS_PROXI", "http://10.0.0.1:1")
    assert run(arguments) == 2
    assert "did you mean CCRS_PROXY?" in capsys.readouterr().err


def test_proxies_of_the_environment_are_taken_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "ftp://proxy.test")
    assert run(["instruments", "bybit", "--proxy-from-env"]) == 2
    assert "https_proxy of the environment" in capsys.readouterr().err
