"""Each case of what goes wrong in trading that concerns Bybit has one test under its name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

CASES = {
    "a1": "the answer to a placement is lost, and the order lives",
    "a5": "a refusal as a duplicate mustn't end the living order",
    "a6": "a batch has an outcome for each item",
    "a7": "post-only that would take",
    "b4": "funding looks like a fill",
    "b7": "an order's row is ahead of its fills",
    "b8": "more fills than any cache",
    "c2": "filled long before its fills",
    "c4": "the rest of an IOC order",
    "c5": "a market buy by quote leaves crumbs",
    "d1": "a cancel meets a filled order",
    "d2": "accepted isn't canceled",
    "d3": "a cancel overtakes its placement",
    "e3": "a fill before the amendment's event",
    "e5": "the exchange alters the order",
    "f4": "pongs but no orders",
    "f6": "between subscription and snapshot",
    "g2": "half the queries fail",
    "g3": "fills that are visible late",
    "g4": "nine days away",
    "g6": "lists that leave orders out",
    "g7": "errors aren't denials",
    "h1": "killed around the send",
    "h3": "client order ids",
    "h4": "small and large numbers",
    "h5": "the commit fails",
    "h6": "the same difference, again and again",
    "i3": "sizes in the quote coin",
    "j1": "two positions of one instrument",
    "j2": "through zero in one fill",
    "j3": "absent, flat, not read",
    "j4": "deleveraged",
    "j5": "somebody trades by hand",
    "j7": "two accounts in one process",
    "k1": "equity of a unified account",
    "k3": "the older answer arrives later",
    "l1": "signed, then queued",
    "l2": "clocks",
    "l3": "cancels first",
    "l4": "limited cancels and placements",
    "m2": "no protection",
    "m3": "orders that belong to an order",
    "m4": "waits",
    "m5": "what one sees while something is uncertain",
}


def test_each_case_has_one_test_under_its_name() -> None:
    folder = Path(__file__).parent
    sources = "\n".join(path.read_text() for path in folder.glob("test_bybit_cases_*.py"))
    found = Counter(re.findall(r"^def test_case_([a-m]\d)_", sources, re.MULTILINE))
    assert found == dict.fromkeys(CASES, 1)
