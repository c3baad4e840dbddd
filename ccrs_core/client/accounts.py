"""The accounts of a client."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from ccrs_core.client.credentials import credentials_of
from ccrs_core.connections.shared import Shared
from ccrs_core.contract.accounts import DEFAULT
from ccrs_core.contract.accounts import Account as KeyHolder
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.requests.instruments import InstrumentStore

if TYPE_CHECKING:
    from ccrs_core.client.account_status import AccountStatus
    from ccrs_core.trading.account import Account
    from ccrs_core.trading.asks import Via
    from ccrs_core.trading.choose_store import StoreChoice
    from ccrs_core.trading.settings import OnExit, OutsideBand


class _Accounts(ABC):
    """The accounts of a client."""

    exchange: Exchange
    environment: str
    _accounts: dict[str, KeyHolder]
    _held: dict[str, Account]
    """Those that are, or were, open, by name."""

    @property
    @abstractmethod
    def _emulates(self) -> bool:
        """Whether the exchange is an emulator in this process."""

    @abstractmethod
    def _opened(self) -> Shared: ...

    @abstractmethod
    def _store(self) -> InstrumentStore: ...

    def account(
        self,
        name: str = DEFAULT,
        *,
        credentials: Credentials | None = None,
        store: StoreChoice = None,
        synchronous: Literal["normal", "full"] = "normal",
        via: Via = "rest",
        on_exit: OnExit = "leave",
        presume_absent_after: float | None = 60.0,
        outside_band: OutsideBand = "refuse",
        budget_share: float = 1.0,
        follow: bool = True,
    ) -> Account:
        """An account, to trade and to know the truth about its orders; use it in ``async with``.

        :param name: yours, of the account. Its keys are ``credentials``, else those that the client
            was made with (of the account ``default``), else those of :func:`load_credentials`; in
            the environment ``emulator`` the account ``default`` has play money.
        :param store: where its ledger is kept: a path, ``"memory"``, the name of an installed
            store, or one of your own; None: an SQLite file where the system keeps the user's data
            (or in ``CCRS_LEDGERS``), and in memory where the emulator runs in this process, as its
            accounts end with it. One process at a time has it.
        :param synchronous: of SQLite: ``"normal"`` survives whatever ends this process, ``"full"``
            a loss of power, too, for some milliseconds an order.
        :param via: the way that orders go where a call says none: ``"rest"`` or ``"websocket"``.
        :param on_exit: ``"cancel_own"`` cancels the own orders that are open as the block is left.
        :param presume_absent_after: seconds after which an order of unknown outcome, where no proof
            can come, counts as absent if orders, history and fills deny it; None: never.
        :param outside_band: ``"send"`` sends limit prices that the exchange is known to move into
            its band; ``order.altered`` tells then.
        :param budget_share: the part of the account's budgets that this process may spend, where
            others spend the rest.
        :param follow: False: neither listen nor read lists, for a single question or an urgent
            cancel: opening it sends nothing, and what is asked is asked of the exchange. It places
            and amends nothing, has no events, and its ledger is in memory.
        :raises UsageError: where that can't be.
        :raises StoreInUse: (on entering) where another process has the ledger; it tells how to
            share.
        :raises StoreFailed: (on entering) where it can't be opened.
        :raises AuthError: (on entering) where the exchange refuses the key.
        :raises Unsupported: where the plugin has no trading; (on entering) where there is no socket
            for orders.
        """
        # Who reads market data alone pays for none of it.
        from ccrs_core.client.account_opening import Opening

        if self.exchange.trading is None:
            raise Unsupported(f"{self.exchange.name}'s plugin has no trading")
        if not follow:
            if store not in (None, "memory"):
                raise UsageError("a store is for an account that is followed: leave it out")
            store = "memory"
        given = self._accounts.get(name)
        if credentials is None and given is not None:
            credentials = given.credentials
        keys = credentials_of(self.exchange.name, self.environment, name, credentials)
        opening = Opening(
            exchange=self.exchange,
            environment=self.environment,
            holder=KeyHolder(name, keys),
            store="memory" if store is None and self._emulates else store,
            synchronous=synchronous,
            shared=self._opened,
            instruments=self._store,
        )

        def claim() -> None:
            known = self._held.get(name)
            if known is not None and known.open:
                raise UsageError(f"the account {name} is open already: use that one")
            self._held[name] = account

        account = opening.account(
            claim,
            via=via,
            on_exit=on_exit,
            presume_absent_after=presume_absent_after,
            outside_band=outside_band,
            budget_share=budget_share,
            follow=follow,
        )
        return account

    def _account_statuses(self) -> list[AccountStatus]:
        """How those fare that are open."""
        if not self._held:
            return []
        from ccrs_core.client.account_status import status_of

        found = map(status_of, self._held.values())
        return [each for each in found if each is not None]

    async def _close_accounts(self) -> None:
        """Those that are open still: their block should have ended before the client's."""
        open_ones = [each for each in self._held.values() if each.open]
        await asyncio.gather(*(each.aclose() for each in open_ones))
