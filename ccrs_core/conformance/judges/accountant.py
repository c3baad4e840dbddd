"""What accounts have by the money tape of the emulated exchange alone: balances, positions, profit.

Reads the tape's lines of JSON and nothing else, and shares no code with those whom it judges: the
ledger (``ccrs_core.trading``), and the desk's wallets and positions. Sums are exact fractions.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

CROWD = ""
"""Whoever isn't an account."""
_ROUNDED = Fraction(1, 10**12)
"""To which the desk rounds what can't be written exactly."""

Key = tuple[str, str, str]
"""Category, the exchange's symbol, and side (``net``, ``long``, ``short``) of a position."""


class TornTape(ValueError):
    """An entry is missing, or unknown: nothing can be said of what follows."""


@attrs.frozen(kw_only=True)
class Booked:
    """One side of a trade, of an account."""

    trade: int
    order: int | None
    client_order_id: str
    category: str
    symbol: str
    position_side: str
    buys: bool
    price: Decimal
    size: Decimal
    value: Fraction
    """In quote units; of inverse contracts in base units."""
    fee: Decimal
    """Above zero paid."""
    fee_asset: str
    maker: bool
    kind: str
    time_ns: int


@attrs.define
class Holding:
    """A position by average cost: ``cost`` has the sign of ``size``, and is in quote units, of
    inverse contracts in base units."""

    market: str
    worth_of_one: Fraction
    settle: str
    size: Decimal = Decimal(0)
    cost: Fraction = Fraction(0)
    profit: Fraction = Fraction(0)
    """Realised ever, without fees and funding."""
    funding: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    """Paid in the settlement asset for trading it."""

    @property
    def entry_price(self) -> Fraction | None:
        """The average price at which it was entered (of inverse contracts the harmonic mean)."""
        if not self.size or not self.cost:
            return None
        units = Fraction(self.size) * self.worth_of_one
        return units / self.cost if self.market == "inverse" else self.cost / units

    def value(self, size: Decimal, price: Decimal) -> Fraction:
        """What so much is worth at a price."""
        units = Fraction(size) * self.worth_of_one
        return units / Fraction(price) if self.market == "inverse" else units * Fraction(price)

    def trade(self, size: Decimal, price: Decimal) -> Fraction:
        """Add (below zero: take off) so much at a price; what that realises."""
        made = Fraction(0)
        if self.size and (self.size > 0) != (size > 0):
            closed = min(abs(size), abs(self.size))
            share = Fraction(closed) / Fraction(abs(self.size))
            cost, sign = self.cost * share, 1 if self.size > 0 else -1
            came = sign * self.value(closed, price)
            # A long one gains as what it is worth rises; in base units worth falls as prices rise.
            made = cost - came if self.market == "inverse" else came - cost
            self.size -= sign * closed
            self.cost = Fraction(0) if not self.size else self.cost - cost
            size += sign * closed
        self.size += size
        self.cost += self.value(size, price)
        self.profit += made
        return made


@attrs.define
class Books:
    """What one account has."""

    balances: dict[str, Fraction] = attrs.field(factory=lambda: defaultdict(Fraction))
    fees: dict[str, Fraction] = attrs.field(factory=lambda: defaultdict(Fraction))
    """By asset: above zero paid, below zero received."""
    income: dict[tuple[str, str], Fraction] = attrs.field(factory=lambda: defaultdict(Fraction))
    """What came otherwise than by trades, by kind (``funding``, ``transfer``, ``delivery``,
    ``insurance``) and asset."""
    holdings: dict[Key, Holding] = attrs.field(factory=dict)
    fills: list[Booked] = attrs.field(factory=list)
    """In the order of the tape."""
    entries: int = 0

    @property
    def slack(self) -> Fraction:
        """By how much the desk's rounding may have moved a figure."""
        return self.entries * 4 * _ROUNDED

    def agrees(self, mine: Fraction, told: Decimal, finest: Decimal = Decimal(0)) -> bool:
        """Whether a figure that is told is the one of these books, but for rounding: the desk's,
        and that of whoever writes it to the ``finest`` step."""
        return abs(mine - Fraction(told)) <= self.slack + Fraction(finest)

    def positions(self) -> dict[Key, Decimal]:
        """The sizes of positions that aren't flat."""
        return {key: held.size for key, held in self.holdings.items() if held.size}


@attrs.frozen
class AccountBooks:
    """What one account has, which may be in several wallets that hold the same assets apart."""

    by_purse: Mapping[str, Books]

    @property
    def together(self) -> Books:
        """Positions, fills and income of all, and what is in them all together."""
        found = Books()
        for books in self.by_purse.values():
            for asset, amount in books.balances.items():
                found.balances[asset] += amount
            for asset, amount in books.fees.items():
                found.fees[asset] += amount
            for key, amount in books.income.items():
                found.income[key] += amount
            found.holdings.update(books.holdings)
            found.fills += books.fills
            found.entries += books.entries
        return found


class Accountant:
    """Keeps the books of all accounts, the crowd's (``""``) included, from the tape's lines.

    ``read`` takes lines as they come, ``entry`` a line that is parsed already.
    """

    def __init__(self) -> None:
        self.books: dict[str, Books] = {}
        self._numbers = 0

    def read(self, lines: Iterable[str]) -> None:
        """Take lines of the tape.

        :raises TornTape: where one is missing, or of a kind that isn't known.
        """
        for line in lines:
            self.entry(json.loads(line))

    def entry(self, entry: Mapping[str, Any]) -> None:
        """Take one entry.

        :raises TornTape: as :meth:`read` does.
        """
        if entry["number"] != self._numbers + 1:
            raise TornTape(f"entry {entry['number']} of the money tape follows {self._numbers}")
        self._numbers += 1
        if "buyer" in entry:
            self._traded(entry)
            return
        match entry["kind"]:
            case "opened":
                self._of(entry["account"])
            case "transferred":
                self._came(entry, "transfer", Fraction(entry["amount"]))
            case "funded":
                self._funded(entry)
            case "delivered":
                self._delivered(entry)
            case "liquidated":
                pass  # why; the trade by which it happens follows
            case "insured":
                self._came(entry, "insurance", Fraction(entry["amount"]))
                self._of("house").balances[entry["asset"]] -= Fraction(entry["amount"])
            case kind:
                raise TornTape(f"the money tape has an entry of an unknown kind: {kind}")

    def of(self, account: str) -> Books:
        """The books of an account.

        :raises KeyError: of one that the tape doesn't know.
        """
        return self.books[account]

    def totals(self) -> dict[str, Fraction]:
        """By asset, what all have together beyond what was brought in, fees included: zero, unless
        profits of open positions are outstanding."""
        found: dict[str, Fraction] = defaultdict(Fraction)
        for books in self.books.values():
            for asset, amount in books.balances.items():
                found[asset] += amount
            for asset, fee in books.fees.items():
                found[asset] += fee
            for (kind, asset), amount in books.income.items():
                if kind == "transfer":
                    found[asset] -= amount
        return found

    # --- one kind each ---

    def _of(self, account: str) -> Books:
        books = self.books.setdefault(account, Books())
        books.entries += 1
        return books

    def _came(self, entry: Mapping[str, Any], kind: str, amount: Fraction) -> None:
        books, asset = self._of(entry["account"]), entry["asset"]
        books.balances[asset] += amount
        books.income[kind, asset] += amount

    def _traded(self, entry: Mapping[str, Any]) -> None:
        size, price = Decimal(entry["size"]), Decimal(entry["price"])
        for party, buys in ((entry["buyer"], True), (entry["seller"], False)):
            books, signed = self._of(party["account"]), size if buys else -size
            worth = Fraction(entry["worth_of_one"])
            if entry["market"] == "spot":
                value = Fraction(size) * Fraction(price)
                books.balances[entry["base"]] += Fraction(signed)
                books.balances[entry["quote"]] -= value if buys else -value
            else:
                key = (entry["category"], entry["symbol"], party["position_side"])
                held = books.holdings.get(key)
                if held is None:
                    held = Holding(entry["market"], worth, entry["settle"])
                    books.holdings[key] = held
                value = held.value(size, price)
                made = held.trade(signed, price)
                if entry["market"] == "option":  # the premium is paid at once
                    made = -value if buys else value
                books.balances[entry["settle"]] += made
                if party["fee_asset"] == entry["settle"]:
                    held.fees += Fraction(party["fee"])
            books.balances[party["fee_asset"]] -= Fraction(party["fee"])
            books.fees[party["fee_asset"]] += Fraction(party["fee"])
            books.fills.append(
                Booked(
                    trade=entry["trade"],
                    order=party["order"],
                    client_order_id=party["client_order_id"],
                    category=entry["category"],
                    symbol=entry["symbol"],
                    position_side=party["position_side"],
                    buys=buys,
                    price=price,
                    size=size,
                    value=value,
                    fee=Decimal(party["fee"]),
                    fee_asset=party["fee_asset"],
                    maker=party["maker"],
                    kind=entry["kind"],
                    time_ns=entry["time_ns"],
                )
            )

    def _funded(self, entry: Mapping[str, Any]) -> None:
        amount = Fraction(entry["amount"])
        self._came(entry, "funding", amount)
        self._held(entry).funding += amount
        crowd = self._of(CROWD)
        crowd.balances[entry["asset"]] -= amount

    def _delivered(self, entry: Mapping[str, Any]) -> None:
        held, price, size = self._held(entry), Decimal(entry["price"]), Decimal(entry["size"])
        if size != held.size:
            raise TornTape(f"{size} of {self._key(entry)} are delivered, {held.size} are there")
        worth = held.value(size, price) if price else Fraction(0)
        made = worth - held.cost
        if held.market == "inverse":
            made = -made
        held.profit += made
        held.size, held.cost = Decimal(0), Fraction(0)
        self._came(entry, "delivery", worth if held.market == "option" else made)
        fee = Fraction(entry["fee"])
        books = self.books[entry["account"]]
        books.balances[entry["asset"]] -= fee
        books.fees[entry["asset"]] += fee

    def _held(self, entry: Mapping[str, Any]) -> Holding:
        try:
            return self.books[entry["account"]].holdings[self._key(entry)]
        except KeyError:
            raise TornTape(f"{entry['account']} has no position of {self._key(entry)}") from None

    @staticmethod
    def _key(entry: Mapping[str, Any]) -> Key:
        return entry["category"], entry["symbol"], entry["position_side"]


def account_books(tape: Iterable[str], wallets: Mapping[str, str]) -> AccountBooks:
    """What an account has by the tape's lines: ``wallets`` says by which name the tape knows each
    of its purses."""
    accountant = Accountant()
    accountant.read(tape)
    return AccountBooks({purse: accountant.of(name) for purse, name in wallets.items()})
