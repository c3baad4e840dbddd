"""The network seam: sockets, the clock, and what both are set to. For writers of transports.

May import ``contract`` and what that may. Only here is a clock read. What a transport of another
package is built with is public here: the protocols, proxies, name resolution, deadlines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccrs_core.transport.base import (
        SYSTEM_CLOCK,
        Clock,
        Connection,
        Reroutable,
        ServingConnection,
        Sink,
        Transport,
        TransportOptions,
    )
    from ccrs_core.transport.http import HttpTransport
    from ccrs_core.transport.names import dial, one_address
    from ccrs_core.transport.pace import Deadline
    from ccrs_core.transport.proxies import Proxies
    from ccrs_core.transport.proxy import SOCKS, Proxy, parse_proxy
    from ccrs_core.transport.trouble import said

_HOMES = {
    "base": (
        "SYSTEM_CLOCK",
        "Clock",
        "Connection",
        "Reroutable",
        "ServingConnection",
        "Sink",
        "Transport",
        "TransportOptions",
    ),
    "http": ("HttpTransport",),
    "names": ("dial", "one_address"),
    "pace": ("Deadline",),
    "proxies": ("Proxies",),
    "proxy": ("SOCKS", "Proxy", "parse_proxy"),
    "trouble": ("said",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SOCKS",
    "SYSTEM_CLOCK",
    "Clock",
    "Connection",
    "Deadline",
    "HttpTransport",
    "Proxies",
    "Proxy",
    "Reroutable",
    "ServingConnection",
    "Sink",
    "Transport",
    "TransportOptions",
    "dial",
    "one_address",
    "parse_proxy",
    "said",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # On first use: aiohttp takes its time.
    return getattr(import_module(f"{__name__}.{home}"), name)
