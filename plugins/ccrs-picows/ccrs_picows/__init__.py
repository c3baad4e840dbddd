"""WebSockets by picows, for ccrs: found by the core under the name ``picows``."""

from ccrs_picows.connection import PicowsConnection
from ccrs_picows.transport import PicowsTransport

__all__ = ["PicowsConnection", "PicowsTransport"]
