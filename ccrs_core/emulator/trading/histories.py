"""What lists and queries tell of accounts: later than it happened, and not for ever."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import attrs

from ccrs_core.emulator.trading.conduct import Conduct, Lag
from ccrs_core.emulator.trading.happenings import DeskFill, MoneyRow
from ccrs_core.emulator.trading.orders import DeskOrder

_R = TypeVar("_R")

_MOST_ROWS = 20_000
_MOST_VERSIONS = 64


@attrs.frozen
class _Kept(Generic[_R]):
    handle: int
    row: _R
    time_ns: int
    seen_ns: int
    forgotten_ns: int


@attrs.frozen
class RowPage(Generic[_R]):
    """A page of a history, newest first; ``before`` is the handle of the next one, None at the
    end."""

    rows: tuple[_R, ...]
    before: int | None


class Shelf(Generic[_R]):
    """The rows of one history of one account."""

    def __init__(self) -> None:
        # Orders without fills are many and short-lived: they mustn't push the others out.
        self._kept: deque[_Kept[_R]] = deque(maxlen=_MOST_ROWS)
        self._brief: deque[_Kept[_R]] = deque(maxlen=_MOST_ROWS)
        self._handles = 0

    def add(
        self, row: _R, time_ns: int, seen_ns: int, forgotten_ns: int, *, brief: bool = False
    ) -> None:
        """Add the newest row."""
        self._handles += 1
        shelf = self._brief if brief else self._kept
        shelf.append(_Kept(self._handles, row, time_ns, seen_ns, forgotten_ns))
        for each in (self._brief, self._kept):
            while each and each[0].forgotten_ns <= time_ns:
                each.popleft()

    def page(
        self,
        now_ns: int,
        *,
        from_ns: int = 0,
        to_ns: int | None = None,
        limit: int = 50,
        before: int | None = None,
        want: Callable[[_R], bool] = lambda row: True,
        lag_ns: int = 0,
    ) -> RowPage[_R]:
        """The newest rows that can be seen, from a time to another (both included) and older than
        the one of a handle. ``lag_ns`` is how much later than usual they are seen."""

        def fits(kept: _Kept[_R]) -> bool:
            return (
                kept.seen_ns + lag_ns <= now_ns < kept.forgotten_ns
                and from_ns <= kept.time_ns
                and (to_ns is None or kept.time_ns <= to_ns)
                and (before is None or kept.handle < before)
                and want(kept.row)
            )

        found = list(islice(filter(fits, self._newest_first()), limit + 1))
        more = found[limit - 1].handle if len(found) > limit else None
        return RowPage(tuple(kept.row for kept in found[:limit]), more)

    def _newest_first(self) -> Iterator[_Kept[_R]]:
        one, other = reversed(self._kept), reversed(self._brief)
        left, right = next(one, None), next(other, None)
        while left is not None or right is not None:
            if right is None or (left is not None and left.handle > right.handle):
                assert left is not None
                yield left
                left = next(one, None)
            else:
                yield right
                right = next(other, None)


class _Files:
    """One account's."""

    def __init__(self, most_recent: int) -> None:
        self.orders: Shelf[DeskOrder] = Shelf()
        self.executions: Shelf[DeskFill | MoneyRow] = Shelf()
        self.money: Shelf[MoneyRow] = Shelf()
        self.open: dict[int, deque[DeskOrder]] = {}
        self.recent: dict[str, dict[int, deque[DeskOrder]]] = {}
        self._most_recent = most_recent

    def record(self, order: DeskOrder) -> None:
        versions = self.open.get(order.number)
        if versions is None:
            versions = self.open[order.number] = deque(maxlen=_MOST_VERSIONS)
        versions.append(order)
        if order.stage.ended:
            recent = self.recent.setdefault(order.listing.category, {})
            recent[order.number] = self.open.pop(order.number)
            if len(recent) > self._most_recent:
                del recent[next(iter(recent))]


class Histories:
    """What can be asked about all accounts. Nothing is seen before its lag, nor after it is
    forgotten."""

    def __init__(self, conduct: Conduct, rng: random.Random) -> None:
        self._conduct = conduct
        self._rng = rng
        self._of: dict[str, _Files] = {}

    # --- writing ---

    def order(self, order: DeskOrder) -> None:
        """An order has changed."""
        conduct, files = self._conduct, self._files(order.account)
        files.record(order)
        if order.stage.ended:
            unfilled = not order.filled
            keeps_ns = conduct.keeps_unfilled_ns if unfilled else conduct.keeps_ns
            time_ns = order.updated_ns
            seen_ns = time_ns + self._drawn(conduct.orders_lag)
            files.orders.add(order, time_ns, seen_ns, time_ns + keeps_ns, brief=unfilled)

    def execution(self, row: DeskFill | MoneyRow) -> None:
        """A fill, or what exchanges list among them: funding, delivery."""
        seen_ns = row.time_ns + self._drawn(self._conduct.fills_lag)
        forgotten_ns = row.time_ns + self._conduct.keeps_ns
        self._files(row.account).executions.add(row, row.time_ns, seen_ns, forgotten_ns)

    def money(self, row: MoneyRow) -> None:
        seen_ns = row.time_ns + self._drawn(self._conduct.money_lag)
        forgotten_ns = row.time_ns + self._conduct.keeps_ns
        self._files(row.account).money.add(row, row.time_ns, seen_ns, forgotten_ns)

    def forget_recent(self) -> None:
        """Recently ended orders are found no more but in the history, as after a restart."""
        for files in self._of.values():
            files.recent.clear()

    # --- reading ---

    def orders(self, account: str) -> Shelf[DeskOrder]:
        """Orders that have ended."""
        return self._files(account).orders

    def executions(self, account: str) -> Shelf[DeskFill | MoneyRow]:
        """Fills, and funding and delivery among them."""
        return self._files(account).executions

    def moved(self, account: str) -> Shelf[MoneyRow]:
        """All changes of assets."""
        return self._files(account).money

    def open_orders(self, account: str, now_ns: int, *, lag_ns: int = 0) -> list[DeskOrder]:
        """The open orders as lists tell of them: as they were a little earlier, newest first."""
        files, then_ns = self._files(account), now_ns - lag_ns - self._conduct.open_lag.most
        found = [
            order
            for each in (files.open, *files.recent.values())
            for versions in each.values()
            if (order := _then(versions, then_ns)) is not None and not order.stage.ended
        ]
        return sorted(found, key=lambda order: order.number, reverse=True)

    def recent_orders(
        self, account: str, category: str, now_ns: int, *, lag_ns: int = 0
    ) -> list[DeskOrder]:
        """The orders that have ended lately, newest first; see :meth:`forget_recent`."""
        recent = self._files(account).recent.get(category, {})
        then_ns = now_ns - lag_ns - self._conduct.open_lag.most
        found = [_then(versions, then_ns) for versions in reversed(recent.values())]
        return [order for order in found if order is not None and order.stage.ended]

    def one(
        self, account: str, now_ns: int, want: Callable[[DeskOrder], bool], *, lag_ns: int = 0
    ) -> DeskOrder | None:
        """The newest order of which something is true, open or ended lately, as queries tell of
        it."""
        files, then_ns = self._files(account), now_ns - lag_ns - self._conduct.open_lag.most
        found: DeskOrder | None = None
        for each in (files.open, *files.recent.values()):
            for versions in reversed(each.values()):
                order = _then(versions, then_ns) if want(versions[-1]) else None
                if order is not None and (found is None or found.number < order.number):
                    found = order
        return found

    def recent_order(self, account: str, number: int) -> DeskOrder | None:
        """An order that has ended lately, as it is."""
        for each in self._files(account).recent.values():
            if number in each:
                return each[number][-1]
        return None

    # --- inside ---

    def _files(self, account: str) -> _Files:
        files = self._of.get(account)
        if files is None:
            files = self._of[account] = _Files(self._conduct.most_recent)
        return files

    def _drawn(self, lag: Lag) -> int:
        return self._rng.randint(lag.least, lag.most) if lag.most else 0


def _then(versions: deque[DeskOrder], then_ns: int) -> DeskOrder | None:
    """What an order was at a time; None where it wasn't yet."""
    for order in reversed(versions):
        if order.updated_ns <= then_ns:
            return order
    # Where so many changes have come since that none of them is kept, the oldest that is.
    return versions[0] if versions[0].version > 1 else None
