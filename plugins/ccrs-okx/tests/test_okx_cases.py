"""Each case of what goes wrong in trading that concerns OKX has one test under its name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

CASES = {
    "a1": "the answer to a placement is lost, and the order lives",
    "a4": "three orders in flight when the socket dies",
    "a5": "a refusal as a duplicate mustn't end the living order",
    "a6": "a batch has an outcome for each item",
    "a7": "post-only that would take",
    "b5": "the duplicate carries the end",
    "b6": "completion without a trade",
    "b7": "an order's row is ahead of its fills",
    "b8": "more fills than any cache",
    "c3": "a fill after the end",
    "c4": "the rest of an IOC order",
    "d1": "a cancel meets a filled order",
    "d2": "accepted isn't canceled",
    "d3": "a cancel overtakes its placement",
    "e2": "acknowledged and failed; the size is the whole order's",
    "f1": "subscriptions wait for the login",
    "f4": "pongs but no orders",
    "f5": "one row lost on a healthy stream",
    "f6": "between subscription and snapshot",
    "g2": "half the queries fail",
    "g3": "fills that are visible late",
    "g4": "nine days away",
    "g5": "canceled and forgotten",
    "g6": "lists that leave orders out",
    "g7": "errors aren't denials",
    "h1": "killed around the send",
    "h3": "client order ids",
    "h4": "small and large numbers",
    "h5": "the commit fails",
    "h6": "the same difference, again and again",
    "i2": "signs of fees and rebates",
    "i3": "sizes in the quote coin",
    "i4": "contracts and coins",
    "i6": "funding is no fill",
    "j1": "two positions of one instrument",
    "j2": "through zero in one fill",
    "j3": "absent, flat, not read",
    "j4": "deleveraged",
    "j5": "somebody trades by hand",
    "j7": "two accounts in one process",
    "k1": "equity and cash",
    "k3": "the older answer arrives later",
    "l1": "signed, then queued",
    "l2": "clocks",
    "l3": "cancels first",
    "l4": "limited cancels and placements",
    "l5": "the bytes that were signed",
    "m1": "the timer fires",
    "m3": "a trigger's order has another id",
    "m4": "waits",
    "m5": "what one sees while something is uncertain",
    # OKX's own
    "o1": "a placement comes after its deadline",
    "o2": "the margin mode is the account level's",
    "o3": "the level was changed elsewhere",
    "o4": "self-trade prevention is always on",
    "o5": "each instrument has a pool of its own",
    "o6": "orders that the system cancels",
    "o7": "a cancel is under way already",
    "o8": "one code for filled, canceled and never there",
    "o9": "three amendments of an order at most",
    "o10": "exits wait apart and end with each other",
    "o11": "a connection is going to be closed",
    "o12": "rows twice and out of order",
    "o13": "the channel of fills isn't asked for",
    "o14": "a state that nobody knows yet",
    "o15": "funding of long ago",
    "o16": "liquidated while nobody looks",
    "o17": "a reduce-only order ends with its position",
    "o18": "options that expire",
}


def test_each_case_has_one_test_under_its_name() -> None:
    folder = Path(__file__).parent
    sources = "\n".join(path.read_text() for path in folder.glob("test_okx_cases_*.py"))
    found = Counter(re.findall(r"^def test_case_([a-o]\d+)_(?!kin_)", sources, re.MULTILINE))
    assert found == dict.fromkeys(CASES, 1)
