"""Audits an exchange by its money tape alone, in fractions: nothing here knows the desk."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

F = Fraction
Key = tuple[str, str, str, str]
"""Account, category, symbol, position side."""


class Accountant:
    """Wallets and positions by the tape's lines. ``""`` is the crowd, which begins with nothing."""

    def __init__(self) -> None:
        self.wallets: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.sizes: dict[Key, Fraction] = defaultdict(Fraction)
        self.costs: dict[Key, Fraction] = defaultdict(Fraction)
        self.fees: dict[str, Fraction] = defaultdict(Fraction)
        self.came: dict[str, Fraction] = defaultdict(Fraction)
        self.markets: dict[tuple[str, str], dict[str, Any]] = {}
        self.count = 0

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            entry = json.loads(line)
            self.count += 1
            assert entry["number"] == self.count, "a line is missing"
            traded = "buyer" in entry  # its kind is which kind of trade it was
            getattr(self, "traded" if traded else entry["kind"])(entry)

    def opened(self, entry: dict[str, Any]) -> None:
        pass

    def transferred(self, entry: dict[str, Any]) -> None:
        self.wallets[entry["account"], entry["asset"]] += F(entry["amount"])
        self.came[entry["asset"]] += F(entry["amount"])

    def traded(self, entry: dict[str, Any]) -> None:
        self.markets[entry["category"], entry["symbol"]] = entry
        size, price, one = F(entry["size"]), F(entry["price"]), F(entry["worth_of_one"])
        value = size * one / price if entry["market"] == "inverse" else size * one * price
        for sign, party in ((1, entry["buyer"]), (-1, entry["seller"])):
            who = party["account"]
            if entry["market"] == "spot":
                self.wallets[who, entry["base"]] += sign * size
                self.wallets[who, entry["quote"]] -= sign * value
            else:
                key = (who, entry["category"], entry["symbol"], party["position_side"])
                if entry["market"] == "option":
                    self.wallets[who, entry["settle"]] -= sign * value
                else:
                    profit = self.profit(key, sign * size, sign * value, entry["market"])
                    self.wallets[who, entry["settle"]] += profit
                self.add(key, sign * size, sign * value)
            fee = F(party["fee"])
            self.wallets[who, party["fee_asset"]] -= fee
            self.fees[party["fee_asset"]] += fee

    def profit(self, key: Key, size: Fraction, value: Fraction, market: str) -> Fraction:
        """What a trade realises, by average cost."""
        held = self.sizes[key]
        if held * size >= 0:
            return F(0)
        closed = min(abs(size), abs(held))
        made = -value * closed / abs(size) - self.costs[key] * closed / abs(held)
        return -made if market == "inverse" else made

    def add(self, key: Key, size: Fraction, value: Fraction) -> None:
        held, cost = self.sizes[key], self.costs[key]
        after = held + size
        if held * size >= 0:
            cost += value
        elif held * after > 0:
            cost *= after / held
        else:
            cost = value * after / size
        self.sizes[key], self.costs[key] = after, cost

    def funded(self, entry: dict[str, Any]) -> None:
        market = self.markets[entry["category"], entry["symbol"]]
        key = (entry["account"], entry["category"], entry["symbol"], entry["position_side"])
        size, mark, one = F(entry["size"]), F(entry["mark_price"]), F(market["worth_of_one"])
        assert size == self.sizes[key]
        value = size * one / mark if market["market"] == "inverse" else size * one * mark
        amount = -value * F(entry["rate"])
        assert abs(amount - F(entry["amount"])) < F(1, 10**9)
        self.wallets[entry["account"], entry["asset"]] += F(entry["amount"])
        self.wallets["", entry["asset"]] -= F(entry["amount"])

    def liquidated(self, entry: dict[str, Any]) -> None:
        pass  # the trade follows

    def delivered(self, entry: dict[str, Any]) -> None:
        market = self.markets[entry["category"], entry["symbol"]]
        key = (entry["account"], entry["category"], entry["symbol"], entry["position_side"])
        size, price, one = self.sizes[key], F(entry["price"]), F(market["worth_of_one"])
        assert size == F(entry["size"])
        if market["market"] == "option":
            paid = size * one * price
        elif market["market"] == "inverse":
            paid = self.costs[key] - size * one / price
        else:
            paid = size * one * price - self.costs[key]
        self.wallets[entry["account"], entry["asset"]] += paid
        # The crowd holds the other side, and is paid with it once.
        crowd = ("", *key[1:3], "net")
        share = -size
        self.wallets["", entry["asset"]] -= paid
        self.sizes[key] = self.costs[key] = F(0)
        self.sizes[crowd] -= share
        self.costs[crowd] = F(0) if not self.sizes[crowd] else self.costs[crowd]

    def insured(self, entry: dict[str, Any]) -> None:
        self.wallets[entry["account"], entry["asset"]] += F(entry["amount"])
        self.wallets["house", entry["asset"]] -= F(entry["amount"])
