"""Accounts at an exchange: what a client may act for."""

from __future__ import annotations

import attrs

from ccrs_core.contract.credentials import Credentials

DEFAULT = "default"
"""The name of the account whose credentials a client is made with."""


@attrs.frozen
class Account:
    """One account: the user's name for it, and the credentials that prove whose it is.

    Private connections log in for one account, and signed requests are made for one.
    """

    name: str
    credentials: Credentials
