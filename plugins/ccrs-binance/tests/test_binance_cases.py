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
    "b1": "one trade id, two symbols",
    "b2": "both sides of a self-trade",
    "b3": "the early copy of a fill",
    "b8": "more fills than any cache",
    "b9": "a report that comes twice",
    "c1": "a late word of a new order",
    "c4": "the rest of an IOC order",
    "c6": "self-trade prevention",
    "d1": "a cancel meets a filled order",
    "d3": "a cancel overtakes its placement",
    "d4": "a cancel has a client's id of its own",
    "e4": "half a replacement",
    "e1": "an amendment below what is filled ends the order",
    "e5": "the exchange alters the order",
    "f2": "the subscription ends, the socket lives",
    "f3": "listen keys that end",
    "f4": "pongs but no orders",
    "f5": "one frame is lost on a healthy stream",
    "f6": "between subscription and snapshot",
    "g1": "more fills of one millisecond than a page has",
    "g2": "half the queries fail",
    "g4": "nine days away",
    "g6": "lists that leave orders out",
    "g7": "errors aren't denials",
    "h1": "killed around the send",
    "h2": "killed between two fills",
    "h3": "client order ids",
    "h4": "small and large numbers",
    "h5": "the commit fails",
    "h6": "the same difference, again and again",
    "i1": "fees in two assets",
    "i3": "sizes in the quote coin",
    "i5": "all is sold, once",
    "i6": "funding, once",
    "i7": "contracts of dollars, money in coins",
    "j1": "two positions of one instrument",
    "j2": "through zero in one fill",
    "j3": "absent, flat, not read",
    "j4": "deleveraged",
    "j5": "somebody trades by hand",
    "j6": "a position that is older than any window",
    "j7": "two accounts in one process",
    "k2": "one deposit, two events",
    "k3": "the older answer arrives later",
    "l1": "signed, then queued",
    "l2": "clocks",
    "l3": "cancels first",
    "l4": "limited cancels and placements",
    "l5": "the bytes that were signed",
    "m1": "the dead-man timer fires",
    "m2": "no protection",
    "m3": "orders that belong to an order",
    "m4": "waits",
    "m5": "what one sees while something is uncertain",
}

OWN = """
an answer that does not say what was done ends nothing and repeats nothing
a refusal is one for its reason and is not looked for
a clock error of the matching engine proves that nothing was taken
a cancel that nobody knows of is asked for again where the order lives
a ban is kept to and what happened meanwhile is read
an order over the socket whose answer is lost is not sent by another way
orders of futures go over sockets of their own as far as these have calls
a replacement whose answer is lost with the process is found and not made again
a refused amendment leaves the order as it was
the word of an amendment that comes after the orders end changes nothing
spot makes orders smaller and changes nothing else
a stop that fires while it is canceled is followed
ids of orders are those of one symbol and of one service
a clients id may be used again by somebody and reopens nothing
a listen key is told to go on and its connection lasts
a listen key that is said to have ended is replaced though its socket lives
a fill without its fee gets it from the list
money that is moved is told once by event and list
an order that ended unfilled long ago is gone from all lists
coin m without a service for conditional orders is whole all the same
conditional orders are refused where ordinary ones are placed
more orders than the exchange counts wait and none is refused
a liquidation is the exchanges
an order of the other position mode is refused for that
"""
"""What goes wrong in Binance's own ways."""


def test_each_case_has_one_test_under_its_name() -> None:
    folder = Path(__file__).parent
    sources = "\n".join(path.read_text() for path in folder.glob("test_binance_cases_*.py"))
    found = Counter(re.findall(r"^def test_case_([a-m]\d)_", sources, re.MULTILINE))
    assert found == dict.fromkeys(CASES, 1)


def test_each_of_binances_own_cases_is_listed() -> None:
    source = (Path(__file__).parent / "test_binance_cases_own.py").read_text()
    found = re.findall(r"^def test_(?!case_)(\w+)", source, re.MULTILINE)
    assert [each.replace("_", " ") for each in found] == OWN.strip().splitlines()
