"""The program that quotes both sides, in processes of its own, through faults and a kill."""

from __future__ import annotations

import re

import pytest

from tests.examples.test_programs import load


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_quotes_on_both_sides_outlive_faults_and_a_kill(
    exchange: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert load("quote_both_sides").main(exchange, 12) == 0
    said = capfd.readouterr().out
    assert re.search(r"fills of spot from .*: [1-9]", said)
    assert "open orders of spot: 0" in said
