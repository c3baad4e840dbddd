"""The money tape: everything that touched money or positions, in order, for whoever audits the
exchange.

It is written once and never changed, and says what happened, not what the desk made of it: fills
with both sides and their fees, funding, transfers, liquidations, deliveries. Wallets, positions
and profits can be worked out from it alone.
"""

from __future__ import annotations

import enum
import json
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.errors import UsageError

CROWD = ""
"""The account of whoever isn't one: the market's anonymous crowd."""
HOUSE = "house"
"""The exchange's own account, which takes over what is liquidated; also its insurance fund."""


@attrs.frozen(kw_only=True)
class Opened:
    """An account exists from now on, with nothing in it."""

    number: int
    time_ns: int
    account: str


@attrs.frozen(kw_only=True)
class Transferred:
    """Money came into an account from outside (``amount`` above zero), or left it."""

    number: int
    time_ns: int
    account: str
    asset: str
    amount: Decimal


@attrs.frozen(kw_only=True)
class Party:
    """One side of a trade."""

    account: str
    order: int | None
    """The desk's number of the order; None of the crowd, and of what needs no order."""
    client_order_id: str
    position_side: str
    """``net``, ``long`` or ``short``."""
    maker: bool
    fee: Decimal
    """Above zero paid to the exchange, below zero received from it."""
    fee_asset: str


@attrs.frozen(kw_only=True)
class Traded:
    """A trade. Of contracts nothing but fees moves until positions are closed; of options the
    premium does, and of spot the assets."""

    number: int
    time_ns: int
    trade: int
    category: str
    symbol: str
    market: str
    base: str
    quote: str
    settle: str | None
    worth_of_one: Decimal
    """Of a size of 1: base units, of inverse contracts quote units."""
    kind: str
    """``trade``, ``liquidation``, ``deleveraging``."""
    price: Decimal
    size: Decimal
    buyer: Party
    seller: Party


@attrs.frozen(kw_only=True)
class Funded:
    """Funding was paid for a position: ``amount`` came to the account (left it, below zero), from
    the crowd."""

    number: int
    time_ns: int
    account: str
    category: str
    symbol: str
    position_side: str
    size: Decimal
    mark_price: Decimal
    rate: Decimal
    asset: str
    amount: Decimal


@attrs.frozen(kw_only=True)
class Delivered:
    """A contract expired: the position is gone, and what it was worth at ``price`` was paid."""

    number: int
    time_ns: int
    account: str
    category: str
    symbol: str
    position_side: str
    size: Decimal
    price: Decimal
    """The settlement price; of an option what it is worth at expiry."""
    asset: str
    fee: Decimal


@attrs.frozen(kw_only=True)
class Liquidated:
    """An account's position was taken over by the house; the trade follows. ``mark_price`` is why,
    ``bankruptcy_price`` at what."""

    number: int
    time_ns: int
    account: str
    category: str
    symbol: str
    position_side: str
    size: Decimal
    mark_price: Decimal
    bankruptcy_price: Decimal


@attrs.frozen(kw_only=True)
class Insured:
    """The house made up for what an account owed after its liquidation."""

    number: int
    time_ns: int
    account: str
    asset: str
    amount: Decimal


Entry = Opened | Transferred | Traded | Funded | Delivered | Liquidated | Insured


class MoneyTape:
    """The entries, oldest first, with numbers that rise by one.

    The newest ``keep`` stay in memory; whoever wants all of them lets them be copied elsewhere
    (:meth:`copy_to`).
    """

    def __init__(self, keep: int = 50_000) -> None:
        self.entries: deque[Entry] = deque(maxlen=keep)
        self.count = 0
        """Of all entries ever."""
        self._writers: list[Callable[[str], object]] = []

    def add(self, entry_type: type[Entry], time_ns: int, /, **fields: Any) -> Entry:
        """Write the next entry."""
        self.count += 1
        entry = entry_type(number=self.count, time_ns=time_ns, **fields)
        self.entries.append(entry)
        for write in self._writers:
            write(line(entry) + "\n")
        return entry

    def copy_to(self, write: Callable[[str], object]) -> None:
        """Call ``write``, such as a file's, with every entry there is and will be, as a line of
        JSON.

        :raises UsageError: where memory hasn't all of them any more.
        """
        if not self.whole:
            raise UsageError("the beginning of the money tape isn't in memory any more")
        for entry in self.entries:
            write(line(entry) + "\n")
        self._writers.append(write)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    @property
    def whole(self) -> bool:
        """Whether memory still has all of it."""
        return self.count == len(self.entries)


def line(entry: Entry) -> str:
    """An entry as one line of JSON: ``kind`` is its class in lower case (of a trade, which kind of
    trade it was), numbers that aren't whole are text."""

    def spelled(value: Any) -> Any:
        match value:
            case Decimal():
                return f"{value:f}"
            case enum.Enum():
                return value.value
            case dict():
                return {name: spelled(each) for name, each in value.items()}
        return value

    fields = {name: spelled(value) for name, value in attrs.asdict(entry).items()}
    return json.dumps({"kind": type(entry).__name__.lower(), **fields})
