"""Where the desk's happenings wait until what caused them is done, and are then told in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ccrs_core.emulator.trading.happenings import BalanceChanged, DeskBalance, Happening

Told = Callable[[Happening], None]


class Bulletin:
    """Numbers happenings and tells listeners of them once nobody is in the middle of anything: a
    listener finds the desk as it is after all of them."""

    def __init__(self) -> None:
        self.listeners: list[Told] = []
        self.now_ns = 0
        self._count = 0
        self._waiting: list[tuple[type[Any], tuple[Any, ...]]] = []
        self._balances: dict[tuple[str, str], DeskBalance] = {}
        self._telling = False

    def add(self, kind: type[Any], *fields: Any) -> None:
        """Something happened now; the fields that follow number and time."""
        self._waiting.append((kind, (self.next_number(), self.now_ns, *fields)))

    def balance(self, balance: DeskBalance) -> None:
        """An asset changed: told once, as it is in the end."""
        self._balances[balance.account, balance.asset] = balance

    def next_number(self) -> int:
        self._count += 1
        return self._count

    def flush(self) -> None:
        """Tell of all that has happened."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._waiting or self._balances:
                waiting, self._waiting = self._waiting, []
                balances, self._balances = self._balances, {}
                for kind, fields in waiting:
                    self._tell(kind(*fields))
                for balance in balances.values():
                    self._tell(BalanceChanged(self.next_number(), self.now_ns, balance))
        finally:
            self._telling = False

    def _tell(self, happening: Happening) -> None:
        for listener in tuple(self.listeners):
            listener(happening)
