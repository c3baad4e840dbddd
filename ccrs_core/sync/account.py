"""An account without ``async``: its ledger is kept by the client's thread, between calls, too."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from ccrs_core.errors import CcrsError
from ccrs_core.model.accounts import AccountInfo, Margin
from ccrs_core.model.order_requests import OrderRequest
from ccrs_core.model.orders import Order
from ccrs_core.sync.background import Background
from ccrs_core.sync.likeness import shown_as
from ccrs_core.trading.account import Account as AsyncAccount
from ccrs_core.trading.account_orders import Which
from ccrs_core.trading.live_order import LiveOrder

if TYPE_CHECKING:
    from ccrs_core.trading.amending import WhenFull
    from ccrs_core.trading.asks import Via

P = ParamSpec("P")
T = TypeVar("T")


def _waiting(
    method: Callable[Concatenate[AsyncAccount, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Account, P], T]:
    """The same method, which waits."""

    @functools.wraps(method)
    def call(account: Account, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return account._background.call(lambda: method(account._account, *args, **kwargs))

    return shown_as(call, method)


def _reading(
    method: Callable[Concatenate[AsyncAccount, P], T],
) -> Callable[Concatenate[Account, P], T]:
    """The same method, called where the ledger is kept, so that it doesn't change meanwhile."""

    @functools.wraps(method)
    def call(account: Account, /, *args: P.args, **kwargs: P.kwargs) -> T:
        async def read() -> T:
            return method(account._account, *args, **kwargs)

        return account._background.call(read)

    return shown_as(call, method)


class Account:
    """One account, for scripts. Made by :meth:`ccrs_core.sync.Client.account`; use it in ``with``,
    or by :meth:`open` and :meth:`close`, inside the client's block. Any thread may call it.

    Methods are those of :class:`ccrs_core.Account`, with the same arguments, promises and errors;
    they wait. Orders are told as they were at that moment: ask :meth:`order` anew. Between two
    calls the account listens, reads the lists and keeps its ledger, as any other. Ctrl-C ends a
    wait: what hasn't left by then isn't sent, what has goes on, and the order is in
    :meth:`orders`. For what happens as it happens there is the asynchronous client.
    """

    def __init__(self, background: Background, account: AsyncAccount) -> None:
        self._background = background
        self._account = account
        self.name = account.name
        """The user's name of it."""

    # --- life ---

    def open(self) -> Self:
        """Open without a block.

        :raises UsageError: where it has been opened before, or the client isn't open.
        """
        try:
            self._background.call(self._account.__aenter__)
        except BaseException:
            if self._background.running and self._account.open:
                self._background.call(self._account.aclose)
            raise
        return self

    def close(self) -> None:
        """Leave it as the end of its block does. Idempotent."""
        if self._background.running and self._account.open:
            self._background.call(lambda: self._account.__aexit__(None, None, None))

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except CcrsError:
            if error is None:  # else it has been told, or something else is more urgent
                raise

    def __repr__(self) -> str:
        return f"<sync.Account {self.name}>"

    # --- how it fares ---

    def _ask(self, read: Callable[[AsyncAccount], T]) -> T:
        async def asked() -> T:
            return read(self._account)

        return self._background.call(asked)

    @property
    def info(self) -> AccountInfo | None:
        """Its mode and what its key may do, as read when it was opened."""
        return self._ask(lambda account: account.info)

    @property
    def margin(self) -> Margin | None:
        """Its margin as a whole, as read last; None where the exchange doesn't say."""
        return self._ask(lambda account: account.margin)

    @property
    def synced(self) -> bool:
        """Whether what is told of it is known to be whole and current."""
        return self._ask(lambda account: account.synced)

    @property
    def reason(self) -> str:
        """Why it is synced or not, for people."""
        return self._ask(lambda account: account.reason)

    @property
    def number(self) -> int:
        """That of the ledger's last event."""
        return self._ask(lambda account: account.number)

    reconcile = _waiting(AsyncAccount.reconcile)
    compare = _waiting(AsyncAccount.compare)
    protection = _waiting(AsyncAccount.protection)
    budget = _reading(AsyncAccount.budget)

    # --- what is done ---

    def place(
        self,
        request: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> Order:
        """:meth:`ccrs_core.Account.place`: the order as it is once the exchange has taken it."""

        async def place() -> Order:
            live = await self._account.place(
                request, via=via, send_within=send_within, when_full=when_full
            )
            return live.now

        return self._background.call(place)

    def place_many(
        self,
        requests: Sequence[OrderRequest],
        *,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> list[Order | CcrsError]:
        """:meth:`ccrs_core.Account.place_many`: of each the order, or what went wrong."""

        async def place() -> list[Order | CcrsError]:
            done = await self._account.place_many(requests, via=via, send_within=send_within)
            return [each.now if isinstance(each, LiveOrder) else each for each in done]

        return self._background.call(place)

    def place_either(
        self,
        first: OrderRequest,
        second: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> list[Order | CcrsError]:
        """:meth:`ccrs_core.Account.place_either`: of each the order, or what went wrong."""

        async def place() -> list[Order | CcrsError]:
            done = await self._account.place_either(first, second, via=via, send_within=send_within)
            return [each.now if isinstance(each, LiveOrder) else each for each in done]

        return self._background.call(place)

    def replace(
        self,
        which: Which,
        request: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> Order:
        """:meth:`ccrs_core.Account.replace`: the new order."""

        async def replace() -> Order:
            live = await self._account.replace(which, request, via=via, send_within=send_within)
            return live.now

        return self._background.call(replace)

    amend = _waiting(AsyncAccount.amend)
    amend_many = _waiting(AsyncAccount.amend_many)
    cancel = _waiting(AsyncAccount.cancel)
    cancel_many = _waiting(AsyncAccount.cancel_many)
    cancel_all = _waiting(AsyncAccount.cancel_all)
    sweep = _waiting(AsyncAccount.sweep)
    settle = _waiting(AsyncAccount.settle)

    def ended(self, order: Order, timeout: float | None = None) -> Order:
        """Wait until an order has ended, however; the order as it ended.

        :raises TimeoutError: after ``timeout`` seconds; the order goes on.
        """
        return self._background.call(lambda: LiveOrder(self._account, order).ended(timeout))

    def completed(self, order: Order, timeout: float | None = None) -> Order:
        """Wait until an order has ended, however, and all its fills are in the ledger.

        :raises TimeoutError: after ``timeout`` seconds; what is missing still comes.
        """
        return self._background.call(lambda: LiveOrder(self._account, order).completed(timeout))

    def filled(self, order: Order, timeout: float | None = None) -> Order:
        """Wait until an order is filled whole.

        :raises OrderEnded: where it ends otherwise; ``order`` says with how much filled.
        :raises TimeoutError: after ``timeout`` seconds; the order goes on.
        """
        return self._background.call(lambda: LiveOrder(self._account, order).filled(timeout))

    # --- what is known ---

    order = _reading(AsyncAccount.order)
    orders = _reading(AsyncAccount.orders)
    open_orders = _reading(AsyncAccount.open_orders)
    unknown_orders = _reading(AsyncAccount.unknown_orders)
    exposure = _reading(AsyncAccount.exposure)
    positions = _reading(AsyncAccount.positions)
    balances = _reading(AsyncAccount.balances)
    profit = _reading(AsyncAccount.profit)

    # --- questions, and settings ---

    fetch_order = _waiting(AsyncAccount.fetch_order)
    fetch_open_orders = _waiting(AsyncAccount.fetch_open_orders)
    fetch_order_history = _waiting(AsyncAccount.fetch_order_history)
    fetch_fills = _waiting(AsyncAccount.fetch_fills)
    fetch_positions = _waiting(AsyncAccount.fetch_positions)
    fetch_balances = _waiting(AsyncAccount.fetch_balances)
    income = _waiting(AsyncAccount.income)
    fee_rates = _waiting(AsyncAccount.fee_rates)
    price_band = _waiting(AsyncAccount.price_band)
    set_leverage = _waiting(AsyncAccount.set_leverage)
    set_margin_mode = _waiting(AsyncAccount.set_margin_mode)
    set_position_mode = _waiting(AsyncAccount.set_position_mode)

    def order_history(self, **asked: Any) -> Iterator[list[Order]]:
        """:meth:`ccrs_core.Account.order_history`, page by page."""
        pages: AsyncIterator[list[Order]] = self._account.order_history(**asked)

        async def following() -> list[Order] | None:
            return await anext(pages, None)

        while (page := self._background.call(following)) is not None:
            yield page


__all__ = ["Account"]
