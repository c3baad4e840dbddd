"""How the frames of one connection leave: signed for its account, within its route's budgets."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import attrs

from ccrs_core.connections.session import Session
from ccrs_core.contract.access import Access
from ccrs_core.contract.accounts import Account
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.codec import Outbound
from ccrs_core.contract.exchange import Route
from ccrs_core.model.units import NS_PER_MS
from ccrs_core.transport.base import Connection
from ccrs_core.transport.context import Context
from ccrs_core.transport.limits import Window
from ccrs_core.transport.outbox import Outbox


@attrs.frozen
class Signer:
    """Whose connection it is, and where it goes to."""

    context: Context
    account: Account | None
    url: str
    token: str = attrs.field(default="", repr=False)

    @property
    def dialled(self) -> str:
        """The URL with the token in it, if there it stands."""
        return self.url.replace("{token}", quote(self.token, safe=""))

    def access(self) -> Access:
        """What leaves now can be signed with this."""
        account = self.account
        return Access(
            now_ms=self.context.now_ns() // NS_PER_MS,
            url=self.url,
            credentials=None if account is None else account.credentials,
            token=self.token,
        )


def new_outbox(
    access: Callable[[], Access],
    context: Context,
    route: Route,
    connection: Connection,
    session: Session,
    sent: Callable[[str], None],
    failed: Callable[[str], None],
    leaves: str = "",
) -> Outbox:
    """An outbox for a connection that is open, and leaves by an exit (``Way.exit``)."""

    def sign(frame: Outbound) -> Outbound:
        return session.codec.sign(frame, access())

    def window(budget: Budget | None) -> list[Window]:
        return [] if budget is None else [Window(budget, context.clock)]

    host = context.stream_limits(access().url, leaves).messages
    budgets = window(route.messages) + ([] if host is None else [host])
    requests, timeout = window(route.requests), context.options.send_timeout
    return Outbox(connection, budgets, requests, timeout, sign=sign, sent=sent, failed=failed)
