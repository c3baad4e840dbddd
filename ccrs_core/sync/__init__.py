"""The same for scripts, without ``async``: questions, histories and short watches of one exchange.

A client's event loop runs in a thread of its own, also where another one runs already, as in
notebooks. May import ``client`` and ``trading``; nothing of the core imports it.
"""

from typing import TYPE_CHECKING, Any

from ccrs_core.sync.client import Client, connect

if TYPE_CHECKING:
    from ccrs_core.sync.account import Account

__all__ = ["Account", "Client", "connect"]


def __getattr__(name: str) -> Any:
    if name != "Account":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Who reads market data alone pays for none of it.
    from ccrs_core.sync.account import Account

    return Account
