"""The back office: what all parts of the desk share, whatever they do."""

from __future__ import annotations

import random

from ccrs_core.emulator.trading.accounts import TradingAccount
from ccrs_core.emulator.trading.bulletin import Bulletin
from ccrs_core.emulator.trading.clearing import Clearing
from ccrs_core.emulator.trading.conduct import Conduct
from ccrs_core.emulator.trading.histories import Histories
from ccrs_core.emulator.trading.margin import Margins
from ccrs_core.emulator.trading.money_tape import HOUSE, MoneyTape
from ccrs_core.emulator.trading.orders import DeskOrder
from ccrs_core.emulator.venue import Venue


class BackOffice:
    """Accounts, books and papers of the desk."""

    def __init__(self, venue: Venue, conduct: Conduct) -> None:
        self.venue = venue
        self.conduct = conduct
        self.rng = random.Random(f"{venue.seed}/desk")
        self.bulletin = Bulletin()
        self.tape = MoneyTape()
        self.histories = Histories(conduct, random.Random(f"{venue.seed}/desk/histories"))
        self.clearing = Clearing(conduct, self.bulletin, self.histories, self.tape)
        self.margins = Margins(venue, conduct)
        self.accounts: dict[str, TradingAccount] = {}
        self.house = TradingAccount(HOUSE, 0, venue.start_ns)
        self.waiting: dict[tuple[str, str], dict[int, TradingAccount]] = {}
        """Orders that wait for a trigger, by listing."""

    def last_known(self, account: TradingAccount, number: int) -> DeskOrder | None:
        """An order, open or ended lately."""
        found = account.orders.get(number)
        return found or self.histories.recent_order(account.name, number)
