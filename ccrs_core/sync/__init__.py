"""The same for scripts, without ``async``: questions, histories and short watches of one exchange.

A client's event loop runs in a thread of its own, also where another one runs already, as in
notebooks. May import ``client``; nothing of the core imports it.
"""

from ccrs_core.sync.client import Client, connect

__all__ = ["Client", "connect"]
