"""Each case of what goes wrong in trading that concerns Binance has one test under its name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

CASES = {
    "a2": "the answer to a placement never comes, and a repeat would buy twice",
    "a3": "the stream knows before the answer",
    "a5": "a refusal as a duplicate mustn't end the living order",
    "a6": "a batch has an outcome for each item",
    "a7": "post-only that would take",
    "c4": "the rest of an IOC order",
    "c6": "self-trade prevention",
    "d1": "a cancel meets a filled order",
    "d3": "a cancel overtakes its placement",
    "d4": "a cancel has a client's id of its own",
    "e1": "an amendment below what is filled ends the order",
    "e5": "the exchange alters the order",
    "i3": "sizes in the quote coin",
    "l4": "limited cancels and placements",
    "m3": "orders that belong to an order",
    "m4": "waits",
}


def test_each_case_has_one_test_under_its_name() -> None:
    folder = Path(__file__).parent
    sources = "\n".join(path.read_text() for path in folder.glob("test_binance_cases_*.py"))
    found = Counter(re.findall(r"^def test_case_([a-m]\d)_", sources, re.MULTILINE))
    assert found == dict.fromkeys(CASES, 1)
