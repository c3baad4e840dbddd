"""The three exchanges, and the accounts that a program has at each."""

from __future__ import annotations

from ccrs_core import Credentials
from ccrs_core.conformance.workbench.entry_paths import paths_of
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.model.instruments import Market

EXCHANGES = ("bybit", "okx", "binance")
ACCOUNTS = ("one", "two")
"""Those of the program; others' clients trade on the first one, too."""
OTHER = "other"
"""Somebody else's."""
_ENTRY = ("place", "amend", "cancel")
MARKETS = {Market.SPOT: 1, Market.LINEAR: 2, Market.INVERSE: 1}
"""How many instruments of which markets are traded."""


def words_of(account: str) -> tuple[str, str]:
    """Key and secret of the program's."""
    return f"{account}Key", f"{account}Secret"


def key_of(account: str) -> Credentials:
    """The program's key of an account."""
    return Credentials(*words_of(account), "emulator")


def entry_paths(subject: Subject) -> list[str]:
    """The paths of requests that place, amend and cancel orders, of all markets."""
    return sorted(
        {path for what in ("place", "amend", "cancel") for path in paths_of(subject, what)}
    )
