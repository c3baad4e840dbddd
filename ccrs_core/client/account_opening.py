"""How an account is opened: its keys' requests, its ledger, its store. Imported when one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from ccrs_core.connections.shared import Shared
from ccrs_core.contract.accounts import Account as KeyHolder
from ccrs_core.contract.credentials import Credentials
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.trading_requests import GetAccountInfo
from ccrs_core.errors import Unsupported
from ccrs_core.requests.exchange_clock import ExchangeClock
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.requests.requester import Requester
from ccrs_core.trading.account import Account
from ccrs_core.trading.choose_store import StoreChoice, store_for
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.parts import Parts
from ccrs_core.trading.settings import AccountSettings
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import LedgerName, Store
from ccrs_core.trading.taking import Natives
from ccrs_core.transport.base import Discreet, Transport
from ccrs_core.transport.budgets_kept import KeptBudgets
from ccrs_core.transport.context import Context
from ccrs_core.transport.limits import keep_budgets, let_go


@attrs.frozen(kw_only=True)
class Opening:
    """What it takes to open an account of a client."""

    exchange: Exchange
    environment: str
    holder: KeyHolder
    store: StoreChoice
    synchronous: Literal["normal", "full"]
    shared: Callable[[], Shared]
    """Raises ``UsageError`` unless the client is open."""
    instruments: Callable[[], InstrumentStore]

    def account(self, claim: Callable[[], None], **settings: Any) -> Account:
        """The account, to be entered; it calls ``claim`` as it is.

        :param settings: those of :class:`AccountSettings`.
        :raises UsageError: where these can't work.
        """
        checked = AccountSettings(**settings)

        async def opening() -> Parts:
            claim()
            kept = store_for(self.store, self._ledger_name, self.synchronous)
            return await self._parts(checked, kept)

        return Account(self.holder.name, opening)

    @property
    def _ledger_name(self) -> LedgerName:
        return LedgerName(self.exchange.name, self.environment, self.holder.name)

    async def _parts(self, settings: AccountSettings, store: Store) -> Parts:
        shared, instruments, holder = self.shared(), self.instruments(), self.holder
        exchange, context = self.exchange, shared.context
        trading = exchange.trading
        assert trading is not None
        _hide(context.transport, holder.credentials)
        # An exchange goes on counting what a process before this one has asked.
        kept = _kept_budgets(store, context)
        requester = Requester(context, holder, share=settings.budget_share)
        requester.clock = ExchangeClock(requester, context)
        keeping = shared.spawn(requester.clock.keep())
        if kept is not None:
            keeping.add_done_callback(lambda _: let_go(kept))
        try:
            info = None
            if settings.follow and GetAccountInfo in exchange.endpoints:
                info = await requester.ask(GetAccountInfo(holder.name))
            for market in trading.features if settings.follow else ():
                try:
                    await instruments.market(market)
                except Unsupported:
                    continue  # this environment has none of it
            natives = Natives(instruments)
            ledger = Ledger(
                *(exchange.name, self.environment, holder.name, natives.find),
                purses=trading.purses,
            )
            stored = await store.open(self._ledger_name)
            try:
                ledger.restore(stored)
                return Parts(
                    *(shared, holder, trading, settings, instruments, requester),
                    *(ledger, natives, store, stored, info, keeping),
                )
            except BaseException:
                await store.close()
                raise
        except BaseException:
            keeping.cancel()
            raise


def _kept_budgets(store: Store, context: Context) -> KeptBudgets | None:
    """Beside a ledger that is a file: what was asked; None where it is none."""
    if not isinstance(store, SqliteStore):
        return None
    path = store.path.resolve()
    kept = KeptBudgets(path.with_name(f"{path.name}.budgets"), context.clock)
    keep_budgets(kept, list(context.addresses.values()), context.clock)
    return kept


def _hide(transport: Transport, credentials: Credentials) -> None:
    """What records or shows what passes is to leave these out, wherever they turn up."""
    if isinstance(transport, Discreet):
        for secret in (credentials.key, credentials.secret, credentials.passphrase):
            if secret:
                transport.hide(secret)
