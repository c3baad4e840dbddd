"""What a request or a frame can be signed with: whose it is, when it leaves, and for where."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from ccrs_core.contract.credentials import Credentials
from ccrs_core.errors import UsageError


@attrs.frozen
class Token:
    """What an exchange answers to :meth:`Exchange.token <ccrs_core.Exchange.token>`."""

    value: str = attrs.field(repr=False)
    """Empty in the answer to a renewal that leaves it as it was."""
    renew_after: float | None = None
    """Seconds after which it is to be renewed; None: it stays good."""


@attrs.frozen(kw_only=True, repr=False)
class Access:
    """Handed to whatever signs, at the moment at which that leaves. Its text shows no secret."""

    now_ms: int
    """Milliseconds UTC."""
    url: str
    """What is dialled: the address of the request (without its path), or the URL of the WebSocket
    (with ``{token}`` where that stands in it). With a ``base_url`` of the user's it is that."""
    _credentials: Credentials | None = None
    token: str = ""
    """What :meth:`Exchange.token <ccrs_core.Exchange.token>` was answered; empty where it asks for
    none."""

    @property
    def credentials(self) -> Credentials:
        """Those of the account that it is done for.

        :raises UsageError: where it is done for none: on a public route.
        """
        if self._credentials is None:
            raise UsageError("this needs credentials, and there are none")
        return self._credentials

    @property
    def host(self) -> str:
        """Where it goes to, as the header ``Host`` says it: lower case, with the port if that is
        told."""
        return urlsplit(self.url).netloc.rpartition("@")[2].lower()

    def __repr__(self) -> str:
        return f"Access(now_ms={self.now_ms}, host={self.host!r})"
