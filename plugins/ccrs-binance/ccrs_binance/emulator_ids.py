"""The emulated Binance's ids: numbers of orders and trades, which are unique within a symbol alone,
and the client's ids that it makes up.
"""

from __future__ import annotations

import random

from ccrs_binance.emulator_listings import SPOT
from ccrs_core.emulator import DeskFill, DeskOrder

_MOST = 300_000
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Contracts' ids are beyond what a float holds exactly.
_FIRST_ORDER = {SPOT: 48_125_003_117}
_FIRST_TRADE = {SPOT: 5_204_518}
_FIRST_CONTRACT_ORDER = 8_389_765_590_215_003_117
_FIRST_CONTRACT_TRADE = 6_840_112_907


class _Numbers:
    """Numbers given to what the desk numbers otherwise: by symbol, one after the other."""

    def __init__(self, first: dict[str, int], usual: int) -> None:
        self._first = first
        self._usual = usual
        self._next: dict[tuple[str, str], int] = {}
        self._given: dict[tuple[tuple[str, str], int], int] = {}
        self._of: dict[tuple[tuple[str, str], int], int] = {}
        self._promised: dict[tuple[str, str], int] = {}

    def of(self, key: tuple[str, str], number: int) -> int:
        found = self._given.get((key, number))
        if found is None:
            found = self._promised.pop(key, 0)
            if not found:
                found = self._next.get(key, self._first.get(key[0], self._usual))
                self._next[key] = found + 1
            self._given[key, number] = found
            self._of[key, found] = number
            if len(self._given) > _MOST:
                oldest = next(iter(self._given))
                del self._of[oldest[0], self._given.pop(oldest)]
        return found

    def promise(self, key: tuple[str, str], number: int) -> None:
        """The next one that is asked for, whatever its number, has this one's."""
        self._promised[key] = self.of(key, number)

    def number(self, key: tuple[str, str], given: int) -> int | None:
        return self._of.get((key, given))


class Ids:
    """All ids. Two orders of two symbols may have the same."""

    def __init__(self, seed: int) -> None:
        self._orders = _Numbers(_FIRST_ORDER, _FIRST_CONTRACT_ORDER)
        self._trades = _Numbers(_FIRST_TRADE, _FIRST_CONTRACT_TRADE)
        self._rng = random.Random(f"{seed}/client ids")

    def order(self, order: DeskOrder) -> int:
        return self._orders.of(order.listing.key, order.number)

    def numbered(self, key: tuple[str, str], number: int) -> int:
        """The id of an order of a listing by the desk's number."""
        return self._orders.of(key, number)

    def number(self, key: tuple[str, str], order_id: int) -> int | None:
        """The desk's number of an order of a listing; None where there is no such id."""
        return self._orders.number(key, order_id)

    def adopt(self, key: tuple[str, str], number: int) -> None:
        """The next order of a listing takes over the id of one that wasn't placed until now."""
        self._orders.promise(key, number)

    def trade(self, fill: DeskFill) -> int:
        """Both sides of a trade have the same."""
        return self._trades.of(fill.listing.key, fill.number)

    def made_up(self) -> str:
        """A client's id, where the client sent none."""
        return "".join(self._rng.choices(_LETTERS, k=22))
