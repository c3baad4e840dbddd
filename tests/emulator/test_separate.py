"""An emulator in a process of its own: there until its block ends, and not at all where it can't
be."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from ccrs_core import UsageError, emulator


def test_it_serves_until_its_block_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with emulator.process("bybit", "slow_handshake,seconds=1", accounts=["a:b"]) as address:
        assert urllib.request.urlopen(f"{address}/v5/market/time", timeout=20).status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/v5/market/time", timeout=20)
    with pytest.raises(UsageError, match="nosuch"), emulator.process("nosuch"):
        pass
    assert "nosuch" in capfd.readouterr().err
